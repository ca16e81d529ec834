"""What `ports.Store` guarantees of subjects: nothing is stored or found without one, and scans show what is."""

from __future__ import annotations

import pytest

from ringfence.core.ports import (
    IDENTITY_DATASET,
    NewSubject,
    Store,
    StoredPart,
    StoredSearch,
    Subject,
    SubjectErasure,
)
from tests.contracts.batches import (
    ALICE,
    BOB,
    CAROL,
    OTHER_RECORD,
    RECORD,
    Writer,
    index_of,
    key_row,
    new_subject,
    part_name,
    sealed_bytes,
    write,
)
from tests.contracts.test_store_rows import MANY, add_findable, expect_conflict, find, search
from tests.stores import Database

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("parts", [1, MANY])
async def test_part_needs_its_subject(store: Store, parts: int) -> None:
    writer = Writer()
    await writer.commit(store, **new_subject(ALICE))
    mine = [write(part_name(record_key=b"%016d" % number), item=number) for number in range(parts)]
    late = write(part_name(BOB), item=parts)
    await expect_conflict(store, writer, [parts], "subject", writes=[*mine, late], alone=True)
    await writer.commit(store, writes=mine, alone=True)
    await writer.commit(store, writes=[late], subjects=[NewSubject(0, BOB, index_of(BOB))], alone=True)


async def test_nothing_is_written_of_a_subject_behind_its_erasure(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, **new_subject(ALICE), writes=[write()], searches=[search(ALICE, b"token")])
    await writer.commit(store, **new_subject(BOB), writes=[write(part_name(BOB))])
    await writer.commit(store, rule=True, erasures=[SubjectErasure(0, ALICE)])
    for rows in ({"writes": [write(item=3)]}, {"searches": [search(ALICE, b"token")._replace(item=3)]}):
        await expect_conflict(store, writer, [3], "subject", alone=True, **rows)
    await expect_conflict(store, writer, [3], "version", alone=True, writes=[write(version=2, item=3)])
    both = [write(part_name(BOB, OTHER_RECORD), item=1), write(item=2)]
    await expect_conflict(store, writer, [2], "subject", alone=True, writes=both)
    await writer.commit(store, alone=True, writes=both[:1], searches=[search(ALICE, None), search(BOB, b"token")])


async def test_subject_comes_with_its_sealed_user_id(store: Store) -> None:
    writer = Writer()
    name = part_name(ALICE, ALICE, dataset=IDENTITY_DATASET)
    others = [part_name(ALICE, OTHER_RECORD, dataset=IDENTITY_DATASET), name._replace(data_class="public")]
    await writer.commit(store, **new_subject(BOB), writes=[write(part_name(BOB))])
    await writer.commit(store, **new_subject(ALICE), writes=[write(name), *map(write, others)])
    alice = Subject(ALICE, index_of(ALICE), (key_row(ALICE),), StoredPart(name, 1, sealed_bytes(name, 1)))
    bob = Subject(BOB, index_of(BOB), (key_row(BOB),))
    assert await store.resolve([index_of(BOB), index_of(ALICE)]) == [bob, alice]
    assert [await store.subject(ALICE), await store.subject(BOB)] == [alice, bob]


async def test_find_gives_nobody_whose_subject_is_gone(database: Database, store: Store) -> None:
    writer = Writer()
    await add_findable(store, writer, ALICE, b"same")
    bob = await add_findable(store, writer, BOB, b"same")
    first = "SELECT subject_ref FROM TABLES.subjects ORDER BY subject_ref LIMIT 1"
    await database.execute(f"DELETE FROM TABLES.subjects WHERE subject_ref = ({first})")  # ALICE
    assert (await writer.commit(store, finds=[find(b"same")])).found == [[bob]]


async def test_scans_give_keys_and_tokens_of_subjects_that_are_gone_too(database: Database, store: Store) -> None:
    writer = Writer()
    for subject_ref in (BOB, CAROL, ALICE):
        await writer.commit(store, **new_subject(subject_ref, classes=("protected", "public")))
        tokens = [
            search(subject_ref, b"x"),
            search(subject_ref, b"y", OTHER_RECORD),
            search(subject_ref, b"z", field="a.b"),
        ]
        await writer.commit(store, searches=tokens)
    first = "SELECT subject_ref FROM TABLES.subjects ORDER BY subject_ref LIMIT 1"
    await database.execute(f"DELETE FROM TABLES.subjects WHERE subject_ref = ({first})")  # ALICE
    keys = [list(page) async for page in store.scan_keys(rows_max=4)]
    assert [len(page) for page in keys] == [4, 2]
    assert [key for page in keys for key in page] == [
        key_row(subject_ref, data_class)
        for subject_ref in (ALICE, BOB, CAROL)
        for data_class in ("protected", "public")
    ]
    searches = [list(page) async for page in store.scan_searches(rows_max=4)]
    assert [len(page) for page in searches] == [4, 4, 1]
    assert [found for page in searches for found in page] == [
        StoredSearch(subject_ref, field, record_key, token.ljust(16, b"-"))
        for subject_ref in (ALICE, BOB, CAROL)
        for field, record_key, token in (
            ("a.b", RECORD, b"z"),
            ("profile.email", RECORD, b"x"),
            ("profile.email", OTHER_RECORD, b"y"),
        )
    ]
