"""One user's export, read whole before anything of it is stored.

Rules of this file:
1. The first pass over an export finds the user, the evidence of the jurisdiction and every fault. Only then is
   something given: so of a broken export nothing is stored.
2. What the first pass rendered is kept up to a bound; an export beyond it is read a second time. Plaintext is never
   put anywhere but in memory, and memory does not grow with the export.
3. Only a user whose evidence is all from outside is left out. Contradictory or missing evidence means protected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from ringfence.core.charter import PROTECTED, Charter
from ringfence.core.errors import InvalidInputError
from ringfence.core.jurisdiction import CONTRADICTORY, Evidence, Verdict, determine
from ringfence.core.ports import JURISDICTION_DATASET
from ringfence.services.custody.gate import NAME_SIZE_BYTES_MAX
from ringfence.services.intake.messages import LEFT, REFUSED, Advanced, Interrupted, ManyRows, Message, Piece, Row, Told
from ringfence.services.intake.record_names import SELF, RecordNamer, RepeatFilter, digest_of_name
from ringfence.services.intake.rendering import RowRenderer, render_single

ROWS_PER_PIECE_MAX: Final = 2_000
PIECE_SIZE_BYTES_MAX: Final = 2 * 1024 * 1024
DATASETS_PER_PIECE_MAX: Final = 100
KEPT_SIZE_BYTES_MAX: Final = 8 * 1024 * 1024
ROW_OVERHEAD_BYTES: Final = 400
RECORDS_PER_STEP: Final = 4_096


class ExportItem(Protocol):
    """One record of an export."""

    @property
    def dataset(self) -> str:
        """The dataset it belongs to."""

    @property
    def record(self) -> dict[str, Any]:
        """Its fields."""

    @property
    def pointer(self) -> str:
        """Where it was in the export, as a JSON pointer."""


class Export(Protocol):
    """One user's export, to be read from its beginning as often as needed."""

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def size_bytes(self) -> int:
        """Its size as stated by where it lies."""

    def read(self) -> Iterator[ExportItem]:
        """Give its records.

        Raises:
            InvalidInputError: a fault, at any time; its place names the export and a JSON pointer.
        """

    def position(self) -> int:
        """How many bytes were read since `read` was called last."""


class Collector(Protocol):
    """Collects the evidence of one user's jurisdiction."""

    def add(self, dataset: str, record: dict[str, Any]) -> None:
        """Look at one record."""

    def evidence(self) -> Evidence:
        """Give what was found."""


class PersonReader:
    """Reads exports, each into what is to be stored of it.

    Args:
        charter: classifies what is read.
        collector: makes a collector for one user.
    """

    def __init__(self, charter: Charter, *, collector: Callable[[], Collector]) -> None:
        self._charter = charter
        self._collector = collector
        self._renderer = RowRenderer(charter)

    def read(self, export: Export, *, in_vault: bool = False) -> Iterator[Message]:
        """Read one export; never raises for what is wrong with it.

        Args:
            export: the export.
            in_vault: the user is known to the vault although this export's evidence is all from outside: then the
                evidence is contradictory.
        """
        reading = _Reading(self._charter, self._collector(), self._renderer, export)
        try:
            yield from reading.look_through()
            user, verdict = reading.conclude()
        except InvalidInputError as error:
            yield Told(export.name, REFUSED, error.message, error.place or export.name)
            yield reading.advanced(1)
            return
        reason = CONTRADICTORY if in_vault and not verdict.protected else verdict.reason
        if not verdict.protected and not in_vault:
            yield Told(export.name, LEFT, reason, user=user, records=reading.records)
            yield reading.advanced(1)
            return
        evidence = _render_evidence(verdict, reason, reading.evidence, self._charter)
        try:
            yield from reading.give(user, reason, evidence)
        except InvalidInputError as error:
            yield Interrupted(export.name, error.message, error.place)
        yield reading.advanced(1)


class _Content:
    """What one piece holds, while it is filled."""

    __slots__ = ("_datasets", "count", "many", "rows", "size")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.many: dict[str, ManyRows] = {}
        self._datasets: set[str] = set()
        self.count = 0
        self.size = 0

    def add_row(self, row: Row) -> None:
        """Take one row."""
        self.rows.append(row)
        self._datasets.add(row.dataset)
        self.count += 1
        self.size += ROW_OVERHEAD_BYTES + sum(len(plaintext) for _, plaintext in row.parts)

    def add_protected(self, dataset: str, record: str, plaintext: bytes) -> None:
        """Take one record that is one protected part."""
        rows = self.many.get(dataset)
        if rows is None:
            rows = self.many[dataset] = ManyRows(dataset, [], {PROTECTED: []})
        rows.records.append(record)
        rows.parts[PROTECTED].append(plaintext)
        self.count += 1
        self.size += ROW_OVERHEAD_BYTES + len(plaintext)

    def add_many(self, dataset: str, record: str, parts: Mapping[str, bytes]) -> None:
        """Take one record of the simpler kind."""
        rows = self.many.get(dataset)
        if rows is None:
            rows = self.many[dataset] = ManyRows(dataset, [], {})
        columns = rows.parts
        for data_class, plaintext in parts.items():
            column = columns.get(data_class)
            if column is None:
                column = columns[data_class] = [b""] * len(rows.records)
            column.append(plaintext)
            self.size += ROW_OVERHEAD_BYTES + len(plaintext)
        rows.records.append(record)
        if len(parts) < len(columns):
            for data_class, column in columns.items():
                if data_class not in parts:
                    column.append(b"")
        self.count += 1

    def is_full(self) -> bool:
        """Whether it is time for another piece."""
        return (
            self.count >= ROWS_PER_PIECE_MAX
            or self.size >= PIECE_SIZE_BYTES_MAX
            or len(self.many) + len(self._datasets) >= DATASETS_PER_PIECE_MAX
        )


class _Reading:
    """One export on its way."""

    def __init__(self, charter: Charter, collector: Collector, renderer: RowRenderer, export: Export) -> None:
        self._identity = charter.identity
        self._rules = charter.jurisdiction
        places = (*self._rules.declared, *self._rules.phone, *self._rules.login_ip)
        self._telling = {place.dataset for place in places}
        self._collector = collector
        self._renderer = renderer
        self._export = export
        self._user = ""
        self._kept = [_Content()]
        self._kept_size = 0
        self._repeated = 0
        self._namer = RecordNamer()
        self._advanced = 0
        self._filter: RepeatFilter | None = None
        self.records = 0
        self.evidence = Evidence()

    def look_through(self) -> Iterator[Advanced]:
        """Read the export once, to its end: rule 1."""
        if self._export.size_bytes > KEPT_SIZE_BYTES_MAX:
            self._keep_no_more()
        identity_dataset, telling = self._identity.dataset, self._telling
        for item in self._export.read():
            dataset, record = item.dataset, item.record
            self.records += 1
            if dataset == identity_dataset:
                self._identify(record)
            if dataset in telling:
                self._collector.add(dataset, record)
            content = self._kept[-1]
            self._render(item, content, self._namer)
            if self._filter is not None:
                self._kept = [_Content()] if content.count else self._kept
            elif content.is_full():
                self._keep_on(content)
            if self.records % RECORDS_PER_STEP == 0:
                yield self.advanced(0.5 if self._filter else 1)

    def conclude(self) -> tuple[str, Verdict]:
        """Give the user and whether the user belongs to the jurisdiction."""
        if not self._user:
            raise InvalidInputError(
                f"found no user id; expected one in {self._identity.dataset}.{self._identity.field}",
                place=f"{self._export.name}#",
            )
        self.evidence = self._collector.evidence()
        return self._user, determine(self._rules, self.evidence)

    def give(self, user: str, reason: str, evidence: Row) -> Iterator[Piece | Advanced]:
        """Give what is to be stored, from what was kept or from a second pass."""
        name, rows, content = self._export.name, [evidence], None
        for following in self._kept if self._filter is None else self._read_again():
            if content is not None:
                yield Piece(name, user, reason, rows + content.rows, list(content.many.values()), 0, last=False)
                rows = []
                yield self.advanced(1)
            content = following
        content = content or _Content()
        yield Piece(name, user, reason, rows + content.rows, list(content.many.values()), self._repeated, last=True)

    def advanced(self, share: float) -> Advanced:
        """Say how much further the reading is: half of the way after the first of two passes."""
        size = self._export.size_bytes
        if self._filter is None or share != 1:
            reached = int(min(self._export.position(), size) * share)
        else:
            reached = (size + min(self._export.position(), size)) // 2
        step, self._advanced = max(reached - self._advanced, 0), max(reached, self._advanced)
        return Advanced(step)

    def _identify(self, record: dict[str, Any]) -> None:
        value = record.get(self._identity.field)
        user = str(value) if type(value) is int else value
        if user is None or user == "":
            return
        place = f"{self._export.name}#"
        where = f"{self._identity.dataset}.{self._identity.field}"
        if not isinstance(user, str):
            raise InvalidInputError(f"found a user id that is no text in {where}; expected one", place=place)
        if len(user.encode("utf-8")) > NAME_SIZE_BYTES_MAX:
            raise InvalidInputError(
                f"found a user id over {NAME_SIZE_BYTES_MAX} bytes in {where}; expected a shorter one", place=place
            )
        if self._user and self._user != user:
            raise InvalidInputError(f"found two user ids in {where}; expected one user an export", place=place)
        self._user = user

    def _render(self, item: ExportItem, content: _Content, namer: RecordNamer) -> None:
        """Render one record into a piece."""
        dataset = item.dataset
        try:
            if dataset in self._renderer.protected:
                name, plaintext = self._renderer.render_protected(dataset, item.record, namer)
                content.add_protected(dataset, name, plaintext)
            elif dataset in self._renderer.many:
                name, parts = self._renderer.render_many(dataset, item.record, namer)
                content.add_many(dataset, name, parts)
            elif row := self._renderer.render(dataset, item.record, namer):
                name = "" if row.mark else row.record
                content.add_row(row)
            else:
                name = ""
                self._repeated += 1
            if self._filter is not None and namer is self._namer and name:
                self._filter.note(digest_of_name(name))
        except InvalidInputError as error:
            raise InvalidInputError(error.message, place=f"{self._export.name}#{item.pointer}") from None

    def _keep_on(self, content: _Content) -> None:
        self._kept_size += content.size
        if self._kept_size > KEPT_SIZE_BYTES_MAX:
            self._keep_no_more()
        else:
            self._kept.append(_Content())

    def _keep_no_more(self) -> None:
        """Go on to a second pass: rule 2."""
        self._filter = RepeatFilter(self._export.size_bytes)
        self._namer.note_all(self._filter)
        self._namer = RecordNamer(self._filter)
        self._kept = [_Content()]

    def _read_again(self) -> Iterator[_Content]:
        namer, content = RecordNamer(self._filter), _Content()
        self._repeated = 0
        for item in self._export.read():
            self._render(item, content, namer)
            if content.is_full():
                yield content
                content = _Content()
        yield content


def _render_evidence(verdict: Verdict, reason: str, evidence: Evidence, charter: Charter) -> Row:
    """Give the record that keeps why a user is protected."""
    fields = {
        "verdict": "protected",
        "reason": reason,
        "country": charter.jurisdiction.country,
        "votes": verdict.votes,
        "observations": evidence.observations,
    }
    return render_single(JURISDICTION_DATASET, SELF, fields)
