"""Taking one user's export in: found to belong to the jurisdiction or not, then stored, idempotently.

Rules of this file:
1. An export is read twice: once whole, to find the user, the evidence and every fault in it; then again to store it.
   Of a broken export nothing is stored, and nothing is ever kept in plaintext outside memory.
2. Only a user whose evidence is all from outside is left out. Contradictory or missing evidence means protected.
3. What is stored already is not stored again, so a second run changes nothing and a run after a kill goes on.
4. The verdict and its evidence are kept, sealed, as a record of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from ringfence.core.errors import InvalidInputError
from ringfence.core.jurisdiction import Evidence, Verdict, determine
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Caller
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.intake.record_names import SELF, RecordNamer
from ringfence.services.intake.summary import SourceReport

RECORDS_PER_WRITE_MAX: Final = 150
JURISDICTION_RECORD: Final = "@jurisdiction"


class ExportItem(Protocol):
    """One record of an export."""

    @property
    def dataset(self) -> str:
        """The dataset it belongs to."""

    @property
    def record(self) -> dict[str, Any]:
        """Its fields."""


class Collector(Protocol):
    """Collects evidence of one user's jurisdiction."""

    def add(self, dataset: str, record: dict[str, Any]) -> None:
        """Look at one record."""

    def evidence(self) -> Evidence:
        """Give what was found."""


class Export(NamedTuple):
    """One user's export: what to call it, and how to read it from its beginning, as often as needed."""

    name: str
    read: Callable[[], Iterator[ExportItem]]


class Intake:
    """Takes exports in.

    Args:
        gate: the custody service.
        caller: who takes them in.
        purpose: what for, a purpose of the charter.
        collector: makes a collector of evidence for one user.
    """

    def __init__(self, gate: Gate, caller: Caller, *, purpose: str, collector: Callable[[], Collector]) -> None:
        self._gate = gate
        self._caller = caller
        self._purpose = purpose
        self._collector = collector

    async def take(self, export: Export) -> SourceReport:
        """Take one export in.

        Raises:
            DeniedError: the charter does not let this caller store some class; nothing more can be taken in.
            DeviceError: the store does not take it; run again.
        """
        try:
            user, verdict = self._examine(export)
        except InvalidInputError as error:
            return SourceReport(
                export.name, "refused", f"{error.place}: {error.message}" if error.place else error.message
            )
        if not verdict.protected:
            return SourceReport(export.name, "left", verdict.reason)
        new, known = await self._store(user, verdict, export)
        return SourceReport(export.name, "taken", verdict.reason, new, known)

    def _examine(self, export: Export) -> tuple[str, Verdict]:
        charter = self._gate.keeper.state.rules
        collector = self._collector()
        users: set[str] = set()
        for item in export.read():
            collector.add(item.dataset, item.record)
            if item.dataset == charter.identity.dataset:
                user = item.record.get(charter.identity.field)
                if isinstance(user, str) and user:
                    users.add(user)
        if len(users) != 1:
            found = "names no user" if not users else f"names {len(users)} users"
            raise InvalidInputError(f"the export {found} in {charter.identity.dataset}.{charter.identity.field}")
        user = users.pop()
        self._gate.check_name(user, "user")
        return user, determine(charter.jurisdiction, collector.evidence())

    async def _store(self, user: str, verdict: Verdict, export: Export) -> tuple[int, int]:
        gate = self._gate
        charter = gate.keeper.state.rules
        subject = await gate.subjects.find(user)
        stored: set[tuple[str, bytes]] = set()
        if subject is not None:
            rows = await gate.store.subject_records(subject.subject_ref)
            stored = {(dataset, record_key) for dataset, record_key, _, _ in rows}
        namer = RecordNamer(charter)
        waiting = [WriteItem(user, charter.catch_all().name, JURISDICTION_RECORD, _render_verdict(verdict))]
        new = known = 0
        for item in self._items(user, export, namer, waiting):
            if subject and (item.dataset, gate.record_key(item.dataset, subject.subject_ref, item.record)) in stored:
                known += 1
                continue
            waiting.append(item)
            if len(waiting) > RECORDS_PER_WRITE_MAX:
                new += await self._write(waiting)
        return new + await self._write(waiting), known

    def _items(self, user: str, export: Export, namer: RecordNamer, waiting: list[WriteItem]) -> Iterator[WriteItem]:
        yield waiting.pop()
        named: set[str] = set()
        for item in export.read():
            name = namer.name(item.dataset, item.record)
            if name == SELF and item.dataset in named:
                continue  # a second layout's copy of a record that a user has once
            named.add(item.dataset)
            yield WriteItem(user, item.dataset, name, item.record)

    async def _write(self, items: list[WriteItem]) -> int:
        if not items:
            return 0
        await write_records(self._gate, self._caller, purpose=self._purpose, items=items)
        written = len(items)
        items.clear()
        return written


def _render_verdict(verdict: Verdict) -> dict[str, Any]:
    votes: Sequence[Any] = verdict.votes
    return {"verdict": verdict.reason, "votes": [repr(vote) for vote in votes]}
