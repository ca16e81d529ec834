"""What people outside asked for or agreed to already: fewer need join for as long as the requests are open."""

from __future__ import annotations

import hashlib

import pytest

from ringfence.core import changes as c
from ringfence.core.coalition.gate import assess
from ringfence.core.coalition.world import Kind, could_hold, see_world
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger import entry as e
from ringfence.prover.coalition.answers import Answer
from ringfence.prover.coalition.words import describe_open
from tests.governed import ISSUER, NUMBERS, SALT, Ground, a_grant, facts
from tests.prover.powers import COUNTED, answer

CHARTER = COUNTED.replace("version: 1\n", "version: 2\n", 1).encode()
ENACT = c.EnactCharter(name="small", version=2, digest=hashlib.sha256(CHARTER).digest(), engine="v2")


def asked(ground: Ground, goal: str) -> int:
    """Let fay ask for a charter, or eve for a grant; give the request's number."""
    if goal == "change-rules":
        return ground.propose("fay", ENACT, file=CHARTER)
    return ground.propose("eve", a_grant(verbs=("find", "read"), datasets=("person", "rest")))


def fewest(ground: Ground, goal: str) -> tuple[int | None, int | None]:
    found: Answer = answer(ground, goal)
    return found.at_least, found.at_least_open


@pytest.mark.parametrize(
    ("goal", "outside", "left"),
    [
        ("change-rules", ["ada"], ["ben", "ivy"]),
        ("change-rules", ["ada", "ivy"], ["ben"]),
        ("give-grant", ["ada"], ["ben"]),
        ("give-grant", ["ada", "ben"], []),
    ],
)
def test_who_agreed_already_need_not_join(goal: str, outside: list[str], left: list[str]) -> None:
    """With whoever asked, those who are left carry it, and nobody else does anything more."""
    ground = Ground.founded(COUNTED)
    proposal = asked(ground, goal)
    assert fewest(ground, goal) == (3, None), "nobody has agreed"
    ground.approve(proposal, *outside)
    at_least, at_least_open = fewest(ground, goal)
    assert at_least == 3
    assert (at_least_open or 3) <= len(left) + 1
    ground.approve(proposal, *left)
    ground.carry(proposal, number=1 if goal == "give-grant" else 0)
    assert fewest(ground, goal) == (3, None), "nothing is open any more"


def test_fewer_are_counted_only_where_it_counts_still() -> None:
    ground = Ground.founded(COUNTED)
    proposal = asked(ground, "change-rules")
    ground.approve(proposal, "ada", "ivy")
    assert fewest(ground, "change-rules") == (3, 2)
    ground.order("dot", c.Dismiss(person=NUMBERS["ada"]))
    ground.order("dot", c.Dismiss(person=NUMBERS["ivy"]))
    assert fewest(ground, "change-rules")[1] is None


def test_an_agreement_of_the_coalitions_own_is_not_counted_twice() -> None:
    """Two of officers and the overseer's agree to what the law demands; the overseer's has agreed."""
    ground = Ground.founded(COUNTED)
    ground.approve(ground.propose("fay", a_grant(kind=c.LEGAL_DEMAND, purpose="comply")), "ivy")
    outside, theirs = (answer(ground, "give-grant", *parties) for parties in (["parent"], ["parent", "board"]))
    assert (outside.at_least, outside.at_least_open) == (3, 2)
    assert (theirs.at_least, theirs.at_least_open) == (2, None)


def test_a_request_that_has_expired_lends_nothing() -> None:
    ground = Ground.founded(COUNTED)
    ground.approve(asked(ground, "change-rules"), "ada", "ivy")
    ground.now_ms += 5 * 3_600_000
    assert fewest(ground, "change-rules") == (3, None)


def test_the_gate_counts_what_is_open_when_it_is_carried_and_not_before() -> None:
    """Else whoever lets a request stand open would lower what the next change is measured against."""
    ground = Ground.founded(COUNTED)
    ground.approve(asked(ground, "change-rules"), "ada", "ivy")
    assert assess(ground.state, at_ms=ground.now_ms, minimum=3).people == 3
    gil = ground.hire("gil", manager=NUMBERS["ada"])
    ground.admit("gil")
    change = ground.propose("dot", c.Appoint(person=gil, duty="engineer"))
    ground.approve(change, "ada", "ben")
    with pytest.raises(ProofInvalidError, match="2 people who joined"):
        ground.carry(change)


def test_it_is_said_in_words_with_the_requests() -> None:
    ground = Ground.founded(COUNTED)
    ground.approve(asked(ground, "change-rules"), "ada", "ivy")
    lent = see_world(ground.state, at_ms=ground.now_ms, sees_open=True).lent
    said = describe_open(answer(ground, "change-rules"), lent)
    assert said == "with what others asked for or agreed to already in open requests (1): at least 2 people"
    assert describe_open(answer(Ground.founded(COUNTED), "change-rules"), ()) == ""


FREE = COUNTED.replace("  min: 3\n", "  min: 0\n")
"""The charter without a number: what is asked for in this file's last tests is carried, and a gate would refuse it."""


def least_open(ground: Ground, goal: str) -> int | None:
    at_least, at_least_open = fewest(ground, goal)
    return at_least if at_least_open is None else at_least_open


def test_whom_somebody_outside_asked_to_appoint_may_be_one_of_theirs() -> None:
    """Dot and ben mean well by kim, who is directed by ada: she agrees as well, and is then two officers."""
    ground = Ground.founded(FREE, eve={"manager": NUMBERS["ada"]})
    ground.hire("kim", directed_by=(NUMBERS["ada"],))
    ground.admit("kim")
    assert least_open(ground, "give-grant") == 2
    proposal = ground.propose("dot", c.Appoint(person=NUMBERS["kim"], duty="officer"))
    ground.approve(proposal, "ben")
    assert least_open(ground, "give-grant") == 1
    ground.approve(proposal, "ada")
    ground.carry(proposal)
    ground.agree("eve", a_grant(), "ada", "kim", number=1)


def test_whom_somebody_outside_asked_to_admit_could_be_appointed() -> None:
    ground = Ground.founded(FREE)
    lou = ground.hire("lou")
    assert kind_of(ground, lou) is None, "one of those who are in no register is as good"
    identity = e.Identity(ISSUER, "lou")
    change = c.Admit(person=lou, party="trust", identity=e.commit(e.render_opening(SALT, identity)))
    ground.propose("dot", change, identity=identity, identity_salt=SALT)
    asked_in = kind_of(ground, lou)
    assert asked_in is not None
    assert [could_hold("engineer") in has for has, _ in asked_in.brings] == [True]


def kind_of(ground: Ground, person: int) -> Kind | None:
    kinds = see_world(ground.state, at_ms=ground.now_ms, sees_open=True).kinds
    return next((kind for kind in kinds if person in kind.people), None)


def test_where_somebody_outside_asked_only_who_gains_must_be_theirs() -> None:
    ground = Ground.founded(FREE.replace("propose: [engineer, manager]", "propose: [manager]"))
    assert least_open(ground, "give-grant") == 3
    proposal = ground.propose("fay", a_grant())
    ground.approve(proposal, "ada")
    assert least_open(ground, "give-grant") == 2, "eve and ben"
    ground.approve(proposal, "ben")
    ground.carry(proposal, number=1)


def test_where_somebody_outside_asked_for_the_end_of_a_suspension_nobody_else_need() -> None:
    ground = Ground.founded(FREE)
    number = ground.order("ivy", c.Suspend(scope=c.FLOW, name="serving"), number=1)
    proposal = ground.propose("fay", c.Lift(suspension=number))
    ground.approve(proposal, "ada", "ivy")
    assert fewest(ground, "lift-suspension") == (3, 1)
    ground.approve(proposal, "ben")
    ground.carry(proposal)
    assert not ground.state.governed.stopped


def test_a_charter_that_somebody_outside_asked_for_is_not_the_coalitions() -> None:
    ground = Ground.founded(FREE)
    asked(ground, "change-rules")
    assert fewest(ground, "change-rules") == (3, None)


def test_an_agreement_that_may_count_again_is_lent() -> None:
    """Ada is moved into eve's team, so that her agreement counts no more, and out of it, so that it does."""
    ground = Ground.founded(FREE.replace("cooling_days: 365", "cooling_days: 0"), eve={"team": "x"})
    proposal = ground.propose("eve", a_grant())
    ground.approve(proposal, "ada")
    ground.record(facts(NUMBERS["ada"], "ada", team="x"))
    assert fewest(ground, "give-grant") == (3, 2)
    ground.record(facts(NUMBERS["ada"], "ada", team="y"))
    ground.approve(proposal, "ben")
    ground.carry(proposal, number=1)
