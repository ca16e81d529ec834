"""Lanes of a process: taken up again by the next, and certified only where they can be written."""

from __future__ import annotations

import asyncio

import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core.errors import ConfigurationError
from tests.services.world import World, in_world, open_world


async def lanes_of(world: World) -> set[int]:
    """Give the lanes that a process writes."""
    return {world.gate.singles.lane, world.gate.bulk.lane}


def test_second_process_is_refused_and_leaves_no_trace_in_the_ledger(deployment: Deployment) -> None:
    async def work() -> tuple[int, int]:
        async with open_world(deployment) as first:
            before = first.runtime.keeper.state.epoch
            async with open_runtime(deployment) as second:
                with pytest.raises(ConfigurationError, match="another process"):
                    await second.claim_lane(duty="gateway")
                with pytest.raises(ConfigurationError, match="another process"):
                    await second.claim_lane(duty="ingest")
            return before, (await first.runtime.keeper.refresh()).epoch

    before, after = asyncio.run(work())

    assert before == after


def test_next_process_takes_up_the_lanes_of_the_one_before(deployment: Deployment) -> None:
    assert in_world(deployment, lanes_of) == in_world(deployment, lanes_of)


def test_key_that_a_crash_left_uncertified_is_taken_up(deployment: Deployment) -> None:
    first = in_world(deployment, lanes_of)
    left = deployment.keys / "lanes" / f"{max(first) + 1}.key"
    left.write_bytes(b"k" * 32)
    left.chmod(0o600)

    async def work() -> int:
        async with open_runtime(deployment) as runtime:
            return (await runtime.claim_lane(duty="ingest")).lane

    assert asyncio.run(work()) == max(first) + 1
    assert left.read_bytes() == b"k" * 32
