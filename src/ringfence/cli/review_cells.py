"""What the tables of a review say of a row: for reading, so that CSV and JSON have more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ringfence.cli.tables import Told, list_briefly, show_text
from ringfence.core.charter import Charter
from ringfence.core.charter.terms import SHAPES, VERBS
from ringfence.core.governance.wording import quote
from ringfence.core.times import show_time
from ringfence.reports.access import Authority
from ringfence.reports.activity import Activity
from ringfence.reports.history import OPERATED
from ringfence.reports.stale import Finding

Row = Authority | Activity | Finding
BUILD_DIGITS: Final = 12
"""So much of a build's digest is in a table."""


def tell_rows(rows: Sequence[Row], charter: Charter) -> list[Told]:
    """Give rows of one kind for a table, under whose they are. Times are UTC, to the second; `*` is all there is."""
    return [Told(_heading(row), dict(_cells(row, charter))) for row in rows]


def _heading(row: Row) -> str:
    """Give what a row shares with those beside it: whose it is, and of a finding its kind."""
    if isinstance(row, Finding):
        return row.kind
    duties = f": {', '.join(row.duties)}" if isinstance(row, Authority) and row.duties else ""
    return f"{_who(row)}{duties}"


def _cells(row: Row, charter: Charter) -> Iterator[tuple[str, str]]:
    match row:
        case Authority():
            yield "flow", row.clause
            yield "rests on", row.basis + (f" until {_time(row.until_ms)}" if row.until_ms else "")
            yield "verbs", list_briefly(row.verbs, VERBS)
            yield "datasets", list_briefly(row.datasets, charter.datasets)
            yield "classes", list_briefly(row.classes, charter.classes)
            yield "purposes", list_briefly(row.purposes, charter.purposes)
            yield "from", list_briefly(row.countries, ("*",))
            yield "users", row.users + (" in bulk" if SHAPES[1] in row.shapes else "")
        case Activity():
            yield "how", row.kind
            yield "flow", row.clause
            yield "what", show_text(row.verb)
            yield "dataset", show_text(row.dataset)
            yield "purpose", show_text(row.purpose)
            yield "grant", str(row.grant or "")
            yield "build", row.build[:BUILD_DIGITS]
            yield "times", f"{row.times:,}"
            yield "records", f"{row.records:,}" if row.records else ""
            yield "first", _time(row.first_ms)
            yield "last", _time(row.last_ms) if row.last_ms != row.first_ms else ""
        case Finding():
            yield "who", _who(row)
            yield "what", show_text(row.what)
            yield "since", _time(row.since_ms)
            yield "finding", show_text(row.words)


def _who(row: Row) -> str:
    """Give a principal by number, reference, name and party."""
    if not row.principal:
        return "the operator" if row.kind == OPERATED else row.party or "unknown callers"
    name = quote(row.name) if row.name else ""
    return " ".join(
        filter(None, (str(row.principal), show_text(row.who), name, f"of {row.party}" if row.party else ""))
    )


def _time(at_ms: int) -> str:
    return show_time(at_ms // 1000 * 1000).removesuffix(" UTC") if at_ms else ""
