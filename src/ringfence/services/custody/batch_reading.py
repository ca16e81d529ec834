"""Reading many records at once: several users, several datasets, in one transaction of the bulk lane.

One entry is written for each dataset and clause, so that a clause's daily count has an entry of its own. Each entry
that rests on a grant counts for the grant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ringfence.core.charter import Dataset
from ringfence.core.decisions.view import Decision
from ringfence.core.errors import ConflictError, DeniedError, InvalidInputError, LimitExceededError, RingfenceError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import CountWrite, ItemConflictError, RecordRead
from ringfence.core.state import State
from ringfence.services.custody.access_entries import access_entry
from ringfence.services.custody.answering import check_size, check_time, record_failure
from ringfence.services.custody.counting import bulk_counter, group_by_clause, limit_is_used_up
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.granting import keep_to_users, load_grant
from ringfence.services.custody.late_refusals import LateRefusal
from ringfence.services.custody.opening import ReadRecord, RecordName, open_record
from ringfence.services.custody.record_keys import blind_named
from ringfence.services.custody.refusing import denied_late, refuse
from ringfence.services.custody.request import ITEMS_PER_BATCH_MAX, Caller, Request
from ringfence.services.custody.request_checks import check_name, check_purpose, find_dataset
from ringfence.services.jobs import Committed, Prepared
from ringfence.services.subjects import KnownSubject

ATTEMPTS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The records in the order of their names; None where nothing that may be read is there."""

    records: list[ReadRecord | None]
    receipt: str


async def read_records(gate: Gate, caller: Caller, *, purpose: str, names: Sequence[RecordName]) -> BatchAnswer:
    """Give many records, each as far as the charter permits.

    Raises:
        LimitExceededError: no names, or more than `ITEMS_PER_BATCH_MAX`.
        DeniedError: of some dataset no class may be read, or a limit of the clause forbids it; nothing is given.
        ConflictError: too many requests count under the same clause at once.
        InvalidInputError, IntegrityError, UnavailableError: as for `read_record`.
    """
    if not 1 <= len(names) <= ITEMS_PER_BATCH_MAX:
        raise LimitExceededError(
            f"a batch holds 1 to {ITEMS_PER_BATCH_MAX} records, not {len(names)}",
            limit="items_per_batch_max",
            value_max=ITEMS_PER_BATCH_MAX,
        )
    check_purpose(gate, purpose)
    for name in names:
        check_name(name.user, "user")
        check_name(name.record, "record")
    if len(set(names)) != len(names):
        raise InvalidInputError("a batch names one record twice", place="items", hint="name each record once")
    for _ in range(ATTEMPTS_MAX):
        try:
            return await _BatchReading(gate, caller, purpose, names).run()
        except ItemConflictError:
            continue
    raise ConflictError("too many requests count under the same clause at once", hint="try again")


class _BatchReading:
    """One batch read on its way."""

    def __init__(self, gate: Gate, caller: Caller, purpose: str, names: Sequence[RecordName]) -> None:
        self._gate = gate
        self._names = names
        shape = "bulk" if len({name.user for name in names}) > 1 else "single"
        self._positions: dict[str, list[int]] = {}
        for position, name in enumerate(names):
            self._positions.setdefault(name.dataset, []).append(position)
        self._requests: list[tuple[Dataset, Request]] = [
            (find_dataset(gate, dataset), Request(caller, purpose, "read", shape, len(positions)))
            for dataset, positions in self._positions.items()
        ]
        self._permitted: dict[str, Mapping[str, Decision]] = {}
        self._subjects: list[KnownSubject | None] = []
        self._keys: list[bytes] = []
        self._reads: list[RecordRead] = []
        self._refusal = LateRefusal(gate.refusals, caller.principal)

    async def run(self) -> BatchAnswer:
        """Take the batch through the main path."""
        gate = self._gate
        for dataset, request in self._requests:
            ruling = gate.rulings.rule(gate.keeper.state, request, dataset, at_ms=gate.clock_ms())
            if not ruling.permitted:
                raise await refuse(gate, request, dataset, self._about_unresolved(dataset.name))
            await load_grant(gate, gate.bulk, request.caller)
            for decision in ruling.permitted.values():
                if request.shape == "bulk" and decision.records_per_day_max:
                    await gate.bulk.counters.load(bulk_counter(decision.clause))
        find = gate.subjects
        self._subjects = [find.cached(name.user) or await find.find(name.user) for name in self._names]
        known = [(n, subject) for n, subject in zip(self._names, self._subjects, strict=True) if subject]
        keys = iter(blind_named(gate.keys, [(n.dataset, subject.subject_ref, n.record) for n, subject in known]))
        self._keys = [next(keys) if subject else b"" for subject in self._subjects]
        committed = await gate.bulk.submit(self._prepare)
        receipt = committed.receipt_text
        self._refusal.raise_with(receipt)
        try:
            check_time(gate, committed)
            check_size(part for parts in committed.records for part in parts.values())
            return BatchAnswer(await self._open(committed), receipt)
        except RingfenceError as error:
            await record_failure(committed, error, gate.bulk)
            raise

    def _prepare(self, state: State, at_ms: int) -> Prepared:
        """Decide on this state; what is refused is recorded alone, for then nothing is given."""
        self._forget_erased()
        self._refusal.forget()
        last = self._gate.bulk.counters.last_steps()
        self._permitted = {}
        given: list[tuple[bytes, bytes | None]] = []
        refused: list[tuple[bytes, bytes | None]] = []
        counts: list[CountWrite] = []
        error: DeniedError | None = None
        for dataset, request in self._requests:
            about = self._about(dataset.name)
            ruling = keep_to_users(self._gate.rulings.rule(state, request, dataset, at_ms=at_ms), about)
            self._permitted[dataset.name] = ruling.permitted
            if not ruling.permitted:
                error = error or denied_late(self._gate, request, dataset, ruling)
            for group in group_by_clause(ruling, request, last=last, at_ms=at_ms):
                if group.forbidden:
                    used_up = limit_is_used_up(group, request)
                    return self._refusal.prepare(used_up, reason=group.forbidden, at_ms=at_ms)
                entry = access_entry(
                    self._gate,
                    request,
                    dataset=dataset.name,
                    decided=group.decided,
                    about=about,
                    counted=group.step,
                    granted=group.granted,
                )
                (given if ruling.permitted else refused).append(entry)
                counts += group.counts()
        if error is not None:
            record = Prepared(entries=[leaf for leaf, _ in refused], openings=[opening for _, opening in refused])
            return self._refusal.prepare(error, reason="denied", at_ms=at_ms, entry=record)
        self._gate.bulk.counters.take(counts)
        self._reads = self._record_reads()
        return Prepared(
            entries=[leaf for leaf, _ in given],
            openings=[opening for _, opening in given],
            counts=counts,
            reads=self._reads,
        )

    def _forget_erased(self) -> None:
        """A user who was erased while this waited is as unknown as any other."""
        for position, subject in enumerate(self._subjects):
            if subject and subject.subject_ref in self._gate.erased:
                self._subjects[position] = None

    def _record_reads(self) -> list[RecordRead]:
        classes = {dataset: [*permitted] for dataset, permitted in self._permitted.items()}
        return [
            RecordRead(name.dataset, subject.subject_ref, key, classes[name.dataset])
            for name, subject, key in zip(self._names, self._subjects, self._keys, strict=True)
            if subject
        ]

    async def _open(self, committed: Committed) -> list[ReadRecord | None]:
        keys, permitted, kept = self._gate.keys, self._permitted, self._gate.keeper.state.datasets
        found = zip(self._reads, committed.records, strict=True)
        records: list[ReadRecord | None] = []
        for name, subject in zip(self._names, self._subjects, strict=True):
            if subject is None:
                records.append(None)
                continue
            read, parts = next(found)
            if not parts.keys() <= subject.keys.keys():  # a part has a key that is newer than what is known
                subject = await self._gate.subjects.find(name.user, fresh=True) or subject
            records.append(open_record(subject, read, parts, permitted[name.dataset], kept[name.dataset], keys=keys))
        return records

    def _about(self, dataset: str) -> e.About:
        positions = self._positions[dataset]
        known = [(self._subjects[p], self._keys[p]) for p in positions]
        return e.About(
            subjects=[subject.subject_ref for subject, _ in known if subject],
            records=[key for subject, key in known if subject],
            unknown=[self._gate.subjects.index(self._names[p].user) for p in positions if not self._subjects[p]],
        )

    def _about_unresolved(self, dataset: str) -> e.About:
        users = [self._names[position].user for position in self._positions[dataset]]
        return e.About(unknown=[self._gate.subjects.index(user) for user in users])
