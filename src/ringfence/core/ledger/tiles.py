"""Tiles: a log as immutable files, each 256 hashes of a tree, or 256 entries.

Rules:
  1. Tile (level, index) holds the nodes (8 * level, 256 * index + i) for i from 0 to 255, 32 bytes each. Its own
     root is hash number `index` of the level above, once it is full; a partial tile is never hashed upwards.
  2. The path is `tile/<level>/<index>`, or `tile/entries/<index>` for entries, with `.p/<width>` when partial.
     The index is in groups of three digits, all but the last with an `x`: 1234067 is `x001/x234/067`.
  3. An entry bundle is its entries one after the other, each after its length in 2 bytes, big-endian.
  4. A tree of size s needs, at each level that it reaches, all full tiles and the partial one of width
     s >> 8 * level & 255, unless that is 0.
  5. Tiles are a pure function of the entries: writing one again writes the same bytes.

Source: c2sp.org/tlog-tiles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.merkle import (
    HASH_SIZE_BYTES,
    TREE_SIZE_MAX,
    Frontier,
    NodeReader,
    hash_pairs,
    prove_consistency,
    prove_inclusion,
)

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
TILE_SIZE_BYTES_MAX: Final = TILE_WIDTH * HASH_SIZE_BYTES
ENTRY_SIZE_BYTES_MAX: Final = 2**16 - 1
ENTRIES_LEVEL: Final = -1

_LENGTH_FIELD_BYTES: Final = 2
_PATH_LENGTH_MAX: Final = 64
# Level 7 is the last one that a tree of `TREE_SIZE_MAX` reaches; the standard allows 63.
_PATH: Final = re.compile(r"tile/([0-7]|entries)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")

ReadTile = Callable[[int, int, int], bytes]
"""`read_tile(level, index, width)` gives that tile's bytes. It may read a wider one and cut it to `width` hashes."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """The coordinates of one tile, or of one entry bundle (`level` -1): rule 2.

    `width` counts its hashes or entries, 1 to 256; below 256 the tile is partial.
    """

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def is_full(self) -> bool:
        """Whether it will never be wider."""
        return self.width == TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it is served, relative to the log's prefix."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        level = "entries" if self.level == ENTRIES_LEVEL else str(self.level)
        partial = "" if self.is_full else f".p/{self.width}"
        return "/".join(["tile", level, *(f"x{group}" for group in groups[:-1]), groups[-1]]) + partial


def parse_tile_path(path: str) -> Tile:
    """Read a tile's or a bundle's path; only the one spelling that `Tile.path` gives is taken.

    Raises:
        ProofInvalidError: not such a path.
    """
    match = _PATH.fullmatch(path) if len(path) <= _PATH_LENGTH_MAX else None
    if match:
        level = ENTRIES_LEVEL if match[1] == "entries" else int(match[1])
        tile = Tile(level, int(re.sub("[x/]", "", match[2])), int(match[3] or TILE_WIDTH))
        if tile.path == path and (tile.index * TILE_WIDTH + tile.width) << TILE_HEIGHT * max(level, 0) <= TREE_SIZE_MAX:
            return tile
    raise ProofInvalidError(
        "this is not the path of a tile",
        place=repr(path[:_PATH_LENGTH_MAX]),
        expected="tile/<level>/<index>[.p/<width>] or tile/entries/<index>[.p/<width>]",
    )


def grow_tiles(
    read_tile: ReadTile, *, old_size: int, leaf_hashes: Sequence[bytes]
) -> tuple[list[tuple[Tile, bytes]], Frontier]:
    """Give every tile that is new or wider once these leaves are appended, with its bytes, and the new frontier.

    Args:
        read_tile: reader of the tree's present tiles; asked for the partial one of each level, and no other.
        old_size: leaves in the present tree.
        leaf_hashes: 32 bytes each, of the entries to append, in order.

    Returns:
        Tiles from level 0 up, each level from the left, and the frontier of the grown tree.
    """
    new_size = old_size + len(leaf_hashes)
    _require_growth(old_size, new_size)
    partials = _read_partials(read_tile, old_size)
    frontier = _frontier_of(old_size, partials).append_many(leaf_hashes)
    written: list[tuple[Tile, bytes]] = []
    level, added = 0, list(leaf_hashes)
    while added:
        hashes = [*(partials[level] if level < len(partials) else ()), *added]
        first = old_size >> TILE_HEIGHT * (level + 1)
        added = []
        for at in range(0, len(hashes), TILE_WIDTH):
            chunk = hashes[at : at + TILE_WIDTH]
            written.append((Tile(level, first + at // TILE_WIDTH, len(chunk)), b"".join(chunk)))
            if len(chunk) == TILE_WIDTH:
                added.append(fold_tile(chunk))
        level += 1
    return written, frontier


def fold_tile(hashes: Sequence[bytes]) -> bytes:
    """Give the root of a full tile: the hash that stands for it at the level above.

    Raises:
        InvalidInputError: not 256 hashes; a partial tile is never hashed upwards.
    """
    if len(hashes) != TILE_WIDTH:
        raise InvalidInputError(f"a full tile has {TILE_WIDTH} hashes, not {len(hashes)}", place="hashes")
    return _fold(hashes)


def parse_tile(data: bytes, *, width: int, place: str = "tile") -> list[bytes]:
    """Split a tile into its hashes.

    Raises:
        ProofInvalidError: not exactly `width` hashes.
    """
    if len(data) != width * HASH_SIZE_BYTES:
        raise ProofInvalidError(
            "the tile has the wrong length",
            place=place,
            expected=f"{width * HASH_SIZE_BYTES} bytes",
            found=f"{len(data)} bytes",
        )
    return [data[at : at + HASH_SIZE_BYTES] for at in range(0, len(data), HASH_SIZE_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Give the bytes of an entry bundle: rule 3.

    Raises:
        InvalidInputError: not 1 to 256 entries, or one above 65,535 bytes.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise InvalidInputError(f"a bundle holds 1 to {TILE_WIDTH} entries, not {len(entries)}", place="entries")
    parts: list[bytes] = []
    for number, entry in enumerate(entries):
        if len(entry) > ENTRY_SIZE_BYTES_MAX:
            raise InvalidInputError(
                f"an entry holds at most {ENTRY_SIZE_BYTES_MAX} bytes, not {len(entry)}", place=f"entries[{number}]"
            )
        parts += (len(entry).to_bytes(_LENGTH_FIELD_BYTES, "big"), entry)
    return b"".join(parts)


def parse_bundle(data: bytes, *, width: int, place: str = "entry bundle") -> list[bytes]:
    """Split an entry bundle into its entries.

    Args:
        data: the file's bytes.
        width: how many entries it must hold, from its path.
        place: what to call it in an error.

    Raises:
        ProofInvalidError: it ends inside an entry, or holds fewer or more than `width`; the place has the offset.
    """
    entries: list[bytes] = []
    offset, length = 0, len(data)
    for number in range(width):
        start = offset + _LENGTH_FIELD_BYTES
        end = start + int.from_bytes(data[offset:start], "big")
        if end > length or start > length:
            raise ProofInvalidError(
                f"the bundle ends inside entry {number} of {width}",
                place=f"{place} offset {offset}",
                expected=f"{end - offset} more bytes",
                found=f"{length - offset} more bytes",
            )
        entries.append(data[start:end])
        offset = end
    if offset != length:
        raise ProofInvalidError(
            f"the bundle goes on after its last entry, number {width - 1}",
            place=f"{place} offset {offset}",
            expected=f"{offset} bytes",
            found=f"{length} bytes",
        )
    return entries


def node_reader_from_tiles(read_tile: ReadTile, *, size: int) -> NodeReader:
    """Give a reader of complete subtrees over the tiles of a tree of `size` leaves.

    Each tile is read at the width that this size needs (rule 4), at most once by one reader, and kept: make one
    reader for each proof or small group of proofs. Nothing read is checked but its length.

    Raises:
        InvalidInputError: (the reader) the subtree is not complete in a tree of this size.
        ProofInvalidError: (the reader) a tile has the wrong length.
    """
    kept: dict[tuple[int, int], list[bytes]] = {}

    def read_node(level: int, index: int) -> bytes:
        if level < 0 or index < 0 or (index + 1) << level > size:
            raise InvalidInputError(f"node {index} of level {level} is not complete at size {size}", place="node")
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile_index = (index << height) // TILE_WIDTH
        hashes = kept.get((tile_level, tile_index))
        if hashes is None:
            width = min(TILE_WIDTH, (size >> TILE_HEIGHT * tile_level) - tile_index * TILE_WIDTH)
            hashes = kept[tile_level, tile_index] = _read(read_tile, Tile(tile_level, tile_index, width))
        first = (index << height) % TILE_WIDTH
        return _fold(hashes[first : first + (1 << height)])

    return read_node


def frontier_from_tiles(read_tile: ReadTile, *, size: int) -> Frontier:
    """Give the right edge of a tree, read from its partial tiles: at most one a level.

    Raises:
        ProofInvalidError: a tile has the wrong length.
    """
    _require_growth(0, size)
    return _frontier_of(size, _read_partials(read_tile, size))


def prove_inclusion_from_tiles(read_tile: ReadTile, *, index: int, size: int) -> tuple[bytes, ...]:
    """Give the inclusion path of a leaf, read from tiles; see `merkle.prove_inclusion`."""
    return prove_inclusion(node_reader_from_tiles(read_tile, size=size), index=index, size=size)


def prove_consistency_from_tiles(read_tile: ReadTile, *, old_size: int, new_size: int) -> tuple[bytes, ...]:
    """Give the consistency proof of two sizes, read from tiles; see `merkle.prove_consistency`."""
    return prove_consistency(node_reader_from_tiles(read_tile, size=new_size), old_size=old_size, new_size=new_size)


def _read_partials(read_tile: ReadTile, size: int) -> list[list[bytes]]:
    """Read the partial tile of each level; an empty list where the level ends on a full one."""
    partials: list[list[bytes]] = []
    level = 0
    while count := size >> TILE_HEIGHT * level:
        index, width = divmod(count, TILE_WIDTH)
        partials.append(_read(read_tile, Tile(level, index, width)) if width else [])
        level += 1
    return partials


def _frontier_of(size: int, partials: Sequence[Sequence[bytes]]) -> Frontier:
    """Cut each level's partial tile into complete subtrees, largest first."""
    peaks: list[bytes] = []
    for hashes in reversed(partials):
        at = 0
        for height in reversed(range(TILE_HEIGHT)):
            if len(hashes) >> height & 1:
                peaks.append(_fold(hashes[at : at + (1 << height)]))
                at += 1 << height
    return Frontier(size, tuple(peaks))


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Give the root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = hash_pairs(hashes)
    return hashes[0]


def _read(read_tile: ReadTile, tile: Tile) -> list[bytes]:
    return parse_tile(read_tile(tile.level, tile.index, tile.width), width=tile.width, place=tile.path)


def _require_growth(old_size: int, new_size: int) -> None:
    if not 0 <= old_size <= new_size <= TREE_SIZE_MAX:
        raise InvalidInputError(f"a tree of {old_size} leaves cannot grow to {new_size}", place="new_size")
