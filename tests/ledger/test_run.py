"""The sequencer's loop: goes on by itself when a device comes back, and ends on anything worse."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.errors import IntegrityError, RingfenceError, UnavailableError
from ringfence.core.ports import CommitUnknownError, Store
from ringfence.ledger import sequencer as module
from ringfence.ledger.sequencer import Progress
from tests.ledger.tree import check_order, make_sequencer, read_leaves
from tests.ledger.writer import LedgerWriter


class Failing:
    """A store whose next reading of the lanes fails on order."""

    def __init__(self, store: Any, *failures: RingfenceError) -> None:
        self._store = store
        self._failures = list(failures)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def lanes(self) -> Any:
        if self._failures:
            raise self._failures.pop(0)
        return await self._store.lanes()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)


async def run_until_sealed(store: Any, tree: Path, ledger: LedgerWriter) -> list[str]:
    """Run the loop until lane 1's batch is in the tree; give what was reported as unavailable."""
    stop = asyncio.Event()
    unavailable: list[str] = []

    def report(progress: Progress) -> None:
        if (1, 1) in check_order(read_leaves(tree)):
            stop.set()

    sequencer = make_sequencer(store, tree, limits={"interval_seconds": 0.01})
    await sequencer.open()
    running = asyncio.create_task(
        sequencer.run(stop, report=report, report_unavailable=lambda error: unavailable.append(error.message))
    )
    try:
        await ledger.access(1)
        await ledger.seal(1)
        await running
    finally:
        await sequencer.close()
    return unavailable


def test_loop_goes_on_when_the_store_is_back(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    store = Failing(ledger.store, UnavailableError("the database is stopped"), UnavailableError("still stopped"))
    unavailable = run(run_until_sealed(store, tmp_path / "tree", ledger))
    assert unavailable == ["the database is stopped", "still stopped"]


@pytest.mark.parametrize("away", [False, True])
def test_loop_that_is_asked_to_stop_first_publishes_what_is_sealed(
    run: Any, ledger: LedgerWriter, tmp_path: Path, away: bool
) -> None:
    async def work() -> list[str]:
        stop = asyncio.Event()
        unavailable: list[str] = []
        failures = [UnavailableError("the database is stopped")] if away else []
        sequencer = make_sequencer(
            Failing(ledger.store, *failures), tmp_path / "tree", limits={"leaves_per_round_max": 1}
        )
        await sequencer.open()
        for lane in (1, 2):
            await ledger.access(lane)
            await ledger.seal(lane)
        stop.set()
        await sequencer.run(
            stop, report=lambda progress: None, report_unavailable=lambda error: unavailable.append(error.message)
        )
        await sequencer.close()
        return unavailable

    unavailable = run(work())

    published = set(check_order(read_leaves(tmp_path / "tree")))
    assert ({(1, 1), (2, 1)} <= published) is not away
    assert unavailable == (["the database is stopped"] if away else [])


def test_loop_ends_when_something_was_tampered_with(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    store = Failing(ledger.store, IntegrityError("a batch is not what a lane wrote"))
    with pytest.raises(IntegrityError):
        run(run_until_sealed(store, tmp_path / "tree", ledger))


class Forgetful:
    """A store whose connection breaks while the tree's head is committed: once with it stored, once without."""

    def __init__(self, store: Store, *, stored: bool) -> None:
        self._store = store
        self._stored = stored
        self._broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit_tree(self, **arguments: Any) -> bool:
        """Commit or not, and say that it is not known, the first time."""
        if self._broken:
            return await self._store.commit_tree(**arguments)
        self._broken = True
        if self._stored:
            await self._store.commit_tree(**arguments)
        raise CommitUnknownError("the connection was lost while committing")


@pytest.mark.parametrize("stored", [True, False])
def test_loop_goes_on_from_what_was_committed_when_that_was_not_known(
    run: Any, ledger: LedgerWriter, tmp_path: Path, stored: bool
) -> None:
    store = Forgetful(ledger.store, stored=stored)
    unavailable = run(run_until_sealed(store, tmp_path / "tree", ledger))
    assert unavailable == ["the connection was lost while committing"]
