"""Reading a user's records page by page: for a list in the app, and for a user's own export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringfence.core import entry as e
from ringfence.core.envelope import PartName
from ringfence.core.errors import DeniedError, LimitExceededError, RingfenceError
from ringfence.core.ports import ListRead
from ringfence.core.ruling import Ruling
from ringfence.core.state import State
from ringfence.core.view import Decision
from ringfence.services.custody.gate import RULES_CHANGED, Gate
from ringfence.services.custody.opening import ReadRecord, open_record
from ringfence.services.custody.request import Caller, Request
from ringfence.services.jobs import Committed, Prepared
from ringfence.services.subjects import KnownSubject

PAGE_RECORDS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a user's records. `following` is the cursor of the next page, b"" at the end."""

    records: list[ReadRecord]
    following: bytes
    receipt: str


async def list_records(
    gate: Gate, caller: Caller, *, purpose: str, verb: str, user: str, dataset: str, after: bytes, records_max: int
) -> Page:
    """Give a page of one user's records in one dataset.

    For a user who is not in the vault it is empty, as for one of whom nothing may be read: which it is, is not told.

    Args:
        verb: `read` or `export`.
        after: the cursor of the page before, 16 bytes; b"" for the first page.
        records_max: 1 to `PAGE_RECORDS_MAX`.

    Raises:
        InvalidInputError, DeniedError, IntegrityError, UnavailableError: as for `read_record`.
        LimitExceededError: a page of another size was asked for.
    """
    gate.check_name(user, "user")
    gate.check_purpose(purpose)
    kind = gate.dataset(dataset)
    if not 1 <= records_max <= PAGE_RECORDS_MAX:
        raise LimitExceededError(
            f"a page holds 1 to {PAGE_RECORDS_MAX} records, not {records_max}",
            limit="page_records_max",
            value_max=PAGE_RECORDS_MAX,
        )
    request = Request(caller, purpose, verb, "single", records_max)
    if not gate.rule(gate.keeper.state, request, kind, at_ms=gate.clock_ms()).permitted:
        raise await gate.refuse(request, kind, e.About(unknown=[gate.subjects.index(user)]))
    subject = await gate.subjects.find(user)
    ruling: list[Ruling] = []

    def prepare(state: State, at_ms: int) -> Prepared:
        nonlocal subject
        if subject and gate.is_erased(subject.subject_ref):
            subject = None  # erased while this waited: the user is as unknown as any other
        about = e.About(subjects=[subject.subject_ref]) if subject else e.About(unknown=[gate.subjects.index(user)])
        ruling[:] = [gate.rule(state, request, kind, at_ms=at_ms)]
        decided = dict(ruling[0].decided)
        leaf, opening = gate.access_entry(request, dataset=dataset, decided=decided, about=about)
        classes = ruling[0].permitted if subject else ()
        reference = subject.subject_ref if subject else b""
        lists = [ListRead(dataset, reference, data_class, after, records_max) for data_class in classes]
        return Prepared(entries=[leaf], openings=[opening], lists=lists)

    committed = await gate.bulk.submit(prepare)
    receipt = committed.receipt_text
    if not ruling[0].permitted:
        raise DeniedError(RULES_CHANGED, receipt=receipt)
    if subject is None:
        return Page([], b"", receipt)
    try:
        gate.check_time(committed)
        gate.check_size((row.version, row.sealed) for rows in committed.lists for row in rows)
        if any(rows and rows[0].name.data_class not in subject.keys for rows in committed.lists):
            subject = await gate.subjects.find(user, fresh=True) or subject
        records, following = _open_page(gate, subject, committed, ruling[0].permitted, records_max)
    except RingfenceError as error:
        await gate.record_failure(committed, error, gate.bulk)
        raise
    return Page(records, following, receipt)


def _open_page(
    gate: Gate, subject: KnownSubject, committed: Committed, permitted: Mapping[str, Decision], records_max: int
) -> tuple[list[ReadRecord], bytes]:
    """Merge the classes' rows by record. A class that filled its page bounds the page for all of them."""
    by_record: dict[bytes, list[tuple[PartName, tuple[int, bytes]]]] = {}
    for rows in committed.lists:
        for row in rows:
            by_record.setdefault(row.name.record_key, []).append((row.name, (row.version, row.sealed)))
    bounds = [rows[-1].name.record_key for rows in committed.lists if len(rows) == records_max]
    keys = sorted(key for key in by_record if not bounds or key <= min(bounds))
    more = bool(bounds) or len(keys) > records_max
    keys = keys[:records_max]
    records: list[ReadRecord] = []
    for key in keys:
        names = [name for name, _ in by_record[key]]
        record = open_record(subject, names, [part for _, part in by_record[key]], permitted, keys=gate.keys)
        if record is not None:
            records.append(record)
    return records, keys[-1] if more else b""
