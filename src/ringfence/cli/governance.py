"""Commands of people who ask and agree: statement, propose, proposals, approve, decline, carry, order, grants.

Signing is `ringfence sign`, on the person's own machine: these commands only make the bytes to sign, and hand in what
was signed. Exit codes: 0 done; 1 refused: the message names the rule; 2 used wrongly; 3 the gateway does not answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from ringfence.cli.change_file import read_change
from ringfence.cli.files import FILE, read_file, write_new
from ringfence.cli.gateway_options import Gateway, gateway_options
from ringfence.cli.output import EXIT_REFUSED, json_option, say
from ringfence.client.governance import GovernanceClient
from ringfence.core.charter.document import TEXT_SIZE_BYTES_MAX
from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.statement import (
    LIFETIME_MS_MAX,
    NONCE_SIZE_BYTES,
    STATEMENT_SIZE_BYTES_MAX,
    Statement,
    describe_statement,
    parse_statement,
    render_statement,
)
from ringfence.core.people.signatures import ARMOUR_SIZE_BYTES_MAX, remove_armour
from ringfence.core.times import HOUR_MS, show_time

HOURS_MAX: Final = LIFETIME_MS_MAX // HOUR_MS


@click.group(short_help="Make the bytes that you sign, or get those of a proposal.")
def statement() -> None:
    """Make the bytes of a statement, or get those of a proposal, to be signed with `ringfence sign`."""


@statement.command(short_help="Make the bytes that ask for a change.")
@click.argument("change", metavar="CHANGE.yaml", type=FILE)
@click.option(
    "--by", type=click.IntRange(min=1), required=True, help="Whose statement it is: your number in the register."
)
@click.option("--reason", required=True, help="Why, in your words.")
@click.option("--ticket", default="", help="The ticket that it belongs to.")
@click.option("--hours", type=click.IntRange(1, HOURS_MAX), default=24, show_default=True, help="Until it expires.")
@click.option("--out", metavar="FILE", type=FILE, required=True, help="Where the bytes go.")
@gateway_options
@json_option
def new(
    change: Path,
    *,
    by: int,
    reason: str,
    ticket: str,
    hours: int,
    out: Path,
    gateway: Gateway,
    as_json: bool,
) -> None:
    """Make the bytes that ask for the change in CHANGE.yaml, for the ledger of a gateway.

    They may be prepared for somebody else: whose number --by is has to sign them, and nobody else's signature counts.
    """
    written = read_change(change, author=by)
    with gateway.connect(GovernanceClient) as client:
        ground = client.ground()
        subjects = client.name_users(written.users) if written.users else []
    now = time.time_ns() // 1_000_000
    data = render_statement(
        Statement(
            origin=str(ground["origin"]),
            genesis=bytes.fromhex(str(ground["genesis"])),
            epoch=int(ground["epoch"]),
            at_ms=now,
            expires_ms=now + hours * HOUR_MS,
            nonce=os.urandom(NONCE_SIZE_BYTES),
            by=by,
            change=written.change,
            reason=reason,
            ticket=ticket,
            subjects=tuple(sorted(set(subjects))),
            identity=written.identity,
            identity_salt=written.salt,
        )
    )
    write_new(out, data)
    words, caller = describe_statement(parse_statement(data)), int(ground["caller"])
    own = "" if caller == by else f"; person {by} has to sign them, for you called as {caller}"
    facts = {"file": str(out), "words": words, "by": by, "caller": caller}
    say("\n".join([*words, f"(the bytes to sign are in {out}{own})"]), facts, as_json=as_json)


@statement.command(short_help="Get the exact bytes of a proposal.")
@click.argument("proposal", type=click.IntRange(min=1))
@click.option("--out", metavar="FILE", type=FILE, required=True, help="Where the bytes go.")
@gateway_options
@json_option
def get(proposal: int, *, out: Path, gateway: Gateway, as_json: bool) -> None:
    """Get the exact bytes that whoever agrees to PROPOSAL signs."""
    with gateway.connect(GovernanceClient) as client:
        data = client.statement(proposal)
    words = describe_statement(parse_statement(data))
    write_new(out, data)
    say("\n".join([*words, f"(the bytes to sign are in {out})"]), {"file": str(out), "words": words}, as_json=as_json)


@statement.command(short_help="Hold the users that a statement is about against names.")
@click.argument("statement_file", metavar="STATEMENT", type=FILE)
@click.argument("users", metavar="USER...", nargs=-1, required=True)
@gateway_options
@json_option
def users(statement_file: Path, users: tuple[str, ...], *, gateway: Gateway, as_json: bool) -> int:
    """Say whether the users that STATEMENT names by reference are these USERs and nobody else.

    The look-up is recorded. Exit code 1 when they are not.
    """
    named = set(parse_statement(read_file(statement_file, size_bytes_max=STATEMENT_SIZE_BYTES_MAX)).subjects)
    if not named:
        raise InvalidInputError(
            "it names no users", place=str(statement_file), hint="`ringfence sign` says what it asks"
        )
    wanted = tuple(dict.fromkeys(users))
    with gateway.connect(GovernanceClient) as client:
        references = dict(zip(wanted, client.name_users(wanted), strict=True))
    missing = [user for user, reference in references.items() if reference not in named]
    other = sorted(reference.hex() for reference in named.difference(references.values()))
    lines = [f"it is not about {user}" for user in missing]
    lines += [f"it is about somebody else too: {reference}" for reference in other]
    facts = {"users": list(wanted), "missing": missing, "other": other}
    say("\n".join(lines or ["it is about these users and nobody else"]), facts, as_json=as_json)
    return EXIT_REFUSED if lines else 0


@click.command(short_help="Hand in a statement that asks for a change.")
@click.argument("statement_file", metavar="STATEMENT", type=FILE)
@click.argument("signature", type=FILE)
@click.option("--file", "charter", type=FILE, help="The charter, when the statement asks to enact one.")
@gateway_options
@json_option
def propose(statement_file: Path, signature: Path, *, charter: Path | None, gateway: Gateway, as_json: bool) -> None:
    """Hand in STATEMENT with its author's SIGNATURE (`ringfence sign --as propose`)."""
    file = read_file(charter, size_bytes_max=TEXT_SIZE_BYTES_MAX) if charter else b""
    with gateway.connect(GovernanceClient) as client:
        done = client.propose(
            read_file(statement_file, size_bytes_max=STATEMENT_SIZE_BYTES_MAX), _signature(signature), file=file
        )
    _say_done(f"proposal {done['proposal']} is open", done, as_json=as_json)


@click.command(short_help="List the open proposals.")
@gateway_options
@json_option
def proposals(*, gateway: Gateway, as_json: bool) -> None:
    """List the open proposals: what each still lacks, and when it expires."""
    with gateway.connect(GovernanceClient) as client:
        found = client.proposals()
    lines = [
        f"{item['number']:>5}  {item['operation']:<16} by {item['by']}, approved by "
        f"{', '.join(map(str, item['approved_by'])) or 'nobody'}; {item['waits_for'] or 'ready to be carried'}; "
        f"expires {show_time(item['expires_ms'])}"
        for item in found
    ]
    say("\n".join(lines) or "no proposal is open", {"proposals": found}, as_json=as_json)


def _agreement(name: str, what: str) -> click.Command:
    """Make `approve` and `decline`, which differ in the word alone."""

    @click.command(name=name, short_help=what)
    @click.argument("proposal", type=click.IntRange(min=1))
    @click.argument("signature", type=FILE)
    @gateway_options
    @json_option
    def command(proposal: int, signature: Path, *, gateway: Gateway, as_json: bool) -> None:
        with gateway.connect(GovernanceClient) as client:
            take = client.approve if name == "approve" else client.decline
            done = take(proposal, _signature(signature))
        _say_done(f"{name}d proposal {proposal}", done, as_json=as_json)

    command.help = f"{what} SIGNATURE is over its bytes (`ringfence sign --as {name}`)."
    return command


approve = _agreement("approve", "Agree to a proposal.")
decline = _agreement("decline", "Refuse a proposal, which ends it.")


@click.command(short_help="Put an agreed proposal in effect.")
@click.argument("proposal", type=click.IntRange(min=1))
@gateway_options
@json_option
def carry(proposal: int, *, gateway: Gateway, as_json: bool) -> None:
    """Put PROPOSAL in effect, once enough people agreed and nobody may veto it any more."""
    with gateway.connect(GovernanceClient) as client:
        done = client.carry(proposal)
    _say_done(f"proposal {proposal}", done, as_json=as_json)


@click.command(short_help="Order what takes authority away, or break the glass.")
@click.argument("statement_file", metavar="STATEMENT", type=FILE)
@click.argument("signature", type=FILE)
@gateway_options
@json_option
def order(statement_file: Path, signature: Path, *, gateway: Gateway, as_json: bool) -> None:
    """Hand in STATEMENT with its author's SIGNATURE (`ringfence sign --as order`): it holds at once."""
    with gateway.connect(GovernanceClient) as client:
        done = client.order(read_file(statement_file, size_bytes_max=STATEMENT_SIZE_BYTES_MAX), _signature(signature))
    _say_done("the order", done, as_json=as_json)


@click.command(short_help="List your own grants.")
@gateway_options
@json_option
def grants(*, gateway: Gateway, as_json: bool) -> None:
    """List the caller's own grants, those that ended too."""
    with gateway.connect(GovernanceClient) as client:
        found = client.grants()
    lines = [
        f"{item['number']:>5}  {item['grant']['kind']:<12} {item['grant']['purpose']}: "
        f"{', '.join(item['grant']['verbs'])} {', '.join(item['grant']['datasets'])}, "
        f"{'until ' + show_time(item['until_ms']) if item['live'] else 'ended'}"
        for item in found
    ]
    say("\n".join(lines) or "no grant", {"grants": found}, as_json=as_json)


def _say_done(what: str, done: Mapping[str, Any], *, as_json: bool) -> None:
    made = f", number {done['number']}" if done["number"] else ""
    state = f"in effect from epoch {done['epoch']}{made}" if done["carried"] else done["waits_for"] or "noted"
    say(f"{what}: {state}", dict(done), as_json=as_json)


def _signature(path: Path) -> bytes:
    return remove_armour(read_file(path, size_bytes_max=ARMOUR_SIZE_BYTES_MAX), place=str(path))
