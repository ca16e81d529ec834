"""`ringfence charter`: check an agreement, read it in plain sentences, and give it to editors and policy engines.

Exit codes: 0 the charter is valid, 1 it has problems or cannot be read. Problems go to standard error, one a line as
`FILE:LINE:COLUMN: ...`; with `--json` the same facts are one JSON object on standard output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from ringfence.cli.deployment import enact
from ringfence.core.charter import Charter, parse_charter
from ringfence.core.charter.document import TEXT_SIZE_BYTES_MAX
from ringfence.core.charter.shape import charter_schema
from ringfence.core.charter.words import explain_charter
from ringfence.core.errors import CharterInvalidError, Problem
from ringfence.prover.matrix.cedar import render_cedar, render_cedar_schema

EXIT_PROBLEMS: Final = 1
_EXPORTS: Final = {"cedar": render_cedar, "cedar-schema": render_cedar_schema}

_FILE = click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


@click.group(name="charter", short_help="Check, read and enact the agreement.")
def charter() -> None:
    """Check and explain the agreement that decides every access."""


charter.add_command(enact)


@charter.command(short_help="Check FILE and report every problem.")
@_FILE
@_JSON
def check(file: Path, *, as_json: bool) -> None:
    """Check FILE (`-` for standard input) and report every problem with its line and column."""
    parsed = _load(file, as_json=as_json)
    counts = {
        "parties": len(parsed.parties),
        "datasets": len(parsed.datasets),
        "fields": sum(len(dataset.fields) for dataset in parsed.datasets.values()),
        "flows": len(parsed.flows),
        "invariants": len(parsed.invariants),
        "duties": len(parsed.governance.duties) if parsed.governance else 0,
    }
    if as_json:
        facts = {"valid": True, "charter": parsed.name, "version": parsed.version, "sha256": parsed.digest.hex()}
        _print_json({**facts, **counts, "problems": []})
        return
    summary = ", ".join(f"{count} {noun}" for noun, count in counts.items())
    click.echo(f"{_name(file)}: the charter {parsed.name}, version {parsed.version}, is valid: {summary}")


@charter.command(short_help="Print the JSON Schema of a charter file.")
@_JSON
def schema(*, as_json: bool) -> None:
    """Print the JSON Schema of a charter file, for editors. It is JSON with or without `--json`."""
    click.echo(json.dumps(charter_schema(), indent=None if as_json else 2, ensure_ascii=False))


@charter.command(short_help="Say in plain sentences who may do what.")
@_FILE
@_JSON
def explain(file: Path, *, as_json: bool) -> None:
    """Say in plain sentences who may do what by FILE (`-` for standard input)."""
    parsed = _load(file, as_json=as_json)
    words = explain_charter(parsed)
    if as_json:
        _print_json({"charter": parsed.name, "version": parsed.version, "text": words})
    else:
        click.echo(words, nl=False)


@charter.command(short_help="Give it to a policy engine of somebody else.")
@_FILE
@click.option("--format", "kind", type=click.Choice(list(_EXPORTS)), required=True, help="What to write.")
@_JSON
def export(file: Path, *, kind: str, as_json: bool) -> None:
    """Write FILE (`-` for standard input) as policies of Cedar, or the schema of their requests.

    Each flow is a permit and each invariant a forbid; the names stand in @id.
    """
    parsed = _load(file, as_json=as_json)
    text = _EXPORTS[kind](parsed)
    if as_json:
        _print_json({"charter": parsed.name, "version": parsed.version, "format": kind, "text": text})
    else:
        click.echo(text, nl=False)


def _load(file: Path, *, as_json: bool) -> Charter:
    """Read and parse the file, or report what is wrong and leave with `EXIT_PROBLEMS`."""
    name = _name(file)
    try:
        text = _read(file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem = Problem(name, 0, 0, f"a file that cannot be read ({reason})", "the path of a charter file")
        _report([problem], hint="Give the path of a charter file, or - for standard input.", as_json=as_json)
    try:
        return parse_charter(text, file=name)
    except CharterInvalidError as error:
        _report(error.problems, hint="Mend these places and check again; nothing was changed.", as_json=as_json)


def _read(file: Path) -> bytes:
    """Read one byte more than a charter may have, so that a longer file is refused and never held whole."""
    limit = TEXT_SIZE_BYTES_MAX + 1
    if str(file) == "-":
        return sys.stdin.buffer.read(limit)
    with file.open("rb") as stream:
        return stream.read(limit)


def _report(problems: Sequence[Problem], *, hint: str, as_json: bool) -> NoReturn:
    if as_json:
        _print_json({"valid": False, "problems": [asdict(problem) for problem in problems]})
    for problem in problems:
        click.echo(problem.render(), err=True)
    count = len(problems)
    click.echo(f"{count} {'problem' if count == 1 else 'problems'}. {hint}", err=True)
    sys.exit(EXIT_PROBLEMS)


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


def _name(file: Path) -> str:
    return "<stdin>" if str(file) == "-" else click.format_filename(file)
