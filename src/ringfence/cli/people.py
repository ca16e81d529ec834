"""`ringfence people`: take HR files into the register of people, and look at it.

Exit codes: 0 done, also when nothing changes; 1 the file has problems or the rules do not allow it; 2 used wrongly;
3 a device or a setting is at fault.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ringfence.app.deployment import open_deployment
from ringfence.app.runtime import clock_ms, open_runtime
from ringfence.cli.output import deployment_option, json_option, run, say
from ringfence.cli.people_words import detail_facts, detail_words, plan_facts, plan_words, view_facts, view_words
from ringfence.core.errors import ConfigurationError, PeopleInvalidError
from ringfence.core.state import State
from ringfence.services.people.recording import PeopleFile, plan_recording, record_people, require_register
from ringfence.services.people.table import FILE_SIZE_BYTES_MAX
from ringfence.services.people.viewing import list_people, show_person


@click.group(short_help="The register of people: take HR files, list, show.")
def people() -> None:
    """The register of people, as an HR system tells it.

    What a file says is recorded as it is. A fact that a rule of independence stands against suspends a member in the
    same entry; no fact gives anybody a duty, or gives one back: that takes a quorum.
    """


@people.command(name="import", short_help="Take an HR file, whole or not at all.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--partial", "is_partial", is_flag=True, help="FILE is some people: whoever is not in it stays.")
@click.option("--dry-run", is_flag=True, help="Say what would be recorded, and record nothing.")
@click.option(
    "--leavers-max",
    type=click.IntRange(min=0),
    help="Most people who may have left by it; if not said, a tenth of all or 10, whichever is more, and half at most.",
)
@deployment_option
@json_option
def import_file(
    file: Path, *, is_partial: bool, dry_run: bool, leavers_max: int | None, directory: Path, as_json: bool
) -> None:
    """Take the HR file FILE (`-` for standard input): CSV in UTF-8 with a header, one person a row.

    Columns, all of them, in any order: reference, name, employer, paid_by, residence, works_in, manager, directed_by,
    team, devices_of, starts, ends. Managers and those who direct are told by reference, several with `;` between
    them; employers, payers and owners of devices by the charter's names of parties; countries by their ISO codes.

    FILE is everybody: whoever is in the register and not in FILE has left. Every problem is told with its line and
    column, and then nothing is recorded.
    """
    name = "<stdin>" if str(file) == "-" else click.format_filename(file)
    taken = PeopleFile(data=_read(file), name=name, is_partial=is_partial, leavers_max=leavers_max)
    try:
        facts, lines = run(_import(directory, taken, dry_run=dry_run))
    except PeopleInvalidError as error:
        if as_json:
            say("", {"recorded": False, "problems": [asdict(one) for one in error.problems]}, as_json=True)
        raise
    say("\n".join(lines), facts, as_json=as_json)


async def _import(directory: Path, file: PeopleFile, *, dry_run: bool) -> tuple[dict[str, Any], list[str]]:
    async with open_runtime(open_deployment(directory)) as runtime:
        if dry_run:
            plan, state = plan_recording(runtime.keeper.state, file, at_ms=clock_ms()), runtime.keeper.state
        else:
            async with runtime.governance() as governance:
                plan, state = await record_people(governance, file, at_ms=clock_ms())
    recorded = bool(plan.difference.facts) and not dry_run
    lines = list(plan_words(plan))
    if recorded:
        lines.append(f"recorded, in force from epoch {state.epoch}")
    else:
        lines.append("nothing was recorded: this was a dry run" if dry_run else "nothing to record")
    return {"recorded": recorded, "epoch": state.epoch, **plan_facts(plan), "problems": []}, lines


@people.command(name="list", short_help="List the people of the register.")
@click.option("--all", "with_leavers", is_flag=True, help="Those who have left too.")
@deployment_option
@json_option
def list_command(*, with_leavers: bool, directory: Path, as_json: bool) -> None:
    """List the people of the register, by number: reference, employer, whether they may act, name and duties."""
    state = run(_state(directory))
    views = [
        view for view in list_people(state, at_ms=clock_ms()) if with_leavers or view.state not in ("left", "dismissed")
    ]
    text = "\n".join(map(view_words, views)) if not as_json else ""
    say(text, {"people": [view_facts(view) for view in views] if as_json else []}, as_json=as_json)


@people.command(short_help="Show a person, and what keeps them from which duty.")
@click.argument("who")
@deployment_option
@json_option
def show(who: str, *, directory: Path, as_json: bool) -> None:
    """Show all that is known of WHO (a reference or a number), and what keeps the person from each duty of the charter.

    Each conflict is spelled out person by person, by number.
    """
    state = run(_state(directory))
    detail = show_person(state, who, at_ms=clock_ms())
    _, register = require_register(state)
    say("\n".join(detail_words(detail, register)), detail_facts(detail, register), as_json=as_json)


async def _state(directory: Path) -> State:
    async with open_runtime(open_deployment(directory)) as runtime:
        return runtime.keeper.state


def _read(file: Path) -> bytes:
    """Read one byte more than a file may have, so that a longer one is refused and never held whole."""
    limit = FILE_SIZE_BYTES_MAX + 1
    if str(file) == "-":
        return sys.stdin.buffer.read(limit)
    try:
        with file.open("rb") as stream:
            return stream.read(limit)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", hint="name an HR file") from None
