"""The store on SQLite: one file, one writing gateway process, every commit synced before anything is released.

The main path, numbered as in the code of `transact`:
1. Take the write lock. It stands for the rule lock too: every transaction here is exclusive.
2. Check that the rules are still those that were decided on, and the batch's time.
3. Move the lane on from the batch before.
4. Insert the batch.
5. Write rows, then read what was asked for.
6. Commit. Only then are rows returned.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from ringfence.core.charter import PROTECTED
from ringfence.core.envelope import PartName
from ringfence.core.ledger.entry import Count
from ringfence.core.ledger.lane import NO_PREVIOUS
from ringfence.core.ports import (
    IDENTITY_DATASET,
    EpochMovedError,
    Find,
    Found,
    ItemConflictError,
    KeyRow,
    LaneMovedError,
    ListRead,
    RecordRead,
    Rows,
    StoredMark,
    StoredPart,
    StoredParts,
    StoredSearch,
    Subject,
    Transaction,
)
from ringfence.vault.batch_rows import check_time, is_time_in_doubt, key_row, pack_entries, previous_of
from ringfence.vault.sqlite_device import DATA_ERRORS, as_blob
from ringfence.vault.sqlite_ledger import SqliteLedger, place_of
from ringfence.vault.sqlite_writes import apply_writes, has_writes

_READ_PART: Final = (
    "SELECT version, sealed FROM parts WHERE dataset = ? AND subject_ref = ? AND record_key = ? AND data_class = ?"
)
_READ_RECORD: Final = (
    "SELECT data_class, version, sealed FROM parts WHERE dataset = ? AND subject_ref = ? AND record_key = ?"
)
RECORDS_PER_STATEMENT: Final = 20
_READ_RECORDS: Final = """
WITH wanted (place, dataset, subject_ref, record_key) AS (VALUES {})
SELECT place, data_class, version, sealed FROM wanted CROSS JOIN parts USING (dataset, subject_ref, record_key)
""".format(", ".join(f"({place}, ?, ?, ?)" for place in range(RECORDS_PER_STATEMENT)))
_LIST_PARTS: Final = (
    "SELECT record_key, version, sealed FROM parts"
    " WHERE dataset = ? AND subject_ref = ? AND data_class = ? AND record_key > ? ORDER BY record_key LIMIT ?"
)
_FIND: Final = """
SELECT s.subject_ref, k.key_epoch, k.wrapped, k.commitment, p.record_key, p.version, p.sealed
FROM (SELECT DISTINCT subject_ref FROM searches WHERE field = ?1 AND token = ?2) s
JOIN subjects USING (subject_ref)
JOIN subject_keys k ON k.subject_ref = s.subject_ref AND k.data_class = 'protected'
JOIN parts p ON p.subject_ref = s.subject_ref AND p.dataset = ?4 AND p.data_class = 'protected'
ORDER BY s.subject_ref LIMIT ?3
"""
_SCAN_PARTS: Final = (
    "SELECT dataset, subject_ref, record_key, data_class, version, sealed FROM parts"
    " WHERE (subject_ref, dataset, record_key, data_class) > (?, ?, ?, ?)"
    " ORDER BY subject_ref, dataset, record_key, data_class LIMIT ?"
)
_SCAN_SEARCHES: Final = (
    "SELECT subject_ref, field, record_key, token FROM searches WHERE (subject_ref, field, record_key) > (?, ?, ?)"
    " ORDER BY subject_ref, field, record_key LIMIT ?"
)
_KEYS: Final = "SELECT subject_ref, data_class, key_epoch, wrapped, commitment FROM subject_keys"


class SqliteStore(SqliteLedger):
    """The store in one SQLite file; see `SqliteLedger` for its arguments and `ports.Store` for its guarantees."""

    async def transact(self, transaction: Transaction) -> Rows:
        """Commit one batch and what goes with it, and give the rows that it reads."""
        t = transaction
        if t.batch.head.lane not in self._lanes:
            raise LaneMovedError(f"lane {t.batch.head.lane} is not claimed by this process")
        previous = previous_of(t)
        with self._transaction() as cursor:  # 1 and 6
            ((epoch,),) = cursor.execute("SELECT epoch FROM rule_head")  # 2
            if epoch != t.batch.epoch:
                raise EpochMovedError(epoch)
            clock_ms = time.time_ns() // 1_000_000
            if is_time_in_doubt(t, clock_ms=clock_ms):
                ((newest_ms,),) = cursor.execute("SELECT coalesce(max(at_ms), 0) FROM lanes")
                check_time(t, newest_ms=newest_ms, clock_ms=clock_ms)
            _move_lane(cursor, t, previous)  # 3
            try:
                _insert_batch(cursor, t)  # 4
                if has_writes(t):
                    apply_writes(cursor, t)  # 5
                rows = _read_rows(cursor, t)
            except DATA_ERRORS as error:
                raise ItemConflictError((), reason="data") from error
        return rows

    async def resolve(self, user_indexes: Sequence[bytes]) -> list[Subject | None]:
        """Give subjects by blind index, in the same order."""
        subjects: list[Subject | None] = []
        for user_index in user_indexes:
            rows = self._read("SELECT subject_ref FROM subjects WHERE user_index = ?", (user_index,))
            subjects.append(self._subject(rows[0][0], user_index) if rows else None)
        return subjects

    async def subject(self, subject_ref: bytes) -> Subject | None:
        """Give one subject by reference."""
        rows = self._read("SELECT user_index FROM subjects WHERE subject_ref = ?", (subject_ref,))
        return self._subject(subject_ref, rows[0][0]) if rows else None

    async def erased(self, user_indexes: Sequence[bytes]) -> set[bytes]:
        """Give those of these blind indexes whose user was ever erased."""
        sql = "SELECT 1 FROM erased_users WHERE user_index = ?"
        return {user_index for user_index in user_indexes if self._read(sql, (user_index,))}

    async def versions(self, records: Sequence[tuple[str, bytes, bytes]]) -> list[list[tuple[str, int]]]:
        """Give for each (dataset, subject_ref, record_key) its stored (class, version) pairs, by class."""
        sql = "SELECT data_class, version FROM parts WHERE dataset = ? AND subject_ref = ? AND record_key = ?"
        return [self._read(sql, (dataset, as_blob(of), as_blob(key))) for dataset, of, key in records]

    async def counter(self, counter: str) -> Count | None:
        """Give a counter's last step."""
        rows = self._read("SELECT ordinal, amount, total, day FROM counters WHERE counter = ?", (counter,))
        if not rows:
            return None
        ordinal, amount, total, day = rows[0]
        return Count(counter=counter, ordinal=ordinal, amount=amount, total=total, day=day)

    async def request(self, key: bytes) -> StoredMark | None:
        """Give what is known of an earlier request."""
        rows = self._read("SELECT digest, lane, n, position, answer FROM requests WHERE key = ?", (key,))
        return StoredMark(*rows[0]) if rows else None

    async def forget_requests(self, before_ms: int) -> int:
        """Delete request marks older than this time; gives how many."""
        with self._transaction() as cursor:
            return cursor.execute("DELETE FROM requests WHERE at_ms < ?", (before_ms,)).rowcount

    async def scan_parts(self, *, rows_max: int) -> AsyncIterator[Sequence[StoredPart]]:
        """Give every part, by subject, dataset, record and class, `rows_max` at a time."""
        after: tuple[bytes, str, bytes, str] = (b"", "", b"", "")
        while rows := self._read(_SCAN_PARTS, (*after, rows_max)):
            page = [StoredPart(PartName(*row[:4]), row[4], row[5]) for row in rows]
            yield page
            last = page[-1].name
            after = (last.subject_ref, last.dataset, last.record_key, last.data_class)

    async def scan_subjects(self, *, rows_max: int) -> AsyncIterator[Sequence[Subject]]:
        """Give every subject with its keys, in order of reference, `rows_max` at a time."""
        after = b""
        sql = "SELECT subject_ref, user_index FROM subjects WHERE subject_ref > ? ORDER BY subject_ref LIMIT ?"
        while rows := self._read(sql, (after, rows_max)):
            yield [Subject(reference, user_index, self._keys(reference)) for reference, user_index in rows]
            after = rows[-1][0]

    async def scan_keys(self, *, rows_max: int) -> AsyncIterator[Sequence[KeyRow]]:
        """Give every wrapped key, by subject and class, `rows_max` at a time."""
        after: tuple[bytes, str] = (b"", "")
        while rows := self._read(
            f"{_KEYS} WHERE (subject_ref, data_class) > (?, ?) ORDER BY 1, 2 LIMIT ?", (*after, rows_max)
        ):
            yield [key_row(*row) for row in rows]
            after = rows[-1][:2]

    async def scan_searches(self, *, rows_max: int) -> AsyncIterator[Sequence[StoredSearch]]:
        """Give every token of the look-up, by subject, field and record, `rows_max` at a time."""
        after: tuple[bytes, str, bytes] = (b"", "", b"")
        while rows := self._read(_SCAN_SEARCHES, (*after, rows_max)):
            yield [StoredSearch(*row) for row in rows]
            after = rows[-1][:3]

    async def count_parts(self) -> int:
        """Give how many parts are stored."""
        return int(self._read("SELECT count(*) FROM parts")[0][0])

    def _subject(self, subject_ref: bytes, user_index: bytes) -> Subject:
        name = PartName(IDENTITY_DATASET, subject_ref, subject_ref, PROTECTED)
        rows = self._read(_READ_PART, name)
        return Subject(subject_ref, user_index, self._keys(subject_ref), StoredPart(name, *rows[0]) if rows else None)

    def _keys(self, subject_ref: bytes) -> tuple[KeyRow, ...]:
        rows = self._read(f"{_KEYS} WHERE subject_ref = ? ORDER BY data_class", (subject_ref,))
        return tuple([key_row(*row) for row in rows])


def _move_lane(cursor: sqlite3.Cursor, transaction: Transaction, previous: bytes) -> None:
    head = transaction.batch.head
    if head.n == 1 and previous == NO_PREVIOUS:
        cursor.execute(
            "INSERT INTO lanes VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (head.lane, 1, head.hash, head.at_ms)
        )
    else:
        cursor.execute(
            "UPDATE lanes SET n = ?, hash = ?, at_ms = ? WHERE lane = ? AND n = ? AND hash = ?",
            (head.n, head.hash, head.at_ms, head.lane, head.n - 1, previous),
        )
    if cursor.rowcount != 1:
        raise LaneMovedError(f"lane {head.lane} does not stand where batch {head.n} says")


def _insert_batch(cursor: sqlite3.Cursor, transaction: Transaction) -> None:
    t = transaction
    head = t.batch.head
    place = place_of(head.lane, head.n)
    digest = hashlib.sha256(t.blob).digest() if t.blob else None
    entries = t.batch.entries
    cursor.execute(
        "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (place, t.batch.epoch, t.batch.header, len(entries), pack_entries(entries), t.detail, t.code, t.rule, digest),
    )
    if digest is not None:
        cursor.execute("INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, t.blob))
    if t.seal:
        cursor.execute("INSERT INTO seals VALUES (?, ?, ?)", (place, t.batch.epoch, t.seal))
    if t.rule:
        cursor.execute("UPDATE rule_head SET epoch = epoch + 1")


def _read_rows(cursor: sqlite3.Cursor, transaction: Transaction) -> Rows:
    return Rows(
        _read_records(cursor, transaction.reads),
        [_list_parts(cursor, wanted) for wanted in transaction.lists],
        [_find(cursor, wanted) for wanted in transaction.finds],
    )


def _read_records(cursor: sqlite3.Cursor, reads: Sequence[RecordRead]) -> list[StoredParts]:
    """Give the parts of each record; many records are found by one statement for `RECORDS_PER_STATEMENT` of them."""
    execute = cursor.execute
    found: list[dict[str, tuple[int, bytes]]] = [{} for _ in reads]
    whole = len(reads) - len(reads) % RECORDS_PER_STATEMENT
    for start in range(0, whole, RECORDS_PER_STATEMENT):
        some = reads[start : start + RECORDS_PER_STATEMENT]
        names = [part for read in some for part in _blobs(read)]
        for place, data_class, version, sealed in execute(_READ_RECORDS, names):
            if data_class in some[place].classes:
                found[start + place][data_class] = (version, sealed)
    for place in range(whole, len(reads)):
        read = reads[place]
        for data_class, version, sealed in execute(_READ_RECORD, _blobs(read)):
            if data_class in read.classes:
                found[place][data_class] = (version, sealed)
    return [*found]


def _blobs(read: RecordRead) -> tuple[str, bytearray, bytearray]:
    """Give what a record is found by, for the driver."""
    return read.dataset, as_blob(read.subject_ref), as_blob(read.record_key)


def _list_parts(cursor: sqlite3.Cursor, wanted: ListRead) -> list[StoredPart]:
    dataset, subject_ref, data_class = wanted.dataset, wanted.subject_ref, wanted.data_class
    return [
        StoredPart(PartName(dataset, subject_ref, record_key, data_class), version, sealed)
        for record_key, version, sealed in cursor.execute(_LIST_PARTS, wanted)
    ]


def _find(cursor: sqlite3.Cursor, wanted: Find) -> list[Found]:
    return [
        Found(
            reference,
            key_row(reference, "protected", key_epoch, wrapped, commitment),
            StoredPart(PartName(IDENTITY_DATASET, reference, record_key, "protected"), version, sealed),
        )
        for reference, key_epoch, wrapped, commitment, record_key, version, sealed in cursor.execute(
            _FIND, (*wanted, IDENTITY_DATASET)
        )
    ]
