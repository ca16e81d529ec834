"""Worlds in which nothing is open but what a test opens: what follows from one thing alone is not hidden by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from immutables import Map

from ringfence.core import changes as c
from ringfence.core.charter import Charter, parse_charter
from ringfence.core.charter.governance import (
    OPERATIONS,
    ORDERS,
    POWERS,
    THROUGH,
    Duty,
    Governance,
    GrantLimits,
    Group,
    IndependenceRule,
    Operation,
    Power,
)
from ringfence.core.coalition.closure import build_model
from ringfence.core.coalition.floor import find_nearest
from ringfence.core.coalition.world import see_world
from ringfence.core.governance.proposals import propose
from ringfence.core.ledger.governed_entry import Proposed
from ringfence.core.people.register import PersonFacts, Register, record
from ringfence.core.people.standing import Appointment, Build, GivenGrant, Member, SigningKey, Standing
from ringfence.core.state import Lane, Principal, State
from ringfence.prover.coalition.answers import Coalition
from tests.governed import CHARTER, ISSUER
from tests.prover import brute_force
from tests.prover.small_worlds import AT_MS, DUTIES, HOUR_MS

A, B, C, M, N = range(1, 6)
"""Of the custodian, each with the duty of the same letter, but that M and N are the board's and have `m` both."""

PARTY: Final = {A: "trust", B: "trust", C: "trust", M: "board", N: "board"}
HELD: Final = {A: "a", B: "b", C: "c", M: "m", N: "m"}
NOBODY: Final = ((Group(("a",), 60),),)
BUILD: Final = bytes([7]) * 32
_PARSED: Final = parse_charter(CHARTER.encode(), file="bare.yaml")


def of(duty: str, count: int = 1) -> tuple[tuple[Group, ...], ...]:
    """Give what asks for so many people with a duty."""
    return ((Group((duty,), count),),)


AB: Final = ("a", of("b"))
"""What A asks for and B agrees to."""


def bare_world(
    operations: Mapping[str, tuple[str, Any]] = {},
    powers: Mapping[str, Any] = {},
    orders: Mapping[str, tuple[str, ...]] = {},
    *,
    theirs: Sequence[int] = (),
    without: Sequence[int] = (),
    absent: Sequence[int] = (),
    flow: Mapping[str, Any] = {},
    services: Sequence[Principal] = (),
    facts: Mapping[int, Mapping[str, Any]] = {},
    lost: Sequence[int] = (),
    live: str = "",
    threshold: int = 0,
    built: bool = False,
    separations: tuple[tuple[str, ...], ...] = (),
) -> State:
    """Give a state in which only what is named here can be done.

    Args:
        operations: who asks for one (a duty) and who agrees.
        powers: who has one: a party's name, groups of duties, or both.
        orders: the duties of which one orders it.
        theirs: whom the parent pays; where it pays somebody, no rule keeps these from a duty.
        without: who is no member.
        absent: who is in no register either.
        flow: what is otherwise about both flows.
        services: who is known beside the members.
        facts: what else is told of people.
        lost: members who have no authority now.
        live: the kind of a grant that C has.
        threshold: how many of A, B and C open the custodian's keys; 0 for keys that are not shared out.
        built: whether the app has a build that was approved.
        separations: duties that nobody holds two of.
    """
    register = _register([number for number in PARTY if number not in absent], theirs, facts)
    members = {
        number: Member(number, party, {HELD[number]: Appointment(HELD[number], 1, 0)}, suspended=number in lost)
        for number, party in PARTY.items()
        if number not in without and number not in absent
    }
    charter = _charter(operations, powers, orders, flow, separations, is_strict=not theirs)
    grants = {1: GivenGrant(1, _grant(charter, live), None, AT_MS - HOUR_MS, AT_MS + 9 * HOUR_MS, 3)} if live else {}
    standing = Standing(
        register=register,
        founding_charter=bytes(32),
        founding_build=bytes(32),
        members=Map(members),
        keys=Map({number: SigningKey(number, number, bytes([number]) * 32, 1) for number in members}),
        grants=Map(grants),
        builds=Map({BUILD: Build(BUILD, "app", "app", 1, attestor=BUILD)} if built else {}),
        issuers=Map({ISSUER: bytes(32)}),
        holders=(A, B, C) if threshold else (),
        threshold=threshold,
    )
    return _state(charter, standing, services)


def _state(charter: Charter, standing: Standing, services: Sequence[Principal]) -> State:
    principals = {number: Principal(number, member.party) for number, member in standing.members.items()}
    principals |= {known.number: known for known in services}
    return State(
        epoch=5,
        engine="v2",
        charter=charter,
        charter_digest=charter.digest,
        principals=Map(principals),
        principal_last=max(*PARTY, *principals),
        identities=Map({(ISSUER, f"p{number}"): number for number in standing.members}),
        lanes={1: Lane(1, bytes(32), "", "gateway")},
        standing=standing,
    )


def _register(people: Sequence[int], theirs: Sequence[int], facts: Mapping[int, Mapping[str, Any]]) -> Register:
    told = [
        PersonFacts(
            number=number,
            reference=f"p{number}",
            name=f"p{number}",
            **{"party": PARTY[number], "paid_by": "parent" if number in theirs else "", **facts.get(number, {})},
        )
        for number in people
    ]
    return record(Register(), told, at_ms=AT_MS - HOUR_MS)


def _charter(
    operations: Mapping[str, tuple[str, Any]],
    powers: Mapping[str, Any],
    orders: Mapping[str, tuple[str, ...]],
    flow: Mapping[str, Any],
    separations: tuple[tuple[str, ...], ...],
    *,
    is_strict: bool,
) -> Charter:
    governance = Governance(
        duties={name: Duty(name, "", party) for name, party in DUTIES.items()},
        operations={
            name: Operation(name, (operations[name][0],), operations[name][1])
            if name in operations
            else Operation(name, ("a",), NOBODY)
            for name in OPERATIONS
        },
        orders={name: orders.get(name, ()) for name in ORDERS},
        grants=GrantLimits(HOUR_MS, 100, HOUR_MS, 10, HOUR_MS),
        cooling_ms=0,
        independence=(IndependenceRule("free", "", tuple(DUTIES), ("excluded",), THROUGH),) if is_strict else (),
        separations=separations,
        powers={name: _power(name, powers.get(name, NOBODY)) for name in POWERS},
    )
    people, services = "duties", "builds"
    flows = tuple(
        replace(
            known, **{name: value for name, value in flow.items() if name != (services if known.duties else people)}
        )
        for known in _PARSED.flows
    )
    return replace(_PARSED, governance=governance, flows=flows, memo={})


def _power(name: str, who: Any) -> Power:
    if isinstance(who, str):
        return Power(name, "", party=who)
    party, groups = who if isinstance(who[0], str) else ("", who)
    return Power(name, "", groups, party)


def _grant(charter: Charter, kind: str) -> c.Grant:
    helping = next(flow for flow in charter.flows if flow.duties)
    return c.Grant(
        kind=kind,
        person=C,
        purpose=helping.purposes[0],
        verbs=helping.verbs,
        datasets=helping.datasets,
        classes=helping.classes,
        records_max=5,
        lasts_ms=HOUR_MS,
        subjects_any=True,
    )


def asked_by_a(state: State, change: c.AnyChange) -> State:
    """Give the state in which A has asked for a change."""
    expires_ms = AT_MS + 9 * HOUR_MS
    rule = Proposed(number=1, by=A, key=A, change=change, expires_ms=expires_ms, statement=bytes(32))
    return replace(propose(state, rule, None, charter=None, at_ms=AT_MS, place="bare"), epoch=state.epoch + 1)


def counted(state: State, goal: str, *parties: str) -> int | None:
    """Give how few must join for a goal, by the closure alone, with what others asked for already."""
    model = build_model(see_world(state, at_ms=AT_MS, parties=parties or None, sees_open=True))
    nearest = find_nearest(model, [goal], most=4)
    return nearest.people if nearest else None


def answered(state: State, goal: str) -> tuple[int | None, int | None]:
    """Give how few must join for a goal at the least, and with how many a run reaches it on the core's functions."""
    coalition = Coalition(state, at_ms=AT_MS)
    found = coalition.answer(next(known for known in coalition.goals if known.name == goal))
    return found.at_least, found.at_most


def tried(state: State, goal: str) -> int | None:
    """Give how few must join for a goal, by trying everything."""
    name = {
        "change-rules": "enact-charter",
        "lift-suspension": "lift",
        "give-grant": "give",
        "corrupt-build": "build",
        "outside-flows": "open",
        "destroy-data": "destroy",
    }.get(goal, goal)
    return brute_force.search_all(state, frozenset([name]))[0].get(name)
