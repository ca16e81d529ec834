"""The nearest goal: the same as by trying everything, within a limit of work."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations_with_replacement
from random import Random

import pytest

from ringfence.core.coalition.closure import Model, build_model, reach
from ringfence.core.coalition.floor import COUNTED_MAX, find_nearest
from ringfence.core.coalition.rules import FLOORED
from ringfence.core.coalition.world import JOINERS_MAX, see_world
from ringfence.core.people.register import EMPTY_REGISTER, record
from tests.governed import Ground, facts
from tests.prover.powers import ASLEEP, COUNTED
from tests.prover.small_worlds import AT_MS, small_world


def by_trying_everything(model: Model) -> int | None:
    kinds = model.world.kinds
    for number in range(COUNTED_MAX + 1):
        for chosen in combinations_with_replacement(range(len(kinds)), number):
            joined = Counter(chosen)
            if all(count <= kinds[kind].most for kind, count in joined.items()) and not reach(
                model, joined
            ).keys().isdisjoint(FLOORED):
                return number
    return None


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_left_out_that_matters(seed: int) -> None:
    model = build_model(see_world(small_world(Random(seed)), at_ms=AT_MS))
    nearest = find_nearest(model, FLOORED, most=COUNTED_MAX)
    assert (nearest.people if nearest else None) == by_trying_everything(model)
    if nearest is not None:
        assert nearest.goal in reach(model, nearest.joined)
        assert sum(nearest.joined.values()) == nearest.people


@pytest.mark.parametrize(
    ("charter", "people"),
    [(ASLEEP, [None, None, 0, None]), (COUNTED, [0, 0, 0, 0])],
)
def test_where_everybody_colludes_nobody_is_left_who_could_join(charter: str, people: list[int | None]) -> None:
    ground = Ground.founded(charter)
    parties = tuple(ground.state.rules.parties)
    model = build_model(see_world(ground.state, at_ms=ground.now_ms, parties=parties))
    assert model.joiners == ()
    nearest = [find_nearest(model, [goal], most=COUNTED_MAX) for goal in FLOORED]
    assert [found and found.people for found in nearest] == people


@pytest.mark.parametrize(("choices_max", "people", "goal"), [(0, 0, ""), (2, 2, ""), (10_000, 3, "give-grant")])
def test_what_could_not_be_looked_at_is_taken_to_be_enough(choices_max: int, people: int, goal: str) -> None:
    ground = Ground.founded(COUNTED)
    model = build_model(see_world(ground.state, at_ms=ground.now_ms))
    nearest = find_nearest(model, FLOORED, most=COUNTED_MAX, choices_max=choices_max)
    assert nearest is not None
    assert (nearest.people, nearest.goal) == (people, goal)


def test_a_chain_of_a_thousand_is_not_a_thousand_kinds() -> None:
    """No requirement asks for more: who brings more brings as much as who brings so many."""
    ground = Ground.founded(COUNTED)
    standing = ground.state.governed
    people = [facts(100 + step, f"p{step}", manager=99 + step if step else 0) for step in range(300)]
    register = record(standing.register or EMPTY_REGISTER, people, at_ms=ground.now_ms)
    world = see_world(replace(ground.state, standing=replace(standing, register=register)), at_ms=ground.now_ms)
    assert len(world.kinds) < JOINERS_MAX + 20
    assert max(count for kind in world.kinds for _, count in kind.brings) == JOINERS_MAX
