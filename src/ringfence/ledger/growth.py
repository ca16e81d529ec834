"""The right edge of a tree's files in memory: what must be known of them to write the next ones.

Rules of this file:
1. It holds the partial tile of each level and the partial entry bundle, so appending reads no file.
2. Full tiles are given as they fill up; partial ones only when asked for, so that a tree that is rebuilt from its
   beginning never has partial tiles of sizes that no checkpoint ever had.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.merkle import Frontier, hash_leaf
from ringfence.core.ledger.tiles import (
    ENTRIES_LEVEL,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    encode_bundle,
    frontier_from_tiles,
    grow_tiles,
    parse_tile,
)
from ringfence.ledger.tree_reader import TreeReader


class Growth:
    """A tree of `frontier.size` leaves that grows."""

    def __init__(self) -> None:
        self.frontier = Frontier()
        self._partials: dict[int, bytes] = {}
        self._entries: list[bytes] = []

    @classmethod
    def load(cls, tree: TreeReader, *, size: int, root: bytes) -> Growth:
        """Give the growth of a tree that lies in files, its right edge held against its root.

        Raises:
            ProofInvalidError: a tile or bundle at the right edge is missing or is not what the root vouches for.
        """
        growth = cls()

        def read_tile(level: int, index: int, width: int) -> bytes:
            growth._partials[level] = tree.read_tile(level, index, width)
            return growth._partials[level]

        growth.frontier = frontier_from_tiles(read_tile, size=size)
        found = growth.frontier.root()
        if found != root:
            raise ProofInvalidError("the tiles give another root", place="tile", expected=root.hex(), found=found.hex())
        index, width = divmod(size, TILE_WIDTH)
        if width:
            growth._entries = tree.read_entries(index, width)
            hashes = parse_tile(growth._partials[0], width=width)
            if [*map(hash_leaf, growth._entries)] != hashes:
                raise ProofInvalidError(
                    "the entries are not those of their tile", place=Tile(ENTRIES_LEVEL, index, width).path
                )
        return growth

    def append(self, leaves: Sequence[bytes], hashes: Sequence[bytes]) -> list[tuple[Tile, bytes]]:
        """Append leaves, whose hashes are given, and give the tiles and entry bundles that became full."""
        old_size = self.frontier.size
        full: list[tuple[Tile, bytes]] = []
        entries = [*self._entries, *leaves]
        whole = len(entries) - len(entries) % TILE_WIDTH
        for at in range(0, whole, TILE_WIDTH):
            tile = Tile(ENTRIES_LEVEL, (old_size + at) // TILE_WIDTH)
            full.append((tile, encode_bundle(entries[at : at + TILE_WIDTH])))
        tiles, self.frontier = grow_tiles(self._read_partial, old_size=old_size, leaf_hashes=hashes)
        self._entries = entries[whole:]
        for tile, data in tiles:
            if tile.is_full:
                full.append((tile, data))
                self._partials.pop(tile.level, None)
            else:
                self._partials[tile.level] = data
        return full

    def partials(self) -> list[tuple[Tile, bytes]]:
        """Give the partial tiles and the partial entry bundle of the present size."""
        size = self.frontier.size
        given: list[tuple[Tile, bytes]] = []
        if self._entries:
            tile = Tile(ENTRIES_LEVEL, size // TILE_WIDTH, len(self._entries))
            given.append((tile, encode_bundle(self._entries)))
        for level, data in sorted(self._partials.items()):
            index, width = divmod(size >> TILE_HEIGHT * level, TILE_WIDTH)
            given.append((Tile(level, index, width), data))
        return given

    def _read_partial(self, level: int, index: int, width: int) -> bytes:
        del index, width  # one partial tile a level, and it has this index and width
        return self._partials[level]
