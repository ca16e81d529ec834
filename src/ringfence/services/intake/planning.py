"""From a chunk to the rows of its transaction: what is there already is left alone, the rest is sealed.

Rules of this file:
1. A record that is named by its content is there or not; it never changes. Its being there is told by its blinded
   name, so nothing stored is ever opened.
2. A record of which a user has one is stored again, as the next version, when it says something that no export of
   this user that was taken in has said before: see `ports.TAKEN_DATASET`.
3. What is planned on (subject, versions) is checked by the store in the transaction; when it moved, plan again.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from ringfence.core import entry as e
from ringfence.core.charter import PROTECTED
from ringfence.core.envelope import NONCE_SIZE_BYTES, PartName, seal_new_parts, seal_part
from ringfence.core.ports import (
    JURISDICTION_DATASET,
    TAKEN_DATASET,
    NewKey,
    NewSubject,
    PartDrop,
    PartWrite,
    SearchWrite,
    Subject,
)
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.opening import render_plaintext
from ringfence.services.custody.wards import Ward
from ringfence.services.intake.chunk import Chunk
from ringfence.services.intake.entries import Asking, Group, Groups
from ringfence.services.intake.messages import ManyRows, Row
from ringfence.services.subjects import KnownSubject

ROWS_PER_TURN: Final = 500
NONCES_PER_CALL: Final = 1_000


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
    writes: list[PartWrite] = field(default_factory=list)
    drops: list[PartDrop] = field(default_factory=list)
    searches: list[SearchWrite] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    references: dict[str, bytes] = field(default_factory=dict)
    known_users: set[str] = field(default_factory=set)


async def plan_chunk(gate: Gate, chunk: Chunk, asking: Asking) -> Plan:
    """Plan one chunk on what the store holds now."""
    users = list(chunk.users)
    indexes = [gate.subjects.index(user) for user in users]
    planner = _Planner(gate, asking)
    for user, index, subject in zip(users, indexes, await gate.store.resolve(indexes), strict=True):
        await planner.plan_user(user, index, subject, chunk.rows[user], chunk.many[user])
    return planner.finish()


class _Nonces:
    """Random nonces, many for each call of the system."""

    def __init__(self) -> None:
        self._block = b""
        self._used = 0

    def take(self, count: int = 1) -> bytes:
        """Give so many nonces that were never given before, one after the other."""
        start, size = self._used, count * NONCE_SIZE_BYTES
        if start + size > len(self._block):
            self._block, start = os.urandom(max(NONCES_PER_CALL * NONCE_SIZE_BYTES, size)), 0
        self._used = start + size
        return self._block[start : self._used]


class _Planner:
    """One plan on its way."""

    def __init__(self, gate: Gate, asking: Asking) -> None:
        self._gate = gate
        self._keys = gate.keys
        self._nonces = _Nonces()
        self._groups = Groups(gate, asking)
        self._identity_dataset = gate.keeper.state.rules.identity.dataset
        self._plan = Plan()
        self._turn = 0

    async def plan_user(
        self, user: str, index: bytes, subject: Subject | None, rows: Sequence[Row], many: Sequence[ManyRows]
    ) -> None:
        """Plan one user's rows."""
        plan = self._plan
        ward = Ward(user, index, KnownSubject(subject, expires_at=math.inf) if subject else None)
        tally = plan.tallies[user] = Tally()
        plan.references[user] = ward.subject_ref
        if subject is None:
            await self._plan_new(ward, rows, many, tally)
        else:
            plan.known_users.add(user)
            await self._plan_known(ward, rows, tally)
            for some in many:
                await self._plan_known_many(ward, some, tally)
        plan.subjects += ward.new_subject()
        plan.keys += ward.new_keys()

    def finish(self) -> Plan:
        """Give the plan."""
        self._plan.groups = self._groups.all()
        return self._plan

    async def _plan_new(self, ward: Ward, rows: Sequence[Row], many: Sequence[ManyRows], tally: Tally) -> None:
        """Plan a user of whom nothing is stored."""
        record_key, reference = self._gate.record_key, ward.subject_ref
        group = self._groups.open(self._identity_dataset)
        for row in rows:
            self._seal_record(ward, row, record_key(row.dataset, reference, row.record), {})
            if row.dataset != JURISDICTION_DATASET:
                tally.new += 1
        for some in many:
            keys = self._gate.record_keys(some.dataset, reference, some.records)
            await self._seal_many(ward, some.dataset, keys, some.parts)
            tally.new += len(keys)
        for write in ward.identity_part(self._keys):
            self._plan.writes.append(write)
            self._identify(group if group.records else self._groups.open(self._identity_dataset), ward, write)

    def _identify(self, group: Group, ward: Ward, write: PartWrite) -> None:
        """Name the sealed user id in an entry that names the user."""
        name, version, sealed = write.name, write.version, write.sealed
        if ward.subject_ref not in group.subjects:  # the audit finds the user of an id among the entry's subjects
            group.subjects.append(ward.subject_ref)
            group.records.append(name.record_key)
        group.classes.add(name.data_class)
        group.written.append(e.Written(name.record_key, name.data_class, version, sha256(sealed).digest()))

    async def _plan_known(self, ward: Ward, rows: Sequence[Row], tally: Tally) -> None:
        """Plan a user of whom something is stored: rules 1 and 2."""
        record_key, reference = self._gate.record_key, ward.subject_ref
        keys = [record_key(row.dataset, reference, row.record) for row in rows]
        asked = [(row.dataset, reference, key) for row, key in zip(rows, keys, strict=True)]
        marks = [row for row in rows if row.mark]
        asked += [(TAKEN_DATASET, reference, record_key(TAKEN_DATASET, reference, _mark_name(row))) for row in marks]
        stored = await self._gate.store.versions(asked)
        taken = {id(row) for row, found in zip(marks, stored[len(rows) :], strict=True) if found}
        for row, key, found in zip(rows, keys, stored, strict=False):
            is_taken = id(row) in taken if row.mark else bool(found)
            if not is_taken:
                self._seal_record(ward, row, key, dict(found))
            if row.dataset != JURISDICTION_DATASET:
                tally.known += is_taken
                tally.new += not is_taken and not found
                tally.changed += not is_taken and bool(found)
        await self._give_way(len(rows))

    async def _plan_known_many(self, ward: Ward, many: ManyRows, tally: Tally) -> None:
        """Plan the records of a dataset of which some are stored: rule 1."""
        dataset, reference = many.dataset, ward.subject_ref
        keys = self._gate.record_keys(dataset, reference, many.records)
        stored = await self._gate.store.versions([(dataset, reference, key) for key in keys])
        missing = [place for place, found in enumerate(stored) if not found]
        tally.known += len(keys) - len(missing)
        tally.new += len(missing)
        if missing:
            parts = {name: [texts[place] for place in missing] for name, texts in many.parts.items()}
            await self._seal_many(ward, dataset, [keys[place] for place in missing], parts)

    def _seal_record(self, ward: Ward, row: Row, key: bytes, known: dict[str, int]) -> None:
        """Seal a record's parts and name them in an entry; drop those of classes that it has no more."""
        plan, reference, dataset = self._plan, ward.subject_ref, row.dataset
        is_ours = dataset == JURISDICTION_DATASET
        group = self._groups.open(self._identity_dataset if is_ours else dataset)
        group.count += 1
        group.subjects.append(reference)
        group.records.append(key)
        if known and row.own_class and row.own_class != PROTECTED and row.own_class not in known:
            group.downgraded.append((reference, key))
        first = not known
        for data_class, plaintext in row.parts:
            version = known.pop(data_class, 0) + 1
            self._seal(ward, group, PartName(dataset, reference, key, data_class), version, plaintext)
        for data_class, version in known.items():
            plan.drops.append(PartDrop(0, PartName(dataset, reference, key, data_class), version))
            group.written.append(e.Written(key, data_class, 0, b""))
            group.classes.add(data_class)
        for label, text in row.searched:
            token = self._keys.index(label, text.encode("utf-8", "surrogatepass")) if text else None
            if token is not None or not first:
                plan.searches.append(SearchWrite(0, label, reference, key, token))
        if row.mark:
            name = _mark_name(row)
            mark_key = self._gate.record_key(TAKEN_DATASET, reference, name)
            group.subjects.append(reference)
            group.records.append(mark_key)
            part = PartName(TAKEN_DATASET, reference, mark_key, PROTECTED)
            self._seal(ward, group, part, 1, render_plaintext(name, {}))

    async def _seal_many(
        self, ward: Ward, dataset: str, keys: Sequence[bytes], parts: Mapping[str, Sequence[bytes]]
    ) -> None:
        """Seal new records of one dataset, an entry's worth at a time."""
        start = 0
        while start < len(keys):
            group = self._groups.open(dataset)
            end = start + max(group.room() // len(parts), 1)
            some = keys[start:end]
            group.count += len(some)
            group.subjects += [ward.subject_ref] * len(some)
            group.records += some
            for data_class, plaintexts in parts.items():
                self._seal_class(ward, group, data_class, some, plaintexts[start:end])
            start = end
            await self._give_way(len(some))

    def _seal_class(
        self, ward: Ward, group: Group, data_class: str, keys: Sequence[bytes], plaintexts: Sequence[bytes]
    ) -> None:
        """Seal the parts of one class; b"" stands where a record has none."""
        if b"" in plaintexts:
            present = [pair for pair in zip(keys, plaintexts, strict=True) if pair[1]]
            keys, plaintexts = [key for key, _ in present], [plaintext for _, plaintext in present]
        if not keys:
            return
        dataset, reference = group.dataset.name, ward.subject_ref
        sealed = seal_new_parts(
            ward.cipher(data_class, self._keys),
            dataset=dataset,
            subject_ref=reference,
            data_class=data_class,
            record_keys=keys,
            plaintexts=plaintexts,
            nonces=self._nonces.take(len(keys)),
        )
        group.classes.add(data_class)
        pairs = list(zip(keys, sealed, strict=True))
        self._plan.writes += [
            PartWrite(0, PartName(dataset, reference, key, data_class), 1, part) for key, part in pairs
        ]
        group.written += [e.Written(key, data_class, 1, sha256(part).digest()) for key, part in pairs]

    def _seal(self, ward: Ward, group: Group, name: PartName, version: int, plaintext: bytes) -> None:
        cipher = ward.cipher(name.data_class, self._keys)
        sealed = seal_part(cipher, name, version=version, plaintext=plaintext, nonce=self._nonces.take())
        self._plan.writes.append(PartWrite(0, name, version, sealed))
        own = "" if name.dataset == group.dataset.name else name.dataset
        digest = sha256(sealed).digest()
        group.written.append(e.Written(name.record_key, name.data_class, version, digest, own))
        group.classes.add(name.data_class)

    async def _give_way(self, rows: int) -> None:
        """Let the lane's writer turn its batches round while the next one is planned."""
        self._turn += rows
        if self._turn >= ROWS_PER_TURN:
            self._turn = 0
            await asyncio.sleep(0)


def _mark_name(row: Row) -> str:
    return f"{row.dataset}/{row.record}/{row.mark.hex()}"
