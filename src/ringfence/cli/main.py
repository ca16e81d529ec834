"""The command line: one group, one file for each family of commands."""

from __future__ import annotations

import importlib.metadata
import sys

import click

from ringfence.cli import output
from ringfence.cli.charter import charter
from ringfence.cli.data import erase, export, find, get, put
from ringfence.cli.demo import demo
from ringfence.cli.deployment import doctor, enact, init, principal, token
from ringfence.cli.ingest import ingest
from ringfence.cli.ledger import ledger
from ringfence.cli.serve import serve
from ringfence.cli.vault import vault
from ringfence.cli.verify import verify
from ringfence.core.errors import RingfenceError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(importlib.metadata.version("ringfence"), prog_name="ringfence")
def cli() -> None:
    """Hold one jurisdiction's user data apart: decide, record and prove every access."""


charter.add_command(enact)
_COMMANDS = (
    *(init, charter, ingest, principal, token, serve),
    *(get, put, find, erase, export),
    *(ledger, vault, verify, doctor, demo),
)
for command in _COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line; every error becomes a message and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(output.EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(output.EXIT_USAGE)
    except RingfenceError as error:
        output.tell_error(error)
        sys.exit(output.exit_code(error))
    except KeyboardInterrupt:
        sys.exit(output.EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        output.tell_unforeseen(error)
        sys.exit(output.EXIT_DEVICE)
