"""`ringfence review`: who could, who did, and what nobody needs, from an evidence bundle.

Exit codes: 0 done; 1 the bundle or the period is at fault; 2 used wrongly. It prints no verdict: `verify` first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import click

from ringfence.cli.files import FILE
from ringfence.cli.output import json_option, say
from ringfence.cli.progress import show_progress
from ringfence.cli.review_cells import Row, tell_rows
from ringfence.cli.tables import draw_table, render_csv
from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.wording import count_of, show_line
from ringfence.core.times import DAY_MS, show_time
from ringfence.reports.access import Authority, find_authority
from ringfence.reports.activity import Activity, find_activity
from ringfence.reports.history import Evidence, History, Period, open_evidence, read_history
from ringfence.reports.stale import Finding, find_stale
from ringfence.verify.checkpoints import CLOCK_SKEW_MS_MAX

PERIOD_DAYS: Final = 90
_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        json_option,
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet."),
        click.option("--to", "to", type=_DAY, help="The end of the period, UTC, excluded; the newest checkpoint."),
        click.option("--from", "since", type=_DAY, help=f"Its beginning, UTC; {PERIOD_DAYS} days before its end."),
        click.argument("directory", metavar="BUNDLE", type=FILE),
    ):
        command = option(command)
    return command


@click.group(short_help="Who could, who did, and what nobody needs.")
def review() -> None:
    """Review who has access, from an evidence bundle (`ringfence ledger export`).

    What is, is told as of the end of the period; what was done, as of then. Names of people are in a bundle with
    --detail only. A table is for reading; --csv and --json have every row whole.
    """


@review.command(short_help="Who could read or do what at the end of the period.")
@_options
def access(directory: Path, *, since: datetime | None, to: datetime | None, as_csv: bool, as_json: bool) -> None:
    """List who could do what with data: each flow of the charter that somebody could use, and on what it rests.

    Each was asked of the decision that serves requests: without a grant, under each live grant, with each approved
    build, and under the break-glass that people may give themselves.
    """
    read = _read(directory, since, to)
    rows = list(find_authority(read.history.state, at_ms=read.period.to_ms))
    _print(Authority, rows, read, as_csv=as_csv, as_json=as_json)


@review.command(short_help="Who did what in the period.")
@_options
def activity(directory: Path, *, since: datetime | None, to: datetime | None, as_csv: bool, as_json: bool) -> None:
    """List who did what in the period, added up: accesses given and refused, and what people signed."""
    read = _read(directory, since, to)
    with show_progress("reading", quiet=as_json or as_csv) as tell:
        rows = find_activity(*read, progress=tell)
    _print(Activity, rows, read, as_csv=as_csv, as_json=as_json)


@review.command(short_help="Authority that was not used, or should have ended.")
@_options
def stale(directory: Path, *, since: datetime | None, to: datetime | None, as_csv: bool, as_json: bool) -> None:
    """List authority that nobody used in the period, and what should have ended: duties and keys of those who may not
    act, and break-glass that nobody reviewed.
    """
    read = _read(directory, since, to)
    with show_progress("reading", quiet=as_json or as_csv) as tell:
        done = find_activity(*read, progress=tell)
    _, history, period = read
    rows = find_stale(history, period, find_authority(history.state, at_ms=period.to_ms), done)
    _print(Finding, rows, read, as_csv=as_csv, as_json=as_json)


class _Read(NamedTuple):
    evidence: Evidence
    history: History
    period: Period


def _read(directory: Path, since: datetime | None, to: datetime | None) -> _Read:
    evidence = open_evidence(directory)
    last_ms = evidence.signed_at_ms + 1_000  # a checkpoint's time is in whole seconds
    if to and _ms(to) > last_ms:
        raise InvalidInputError(
            f"the bundle tells nothing of what was after {show_time(evidence.signed_at_ms)}, when it was signed",
            place="--to",
            hint="leave it out, or export the ledger again",
        )
    end_ms = _ms(to) if to else evidence.signed_at_ms + CLOCK_SKEW_MS_MAX + 1  # after all that the bundle may hold
    start_ms = _ms(since) if since else max(end_ms - PERIOD_DAYS * DAY_MS, 0)
    if start_ms >= end_ms:
        raise InvalidInputError("the period ends before it begins", place="--from")
    return _Read(evidence, read_history(evidence, until_ms=end_ms), Period(start_ms, end_ms))


def _ms(day: datetime) -> int:
    return int(day.replace(tzinfo=UTC).timestamp() * 1000)


# -- printing ------------------------------------------------------------------------------------------------------


def _print(kind: type[Row], rows: Sequence[Row], read: _Read, *, as_csv: bool, as_json: bool) -> None:
    if as_csv and as_json:
        raise click.UsageError("choose one of --csv and --json")
    if as_csv:
        click.echo(render_csv(kind, rows), nl=False)
        return
    evidence, history, period = read
    facts = {
        "origin": evidence.origin,
        "size": evidence.size,
        "signed_at_ms": evidence.signed_at_ms,
        "detail": evidence.detail,
        "from_ms": period.from_ms,
        "to_ms": period.to_ms,
        "rows": [asdict(row) for row in rows],
    }
    if as_json:
        say("", facts, as_json=True)
        return
    signed = f"{evidence.size:,} leaves, signed at {show_time(evidence.signed_at_ms)}"
    click.echo(f"{show_line(evidence.origin)}: {signed}" + ("" if evidence.detail else "; who is who is withheld"))
    click.echo(f"from {show_time(period.from_ms)} to {show_time(period.to_ms)}: {count_of(len(rows), 'row')}")
    for line in draw_table(tell_rows(rows, history.state.rules)):
        click.echo(line)
