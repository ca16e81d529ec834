"""The disk fills up under load and is freed: refused meanwhile, nothing lost, served again by itself."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from ringfence.app.deployment import Deployment, open_deployment
from tests.faults.load import Load, Seen, check_values, missing_entries, wait_until
from tests.faults.serving import Server, command
from tests.services.world import make_deployment, verified
from tests.stores import OwnServer, PostgresDatabase, make_postgres_database, run_on

USERS = [f"user{number}" for number in range(12)]
ANSWERS = 40
SMALL_DISK_MIB = 48
FILE_SIZE_BYTES_MAX = 64 * 1024
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A small file system of its own, in a place where a database server of another user gets to."""
    path = Path(tempfile.mkdtemp(prefix="ringfence-small-disk-"))
    path.chmod(0o755)
    options = f"size={SMALL_DISK_MIB}m,mode=755"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "ringfence-test", str(path)], capture_output=True)
    if done.returncode:
        path.rmdir()
        pytest.skip("a file system can be mounted by root alone; run this test as root")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)
    path.rmdir()


@pytest.fixture
def database_server() -> Iterator[OwnServer]:
    """A PostgreSQL server to put on the small disk."""
    server = OwnServer()
    yield server
    server.delete()


def fill(disk: Path) -> Path:
    """Leave no free byte on a file system; gives the file that takes them all."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


@contextmanager
def serving(deployment: Deployment, log: Path) -> Iterator[tuple[Server, str]]:
    """A gateway on a deployment and a token for the app; at the end it must stop as asked, without a traceback."""
    token = command("token", "app", "-d", str(deployment.directory))["token"]
    server = Server(deployment.directory, log=log)
    server.start()
    try:
        yield server, token
    finally:
        code = server.stop()
    assert code == 0, server.said()
    assert "Traceback" not in server.said(), server.said()


def fill_and_free(
    server: Server, token: str, *, full: Callable[[], object], free: Callable[[], object], not_ready: bool
) -> Seen:
    """Serve, fill the disk, see that every request is refused, free it, see that all is served again."""
    seen = Seen()
    with Load(server.port, token, seen, users=USERS) as load:
        load.wait_for(ANSWERS, "before", 200, 201)
        full()
        load.phase = "filling"
        load.wait_for(ANSWERS, "filling", 503)
        if not_ready:
            wait_until(lambda: server.readiness()[0] == 503, server.said)
        load.phase = "full"
        load.wait_for(ANSWERS, "full", 503)
        load.move_on("freed")
        free()
        load.wait_for(ANSWERS, "freed", 200, 201)
        wait_until(lambda: server.readiness()[0] == 200, server.said)
        load.phase = "after"
        load.wait_for(ANSWERS, "after", 200, 201)
    check_values(server.port, token, seen)
    assert seen.broken == []
    assert seen.served("before") <= {200, 201, 404, 503}
    assert set(seen.statuses("full")) == {503}
    assert seen.served("after") <= {200, 201}
    assert all(answer.is_problem for answer in seen.answers if answer.status == 503)
    return seen


def test_full_disk_refuses_every_request_and_serves_again_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    deployment = make_deployment(small_disk / "deployment")
    ballast = small_disk / "ballast"
    with serving(deployment, tmp_path / "serve.log") as (server, token):
        seen = fill_and_free(server, token, full=lambda: fill(small_disk), free=ballast.unlink, not_ready=False)
    reasons = {answer.body for answer in seen.answers if answer.phase == "filling" and answer.status == 503}
    assert any(b"is full" in reason for reason in reasons), reasons
    assert missing_entries(deployment, seen) == []
    verified(deployment, tmp_path / "bundle")


def test_full_disk_of_the_tables_refuses_every_request_and_serves_again_when_there_is_room(
    small_disk: Path, database_server: OwnServer, tmp_path: Path
) -> None:
    space = small_disk / "space"
    space.mkdir()
    database_server.give(small_disk, space)
    asyncio.run(run_on(database_server.dsn, f"CREATE TABLESPACE small LOCATION '{space}'"))
    asyncio.run(run_on(database_server.dsn, "CREATE DATABASE small TABLESPACE small"))
    database = PostgresDatabase(database_server.dsn, "small")
    deployment = make_deployment(tmp_path / "deployment", store=database.dsn)
    ballast = small_disk / "ballast"
    with serving(deployment, tmp_path / "serve.log") as (server, token):
        seen = fill_and_free(server, token, full=lambda: fill(small_disk), free=ballast.unlink, not_ready=False)
    assert missing_entries(deployment, seen) == []
    verified(deployment, tmp_path / "bundle")


def test_server_whose_log_finds_no_room_stops_and_is_served_from_again_when_it_is_back(
    small_disk: Path, database_server: OwnServer, tmp_path: Path
) -> None:
    database_server.move_log(small_disk / "pg_wal")
    database = asyncio.run(make_postgres_database(database_server.dsn))
    deployment = make_deployment(tmp_path / "deployment", store=database.dsn)
    ballast = small_disk / "ballast"

    def is_stopped() -> bool:
        # The rest of the segment that the log is in is there already: the server goes on until it needs another.
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            asyncio.run(run_on(database.dsn, "SELECT pg_switch_wal()"))
        return not database_server.is_running()

    def full() -> None:
        fill(small_disk)
        wait_until(is_stopped, database_server.said)

    def free() -> None:
        ballast.unlink()
        database_server.start()

    with serving(deployment, tmp_path / "serve.log") as (server, token):
        seen = fill_and_free(server, token, full=full, free=free, not_ready=True)
    assert "PANIC:  could not write" in database_server.said(), database_server.said()
    assert missing_entries(deployment, seen) == []
    verified(deployment, tmp_path / "bundle")


def test_writes_that_fail_half_way_are_settled_and_served_again_when_they_succeed(tmp_path: Path) -> None:
    """A limit on the size of files makes writes fail that SQLite takes for a fault of the disk, commits included."""
    deployment = make_deployment(tmp_path / "deployment")

    def limit(bounds: tuple[int, int]) -> None:
        assert server.process is not None
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, bounds)

    with serving(deployment, tmp_path / "serve.log") as (server, token):
        seen = fill_and_free(
            server,
            token,
            full=lambda: limit((FILE_SIZE_BYTES_MAX, resource.RLIM_INFINITY)),
            free=lambda: limit(UNLIMITED),
            not_ready=False,
        )
    assert missing_entries(deployment, seen) == []
    verified(deployment, tmp_path / "bundle")


def test_gateway_stops_serving_while_the_tree_cannot_be_written(small_disk: Path, tmp_path: Path) -> None:
    deployment = make_deployment(tmp_path / "deployment")
    shutil.move(deployment.ledger, small_disk / "ledger")
    deployment.ledger.symlink_to(small_disk / "ledger")
    ballast = small_disk / "ballast"
    with serving(deployment, tmp_path / "serve.log") as (server, token):
        seen = fill_and_free(server, token, full=lambda: fill(small_disk), free=ballast.unlink, not_ready=True)
        assert "No space left" in server.said()
    reasons = {answer.body for answer in seen.answers if answer.phase == "full"}
    assert all(b"under no signed checkpoint" in reason for reason in reasons), reasons
    assert missing_entries(deployment, seen) == []
    verified(open_deployment(deployment.directory), tmp_path / "bundle")
    assert os.path.ismount(small_disk)
