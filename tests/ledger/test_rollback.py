"""A database that is older than what was shown, or another one, is refused with both sizes; the newest is taken."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.errors import IntegrityError, RollbackError
from ringfence.ledger.rollback import verify_not_rolled_back
from ringfence.ledger.tree_reader import TreeReader
from ringfence.vault.sqlite import SqliteStore
from tests.ledger.tree import make_sequencer, sequence
from tests.ledger.writer import VERIFIER, LedgerWriter


class Backup:
    """A database, an older copy of it, and the tree that both belong to."""

    def __init__(self, run: Any, directory: Path) -> None:
        self.run = run
        self.directory = directory
        self.tree = directory / "tree"

    def write(self, name: str, batches: int, tree: Path, *, begin: bool = False) -> int:
        """Write some batches, sequence them, and give the tree's size."""
        size: int = self.run(self._write(name, batches, tree, begin))
        return size

    async def _write(self, name: str, batches: int, tree: Path, begin: bool) -> int:
        store = SqliteStore(self.directory / name, checkpoint_interval_seconds=0)
        if begin:
            await store.create()
        await store.open()
        writer = LedgerWriter(store)
        if begin:
            await writer.begin(1, engine=NEWEST_ENGINE)
        else:
            writer.epoch = await store.epoch()
            writer.heads = {head.lane: head for head in await store.lanes()}
            writer.epochs = {0: writer.epoch - 1, 1: writer.epoch}
            writer.sealed = {lane: head.n for lane, head in writer.heads.items()}
            writer.entries = 1000 if name == "new.db" else 2000
        for _ in range(batches):
            await writer.access(1)
            await writer.seal(1)
        progress = await sequence(store, tree)
        await store.close()
        return progress.size

    def copy(self, source: str, target: str) -> None:
        shutil.copy(self.directory / source, self.directory / target)

    def start(self, name: str) -> None:
        """Start a sequencer and do as a gateway does at its start."""

        async def start() -> None:
            store = SqliteStore(self.directory / name)
            await store.open()
            sequencer = make_sequencer(store, self.tree)
            try:
                await sequencer.open()
                await sequencer.run_round()
            finally:
                await sequencer.close()
                await store.close()

        self.run(start())

    def check(self, name: str) -> None:
        async def check() -> None:
            store = SqliteStore(self.directory / name)
            await store.open()
            try:
                await verify_not_rolled_back(store, TreeReader.in_directory(self.tree), log_key=VERIFIER)
            finally:
                await store.close()

        self.run(check())


@pytest.fixture
def backup(run: Any, tmp_path: Path) -> Backup:
    """`new.db` is a growth of `old.db`; the tree shows all of it."""
    backup = Backup(run, tmp_path)
    backup.write("new.db", 2, backup.tree, begin=True)
    backup.copy("new.db", "old.db")
    backup.write("new.db", 3, backup.tree)
    return backup


def test_newest_database_is_taken(backup: Backup) -> None:
    backup.check("new.db")
    backup.start("new.db")
    backup.check("new.db")


def test_older_database_is_refused_with_both_sizes(backup: Backup) -> None:
    for refuse in (backup.start, backup.check):
        with pytest.raises(RollbackError, match=r"has 11 leaves, and a checkpoint of 18 leaves"):
            refuse("old.db")


@pytest.mark.parametrize("batches", [3, 4], ids=["to the same size", "to a larger size"])
def test_older_database_that_grew_otherwise_is_refused(backup: Backup, batches: int) -> None:
    size = backup.write("old.db", batches, backup.directory / "other tree")
    assert size == 11 + 2 * batches + 1
    for refuse in (backup.start, backup.check):
        with pytest.raises(RollbackError, match=f"ledger of {size} leaves is not a growth of the checkpoint of 18"):
            refuse("old.db")


def test_other_ledger_is_refused_when_the_tiles_are_rebuilt(backup: Backup) -> None:
    backup.write("old.db", 3, backup.directory / "other tree")
    backup.write("old.db", 1, backup.directory / "other tree")
    shutil.rmtree(backup.tree / "tile")
    with pytest.raises(RollbackError, match="ledger of 21 leaves is not a growth of the checkpoint of 18"):
        backup.start("old.db")
    backup.start("new.db")


def test_growth_that_was_not_shown_yet_is_taken(backup: Backup) -> None:
    shutil.copytree(backup.tree, backup.directory / "older tree")
    backup.write("new.db", 2, backup.tree)
    shutil.rmtree(backup.tree)
    (backup.directory / "older tree").rename(backup.tree)
    backup.check("new.db")
    backup.start("new.db")


def test_rollback_is_refused_even_when_the_tree_directory_is_gone(backup: Backup) -> None:
    """The store's own newest checkpoint is a second memory, against a tree head set back by itself."""
    backup.run(keep_newest_checkpoint(backup))
    shutil.rmtree(backup.tree)
    for refuse in (backup.start, backup.check):
        with pytest.raises(RollbackError, match="has 11 leaves, and a checkpoint of 18"):
            refuse("old.db")


def test_other_ledger_of_the_same_size_is_refused_even_when_the_tree_directory_is_gone(backup: Backup) -> None:
    backup.write("old.db", 3, backup.directory / "other tree")
    backup.run(keep_newest_checkpoint(backup))
    shutil.rmtree(backup.tree)
    for refuse in (backup.start, backup.check):
        with pytest.raises(RollbackError, match="ledger of 18 leaves is not a growth of the checkpoint of 18"):
            refuse("old.db")


async def keep_newest_checkpoint(backup: Backup) -> None:
    """Give the older database the newest checkpoint of the newer one."""
    store = SqliteStore(backup.directory / "new.db")
    older = SqliteStore(backup.directory / "old.db")
    await store.open()
    await older.open()
    newest = await store.newest_checkpoint()
    assert newest is not None
    await older.put_checkpoint(*newest)
    await older.close()
    await store.close()


def test_database_put_back_under_a_running_sequencer_is_refused(run: Any, backup: Backup) -> None:
    async def scenario() -> None:
        store = SqliteStore(backup.directory / "new.db")
        older = SqliteStore(backup.directory / "old.db")
        await store.open()
        await older.open()
        stores: list[SqliteStore] = [store]

        class Swapped:
            def __getattr__(self, name: str) -> Any:
                return getattr(stores[-1], name)

        sequencer = make_sequencer(Swapped(), backup.tree)
        await sequencer.open()
        await sequencer.run_round()
        stores.append(older)
        try:
            with pytest.raises(RollbackError, match="has 11 leaves"):
                await sequencer.run_round()
            with pytest.raises(RollbackError, match="has 11 leaves"):
                await sequencer.run_round()
        finally:
            await sequencer.close()
            await older.close()
            await store.close()

    run(scenario())


def test_forged_checkpoint_file_is_refused(backup: Backup) -> None:
    checkpoint = backup.tree / "checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n18\n", b"\n11\n"))
    for refuse in (backup.start, backup.check):
        with pytest.raises(IntegrityError, match="not this log's"):
            refuse("old.db")
