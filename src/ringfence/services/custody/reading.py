"""Reading one record: the main path, step by step, as numbered in ARCHITECTURE.md.

1. Authenticate: the gateway did, and gives a `Caller`.
2. Decide on the newest state; no clause, no access.
3. Join the batch of the lane.
4. Transact: rules checked, rows read, entries durable, in one transaction.
5. Open what the decision permits; drop what it withholds.
6. Answer with a receipt.
7. Sequence: another process does, within a second.
"""

from __future__ import annotations

import msgspec

from ringfence.core.charter import Dataset
from ringfence.core.decisions.ruling import Ruling
from ringfence.core.errors import DeniedError, NotFoundError, RingfenceError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import RecordRead
from ringfence.core.state import State
from ringfence.services.custody.access_entries import access_entry
from ringfence.services.custody.answering import check_time, record_failure
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.granting import hold_to_grant, prepare_held, submit_held
from ringfence.services.custody.late_refusals import LateRefusal
from ringfence.services.custody.opening import ReadRecord, RecordName, open_record
from ringfence.services.custody.record_keys import blind_record
from ringfence.services.custody.refusing import RULES_CHANGED, denied_late, refuse
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.request_checks import check_name, check_purpose, find_dataset
from ringfence.services.jobs import Committed, Prepared
from ringfence.services.subjects import KnownSubject


class ReadAnswer(msgspec.Struct, frozen=True):
    """A record and the receipt of the entry that was durable before it was opened."""

    record: ReadRecord
    receipt: str


async def read_record(gate: Gate, caller: Caller, *, purpose: str, name: RecordName) -> ReadAnswer:
    """Give one record of one user, as far as the charter permits.

    Raises:
        InvalidInputError: unknown dataset or purpose, or a name out of bounds.
        DeniedError: no class of it may be read.
        NotFoundError: nothing is there that may be read; whether a withheld part exists is not said.
        IntegrityError: what is stored does not open; recorded as an outcome.
        UnavailableError: the entry could not be made durable; nothing was opened.
    """
    request, dataset = _ask(gate, caller, purpose=purpose, name=name)
    # 2. Decide. A refusal needs nothing from the store but its own entry.
    if not _may(gate, request, dataset):
        raise await refuse(gate, request, dataset, e.About(unknown=[gate.subjects.index(name.user)]))
    subject = gate.subjects.cached(name.user) or await gate.subjects.find(name.user)
    reading = Reading(gate, request, dataset, name, subject)
    # 3. Join the batch, and 4. transact: what is awaited resolves when the commit is durable.
    committed = await submit_held(gate, gate.singles, caller, reading.prepare)
    # 5. Open, and 6. answer.
    return await reading.answer(committed)


def begin_reading(gate: Gate, caller: Caller, *, purpose: str, name: RecordName) -> Reading | None:
    """Give a read of which nothing but its commit has to be waited for; None where `read_record` has to do it.

    Nothing is recorded yet: that is so for a read that the charter permits, of a user who is in the cache, and under no
    grant: a grant counts, and may have to count again.

    Raises:
        InvalidInputError: as for `read_record`.
    """
    request, dataset = _ask(gate, caller, purpose=purpose, name=name)
    subject = gate.subjects.cached(name.user)
    if subject is None or caller.grant or not _may(gate, request, dataset):  # 2. Decide.
        return None
    return Reading(gate, request, dataset, name, subject)


def _ask(gate: Gate, caller: Caller, *, purpose: str, name: RecordName) -> tuple[Request, Dataset]:
    check_name(name.user, "user")
    check_name(name.record, "record")
    check_purpose(gate, purpose)
    return Request(caller, purpose, "read", "single", 1), find_dataset(gate, name.dataset)


def _may(gate: Gate, request: Request, dataset: Dataset) -> bool:
    return bool(gate.rulings.rule(gate.keeper.state, request, dataset, at_ms=gate.clock_ms()).permitted)


class Reading:
    """One read on its way through a batch: `prepare` is for the lane, `answer` for after the commit."""

    __slots__ = ("_about", "_dataset", "_gate", "_key", "_name", "_read", "_refusal", "_request", "_ruling", "_subject")

    def __init__(
        self, gate: Gate, request: Request, dataset: Dataset, name: RecordName, subject: KnownSubject | None
    ) -> None:
        self._gate = gate
        self._request = request
        self._dataset = dataset
        self._name = name
        self._subject = subject
        self._read = RecordRead(dataset.name, b"", b"", ())
        self._ruling: Ruling | None = None
        self._refusal: LateRefusal | None = None
        self._key = blind_record(gate.keys, dataset.name, subject.subject_ref, name.record) if subject else b""
        if subject:
            self._about = e.About(subjects=[subject.subject_ref], records=[self._key])
        else:
            self._about = e.About(unknown=[gate.subjects.index(name.user)])

    def prepare(self, state: State, at_ms: int) -> Prepared:
        """Decide on this state; give the entry and the parts to read. Called again if the rules move."""
        if self._subject and self._subject.subject_ref in self._gate.erased:
            self._subject = None  # erased while this waited: the user is as unknown as any other
            self._about = e.About(unknown=[self._gate.subjects.index(self._name.user)])
        ruling = self._gate.rulings.rule(state, self._request, self._dataset, at_ms=at_ms)
        prepared = self._record(ruling) if ruling.grant is None else self._record_under_grant(ruling)
        subject, permitted = self._subject, self._ruling.permitted if self._ruling else ()
        if subject and permitted:
            self._read = RecordRead(self._dataset.name, subject.subject_ref, self._key, [*permitted])
            prepared.reads = (self._read,)
        return prepared

    def _record(self, ruling: Ruling) -> Prepared:
        self._ruling = ruling
        if self._refusal is not None:
            self._refusal.forget()
        leaf, opening = access_entry(
            self._gate, self._request, dataset=self._dataset.name, decided=dict(ruling.decided), about=self._about
        )
        return Prepared(entries=[leaf], openings=[opening])

    def _record_under_grant(self, ruling: Ruling) -> Prepared:
        gate, lane = self._gate, self._gate.singles
        if self._refusal is None:
            self._refusal = LateRefusal(gate.refusals, self._request.caller.principal)
        held = hold_to_grant(ruling, self._request, self._about, last=lane.counters.last_steps())
        self._ruling = held.ruling
        return prepare_held(gate, lane, self._refusal, self._request, self._dataset, held, self._about)

    def answer_at_once(self, committed: Committed) -> ReadAnswer:
        """Open what was read, without waiting for anything. What fails here goes through `answer` again.

        Raises:
            DeniedError, NotFoundError, IntegrityError, UnavailableError: as for `read_record`; nothing is recorded.
        """
        gate, subject, ruling, receipt = self._gate, self._subject, self._ruling, committed.receipt_text
        if self._refusal is not None:
            self._refusal.raise_with(receipt)
        if ruling is None:
            raise DeniedError(RULES_CHANGED, receipt=receipt)
        if not ruling.permitted:
            raise denied_late(gate, self._request, self._dataset, ruling, receipt=receipt)
        record = None
        if subject is not None:
            check_time(gate, committed)
            record = open_record(
                subject,
                self._read,
                committed.records[0],
                ruling.permitted,
                gate.keeper.state.datasets[self._dataset.name],
                keys=gate.keys,
            )
        if record is None:
            raise NotFoundError(
                f"nothing that may be read is at {self._dataset.name}/{self._name.record!r:.80} of this user "
                f"(receipt {receipt})"
            )
        return ReadAnswer(record, receipt)

    async def answer(self, committed: Committed) -> ReadAnswer:
        """Open what was read; what cannot be opened goes into the ledger as an outcome of its own.

        Raises:
            DeniedError, NotFoundError, IntegrityError, UnavailableError: as for `read_record`.
        """
        gate = self._gate
        try:
            subject, found = self._subject, committed.records
            if subject and found and not found[0].keys() <= subject.keys.keys():
                self._subject = await gate.subjects.find(self._name.user, fresh=True) or subject
            return self.answer_at_once(committed)
        except (DeniedError, NotFoundError):
            raise
        except RingfenceError as error:
            await record_failure(committed, error, gate.singles)
            raise
