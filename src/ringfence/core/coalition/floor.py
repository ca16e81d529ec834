"""Floor: how few people must join before a goal is within reach, counted one by one up to a few.

Rules of this file:
1. Every choice of so many people is tried, the alike once. A kind that brings nowhere more than another of which there
   are enough is left out: who could join as the one may as well join as the other.
2. What a charter asks (`coalition.min`) holds for each goal of `FLOORED`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations_with_replacement

from ringfence.core.charter_governance import COALITION_MIN_MAX
from ringfence.core.coalition.closure import MODES, Model, reach

COUNTED_MAX = COALITION_MIN_MAX - 1
"""Most people of whom every choice is tried."""


def find_fewest(model: Model, goals: Collection[str], *, most: int) -> dict[str, dict[int, int] | None]:
    """Give for each goal a smallest choice of people who must join; None when no `most` people are enough.

    Args:
        model: of the world.
        goals: names of goals.
        most: 0 to `COUNTED_MAX`.

    Returns:
        For each goal how many join, by position in `Model.joiners`.
    """
    found: dict[str, dict[int, int] | None] = dict.fromkeys(goals)
    for number in range(most + 1):
        for joined in choices(model, number):
            missing = [name for name in found if found[name] is None]
            if not missing:
                return found
            reached = reach(model, joined)
            for name in missing:
                if name in reached:
                    found[name] = dict(joined)
    return found


def choices(model: Model, number: int) -> Iterator[Mapping[int, int]]:
    """Give every choice of so many people that could matter (rule 1)."""
    kinds = strongest(model, number)
    for chosen in combinations_with_replacement(kinds, number):
        counted = Counter(chosen)
        if all(count <= model.joiners[kind].most for kind, count in counted.items()):
            yield counted


def strongest(model: Model, number: int) -> list[int]:
    """Give the kinds of which none that has so many people brings at least as much everywhere."""
    kinds = model.joiners
    each = [
        tuple(model.counts[demand][mode].each[kind] for demand in model.demands for mode in MODES)
        for kind in range(len(kinds))
    ]
    kept: list[int] = []
    for kind in sorted(range(len(kinds)), key=lambda kind: (-sum(each[kind]), -kinds[kind].most, kind)):
        covered = any(
            kinds[other].most >= number and all(one >= two for one, two in zip(each[other], each[kind], strict=True))
            for other in kept
        )
        if not covered:
            kept.append(kind)
    return kept
