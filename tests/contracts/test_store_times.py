"""Times that a store takes: a rule's held against what other lanes wrote, any batch's against the store's clock."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from ringfence.core.errors import UnavailableError
from ringfence.core.ledger.lane import TIME_OFF_MS_MAX
from ringfence.core.ports import Store, TimePassedError
from tests.contracts.batches import LANE, START_MS, Writer, write
from tests.contracts.test_store_postgres import begin, is_waiting, until
from tests.stores import Database, PostgresDatabase

pytestmark = pytest.mark.asyncio

OTHER_LANE = 2
HOUR_MS = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_rule_of_a_time_before_what_another_lane_wrote_is_refused_and_writes_nothing(store: Store) -> None:
    assert await store.claim_lane(OTHER_LANE)
    newest_ms = START_MS + HOUR_MS
    await Writer(OTHER_LANE).commit(store, at_ms=newest_ms)
    writer = Writer()

    with pytest.raises(TimePassedError) as caught:
        await writer.commit(store, rule=True, at_ms=newest_ms - TIME_OFF_MS_MAX - 1, writes=[write()])

    assert caught.value.newest_ms == newest_ms
    assert (await store.epoch(), await store.count_parts(), (await store.lane_head(LANE)).n) == (0, 0, 0)
    await writer.commit(store, rule=True, at_ms=newest_ms - TIME_OFF_MS_MAX)
    assert await store.epoch() == 1


async def test_access_may_be_of_an_earlier_time_than_what_another_lane_wrote(store: Store) -> None:
    assert await store.claim_lane(OTHER_LANE)
    await Writer(OTHER_LANE).commit(store, at_ms=START_MS + HOUR_MS)

    await Writer().commit(store, at_ms=START_MS)

    assert len(await store.lanes()) == 2


@pytest.mark.parametrize("rule", [False, True])
async def test_batch_of_a_time_that_has_not_come_is_refused_and_writes_nothing(store: Store, rule: bool) -> None:
    writer = Writer()

    with pytest.raises(UnavailableError, match=r"clock is 3(599|600)\.\d s ahead of the database's"):
        await writer.commit(store, rule=rule, at_ms=now_ms() + HOUR_MS, writes=[write()])

    assert (await store.epoch(), await store.count_parts(), await store.lanes()) == (0, 0, [])
    await writer.commit(store, rule=rule, at_ms=now_ms())
    assert len(await store.lanes()) == 1


@pytest.mark.parametrize("rule", [False, True])
async def test_lanes_go_on_at_their_newest_time_where_the_clock_of_the_store_went_back(
    database: Database, store: Store, rule: bool
) -> None:
    assert await store.claim_lane(OTHER_LANE)
    await Writer(OTHER_LANE).commit(store)
    newest_ms = now_ms() + HOUR_MS
    await database.execute(f"UPDATE TABLES.lanes SET at_ms = {newest_ms}")  # as if it had been so late then
    writer = Writer()

    with pytest.raises(UnavailableError, match="ahead of the database's"):
        await writer.commit(store, rule=rule, at_ms=newest_ms + 1)
    await writer.commit(store, rule=rule, at_ms=newest_ms)


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
async def test_rule_is_held_against_what_it_waited_for(postgres: PostgresDatabase, ends: str) -> None:
    store = postgres.store()
    await store.open()
    assert await store.claim_lane(LANE)
    session = await asyncpg.connect(postgres.dsn)
    await begin(session, Writer(OTHER_LANE).build(at_ms=START_MS + HOUR_MS))
    rule = asyncio.create_task(Writer().commit(store, rule=True, at_ms=START_MS))
    await until(is_waiting(session, postgres))
    await session.execute(ends)

    if ends == "COMMIT":
        with pytest.raises(TimePassedError):
            await rule
    else:
        await rule

    assert await store.epoch() == (ends == "ROLLBACK")
    await session.close()
    await store.close()
