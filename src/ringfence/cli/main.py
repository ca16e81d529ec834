"""The command line: one group, one file for each family of commands, imported when one of it is asked for."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import click

from ringfence.cli import output
from ringfence.core.errors import RingfenceError

_SECTIONS: Final = {
    "See it work": {"demo": "demo", "synthetic": "synthetic"},
    "The agreement": {"charter": "charter", "prove": "prove"},
    "A deployment": {
        "init": "founding",
        "found": "founding",
        "principal": "deployment",
        "token": "deployment",
        "credential": "credential",
        "people": "people",
        "ingest": "ingest",
        "serve": "serve",
        "doctor": "deployment",
    },
    "Your own key, away from every server": {"key": "key", "sign": "sign", "share": "share"},
    "Changes that people agree to": {
        "statement": "governance",
        "propose": "governance",
        "proposals": "governance",
        "approve": "governance",
        "decline": "governance",
        "carry": "governance",
        "order": "governance",
        "grants": "governance",
    },
    "Calls to a gateway": {
        "get": "data",
        "put": "data",
        "find": "data",
        "export": "data",
        "erase": "data",
        "session": "session",
    },
    "Evidence": {"ledger": "ledger", "verify": "verify", "why": "why", "review": "review", "vault": "vault"},
}
"""The commands as `--help` lists them, in the order in which they are met, each with the file that holds it."""

_FAMILY_OF: Final = {name: family for names in _SECTIONS.values() for name, family in names.items()}


class Commands(click.Group):
    """The commands by name. Importing all of them takes half a second, so that each family waits until it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names, in the order in which they are met."""
        del ctx
        return list(_FAMILY_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command by its name, or None."""
        del ctx
        family = _FAMILY_OF.get(cmd_name)
        if family is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"ringfence.cli.{family}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, section by section."""
        for title, names in _SECTIONS.items():
            commands = {name: self.get_command(ctx, name) for name in names}
            with formatter.section(title):
                formatter.write_dl([(name, found.get_short_help_str()) for name, found in commands.items() if found])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments, and print what `--help` and `--version` print."""
        with _unread_output():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _unread_output():
            return super().invoke(ctx)


@contextmanager
def _unread_output() -> Iterator[None]:
    """Leave with a code of its own when nobody reads the output; click would take it for an ordinary refusal."""
    try:
        yield
    except BrokenPipeError:
        output.silence()
        raise click.exceptions.Exit(output.EXIT_UNREAD) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(importlib.metadata.version("ringfence"), prog_name="ringfence")
def cli() -> None:
    """Hold one jurisdiction's user data apart: decide, record and prove every access.

    `ringfence COMMAND --help` says more of each. Results can be had as JSON with --json.
    """


def main() -> None:
    """Run the command line; every error becomes a message and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        output.complain("interrupted")
        sys.exit(output.EXIT_INTERRUPTED)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        sys.exit(output.EXIT_USAGE)
    except RingfenceError as error:
        output.tell_error(error)
        sys.exit(output.exit_code(error))
    except OSError as error:
        output.tell_system_error(error)
        sys.exit(output.EXIT_DEVICE)
    except Exception as error:
        output.tell_unforeseen(error)
        sys.exit(output.EXIT_DEVICE)
