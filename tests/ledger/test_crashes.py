"""A sequencer that dies at any step leaves a tree that is right as it stands, and that the next one completes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.errors import DeviceError, UnavailableError
from ringfence.ledger.disk import Disk
from ringfence.vault.sqlite import SqliteStore
from tests.ledger.faults import AFTER, BEFORE, TORN, CrashError, FailingDisk, FailingStore, Steps
from tests.ledger.tree import check_order, make_sequencer, read_files, read_leaves, sequence
from tests.ledger.writer import LedgerWriter

MEMORY = Path("/dev/shm")


@pytest.fixture
def workplace() -> Iterator[Path]:
    """A directory in memory where there is one: hundreds of synced steps are slow on a disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        yield Path(directory)


async def open_store(directory: Path) -> SqliteStore:
    store = SqliteStore(directory / "ringfence.db", checkpoint_interval_seconds=0)
    await store.open()
    return store


async def write_history(directory: Path, *, sequenced: bool) -> None:
    """A ledger of two lanes: some of it in the tree, more stored. The second part fills a tile and ends an epoch."""
    directory.mkdir()
    store = SqliteStore(directory / "ringfence.db", checkpoint_interval_seconds=0)
    await store.create()
    await store.open()
    writer = LedgerWriter(store)
    await writer.begin(1, 2, engine=NEWEST_ENGINE)
    await writer.access(1, 200)
    await writer.seal(1)
    if sequenced:
        await sequence(store, directory / "tree")
    await writer.access(2, 60)
    await writer.seal(2)
    await writer.open_key_epoch(1)
    await writer.access(1, 10)
    await writer.seal(1)
    await store.close()


async def crash(directory: Path, steps: Steps) -> None:
    store = await open_store(directory)
    sequencer = make_sequencer(
        FailingStore(store, steps), directory / "tree", disk=FailingDisk(steps), limits={"leaves_per_round_max": 100}
    )
    with contextlib.suppress(CrashError):
        await sequencer.open()
        while (await sequencer.run_round()).more:
            pass
    await sequencer.close()
    await store.close()


async def finish(directory: Path) -> None:
    store = await open_store(directory)
    await sequence(store, directory / "tree")
    await store.close()


def list_crashes(names: list[str]) -> list[tuple[int, str]]:
    endings = [(at, when) for at in range(len(names)) for when in (BEFORE, AFTER)]
    return endings + [(at, TORN) for at, name in enumerate(names) if name == "disk.write_all"]


@pytest.mark.parametrize("sequenced", [True, False], ids=["a tree that grows", "a first tree"])
def test_crash_at_any_step_gives_the_same_tree(workplace: Path, sequenced: bool) -> None:
    origin = workplace / "origin"
    asyncio.run(write_history(origin, sequenced=sequenced))
    whole = workplace / "whole"
    shutil.copytree(origin, whole)
    steps = Steps()
    asyncio.run(crash(whole, steps))
    expected, leaves = read_files(whole / "tree"), read_leaves(whole / "tree")
    shown_before = read_leaves(origin / "tree")
    assert {"store.commit_tree", "store.put_checkpoint", "disk.rename checkpoint"} <= set(steps.names)
    assert sequenced == ("disk.remove_directory" in steps.names and len(shown_before) > 0)

    for at, when in list_crashes(steps.names):
        directory = workplace / "crashed"
        shutil.copytree(origin, directory)
        asyncio.run(crash(directory, Steps(at, when)))
        shown = read_leaves(directory / "tree")
        check_order(shown)
        assert shown[: len(shown_before)] == shown_before, (at, when)

        asyncio.run(finish(directory))

        place = f"crash {when} step {at}, {steps.names[at]}"
        assert read_files(directory / "tree") == expected, place
        assert read_leaves(directory / "tree") == leaves, place
        assert not (directory / "tree/tile/0/000.p").exists(), place
        assert not (directory / "tree/tile/entries/000.p").exists(), place
        shutil.rmtree(directory)


def test_tree_is_rebuilt_from_the_database_and_held_against_what_was_shown(workplace: Path) -> None:
    directory = workplace / "ledger"
    asyncio.run(write_history(directory, sequenced=True))
    asyncio.run(finish(directory))
    expected = read_files(directory / "tree")
    shutil.rmtree(directory / "tree/tile")

    asyncio.run(finish(directory))

    assert read_files(directory / "tree") == expected


class FullDisk(Disk):
    """A disk without room, until it is given some."""

    def __init__(self) -> None:
        self.full = True

    def write_all(self, files: Sequence[tuple[Path, bytes]]) -> None:
        if self.full:
            raise UnavailableError("no space left on device")
        super().write_all(files)


def test_full_disk_stops_publishing_and_room_mends_it(workplace: Path) -> None:
    directory = workplace / "ledger"
    asyncio.run(write_history(directory, sequenced=True))

    async def scenario() -> None:
        store = await open_store(directory)
        disk = FullDisk()
        sequencer = make_sequencer(store, directory / "tree", disk=disk)
        await sequencer.open()
        shown = read_leaves(directory / "tree")
        with pytest.raises(UnavailableError):
            await sequencer.run_round()
        with pytest.raises(UnavailableError):
            await sequencer.run_round()
        assert read_leaves(directory / "tree") == shown
        disk.full = False
        while (await sequencer.run_round()).more:
            pass
        await sequencer.close()
        assert len(read_leaves(directory / "tree")) == (await store.tree_head()).size
        await store.close()

    asyncio.run(scenario())


def test_failed_sync_is_not_tried_again(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(DeviceError, match="durable") as failure:
        Disk().write_all([(workplace / "file", b"bytes")])
    assert not isinstance(failure.value, UnavailableError)
    monkeypatch.undo()
    Disk().write_all([(workplace / "file", b"bytes")])
