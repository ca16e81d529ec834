"""How few must join, in worlds that are easy to follow: each trap of quorums with the world beside it that has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest

from ringfence.core import changes as c
from ringfence.core.coalition.closure import MODES, Count, Joiners, Model, is_closed, reach
from ringfence.core.coalition.floor import Nearest
from ringfence.core.coalition.rules import Rule
from ringfence.core.coalition.terms import Demand, Requirement
from ringfence.core.coalition.world import see_world
from ringfence.core.errors import ProofInvalidError
from ringfence.core.state import State
from ringfence.prover.coalition import answers
from ringfence.prover.coalition.answers import Coalition
from ringfence.prover.coalition.search import Search, Smallest
from tests.governed import CHARTER, NUMBERS, Ground, facts
from tests.prover.powers import COUNTED, answer, written

NOBODY = "issue-tokens: {words: Nobody., by: {from: [inspector], count: 60}}"
ADA, BEN, CID, DOT, EVE, FAY, GUS, HAL, IVY = range(1, 10)


def test_a_quorum_is_needed_whoever_the_parent_has() -> None:
    ground = Ground.founded(COUNTED)
    found = answer(ground, "give-grant")
    assert (found.at_least, found.at_most) == (3, 3)
    assert found.deeds[-1].what == "grant"
    assert "give-grant" not in found.closed, "with nobody's help it stays out of reach"


def test_what_the_answer_says_is_closed_is_closed() -> None:
    ground = Ground.founded(COUNTED)
    coalition = Coalition(ground.state, at_ms=ground.now_ms)
    alone = reach(coalition.model, {})
    assert is_closed(coalition.model, {}, frozenset(alone))
    everybody = {kind: item.most for kind, item in enumerate(coalition.model.joiners)}
    assert not is_closed(coalition.model, everybody, frozenset(alone)), "the check can fail"


def test_who_can_appoint_the_voters_needs_no_voters() -> None:
    """A charter needs five to sign; three who can enrol keys and appoint have all five."""
    found = answer(Ground.founded(COUNTED), "change-rules")
    assert found.at_least == found.at_most == 3
    assert {deed.what for deed in found.deeds} >= {"enrol-key", "enact-charter"}


def test_without_enrolling_and_appointing_all_the_voters_are_needed() -> None:
    text = written(
        "    admit: {propose: [people], approve: {from: [officer], count: 2}",
        "    admit: {propose: [people], approve: {from: [monitor], count: 9}",
    )
    text = text.replace(
        "    appoint: {propose: [people], approve: {from: [officer], count: 2}",
        "    appoint: {propose: [people], approve: {from: [monitor], count: 9}",
    ).replace(
        "    enrol-key: {propose: [people], approve: {from: [officer], count: 2}",
        "    enrol-key: {propose: [people], approve: {from: [monitor], count: 9}",
    )
    found = answer(Ground.founded(text), "change-rules")
    assert (found.at_least, found.at_most) == (4, 4), "one who asks, two officers, a monitor"


def test_a_reporting_line_into_the_parent_is_the_parents() -> None:
    theirs = answer(Ground.founded(COUNTED, hal={"paid_by": "parent"}), "give-grant")
    assert theirs.at_least == 3, "the app's releaser agrees to nothing"
    ground = Ground.founded(COUNTED)
    ground.record(facts(HAL, "hal", party="parent"), facts(ADA, "ada", directed_by=(HAL,)))
    assert answer(ground, "give-grant").at_least == 3, "who is directed from the parent is suspended, and votes no more"
    assert ADA in Coalition(ground.state, at_ms=ground.now_ms).world.base_people


def test_a_chief_brings_all_below() -> None:
    ground = Ground.founded(COUNTED, fay={"manager": ADA}, ben={"manager": ADA})
    found = answer(ground, "lift-suspension")
    assert (found.at_least, found.at_most) == (2, 2)
    assert ADA in found.joined
    assert BEN in found.brought
    assert answer(Ground.founded(COUNTED), "lift-suspension").at_least == 3


def test_what_keeps_people_apart_may_leave_a_range() -> None:
    """Those with one manager do not approve each other's grants: a run knows it, the bound from below does not."""
    ground = Ground.founded(COUNTED, eve={"manager": ADA}, ben={"manager": ADA})
    found = answer(ground, "give-grant")
    assert (found.at_least, found.at_most, found.is_exact) == (1, 2, False)


def test_one_person_counts_for_one_place_of_a_quorum() -> None:
    """Overlapping pools: a manager and an officer must agree, and nobody is both."""
    either = "{any: [{from: [officer], count: 2}, {all: [{from: [officer], count: 1}, {from: [manager], count: 1}]}]}"
    both = "{all: [{from: [officer, manager], count: 1}, {from: [officer], count: 1}]}"
    found = answer(Ground.founded(written(either, both)), "give-grant")
    assert (found.at_least, found.at_most) == (3, 3)


def test_a_group_with_fewer_members_than_its_threshold_is_out_of_reach_until_stuffed() -> None:
    few = written(
        "approve-build: {propose: [releaser, inspector], approve: {from: [inspector], count: 1}",
        "approve-build: {propose: [releaser, inspector], approve: {from: [inspector], count: 4}",
    )
    few = few.replace(
        "sign-builds: {words: Inspectors., by: {from: [inspector], count: 1}}",
        "sign-builds: {words: Nobody., by: {from: [inspector], count: 60}}",
    )
    found = answer(Ground.founded(few), "corrupt-build")
    assert found.at_least == 3, "three who appoint can fill the pool"
    assert found.at_most == 3
    assert any(deed.what == "appoint" for deed in found.deeds)


@pytest.mark.parametrize("parties", [("parent",), ("parent", "app")])
def test_an_issuer_that_colludes_is_everybody(parties: tuple[str, ...]) -> None:
    ground = Ground.founded(
        written(
            "issue-tokens: {words: Whoever keeps the register., by: {from: [people], count: 1}}",
            "issue-tokens: {words: The app's login., of: app}",
        )
    )
    found = answer(ground, "flow:serving", *parties)
    assert found.at_least == (0 if "app" in parties else 1)
    assert found.goal.lawful == ("app" in parties), "what the charter gives the app is a line of its own"


def test_a_register_that_colludes_makes_people_up() -> None:
    """With the HR system in the app's hands, three people need not even be found: they are invented."""
    alone = written(
        "feed-people: {words: Whoever keeps the register., by: {from: [people], count: 1}}",
        "feed-people: {words: The app., of: app}",
    )
    five = alone.replace(
        "propose: [officer, manager], approve: {all: [{from: [officer], count: 2}",
        "propose: [officer, manager], approve: {all: [{from: [officer], count: 9}",
    )
    honest = five.replace(
        "feed-people: {words: The app., of: app}", "feed-people: {words: Nobody., by: {from: [inspector], count: 60}}"
    )
    assert answer(Ground.founded(five), "change-rules", "parent", "app").at_least == 3
    assert answer(Ground.founded(honest), "change-rules", "parent", "app").at_least == 3, "by a service of their own"
    guarded = honest.replace(
        "register-service: {propose: [people], approve: {from: [officer], count: 2}",
        "register-service: {propose: [people], approve: {from: [officer], count: 9}",
    )
    assert answer(Ground.founded(guarded), "change-rules", "parent", "app").at_least == 3, (
        "by a gateway that three open"
    )
    shut = guarded.replace("by: {all: [{from: [engineer], count: 1}, ", "by: {all: [{from: [inspector], count: 60}, ")
    assert (answer(Ground.founded(shut), "change-rules", "parent", "app").at_least or 9) > 3


def test_a_party_that_is_not_told_of_is_taken_to_have_the_power() -> None:
    found = answer(Ground.founded(CHARTER), "outside-flows")
    assert (found.at_least, found.at_most) == (0, 0)
    assert "does not say" in found.deeds[0].words


def test_break_glass_is_one_person_and_says_for_how_many_records() -> None:
    found = answer(Ground.founded(COUNTED), "flow:helping")
    assert found.joined == (EVE,)
    assert any("10 records" in deed.words for deed in found.deeds)


def test_what_blocks_is_a_goal_of_its_own() -> None:
    erasing = written("    verbs: [read, write]\n", "    verbs: [read, write, erase]\n")
    found = answer(Ground.founded(erasing), "stop-erasure")
    assert (found.at_least, found.at_most) == (1, 1)
    assert found.deeds[-1].what.startswith("order:")


def test_a_live_grant_needs_no_new_quorum() -> None:
    text = written("needs: [access, break-glass, legal-demand]", "needs: [access]")
    text = text.replace("issue-tokens: {words: Whoever keeps the register., by: {from: [people], count: 1}}", NOBODY)
    ground = Ground.founded(text)
    assert answer(ground, "flow:helping").at_least == 3
    ground.agree("eve", grant(EVE), "ada", "ben", number=1)
    found = answer(ground, "flow:helping")
    assert (found.at_least, found.joined) == (1, (EVE,))


def without_facts(ground: Ground) -> State:
    return replace(ground.state, standing=replace(ground.state.governed, register=None))


def grant(person: int) -> c.Grant:
    return c.Grant(
        kind=c.ACCESS,
        person=person,
        purpose="support",
        verbs=("find", "read"),
        datasets=("person",),
        classes=("protected", "public"),
        records_max=5,
        lasts_ms=3_600_000,
        subjects_any=True,
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda ground: Coalition(ground.state, at_ms=0, parties=["nobody"]), "no party nobody"),
        (lambda ground: Coalition(without_facts(ground), at_ms=0), "withheld"),
    ],
)
def test_what_cannot_be_counted_is_said(wrong: Callable[[Ground], object], said: str) -> None:
    ground = Ground.founded(COUNTED)
    with pytest.raises(ProofInvalidError, match=said):
        wrong(ground)


def test_time_that_runs_out_leaves_a_range_and_no_guess() -> None:
    ground = Ground.founded(COUNTED)
    coalition = Coalition(ground.state, at_ms=ground.now_ms)
    goal = next(item for item in coalition.goals if item.name == "change-rules")
    found = coalition.answer(goal, seconds=0.0)
    whole = coalition.answer(goal)
    assert found.at_least is None or found.at_least <= (whole.at_least or 0)
    assert found.at_most is None
    smallest = Search(coalition.model).find_smallest(goal.name, seconds=0.0)
    assert smallest is not None
    assert not smallest.is_exact


def test_time_that_runs_out_makes_no_coalition_smaller_than_it_is_counted_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the solver had no time for is counted one by one; nothing is called short that was not found to be."""
    ground = Ground.founded(COUNTED)
    monkeypatch.setattr(Search, "find_smallest", lambda self, goal, *, seconds: Smallest(0, None, is_exact=False))
    found = answer(ground, "outside-flows")
    assert (found.at_least, found.at_most, found.is_short(3), found.is_short(4)) == (3, 3, False, True)

    monkeypatch.setattr(answers, "find_nearest", lambda model, goals, *, most: Nearest(2, "", {}))
    found = answer(ground, "outside-flows")
    assert (found.at_least, found.within, found.is_short(3)) == (2, None, False), "two may be enough, and may not"


def test_numbers_are_those_of_the_register() -> None:
    assert NUMBERS["ada"] == ADA
    assert NUMBERS["ivy"] == IVY


def test_what_nobody_can_do_is_closed_with_everybody_in() -> None:
    """Who might ask for a charter, or for anybody's duty, is a duty that nobody holds."""
    stuck = COUNTED.replace("propose: [officer, manager]", "propose: [keeper]").replace(
        "propose: [people]", "propose: [keeper]"
    )
    ground = Ground.founded(stuck)
    coalition = Coalition(ground.state, at_ms=ground.now_ms)
    found = coalition.answer(next(item for item in coalition.goals if item.name == "change-rules"))
    assert (found.at_least, found.at_most) == (None, None)
    everybody = {position: item.most for position, item in enumerate(coalition.model.joiners)}
    assert is_closed(coalition.model, everybody, frozenset(found.closed))
    assert "change-rules" not in found.closed
    assert "give-grant" in found.closed, "which everybody together can"


@pytest.mark.parametrize(
    ("says", "reason"), [(None, "out of reach"), (Smallest(4, {0: 3, 1: 1}, is_exact=True), "fewer people")]
)
def test_solver_that_says_too_much_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, says: Smallest | None, reason: str
) -> None:
    monkeypatch.setattr(Search, "find_smallest", lambda self, goal, *, seconds: says)
    with pytest.raises(ProofInvalidError, match=reason):
        answer(Ground.founded(COUNTED), "change-rules")


def pairs_of_duties(duties: int) -> Model:
    """Give a world in which two with each duty give a grant, and everybody has two: as many are needed as duties."""
    ground = Ground.founded(COUNTED)
    pairs = list(combinations(range(duties), 2))
    demands = tuple(Demand(frozenset([f"duty {number}"]), 2) for number in range(duties))
    each = [tuple(int(number in pair) for pair in pairs) for number in range(duties)]
    return Model(
        world=see_world(ground.state, at_ms=ground.now_ms),
        joiners=tuple(Joiners((number,), 1) for number in range(1, len(pairs) + 1)),
        demands=demands,
        counts={demand: dict.fromkeys(MODES, Count(0, of)) for demand, of in zip(demands, each, strict=True)},
        placeable=frozenset(),
        requirements=(Requirement("op:grant", (demands,)),),
        rules=(Rule("give-grant", ("op:grant",)),),
    )


def test_looking_for_choices_of_so_many_people_ends_when_its_time_is_over() -> None:
    """Nobody could say within an hour that fewer than 12 are not enough; that 12 are is found at once."""
    search = Search(pairs_of_duties(12))
    assert search.find_others("give-grant", 11, most=4, seconds=0.2) == []
    found = search.find_others("give-grant", 12, most=4, seconds=60)
    assert [sum(choice.values()) for choice in found] == [12] * 4
