"""The copy of the newest checkpoint: an older database is refused though the tree's own checkpoint went with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.errors import IntegrityError, RollbackError
from ringfence.ledger.rollback import verify_not_rolled_back
from ringfence.ledger.shown import ShownCheckpoint
from ringfence.ledger.tree_reader import TreeReader
from ringfence.vault.sqlite import SqliteStore
from tests.ledger.test_rollback import Backup
from tests.ledger.tree import make_sequencer
from tests.ledger.writer import VERIFIER


class Copied:
    """A newer and an older database, the tree of the newer one, and the copy of its checkpoint."""

    def __init__(self, run: Any, directory: Path) -> None:
        self.run = run
        self.backup = Backup(run, directory)
        self.tree = self.backup.tree
        self.path = directory / "shown-checkpoint"
        self.backup.write("new.db", 2, self.tree, begin=True)
        self.backup.copy("new.db", "old.db")
        self.backup.write("new.db", 3, self.tree)
        self.start("new.db")

    def _copy(self) -> ShownCheckpoint:
        return ShownCheckpoint(self.path, log_key=VERIFIER)

    def start(self, name: str) -> None:
        """Start a sequencer."""

        async def work(store: SqliteStore) -> None:
            sequencer = make_sequencer(store, self.tree, copy=self._copy())
            try:
                await sequencer.open()
                await sequencer.run_round()
            finally:
                await sequencer.close()

        self._with(name, work)

    def check(self, name: str) -> None:
        """Do as a gateway does at its start."""

        async def work(store: SqliteStore) -> None:
            tree = TreeReader.in_directory(self.tree)
            await verify_not_rolled_back(store, tree, log_key=VERIFIER, copied=self._copy().read())

        self._with(name, work)

    def _with(self, name: str, work: Any) -> None:
        async def run() -> None:
            store = SqliteStore(self.backup.directory / name)
            await store.open()
            try:
                await work(store)
            finally:
                await store.close()

        self.run(run())

    def size(self) -> int:
        found = self._copy().read()
        assert found is not None
        return found.size


@pytest.fixture
def copied(run: Any, tmp_path: Path) -> Copied:
    return Copied(run, tmp_path)


def lose_checkpoint(tree: Path) -> None:
    """Take the newest checkpoint away."""
    (tree / "checkpoint").unlink()


def lose_tree(tree: Path) -> None:
    """Take everything away."""
    shutil.rmtree(tree)


@pytest.mark.parametrize("lose", [lose_checkpoint, lose_tree])
def test_older_database_is_refused_though_the_tree_lost_its_checkpoint(copied: Copied, lose: Any) -> None:
    lose(copied.tree)
    for refuse in (copied.check, copied.start):
        with pytest.raises(RollbackError, match="has 11 leaves, and a checkpoint of 18 leaves"):
            refuse("old.db")


def test_other_history_is_refused_though_the_tree_lost_its_checkpoint(copied: Copied) -> None:
    copied.backup.write("old.db", 5, copied.backup.directory / "other tree")
    lose_tree(copied.tree)
    for refuse in (copied.check, copied.start):
        with pytest.raises(RollbackError, match="is not a growth of the checkpoint of 18"):
            refuse("old.db")


def test_other_history_with_its_own_signed_tree_is_refused(copied: Copied) -> None:
    """What a sequencer signed that was fooled: its own tree and database agree, and the copy was there before."""
    other = copied.backup.directory / "other tree"
    copied.backup.write("old.db", 5, other)
    lose_tree(copied.tree)
    other.rename(copied.tree)
    for refuse in (copied.check, copied.start):
        with pytest.raises(IntegrityError, match="is not a growth of the one of 18 leaves"):
            refuse("old.db")


@pytest.mark.parametrize("lose", [lose_checkpoint, lose_tree])
def test_newest_database_is_taken_and_its_tree_made_anew(copied: Copied, lose: Any) -> None:
    lose(copied.tree)
    copied.check("new.db")
    copied.start("new.db")
    copied.check("new.db")
    assert copied.size() == 18


def test_database_and_tree_that_grew_are_taken(copied: Copied) -> None:
    assert copied.size() == 18
    copied.backup.write("new.db", 300, copied.tree)
    copied.check("new.db")
    copied.start("new.db")
    assert copied.size() > 600


def test_copy_is_never_of_a_smaller_tree_and_is_for_its_owner_alone(copied: Copied, tmp_path: Path) -> None:
    older = copied.path.read_bytes()
    copied.backup.write("new.db", 1, copied.tree)
    copied.start("new.db")
    grown = copied.size()
    assert grown > 18

    ShownCheckpoint(copied.path, log_key=VERIFIER).keep(older)

    assert copied.size() == grown
    assert copied.path.stat().st_mode & 0o077 == 0


def test_forged_copy_is_refused(copied: Copied) -> None:
    copied.path.write_bytes(copied.path.read_bytes().replace(b"\n18\n", b"\n11\n"))
    for refuse in (copied.check, copied.start):
        with pytest.raises(IntegrityError, match="the copy of the newest checkpoint is not this log's"):
            refuse("new.db")
