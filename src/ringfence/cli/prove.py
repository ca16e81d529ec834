"""`ringfence prove`: what the rules come to, computed before anybody asks.

Exit codes: 0 every invariant holds; 1 one is broken, and its cells are named, or the rules cannot be read; 2 used
wrongly; 3 the deployment is at fault.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from ringfence.cli.files import FILE, write_text
from ringfence.cli.output import EXIT_REFUSED, deployment_option, json_option, say
from ringfence.cli.prove_coalition import coalition
from ringfence.cli.prove_subject import Subject, read_subject
from ringfence.cli.tables import print_table, render_csv
from ringfence.prover.matrix.cells import Matrix, Promise, ask_all
from ringfence.prover.matrix.domain import Box
from ringfence.prover.matrix.picture import draw_picture
from ringfence.prover.matrix.survey import Line, Row, lines_of, survey
from ringfence.prover.matrix.words import (
    AskedCell,
    asked_cells,
    box_words,
    matrix_facts,
    names_words,
    scope_words,
    widening_words,
)

BROKEN_SHOWN_MAX: Final = 20


@click.group(short_help="Compute what the rules come to.")
def prove() -> None:
    """Compute what the rules come to, before anybody asks: from a charter, a bundle or a deployment."""


@prove.command(short_help="Ask every question that a decision can see.")
@click.argument("source", metavar="[CHARTER|BUNDLE]", type=FILE, required=False)
@click.option("--party", "parties", metavar="NAME", multiple=True, help="Only questions of this party; more than once.")
@click.option("--picture", metavar="FILE", type=FILE, help="Draw who can do what to what, as HTML, into FILE.")
@click.option("--csv", "as_csv", is_flag=True, help="Print every cell as CSV, for a spreadsheet.")
@deployment_option
@json_option
def matrix(
    source: Path | None, *, parties: tuple[str, ...], picture: Path | None, directory: Path, as_csv: bool, as_json: bool
) -> int:
    """Put every question that a decision can see to the engine that serves requests, and hold the answers against the
    charter's invariants.

    The rules are those of CHARTER, of BUNDLE at its newest checkpoint, or of the deployment. Exits with 1 when an
    invariant is broken; the cells that break it are named.
    """
    if as_csv and as_json:
        raise click.UsageError("choose one of --csv and --json")
    subject = read_subject(source, deployment=directory)
    asked = ask_all(subject.engine, subject.charter, parties=parties)
    promises = asked.promises()
    rows = survey(asked, stopped=subject.stopped)
    if picture is not None:
        write_text(picture, draw_picture(asked, promises, rows, source=_where(subject)))
    if as_csv:
        click.echo(render_csv(AskedCell, asked_cells(asked)), nl=False)
    elif as_json:
        say("", {"source": subject.words, **matrix_facts(asked, promises, rows, stopped=subject.stopped)}, as_json=True)
    else:
        _tell(subject, asked, promises, rows)
    return EXIT_REFUSED if any(promise.broken for promise in promises) else 0


def _where(subject: Subject) -> str:
    """Say of a picture where its rules are from, and what is suspended in it."""
    suspended = ", ".join(f"{scope} {name}".rstrip() for scope, name in sorted(subject.stopped))
    return f"{subject.words}; suspended now: {suspended}" if suspended else subject.words


prove.add_command(coalition)


def _tell(subject: Subject, asked: Matrix, promises: tuple[Promise, ...], rows: tuple[Row, ...]) -> None:
    charter = asked.charter
    click.echo(f"{subject.words}: {charter.name}, version {charter.version}, decided by engine {asked.engine}")
    click.echo(scope_words(asked))
    for scope, name in sorted(subject.stopped):
        click.echo(f"suspended now: {scope} {name}".rstrip())
    if not promises:
        click.echo("the charter has no invariants")
    for promise in promises:
        click.echo(_promise_words(promise, asked.domain))
    for widening in asked.widenings():
        click.echo(widening_words(widening))
    click.echo("")
    every = len(charter.datasets)
    print_table(Line, [_shortened(line, every) for row in rows for line in lines_of(row, asked.domain)])


def _shortened(line: Line, every: int) -> Line:
    """Give a line as it is printed: many datasets are not named, and nothing is said to be nothing."""
    datasets = f"all {every}" if len(line.datasets) == every else names_words(line.datasets)
    return replace(line, datasets=(datasets,), single=line.single or ("nothing",))


def _promise_words(promise: Promise, domain: Box) -> str:
    if not promise.broken:
        return f"holds   {promise.name}: over {promise.views:,} questions"
    count = len(promise.broken)
    lines = [f"BROKEN  {promise.name}: by {count} {'cell' if count == 1 else 'cells'}"]
    lines += [f"        {box_words(cell, domain)}" for cell in promise.broken[:BROKEN_SHOWN_MAX]]
    if count > BROKEN_SHOWN_MAX:
        lines.append(f"        and {count - BROKEN_SHOWN_MAX} more: see --csv")
    return "\n".join(lines)
