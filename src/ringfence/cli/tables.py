"""Rows of one kind as a table for people, and as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ringfence.core.governance.wording import quote
from ringfence.core.times import show_time

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def print_table(kind: type[Any], rows: Sequence[Any]) -> None:
    """Print rows of a dataclass as a table, without the columns that say nothing.

    A terminal's width is kept, a file is as wide as it takes. Nothing is printed of no rows.
    """
    names = [field.name for field in fields(kind)]
    texts = [[_text(name, getattr(row, name), more=" ") for name in names] for row in rows]
    told = [place for place in range(len(names)) if any(line[place] for line in texts)]
    if not told:
        return
    table = Table(box=None, pad_edge=False, header_style="")
    for place in told:
        table.add_column(names[place].removesuffix("_ms").replace("_", " "), overflow="fold")
    for line in texts:
        table.add_row(*(Text(line[place]) for place in told))
    drawn = io.StringIO()
    Console(width=None if sys.stdout.isatty() else 10_000, no_color=True, file=drawn).print(table)
    click.echo("\n".join(line.rstrip() for line in drawn.getvalue().splitlines()))


def render_csv(kind: type[Any], rows: Sequence[Any]) -> str:
    """Give rows of a dataclass as CSV in which no cell is taken for a formula: names come from files of others."""
    names = [field.name for field in fields(kind)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name.removesuffix("_ms") for name in names])
    for row in rows:
        cells = [_text(name, getattr(row, name), more=";") for name in names]
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return text.getvalue()


def _text(name: str, value: Any, *, more: str) -> str:
    if name.endswith("_ms"):
        return show_time(value) if value else ""
    if isinstance(value, tuple):
        return more.join(value)
    text = str(value) if value else ""
    return text if text.isprintable() else quote(text)
