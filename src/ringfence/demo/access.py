"""The demo's steps on people: access that others agree to, and a reporting line that takes it away."""

from __future__ import annotations

from typing import Final

import click

from ringfence.demo.paper import say, title
from ringfence.demo.stage import Stage
from ringfence.demo.tampering import expect
from ringfence.demo.team import Team
from ringfence.synthetic.people import SyntheticUser

AGENT: Final = "eli"
PURPOSE: Final = "?purpose=support_user"
HR_HEADER: Final = "reference,name,employer,paid_by,residence,works_in,manager,directed_by,team,devices_of,starts,ends"
HR_ROWS: Final = (
    "hr-900,zhu,bytedance,,CN,CN,,,growth,bytedance,,",
    "hr-eli,eli,usds,,US,US,,hr-900,eli,usds,,",
)


def ask_agree_read_revoke(stage: Stage, team: Team, user: SyntheticUser) -> None:
    """A member of the custodian's staff gets access by the signatures of two others, and loses it again."""
    title("9. The custodian's own staff gets in only when two others sign for it")
    path = f"/v1/records/profile/{user.user_name}/self{PURPOSE}"
    answer = stage.call(AGENT, "GET", path)
    expect(answer.status_code == 403, "staff without a grant is refused")
    click.echo()
    say(f"{AGENT} writes down what is needed, and signs those bytes. So do two security officers, who read them first:")
    change = (
        f"do: grant\npurpose: support_user\nverbs: [read]\ndatasets: [profile]\nclasses: [protected, public]\n"
        f"records_max: 3\nlasts_hours: 1\nusers: [{user.user_name}]\n"
    )
    proposal = team.ask(AGENT, change, reason="the user cannot log in and asked for help")
    for officer in ("ana", "ben"):
        team.agree(officer, proposal)
    grant = team.newest_grant(AGENT)
    answer = stage.call(AGENT, "GET", path, grant=grant)
    expect(answer.status_code == 200 and user.email in answer.text, "a grant lets its holder read its user")
    click.echo()
    say("The officer takes it back: that takes one signature, and holds at once.")
    team.order("ana", f"do: revoke-grant\ngrant: {grant}\n", reason="done")
    answer = stage.call(AGENT, "GET", path, grant=grant)
    expect(answer.status_code == 403, "a grant that was revoked gives nothing")


def reveal_direction(stage: Stage, team: Team, user: SyntheticUser) -> None:
    """A fact about who directs whom suspends somebody, whoever asked for it."""
    title('10. A "U.S." employee who is directed from the parent: suspended, and refused')
    say(
        "The HR system reports what it knows. A true fact is never refused, and this one takes authority away at "
        f"once: {AGENT}, on paper the custodian's, takes orders from an executive of the parent."
    )
    file = team.write("dee", "people.csv", "\n".join((HR_HEADER, *HR_ROWS)) + "\n")
    stage.run("people", "import", str(file), "--partial", "-d", str(stage.deployment))
    path = f"/v1/records/profile/{user.user_name}/self{PURPOSE}"
    answer = stage.call(AGENT, "GET", path)
    expect(answer.status_code == 403 and "bytedance" in answer.text, "the chain to the parent is named")
