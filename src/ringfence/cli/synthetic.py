"""`ringfence synthetic`: made-up users' exports, and the geography that places them, to try everything out with."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress

from ringfence.cli.files import FILE
from ringfence.cli.output import json_option, say
from ringfence.core.errors import ConfigurationError
from ringfence.synthetic.files import write_exports
from ringfence.synthetic.geography import write_geography

USERS_MAX: Final = 100_000
EXPORTS, GEOGRAPHY = "exports", "geography.mmdb"


@click.command(short_help="Make exports of made-up users, to try it out.")
@click.argument("directory", metavar="DIR", type=FILE)
@click.option("--users", type=click.IntRange(1, USERS_MAX), default=100, show_default=True, help="How many.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same users.")
@json_option
def synthetic(directory: Path, *, users: int, seed: int, as_json: bool) -> None:
    """Write made-up users to DIR, which must be empty or absent.

    DIR/exports holds one export for each user, in every form that exports arrive in; DIR/geography.mmdb places the
    documentation addresses that they log in from. Nobody in them exists.
    """
    _make_directory(directory)
    exports, geography = directory / EXPORTS, directory / GEOGRAPHY
    write_geography(geography)
    bar = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
    with bar:
        task = bar.add_task("making users", total=users)
        people = write_exports(exports, users=users, seed=seed, advance=lambda: bar.advance(task))
    countries = dict(Counter(person.country for person in people).most_common())
    listed = ", ".join(f"{name} {count}" for name, count in countries.items())
    say(
        f"{exports}: {users} {'user' if users == 1 else 'users'}, really from: {listed}\n"
        f"{geography}: where their addresses are",
        {"exports": str(exports), "geography": str(geography), "users": users, "countries": countries},
        as_json=as_json,
    )


def _make_directory(directory: Path) -> None:
    hint = "name a directory that is not there yet"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        empty = not any(directory.iterdir())
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be made: {error.strerror}", hint=hint) from None
    if not empty:
        raise ConfigurationError(f"{directory} is not empty", hint=hint)
