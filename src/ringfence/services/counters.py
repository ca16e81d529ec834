"""What one lane knows of the counters, so that the jobs of one batch take steps that follow one another.

Rules of this file:
1. A batch begins from the steps that are known to be committed; each job's steps follow those of the jobs before it.
2. A step counts as committed only when the batch that holds it is. A conflict forgets everything: it is read again.
"""

from __future__ import annotations

from collections.abc import Iterable

from ringfence.core.ledger.entry import Count
from ringfence.core.ports import CountWrite, Store


class CounterBook:
    """The counters of one lane.

    Args:
        store: holds each counter's last step.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._committed: dict[str, Count] = {}
        self._working: dict[str, Count] = {}

    async def load(self, counter: str) -> None:
        """Read a counter's last step from the store unless it is known; ordinal 0 when it never counted."""
        if counter not in self._committed:
            stored = await self._store.counter(counter)
            self._committed.setdefault(counter, stored or Count(counter=counter, ordinal=0, amount=0, total=0, day=0))

    def begin(self) -> None:
        """Start a batch."""
        self._working = {}

    def last_steps(self) -> dict[str, Count]:
        """Give a copy of the last step of each counter, those of this batch's earlier jobs included."""
        return {**self._committed, **self._working}

    def take(self, counts: Iterable[CountWrite]) -> None:
        """Note the steps that a job puts into the batch."""
        for write in counts:
            self._working[write.step.counter] = write.step

    def commit(self, counts: Iterable[CountWrite]) -> None:
        """Note that a batch with these steps is committed."""
        for write in counts:
            self._committed[write.step.counter] = write.step

    def forget(self) -> None:
        """Know nothing any more: another lane or process was faster."""
        self._committed.clear()
        self._working.clear()
