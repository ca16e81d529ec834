"""Small worlds at random: a charter with a few duties, a few people with ties, and who holds what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final, TypeVar

from immutables import Map

from ringfence.core.changes import GRANT_KINDS, Grant
from ringfence.core.charter import Charter, parse_charter
from ringfence.core.charter.governance import (
    OPERATIONS,
    ORDERS,
    POWERS,
    RELATIONS,
    THROUGH,
    Duty,
    Governance,
    GrantLimits,
    Group,
    IndependenceRule,
    Operation,
    Power,
)
from ringfence.core.people.register import PersonFacts, Register, record
from ringfence.core.people.standing import Appointment, GivenGrant, Member, SigningKey, Standing
from ringfence.core.state import Principal, State
from tests.governed import CHARTER

T = TypeVar("T")
AT_MS: Final = 1_700_000_000_000
HOUR_MS: Final = 3_600_000
SPARSE: Final = 0.6
"""How often an operation or a power of a sparse world asks for more people than there are."""

EASY: Final = 0.5
"""How often two put a charter of their own in force in a sparse world, so that what follows from that is seen alone."""

DUTIES: Final = {"a": "trust", "b": "trust", "c": "trust", "m": "board"}
_PARSED: Final = parse_charter(CHARTER.encode(), file="small.yaml")


def small_world(random: Random) -> State:
    """Give a state in which a few people could do something."""
    charter = _charter(random)
    count = random.randint(3, 5)
    people = [_person(random, number, count) for number in range(1, count + 1)]
    register = record(Register(), people, at_ms=AT_MS - HOUR_MS)
    members: dict[int, Member] = {}
    for one in people:
        if one.party in ("trust", "board") and random.random() < 0.8:
            members[one.number] = _member(random, charter, one)
    keys = {number: SigningKey(number, number, bytes([number]) * 32, 1) for number in members}
    holders = tuple(number for number in sorted(members) if random.random() < 0.4)
    standing = Standing(
        register=register,
        founding_charter=bytes(32),
        founding_build=bytes(32),
        members=Map(members),
        keys=Map(keys),
        grants=Map({1: _grant(random, charter, sorted(members))} if members and random.random() < 0.15 else {}),
        holders=holders if len(holders) > 1 else (),
        threshold=random.randint(2, len(holders)) if len(holders) > 1 else 0,
    )
    principals = {number: Principal(number, member.party) for number, member in members.items()}
    for party in ("app", "trust"):
        if random.random() < 0.5:
            number = max(len(people), *principals) + 1 if principals else len(people) + 1
            principals[number] = Principal(number, party, feeds=party == "trust")
    return State(
        epoch=5,
        engine="v2",
        charter=charter,
        charter_digest=charter.digest,
        principals=Map(principals),
        principal_last=max(len(people), *principals) if principals else len(people),
        standing=standing,
    )


def sparse_world(random: Random) -> State:
    """Give a small world in which most operations and powers ask for more people than there are: what is left is tried
    to the end, and what follows from little is not hidden by what follows from much."""
    state = small_world(random)
    charter, governance = state.rules, state.governance
    nine = ((Group(("a",), 9),),)
    operations = {
        name: replace(known, alternatives=nine) if random.random() < SPARSE else known
        for name, known in governance.operations.items()
    }
    if random.random() < EASY:
        one = ((Group(_some(random, list(DUTIES), 1, 2), 1),),)
        operations["enact-charter"] = replace(operations["enact-charter"], alternatives=one)
    governance = replace(
        governance,
        operations=operations,
        powers={
            name: Power(name, "", nine) if random.random() < SPARSE else known
            for name, known in governance.powers.items()
        },
    )
    return replace(state, charter=replace(charter, governance=governance, memo={}))


def _some(random: Random, items: Sequence[T], least: int, most: int) -> tuple[T, ...]:
    return tuple(random.sample(list(items), random.randint(least, min(most, len(items)))))


def _charter(random: Random) -> Charter:
    duties = {
        name: Duty(
            name=name,
            words="",
            party=party,
            minimum=random.choice((0, 0, 0, 1, 2)),
            veto_by=("m",) if random.random() < 0.2 else (),
            veto_ms=HOUR_MS if random.random() < 0.5 else 0,
        )
        for name, party in DUTIES.items()
    }
    rules = ()
    if random.random() < 0.8:
        ways = THROUGH if random.random() < 0.7 else _some(random, THROUGH, 1, 3)
        about = _some(random, list(DUTIES), 2, 4)
        rules = (IndependenceRule("free", "", duties=about, roles=("excluded", "operator"), through=ways),)
    governance = Governance(
        duties=duties,
        operations={name: _operation(random, name) for name in OPERATIONS},
        orders={name: _some(random, list(DUTIES), 1, 2) for name in ORDERS},
        grants=GrantLimits(HOUR_MS, 100, HOUR_MS, 10, HOUR_MS),
        cooling_ms=0,
        independence=rules,
        separations=(_some(random, list(DUTIES), 2, 2),) if random.random() < 0.5 else (),
        powers={name: _power(random, name) for name in POWERS if random.random() < 0.95},
    )
    flows = tuple(
        replace(flow, duties=_some(random, ["a", "b", "c"], 1, 2), needs=_some(random, GRANT_KINDS, 1, 2))
        if flow.duties
        else replace(flow, builds=("approved",) if random.random() < 0.3 else ())
        for flow in _PARSED.flows
    )
    return replace(_PARSED, governance=governance, flows=flows, memo={})


def _groups(random: Random) -> tuple[Group, ...]:
    return tuple(
        Group(_some(random, list(DUTIES), 1, 2), random.choice((1, 1, 1, 2))) for _ in range(random.choice((1, 1, 2)))
    )


def _operation(random: Random, name: str) -> Operation:
    return Operation(
        name=name,
        propose=_some(random, list(DUTIES), 1, 2),
        alternatives=tuple(_groups(random) for _ in range(random.randint(1, 2))),
        never=_some(random, RELATIONS, 0, 2) if random.random() < 0.4 else (),
    )


def _power(random: Random, name: str) -> Power:
    party = random.choice(("", "", "app", "board", "parent"))
    alternatives = (_groups(random),) if not party or random.random() < 0.5 else ()
    return Power(name, "", alternatives, party)


def _person(random: Random, number: int, count: int) -> PersonFacts:
    others = [other for other in range(1, count + 1) if other != number]
    return PersonFacts(
        number=number,
        reference=f"p{number}",
        name=f"p{number}",
        party=random.choice(("trust", "trust", "trust", "trust", "board", "board", "parent", "app")),
        paid_by=random.choice(("", "", "", "", "", "parent")),
        manager=random.choice(others) if random.random() < 0.3 else 0,
        directed_by=(random.choice(others),) if random.random() < 0.15 else (),
        team=random.choice(("", "x", "y", f"own {number}", f"own {number}")),
    )


def _grant(random: Random, charter: Charter, people: Sequence[int]) -> GivenGrant:
    flow = next(flow for flow in charter.flows if flow.duties)
    grant = Grant(
        kind=random.choice(flow.needs),
        person=random.choice(people),
        purpose=flow.purposes[0],
        verbs=flow.verbs,
        datasets=flow.datasets,
        classes=flow.classes,
        records_max=5,
        lasts_ms=HOUR_MS,
        subjects_any=True,
    )
    return GivenGrant(1, grant, None, AT_MS - HOUR_MS, AT_MS + 5 * HOUR_MS, 3)


def _member(random: Random, charter: Charter, one: PersonFacts) -> Member:
    could = [name for name, party in DUTIES.items() if party == one.party]
    held: list[str] = []
    for name in _some(random, could, min(1, len(could)), 2):
        if charter.governance and not charter.governance.separated_from(name).intersection(held):
            held.append(name)
    proposer = random.choice((0, 0, 0, 1, 2))
    return Member(
        number=one.number,
        party=one.party,
        duties={name: Appointment(name, 1, proposer) for name in held},
        suspended=random.random() < 0.1,
    )
