"""SIGKILL at random moments during mixed load: nothing acknowledged is lost, nothing is read without its entry."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment, open_deployment
from tests.faults.load import Load, Seen, check_values, missing_entries, wait_until
from tests.faults.serving import Server, command
from tests.services.world import make_deployment, verified
from tests.stores import POSTGRES, SQLITE, make_postgres_database, shared_server

ROUNDS = int(os.environ.get("RINGFENCE_KILL_ROUNDS", "200"))
PARTS = ((SQLITE, 0), (SQLITE, 1), (SQLITE, 2), (POSTGRES, 0))
USERS = [f"user{number}" for number in range(12)]


def _rounds(store: str) -> int:
    """A tenth of the rounds is on PostgreSQL, the rest on the embedded store, where every kill is one of the store."""
    on_postgres = max(1, ROUNDS // 10)
    return on_postgres if store == POSTGRES else max(1, (ROUNDS - on_postgres) // 3)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment on the embedded store, made once and copied by each part."""
    directory = tmp_path_factory.mktemp("kill") / "deployment"
    make_deployment(directory)
    return directory


@pytest.fixture
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment of the part's own."""
    store, directory = request.param[0], tmp_path / "deployment"
    if store == SQLITE:
        shutil.copytree(request.getfixturevalue("local"), directory)
        yield open_deployment(directory)
        return
    database = asyncio.run(make_postgres_database(shared_server()))
    yield make_deployment(directory, store=database.dsn)
    asyncio.run(database.drop())


def _round(server: Server, token: str, seen: Seen, chance: random.Random) -> None:
    with Load(server.port, token, seen, users=USERS, erases=0.02, until_broken=True):
        time.sleep(chance.uniform(0.02, 0.5))
        server.kill()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("deployment", PARTS, indirect=True, ids=[f"{store}-{part}" for store, part in PARTS])
def test_kill_at_random_loses_nothing_and_the_ledger_verifies(
    deployment: Deployment, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store, part = request.node.callspec.params["deployment"]
    directory = deployment.directory
    token = command("token", "app", "--hours", "24", "-d", str(directory))["token"]
    chance = random.Random(part)
    server, seen = Server(directory), Seen()
    for _ in range(_rounds(store)):
        server.start()
        _round(server, token, seen, chance)
    server.start()
    try:
        check_values(server.port, token, seen)
    finally:
        assert server.stop() == 0

    assert missing_entries(deployment, seen) == []
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def _size(deployment: Deployment) -> int:
    """Leaves under the published checkpoint."""
    try:
        return int((deployment.ledger / "checkpoint").read_text().split("\n")[1])
    except FileNotFoundError:
        return 0


def test_sequencer_ends_by_itself_when_its_gateway_was_killed_before_it_looked(local: Path, tmp_path: Path) -> None:
    directory = tmp_path / "deployment"
    shutil.copytree(local, directory)
    deployment = open_deployment(directory)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    sequencer = [sys.executable, "-m", "ringfence", "ledger", "sequence", "-d", str(directory), "--while-parent-lives"]
    assert subprocess.run([*sequencer, str(gone.pid)], check=False, timeout=60).returncode == 0

    running = subprocess.Popen([*sequencer, str(os.getpid())])
    try:
        for subject in ("one", "another"):  # the second one shows that it goes on after a round
            before = _size(deployment)
            command("principal", "register", subject, "--party", "usds", "-d", str(directory))
            wait_until(lambda before=before: _size(deployment) > before, lambda: "the tree to grow")  # type: ignore[misc]
    finally:
        running.terminate()
        assert running.wait(30) == 0
