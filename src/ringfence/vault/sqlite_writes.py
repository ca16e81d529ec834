"""What a transaction writes into SQLite, each row with its conflict.

Rules of this file:
1. Every kind of row is written in one order: erasures, subjects, keys, counters, drops, parts, searches, requests.
2. Rows of one kind go in together; if any is refused, they are undone and written one by one to learn which.
3. Parts and tokens are stored only under subjects that are there once all of them are in.
4. A conflict raises with the items at fault; the caller rolls everything back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any, Final

from ringfence.core.ports import ItemConflictError, PartsWrite, Transaction
from ringfence.vault.batch_rows import CountSteps, chain_counts, check_parts_once, last_searches, subjects_needed
from ringfence.vault.sqlite_device import DATA_ERRORS, as_blob

_Row = tuple[int, tuple[Any, ...]]

_ERASE: Final = tuple(
    f"DELETE FROM {table} WHERE subject_ref = ?"  # noqa: S608 - the names stand in this line
    for table in ("searches", "parts", "subject_keys", "subjects")
)
_KEEP_ERASED: Final = (
    "INSERT INTO erased_users SELECT user_index FROM subjects WHERE subject_ref = ? ON CONFLICT DO NOTHING"
)
_ADD_SUBJECT: Final = "INSERT INTO subjects VALUES (?, ?) ON CONFLICT DO NOTHING"
_ADD_KEY: Final = (
    "INSERT INTO subject_keys SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM subjects WHERE subject_ref = ?1)"
    " ON CONFLICT DO NOTHING"
)
_ADD_PART: Final = (
    "INSERT INTO parts (dataset, subject_ref, record_key, data_class, version, sealed) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
PARTS_PER_STATEMENT: Final = 100
_ADD_PARTS: Final = _ADD_PART.replace("(?, ?, ?, ?, ?, ?)", ", ".join(["(?, ?, ?, ?, ?, ?)"] * PARTS_PER_STATEMENT))
_COLUMNS: Final = 6
_CHANGE_PART: Final = (
    "UPDATE parts SET version = ?5, sealed = ?6"
    " WHERE dataset = ?1 AND subject_ref = ?2 AND record_key = ?3 AND data_class = ?4 AND version = ?5 - 1"
)
_DROP_PART: Final = (
    "DELETE FROM parts WHERE dataset = ? AND subject_ref = ? AND record_key = ? AND data_class = ? AND version = ?"
)
_PUT_SEARCH: Final = (
    "INSERT INTO searches (subject_ref, field, record_key, token) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET token = excluded.token"
)
_DROP_SEARCH: Final = "DELETE FROM searches WHERE subject_ref = ? AND field = ? AND record_key = ?"
_START_COUNT: Final = (
    "INSERT INTO counters (ordinal, amount, total, day, counter) SELECT ?, ?, ?, ?, ? WHERE ? = 0"
    " ON CONFLICT DO NOTHING"
)
_STEP_COUNT: Final = "UPDATE counters SET ordinal = ?, amount = ?, total = ?, day = ? WHERE counter = ? AND ordinal = ?"
_ADD_REQUEST: Final = "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


def has_writes(transaction: Transaction) -> bool:
    """Say whether a transaction writes anything but its batch."""
    t = transaction
    return bool(t.writes or t.requests or t.counts or t.subjects or t.keys or t.searches or t.drops or t.erasures)


def apply_writes(cursor: sqlite3.Cursor, transaction: Transaction) -> None:
    """Write the rows of a transaction: rule 1.

    Raises:
        ItemConflictError: with the items at fault of the first kind that has any.
        sqlite3.Error: the database fails.
    """
    t = transaction
    check_parts_once(t)
    _erase(cursor, t)
    _put(cursor, _ADD_SUBJECT, [(s.item, (s.subject_ref, s.user_index)) for s in t.subjects], "subject")
    _put(
        cursor,
        _ADD_KEY,
        [(k.item, (k.row.subject_ref, k.row.data_class, k.row.key_epoch, *k.row.key)) for k in t.keys],
        "subject",
    )
    _put_counts(cursor, chain_counts(t.counts))
    _put(cursor, _DROP_PART, [(d.item, (*d.name, d.version)) for d in t.drops], "version")
    add_parts(cursor, [write for write in t.writes if write.version == 1])
    _put(cursor, _CHANGE_PART, _rows_of(write for write in t.writes if write.version != 1), "version")
    _put_searches(cursor, t)
    _require_subjects(cursor, t)
    _put(cursor, _ADD_REQUEST, [(r.item, tuple(r[1:])) for r in t.requests], "request")


def _rows_of(writes: Iterable[PartsWrite]) -> list[_Row]:
    return [(write.item, row) for write in writes for row in write.rows()]


def add_parts(cursor: sqlite3.Cursor, writes: Sequence[PartsWrite]) -> None:
    """Add new parts; many go in with one statement for `PARTS_PER_STATEMENT` of them, a third faster: rule 2."""
    count = sum(len(write.record_keys) for write in writes)
    whole = count - count % PARTS_PER_STATEMENT
    if whole:
        rows = chain.from_iterable(map(_blob_rows, writes))
        if _add_whole_statements(cursor, [*chain.from_iterable(rows)], whole):
            return
    _put(cursor, _ADD_PART, _rows_of(writes), "version")


def _blob_rows(write: PartsWrite) -> Iterable[tuple[object, ...]]:
    """Give the rows of a write, for the driver: a quarter of the time goes into how it takes `bytes`."""
    _, subject_ref, data_class, version, datasets, keys, sealed = write
    return zip(
        datasets,
        repeat(as_blob(subject_ref)),
        map(as_blob, keys),
        repeat(data_class),
        repeat(version),
        map(as_blob, sealed),
        strict=False,
    )


def _add_whole_statements(cursor: sqlite3.Cursor, values: Sequence[Any], whole: int) -> bool:
    """Add new parts by statements for many of them, the last ones singly; or say that not all could be added."""
    step, end = PARTS_PER_STATEMENT * _COLUMNS, whole * _COLUMNS
    complete = True
    cursor.execute("SAVEPOINT whole")
    try:
        for start in range(0, end, step):
            complete &= cursor.execute(_ADD_PARTS, values[start : start + step]).rowcount == PARTS_PER_STATEMENT
        for start in range(end, len(values), _COLUMNS):
            complete &= cursor.execute(_ADD_PART, values[start : start + _COLUMNS]).rowcount == 1
    except DATA_ERRORS:
        complete = False
    if not complete:
        cursor.execute("ROLLBACK TO whole")
    cursor.execute("RELEASE whole")
    return complete


def _erase(cursor: sqlite3.Cursor, transaction: Transaction) -> None:
    missing: list[int] = []
    for item, subject_ref in transaction.erasures:
        cursor.execute(_KEEP_ERASED, (subject_ref,))
        for sql in _ERASE:
            cursor.execute(sql, (subject_ref,))
        if cursor.rowcount != 1:  # of the last: the subject itself
            missing.append(item)
    if missing:
        raise ItemConflictError(missing, reason="subject")


def _put(cursor: sqlite3.Cursor, sql: str, rows: Sequence[_Row], reason: str) -> None:
    """Run one statement for each row; each must change one row of the table."""
    if len(rows) > 1:
        cursor.execute("SAVEPOINT together")
        try:
            cursor.executemany(sql, [values for _, values in rows])
            complete = cursor.rowcount == len(rows)
        except DATA_ERRORS:
            complete = False
        if complete:
            cursor.execute("RELEASE together")
            return
        cursor.execute("ROLLBACK TO together")
        cursor.execute("RELEASE together")
    _put_singly(cursor, sql, rows, reason)


def _put_singly(cursor: sqlite3.Cursor, sql: str, rows: Sequence[_Row], reason: str) -> None:
    unstorable: list[int] = []
    refused: list[int] = []
    for item, values in rows:
        try:
            cursor.execute(sql, values)
        except DATA_ERRORS:
            unstorable.append(item)
            continue
        if cursor.rowcount != 1:
            refused.append(item)
    if unstorable:
        raise ItemConflictError(unstorable, reason="data")
    if refused:
        raise ItemConflictError(refused, reason=reason)


def _put_counts(cursor: sqlite3.Cursor, chains: Sequence[CountSteps]) -> None:
    refused: list[int] = []
    for items, first, last in chains:
        values = (last.ordinal, last.amount, last.total, last.day, last.counter, first - 1)
        try:
            cursor.execute(_START_COUNT if first == 1 else _STEP_COUNT, values)
        except DATA_ERRORS as error:
            raise ItemConflictError(items, reason="data") from error
        if cursor.rowcount != 1:
            refused.extend(items)
    if refused:
        raise ItemConflictError(refused, reason="count")


def _require_subjects(cursor: sqlite3.Cursor, transaction: Transaction) -> None:
    """Refuse parts and tokens of a subject that is not there: another process may have erased it meanwhile."""
    sql = "SELECT 1 FROM subjects WHERE subject_ref = ?"
    missing = [
        item
        for subject_ref, items in subjects_needed(transaction)
        if cursor.execute(sql, (subject_ref,)).fetchone() is None
        for item in items
    ]
    if missing:
        raise ItemConflictError(sorted(set(missing)), reason="subject")


def _put_searches(cursor: sqlite3.Cursor, transaction: Transaction) -> None:
    for item, field, subject_ref, record_key, token in last_searches(transaction.searches):
        try:
            if token is None:
                cursor.execute(_DROP_SEARCH, (subject_ref, field, record_key))
            else:
                cursor.execute(_PUT_SEARCH, (subject_ref, field, record_key, token))
        except DATA_ERRORS as error:
            raise ItemConflictError((item,), reason="data") from error
