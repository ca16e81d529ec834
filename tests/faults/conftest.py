"""A deployment on the store that a test names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from tests.services.world import make_deployment
from tests.stores import SQLITE, make_postgres_database, shared_server


@pytest.fixture
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment on the store that the test names as the fixture's parameter."""
    if request.param == SQLITE:
        yield make_deployment(tmp_path / "deployment")
        return
    database = asyncio.run(make_postgres_database(shared_server()))
    yield make_deployment(tmp_path / "deployment", store=database.dsn)
    asyncio.run(database.drop())
