"""The ledger's side of an audit: what the lanes' batches say of each part, and where a batch is not what was written.

Rules of this file:
1. A lane is read from its first batch and stops at the first broken link: nothing after it is taken.
2. Only what an entry gave counts: a write that was refused wrote nothing.
3. The entries about a part are one chain, whichever lanes wrote them: each write names the version that it left, each
   deletion the one that it removed. So the version that must be stored follows from them without any clock.
4. A part that was deleted and written again has several writes of one version. Epochs order them; within an epoch, the
   lane's own order, and between lanes the gateways' clocks: within `CLOCKS_APART_MS_MAX` either is taken.
"""

from __future__ import annotations

import hashlib
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.decisions.ruling import is_given
from ringfence.core.envelope import PartName
from ringfence.core.errors import CharterInvalidError, IntegrityError, ProofInvalidError
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.detail import parse_detail
from ringfence.core.ledger.lane import LaneHead, parse_stored_batch, verify_batch, verify_seal
from ringfence.core.ports import IDENTITY_DATASET, Store, StoredBatch
from ringfence.core.state import State
from ringfence.vault.audit_report import AuditReport

BATCHES_PER_FETCH_MAX: Final = 256
RULES_PER_FETCH_MAX: Final = 256
CLOCKS_APART_MS_MAX: Final = 2_000

_NOTE: Final = "INSERT INTO written VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WRITTEN: Final = (
    "SELECT dataset, subject_ref, record_key, data_class, version, digest, epoch, at_ms, lane, n FROM written"
    " ORDER BY subject_ref, dataset, record_key, data_class"
)


class Charters:
    """The charters that were ever in force, by the epoch from which each was."""

    def __init__(self) -> None:
        self._epochs: list[int] = []
        self._charters: list[Charter] = []

    def add(self, charter: Charter, *, epoch: int) -> None:
        """Put a charter in force from an epoch on."""
        self._epochs.append(epoch)
        self._charters.append(charter)

    def all(self) -> Sequence[Charter]:
        """Give every charter, in order."""
        return self._charters

    def newest(self) -> Charter | None:
        """Give the charter in force."""
        return self._charters[-1] if self._charters else None

    def at(self, epoch: int) -> Charter | None:
        """Give the charter that a batch of this epoch was decided on, or None when there was none."""
        place = bisect_right(self._epochs, epoch)
        return self._charters[place - 1] if place else None


class Expected(NamedTuple):
    """What must be stored of one part: its version (0: nothing), and the digests that it may have, each with the epoch
    of its write. `broken` says that the entries about it are no chain."""

    name: PartName
    version: int
    digests: dict[bytes, int]
    broken: bool = False


class _Step(NamedTuple):
    """One write (or, with a negated version, deletion) of a part."""

    version: int
    digest: bytes
    epoch: int
    at_ms: int
    lane: int
    n: int


async def read_ledger(
    store: Store, custody: KeyCustody, state: State, workspace: sqlite3.Connection, found: AuditReport
) -> Charters:
    """Check every lane and note what its entries say of parts and of erased subjects; give the charters."""
    for head in await store.lanes():
        await _read_lane(store, custody, state, head, workspace, found)
    workspace.execute("CREATE INDEX written_by_name ON written (subject_ref, dataset, record_key, data_class)")
    return await _read_charters(store, found)


async def _read_charters(store: Store, found: AuditReport) -> Charters:
    charters, epoch = Charters(), 0
    while rules := await store.rules(after_epoch=epoch, rules_max=RULES_PER_FETCH_MAX):
        epoch = rules[-1].batch.epoch + 1
        for rule in rules:
            place = f"rule {rule.batch.epoch + 1}"
            try:
                entry = e.parse_entry(rule.batch.entries[0], place=place) if rule.batch.entries else None
                if not isinstance(entry, e.CharterEnacted):
                    continue
                if hashlib.sha256(rule.blob).digest() != entry.digest:
                    found.add(place, "the charter's file is missing or is not the one enacted")
                    continue
                charter = parse_charter(rule.blob, file=f"{entry.name}@{entry.version}")
            except (ProofInvalidError, CharterInvalidError) as error:
                found.add(place, error.message)
            else:
                charters.add(charter, epoch=rule.batch.epoch + 1)
    return charters


# --- lanes -----------------------------------------------------------------------------------------------------------


async def _read_lane(
    store: Store,
    custody: KeyCustody,
    state: State,
    newest: LaneHead,
    workspace: sqlite3.Connection,
    found: AuditReport,
) -> None:
    """Check a lane's chain and note what its entries say of rows: rule 1."""
    head = LaneHead(lane=newest.lane)
    seals = {seal.n: seal.leaf for seal in await store.seals(newest.lane, after_n=0)}
    sealed_n = 0
    try:
        while batches := await store.batches(newest.lane, after_n=head.n, batches_max=BATCHES_PER_FETCH_MAX):
            for stored in batches:
                head = _read_batch(custody, head, stored, workspace, found)
                if leaf := seals.pop(stored.n, None):
                    _check_seal(state, head, leaf)
                    sealed_n = stored.n
    except (ProofInvalidError, IntegrityError) as error:
        found.add(f"lane {newest.lane} after batch {head.n}", error.message)
        return
    if head != newest:
        found.add(f"lane {newest.lane}", f"its head is batch {newest.n}, but its batches end at {head.n}")
    for n in sorted(seals):
        found.add(f"lane {newest.lane} seal {n}", "there is a seal of a batch that is not there")
    found.batches_unsealed += head.n - sealed_n


def _read_batch(
    custody: KeyCustody, head: LaneHead, stored: StoredBatch, workspace: sqlite3.Connection, found: AuditReport
) -> LaneHead:
    place = f"lane {stored.lane} batch {stored.n}"
    header, entries = parse_stored_batch(stored.header, stored.entries, place=place)
    following = verify_batch(head, header, header_leaf=stored.header, entries=stored.entries, place=place)
    packed = custody.open_detail(lane=stored.lane, n=stored.n, sealed=stored.detail)
    openings = parse_detail(packed, entries=len(entries), place=place)
    for position, opening in enumerate(openings):
        commitment = e.commitment_of(entries[position])
        if opening is not None and (commitment is None or e.commit(opening) != commitment):
            raise ProofInvalidError(f"the opening of entry {position} is not what it commits to", place=place)
    when = (header.epoch, header.at_ms, header.lane, header.n)
    workspace.executemany(_NOTE, [(*said, *when) for said in _said_of_parts(entries, openings, place)])
    erased = [
        (reference,)
        for entry, opening in zip(entries, openings, strict=True)
        if isinstance(entry, e.SubjectErased) and opening is not None
        for reference in e.parse_about(opening, place=place).subjects
    ]
    workspace.executemany("INSERT OR IGNORE INTO erased VALUES (?)", erased)
    found.batches += 1
    return following


def _said_of_parts(
    entries: Sequence[e.AnyLeaf], openings: Sequence[bytes | None], place: str
) -> Iterator[tuple[bytes, str, bytes, str, int, bytes]]:
    """Give what the write entries of a batch say of parts: rule 2. Entries of one request may say the same twice."""
    said: dict[tuple[bytes, str, bytes, str, int, bytes], None] = {}
    for entry, opening in zip(entries, openings, strict=True):
        if not isinstance(entry, e.Access) or entry.verb != "write" or opening is None or not is_given(entry):
            continue
        about = e.parse_about(opening, place=place)
        owner = dict(zip(about.records, about.subjects, strict=False))
        for part in about.written:
            identity = part.record_key in about.subjects  # a user id's part is kept under the subject's own reference
            reference = part.record_key if identity else owner.get(part.record_key)
            if reference is None:
                raise ProofInvalidError("a write entry does not say whose record it wrote", place=place)
            dataset = IDENTITY_DATASET if identity else part.dataset or entry.dataset
            said[reference, dataset, part.record_key, part.data_class, part.version, part.digest] = None
    return iter(said)


def _check_seal(state: State, head: LaneHead, leaf: bytes) -> None:
    seal = e.parse_entry(leaf, place=f"lane {head.lane} seal {head.n}")
    if not isinstance(seal, e.Seal) or (seal.lane, seal.n, seal.head) != (head.lane, head.n, head.hash):
        raise ProofInvalidError(f"the seal of batch {head.n} is over another batch")
    known = state.lanes.get(head.lane)
    if known is None:
        raise ProofInvalidError("no rule ever certified the lane")
    verify_seal(seal, origin=state.origin, key=known.key)


# --- what must be stored ---------------------------------------------------------------------------------------------


def expectations(workspace: sqlite3.Connection) -> Iterator[Expected]:
    """Give what must be stored of every part that entries say something of, by subject, dataset, record and class."""
    for name, rows in groupby(workspace.execute(_WRITTEN), key=lambda row: row[:4]):
        yield resolve_chain(PartName(*name), [_Step(*row[4:]) for row in rows])


def resolve_chain(name: PartName, steps: Sequence[tuple[int, bytes, int, int, int, int]]) -> Expected:
    """Give what a part's entries leave stored: rules 3 and 4.

    Args:
        name: the part.
        steps: (version, digest, epoch, at_ms, lane, n) of each write, and of each deletion with its version negated;
            in any order.
    """
    chain = [_Step(*step) for step in steps]
    if len(chain) == 1 and chain[0].version == 1:
        return Expected(name, 1, {chain[0].digest: chain[0].epoch})
    left = Counter(step.version for step in chain if step.version > 0)
    for step in chain:
        if step.version < 0:
            left.subtract(range(1, -step.version + 1))
    top = max((version for version, times in left.items() if times > 0), default=0)
    if any(times != (version <= top) for version, times in left.items()) or any(
        left[version] != 1 for version in range(1, top + 1)
    ):
        return Expected(name, 0, {}, broken=True)
    return Expected(name, top, _newest([step for step in chain if step.version == top]) if top else {})


def _newest(writes: Sequence[_Step]) -> dict[bytes, int]:
    """Give the digests of the writes that may be the last of these, which all left the same version: rule 4."""
    last = max(writes, key=lambda step: (step.epoch, step.at_ms, step.n))
    by_lane: dict[int, _Step] = {}
    for step in sorted(writes, key=lambda step: step.n):
        by_lane[step.lane] = step
    return {
        step.digest: step.epoch
        for step in by_lane.values()
        if step.epoch == last.epoch and last.at_ms - step.at_ms <= CLOCKS_APART_MS_MAX
    }
