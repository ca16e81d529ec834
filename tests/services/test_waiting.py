"""What an open proposal waits for, as it is listed: more people, more time, or rules that refuse it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.app import runtime
from ringfence.core import changes as c
from ringfence.core.governance.statement import APPROVE
from ringfence.services.governance.signed import describe_wait
from tests.governed import HOUR_MS, NUMBERS, Ground, sign
from tests.prover.powers import COUNTED
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world


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


def test_answer_to_the_last_approval_says_how_long_the_veto_still_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = runtime.clock_ms()
    monkeypatch.setattr(runtime, "clock_ms", lambda: now_ms - HOUR_MS // 2)
    deployment = found_deployment(tmp_path / "deployment")

    async def work(world: GovernedWorld) -> int:
        return await world.propose("dot", c.Appoint(person=NUMBERS["fay"], duty="keeper"))

    number = in_governed_world(deployment, work)
    monkeypatch.setattr(runtime, "clock_ms", lambda: now_ms)

    async def agree(world: GovernedWorld) -> str:
        data = world.state.governed.proposals[number].statement
        async with world.runtime.signed_governance() as governance:
            await governance.approve(number, sign("ada", data, APPROVE))
            return (await governance.approve(number, sign("ben", data, APPROVE))).waits_for

    assert (
        in_governed_world(deployment, agree) == "monitor may still decline it, for 257400 s"
    )  # 72 hours less half a one
