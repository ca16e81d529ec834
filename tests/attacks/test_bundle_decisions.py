"""Entries that say something else than the charter, the counters or their openings: each is refuted at its place.

The ledgers are signed by every key there is. Every refusing test has its accepting twin.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ringfence.core.ledger import entry as e
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.ledgers import (
    ALICE,
    APP,
    BOB,
    DAY_MS,
    GATEWAY,
    INGEST,
    PARENT,
    START_MS,
    about,
    started,
)

# -- decisions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decided",
    [
        {"protected": "erasing", "public": "serving"},
        {"protected": "", "public": "serving"},
        {"protected": "!serving", "public": "serving"},
        {"protected": "made-up", "public": "serving"},
    ],
)
def test_wrong_clause_is_refuted(tmp_path: Path, decided: dict[str, str]) -> None:
    ledger = started()
    honest = ledger.access()
    ledger.batch(GATEWAY, honest)
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, honest, ledger.access(decided=decided))
    refutation = require_refuted(judge(ledger, tmp_path / "forged"), "the charter decides otherwise", leaf=place + 2)
    assert "protected: serving" in refutation.expected


@pytest.mark.parametrize("lie", [{"principal": PARENT}, {"country": "CN"}, {"principal": 99}, {"dataset": "rest"}])
def test_access_given_to_whom_the_charter_refuses_is_refuted(tmp_path: Path, lie: dict[str, object]) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(**lie))  # type: ignore[arg-type]
    require_verified(judge(ledger, tmp_path / "refused"))
    given = {"protected": "serving", "public": "serving"}
    place = ledger.batch(GATEWAY, ledger.access(**lie, decided=given))  # type: ignore[arg-type]
    require_refuted(judge(ledger, tmp_path / "given"), "the charter decides otherwise", leaf=place + 1)


@pytest.mark.parametrize("lie", [{"verb": "peek"}, {"shape": "huge"}, {"records": -1}])
def test_access_of_an_unknown_kind_is_refuted(tmp_path: Path, lie: dict[str, object]) -> None:
    ledger = started()
    access, opening = ledger.access()
    place = ledger.batch(GATEWAY, (msgspec.structs.replace(access, **lie, decided={"public": ""}), opening))
    require_refuted(judge(ledger, tmp_path), "not of a known verb", leaf=place + 1)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (e.Refusals(principal=0, reason="unauthenticated", requests=0, since_ms=0), "counts none"),
        (e.Refusals(principal=0, reason="unauthenticated", requests=-1, since_ms=0), "counts none"),
        (e.Outcome(n=0, position=0, result="unavailable"), "no earlier access"),
        (e.Outcome(n=9, position=0, result="unavailable"), "no earlier access"),
        (e.Outcome(n=1, position=-1, result="unavailable"), "no earlier access"),
    ],
)
def test_entry_that_sums_up_or_corrects_nothing_is_refuted(tmp_path: Path, entry: e.Entry, what: str) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    refusals = e.Refusals(principal=0, reason="unauthenticated", requests=1, since_ms=0)
    ledger.batch(GATEWAY, (refusals, b""), (e.Outcome(n=1, position=0, result="unavailable"), b""))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, (entry, b""))
    require_refuted(judge(ledger, tmp_path / "forged"), what, leaf=place + 1)


def test_erasure_that_the_charter_refuses_is_refuted(tmp_path: Path) -> None:
    for name, principal in (("honest", APP), ("forged", PARENT)):
        ledger = started()
        place = ledger.erase(ALICE, principal=principal)
        if principal == PARENT:
            require_refuted(judge(ledger, tmp_path / name), "although the charter refuses it", leaf=place)
        else:
            require_verified(judge(ledger, tmp_path / name))


def test_erasure_permitted_by_another_clause_than_it_says_is_refuted(tmp_path: Path) -> None:
    for name, clause in (("honest", "erasing"), ("forged", "serving")):
        ledger = started()
        opening = about(ALICE)
        decided = {"protected": clause, "public": clause}
        place = ledger.rule(
            e.SubjectErased(principal=APP, country="US", purpose="serve", decided=decided, about=e.commit(opening)),
            lane=GATEWAY,
            opening=opening,
        )
        if clause == "serving":
            require_refuted(judge(ledger, tmp_path / name), "decides otherwise on this erasure", leaf=place)
        else:
            require_verified(judge(ledger, tmp_path / name))


def test_access_of_no_dataset_that_is_no_erasure_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    decided = {"protected": "erasing", "public": "erasing"}
    place = ledger.batch(GATEWAY, ledger.access(dataset="", records=0, decided=decided))
    require_refuted(judge(ledger, tmp_path), "names no dataset", leaf=place + 1)


def test_erasure_recorded_as_a_mere_access_is_refuted(tmp_path: Path) -> None:
    for name, principal, decided in (
        ("refused", PARENT, {"protected": "", "public": ""}),
        ("permitted", APP, {"protected": "erasing", "public": "erasing"}),
    ):
        ledger = started()
        place = ledger.batch(GATEWAY, ledger.access(principal=principal, verb="erase", dataset="", decided=decided))
        if principal == APP:
            require_refuted(judge(ledger, tmp_path / name), "must be a rule of its own", leaf=place + 1)
        else:
            require_verified(judge(ledger, tmp_path / name))


# -- openings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["read", "write"])
def test_erased_subject_in_a_later_access_is_refuted(tmp_path: Path, verb: str) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(ALICE))
    ledger.erase(ALICE)
    ledger.batch(GATEWAY, ledger.access(BOB, verb=verb), ledger.access(ALICE, principal=PARENT, verb=verb))
    require_verified(judge(ledger, tmp_path / "honest"))

    place = ledger.batch(GATEWAY, ledger.access(ALICE, verb=verb))
    require_refuted(judge(ledger, tmp_path / "forged"), "an erased subject was read again", leaf=place + 1)
    without = judge(ledger, tmp_path / "without", detail=False)
    require_verified(without)
    assert any("erased" in item.what and item.count == 1 for item in without.withheld)


def test_erasure_whose_opening_names_nobody_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    opening = about()
    decided = {"protected": "erasing", "public": "erasing"}
    place = ledger.rule(
        e.SubjectErased(principal=APP, country="US", purpose="serve", decided=decided, about=e.commit(opening)),
        lane=GATEWAY,
        opening=opening,
    )
    require_refuted(judge(ledger, tmp_path), "names no subject", leaf=place)


@pytest.mark.parametrize("verb", ["read", "write"])
def test_access_to_several_subjects_may_not_pass_for_a_single_one(tmp_path: Path, verb: str) -> None:
    """Limits of bulk would be worth nothing if it could be written down as single."""
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(ALICE, ALICE, verb=verb), ledger.bulk(2))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.access(ALICE, BOB, verb=verb))
    require_refuted(judge(ledger, tmp_path / "forged"), "is about several subjects", leaf=place + 1)


def test_swapped_openings_are_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(ALICE), ledger.access(BOB))
    require_verified(judge(ledger, tmp_path / "honest"))
    openings = ledger.openings
    openings[place + 1], openings[place + 2] = openings[place + 2], openings[place + 1]
    require_refuted(judge(ledger, tmp_path / "forged"), "not the one that the entry commits to", leaf=place + 1)


@pytest.mark.parametrize("what", ["header", "seal", "entry that commits to nothing"])
def test_opening_for_a_leaf_that_commits_to_nothing_is_refuted(tmp_path: Path, what: str) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    outcome = e.Outcome(n=1, position=0, result="unavailable")
    place = ledger.batch(GATEWAY, (outcome, b""))
    leaf = place + {"header": 0, "entry that commits to nothing": 1, "seal": 2}[what]
    ledger.openings[leaf] = about(ALICE)
    require_refuted(judge(ledger, tmp_path), "commits to nothing", leaf=leaf)


def test_destroyed_opening_is_reported_as_withheld(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(ALICE), ledger.access(BOB))
    assert judge(ledger, tmp_path / "whole").withheld == ()
    ledger.openings[place + 1] = b""
    verdict = judge(ledger, tmp_path / "destroyed")
    require_verified(verdict)
    assert [item.count for item in verdict.withheld] == [1]


def test_identity_registered_twice_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    ledger.register(7, "app")
    require_verified(judge(ledger, tmp_path / "honest"))
    opening = ledger.openings[-2]
    place = ledger.rule(e.PrincipalRegistered(number=8, party="app", identity=e.commit(opening)), opening=opening)
    require_refuted(judge(ledger, tmp_path / "forged"), "one identity is registered twice", leaf=place)


# -- counters ----------------------------------------------------------------------------------------------------------


def test_counters_that_hold_are_verified_in_any_order_of_leaves(tmp_path: Path) -> None:
    ledger = started()
    first, second, third = ledger.bulk(10), ledger.bulk(20), ledger.bulk(30)
    ledger.batch(GATEWAY, third)
    ledger.batch(INGEST, first)
    ledger.batch(GATEWAY, second)
    ledger.now_ms += DAY_MS
    ledger.batch(GATEWAY, ledger.bulk(50, total=50))
    require_verified(judge(ledger, tmp_path))


@pytest.mark.parametrize(
    ("lie", "what"),
    [
        ({"ordinal": 3}, "has a gap"),
        ({"ordinal": 1}, "step 1 twice"),
        ({"total": 41}, "has a wrong total"),
        ({"total": 0}, "has a wrong total"),
        ({"amount": 1, "total": 21}, "counted wrongly"),
        ({"day": START_MS // DAY_MS - 1}, "not of its batch's day"),
        ({"before": 90}, "over the limit"),
    ],
)
def test_wrong_step_of_a_counter_is_refuted(tmp_path: Path, lie: dict[str, int], what: str) -> None:
    for name in ("honest", "forged"):
        ledger = started()
        ledger.batch(GATEWAY, ledger.bulk(20))
        before = {"before": 20}
        ledger.batch(GATEWAY, ledger.bulk_of(20, **({**before, **lie} if name == "forged" else before)))
        if name == "forged":
            require_refuted(judge(ledger, tmp_path / name), what)
        else:
            require_verified(judge(ledger, tmp_path / name))


def test_bulk_that_is_not_counted_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(ALICE, BOB, shape="bulk", records=2))
    require_refuted(judge(ledger, tmp_path), "is not counted", leaf=place + 1)


def test_bulk_counted_by_another_clause_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    step = ledger.step("bulk/erasing", 2)
    place = ledger.batch(GATEWAY, ledger.access(ALICE, BOB, shape="bulk", records=2, counted=step))
    require_refuted(judge(ledger, tmp_path), "counter that is not its own", leaf=place + 1)


def test_counted_bulk_under_a_wrong_clause_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.bulk_of(2, decided={"public": "erasing"}))
    require_refuted(judge(ledger, tmp_path), "the charter decides otherwise", leaf=place + 1)


def test_day_of_a_counter_that_goes_back_is_refuted(tmp_path: Path) -> None:
    day = START_MS // DAY_MS
    for name, second in (("honest", day + 1), ("forged", day)):
        ledger = started()
        first, third = ledger.bulk(20, day=day + 1), ledger.bulk(20, day=second, total=20 if second == day else 40)
        ledger.batch(GATEWAY, first, at_ms=(day + 1) * DAY_MS)
        ledger.now_ms += DAY_MS
        place = ledger.batch(INGEST, third, at_ms=max(second * DAY_MS, START_MS + 500))
        if second == day:
            require_refuted(judge(ledger, tmp_path / name), "goes back", leaf=place + 1)
        else:
            require_verified(judge(ledger, tmp_path / name))


@pytest.mark.parametrize(("before_midnight_ms", "holds"), [(2_000, True), (2_001, False)])
def test_counter_may_be_a_moment_ahead_of_a_gateway_at_midnight(
    tmp_path: Path, before_midnight_ms: int, holds: bool
) -> None:
    """The counter is shared: another gateway, whose clock is a little ahead, has begun the next day."""
    day = START_MS // DAY_MS + 1
    ledger = started()
    ledger.now_ms = day * DAY_MS
    ledger.batch(GATEWAY, ledger.bulk(20))
    place = ledger.batch(INGEST, ledger.bulk(20), at_ms=day * DAY_MS - before_midnight_ms)
    verdict = judge(ledger, tmp_path)
    if holds:
        require_verified(verdict)
    else:
        require_refuted(verdict, "not of its batch's day", leaf=place + 1)


def test_bulk_above_the_records_of_one_request_is_refused_by_the_charter_itself(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(shape="bulk", records=51))
    require_verified(judge(ledger, tmp_path / "refused"))
    place = ledger.batch(GATEWAY, ledger.bulk_of(51, decided={"public": "serving"}))
    require_refuted(judge(ledger, tmp_path / "given"), "counter that is not its own", leaf=place + 1)


@pytest.mark.parametrize(("asked", "holds"), [(31, True), (30, False)])
def test_refusal_for_a_limit_holds_only_when_it_is_used_up(tmp_path: Path, asked: int, holds: bool) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.bulk(50), ledger.bulk(20))
    place = ledger.batch(GATEWAY, ledger.bulk(asked, refused=True))
    verdict = judge(ledger, tmp_path)
    if holds:
        require_verified(verdict)
    else:
        require_refuted(verdict, "was not used up", leaf=place + 1)


def test_downgrades_over_the_limit_are_refuted(tmp_path: Path) -> None:
    ledger = started()
    for _ in range(3):
        ledger.batch(GATEWAY, ledger.access(verb="write"), ledger.downgrade())
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.access(verb="write"), ledger.downgrade())
    require_refuted(judge(ledger, tmp_path / "forged"), "over the limit", leaf=place + 2)


def test_downgrade_without_its_write_is_refuted(tmp_path: Path) -> None:
    for name, verb in (("honest", "write"), ("forged", "read")):
        ledger = started()
        place = ledger.batch(GATEWAY, ledger.access(verb=verb), ledger.downgrade())
        if verb == "write":
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "does not follow the write", leaf=place + 2)


@pytest.mark.parametrize("lie", [{"country": "CN"}, {"purpose": "x"}, {"dataset": "rest"}, {"principal": PARENT}])
def test_downgrade_of_another_request_than_the_write_is_refuted(tmp_path: Path, lie: dict[str, object]) -> None:
    ledger = started()
    downgrade, opening = ledger.downgrade()
    forged = msgspec.structs.replace(downgrade, **lie)
    place = ledger.batch(GATEWAY, ledger.access(verb="write"), (forged, opening))
    require_refuted(judge(ledger, tmp_path), "names another request", leaf=place + 2)


def test_downgrade_after_a_write_that_was_refused_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    refused = ledger.access(verb="write", country="CN")
    downgrade, opening = ledger.downgrade()
    place = ledger.batch(GATEWAY, refused, (msgspec.structs.replace(downgrade, country="CN"), opening))
    require_refuted(judge(ledger, tmp_path), "did not permit the write", leaf=place + 2)


def test_downgrade_of_no_record_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(verb="write"), ledger.downgrade(amount=0, total=0))
    require_refuted(judge(ledger, tmp_path), "counts no record", leaf=place + 2)


def test_write_refused_for_the_limit_of_downgrades_is_counted(tmp_path: Path) -> None:
    for name, steps in (("honest", 3), ("forged", 2)):
        ledger = started()
        for _ in range(steps):
            ledger.batch(GATEWAY, ledger.access(verb="write"), ledger.downgrade())
        refused = {"protected": "!serving", "public": "!serving"}
        step = ledger.step("downgrade/serving", 0)
        place = ledger.batch(GATEWAY, ledger.access(verb="write", decided=refused, counted=step))
        if steps == 3:
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "was not used up", leaf=place + 1)
