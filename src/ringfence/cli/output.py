"""How every command speaks: results on standard output (text, or one JSON object), errors with a hint on standard
error, no traceback ever.

Exit codes: 0 done; 1 refused: the request or the evidence is at fault; 2 used wrongly; 3 a device or a setting is at
fault; 130 interrupted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ringfence.core.errors import CharterInvalidError, DeniedError, DeviceError, InvalidInputError, RingfenceError

EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_DEVICE: Final = 3
EXIT_INTERRUPTED: Final = 130
DEBUG_VARIABLE: Final = "RINGFENCE_DEBUG"

Result = TypeVar("Result")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
deployment_option = click.option(
    "--deployment",
    "-d",
    "directory",
    type=click.Path(path_type=Path),
    envvar="RINGFENCE_DEPLOYMENT",
    default=Path("deployment"),
    show_default=True,
    help="The deployment's directory.",
)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work to its end."""
    return asyncio.run(work)


def say(text: str, facts: dict[str, Any], *, as_json: bool) -> None:
    """Print a result: the text, or the facts as one JSON object."""
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else text)


def tell_error(error: RingfenceError) -> None:
    """Print an error with what it knows: the place, every problem, the clause, what could be asked, the hint."""
    place = f"{error.place}: " if isinstance(error, InvalidInputError) and error.place else ""
    click.echo(f"error: {place}{error.message}", err=True)
    if isinstance(error, CharterInvalidError):
        for problem in error.problems:
            click.echo(problem.render(), err=True)
    if isinstance(error, DeniedError):
        for line in error.could_ask:
            click.echo(f"could ask: {line}", err=True)
        if error.receipt:
            click.echo(f"receipt: {error.receipt}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def exit_code(error: BaseException) -> int:
    """Give the exit code of an error."""
    if isinstance(error, DeviceError):
        return EXIT_DEVICE
    if isinstance(error, RingfenceError):
        return EXIT_REFUSED
    return EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else EXIT_DEVICE


def tell_unforeseen(error: Exception) -> None:
    """Print an error that nobody foresaw; its traceback only when it is asked for."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error, file=sys.stderr)
    click.echo(f"error: the program failed in a way that was not foreseen: {type(error).__name__}: {error}", err=True)
    click.echo(f"hint: run it again with {DEBUG_VARIABLE}=1 and report what it prints", err=True)
