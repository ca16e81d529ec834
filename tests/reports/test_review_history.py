"""What a review tells of a ledger's past: who it was then, what a feed told, what a grant and a login were good for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ringfence.core import changes as c
from ringfence.core.ledger import entry as e
from tests.governed import APP, CHARTER, ISSUER, NUMBERS, SALT, Ground, a_grant, facts
from tests.governed_ledgers import GovernedLedger, governed
from tests.ledgers import ALICE, BOB, GATEWAY, Ledger
from tests.ledgers import whole as plain_ledger
from tests.reports.reviewing import iso, kinds, of, rows

EVE, BEN = NUMBERS["eve"], NUMBERS["ben"]


def call(ground: Ground, number: int, name: str, reference: str) -> None:
    """Let the register call somebody so from now on."""
    ground.record(msgspec.structs.replace(facts(number, name), reference=reference))


# -- who it was --------------------------------------------------------------------------------------------------------


def test_each_row_names_who_it_was_though_the_reference_is_somebody_elses_now(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE))
    call(ledger.ground, EVE, "eve", "hr-old")
    zoe = ledger.ground.hire("zoe")
    call(ledger.ground, zoe, "zoe", "hr-eve")
    ledger.ground.admit("zoe")
    ledger.follow()
    ledger.batch(GATEWAY, ledger.read(BOB))
    ledger.batch(GATEWAY, ledger.access(ALICE, principal=zoe, purpose="support"))

    found = of(rows("activity", ledger, tmp_path / "bundle"), verb="read")

    assert [(row["principal"], row["who"], row["name"], row["times"]) for row in found] == [
        (EVE, "hr-eve", "eve", 1),
        (EVE, "hr-old", "eve", 1),
        (zoe, "hr-eve", "zoe", 1),
    ]
    access = rows("access", ledger, tmp_path / "bundle")
    assert {(row["who"], row["name"]) for row in of(access, principal=EVE)} == {("hr-old", "eve")}


def test_two_people_who_had_one_number_of_the_hr_system_in_turn_are_told_apart(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE))
    call(ledger.ground, EVE, "zoe", "hr-eve")
    ledger.follow()
    ledger.batch(GATEWAY, ledger.read(BOB))

    found = of(rows("activity", ledger, tmp_path / "bundle"), verb="read")

    assert [(row["who"], row["name"]) for row in found] == [("hr-eve", "eve"), ("hr-eve", "zoe")]


def test_names_are_as_of_the_end_of_the_period_and_withheld_without_detail(tmp_path: Path) -> None:
    ledger = governed()
    before = iso(ledger.ground.now_ms + 1000)
    ledger.ground.now_ms += 5000
    call(ledger.ground, EVE, "eve", "hr-old")
    ledger.follow()

    now = of(rows("access", ledger, tmp_path / "bundle"), principal=EVE)
    then = of(rows("access", ledger, tmp_path / "bundle", "--to", before), principal=EVE)
    public = rows("access", ledger, tmp_path / "public", detail=False)

    assert {row["who"] for row in now} == {"hr-old"}
    assert {row["who"] for row in then} == {"hr-eve"}
    assert {(row["who"], row["name"]) for row in public} == {("", "")}


def test_party_is_that_of_then(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE))
    ledger.ground.record(facts(EVE, "eve", party="board"))
    identity = e.Identity(ISSUER, "eve")
    admission = c.Admit(person=EVE, party="board", identity=e.commit(e.render_opening(SALT, identity)))
    ledger.ground.agree("dot", admission, "ada", "ben", identity=identity, identity_salt=SALT)
    ledger.follow()
    ledger.batch(GATEWAY, ledger.access(ALICE, principal=EVE, purpose="support"))

    found = of(rows("activity", ledger, tmp_path / "bundle"), principal=EVE, verb="read")

    assert [(row["kind"], row["party"]) for row in found] == [("given", "trust"), ("refused", "board")]


# -- what was done without a signature ---------------------------------------------------------------------------------


def feeding() -> tuple[GovernedLedger, int]:
    """Give a ledger with a service that may feed the register."""
    ledger = governed()
    feed = ledger.ground.register_service("hr", feeds=True)
    ledger.follow()
    return ledger, feed


def test_what_a_feed_told_and_took_is_an_activity_of_the_feed(tmp_path: Path) -> None:
    ledger, feed = feeding()
    ledger.ground.record(facts(EVE, "eve", team="red"), facts(BEN, "ben", team="red"), by=feed)
    ledger.ground.record(facts(BEN, "ben", directed_by=(NUMBERS["hal"],)), by=feed)
    ledger.ground.record(facts(EVE, "eve", team="blue"))
    ledger.follow()

    found = rows("activity", ledger, tmp_path / "bundle")

    told = of(found, principal=feed, kind="told")
    assert [(row["verb"], row["times"], row["records"]) for row in told] == [
        ("recorded people", 2, 3),
        ("took authority by facts", 1, 1),
    ]
    assert {(row["who"], row["party"]) for row in told} == {("hr", "trust")}
    (by_file,) = of(found, principal=0, verb="recorded people")
    assert (by_file["kind"], by_file["times"], by_file["records"]) == ("operated", 1, 1)


def test_service_that_may_feed_could_and_others_could_not(tmp_path: Path) -> None:
    ledger, feed = feeding()
    other = ledger.ground.register_service("other")
    ledger.follow()

    found = rows("access", ledger, tmp_path / "bundle")

    (row,) = of(found, principal=feed)
    assert (row["kind"], row["who"], row["basis"], row["verbs"]) == (
        *("service", "hr", "feeds the register of people"),
        ["feed"],
    )
    assert not of(found, principal=other)


def test_feed_that_told_nothing_is_stale_and_one_that_told_is_not(tmp_path: Path) -> None:
    idle, feed = feeding()
    busy, _ = feeding()
    busy.ground.record(facts(EVE, "eve", team="red"), by=feed)
    busy.follow()

    assert kinds(rows("stale", idle, tmp_path / "idle"), feed) == {"unused-feed"}
    assert kinds(rows("stale", busy, tmp_path / "busy"), feed) == set()


def test_erasure_is_a_use_of_the_flow_that_permits_it(tmp_path: Path) -> None:
    ledger: Ledger = plain_ledger()
    ledger.write(tmp_path / "bundle")

    found = of(rows("activity", GovernedLedger(), tmp_path / "bundle"), verb="erase")

    assert [(row["kind"], row["who"] != "") for row in found] == [("given", True)]
    assert all(row["clause"] and row["purpose"] for row in found)


def test_what_the_operator_did_is_told_as_the_operators(tmp_path: Path) -> None:
    ledger = governed()

    found = of(rows("activity", ledger, tmp_path / "bundle"), kind="operated")

    assert [(row["principal"], row["verb"], row["times"]) for row in found] == [(0, "lane certified", 1)]


def test_what_the_operator_did_stands_together_and_apart_from_callers_whom_nobody_knows(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, (e.Refusals(principal=0, reason="unauthenticated", requests=1, since_ms=0), b""))
    ledger.ground.record(facts(EVE, "eve", team="blue"))
    ledger.follow()

    found = of(rows("activity", ledger, tmp_path / "bundle"), principal=0)

    assert [row["verb"] for row in found] == ["lane certified", "recorded people", "unauthenticated"]


def test_flow_that_is_named_like_a_refusal_is_a_flow(tmp_path: Path) -> None:
    charter = CHARTER.replace("name: helping", "name: refused").replace("name: serving", "name: signed")
    ledger = governed(charter=charter)
    ledger.batch(GATEWAY, ledger.read(ALICE), ledger.access(ALICE, principal=EVE, country="SG", purpose="support"))

    found = of(rows("activity", ledger, tmp_path / "bundle"), principal=EVE, verb="read")

    assert [(row["kind"], row["clause"]) for row in found] == [("refused", ""), ("given", "refused")]
    assert "unused-flow" not in kinds(rows("stale", ledger, tmp_path / "bundle"), EVE)
    assert "unused-flow" in kinds(rows("stale", ledger, tmp_path / "bundle"), APP)


# -- what was good for nothing -----------------------------------------------------------------------------------------

OPEN = CHARTER.replace(
    "  - name: helping\n",
    """  - name: looking
    words: Engineers look at what users published.
    who: [trust]
    from: [US]
    purposes: [support]
    verbs: [read]
    datasets: ["*"]
    classes: [public]
    duties: [engineer]
  - name: helping
""",
)


@pytest.mark.parametrize(("classes", "used"), [(("public",), False), (("protected", "public"), True)])
def test_grant_that_was_named_and_granted_nothing_is_unused(
    tmp_path: Path, classes: tuple[str, ...], *, used: bool
) -> None:
    ledger = governed(charter=OPEN)
    told = {} if used else {"granted": None}
    ledger.batch(GATEWAY, ledger.read(ALICE, classes=classes, **told))

    (row,) = of(rows("activity", ledger, tmp_path / "bundle"), principal=EVE, verb="read")

    assert (row["kind"], row["clause"]) == ("given", "helping+looking" if used else "looking")
    assert row["grant"] == (1 if used else 0)
    assert ("unused-grant" in kinds(rows("stale", ledger, tmp_path / "bundle"), EVE)) is not used


@pytest.mark.parametrize("withdrawn", [False, True])
def test_who_is_known_by_a_login_of_a_withdrawn_issuer_could_not_and_is_found(
    tmp_path: Path, *, withdrawn: bool
) -> None:
    ledger = governed()
    if withdrawn:
        ledger.ground.order("ada", c.WithdrawIssuer(name=ISSUER))
    ledger.follow()

    found = rows("access", ledger, tmp_path / "bundle")
    stale = rows("stale", ledger, tmp_path / "bundle")

    assert {row["principal"] for row in found} == (set() if withdrawn else {APP, EVE})
    assert bool(of(stale, kind="inactive-login", principal=APP, what="service")) is withdrawn
    assert bool(of(stale, kind="unused-flow")) is not withdrawn


def test_service_is_unused_since_it_is_known_at_the_earliest(tmp_path: Path) -> None:
    ledger = governed()
    later = ledger.ground.register_service("late", party="app")
    ledger.follow()

    found = rows("stale", ledger, tmp_path / "bundle")

    for number, epoch in ((APP, 1), (later, ledger.epoch)):
        (row,) = of(found, principal=number, kind="unused-flow")
        assert row["since_ms"] == ledger.ground.entries[epoch - 1][1].at_ms
    (period,) = of(rows("stale", ledger, tmp_path / "bundle", "--from", iso(ledger.now_ms)), principal=APP)
    assert iso(period["since_ms"]) == iso(ledger.now_ms)


def test_break_glass_is_the_use_of_its_own_grant(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.order("eve", a_grant(kind=c.BREAK_GLASS, purpose="investigate", records_max=5), number=2)
    ledger.follow()
    ledger.batch(GATEWAY, ledger.read(ALICE, grant=2, purpose="investigate"))

    found = of(rows("stale", ledger, tmp_path / "bundle"), kind="unused-grant")

    assert [row["what"] for row in found] == ["grant 1"]
    assert isinstance(e.parse_entry(ledger.leaves[-2]), e.Access)
