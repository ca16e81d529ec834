"""`ringfence session`: a shell in which somebody looks at data under one grant, and which ends with that grant.

Rules of this file:
1. A line is one of the commands that `ringfence` has for it, and one call: so the ledger has an entry for each.
2. A line never changes whose data is looked at by which right: gateway, token, grant and purpose are the session's.
3. Whether the grant holds is asked every `WATCH_SECONDS`, by the gateway's clock. When it does not, the session is
   over, also while it waits for a line. A gateway that cannot be asked for some seconds ends it too.

Exit codes: 0 left by `exit` or at the end of the input; 1 the grant ended, or a line of a script was refused; 2 used
wrongly; 3 the gateway does not answer.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from ringfence.cli import data
from ringfence.cli.gateway_options import OPTIONS, Gateway, gateway_options
from ringfence.cli.output import EXIT_REFUSED, EXIT_USAGE, complain, exit_code, tell_error
from ringfence.client.governance import GovernanceClient
from ringfence.core.errors import DeniedError, NotFoundError, RingfenceError
from ringfence.core.times import show_time

WATCH_SECONDS: Final = 1.0
ANSWER_SECONDS_MAX: Final = 2.0
UNANSWERED_SECONDS_MAX: Final = 10.0
"""How long the gateway may fail to say whether the grant holds."""

_COMMANDS: Final[Mapping[str, click.Command]] = {"read": data.get, "find": data.find, "export": data.export}
_LEAVING: Final = ("exit", "quit")
_FIXED: Final = (*OPTIONS, "--grant", "--purpose")


@click.command(short_help="Look at data under one grant, in a shell that ends with it.")
@click.argument("grant", type=click.IntRange(min=1))
@gateway_options
def session(grant: int, *, gateway: Gateway) -> int:
    """Open a shell under your grant number GRANT: `get`, `find`, `export` as far as it goes, `help`, `exit`.

    Each line is one request with an entry of its own in the ledger. The session ends when the grant does: when its time
    is over, when it is revoked, or when you are suspended. Lines may come from a file: `ringfence session 3 < lines`.
    """
    with gateway.connect(GovernanceClient) as client:
        given = _find(client, grant)
    if not given["live"]:
        raise DeniedError(f"grant {grant} is not live", could_ask=["`ringfence grants` lists yours"])
    shell = _Shell(given, gateway.arguments())
    shell.greet()
    with _Watch(grant, gateway) as watch:
        return shell.run(watch)


def _find(client: GovernanceClient, grant: int) -> Mapping[str, Any]:
    for given in client.grants():
        if given["number"] == grant:
            return given
    raise NotFoundError(f"you have no grant {grant}", hint="`ringfence grants` lists yours")


class _LeftError(Exception):
    """The session is over, so that nobody needs to know any more."""


class _Watch:
    """Asks whether a grant still holds, on a thread; when it does not, whatever the main thread does is interrupted."""

    def __init__(self, grant: int, gateway: Gateway) -> None:
        self._grant = grant
        self._open = functools.partial(
            gateway.connect, GovernanceClient, timeout_seconds=ANSWER_SECONDS_MAX, sleep=self._pause
        )
        self._thread = threading.Thread(target=self._look, name="watch the grant", daemon=True)
        self._left = threading.Event()
        self._leaving = threading.Lock()
        self._why = ""

    def why_ended(self) -> str:
        """Why the session is over; "" while it is not."""
        return self._why

    def __enter__(self) -> _Watch:
        # Whoever started this program may have had it ignore interrupts; the end of the grant is one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._leaving:  # from here on nothing is interrupted
            self._left.set()
        # An interpreter that ends under a thread which still opens a connection may crash.
        self._thread.join(UNANSWERED_SECONDS_MAX)

    def _pause(self, seconds: float) -> None:
        if self._left.wait(seconds):
            raise _LeftError

    def _look(self) -> None:
        try:
            self._ask()
        except _LeftError:
            return
        except Exception as error:  # whatever this trips over: from then on nobody says that the grant holds
            self._end(f"nobody says whether grant {self._grant} holds: the answer was not understood ({error!r:.100})")

    def _ask(self) -> None:
        answered = time.monotonic()
        with self._open() as client:
            while True:
                self._pause(WATCH_SECONDS)
                try:
                    ended = "" if _find(client, self._grant)["live"] else f"grant {self._grant} has ended"
                    answered = time.monotonic()
                except (NotFoundError, DeniedError) as error:
                    ended = error.message
                except RingfenceError as error:
                    late = time.monotonic() - answered >= UNANSWERED_SECONDS_MAX
                    ended = f"nobody says whether grant {self._grant} holds: {error.message}" if late else ""
                if ended:
                    self._end(ended)
                    return

    def _end(self, why: str) -> None:
        with self._leaving:
            if not self._left.is_set():
                self._why = why
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class _Shell:
    """Reads lines and runs them."""

    def __init__(self, given: Mapping[str, Any], connection: list[str]) -> None:
        self._number = given["number"]
        self._grant = given["grant"]
        self._until_ms = given["until_ms"]
        purpose = self._grant["purpose"]
        self._options = [*connection, "--grant", str(self._number), "--purpose", purpose]
        self._commands = {
            str(command.name): command for verb, command in _COMMANDS.items() if verb in self._grant["verbs"]
        }
        self._is_terminal = sys.stdin.isatty()
        self._worst = 0

    def greet(self) -> None:
        """Say what the session is for, on standard error."""
        what = ", ".join(self._grant["datasets"])
        users = "any user" if self._grant.get("subjects_any") else "the users that it names"
        complain(
            f"grant {self._number}: {self._grant['purpose']}; {what}, classes {', '.join(self._grant['classes'])}; "
            f"{users}; up to {self._grant['records_max']} records; until {show_time(self._until_ms)}"
        )
        complain(f"commands: {', '.join([*self._commands, 'help', 'exit'])}; every line is recorded in the ledger")

    def run(self, watch: _Watch) -> int:
        """Run lines until they or the grant end."""
        if self._is_terminal:
            with contextlib.suppress(ImportError):
                importlib.import_module("readline")  # which lets a line be edited
        try:
            for line in self._lines(watch):
                self._run_line(line, watch)
        except KeyboardInterrupt:
            if not watch.why_ended():
                raise
        if not watch.why_ended():
            return 0 if self._is_terminal else self._worst
        complain(f"{watch.why_ended()}: the session is over")
        return EXIT_REFUSED

    def _lines(self, watch: _Watch) -> Iterator[str]:
        while not watch.why_ended():
            try:
                line = input(f"grant {self._number}> " if self._is_terminal else "").strip()
            except EOFError:
                return
            except KeyboardInterrupt:  # of the watch, or of somebody who thinks better of a line
                if watch.why_ended() or not self._is_terminal:
                    raise
                complain("")
                continue
            if line in _LEAVING:
                return
            if line and not line.startswith("#"):
                yield line

    def _run_line(self, line: str, watch: _Watch) -> None:
        code = 0
        try:
            self._run_words(_split(line))
        except click.ClickException as error:
            complain(f"error: {error.format_message()}")
            code = EXIT_USAGE
        except RingfenceError as error:
            tell_error(error)
            code = exit_code(error)
        except (KeyboardInterrupt, click.Abort):
            if watch.why_ended() or not self._is_terminal:
                raise KeyboardInterrupt from None
            complain("interrupted")
        self._worst = max(self._worst, code)

    def _run_words(self, words: list[str]) -> None:
        name, *arguments = words
        if name == "help":
            for known in self._commands.values():
                complain(known.get_usage(click.Context(known, info_name=known.name)).removeprefix("Usage: "))
            return
        command = self._commands.get(name)
        if command is None:
            known_names = ", ".join([*self._commands, "help", "exit"])
            raise click.UsageError(f"{name!r} is none of this session's commands: {known_names}")
        if taken := [word for word in arguments if word.partition("=")[0] in _FIXED]:
            raise click.UsageError(f"{taken[0].partition('=')[0]} is the session's: open another one")
        command.main([*self._options, *arguments], prog_name=name, standalone_mode=False)


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise click.UsageError(f"{error} in {line!r:.80}") from None
