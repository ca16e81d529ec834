"""Who a number is, at a moment of the ledger's history.

Rules of this file:
1. A number is a person's or a service's for ever; what it is called may change, and may be given to somebody else. So
   whoever is named is named as of an entry, by the rules before it.
2. A reference alone may have been of two people: a person's name in the register stands beside it.
3. Who left is called as last known.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

from ringfence.core.governance.wording import quote
from ringfence.core.people.register import Register
from ringfence.core.state import State


class Called(NamedTuple):
    """What a principal is called.

    Attributes:
        who: a person's reference in the register, a service's subject; "" where that is withheld.
        name: the person's name in the register; "" for a service, and where it is withheld.
        party: whose person or service; "" for a number that nobody ever had.
    """

    who: str
    name: str
    party: str


NOBODY: Final = Called("", "", "")


def name_principals(state: State) -> dict[int, Called]:
    """Give what each principal of a state is called, in order of number."""
    subjects = {number: subject for (_, subject), number in state.identities.items()}
    register = _register(state)
    called = {}
    for number, principal in sorted(state.principals.items()):
        facts = register.people.get(number) if register else None
        who, name = (facts.reference, facts.name) if facts is not None else (subjects.get(number, ""), "")
        called[number] = Called(who, name, principal.party)
    return called


def describe_person(state: State, number: int) -> str:
    """Give a person in a sentence: by number, and by what the register has where that is known."""
    register = _register(state)
    facts = register.people.get(number) if register else None
    return f"person {number} ({quote(facts.reference)}, {quote(facts.name)})" if facts else f"person {number}"


def begin(words: str) -> str:
    """Give words as a sentence begins with them."""
    return words[:1].upper() + words[1:]


def _register(state: State) -> Register | None:
    return state.standing.register if state.standing else None


class Names:
    """What every principal was called from which rule on; also those who are none any more."""

    def __init__(self) -> None:
        self._known: dict[int, list[tuple[int, Called]]] = {}

    def follow(self, before: State, after: State) -> None:
        """Take note of what one more rule changed."""
        if (
            before.principals is after.principals
            and before.identities is after.identities
            and _register(before) is _register(after)
        ):
            return
        for number, called in name_principals(after).items():
            known = self._known.setdefault(number, [])
            if not known or known[-1][1] != called:
                known.append((after.epoch, called))

    def of(self, number: int, epoch: int) -> Called:
        """Give what a principal was called in an epoch, or last before it."""
        known = self._known.get(number, [])
        place = bisect_right(known, epoch, key=lambda one: one[0])
        return known[place - 1][1] if place else NOBODY

    def since(self, number: int) -> int:
        """Give the epoch from which a number was a principal's; 0 for one that never was."""
        known = self._known.get(number)
        return known[0][0] if known else 0
