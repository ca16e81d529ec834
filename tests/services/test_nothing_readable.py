"""Nothing that was planted can be read where it is kept: database files, their logs, a dump, the tree, the evidence."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.errors import DeniedError
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.searching import find_users
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.synthetic.files import write_exports
from tests.faults.serving import command
from tests.services.exports_taken import stored
from tests.services.world import OPEN, World, in_world, make_deployment, verified
from tests.stores import OwnServer, PostgresDatabase, make_postgres_database

USERS = 40
NEEDLES = 100
IN_THE_CLEAR = (b"us-user-data", b"watch_history")
"""The charter's name and a dataset's: stored in the clear, so what finds nothing planted finds these."""
PUT = {"userName": "planted-by-the-app", "emailAddress": "planted@mail.example", "birthDate": "1970-01-01 planted"}


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A PostgreSQL server whose files are all ours."""
    made = OwnServer()
    yield made
    made.delete()


async def use(world: World) -> None:
    """Write, look up, read, and be refused, so that entries, refusals and their openings are there."""
    app, user = world.caller("app"), str(PUT["userName"])
    item = WriteItem(user, "profile", "self", dict(PUT))
    await write_records(world.gate, app, purpose="serve_user", items=[item], request_id="planted-request-id")
    await find_users(
        world.gate, app, purpose="serve_user", dataset="profile", field="emailAddress", value=PUT["emailAddress"]
    )
    for caller in ("app", "parent"):
        name = RecordName(user, "profile", "self")
        try:
            await read_record(world.gate, world.caller(caller), purpose="serve_user", name=name)
        except DeniedError:
            assert caller == "parent"


def fill(deployment: Deployment, tmp_path: Path) -> list[bytes]:
    """Take users in and use what is there; give everything personal that must not be readable anywhere."""
    write_exports(tmp_path / "exports", users=USERS, seed=11)
    command("ingest", str(tmp_path / "exports"), "-d", str(deployment.directory))
    in_world(deployment, use)
    parts = stored(deployment)
    planted = {place.user for place in parts} | {"planted-request-id", *PUT.values()}
    for part in parts.values():
        planted |= {value for value in part.fields.values() if isinstance(value, str) and len(value) >= 12}
    charter = OPEN.encode()  # stored in the clear, and words of its own occur in the exports too
    needles = [text.encode() for text in sorted(planted) if text.encode() not in charter]
    assert len(needles) > NEEDLES
    used = {"planted-request-id", *PUT.values()}  # always, and of the others as many as can be looked for
    return [text.encode() for text in sorted(used)] + needles[:: len(needles) // NEEDLES]


def check_unreadable(needles: Sequence[bytes], haystacks: dict[str, bytes]) -> None:
    """Find none of the needles, neither as they are nor as the digits that a dump or JSON writes them in."""
    for name, haystack in haystacks.items():
        digits = haystack.lower()
        found = [needle for needle in needles if needle in haystack or needle.hex().encode() in digits]
        assert found == [], name


def is_in(word: bytes, haystacks: dict[str, bytes]) -> bool:
    return any(word in haystack or word.hex().encode() in haystack.lower() for haystack in haystacks.values())


def files_below(*roots: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for root in roots for path in sorted(root.rglob("*")) if path.is_file()}


def test_sqlite_file_its_log_a_dump_the_tree_and_the_evidence_show_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    # Kept open, so that the log of the database is not put away when the program ends.
    reader = sqlite3.connect(deployment.directory / "vault.db")
    reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
    needles = fill(deployment, tmp_path)
    files = {path.name: path.read_bytes() for path in deployment.directory.iterdir() if path.name.startswith("vault")}
    assert files["vault.db-wal"]
    dump = "\n".join(sqlite3.connect(deployment.directory / "vault.db").iterdump()).encode("utf-8", "surrogateescape")
    reader.close()
    verified(deployment, tmp_path / "bundle")

    check_unreadable(needles, files | {"dump": dump})
    check_unreadable(needles, files_below(deployment.ledger, tmp_path / "bundle"))

    assert all(is_in(word, files) and is_in(word, {"dump": dump}) for word in IN_THE_CLEAR)
    assert is_in(IN_THE_CLEAR[0], files_below(tmp_path / "bundle"))


def test_postgres_files_their_log_and_a_dump_show_nothing(server: OwnServer, tmp_path: Path) -> None:
    database: PostgresDatabase = asyncio.run(make_postgres_database(server.dsn))
    deployment = make_deployment(tmp_path / "deployment", store=database.dsn)
    needles = fill(deployment, tmp_path)
    dump = subprocess.run(
        [server.program("pg_dump"), "--dbname", database.dsn], capture_output=True, check=True, timeout=120
    ).stdout
    asyncio.run(database.execute("CHECKPOINT"))
    files = files_below(server.data / "base", server.data / "pg_wal")

    check_unreadable(needles, {"dump": dump})
    check_unreadable(needles, files)

    assert all(is_in(word, {"dump": dump}) for word in IN_THE_CLEAR)
    for part in ("/base/", "/pg_wal/"):
        some = {name: data for name, data in files.items() if part in name}
        assert is_in(IN_THE_CLEAR[1], some), part
