"""What a service may do by the build that its credential names, and that a withdrawal takes all of it at once.

A credential is what the ledger has recorded: who shows another is refused as who shows none.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core import changes as c
from ringfence.core.errors import ConflictError, DeniedError, UnauthenticatedError
from ringfence.core.state import State
from ringfence.services.custody.callers import check_caller
from ringfence.services.custody.request import Caller
from ringfence.services.governance.rule_writing import WrittenRule
from tests.builds import BUILT, CERTIFICATE, OTHER_BUILT, OTHER_CERTIFICATE, approve, credential, for_builds
from tests.services.governed_world import WIDER, GovernedWorld, found_deployment, in_governed_world
from tests.services.test_custody_issuers import CALLS
from tests.services.world import verified

READS = tuple(name for name in CALLS if name != "write")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return found_deployment(tmp_path / "deployment", charter=for_builds(WIDER))


def running(world: GovernedWorld, build: bytes = BUILT, certificate: bytes = CERTIFICATE) -> Caller:
    """Give the app's service as it comes with a token for a build, whether or not the ledger has that credential."""
    return msgspec.structs.replace(world.caller("service"), build=build, certificate=certificate)


async def give(world: GovernedWorld, build: bytes = BUILT, **told: object) -> None:
    """Give the app's service a credential for a build, as the custodian does."""

    told = {"principal": world.caller("service").principal, **told}

    def make(state: State, at_ms: int) -> WrittenRule:
        return WrittenRule(credential(at_ms, build, **told))

    async with world.runtime.governance() as rules:
        await rules.write(make)


async def approve_and_give(world: GovernedWorld) -> None:
    await world.agree("hal", approve(), "gus")
    await give(world)


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
        await approve_and_give(world)
        assert "no clause of the charter permits it" in await refused(world, name, world.caller("service"))
        await CALLS[name](world.gate, running(world))

    in_governed_world(deployment, work)


@pytest.mark.parametrize("name", CALLS)
def test_credential_that_is_in_no_entry_is_not_taken(deployment: Deployment, tmp_path: Path, name: str) -> None:
    """Whoever signed it: for an approved build, a build of another service's, another certificate."""

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        await world.agree("hal", approve(OTHER_BUILT), "gus")
        await world.agree("hal", approve(), "gus")
        callers = running(world), running(world, OTHER_BUILT), running(world, certificate=OTHER_CERTIFICATE)
        for given in range(2):
            n = world.gate.singles.head.n, world.gate.bulk.head.n
            for caller in callers[given:]:
                with pytest.raises(UnauthenticatedError, match="the ledger has no such credential"):
                    await CALLS[name](world.gate, caller)
            assert (world.gate.singles.head.n, world.gate.bulk.head.n) == n  # what was not decided is in no entry
            await give(world)
        await CALLS[name](world.gate, callers[0])

    in_governed_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


def test_credential_ends_when_its_entry_says(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        await approve_and_give(world)
        await CALLS["read"](world.gate, running(world))
        (given,) = world.state.governed.credentials[running(world).principal, BUILT].values()

        for clock_ms, is_given in ((given.until_ms - 1, True), (given.until_ms, False)):
            world.gate.clock_ms = lambda at_ms=clock_ms: at_ms  # type: ignore[misc]
            if is_given:
                check_caller(world.gate, running(world))
            else:
                with pytest.raises(UnauthenticatedError, match="no such credential"):
                    check_caller(world.gate, running(world))

    in_governed_world(deployment, work)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"build": OTHER_BUILT}, "is not approved"),
        ({"principal": 99}, "no service has this number"),
        ({"until_ms": 1}, "it is for no time from 1 ms"),
    ],
)
def test_credential_that_the_rules_do_not_allow_is_not_written(
    deployment: Deployment, told: dict[str, object], words: str
) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.agree("hal", approve(), "gus")
        epoch = world.state.epoch
        with pytest.raises(ConflictError, match=words):
            await give(world, **told)
        assert world.state.epoch == epoch
        await give(world)

    in_governed_world(deployment, work)


@pytest.mark.parametrize("name", CALLS)
def test_withdrawn_build_is_cut_at_the_next_request(deployment: Deployment, tmp_path: Path, name: str) -> None:
    """Whatever it asks for, also where a service without any build is served."""

    async def work(world: GovernedWorld) -> None:
        await approve_and_give(world)
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


def test_build_that_is_approved_again_is_served_again_with_a_new_credential_alone(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> None:
        await approve_and_give(world)
        await world.store_user("ann")
        await world.order("gus", c.WithdrawBuild(digest=BUILT))
        await refused(world, "read", running(world))

        await world.agree("hal", approve(), "gus")

        async def old_is_not_taken() -> None:
            with pytest.raises(UnauthenticatedError, match="the ledger has no such credential"):
                await CALLS["read"](world.gate, running(world))

        await old_is_not_taken()
        await give(world, certificate=OTHER_CERTIFICATE)
        await old_is_not_taken()
        await CALLS["read"](world.gate, running(world, certificate=OTHER_CERTIFICATE))
        await give(world)
        await CALLS["read"](world.gate, running(world))

    in_governed_world(deployment, work)


def test_refused_service_hears_what_could_be_asked(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        await approve_and_give(world)
        await world.order("gus", c.WithdrawBuild(digest=BUILT))
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
