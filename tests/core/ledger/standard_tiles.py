"""Which tiles a tree has, by the words of c2sp.org/tlog-tiles alone."""

from __future__ import annotations

from ringfence.core.ledger.tiles import ENTRIES_LEVEL, Tile


def tiles_of(size: int) -> list[Tile]:
    """Give the tiles of a tree, from level 0 up, each level from the left."""
    tiles: list[Tile] = []
    level = 0
    while hashes := size // 256**level:
        tiles += _row(level, hashes)
        level += 1
    return tiles


def bundles_of(size: int) -> list[Tile]:
    """Give the entry bundles of a tree, from the left."""
    return _row(ENTRIES_LEVEL, size)


def _row(level: int, count: int) -> list[Tile]:
    full = [Tile(level, index) for index in range(count // 256)]
    return [*full, Tile(level, len(full), count % 256)] if count % 256 else full
