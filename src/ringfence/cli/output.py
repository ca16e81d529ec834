"""How every command speaks: results on standard output (text, or one JSON object), errors with a hint on standard
error, no traceback ever.

Exit codes: 0 done; 1 refused: the request or the evidence is at fault; 2 used wrongly; 3 a device or a setting is at
fault; 130 interrupted; 141 nobody reads the output any more (never 0 or 1: half a verdict is none).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ringfence.core.errors import DeniedError, DeviceError, FileInvalidError, RingfenceError

EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_DEVICE: Final = 3
EXIT_INTERRUPTED: Final = 130
EXIT_UNREAD: Final = 141
DEBUG_VARIABLE: Final = "RINGFENCE_DEBUG"

Result = TypeVar("Result")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
deployment_option = click.option(
    "--deployment",
    "-d",
    "directory",
    type=click.Path(path_type=Path),
    envvar="RINGFENCE_DEPLOYMENT",
    show_envvar=True,
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


def complain(line: str) -> None:
    """Print a line on standard error; when nobody reads that either, the exit code has to do."""
    with contextlib.suppress(OSError):
        click.echo(line, err=True)


def tell_error(error: RingfenceError) -> None:
    """Print an error with what it knows: the place, every problem, the clause, what could be asked, the hint."""
    complain(f"error: {error.render()}")
    if isinstance(error, FileInvalidError):
        for problem in error.problems:
            complain(problem.render())
    if isinstance(error, DeniedError):
        for line in error.could_ask:
            complain(f"could ask: {line}")
        if error.receipt:
            complain(f"receipt: {error.receipt}")
    if error.hint:
        complain(f"hint: {error.hint}")


def exit_code(error: BaseException) -> int:
    """Give the exit code of an error."""
    if isinstance(error, DeviceError):
        return EXIT_DEVICE
    if isinstance(error, RingfenceError):
        return EXIT_REFUSED
    return EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else EXIT_DEVICE


def silence() -> None:
    """Send what is still to be written to standard output nowhere, so that leaving cannot fail on it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell_system_error(error: OSError) -> None:
    """Print an error of the operating system that no command knows how to explain."""
    _trace(error)
    silence()
    what = f"{error.filename}: " if error.filename is not None else ""
    complain(f"error: {what}{error.strerror or error}")
    complain("hint: look at the disk, at permissions, and at where the output goes")


def tell_unforeseen(error: Exception) -> None:
    """Print an error that nobody foresaw; its traceback only when it is asked for."""
    _trace(error)
    complain(f"error: the program failed in a way that was not foreseen: {type(error).__name__}: {error}")
    complain(f"hint: run it again with {DEBUG_VARIABLE}=1 and report what it prints")


def _trace(error: Exception) -> None:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error, file=sys.stderr)
