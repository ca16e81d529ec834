"""Path: in sentences, how a coalition gets from those who join to a goal, each with the clause that allows it."""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.core.charter.governance import Power
from ringfence.core.coalition.closure import Joiners, Model, Step, reach
from ringfence.core.coalition.terms import Demand
from ringfence.core.coalition.world import SHARE

_ADDED = {
    "puppets": "people who do not exist are put in the register, admitted and appointed",
    "logs-in-as-anyone": "tokens are used that name somebody else",
    "build-of-a-service": "a build of their own counts as approved",
    "corrupt-build": "a program of their own runs as a gateway",
    "outside-flows": "protected data is read outside of every flow",
    "change-rules": "a charter of their own is in force",
    "give-grant": "a person of theirs has a grant",
}


def describe_path(model: Model, joined: Mapping[int, int], goal: str) -> list[str]:
    """Give the steps from those who join to a goal, each a sentence without its full stop.

    Args:
        model: of the world.
        joined: who joins, by position in `Model.joiners`.
        goal: a goal that they reach.
    """
    reached = reach(model, joined)
    needed: set[str] = set()
    waiting = [goal]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in reached:
            continue
        needed.add(name)
        waiting += _rests_on(model, reached[name], joined)
    steps = [_describe(model, step) for name, step in reached.items() if name in needed]
    return [describe_joining(model, joined), *(step for step in steps if step)]


def _rests_on(model: Model, step: Step, joined: Mapping[int, int]) -> list[str]:
    """Give what a step was reached from: what its rule names, or how its people could be placed."""
    if step.rule is not None:
        return list(step.rule.body)
    return list(step.opened)


def _describe(model: Model, step: Step) -> str:
    if step.rule is not None:
        return _ADDED.get(step.name, "")
    kind, _, name = step.name.partition(":")
    people = " and ".join(_people(demand) for demand in _widest(step.way))
    if kind == "op":
        return f"{name} is carried, by {people} (the charter's operation {name})"
    if kind == "power":
        told: Power | None = model.world.governance.powers.get(name)
        return (
            f"{name} is used: {told.words.rstrip('.')}"
            if told
            else f"{name} is used: the charter does not say who has it"
        )
    if kind == "order":
        return f"{name} is ordered, by {people}"
    if step.name == "shares":
        return f"{people} open the custodian's keys"
    return ""


def _widest(way: tuple[Demand, ...]) -> list[Demand]:
    """Give the demands of which no other asks for at least as many of the same people."""
    return [
        demand
        for demand in way
        if not any(other.any_of < demand.any_of and other.count >= demand.count for other in way)
    ]


def _people(demand: Demand) -> str:
    if SHARE in demand.any_of:
        return f"{demand.count} who hold shares"
    names = sorted(name.removeprefix("@of ") for name in demand.any_of)
    return f"{demand.count} of {', '.join(names)}"


def describe_joining(model: Model, joined: Mapping[int, int]) -> str:
    """Say who joins, and whom they bring."""
    if not joined:
        return "nobody need join"
    told = [_joining(model, model.joiners[kind], number) for kind, number in sorted(joined.items())]
    return "there join " + ", and ".join(told)


def _joining(model: Model, joiners: Joiners, number: int) -> str:
    if not joiners.people:
        return f"{number} of {joiners.party} who {'is' if number == 1 else 'are'} in no register"
    chosen = joiners.people[:number]
    brought = {person for chief in chosen for person in model.world.below.get(chief, ())}.difference(chosen)
    who = " and ".join(map(str, chosen))
    others = " (or others like them)" if len(joiners.people) > number else ""
    return f"{who}{others}" + (f", bringing {len(brought)} more below" if brought else "")
