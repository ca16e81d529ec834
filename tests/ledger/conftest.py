"""A fresh store for each test, on every device that is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.ports import Store
from ringfence.vault.sqlite import SqliteStore
from tests.ledger.writer import LedgerWriter

Result = TypeVar("Result")
Run = Callable[[Coroutine[Any, Any, Result]], Result]


@pytest.fixture
def run() -> Iterator[Run[Any]]:
    """Run a coroutine to its end; all of a test on one loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def store(run: Run[Any], tmp_path: Path) -> Iterator[Store]:
    """An open, empty store."""
    sqlite = SqliteStore(tmp_path / "ringfence.db", checkpoint_interval_seconds=0)
    run(sqlite.create())
    run(sqlite.open())
    yield sqlite
    run(sqlite.close())


@pytest.fixture
def ledger(run: Run[Any], store: Store) -> LedgerWriter:
    """A ledger that has begun, with lanes 1, 2 and 3."""
    writer = LedgerWriter(store)
    run(writer.begin(1, 2, 3, engine=NEWEST_ENGINE))
    return writer
