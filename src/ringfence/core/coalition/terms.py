"""Terms: what a charter asks of how many people, written as counts that need no names.

Rules of this file:
1. Those who must act for one thing are different people: an approver is not the one who asks, and fills one place.
   That each place of each group finds a person of its own is the same as that, for any of the groups, together enough
   people have one of their duties (Hall's theorem).
2. Who agreed to an open request already fills one place of it; one of the coalition's must have asked, unless `lending`
   says otherwise. What it asks for is left out: it counts for whatever its operation can do.
3. Of more groups than `GROUPS_MAX` only the single ones and all together are counted: that asks for no more.
4. What only keeps people apart (teams, managers, who appointed whom, separations, minimums, vetoes, times) is left out:
   a coalition could come to be without it, and leaving it out never makes a coalition look weaker than it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from ringfence.core import changes as c
from ringfence.core.charter.governance import POWERS, Group
from ringfence.core.coalition.lending import Lent
from ringfence.core.coalition.world import SHARE, World, of_party

GROUPS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Demand:
    """At least `count` different people of the coalition, each of whom has one of `any_of`.

    Attributes:
        any_of: duties, or what else a profile holds (see `world`).
        in_person: whether they must be there themselves; else whoever can sign in their names will do.
    """

    any_of: frozenset[str]
    count: int
    in_person: bool = False


@dataclass(frozen=True, slots=True)
class Requirement:
    """Something that people do together.

    Attributes:
        name: such as `op:grant`, `power:deploy`, `shares`.
        ways: each is enough; all demands of it must be met.
    """

    name: str
    ways: tuple[tuple[Demand, ...], ...]


def operation(name: str) -> str:
    """Give the name of what a quorum carries."""
    return f"op:{name}"


def order(name: str) -> str:
    """Give the name of what one person orders."""
    return f"order:{name}"


def power(name: str) -> str:
    """Give the name of a power past the program."""
    return f"power:{name}"


def holder(flow: str) -> str:
    """Give the name of having somebody with the duty that a flow is for."""
    return f"holder:{flow}"


def own_grant(kind: str) -> str:
    """Give the name of having somebody with a live grant."""
    return f"granted:{kind}"


SHARES: Final = "shares"
LOST_SHARES: Final = "lost-shares"
OVERSEER: Final = "overseer"
_OVERSEER_ROLE: Final = "overseer"


def find_requirements(world: World) -> tuple[Requirement, ...]:
    """Give everything that people could do together in a world."""
    return (
        *_operations(world),
        *_powers(world),
        *_orders(world),
        *_flows(world),
        *_keys(world),
        _overseer(world),
    )


def _operations(world: World) -> Iterator[Requirement]:
    for item in world.governance.operations.values():
        asking = Group(item.propose, 1)
        lent = (one for one in world.lent if one.operation == item.name)
        asked = (((), asking), *((one.agreed, _asking(one, asking)) for one in lent))
        ways = (spread(groups, asking=one, agreed=agreed) for agreed, one in asked for groups in item.alternatives)
        yield Requirement(operation(item.name), tuple(dict.fromkeys(ways)))  # many requests lend the same


def _asking(lent: Lent, asking: Group) -> Group | None:
    """Give of whom one must ask for what is open already, where anybody must."""
    if lent.asking is None:
        return asking
    return Group(lent.asking, 1) if lent.asking else None


def _powers(world: World) -> Iterator[Requirement]:
    for name in POWERS:
        told = world.governance.powers.get(name)
        if told is None:
            yield Requirement(power(name), ((),))  # nobody said who has it: the coalition does
            continue
        present: tuple[Demand, ...] = ()
        if told.party and told.party not in world.parties:
            present = (Demand(frozenset([of_party(told.party)]), 1, in_person=True),)
        ways = told.alternatives or ((),)
        yield Requirement(power(name), tuple((*spread(groups, in_person=True), *present) for groups in ways))


def _orders(world: World) -> Iterator[Requirement]:
    for name, duties in world.governance.orders.items():
        yield Requirement(order(name), ((Demand(frozenset(duties), 1),),) if duties else ())


def _flows(world: World) -> Iterator[Requirement]:
    for flow in world.charter.flows:
        if flow.duties:
            yield Requirement(holder(flow.name), ((Demand(frozenset(flow.duties), 1, in_person=True),),))
    for kind in c.GRANT_KINDS:
        yield Requirement(own_grant(kind), ((Demand(frozenset([f"@grant {kind}"]), 1, in_person=True),),))


def _keys(world: World) -> Iterator[Requirement]:
    if not world.threshold:
        return
    shares = frozenset([SHARE])
    yield Requirement(SHARES, ((Demand(shares, world.threshold, in_person=True),),))
    yield Requirement(LOST_SHARES, ((Demand(shares, world.holders - world.threshold + 1, in_person=True),),))


def _overseer(world: World) -> Requirement:
    """Give how nobody of an overseer notices: with somebody of one, or where there is none but the coalition's own."""
    names = [party.name for party in world.charter.parties.values() if party.role == _OVERSEER_ROLE]
    others = [name for name in names if name not in world.parties]
    ways = [(Demand(frozenset([of_party(name)]), 1, in_person=True),) for name in others]
    return Requirement(OVERSEER, tuple(ways) if len(others) == len(names) > 0 else ((), *ways))


def spread(
    groups: Sequence[Group],
    *,
    asking: Group | None = None,
    agreed: Sequence[frozenset[str]] = (),
    in_person: bool = False,
) -> tuple[Demand, ...]:
    """Give what is asked of several groups of different people as counts (rules 1 to 3).

    Args:
        groups: who must agree, or be there.
        asking: of whom one more must ask; None where nobody does.
        agreed: the duties of each who agreed already.
        in_person: see `Demand`.
    """
    everybody = [*groups, *([asking] if asking else [])]
    sizes = range(1, len(everybody) + 1) if len(everybody) <= GROUPS_MAX else (1, len(everybody))
    demands: dict[frozenset[str], int] = {}
    for size in sizes:
        for chosen in combinations(everybody, size):
            duties = frozenset(duty for group in chosen for duty in group.duties)
            agreeing = [group for group in chosen if group is not asking]
            filled = sum(any(not one.isdisjoint(group.duties) for group in agreeing) for one in agreed)
            count = max(sum(group.count for group in agreeing) - filled, 0) + len(chosen) - len(agreeing)
            demands[duties] = max(demands.get(duties, 0), count)
    return tuple(Demand(duties, count, in_person) for duties, count in demands.items() if count)
