"""`ringfence ingest`: take user exports in, from directories, .json, .zip and .ndjson files.

Exit codes: 0 everything was taken or left; 1 something was refused; 2 used wrongly; 3 a device is at fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress

from ringfence.app.deployment import LOCAL_ISSUER, Deployment, open_deployment
from ringfence.app.runtime import Runtime, open_runtime
from ringfence.cli.output import EXIT_REFUSED, deployment_option, json_option, run, say
from ringfence.core.catalog import SourceMatcher
from ringfence.core.errors import ConfigurationError
from ringfence.legacy.evidence import AddressBook, EvidenceCollector
from ringfence.legacy.reader import Item, read_export
from ringfence.legacy.sources import ExportSource, SkippedSource, walk_sources
from ringfence.services.custody.request import Caller
from ringfence.services.intake.intake import Export, Intake
from ringfence.services.intake.summary import SourceReport, Summary

TOOL: Final = "ingest"
EXPORTS_AT_ONCE: Final = 8


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--purpose", default="migrate", show_default=True, help="A purpose of the charter.")
@deployment_option
@json_option
def ingest(paths: tuple[Path, ...], *, purpose: str, directory: Path, as_json: bool) -> int:
    """Take the user exports at PATH... in: users of the jurisdiction are stored, others left, broken files reported."""
    summary = run(_ingest(open_deployment(directory), paths, purpose=purpose, quiet=as_json))
    say(summary.render(), summary.facts(), as_json=as_json)
    return EXIT_REFUSED if summary.sources["refused"] else 0


async def _ingest(deployment: Deployment, paths: tuple[Path, ...], *, purpose: str, quiet: bool) -> Summary:
    async with open_runtime(deployment) as runtime, runtime.gate(duty="ingest") as gate:
        with ExitStack() as stack:
            geography = deployment.configuration.geography
            addresses = stack.enter_context(AddressBook(deployment.path(geography))) if geography else None
            charter = runtime.keeper.state.rules
            intake = Intake(
                gate,
                _caller(runtime),
                purpose=purpose,
                collector=lambda: EvidenceCollector(charter.jurisdiction, addresses),
            )
            bar = stack.enter_context(Progress(console=Console(stderr=True), disable=quiet, transient=True))
            return await _take_all(intake, paths, SourceMatcher(charter), bar)


def _caller(runtime: Runtime) -> Caller:
    """The local tool acts as the custodian's, in the country where the deployment stands."""
    state = runtime.keeper.state
    number = state.identities.get((LOCAL_ISSUER, TOOL))
    if number is None:
        raise ConfigurationError(
            f"the tool `{TOOL}` is not registered", hint=f"ringfence principal register {TOOL} --issuer {LOCAL_ISSUER}"
        )
    region = state.rules.regions[runtime.deployment.configuration.region]
    return Caller(number, region.country, "deployment")


async def _take_all(intake: Intake, paths: tuple[Path, ...], matcher: SourceMatcher, bar: Progress) -> Summary:
    """Take the sources in, a few at a time, so that one's writing overlaps with another's reading."""
    summary = Summary()
    task = bar.add_task("ingest", total=None)
    running: set[asyncio.Task[SourceReport]] = set()
    try:
        for source in walk_sources(paths):
            if isinstance(source, SkippedSource):
                summary.add(SourceReport(source.name, source.verdict, source.reason))
                continue
            running.add(asyncio.create_task(intake.take(_export(source, matcher))))
            if len(running) >= EXPORTS_AT_ONCE:
                running = await _collect(running, summary, return_when=asyncio.FIRST_COMPLETED)
            bar.advance(task)
        await _collect(running, summary, return_when=asyncio.ALL_COMPLETED)
    finally:
        for left in running:
            left.cancel()
    return summary


async def _collect(
    running: set[asyncio.Task[SourceReport]], summary: Summary, *, return_when: str
) -> set[asyncio.Task[SourceReport]]:
    if not running:
        return running
    done, pending = await asyncio.wait(running, return_when=return_when)
    for task in done:
        summary.add(task.result())
    return pending


def _export(source: ExportSource, matcher: SourceMatcher) -> Export:
    def read() -> Iterator[Item]:
        with source.open() as stream:
            yield from read_export(stream, name=source.name, matcher=matcher)

    return Export(source.name, read)
