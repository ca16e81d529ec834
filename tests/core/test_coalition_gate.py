"""The gate: no change that gives is carried when it leaves too few people between the parent and the data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from ringfence.core import changes as c
from ringfence.core.coalition import countings, gate, world
from ringfence.core.coalition.closure import Model
from ringfence.core.coalition.countings import COUNTINGS, NEWEST_COUNTING, Counting
from ringfence.core.coalition.floor import Nearest, find_nearest
from ringfence.core.coalition.gate import Counted, assess
from ringfence.core.coalition.rules import FLOORED
from ringfence.core.errors import ProofInvalidError
from ringfence.core.folding import RuleSource, complete, fold
from ringfence.core.ledger.governed_entry import Carried
from tests.governed import CHARTER, NUMBERS, Ground, facts
from tests.prover.powers import COUNTED, written

WEAK = written(
    "deploy: {words: As a gateway opens., by: {all: [{from: [engineer], count: 1}, {from: [officer], count: 2}]}}",
    "deploy: {words: An engineer and an officer., by: {all: [{from: [engineer, officer], count: 2}]}}",
)
"""The charter of `COUNTED`, by which two people run a program of their own as a gateway."""


def ready(ground: Ground, change: c.AnyChange, by: str = "dot") -> Carried:
    """Let a change be asked for and agreed to; give the entry that would carry it, nothing counted yet."""
    proposal = ground.propose(by, change)
    ground.approve(proposal, "ada", "ben")
    return Carried(proposal=proposal)


def lifting(ground: Ground) -> Carried:
    """Let the end of a suspension be asked for and agreed to, which brings no goal nearer; give the entry as above."""
    number = ground.order("ivy", c.Suspend(scope=c.FLOW, name="helping"), number=1)
    proposal = ground.propose("fay", c.Lift(suspension=number))
    ground.approve(proposal, "ada", "ben", "ivy")
    return Carried(proposal=proposal)


def carried(ground: Ground, rule: Carried) -> Carried:
    counted = complete(ground.state, rule, RuleSource(lane=0, at_ms=ground.now_ms + 1000))
    assert isinstance(counted, Carried)
    return counted


def test_an_appointment_below_a_chief_is_refused_with_the_path() -> None:
    ground = Ground.founded(COUNTED)
    gil = ground.hire("gil", manager=NUMBERS["ada"])
    ground.admit("gil")
    rule = ready(ground, c.Appoint(person=gil, duty="engineer"))
    with pytest.raises(ProofInvalidError, match=r"2 people who joined .* 3 are needed.*there join 1, bringing 1 more"):
        carried(ground, rule)
    with pytest.raises(ProofInvalidError, match="2 people who joined"):
        ground.fold(msgspec.structs.replace(rule, counting=NEWEST_COUNTING))


def test_the_same_appointment_of_somebody_on_their_own_is_carried_and_says_what_was_counted() -> None:
    ground = Ground.founded(COUNTED)
    gil = ground.hire("gil")
    ground.admit("gil")
    rule = carried(ground, ready(ground, c.Appoint(person=gil, duty="engineer")))
    assert rule.coalition == 3
    assert len(rule.proof) == 32
    ground.fold(rule)
    assert "engineer" in ground.state.governed.members[gil].duties


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"coalition": 2}, "another count"),
        ({"coalition": 4}, "up to 3"),
        ({"proof": bytes(32)}, "another count"),
        ({"coalition": 0, "proof": b""}, "says none"),
    ],
)
def test_an_entry_that_says_another_count_is_refuted(wrong: dict[str, object], said: str) -> None:
    ground = Ground.founded(COUNTED)
    ground.hire("gil")
    ground.admit("gil")
    rule = carried(ground, ready(ground, c.Appoint(person=NUMBERS["dot"], duty="inspector")))
    with pytest.raises(ProofInvalidError, match=said):
        ground.fold(msgspec.structs.replace(rule, **wrong))
    ground.fold(rule)


@pytest.mark.parametrize(
    ("counting", "said"),
    [("c0", r"no such counting .*expected c1, found c0"), ("", r"names no counting .*expected c1")],
)
def test_an_entry_that_names_no_counting_or_an_unknown_one_is_refused_at_its_place(counting: str, said: str) -> None:
    ground = Ground.founded(COUNTED)
    rule = carried(ground, ready(ground, c.Appoint(person=NUMBERS["dot"], duty="inspector")))
    assert rule.counting == "c1"
    for state in (ground.state, replace(ground.state, standing=replace(ground.state.governed, register=None))):
        source = RuleSource(lane=0, at_ms=ground.now_ms + 1000, place="leaf 7")
        with pytest.raises(ProofInvalidError) as refused:
            fold(state, msgspec.structs.replace(rule, counting=counting), source)
        assert re.search(said, refused.value.render())
        assert refused.value.place == "leaf 7"
        fold(state, rule, source)


def test_what_another_counting_counted_is_counted_again_by_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """History stays checkable when the newest counting gives something else, and counts something else."""
    other = Counting(gated=(c.Grant,), count=lambda before, after, change, *, at_ms: Counted())
    monkeypatch.setattr(countings, "COUNTINGS", {**COUNTINGS, "c9": other})
    ground = Ground.founded(COUNTED)
    asked = ready(ground, c.Appoint(person=NUMBERS["dot"], duty="inspector"))
    old = carried(ground, asked)
    monkeypatch.setattr(countings, "NEWEST_COUNTING", "c9")
    new = carried(ground, asked)
    assert (old.counting, old.coalition, new.counting, new.coalition) == ("c1", 3, "c9", 0)

    source = RuleSource(lane=0, at_ms=ground.now_ms + 1000)
    with pytest.raises(ProofInvalidError, match="none is asked for"):
        fold(ground.state, msgspec.structs.replace(old, counting="c9"), source)
    with pytest.raises(ProofInvalidError, match="says none"):
        fold(ground.state, msgspec.structs.replace(new, counting="c1"), source)
    for rule in (old, new):
        fold(ground.state, rule, source)


def test_a_change_that_need_not_be_counted_still_names_the_counting_that_says_so() -> None:
    ground = Ground.founded(COUNTED)
    rule = carried(ground, lifting(ground))
    assert (rule.counting, rule.coalition, rule.proof) == ("c1", 0, b"")
    with pytest.raises(ProofInvalidError, match="names no counting"):
        ground.fold(msgspec.structs.replace(rule, counting=""))
    with pytest.raises(ProofInvalidError, match="none is asked for"):
        ground.fold(msgspec.structs.replace(rule, coalition=3, proof=bytes(32)))
    ground.fold(rule)


def test_without_facts_what_the_entry_says_is_believed() -> None:
    ground = Ground.founded(COUNTED)
    rule = carried(ground, ready(ground, c.Appoint(person=NUMBERS["dot"], duty="inspector")))
    blind = replace(ground.state, standing=replace(ground.state.governed, register=None))
    after = fold(blind, rule, RuleSource(lane=0, at_ms=ground.now_ms + 1000))
    assert "inspector" in after.governed.members[NUMBERS["dot"]].duties


@pytest.mark.parametrize("wrong", [{"coalition": 0, "proof": b""}, {"coalition": 4}, {"proof": b"short"}])
def test_without_facts_an_entry_without_a_count_is_refuted(wrong: dict[str, object]) -> None:
    """Nor is it written: who has lost the facts carries nothing that gives."""
    ground = Ground.founded(COUNTED)
    asked = ready(ground, c.Appoint(person=NUMBERS["dot"], duty="inspector"))
    rule = carried(ground, asked)
    blind = replace(ground.state, standing=replace(ground.state.governed, register=None))
    source = RuleSource(lane=0, at_ms=ground.now_ms + 1000)
    with pytest.raises(ProofInvalidError, match="asks for a count up to 3"):
        fold(blind, msgspec.structs.replace(rule, **wrong), source)
    with pytest.raises(ProofInvalidError, match="asks for a count up to 3"):
        complete(blind, asked, source)
    fold(blind, rule, source)


def test_a_charter_that_asks_for_no_number_has_none_counted() -> None:
    ground = Ground.founded(CHARTER)
    rule = ready(ground, c.Appoint(person=NUMBERS["dot"], duty="inspector"))
    assert carried(ground, rule) == rule
    with pytest.raises(ProofInvalidError, match="none is asked for"):
        ground.fold(msgspec.structs.replace(rule, coalition=3, proof=bytes(32)))
    with pytest.raises(ProofInvalidError, match="no charter asks for a number"):
        ground.fold(msgspec.structs.replace(rule, counting="c1"))
    ground.fold(rule)


def test_a_ledger_that_was_never_strong_is_not_stopped_from_changing() -> None:
    """With fewer to start with than the charter asks, only what makes them fewer still is refused."""
    ground = Ground.founded(WEAK)
    rule = carried(ground, ready(ground, c.Appoint(person=NUMBERS["fay"], duty="inspector")))
    assert rule.coalition == 2
    ground.fold(rule)


def test_facts_are_recorded_whatever_they_do_to_the_number() -> None:
    ground = Ground.founded(COUNTED)
    ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    rule = ready(ground, c.Appoint(person=NUMBERS["fay"], duty="inspector"))
    assert carried(ground, rule).coalition == 2, "from then on the entries say so"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_changes_that_are_safe_alone_the_second_is_refused(order: tuple[int, int]) -> None:
    """Both were agreed to on one state; what the first left is what the second is counted on."""
    ground = Ground.founded(COUNTED)
    chief = ground.hire("kim")
    people = [ground.hire(name, manager=chief) for name in ("gil", "lou")]
    for name in ("gil", "lou"):
        ground.admit(name)
    changes = [c.Appoint(person=people[0], duty="officer"), c.Appoint(person=people[1], duty="engineer")]
    rules = [ready(ground, change) for change in changes]
    assert [carried(ground, rule).coalition for rule in rules] == [3, 3]
    ground.fold(carried(ground, rules[order[0]]))
    with pytest.raises(ProofInvalidError, match="2 people who joined"):
        carried(ground, rules[order[1]])


def test_where_there_were_too_many_choices_to_tell_nobody_who_is_found_now_is_taken_to_have_been_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else no change is refused in a world that is too large to be looked through, whatever it opens."""

    def look(model: Model, goals: Collection[str], *, most: int) -> Nearest | None:
        return find_nearest(model, goals, most=most) or Nearest(most, "", {})

    monkeypatch.setattr(gate, "find_nearest", look)
    ground = Ground.founded(COUNTED)
    below = ground.hire("gil", manager=NUMBERS["ada"])
    alone = ground.hire("lou")
    for name in ("gil", "lou"):
        ground.admit(name)
    with pytest.raises(ProofInvalidError, match=r"2 people who joined .* 3 are needed.*there join 1, bringing 1 more"):
        carried(ground, ready(ground, c.Appoint(person=below, duty="engineer")))
    rule = carried(ground, ready(ground, c.Appoint(person=alone, duty="engineer")))
    assert rule.coalition == 2, "which may be enough, as before"
    ground.fold(rule)


def test_one_world_is_counted_once_and_another_anew() -> None:
    ground = Ground.founded(COUNTED)
    first = assess(ground.state, at_ms=ground.now_ms, minimum=3)
    assert assess(ground.state, at_ms=ground.now_ms + 1000, minimum=3) is first
    assert assess(ground.state, at_ms=ground.now_ms, minimum=2).people == 2, "counted up to another number"
    ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    assert assess(ground.state, at_ms=ground.now_ms, minimum=3).people == 2


def test_who_is_above_whom_is_followed_once_until_a_tie_that_ended_stops_counting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed: list[int] = []
    whole = world._Sight._follow

    def follow(sight: world._Sight, *told: Any) -> Any:
        followed.append(sight._at_ms)
        return whole(sight, *told)

    monkeypatch.setattr(world._Sight, "_follow", follow)
    ground = Ground.founded(COUNTED)
    ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    ground.record(facts(NUMBERS["ben"], "ben"))
    ended_ms, cooling_ms = ground.now_ms, ground.state.governance.cooling_ms

    counted = [
        assess(ground.state, at_ms=ended_ms + later_ms, minimum=3).people for later_ms in (0, 1, 999, cooling_ms - 1)
    ]

    assert (counted, followed) == ([2, 2, 2, 2], [ended_ms])
    assert assess(ground.state, at_ms=ended_ms + cooling_ms, minimum=3).people == 3
    assert followed == [ended_ms, ended_ms + cooling_ms]


def test_goals_are_counted_one_by_one_once_in_a_world_that_falls_short(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def look(model: Model, goals: Collection[str], *, most: int) -> Nearest | None:
        asked.append(tuple(goals))
        return find_nearest(model, goals, most=most)

    monkeypatch.setattr(gate, "find_nearest", look)
    ground = Ground.founded(WEAK)
    rule = ready(ground, c.Appoint(person=NUMBERS["fay"], duty="inspector"))
    ground.state.rules.memo.clear()

    ground.fold(carried(ground, rule))

    assert len(asked) == 2 + 2 * len(FLOORED), "each before and after, and whoever folds it counts nothing again"


def test_counts_that_are_kept_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MEMO_COUNTS_MAX", 2)
    ground = Ground.founded(COUNTED)
    for minimum in (1, 2, 3, 4):
        assess(ground.state, at_ms=ground.now_ms, minimum=minimum)
        assert len(ground.state.rules.memo["coalition"]) <= 2
    assert assess(ground.state, at_ms=ground.now_ms, minimum=4).people == 3


QUORUM = "{propose: [officer, manager], approve: {all: [{from: [officer], count: 2}, {from: [monitor], count: 1}]}"


def enacting(ground: Ground, text: str) -> Carried:
    """Let the next version of a charter be asked for and agreed to; give the entry that would carry it."""
    version = ground.state.rules.version + 1
    file = text.replace("version: 1\n", f"version: {version}\n", 1).encode()
    change = c.EnactCharter(name="small", version=version, digest=hashlib.sha256(file).digest(), engine="v2")
    proposal = ground.propose("fay", change, file=file)
    ground.approve(proposal, "ada", "ben", "ivy")
    return Carried(proposal=proposal)


def looser(text: str) -> str:
    """Give a charter's text by which one officer agrees to a charter."""
    assert text.count(QUORUM) == 2
    return text.replace(QUORUM, "{propose: [officer, manager], approve: {all: [{from: [officer], count: 1}]}")


@pytest.mark.parametrize("least", ["  min: 1\n", "  min: 0\n"])
def test_a_charter_that_asks_for_fewer_is_held_to_what_the_old_one_asks(least: str) -> None:
    """To ask for fewer takes a charter that does nothing else to the number; what follows is then in the open."""
    text = COUNTED.replace("  min: 3\n", least)
    ground = Ground.founded(COUNTED)
    with pytest.raises(ProofInvalidError, match=r"2 people who joined .* 3 are needed"):
        carried(ground, enacting(ground, looser(text)))
    rule = carried(ground, enacting(ground, text))
    assert rule.coalition == 3
    ground.fold(rule)
    ground.fold(carried(ground, enacting(ground, looser(text))))
    assert ground.state.rules.version == 3


def test_a_charter_that_asks_for_more_is_carried_and_held_to_it_from_then_on() -> None:
    """With three who are enough, what asks for four leaves as many as there were."""
    text = COUNTED.replace("  min: 3\n", "  min: 4\n")
    ground = Ground.founded(COUNTED)
    ground.fold(carried(ground, enacting(ground, text)))
    with pytest.raises(ProofInvalidError, match="4 are needed"):
        carried(ground, enacting(ground, looser(text)))


def test_a_goal_that_is_near_already_does_not_let_the_others_come_near() -> None:
    """Two run a program of their own, as ever; that two put a charter in force would be new."""
    ground = Ground.founded(WEAK)
    with pytest.raises(ProofInvalidError, match=r"2 people who joined .* to put a charter of their own in force"):
        carried(ground, enacting(ground, looser(WEAK)))
    rule = carried(ground, enacting(ground, WEAK))
    assert rule.coalition == 2
    ground.fold(rule)


DEPLOY = "deploy: {words: As a gateway opens., by: {all: [{from: [engineer], count: 1}, {from: [officer], count: 2}]}}"
PUSHES = "deploy: {words: The parent pushes., of: parent, by: {from: [engineer, officer], count: 2}}"


@pytest.mark.parametrize("role", ["operator", "overseer", "host"])
def test_a_charter_that_excludes_a_party_no_more_is_counted_as_if_it_did(role: str) -> None:
    """Else one charter takes the parent off the excluded ones and opens the door to it, with people of the parent's
    counted among those who must join."""
    included = COUNTED.replace("role: excluded}", f"role: {role}}}")
    opened = included.replace(DEPLOY, PUSHES)
    assert len({COUNTED, included, opened}) == 3
    ground = Ground.founded(COUNTED)
    with pytest.raises(ProofInvalidError, match=r"2 people who joined .* 3 are needed.*The parent pushes"):
        carried(ground, enacting(ground, opened))
    rule = carried(ground, enacting(ground, included))
    assert rule.coalition == 3
    ground.fold(rule)
    ground.fold(carried(ground, enacting(ground, opened)))
    assert ground.state.rules.version == 3, "what follows is in the open"


PARENT = "parent: {name: The parent, role: excluded}"


def deployed_with(text: str, party: str) -> str:
    """Give a charter's text by which two and somebody of a party run a program of their own as a gateway."""
    assert text.count(DEPLOY) == 1
    return text.replace(DEPLOY, f"deploy: {{words: D., by: {{from: [engineer, officer], count: 2}}, of: {party}}}")


@pytest.mark.parametrize(
    ("party", "old", "new"),
    [
        ("daughter", PARENT, f"{PARENT}\n  daughter: {{name: Of the parent's, role: operator}}"),
        ("board", "cooling_days: 365", "cooling_days: 0"),
    ],
)
def test_whoever_was_of_the_coalition_is_so_by_a_charter_that_says_otherwise(party: str, old: str, new: str) -> None:
    """By the new charter alone the two would need a third, who is the parent's as long as the old one is in force.

    What only says otherwise is carried: it brings no goal nearer, and what follows is then in the open.
    """
    ground = Ground.founded(COUNTED)
    ground.hire("kim", party="daughter")
    lou = ground.hire("lou", party="board", paid_by="parent")
    ground.record(facts(lou, "lou", party="board"))
    text = COUNTED.replace(old, new)
    assert text != COUNTED
    with pytest.raises(ProofInvalidError, match=r"2 people who joined .* 3 are needed"):
        carried(ground, enacting(ground, deployed_with(text, party)))
    rule = carried(ground, enacting(ground, text))
    assert rule.coalition == 3
    ground.fold(rule)
    ground.fold(carried(ground, enacting(ground, deployed_with(text, party))))


def test_who_was_never_of_the_coalition_is_the_third() -> None:
    ground = Ground.founded(COUNTED)
    ground.fold(carried(ground, enacting(ground, deployed_with(COUNTED, "board"))))


ROLES = ["operator", "overseer", "host"]
TWO = "deploy: {words: D., by: {from: [engineer], count: 2}, of: daughter}"


def naming(role: str) -> str:
    """Give a charter's text with a party of which nothing shows whose it is, and whom no register knows."""
    assert COUNTED.count(PARENT) == 1
    return COUNTED.replace(PARENT, f"{PARENT}\n  daughter: {{name: A new name, role: {role}}}")


@pytest.mark.parametrize("role", ROLES)
def test_what_a_charter_gives_to_a_party_that_the_one_before_did_not_name_is_the_coalitions(role: str) -> None:
    """By a third name the parent would else be the third who must join. What comes after the name is in the open."""
    ground = Ground.founded(COUNTED)
    ground.appoint("gus", "engineer")
    named = naming(role)
    text = named.replace(DEPLOY, TWO)
    assert text != named
    with pytest.raises(ProofInvalidError, match=r"2 people who joined .* 3 are needed"):
        carried(ground, enacting(ground, text))
    ground.fold(carried(ground, enacting(ground, named)))
    ground.fold(carried(ground, enacting(ground, text)))
    assert ground.state.rules.version == 3


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("power", "opened"),
    [
        ("sign-log: {words: Managers., by: {from: [manager], count: 1}}", "sign-log: {words: S., of: daughter}"),
        (DEPLOY, f"{DEPLOY[:-1]}, of: daughter}}"),
    ],
)
def test_a_party_that_is_new_may_be_given_what_leaves_as_many(power: str, opened: str, role: str) -> None:
    text = naming(role).replace(power, opened)
    assert text != naming(role)
    ground = Ground.founded(COUNTED)
    rule = carried(ground, enacting(ground, text))
    assert rule.coalition == 3
    ground.fold(rule)
