"""What `ports.Store` guarantees of rows: each with its conflict, all of a transaction or nothing, on every device."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ringfence.core.envelope import PartName
from ringfence.core.ledger.entry import Count
from ringfence.core.ports import (
    IDENTITY_DATASET,
    CountWrite,
    Find,
    Found,
    ItemConflictError,
    ListRead,
    NewKey,
    NewSubject,
    PartDrop,
    PartsWrite,
    RecordRead,
    RequestMark,
    SearchWrite,
    Store,
    StoredMark,
    StoredPart,
    Subject,
    SubjectErasure,
)
from tests.contracts.batches import (
    ALICE,
    BOB,
    CAROL,
    LANE,
    OTHER_RECORD,
    RECORD,
    START_MS,
    Writer,
    index_of,
    key_row,
    new_subject,
    part_name,
    parts_of,
    sealed_bytes,
    write,
)
from tests.stores import Database

pytestmark = pytest.mark.asyncio

MANY = 700  # above the size from which a device may load parts in bulk


async def expect_conflict(store: Store, writer: Writer, items: list[int], reason: str, **rows: Any) -> None:
    """Commit rows that must be refused, and see that nothing of them, and no batch, is there."""
    before = await everything_in(store)
    with pytest.raises(ItemConflictError) as caught:
        await store.transact(writer.build(**rows))
    assert (list(caught.value.items), caught.value.reason) == (items, reason)
    assert await store.lane_head(LANE) == writer.head
    assert await everything_in(store) == before


async def everything_in(store: Store) -> list[Any]:
    parts = [part async for page in store.scan_parts(rows_max=100) for part in page]
    subjects = [subject async for page in store.scan_subjects(rows_max=100) for subject in page]
    return [parts, subjects]


# --- parts ---------------------------------------------------------------------------------------------------------


async def test_reads_are_answered_in_order_and_see_the_writes_of_their_own_batch(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, writes=[write(), write(part_name(BOB))])
    reads = [part_name(BOB), part_name(CAROL), part_name(), part_name()]
    rows = await writer.commit(store, reads=reads)
    alice, bob = (1, sealed_bytes(part_name(), 1)), (1, sealed_bytes(part_name(BOB), 1))
    assert parts_of(rows) == [bob, None, alice, alice]
    rows = await writer.commit(store, reads=reads, writes=[write(part_name(CAROL)), write(version=2)])
    changed = (2, sealed_bytes(part_name(), 2))
    assert parts_of(rows) == [bob, (1, sealed_bytes(part_name(CAROL), 1)), changed, changed]
    assert (rows.lists, rows.found) == ([], [])


async def test_part_is_named_by_all_four(store: Store) -> None:
    writer = Writer()
    names = [
        part_name(),
        part_name(BOB),
        part_name(record_key=OTHER_RECORD),
        part_name(dataset="posts"),
        part_name(data_class="public"),
    ]
    await writer.commit(store, writes=[write(name) for name in names])
    rows = await writer.commit(store, reads=names)
    assert parts_of(rows) == [(1, sealed_bytes(name, 1)) for name in names]


@pytest.mark.parametrize("count", [1, 19, 20, 21, 60])
async def test_record_is_read_in_the_classes_that_were_asked_for_and_no_others(store: Store, count: int) -> None:
    writer = Writer()
    keys = [hashlib.sha256(b"%d" % number).digest()[:16] for number in range(count)]
    for data_class, there in (("protected", keys), ("public", keys[::2]), ("interoperability", keys[::3])):
        names = [part_name(record_key=key, data_class=data_class) for key in there]
        await writer.commit(store, writes=[write(name) for name in names])
    asked = [["public", "protected"], ["public"], ["interoperability"], ["unheard-of"], []]

    reads = [RecordRead("profile", ALICE, key, asked[place % len(asked)]) for place, key in enumerate(keys)]
    rows = await writer.commit(store, reads=[*reads, RecordRead("profile", BOB, keys[0], ["protected"])])

    every = {"protected": 1, "public": 2, "interoperability": 3}
    expected = [
        {
            data_class: (1, sealed_bytes(part_name(record_key=read.record_key, data_class=data_class), 1))
            for data_class in read.classes
            if data_class in every and place % every[data_class] == 0
        }
        for place, read in enumerate(reads)
    ]
    assert rows.records == [*expected, {}]
    assert expected[0].keys() == {"public", "protected"}


@pytest.mark.parametrize("size", [0, 1, 200, 5_000, 1_000_000])
async def test_any_bytes_come_back_as_they_are(store: Store, size: int) -> None:
    writer = Writer()
    sealed = bytes(range(256)) * (size // 256) + b"\x00" * (size % 256)
    rows = await writer.commit(store, writes=[write(sealed=sealed)], reads=[part_name()])
    assert parts_of(rows) == [(1, sealed)]


async def test_version_must_follow_the_stored_one(store: Store) -> None:
    writer = Writer()
    await expect_conflict(store, writer, [4], "version", writes=[write(version=2, item=4)])
    await writer.commit(store, writes=[write()])
    for version in (0, 1, 3):
        await expect_conflict(store, writer, [0], "version", writes=[write(version=version)])
    await writer.commit(store, writes=[write(version=2)])
    assert await store.versions([("profile", ALICE, RECORD)]) == [[("protected", 2)]]


async def test_only_the_items_at_fault_are_named(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, writes=[write(), write(part_name(BOB))])
    await expect_conflict(
        store,
        writer,
        [1, 3],
        "version",
        writes=[
            write(version=2, item=0),
            write(part_name(BOB), version=5, item=1),
            write(part_name(CAROL), item=2),
            write(part_name(CAROL, OTHER_RECORD), version=2, item=3),
        ],
    )
    await expect_conflict(
        store, writer, [1], "version", writes=[write(part_name(CAROL), item=0), write(part_name(BOB), item=1)]
    )


async def test_part_is_touched_once_in_a_transaction(store: Store) -> None:
    writer = Writer()
    await expect_conflict(store, writer, [7], "version", writes=[write(item=2), write(version=2, item=7)])
    await writer.commit(store, writes=[write(item=2)])
    await expect_conflict(
        store, writer, [1], "version", drops=[PartDrop(0, part_name(), 1)], writes=[write(version=2, item=1)]
    )


async def test_drop_needs_the_stored_version(store: Store) -> None:
    writer = Writer()
    await expect_conflict(store, writer, [3], "version", drops=[PartDrop(3, part_name(), 1)])
    await writer.commit(store, writes=[write(), write(part_name(BOB))])
    await expect_conflict(
        store, writer, [1], "version", drops=[PartDrop(0, part_name(), 1), PartDrop(1, part_name(BOB), 2)]
    )
    rows = await writer.commit(store, drops=[PartDrop(0, part_name(), 1)], reads=[part_name(), part_name(BOB)])
    assert [part is None for part in parts_of(rows)] == [True, False]
    await writer.commit(store, writes=[write()])


async def test_change_of_class_drops_the_old_part_with_the_write_of_the_new(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, writes=[write()])
    public = part_name(data_class="public")
    await writer.commit(store, drops=[PartDrop(0, part_name(), 1)], writes=[write(public)])
    assert await store.versions([("profile", ALICE, RECORD)]) == [[("public", 1)]]


async def test_large_set_of_new_parts_goes_in_and_is_readable(store: Store) -> None:
    writer = Writer()
    names = [part_name(record_key=b"%016d" % number) for number in range(MANY)]
    rows = await writer.commit(store, writes=[write(name) for name in names], reads=[names[-1]])
    assert parts_of(rows) == [(1, sealed_bytes(names[-1], 1))]
    assert await store.count_parts() == MANY


async def test_large_set_with_conflicts_names_them_and_leaves_nothing(store: Store) -> None:
    writer = Writer()
    names = [part_name(record_key=b"%016d" % number) for number in range(MANY)]
    await writer.commit(store, writes=[write(names[5]), write(names[600])])
    writes = [write(name, item=item) for item, name in enumerate(names)]
    await expect_conflict(store, writer, [5, 600], "version", writes=writes)


async def test_versions_are_given_for_each_record_by_class(store: Store) -> None:
    writer = Writer()
    public = part_name(data_class="public")
    posts = part_name(record_key=OTHER_RECORD, dataset="posts")
    await writer.commit(store, writes=[write(public), write(), write(posts), write(part_name(BOB))])
    await writer.commit(store, writes=[write(version=2)])
    assert await store.versions([]) == []
    assert await store.versions([("posts", ALICE, RECORD), ("profile", ALICE, RECORD), ("profile", BOB, RECORD)]) == [
        [],
        [("protected", 2), ("public", 1)],
        [("protected", 1)],
    ]


async def test_list_pages_through_one_subject_dataset_and_class(store: Store) -> None:
    writer = Writer()
    names = [part_name(record_key=b"%016d" % number) for number in range(5)]
    others = [part_name(BOB), part_name(dataset="posts"), part_name(data_class="public", record_key=b"%016d" % 2)]
    await writer.commit(store, writes=[write(name) for name in [*names, *others]])
    wanted = [
        ListRead("profile", ALICE, "protected", b"", 2),
        ListRead("profile", ALICE, "protected", names[1].record_key, 9),
        ListRead("profile", ALICE, "protected", names[4].record_key, 9),
        ListRead("profile", CAROL, "protected", b"", 9),
    ]
    rows = await writer.commit(store, lists=wanted)
    parts = [StoredPart(name, 1, sealed_bytes(name, 1)) for name in names]
    assert rows.lists == [parts[:2], parts[2:], [], []]


# --- subjects and keys -----------------------------------------------------------------------------------------------


async def test_subject_is_found_by_index_and_by_reference(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, **new_subject(ALICE, classes=("public", "protected")))
    alice = Subject(ALICE, index_of(ALICE), (key_row(ALICE), key_row(ALICE, "public")))
    assert await store.resolve([index_of(BOB), index_of(ALICE), index_of(ALICE)]) == [None, alice, alice]
    assert await store.resolve([]) == []
    assert await store.subject(ALICE) == alice
    assert await store.subject(BOB) is None


async def test_first_writes_of_one_user_race_and_the_second_is_told(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, **new_subject(ALICE))
    late = [NewSubject(0, BOB, index_of(BOB)), NewSubject(1, CAROL, index_of(ALICE))]
    await expect_conflict(store, writer, [1], "subject", subjects=late)
    twice = [NewSubject(0, BOB, index_of(BOB)), NewSubject(5, CAROL, index_of(BOB))]
    await expect_conflict(store, writer, [5], "subject", subjects=twice)
    await writer.commit(store, subjects=late[:1])


async def test_key_needs_its_subject_and_is_never_replaced(store: Store) -> None:
    writer = Writer()
    await expect_conflict(store, writer, [2], "subject", keys=[NewKey(2, key_row(ALICE))])
    await writer.commit(store, **new_subject(ALICE))
    other = key_row(ALICE)._replace(key=key_row(BOB).key)
    both = [NewKey(0, key_row(ALICE, "public")), NewKey(1, other)]
    await expect_conflict(store, writer, [1], "subject", keys=both)
    await writer.commit(store, keys=both[:1])
    subject = await store.subject(ALICE)
    assert subject is not None
    assert subject.keys == (key_row(ALICE), key_row(ALICE, "public"))


async def test_subject_without_keys_is_there_too(store: Store) -> None:
    await Writer().commit(store, subjects=[NewSubject(0, ALICE, index_of(ALICE))])
    assert await store.subject(ALICE) == Subject(ALICE, index_of(ALICE), ())
    assert await store.resolve([index_of(ALICE)]) == [Subject(ALICE, index_of(ALICE), ())]


# --- look-up ---------------------------------------------------------------------------------------------------------


def search(subject_ref: bytes, token: bytes | None, record_key: bytes = RECORD, field: str = "profile.email") -> Any:
    return SearchWrite(0, field, subject_ref, record_key, token and token.ljust(16, b"-"))


def find(token: bytes, subjects_max: int = 9, field: str = "profile.email") -> Find:
    return Find(field, token.ljust(16, b"-"), subjects_max)


async def add_findable(store: Store, writer: Writer, subject_ref: bytes, token: bytes) -> Found:
    identity = part_name(subject_ref, dataset=IDENTITY_DATASET)
    await writer.commit(
        store, **new_subject(subject_ref), writes=[write(identity)], searches=[search(subject_ref, token)]
    )
    return Found(subject_ref, key_row(subject_ref), StoredPart(identity, 1, sealed_bytes(identity, 1)))


async def test_find_gives_key_and_identity_of_each_subject_with_the_token(store: Store) -> None:
    writer = Writer()
    alice = await add_findable(store, writer, ALICE, b"same")
    bob = await add_findable(store, writer, BOB, b"same")
    await add_findable(store, writer, CAROL, b"another")
    await writer.commit(store, searches=[search(ALICE, b"same", record_key=OTHER_RECORD)])
    wanted = [find(b"same"), find(b"nobody's"), find(b"same", subjects_max=1), find(b"same", field="profile.phone")]
    rows = await writer.commit(store, finds=wanted, reads=[alice.identity.name])
    assert rows.found == [[alice, bob], [], [alice], []]
    assert parts_of(rows) == [alice.identity[1:]]


async def test_token_of_a_record_is_replaced_and_removed(store: Store) -> None:
    writer = Writer()
    alice = await add_findable(store, writer, ALICE, b"first")
    await writer.commit(store, searches=[search(ALICE, b"second")])
    rows = await writer.commit(store, finds=[find(b"first"), find(b"second")])
    assert rows.found == [[], [alice]]
    await writer.commit(store, searches=[search(ALICE, None), search(BOB, None)])
    assert (await writer.commit(store, finds=[find(b"second")])).found == [[]]


async def test_later_token_of_one_record_in_a_batch_holds(store: Store) -> None:
    writer = Writer()
    alice = await add_findable(store, writer, ALICE, b"first")
    await writer.commit(store, searches=[search(ALICE, b"second"), search(ALICE, b"third")])
    assert (await writer.commit(store, finds=[find(b"second"), find(b"third")])).found == [[], [alice]]


# --- counters and requests -------------------------------------------------------------------------------------------


def step(ordinal: int, *, item: int = 0, counter: str = "bulk/serving", amount: int = 5) -> CountWrite:
    return CountWrite(item, Count(counter=counter, ordinal=ordinal, amount=amount, total=amount * ordinal, day=20_000))


async def test_counter_goes_up_by_one_step_at_a_time(store: Store) -> None:
    writer = Writer()
    assert await store.counter("bulk/serving") is None
    await expect_conflict(store, writer, [3], "count", counts=[step(2, item=3)])
    await writer.commit(store, counts=[step(1)])
    for ordinal in (1, 3):
        await expect_conflict(store, writer, [0], "count", counts=[step(ordinal)])
    await writer.commit(store, counts=[step(2)])
    assert await store.counter("bulk/serving") == step(2).step


async def test_steps_of_one_batch_follow_one_another(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, counts=[step(1), step(1, item=1, counter="bulk/other"), step(2, item=2)])
    assert await store.counter("bulk/serving") == step(2).step
    assert await store.counter("bulk/other") == step(1, counter="bulk/other").step
    await expect_conflict(store, writer, [6], "count", counts=[step(3, item=5), step(5, item=6)])
    await expect_conflict(store, writer, [7, 8], "count", counts=[step(4, item=7), step(5, item=8)])
    await writer.commit(store, counts=[step(3, item=5), step(4, item=6)])


def mark(number: int, *, item: int = 0, n: int = 1, at_ms: int = START_MS) -> RequestMark:
    return RequestMark(item, b"%032d" % number, b"digest", LANE, n, item, b"answer %d" % number, at_ms)


async def test_request_is_taken_once(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, requests=[mark(1), mark(2, item=1)])
    assert await store.request(mark(2).key) == StoredMark(b"digest", LANE, 1, 1, b"answer 2")
    assert await store.request(mark(3).key) is None
    again = [mark(3, item=0, n=2), mark(2, item=1, n=2)]
    await expect_conflict(store, writer, [1], "request", requests=again, writes=[write()])
    twice = [mark(4, item=0, n=2), mark(4, item=1, n=2)]
    await expect_conflict(store, writer, [1], "request", requests=twice)
    await writer.commit(store, requests=again[:1])


async def test_requests_are_forgotten_by_age(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, requests=[mark(number, item=number, at_ms=START_MS + number) for number in range(4)])
    assert await store.forget_requests(START_MS + 2) == 2
    assert [await store.request(mark(number).key) is None for number in range(4)] == [True, True, False, False]
    assert await store.forget_requests(START_MS) == 0


# --- erasure, data errors, scans -------------------------------------------------------------------------------------


async def test_erasure_removes_every_row_of_the_subject_and_of_no_other(database: Database, store: Store) -> None:
    writer = Writer()
    await add_findable(store, writer, ALICE, b"alice")
    bob = await add_findable(store, writer, BOB, b"bob")
    await writer.commit(store, writes=[write(), write(part_name(record_key=OTHER_RECORD)), write(part_name(BOB))])
    tables = ("subjects", "subject_keys", "parts", "searches")
    assert [await count_rows(database, table) for table in tables] == [2, 2, 5, 2]
    await writer.commit(store, rule=True, erasures=[SubjectErasure(0, ALICE)])
    assert [await count_rows(database, table) for table in tables] == [1, 1, 2, 1]
    assert await store.subject(ALICE) is None
    assert await store.resolve([index_of(ALICE)]) == [None]
    assert await store.versions([("profile", ALICE, RECORD), ("profile", ALICE, OTHER_RECORD)]) == [[], []]
    rows = await writer.commit(store, reads=[part_name(), part_name(BOB)], finds=[find(b"alice"), find(b"bob")])
    assert parts_of(rows) == [None, (1, sealed_bytes(part_name(BOB), 1))]
    assert rows.found == [[], [bob]]
    await add_findable(store, writer, ALICE, b"alice")  # the same reference would be a new subject


async def count_rows(database: Database, table: str) -> int:
    return int((await database.execute(f"SELECT count(*) FROM TABLES.{table}"))[0][0])


async def test_erasing_nobody_is_a_conflict_and_changes_nothing(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, writes=[write()])
    with pytest.raises(ItemConflictError) as conflict:
        await writer.commit(store, rule=True, erasures=[SubjectErasure(7, CAROL)])
    assert (conflict.value.items, conflict.value.reason) == ((7,), "subject")
    assert await store.count_parts() == 1


async def test_erased_users_stay_known_as_erased_and_no_others_do(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, subjects=[NewSubject(0, ALICE, index_of(ALICE)), NewSubject(1, BOB, index_of(BOB))])
    await writer.commit(store, rule=True, erasures=[SubjectErasure(0, ALICE)])
    assert await store.erased([index_of(ALICE), index_of(BOB), index_of(CAROL)]) == {index_of(ALICE)}
    await writer.commit(store, subjects=[NewSubject(0, CAROL, index_of(ALICE))])  # the user comes back
    assert await store.erased([index_of(ALICE)]) == {index_of(ALICE)}


@pytest.mark.parametrize(
    "rows",
    [
        {"writes": [write(item=0), write(part_name(b"too short"), item=1)]},
        {"writes": [write(item=0), write(part_name(BOB, data_class="\ud800"), item=1)]},
        {"writes": [write(item=0), write(part_name(BOB), version=1 << 63, item=1)]},
        {"subjects": [NewSubject(0, ALICE, index_of(ALICE)), NewSubject(1, BOB, b"short")]},
        {"requests": [mark(0), mark(1, item=1)._replace(key=b"short")]},
        {"counts": [step(1), step(1, item=1, counter="\ud800")]},
        {"searches": [search(ALICE, b"fine"), search(BOB, b"too long for a token")._replace(item=1)]},
    ],
)
async def test_row_that_cannot_be_stored_is_named(store: Store, rows: dict[str, Any]) -> None:
    writer = Writer()
    await expect_conflict(store, writer, [1], "data", **rows)
    await writer.commit(store, **{kind: those[:1] for kind, those in rows.items()})


async def test_read_that_cannot_be_asked_is_a_conflict_without_items(store: Store) -> None:
    writer = Writer()
    await expect_conflict(store, writer, [], "data", reads=[part_name(), part_name(dataset="\ud800")])
    assert parts_of(await writer.commit(store, reads=[part_name()])) == [None]


async def test_scans_give_every_row_once_in_order(store: Store) -> None:
    writer = Writer()
    names = [part_name(ref, b"%016d" % number) for ref in (CAROL, ALICE) for number in range(3)]
    for subject_ref in (BOB, CAROL, ALICE):
        await writer.commit(store, **new_subject(subject_ref, classes=("protected", "public")))
    await writer.commit(store, writes=[write(name) for name in names])
    pages = [list(page) async for page in store.scan_parts(rows_max=4)]
    assert [len(page) for page in pages] == [4, 2]
    assert [part.name for page in pages for part in page] == sorted(names, key=lambda name: name[1:3])
    subjects = [list(page) async for page in store.scan_subjects(rows_max=2)]
    assert [len(page) for page in subjects] == [2, 1]
    assert [subject.subject_ref for page in subjects for subject in page] == [ALICE, BOB, CAROL]
    assert subjects[0][0].keys == (key_row(ALICE), key_row(ALICE, "public"))


async def test_refused_rows_take_everything_of_the_batch_with_them(store: Store) -> None:
    writer = Writer()
    await writer.commit(store, requests=[mark(1)])
    rows = new_subject(ALICE) | {"writes": [write()], "counts": [step(1)], "searches": [search(ALICE, b"token")]}
    await expect_conflict(store, writer, [9], "request", requests=[mark(1, n=2)._replace(item=9)], **rows)
    assert await store.counter("bulk/serving") is None
    await writer.commit(store, **rows)


@pytest.mark.parametrize("count", [2, 700])
async def test_many_parts_are_written_in_columns_with_as_many_names_as_parts(store: Store, count: int) -> None:
    writer = Writer()
    keys = [hashlib.sha256(b"%d" % number).digest()[:16] for number in range(count)]
    sealed = [b"sealed %d" % number for number in range(count)]
    parts = PartsWrite(0, ALICE, "public", 1, ["posts"] * count, keys, sealed)
    shorter = {"sealed": sealed[:-1]}, {"record_keys": keys[1:]}, {"datasets": ["posts"] * (count - 1)}
    for wrong in [parts._replace(**columns) for columns in shorter]:
        with pytest.raises(ValueError, match=f"for {len(wrong.sealed)} parts"):
            await store.transact(writer.build(writes=[wrong]))

    await writer.commit(store, writes=[parts])

    names = [PartName("posts", ALICE, key, "public") for key in keys]
    assert parts_of(await writer.commit(store, reads=names)) == [(1, part) for part in sealed]
    again = parts._replace(version=2, datasets=["posts"] * 2, record_keys=keys[-2:], sealed=[b"new", b"newer"])
    await writer.commit(store, writes=[again])
    assert parts_of(await writer.commit(store, reads=names[-2:])) == [(2, b"new"), (2, b"newer")]
    with pytest.raises(ItemConflictError):
        await store.transact(writer.build(writes=[parts._replace(item=3)]))
