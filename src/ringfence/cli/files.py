"""Files that a command is given: read up to a limit, written whole, or refused by name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import click

from ringfence.core.errors import ConfigurationError, InvalidInputError

FILE: Final = click.Path(path_type=Path)
"""The type of an argument that names a file."""


def show_path(path: Path) -> str:
    """Give a path as it can be printed: a name that is no text is shown with marks in it."""
    return click.format_filename(path)


def digest_file(path: Path) -> bytes:
    """Give the SHA-256 (32 bytes) of a file of any size, which is never held whole.

    Raises:
        InvalidInputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError) as error:  # the second: what no name of a file can be
        raise InvalidInputError(f"{show_path(path)} cannot be read: {_reason(error)}") from None


def read_file(path: Path, *, size_bytes_max: int, hint: str = "") -> bytes:
    """Read a file whole.

    Args:
        path: the file.
        size_bytes_max: most bytes that it may have.
        hint: what to name instead, should it be no such file.

    Raises:
        InvalidInputError: it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(size_bytes_max + 1)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{show_path(path)} cannot be read: {_reason(error)}", hint=hint) from None
    if len(data) > size_bytes_max:
        raise InvalidInputError(f"{show_path(path)} is larger than {size_bytes_max:,} bytes", hint=hint)
    return data


def write_text(path: Path, text: str) -> None:
    """Write a text where a command was told to, in place of what was there.

    Raises:
        InvalidInputError: it cannot be written.
    """
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InvalidInputError(f"{show_path(path)} cannot be written: {error.strerror or error}") from None


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet. A crash here leaves at most a part of it, which no command takes.

    Raises:
        ConfigurationError: it is there already, or cannot be written.
    """
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise ConfigurationError(
            f"{show_path(path)} is there already", hint="move it away, or name another file with --out"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{show_path(path)} cannot be written: {error.strerror}") from None


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or ascii(str(error))[1:-1]
