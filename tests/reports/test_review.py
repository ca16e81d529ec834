"""`ringfence review`: who could, who did, and what nobody needs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ringfence.core import changes as c
from ringfence.core.charter.terms import SHAPES, VERBS
from ringfence.core.decisions.ruling import Asked, rule_access
from ringfence.core.errors import RingfenceError
from ringfence.core.ledger import entry as e
from ringfence.core.state import State
from ringfence.core.times import DAY_MS
from ringfence.reports.access import ALONE, STANDING, Authority, find_authority
from tests.attacks.bundles import judge, require_verified
from tests.builds import OTHER_BUILT, approve, give_credential
from tests.governed import APP, BUILD, CHARTER, HOUR_MS, NUMBERS, Ground, a_grant, facts
from tests.governed_ledgers import governed
from tests.ledgers import ALICE, BOB, GATEWAY
from tests.ledgers import whole as plain_ledger
from tests.reports.reviewing import iso, kinds, of, rows, run

EVE = NUMBERS["eve"]


# -- who could ---------------------------------------------------------------------------------------------------------


def test_services_and_holders_of_grants_could_and_nobody_else(tmp_path: Path) -> None:
    found = rows("access", governed(), tmp_path / "bundle")

    (grant,) = of(found, basis="grant 1")
    assert (grant["principal"], grant["who"], grant["duties"]) == (EVE, "hr-eve", ["engineer"])
    assert (grant["clause"], grant["purposes"], grant["verbs"]) == ("helping", ["support"], ["read"])
    assert (grant["datasets"], grant["classes"], grant["users"]) == (["person"], ["protected", "public"], "any")
    (service,) = of(found, basis=STANDING)
    assert (service["principal"], service["kind"], service["clause"]) == (APP, "service", "serving")
    (alone,) = of(found, basis=ALONE)
    assert (alone["principal"], alone["clause"]) == (EVE, "helping")
    assert len(found) == 3


def test_grant_for_named_users_says_how_many_and_without_detail_that_they_are_named(tmp_path: Path) -> None:
    ledger = governed(a_grant(subjects_any=False), subjects=(ALICE, BOB))

    assert of(rows("access", ledger, tmp_path / "bundle"), basis="grant 1")[0]["users"] == "2"
    public = rows("access", ledger, tmp_path / "public", detail=False)
    assert of(public, basis="grant 1")[0]["users"] == "named"
    assert {row["who"] for row in public} == {""}


def test_who_is_suspended_or_has_an_ended_grant_could_no_more_but_could_before(tmp_path: Path) -> None:
    ledger = governed()
    before = iso(ledger.ground.now_ms + 1000)
    ledger.ground.now_ms += DAY_MS // 24
    ledger.ground.record(facts(EVE, "eve", directed_by=(NUMBERS["hal"],)))
    ledger.follow()

    assert not of(rows("access", ledger, tmp_path / "bundle"), principal=EVE)
    assert of(rows("access", ledger, tmp_path / "bundle", "--to", before), principal=EVE, basis="grant 1")


@pytest.mark.parametrize(
    "order", [c.RevokeGrant(grant=1), c.Suspend(scope=c.FLOW, name="helping"), c.Dismiss(person=EVE)]
)
def test_what_is_taken_by_an_order_is_gone(tmp_path: Path, order: c.AnyChange) -> None:
    ledger = governed()
    by = "ivy" if isinstance(order, c.Suspend) else "ada"
    ledger.ground.order(by, order, number=int(isinstance(order, c.Suspend)))
    ledger.follow()

    assert not of(rows("access", ledger, tmp_path / "bundle"), basis="grant 1")


def test_break_glass_that_waits_for_its_review_bars_the_next_one(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.order("eve", a_grant(kind=c.BREAK_GLASS, purpose="investigate", records_max=5), number=2)
    ledger.follow()

    found = rows("access", ledger, tmp_path / "bundle")

    assert of(found, basis="grant 2", purposes=["investigate"])
    assert not of(found, basis=ALONE)


def test_service_that_needs_an_approved_build_could_with_it_alone(tmp_path: Path) -> None:
    charter = CHARTER.replace("    who: [app]\n", "    who: [app]\n    builds: approved\n", 1)
    assert charter != CHARTER
    ground = Ground.founded(charter)
    assert APP not in {row.principal for row in find_authority(ground.state, at_ms=ground.now_ms)}

    ground.agree("hal", approve(OTHER_BUILT, attestor=b""), "gus")  # nobody is given a credential for it
    assert APP not in {row.principal for row in find_authority(ground.state, at_ms=ground.now_ms)}

    ground.agree("hal", approve(), "gus")
    for _ in ("before it was given a credential", "with one"):
        (row,) = [row for row in find_authority(ground.state, at_ms=ground.now_ms) if row.principal == APP]
        assert (row.basis, row.clause) == ("build app 7.3", "serving")
        give_credential(ground)


def test_every_cell_is_what_the_decision_says_and_no_other() -> None:
    ground = Ground.founded()
    ground.agree("eve", a_grant(bulk=True, datasets=("person", "rest")), "ada", "ben", number=1)
    ground.agree("eve", a_grant(classes=("public",), purpose="comply", verbs=("find",)), "ada", "ben", number=2)
    found = [row for row in find_authority(ground.state, at_ms=ground.now_ms) if row.basis != ALONE]

    told = {cell for row in found for cell in cells_of(row)}

    assert told == set(brute_force(ground.state, ground.now_ms))
    assert len(told) == 17


def cells_of(row: Authority) -> itertools.product[tuple[Any, ...]]:
    grant = int(row.basis.partition("grant ")[2] or 0)
    return itertools.product(
        *([row.principal], [grant], row.purposes, row.countries, row.verbs, row.datasets, row.classes, row.shapes)
    )


def brute_force(state: State, at_ms: int) -> Any:
    """Ask for everything that the charter has words for, and some that it has not; flows without grants come alone."""
    charter = state.rules
    for number, grant, purpose, country, verb, dataset, shape in itertools.product(
        *([*state.principals, 99], (0, 1, 2), charter.purposes, ("US", "SG", "other"), VERBS, charter.datasets, SHAPES)
    ):
        asked = Asked(number, country, purpose, verb, dataset, shape, 1, grant)
        for data_class, decision in rule_access(state, asked, charter.classes, at_ms=at_ms).permitted.items():
            if bool(grant) == decision.needs_grant:
                yield number, grant, purpose, country, verb, dataset, data_class, shape


# -- who did -----------------------------------------------------------------------------------------------------------


def test_accesses_refusals_and_signatures_are_added_up(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE), ledger.read(BOB, records=2))
    refused = ledger.access(ALICE, principal=EVE, country="SG", purpose="support")
    ledger.batch(GATEWAY, refused, (e.Refusals(principal=APP, reason="rate", requests=7, since_ms=0), b""))

    found = rows("activity", ledger, tmp_path / "bundle")

    (reads,) = of(found, principal=EVE, clause="helping")
    assert (reads["verb"], reads["dataset"], reads["purpose"]) == ("read", "person", "support")
    assert (reads["times"], reads["records"], reads["grant"]) == (2, 3, 1)
    assert reads["first_ms"] <= reads["last_ms"]
    assert [row["times"] for row in of(found, principal=EVE, kind="refused")] == [1]
    assert [row["times"] for row in of(found, principal=APP, kind="refused", verb="rate")] == [7]
    for name in ("ada", "ben"):
        signed = [row["verb"] for row in of(found, principal=NUMBERS[name], kind="signed")]
        assert signed == ["founded the ledger", "approved grant"]
    assert [row["verb"] for row in of(found, principal=EVE, kind="signed")] == ["founded the ledger", "proposed grant"]


def test_only_the_period_counts(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE))
    ledger.now_ms += 5000
    middle = iso(ledger.now_ms)
    ledger.now_ms += 2000
    ledger.ground.now_ms = ledger.now_ms
    ledger.batch(GATEWAY, ledger.read(BOB, records=2))
    bundle = tmp_path / "bundle"

    whole = of(rows("activity", ledger, bundle), clause="helping")
    early = of(rows("activity", ledger, bundle, "--to", middle), clause="helping")
    late = of(rows("activity", ledger, bundle, "--from", middle), clause="helping")

    assert [(row["times"], row["records"]) for row in (*whole, *early, *late)] == [(2, 3), (1, 1), (1, 2)]
    assert not of(rows("activity", ledger, bundle, "--from", middle), kind="signed")


def test_who_left_since_is_named_in_what_they_did(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE), ledger.access(ALICE, principal=APP))
    before = rows("activity", ledger, tmp_path / "before")
    ledger.ground.now_ms = max(ledger.ground.now_ms, ledger.now_ms)
    ledger.ground.order("ada", c.WithdrawService(principal=APP))
    ledger.ground.order("ada", c.Dismiss(person=EVE))
    ledger.follow()
    after = rows("activity", ledger, tmp_path / "after")

    for principal, clause in ((APP, "serving"), (EVE, "helping")):
        (was,), (row,) = (of(found, principal=principal, clause=clause) for found in (before, after))
        assert row["who"]
        assert row["party"]
        assert (row["who"], row["party"]) == (was["who"], was["party"])
    assert not of(rows("access", ledger, tmp_path / "after"), principal=APP)


# -- what nobody needs -------------------------------------------------------------------------------------------------


def test_what_is_used_is_not_stale_and_what_is_not_is(tmp_path: Path) -> None:
    idle, busy = governed(), governed()
    busy.batch(GATEWAY, busy.read(ALICE), busy.access(ALICE, principal=APP))

    assert kinds(rows("stale", idle, tmp_path / "idle"), EVE) == {"unused-flow", "unused-grant"}
    assert kinds(rows("stale", busy, tmp_path / "busy"), EVE) == set()
    assert kinds(rows("stale", idle, tmp_path / "idle"), APP) == {"unused-flow"}
    assert kinds(rows("stale", busy, tmp_path / "busy"), APP) == set()
    assert kinds(rows("stale", idle, tmp_path / "idle"), NUMBERS["ada"]) == set()


def test_founding_is_signed_with_the_founders_keys_and_is_no_use_of_them_later(tmp_path: Path) -> None:
    ledger = governed()
    founded = iso(ledger.ground.entries[2][1].at_ms)

    since = rows("stale", ledger, tmp_path / "bundle", "--from", founded)

    assert kinds(rows("stale", ledger, tmp_path / "bundle"), NUMBERS["cid"]) == set()
    assert kinds(since, NUMBERS["cid"]) == {"idle-person", "unused-key"}
    assert kinds(since, NUMBERS["ada"]) == set()


def test_use_before_the_period_is_no_use(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE))
    ledger.now_ms += 5000
    later = iso(ledger.now_ms - 1000)
    ledger.batch(GATEWAY, ledger.access(ALICE, principal=APP))

    assert "idle-person" in kinds(rows("stale", ledger, tmp_path / "bundle", "--from", later), EVE)


def test_live_grant_of_before_the_period_is_stale_when_unused_in_it(tmp_path: Path) -> None:
    for name, lasts_ms, used in (("idle", 8 * HOUR_MS, False), ("busy", 8 * HOUR_MS, True), ("over", HOUR_MS, False)):
        ledger = governed(a_grant(lasts_ms=lasts_ms))
        ledger.now_ms = ledger.ground.now_ms = max(ledger.now_ms, ledger.ground.now_ms) + 2 * HOUR_MS
        start = iso(ledger.now_ms - HOUR_MS // 2)
        ledger.batch(GATEWAY, ledger.read(ALICE) if used else ledger.access(ALICE, principal=APP))

        found = of(rows("stale", ledger, tmp_path / name, "--from", start), kind="unused-grant")

        assert [row["what"] for row in found] == (["grant 1"] if name == "idle" else []), name


def test_duties_and_keys_of_those_who_may_not_act_are_found_with_the_chain(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.record(facts(NUMBERS["ben"], "ben", directed_by=(NUMBERS["hal"],)))
    ledger.follow()

    found = of(rows("stale", ledger, tmp_path / "bundle"), principal=NUMBERS["ben"])

    assert {row["kind"] for row in found} == {"inactive-duty", "inactive-key"}
    assert "not-directed-from-the-parent" in of(found, kind="inactive-duty")[0]["words"]


def test_break_glass_without_its_review_is_found_and_reviewed_is_not(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.order("eve", a_grant(kind=c.BREAK_GLASS, purpose="investigate", records_max=5), number=2)
    ledger.follow()
    (waits,) = of(rows("stale", ledger, tmp_path / "waits"), kind="review-missing")
    assert "waits" in waits["words"]

    ledger.ground.now_ms += 25 * 3_600_000
    ledger.now_ms = ledger.ground.now_ms
    ledger.batch(GATEWAY, ledger.access(ALICE, principal=APP))
    (late,) = of(rows("stale", ledger, tmp_path / "late"), kind="review-missing")
    assert "overdue" in late["words"]

    ledger.ground.agree("ada", c.Review(grant=2, justified=True), "ben")
    ledger.follow()
    assert not of(rows("stale", ledger, tmp_path / "reviewed"), kind="review-missing")


def test_build_that_nobody_runs_is_found(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.agree("hal", c.ApproveBuild(name="app 7", party="app", digest=bytes(range(32))), "gus")
    ledger.follow()

    found = of(rows("stale", ledger, tmp_path / "bundle"), kind="unused-build")

    assert [row["what"] for row in found] == ["app 7"]  # not the custodian's, which a lane runs
    assert BUILD in ledger.state.governed.builds


# -- what cannot be reviewed -------------------------------------------------------------------------------------------


def test_ledger_that_is_not_governed_is_reviewed_too(tmp_path: Path) -> None:
    plain_ledger().write(tmp_path / "bundle")
    for what in ("access", "activity", "stale"):
        result = run(what, tmp_path / "bundle", "--json")
        assert result.exit_code == 0, result.exception
        assert json.loads(result.stdout)["rows"] or what == "stale"


def test_period_that_the_bundle_does_not_tell_of_is_refused_and_one_up_to_its_checkpoint_is_not(tmp_path: Path) -> None:
    ledger = governed()
    ledger.write(tmp_path / "bundle")
    signed_ms = json.loads(run("activity", tmp_path / "bundle", "--json").stdout)["signed_at_ms"]

    refused = run("activity", tmp_path / "bundle", "--to", iso(signed_ms + 2000))

    assert isinstance(refused.exception, RingfenceError)
    assert "tells nothing of what was after" in refused.exception.message
    assert run("activity", tmp_path / "bundle", "--to", iso(signed_ms + 1000)).exit_code == 0
    assert run("activity", tmp_path / "bundle", "--to", iso(signed_ms) + "Z").exit_code == 0


@pytest.mark.parametrize("seconds_later", [-1, 0, 1])
def test_what_was_taken_last_is_not_there_whatever_the_clock_of_the_checkpoint(
    tmp_path: Path, seconds_later: int
) -> None:
    """A bundle is verified whose checkpoint's clock was up to 2 seconds behind that of what it covers."""
    ledger = governed()
    before = rows("access", ledger, tmp_path / "before")
    ledger.ground.order("dot", c.Dismiss(person=NUMBERS["eve"]))
    ledger.follow()
    require_verified(judge(ledger, tmp_path / "bundle", note=ledger.sign(seconds_later=seconds_later)))

    assert of(before, principal=NUMBERS["eve"])
    assert not of(rows("access", ledger, tmp_path / "bundle"), principal=NUMBERS["eve"])
    assert of(rows("activity", ledger, tmp_path / "bundle"), principal=NUMBERS["dot"], verb="ordered dismiss")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--from", "2023-11-14", "--to", "2023-11-13"], "ends before it begins"),
        (["--to", "2001-01-01"], "no charter was in force yet"),
    ],
)
def test_periods_that_are_none_are_refused(tmp_path: Path, options: list[str], what: str) -> None:
    governed().write(tmp_path / "bundle")
    result = run("access", tmp_path / "bundle", *options)
    assert isinstance(result.exception, RingfenceError)
    assert what in result.exception.message


def test_wrong_use_is_told(tmp_path: Path) -> None:
    governed().write(tmp_path / "bundle")
    assert run("access", tmp_path / "bundle", "--csv", "--json").exit_code == 2
    assert run("access", tmp_path / "bundle", "--from", "yesterday").exit_code == 2
    result = run("access", tmp_path)
    assert isinstance(result.exception, RingfenceError)
    assert "has no checkpoint" in result.exception.message


def test_ledger_whose_rules_cannot_be_folded_is_not_reviewed(tmp_path: Path) -> None:
    ledger = governed()
    ledger.rule(e.LaneCertified(lane=0, key=bytes(32), build="x", duty="gateway"))
    ledger.write(tmp_path / "bundle")
    for what in ("access", "activity", "stale"):
        result = run(what, tmp_path / "bundle")
        assert isinstance(result.exception, RingfenceError), what
        assert not result.stdout
