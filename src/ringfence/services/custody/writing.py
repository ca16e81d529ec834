"""Writing records: split by class, sealed under the subject's keys, versioned, in the transaction of their entry.

Rules of this file:
1. The class of every field comes from the charter and the record itself; what the charter does not name is protected.
2. A write replaces the whole record. Parts of classes that the new record does not have are deleted with it.
3. Moving a record out of `protected` is a downgrade: an entry of its own, counted and limited by the clause.
4. What a write is planned on (versions, subject, counter) is checked by the store; when it moved, plan again.
5. A `request_id` is kept with a digest of the request: the same request again is answered from it, another one with
   the same id is refused.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ringfence.core import entry as e
from ringfence.core.catalog import class_of_record, classify_record
from ringfence.core.charter import PROTECTED, Dataset
from ringfence.core.envelope import NONCE_SIZE_BYTES, PLAINTEXT_SIZE_BYTES_MAX, PartName, seal_part
from ringfence.core.errors import ConflictError, DeniedError, IntegrityError, LimitExceededError
from ringfence.core.lane import leaf_hash
from ringfence.core.ports import (
    CountWrite,
    ItemConflictError,
    NewKey,
    NewSubject,
    PartDrop,
    PartWrite,
    SearchWrite,
)
from ringfence.core.receipt import Receipt, render_receipt
from ringfence.core.ruling import Ruling, rule_access
from ringfence.core.state import State
from ringfence.services.custody.counting import bulk_counter, downgrade_counter, group_by_clause, last_step, next_step
from ringfence.services.custody.gate import RULES_CHANGED, Gate
from ringfence.services.custody.opening import RecordName, render_plaintext
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.searching import normalize
from ringfence.services.custody.wards import Ward, find_wards
from ringfence.services.jobs import Prepared

ITEMS_PER_BATCH_MAX: Final = 200
REQUEST_ID_SIZE_BYTES_MAX: Final = 200
ATTEMPTS_MAX: Final = 8


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
    mark = _request_key(caller, purpose, items, request_id) if request_id else None
    for _ in range(ATTEMPTS_MAX):
        if mark and (earlier := await _earlier(gate, mark)):
            return earlier
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
    gate.check_purpose(purpose)
    if request_id:
        gate.check_name(request_id, "request_id", size_bytes_max=REQUEST_ID_SIZE_BYTES_MAX)
    for item in items:
        gate.check_name(item.user, "user")
        gate.check_name(item.record, "record")
    if len({item.name for item in items}) != len(items):
        raise ConflictError("a batch names one record twice", hint="send each record once")


def _request_key(caller: Caller, purpose: str, items: Sequence[WriteItem], request_id: str) -> tuple[bytes, bytes]:
    key = hashlib.sha256(b"%d\x00%b" % (caller.principal, request_id.encode())).digest()
    return key, hashlib.sha256(msgspec.json.encode([purpose, items], order="sorted")).digest()


async def _earlier(gate: Gate, mark: tuple[bytes, bytes]) -> WriteAnswer | None:
    stored = await gate.store.request(mark[0])
    if stored is None:
        return None
    if stored.digest != mark[1]:
        raise ConflictError("this request_id was used for another request", hint="use a new request_id")
    answer = msgspec.json.decode(stored.answer, type=list[int])
    batch = await gate.store.find_batch(stored.lane, stored.n)
    if batch is None:
        raise IntegrityError("a request is marked as taken, but its ledger entry is missing")
    receipt = Receipt(stored.lane, stored.n, stored.position, leaf_hash(batch.entries[stored.position]))
    return WriteAnswer(answer, render_receipt(receipt), repeated=True)


@dataclass(slots=True)
class _Plan:
    """What one dataset's records of a write need: decided on its classes, then written as one access entry each."""

    dataset: Dataset
    request: Request
    classes: set[str] = field(default_factory=set)
    subjects: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    written: list[e.Written] = field(default_factory=list)
    downgraded: list[bytes] = field(default_factory=list)


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
        self._caller = caller
        self._items = items
        self._mark = mark
        self._shape = "bulk" if len({item.user for item in items}) > 1 else "single"
        counts: dict[str, int] = {}
        for item in items:
            counts[item.dataset] = counts.get(item.dataset, 0) + 1
        self._plans = {
            name: _Plan(gate.dataset(name), Request(caller, purpose, "write", self._shape, records))
            for name, records in counts.items()
        }
        self._wards: dict[str, Ward] = {}
        self._subjects: list[NewSubject] = []
        self._keys: list[NewKey] = []
        self._writes: list[PartWrite] = []
        self._drops: list[PartDrop] = []
        self._searches: list[SearchWrite] = []
        self._versions: list[int] = []
        self._lane = gate.bulk if len(items) > 1 else gate.singles
        self._denied = ""

    async def run(self) -> WriteAnswer:
        """Take the write through the main path."""
        gate = self._gate
        parts = [classify_record(self._plans[item.dataset].dataset, item.fields) for item in self._items]
        for item, split in zip(self._items, parts, strict=True):
            self._plans[item.dataset].classes.update(split)
        await self._refuse_if_denied()
        self._wards = await find_wards(gate, sorted({item.user for item in self._items}))
        keys = [gate.record_key(item.dataset, self._wards[item.user].subject_ref, item.record) for item in self._items]
        stored = await gate.store.versions(
            [
                (item.dataset, self._wards[item.user].subject_ref, key)
                for item, key in zip(self._items, keys, strict=True)
            ]
        )
        for item, split, key, known in zip(self._items, parts, keys, stored, strict=True):
            self._plan(item, split, key, dict(known))
        for ward in self._wards.values():
            self._subjects += ward.new_subject()
            self._keys += ward.new_keys()
            self._plan_identity(ward)
        await self._load_counters()
        committed = await self._lane.submit(self._prepare)
        if self._denied:
            raise DeniedError(self._denied, receipt=committed.receipt_text)
        return WriteAnswer(self._versions, committed.receipt_text)

    async def _refuse_if_denied(self) -> None:
        gate = self._gate
        for plan in self._plans.values():
            ruling = self._rule(gate.keeper.state, plan)
            if len(ruling.permitted) != len(plan.classes):
                users = {item.user for item in self._items if item.dataset == plan.dataset.name}
                about = e.About(unknown=[gate.subjects.index(user) for user in sorted(users)])
                rule = functools.partial(self._rule, plan=plan)
                raise await gate.refuse_ruling(plan.request, plan.dataset, about, rule=rule)

    def _rule(self, state: State, plan: _Plan) -> Ruling:
        request = plan.request
        return rule_access(
            state,
            principal=request.caller.principal,
            country=request.caller.country,
            purpose=request.purpose,
            verb=request.verb,
            dataset=plan.dataset.name,
            classes=plan.classes,
            shape=request.shape,
            records=request.records,
        )

    def _plan(self, item: WriteItem, split: Mapping[str, Mapping[str, Any]], key: bytes, known: dict[str, int]) -> None:
        """Seal the record's parts and note what becomes of those that are stored."""
        gate, plan, ward = self._gate, self._plans[item.dataset], self._wards[item.user]
        own_class = class_of_record(plan.dataset, item.fields)
        if known and plan.dataset.record_class and own_class != PROTECTED and own_class not in known:
            plan.downgraded.append(key)
        version = 0
        for data_class, fields in split.items():
            name = PartName(item.dataset, ward.subject_ref, key, data_class)
            plaintext = render_plaintext(item.record, fields)
            if len(plaintext) > PLAINTEXT_SIZE_BYTES_MAX:
                raise LimitExceededError(
                    f"the record {item.record!r:.80} is too large",
                    limit="plaintext_size_bytes_max",
                    value_max=PLAINTEXT_SIZE_BYTES_MAX,
                )
            version = known.pop(data_class, 0) + 1
            sealed = seal_part(
                ward.cipher(data_class, gate.keys),
                name,
                version=version,
                plaintext=plaintext,
                nonce=os.urandom(NONCE_SIZE_BYTES),
            )
            self._writes.append(PartWrite(0, name, version, sealed))
            plan.written.append(e.Written(key, data_class, version, hashlib.sha256(sealed).digest()))
        for data_class, old in known.items():
            self._drops.append(PartDrop(0, PartName(item.dataset, ward.subject_ref, key, data_class), old))
            plan.written.append(e.Written(key, data_class, 0, b""))
        self._versions.append(version)
        plan.subjects.append(ward.subject_ref)
        plan.records.append(key)
        self._plan_searches(item, key, ward)

    def _plan_identity(self, ward: Ward) -> None:
        plan = next(iter(self._plans.values()))
        for write in ward.identity_part(self._gate.keys):
            self._writes.append(write)
            digest = hashlib.sha256(write.sealed).digest()
            plan.written.append(e.Written(write.name.record_key, write.name.data_class, write.version, digest))

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

    async def _load_counters(self) -> None:
        for plan in self._plans.values():
            for decision in self._rule(self._gate.keeper.state, plan).permitted.values():
                for counter in (bulk_counter(decision.clause), downgrade_counter(decision.clause)):
                    await self._lane.counters.load(counter)

    def _prepare(self, state: State, at_ms: int) -> Prepared:
        """Decide on this state and give entries and rows; when it forbids the write now, only the refusal's entry."""
        entries: list[bytes] = []
        openings: list[bytes | None] = []
        counts: list[CountWrite] = []
        last = self._lane.counters.last_steps()
        self._denied = ""
        for plan in self._plans.values():
            for leaf, opening in self._entries(state, plan, last, counts, at_ms):
                entries.append(leaf)
                openings.append(opening)
        if self._denied:  # nothing is stored, and a refusal that was counted adds 0
            counts = [count for count in counts if not count.step.amount]
            self._lane.counters.take(counts)
            return Prepared(entries=entries, openings=openings, counts=counts)
        self._lane.counters.take(counts)
        mark = (*self._mark, msgspec.json.encode(self._versions)) if self._mark else None
        return Prepared(
            entries=entries,
            openings=openings,
            subjects=self._subjects,
            keys=self._keys,
            writes=self._writes,
            drops=self._drops,
            searches=self._searches,
            counts=counts,
            mark=mark,
        )

    def _entries(
        self, state: State, plan: _Plan, last: dict[str, e.Count], counts: list[CountWrite], at_ms: int
    ) -> list[tuple[bytes, bytes | None]]:
        """Give the entries of one dataset; sets `_denied` when the charter or a count forbids the write now."""
        ruling = self._rule(state, plan)
        if len(ruling.permitted) != len(plan.classes):
            self._denied = RULES_CHANGED
        about = e.About(subjects=plan.subjects, records=plan.records, written=plan.written)
        entries: list[tuple[bytes, bytes | None]] = []
        for group in group_by_clause(ruling, plan.request, last=last, at_ms=at_ms):
            if group.step:
                counts.append(CountWrite(0, group.step))
            if group.forbidden:
                self._denied = f"the daily limit of clause `{group.clause}` is reached"
            entries.append(
                self._gate.access_entry(
                    plan.request, dataset=plan.dataset.name, decided=group.decided, about=about, counted=group.step
                )
            )
        if plan.downgraded and not self._denied:
            entries.append(self._downgrade(ruling, plan, last, counts, at_ms))
        return entries

    def _downgrade(
        self, ruling: Ruling, plan: _Plan, last: dict[str, e.Count], counts: list[CountWrite], at_ms: int
    ) -> tuple[bytes, bytes | None]:
        """Give the entry of a move out of `protected`; over the clause's daily limit it is the entry of a refusal."""
        decision = next(d for data_class, d in ruling.permitted.items() if data_class != PROTECTED)
        counter = downgrade_counter(decision.clause)
        step = next_step(last_step(last, counter), amount=len(plan.downgraded), at_ms=at_ms)
        caller = plan.request.caller
        if step.total > decision.downgrades_per_day_max:
            self._denied = f"clause `{decision.clause}` lets no more records become less protected today"
            refusal = e.Refusals(principal=caller.principal, reason="downgrade-limit", requests=1, since_ms=at_ms)
            return e.render_entry(refusal), None
        last[counter] = step
        counts.append(CountWrite(0, step))
        references = [s for s, key in zip(plan.subjects, plan.records, strict=True) if key in set(plan.downgraded)]
        opening = e.render_opening(os.urandom(e.SALT_SIZE_BYTES), e.About(subjects=references, records=plan.downgraded))
        leaf = e.Downgrade(
            principal=caller.principal,
            country=caller.country,
            purpose=plan.request.purpose,
            dataset=plan.dataset.name,
            clause=decision.clause,
            about=e.commit(opening),
            counted=step,
        )
        return e.render_entry(leaf), opening
