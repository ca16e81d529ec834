"""A subject is served only to the user whose sealed id it holds, whatever the database says of whose it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.errors import IntegrityError, NotFoundError
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.listing import list_records
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.writing import WriteItem, write_records
from tests.services.world import World, in_world, verified


async def write(world: World, user: str, value: str = "mine") -> None:
    items = [WriteItem(user, "profile", "self", {"userName": user, "bioDescription": value})]
    await write_records(world.gate, world.caller("app"), purpose="serve_user", items=items)


async def read(world: World, user: str) -> str:
    name = RecordName(user, "profile", "self")
    answer = await read_record(world.gate, world.caller("app"), purpose="serve_user", name=name)
    return str(answer.record.values()["bioDescription"])


async def read_several(world: World, user: str) -> object:
    names = [RecordName(user, "profile", "self")]
    return await read_records(world.gate, world.caller("app"), purpose="serve_user", names=names)


async def list_all(world: World, user: str) -> object:
    return await list_records(
        world.gate,
        world.caller("app"),
        purpose="serve_user",
        verb="read",
        user=user,
        dataset="profile",
        after=b"",
        records_max=10,
    )


async def erase(world: World, user: str) -> object:
    return await erase_user(world.gate, world.caller("app"), purpose="user_request", user=user)


USES: list[Callable[[World, str], Awaitable[object]]] = [read, read_several, list_all, write, erase]


@pytest.fixture
def filled(deployment: Deployment) -> Deployment:
    async def fill(world: World) -> None:
        await write(world, "alice", "alice's")
        await write(world, "mallory", "mallory's")

    in_world(deployment, fill)
    return deployment


def change(deployment: Deployment, work: Callable[[sqlite3.Connection], object]) -> None:
    database = sqlite3.connect(deployment.directory / "vault.db")
    with database:
        work(database)
    database.close()


def swap_users(database: sqlite3.Connection) -> None:
    """Let each of two users be found as the other."""
    (first, one), (second, two) = database.execute("SELECT subject_ref, user_index FROM subjects").fetchall()
    for reference, index in ((first, bytes(16)), (second, one), (first, two)):
        database.execute("UPDATE subjects SET user_index = ? WHERE subject_ref = ?", (index, reference))


def remove_identities(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM parts WHERE dataset = '@identity'")


def swap_identities(database: sqlite3.Connection) -> None:
    """Give each of two users the other's sealed id."""
    sql = "SELECT subject_ref, sealed FROM parts WHERE dataset = '@identity'"
    (first, one), (second, two) = database.execute(sql).fetchall()
    for reference, sealed in ((first, two), (second, one)):
        database.execute(
            "UPDATE parts SET sealed = ? WHERE subject_ref = ? AND dataset = '@identity'", (sealed, reference)
        )


@pytest.mark.parametrize("use", USES)
def test_user_is_served_by_every_use(
    filled: Deployment, tmp_path: Path, use: Callable[[World, str], Awaitable[object]]
) -> None:
    in_world(filled, lambda world: use(world, "mallory"))
    assert in_world(filled, lambda world: read(world, "alice")) == "alice's"
    verified(filled, tmp_path / "bundle")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("tamper", [swap_users, swap_identities, remove_identities])
def test_subject_that_is_not_shown_to_be_the_users_is_refused_by_every_use(
    filled: Deployment,
    tmp_path: Path,
    tamper: Callable[[sqlite3.Connection], None],
    use: Callable[[World, str], Awaitable[object]],
) -> None:
    change(filled, tamper)

    for user in ("mallory", "alice"):
        with pytest.raises(IntegrityError):
            in_world(filled, lambda world, user=user: use(world, user))  # type: ignore[misc]

    verified(filled, tmp_path / "bundle")


def test_one_swapped_user_takes_no_other_along(filled: Deployment) -> None:
    in_world(filled, lambda world: write(world, "bob", "bob's"))
    change(
        filled,
        lambda db: db.execute(
            "DELETE FROM parts WHERE dataset = '@identity' AND subject_ref = (SELECT min(subject_ref) FROM subjects)"
        ),
    )

    async def work(world: World) -> list[object]:
        found: list[object] = []
        for user in ("alice", "mallory", "bob", "nobody"):
            try:
                found.append(await read(world, user))
            except (IntegrityError, NotFoundError) as error:
                found.append(type(error))
        return found

    found = in_world(filled, work)
    assert found.count(IntegrityError) == 1
    assert found[3] is NotFoundError
    assert len({"alice's", "mallory's", "bob's"} & set(found)) == 2
