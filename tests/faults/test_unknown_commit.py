"""A commit of which the database did not tell whether it was done: settled by (lane, n) before another is written.

Reads of such a batch are never answered, whichever it was; writes are answered by what the database then has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.errors import IntegrityError, NotFoundError, RingfenceError, UnavailableError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import CommitUnknownError, Rows, StoredBatch, Transaction
from ringfence.services.custody.erasing import ErasureAnswer, erase_user
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import ReadAnswer, read_record
from ringfence.services.custody.writing import WriteAnswer, WriteItem, write_records
from tests.faults.load import read_entries
from tests.services.world import World, in_world, verified
from tests.stores import POSTGRES, SQLITE

USER = "ada"
both_stores = pytest.mark.parametrize("deployment", [SQLITE, POSTGRES], indirect=True)
either_way = pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])


class Wire:
    """The way to a world's store: it breaks while the next batch is committed, and stays broken for some questions.

    Args:
        stored: whether the batch reaches the store before the way breaks.
        questions: how many questions about the batch fail before one is answered.
    """

    def __init__(self, world: World, *, stored: bool, questions: int = 0) -> None:
        self._store = world.runtime.store
        self._transact, self._find_batch = self._store.transact, self._store.find_batch
        self._stored, self._questions = stored, questions
        self.other: StoredBatch | None = None
        self.settling = asyncio.Event()
        self._store.transact = self._break  # type: ignore[method-assign]
        self._store.find_batch = self._find  # type: ignore[method-assign]

    async def _break(self, transaction: Transaction) -> Rows:
        self._store.transact = self._transact  # type: ignore[method-assign]
        if self._stored:
            await self._transact(transaction)
        raise CommitUnknownError("the connection was lost while committing")

    async def _find(self, lane: int, n: int) -> StoredBatch | None:
        self.settling.set()
        if self._questions:
            self._questions -= 1
            raise UnavailableError("the database is away")
        return self.other or await self._find_batch(lane, n)


def write(world: World, text: str) -> Awaitable[WriteAnswer]:
    """Store the user's profile."""
    item = WriteItem(USER, "profile", "self", {"userName": USER, "bioDescription": text})
    return write_records(world.gate, world.caller("app"), purpose="serve_user", items=[item])


def read(world: World) -> Awaitable[ReadAnswer]:
    """Read the user's profile."""
    name = RecordName(USER, "profile", "self")
    return read_record(world.gate, world.caller("app"), purpose="serve_user", name=name)


def erase(world: World) -> Awaitable[ErasureAnswer]:
    """Erase the user, who asked for it."""
    return erase_user(world.gate, world.caller("staff"), purpose="user_request", user=USER)


async def outcome(request: Awaitable[Any]) -> Any:
    """Give what a request came to, its error included."""
    try:
        return await request
    except RingfenceError as error:
        return error


async def stored_text(world: World) -> str:
    """Give the text that is stored; asked on the lane that the break was on, so that it must go on."""
    fields = msgspec.json.decode((await read(world)).record.fields)
    return str(fields["bioDescription"])


@both_stores
@either_way
def test_write_is_answered_by_what_the_database_has(deployment: Deployment, tmp_path: Path, stored: bool) -> None:
    async def work(world: World) -> None:
        await write(world, "old")
        n = world.gate.singles.head.n
        Wire(world, stored=stored)
        answer = await outcome(write(world, "new"))
        assert isinstance(answer, WriteAnswer if stored else UnavailableError), answer
        assert world.gate.singles.head.n == (n + 1 if stored else n)
        assert await stored_text(world) == ("new" if stored else "old")
        await write(world, "newest")
        assert await stored_text(world) == "newest"

    in_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


@both_stores
@either_way
def test_read_is_not_answered_and_its_entry_is_there_only_if_it_was_stored(
    deployment: Deployment, tmp_path: Path, stored: bool
) -> None:
    async def work(world: World) -> None:
        await write(world, "old")
        Wire(world, stored=stored)
        answer = await outcome(read(world))
        assert isinstance(answer, UnavailableError), answer
        assert "nothing was released" in answer.message
        assert await stored_text(world) == "old"

    in_world(deployment, work)
    reads = [entry for entry in read_entries(deployment) if isinstance(entry, e.Access) and entry.verb == "read"]
    assert len(reads) == (2 if stored else 1)
    verified(deployment, tmp_path / "bundle")


@both_stores
@either_way
def test_erasure_is_answered_by_what_the_database_has(deployment: Deployment, tmp_path: Path, stored: bool) -> None:
    async def work(world: World) -> None:
        await write(world, "old")
        Wire(world, stored=stored)
        answer = await outcome(erase(world))
        assert isinstance(answer, ErasureAnswer if stored else UnavailableError), answer
        if stored:
            with pytest.raises(NotFoundError):
                await read(world)
        else:
            assert await stored_text(world) == "old"

    in_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


@both_stores
@either_way
def test_nothing_is_written_before_the_database_answers_and_who_waits_is_told(
    deployment: Deployment, tmp_path: Path, stored: bool
) -> None:
    async def work(world: World) -> None:
        await write(world, "old")
        n = world.gate.singles.head.n
        wire = Wire(world, stored=stored, questions=3)
        broken = asyncio.ensure_future(outcome(write(world, "new")))
        await wire.settling.wait()
        waiting = await outcome(read(world))
        assert isinstance(waiting, UnavailableError), waiting
        assert world.gate.singles.head.n == n
        assert isinstance(await broken, WriteAnswer if stored else UnavailableError)
        assert await stored_text(world) == ("new" if stored else "old")

    in_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


@both_stores
def test_lane_that_finds_another_batch_in_its_place_writes_no_more(deployment: Deployment) -> None:
    async def work(world: World) -> None:
        await write(world, "old")
        store, writer = world.runtime.store, world.gate.singles
        wire = Wire(world, stored=True)
        wire.other = await store.find_batch(0, 1)
        for request in (write(world, "new"), read(world)):
            assert isinstance(await outcome(request), IntegrityError)
        assert isinstance(writer.failure, IntegrityError)

    in_world(deployment, work)
