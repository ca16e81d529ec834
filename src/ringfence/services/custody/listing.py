"""Reading a user's records page by page: for a list in the app, and for a user's own export."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from ringfence.core.charter import Dataset
from ringfence.core.decisions.ruling import Ruling
from ringfence.core.decisions.view import Decision
from ringfence.core.errors import DeniedError, LimitExceededError, RingfenceError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import ListRead, RecordRead
from ringfence.core.state import State
from ringfence.services.custody.answering import check_size, check_time, record_failure
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.granting import hold_to_grant, prepare_held, submit_held
from ringfence.services.custody.late_refusals import LateRefusal
from ringfence.services.custody.opening import ReadRecord, open_record
from ringfence.services.custody.refusing import denied_late, refuse
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.request_checks import check_name, check_purpose, find_dataset
from ringfence.services.jobs import Committed, Prepared
from ringfence.services.subjects import KnownSubject

PAGE_RECORDS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a user's records. `following` is the cursor of the next page, b"" at the end.

    `classes` are those that were given, whether or not a record has them.
    """

    records: list[ReadRecord]
    following: bytes
    receipt: str
    classes: frozenset[str]


async def list_records(
    gate: Gate,
    caller: Caller,
    *,
    purpose: str,
    verb: str,
    user: str,
    dataset: str,
    after: bytes,
    records_max: int,
    needed: Collection[str] = (),
) -> Page:
    """Give a page of one user's records in one dataset.

    For a user who is not in the vault it is empty, as for one of whom nothing may be read: which it is, is not told.

    Args:
        verb: `read` or `export`.
        after: the cursor of the page before, 16 bytes; b"" for the first page.
        records_max: 1 to `PAGE_RECORDS_MAX`. Under a grant so many are counted, however many there are.
        needed: classes without which nothing is to be given: those that the pages before gave.

    Raises:
        InvalidInputError, DeniedError, IntegrityError, UnavailableError: as for `read_record`.
        ConflictError: too many requests count under the same grant at once.
        LimitExceededError: a page of another size was asked for.
    """
    check_name(user, "user")
    check_purpose(gate, purpose)
    kind = find_dataset(gate, dataset)
    if not 1 <= records_max <= PAGE_RECORDS_MAX:
        raise LimitExceededError(
            f"a page holds 1 to {PAGE_RECORDS_MAX} records, not {records_max}",
            limit="page_records_max",
            value_max=PAGE_RECORDS_MAX,
        )
    request = Request(caller, purpose, verb, "single", records_max)
    if not gate.rulings.rule(gate.keeper.state, request, kind, at_ms=gate.clock_ms()).permitted:
        raise await refuse(gate, request, kind, e.About(unknown=[gate.subjects.index(user)]))
    listing = _Listing(gate, request, kind, user, await gate.subjects.find(user), after)
    committed = await submit_held(gate, gate.bulk, caller, listing.prepare)
    listing.raise_if_refused(committed)
    try:
        return await listing.open(committed, frozenset(needed))
    except RingfenceError as error:
        await record_failure(committed, error, gate.bulk)
        raise


class _Listing:
    """One page on its way: `prepare` is for the lane, the rest for after the commit."""

    def __init__(
        self, gate: Gate, request: Request, dataset: Dataset, user: str, subject: KnownSubject | None, after: bytes
    ) -> None:
        self._gate = gate
        self._request = request
        self._dataset = dataset
        self._user = user
        self._subject = subject
        self._after = after
        self._ruling = Ruling({}, {})
        self._refusal = LateRefusal(gate.refusals, request.caller.principal)

    def prepare(self, state: State, at_ms: int) -> Prepared:
        """Decide on this state; give the entry and the lists to read."""
        gate, lane, dataset = self._gate, self._gate.bulk, self._dataset.name
        if self._subject and self._subject.subject_ref in gate.erased:
            self._subject = None  # erased while this waited: the user is as unknown as any other
        subject = self._subject
        about = (
            e.About(subjects=[subject.subject_ref]) if subject else e.About(unknown=[gate.subjects.index(self._user)])
        )
        ruling = gate.rulings.rule(state, self._request, self._dataset, at_ms=at_ms)
        held = hold_to_grant(ruling, self._request, about, last=lane.counters.last_steps())
        self._ruling = held.ruling
        prepared = prepare_held(gate, lane, self._refusal, self._request, self._dataset, held, about)
        if subject is not None:
            prepared.lists = [
                ListRead(dataset, subject.subject_ref, data_class, self._after, self._request.records)
                for data_class in held.ruling.permitted
            ]
        return prepared

    def raise_if_refused(self, committed: Committed) -> None:
        """Raise when nothing was permitted in the batch: then the entry says so."""
        self._refusal.raise_with(committed.receipt_text)
        if not self._ruling.permitted:
            raise denied_late(self._gate, self._request, self._dataset, self._ruling, receipt=committed.receipt_text)

    async def open(self, committed: Committed, needed: frozenset[str]) -> Page:
        """Open the page."""
        gate, subject, permitted = self._gate, self._subject, self._ruling.permitted
        check_time(gate, committed)
        if missing := needed - permitted.keys():
            words = f"{self._dataset.name} is not given on: the class {min(missing)} may not be read any more"
            raise DeniedError(words, receipt=committed.receipt_text)
        if subject is None:
            return Page([], b"", committed.receipt_text, frozenset(permitted))
        check_size((row.version, row.sealed) for rows in committed.lists for row in rows)
        if any(rows and rows[0].name.data_class not in subject.keys for rows in committed.lists):
            subject = await gate.subjects.find(self._user, fresh=True) or subject
        records, following = _open_page(gate, subject, self._dataset.name, committed, permitted, self._request.records)
        return Page(records, following, committed.receipt_text, frozenset(permitted))


def _open_page(
    gate: Gate,
    subject: KnownSubject,
    dataset: str,
    committed: Committed,
    permitted: Mapping[str, Decision],
    records_max: int,
) -> tuple[list[ReadRecord], bytes]:
    """Merge the classes' rows by record. A class that filled its page bounds the page for all of them."""
    by_record: dict[bytes, dict[str, tuple[int, bytes]]] = {}
    for rows in committed.lists:
        for row in rows:
            by_record.setdefault(row.name.record_key, {})[row.name.data_class] = (row.version, row.sealed)
    bounds = [rows[-1].name.record_key for rows in committed.lists if len(rows) == records_max]
    keys = sorted(key for key in by_record if not bounds or key <= min(bounds))
    more = bool(bounds) or len(keys) > records_max
    keys = keys[:records_max]
    records: list[ReadRecord] = []
    for key in keys:
        read = RecordRead(dataset, subject.subject_ref, key, [*by_record[key]])
        record = open_record(
            subject, read, by_record[key], permitted, gate.keeper.state.datasets[dataset], keys=gate.keys
        )
        if record is not None:
            records.append(record)
    return records, keys[-1] if more else b""
