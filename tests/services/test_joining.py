"""Requests that arrive one after the other share a commit while they keep coming; none waits for those that do not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.ledger import entry as e
from ringfence.core.state import State
from ringfence.services.jobs import Committed, Prepared
from ringfence.services.writer import JOINING_TURNS_MAX
from tests.services.world import World, in_world


def prepare(state: State, at_ms: int) -> Prepared:
    leaf = e.render_entry(e.Refusals(principal=0, reason="unauthenticated", requests=1, since_ms=at_ms))
    return Prepared(entries=[leaf], openings=[None])


async def submit_in_turns(world: World, turns: Sequence[int]) -> list[int]:
    """Submit so many jobs in each turn of the loop; give the batch that each turn's came into."""
    submitted: list[list[asyncio.Future[Committed]]] = []
    for jobs in turns:
        submitted.append([world.gate.singles.submit(prepare) for _ in range(jobs)])
        await asyncio.sleep(0)
    batches = []
    for futures in submitted:
        batches.append({(await future).receipt.n for future in futures})
    assert all(len(found) <= 1 for found in batches), "the jobs of one turn went apart"
    return [n for found in batches for n in found]


@pytest.mark.parametrize(
    ("turns", "batches"),
    [
        ([1], 1),
        ([1, 1, 1], 1),
        ([3, 1, 2], 1),
        ([1, 0, 0, 1], 2),
        ([1, 1, 0, 0, 1, 1], 2),
    ],
)
def test_jobs_share_a_batch_while_every_turn_brings_one(deployment: Deployment, turns: list[int], batches: int) -> None:
    found = in_world(deployment, lambda world: submit_in_turns(world, turns))
    assert len(set(found)) == batches
    assert found == sorted(found)


def test_jobs_that_never_stop_coming_hold_nothing_back(deployment: Deployment) -> None:
    found = in_world(deployment, lambda world: submit_in_turns(world, [1] * (JOINING_TURNS_MAX * 5)))
    assert max(map(found.count, found)) <= JOINING_TURNS_MAX + 2
    assert len(set(found)) > 2
