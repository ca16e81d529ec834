"""Floor: how few people must join before any of some goals is within reach, counted up to a few.

Rules of this file:
1. Every choice of so many people is looked at, the alike once. A kind that brings nowhere more than another of which
   there are enough is left out: who could join as the one may as well join as the other. More than a demand asks for
   counts as what it asks for, and what no goal rests on counts as nothing.
2. A choice that is not complete is given up when even the best of those who are left, in every respect at once, would
   not bring it to a goal.
3. The work has a limit. So many people as could not be looked at within it are taken to be enough: never too many.
4. What a charter asks (`coalition.min`) holds for each goal of `FLOORED`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ringfence.core.charter.governance import COALITION_MIN_MAX
from ringfence.core.coalition.closure import MODES, OPENED_BY, Count, Model, reach
from ringfence.core.coalition.rules import PUPPETS

COUNTED_MAX: Final = COALITION_MIN_MAX - 1
"""Most people of whom every choice is looked at."""

CHOICES_MAX: Final = 10_000
"""Most choices, complete or not, that are looked at: some seconds."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The goal that is nearest.

    Attributes:
        people: how few must join.
        goal: the goal's name; "" where that many could not be looked at within the limit (rule 3).
        joined: who would join, by the position of their kind in `Model.joiners`.
    """

    people: int
    goal: str
    joined: Mapping[int, int]


def find_nearest(model: Model, goals: Collection[str], *, most: int, choices_max: int = CHOICES_MAX) -> Nearest | None:
    """Give a smallest choice of people with whom one of the goals is reached; None when no `most` people are enough.

    Args:
        model: of the world.
        goals: names of goals.
        most: 0 to `COUNTED_MAX`.
        choices_max: how many choices are looked at.
    """
    search = _Search(model, goals, choices_max)
    for number in range(most + 1):
        if found := search.look(number):
            return found
    return None


class _Search:
    """Looks for choices of people, nearest first."""

    def __init__(self, model: Model, goals: Collection[str], choices_max: int) -> None:
        needed = needed_for(model, goals)
        self._goals, self._left = goals, choices_max
        model = replace(
            model,
            requirements=tuple(item for item in model.requirements if item.name in needed),
            rules=tuple(rule for rule in model.rules if rule.head in needed),
        )
        asked = {demand for item in model.requirements for way in item.ways for demand in way}
        self._model = replace(model, demands=tuple(demand for demand in model.demands if demand in asked))
        self._kinds: list[int] = []

    def look(self, number: int) -> Nearest | None:
        """Give a choice of just so many people who reach a goal."""
        self._kinds = strongest(self._model, number)
        with_best = _add_best(self._model, self._kinds)
        return self._extend(with_best, {}, start=0, number=number, people=number)

    def _extend(
        self, model: Model, joined: Mapping[int, int], *, start: int, number: int, people: int
    ) -> Nearest | None:
        """Look at the choices that begin as this one and have `number` people more, of the kinds from `start` on."""
        if self._left == 0:
            return Nearest(people, "", {})
        self._left -= 1
        best = {len(self._model.joiners) + start: number} if number else {}
        reached = reach(model, {**joined, **best})
        goal = next((name for name in self._goals if name in reached), "")
        if not goal:
            return None
        if not number:
            return Nearest(people, goal, joined)
        for position in range(start, len(self._kinds)):
            kind = self._kinds[position]
            count = joined.get(kind, 0) + 1
            if count > self._model.joiners[kind].most:
                continue
            following = {**joined, kind: count}
            if found := self._extend(model, following, start=position, number=number - 1, people=people):
                return found
        return None


def needed_for(model: Model, goals: Collection[str]) -> frozenset[str]:
    """Give the names of everything that goals may rest on, through rules and through what places people."""
    bodies: dict[str, set[str]] = {}
    for rule in model.rules:
        bodies.setdefault(rule.head, set()).update(rule.body)
    needed: set[str] = set()
    waiting = [*goals, *OPENED_BY.values(), PUPPETS]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += bodies.get(name, ())
    return frozenset(needed)


def strongest(model: Model, number: int) -> list[int]:
    """Give the kinds of which none that has so many people brings at least as much everywhere, the strongest first."""
    kinds = model.joiners
    each = list(
        zip(
            *(
                [min(weight, demand.count) for weight in model.counts[demand][mode].each]
                for demand in model.demands
                for mode in MODES
            ),
            strict=True,
        )
    )
    kept: list[int] = []
    for kind in sorted(range(len(each)), key=lambda kind: (-sum(each[kind]), -kinds[kind].most, kind)):
        covered = any(
            kinds[other].most >= number and all(one >= two for one, two in zip(each[other], each[kind], strict=True))
            for other in kept
        )
        if any(each[kind]) and not covered:
            kept.append(kind)
    return kept


def _add_best(model: Model, kinds: list[int]) -> Model:
    """Give a model with a kind more for each of these: the best of it and all that follow, in every respect at once.

    One more follows the last of them: nobody, who brings nothing.
    """
    counts = {
        demand: {mode: _with_best(count, kinds) for mode, count in model.counts[demand].items()}
        for demand in model.demands
    }
    return replace(model, counts=counts)


def _with_best(count: Count, kinds: Iterable[int]) -> Count:
    best = [0]
    for kind in reversed([*kinds]):
        best.append(max(count.each[kind], best[-1]))
    return Count(count.base, (*count.each, *reversed(best)))
