"""Durable steps on files: the one place of the ledger that writes, renames or syncs.

Rules of this file:
1. A file appears whole or not at all: written beside its place, synced, renamed. The rename itself is durable only
   after `sync_directory`.
2. A failed sync is never tried again: what the disk then holds is unknown. It raises `DeviceError`, and the process
   must stop and verify anew.
3. Any other failure (disk full, permission) leaves the old file as it was and raises `UnavailableError`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ringfence.core.errors import DeviceError, UnavailableError

SYNCS_AT_ONCE_MAX: Final = 8


class Disk:
    """The steps that `TreeWriter` takes. A test puts one in its place that fails on order."""

    def write_all(self, files: Sequence[tuple[Path, bytes]]) -> None:
        """Write files and sync their bytes. A crash leaves any part of any of them: only a rename makes one count.

        All are written before the first is synced, and then they are synced at once: a disk that takes milliseconds
        for each of them one by one makes them durable together.
        """
        with ExitStack() as stack:
            opened = [(path, _write(stack, path, data)) for path, data in files]
            with ThreadPoolExecutor(max_workers=SYNCS_AT_ONCE_MAX) as pool:
                # Consumed whole, so that the first failure of any of them is raised.
                list(pool.map(lambda item: _sync(item[1], item[0]), opened))

    def rename(self, source: Path, target: Path) -> None:
        """Put a written file in its place. A crash leaves the old file or the new one, whole."""
        with _named("renamed", target):
            source.replace(target)

    def make_directory(self, path: Path) -> None:
        """Make a directory; one that is there already is left alone."""
        with _named("made", path):
            path.mkdir(exist_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        with _named("opened", path):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _sync(descriptor, path)
            finally:
                os.close(descriptor)

    def remove_directory(self, path: Path) -> None:
        """Remove a directory of old partial tiles, if it is there. A crash leaves some of its files."""
        with _named("removed", path):
            if path.is_dir():
                shutil.rmtree(path)


def _write(stack: ExitStack, path: Path, data: bytes) -> int:
    with _named("written", path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        stack.callback(os.close, descriptor)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        return descriptor


def _sync(descriptor: int, path: Path) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise DeviceError(
            f"the disk failed to make {path.name} durable: {error.strerror}",
            hint="Check the disk. What it holds is unknown until the sequencer starts again and verifies it.",
        ) from error


@contextmanager
def _named(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"the ledger's file {path.name} cannot be {what}: {error.strerror}") from error
