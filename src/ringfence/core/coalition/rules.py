"""Rules: what follows for a coalition from what its people can do together, and the goals that matter.

Rules of this file:
1. Each rule only adds: nothing that a coalition has is ever an obstacle to it. What is suspended, a coalition is taken
   to have lifted.
2. A flow that the charter opens to a party of the coalition is a line of its own: it is the agreement, no break-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ringfence.core import changes as c
from ringfence.core.charter import Flow
from ringfence.core.coalition.terms import (
    LOST_SHARES,
    OVERSEER,
    SHARES,
    holder,
    operation,
    order,
    own_grant,
    power,
)
from ringfence.core.coalition.world import World, has_grant

OUTSIDE: Final = "outside-flows"
RULES: Final = "change-rules"
GRANT: Final = "give-grant"
BUILD: Final = "corrupt-build"
LIFT: Final = "lift-suspension"
REWRITE: Final = "rewrite-ledger"
STOP_ERASURE: Final = "stop-erasure"
DESTROY: Final = "destroy-data"

FLOORED: Final = (OUTSIDE, RULES, GRANT, BUILD)
"""Goals that `coalition.min` is about: with any of them the parent has what no flow gives it."""

PUPPETS: Final = "puppets"
FEEDS: Final = "feeds"
LOGIN: Final = "logs-in-as-anyone"
_FLOW: Final = "flow:"
SERVICE_BUILD: Final = "build-of-a-service"
_STOPPING: Final = (
    *map(order, ("suspend", "dismiss", "end-appointment", "withdraw-build", "withdraw-service", "withdraw-issuer")),
    *map(operation, ("suspend", "trust-issuer", "admit", "recover-lane")),
)
"""Orders after which nobody erases until somebody else can, and changes that take a login or a lane away."""
_STOPPING_GRANTS: Final = ("revoke-grant", "narrow-grant")

READING: Final = frozenset({"read", "find", "export"})
"""What shows data to whoever does it."""


class Rule(NamedTuple):
    """`head` follows when all of `body` is so."""

    head: str
    body: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that a coalition may want.

    Attributes:
        name: what the rules call it.
        words: in a sentence, beginning with a verb.
        floored: whether `coalition.min` is about it.
        lawful: whether the charter itself gives it to a party of the coalition.
    """

    name: str
    words: str
    floored: bool = False
    lawful: bool = False


def through(flow: str) -> str:
    """Give the name of the goal of reading through a flow."""
    return f"{_FLOW}{flow}"


def find_goals(world: World) -> tuple[Goal, ...]:
    """Give the goals in a world, those of `FLOORED` first."""
    flows = [flow for flow in world.charter.flows if READING & set(flow.verbs)]
    return (
        Goal(OUTSIDE, "read protected data outside of every flow", floored=True),
        Goal(RULES, "put a charter of their own in force", floored=True),
        Goal(GRANT, "give a person of theirs a grant that others should have agreed to", floored=True),
        Goal(BUILD, "run a program of their own as a gateway", floored=True),
        *(
            Goal(
                through(flow.name),
                f"read {', '.join(flow.classes)} through the flow {flow.name}",
                lawful=not set(flow.who).isdisjoint(world.parties),
            )
            for flow in flows
        ),
        Goal(LIFT, "lift a suspension"),
        Goal(REWRITE, "rewrite the ledger so that the overseer does not notice"),
        Goal(STOP_ERASURE, "keep users from having their data erased"),
        Goal(DESTROY, "destroy the data"),
    )


def find_rules(world: World) -> tuple[Rule, ...]:
    """Give what follows from what in a world."""
    gateway, host = power("gateway-root"), power("host-root")
    issue = power("issue-tokens")
    rules = [
        # how a coalition grows
        *(Rule(FEEDS, way) for way in _ways_of_feeding(world)),
        Rule(PUPPETS, (operation("appoint"), operation("admit"), FEEDS)),
        Rule(PUPPETS, (RULES,)),  # by a charter of its own whoever it likes has every duty
        *(Rule(LOGIN, (way,)) for way in (issue, operation("trust-issuer"), operation("admit"))),
        Rule(SERVICE_BUILD, (operation("approve-build"),)),
        Rule(SERVICE_BUILD, (power("sign-builds"),)),
        # a gateway has the authority's key: it tells the register, records credentials, and says who called
        *(Rule(gained, (OUTSIDE,)) for gained in (FEEDS, LOGIN, SERVICE_BUILD)),
        # what it wants; keys that are not shared out lie on the gateways: who reaches into one has them
        *(Rule(BUILD, (way,)) for way in (power("deploy"), gateway)),  # which build runs is what the build itself says
        Rule(OUTSIDE, (BUILD,)),
        Rule(OUTSIDE, (host, SHARES)),
        Rule(RULES, (operation("enact-charter"),)),
        Rule(GRANT, (operation("grant"),)),
        Rule(GRANT, (operation("legal-demand"),)),
        Rule(LIFT, (operation("lift"),)),
        *(
            Rule(REWRITE, (power("sign-log"), way, OVERSEER)) for way in (host, OUTSIDE)
        ),  # a gateway writes the store too
        # what it can hinder
        *(Rule(STOP_ERASURE, (way,)) for way in (*_STOPPING, OUTSIDE, host, LOST_SHARES)),
        *(Rule(DESTROY, (way,)) for way in (host, OUTSIDE, LOST_SHARES, RULES)),
    ]
    for flow in world.charter.flows:
        rules += _rules_of_flow(world, flow)
    return tuple(rules)


def _ways_of_feeding(world: World) -> Iterator[tuple[str, ...]]:
    """Give what lets somebody tell the register about people: by hand, or as a service that may, their own at once."""
    yield (power("feed-people"),)
    yield (operation("register-service"),)
    if world.feeds:
        yield (power("issue-tokens"),)
        yield (operation("trust-issuer"),)
    if not world.feeds.isdisjoint(world.parties):
        yield ()


def _rules_of_flow(world: World, flow: Flow) -> Iterator[Rule]:
    goal = through(flow.name)
    yield Rule(goal, (RULES,))  # though nobody may break the glass by this charter
    yield from _rules_of_people(world, flow) if flow.duties else _rules_of_services(world, flow)
    if "erase" in flow.verbs:
        yield Rule(DESTROY, (goal,))
        yield from (Rule(STOP_ERASURE, (order(name),)) for name in _STOPPING_GRANTS if flow.needs)
        if flow.duties:
            yield Rule(STOP_ERASURE, (FEEDS,))  # facts suspend people


def _rules_of_people(world: World, flow: Flow) -> Iterator[Rule]:
    goal, theirs = through(flow.name), holder(flow.name)
    somebody = any(not profile.isdisjoint(flow.duties) for profile, _ in world.known)
    # Somebody else has the duty, or can be given it, or given it back.
    others = [(LOGIN,)] if somebody else [(LOGIN, operation(name)) for name in ("appoint", "admit")]
    if not flow.needs:
        yield Rule(goal, (theirs,))
        yield from (Rule(goal, way) for way in others)
    for kind in flow.needs:
        gives = order(kind) if kind == c.BREAK_GLASS else operation("grant" if kind == c.ACCESS else kind)
        yield Rule(goal, (theirs, own_grant(kind)))
        yield Rule(goal, (theirs, gives))
        if any(has_grant(kind) in profile for profile, _ in world.known):
            yield from (Rule(goal, way) for way in others)
        yield from (Rule(goal, (*way, gives)) for way in others)


def _rules_of_services(world: World, flow: Flow) -> Iterator[Rule]:
    goal = through(flow.name)
    builds = (SERVICE_BUILD,) if flow.builds else ()
    if not set(flow.who).isdisjoint(world.parties):
        yield Rule(goal, ())  # with a build of theirs that was approved, or without
    yield Rule(goal, (operation("register-service"), *builds))
    if not world.services.isdisjoint(flow.who):
        yield from (Rule(goal, (way, *builds)) for way in (power("issue-tokens"), operation("trust-issuer"), OUTSIDE))
