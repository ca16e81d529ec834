"""Commands that begin a ledger: `init` by one operator, for development; `init --ceremony` and `found` by founders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ringfence.app.ceremony import CEREMONY, DOCUMENT, Begun, Founded, begin_ceremony, finish_ceremony
from ringfence.app.configuration import SQLITE_STORE, make_configuration
from ringfence.app.deployment import SHARES_VARIABLE, open_deployment
from ringfence.app.initialise import Ground, initialise
from ringfence.cli.files import FILE, read_file
from ringfence.cli.output import complain, deployment_option, json_option, run, say
from ringfence.core.charter.document import TEXT_SIZE_BYTES_MAX
from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.proposals import render_understaffed
from ringfence.core.ledger.entry import DEVELOPMENT, PRODUCTION
from ringfence.core.people.signatures import ARMOUR_SIZE_BYTES_MAX, remove_armour


def _proxies(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    named = dict(item.partition("=")[::2] for item in given)
    if not all(named.values()) or len(named) < len(given):
        raise click.BadParameter("give each as NAME=NETWORK, such as edge=192.0.2.0/24", ctx=context, param=option)
    return named


@click.command(short_help="Make a deployment: keys, database, trust.json.")
@click.argument("directory", type=FILE)
@click.option("--charter", "charter_file", type=FILE, required=True, help="The agreement to put in force.")
@click.option("--region", required=True, help="The charter's region that this deployment stands in.")
@click.option("--origin", default="ledger.example.org/ringfence", show_default=True, help="The ledger's name.")
@click.option("--store", default=SQLITE_STORE, show_default=True, help="`sqlite`, or a postgresql:// address.")
@click.option("--geography", default="", help="An MMDB file that places addresses in countries.")
@click.option("--production", is_flag=True, help="Make no development tokens, for ever.")
@click.option(
    "--development-country", default="", help="Where calls from this machine count as coming from, such as US."
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="NAME=NETWORK",
    callback=_proxies,
    help="A network whose word is taken, in X-Forwarded-For, on where a call comes from. May be repeated.",
)
@click.option(
    "--ceremony", "plan", type=FILE, default=None, help="Found a governed ledger: the plan that names its founders."
)
@json_option
def init(
    directory: Path,
    *,
    charter_file: Path,
    plan: Path | None,
    region: str,
    origin: str,
    store: str,
    geography: str,
    production: bool,
    development_country: str,
    proxies: dict[str, str],
    as_json: bool,
) -> None:
    """Make a deployment in DIRECTORY: keys, database, the ledger's first entries, and trust.json.

    With `--ceremony` no ledger is begun yet: the founders whom the plan names sign the founding document first, each
    with an own key on an own machine, and `ringfence found` begins it.
    """
    configuration = make_configuration(
        store=store,
        region=region,
        geography=str(Path(geography).resolve()) if geography else "",
        development_country=development_country,
        trusted_proxies=proxies,
    )
    ground = Ground(
        charter_text=read_file(charter_file, size_bytes_max=TEXT_SIZE_BYTES_MAX, hint="name a charter's file"),
        charter_file=str(charter_file),
        origin=origin,
        configuration=configuration,
        mode=PRODUCTION if production else DEVELOPMENT,
    )
    if plan is not None:
        _say_begun(directory, run(begin_ceremony(directory, ground, plan=plan)), as_json=as_json)
    elif production:
        raise InvalidInputError(
            "in production no operator makes rules alone", hint="found the ledger: `ringfence init --ceremony PLAN`"
        )
    else:
        _say_in_force(directory, Founded(run(initialise(directory, ground)), (), ""), as_json=as_json)


@click.command(short_help="Begin a governed ledger with its founders' signatures.")
@click.argument("signatures", metavar="SIGNATURE...", type=FILE, nargs=-1, required=True)
@deployment_option
@json_option
def found(signatures: tuple[Path, ...], *, directory: Path, as_json: bool) -> None:
    """Begin the ledger that `ringfence init --ceremony` prepared: every founder's SIGNATURE over founding.json."""
    given = [
        remove_armour(
            read_file(path, size_bytes_max=ARMOUR_SIZE_BYTES_MAX, hint="name a signature's file"), place=str(path)
        )
        for path in signatures
    ]
    _say_in_force(directory, run(finish_ceremony(open_deployment(directory), given)), as_json=as_json)


def _say_begun(directory: Path, begun: Begun, *, as_json: bool) -> None:
    document = directory / CEREMONY / DOCUMENT
    founding = begun.founding
    people = [person.facts.name for person in founding.people]
    lines = [
        f"{directory}: keys and database are made; no ledger is begun yet.",
        f"Each founder ({', '.join(people)}) reads and signs {document}:",
        f"  ringfence sign {DOCUMENT} --as found --key KEY",
    ]
    if founding.holders:
        holders = [person.facts.name for person in founding.people if person.facts.number in founding.holders]
        lines += [
            f"Any {founding.threshold} of the holders ({', '.join(holders)}) open their shares of the custodian's "
            f"keys, a line each in the file that {SHARES_VARIABLE} names:",
            "  ringfence share keys/custody/shares/NUMBER.age --key KEY",
        ]
    lines.append(f"Then: ringfence found -d {directory} SIGNATURE...")
    facts = {"directory": str(directory), "document": str(document), "founders": people}
    say("\n".join(lines), {**facts, **_lacks(begun)}, as_json=as_json)
    if _warn(begun):
        complain(f"hint: name more people in the plan, remove {directory} and make it anew; later it takes agreement")


def _lacks(done: Begun | Founded) -> dict[str, Any]:
    """Give, as facts, what the people are too few for."""
    short = [{"duty": duty, "held": held, "minimum": minimum} for duty, held, minimum in done.short]
    return {"understaffed": short, "coalition": done.weak}


def _warn(done: Begun | Founded) -> bool:
    """Say what the people are too few for; give whether there was anything to say."""
    said = [words for words in (render_understaffed(done.short) if done.short else "", done.weak) if words]
    for words in said:
        complain(f"warning: {words}")
    return bool(said)


def _say_in_force(directory: Path, founded: Founded, *, as_json: bool) -> None:
    charter = founded.charter
    say(
        f"{directory}: the charter {charter.name}, version {charter.version}, is in force.\n"
        f"Give {directory / 'trust.json'} to whoever verifies. Next:\n"
        f"  ringfence doctor -d {directory}   says what is still missing\n"
        f"  ringfence serve -d {directory}    starts the gateway",
        {
            **{"directory": str(directory), "charter": charter.name, "version": charter.version},
            **_lacks(founded),
        },
        as_json=as_json,
    )
    _warn(founded)
