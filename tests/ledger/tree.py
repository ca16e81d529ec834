"""Reads a tree directory back, and an independent reading of what order its leaves may have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringfence.core.ledger import entry as e
from ringfence.core.ledger.checkpoint import open_checkpoint
from ringfence.core.ledger.merkle import hash_leaf, root_of
from ringfence.core.ports import Store
from ringfence.ledger.disk import Disk
from ringfence.ledger.sequencer import Progress, Sequencer, SequencerLimits
from ringfence.ledger.tree_reader import TreeReader
from tests.core.ledger.standard_tiles import bundles_of, tiles_of
from tests.ledger.writer import LOG_KEY, ORIGIN, START_MS, VERIFIER

NOW_MS = START_MS + 3_600_000


def make_sequencer(store: Store, directory: Path, **changes: Any) -> Sequencer:
    clock_ms: Callable[[], int] = changes.pop("clock_ms", lambda: NOW_MS)
    limits = SequencerLimits(**changes.pop("limits", {}))
    return Sequencer(
        store, tree_directory=directory, key=LOG_KEY, origin=ORIGIN, clock_ms=clock_ms, limits=limits, **changes
    )


async def sequence(store: Store, directory: Path, *, disk: Disk | None = None, **limits: int) -> Progress:
    """A sequencer's whole life: start, rounds until nothing sealed is left, end."""
    return await sequence_at(NOW_MS, store, directory, disk=disk, **limits)


async def sequence_at(
    now_ms: int, store: Store, directory: Path, *, disk: Disk | None = None, **limits: int
) -> Progress:
    """Do as `sequence` does, at another time."""
    sequencer = make_sequencer(store, directory, disk=disk, limits=limits, clock_ms=lambda: now_ms)
    try:
        await sequencer.open()
        progress = await sequencer.run_round()
        while progress.more:
            progress = await sequencer.run_round()
        return progress
    finally:
        await sequencer.close()


def read_leaves(directory: Path) -> list[bytes]:
    """Every leaf under the newest checkpoint, its signatures and its root checked; none before the first."""
    tree = TreeReader.in_directory(directory)
    note = tree.read_checkpoint()
    if note is None:
        return []
    checkpoint = open_checkpoint(note, log_key=VERIFIER).checkpoint
    leaves = [leaf for bundle in tree.iterate_entries(start=0, size=checkpoint.size) for leaf in bundle]
    assert len(leaves) == checkpoint.size
    assert root_of(map(hash_leaf, leaves)) == checkpoint.root
    return leaves


def read_files(directory: Path) -> dict[str, bytes]:
    """The files that a tree of this size needs, but for the checkpoint, whose time differs."""
    tree = TreeReader.in_directory(directory)
    note = tree.read_checkpoint()
    size = open_checkpoint(note, log_key=VERIFIER).checkpoint.size if note else 0
    return {tile.path: (directory / tile.path).read_bytes() for tile in [*tiles_of(size), *bundles_of(size)]}


def check_order(leaves: list[bytes]) -> list[tuple[int, int]]:
    """Walk the leaves by the order that the ledger promises; give the batches in the order they came."""
    batches: list[tuple[int, int]] = []
    epoch, position = 0, 0
    newest: dict[int, int] = {}
    sealed: dict[int, int] = {}
    while position < len(leaves):
        leaf = e.parse_entry(leaves[position])
        position += 1
        if isinstance(leaf, e.Seal):
            assert leaf.n == newest[leaf.lane], "a seal is not of the lane's newest batch"
            assert sealed.get(leaf.lane, 0) < leaf.n, "a seal seals nothing"
            sealed[leaf.lane] = leaf.n
            continue
        assert isinstance(leaf, e.Batch), "an entry stands outside of a batch"
        assert leaf.epoch == epoch, f"a batch of epoch {leaf.epoch} stands in epoch {epoch}"
        assert leaf.n == newest.get(leaf.lane, 0) + 1, "a lane has a gap"
        newest[leaf.lane] = leaf.n
        batches.append((leaf.lane, leaf.n))
        entries = [e.parse_entry(entry) for entry in leaves[position : position + leaf.count]]
        position += leaf.count
        if any(isinstance(entry, e.RULE_TYPES) for entry in entries):
            others = {lane: n for lane, n in newest.items() if lane != leaf.lane}
            assert others == {lane: sealed.get(lane) for lane in others}, "an epoch ends with a lane unsealed"
            assert sealed.get(leaf.lane, 0) == leaf.n - 1, "an epoch ends with its writer unsealed"
            following = e.parse_entry(leaves[position])
            assert isinstance(following, e.Seal), "a rule is not followed by its seal"
            assert (following.lane, following.n) == (leaf.lane, leaf.n), "a rule is followed by another seal"
            epoch += 1
    assert newest == sealed, "the tree ends with a lane unsealed"
    return batches
