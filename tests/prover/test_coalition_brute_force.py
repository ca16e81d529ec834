"""The smallest coalition against brute force, which tries everything on the core's own functions.

`make coalition-loop N=4000 FROM=1000` holds so many worlds, and says of each twenty how often the answer was exact.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest

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


FIRST = int(os.environ.get("RINGFENCE_WORLDS_FROM", "0"))
WORLDS = int(os.environ.get("RINGFENCE_WORLDS", "60"))
PER_TEST = 20


@pytest.mark.parametrize("first", range(FIRST, FIRST + WORLDS, PER_TEST))
def test_no_small_world_tells_otherwise(first: int) -> None:
    told: Counter[str] = Counter()
    for seed in range(first, min(first + PER_TEST, FIRST + WORLDS)):
        check(seed, told)
    exact = sum(count for words, count in told.items() if words.startswith("exact"))
    print(f"worlds {first} on: {sum(told.values())} goals held, {exact} of them exact")
    assert told
