"""Every device, each test on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from ringfence.core.ports import Store
from tests.contracts.batches import LANE
from tests.stores import (
    POSTGRES,
    SQLITE,
    Database,
    OwnServer,
    PostgresDatabase,
    SqliteDatabase,
    make_emptied_postgres_database,
    make_postgres_store_database,
    make_sqlite_store_database,
    shared_server,
)


@pytest_asyncio.fixture(params=[SQLITE, POSTGRES])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database with the store's tables, all empty, of each device in turn."""
    made: Database
    if request.param == SQLITE:
        made = await make_sqlite_store_database(tmp_path)
    else:
        made = await make_emptied_postgres_database(shared_server())
    yield made


@pytest_asyncio.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    """An open store that holds lane 1."""
    opened = database.store()
    await opened.open()
    assert await opened.claim_lane(LANE)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def sqlite(tmp_path: Path) -> SqliteDatabase:
    """A SQLite file with the store's tables."""
    return await make_sqlite_store_database(tmp_path)


@pytest_asyncio.fixture
async def postgres() -> AsyncIterator[PostgresDatabase]:
    """A PostgreSQL database with the store's tables."""
    made = await make_postgres_store_database(shared_server())
    yield made
    await made.drop()


@pytest.fixture(scope="module")
def own_server() -> Iterator[OwnServer]:
    """A PostgreSQL server to stop and spoil."""
    server = OwnServer()
    yield server
    server.delete()
