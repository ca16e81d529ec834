"""Holding every stored row against the ledger: each part must be what the newest entry about it says, and be there.

Rules of this file:
1. The ledger is checked first: every lane's chain from its first batch, every entry against its header, every opening
   against its commitment, and the newest seal. What is not sealed yet is reported, not trusted less.
2. What the entries say is kept in a temporary database of digests, so that memory stays bounded.
3. Every difference is a finding with its place; nothing is mended.

Work: one pass over the ledger, one over the rows.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ringfence.core import entry as e
from ringfence.core.detail import parse_detail
from ringfence.core.envelope import PartName, render_part_name
from ringfence.core.errors import IntegrityError, ProofInvalidError
from ringfence.core.lane import LaneHead, parse_stored_batch, verify_batch, verify_seal
from ringfence.core.ports import IDENTITY_DATASET, KeyCustody, Store, StoredBatch
from ringfence.core.state import State

BATCHES_PER_FETCH_MAX: Final = 256
ROWS_PER_FETCH_MAX: Final = 2_000
FINDINGS_MAX: Final = 1_000

Report = Callable[[int, int], None]

_EXPECTED: Final = """
CREATE TABLE expected (
    subject_ref BLOB, dataset TEXT, record_key BLOB, data_class TEXT, at_ms INTEGER, version INTEGER, digest BLOB,
    seen INTEGER DEFAULT 0, PRIMARY KEY (subject_ref, dataset, record_key, data_class)
) WITHOUT ROWID;
CREATE TABLE erased (subject_ref BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_NOTE: Final = """
INSERT INTO expected (subject_ref, dataset, record_key, data_class, at_ms, version, digest) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms, version = excluded.version, digest = excluded.digest
WHERE excluded.version = expected.version + 1 OR excluded.at_ms > expected.at_ms
"""
_FIND: Final = (
    "SELECT version, digest FROM expected WHERE subject_ref = ? AND dataset = ? AND record_key = ? AND data_class = ?"
)
_SEEN: Final = (
    "UPDATE expected SET seen = 1 WHERE subject_ref = ? AND dataset = ? AND record_key = ? AND data_class = ?"
)


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One row or batch that is not what the ledger says: where, and what is wrong with it."""

    place: str
    what: str


@dataclass(slots=True)
class AuditReport:
    """What an audit looked at and found; `findings` holds at most `FINDINGS_MAX`, `findings_more` counts the rest."""

    batches: int = 0
    batches_unsealed: int = 0
    parts: int = 0
    keys: int = 0
    findings: list[AuditFinding] = field(default_factory=list)
    findings_more: int = 0

    def add(self, place: str, what: str) -> None:
        """Note one difference."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(AuditFinding(place, what))
        else:
            self.findings_more += 1


async def audit_vault(store: Store, custody: KeyCustody, state: State, *, report: Report) -> AuditReport:
    """Hold every stored part and key against the ledger.

    Args:
        store: the vault and its ledger.
        custody: opens the ledger's openings and the subjects' keys.
        state: the newest state; gives the lanes' keys.
        report: told of progress: parts done, parts in all.

    Raises:
        UnavailableError: the store does not answer.
    """
    found = AuditReport()
    with tempfile.NamedTemporaryFile(prefix="ringfence-audit-") as file:
        database = sqlite3.connect(file.name, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.executescript(_EXPECTED)
            database.execute("BEGIN")
            for head in await store.lanes():
                await _read_lane(store, custody, state, head, database, found)
            await _check_rows(store, database, found, report)
            await _check_keys(store, custody, database, found)
            _report_missing(database, found)
        finally:
            database.close()
    return found


async def _read_lane(
    store: Store, custody: KeyCustody, state: State, newest: LaneHead, database: sqlite3.Connection, found: AuditReport
) -> None:
    """Check a lane's chain and note what its entries say of rows; stops at the first broken link."""
    head = LaneHead(lane=newest.lane)
    seals = {seal.n: seal.leaf for seal in await store.seals(newest.lane, after_n=0)}
    try:
        while batches := await store.batches(newest.lane, after_n=head.n, batches_max=BATCHES_PER_FETCH_MAX):
            for stored in batches:
                head = _read_batch(custody, head, stored, database, found)
                if stored.n in seals:
                    _check_seal(state, head, seals[stored.n])
    except (ProofInvalidError, IntegrityError) as error:
        found.add(f"lane {newest.lane} after batch {head.n}", error.message)
        return
    if head != newest:
        found.add(f"lane {newest.lane}", f"its head is batch {newest.n}, but its batches end at {head.n}")
    found.batches_unsealed += head.n - max(seals, default=0)


def _read_batch(
    custody: KeyCustody, head: LaneHead, stored: StoredBatch, database: sqlite3.Connection, found: AuditReport
) -> LaneHead:
    place = f"lane {stored.lane} batch {stored.n}"
    header, entries = parse_stored_batch(stored.header, stored.entries, place=place)
    following = verify_batch(head, header, header_leaf=stored.header, entries=stored.entries, place=place)
    packed = custody.open_detail(lane=stored.lane, n=stored.n, sealed=stored.detail)
    for position, opening in enumerate(parse_detail(packed, entries=len(entries), place=place)):
        commitment = e.commitment_of(entries[position])
        if opening is not None and (commitment is None or e.commit(opening) != commitment):
            raise ProofInvalidError(f"the opening of entry {position} is not what it commits to", place=place)
    openings = parse_detail(packed, entries=len(entries), place=place)
    database.executemany(_NOTE, _expectations(entries, openings, header.at_ms, place))
    erased = [
        (reference,)
        for entry, opening in zip(entries, openings, strict=True)
        if isinstance(entry, e.SubjectErased) and opening is not None
        for reference in e.parse_about(opening, place=place).subjects
    ]
    database.executemany("INSERT OR IGNORE INTO erased VALUES (?)", erased)
    found.batches += 1
    return following


def _expectations(
    entries: Sequence[e.AnyLeaf], openings: Sequence[bytes | None], at_ms: int, place: str
) -> Iterator[tuple[bytes, str, bytes, str, int, int, bytes]]:
    """Give what the write entries of a batch say: each stored part with its version and digest."""
    for entry, opening in zip(entries, openings, strict=True):
        if not isinstance(entry, e.Access) or entry.verb != "write" or opening is None:
            continue
        about = e.parse_about(opening, place=place)
        owner = dict(zip(about.records, about.subjects, strict=True))
        for written in about.written:
            identity = (
                written.record_key in about.subjects
            )  # a user id's part is kept under the subject's own reference
            reference = written.record_key if identity else owner.get(written.record_key)
            if reference is None:
                raise ProofInvalidError("a write entry does not say whose record it wrote", place=place)
            dataset = IDENTITY_DATASET if identity else written.dataset or entry.dataset
            yield (reference, dataset, written.record_key, written.data_class, at_ms, written.version, written.digest)


def _check_seal(state: State, head: LaneHead, leaf: bytes) -> None:
    seal = e.parse_entry(leaf, place=f"lane {head.lane} seal {head.n}")
    if not isinstance(seal, e.Seal) or (seal.n, seal.head) != (head.n, head.hash):
        raise ProofInvalidError(f"the seal of batch {head.n} is over another batch")
    verify_seal(seal, origin=state.origin, key=state.lanes[head.lane].key)


async def _check_rows(store: Store, database: sqlite3.Connection, found: AuditReport, report: Report) -> None:
    total = await store.count_parts()
    async for rows in store.scan_parts(rows_max=ROWS_PER_FETCH_MAX):
        for row in rows:
            _check_part(database, row.name, row.version, row.sealed, found)
        database.executemany(_SEEN, (_key(row.name) for row in rows))
        found.parts += len(rows)
        report(found.parts, total)


def _check_part(database: sqlite3.Connection, name: PartName, version: int, sealed: bytes, found: AuditReport) -> None:
    expected = database.execute(_FIND, _key(name)).fetchone()
    if expected is None or expected[0] == 0:
        found.add(render_part_name(name), "no entry of the ledger wrote this row, or it was deleted")
    elif expected[0] != version:
        found.add(render_part_name(name), f"version {version} is stored, but version {expected[0]} was written last")
    elif hashlib.sha256(sealed).digest() != expected[1]:
        found.add(render_part_name(name), "the stored bytes are not those that were written")


async def _check_keys(store: Store, custody: KeyCustody, database: sqlite3.Connection, found: AuditReport) -> None:
    async for subjects in store.scan_subjects(rows_max=ROWS_PER_FETCH_MAX):
        for subject in subjects:
            place = f"subject {subject.subject_ref.hex()}"
            if database.execute("SELECT 1 FROM erased WHERE subject_ref = ?", (subject.subject_ref,)).fetchone():
                found.add(place, "the ledger says that this subject was erased, but it is stored")
            for key in subject.keys:
                found.keys += 1
                try:
                    custody.unwrap(key)
                except IntegrityError as error:
                    found.add(f"{place} key {key.data_class}", error.message)


def _report_missing(database: sqlite3.Connection, found: AuditReport) -> None:
    rows: Iterable[tuple[str, bytes, bytes, str]] = database.execute(
        "SELECT dataset, subject_ref, record_key, data_class FROM expected WHERE seen = 0 AND version > 0"
        " AND subject_ref NOT IN (SELECT subject_ref FROM erased)"
    )
    for dataset, reference, record_key, data_class in rows:
        name = PartName(dataset, reference, record_key, data_class)
        found.add(render_part_name(name), "the ledger says that this row was written, but it is not stored")


def _key(name: PartName) -> tuple[bytes, str, bytes, str]:
    return name.subject_ref, name.dataset, name.record_key, name.data_class
