"""What only the SQLite store has to show: lock files, a failing disk, damage, settings."""

from __future__ import annotations

import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ringfence.core.errors import ConfigurationError, DeviceError, IntegrityError, UnavailableError
from ringfence.core.ports import CommitUnknownError, EpochMovedError, NewSubject, SubjectErasure
from ringfence.vault.sqlite import SqliteStore
from tests.contracts.batches import LANE, Writer, part_name, parts_of, write
from tests.stores import SqliteDatabase

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def sqlite_store(sqlite: SqliteDatabase) -> AsyncIterator[SqliteStore]:
    """An open store that holds lane 1."""
    store = sqlite.store()
    await store.open()
    assert await store.claim_lane(LANE)
    yield store
    await store.close()


@contextmanager
def no_file_grows_beyond(size_bytes: int) -> Iterator[None]:
    """Make every write beyond this place in a file fail, as a failing disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def wal_of(database: SqliteDatabase) -> Path:
    return database.path.with_name(database.path.name + "-wal")


async def test_settings_that_durability_rests_on_are_in_force(sqlite_store: SqliteStore) -> None:
    connection = sqlite_store._database()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_files_can_be_read_by_their_owner_alone(sqlite: SqliteDatabase, sqlite_store: SqliteStore) -> None:
    await Writer().commit(sqlite_store)
    for path in sqlite.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


async def test_lane_is_held_against_another_process_until_it_ends(sqlite: SqliteDatabase) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from ringfence.vault.sqlite import SqliteStore\n"
        "async def hold():\n"
        "    store = SqliteStore(pathlib.Path(sys.argv[1]))\n"
        "    await store.open()\n"
        "    print(await store.claim_lane(5), flush=True)\n"
        "    sys.stdin.read()\n"
        "asyncio.run(hold())\n"
    )
    command = [sys.executable, "-c", program, str(sqlite.path)]
    store = sqlite.store()
    await store.open()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not await store.claim_lane(LANE)  # any gateway lane: one gateway process for one database
        assert await store.claim_lane(0)
        other.kill()
    assert await store.claim_lane(LANE)
    await store.close()


async def test_lanes_of_one_process_share_the_lock_until_the_last_is_let_go(sqlite: SqliteDatabase) -> None:
    store, other = sqlite.store(), sqlite.store()
    await store.open()
    await other.open()
    assert await store.claim_lane(1)
    assert await store.claim_lane(2)
    await store.release_lane(1)
    assert not await other.claim_lane(1)
    await store.release_lane(2)
    assert await other.claim_lane(1)
    await store.close()
    await other.close()


async def test_rule_that_another_process_is_committing_is_waited_for_and_seen(
    sqlite: SqliteDatabase, sqlite_store: SqliteStore
) -> None:
    writer = Writer()
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE rule_head SET epoch = 1")
    with pytest.raises(UnavailableError, match="another process"):
        await writer.commit(sqlite_store)
    other.execute("COMMIT")
    other.close()
    with pytest.raises(EpochMovedError):
        await writer.commit(sqlite_store)
    writer.epoch = 1
    await writer.commit(sqlite_store)


# --- a failing disk --------------------------------------------------------------------------------------------------


async def test_full_database_refuses_and_goes_on_when_there_is_room(sqlite_store: SqliteStore) -> None:
    writer = Writer()
    await writer.commit(sqlite_store, writes=[write()])
    connection = sqlite_store._database()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
    large = {"writes": [write(part_name(dataset="posts"), sealed=bytes(100_000))]}
    with pytest.raises(UnavailableError, match="full"):
        await writer.commit(sqlite_store, **large)
    assert await sqlite_store.lane_head(LANE) == writer.head
    assert parts_of(await writer.commit(sqlite_store, reads=[part_name()])) == [(1, *write().sealed)]
    connection.execute("PRAGMA max_page_count = 100000").fetchall()
    await writer.commit(sqlite_store, **large)
    assert sqlite_store._database() is connection  # a full disk costs no connection


async def test_failed_write_at_the_commit_is_unknown_and_settled_by_opening_anew(
    sqlite: SqliteDatabase, sqlite_store: SqliteStore
) -> None:
    writer = Writer()
    await writer.commit(sqlite_store, writes=[write()])
    broken = sqlite_store._database()
    transaction = writer.build(writes=[write(part_name(dataset="posts"), sealed=bytes(100_000))])
    with no_file_grows_beyond(wal_of(sqlite).stat().st_size + 10_000), pytest.raises(CommitUnknownError):
        await sqlite_store.transact(transaction)
    assert await sqlite_store.find_batch(LANE, 2) is None
    assert sqlite_store._database() is not broken
    assert wal_of(sqlite).stat().st_size == 0  # every frame went into the database file, anew
    await sqlite_store.transact(transaction)
    assert await sqlite_store.count_parts() == 2
    assert await sqlite.execute("PRAGMA integrity_check") == [("ok",)]


async def test_disk_that_still_fails_serves_nothing(sqlite: SqliteDatabase, sqlite_store: SqliteStore) -> None:
    writer = Writer()
    await writer.commit(sqlite_store, writes=[write(sealed=bytes(50_000))])
    large = writer.build(writes=[write(part_name(dataset="posts"), sealed=bytes(100_000))])
    with no_file_grows_beyond(wal_of(sqlite).stat().st_size + 10_000), pytest.raises(CommitUnknownError):
        await sqlite_store.transact(large)
    with no_file_grows_beyond(4_096):  # the WAL cannot be written into the database file
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await sqlite_store.find_batch(LANE, 1)
            with pytest.raises(UnavailableError):
                await writer.commit(sqlite_store)
    assert parts_of(await writer.commit(sqlite_store, reads=[part_name()])) == [(1, bytes(50_000))]


async def test_after_an_error_a_reading_process_holds_verification_up(
    sqlite: SqliteDatabase, sqlite_store: SqliteStore
) -> None:
    writer = Writer()
    await writer.commit(sqlite_store, writes=[write()])
    reader = sqlite3.connect(sqlite.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM parts").fetchone()
    large = writer.build(writes=[write(part_name(dataset="posts"), sealed=bytes(100_000))])
    with no_file_grows_beyond(wal_of(sqlite).stat().st_size + 10_000), pytest.raises(CommitUnknownError):
        await sqlite_store.transact(large)
    with pytest.raises(UnavailableError, match="verified"):
        await sqlite_store.epoch()
    reader.close()
    assert await sqlite_store.epoch() == 0


# --- damage and settings ---------------------------------------------------------------------------------------------


async def test_damaged_page_is_found(sqlite: SqliteDatabase) -> None:
    store = sqlite.store()
    await store.open()
    assert await store.claim_lane(LANE)
    await Writer().commit(store, writes=[write(part_name(record_key=b"%016d" % number)) for number in range(2_000)])
    await store.close()
    (root,) = (await sqlite.execute("SELECT rootpage FROM sqlite_master WHERE name = 'parts'"))[0]
    with sqlite.path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    await store.open()
    with pytest.raises(IntegrityError, match="damaged"):
        await store.count_parts()
    await store.close()


async def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    path.write_bytes(b"not a database, though it is long enough to be one. " * 100)
    with pytest.raises(IntegrityError):
        await SqliteStore(path).open()


async def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE parts (name TEXT)")
    other.close()
    with pytest.raises(ConfigurationError, match="not a database of this program"):
        await SqliteStore(path).open()
    with pytest.raises(ConfigurationError, match="already"):
        await SqliteStore(path).create()


async def test_missing_file_is_not_made_by_opening(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    with pytest.raises(ConfigurationError, match="no database"):
        await SqliteStore(path).open()
    assert not path.exists()


async def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "vault.db"
    with pytest.raises(ConfigurationError, match="nowhere"):
        await SqliteStore(path).create()


async def test_empty_file_left_by_a_crash_is_made_into_a_database(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    path.touch()
    store = SqliteStore(path)
    await store.create()
    await store.open()
    assert await store.epoch() == 0
    await store.close()


async def test_path_with_characters_of_a_uri_is_the_file_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "vault?mode=memory#%41.db"
    store = SqliteStore(path)
    await store.create()
    await store.open()
    await store.close()
    assert path.is_file()


async def test_store_for_reading_alone_reads_beside_the_gateway_and_writes_nothing(
    sqlite: SqliteDatabase, sqlite_store: SqliteStore
) -> None:
    await Writer().commit(sqlite_store, writes=[write()])
    tool = SqliteStore(sqlite.path, read_only=True)
    await tool.open()
    assert await tool.count_parts() == 1
    for attempt in (tool.begin_term(), tool.put_checkpoint(1, b"note"), tool.forget_requests(0)):
        with pytest.raises(DeviceError):
            await attempt
    assert await sqlite_store.newest_checkpoint() is None
    await tool.close()


async def test_wal_and_file_hold_what_was_erased_no_longer_than_the_next_checkpoint(
    sqlite: SqliteDatabase, sqlite_store: SqliteStore
) -> None:
    writer = Writer()
    planted = b"sealed bytes that must go " * 20
    subject_ref = part_name().subject_ref
    subject = NewSubject(0, subject_ref, bytes(16))
    await writer.commit(sqlite_store, subjects=[subject], writes=[write(sealed=planted)])
    await writer.commit(sqlite_store, rule=True, erasures=[SubjectErasure(0, subject_ref)])
    sqlite_store._database().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    content: Any = b"".join(path.read_bytes() for path in (sqlite.path, wal_of(sqlite)))
    assert planted[:60] not in content
    assert b"sealed openings" in content  # the search finds what is there
