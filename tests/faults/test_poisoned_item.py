"""An item of a joined batch that cannot be prepared, or that the database refuses: it alone is harmed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.errors import DeviceError, UnavailableError
from ringfence.core.ports import Rows, Transaction
from ringfence.core.state import State
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import ReadAnswer, read_record
from ringfence.services.custody.writing import WriteAnswer, WriteItem, write_records
from ringfence.services.jobs import Prepared
from tests.services.world import World, in_world, verified
from tests.stores import POSTGRES, SQLITE, run_on

USERS = [f"user{number}" for number in range(6)]
POISONED = USERS[3]

SQLITE_TRIGGER = """
CREATE TRIGGER poisoned BEFORE UPDATE ON parts WHEN NEW.subject_ref = x'{0}'
BEGIN SELECT RAISE(ABORT, 'poisoned'); END
"""
POSTGRES_CHECK = "ALTER TABLE ringfence.parts ADD CONSTRAINT poisoned CHECK (version < 2 OR subject_ref <> '\\x{0}')"
POSTGRES_AT_COMMIT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$;
CREATE CONSTRAINT TRIGGER poisoned AFTER UPDATE ON ringfence.parts DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.subject_ref = '\\x{0}') EXECUTE FUNCTION refuse()
"""


async def administer(deployment: Deployment, sql: str) -> None:
    """Change the database behind the program."""
    if not deployment.is_embedded:
        await run_on(deployment.configuration.store, sql)
        return
    with sqlite3.connect(deployment.directory / "vault.db") as connection:
        connection.execute(sql)
    connection.close()


def write(world: World, user: str, text: str) -> Awaitable[WriteAnswer]:
    """Store a profile."""
    item = WriteItem(user, "profile", "self", {"userName": user, "bioDescription": text})
    return write_records(world.gate, world.caller("app"), purpose="serve_user", items=[item])


def read(world: World, user: str) -> Awaitable[ReadAnswer]:
    """Read a profile."""
    name = RecordName(user, "profile", "self")
    return read_record(world.gate, world.caller("app"), purpose="serve_user", name=name)


async def in_one_batch(world: World, requests: Callable[[], Sequence[Awaitable[Any]]]) -> list[Any]:
    """Run requests that all wait while one transaction is held up, and so join the next; gives what each came to."""
    gate, store = world.gate, world.runtime.store
    transact, submit = store.transact, gate.singles.submit
    begun, go, sizes, submitted = asyncio.Event(), asyncio.Event(), [], []

    async def held(transaction: Transaction) -> Rows:
        begun.set()
        await go.wait()
        sizes.append(len(transaction.batch.entries))
        return await transact(transaction)

    def counted(prepare: Callable[[State, int], Prepared]) -> Any:
        submitted.append(prepare)
        return submit(prepare)

    store.transact = held  # type: ignore[method-assign]
    gate.singles.submit = counted  # type: ignore[method-assign]
    first = asyncio.ensure_future(read(world, USERS[0]))
    await begun.wait()
    tasks = [asyncio.ensure_future(request) for request in requests()]
    # One that failed before it came so far is not waited for: the caller sees what it came to.
    while len(submitted) < 1 + sum(not task.done() for task in tasks):
        await asyncio.sleep(0.001)
    go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    del store.transact, gate.singles.submit
    assert sizes[0] == 1
    assert sizes[1] >= len(tasks) - 1, "the requests joined one batch"
    return results


CASES = [
    pytest.param(SQLITE, SQLITE_TRIGGER, id="refused by SQLite"),
    pytest.param(POSTGRES, POSTGRES_CHECK, id="refused by PostgreSQL"),
    pytest.param(POSTGRES, POSTGRES_AT_COMMIT, id="refused by PostgreSQL at the commit"),
]


@pytest.mark.parametrize(("deployment", "poison"), CASES, indirect=["deployment"])
def test_item_that_the_database_refuses_harms_only_itself(deployment: Deployment, tmp_path: Path, poison: str) -> None:
    async def work(world: World) -> None:
        for user in USERS:
            await write(world, user, "old")
        subject = await world.gate.subjects.find(POISONED)
        assert subject is not None
        await administer(deployment, poison.format(subject.subject_ref.hex()))
        requests = [lambda user=user: write(world, user, "new") for user in USERS]
        requests += [lambda user=user: read(world, user) for user in USERS]
        results = await in_one_batch(world, lambda: [request() for request in requests])
        for user, result in zip(USERS, results[: len(USERS)], strict=True):
            if user == POISONED:
                assert isinstance(result, DeviceError), result
            else:
                assert isinstance(result, WriteAnswer), result
        assert all(isinstance(result, ReadAnswer) for result in results[len(USERS) :]), results
        for user in USERS:
            answer = await read(world, user)
            fields = msgspec.json.decode(answer.record.fields)
            assert fields["bioDescription"] == ("old" if user == POISONED else "new")

    in_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("deployment", [SQLITE, POSTGRES], indirect=True)
def test_item_that_cannot_be_prepared_harms_only_itself(deployment: Deployment, tmp_path: Path) -> None:
    def poisoned(state: State, at_ms: int) -> Prepared:
        raise ValueError("poisoned")

    async def work(world: World) -> None:
        for user in USERS:
            await write(world, user, "old")
        results = await in_one_batch(
            world, lambda: [read(world, USERS[0]), world.gate.singles.submit(poisoned), read(world, USERS[1])]
        )
        assert isinstance(results[1], UnavailableError)
        assert isinstance(results[0], ReadAnswer)
        assert isinstance(results[2], ReadAnswer)

    in_world(deployment, work)
    verified(deployment, tmp_path / "bundle")
