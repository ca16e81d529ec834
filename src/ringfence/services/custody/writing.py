"""Writing records: split by class, sealed under the subject's keys, versioned, in the transaction of their entry.

Rules of this file:
1. The class of every field comes from the charter and the record itself; what the charter does not name is protected.
2. A write replaces the whole record. Parts of classes that the new record does not have are deleted with it. It is for
   whoever may write every class that what is stored of the record can have by the charter in force, which may be others
   than it was stored as. Nothing is opened to find out which of them it has: what is stored is planned on by its
   versions alone, and a class too many that is asked for can refuse a write, never permit one.
3. Moving a record out of `protected` is a downgrade: an entry of its own, counted and limited by the clause.
4. What a write is planned on (versions, subject, counter) is checked by the store; when it moved, plan again. So it is
   when a charter came that says something else of the fields.
5. A `request_id` is kept with a digest of the request: the same request again is answered from it, another one with
   the same id is refused.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ringfence.core.charter.catalog import Kept, class_of_record, classify_record
from ringfence.core.envelope import NONCE_SIZE_BYTES, PLAINTEXT_SIZE_BYTES_MAX, PartName, seal_part
from ringfence.core.errors import ConflictError, IntegrityError, LimitExceededError
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.receipt import Receipt, render_receipt
from ringfence.core.ports import (
    ItemConflictError,
    PartDrop,
    PartsWrite,
    SearchWrite,
    write_part,
)
from ringfence.core.searchable import normalize
from ringfence.core.state import State
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.granting import load_grant
from ringfence.services.custody.late_refusals import LateRefusal
from ringfence.services.custody.opening import RecordName, render_plaintext
from ringfence.services.custody.record_keys import blind_record
from ringfence.services.custody.refusing import refuse_ruling
from ringfence.services.custody.request import ITEMS_PER_BATCH_MAX, Caller
from ringfence.services.custody.request_checks import check_name, check_purpose, find_dataset
from ringfence.services.custody.wards import Ward, find_wards
from ringfence.services.custody.write_entries import (
    Asking,
    Group,
    Groups,
    counters_of,
    decide_groups,
    leaves_protected,
    request_of,
    rule_group,
)
from ringfence.services.jobs import Prepared

REQUEST_ID_SIZE_BYTES_MAX: Final = 200
ATTEMPTS_MAX: Final = 8
CODE_SIZE_BYTES: Final = 32


class WriteItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record to store: where, and its fields as JSON values."""

    user: str
    dataset: str
    record: str
    fields: dict[str, Any]

    @property
    def name(self) -> RecordName:
        """Which record it is."""
        return RecordName(self.user, self.dataset, self.record)


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """The stored version of each record, in order, and the receipt. `repeated` when it had been taken before."""

    versions: list[int]
    receipt: str
    repeated: bool = False


async def write_records(
    gate: Gate, caller: Caller, *, purpose: str, items: Sequence[WriteItem], request_id: str = ""
) -> WriteAnswer:
    """Store records; all of them or none.

    Args:
        items: 1 to `ITEMS_PER_BATCH_MAX` records, none named twice.
        request_id: makes a retry safe; at most 200 bytes, "" for none.

    Raises:
        DeniedError: some class of some record may not be written; nothing was stored.
        ConflictError: the request_id was used for another request, or other writers were faster too often.
        LimitExceededError, InvalidInputError, UnavailableError: as for reading.
    """
    _check(gate, items, purpose, request_id)
    mark = _request_key(gate, caller, purpose, items, request_id) if request_id else None
    for _ in range(ATTEMPTS_MAX):
        try:
            return await _Writing(gate, caller, purpose, items, mark).run()
        except ItemConflictError as error:
            if error.reason == "data":
                raise IntegrityError("the database refuses the record", hint="see the operator's log") from error
            for user in {item.user for item in items}:
                gate.subjects.drop(user)
    raise ConflictError("other writers changed the same records too often meanwhile", hint="try again")


def _check(gate: Gate, items: Sequence[WriteItem], purpose: str, request_id: str) -> None:
    if not 1 <= len(items) <= ITEMS_PER_BATCH_MAX:
        raise LimitExceededError(
            f"a batch holds 1 to {ITEMS_PER_BATCH_MAX} records, not {len(items)}",
            limit="items_per_batch_max",
            value_max=ITEMS_PER_BATCH_MAX,
        )
    check_purpose(gate, purpose)
    if request_id:
        check_name(request_id, "request_id", size_bytes_max=REQUEST_ID_SIZE_BYTES_MAX)
    for item in items:
        check_name(item.user, "user")
        check_name(item.record, "record")
    if len({item.name for item in items}) != len(items):
        raise ConflictError("a batch names one record twice", hint="send each record once")


def _request_key(
    gate: Gate, caller: Caller, purpose: str, items: Sequence[WriteItem], request_id: str
) -> tuple[bytes, bytes]:
    """Give the key and the digest of a request; without the custodian's keys neither says what was asked for."""
    key = gate.keys.code("request", b"%d\x00%b" % (caller.principal, request_id.encode()))
    return key, gate.keys.code("request content", msgspec.json.encode([purpose, items], order="sorted"))


def _render_mark(gate: Gate, mark: tuple[bytes, bytes], versions: list[int]) -> tuple[bytes, bytes, bytes]:
    """Give what is kept of a request: its answer is authenticated, so that nobody else can plant one."""
    answer = msgspec.json.encode(versions)
    return (*mark, gate.keys.code("request answer", mark[0] + mark[1] + answer) + answer)


async def _earlier(gate: Gate, mark: tuple[bytes, bytes], items: Sequence[WriteItem]) -> WriteAnswer | None:
    """Give the answer of an earlier request with the same id and content; None when there was none.

    Raises:
        ConflictError: the id was used for another request, or a user of it was erased since.
        IntegrityError: what is kept of it was not written by this program.
    """
    stored = await gate.store.request(mark[0])
    if stored is None:
        return None
    if stored.digest != mark[1]:
        raise ConflictError("this request_id was used for another request", hint="use a new request_id")
    code, answer = stored.answer[:CODE_SIZE_BYTES], stored.answer[CODE_SIZE_BYTES:]
    if not hmac.compare_digest(code, gate.keys.code("request answer", mark[0] + mark[1] + answer)):
        raise IntegrityError("a request is marked as taken by something that is not this program")
    for user in {item.user for item in items}:
        if await gate.subjects.find(user, fresh=True) is None:
            raise ConflictError("this request was taken before, and a user of it is gone since")
    batch = await gate.store.find_batch(stored.lane, stored.n)
    if batch is None:
        raise IntegrityError("a request is marked as taken, but its ledger entry is missing")
    receipt = Receipt(stored.lane, stored.n, stored.position, hash_leaf(batch.entries[stored.position]))
    return WriteAnswer(msgspec.json.decode(answer, type=list[int]), render_receipt(receipt), repeated=True)


class _Writing:
    """One write on its way: planned once, prepared on each state that it meets."""

    def __init__(
        self,
        gate: Gate,
        caller: Caller,
        purpose: str,
        items: Sequence[WriteItem],
        mark: tuple[bytes, bytes] | None,
    ) -> None:
        self._gate = gate
        self._items = items
        self._mark = mark
        self._asking = Asking(
            caller=caller, purpose=purpose, shape="bulk" if len({item.user for item in items}) > 1 else "single"
        )
        self._groups = Groups(gate, self._asking)
        self._wards: dict[str, Ward] = {}
        self._kept: dict[str, Kept] = {}
        self._writes: list[PartsWrite] = []
        self._drops: list[PartDrop] = []
        self._searches: list[SearchWrite] = []
        self._versions: list[int] = []
        self._lane = gate.bulk if len(items) > 1 else gate.singles
        self._refusal = LateRefusal(gate.refusals, caller.principal)

    async def run(self) -> WriteAnswer:
        """Take the write through the main path."""
        gate = self._gate
        parts = [classify_record(find_dataset(gate, item.dataset), item.fields) for item in self._items]
        self._kept = {item.dataset: gate.keeper.state.datasets[item.dataset] for item in self._items}
        await self._refuse_if_denied(parts)
        if self._mark and (earlier := await _earlier(gate, self._mark, self._items)):
            return earlier
        self._wards = await find_wards(gate, sorted({item.user for item in self._items}))
        names = [
            (item.dataset, ward.subject_ref, blind_record(gate.keys, item.dataset, ward.subject_ref, item.record))
            for item in self._items
            for ward in (self._wards[item.user],)
        ]
        stored = await gate.store.versions(names)
        for item, split, (_, _, key), known in zip(self._items, parts, names, stored, strict=True):
            self._plan(item, split, key, dict(known))
        await self._refuse_groups()
        counters = counters_of(gate.keeper.state, self._groups.all(), self._asking, at_ms=gate.clock_ms())
        for counter in counters:
            await self._lane.counters.load(counter)
        await load_grant(gate, self._lane, self._asking.caller)
        committed = await self._lane.submit(self._prepare)
        self._refusal.raise_with(committed.receipt_text)
        return WriteAnswer(self._versions, committed.receipt_text)

    async def _refuse_if_denied(self, parts: Sequence[Mapping[str, Any]]) -> None:
        """Refuse before anything is looked up: the whole request, dataset by dataset, with its number of records."""
        classes: dict[str, set[str]] = {}
        counts: dict[str, int] = {}
        for item, split in zip(self._items, parts, strict=True):
            classes.setdefault(item.dataset, set()).update(split)
            counts[item.dataset] = counts.get(item.dataset, 0) + 1
        for dataset, asked in classes.items():
            group = Group(find_dataset(self._gate, dataset), records_max=0, count=counts[dataset], classes=asked)
            await self._refuse_group(group, {item.user for item in self._items if item.dataset == dataset})

    async def _refuse_groups(self) -> None:
        """Refuse when a part that the write would delete is of a class that this caller may not write."""
        for group in self._groups.all():
            await self._refuse_group(group, {item.user for item in self._items})

    async def _refuse_group(self, group: Group, users: set[str]) -> None:
        gate = self._gate
        ruling = rule_group(gate.keeper.state, gate.clock_ms(), group=group, asking=self._asking)
        denied = group.classes - set(ruling.permitted)
        if denied:
            refused = Group(group.dataset, records_max=0, count=group.count, classes=denied)
            rule = functools.partial(rule_group, group=refused, asking=self._asking)
            about = e.About(unknown=[gate.subjects.index(user) for user in sorted(users)])
            raise await refuse_ruling(gate, request_of(refused, self._asking), group.dataset, about, rule=rule)

    # -- planning ------------------------------------------------------------------------------------------------

    def _plan(self, item: WriteItem, split: Mapping[str, Mapping[str, Any]], key: bytes, known: dict[str, int]) -> None:
        """Seal the record's parts and note what becomes of those that are stored."""
        ward, group = self._wards[item.user], self._groups.open(item.dataset)
        written = self._identity(ward)
        own_class = class_of_record(group.dataset, item.fields) if group.dataset.record_class else ""
        if leaves_protected(own_class, known, split):
            group.downgraded.setdefault(own_class, []).append((ward.subject_ref, key))
        for data_class in sorted(self._kept[item.dataset].classes_now(known).difference(known, split)):
            written.append(e.Written(key, data_class, 0, b""))
        version = 0
        for data_class, fields in split.items():
            name = PartName(item.dataset, ward.subject_ref, key, data_class)
            version = known.pop(data_class, 0) + 1
            sealed = self._seal(ward, name, version, render_plaintext(item.record, fields))
            written.append(e.Written(key, data_class, version, hashlib.sha256(sealed).digest()))
        for data_class, old in known.items():
            self._drops.append(PartDrop(0, PartName(item.dataset, ward.subject_ref, key, data_class), old))
            written.append(e.Written(key, data_class, -old, b""))
        group.add(ward.subject_ref, key, written=written)
        self._versions.append(version)
        self._plan_searches(item, key, ward)

    def _seal(self, ward: Ward, name: PartName, version: int, plaintext: bytes) -> bytes:
        if len(plaintext) > PLAINTEXT_SIZE_BYTES_MAX:
            raise LimitExceededError(
                "a record is too large", limit="plaintext_size_bytes_max", value_max=PLAINTEXT_SIZE_BYTES_MAX
            )
        cipher = ward.cipher(name.data_class, self._gate.keys)
        sealed = seal_part(cipher, name, version=version, plaintext=plaintext, nonce=os.urandom(NONCE_SIZE_BYTES))
        self._writes.append(write_part(name, version=version, sealed=sealed))
        return sealed

    def _identity(self, ward: Ward) -> list[e.Written]:
        """Store a new user's sealed id with the first record that is written of the user."""
        written: list[e.Written] = []
        for name, sealed in ward.identity_part(self._gate.keys):
            self._writes.append(write_part(name, version=1, sealed=sealed))
            written.append(e.Written(name.record_key, name.data_class, 1, hashlib.sha256(sealed).digest()))
        return written

    def _plan_searches(self, item: WriteItem, key: bytes, ward: Ward) -> None:
        for searchable in self._gate.keeper.state.rules.searchable:
            if searchable.dataset != item.dataset:
                continue
            label = f"{searchable.dataset}.{searchable.field}"
            value = item.fields.get(searchable.field)
            token = None
            if isinstance(value, str) and (text := normalize(value, searchable.normalize)):
                token = self._gate.keys.index(label, text.encode("utf-8", "surrogatepass"))
            self._searches.append(SearchWrite(0, label, ward.subject_ref, key, token))

    # -- the batch -----------------------------------------------------------------------------------------------

    def _prepare(self, state: State, at_ms: int) -> Prepared:
        """Decide on this state and give entries and rows; when it forbids the write now, only the refusal's entry.

        Raises:
            ItemConflictError: since the write was planned a user was erased, or a charter came that says something else
                of the fields: it must be planned again.
        """
        if any(state.datasets[dataset] != kept for dataset, kept in self._kept.items()):
            raise ItemConflictError([0], reason="charter")
        wards = self._wards.values()
        if any(ward.subject_ref in self._gate.erased for ward in wards):
            raise ItemConflictError([0], reason="subject")
        counters = self._lane.counters
        decided = decide_groups(
            self._gate, state, self._groups.all(), self._asking, last=counters.last_steps(), at_ms=at_ms
        )
        if decided.denied:
            return self._refusal.prepare(decided.denied, reason=decided.code, at_ms=at_ms)
        self._refusal.forget()
        counters.take(decided.counts)
        return Prepared(
            entries=decided.entries,
            openings=decided.openings,
            subjects=[row for ward in wards for row in ward.new_subject()],
            keys=[row for ward in wards for row in ward.new_keys()],
            writes=self._writes,
            drops=self._drops,
            searches=self._searches,
            counts=decided.counts,
            mark=_render_mark(self._gate, self._mark, self._versions) if self._mark else None,
        )
