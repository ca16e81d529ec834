"""Reading the static tree: files that any web server may serve, so nothing in them is trusted before it is checked.

Rules of this file:
1. A tree is read at one size, that of a checkpoint. A partial tile that is gone has become a full one: that is read
   and cut, so that a reader of an older checkpoint never meets a hole.
2. `TreeReader` gives bytes as they lie there. `CheckedTree` gives only leaf hashes that the signed root vouches for.

Source: c2sp.org/tlog-tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ringfence.core.errors import ConfigurationError, IntegrityError, ProofInvalidError, UnavailableError
from ringfence.core.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from ringfence.core.ledger.merkle import HASH_SIZE_BYTES, fold_peaks
from ringfence.core.ledger.signed_note import NOTE_SIZE_BYTES_MAX, VKEY_SIZE_CHARACTERS_MAX, VerifierKey, parse_vkey
from ringfence.core.ledger.tiles import (
    ENTRIES_LEVEL,
    TILE_WIDTH,
    Tile,
    fold_tile,
    frontier_from_tiles,
    parse_bundle,
    parse_tile,
)

CHECKPOINT: Final = "checkpoint"
VKEY: Final = "vkey"
BUNDLE_SIZE_BYTES_MAX: Final = TILE_WIDTH * (2 + 2**16 - 1)

ReadFile = Callable[[str], bytes | None]
"""`read_file(path)` gives the bytes of one file of the tree, or None when it is not there."""


def read_directory(directory: Path) -> ReadFile:
    """Give a reader of the tree's files in a directory. A file above `BUNDLE_SIZE_BYTES_MAX` is refused.

    Raises:
        UnavailableError: (the reader) the directory cannot be read.
    """

    def read_file(path: str) -> bytes | None:
        try:
            with (directory / path).open("rb") as file:
                data = file.read(BUNDLE_SIZE_BYTES_MAX + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UnavailableError(f"the ledger's file {path} cannot be read: {error.strerror}") from error
        if len(data) > BUNDLE_SIZE_BYTES_MAX:
            raise IntegrityError("a file of the ledger's tree is too large", place=path)
        return data

    return read_file


class TreeReader:
    """The static tree as it lies in a directory, or behind any other `ReadFile`. Nothing read is trusted."""

    def __init__(self, read_file: ReadFile) -> None:
        self._read_file = read_file

    @classmethod
    def in_directory(cls, directory: Path) -> TreeReader:
        """Give the reader of a tree in a directory."""
        return cls(read_directory(directory))

    def read_vkey(self) -> VerifierKey:
        """Give the key that the tree itself names: for tools of the custodian, never for a verifier.

        Raises:
            ConfigurationError: there is none, or it is none.
        """
        data = self._read_file(VKEY)
        if data is None:
            raise ConfigurationError("the tree directory has no file `vkey`", hint="Run the sequencer on it first.")
        try:
            return parse_vkey(data[: VKEY_SIZE_CHARACTERS_MAX + 1].decode("ascii", "replace"), place=VKEY)
        except ProofInvalidError as error:
            raise ConfigurationError(f"the tree directory's `vkey` is no key: {error}") from None

    def read_checkpoint(self) -> bytes | None:
        """Give the newest signed checkpoint as bytes, or None when nothing was ever published."""
        data = self._read_file(CHECKPOINT)
        return None if data is None else data[: NOTE_SIZE_BYTES_MAX + 1]

    def open_checkpoint(self, log_key: VerifierKey) -> SignedCheckpoint | None:
        """Give the newest checkpoint, its signatures checked, or None when nothing was ever published.

        Raises:
            ProofInvalidError: it is not one of this log's.
        """
        data = self.read_checkpoint()
        return None if data is None else open_checkpoint(data, log_key=log_key, strict=False)

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Give a tile's bytes at a width: rule 1.

        Raises:
            ProofInvalidError: it is not there, or too short.
        """
        data = self._read(Tile(level, index, width))
        return data[: width * HASH_SIZE_BYTES]

    def read_entries(self, index: int, width: int) -> list[bytes]:
        """Give the first `width` leaves of an entry bundle: rule 1.

        Raises:
            ProofInvalidError: it is not there, or is not such a bundle.
        """
        tile = Tile(ENTRIES_LEVEL, index, width)
        exact = self._read_file(tile.path)
        if exact is not None:
            return parse_bundle(exact, width=width, place=tile.path)
        full = Tile(ENTRIES_LEVEL, index)
        return parse_bundle(self._read(full), width=TILE_WIDTH, place=full.path)[:width]

    def iterate_entries(self, *, start: int, size: int) -> Iterator[list[bytes]]:
        """Give the leaves of a tree of this size, a bundle at a time, from leaf `start` (a multiple of 256)."""
        for index in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
            yield self.read_entries(index, min(TILE_WIDTH, size - index * TILE_WIDTH))

    def _read(self, tile: Tile) -> bytes:
        data = self._read_file(tile.path)
        if data is None and not tile.is_full:
            data = self._read_file(Tile(tile.level, tile.index).path)
        if data is None:
            raise ProofInvalidError("a file of the ledger's tree is missing", place=tile.path)
        return data


class CheckedTree:
    """Leaf hashes of a tree, each vouched for by its root.

    Each tile is folded once and held against the tile above it, and those at the right edge against the root.

    Raises:
        ProofInvalidError: (construction) the tiles at the right edge give another root.
    """

    def __init__(self, tree: TreeReader, *, size: int, root: bytes) -> None:
        self.size = size
        self._tree = tree
        self._checked: dict[tuple[int, int], list[bytes]] = {}
        self._last: tuple[int, list[bytes]] = (-1, [])
        found = fold_peaks(frontier_from_tiles(self._read_edge, size=size).peaks)
        if found != root:
            raise ProofInvalidError(
                "the tiles are not those of the checkpoint", place="tile", expected=root.hex(), found=found.hex()
            )

    def leaf_hash(self, index: int) -> bytes:
        """Give the hash of a leaf, 32 bytes.

        Raises:
            ProofInvalidError: a tile on its way to the root is missing, or is not what the root vouches for.
        """
        if not 0 <= index < self.size:
            raise ProofInvalidError(f"no leaf {index} in a tree of {self.size}", place=f"leaf {index}")
        return self._tile(0, index // TILE_WIDTH)[index % TILE_WIDTH]

    def _read_edge(self, level: int, index: int, width: int) -> bytes:
        data = self._tree.read_tile(level, index, width)
        self._checked[level, index] = parse_tile(data, width=width, place=Tile(level, index, width).path)
        return data

    def _tile(self, level: int, index: int) -> list[bytes]:
        hashes = self._checked.get((level, index))
        if hashes is not None:
            return hashes
        if level == 0 and self._last[0] == index:
            return self._last[1]
        # Not at the right edge, so it is full, and its own root stands in the level above.
        path = Tile(level, index).path
        hashes = parse_tile(self._tree.read_tile(level, index, TILE_WIDTH), width=TILE_WIDTH, place=path)
        expected = self._tile(level + 1, index // TILE_WIDTH)[index % TILE_WIDTH]
        if fold_tile(hashes) != expected:
            raise ProofInvalidError("a tile is not what the root vouches for", place=path, expected=expected.hex())
        if level:
            self._checked[level, index] = hashes
        else:  # tiles of level 0 are many, and asked for in order: only the last is worth keeping
            self._last = (index, hashes)
        return hashes
