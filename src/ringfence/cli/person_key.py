"""A person's own key pair in OpenSSH's files: made, read and unlocked on that person's machine.

The private half is of Ed25519, mode 0600, and encrypted under a passphrase unless the person wants none. What
`ssh-keygen -t ed25519` makes is read as well. A crash while a pair is made leaves at most the private half, from which
`ssh-keygen -y` gives the public one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from ringfence.cli.files import FILE, read_file, show_path
from ringfence.core.errors import ConfigurationError, InvalidInputError
from ringfence.core.people.signatures import parse_public_key, render_public_key
from ringfence.keys.files import erase_key_file, write_key_file

KEY_FILE_SIZE_BYTES_MAX: Final = 16 * 1024
PASSPHRASE_SIZE_BYTES_MAX: Final = 4096
PASSPHRASE_CHARACTERS_MIN: Final = 8
COMMENT_CHARACTERS_MAX: Final = 200

passphrase_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    type=FILE,
    help="Read the passphrase from FILE instead of asking for it.",
)


def make_key_pair(path: Path, *, passphrase: str, comment: str) -> bytes:
    """Write a new key pair, PATH and PATH.pub; gives the public key in wire form. "" for no passphrase.

    Raises:
        InvalidInputError: the comment cannot stand on a line.
        ConfigurationError: a file is there already, or cannot be written; then neither is left.
    """
    if not comment.isprintable() or len(comment) > COMMENT_CHARACTERS_MAX:
        raise InvalidInputError(f"a comment has up to {COMMENT_CHARACTERS_MAX} printable characters", place="comment")
    check_unused(path)
    public_path = public_path_of(path)
    pair = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    line = pair.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
    key = parse_public_key(line)
    write_key_file(path, pair.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption))
    try:
        write_key_file(public_path, f"{render_public_key(key, comment=comment)}\n".encode())
    except ConfigurationError:
        erase_key_file(path)
        raise
    return key


def check_unused(path: Path) -> None:
    """Refuse a path at which either half of a key pair is.

    Raises:
        ConfigurationError: says which.
    """
    for half in (path, public_path_of(path)):
        if os.path.lexists(half):
            raise ConfigurationError(
                f"the key file {show_path(half)} is there already",
                hint="a key is never overwritten: move the old file away first",
            )


def public_path_of(path: Path) -> Path:
    """Give where the public half of a key file is."""
    return path.with_name(f"{path.name}.pub")


def is_private(data: bytes) -> bool:
    """Tell whether a file holds the private half of a key, by its first line."""
    return data.lstrip().startswith(b"-----BEGIN")


def read_key(path: Path) -> bytes:
    """Read a key file of either half, not yet understood.

    Raises:
        ConfigurationError: it is missing or cannot be read, or is a private half that others can read.
        InvalidInputError: it is too large to be a key.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(KEY_FILE_SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the key file {show_path(path)} cannot be read: {error.strerror}",
            hint="make a key with `ringfence key new FILE`",
        ) from None
    if len(data) > KEY_FILE_SIZE_BYTES_MAX:
        raise InvalidInputError(f"{show_path(path)} is no key: it has over {KEY_FILE_SIZE_BYTES_MAX} bytes")
    if is_private(data) and (not stat.S_ISREG(mode) or mode & 0o077):
        raise ConfigurationError(
            f"the key file {show_path(path)} can be read by others", hint=f"run: chmod 600 {show_path(path)}"
        )
    return data


def parse_public_file(data: bytes, path: Path) -> bytes:
    """Give the public key, in wire form, that a `.pub` file holds.

    Raises:
        InvalidInputError: it holds none that is taken.
    """
    if is_private(data):
        raise InvalidInputError(
            f"{show_path(path)} holds a private key", hint=f"name its public half: {show_path(public_path_of(path))}"
        )
    try:
        return parse_public_key(data.decode("utf-8"), place=show_path(path))
    except UnicodeDecodeError:
        raise InvalidInputError("this is no public key in OpenSSH's form", place=show_path(path)) from None


def unlock_private_key(data: bytes, path: Path, *, ask: Callable[[], str]) -> Ed25519PrivateKey:
    """Give the private key that a file holds.

    Args:
        data: the file's bytes.
        path: where they are from, for errors.
        ask: gives the passphrase; called only when the key has one.

    Raises:
        InvalidInputError: it is no Ed25519 key in OpenSSH's form, or the passphrase is wrong.
    """
    try:
        try:
            key = load_ssh_private_key(data, None)
        except TypeError:  # it is encrypted
            key = load_ssh_private_key(data, ask().encode())
    except (ValueError, TypeError, InvalidTag):
        raise InvalidInputError(
            f"{show_path(path)} cannot be unlocked: the passphrase is wrong, or it is no private key in OpenSSH's form"
        ) from None
    except UnsupportedAlgorithm:
        raise InvalidInputError(
            f"the private half of {show_path(path)} is in hardware, or of an algorithm that is not known here",
            hint=f"name its public half, {show_path(public_path_of(path))}, and sign with ssh-keygen",
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInputError(f"{show_path(path)} is no Ed25519 key", hint="make one with `ringfence key new FILE`")
    return key


def choose_passphrase() -> str:
    """Ask for a new passphrase, twice.

    Raises:
        InvalidInputError: it is too short.
    """
    return check_passphrase(click.prompt("Passphrase", hide_input=True, confirmation_prompt="Once more", err=True))


def ask_passphrase(path: Path) -> str:
    """Ask for the passphrase of a key file."""
    given: str = click.prompt(f"Passphrase of {show_path(path)}", hide_input=True, err=True)
    return given


def check_passphrase(passphrase: str) -> str:
    """Give the passphrase back when it is long enough for a new key.

    Raises:
        InvalidInputError: it is not.
    """
    if len(passphrase) < PASSPHRASE_CHARACTERS_MIN:
        raise InvalidInputError(f"a passphrase has at least {PASSPHRASE_CHARACTERS_MIN} characters")
    return passphrase


def read_passphrase(path: Path) -> str:
    """Give the passphrase that a file holds; one newline at its end is not part of it.

    Raises:
        ConfigurationError: it cannot be read.
        InvalidInputError: it is no text.
    """
    try:
        return read_file(path, size_bytes_max=PASSPHRASE_SIZE_BYTES_MAX).decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        raise InvalidInputError(f"the passphrase file {show_path(path)} is not UTF-8") from None
