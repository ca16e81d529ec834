"""What `ports.Store` guarantees of batches, lanes and epochs, on every device."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from ringfence.core.errors import ConfigurationError
from ringfence.core.ledger.lane import LaneHead, build_batch
from ringfence.core.ports import EpochMovedError, LaneMovedError, Store, StoredBatch, StoredSeal
from tests.contracts.batches import LANE, START_MS, Writer, access_entry, part_name, parts_of, write
from tests.stores import Database

pytestmark = pytest.mark.asyncio


async def test_batch_is_found_as_it_was_written(store: Store) -> None:
    transaction = Writer().build(entries=3)
    await store.transact(transaction)
    batch = transaction.batch
    assert await store.find_batch(LANE, 1) == StoredBatch(
        LANE, 1, 0, batch.header, batch.entries, transaction.detail, transaction.code, False
    )
    assert await store.find_batch(LANE, 2) is None
    assert await store.find_batch(2, 1) is None


async def test_batch_is_there_for_another_process_and_after_opening_again(database: Database, store: Store) -> None:
    writer = Writer()
    await writer.commit(store, writes=[write()])
    other = database.store()
    await other.open()
    assert await other.lane_head(LANE) == writer.head
    await store.close()
    await store.open()
    assert await store.claim_lane(LANE)
    assert parts_of(await writer.commit(store, reads=[part_name()])) == [(1, *write().sealed)]
    assert await other.lane_head(LANE) == writer.head
    await other.close()


async def test_lane_stands_at_its_last_batch(store: Store) -> None:
    writer = Writer()
    assert await store.lane_head(LANE) == LaneHead(LANE)
    assert await store.lanes() == []
    for _ in range(3):
        await writer.commit(store)
    assert await store.lane_head(LANE) == writer.head
    assert await store.lanes() == [writer.head]


async def test_batches_come_in_order_and_in_bounded_pages(store: Store) -> None:
    writer, other = Writer(), Writer(lane=2)
    await store.claim_lane(2)
    for _ in range(4):
        await writer.commit(store)
        await other.commit(store)
    assert [b.n for b in await store.batches(LANE, after_n=0, batches_max=2)] == [1, 2]
    assert [(b.lane, b.n) for b in await store.batches(LANE, after_n=2, batches_max=9)] == [(LANE, 3), (LANE, 4)]
    assert await store.batches(LANE, after_n=4, batches_max=9) == []


async def test_same_batch_twice_is_refused(store: Store) -> None:
    writer = Writer()
    transaction = writer.build(writes=[write()])
    await store.transact(transaction)
    with pytest.raises(LaneMovedError):
        await store.transact(transaction)
    assert await store.lane_head(LANE) == transaction.batch.head


async def test_gap_in_a_lane_is_refused(store: Store) -> None:
    writer = Writer()
    await writer.commit(store)
    stands = writer.head
    writer.head = writer.build().batch.head
    with pytest.raises(LaneMovedError):
        await store.transact(writer.build(writes=[write()]))
    assert await store.lane_head(LANE) == stands
    assert await store.count_parts() == 0


async def test_first_batch_must_be_number_one(store: Store) -> None:
    late = Writer()
    late.head = dataclasses.replace(late.head, n=1, hash=hashlib.sha256(b"").digest())
    with pytest.raises(LaneMovedError):
        await store.transact(late.build())
    await Writer().commit(store)


@pytest.mark.parametrize("after", [0, 1])
async def test_wrong_previous_hash_is_refused(store: Store, after: int) -> None:
    writer = Writer()
    for _ in range(after):
        await writer.commit(store)
    stands = writer.head
    writer.head = dataclasses.replace(stands, hash=hashlib.sha256(b"another").digest())
    with pytest.raises(LaneMovedError):
        await store.transact(writer.build())
    writer.head = stands
    await writer.commit(store)


async def test_header_of_another_batch_is_refused(store: Store) -> None:
    writer = Writer()
    transaction = writer.build()
    other = build_batch(LaneHead(2), epoch=0, at_ms=START_MS, entries=[access_entry()])
    for header in (other.header, b"{}"):
        swapped = dataclasses.replace(transaction.batch, header=header)
        with pytest.raises(LaneMovedError):
            await store.transact(dataclasses.replace(transaction, batch=swapped))
    await store.transact(transaction)


async def test_lane_must_be_claimed_before_it_is_written(store: Store) -> None:
    writer = Writer(lane=7)
    with pytest.raises(LaneMovedError, match="not claimed"):
        await writer.commit(store)
    assert await store.claim_lane(7)
    await writer.commit(store)


async def test_lane_is_held_by_one_until_it_lets_go(database: Database, store: Store) -> None:
    other = database.store()
    await other.open()
    assert not await other.claim_lane(LANE)
    with pytest.raises(LaneMovedError):
        await Writer().commit(other)
    assert await store.claim_lane(LANE)  # again, by who has it
    await store.release_lane(LANE)
    with pytest.raises(LaneMovedError):
        await Writer().commit(store)
    assert await other.claim_lane(LANE)
    assert not await store.claim_lane(LANE)
    await Writer().commit(other)
    await other.close()
    assert await store.claim_lane(LANE)


async def test_authority_writes_beside_a_gateway(database: Database, store: Store) -> None:
    authority = database.store()
    await authority.open()
    assert await authority.claim_lane(0)
    assert not await store.claim_lane(0)
    await Writer(lane=0).commit(authority, rule=True)
    assert await store.epoch() == 1
    await authority.close()


async def test_letting_go_of_a_lane_that_is_not_held_does_nothing(store: Store) -> None:
    await store.release_lane(9)
    await Writer().commit(store)


async def test_rule_moves_the_epoch_by_one(store: Store) -> None:
    writer = Writer()
    assert await store.epoch() == 0
    await writer.commit(store, rule=True)
    await writer.commit(store)
    await writer.commit(store, rule=True)
    assert await store.epoch() == 2


@pytest.mark.parametrize("rule", [False, True])
@pytest.mark.parametrize("epoch", [0, 2])
async def test_batch_of_another_epoch_is_refused_and_writes_nothing(store: Store, rule: bool, epoch: int) -> None:
    writer = Writer()
    await writer.commit(store, rule=True)
    writer.epoch = epoch
    with pytest.raises(EpochMovedError) as caught:
        await store.transact(writer.build(rule=rule, writes=[write()]))
    assert caught.value.epoch == 1
    assert await store.epoch() == 1
    assert await store.lane_head(LANE) == writer.head
    assert await store.count_parts() == 0
    writer.epoch = 1
    await writer.commit(store, rule=rule)


async def test_rules_come_with_seal_and_blob_from_any_epoch(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, rule=True, blob=b"charter one")
    await writer.commit(store)
    await writer.commit(store, rule=True)
    await writer.commit(store, rule=True, blob=b"charter one", seal=b"")
    rules = await store.rules(after_epoch=0, rules_max=10)
    assert [(rule.batch.n, rule.batch.epoch, rule.batch.rule, rule.blob) for rule in rules] == [
        (1, 0, True, b"charter one"),
        (3, 1, True, b""),
        (4, 2, True, b"charter one"),
    ]
    assert [rule.seal for rule in rules] == [b"seal of lane 1 batch 1", b"seal of lane 1 batch 3", b""]
    assert await store.rules(after_epoch=1, rules_max=1) == rules[1:2]
    assert await store.rules(after_epoch=3, rules_max=10) == []


async def test_seal_of_a_rule_is_stored_with_it(store: Store) -> None:
    writer = Writer()
    await writer.commit(store)
    await writer.commit(store, rule=True)
    assert await store.seals(LANE, after_n=0) == [StoredSeal(LANE, 2, 0, b"seal of lane 1 batch 2")]


async def test_store_that_is_not_open_says_so(database: Database) -> None:
    store = database.store()
    with pytest.raises(ConfigurationError, match="not open"):
        await store.epoch()
    await store.open()
    await store.open()  # again changes nothing
    assert await store.epoch() == 0
    await store.close()
    with pytest.raises(ConfigurationError, match="not open"):
        await store.epoch()


async def test_database_that_has_the_tables_is_not_made_again(database: Database, store: Store) -> None:
    await Writer().commit(store)
    with pytest.raises(ConfigurationError, match="already"):
        await database.store().create()
    assert [head.n for head in await store.lanes()] == [1]


@pytest.mark.parametrize(("version", "age"), [(1, "older"), (9, "newer")])
async def test_another_schema_is_refused(database: Database, version: int, age: str) -> None:
    change = {
        "sqlite": f"PRAGMA user_version = {version}",
        "postgres": f"UPDATE TABLES.schema_version SET version = {version}",
    }
    await database.execute(change[database.name])
    with pytest.raises(ConfigurationError, match=f"{age} schema"):
        await database.store().open()
