"""Commands that call a gateway: get, put, find, erase, export. They hold a token and nothing else.

Exit codes: 0 done; 1 refused or not there; 2 used wrongly; 3 the gateway does not answer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from ringfence.cli.gateway_options import Gateway, gateway_options
from ringfence.cli.output import json_option, say
from ringfence.client.client import Client
from ringfence.core.errors import InvalidInputError
from ringfence.core.exact_json import parse_exact_json
from ringfence.core.times import show_time


def _connection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which gateway, as whom and for which purpose."""
    for option in (
        click.option("--purpose", required=True, help="A purpose of the charter's vocabulary."),
        click.option(
            "--grant",
            type=click.IntRange(min=1),
            envvar="RINGFENCE_GRANT",
            show_envvar=True,
            default=None,
            help="Number of the grant that this rests on.",
        ),
    ):
        command = option(command)
    return gateway_options(command)


@click.command()
@click.argument("dataset")
@click.argument("user")
@click.argument("record", default="self")
@_connection
@json_option
def get(
    *,
    dataset: str,
    user: str,
    record: str,
    gateway: Gateway,
    grant: int | None,
    purpose: str,
    as_json: bool,
) -> None:
    """Read one record of a user."""
    with gateway.connect(Client, grant=grant or 0) as client:
        found = client.read(dataset, user, record, purpose=purpose)
    facts = {"record": found.record, "classes": list(found.classes), "fields": found.fields, "receipt": found.receipt}
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in found.fields.items()]
    say("\n".join([*lines, f"(receipt {found.receipt})"]), facts, as_json=as_json)


@click.command(short_help="Store one record of a user.")
@click.argument("dataset")
@click.argument("user")
@click.argument("record", default="self")
@click.option("--fields", default="-", show_default=True, help="The fields as a JSON object; `-` reads standard input.")
@_connection
@json_option
def put(
    *,
    dataset: str,
    user: str,
    record: str,
    fields: str,
    gateway: Gateway,
    grant: int | None,
    purpose: str,
    as_json: bool,
) -> None:
    """Store one record of a user; a record that is there is replaced."""
    text = sys.stdin.buffer.read() if fields == "-" else os.fsencode(fields)
    try:
        values = parse_exact_json(text)
    except InvalidInputError as error:
        raise InvalidInputError(error.message, place="--fields", hint=error.hint) from None
    if not isinstance(values, dict):
        raise InvalidInputError("the fields are not a JSON object", place="--fields")
    with gateway.connect(Client, grant=grant or 0) as client:
        stored = client.write(dataset, user, values, purpose=purpose, record=record)
    facts = {"version": stored.version, "repeated": stored.repeated, "receipt": stored.receipt}
    say(f"stored as version {stored.version} (receipt {stored.receipt})", facts, as_json=as_json)


@click.command()
@click.argument("dataset")
@click.argument("field")
@click.argument("value")
@_connection
@json_option
def find(
    *,
    dataset: str,
    field: str,
    value: str,
    gateway: Gateway,
    grant: int | None,
    purpose: str,
    as_json: bool,
) -> None:
    """Look users up by a searchable field."""
    with gateway.connect(Client, grant=grant or 0) as client:
        users = client.find(dataset, field, value, purpose=purpose)
    say("\n".join(users) or "nobody", {"users": users}, as_json=as_json)


@click.command()
@click.argument("user")
@_connection
@json_option
def erase(*, user: str, gateway: Gateway, grant: int | None, purpose: str, as_json: bool) -> None:
    """Erase a user: every record and key."""
    with gateway.connect(Client, grant=grant or 0) as client:
        done = dict(client.erase(user, purpose=purpose))
    since = show_time(int(done["refused_from_ms"]))
    text = f"erased: refused from {since} on, not yet shredded (receipt {done['receipt']})"
    say(text, done, as_json=as_json)


@click.command(short_help="Print all of a user's records, a line each.")
@click.argument("user")
@_connection
@json_option
def export(*, user: str, gateway: Gateway, grant: int | None, purpose: str, as_json: bool) -> None:
    """Print all of a user's records, one line of JSON each; with `--json`, one object that holds them."""
    with gateway.connect(Client, grant=grant or 0) as client:
        lines = (json.dumps(line, ensure_ascii=False) for line in client.export(user, purpose=purpose))
        if not as_json:
            for line in lines:
                click.echo(line)
            return
        # Written as it comes, for it may be long: an export that breaks off leaves what is no JSON.
        click.echo('{"records": [', nl=False)
        for number, line in enumerate(lines):
            click.echo(f"{', ' if number else ''}{line}", nl=False)
        click.echo("]}")
