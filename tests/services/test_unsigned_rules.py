"""Whoever has the authority's key writes of people, and signs in nobody's name: no process takes such a rule up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import IntegrityError
from ringfence.core.ledger import governed_entry as g
from ringfence.core.state import State
from ringfence.services.governance.rule_writing import WrittenRule
from tests.governed import HOUR_MS, NUMBERS, facts
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world

ADA, DOT, EVE = (NUMBERS[name] for name in ("ada", "dot", "eve"))
TAKEN = c.EndAppointment(person=EVE, duty="engineer")
NOTHING = bytes(32)
"""What an entry says that it rests on, where nobody ever signed anything."""


def key_of(state: State, person: int) -> int:
    return next(key.number for key in state.governed.keys.values() if key.person == person)


def asked(state: State, at_ms: int) -> WrittenRule:
    change = c.Appoint(person=EVE, duty="inspector")
    key = key_of(state, DOT)
    return WrittenRule(
        g.Proposed(number=1, by=DOT, key=key, change=change, expires_ms=at_ms + HOUR_MS, statement=NOTHING)
    )


def ordered(state: State, at_ms: int) -> WrittenRule:
    return WrittenRule(g.Ordered(by=ADA, key=key_of(state, ADA), change=TAKEN, statement=NOTHING))


def told(state: State, at_ms: int) -> WrittenRule:
    return WrittenRule(g.PeopleRecorded(source="x", added=0, people=1, facts=NOTHING))


async def write(world: GovernedWorld, make: Callable[[State, int], WrittenRule]) -> State:
    async with world.runtime.governance() as governance:
        return await governance.write(make)


@pytest.mark.parametrize("make", [asked, ordered, told])
def test_a_rule_without_what_it_rests_on_stops_every_process(
    tmp_path: Path, make: Callable[[State, int], WrittenRule]
) -> None:
    deployment = found_deployment(tmp_path / "d")

    async def write_it(world: GovernedWorld) -> None:
        with pytest.raises(IntegrityError, match="what the rule rests on"):
            await write(world, make)

    in_governed_world(deployment, write_it)
    with pytest.raises(IntegrityError, match="what the rule rests on"):
        in_governed_world(deployment, write_it)


def test_an_approval_in_somebodys_name_stops_every_process(tmp_path: Path) -> None:
    deployment = found_deployment(tmp_path / "d")

    async def approve(world: GovernedWorld) -> None:
        number = await world.propose("dot", c.Appoint(person=EVE, duty="inspector"))
        with pytest.raises(IntegrityError, match="what the rule rests on"):
            await write(
                world,
                lambda state, _: WrittenRule(
                    g.Approved(proposal=number, by=ADA, key=key_of(state, ADA), signature=NOTHING)
                ),
            )

    in_governed_world(deployment, approve)


def test_what_is_signed_and_told_is_taken_up_by_every_process(tmp_path: Path) -> None:
    deployment = found_deployment(tmp_path / "d")

    async def do(world: GovernedWorld) -> None:
        await world.agree("dot", c.Appoint(person=EVE, duty="inspector"), "ada", "ben")
        await world.order("ada", TAKEN)
        await world.record(facts(EVE, "eve", team="another"))

    async def look(world: GovernedWorld) -> set[str]:
        assert world.state.governed.withheld == 0
        return set(world.state.governed.members[EVE].duties)

    in_governed_world(deployment, do)
    assert in_governed_world(deployment, look) == {"inspector"}
