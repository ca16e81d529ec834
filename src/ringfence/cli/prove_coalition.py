"""`ringfence prove coalition`: how few people must join the excluded parties, for what, and what they would do."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from ringfence.cli.change_file import read_change
from ringfence.cli.files import FILE, show_path, write_text
from ringfence.cli.output import EXIT_REFUSED, deployment_option, json_option, say
from ringfence.cli.progress import show_progress
from ringfence.cli.prove_movement import tell_movement
from ringfence.cli.prove_subject import Subject, read_subject
from ringfence.core.charter import parse_charter
from ringfence.core.coalition.world import excluded_parties
from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.change_words import describe_change
from ringfence.prover.coalition.answers import Answer, Coalition
from ringfence.prover.coalition.picture import draw_coalitions
from ringfence.prover.coalition.search import SECONDS_MAX
from ringfence.prover.coalition.supposing import Supposed, suppose
from ringfence.prover.coalition.words import Names, describe_deed, describe_number, describe_open, describe_who
from ringfence.reports.history import without_openings


class _Seconds(click.FloatRange):
    """So many seconds; "nan" is in no range, though it is neither below nor above one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give the number, or tell that it is none."""
        seconds: float = super().convert(value, param, ctx)
        return seconds if seconds == seconds else self.fail(f"{value!r} is not a number", param, ctx)


@click.command(short_help="Count who must join the parent, for what.")
@click.argument("source", metavar="[BUNDLE]", type=FILE, required=False)
@click.option("--goal", "wanted", metavar="NAME", multiple=True, help="Only this goal; more than once.")
@click.option(
    "--exclude", "parties", metavar="PARTY", multiple=True, help="Who colludes; the charter's excluded parties."
)
@click.option("--with", "supposed", metavar="CHANGE", type=FILE, help="Suppose that this change was made.")
@click.option(
    "--seconds",
    type=_Seconds(0.01, SECONDS_MAX),
    default=30.0,
    show_default=True,
    help="How long to look, for each goal.",
)
@click.option("--picture", metavar="FILE", type=FILE, help="Draw what they would do, as HTML, into FILE.")
@click.option(
    "--since", metavar="CHECKPOINT", type=FILE, help="Tell how the numbers of BUNDLE moved since one that you kept."
)
@deployment_option
@json_option
def coalition(
    source: Path | None,
    *,
    wanted: tuple[str, ...],
    parties: tuple[str, ...],
    supposed: Path | None,
    seconds: float,
    picture: Path | None,
    since: Path | None,
    directory: Path,
    as_json: bool,
) -> int:
    """Count how few people must join the excluded parties before these reach each goal, and show what they would do.

    It is asked of the deployment, or of BUNDLE, which needs the openings (`ringfence ledger export --detail`). What no
    number of people reaches is proved; a number that is exact was tried out on the real rules. With --since, each rule
    after CHECKPOINT that moved a number is named. Exits with 1 where the charter asks for more people than are needed.
    """
    if since is not None:
        if supposed is not None or picture is not None:
            raise click.UsageError("--since tells what was: leave out --with, which supposes, and --picture")
        return tell_movement(source, since, wanted=wanted, parties=parties, as_json=as_json)
    subject, put = _read(source, supposed, deployment=directory)
    asked = Coalition(put.state, at_ms=subject.at_ms, parties=parties or put.parties, before=put.before)
    goals = [goal for goal in asked.goals if not wanted or goal.name in wanted]
    for name in wanted:
        if name not in {goal.name for goal in goals}:
            known = ", ".join(goal.name for goal in asked.goals)
            raise InvalidInputError(f"there is no goal {name}", place="--goal", hint=f"the goals are: {known}")
    with show_progress("looking for coalitions", quiet=as_json) as tell:
        answers = []
        for done, goal in enumerate(goals):
            tell(done, len(goals))
            answers.append(asked.answer(goal, seconds=seconds))
        tell(len(goals), len(goals))
    short = [item for item in answers if item.is_short(put.minimum)]
    if picture is not None:
        words = f"{subject.words}, which nobody could carry ({put.refused})" if put.refused else subject.words
        write_text(picture, draw_coalitions(asked, answers, source=words, minimum=put.minimum))
    if as_json:
        say("", _facts(subject, put, asked, answers), as_json=True)
    else:
        _tell(subject, put, asked, answers)
    return EXIT_REFUSED if short or put.refused else 0


def _read(source: Path | None, supposed: Path | None, *, deployment: Path) -> tuple[Subject, Supposed]:
    """Give the rules that are asked, and the state that they came to or would come to by what is supposed."""
    subject = read_subject(source, deployment=deployment)
    if subject.state is None:
        raise InvalidInputError(
            "a charter alone has no people",
            place="BUNDLE",
            hint="name a bundle (`ringfence ledger export --detail`), or a deployment with -d",
        )
    state = subject.state
    if state.governed.register is None:
        raise without_openings()
    if supposed is None:
        return subject, Supposed(state, state.governance.coalition_min, excluded_parties(state.rules), state.rules, "")
    written = read_change(supposed, author=0)
    charter = parse_charter(written.file, file=show_path(supposed)) if written.file else None
    identity = (written.identity.issuer, written.identity.subject) if written.identity else None
    put = suppose(state, written.change, at_ms=subject.at_ms, charter=charter, identity=identity)
    sentence = describe_change(written.change)[0].removesuffix(".")
    return replace(subject, words=f"{subject.words}, supposing: {sentence}"), put


def _facts(subject: Subject, put: Supposed, asked: Coalition, answers: list[Answer]) -> dict[str, Any]:
    return {
        "source": subject.words,
        "parties": list(asked.world.parties),
        "from_the_start": list(asked.world.base_people),
        "min": put.minimum,
        "refused": put.refused,
        "open": [one.number for one in asked.lent],
        "goals": [
            {
                **asdict(item.goal),
                "at_least": item.at_least,
                "at_most": item.at_most,
                "at_least_open": item.at_least_open,
                "exact": item.is_exact,
                "short": item.is_short(put.minimum),
                "joined": list(item.joined),
                "brought": list(item.brought),
                "steps": [asdict(deed) for deed in item.deeds],
                "closed": list(item.closed),
            }
            for item in answers
        ],
    }


def _tell(subject: Subject, put: Supposed, asked: Coalition, answers: list[Answer]) -> None:
    world, named = asked.world, Names(asked.state)
    click.echo(subject.words)
    with_them = named(world.base_people) or "no member"
    click.echo(
        f"colluding: {', '.join(world.parties) or 'no party'}, and whom they employ, pay, manage or direct: {with_them}"
    )
    asks = f"that {put.minimum} people are needed" if put.minimum else "for no number"
    click.echo(f"the charter asks {asks}")
    if put.refused:
        click.echo(f"nobody could carry it: {put.refused}")
    for item in answers:
        click.echo("")
        click.echo(f"{item.goal.name}: to {item.goal.words}")
        click.echo(f"  {describe_number(item, minimum=put.minimum)}")
        if fewer := describe_open(item, asked.lent):
            click.echo(f"  {fewer}")
        if who := describe_who(item, named):
            click.echo(f"  {who}")
        for position, deed in enumerate(item.deeds, start=1):
            click.echo(f"  {position}. {describe_deed(deed, named)}")
