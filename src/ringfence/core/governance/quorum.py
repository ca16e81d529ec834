"""Quorum: whether those who agreed are enough, as the charter asks.

Rules of this file:
1. A requirement is alternatives of groups; one alternative is enough, and needs all of its groups.
2. A person counts for one group only, whichever duties the person holds: so that nobody is two of those who must agree.
3. Nobody agrees to what they asked for or gain from, and nobody to what was asked before they were appointed.
4. No approvals are never enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from ringfence.core.charter_governance import Group, Operation

APPROVALS_MAX: Final = 64


def is_enough(operation: Operation, approvals: Mapping[int, AbstractSet[str]]) -> bool:
    """Tell whether these people are enough for the operation.

    Args:
        operation: what the charter asks for.
        approvals: person's number to the duties that the person may agree with.
    """
    return any(groups and _fills(groups, approvals) for groups in operation.alternatives)


def missing(operation: Operation, approvals: Mapping[int, AbstractSet[str]]) -> str:
    """Give in words what is still missing, "" when nothing is."""
    if is_enough(operation, approvals):
        return ""
    return " or ".join(
        " and ".join(f"{group.count} of {', '.join(group.duties)}" for group in groups)
        for groups in operation.alternatives
    )


def _fills(groups: Sequence[Group], approvals: Mapping[int, AbstractSet[str]]) -> bool:
    """Tell whether every place of every group can be filled by a person of its own (augmenting paths)."""
    places = [frozenset(group.duties) for group in groups for _ in range(group.count)]
    if not 1 <= len(places) <= len(approvals):
        return False
    holder: dict[int, int] = {}  # place to person
    seat: dict[int, int] = {}  # person to place

    def find(place: int, tried: set[int]) -> bool:
        for person, duties in approvals.items():
            if person in tried or places[place].isdisjoint(duties):
                continue
            tried.add(person)
            if person not in seat or find(seat[person], tried):
                seat[person], holder[place] = place, person
                return True
        return False

    return all(find(place, set()) for place in range(len(places)))
