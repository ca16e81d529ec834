"""A grant over HTTP: named by a header, on the fast path and the other, and cut off while an export runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import DeniedError, InvalidInputError
from ringfence.core.ledger import entry as e
from ringfence.gateway.exporting import GRANTED_PAGE_RECORDS, send_export
from tests.gateway.governed_gateway import make_gateway
from tests.gateway.issuers import claims, sign
from tests.governed import NUMBERS, facts
from tests.services.governed_world import POSTS, GovernedWorld, found_deployment, open_governed_world
from tests.services.world import verified

Happens = Callable[[GovernedWorld, int], Awaitable[object]]


@dataclass
class Stage:
    """An open governed deployment and the loop that it runs on."""

    runner: asyncio.Runner
    world: GovernedWorld
    ann: bytes


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    deployment = found_deployment(tmp_path / "deployment")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(stack.enter_async_context(open_governed_world(deployment)))
        yield Stage(runner, world, runner.run(world.store_user("ann")))
        runner.run(stack.aclose())
    verified(deployment, tmp_path / "bundle")


async def revoke(world: GovernedWorld, grant: int) -> object:
    return await world.order("ivy", c.RevokeGrant(grant=grant))


async def narrow(world: GovernedWorld, grant: int) -> object:
    narrower = c.NarrowGrant(
        grant=grant, datasets=("person", "posts"), classes=("public",), records_max=90, lasts_ms=60_000
    )
    return await world.order("ada", narrower)


async def stop(world: GovernedWorld, grant: int) -> object:
    return await world.order("ivy", c.Suspend(scope=c.FLOW, name="helping"))


async def suspend(world: GovernedWorld, grant: int) -> object:
    return await world.record(facts(NUMBERS["eve"], "eve", residence="CN"))


async def expire(world: GovernedWorld, grant: int) -> object:
    given = world.state.governed.grants[grant]
    await asyncio.sleep(max(0, given.until_ms - world.gate.clock_ms()) / 1000 + 0.05)
    return None


async def nothing(world: GovernedWorld, grant: int) -> object:
    return None


async def export(world: GovernedWorld, grant: int, happens: Happens) -> list[dict[str, Any]]:
    """Export ann; when the first page of posts was sent, let something happen. Gives the lines that were sent."""
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        body = message.get("body", b"")
        before = b"".join(sent).count(b'"dataset":"posts"')
        sent.append(body)
        if before == 0 and b'"dataset":"posts"' in body:
            await happens(world, grant)

    await send_export(world.gate, world.caller("eve", grant=grant), purpose="support", user="ann", send=send)
    return [json.loads(line) for line in b"".join(sent).splitlines()]


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (revoke, "grant 1 was ended by rule"),
        (narrow, "posts is not given on: the class protected may not be read any more"),
        (stop, "clause `helping` is suspended"),
        (suspend, "person 5 is suspended, because the charter says lives-here: 5 lives in CN"),
        (expire, "grant 1 expired at"),
    ],
)
def test_export_that_runs_is_cut_before_its_next_page_and_says_why(stage: Stage, happens: Happens, why: str) -> None:
    lasts = {"lasts_ms": 3_000} if happens is expire else {}
    grant = stage.runner.run(stage.world.give(**lasts))

    lines = stage.runner.run(export(stage.world, grant, happens))

    assert sum(line.get("dataset") == "posts" for line in lines) == GRANTED_PAGE_RECORDS
    assert lines[-1]["status"] == 403
    assert why in lines[-1]["detail"], lines[-1]
    assert not any(line.get("complete") for line in lines)


def test_export_under_a_grant_that_stays_is_complete(stage: Stage) -> None:
    grant = stage.runner.run(stage.world.give(stage.ann))

    lines = stage.runner.run(export(stage.world, grant, nothing))

    assert sum(line.get("dataset") == "posts" for line in lines) == POSTS
    assert lines[-1]["complete"] is True


def test_export_that_uses_its_grant_up_is_cut(stage: Stage) -> None:
    grant = stage.runner.run(stage.world.give(records_max=2 * GRANTED_PAGE_RECORDS))

    lines = stage.runner.run(export(stage.world, grant, nothing))

    assert sum(line.get("dataset") == "posts" for line in lines) == GRANTED_PAGE_RECORDS
    assert "grant 1 is used up" in lines[-1]["detail"]


def test_export_under_no_grant_is_refused_in_words(stage: Stage) -> None:
    with pytest.raises(DeniedError, match="no clause of the charter permits it"):
        stage.runner.run(export(stage.world, 0, nothing))


TOKEN = (b"authorization", sign(claims(sub="eve")))


@pytest.mark.parametrize("value", [b"", b"0", b"-1", b"7 ", b"007", b"1,2", b"seven", b"\xff", b"1" * 16, b"1.0"])
def test_header_that_names_no_grant_is_refused(stage: Stage, value: bytes) -> None:
    application = make_gateway(stage.world)

    with pytest.raises(InvalidInputError, match="not the number of one grant"):
        application.authenticate([TOKEN, (b"ringfence-grant", value)], "", b"")
    assert application.authenticate([TOKEN, (b"ringfence-grant", b"7")], "", b"").grant == 7
    assert application.authenticate([TOKEN], "", b"").grant == 0


def test_header_that_is_there_twice_is_refused(stage: Stage) -> None:
    twice = [TOKEN, (b"ringfence-grant", b"1"), (b"ringfence-grant", b"1")]
    with pytest.raises(InvalidInputError, match="not the number of one grant"):
        make_gateway(stage.world).authenticate(twice, "", b"")


def test_read_names_its_grant_by_the_header_and_counts(stage: Stage) -> None:
    grant = stage.runner.run(stage.world.give())
    application = make_gateway(stage.world)

    def get(*headers: tuple[bytes, bytes]) -> tuple[int, dict[str, Any]]:
        sent: list[Any] = []
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/records/person/ann/self",
            "raw_path": b"/v1/records/person/ann/self",
            "query_string": b"purpose=support",
            "headers": [TOKEN, *headers],
            "client": ("127.0.0.1", 9),
        }

        async def send(message: Any) -> None:
            sent.append(message)

        stage.runner.run(application(scope, None, send))  # type: ignore[arg-type]
        return sent[0]["status"], json.loads(sent[1]["body"])

    assert get()[0] == 403
    assert get((b"ringfence-grant", b"x"))[0] == 400
    status, body = get((b"ringfence-grant", b"%d" % grant))
    assert (status, body["fields"]["userName"]) == (200, "ann")
    counter: e.Count | None = stage.runner.run(stage.world.gate.store.counter(f"grant/{grant}"))
    assert counter is not None
    assert (counter.ordinal, counter.total, counter.day) == (1, 1, 0)
