"""Closure: everything that a coalition could reach, at most, once some people have joined it.

Rules of this file:
1. The answer is the least set that holds what the rules add, so that what is not in it cannot be reached. It holds for
   everyone who joins at the same time, whoever of the alike they are.
2. How many people act grows with what is reached: members who can be appointed count for every duty of their party;
   those who can be admitted too; people who were made up count without end; and whoever can enrol keys signs as anyone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringfence.core.coalition.rules import APPOINTS, ENTERS, PUPPETS, SPEAKS, Rule, find_rules
from ringfence.core.coalition.terms import Demand, Requirement, find_requirements
from ringfence.core.coalition.world import Profile, World, could_enter, could_hold

WITHOUT_END: Final = 1_000_000
"""More people than anything asks for."""

Mode = tuple[int, bool]
"""How far people can be placed (0 as they are, 1 members can be appointed, 2 anyone), and whether keys are enrolled."""

MODES: Final[tuple[Mode, ...]] = ((0, False), (1, False), (2, False), (0, True), (1, True), (2, True))


@dataclass(frozen=True, slots=True)
class Count:
    """How many people meet a demand in one mode: `base` without anyone who joins, and more for each who does.

    `each` has one number for each kind of the world.
    """

    base: int
    each: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A world, written as counts and rules.

    Attributes:
        demands: every different demand.
        counts: for each demand, what counts in each of `MODES`.
        placeable: demands that people who were made up could meet; duties are among what they ask for.
        requirements: what people do together.
        rules: what follows.
    """

    world: World
    demands: tuple[Demand, ...]
    counts: Mapping[Demand, Mapping[Mode, Count]]
    placeable: frozenset[Demand]
    requirements: tuple[Requirement, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Something reached: by a rule from what was reached before, or by people together in one of the ways."""

    name: str
    rule: Rule | None = None
    way: tuple[Demand, ...] = ()


def build_model(world: World) -> Model:
    """Write a world as counts and rules."""
    requirements = find_requirements(world)
    demands = tuple(dict.fromkeys(demand for item in requirements for way in item.ways for demand in way))
    duties = world.governance.duties.keys()
    return Model(
        world=world,
        demands=demands,
        counts={demand: {mode: _count(world, demand, mode) for mode in MODES} for demand in demands},
        placeable=frozenset(demand for demand in demands if not demand.any_of.isdisjoint(duties)),
        requirements=requirements,
        rules=find_rules(world),
    )


def _count(world: World, demand: Demand, mode: Mode) -> Count:
    placed, speaks = mode
    duties = demand.any_of & world.governance.duties.keys()
    now = demand.any_of | (frozenset(map(could_hold, duties)) if placed >= 1 else frozenset())
    entering = frozenset(map(could_enter, duties)) if placed >= 2 else frozenset()
    if placed >= 2 and not duties.isdisjoint(world.open_duties):
        return Count(WITHOUT_END, (0,) * len(world.kinds))
    base, counted = 0, now | entering
    if speaks and not demand.in_person:  # as all members; beside them only those count who are none yet
        base, counted = _weight(world.members, now), entering
    base += _weight(world.base, counted)
    return Count(base, tuple(_weight(kind.brings, counted) for kind in world.kinds))


def _weight(people: tuple[tuple[Profile, int], ...], counted: frozenset[str]) -> int:
    return sum(number for profile, number in people if not profile.isdisjoint(counted))


def reach(model: Model, joined: Mapping[int, int]) -> dict[str, Step]:
    """Give everything that is reached, in an order in which each step rests on earlier ones.

    Args:
        model: of the world.
        joined: how many people join, by the position of their kind in `World.kinds`.
    """
    reached: dict[str, Step] = {}
    grows = True
    while grows:
        grows = False
        modes = _modes(reached)
        for item in model.requirements:
            if item.name not in reached and (way := _met(model, item, joined, modes, PUPPETS in reached)) is not None:
                reached[item.name] = Step(item.name, way=way)
                grows = True
        for rule in model.rules:
            if rule.head not in reached and all(name in reached for name in rule.body):
                reached[rule.head] = Step(rule.head, rule=rule)
                grows = True
    return reached


def _modes(reached: Mapping[str, Step]) -> tuple[Mode, ...]:
    placed = 2 if ENTERS in reached else 1 if APPOINTS in reached else 0
    return ((placed, False), (placed, True)) if SPEAKS in reached else ((placed, False),)


def _met(
    model: Model, item: Requirement, joined: Mapping[int, int], modes: tuple[Mode, ...], puppets: bool
) -> tuple[Demand, ...] | None:
    """Give a way in which a requirement is met; None when it is not."""
    for way in item.ways:
        if all((puppets and demand in model.placeable) or _has(model, demand, joined, modes) for demand in way):
            return way
    return None


def _has(model: Model, demand: Demand, joined: Mapping[int, int], modes: tuple[Mode, ...]) -> bool:
    for mode in modes:
        count = model.counts[demand][mode]
        if count.base + sum(count.each[kind] * number for kind, number in joined.items()) >= demand.count:
            return True
    return False


def is_closed(model: Model, joined: Mapping[int, int], reached: frozenset[str]) -> bool:
    """Tell whether a set holds everything that follows from it: the check of an answer that came from elsewhere."""
    steps = {name: Step(name) for name in reached}
    modes, puppets = _modes(steps), PUPPETS in reached
    return all(
        item.name in reached or _met(model, item, joined, modes, puppets) is None for item in model.requirements
    ) and all(rule.head in reached or not all(name in reached for name in rule.body) for rule in model.rules)
