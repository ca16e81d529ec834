"""The tree above the leaves: tiles of the higher levels, the root, and the roots of earlier checkpoints.

Rules of this file:
1. Each tile must be what the level below it hashes to; level 0 was held against the leaves, part by part.
2. So the tiles are those of the leaves, and every root, of today or before, follows from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringfence.core.ledger.merkle import EMPTY_ROOT, subtree_root
from ringfence.core.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, fold_tile, node_reader_from_tiles
from ringfence.verify.bundle import Bundle
from ringfence.verify.checkpoints import Notes
from ringfence.verify.verdict import Findings

ROOTS_PER_READER: Final = 64


class TileTower:
    """Checks the tiles of levels 1 and up as the hashes of the level below come in, from the left."""

    __slots__ = ("_bundle", "_done", "_findings", "_levels", "_size")

    def __init__(self, bundle: Bundle, *, size: int, findings: Findings) -> None:
        self._bundle = bundle
        self._size = size
        self._findings = findings
        self._levels: list[list[bytes]] = []
        self._done: list[int] = []

    def take(self, hashes: Sequence[bytes], *, level: int = 1) -> None:
        """Take the next hashes of a level.

        Raises:
            ProofInvalidError: a tile is missing or of a wrong length.
        """
        if not hashes:
            return
        if len(self._levels) < level:
            self._levels.append([])
            self._done.append(0)
        waiting = self._levels[level - 1]
        waiting += hashes
        roots: list[bytes] = []
        while len(waiting) >= TILE_WIDTH:
            full = waiting[:TILE_WIDTH]
            del waiting[:TILE_WIDTH]
            self._check(level, full)
            roots.append(fold_tile(full))
        self.take(roots, level=level + 1)

    def close(self) -> None:
        """Check the partial tiles at the right edge.

        Raises:
            ProofInvalidError: a tile is missing or of a wrong length.
        """
        for level, waiting in enumerate(self._levels, start=1):
            if waiting:
                self._check(level, waiting)

    def _check(self, level: int, hashes: Sequence[bytes]) -> None:
        tile = Tile(level, self._done[level - 1], len(hashes))
        self._done[level - 1] += 1
        if self._bundle.read_tile_hashes(tile) != list(hashes):
            leaf = tile.index * TILE_WIDTH << TILE_HEIGHT * level
            self._findings.refute(tile.path, "a tile is not what the level below it hashes to", leaf=leaf)


def check_roots(bundle: Bundle, notes: Notes, findings: Findings) -> None:
    """Hold the root of the newest checkpoint, and of every earlier one, against the tree.

    Raises:
        ProofInvalidError: a tile is missing or of a wrong length.
    """
    newest = notes.newest.checkpoint
    claims = [("checkpoint", newest.size, newest.root)]
    claims += [(item.place, item.signed.checkpoint.size, item.signed.checkpoint.root) for item in notes.earlier]
    for first in range(0, len(claims), ROOTS_PER_READER):
        read_node = node_reader_from_tiles(bundle.read_tile, size=newest.size)
        for place, size, root in claims[first : first + ROOTS_PER_READER]:
            found = subtree_root(read_node, start=0, end=size) if size else EMPTY_ROOT
            if found != root:
                what = "the leaves do not hash to the root that the log signed"
                if place != "checkpoint":
                    what = f"the tree is no growth of the one of {size} leaves that the log signed before"
                findings.refute(place, what, expected=root.hex(), found=found.hex())
