"""Writing the static tree: tiles are a pure function of the committed head, so every step may be done again.

Rules of this file:
1. Order: tiles, entry bundles and their directories are durable before the `checkpoint` that needs them.
2. `checkpoint` never goes back to a smaller size: it is the memory of what was ever shown.
3. Partial tiles stay until their full tile is there, so that a reader of an older checkpoint finds them.
4. One writer a directory, by a lock file; the lock goes with its process.
5. A crash at any step leaves a tree that is right for its `checkpoint`, and that the next run completes.
6. The directory holds what is published and nothing else: files on their way, the lock and the standing are in a
   directory beside it, on the same file system, for a rename leads from there into the tree.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ringfence.core.errors import ConfigurationError, IntegrityError, ProofInvalidError, UnavailableError
from ringfence.core.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from ringfence.core.ledger.merkle import Frontier
from ringfence.core.ledger.signed_note import VerifierKey, render_vkey
from ringfence.core.ledger.tiles import Tile, frontier_from_tiles
from ringfence.ledger.disk import Disk
from ringfence.ledger.growth import Growth
from ringfence.ledger.tree_reader import CHECKPOINT, VKEY, TreeReader
from ringfence.ledger.tree_standing import EMPTY, STANDING, TreeStanding, parse_standing

WORK_SUFFIX: Final = "-work"
LOCK: Final = "lock"
INCOMING: Final = "incoming"
BLOBS: Final = "blobs"
FILES_AT_ONCE_MAX: Final = 128


class TreeWriter:
    """The one writer of a tree directory.

    Args:
        directory: where the tree lies; made if missing. Beside it a directory of the same name with `WORK_SUFFIX`
            is made for what is not published.
        log_key: the log's public key (type 0x01); its name is the origin.
        disk: how files are written.
    """

    def __init__(self, directory: Path, *, log_key: VerifierKey, disk: Disk | None = None) -> None:
        self.reader = TreeReader.in_directory(directory)
        self.published: SignedCheckpoint | None = None
        self._directory = directory
        whole = directory.resolve()
        self._work = whole.with_name(whole.name + WORK_SUFFIX)
        self._log_key = log_key
        self._disk = disk or Disk()
        self._growth = Growth()
        self._unsynced: set[Path] = set()
        self._lock: int | None = None

    @property
    def frontier(self) -> Frontier:
        """The right edge of what has been written, published or not."""
        return self._growth.frontier

    def open(self) -> None:
        """Take the directory, and stand where its `checkpoint` says (at 0 when there is none, or no tiles).

        Raises:
            ConfigurationError: another sequencer has the directory, or it is of another log.
            IntegrityError: `checkpoint` is not one of this log's, or the tiles are not what it vouches for.
        """
        self._take_lock()
        self._write_vkey()
        self._unsynced.clear()
        self._growth = Growth()
        try:
            self.published = self.reader.open_checkpoint(self._log_key)
        except ProofInvalidError as error:
            raise IntegrityError(
                f"the tree directory's checkpoint is not this log's: {error}", place=CHECKPOINT
            ) from None
        if self.published is None or not (self._directory / "tile").is_dir():
            return
        tree = self.published.checkpoint
        try:
            self._growth = Growth.load(self.reader, size=tree.size, root=tree.root)
        except ProofInvalidError as error:
            raise IntegrityError(
                f"the tree directory is not what its checkpoint of size {tree.size} vouches for: {error}",
                place=error.place,
                hint="Move the directory `tile` away and start again: it is rebuilt from the database and checked.",
            ) from None

    def close(self) -> None:
        """Let go of the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def grow(self, leaves: Sequence[bytes], hashes: Sequence[bytes]) -> list[tuple[Tile, bytes]]:
        """Append leaves in memory; give the tiles and bundles that became full, for `write` once they are committed."""
        return self._growth.append(leaves, hashes)

    def write(self, full: Sequence[tuple[Tile, bytes]]) -> None:
        """Write full tiles and bundles. A crash leaves some: no checkpoint names them yet."""
        self._place([(self._directory / tile.path, data) for tile, data in full])
        # A crash before this leaves a full tile beside its partial ones: the next run fills the same tile again.
        self._sync_directories()
        for tile, _ in full:
            self._disk.remove_directory(self._directory / f"{tile.path}.p")

    def complete(self) -> None:
        """Write the partial tiles of the present size. A crash leaves some: they count for no checkpoint yet."""
        self._place([(self._directory / tile.path, data) for tile, data in self._growth.partials()])
        self._sync_directories()

    def publish(self, note: bytes) -> None:
        """Put a signed checkpoint of the present size in place.

        A crash before the rename leaves the older checkpoint, whose tiles are all still there; after it, the new one.

        Raises:
            IntegrityError: the checkpoint is not of what was written, or goes back.
        """
        signed = open_checkpoint(note, log_key=self._log_key, strict=False)
        tree, frontier = signed.checkpoint, self._growth.frontier
        if (tree.size, tree.root) != (frontier.size, frontier.root()):
            raise IntegrityError("a checkpoint is not of the tree that was written", place=CHECKPOINT)
        if self.published and tree.size < self.published.checkpoint.size:
            raise IntegrityError(
                f"a checkpoint of size {tree.size} would follow one of {self.published.checkpoint.size}",
                place=CHECKPOINT,
            )
        self._place([(self._directory / CHECKPOINT, note)])
        self._sync_directories()
        self.published = signed

    def read_standing(self) -> tuple[TreeStanding, Frontier]:
        """Give the newest standing that the tree's own files bear out, and its right edge; without one, the empty."""
        path = self._work / STANDING
        data = path.read_bytes() if path.is_file() else b""
        standing = parse_standing(data, public_key=self._log_key.public_key)
        if standing is None or standing.size > self._growth.frontier.size:
            return EMPTY, Frontier()
        try:
            frontier = frontier_from_tiles(self.reader.read_tile, size=standing.size)
        except ProofInvalidError:
            return EMPTY, Frontier()
        return (standing, frontier) if frontier.root() == standing.root else (EMPTY, Frontier())

    def put_standing(self, data: bytes) -> None:
        """Keep a standing. A crash before the rename leaves an older one, from which more leaves are read again."""
        self._place([(self._work / STANDING, data)])
        self._sync_directories()

    def has_blobs(self) -> bool:
        """Tell whether files that rules name were put into the tree before."""
        return (self._directory / BLOBS).is_dir()

    def put_blobs(self, blobs: Sequence[bytes]) -> None:
        """Put files that rules name into the tree. A crash leaves some: the checkpoint that needs them comes after."""
        targets = [(self._directory / BLOBS / hashlib.sha256(blob).hexdigest(), blob) for blob in blobs]
        self._place([(path, blob) for path, blob in targets if not path.is_file() or path.read_bytes() != blob])
        self._sync_directories()

    def _place(self, files: Sequence[tuple[Path, bytes]]) -> None:
        """Write files beside the tree and rename them into place, in order; durable after `_sync_directories`."""
        incoming = self._work / INCOMING
        self._make_parents(incoming)
        for at in range(0, len(files), FILES_AT_ONCE_MAX):
            chunk = files[at : at + FILES_AT_ONCE_MAX]
            self._disk.write_all([(incoming / str(number), data) for number, (_, data) in enumerate(chunk)])
            for number, (target, _) in enumerate(chunk):
                self._make_parents(target.parent)
                self._disk.rename(incoming / str(number), target)
                self._unsynced.add(target.parent)

    def _make_parents(self, directory: Path) -> None:
        if directory.is_dir():
            return
        self._make_parents(directory.parent)
        self._disk.make_directory(directory)
        self._unsynced.add(directory.parent)

    def _sync_directories(self) -> None:
        for directory in sorted(self._unsynced):
            self._disk.sync_directory(directory)
        self._unsynced.clear()

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._work.mkdir(exist_ok=True)
            lock = os.open(self._work / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UnavailableError(f"the tree directory cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise ConfigurationError(
                "another sequencer is writing this tree directory", hint="Run one sequencer for each tree directory."
            ) from None
        self._lock = lock

    def _write_vkey(self) -> None:
        """Name the log's key. A crash leaves no `vkey`, and the next run writes it."""
        wanted = f"{render_vkey(self._log_key)}\n".encode("ascii")
        path = self._directory / VKEY
        found = path.read_bytes() if path.is_file() else b""
        if found and found != wanted:
            raise ConfigurationError(
                "the tree directory is of a log with another key", hint="Give the sequencer the key of this ledger."
            )
        if not found:
            self._place([(path, wanted)])
            self._sync_directories()
