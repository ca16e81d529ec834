"""What the rules say to open proposals is found out apart from the loop that serves requests, and once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from ringfence.core import changes as c
from ringfence.core.coalition import gate
from ringfence.core.coalition.closure import Model
from ringfence.core.coalition.floor import Nearest, find_nearest
from ringfence.core.governance.statement import APPROVE
from ringfence.core.people.standing import Proposal
from ringfence.core.state import State
from ringfence.gateway.governance import GovernanceCalls
from ringfence.services.governance import trials
from ringfence.services.governance.signed import why_refused
from tests.governed import NUMBERS, facts, sign
from tests.prover.powers import POWERS
from tests.services.governed_world import WIDER, GovernedWorld, found_deployment, in_governed_world

COUNTED = WIDER + POWERS


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note in which thread each count is made."""
    threads: list[int] = []

    def look(model: Model, goals: Collection[str], *, most: int) -> Nearest | None:
        threads.append(threading.get_ident())
        return find_nearest(model, goals, most=most)

    monkeypatch.setattr(gate, "find_nearest", look)
    return threads


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note which proposals are tried out for whoever asks what is open."""
    tried: list[int] = []

    def why(state: State, proposal: Proposal, *, at_ms: int) -> str:
        tried.append(proposal.number)
        return why_refused(state, proposal, at_ms=at_ms)

    monkeypatch.setattr(trials, "why_refused", why)
    return tried


async def hire(world: GovernedWorld) -> tuple[int, int]:
    """Admit somebody below an officer, who may be no engineer then, and somebody whom nobody manages."""
    below = world.state.principal_last + 1
    alone = below + 1
    await world.record(facts(below, "gil", manager=NUMBERS["ada"]), facts(alone, "lou"))
    await world.admit(below, "gil")
    await world.admit(alone, "lou")
    return below, alone


async def agree(world: GovernedWorld, change: c.AnyChange) -> bool:
    """Let a change be asked for and agreed to; tells whether it is carried."""
    number = await world.propose("dot", change)
    data = world.state.governed.proposals[number].statement
    async with world.runtime.signed_governance() as governance:
        await governance.approve(number, sign("ben", data, APPROVE))
        return (await governance.approve(number, sign("cid", data, APPROVE))).is_carried


async def waits(calls: GovernanceCalls, world: GovernedWorld) -> list[str]:
    """Ask what the open proposals wait for."""

    async def receive() -> dict[str, object]:
        raise AssertionError("a GET has no body")

    reply = await calls.answer("GET", ["proposals"], world.caller("ivy"), receive)
    assert reply is not None
    return [proposal["waits_for"] for proposal in json.loads(reply[1])["proposals"]]


def test_no_coalition_is_counted_on_the_loop(tmp_path: Path, counting: list[int]) -> None:
    """Neither to carry, nor to refuse, nor to tell what is open: else nobody is served meanwhile."""
    loop = threading.get_ident()

    async def work(world: GovernedWorld) -> None:
        below, alone = await hire(world)
        assert await agree(world, c.Appoint(person=alone, duty="inspector"))
        assert not await agree(world, c.Appoint(person=below, duty="engineer"))
        world.state.rules.memo.clear()
        calls = GovernanceCalls(world.gate, world.runtime.signed_governance)
        (words,) = await waits(calls, world)
        assert "2 people who joined" in words

    deployment = found_deployment(tmp_path / "deployment", charter=COUNTED)
    counting.clear()  # the founding counts too, and nobody waits for it
    in_governed_world(deployment, work)

    assert counting
    assert loop not in counting


def test_requests_are_served_while_a_proposal_is_tried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, served = threading.Event(), threading.Event()

    def why(state: State, proposal: Proposal, *, at_ms: int) -> str:
        begun.set()
        return "served meanwhile" if served.wait(20) else "nobody was"

    async def work(world: GovernedWorld) -> None:
        below, _ = await hire(world)
        assert not await agree(world, c.Appoint(person=below, duty="engineer"))
        monkeypatch.setattr(trials, "why_refused", why)
        calls = GovernanceCalls(world.gate, world.runtime.signed_governance)
        telling = asyncio.create_task(waits(calls, world))
        await asyncio.to_thread(begun.wait, 20)
        await world.store_user("ann")
        served.set()
        assert await telling == ["served meanwhile"]

    in_governed_world(found_deployment(tmp_path / "deployment", charter=COUNTED), work)


def test_what_was_found_is_told_again_until_a_rule_or_a_minute_passes(tmp_path: Path, noted: list[int]) -> None:
    async def work(world: GovernedWorld) -> None:
        below, alone = await hire(world)
        assert not await agree(world, c.Appoint(person=below, duty="engineer"))
        open_one = await world.propose("dot", c.Appoint(person=alone, duty="engineer"))
        calls = GovernanceCalls(world.gate, world.runtime.signed_governance)

        both = await asyncio.gather(waits(calls, world), waits(calls, world))
        assert both[0] == both[1]
        assert len(noted) == 1, "once for all who ask, and not the one that lacks approvals"

        number, now_ms = noted[0], world.gate.clock_ms()
        proposal = world.state.governed.proposals[number]
        told = trials.Trials()
        for later_ms, times in ((0, 2), (trials.TOLD_AGAIN_MS - 1, 2), (trials.TOLD_AGAIN_MS, 3)):
            await told.describe_wait(world.state, proposal, at_ms=now_ms + later_ms)
            assert len(noted) == times

        async with world.runtime.signed_governance() as governance:
            data = world.state.governed.proposals[open_one].statement
            await governance.approve(open_one, sign("ben", data, APPROVE))
        await waits(calls, world)
        assert noted == [number] * 4, "a rule has it counted anew"

    in_governed_world(found_deployment(tmp_path / "deployment", charter=COUNTED), work)
