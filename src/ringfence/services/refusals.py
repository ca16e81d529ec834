"""Counts refusals, so that a flood of them does not fill a ledger that is kept for ten years.

Strangers are only ever counted. A known principal's refusals are recorded singly up to a rate, then counted. The
counts go into the ledger once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ringfence.core.ledger.entry import Refusals, render_entry

SINGLE_REFUSALS_PER_SECOND_MAX: Final = 20
COUNTED_PRINCIPALS_MAX: Final = 1_000
STRANGER: Final = 0


class Tally(NamedTuple):
    """How many requests of a principal (`STRANGER` for others) were refused for a reason since a time."""

    principal: int
    reason: str
    requests: int
    since_ms: int

    def render(self) -> bytes:
        """Give it as a ledger entry."""
        return render_entry(Refusals(**self._asdict()))


class RefusalMeter:
    """Refusals of this process since they were last written.

    Args:
        clock_ms: gives milliseconds since 1970 UTC.
    """

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._counts: dict[tuple[int, str], int] = {}
        self._since_ms = clock_ms()
        self._second = 0
        self._admitted: dict[int, int] = {}

    def admit(self, principal: int) -> bool:
        """Tell whether this principal's refusal is still within its rate and so recorded singly."""
        second = self._clock_ms() // 1000
        if second != self._second:
            self._second = second
            self._admitted.clear()
        admitted = self._admitted.get(principal, 0)
        self._admitted[principal] = admitted + 1
        return admitted < SINGLE_REFUSALS_PER_SECOND_MAX

    def count(self, principal: int, reason: str) -> None:
        """Count one refusal; callers beyond `COUNTED_PRINCIPALS_MAX` are counted together, as strangers."""
        key = (principal, reason)
        if key not in self._counts and len(self._counts) >= COUNTED_PRINCIPALS_MAX:
            key = (STRANGER, reason)
        self._counts[key] = self._counts.get(key, 0) + 1

    def drain(self) -> list[Tally]:
        """Give the counts and start again from nothing."""
        counts, since_ms = self._counts, self._since_ms
        self._counts, self._since_ms = {}, self._clock_ms()
        return [Tally(principal, reason, requests, since_ms) for (principal, reason), requests in counts.items()]

    def give_back(self, tallies: Sequence[Tally]) -> None:
        """Count on from tallies that could not be written."""
        for tally in tallies:
            key = (tally.principal, tally.reason)
            self._counts[key] = self._counts.get(key, 0) + tally.requests
            self._since_ms = min(self._since_ms, tally.since_ms)
