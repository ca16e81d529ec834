"""What an open proposal waits for, as it is listed: more people, more time, or rules that refuse it."""

from __future__ import annotations

from ringfence.core import changes as c
from ringfence.services.governance.signed import describe_wait
from tests.governed import NUMBERS, Ground
from tests.prover.powers import COUNTED


def waits_for(ground: Ground, change: c.AnyChange, *people: str) -> str:
    """Let somebody ask for a change and others agree to it; give what it waits for."""
    number = ground.propose("dot", change)
    ground.approve(number, *people)
    return describe_wait(ground.state, ground.state.governed.proposals[number], at_ms=ground.now_ms + 1000)


def appointed(ground: Ground, name: str, *, manager: str = "") -> c.Appoint:
    """Let somebody in; give the appointment of that person as an engineer."""
    person = ground.hire(name, manager=NUMBERS.get(manager, 0))
    ground.admit(name)
    return c.Appoint(person=person, duty="engineer")


def test_what_the_gate_would_refuse_is_listed_with_its_reason_and_not_as_ready() -> None:
    ground = Ground.founded(COUNTED)

    said = waits_for(ground, appointed(ground, "gil", manager="ada"), "ada", "ben")

    assert "2 people who joined the excluded parties would be enough" in said
    assert "The path: there join " in said


def test_what_would_be_carried_waits_for_nothing_and_what_lacks_people_for_these() -> None:
    ground = Ground.founded(COUNTED)
    change = appointed(ground, "gil")

    assert waits_for(ground, change, "ada").startswith("it needs 2 of officer")
    assert waits_for(ground, change, "ada", "ben") == ""


def test_that_the_one_who_asks_has_no_authority_any_more_is_told_before_the_count() -> None:
    ground = Ground.founded(COUNTED)
    change = appointed(ground, "gil", manager="ada")
    number = ground.propose("dot", change)
    ground.approve(number, "ada", "ben")
    ground.order("ada", c.Dismiss(person=NUMBERS["dot"]))

    said = describe_wait(ground.state, ground.state.governed.proposals[number], at_ms=ground.now_ms + 1000)

    assert said == f"{NUMBERS['dot']}, who asked for it, has no authority any more"
