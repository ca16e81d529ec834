"""Quorum: whether those who agreed are enough, as the charter asks.

Rules of this file:
1. A requirement is alternatives of groups; one alternative is enough, and needs all of its groups.
2. A person counts for one group only, whichever duties the person holds: so that nobody is two of those who must agree.
3. No approvals are never enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from ringfence.core.charter.governance import Group, Operation


def is_enough(operation: Operation, approvals: Mapping[int, AbstractSet[str]]) -> bool:
    """Tell whether these people are enough for the operation.

    Args:
        operation: what the charter asks for.
        approvals: person's number to the duties that the person may agree with.
    """
    return bool(find_seats(operation, approvals))


def find_seats(operation: Operation, approvals: Mapping[int, AbstractSet[str]]) -> dict[int, Group]:
    """Give the group that each person counts for in the first alternative that they are enough for.

    Whoever is not needed for it has none. Nobody has one where they are not enough. Arguments are those of `is_enough`.
    """
    for groups in operation.alternatives:
        if seats := _fill(groups, approvals):
            return seats
    return {}


def render_requirement(operation: Operation) -> str:
    """Give in words who must agree."""
    return " or ".join(" and ".join(map(render_group, groups)) for groups in operation.alternatives)


def render_group(group: Group) -> str:
    """Give a group in words."""
    return f"{group.count} of {', '.join(group.duties)}"


def _fill(groups: Sequence[Group], approvals: Mapping[int, AbstractSet[str]]) -> dict[int, Group]:
    """Fill every place of every group with a person of its own (augmenting paths); give nobody a place if one stays."""
    places = [group for group in groups for _ in range(group.count)]
    if len(places) > len(approvals):
        return {}
    seats: dict[int, int] = {}  # person to place

    def fill(place: int, tried: set[int]) -> bool:
        for person, duties in approvals.items():
            if person in tried or duties.isdisjoint(places[place].duties):
                continue
            tried.add(person)
            if person not in seats or fill(seats[person], tried):
                seats[person] = place
                return True
        return False

    filled = all(fill(place, set()) for place in range(len(places)))
    return {person: places[place] for person, place in seats.items()} if filled else {}
