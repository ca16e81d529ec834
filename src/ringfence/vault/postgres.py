"""The store on PostgreSQL: several gateway processes, each lane on a connection of its own.

The main path, numbered as in the code of `transact`:
1. Take the lane's connection; if it was lost, claim the lane anew on another.
2. Send the batch with its rows and reads as one statement, which is one transaction: the server takes the rule lock,
   checks the epoch, moves the lane on, inserts the batch, writes and reads. What one statement cannot hold (a large
   set of new parts, lists and look-ups) goes into an explicit transaction after it.
3. Wait until the server is ready for the next: only then is the commit done. Only then are rows returned.
4. On a failure say which of three it was: refused with the items at fault, nothing written, or not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from itertools import chain
from typing import Any, Final

import asyncpg

from ringfence.core.charter import PROTECTED
from ringfence.core.envelope import PartName
from ringfence.core.errors import ConfigurationError, UnavailableError
from ringfence.core.ledger.entry import Count
from ringfence.core.ports import (
    IDENTITY_DATASET,
    CommitUnknownError,
    Find,
    Found,
    ItemConflictError,
    KeyRow,
    ListRead,
    Rows,
    StoredMark,
    StoredPart,
    StoredParts,
    StoredSearch,
    Subject,
    Transaction,
)
from ringfence.vault.batch_rows import key_row, unstorable_items
from ringfence.vault.postgres_device import LOST, LaneLink, commit, is_lost, roll_back, translate
from ringfence.vault.postgres_ledger import PostgresLedger
from ringfence.vault.postgres_statements import (
    FIND,
    LIST_PARTS,
    PART_COLUMNS,
    READ_RECORDS,
    Statement,
    build_statement,
    columns_of,
    conflict_of,
)

RETRIES_MAX: Final = 4
RETRY_PAUSE_SECONDS: Final = 0.02
_RETRIED: Final = frozenset({"40001", "40P01", "55P03"})
_FAILURES: Final = (*LOST, asyncpg.PostgresError, asyncio.CancelledError)

_SUBJECTS: Final = """
SELECT s.subject_ref, s.user_index, k.data_class, k.key_epoch, k.wrapped, k.commitment, NULL, NULL
FROM ringfence.subjects s LEFT JOIN ringfence.subject_keys k USING (subject_ref)
"""
_IDENTIFIED: Final = """
SELECT s.subject_ref, s.user_index, k.data_class, k.key_epoch, k.wrapped, k.commitment, p.version, p.sealed
FROM ringfence.subjects s LEFT JOIN ringfence.subject_keys k USING (subject_ref)
LEFT JOIN ringfence.parts p ON p.subject_ref = s.subject_ref AND p.dataset = '@identity'
    AND p.record_key = s.subject_ref AND p.data_class = 'protected'
"""
_SCAN_PARTS: Final = """
SELECT dataset, subject_ref, record_key, data_class, version, sealed FROM ringfence.parts
WHERE (subject_ref, dataset, record_key, data_class) > ($1, $2, $3, $4)
ORDER BY subject_ref, dataset, record_key, data_class LIMIT $5
"""
_SCAN_KEYS: Final = """
SELECT subject_ref, data_class, key_epoch, wrapped, commitment FROM ringfence.subject_keys
WHERE (subject_ref, data_class) > ($1, $2) ORDER BY subject_ref, data_class LIMIT $3
"""
_SCAN_SEARCHES: Final = """
SELECT subject_ref, field, record_key, token FROM ringfence.searches
WHERE (subject_ref, field, record_key) > ($1, $2, $3) ORDER BY subject_ref, field, record_key LIMIT $4
"""
_VERSIONS: Final = """
SELECT g.place, t.data_class, t.version
FROM unnest($1::text[], $2::bytea[], $3::bytea[]) WITH ORDINALITY AS g (d, s, r, place)
CROSS JOIN LATERAL (
    SELECT data_class, version FROM ringfence.parts WHERE subject_ref = g.s AND dataset = g.d AND record_key = g.r
    ORDER BY data_class LIMIT 1000
) AS t
ORDER BY g.place, t.data_class
"""


class _RetryError(Exception):
    """Nothing was written, and the batch may be sent again: it gave way to another, or its copy met a stored row."""

    def __init__(self, *, gave_way: bool) -> None:
        super().__init__()
        self.gave_way = gave_way


class PostgresStore(PostgresLedger):
    """The store in a PostgreSQL database; see `PostgresLedger` for its arguments, `ports.Store` for its guarantees."""

    async def create(self) -> None:
        """Make the schema `ringfence` in a database that does not have it.

        Raises:
            ConfigurationError: it is there already, or may not be made.
        """
        script = files("ringfence.vault").joinpath("postgres.sql").read_text("utf-8")
        async with self._translated():
            connection = await self._connect()
            try:
                async with connection.transaction():
                    await connection.execute(script)
            except (asyncpg.DuplicateSchemaError, asyncpg.UniqueViolationError) as error:
                raise ConfigurationError(
                    "the database has a schema named ringfence already", hint="name another database"
                ) from error
            finally:
                await connection.close()

    async def transact(self, transaction: Transaction) -> Rows:
        """Commit one batch and what goes with it, and give the rows that it reads."""
        copy = True
        for attempt in range(1, RETRIES_MAX + 1):
            link = await self._link(transaction.batch.head.lane)  # 1
            statement = build_statement(transaction, copy=copy)
            try:
                if statement.copied or transaction.lists or transaction.finds:
                    return await self._transact_in_steps(link, statement, transaction)
                return await self._transact_at_once(link, statement, transaction)
            except _RetryError as error:
                if error.gave_way:
                    await asyncio.sleep(attempt * RETRY_PAUSE_SECONDS)  # the other goes first
                copy = False  # a copy does not say which rows conflict
        raise UnavailableError("the database kept giving way to other transactions; nothing was written")

    async def _transact_at_once(self, link: LaneLink, statement: Statement, transaction: Transaction) -> Rows:
        reads = transaction.reads
        sql = statement.sql(reads)
        connection = link.connection
        try:
            prepared = await link.prepare(sql)
        except _FAILURES as error:
            raise _failure(link, statement, transaction, error, committing=False) from error
        if reads:
            statement.arguments += columns_of(reads)
        try:
            rows = await prepared.fetch(*statement.arguments)  # 2, 3
        except _FAILURES as error:
            if is_lost(error):
                connection.terminate()
            if isinstance(error, asyncio.CancelledError):
                raise
            raise _failure(link, statement, transaction, error, committing=True) from error  # 4
        return Rows(_records_of(rows, len(reads)), [], [])

    async def _transact_in_steps(self, link: LaneLink, statement: Statement, transaction: Transaction) -> Rows:
        connection = link.connection
        copied = chain.from_iterable([write.rows() for write in statement.copied])
        try:
            await connection.execute("BEGIN")
            prepared = await link.prepare(statement.sql(()))
            await prepared.fetch(*statement.arguments)  # 2
            if statement.copied:
                await connection.copy_records_to_table(
                    "parts",
                    schema_name="ringfence",
                    columns=PART_COLUMNS,
                    records=copied,
                )
            rows = await _read_rows(link, transaction)
        except _FAILURES as error:
            # The commit was not sent: whatever becomes of the connection, the server rolls back.
            await roll_back(connection)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise _failure(link, statement, transaction, error, committing=False) from error  # 4
        try:
            await commit(connection)  # 3
        except asyncpg.PostgresError as error:
            raise _failure(link, statement, transaction, error, committing=False) from error
        return rows

    async def resolve(self, user_indexes: Sequence[bytes]) -> list[Subject | None]:
        """Give subjects by blind index, in the same order."""
        rows = await self._fetch(f"{_IDENTIFIED} WHERE s.user_index = ANY ($1) ORDER BY 1, 3", list(user_indexes))
        subjects = {subject.user_index: subject for subject in _subjects_of(rows)}
        return [subjects.get(user_index) for user_index in user_indexes]

    async def subject(self, subject_ref: bytes) -> Subject | None:
        """Give one subject by reference."""
        subjects = _subjects_of(await self._fetch(f"{_IDENTIFIED} WHERE s.subject_ref = $1 ORDER BY 3", subject_ref))
        return subjects[0] if subjects else None

    async def erased(self, user_indexes: Sequence[bytes]) -> set[bytes]:
        """Give those of these blind indexes whose user was ever erased."""
        sql = "SELECT user_index FROM ringfence.erased_users WHERE user_index = ANY ($1)"
        return {row[0] for row in await self._fetch(sql, list(user_indexes))}

    async def versions(self, records: Sequence[tuple[str, bytes, bytes]]) -> list[list[tuple[str, int]]]:
        """Give for each (dataset, subject_ref, record_key) its stored (class, version) pairs, by class."""
        found: list[list[tuple[str, int]]] = [[] for _ in records]
        if records:
            columns = map(list, zip(*records, strict=True))
            for place, data_class, version in await self._fetch(_VERSIONS, *columns):
                found[place - 1].append((data_class, version))
        return found

    async def counter(self, counter: str) -> Count | None:
        """Give a counter's last step."""
        rows = await self._fetch("SELECT * FROM ringfence.counters WHERE counter = $1", counter)
        return Count(**rows[0]) if rows else None

    async def request(self, key: bytes) -> StoredMark | None:
        """Give what is known of an earlier request."""
        sql = 'SELECT digest, lane, n, "position", answer FROM ringfence.requests WHERE key = $1'
        rows = await self._fetch(sql, key)
        return StoredMark(*rows[0]) if rows else None

    async def forget_requests(self, before_ms: int) -> int:
        """Delete request marks older than this time; gives how many."""
        async with self._writing() as connection:
            status = await connection.execute("DELETE FROM ringfence.requests WHERE at_ms < $1", before_ms)
        return int(status.rpartition(" ")[2])

    async def scan_parts(self, *, rows_max: int) -> AsyncIterator[Sequence[StoredPart]]:
        """Give every part, by subject, dataset, record and class, `rows_max` at a time."""
        after: tuple[bytes, str, bytes, str] = (b"", "", b"", "")
        while rows := await self._fetch(_SCAN_PARTS, *after, rows_max):
            page = [StoredPart(PartName(*row[:4]), row[4], row[5]) for row in rows]
            yield page
            last = page[-1].name
            after = (last.subject_ref, last.dataset, last.record_key, last.data_class)

    async def scan_subjects(self, *, rows_max: int) -> AsyncIterator[Sequence[Subject]]:
        """Give every subject with its keys, in order of reference, `rows_max` at a time."""
        page_of = "SELECT subject_ref FROM ringfence.subjects WHERE subject_ref > $1 ORDER BY subject_ref LIMIT $2"
        sql = f"{_SUBJECTS} WHERE s.subject_ref IN ({page_of}) ORDER BY 1, 3"
        after = b""
        while rows := await self._fetch(sql, after, rows_max):
            subjects = _subjects_of(rows)
            yield subjects
            after = subjects[-1].subject_ref

    async def scan_keys(self, *, rows_max: int) -> AsyncIterator[Sequence[KeyRow]]:
        """Give every wrapped key, by subject and class, `rows_max` at a time."""
        after: tuple[bytes, str] = (b"", "")
        while rows := await self._fetch(_SCAN_KEYS, *after, rows_max):
            yield [key_row(*row) for row in rows]
            after = (rows[-1][0], rows[-1][1])

    async def scan_searches(self, *, rows_max: int) -> AsyncIterator[Sequence[StoredSearch]]:
        """Give every token of the look-up, by subject, field and record, `rows_max` at a time."""
        after: tuple[bytes, str, bytes] = (b"", "", b"")
        while rows := await self._fetch(_SCAN_SEARCHES, *after, rows_max):
            yield [StoredSearch(*row) for row in rows]
            after = (rows[-1][0], rows[-1][1], rows[-1][2])

    async def count_parts(self) -> int:
        """Give how many parts are stored."""
        return int((await self._fetch("SELECT count(*) FROM ringfence.parts"))[0][0])


def _failure(
    link: LaneLink, statement: Statement, transaction: Transaction, error: BaseException, *, committing: bool
) -> Exception:
    """Give the error to raise for a batch that failed: step 4 of the main path."""
    if is_lost(error):
        link.connection.terminate()
        if committing:
            return CommitUnknownError("the connection to the database was lost while committing")
        return UnavailableError("the connection to the database was lost; nothing was written")
    state = getattr(error, "sqlstate", None) or ""
    if state in _RETRIED or (state == "23505" and statement.copied):
        return _RetryError(gave_way=state in _RETRIED)
    conflict = conflict_of(statement, state=state, detail=getattr(error, "detail", None) or "")
    if conflict is not None:
        return conflict
    translated = translate(error)
    if isinstance(translated, ItemConflictError):
        return ItemConflictError(unstorable_items(transaction), reason="data")
    return translated


async def _read_rows(link: LaneLink, transaction: Transaction) -> Rows:
    t = transaction
    records: list[StoredParts] = []
    if t.reads:
        records = _records_of(await (await link.prepare(READ_RECORDS)).fetch(*columns_of(t.reads)), len(t.reads))
    lists = await _list_parts(link, t.lists) if t.lists else []
    found = await _find(link, t.finds) if t.finds else []
    return Rows(records, lists, found)


def _records_of(rows: Sequence[Any], count: int) -> list[StoredParts]:
    records: list[dict[str, tuple[int, bytes]]] = [{} for _ in range(count)]
    for place, data_class, version, sealed in rows if count else ():
        records[place - 1][data_class] = (version, sealed)
    return [*records]


async def _list_parts(link: LaneLink, wanted: Sequence[ListRead]) -> list[list[StoredPart]]:
    rows = await (await link.prepare(LIST_PARTS)).fetch(
        [want.subject_ref for want in wanted],
        [want.dataset for want in wanted],
        [want.data_class for want in wanted],
        [want.after for want in wanted],
        [want.records_max for want in wanted],
    )
    lists: list[list[StoredPart]] = [[] for _ in wanted]
    for place, record_key, version, sealed in rows:
        want = wanted[place - 1]
        name = PartName(want.dataset, want.subject_ref, record_key, want.data_class)
        lists[place - 1].append(StoredPart(name, version, sealed))
    return lists


async def _find(link: LaneLink, wanted: Sequence[Find]) -> list[list[Found]]:
    columns = map(list, zip(*wanted, strict=True))
    rows = await (await link.prepare(FIND)).fetch(*columns, IDENTITY_DATASET)
    found: list[list[Found]] = [[] for _ in wanted]
    for place, reference, key_epoch, wrapped, commitment, record_key, version, sealed in rows:
        key = key_row(reference, "protected", key_epoch, wrapped, commitment)
        identity = StoredPart(PartName(IDENTITY_DATASET, reference, record_key, "protected"), version, sealed)
        found[place - 1].append(Found(reference, key, identity))
    return found


def _subjects_of(rows: Sequence[Any]) -> list[Subject]:
    """Group rows of `_SUBJECTS`, which come in order of subject and class."""
    subjects: list[Subject] = []
    for reference, user_index, data_class, key_epoch, wrapped, commitment, version, sealed in rows:
        if not subjects or subjects[-1].subject_ref != reference:
            name = PartName(IDENTITY_DATASET, reference, reference, PROTECTED)
            identity = None if version is None else StoredPart(name, version, sealed)
            subjects.append(Subject(reference, user_index, (), identity))
        if data_class is not None:
            key = key_row(reference, data_class, key_epoch, wrapped, commitment)
            subjects[-1] = subjects[-1]._replace(keys=(*subjects[-1].keys, key))
    return subjects
