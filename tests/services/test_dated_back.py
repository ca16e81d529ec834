"""Whoever has the authority's key and writes the database past the store dates a rule back: no process takes it up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ringfence.core.errors import IntegrityError
from ringfence.core.ledger.lane import TIME_OFF_MS_MAX
from ringfence.services.writer import LaneWriter
from ringfence.vault import sqlite
from tests.governed import HOUR_MS, NUMBERS, facts
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world

EVE = NUMBERS["eve"]


@pytest.fixture(autouse=True)
def no_times_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store take any time, as from whoever writes the database past it."""
    monkeypatch.setattr(sqlite, "check_time", lambda *args, **told: None)


async def store_later(world: GovernedWorld, user: str, *, ahead_ms: int) -> int:
    """Let the gateway's lanes store a user so much later than the rules so far; give the newest time."""
    for writer in (world.gate.singles, world.gate.bulk):
        writer.clock_ms = lambda: world.gate.clock_ms() + ahead_ms
    await world.store_user(user)
    return max(head.at_ms for head in await world.runtime.store.lanes())


async def write_dated_back(
    world: GovernedWorld, monkeypatch: pytest.MonkeyPatch, *, back_ms: int, are_rows_set_back: bool = False
) -> None:
    """Let the authority's lane write a rule dated so long before what the gateway's lane has just committed."""
    newest_ms = await store_later(world, "alice", ahead_ms=24 * HOUR_MS)
    if are_rows_set_back:
        with closing(
            sqlite3.connect(world.runtime.deployment.directory / "vault.db", isolation_level=None)
        ) as database:
            database.execute("UPDATE lanes SET at_ms = min(at_ms, ?)", (newest_ms - back_ms,))

    async def date(writer: LaneWriter) -> int:
        return newest_ms - back_ms

    with monkeypatch.context() as patch:
        patch.setattr(LaneWriter, "_date", date)
        await world.record(facts(EVE, "eve", team="another"))


@pytest.mark.parametrize("are_rows_set_back", [False, True])
def test_a_rule_dated_before_what_a_lane_had_committed_is_taken_up_by_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, are_rows_set_back: bool
) -> None:
    """Nor where the times that the store keeps with its lanes, which nothing signs, are set back as well."""
    deployment = found_deployment(tmp_path / "d")
    said = r"the rule that begins epoch 7 is dated 3600\.0 s before what lane 2 had committed by then \(batch \d+\)"

    async def write(world: GovernedWorld) -> None:
        with pytest.raises(IntegrityError, match=said):
            await write_dated_back(world, monkeypatch, back_ms=HOUR_MS, are_rows_set_back=are_rows_set_back)
        assert world.state.epoch == 6, "the state before it"

    async def look(world: GovernedWorld) -> None:
        raise AssertionError("another process has taken it up")

    in_governed_world(deployment, write)
    with pytest.raises(IntegrityError, match=said) as refused:
        in_governed_world(deployment, look)
    assert "put it back to before this rule" in refused.value.hint


def test_a_rule_within_what_a_store_lets_it_be_is_taken_up_whatever_lanes_write_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written by the new rules is of a later time, and no reason to refuse them."""
    deployment = found_deployment(tmp_path / "d")

    async def write(world: GovernedWorld) -> None:
        await write_dated_back(world, monkeypatch, back_ms=TIME_OFF_MS_MAX)

    async def write_later(world: GovernedWorld) -> None:
        assert await store_later(world, "bob", ahead_ms=48 * HOUR_MS) > world.state.ruled_ms + HOUR_MS

    async def look(world: GovernedWorld) -> str:
        assert world.state.governed.register is not None
        return world.state.governed.register.people[EVE].team

    in_governed_world(deployment, write)
    in_governed_world(deployment, write_later)
    assert in_governed_world(deployment, look) == "another"
