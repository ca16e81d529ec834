"""Commands that make and change a deployment: init, charter enact, principal, token, doctor."""

from __future__ import annotations

from pathlib import Path

import click

from ringfence.app.deployment import open_deployment
from ringfence.app.doctor import check_deployment
from ringfence.app.runtime import open_runtime
from ringfence.app.tokens import mint_token
from ringfence.cli.files import FILE, read_file
from ringfence.cli.output import EXIT_DEVICE, deployment_option, json_option, run, say
from ringfence.core.charter.document import TEXT_SIZE_BYTES_MAX
from ringfence.core.issuers import DEVELOPMENT_ISSUER


@click.command(short_help="Put a newer charter in force.")
@click.argument("file", type=FILE)
@deployment_option
@json_option
def enact(file: Path, *, directory: Path, as_json: bool) -> None:
    """Put the charter in FILE in force; its version must be larger than that of the one in force."""

    async def work() -> int:
        async with open_runtime(open_deployment(directory)) as runtime, runtime.governance() as governance:
            state = await governance.enact(
                read_file(file, size_bytes_max=TEXT_SIZE_BYTES_MAX, hint="name a charter's file"), file=str(file)
            )
            return state.epoch

    epoch = run(work())
    say(f"in force from epoch {epoch}", {"epoch": epoch}, as_json=as_json)


@click.group(short_help="Register, list and withdraw callers.")
def principal() -> None:
    """Register and withdraw callers: a token's issuer and subject, and the party that they belong to."""


_ISSUER = click.option("--issuer", default=DEVELOPMENT_ISSUER, show_default=True, help="The tokens' `iss`.")


@principal.command(short_help="Make a caller known as a party's.")
@click.argument("subject")
@click.option("--party", required=True, help="The charter's party that the caller belongs to.")
@_ISSUER
@deployment_option
@json_option
def register(subject: str, *, party: str, issuer: str, directory: Path, as_json: bool) -> None:
    """Make SUBJECT of an issuer known as belonging to a party."""

    async def work() -> int:
        async with open_runtime(open_deployment(directory)) as runtime, runtime.governance() as governance:
            return await governance.register(issuer=issuer, subject=subject, party=party)

    number = run(work())
    say(f"{subject} is principal {number} of {party}", {"principal": number, "party": party}, as_json=as_json)


@principal.command(short_help="Make a caller unknown, from now on.")
@click.argument("subject")
@_ISSUER
@deployment_option
@json_option
def withdraw(subject: str, *, issuer: str, directory: Path, as_json: bool) -> None:
    """Make SUBJECT unknown: its tokens are refused from the commit on."""

    async def work() -> int:
        async with open_runtime(open_deployment(directory)) as runtime, runtime.governance() as governance:
            return (await governance.withdraw(issuer=issuer, subject=subject)).epoch

    epoch = run(work())
    say(f"{subject} is withdrawn from epoch {epoch}", {"epoch": epoch}, as_json=as_json)


@principal.command(name="list")
@deployment_option
@json_option
def list_principals(*, directory: Path, as_json: bool) -> None:
    """List who is registered."""

    async def work() -> list[dict[str, object]]:
        async with open_runtime(open_deployment(directory)) as runtime:
            state = runtime.keeper.state
            names = {number: identity for identity, number in state.identities.items()}
            return [
                {"principal": number, "party": who.party, "issuer": names[number][0], "subject": names[number][1]}
                for number, who in sorted(state.principals.items())
                if number in names
            ]

    found = run(work())
    text = "\n".join(f"{p['principal']:>4}  {p['party']:<16} {p['subject']}  ({p['issuer']})" for p in found)
    say(text, {"principals": found}, as_json=as_json)


@click.command(short_help="Print a development token for a caller.")
@click.argument("subject")
@click.option("--hours", type=click.IntRange(1, 24), default=8, show_default=True, help="How long it is valid.")
@deployment_option
@json_option
def token(subject: str, *, hours: int, directory: Path, as_json: bool) -> None:
    """Print a development token for SUBJECT; only where the ledger's first entry says `development`."""

    async def work() -> str:
        deployment = open_deployment(directory)
        async with open_runtime(deployment) as runtime:
            return mint_token(deployment, runtime.keeper.state, subject=subject, lifetime_seconds=hours * 3600)

    text = run(work())
    say(text, {"token": text}, as_json=as_json)


@click.command(short_help="Say what is wrong with a deployment.")
@deployment_option
@json_option
def doctor(*, directory: Path, as_json: bool) -> int:
    """Say what is wrong with a deployment and how to mend it. Exits with 3 when something is."""
    findings = run(check_deployment(directory))
    facts = [{"check": f.check, "state": f.state, "detail": f.detail, "hint": f.hint} for f in findings]
    lines = [f"{f.state:<5} {f.check}: {f.detail}" + (f"\n      hint: {f.hint}" if f.hint else "") for f in findings]
    say("\n".join(lines), {"findings": facts}, as_json=as_json)
    return EXIT_DEVICE if any(finding.state == "wrong" for finding in findings) else 0
