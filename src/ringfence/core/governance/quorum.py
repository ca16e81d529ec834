"""Quorum: whether those who agreed are enough, as the charter asks.

Rules of this file:
1. A requirement is alternatives of groups; one alternative is enough, and needs all of its groups.
2. A person counts for one group only, whichever duties the person holds: so that nobody is two of those who must agree.
3. No approvals are never enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from ringfence.core.charter_governance import Group, Operation


def is_enough(operation: Operation, approvals: Mapping[int, AbstractSet[str]]) -> bool:
    """Tell whether these people are enough for the operation.

    Args:
        operation: what the charter asks for.
        approvals: person's number to the duties that the person may agree with.
    """
    return any(groups and _fills(groups, approvals) for groups in operation.alternatives)


def render_requirement(operation: Operation) -> str:
    """Give in words who must agree."""
    return " or ".join(
        " and ".join(f"{group.count} of {', '.join(group.duties)}" for group in groups)
        for groups in operation.alternatives
    )


def _fills(groups: Sequence[Group], approvals: Mapping[int, AbstractSet[str]]) -> bool:
    """Tell whether every place of every group can be filled by a person of its own (augmenting paths)."""
    places = [frozenset(group.duties) for group in groups for _ in range(group.count)]
    if not 1 <= len(places) <= len(approvals):
        return False
    seats: dict[int, int] = {}  # person to place

    def fill(place: int, tried: set[int]) -> bool:
        for person, duties in approvals.items():
            if person in tried or places[place].isdisjoint(duties):
                continue
            tried.add(person)
            if person not in seats or fill(seats[person], tried):
                seats[person] = place
                return True
        return False

    return all(fill(place, set()) for place in range(len(places)))
