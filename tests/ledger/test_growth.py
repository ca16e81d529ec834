"""A tree's files are the same whichever steps it grew by, and are those that the standard names."""

from __future__ import annotations

import pytest

from ringfence.core.ledger.merkle import Frontier, hash_leaf
from ringfence.core.ledger.tiles import ENTRIES_LEVEL, Tile, encode_bundle, parse_tile
from ringfence.ledger.growth import Growth
from tests.core.ledger.standard_tiles import bundles_of, tiles_of

LEAVES = [str(number).encode() for number in range(1100)]
HASHES = [*map(hash_leaf, LEAVES)]


@pytest.mark.parametrize("steps", [[1100], [255, 1, 1, 843], [256, 512, 332], [1, 300, 0, 799], [600, 168, 1, 331]])
def test_tree_has_the_same_files_whichever_steps_it_grew_by(steps: list[int]) -> None:
    growth, files, size = Growth(), {}, 0
    for step in steps:
        files.update(growth.append(LEAVES[size : size + step], HASHES[size : size + step]))
        size += step

    assert all(tile.is_full for tile in files)
    files.update(growth.partials())
    assert files.keys() == {*tiles_of(size), *bundles_of(size)}
    assert growth.frontier == Frontier().append_many(HASHES)
    for tile, data in files.items():
        first = 256 * tile.index
        if tile.level == ENTRIES_LEVEL:
            assert data == encode_bundle(LEAVES[first:][: tile.width])
        if tile.level == 0:
            assert parse_tile(data, width=tile.width) == HASHES[first:][: tile.width]


def test_full_tile_is_given_once_and_is_no_partial_one_afterwards() -> None:
    growth = Growth()
    growth.append(LEAVES[:255], HASHES[:255])

    full = growth.append(LEAVES[255:256], HASHES[255:256])
    assert [tile for tile, _ in full] == [Tile(ENTRIES_LEVEL, 0), Tile(0, 0)]
    assert [tile for tile, _ in growth.partials()] == [Tile(1, 0, 1)]
    assert growth.append([], []) == []
