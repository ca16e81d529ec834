"""A token whose issuer another process withdraws: the next request is refused, whatever it asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core import changes as c
from ringfence.core.errors import UnauthenticatedError
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.listing import list_records
from ringfence.services.custody.naming import name_subjects
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.request import Caller
from ringfence.services.custody.searching import find_users
from ringfence.services.custody.writing import WriteItem, write_records
from tests.services.governed_world import PERSON, WIDER, GovernedWorld, found_deployment, in_governed_world

LOGIN, KEYS = "https://login.example.org", b"k" * 32
CHARTER = WIDER.replace("verbs: [read, write]", "verbs: [read, write, find, erase, export]")
NAME = RecordName("ann", "person", "self")
POST = RecordName("ann", "posts", "post-1")
Call = Callable[[Gate, Caller], Awaitable[object]]


def write(gate: Gate, caller: Caller) -> Awaitable[object]:
    item = WriteItem("ann", "person", "self", PERSON)
    return write_records(gate, caller, purpose="serve", items=[item])


CALLS: dict[str, Call] = {
    "read": lambda gate, caller: read_record(gate, caller, purpose="serve", name=NAME),
    "read many": lambda gate, caller: read_records(gate, caller, purpose="serve", names=[NAME, POST]),
    "list": lambda gate, caller: list_records(
        gate, caller, purpose="serve", verb="read", user="ann", dataset="posts", after=b"", records_max=5
    ),
    "find": lambda gate, caller: find_users(
        gate, caller, purpose="serve", dataset="person", field="Email", value=PERSON["Email"]
    ),
    "write": write,
    "erase": lambda gate, caller: erase_user(gate, caller, purpose="serve", user="ann"),
}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return found_deployment(tmp_path / "deployment", charter=CHARTER)


def with_token(caller: Caller) -> Caller:
    """Give the same caller, whose token is of the issuer."""
    return msgspec.structs.replace(caller, issuer=LOGIN, issuer_keys=KEYS)


async def agree_elsewhere(world: GovernedWorld, change: c.AnyChange) -> None:
    """Let another process write a change: this one has not heard of it."""
    before = world.state.epoch
    async with open_runtime(world.runtime.deployment) as runtime:
        other = GovernedWorld(runtime, world.gate)
        if isinstance(change, c.WithdrawIssuer):
            await other.order("ada", change)
        else:
            await other.agree("dot", change, "ada", "ben")
    assert world.state.epoch == before


@pytest.mark.parametrize("name", CALLS)
def test_caller_is_refused_at_the_next_request_once_its_issuer_is_withdrawn(deployment: Deployment, name: str) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.agree("dot", c.TrustIssuer(name=LOGIN, keys=KEYS), "ada", "ben")
        await world.store_user("ann")
        caller = with_token(world.caller("service"))
        if name != "erase":
            await CALLS[name](world.gate, caller)

        await agree_elsewhere(world, c.WithdrawIssuer(name=LOGIN))
        n = world.gate.singles.head.n, world.gate.bulk.head.n
        with pytest.raises(UnauthenticatedError, match=r"tokens of the issuer .* are not taken any more"):
            await CALLS[name](world.gate, caller)

        assert (world.gate.singles.head.n, world.gate.bulk.head.n) == n  # what was not decided is in no entry
        await agree_elsewhere(world, c.TrustIssuer(name=LOGIN, keys=KEYS))
        await world.runtime.keeper.refresh()
        await CALLS[name](world.gate, caller)

    in_governed_world(deployment, work)


def test_who_may_name_users_is_refused_when_the_issuer_trusts_other_keys(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.agree("dot", c.TrustIssuer(name=LOGIN, keys=KEYS), "ada", "ben")
        await world.store_user("ann")
        caller = with_token(world.caller("eve"))
        assert await name_subjects(world.gate, caller, ["ann"])

        await agree_elsewhere(world, c.TrustIssuer(name=LOGIN, keys=b"o" * 32))
        with pytest.raises(UnauthenticatedError):
            await name_subjects(world.gate, caller, ["ann"])

    in_governed_world(deployment, work)


def test_caller_of_the_development_issuer_needs_no_trust(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        await read_record(world.gate, world.caller("service"), purpose="serve", name=NAME)
        with pytest.raises(UnauthenticatedError):
            await read_record(world.gate, with_token(world.caller("service")), purpose="serve", name=NAME)

    in_governed_world(deployment, work)
