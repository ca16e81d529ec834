"""`ringfence ingest`: take user exports in, from directories, .json, .zip and .ndjson files.

Exit codes: 0 every export was taken, was there already or was left; 1 one was refused, or the charter does not permit
it; 2 used wrongly; 3 a device or a setting is at fault.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ringfence.app.deployment import open_deployment
from ringfence.app.ingesting import SourceFeed, local_caller, prepare_process
from ringfence.app.runtime import open_runtime
from ringfence.cli.output import EXIT_REFUSED, deployment_option, json_option, run, say
from ringfence.core.errors import ConfigurationError
from ringfence.services.intake.intake import Intake
from ringfence.services.intake.messages import REFUSED
from ringfence.services.intake.summary import SourceReport, Summary


@dataclass(frozen=True, slots=True)
class _Options:
    """What the command was asked for."""

    paths: tuple[Path, ...]
    directory: Path
    purpose: str
    report: Path | None
    as_json: bool


@click.command(short_help="Take user exports in.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.option("--purpose", default="migrate", show_default=True, help="A purpose of the charter.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what became of every source to this file, one JSON object a line.",
)
@deployment_option
@json_option
def ingest(paths: tuple[Path, ...], *, purpose: str, report: Path | None, directory: Path, as_json: bool) -> int:
    """Take the user exports at PATH... in.

    PATH is a directory, a .json file (one user), a .zip archive of such files or an .ndjson file (one user a line).
    Users of the jurisdiction are stored, sealed; users outside of it are left; a broken export is reported and the
    rest goes on. Running it again stores only what is not there yet, so a run that was stopped is simply repeated.

    Exits with 0 when every export was taken or left, 1 when one was refused, 2 when used wrongly, 3 when a device or
    a setting is at fault.
    """
    summary = run(_ingest(_Options(paths, directory, purpose, report, as_json)))
    say(summary.render(), summary.facts(), as_json=as_json)
    return EXIT_REFUSED if summary.outcomes[REFUSED] else 0


async def _ingest(options: _Options) -> Summary:
    deployment = open_deployment(options.directory)
    prepare_process()
    with ExitStack() as stack:
        tell = _reporter(stack, options.report)
        async with open_runtime(deployment) as runtime, runtime.gate(duty="ingest") as gate:
            advance = _progress(stack)
            feed = SourceFeed(runtime, options.paths)
            intake = Intake(
                gate,
                local_caller(runtime),
                purpose=options.purpose,
                tell=tell,
                advance=advance,
                expect=feed.expect,
            )
            try:
                return await intake.run(feed.messages())
            except Exception:
                if intake.summary.outcomes:
                    click.echo(f"stopped; until then: {intake.summary.render()}", err=True)
                raise


def _reporter(stack: ExitStack, path: Path | None) -> Callable[[SourceReport], None]:
    if path is None:
        return lambda report: None
    try:
        file: IO[str] = stack.enter_context(path.open("w", encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", hint="see --report") from None
    return lambda report: print(json.dumps(report.facts(), ensure_ascii=False), file=file)


def _progress(stack: ExitStack) -> Callable[[int, int], None]:
    """Show a bar of bytes on standard error, where a person looks at it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
    stack.enter_context(bar)
    task = bar.add_task("ingest", total=None)

    def advance(read: int, total: int) -> None:
        if total:
            bar.update(task, total=total)
        bar.advance(task, read)

    return advance
