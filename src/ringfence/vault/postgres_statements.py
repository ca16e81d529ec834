"""The one statement that commits a batch with its rows, and what its refusals mean.

Rules of this file:
1. Each function of the schema takes the result of the one before it, so that the calls nest in the order in which they
   must run, and a whole batch is one statement and one round trip.
2. What a batch does not have costs nothing: its call is left out. Statements are few, so each is prepared once.
3. A refusal names places in the arrays that were sent; `conflict_of` gives the items that stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ringfence.core.envelope import PartName
from ringfence.core.errors import DeviceError
from ringfence.core.ports import (
    EpochMovedError,
    ItemConflictError,
    LaneMovedError,
    PartsWrite,
    RecordRead,
    TimePassedError,
    Transaction,
)
from ringfence.vault.batch_rows import (
    ahead_of_store,
    chain_counts,
    check_parts_once,
    last_searches,
    pack_entries,
    previous_of,
    subjects_needed,
)

COPIED_PARTS_MIN: Final = 500
PART_COLUMNS: Final = ("dataset", "subject_ref", "record_key", "data_class", "version", "sealed")

_COMMIT: Final = "ringfence.commit_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
_COMMIT_ARGUMENTS: Final = 14
READ_RECORDS: Final = "SELECT place, data_class, version, sealed FROM ringfence.read_records(true, $1, $2, $3, $4)"

LIST_PARTS: Final = """
SELECT g.place, t.record_key, t.version, t.sealed
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::bigint[]) WITH ORDINALITY AS g (s, d, c, a, m, place)
CROSS JOIN LATERAL (
    SELECT record_key, version, sealed FROM ringfence.parts
    WHERE subject_ref = g.s AND dataset = g.d AND data_class = g.c AND record_key > g.a ORDER BY record_key LIMIT g.m
) AS t
ORDER BY g.place, t.record_key
"""
FIND: Final = """
SELECT g.place, f.subject_ref, f.key_epoch, f.wrapped, f.commitment, f.record_key, f.version, f.sealed
FROM unnest($1::text[], $2::bytea[], $3::bigint[]) WITH ORDINALITY AS g (f, t, m, place)
CROSS JOIN LATERAL (
    SELECT s.subject_ref, k.key_epoch, k.wrapped, k.commitment, p.record_key, p.version, p.sealed
    FROM (SELECT DISTINCT subject_ref FROM ringfence.searches WHERE field = g.f AND token = g.t) s
    JOIN ringfence.subjects u ON u.subject_ref = s.subject_ref
    JOIN ringfence.subject_keys k ON k.subject_ref = s.subject_ref AND k.data_class = 'protected'
    JOIN ringfence.parts p ON p.subject_ref = s.subject_ref AND p.dataset = $4 AND p.data_class = 'protected'
    ORDER BY s.subject_ref LIMIT g.m
) AS f
ORDER BY g.place, f.subject_ref
"""


@dataclass(slots=True)
class Statement:
    """SQL with its arguments, and for each state of class RF: why it is raised, and the items by place."""

    call: str = _COMMIT
    arguments: list[Any] = field(default_factory=list)
    refusals: dict[str, tuple[str, list[tuple[int, ...]]]] = field(default_factory=dict)
    copied: Sequence[PartsWrite] = ()

    def add(self, function: str, *columns: Sequence[Any]) -> None:
        """Call one more function after those so far, with one array for each column."""
        first = len(self.arguments) + 1
        places = ", ".join(f"${place}" for place in range(first, first + len(columns)))
        self.call = f"ringfence.{function}({self.call}, {places})"
        self.arguments.extend(columns)

    def add_rows(self, function: str, state: str, reason: str, rows: Sequence[tuple[int, tuple[Any, ...]]]) -> None:
        """Call a function with rows, each with its item, that refuses some of them by `state`."""
        if rows:
            self.add(function, *map(list, zip(*[values for _, values in rows], strict=True)))
            self.refusals[state] = (reason, [(item,) for item, _ in rows])

    def sql(self, reads: Sequence[RecordRead]) -> str:
        """Give the statement; with `reads` it gives their rows too, and the caller adds `columns_of(reads)`."""
        if not reads:
            return f"SELECT {self.call}"
        first = len(self.arguments) + 1
        return (
            "SELECT place, data_class, version, sealed"  # noqa: S608 - names and places only
            f" FROM ringfence.read_records({self.call}, ${first}, ${first + 1}, ${first + 2}, ${first + 3})"
        )


def build_statement(transaction: Transaction, *, copy: bool) -> Statement:
    """Give the statement that commits a transaction, its reads aside.

    Args:
        transaction: the batch with its rows.
        copy: leave a large set of new parts out, in `copied`, for the caller to copy in.

    Raises:
        ItemConflictError, LaneMovedError: it contradicts itself.
    """
    t = transaction
    head = t.batch.head
    entries = t.batch.entries
    statement = Statement()
    statement.arguments += (head.lane, head.n, previous_of(t), t.batch.epoch, head.hash, head.at_ms, t.batch.header)
    statement.arguments += (len(entries), pack_entries(entries), t.detail, t.code, t.rule, t.seal, t.blob)
    statement.add_rows("erase", "RF018", "subject", [(row.item, (row.subject_ref,)) for row in t.erasures])
    statement.add_rows(
        "add_subjects", "RF011", "subject", [(s.item, (s.subject_ref, s.user_index)) for s in t.subjects]
    )
    statement.add_rows("add_keys", "RF012", "subject", [(k.item, (*k.row[:3], *k.row.key)) for k in t.keys])
    if t.counts:
        _add_counts(statement, t)
    if t.writes or t.drops:
        _add_parts(statement, t, copy=copy)
    if t.searches:
        rows = [(s.subject_ref, s.field, s.record_key, s.token) for s in last_searches(t.searches)]
        statement.add("put_searches", *map(list, zip(*rows, strict=True)))
    if needed := subjects_needed(t):
        statement.add("require_subjects", [subject_ref for subject_ref, _ in needed])
        statement.refusals["RF019"] = ("subject", [items for _, items in needed])
    statement.add_rows("add_requests", "RF017", "request", [(r.item, r[1:]) for r in t.requests])
    return statement


def _add_counts(statement: Statement, transaction: Transaction) -> None:
    chains = chain_counts(transaction.counts)
    lasts = [chain.last for chain in chains]
    statement.add(
        "step_counts",
        [last.counter for last in lasts],
        [chain.first for chain in chains],
        [last.ordinal for last in lasts],
        [last.amount for last in lasts],
        [last.total for last in lasts],
        [last.day for last in lasts],
    )
    statement.refusals["RF013"] = ("count", [chain.items for chain in chains])


def _add_parts(statement: Statement, transaction: Transaction, *, copy: bool) -> None:
    check_parts_once(transaction)
    drops = [(d.item, (*_key_of(d.name), d.version)) for d in transaction.drops]
    statement.add_rows("drop_parts", "RF014", "version", drops)
    new = [write for write in transaction.writes if write.version == 1]
    if copy and sum(len(write.record_keys) for write in new) >= COPIED_PARTS_MIN:
        statement.copied = new
    else:
        added = [(item, (*key, sealed)) for item, key, _, sealed in _rows_of(new)]
        statement.add_rows("add_parts", "RF015", "version", added)
    changed = _rows_of(write for write in transaction.writes if write.version != 1)
    rows = [(item, (*key, version, sealed)) for item, key, version, sealed in changed]
    statement.add_rows("change_parts", "RF016", "version", rows)


_Key = tuple[bytes, str, bytes, str]


def _rows_of(writes: Iterable[PartsWrite]) -> list[tuple[int, _Key, int, bytes]]:
    return [
        (write.item, (subject_ref, dataset, record_key, data_class), version, sealed)
        for write in writes
        for dataset, subject_ref, record_key, data_class, version, sealed in write.rows()
    ]


def _key_of(name: PartName) -> _Key:
    return name.subject_ref, name.dataset, name.record_key, name.data_class


def columns_of(reads: Sequence[RecordRead]) -> tuple[list[bytes], list[str], list[bytes], list[str]]:
    """Give the arguments of `read_records`; a class's name has no space."""
    return (
        [read.subject_ref for read in reads],
        [read.dataset for read in reads],
        [read.record_key for read in reads],
        [" ".join(read.classes) for read in reads],
    )


def conflict_of(statement: Statement, *, state: str, detail: str) -> DeviceError | None:
    """Give the error for a state that the schema's functions raise, or None for any other."""
    if state == "RF001":
        return EpochMovedError(int(detail))
    if state == "RF002":
        lane, n = statement.arguments[:2]
        return LaneMovedError(f"lane {lane} does not stand where batch {n} says")
    if state == "RF003":
        return TimePassedError(int(detail))
    if state == "RF004":
        return ahead_of_store(int(detail))
    if state in statement.refusals:
        reason, items = statement.refusals[state]
        places = [int(place) - 1 for place in detail.split(",") if place]
        return ItemConflictError(sorted({item for place in places for item in items[place]}), reason=reason)
    return None
