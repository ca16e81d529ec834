"""The SQLite file itself: connecting, transactions, what its errors mean, and the lock files.

Rules of this file:
1. WAL with synchronous=FULL, read back after it was set: a commit that returned is on the disk.
2. A failed fsync is never tried again. After an I/O error the connection is closed; the next call opens a new one and
   serves only after every frame of the WAL was written anew into the database file and that file was synced.
3. A full disk rolls back and leaves nothing half-written; the connection stays.
4. One process at a time writes gateway lanes, and one the authority's lane: each has a lock file beside the database,
   held with flock(2) and never deleted. Tools and the sequencer open the same file without either.
5. Calls run on the event loop's own thread and never wait inside: at batch sizes a hand-over to a thread costs more
   than the work.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ringfence.core.errors import ConfigurationError, DeviceError, IntegrityError, UnavailableError
from ringfence.core.ledger.lane import AUTHORITY_LANE
from ringfence.core.ports import CommitUnknownError, ItemConflictError
from ringfence.vault.schema_sqlite import APPLICATION_ID, FIRST_ROWS, SCHEMA_VERSION, TABLES

SQLITE_VERSION_MIN: Final = (3, 37, 0)
CACHED_STATEMENTS_MAX: Final = 256
CACHE_SIZE_KIB: Final = 8_192
CHECKPOINT_PAGES: Final = 4_096
WAL_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024

DATA_ERRORS: Final = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
)
"""What Python or SQLite raise for a value that cannot be stored."""

as_blob: Final = bytearray
"""Make bytes a value that the driver binds as it is.

For each of `bytes` it first asks its registry of adapters, in vain; that takes longer than to copy a short one.
"""

_NORMAL_SETTINGS: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    f"PRAGMA cache_size = -{CACHE_SIZE_KIB}",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit = {WAL_SIZE_BYTES_MAX}",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA secure_delete = FAST",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)
_BROKEN: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL})
_LATER: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_INTERRUPT})
_SETTING: Final = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class SqliteDevice:
    """One SQLite database of this schema, opened for writing or, for tools, for reading alone.

    Args:
        path: the database file; `-wal`, `-shm` and the lock files lie beside it.
        read_only: refuse every write.
        busy_timeout_seconds: how long to wait for another process's transaction.
    """

    def __init__(self, path: Path, *, read_only: bool = False, busy_timeout_seconds: float = 5.0) -> None:
        self.path = path
        self._read_only = read_only
        self._busy_timeout_seconds = busy_timeout_seconds
        self._connection: sqlite3.Connection | None = None
        self._opened = False
        self._locks: dict[Path, int] = {}
        self._lanes: set[int] = set()

    async def create(self) -> None:
        """Make the file (mode 0600) and its tables.

        Raises:
            ConfigurationError: the database has tables already, or cannot be made here.
        """
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
                if database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                    raise ConfigurationError(
                        f"{self.path} is a database that has tables already", hint="name a file that is not there yet"
                    )
                database.execute("PRAGMA journal_mode = WAL")
                # A crash before COMMIT leaves an empty database, which `create` takes again.
                database.executescript(
                    f"PRAGMA synchronous = FULL; BEGIN IMMEDIATE; {TABLES}"
                    f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
                )
                for sql, values in FIRST_ROWS:
                    database.execute(sql, values)
                database.execute("COMMIT")
        except OSError as error:
            raise ConfigurationError(f"cannot make {self.path}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise self._translate(error) from error

    async def open(self) -> None:
        """Connect; refuses a file that is missing, not durable or of another schema."""
        if self._connection is None:
            self._connection = self._connect(verify=self._opened)
            self._opened = True

    async def close(self) -> None:
        """Close the database and let go of the lock files."""
        self._opened = False
        self._let_go()
        for descriptor in self._locks.values():
            os.close(descriptor)
        self._locks.clear()
        self._lanes.clear()

    async def claim_lane(self, lane: int) -> bool:
        """Take a lane for this process alone; False when another process writes lanes of its kind."""
        path = self._lock_path(lane)
        if path not in self._locks:
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise ConfigurationError(f"cannot open the lock file {path}: {error.strerror}") from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError as error:
                os.close(descriptor)
                raise ConfigurationError(
                    f"cannot lock {path}: {error.strerror}", hint="keep the database on a local disk"
                ) from error
            self._locks[path] = descriptor
        self._lanes.add(lane)
        return True

    async def release_lane(self, lane: int) -> None:
        """Let go of a lane; another process may write lanes of its kind once none of them is held here."""
        self._lanes.discard(lane)
        path = self._lock_path(lane)
        if path in self._locks and not any(self._lock_path(held) == path for held in self._lanes):
            os.close(self._locks.pop(path))

    def _lock_path(self, lane: int) -> Path:
        kind = "authority" if lane == AUTHORITY_LANE else "gateway"
        return self.path.with_name(f"{self.path.name}.{kind}-lock")

    # --- connecting -------------------------------------------------------------------------------------------------

    def _connect(self, *, verify: bool) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
            raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old", hint="3.37 or later is needed")
        if not self.path.is_file():
            raise ConfigurationError(f"there is no database at {self.path}", hint="make one with `ringfence init`")
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self.path))}?mode=rw",
                uri=True,
                isolation_level=None,
                timeout=self._busy_timeout_seconds,
                cached_statements=CACHED_STATEMENTS_MAX,
            )
        except sqlite3.Error as error:
            raise self._translate(error) from error
        try:
            self._check_schema(connection)
            self._set_durable(connection)
            if verify and not self._read_only:
                self._rewrite_wal(connection)
            if self._read_only:
                connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            connection.close()
            raise self._translate(error) from error
        except DeviceError:
            connection.close()
            raise
        return connection

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise ConfigurationError(
                f"{self.path} is not a database of this program", hint="make one with `ringfence init`"
            )
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            age = "an older" if version < SCHEMA_VERSION else "a newer"
            raise ConfigurationError(
                f"{self.path} is of {age} schema: {version}, not {SCHEMA_VERSION}",
                hint="run the release that made it, or one that upgrades it",
            )

    def _set_durable(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        for setting in _NORMAL_SETTINGS:
            connection.execute(setting).fetchall()
        synchronous = connection.execute("PRAGMA synchronous").fetchone()
        if mode != ("wal",) or synchronous != (2,):
            raise ConfigurationError(
                f"{self.path} cannot be written durably: journal {mode[0]}, synchronous {synchronous[0]}",
                hint="keep the database on a local disk; network file systems cannot hold a WAL",
            )

    def _rewrite_wal(self, connection: sqlite3.Connection) -> None:
        """Write every committed frame of the WAL anew into the database file and sync that: rule 2."""
        busy, frames, done = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy or frames != done:
            raise UnavailableError(
                f"{self.path} had an I/O error and cannot be verified while another process reads it; trying again"
            )

    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self._opened:
                raise ConfigurationError(f"the store {self.path} is not open")
            self._connection = self._connect(verify=True)
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # it is being given up because it failed, or it has nothing to write
                connection.close()

    # --- reading and writing ----------------------------------------------------------------------------------------

    def _read(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        try:
            return self._database().execute(sql, parameters).fetchall()
        except DATA_ERRORS as error:
            raise ItemConflictError((), reason="data") from error
        except sqlite3.Error as error:
            raise self._failed(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        """One transaction that holds the write lock from its start; committed at the end of the block.

        Raises:
            CommitUnknownError: the commit failed in a way that may have reached the disk.
            DeviceError: anything else; nothing was written.
        """
        cursor = self._database().cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            yield cursor
        except sqlite3.Error as error:
            self._roll_back()
            raise self._failed(error) from error
        except BaseException:
            self._roll_back()
            raise
        # A crash before COMMIT returns leaves the whole transaction or nothing of it.
        try:
            cursor.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._commit_failed(error) from error

    def _commit_failed(self, error: sqlite3.Error) -> DeviceError:
        if _primary_code(error) in _LATER:  # the commit frame was never written
            self._roll_back()
            return self._failed(error)
        self._let_go()
        return CommitUnknownError(f"committing to {self.path} failed: {error}", hint="look at the disk and its log")

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is not None and connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                self._let_go()  # closing drops what was not committed

    def _failed(self, error: sqlite3.Error) -> DeviceError:
        if _primary_code(error) in _BROKEN:
            self._let_go()
        return self._translate(error)

    def _translate(self, error: sqlite3.Error) -> DeviceError:
        code = _primary_code(error)
        if code == sqlite3.SQLITE_FULL:
            return UnavailableError(f"the disk of {self.path} is full", hint="make room; nothing was written")
        if code in _LATER:
            return UnavailableError(f"another process holds {self.path}: {error}")
        if code in _BROKEN:
            return UnavailableError(f"{self.path} cannot be read or written: {error}", hint="look at the disk")
        if code in _SETTING:
            return ConfigurationError(
                f"{self.path} cannot be opened or written: {error}", hint="check its owner, mode and folder"
            )
        if code in _DAMAGED:
            return IntegrityError(
                f"{self.path} is damaged: {error}", place=str(self.path), hint="restore it, then run `ringfence verify`"
            )
        return DeviceError(f"{self.path}: {error}")


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
