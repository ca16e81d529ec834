"""Accesses that say they rest on a grant and do not: each is refuted by name, and its honest twin is verified.

The ledgers are signed by every key there is, those of people too where a test does not say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ringfence.core import changes as c
from ringfence.core.decisions.ruling import GRANT_OTHER_USER, GRANT_USED_UP
from ringfence.core.ledger import entry as e
from ringfence.core.ledger import governed_entry as g
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.governed import HOUR_MS, NUMBERS, a_grant, facts
from tests.governed_ledgers import GovernedLedger, governed
from tests.ledgers import ALICE, BOB, GATEWAY

GIVEN = {"protected": "helping", "public": "helping"}
NAMED = a_grant(subjects_any=False)


def refused_as(said: str) -> dict[str, str]:
    return dict.fromkeys(GIVEN, said)


# -- whose, and how long -----------------------------------------------------------------------------------------------


def test_access_under_somebody_elses_grant_is_refuted(tmp_path: Path) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.read(ALICE, who="fay", decided=GIVEN))
    require_refuted(judge(ledger, tmp_path / "forged"), "grant 1 is not one of person 6", leaf=place + 1)


def test_access_under_a_grant_that_nobody_gave_is_refuted(tmp_path: Path) -> None:
    ledger = governed()
    place = ledger.batch(GATEWAY, ledger.read(ALICE, grant=2, decided=GIVEN))
    require_refuted(judge(ledger, tmp_path), "grant 2 is not one of person 5", leaf=place + 1)


def test_access_under_an_expired_grant_is_refuted(tmp_path: Path) -> None:
    ledger = governed()
    until_ms = ledger.ground.state.governed.grants[1].until_ms
    ledger.batch(GATEWAY, ledger.read(ALICE), at_ms=until_ms - 1)
    ledger.now_ms = until_ms
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.read(ALICE, decided=GIVEN), at_ms=until_ms)
    require_refuted(judge(ledger, tmp_path / "forged"), "grant 1 expired at", leaf=place + 1)


def _revoke(ledger: GovernedLedger) -> None:
    ledger.ground.order("ivy", c.RevokeGrant(grant=1))


def _narrow(ledger: GovernedLedger) -> None:
    narrower = c.NarrowGrant(grant=1, datasets=("rest",), classes=("protected",), records_max=5, lasts_ms=HOUR_MS // 2)
    ledger.ground.order("ada", narrower)


def _suspend_person(ledger: GovernedLedger) -> None:
    ledger.ground.record(facts(NUMBERS["eve"], "eve", residence="CN"))


def _dismiss(ledger: GovernedLedger) -> None:
    ledger.ground.order("dot", c.Dismiss(person=NUMBERS["eve"]))


def _stop_flow(ledger: GovernedLedger) -> None:
    ledger.ground.order("ivy", c.Suspend(scope=c.FLOW, name="helping"), number=1)


def _stop_everything(ledger: GovernedLedger) -> None:
    ledger.ground.order("ivy", c.Suspend(scope=c.EVERYTHING), number=1)


def _end_appointment(ledger: GovernedLedger) -> None:
    ledger.ground.order("dot", c.EndAppointment(person=NUMBERS["eve"], duty="engineer"))


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (_revoke, "the charter decides otherwise: grant 1 was ended by rule"),
        (_narrow, "the charter decides otherwise: grant 1 is for rest"),
        (_suspend_person, "the charter decides otherwise: person 5 is suspended"),
        (_dismiss, "the charter decides otherwise: person 5 is dismissed"),
        (_stop_flow, "the charter decides otherwise: clause `helping` is suspended"),
        (_stop_everything, "the charter decides otherwise: everything is suspended"),
        (_end_appointment, "the charter decides otherwise"),
    ],
)
def test_access_after_its_authority_ended_is_refuted(
    tmp_path: Path, happens: Callable[[GovernedLedger], None], why: str
) -> None:
    ledger = governed(a_grant(datasets=("person", "rest")))
    ledger.batch(GATEWAY, ledger.read(ALICE))
    happens(ledger)
    ledger.follow()
    refused, opening = ledger.access(ALICE, principal=NUMBERS["eve"], purpose="support", grant=1)
    assert not any(said and said[0] != "!" for said in refused.decided.values())
    ledger.batch(GATEWAY, (refused, opening))
    require_verified(judge(ledger, tmp_path / "honest"))

    place = ledger.batch(GATEWAY, ledger.read(ALICE, decided=GIVEN))
    require_refuted(judge(ledger, tmp_path / "forged"), why, leaf=place + 1)


# -- how many ----------------------------------------------------------------------------------------------------------


def test_access_over_the_count_of_its_grant_is_refuted(tmp_path: Path) -> None:
    ledger = governed(a_grant(records_max=3))
    ledger.batch(GATEWAY, ledger.read(ALICE, records=2), ledger.read(ALICE))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.read(ALICE))
    require_refuted(judge(ledger, tmp_path / "forged"), "grant 1 gave more records than it is for", leaf=place + 1)


def test_access_over_the_count_of_a_grant_that_was_narrowed_is_refuted(tmp_path: Path) -> None:
    for name, records_max in (("honest", 4), ("forged", 3)):
        ledger = governed()
        ledger.batch(GATEWAY, ledger.read(ALICE, records=3))
        kept = {"datasets": ("person",), "classes": ("protected", "public"), "lasts_ms": HOUR_MS // 2}
        ledger.ground.order("ada", c.NarrowGrant(grant=1, records_max=records_max, **kept))  # type: ignore[arg-type]
        ledger.follow()
        place = ledger.batch(GATEWAY, ledger.read(ALICE))
        if name == "honest":
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "grant 1 gave more records than it is for", leaf=place + 1)


def test_access_that_its_grant_does_not_count_is_refuted(tmp_path: Path) -> None:
    ledger = governed()
    place = ledger.batch(GATEWAY, ledger.read(ALICE, granted=None))
    require_refuted(judge(ledger, tmp_path), "what a grant gave is not counted", leaf=place + 1)


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ({"by": 1}, "what a grant gave is counted wrongly"),
        ({"by": 3}, "what a grant gave is counted wrongly"),
        ({"day": 20_000}, "a step of counter grant/1 is malformed"),
        ({"ordinal": 3}, "counter grant/1 has a gap or a step that is there twice"),
        ({"ordinal": 1}, "counter grant/1 has step 1 twice"),
        ({"before": 0}, "step 2 of counter grant/1 has a wrong total"),
    ],
)
def test_step_of_a_grant_that_does_not_follow_is_refuted(tmp_path: Path, step: dict[str, int], what: str) -> None:
    for name, values in (("honest", {}), ("forged", step)):
        ledger = governed()
        ledger.batch(GATEWAY, ledger.read(ALICE))
        place = ledger.batch(GATEWAY, ledger.read(ALICE, records=2, step=values))
        if name == "honest":
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), what, leaf=place + 1)


def test_access_that_another_grant_counts_is_refuted(tmp_path: Path) -> None:
    ledger = governed(a_grant(), a_grant())
    ledger.batch(GATEWAY, ledger.read(ALICE), ledger.read(ALICE, grant=2))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.read(ALICE, counted_by="grant/2"))
    require_refuted(judge(ledger, tmp_path / "forged"), "counted by a counter that is not its own", leaf=place + 1)


def test_grant_that_is_not_used_up_refuses_nothing(tmp_path: Path) -> None:
    for name, before in (("honest", 2), ("forged", 1)):
        ledger = governed(a_grant(records_max=3))
        ledger.batch(GATEWAY, ledger.read(ALICE, records=before))
        refused = ledger.read(ALICE, records=2, step={"by": 0}, decided=refused_as(GRANT_USED_UP))
        place = ledger.batch(GATEWAY, refused)
        if name == "honest":
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "grant 1 was not used up", leaf=place + 1)


def test_access_given_although_its_grant_counted_nothing_is_refuted(tmp_path: Path) -> None:
    ledger = governed(a_grant(records_max=3))
    ledger.batch(GATEWAY, ledger.read(ALICE, records=3))
    place = ledger.batch(GATEWAY, ledger.read(ALICE, step={"by": 0}, decided=GIVEN))
    require_refuted(judge(ledger, tmp_path), "the charter decides otherwise: grant 1 is used up", leaf=place + 1)


def test_access_that_rests_on_no_grant_moves_no_grants_counter(tmp_path: Path) -> None:
    ledger = governed()
    refused = ledger.read(ALICE, who="fay")
    place = ledger.batch(GATEWAY, refused)
    require_refuted(judge(ledger, tmp_path), "counted by a counter that is not its own", leaf=place + 1)


@pytest.mark.parametrize("missing", ["counted", "granted"])
def test_bulk_under_a_grant_is_counted_by_clause_and_grant(tmp_path: Path, missing: str) -> None:
    for name in ("honest", "forged"):
        ledger = governed(a_grant(bulk=True))
        counted = ledger.step("bulk/helping", 2)
        entry, opening = ledger.read(ALICE, BOB, records=2, shape="bulk", counted=counted)
        if name == "forged":
            entry = msgspec.structs.replace(entry, **{missing: None})
        place = ledger.batch(GATEWAY, (entry, opening))
        if name == "honest":
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "gave is not counted", leaf=place + 1)


@pytest.mark.parametrize("skipping", ["bulk/helping", "grant/1"])
def test_step_that_is_skipped_in_bulk_is_refuted_whichever_counter_skips_it(tmp_path: Path, skipping: str) -> None:
    for name in ("honest", "forged"):
        ledger = governed(a_grant(bulk=True))
        for number in (1, 2):
            counted = ledger.step("bulk/helping", 2)
            place = ledger.batch(GATEWAY, ledger.read(ALICE, BOB, records=2, shape="bulk", counted=counted))
            if name == "forged" and number == 1:
                ledger.ordinals[f"{skipping} ordinal"] += 1
        if name == "honest":
            require_verified(judge(ledger, tmp_path / name))
        else:
            what = f"counter {skipping} has a gap"
            require_refuted(judge(ledger, tmp_path / name), what, leaf=place + 1)


# -- about whom --------------------------------------------------------------------------------------------------------


def test_access_outside_the_users_of_its_grant_is_refuted(tmp_path: Path) -> None:
    ledger = governed(NAMED, subjects=(ALICE,))
    ledger.batch(GATEWAY, ledger.read(ALICE))
    ledger.batch(GATEWAY, ledger.read(BOB, granted=None, decided=refused_as(GRANT_OTHER_USER)))
    ledger.ordinals["grant/1 ordinal"], ledger.ordinals["grant/1 total"] = 1, 1
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.read(BOB))
    verdict = judge(ledger, tmp_path / "forged")
    require_refuted(verdict, "somebody else than its entry says: grant 1 is for other users", leaf=place + 1)
    require_verified(judge(ledger, tmp_path / "without", detail=False))


def test_refusal_of_a_user_whom_the_grant_is_for_is_refuted(tmp_path: Path) -> None:
    ledger = governed(NAMED, subjects=(ALICE,))
    place = ledger.batch(GATEWAY, ledger.read(ALICE, granted=None, decided=refused_as(GRANT_OTHER_USER)))
    require_refuted(
        judge(ledger, tmp_path), "somebody else than its entry says: grant 1 is for this user", leaf=place + 1
    )


def test_refusal_for_other_users_under_a_grant_for_any_user_is_refuted(tmp_path: Path) -> None:
    ledger = governed()
    place = ledger.batch(GATEWAY, ledger.read(ALICE, granted=None, decided=refused_as(GRANT_OTHER_USER)))
    require_refuted(judge(ledger, tmp_path), "the charter decides otherwise", leaf=place + 1)


def test_look_up_under_a_grant_for_named_users_is_refuted_without_openings_too(tmp_path: Path) -> None:
    for name, grant in (("honest", a_grant(verbs=("find",))), ("forged", a_grant(verbs=("find",), subjects_any=False))):
        ledger = governed(grant, subjects=(ALICE,))
        told = e.About(searched=[b"person.userName", bytes(16)])
        found = ledger.read(records=10, verb="find", classes=["public"], told=told)
        place = ledger.batch(GATEWAY, found)
        for detail in (True, False):
            verdict = judge(ledger, tmp_path / f"{name}-{detail}", detail=detail)
            if name == "honest":
                require_verified(verdict)
            else:
                require_refuted(verdict, "a look-up may find anyone, and grant 1 is for named users", leaf=place + 1)


def test_grant_whose_statement_is_withheld_is_refuted_where_there_are_openings(tmp_path: Path) -> None:
    ledger = governed(NAMED, subjects=(ALICE,))
    ledger.batch(GATEWAY, ledger.read(ALICE))
    require_verified(judge(ledger, tmp_path / "whole"))
    for place, leaf in enumerate(ledger.leaves):
        if leaf.startswith((b'{"kind":"rule.proposed"', b'{"kind":"rule.approved"')):
            ledger.openings[place] = b""

    require_refuted(judge(ledger, tmp_path / "blank"), "what this change of the rules rests on is not among them")
    public = judge(ledger, tmp_path / "public", detail=False)
    require_verified(public)
    assert any("signatures and facts" in item.what and item.count for item in public.withheld)


def _approvals_that_nobody_signed(ledger: GovernedLedger, *, opened: bool) -> None:
    """Give eve a second grant, by approvals whose openings are there or not."""
    ground = ledger.ground
    proposal = ground.propose("eve", a_grant())
    if opened:
        ground.approve(proposal, "ada", "ben")
    for name in () if opened else ("ada", "ben"):
        ground.fold(g.Approved(proposal=proposal, by=NUMBERS[name], key=ground.key(name), signature=bytes(32)), None)
    ground.carry(proposal, 2)
    ledger.follow()
    ledger.batch(GATEWAY, ledger.read(ALICE, grant=2))


def test_approvals_without_their_signatures_are_refuted_where_there_are_openings(tmp_path: Path) -> None:
    signed, unsigned = governed(), governed()
    _approvals_that_nobody_signed(signed, opened=True)
    _approvals_that_nobody_signed(unsigned, opened=False)

    require_verified(judge(signed, tmp_path / "signed"))
    require_refuted(judge(unsigned, tmp_path / "unsigned"), "what this change of the rules rests on is not among them")
    require_verified(judge(unsigned, tmp_path / "public", detail=False))
