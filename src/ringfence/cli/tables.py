"""Rows of one kind as a table for people, and as CSV for a spreadsheet.

Rules of this file:
1. CSV tells every row whole. A table is for reading: it tells once what rows below one another share, and may cut a
   list.
2. Nothing that somebody else wrote is a formula, moves the cursor, or shows as something that it is not.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import click

from ringfence.core.governance.wording import quote, show_line
from ringfence.core.times import show_time

LISTED_MAX: Final = 4
"""Most values of a list that a table tells where it may be cut; CSV and JSON have all."""

FILE_COLUMNS_MAX: Final = 10_000
_INDENT: Final = "  "
_GAP: Final = "  "
_FORMULA: Final = re.compile(r"(^|[;,|\t\r\n])(\s*)([=+\-@\uff1d\uff0b\uff0d\uff20])")
"""What a spreadsheet may take for a formula: at the start of a cell, or of what it takes for one in another country,
where cells end with another mark. In their wide forms too."""


class Told(NamedTuple):
    """A row of a table.

    Attributes:
        heading: what it shares with those beside it, told once on a line of its own above them; "" for nothing.
        cells: text by column; every row of a table has the same columns.
    """

    heading: str
    cells: Mapping[str, str]


def print_table(kind: type[Any], rows: Sequence[Any]) -> None:
    """Print rows of a dataclass as a table, a column for each field; nothing of no rows."""
    names = [field.name for field in fields(kind)]
    told = [
        Told(
            "",
            {name.removesuffix("_ms").replace("_", " "): _cell(name, getattr(row, name), more=" ") for name in names},
        )
        for row in rows
    ]
    for line in draw_table(told):
        click.echo(line)


def render_csv(kind: type[Any], rows: Sequence[Any]) -> str:
    """Give rows of a dataclass as CSV in which no cell is taken for a formula: names come from files of others."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(kind)]
    writer.writerow([name.removesuffix("_ms") for name in names])
    for row in rows:
        writer.writerow([_FORMULA.sub(r"\1\2'\3", _cell(name, getattr(row, name), more=";")) for name in names])
    return text.getvalue()


def _cell(name: str, value: Any, *, more: str) -> str:
    if name.endswith("_ms"):
        return show_time(value) if value else ""
    return more.join(value) if isinstance(value, tuple) else show_text(str(value)) if value else ""


def show_text(text: str) -> str:
    """Give a text as it is, or in quotation marks and escaped where it would show as something else."""
    return text if show_line(text) == text else quote(text)


def list_briefly(values: Sequence[str], whole: Collection[str]) -> str:
    """Give a list for a table: `*` where it is all that there is, else the first few and how many more."""
    if values and set(values) >= set(whole):
        return "*"
    more = f" +{len(values) - LISTED_MAX + 1}" if len(values) > LISTED_MAX else ""
    return " ".join(values[: LISTED_MAX - 1] if more else values) + more


def draw_table(rows: Sequence[Told], *, columns: int | None = None) -> Iterator[str]:
    """Give the lines of a table without the columns that say nothing; none of no rows.

    Args:
        rows: in order.
        columns: that the lines may have; None for those of this terminal, or as many as it takes where there is none.
            A word that is longer than its share stays whole.
    """
    names = [name for name in (rows[0].cells if rows else ()) if any(row.cells[name] for row in rows)]
    if not names:
        return
    lines = [names, *([row.cells[name] for name in names] for row in rows)]
    indent = _INDENT if any(row.heading for row in rows) else ""
    terminal = shutil.get_terminal_size().columns if sys.stdout.isatty() else FILE_COLUMNS_MAX
    widths = _fit(lines, (columns or terminal) - len(indent))
    yield from _draw(names, widths, indent)
    heading = ""
    for row, line in zip(rows, lines[1:], strict=True):
        if heading != (heading := row.heading):
            yield heading
        yield from _draw(line, widths, indent)


def _fit(lines: Sequence[Sequence[str]], columns: int) -> list[int]:
    """Give each column's width: as much as it takes, but for the widest, which fold between words until all fit."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    least = [max(len(word) for cell in column for word in ("", *cell.split())) for column in zip(*lines, strict=True)]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > columns and widths != least:
        place = max((place for place in range(len(widths)) if widths[place] > least[place]), key=widths.__getitem__)
        widths[place] -= 1
    return widths


def _draw(line: Sequence[str], widths: Sequence[int], indent: str) -> Iterator[str]:
    folded = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(line, widths, strict=True)]
    for parts in zip_longest(*folded, fillvalue=""):
        padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
        yield f"{indent}{_GAP.join(padded)}".rstrip()
