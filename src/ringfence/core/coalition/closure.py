"""Closure: everything that a coalition could reach, at most, once some people have joined it.

Rules of this file:
1. The answer is the least set that holds what the rules add, so that what is not in it cannot be reached. It holds for
   everyone who joins at the same time, whoever of the alike they are.
2. How many people act grows with what is reached: members who can be appointed count for every duty of their party;
   whoever can be admitted, for what they had, or for every duty as well; people who were made up count without end; and
   who can enrol keys signs as anyone whom the register knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

from ringfence.core.coalition.rules import PUPPETS, Rule, find_rules
from ringfence.core.coalition.terms import Demand, Requirement, find_requirements, operation
from ringfence.core.coalition.world import JOINERS_MAX, Kind, World, could_enter, could_hold, could_return

WITHOUT_END: Final = 1_000_000
"""More people than anything asks for."""


class Mode(NamedTuple):
    """How a coalition may place people: whether it can appoint, admit, and enrol keys in others' names."""

    appoints: bool = False
    admits: bool = False
    speaks: bool = False


OPENED_BY: Final = {"appoints": operation("appoint"), "admits": operation("admit"), "speaks": operation("enrol-key")}
"""What opens each way of placing people."""

MODES: Final = tuple(Mode(*flags) for flags in product((False, True), repeat=len(Mode._fields)))


@dataclass(frozen=True, slots=True)
class Joiners:
    """People of whom one is as good as another to a coalition.

    Attributes:
        people: their numbers, ascending; empty for somebody who is in no register.
        most: how many of them may join, at most `JOINERS_MAX`.
        party: of whom they are, for those who are in no register.
    """

    people: tuple[int, ...]
    most: int
    party: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How many people meet a demand in one mode: `base` without anyone who joins, and more for each who does.

    `each` has one number for each of the model's joiners, none larger than what the demand asks.
    """

    base: int
    each: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A world, written as counts and rules.

    Attributes:
        joiners: who could join; who brings the same as somebody else is with them.
        demands: every different demand.
        counts: for each demand, what counts in each of `MODES`.
        placeable: demands that people who were made up could meet; duties are among what they ask for.
        requirements: what people do together.
        rules: what follows.
    """

    world: World
    joiners: tuple[Joiners, ...]
    demands: tuple[Demand, ...]
    counts: Mapping[Demand, Mapping[Mode, Count]]
    placeable: frozenset[Demand]
    requirements: tuple[Requirement, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Something reached: by a rule from what was reached before, or by people together in one of the ways.

    `opened` is what let them be enough, beyond what they hold already.
    """

    name: str
    rule: Rule | None = None
    way: tuple[Demand, ...] = ()
    opened: tuple[str, ...] = ()


def build_model(world: World) -> Model:
    """Write a world as counts and rules."""
    requirements = find_requirements(world)
    demands = tuple(dict.fromkeys(demand for item in requirements for way in item.ways for demand in way))
    duties = world.governance.duties.keys()
    counting = _Counting(world)
    counts = {demand: {mode: counting.count(demand, mode) for mode in MODES} for demand in demands}
    joiners, alike = _merge(world.kinds, [count for by_mode in counts.values() for count in by_mode.values()])
    first = [positions[0] for positions in alike]
    return Model(
        world=world,
        joiners=joiners,
        demands=demands,
        counts={
            demand: {
                mode: Count(count.base, tuple(count.each[position] for position in first))
                for mode, count in by_mode.items()
            }
            for demand, by_mode in counts.items()
        },
        placeable=frozenset(demand for demand in demands if not demand.any_of.isdisjoint(duties)),
        requirements=requirements,
        rules=find_rules(world),
    )


def _merge(kinds: Sequence[Kind], counts: Sequence[Count]) -> tuple[tuple[Joiners, ...], list[list[int]]]:
    """Put kinds together that no demand tells apart, unless they are in no register; gives each with its kinds."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for position, (kind, *told) in enumerate(zip(kinds, *(count.each for count in counts), strict=True)):
        alike.setdefault((kind.party, *told), []).append(position)
    joiners = []
    for positions in alike.values():
        people = tuple(sorted(person for position in positions for person in kinds[position].people))
        most = min(sum(kinds[position].most for position in positions), JOINERS_MAX)
        joiners.append(Joiners(people, most, kinds[positions[0]].party))
    return tuple(joiners), list(alike.values())


class _Counting:
    """Counts people of a world; what is counted alike is counted once."""

    def __init__(self, world: World) -> None:
        self._world = world
        every = [world.base, world.known, *(kind.brings for kind in world.kinds)]
        self._profiles = list(dict.fromkeys(profile for people in every for profile, _ in people))
        places = {profile: place for place, profile in enumerate(self._profiles)}
        self._base, self._known, *self._kinds = [
            [(places[profile], number) for profile, number in people] for people in every
        ]
        self._brought: dict[tuple[tuple[bool, ...], int], tuple[int, ...]] = {}

    def count(self, demand: Demand, mode: Mode) -> Count:
        """Give how many people meet a demand in one mode."""
        world = self._world
        duties = demand.any_of & world.governance.duties.keys()
        ways = {could_hold: mode.appoints, could_return: mode.admits, could_enter: mode.appoints and mode.admits}
        counted = demand.any_of.union(*(map(way, duties) for way, is_open in ways.items() if is_open))
        if ways[could_enter] and not duties.isdisjoint(world.open_duties):
            return Count(WITHOUT_END, (0,) * len(world.kinds))
        hits = tuple(not profile.isdisjoint(counted) for profile in self._profiles)
        if not mode.speaks or demand.in_person:
            return Count(_weigh(self._base, hits), self._each(hits, demand.count))
        # As everyone in the register; beside them only those count who are in none.
        each = self._each(hits, demand.count)
        more = (0 if kind.people else number for kind, number in zip(world.kinds, each, strict=True))
        return Count(_weigh(self._known, hits), tuple(more))

    def _each(self, hits: tuple[bool, ...], most: int) -> tuple[int, ...]:
        known = self._brought.get((hits, most))
        if known is None:
            known = self._brought[hits, most] = tuple(min(_weigh(people, hits), most) for people in self._kinds)
        return known


def _weigh(people: Sequence[tuple[int, int]], hits: tuple[bool, ...]) -> int:
    return sum(number for place, number in people if hits[place])


def reach(model: Model, joined: Mapping[int, int]) -> dict[str, Step]:
    """Give everything that is reached, in an order in which each step rests on earlier ones.

    Args:
        model: of the world.
        joined: how many people join, by the position in `Model.joiners`.
    """
    reached: dict[str, Step] = {}
    grows = True
    while grows:
        grows = False
        for item in model.requirements:
            if item.name not in reached and (step := _take(model, item, joined, reached)) is not None:
                reached[item.name] = step
                grows = True
        for rule in model.rules:
            if rule.head not in reached and all(name in reached for name in rule.body):
                reached[rule.head] = Step(rule.head, rule=rule)
                grows = True
    return reached


def _take(model: Model, item: Requirement, joined: Mapping[int, int], reached: Collection[str]) -> Step | None:
    """Give how a requirement is met, by what was reached before; None when it is not."""
    for opened in _ways_of_placing(reached):
        mode = Mode(**{field: name in opened for field, name in OPENED_BY.items()})
        for way in item.ways:
            if all(
                (PUPPETS in opened and demand in model.placeable) or _has(model.counts[demand][mode], demand, joined)
                for demand in way
            ):
                return Step(item.name, way=way, opened=opened)
    return None


def _ways_of_placing(reached: Collection[str]) -> list[tuple[str, ...]]:
    """Give what may be made use of, least first: nothing, then all that places people."""
    placing = tuple(name for name in (*OPENED_BY.values(), PUPPETS) if name in reached)
    return [(), *([placing[:length] for length in range(1, len(placing) + 1)])]


def _has(count: Count, demand: Demand, joined: Mapping[int, int]) -> bool:
    return count.base + sum(count.each[kind] * number for kind, number in joined.items()) >= demand.count


def is_closed(model: Model, joined: Mapping[int, int], reached: frozenset[str]) -> bool:
    """Tell whether a set holds everything that follows from it: the check of an answer that came from elsewhere."""
    return all(
        item.name in reached or _take(model, item, joined, reached) is None for item in model.requirements
    ) and all(rule.head in reached or not all(name in reached for name in rule.body) for rule in model.rules)
