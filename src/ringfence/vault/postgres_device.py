"""The PostgreSQL server: connecting, what its errors mean, and the connections that hold lanes.

Rules of this file:
1. A server that may lose a commit is refused: fsync or full_page_writes off, synchronous_commit off, a standby, a
   version before 15. fsync and full_page_writes are asked anew on every connection, and so is the time: a machine
   whose clock is wrong would write batches, and rules, that have to wait for their time, and hold up all others.
2. A claimed lane has a connection of its own, which holds the lane's advisory lock. When it is lost, the lock is taken
   again on a new one before anything else of that lane is done. The server gives it only once the old session has
   ended, so that whatever the old session was committing is decided by then.
3. A connection lost while a commit may be under way is `CommitUnknownError`; lost before it, `UnavailableError`.
4. After a failed attempt to connect, the next is made no sooner than a pause that doubles up to a limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import asyncpg

from ringfence.core.errors import ConfigurationError, DeviceError, IntegrityError, UnavailableError
from ringfence.core.ports import CommitUnknownError, ItemConflictError, LaneMovedError

SERVER_VERSION_MIN: Final = 150_000
SCHEMA_VERSION: Final = 3
LANE_LOCK_CLASS: Final = 1_380_338_766
CONNECT_TIMEOUT_SECONDS: Final = 5.0
CLOCKS_APART_SECONDS_MAX: Final = 1.0
RECONNECT_PAUSE_SECONDS_MIN: Final = 0.05
RECONNECT_PAUSE_SECONDS_MAX: Final = 2.0
OLD_SESSION_END_MS_MAX: Final = 5_000

Connection: TypeAlias = Any
"""An `asyncpg.Connection`; the library ships no types."""

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's parting message came before this statement
)
SERVER_GOING: Final = frozenset({"57P01", "57P02", "57P03", "57P05"})

_SETTINGS: Final = """
SELECT current_setting('server_version_num')::int AS version, current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes, pg_is_in_recovery() AS standby,
    extract(epoch FROM clock_timestamp())::float8 AS time_seconds
"""


@dataclass(slots=True)
class LaneLink:
    """A claimed lane's own connection, its prepared statements, and which server session it is."""

    lane: int
    connection: Connection
    session: tuple[int, Any]
    prepared: dict[str, Any] = field(default_factory=dict)
    reclaiming: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def prepare(self, sql: str) -> Any:
        """Give a statement prepared on this lane's connection."""
        statement = self.prepared.get(sql)
        if statement is None:
            statement = self.prepared[sql] = await self.connection.prepare(sql)
        return statement


class _PooledConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that nothing changes the session of, so that giving it back to the pool costs no round trip."""

    def get_reset_query(self) -> str:
        return ""


class PostgresDevice:
    """One PostgreSQL database of this schema: a small pool, and one connection for each claimed lane.

    Args:
        dsn: a libpq connection string or URI; TLS by `sslmode` in it.
        statement_timeout_seconds: after which the server gives a statement up.
        pool_connections_max: connections beside those of the lanes.
    """

    def __init__(self, dsn: str, *, statement_timeout_seconds: float = 10.0, pool_connections_max: int = 4) -> None:
        self._dsn = dsn
        self._statement_timeout_seconds = statement_timeout_seconds
        # The server's own limit comes first; this one is for a server that does not answer at all.
        self._answer_timeout_seconds = statement_timeout_seconds + CONNECT_TIMEOUT_SECONDS
        self._pool_connections_max = pool_connections_max
        self._pool: Any = None
        self._links: dict[int, LaneLink] = {}
        self._pause_seconds = 0.0
        self._connect_not_before = 0.0

    async def open(self) -> None:
        """Connect; refuses a server that is not durable, and a database without this schema."""
        if self._pool is not None:
            return
        async with self._translated():
            connection = await self._connect(plain=True)
            try:
                await self._check_default_durability(connection)
                await self._check_schema(connection)
            finally:
                await connection.close()
            self._pool = await asyncpg.create_pool(
                **self._connect_arguments(),
                min_size=0,
                max_size=self._pool_connections_max,
                connection_class=_PooledConnection,
                init=check_durable,
            )

    async def close(self) -> None:
        """Close every connection, which lets go of every lane."""
        links, self._links = self._links, {}
        for link in links.values():
            await _close(link.connection)
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), CONNECT_TIMEOUT_SECONDS)
            except LOST:
                pool.terminate()

    async def claim_lane(self, lane: int) -> bool:
        """Take a lane for this store alone; False when another session has it."""
        if lane in self._links:
            return True
        self._opened_pool()
        async with self._translated():
            connection = await self._connect()
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", LANE_LOCK_CLASS, lane):
                await _close(connection)
                return False
            self._links[lane] = LaneLink(lane, connection, await _session_of(connection))
        return True

    async def release_lane(self, lane: int) -> None:
        """Let go of a lane, so that another process may take it."""
        link = self._links.pop(lane, None)
        if link is not None:
            await _close(link.connection)

    # --- connecting -------------------------------------------------------------------------------------------------

    def _connect_arguments(self) -> dict[str, Any]:
        return {
            "dsn": self._dsn,
            "timeout": CONNECT_TIMEOUT_SECONDS,
            "command_timeout": self._answer_timeout_seconds,
            "max_cached_statement_lifetime": 0,
            "server_settings": {
                "application_name": "ringfence",
                "synchronous_commit": "on",
                "default_transaction_isolation": "read committed",
                "default_transaction_read_only": "off",
                "statement_timeout": str(int(self._statement_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": str(int(self._answer_timeout_seconds * 1000)),
                "enable_seqscan": "off",
                "jit": "off",
            },
        }

    async def _connect(self, *, plain: bool = False) -> Connection:
        """Open a connection. `plain`: with the server's own settings, to see what they are. Rule 4."""
        now = asyncio.get_running_loop().time()
        if now < self._connect_not_before:
            raise UnavailableError("the database did not answer; the next attempt to connect comes in a moment")
        arguments = self._connect_arguments()
        if plain:
            del arguments["server_settings"]
        try:
            connection = await asyncpg.connect(**arguments)
        except asyncpg.ClientConfigurationError:
            raise ConfigurationError("the connection string of the database cannot be read") from None
        except (*LOST, asyncpg.PostgresError):
            self._pause_seconds = min(
                max(self._pause_seconds * 2, RECONNECT_PAUSE_SECONDS_MIN), RECONNECT_PAUSE_SECONDS_MAX
            )
            self._connect_not_before = now + self._pause_seconds
            raise
        self._pause_seconds = 0.0
        try:
            await check_durable(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _check_default_durability(self, connection: Connection) -> None:
        if await connection.fetchval("SELECT current_setting('synchronous_commit')") == "off":
            raise ConfigurationError(
                "the database has synchronous_commit off and may lose what was committed",
                hint="set synchronous_commit = on for the server, the database and the role",
            )

    async def _check_schema(self, connection: Connection) -> None:
        if await connection.fetchval("SELECT to_regclass('ringfence.schema_version')") is None:
            raise ConfigurationError("the database has no tables of this program", hint="run `ringfence init`")
        version = await connection.fetchval("SELECT version FROM ringfence.schema_version")
        if version != SCHEMA_VERSION:
            age = "an older" if version is None or version < SCHEMA_VERSION else "a newer"
            raise ConfigurationError(
                f"the database is of {age} schema: {version}, not {SCHEMA_VERSION}",
                hint="run the release that made it, or one that upgrades it",
            )

    def _opened_pool(self) -> Any:
        if self._pool is None:
            raise ConfigurationError("the store is not open")
        return self._pool

    # --- lanes ------------------------------------------------------------------------------------------------------

    async def _link(self, lane: int) -> LaneLink:
        """Give a claimed lane's connection, made and claimed anew if it was lost: rule 2."""
        link = self._links.get(lane)
        if link is None:
            raise LaneMovedError(f"lane {lane} is not claimed by this process")
        if link.connection.is_closed():
            async with link.reclaiming, self._translated():
                if link.connection.is_closed():
                    await self._reclaim(link)
        return link

    async def _reclaim(self, link: LaneLink) -> None:
        connection = await self._connect()
        try:
            await self._take_lock(connection, link)
            session = await _session_of(connection)
        except BaseException:
            connection.terminate()
            raise
        link.prepared.clear()
        link.connection, link.session = connection, session

    async def _take_lock(self, connection: Connection, link: LaneLink) -> None:
        """Take the lane's lock for a new session, once the old one has ended.

        Raises:
            LaneMovedError: another process has it.
            UnavailableError: the old session has not ended, so that what it was committing is not decided yet.
        """
        take = "SELECT pg_try_advisory_lock($1, $2)"
        if await connection.fetchval(take, LANE_LOCK_CLASS, link.lane):
            return
        # The server may not have noticed yet that the old connection is gone: end that session, and only that one.
        ended = await connection.fetch(
            "SELECT pg_terminate_backend(pid, $3) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2",
            *link.session,
            OLD_SESSION_END_MS_MAX,
        )
        if await connection.fetchval(take, LANE_LOCK_CLASS, link.lane):
            return
        if any(not row[0] for row in ended):
            raise UnavailableError(f"the database has not ended yet the session that lane {link.lane} lost")
        raise LaneMovedError(f"another process took lane {link.lane} while its connection was lost")

    # --- statements -------------------------------------------------------------------------------------------------

    async def _fetch(self, sql: str, *arguments: object) -> list[Any]:
        """Run a statement that only reads."""
        async with self._pooled() as connection:
            rows: list[Any] = await connection.fetch(sql, *arguments)
            return rows

    @asynccontextmanager
    async def _pooled(self) -> AsyncIterator[Connection]:
        """Lend a connection of the pool; one that is lost does not go back."""
        pool = self._opened_pool()
        async with self._translated(), pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            try:
                yield connection
            except (*LOST, asyncpg.PostgresError) as error:
                if is_lost(error):
                    connection.terminate()
                raise

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Connection]:
        """A transaction of its own on the pool, for what belongs to no batch."""
        async with self._pooled() as connection:
            await connection.execute("BEGIN")
            try:
                yield connection
            except BaseException:
                await roll_back(connection)
                raise
            await commit(connection)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """Give what the driver raises as this program's errors; for where no commit can be under way."""
        try:
            yield
        except (*LOST, asyncpg.PostgresError) as error:
            raise translate(error) from error


async def check_durable(connection: Connection) -> None:
    """Check a new connection: rule 1.

    Raises:
        ConfigurationError: the server may lose what was committed, is too old, or has another time than this machine.
        UnavailableError: it is a standby.
    """
    before_seconds = time.time()
    row = await connection.fetchrow(_SETTINGS)
    _check_clock(row["time_seconds"], before_seconds=before_seconds, after_seconds=time.time())
    if row["version"] < SERVER_VERSION_MIN:
        raise ConfigurationError(f"PostgreSQL {row['version'] // 10_000} is too old", hint="15 or later is needed")
    for setting in ("fsync", "full_page_writes"):
        if row[setting] != "on":
            raise ConfigurationError(
                f"the database has {setting} {row[setting]} and may lose what was committed",
                hint=f"set {setting} = on, and take the data since as suspect",
            )
    if row["standby"]:
        raise UnavailableError("the database is a standby; only the primary can be used")


def _check_clock(server_seconds: float, *, before_seconds: float, after_seconds: float) -> None:
    """Hold the server's time against this machine's, before it was asked and after."""
    ahead_seconds = before_seconds - server_seconds
    behind_seconds = server_seconds - after_seconds
    if max(ahead_seconds, behind_seconds) > CLOCKS_APART_SECONDS_MAX:
        where = f"{ahead_seconds:.1f} s ahead of" if ahead_seconds > 0 else f"{behind_seconds:.1f} s behind"
        raise ConfigurationError(
            f"this machine's clock is {where} the database's", hint="set both clocks right before anything is written"
        )


async def commit(connection: Connection) -> None:
    """Commit the connection's transaction.

    Raises:
        CommitUnknownError: the connection was lost meanwhile; it is closed.
        UnavailableError: the server rolled back instead.
        asyncpg.PostgresError: the server refused, and rolled back.
    """
    try:
        status = await connection.execute("COMMIT")
    except (*LOST, asyncpg.PostgresError, asyncio.CancelledError) as error:
        if is_lost(error):
            connection.terminate()
            raise CommitUnknownError("the connection to the database was lost while committing") from error
        raise
    if status != "COMMIT":
        raise UnavailableError("the database rolled the transaction back")


def is_lost(error: BaseException) -> bool:
    """Say whether an error means that the session is gone, or that nothing is known of it."""
    if isinstance(error, asyncpg.PostgresError) and not isinstance(error, asyncpg.PostgresConnectionError):
        return error.sqlstate in SERVER_GOING
    return isinstance(error, (*LOST, asyncio.CancelledError))


def translate(error: BaseException) -> DeviceError:
    """Give the error of this program for one of the driver's, where no commit can be under way."""
    state = getattr(error, "sqlstate", None) or ""
    if isinstance(error, asyncpg.DataError) or state[:2] in ("21", "22", "23", "54"):
        return ItemConflictError((), reason="data")
    if is_lost(error) or state[:2] in ("08", "40", "53", "55", "57"):
        return UnavailableError(f"the database does not answer: {type(error).__name__}")
    if state == "25006":
        return UnavailableError("the database takes no writes: it is a standby, or was set read-only")
    if state in ("XX001", "XX002"):
        return IntegrityError(f"the database is damaged: {error}", place="database")
    if state == "58030":
        return UnavailableError(f"the database had an I/O error: {error}", hint="look at the server's disk and log")
    if state[:2] in ("28", "3D", "3F", "42", "0A"):
        return ConfigurationError(f"the database refuses: {error}", hint="check the role, its rights and the schema")
    return DeviceError(f"the database failed: {error}")


async def _session_of(connection: Connection) -> tuple[int, Any]:
    row = await connection.fetchrow("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    return row["pid"], row["backend_start"]


async def roll_back(connection: Connection) -> None:
    """Undo the connection's transaction, or give the connection up: the server then undoes it."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK")
    except (*LOST, asyncpg.PostgresError):
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CONNECT_TIMEOUT_SECONDS)
    except (*LOST, asyncpg.PostgresError):
        connection.terminate()
