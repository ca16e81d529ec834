"""Countings: how it is counted what a change leaves of a charter's `coalition.min`, each frozen under its name.

An entry names the counting that it was made by, and is counted again by that one. Once a counting stands in a ledger,
what it gives is never changed: a correction of the gate, the world, its digest, the terms, the rules, the closure or
the floor is a new counting, with copies of its own of what differs, so that honest history stays checkable. Every
counting has recorded vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from ringfence.core import changes as c
from ringfence.core.coalition import gate
from ringfence.core.coalition.gate import Counted, minimum_of
from ringfence.core.errors import ProofInvalidError
from ringfence.core.state import State

PROOF_SIZE_BYTES: Final = 32


class Count(Protocol):
    """Gives what is counted when a change takes effect: nothing where none is asked for, or facts are withheld."""

    def __call__(self, before: State, after: State, change: c.AnyChange, *, at_ms: int) -> Counted:
        """Count.

        Args:
            before, after: the states between which the change takes effect.
            change: what takes effect.
            at_ms: when.

        Raises:
            ProofInvalidError: the change leaves too few.
        """


@dataclass(frozen=True, slots=True)
class Counting:
    """One way to count.

    Attributes:
        gated: the changes that are counted.
        count: how.
    """

    gated: tuple[type[c.AnyChange], ...]
    count: Count


COUNTINGS: Final[Mapping[str, Counting]] = MappingProxyType({"c1": Counting(gate.GATED, gate.count_carried)})
"""Every counting that has ever counted, by name."""

NEWEST_COUNTING: Final = "c1"
"""The counting that new entries are made by."""


def newest_for(before: State, after: State) -> str:
    """Give the name of the counting for a change that is written now; "" where no charter asks for a number."""
    return NEWEST_COUNTING if minimum_of(before, after) else ""


def count_by(name: str, before: State, after: State, change: c.AnyChange, *, at_ms: int, place: str) -> Counted:
    """Count by a named counting; nothing where no charter asks for a number, and none is named.

    Raises:
        ProofInvalidError: there is no such counting, so that this program cannot check the entry; none is named where
            a charter asks for a number, or one is where none does; or the change leaves too few.
    """
    counting = _find(name, before, after, place)
    return counting.count(before, after, change, at_ms=at_ms) if counting else Counted()


def check_said(name: str, before: State, after: State, change: c.AnyChange, said: Counted, *, place: str) -> None:
    """Check that an entry can say this of coalitions, whatever the people are.

    Where a charter asks for a count by the named counting the entry has one, up to the minimum; elsewhere it has none.

    Raises:
        ProofInvalidError: it cannot.
    """
    counting, minimum = _find(name, before, after, place), minimum_of(before, after)
    reason = ""
    if counting is None or not isinstance(change, counting.gated):
        reason = "it says a count, and none is asked for" if said != Counted() else ""
    elif len(said.proof) != PROOF_SIZE_BYTES or not 0 <= said.people <= minimum:
        reason = f"the charter asks for a count up to {minimum}, and it says none"
    if reason:
        raise ProofInvalidError(f"a change is carried with another count of coalitions: {reason}", place=place)


def _find(name: str, before: State, after: State, place: str) -> Counting | None:
    known = ", ".join(COUNTINGS)
    if not minimum_of(before, after):
        if name:
            reason = "a change names a counting of coalitions, and no charter asks for a number"
            raise ProofInvalidError(reason, place=place, expected="none", found=name[:60])
        return None
    if name not in COUNTINGS:
        reason = "there is no such counting of coalitions" if name else "a change names no counting of coalitions"
        raise ProofInvalidError(reason, place=place, expected=known, found=name[:60])
    return COUNTINGS[name]
