"""HR files: CSV with a header, read whole, with every problem at once.

Rules of this file:
1. A file is UTF-8 (a byte order mark at its start is left out) and RFC 4180, with commas. Its first line names the
   columns, all of `COLUMNS` and no others. A row is one person; an empty line is none.
2. Nothing is guessed: not the encoding, not the separator, not what a wrong value meant.
3. Every problem is kept with the line on which its row begins and the place of its column, both from 1; after
   `PROBLEMS_MAX` they are counted. Messages show references, parties, countries and times, and never a name.
4. Where a row has a fault its reference still counts as known, so that one fault is told once.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ringfence.core.charter.document import show
from ringfence.core.charter.shape_parsing import suggest
from ringfence.core.errors import PeopleInvalidError, Problem
from ringfence.services.people.values import COLUMNS, SPACES, STRANGE, Fault, Parser, parsers_of

FILE_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024
ROWS_MAX: Final = 100_000
PROBLEMS_MAX: Final = 200_000
"""Most problems that are listed; what is beyond is counted."""

_WHOLE_FILE: Final = 0
_HEADER_LINE: Final = 1


class Row(NamedTuple):
    """What a file says of one person, by references. `line` is where it begins; times are milliseconds since 1970."""

    line: int
    reference: str
    name: str
    employer: str
    paid_by: str
    residence: str
    works_in: str
    manager: str
    directed_by: tuple[str, ...]
    team: str
    devices_of: str
    starts_ms: int
    ends_ms: int


@dataclass(slots=True)
class Problems:
    """What is wrong in a file."""

    file: str
    columns: Mapping[str, int] = field(default_factory=dict)
    listed: list[Problem] = field(default_factory=list)
    unlisted: int = 0

    def add(self, line: int, column: str | int, found: str, expected: str) -> None:
        """Keep a problem of a row; `column` is a name or a place."""
        if len(self.listed) >= PROBLEMS_MAX:
            self.unlisted += 1
            return
        place = self.columns.get(column, 0) if isinstance(column, str) else column
        where = f"{column}: " if isinstance(column, str) else ""
        self.listed.append(Problem(self.file, line, place, f"{where}{found}", expected))

    def raise_any(self) -> None:
        """Refuse the file when anything is wrong in it.

        Raises:
            PeopleInvalidError: carries every problem, in the order of the file.
        """
        if not self.listed:
            return
        problems = sorted(self.listed, key=lambda one: (one.line, one.column))
        if self.unlisted:
            found = f"{self.unlisted} more problems, which are not listed"
            problems.append(Problem(self.file, _WHOLE_FILE, 0, found, "a file with fewer, so that all can be listed"))
        raise PeopleInvalidError(problems, count=len(self.listed) + self.unlisted)


def parse_table(data: bytes, *, parties: Collection[str], problems: Problems) -> list[Row]:
    """Read a file's rows; what is wrong goes to `problems`, and a row with a fault is left out or has it empty.

    Args:
        data: the file, at most `FILE_SIZE_BYTES_MAX`.
        parties: the names that the charter has for parties.
        problems: takes what is wrong, and the places of the columns.
    """
    text = _decode(data, problems)
    if text is None:
        return []
    lines = _read_lines(text, problems)
    header = next(lines, None)
    if header is None:
        problems.add(_HEADER_LINE, 0, "an empty file", f"a header: {','.join(COLUMNS)}")
        return []
    if not _read_header(header[1], problems):
        return []
    has_strange = STRANGE.search(text) is not None
    reader = _RowReader(parties, problems, width=len(header[1]), has_strange=has_strange)
    rows: list[Row] = []
    for line, values in lines:
        if len(rows) == ROWS_MAX:
            problems.add(line, 0, f"more than {ROWS_MAX} rows", "several files, each taken with --partial")
            break
        rows.append(reader.read(line, values))
    return rows


def _decode(data: bytes, problems: Problems) -> str | None:
    """Give the text, with what is not UTF-8 in it as halves of surrogate pairs."""
    if len(data) > FILE_SIZE_BYTES_MAX:
        found = f"more than {FILE_SIZE_BYTES_MAX} bytes"
        problems.add(_WHOLE_FILE, 0, found, "several files, each taken with --partial")
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        problems.add(_WHOLE_FILE, 0, "UTF-16 or UTF-32", "UTF-8")
        return None
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _read_lines(text: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Give the values of each row that is not empty, with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found, expected = _explain(error)
            problems.add(line, 0, found, expected)
            continue
        if values:
            yield line, values


def _explain(error: csv.Error) -> tuple[str, str]:
    said = str(error)
    if "unexpected end of data" in said:
        return "a quote that is never closed", "a quote at the end of the value"
    if "field larger than" in said:
        return f"a value of more than {csv.field_size_limit()} characters", "shorter values, or the quote that ends it"
    return f"no CSV: {said}", 'a comma after a value in quotes, and `""` for a quote inside of it'


def _read_header(values: list[str], problems: Problems) -> bool:
    """Find the columns; gives whether rows can be read by them."""
    names = [value.strip(SPACES).casefold() for value in values]
    columns: dict[str, int] = {}
    expected = f"a header: {','.join(COLUMNS)}"
    for sign, words in ((";", "semicolons"), ("\t", "tabs")):
        if len(values) == 1 and sign in values[0]:
            problems.add(_HEADER_LINE, 1, f"values with {words} between them", "commas")
            return False
    if not set(names) & set(COLUMNS):
        problems.add(_HEADER_LINE, 1, "a first line that names no column", expected)
        return False
    for place, name in enumerate(names, start=1):
        if name in columns:
            problems.add(_HEADER_LINE, place, f"the column {name} a second time", "each column once")
        elif name in COLUMNS:
            columns[name] = place
        else:
            near = suggest(name, COLUMNS)
            problems.add(_HEADER_LINE, place, f"the unknown column {show(name)}", f"{', '.join(COLUMNS)}{near}")
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        problems.add(_HEADER_LINE, 0, f"no column {', '.join(missing)}", expected)
    problems.columns = columns
    return True


_NOTHING: Final[Mapping[str, Any]] = {"directed_by": (), "starts": 0, "ends": 0}
"""What a column says that says nothing, where that is not the empty text."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: its place among the values (-1 when the file has none), its parser, and what it made of values."""

    name: str
    position: int
    parse: Parser
    parsed: dict[str, Any] = field(default_factory=dict)

    @property
    def nothing(self) -> Any:
        return _NOTHING.get(self.name, "")


class _RowReader:
    """Reads rows by the columns of a header. What was made of a value is kept, for most values come often."""

    def __init__(self, parties: Collection[str], problems: Problems, *, width: int, has_strange: bool) -> None:
        parsers = parsers_of(parties)
        self._problems = problems
        self._width = width
        self._has_strange = has_strange
        self._columns = [_Column(name, problems.columns.get(name, 0) - 1, parsers[name]) for name in COLUMNS]

    def read(self, line: int, values: list[str]) -> Row:
        """Give what a row says; where it has a fault, that is kept as a problem, and the row says nothing there."""
        if len(values) != self._width:  # in which columns the values would have been, nobody knows
            self._problems.add(line, 0, f"{len(values)} values", f"{self._width}, one for each column")
            return Row(line, self._find_reference(values), *(column.nothing for column in self._columns[1:]))
        said = [
            self._read_value(line, column, values) if column.position >= 0 else column.nothing
            for column in self._columns
        ]
        row = Row(line, *said)
        self._check(row)
        return row

    def _find_reference(self, values: list[str]) -> str:
        """Give the reference of a row that cannot be read, for others may name it; "" when it has none."""
        column = self._columns[0]
        text = values[column.position].strip(SPACES) if -1 < column.position < len(values) else ""
        reference = column.parse(text)
        return reference if isinstance(reference, str) else ""

    def _read_value(self, line: int, column: _Column, values: list[str]) -> Any:
        text = values[column.position]
        value = column.parsed.get(text)
        if value is None:
            strange = STRANGE.search(text) if self._has_strange else None
            value = _explain_strange(strange[0]) if strange else column.parse(text.strip(SPACES))
            column.parsed[text] = value
        if isinstance(value, Fault):
            self._problems.add(line, column.name, value.found, value.expected)
            return column.nothing
        return value

    def _check(self, row: Row) -> None:
        if row.starts_ms and row.ends_ms and row.ends_ms <= row.starts_ms:
            self._problems.add(row.line, "ends", "an end that is not after the start", "a later time, or nothing")
        if row.reference and row.reference in row.directed_by:
            self._problems.add(row.line, "directed_by", f"{show(row.reference)} itself", "other people, or nobody")


def _explain_strange(sign: str) -> Fault:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        return Fault(f"the byte {code - 0xDC00:02X}, which is not UTF-8 here", "UTF-8 in all rows")
    if sign in "\r\n":
        return Fault("a line break inside of the value", "a value on one line; is a quote missing its end?")
    return Fault(f"the character U+{code:04X}", "no control or direction characters")
