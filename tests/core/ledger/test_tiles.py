"""Tiles, bundles and their paths; the tree in every tile is held against the plain one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.merkle import (
    Frontier,
    hash_leaf,
    node_reader_of,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from ringfence.core.ledger.tiles import (
    ENTRIES_LEVEL,
    Tile,
    encode_bundle,
    fold_tile,
    frontier_from_tiles,
    grow_tiles,
    node_reader_from_tiles,
    parse_bundle,
    parse_tile,
    parse_tile_path,
    prove_consistency_from_tiles,
    prove_inclusion_from_tiles,
)
from tests.core.ledger.standard_tiles import tiles_of

SIZES = [1, 2, 3, 5, 128, 254, 255, 256, 257, 300, 511, 512, 513, 1000, 65535, 65536, 65537, 70000]
LEAVES = [hash_leaf(number.to_bytes(4, "big")) for number in range(max(SIZES))]


class TileStore:
    """A log's tiles in memory: every partial one that was ever written stays readable."""

    def __init__(self) -> None:
        self.tiles: dict[Tile, bytes] = {}
        self.frontier = Frontier()

    def read(self, level: int, index: int, width: int) -> bytes:
        return self.tiles[Tile(level, index, width)]

    def grow_to(self, size: int) -> list[Tile]:
        old_size = self.frontier.size
        written, self.frontier = grow_tiles(self.read, old_size=old_size, leaf_hashes=LEAVES[old_size:size])
        self.tiles.update(written)
        return [tile for tile, _ in written]


@pytest.fixture(scope="module")
def store() -> TileStore:
    """A log that grew through every size in turn."""
    store = TileStore()
    for size in SIZES:
        store.grow_to(size)
    return store


def test_paths_are_those_of_the_standard() -> None:
    cases = {
        Tile(0, 0): "tile/0/000",
        Tile(1, 0, 17): "tile/1/000.p/17",
        Tile(0, 273, 112): "tile/0/273.p/112",
        Tile(0, 1234067): "tile/0/x001/x234/067",
        Tile(2, 1000, 1): "tile/2/x001/000.p/1",
        Tile(ENTRIES_LEVEL, 999, 255): "tile/entries/999.p/255",
        Tile(ENTRIES_LEVEL, 123456789): "tile/entries/x123/x456/789",
    }
    for tile, path in cases.items():
        assert tile.path == path
        assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/00/001",
        "tile/8/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/-1",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/0/\u0660\u0661\u0662",
        "tile/7/128",  # more leaves than a tree may have
        "tile/0/" + "x999/" * 9 + "999",
    ],
)
def test_other_spellings_of_a_path_are_refused(path: str) -> None:
    with pytest.raises(ProofInvalidError):
        parse_tile_path(path)


@given(st.integers(0, 6), st.integers(0, 10**9), st.integers(1, 256), st.booleans())
def test_every_path_reads_back(level: int, index: int, width: int, entries: bool) -> None:
    tile = Tile(ENTRIES_LEVEL if entries else level, index % (256 ** (7 - level) // 4), width)

    assert parse_tile_path(tile.path) == tile


@given(st.text(max_size=80) | st.from_regex(r"tile/(entries|[0-9]{1,2})(/x?[0-9]{1,4}){1,7}(\.p/[0-9]{1,4})?"))
def test_any_text_is_a_tile_path_or_refused(path: str) -> None:
    try:
        tile = parse_tile_path(path)
    except ProofInvalidError:
        return
    assert tile.path == path


def test_tree_of_70000_has_the_tiles_that_the_standard_names() -> None:
    tiles = tiles_of(70000)

    assert tiles == [
        *(Tile(0, index) for index in range(273)),
        Tile(0, 273, 112),
        Tile(1, 0),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    assert tiles_of(256) == [Tile(0, 0), Tile(1, 0, 1)]


def test_tiles_hold_the_nodes_of_the_plain_tree(store: TileStore) -> None:
    read_plain = node_reader_of(LEAVES)
    for tile, data in store.tiles.items():
        for number, item in enumerate(parse_tile(data, width=tile.width)):
            assert item == read_plain(8 * tile.level, 256 * tile.index + number)


def test_growing_writes_exactly_the_tiles_that_are_new_or_wider() -> None:
    store = TileStore()
    for old_size, new_size in zip([0, *SIZES[:-5]], SIZES, strict=False):
        old = {*tiles_of(old_size)}
        assert store.grow_to(new_size) == [tile for tile in tiles_of(new_size) if tile not in old]
        assert store.frontier.root() == root_of(LEAVES[:new_size])


def test_frontier_is_read_back_from_tiles(store: TileStore) -> None:
    assert frontier_from_tiles(store.read, size=0) == Frontier()
    for size in SIZES:
        assert frontier_from_tiles(store.read, size=size) == Frontier().append_many(LEAVES[:size])


def test_proofs_from_tiles_are_those_of_the_plain_tree(store: TileStore) -> None:
    read_plain = node_reader_of(LEAVES)
    for size in SIZES:
        root = root_of(LEAVES[:size])
        for index in {0, 1, 127, 128, 255, 256, 257, 65535, 65536, size // 2, size - 1}:
            if index < size:
                path = prove_inclusion_from_tiles(store.read, index=index, size=size)
                assert path == prove_inclusion(read_plain, index=index, size=size)
                verify_inclusion(LEAVES[index], path, index=index, size=size, root=root)
        for old_size in [0, *SIZES]:
            if old_size <= size:
                proof = prove_consistency_from_tiles(store.read, old_size=old_size, new_size=size)
                assert proof == prove_consistency(read_plain, old_size=old_size, new_size=size)
                verify_consistency(
                    proof, old_size=old_size, old_root=root_of(LEAVES[:old_size]), new_size=size, new_root=root
                )


def test_proof_from_a_spoiled_tile_does_not_verify(store: TileStore) -> None:
    def read_spoiled(level: int, index: int, width: int) -> bytes:
        data = bytearray(store.read(level, index, width))
        data[-1] ^= 1
        return bytes(data)

    path = prove_inclusion_from_tiles(read_spoiled, index=3, size=300)

    with pytest.raises(ProofInvalidError):
        verify_inclusion(LEAVES[3], path, index=3, size=300, root=root_of(LEAVES[:300]))


def test_tile_of_another_length_is_refused(store: TileStore) -> None:
    for cut in (lambda data: data[:-1], lambda data: data + bytes(32), lambda data: b""):
        with pytest.raises(ProofInvalidError, match="wrong length") as caught:
            prove_inclusion_from_tiles(lambda *tile, cut=cut: cut(store.read(*tile)), index=0, size=300)
        assert caught.value.place.startswith("tile/")


def test_node_beyond_the_size_is_refused(store: TileStore) -> None:
    read_node = node_reader_from_tiles(store.read, size=300)

    assert read_node(8, 0) == fold_tile(LEAVES[:256])
    for level, index in [(8, 1), (0, 300), (9, 0), (-1, 0), (0, -1)]:
        with pytest.raises(InvalidInputError):
            read_node(level, index)
    with pytest.raises(InvalidInputError):
        fold_tile(LEAVES[:255])


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundle_reads_back(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries), width=len(entries)) == entries


@given(st.binary(max_size=600), st.integers(0, 256))
def test_any_bytes_are_a_bundle_or_refused(data: bytes, width: int) -> None:
    try:
        entries = parse_bundle(data, width=width)
    except ProofInvalidError:
        return
    assert len(entries) == width
    assert data == (encode_bundle(entries) if entries else b"")


def test_largest_entry_fits_and_a_larger_one_is_refused() -> None:
    assert parse_bundle(encode_bundle([bytes(65535), b""]), width=2) == [bytes(65535), b""]
    for entries in ([bytes(65536)], [], [b""] * 257):
        with pytest.raises(InvalidInputError):
            encode_bundle(entries)


def test_short_or_long_bundle_is_refused_at_its_offset() -> None:
    data = encode_bundle([b"abc", b"defgh"])
    cases = [(data[:-1], 2, 5), (data[:6], 2, 5), (data[:5], 2, 5), (data + b"\0", 2, 12), (data, 1, 5), (data, 3, 12)]
    for wrong, width, offset in cases:
        with pytest.raises(ProofInvalidError) as caught:
            parse_bundle(wrong, width=width, place="tile/entries/000.p/2")
        assert caught.value.place == f"tile/entries/000.p/2 offset {offset}"
