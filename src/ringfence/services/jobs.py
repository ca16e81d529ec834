"""What a job puts into a batch and what it gets back, and how the jobs of a batch become one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from ringfence.core.ledger.lane import BuiltBatch
from ringfence.core.ledger.receipt import Receipt, render_receipt
from ringfence.core.ports import (
    CountWrite,
    Find,
    Found,
    ListRead,
    NewKey,
    NewSubject,
    PartDrop,
    PartsWrite,
    RecordRead,
    RequestMark,
    Rows,
    SearchWrite,
    StoredPart,
    StoredParts,
    SubjectErasure,
)
from ringfence.core.state import State

Row = TypeVar("Row", NewSubject, NewKey, PartsWrite, PartDrop, SearchWrite, CountWrite)


@dataclass(slots=True)
class Prepared:
    """What one job puts into a batch. `rule` jobs go alone. Rows have item 0; the writer gives them their job's.

    A rule may bring one file: `blob` as it is, or `facts`, which the writer seals.
    """

    entries: Sequence[bytes]
    openings: Sequence[bytes | None]
    reads: Sequence[RecordRead] = ()
    lists: Sequence[ListRead] = ()
    finds: Sequence[Find] = ()
    subjects: Sequence[NewSubject] = ()
    keys: Sequence[NewKey] = ()
    writes: Sequence[PartsWrite] = ()
    drops: Sequence[PartDrop] = ()
    searches: Sequence[SearchWrite] = ()
    counts: Sequence[CountWrite] = ()
    mark: tuple[bytes, bytes, bytes] | None = None
    erasures: Sequence[SubjectErasure] = ()
    rule: bool = False
    blob: bytes = b""
    facts: bytes = b""


class Committed(msgspec.Struct, frozen=True):
    """What a job gets back after its commit."""

    receipt: Receipt
    at_ms: int
    records: Sequence[StoredParts]
    lists: Sequence[list[StoredPart]]
    found: Sequence[list[Found]]

    @property
    def receipt_text(self) -> str:
        """The receipt as text."""
        return render_receipt(self.receipt)


class Waiter(Protocol):
    """Whoever waits for a job: told once, how it ended. A future is one; none may raise."""

    def done(self) -> bool:
        """Tell whether it was told, or does not wait any more."""
        ...

    def set_result(self, committed: Committed, /) -> None:
        """Hear that the job is durable. What takes long is done later, so that the next batch is not kept waiting."""
        ...

    def set_exception(self, error: BaseException, /) -> None:
        """Hear that it is not."""
        ...


@dataclass(slots=True)
class Job:
    """One caller's place in a batch.

    Attributes:
        prepare: gives what goes into the batch, decided on the given state; may raise a CallerError.
        done: told `Committed` after the commit, or the error.
        rule: whether it may come to a rule: it begins a batch, of no time before what any lane has written.
    """

    prepare: Callable[[State, int], Prepared]
    done: Waiter
    rule: bool = False
    attempts: int = 0
    prepared: Prepared | None = field(default=None)

    def fail(self, error: BaseException) -> None:
        """Tell the caller, unless it left."""
        if not self.done.done():
            self.done.set_exception(error)


class RowsToWrite:
    """The rows of a batch's jobs, each stamped with its job's index."""

    def __init__(self) -> None:
        self.lists: list[ListRead] = []
        self.finds: list[Find] = []
        self.subjects: list[NewSubject] = []
        self.keys: list[NewKey] = []
        self.writes: list[PartsWrite] = []
        self.drops: list[PartDrop] = []
        self.searches: list[SearchWrite] = []
        self.counts: list[CountWrite] = []
        self.requests: list[RequestMark] = []
        self.erasures: list[SubjectErasure] = []

    def add(self, item: int, prepared: Prepared, *, lane: int, n: int, position: int, at_ms: int) -> None:
        """Take the rows of one job; `position` is that of its first entry in batch `n`."""
        self.lists.extend(prepared.lists)
        self.finds.extend(prepared.finds)
        self.erasures.extend([row._replace(item=item) for row in prepared.erasures])
        self.subjects.extend(_stamped(prepared.subjects, item))
        self.keys.extend(_stamped(prepared.keys, item))
        self.writes.extend(_stamped(prepared.writes, item))
        self.drops.extend(_stamped(prepared.drops, item))
        self.searches.extend(_stamped(prepared.searches, item))
        self.counts.extend(_stamped(prepared.counts, item))
        if prepared.mark:
            key, digest, answer = prepared.mark
            self.requests.append(RequestMark(item, key, digest, lane, n, position, answer, at_ms))


def _stamped(rows: Sequence[Row], item: int) -> Sequence[Row]:
    """Give rows with their job's index; they are made with that of the first."""
    return [row._replace(item=item) for row in rows] if item else rows


def release(jobs: Sequence[Job], batch: BuiltBatch, rows: Rows) -> None:
    """Give each job its rows and its receipt. Only ever called after the commit is known to be durable."""
    position = reads = lists = finds = 0
    for job in jobs:
        prepared = job.prepared
        if prepared is None:
            continue
        receipt = Receipt(batch.head.lane, batch.head.n, position, batch.hashes[position])
        committed = Committed(
            receipt,
            batch.head.at_ms,
            rows.records[reads : reads + len(prepared.reads)],
            rows.lists[lists : lists + len(prepared.lists)],
            rows.found[finds : finds + len(prepared.finds)],
        )
        position += len(prepared.entries)
        reads += len(prepared.reads)
        lists += len(prepared.lists)
        finds += len(prepared.finds)
        if not job.done.done():
            job.done.set_result(committed)
