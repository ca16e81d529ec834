"""What is refused by rules that are a moment old, and permitted by those of its batch, is neither refused nor given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.core import changes as c
from ringfence.core.errors import ConflictError
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.listing import list_records
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.searching import find_users
from ringfence.services.custody.writing import WriteItem, write_records
from tests.services.governed_world import PERSON, WIDER, GovernedWorld, found_deployment, open_governed_world
from tests.services.world import verified
from tests.stores import POSTGRES

Ask = Callable[[GovernedWorld, int], Awaitable[object]]
NAME = RecordName("ann", "person", "self")


async def read(world: GovernedWorld, grant: int) -> object:
    return await read_record(world.gate, world.caller("eve", grant=grant), purpose="support", name=NAME)


async def read_several(world: GovernedWorld, grant: int) -> object:
    return await read_records(world.gate, world.caller("eve", grant=grant), purpose="support", names=[NAME])


async def find(world: GovernedWorld, grant: int) -> object:
    asked = {"dataset": "person", "field": "Email", "value": "ann@example.org"}
    return await find_users(world.gate, world.caller("eve", grant=grant), purpose="support", **asked)


async def export(world: GovernedWorld, grant: int) -> object:
    asked = {"verb": "export", "user": "ann", "dataset": "posts"}
    caller = world.caller("eve", grant=grant)
    return await list_records(world.gate, caller, purpose="support", after=b"", records_max=5, **asked)


async def write(world: GovernedWorld, grant: int) -> object:
    items = [WriteItem("ann", "person", "self", {**PERSON, "userName": "ann"})]
    return await write_records(world.gate, world.caller("eve", grant=grant), purpose="support", items=items)


def with_two_gateways(deployment: Deployment, work: Callable[[GovernedWorld, GovernedWorld], Awaitable[None]]) -> None:
    """Run a piece of work in two gateways on one database; the second learns of no rule unless it has to."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            first, second = [await stack.enter_async_context(open_governed_world(deployment)) for _ in range(2)]
            await first.store_user("ann")
            await work(first, second)

    asyncio.run(run())


@pytest.mark.parametrize("ask", [read, read_several, find, export, write])
def test_grant_that_another_gateway_just_carried_is_used_at_the_second_try_and_the_ledger_holds(
    tmp_path: Path, ask: Ask
) -> None:
    deployment = found_deployment(tmp_path / "deployment", store=POSTGRES)

    async def work(first: GovernedWorld, second: GovernedWorld) -> None:
        grant = await first.give()
        with pytest.raises(ConflictError, match="the rules changed while the request waited, and may permit it now"):
            await ask(second, grant)
        await ask(second, grant)

    with_two_gateways(deployment, work)
    counts = verified(deployment, tmp_path / "bundle").counts
    assert (counts["accesses_refused"], counts["counted"]) == (0, 1)


def test_erasure_that_a_suspension_stopped_until_a_moment_ago_is_done_at_the_second_try(tmp_path: Path) -> None:
    charter = WIDER.replace("verbs: [read, write]", "verbs: [read, write, erase]")
    deployment = found_deployment(tmp_path / "deployment", store=POSTGRES, charter=charter)

    async def work(first: GovernedWorld, second: GovernedWorld) -> None:
        suspension = await first.order("ivy", c.Suspend(scope=c.PARTY, name="app"))
        await second.runtime.keeper.refresh()
        await first.agree("ada", c.Lift(suspension=suspension), "ben", "cid", "ivy")
        with pytest.raises(ConflictError, match="may permit it now"):
            await erase_user(second.gate, second.caller("service"), purpose="serve", user="ann")
        await erase_user(second.gate, second.caller("service"), purpose="serve", user="ann")

    with_two_gateways(deployment, work)
    assert verified(deployment, tmp_path / "bundle").counts["erasures"] == 1
