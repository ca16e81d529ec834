"""The database server stopped under load and started again: refused meanwhile, nothing lost, served again by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.ledger.entry import Refusals
from tests.faults.load import Caller, Load, Seen, check_values, missing_entries, read_entries, wait_until
from tests.faults.serving import Server, command
from tests.services.world import make_deployment, verified
from tests.stores import OwnServer, make_postgres_database

USERS = [f"user{number}" for number in range(12)]
ANSWERS = 60


@pytest.fixture(scope="module")
def database_server() -> Iterator[OwnServer]:
    """A PostgreSQL server to stop."""
    server = OwnServer()
    yield server
    server.delete()


@pytest.fixture
def deployment(database_server: OwnServer, tmp_path: Path) -> Deployment:
    """A deployment with a database of its own on that server."""
    database = asyncio.run(make_postgres_database(database_server.dsn))
    return make_deployment(tmp_path / "deployment", store=database.dsn)


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_gateway_refuses_while_its_database_is_away_and_serves_again_by_itself(
    database_server: OwnServer, deployment: Deployment, tmp_path: Path, mode: str
) -> None:
    token = command("token", "app", "-d", str(deployment.directory))["token"]
    server, seen = Server(deployment.directory), Seen()
    server.start()
    try:
        with Load(server.port, token, seen, users=USERS) as load:
            load.wait_for(ANSWERS, "before", 200, 201)
            database_server.stop(mode=mode)
            load.phase = "away"
            load.wait_for(ANSWERS, "away", 503)
            wait_until(lambda: server.readiness()[0] == 503, lambda: "the gateway to say that it is not ready")
            load.move_on("back")
            database_server.start()
            load.wait_for(ANSWERS, "back", 200, 201)
            wait_until(lambda: server.readiness()[0] == 200, server.said)
            load.phase = "after"
            load.wait_for(ANSWERS, "after", 200, 201)
        check_values(server.port, token, seen)
    finally:
        code = server.stop()
    assert code == 0, server.said()

    # Every answer came within the clients' patience, and each one that is no answer says so in the known form.
    assert seen.broken == []
    assert seen.served("before") <= {200, 201, 404, 503}
    assert set(seen.statuses("away")) == {503}
    assert seen.served("after") <= {200, 201}
    refused = [answer for answer in seen.answers if answer.status == 503]
    assert all(answer.is_problem and answer.headers["retry-after"] for answer in refused)
    assert missing_entries(deployment, seen) == []
    assert "Traceback" not in server.said(), server.said()
    verified(deployment, tmp_path / "bundle")


def test_idle_gateway_says_that_its_database_is_away_and_keeps_count_of_who_was_refused(
    database_server: OwnServer, deployment: Deployment, tmp_path: Path
) -> None:
    server = Server(deployment.directory)
    server.start()
    stranger = Caller(server.port, "nobody")
    try:
        database_server.stop()
        wait_until(lambda: server.readiness()[0] == 503, server.said)
        assert {stranger.get("user0").status for _ in range(30)} == {401}
        time.sleep(1.5)  # the counts are written once a second, and cannot be now
        database_server.start()
        wait_until(lambda: server.readiness()[0] == 200, server.said)
    finally:
        stranger.close()
        assert server.stop() == 0
    written = [entry for entry in read_entries(deployment) if isinstance(entry, Refusals)]
    assert sum(entry.requests for entry in written) == 30
    verified(deployment, tmp_path / "bundle")
