"""What only the PostgreSQL store has to show: locks between sessions, commits that break, servers that lose data."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from ringfence.core.errors import ConfigurationError, DeviceError, UnavailableError
from ringfence.core.ports import (
    CommitUnknownError,
    EpochMovedError,
    ItemConflictError,
    LaneMovedError,
    Store,
    Transaction,
)
from ringfence.vault import postgres_device
from ringfence.vault.postgres import PostgresStore
from ringfence.vault.postgres_statements import build_statement
from tests.contracts.batches import ALICE, BOB, LANE, Writer, new_subject, part_name, parts_of, write
from tests.contracts.proxy import Proxy
from tests.stores import OwnServer, PostgresDatabase, make_postgres_database, make_postgres_store_database, run_on

pytestmark = pytest.mark.asyncio

OTHER_LANE = 2
# Of this test's own database alone: the server has other tests' sessions at the same time.
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"
ACTIVE = """
SELECT count(*) FROM pg_stat_activity
WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
LANE_HOLDERS = """
SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND objsubid = 2 AND datname = current_database()
"""


@pytest_asyncio.fixture
async def postgres_store(postgres: PostgresDatabase) -> AsyncIterator[PostgresStore]:
    """An open store that holds lane 1."""
    store = postgres.store()
    await store.open()
    assert await store.claim_lane(LANE)
    yield store
    await store.close()


@pytest_asyncio.fixture
async def session(postgres: PostgresDatabase) -> AsyncIterator[Any]:
    """Another session on the same database."""
    connection = await asyncpg.connect(postgres.dsn)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def proxy(postgres: PostgresDatabase) -> AsyncIterator[Proxy]:
    """A wire to the database that can be cut."""
    wire = Proxy(postgres.dsn)
    await wire.start()
    yield wire
    await wire.close()


@pytest_asyncio.fixture
async def wired(proxy: Proxy) -> AsyncIterator[PostgresStore]:
    """An open store behind the wire, which holds lane 1."""
    store = PostgresStore(proxy.dsn)
    await store.open()
    assert await store.claim_lane(LANE)
    yield store
    await store.close()


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Wait until a condition holds that must come to hold."""
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.005)


async def begin(session: Any, transaction: Transaction) -> None:
    """Send a batch on a session as the store does, and leave its transaction open."""
    statement = build_statement(transaction, copy=False)
    await session.execute("BEGIN")
    await session.fetch(statement.sql(()), *statement.arguments)


def is_waiting(session: Any, database: PostgresDatabase) -> Callable[[], Awaitable[Any]]:
    """Give the condition that some session of the database waits for a lock."""
    return lambda: session.fetchval(WAITS, database.database)


# --- the rule lock ---------------------------------------------------------------------------------------------------


async def test_accesses_of_two_lanes_do_not_wait_for_each_other(postgres_store: PostgresStore, session: Any) -> None:
    await begin(session, Writer(OTHER_LANE).build())
    await Writer().commit(postgres_store)
    await session.execute("COMMIT")
    assert [head.lane for head in await postgres_store.lanes()] == [LANE, OTHER_LANE]


async def test_rule_waits_for_every_access_that_is_under_way(
    postgres_store: PostgresStore, postgres: PostgresDatabase, session: Any
) -> None:
    await begin(session, Writer(OTHER_LANE).build())
    rule = asyncio.create_task(Writer().commit(postgres_store, rule=True))
    await until(is_waiting(session, postgres))
    assert not rule.done()
    assert await postgres_store.epoch() == 0
    await session.execute("COMMIT")
    await rule
    assert await postgres_store.epoch() == 1


async def test_access_waits_for_a_rule_that_is_under_way_and_is_then_refused(
    postgres_store: PostgresStore, postgres: PostgresDatabase, session: Any
) -> None:
    await begin(session, Writer(OTHER_LANE).build(rule=True))
    writer = Writer()
    access = asyncio.create_task(writer.commit(postgres_store, writes=[write()]))
    await until(is_waiting(session, postgres))
    assert not access.done()
    await session.execute("COMMIT")
    with pytest.raises(EpochMovedError) as caught:
        await access
    assert caught.value.epoch == 1
    assert await postgres_store.count_parts() == 0
    writer.epoch = 1
    await writer.commit(postgres_store, writes=[write()])


async def test_access_goes_on_when_the_rule_before_it_is_rolled_back(
    postgres_store: PostgresStore, postgres: PostgresDatabase, session: Any
) -> None:
    await begin(session, Writer(OTHER_LANE).build(rule=True))
    access = asyncio.create_task(Writer().commit(postgres_store))
    await until(is_waiting(session, postgres))
    await session.execute("ROLLBACK")
    await access
    assert await postgres_store.epoch() == 0


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
async def test_first_writes_of_one_user_in_two_processes(
    postgres_store: PostgresStore, postgres: PostgresDatabase, session: Any, ends: str
) -> None:
    await begin(session, Writer(OTHER_LANE).build(**new_subject(ALICE)))
    second = asyncio.create_task(Writer().commit(postgres_store, **new_subject(ALICE)))
    await until(is_waiting(session, postgres))
    await session.execute(ends)
    if ends == "COMMIT":
        with pytest.raises(ItemConflictError) as caught:
            await second
        assert caught.value.reason == "subject"
    else:
        await second
    assert await postgres_store.subject(ALICE) is not None


async def test_deadlock_with_another_process_is_tried_again(
    postgres_store: PostgresStore, postgres: PostgresDatabase, session: Any
) -> None:
    names = [part_name(dataset=dataset) for dataset in ("account", "middle", "zebra")]
    writer = Writer()
    await writer.commit(postgres_store, writes=[write(name) for name in names])
    touch = "UPDATE ringfence.parts SET version = version WHERE dataset = '{}'"
    between = await asyncpg.connect(postgres.dsn)
    await between.execute("BEGIN; " + touch.format("middle"))
    await session.execute("SET deadlock_timeout = '1h'; BEGIN; " + touch.format("zebra"))
    ours = asyncio.create_task(writer.commit(postgres_store, writes=[write(name, version=2) for name in names]))
    await until(is_waiting(between, postgres))  # has the first, waits for the one in the middle
    theirs = asyncio.create_task(session.execute(touch.format("account")))

    async def both_wait() -> bool:
        return bool(await between.fetchval(WAITS, postgres.database) == 2)

    await until(both_wait)
    # Now ours waits for the last, which closes the circle. It alone looks for circles, and so it gives way.
    await between.execute("COMMIT")
    await theirs
    assert not ours.done()
    await session.execute("COMMIT")
    await ours
    await between.close()
    assert await postgres_store.lane_head(LANE) == writer.head


# --- commits that break ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("many", [1, 600])
async def test_failure_at_the_commit_itself_gives_no_rows(
    postgres_store: PostgresStore, postgres: PostgresDatabase, fails: bool, many: int
) -> None:
    writer = Writer()
    await writer.commit(postgres_store, writes=[write()])
    body = "RAISE EXCEPTION 'refused at the commit'" if fails else "RETURN NULL"
    await run_on(
        postgres.dsn,
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$;"
        " CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON ringfence.batches DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    rows: dict[str, Any] = {"reads": [part_name()]}
    if many > 1:
        rows["writes"] = [write(part_name(record_key=b"%016d" % number)) for number in range(many)]
    if fails:
        with pytest.raises(DeviceError, match="refused at the commit"):
            await writer.commit(postgres_store, **rows)
        assert await postgres_store.count_parts() == 1
        await run_on(postgres.dsn, "DROP TRIGGER at_commit ON ringfence.batches")
    assert parts_of(await writer.commit(postgres_store, **rows)) == [(1, *write().sealed)]


async def test_commit_whose_answer_was_lost_is_found(wired: PostgresStore, proxy: Proxy, session: Any) -> None:
    writer = Writer()
    await writer.commit(wired, writes=[write()])  # prepares the statement
    transaction = writer.build(writes=[write(version=1, name=part_name(BOB))])
    proxy.hold("answers")
    lost = asyncio.create_task(wired.transact(transaction))
    await until(lambda: session.fetchval("SELECT count(*) = 2 FROM ringfence.parts"))
    proxy.cut()
    with pytest.raises(CommitUnknownError):
        await lost
    proxy.flow()
    found = await wired.find_batch(LANE, 2)
    assert found is not None
    assert found.header == transaction.batch.header
    writer.head = transaction.batch.head
    await writer.commit(wired)


@pytest.mark.parametrize("prepared", [True, False])
async def test_commit_that_never_reached_the_server_is_not_found(
    wired: PostgresStore, proxy: Proxy, prepared: bool
) -> None:
    writer = Writer()
    if prepared:
        await writer.commit(wired)
    stands = writer.head
    transaction = writer.build()
    proxy.hold("requests")
    lost = asyncio.create_task(wired.transact(transaction))
    await proxy.held.wait()
    proxy.cut()
    proxy.flow()
    with pytest.raises(CommitUnknownError if prepared else UnavailableError):
        await lost
    assert await wired.find_batch(LANE, transaction.batch.head.n) is None
    assert await wired.lane_head(LANE) == stands
    await wired.transact(transaction)


async def test_batch_said_not_to_be_there_never_comes_later(
    wired: PostgresStore, proxy: Proxy, postgres: PostgresDatabase, session: Any
) -> None:
    writer = Writer()
    await writer.commit(wired)
    transaction = writer.build()
    await begin(session, Writer(OTHER_LANE).build(rule=True))  # holds the batch back, inside the server
    lost = asyncio.create_task(wired.transact(transaction))
    await until(is_waiting(session, postgres))
    proxy.cut()  # the server does not notice
    with pytest.raises(CommitUnknownError):
        await lost
    assert await wired.find_batch(LANE, 2) is None
    await session.execute("ROLLBACK")
    assert await session.fetchval(ACTIVE) == 0
    assert await wired.lane_head(LANE) == writer.head
    await wired.transact(transaction)


async def test_batch_of_a_session_that_does_not_end_is_not_decided_until_it_does(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_device, "OLD_SESSION_END_MS_MAX", 100)
    database = await make_postgres_store_database(own_server.dsn)
    proxy = Proxy(database.dsn)
    await proxy.start()
    wired = PostgresStore(proxy.dsn)
    await wired.open()
    assert await wired.claim_lane(LANE)
    writer = Writer()
    await writer.commit(wired)
    ((holder,),) = await database.execute(LANE_HOLDERS)
    transaction = writer.build()
    os.kill(holder, signal.SIGSTOP)  # a server process that hangs
    try:
        lost = asyncio.create_task(wired.transact(transaction))
        await asyncio.sleep(0)
        proxy.cut()
        with pytest.raises(CommitUnknownError):
            await lost
        for _ in range(2):
            with pytest.raises(UnavailableError, match="has not ended yet"):
                await wired.find_batch(LANE, 2)
            with pytest.raises(UnavailableError, match="has not ended yet"):
                await wired.transact(transaction)
    finally:
        os.kill(holder, signal.SIGCONT)

    async def is_decided() -> bool:
        try:
            return await wired.find_batch(LANE, 2) is None
        except UnavailableError:
            return False

    await until(is_decided)
    await wired.transact(transaction)
    await wired.close()
    await proxy.close()


async def test_lane_that_another_process_took_meanwhile_is_not_written(
    wired: PostgresStore, proxy: Proxy, postgres: PostgresDatabase, session: Any
) -> None:
    writer = Writer()
    await writer.commit(wired)
    proxy.cut()
    await session.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM ({LANE_HOLDERS}) AS holders")
    other = postgres.store()
    await other.open()
    assert await other.claim_lane(LANE)
    for _ in range(2):
        with pytest.raises((LaneMovedError, UnavailableError)):
            await writer.commit(wired)
    assert await other.find_batch(LANE, 2) is None
    await writer.commit(other)
    await other.close()


async def test_cancelled_commit_leaves_the_lane_usable(
    postgres_store: PostgresStore, postgres: PostgresDatabase, session: Any
) -> None:
    writer = Writer()
    transaction = writer.build()
    await begin(session, Writer(OTHER_LANE).build(rule=True))
    left = asyncio.create_task(postgres_store.transact(transaction))
    await until(is_waiting(session, postgres))
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert await postgres_store.find_batch(LANE, 1) is None
    await session.execute("ROLLBACK")
    await postgres_store.transact(transaction)


async def test_statement_that_takes_too_long_is_given_up(postgres: PostgresDatabase, session: Any) -> None:
    store = PostgresStore(postgres.dsn, statement_timeout_seconds=0.1)
    await store.open()
    assert await store.claim_lane(LANE)
    await begin(session, Writer(OTHER_LANE).build(rule=True))
    with pytest.raises(UnavailableError):
        await Writer().commit(store)
    await session.execute("ROLLBACK")
    await Writer().commit(store)
    await store.close()


# --- servers ---------------------------------------------------------------------------------------------------------


async def test_database_without_the_tables_is_refused(own_server: OwnServer) -> None:
    empty = await make_postgres_database(own_server.dsn)
    with pytest.raises(ConfigurationError, match="no tables"):
        await empty.store().open()
    await empty.store().create()
    store = empty.store()
    await store.open()
    await store.close()


@pytest.mark.parametrize("dsn", ["postgresql://nobody@127.0.0.1:1/none", "postgresql:///none?host=/nowhere"])
async def test_server_that_is_not_there_is_unavailable(dsn: str) -> None:
    store: Store = PostgresStore(dsn)
    with pytest.raises(UnavailableError):
        await store.open()


async def test_connection_string_that_cannot_be_read_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        await PostgresStore("http://name:secret-word@example.com/").open()
    assert "secret-word" not in str(caught.value)


async def test_missing_database_is_a_setting(own_server: OwnServer) -> None:
    with pytest.raises(ConfigurationError):
        await PostgresDatabase(own_server.dsn, "nowhere").store().open()


async def test_database_that_commits_asynchronously_is_refused(postgres: PostgresDatabase) -> None:
    change = f'ALTER DATABASE "{postgres.database}" SET synchronous_commit = '
    await run_on(postgres.dsn, change + "off")
    with pytest.raises(ConfigurationError, match="synchronous_commit"):
        await postgres.store().open()
    await run_on(postgres.dsn, change + "local")
    store = postgres.store()
    await store.open()
    await store.close()


@pytest.mark.parametrize(
    ("off_seconds", "what"),
    [(0.5, ""), (-0.5, ""), (30.0, "s ahead of the database's"), (-30.0, "s behind the database's")],
)
async def test_machine_whose_clock_is_wrong_is_refused(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, off_seconds: float, what: str
) -> None:
    monkeypatch.setattr(postgres_device, "time", SimpleNamespace(time=lambda: time.time() + off_seconds))
    store = postgres.store()
    if what:
        with pytest.raises(ConfigurationError, match=what):
            await store.open()
        monkeypatch.undo()
    await store.open()
    await store.close()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_server_that_may_lose_commits_is_refused(own_server: OwnServer, setting: str) -> None:
    database = await make_postgres_store_database(own_server.dsn)
    store = database.store()
    await store.open()
    assert await store.claim_lane(LANE)
    await run_on(own_server.dsn, f"ALTER SYSTEM SET {setting} = off")
    await run_on(own_server.dsn, "SELECT pg_reload_conf()")

    async def is_off() -> bool:
        return await database.execute(f"SHOW {setting}") == [("off",)]

    await until(is_off)
    with pytest.raises(ConfigurationError, match=setting):
        await database.store().open()
    with pytest.raises(ConfigurationError, match=setting):  # a new connection of a store that is open
        await store.claim_lane(OTHER_LANE)
    await run_on(own_server.dsn, f"ALTER SYSTEM RESET {setting}")
    await run_on(own_server.dsn, "SELECT pg_reload_conf()")

    async def is_on() -> bool:
        return not await is_off()

    await until(is_on)
    assert await store.claim_lane(OTHER_LANE)
    await store.close()


async def test_standby_defaults_and_isolation_of_the_database_do_not_matter(postgres: PostgresDatabase) -> None:
    for setting in ("default_transaction_isolation = 'serializable'", "default_transaction_read_only = on"):
        await run_on(
            postgres.dsn,
            f'SET default_transaction_read_only = off; ALTER DATABASE "{postgres.database}" SET {setting}',
        )
    store = postgres.store()
    await store.open()
    assert await store.claim_lane(LANE)
    await Writer().commit(store)
    await store.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_store_goes_on_by_itself_when_the_database_is_back(own_server: OwnServer, mode: str) -> None:
    database = await make_postgres_store_database(own_server.dsn)
    store = database.store()
    await store.open()
    assert await store.claim_lane(LANE)
    writer = Writer()
    await writer.commit(store, writes=[write()])
    own_server.stop(mode=mode)
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await writer.commit(store)
        with pytest.raises(UnavailableError):
            await store.epoch()
    own_server.start()

    async def is_back() -> bool:
        try:
            return await store.find_batch(LANE, 1) is not None
        except UnavailableError:
            return False

    await until(is_back)
    assert parts_of(await writer.commit(store, reads=[part_name()])) == [(1, *write().sealed)]
    await store.close()
