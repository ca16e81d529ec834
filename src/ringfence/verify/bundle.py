"""The bundle's files, read from a directory that may be hostile.

Rules of this file:
1. Only regular files inside the directory are read: no symbolic link, device or pipe, and never more than the limit
   of that kind of file.
2. The bundle has exactly the files that its size calls for; one more, one less or one of another name is refused. One
   kind of file may be there too, for a published tree keeps it: an earlier, shorter form of a tile or file of leaves,
   which must be a beginning of the one that is.
3. What is missing is seen in the listing, so that no work is done that the files do not call for.
4. Two kinds of failure: `ProofInvalidError` when what is there is not what a bundle has, `InvalidInputError` when the
   machine does not let it be read at all.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ringfence.core.charter.document import TEXT_SIZE_BYTES_MAX
from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.entry import ENTRY_SIZE_BYTES_MAX, OPENING_SIZE_BYTES_MAX
from ringfence.core.ledger.signed_note import NOTE_SIZE_BYTES_MAX, VKEY_SIZE_CHARACTERS_MAX
from ringfence.core.ledger.tiles import (
    ENTRIES_LEVEL,
    TILE_HEIGHT,
    TILE_SIZE_BYTES_MAX,
    TILE_WIDTH,
    Tile,
    parse_bundle,
    parse_tile,
    parse_tile_path,
)
from ringfence.core.people.register import FACTS_SIZE_BYTES_MAX

CHECKPOINTS_MAX: Final = 20_000
DIRECTORY_ENTRIES_MAX: Final = 50_000
DEPTH_MAX: Final = 12
ENTRIES_FILE_SIZE_BYTES_MAX: Final = TILE_WIDTH * (2 + ENTRY_SIZE_BYTES_MAX)
DETAIL_FILE_SIZE_BYTES_MAX: Final = TILE_WIDTH * (2 + OPENING_SIZE_BYTES_MAX)

TILE_LEVELS_MAX: Final = 8

_DETAIL_LEVEL: Final = -2  # counted like a level of tiles
_ENTRIES_PREFIX: Final = "tile/entries/"
_DETAIL_PREFIX: Final = "detail/"
_CHECKPOINT: Final = re.compile(r"checkpoints/(0|[1-9][0-9]{0,18})")
_BLOB: Final = re.compile(r"blobs/[0-9a-f]{64}")
_FACTS: Final = re.compile(r"facts/[0-9a-f]{64}")
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Listing:
    """What files there are, beyond those that the size calls for.

    Attributes:
        checkpoints: sizes that earlier checkpoints are there for, ascending.
        blobs: SHA-256 digests that blobs are named by.
        facts: commitments that files of facts about people are named by.
        detail: whether openings are part of the bundle.
    """

    checkpoints: tuple[int, ...]
    blobs: frozenset[bytes]
    facts: frozenset[bytes]
    detail: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """A directory with evidence. Reads are by name; nothing is kept."""

    directory: Path

    def read(self, path: str, *, size_bytes_max: int) -> bytes:
        """Read one file of the bundle.

        Raises:
            ProofInvalidError: it is missing, too large, or not a regular file.
            InvalidInputError: it cannot be read.
        """
        try:
            descriptor = os.open(self.directory / path, _OPEN_FLAGS)
        except FileNotFoundError:
            raise ProofInvalidError("a file of the bundle is missing", place=path) from None
        except NotADirectoryError:
            raise ProofInvalidError("a file is where a directory must be", place=path) from None
        except OSError as error:
            if stat.S_ISLNK(_mode_of(self.directory / path)):
                raise ProofInvalidError("a symbolic link is no part of a bundle", place=path) from None
            raise _unreadable(path, error) from None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise ProofInvalidError("this is not a regular file", place=path)
            data = b""
            if found.st_size <= size_bytes_max:
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    data = file.read(size_bytes_max + 1)
        except OSError as error:
            raise _unreadable(path, error) from None
        finally:
            os.close(descriptor)
        if found.st_size > size_bytes_max or len(data) > size_bytes_max:
            size = max(found.st_size, len(data))
            raise ProofInvalidError(
                "a file is larger than any of its kind",
                place=path,
                expected=f"<= {size_bytes_max} bytes",
                found=f"{size} bytes",
            )
        return data

    def read_note(self, path: str) -> bytes:
        """Read a signed note."""
        return self.read(path, size_bytes_max=NOTE_SIZE_BYTES_MAX)

    def read_vkey(self) -> bytes:
        """Read the log's verifier key as the bundle gives it."""
        return self.read("vkey", size_bytes_max=VKEY_SIZE_CHARACTERS_MAX)

    def read_blob(self, digest: bytes) -> bytes:
        """Read a charter's file by its digest; the caller checks that it has this digest."""
        return self.read(f"blobs/{digest.hex()}", size_bytes_max=TEXT_SIZE_BYTES_MAX)

    def read_facts(self, commitment: bytes) -> bytes | None:
        """Read facts about people by what the entry commits to; None when they are withheld."""
        path = f"facts/{commitment.hex()}"
        if not os.path.lexists(self.directory / path):
            return None
        return self.read(path, size_bytes_max=FACTS_SIZE_BYTES_MAX)

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Read one tile of hashes."""
        return self.read(Tile(level, index, width).path, size_bytes_max=TILE_SIZE_BYTES_MAX)

    def read_tile_hashes(self, tile: Tile) -> list[bytes]:
        """Read one tile of hashes, split."""
        data = self.read(tile.path, size_bytes_max=TILE_SIZE_BYTES_MAX)
        return parse_tile(data, width=tile.width, place=tile.path)

    def read_entries(self, tile: Tile) -> bytes:
        """Read one file of leaves, whole."""
        return self.read(tile.path, size_bytes_max=ENTRIES_FILE_SIZE_BYTES_MAX)

    def read_leaves(self, tile: Tile) -> list[bytes]:
        """Read one file of leaves, split."""
        return parse_bundle(self.read_entries(tile), width=tile.width, place=tile.path)

    def read_openings(self, tile: Tile) -> list[bytes]:
        """Read the openings of one file of leaves; an opening that is not there is empty."""
        path = detail_path(tile)
        data = self.read(path, size_bytes_max=DETAIL_FILE_SIZE_BYTES_MAX)
        return parse_bundle(data, width=tile.width, place=path)

    def list_files(self, *, size: int) -> Listing:
        """List the directory against what a bundle of `size` leaves has (rules 2 and 3).

        Raises:
            ProofInvalidError: something is there that is no part of such a bundle, or a file is missing.
            InvalidInputError: a directory cannot be read.
        """
        checkpoints: list[int] = []
        blobs: set[bytes] = set()
        facts: set[bytes] = set()
        there: Counter[int] = Counter()
        for path in self._walk("", depth=0):
            if _CHECKPOINT.fullmatch(path):
                checkpoints.append(int(path.partition("/")[2]))
            elif _BLOB.fullmatch(path):
                blobs.add(bytes.fromhex(path.partition("/")[2]))
            elif _FACTS.fullmatch(path):
                facts.add(bytes.fromhex(path.partition("/")[2]))
            elif path.startswith(_DETAIL_PREFIX):
                _require_place(path, _ENTRIES_PREFIX + path.removeprefix(_DETAIL_PREFIX), size=size)
                there[_DETAIL_LEVEL] += 1
            elif path not in ("checkpoint", "vkey"):
                if earlier := _require_place(path, path, size=size, earlier=True):
                    self._require_beginning(path, earlier)
                else:
                    there[parse_tile_path(path).level] += 1
        if len(checkpoints) > CHECKPOINTS_MAX:
            raise ProofInvalidError(
                "too many earlier checkpoints",
                place="checkpoints",
                expected=f"<= {CHECKPOINTS_MAX}",
                found=str(len(checkpoints)),
            )
        self._require_all(there, size=size)
        return Listing(tuple(sorted(checkpoints)), frozenset(blobs), frozenset(facts), there[_DETAIL_LEVEL] > 0)

    def _require_all(self, there: Mapping[int, int], *, size: int) -> None:
        """Refuse a directory in which a file is missing; those that are there were counted, each of them once."""
        levels = [ENTRIES_LEVEL, *range(TILE_LEVELS_MAX)]
        if there.get(_DETAIL_LEVEL):
            levels.append(_DETAIL_LEVEL)
        for level in levels:
            nodes = size >> TILE_HEIGHT * max(level, 0)
            wanted = -(-nodes // TILE_WIDTH)
            if there.get(level, 0) == wanted:
                continue
            for index in range(wanted):  # one more at most than there are
                tile = Tile(max(level, ENTRIES_LEVEL), index, min(TILE_WIDTH, nodes - index * TILE_WIDTH))
                path = detail_path(tile) if level == _DETAIL_LEVEL else tile.path
                if not (self.directory / path).is_file():
                    raise ProofInvalidError("a file of the bundle is missing", place=path)

    def _require_beginning(self, path: str, tile: Tile) -> None:
        """Refuse an earlier form of a file that is not the beginning of the one that is there (rule 2)."""
        earlier = self.read(path, size_bytes_max=ENTRIES_FILE_SIZE_BYTES_MAX)
        if not earlier or not self.read(tile.path, size_bytes_max=ENTRIES_FILE_SIZE_BYTES_MAX).startswith(earlier):
            raise ProofInvalidError(f"this earlier file is not the beginning of {tile.path}", place=_show(path))
        parse = parse_bundle if tile.level == ENTRIES_LEVEL else parse_tile
        parse(earlier, width=parse_tile_path(path).width, place=_show(path))

    def _walk(self, folder: str, *, depth: int) -> Iterator[str]:
        """Give every file's path, sorted; refuse what is neither a file nor a directory with something in it."""
        try:
            with os.scandir(self.directory / folder) as found:
                entries = []
                for entry in found:
                    entries.append(
                        (entry.name, entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False))
                    )
                    if len(entries) > DIRECTORY_ENTRIES_MAX:
                        raise ProofInvalidError("a directory has more files than any bundle", place=folder or ".")
        except OSError as error:
            raise _unreadable(folder or ".", error) from None
        if (not entries and depth) or depth > DEPTH_MAX:
            raise ProofInvalidError("an empty or too deep directory is no part of the bundle", place=_show(folder))
        for name, is_directory, is_file in sorted(entries):
            path = f"{folder}/{name}" if folder else name
            if is_directory:
                yield from self._walk(path, depth=depth + 1)
            elif is_file:
                yield path
            else:
                raise ProofInvalidError("this is neither a file nor a directory", place=_show(path))


def detail_path(tile: Tile) -> str:
    """Give the path of the openings that belong to one file of leaves."""
    return _DETAIL_PREFIX + tile.path.removeprefix(_ENTRIES_PREFIX)


def entries_tile(index: int, *, size: int) -> Tile:
    """Give the file of leaves number `index` of a tree of `size` leaves."""
    return Tile(ENTRIES_LEVEL, index, min(TILE_WIDTH, size - index * TILE_WIDTH))


def place_of_leaf(leaf: int) -> str:
    """Name a leaf for a person who has the directory before them."""
    index, number = divmod(leaf, TILE_WIDTH)
    return f"leaf {leaf} (number {number} of {Tile(ENTRIES_LEVEL, index).path})"


def _require_place(shown: str, path: str, *, size: int, earlier: bool = False) -> Tile | None:
    """Refuse a file that a tree of this size does not have.

    With `earlier`, one may be shorter than the one that belongs there: gives that one then, else None.
    """
    try:
        tile = parse_tile_path(path)
    except ProofInvalidError:
        raise ProofInvalidError("this file is no part of a bundle", place=_show(shown)) from None
    there = size >> TILE_HEIGHT * max(tile.level, 0)
    width = min(TILE_WIDTH, there - tile.index * TILE_WIDTH)
    if tile.width == width:
        return None
    if earlier and tile.width < width:
        return Tile(tile.level, tile.index, width)
    raise ProofInvalidError(f"this file is no part of a bundle of {size} leaves", place=_show(shown))


def _mode_of(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _show(path: str) -> str:
    return ascii(path)[1:-1][:200]


def _unreadable(path: str, error: OSError) -> InvalidInputError:
    return InvalidInputError(f"{_show(path)} cannot be read: {error.strerror or error}", place=_show(path))
