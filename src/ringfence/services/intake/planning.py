"""From a chunk to the rows of its transaction: what is there already is left alone, the rest is sealed.

Rules of this file:
1. A record that is named by its content is there or not; it never changes. Its being there is told by its blinded
   name, so nothing stored is ever opened.
2. A record of which a user has one is stored again, as the next version, when it says something that no export of
   this user that was taken in has said before: see `ports.TAKEN_DATASET`.
3. What is planned on (subject, versions, what the charters say of the fields) is checked when it is written; when it
   moved, plan again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import compress
from typing import Final

from ringfence.core.charter.catalog import Kept
from ringfence.core.envelope import PartName, WrappedKey, seal_part
from ringfence.core.ledger import entry as e
from ringfence.core.ports import (
    JURISDICTION_DATASET,
    TAKEN_DATASET,
    KeyRow,
    NewKey,
    NewSubject,
    PartDrop,
    PartsWrite,
    SearchWrite,
    Subject,
    write_part,
)
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.record_keys import blind_record, blind_records
from ringfence.services.custody.wards import Ward
from ringfence.services.custody.write_entries import Asking, Group, Groups, leaves_protected
from ringfence.services.intake.chunk import Chunk
from ringfence.services.intake.entries import NewRecords
from ringfence.services.intake.messages import ManyRows, Piece, Row, SealedRows
from ringfence.services.intake.sealing import Nonces, UserSealer, mark_name, open_piece
from ringfence.services.subjects import open_subject

ROWS_PER_TURN: Final = 500


@dataclass(slots=True)
class Tally:
    """What a plan does to one user's records."""

    new: int = 0
    changed: int = 0
    known: int = 0


@dataclass(slots=True)
class Plan:
    """The rows of one chunk, and what they mean for each user."""

    groups: list[Group] = field(default_factory=list)
    subjects: list[NewSubject] = field(default_factory=list)
    keys: list[NewKey] = field(default_factory=list)
    writes: list[PartsWrite] = field(default_factory=list)
    drops: list[PartDrop] = field(default_factory=list)
    searches: list[SearchWrite] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    references: dict[str, bytes] = field(default_factory=dict)
    known_users: set[str] = field(default_factory=set)
    kept: dict[str, Kept] = field(default_factory=dict)


@dataclass(slots=True)
class _Stored:
    """What the store holds of one user, by (dataset, record): the blinded name, and its (class, version) pairs."""

    keys: dict[tuple[str, str], bytes] = field(default_factory=dict)
    versions: dict[tuple[str, str], list[tuple[str, int]]] = field(default_factory=dict)


async def plan_chunk(gate: Gate, chunk: Chunk, asking: Asking) -> Plan:
    """Plan one chunk on what the store holds now."""
    users = list(chunk.users)
    indexes = [gate.subjects.index(user) for user in users]
    planner = _Planner(gate, asking)
    for user, index, subject in zip(users, indexes, await gate.store.resolve(indexes), strict=True):
        planner.begin(user)
        if subject is None:
            await planner.plan_new(user, index, chunk.pieces[user])
        else:
            await planner.plan_known(user, subject, chunk.pieces[user])
    return planner.finish()


class _Planner:
    """One plan on its way."""

    def __init__(self, gate: Gate, asking: Asking) -> None:
        self._gate = gate
        self._keys = gate.keys
        self._nonces = Nonces()
        self._groups = Groups(gate, asking)
        self._identity_dataset = gate.keeper.state.rules.identity.dataset
        self._plan = Plan()
        self._new = NewRecords()
        self._tally = Tally()
        self._turn = 0

    def begin(self, user: str) -> None:
        """Go on with another user."""
        self._tally = self._plan.tallies[user] = Tally()

    def finish(self) -> Plan:
        """Give the plan."""
        self._new.name_in(self._groups)
        self._plan.groups = self._groups.all()
        return self._plan

    # -- a user who is new to the vault --------------------------------------------------------------------------

    async def plan_new(self, user: str, index: bytes, pieces: Sequence[Piece]) -> None:
        """Plan a user of whom nothing is stored."""
        ready = pieces[0].sealed
        if ready is not None and len(pieces) == 1:
            reference = ready.subject_ref
            await self._place(reference, ready.rows)
            keys = [KeyRow(reference, *key[:2], WrappedKey(*key[2:])) for key in ready.keys]
        else:
            ward = Ward(user, index, None)
            sealer = self._sealer(ward)
            for place, piece in enumerate(open_piece(piece, self._keys) for piece in pieces):
                await self._place(ward.subject_ref, sealer.seal_piece(piece.rows, piece.many, first=place == 0))
            reference, keys = ward.subject_ref, [key.row for key in ward.new_keys()]
        self._plan.references[user] = reference
        self._plan.subjects.append(NewSubject(0, reference, index))
        self._plan.keys += [NewKey(0, key) for key in keys]
        self._tally.new += sum(piece.weigh().records for piece in pieces)

    # -- a user of whom something is stored: rules 1 and 2 -------------------------------------------------------

    async def plan_known(self, user: str, subject: Subject, pieces: Sequence[Piece]) -> None:
        """Plan the pieces of a user of whom something is stored."""
        self._plan.references[user] = subject.subject_ref
        self._plan.known_users.add(user)
        ward = Ward(user, subject.user_index, open_subject(user, subject, self._keys, expires_at=math.inf))
        sealer = self._sealer(ward)
        opened = [open_piece(piece, self._keys) for piece in pieces]
        stored = await self._find_stored(ward.subject_ref, opened)
        for piece in opened:
            for row in piece.rows:
                await self._plan_known_row(ward, sealer, row, stored)
            await self._plan_known_many(ward, sealer, piece.many, stored)
        self._plan.keys += ward.new_keys()

    async def _find_stored(self, reference: bytes, pieces: Sequence[Piece]) -> _Stored:
        """Ask the store, in one question, for everything of a user that the pieces name."""
        stored = _Stored()
        for piece in pieces:
            for row in piece.rows:
                names = [(row.dataset, row.record)]
                names += [(TAKEN_DATASET, mark_name(row))] if row.mark else []
                stored.keys.update({name: blind_record(self._keys, name[0], reference, name[1]) for name in names})
            datasets = piece.many.datasets()
            keys = blind_records(self._keys, datasets, reference, piece.many.records)
            stored.keys.update(zip(zip(datasets, piece.many.records, strict=True), keys, strict=True))
        asked = [(dataset, reference, key) for (dataset, _), key in stored.keys.items()]
        stored.versions = dict(zip(stored.keys, await self._gate.store.versions(asked), strict=True))
        return stored

    async def _plan_known_row(self, ward: Ward, sealer: UserSealer, row: Row, stored: _Stored) -> None:
        name = (row.dataset, row.record)
        found = stored.versions[name]
        is_taken = bool(stored.versions[(TAKEN_DATASET, mark_name(row))] if row.mark else found)
        if row.dataset != JURISDICTION_DATASET:
            self._tally.known += is_taken
            self._tally.new += not is_taken and not found
            self._tally.changed += not is_taken and bool(found)
        if is_taken:
            return
        if found:
            self._replace(ward, row, stored.keys[name], dict(found))
        await self._place(ward.subject_ref, sealer.seal_mark(row) if found else sealer.seal_row(row))

    async def _plan_known_many(self, ward: Ward, sealer: UserSealer, many: ManyRows, stored: _Stored) -> None:
        missing = [not stored.versions[name] for name in zip(many.datasets(), many.records, strict=True)]
        new = sum(missing)
        self._tally.known += len(missing) - new
        self._tally.new += new
        if new:
            await self._place(ward.subject_ref, sealer.seal_many(many.pick(missing)))

    def _replace(self, ward: Ward, row: Row, key: bytes, known: dict[str, int]) -> None:
        """Seal a record's next version; drop the parts of classes that it has no more."""
        plan, reference, dataset = self._plan, ward.subject_ref, row.dataset
        own = dataset if dataset == JURISDICTION_DATASET else ""
        group = self._groups.open(self._identity_dataset if own else dataset)
        group.count += 1
        group.subjects.append(reference)
        group.records.append(key)
        if leaves_protected(row.own_class, known, [data_class for data_class, _ in row.parts]):
            group.downgraded.setdefault(row.own_class, []).append((reference, key))
        for data_class in self._classes_now(dataset, known).difference(known, [name for name, _ in row.parts]):
            group.written.append(e.Written(key, data_class, 0, b"", own))
            group.classes.add(data_class)
        for data_class, plaintext in row.parts:
            name, version = PartName(dataset, reference, key, data_class), known.pop(data_class, 0) + 1
            cipher = ward.cipher(data_class, self._keys)
            sealed = seal_part(cipher, name, version=version, plaintext=plaintext, nonce=self._nonces.take())
            plan.writes.append(write_part(name, version=version, sealed=sealed))
            group.written.append(e.Written(key, data_class, version, sha256(sealed).digest(), own))
            group.classes.add(data_class)
        for data_class, version in known.items():
            plan.drops.append(PartDrop(0, PartName(dataset, reference, key, data_class), version))
            group.written.append(e.Written(key, data_class, -version, b"", own))
            group.classes.add(data_class)
        for label, text in row.searched:
            token = self._keys.index(label, text.encode("utf-8", "surrogatepass")) if text else None
            plan.searches.append(SearchWrite(0, label, reference, key, token))

    def _classes_now(self, dataset: str, known: Collection[str]) -> frozenset[str]:
        """Give every class that what is stored of a record can have now: see `catalog.Kept`."""
        if dataset == JURISDICTION_DATASET:  # this program's own, which no charter names
            return frozenset(known)
        kept = self._plan.kept[dataset] = self._gate.keeper.state.datasets[dataset]
        return kept.classes_now(known)

    # -- both ----------------------------------------------------------------------------------------------------

    def _sealer(self, ward: Ward) -> UserSealer:
        return UserSealer(self._keys, ward, identity_dataset=self._identity_dataset, nonces=self._nonces)

    async def _place(self, reference: bytes, rows: SealedRows) -> None:
        """Put sealed rows of a user into the plan."""
        plan, datasets = self._plan, rows.datasets()
        for data_class, (sealed, _) in rows.parts.items():
            named = (datasets, rows.keys, sealed)
            if b"" in sealed:
                named = ([*compress(datasets, sealed)], [*compress(rows.keys, sealed)], [*filter(None, sealed)])
            plan.writes.append(PartsWrite(0, reference, data_class, 1, *named))
        plan.searches += [SearchWrite(0, label, reference, key, token) for label, key, token in rows.searched]
        self._new.add(reference, rows)
        await self._give_way(len(rows.keys))

    async def _give_way(self, rows: int) -> None:
        """Let the lane's writer turn its batches round while the next one is planned."""
        self._turn += rows
        if self._turn >= ROWS_PER_TURN:
            self._turn = 0
            await asyncio.sleep(0)
