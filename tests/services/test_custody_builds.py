"""What a service may do by the build that its credential names, and that a withdrawal takes all of it at once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core import changes as c
from ringfence.core.errors import DeniedError
from ringfence.services.custody.request import Caller
from tests.builds import BUILT, OTHER_BUILT, approve, for_builds
from tests.services.governed_world import WIDER, GovernedWorld, found_deployment, in_governed_world
from tests.services.test_custody_issuers import CALLS
from tests.services.world import verified

READS = tuple(name for name in CALLS if name != "write")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return found_deployment(tmp_path / "deployment", charter=for_builds(WIDER))


def running(world: GovernedWorld, build: bytes = BUILT) -> Caller:
    """Give the app's service with a credential for a build."""
    return msgspec.structs.replace(world.caller("service"), build=build)


async def withdraw_elsewhere(world: GovernedWorld) -> None:
    """Let another process withdraw the build: this one has not heard of it."""
    before = world.state.epoch
    async with open_runtime(world.runtime.deployment) as runtime:
        await GovernedWorld(runtime, world.gate).order("gus", c.WithdrawBuild(digest=BUILT))
    assert world.state.epoch == before


async def refused(world: GovernedWorld, name: str, caller: Caller) -> str:
    with pytest.raises(DeniedError) as caught:
        await CALLS[name](world.gate, caller)
    return caught.value.message


@pytest.mark.parametrize("name", READS)
def test_flow_for_approved_builds_is_for_callers_with_one_alone(deployment: Deployment, name: str) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        unapproved = await refused(world, name, running(world))
        assert f"the build {BUILT.hex()} is not approved" in unapproved

        await world.agree("hal", approve(), "gus")
        assert "no clause of the charter permits it" in await refused(world, name, world.caller("service"))
        assert f"the build {OTHER_BUILT.hex()} is not approved" in await refused(
            world, name, running(world, OTHER_BUILT)
        )
        await CALLS[name](world.gate, running(world))

    in_governed_world(deployment, work)


def test_build_that_is_approved_for_another_party_is_none(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        await world.agree("hal", approve(OTHER_BUILT, party="trust"), "gus")
        await world.agree("hal", approve(), "gus")
        words = await refused(world, "read", running(world, OTHER_BUILT))
        assert words.endswith(f"the build {OTHER_BUILT.hex()} is approved for trust, not for app")
        await CALLS["read"](world.gate, running(world))

    in_governed_world(deployment, work)


@pytest.mark.parametrize("name", CALLS)
def test_withdrawn_build_is_cut_at_the_next_request(deployment: Deployment, tmp_path: Path, name: str) -> None:
    """Whatever it asks for, also where a service without any build is served."""

    async def work(world: GovernedWorld) -> None:
        await world.agree("hal", approve(), "gus")
        await world.store_user("ann")
        if name != "erase":
            await CALLS[name](world.gate, running(world))

        await withdraw_elsewhere(world)
        await refused(world, name, running(world))
        words = f"the build {BUILT.hex()} was withdrawn by rule {world.state.epoch}"
        assert words in await refused(world, name, running(world))
        await CALLS["write"](world.gate, world.caller("service"))

    in_governed_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


def test_build_that_is_approved_again_is_served_again(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.agree("hal", approve(), "gus")
        await world.store_user("ann")
        await world.order("gus", c.WithdrawBuild(digest=BUILT))
        await refused(world, "read", running(world))

        await world.agree("hal", approve(), "gus")
        await CALLS["read"](world.gate, running(world))

    in_governed_world(deployment, work)


def test_refused_service_hears_what_could_be_asked(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        for caller, words in (
            (running(world), "the same with a credential for an approved build"),
            (
                world.caller("service"),
                "clause `serving-by-build` permits app to read person to services with an",
            ),
        ):
            with pytest.raises(DeniedError) as caught:
                await CALLS["read"](world.gate, caller)
            assert any(line.startswith(words) for line in caught.value.could_ask), caught.value.could_ask
            assert caught.value.receipt

    in_governed_world(deployment, work)
