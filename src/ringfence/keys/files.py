"""Key files: raw bytes, readable by their owner alone, never overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ringfence.core.errors import ConfigurationError


def write_key_file(path: Path, key: bytes) -> None:
    """Write a new key file, mode 0600, synced to the disk with its folder.

    Raises:
        ConfigurationError: the file is there already, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path)
    except FileExistsError:
        raise ConfigurationError(
            f"the key file {path} is there already", hint="a key is never overwritten: move the old file away first"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"the key file {path} cannot be written: {error.strerror}") from None


def read_key_file(path: Path, *, size_bytes: int = 32) -> bytes:
    """Read a key file.

    Raises:
        ConfigurationError: it is missing, of another size, or readable by others.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            key = file.read(size_bytes + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the key file {path} cannot be read: {error.strerror}", hint="restore it from the custodian's key backup"
        ) from None
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise ConfigurationError(f"the key file {path} can be read by others", hint=f"run: chmod 600 {path}")
    if len(key) != size_bytes:
        raise ConfigurationError(
            f"the key file {path} is not {size_bytes} bytes long", hint="restore it from the custodian's key backup"
        )
    return key


def erase_key_file(path: Path) -> None:
    """Overwrite a key file with zeros and remove it, both synced to the disk.

    A crash in between leaves a file that is no key any more, or none; erasing it again is safe.

    Raises:
        ConfigurationError: it is missing, or cannot be written or removed.
    """
    try:
        with path.open("r+b") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            file.write(bytes(size_bytes))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        _sync_folder(path)
    except OSError as error:
        raise ConfigurationError(f"the key file {path} cannot be erased: {error.strerror}") from None


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
