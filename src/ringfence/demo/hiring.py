"""The demo's step on coalitions: how few people would have to join the parent, and a hire that would make it fewer."""

from __future__ import annotations

from typing import Final

import click

from ringfence.core.issuers import DEVELOPMENT_ISSUER
from ringfence.demo.access import HR_HEADER
from ringfence.demo.paper import say, title
from ringfence.demo.stage import Stage
from ringfence.demo.tampering import expect
from ringfence.demo.team import Team

GOALS: Final = ("outside-flows", "change-rules", "give-grant", "corrupt-build")
REFERENCE: Final = "hr-gil"
HR_ROW: Final = f"{REFERENCE},gil,usds,,US,US,hr-ana,,gil,usds,,"


def count_and_refuse(stage: Stage, team: Team) -> None:
    """Count on the live rules; then let an appointment that looks harmless be refused, with the path."""
    title("11. How few people would have to join the parent? Counted, and nothing that makes it fewer is carried")
    say(
        "Who could appoint whom, sign for whom, reach into which machine: a solver looks for the smallest group that "
        "could give the parent what no flow gives it, and tries it out on the real rules. The charter asks for three."
    )
    asked = [argument for goal in GOALS for argument in ("--goal", goal)]
    stage.run("prove", "coalition", *asked, "-d", str(stage.deployment))
    click.echo()
    say(
        "Now a small hire: gil, an engineer, who is independent of the parent, lives and works in the country, and "
        "reports to ana. Two other officers agree, and the last signature should put it in effect."
    )
    file = team.write("dee", "hire.csv", f"{HR_HEADER}\n{HR_ROW}\n")
    stage.run("people", "import", str(file), "--partial", "-d", str(stage.deployment), quiet=True)
    people = stage.run_json("people", "list", "-d", str(stage.deployment))["people"]
    number = next(one["number"] for one in people if one["reference"] == REFERENCE)
    admit = f"do: admit\nperson: {number}\nparty: usds\nissuer: {DEVELOPMENT_ISSUER}\nsubject: gil\n"
    _let_agree(team, admit, reason="hired")
    answer = _let_agree(team, f"do: appoint\nperson: {number}\nduty: engineer\n", reason="to keep things running")
    expect("2 people who joined" in answer, "an appointment that leaves too few is refused with its path")
    say("Gil would do what ana says: so ana and one more officer could give the parent all that a grant opens.")


def _let_agree(team: Team, change: str, *, reason: str) -> str:
    proposal = team.ask("dee", change, reason=reason)
    team.agree("ben", proposal)
    return team.agree("cho", proposal)
