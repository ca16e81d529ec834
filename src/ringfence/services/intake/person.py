"""One user's export, read whole before anything of it is stored.

Rules of this file:
1. The first pass over an export finds the user, the evidence of the jurisdiction and every fault. Only then is
   something given: so of a broken export nothing is stored.
2. What the first pass rendered is kept up to a bound; an export beyond it is read a second time. Plaintext is never
   put anywhere but in memory, and memory does not grow with the export.
3. Only a user whose evidence is all from outside is left out. Contradictory or missing evidence means protected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Protocol

from ringfence.core.charter import Charter
from ringfence.core.envelope import PLAINTEXT_SIZE_BYTES_MAX
from ringfence.core.errors import InvalidInputError
from ringfence.core.jurisdiction import CONTRADICTORY, Evidence, Verdict, determine
from ringfence.core.ports import JURISDICTION_DATASET
from ringfence.services.custody.request_checks import NAME_SIZE_BYTES_MAX
from ringfence.services.intake.messages import (
    LEFT,
    REFUSED,
    Advanced,
    Interrupted,
    ManyRows,
    Message,
    Piece,
    Row,
    Told,
    fill_column,
    runs_of,
    spread,
)
from ringfence.services.intake.record_names import SELF, RecordNamer, RepeatFilter, digest_of_name
from ringfence.services.intake.rendering import RowRenderer, render_single, too_large

ROWS_PER_PIECE_MAX: Final = 2_000
PIECE_SIZE_BYTES_MAX: Final = 2 * 1024 * 1024
DATASETS_PER_PIECE_MAX: Final = 100
KEPT_SIZE_BYTES_MAX: Final = 8 * 1024 * 1024
ROW_OVERHEAD_BYTES: Final = 400
RECORDS_PER_STEP: Final = 500


class ExportItems(Protocol):
    """Records of an export that stand together."""

    @property
    def dataset(self) -> str:
        """The dataset they belong to."""

    @property
    def records(self) -> Sequence[dict[str, Any]]:
        """The fields of each."""

    def pointer_of(self, place: int, /) -> str:
        """Give where one of them was in the export, as a JSON pointer."""


class Export(Protocol):
    """One user's export, to be read from its beginning as often as needed."""

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def size_bytes(self) -> int:
        """Its size as stated by where it lies."""

    def read(self) -> Iterator[Sequence[ExportItems]]:
        """Give its records, many at a time, those of a dataset in the order in which they stand.

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

    __slots__ = ("_datasets", "_many_datasets", "_names", "_parts", "rows", "size")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._many_datasets: list[str] = []
        self._names: list[str] = []
        self._parts: dict[str, list[bytes]] = {}
        self._datasets: set[str] = set()
        self.size = 0

    def add_row(self, row: Row) -> None:
        """Take one row."""
        self.rows.append(row)
        self._datasets.add(row.dataset)
        self.size += ROW_OVERHEAD_BYTES + sum(len(plaintext) for _, plaintext in row.parts)

    def add_many(self, datasets: Sequence[str], names: Sequence[str], parts: Mapping[str, Sequence[bytes]]) -> None:
        """Take records of the simpler kind, in columns: see `ManyRows`."""
        for data_class, texts in parts.items():
            column = fill_column(self._parts, data_class, len(self._names))
            column += texts
            self.size += sum(map(len, texts))
        self.size += ROW_OVERHEAD_BYTES * len(names)
        self._names += names
        self._many_datasets += datasets
        self._datasets.update(datasets)

    def many(self) -> ManyRows:
        """Give all of the simpler kind."""
        parts = {data_class: fill_column(self._parts, data_class, len(self._names)) for data_class in self._parts}
        return ManyRows(runs_of(self._many_datasets), self._names, parts)

    def within_datasets(self, datasets: Sequence[str]) -> int:
        """Give how many records of these datasets, from the first on, keep it within `DATASETS_PER_PIECE_MAX`."""
        others = [dataset for dataset in dict.fromkeys(datasets) if dataset not in self._datasets]
        room = DATASETS_PER_PIECE_MAX - len(self._datasets)
        return len(datasets) if len(others) <= room else datasets.index(others[room])

    def is_full(self) -> bool:
        """Whether it is time for another piece."""
        return (
            len(self.rows) + len(self._names) >= ROWS_PER_PIECE_MAX
            or self.size >= PIECE_SIZE_BYTES_MAX
            or len(self._datasets) >= DATASETS_PER_PIECE_MAX
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
        self._kept: list[_Content] = []
        self._kept_size = 0
        self._content = _Content()
        self._repeated = 0
        self._namer = RecordNamer()
        self._advanced = 0
        self._filter: RepeatFilter | None = None  # of an export that takes two passes
        self._noting: RepeatFilter | None = None  # the same, during the first of them
        self.records = 0
        self.evidence = Evidence()

    def look_through(self) -> Iterator[Advanced]:
        """Read the export once, to its end: rule 1."""
        if self._export.size_bytes > KEPT_SIZE_BYTES_MAX:
            self._keep_no_more()
        for lot in self._export.read():
            for items in lot:
                self._look_at(items.dataset, items.records)
            for content in self._render(lot):
                self._keep(content)
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
        name, rows = self._export.name, [evidence]
        for content in self._kept if self._filter is None else self._read_again():
            yield Piece(name, user, reason, rows + content.rows, content.many(), 0, last=False)
            rows = []
            yield self.advanced(1)
        content = self._content
        yield Piece(name, user, reason, rows + content.rows, content.many(), self._repeated, last=True)

    def advanced(self, share: float) -> Advanced:
        """Say how much further the reading is: half of the way after the first of two passes."""
        size = self._export.size_bytes
        if self._filter is None or share != 1:
            reached = int(min(self._export.position(), size) * share)
        else:
            reached = (size + min(self._export.position(), size)) // 2
        step, self._advanced = max(reached - self._advanced, 0), max(reached, self._advanced)
        return Advanced(step)

    def _look_at(self, dataset: str, records: Sequence[dict[str, Any]]) -> None:
        """Find the user and the evidence of the jurisdiction in records."""
        self.records += len(records)
        if dataset == self._identity.dataset:
            for record in records:
                self._identify(record)
        if dataset in self._telling:
            for record in records:
                self._collector.add(dataset, record)

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

    def _render(self, lot: Sequence[ExportItems]) -> Iterator[_Content]:
        """Render records into the piece that is being filled; gives it each time that it is full."""
        many = [items for items in lot if items.dataset in self._renderer.many]
        datasets = spread((items.dataset, len(items.records)) for items in many)
        records = [*chain.from_iterable(items.records for items in many)]
        start = 0
        while start < len(records):
            step = datasets[start : start + RECORDS_PER_STEP]
            step = step[: self._content.within_datasets(step)]
            some = records[start : start + len(step)]
            self._render_many(step, some, functools.partial(_pointer, many, start))
            yield from self._full()
            start += len(step)
        for items in lot:
            if items.dataset not in self._renderer.many:
                for place, record in enumerate(items.records):
                    self._render_one(items.dataset, record, items.pointer_of(place))
                    yield from self._full()

    def _render_many(
        self, datasets: Sequence[str], records: Sequence[dict[str, Any]], pointer_of: Callable[[int], str]
    ) -> None:
        place = 0
        try:
            names, parts = self._renderer.render_many(datasets, records, self._namer)
            for texts in parts.values():
                sizes = [*map(len, texts)]
                if max(sizes) > PLAINTEXT_SIZE_BYTES_MAX:
                    place = sizes.index(max(sizes))
                    raise too_large(texts[place])
            if self._noting is not None:
                for place, name in enumerate(names):  # noqa: B007 - it says where, when one is too many
                    self._noting.note(digest_of_name(name))
        except InvalidInputError as error:
            raise InvalidInputError(error.message, place=f"{self._export.name}#{pointer_of(place)}") from None
        self._content.add_many(datasets, names, parts)

    def _render_one(self, dataset: str, record: dict[str, Any], pointer: str) -> None:
        try:
            row = self._renderer.render(dataset, record, self._namer)
            if row is None:
                self._repeated += 1
                return
            if self._noting is not None and not row.mark:
                self._noting.note(digest_of_name(row.record))
        except InvalidInputError as error:
            raise InvalidInputError(error.message, place=f"{self._export.name}#{pointer}") from None
        self._content.add_row(row)

    def _full(self) -> Iterator[_Content]:
        """Give the piece and begin another one, when it is time; while names are only noted nothing is kept."""
        content = self._content
        if self._noting is not None:
            self._content = _Content()
        elif content.is_full():
            self._content = _Content()
            yield content

    def _keep(self, content: _Content) -> None:
        self._kept.append(content)
        self._kept_size += content.size
        if self._kept_size > KEPT_SIZE_BYTES_MAX:
            self._keep_no_more()

    def _keep_no_more(self) -> None:
        """Go on to a second pass: rule 2."""
        self._filter = self._noting = RepeatFilter(self._export.size_bytes)
        self._namer.note_all(self._filter)
        self._namer = RecordNamer(self._filter)
        self._kept = []

    def _read_again(self) -> Iterator[_Content]:
        self._namer, self._content, self._noting = RecordNamer(self._filter), _Content(), None
        self._repeated = 0
        for lot in self._export.read():
            yield from self._render(lot)


def _pointer(many: Sequence[ExportItems], start: int, place: int) -> str:
    """Give the pointer of one of all the records, of those from `start` on."""
    place += start
    for items in many:
        if place < len(items.records):
            return items.pointer_of(place)
        place -= len(items.records)
    raise IndexError(place)


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
