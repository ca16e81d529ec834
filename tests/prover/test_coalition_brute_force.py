"""The smallest coalition against brute force, which tries everything on the core's own functions."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.prover.coalition.answers import Coalition
from tests.prover.brute_force import search_all
from tests.prover.small_worlds import AT_MS, small_world

GOALS = {
    "change-rules": "enact-charter",
    "lift-suspension": "lift",
    "flow:helping": "flow:helping",
    "flow:serving": "flow:serving",
    "give-grant": "give",
    "corrupt-build": "build",
    "outside-flows": "open",
    "destroy-data": "destroy",
}


def check(seed: int, told: Counter[str]) -> None:
    state = small_world(Random(seed))
    fewest, is_whole = search_all(state, frozenset(GOALS.values()))
    coalition = Coalition(state, at_ms=AT_MS)
    for goal in coalition.goals:
        if goal.name not in GOALS:
            continue
        answer = coalition.answer(goal, seconds=20)
        really = fewest.get(GOALS[goal.name])
        if really is not None:
            assert answer.at_least is not None, (seed, goal.name, really)
            assert answer.at_least <= really, (seed, goal.name, answer, really)
        if answer.at_most is not None and is_whole:
            assert really is not None, (seed, goal.name, answer)
            assert really <= answer.at_most, (seed, goal.name, answer, really)
        whole = "" if is_whole else " so far"
        known = "exact" if answer.is_exact else "between"
        told[f"{known}: {answer.at_least} to {answer.at_most}, brute force {really}{whole}"] += 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_no_small_world_tells_otherwise(seed: int) -> None:
    check(seed, Counter())
