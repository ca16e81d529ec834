"""The smallest coalition against brute force, which tries everything on the core's own functions.

`make coalition-loop N=4000 FROM=1000` holds so many worlds, and says of each twenty how often the answer was exact.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest

from ringfence.core.state import State
from ringfence.prover.coalition.answers import Coalition
from tests.prover.brute_force import search_all
from tests.prover.open_requests import world_with_request
from tests.prover.small_worlds import AT_MS, small_world, sparse_world

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


def check(state: State, seed: int, told: Counter[str]) -> None:
    fewest, is_whole = search_all(state, frozenset(GOALS.values()))
    coalition = Coalition(state, at_ms=AT_MS)
    for goal in coalition.goals:
        if goal.name not in GOALS:
            continue
        answer = coalition.answer(goal, seconds=20)
        really = fewest.get(GOALS[goal.name])
        at_least = answer.at_least if answer.at_least_open is None else answer.at_least_open
        if really is not None:
            assert at_least is not None, (seed, goal.name, really)
            assert at_least <= really, (seed, goal.name, answer, really)
        if answer.at_most is not None and is_whole:
            assert really is not None, (seed, goal.name, answer)
            assert really <= answer.at_most, (seed, goal.name, answer, really)
        whole = "" if is_whole else " so far"
        known = "exact" if answer.is_exact else "between"
        told[f"{known}: {answer.at_least} to {answer.at_most}, brute force {really}{whole}"] += 1


FIRST = int(os.environ.get("RINGFENCE_WORLDS_FROM", "0"))
WORLDS = int(os.environ.get("RINGFENCE_WORLDS", "60"))
PER_TEST = 20


@pytest.mark.parametrize("first", range(FIRST, FIRST + WORLDS, PER_TEST))
def test_no_small_world_tells_otherwise(first: int) -> None:
    told: Counter[str] = Counter()
    for seed in range(first, min(first + PER_TEST, FIRST + WORLDS)):
        check(small_world(Random(seed)), seed, told)
    exact = sum(count for words, count in told.items() if words.startswith("exact"))
    print(f"worlds {first} on: {sum(told.values())} goals held, {exact} of them exact")
    assert told


@pytest.mark.parametrize("first", range(FIRST, FIRST + WORLDS, PER_TEST))
def test_no_small_world_in_which_little_is_open_tells_otherwise(first: int) -> None:
    told: Counter[str] = Counter()
    for seed in range(first, min(first + PER_TEST, FIRST + WORLDS)):
        check(sparse_world(Random(f"sparse {seed}")), seed, told)
    whole = sum(count for words, count in told.items() if not words.endswith("so far"))
    print(f"worlds {first} on, with little open: {sum(told.values())} goals held, {whole} of them to the end")
    assert told


@pytest.mark.parametrize("first", range(FIRST, FIRST + WORLDS, PER_TEST))
def test_no_small_world_with_an_open_request_tells_otherwise(first: int) -> None:
    told: Counter[str] = Counter()
    for seed in range(first, min(first + PER_TEST, FIRST + WORLDS)):
        if (state := world_with_request(Random(f"open {seed}"))) is not None:
            check(state, seed, told)
    print(f"worlds {first} on, with open requests: {sum(told.values())} goals held")
    assert told
