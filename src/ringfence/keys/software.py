"""Key custody in files: for development and tests, and for hosts that the custodian alone runs.

A directory holds one key-encryption key for each data class and key epoch (`CLASS.EPOCH.kek`), one secret that every
blind index is derived from (`index.key`), one key for the ledger's openings (`detail.key`), and the name of the
jurisdiction (`jurisdiction`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.envelope import (
    KEY_SIZE_BYTES,
    NONCE_SIZE_BYTES,
    REFERENCE_SIZE_BYTES,
    KeyName,
    unwrap_key,
    wrap_key,
)
from ringfence.core.errors import ConfigurationError, IntegrityError
from ringfence.core.key_custody import OPENINGS
from ringfence.core.ports import KeyRow
from ringfence.keys.files import read_key_file, write_key_file

BLOCK_SIZE_BYTES: Final = 64
INDEX_KEY, DETAIL_KEY, JURISDICTION = "index.key", "detail.key", "jurisdiction"
_KEK_NAME: Final = re.compile(r"([a-z][a-z0-9_-]*)\.([1-9][0-9]{0,8})\.kek")


class KeyedHash:
    """HMAC-SHA256 under one key, its state kept after the key: a third of the time of starting with the key each time.

    Args:
        key: at most 64 bytes, the block of SHA-256.

    Source: RFC 2104, section 4.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > BLOCK_SIZE_BYTES:
            raise ValueError(f"a key has at most {BLOCK_SIZE_BYTES} bytes here")
        block = key.ljust(BLOCK_SIZE_BYTES, b"\x00")
        self._inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in block]))
        self._outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in block]))

    def digest(self, value: bytes) -> bytes:
        """Give the code (32 bytes) of a value."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(value)
        outer.update(inner.digest())
        return outer.digest()


class SoftwareCustody:
    """The custodian's keys, held in this process's memory. Made by `open_custody`."""

    def __init__(
        self, *, jurisdiction: str, keks: dict[tuple[str, int], bytes], index_secret: bytes, detail_key: bytes
    ) -> None:
        self._jurisdiction = jurisdiction
        self._keks = {name: AESGCM(key) for name, key in keks.items()}
        self._newest: dict[str, int] = {}
        for data_class, key_epoch in keks:
            self._newest[data_class] = max(key_epoch, self._newest.get(data_class, 0))
        self._index_secret = index_secret
        self._codes: dict[str, KeyedHash] = {}
        self._detail = AESGCM(detail_key)

    @property
    def jurisdiction(self) -> str:
        """ISO 3166 alpha-2 country whose data these keys hold."""
        return self._jurisdiction

    def wrap(self, *, data_class: str, subject_ref: bytes, data_key: bytes) -> KeyRow:
        """Wrap a new data key under the newest key epoch of its class.

        Raises:
            ConfigurationError: no key-encryption key is held for the class.
        """
        key_epoch = self._newest.get(data_class, 0)
        name = KeyName(self._jurisdiction, data_class, key_epoch, subject_ref)
        wrapped = wrap_key(
            self._kek(data_class, key_epoch), name, data_key=data_key, nonce=os.urandom(NONCE_SIZE_BYTES)
        )
        return KeyRow(subject_ref, data_class, key_epoch, wrapped)

    def unwrap(self, row: KeyRow) -> bytes:
        """Give a data key (32 bytes), its commitment checked.

        Raises:
            IntegrityError: the row is not what was wrapped.
            ConfigurationError: the key epoch is not held (any more).
        """
        name = KeyName(self._jurisdiction, row.data_class, row.key_epoch, row.subject_ref)
        return unwrap_key(self._kek(row.data_class, row.key_epoch), name, row.key)

    def index(self, label: str, value: bytes) -> bytes:
        """Give the blind index (16 bytes) of a value: HMAC-SHA256 under a key of its own for each label, cut."""
        return self._keyed(label).digest(value)[:REFERENCE_SIZE_BYTES]

    def indexes(self, label: str, values: Sequence[bytes]) -> list[bytes]:
        """Give the blind index of each value."""
        code = self._keyed(label).digest
        return [code(value)[:REFERENCE_SIZE_BYTES] for value in values]

    def code(self, label: str, value: bytes) -> bytes:
        """Give the authentication code (32 bytes) of a value: HMAC-SHA256 under a key of its own for each label."""
        return self._keyed(label).digest(value)

    def _keyed(self, label: str) -> KeyedHash:
        code = self._codes.get(label)
        if code is None:
            key = hmac.digest(self._index_secret, b"ringfence index v1\x00" + label.encode() + b"\x01", "sha256")
            code = self._codes[label] = KeyedHash(key)
        return code

    def seal_detail(self, *, lane: int, n: int, plaintext: bytes, part: str = OPENINGS) -> bytes:
        """Encrypt a part of a batch's detail."""
        nonce = os.urandom(NONCE_SIZE_BYTES)
        return nonce + self._detail.encrypt(nonce, plaintext, _detail_context(lane, n, part))

    def open_detail(self, *, lane: int, n: int, sealed: bytes, part: str = OPENINGS) -> bytes:
        """Decrypt a batch's openings.

        Raises:
            IntegrityError: they are not what was sealed for this batch.
        """
        try:
            return self._detail.decrypt(
                sealed[:NONCE_SIZE_BYTES], sealed[NONCE_SIZE_BYTES:], _detail_context(lane, n, part)
            )
        except (InvalidTag, ValueError):
            raise IntegrityError(
                "the openings of a batch are not what was written", place=f"lane {lane} batch {n}"
            ) from None

    def _kek(self, data_class: str, key_epoch: int) -> AESGCM:
        kek = self._keks.get((data_class, key_epoch))
        if kek is None:
            raise ConfigurationError(
                f"no key-encryption key is held for class {data_class} in key epoch {key_epoch}",
                hint=f"restore {data_class}.{key_epoch}.kek from the custodian's key backup, unless it was destroyed",
            )
        return kek


def create_custody(directory: Path, *, jurisdiction: str, classes: Iterable[str]) -> None:
    """Make a new directory of keys, key epoch 1 for each class.

    Raises:
        ConfigurationError: a key is there already, or cannot be written.
    """
    for name, key in make_custody_files(jurisdiction=jurisdiction, classes=classes).items():
        write_key_file(directory / name, key)


def make_custody_files(*, jurisdiction: str, classes: Iterable[str]) -> dict[str, bytes]:
    """Give the files of a new directory of keys, by name, key epoch 1 for each class.

    Raises:
        ConfigurationError: a class has no name for a file.
    """
    names = [*(_kek_name(data_class, 1) for data_class in classes), INDEX_KEY, DETAIL_KEY]
    return {**{name: os.urandom(KEY_SIZE_BYTES) for name in names}, JURISDICTION: jurisdiction.encode("ascii")}


def open_custody(directory: Path) -> SoftwareCustody:
    """Read a directory of keys.

    Raises:
        ConfigurationError: a file is missing, of a wrong size, or readable by others.
    """
    names = _list_keks(directory)
    if not names:
        raise ConfigurationError(
            f"the key directory {directory} holds no key-encryption key", hint="make keys with `ringfence init`"
        )
    files = {
        name: read_key_file(directory / name) for name in [*(_kek_name(*kek) for kek in names), INDEX_KEY, DETAIL_KEY]
    }
    return custody_of({**files, JURISDICTION: read_key_file(directory / JURISDICTION, size_bytes=2)})


def custody_of(files: Mapping[str, bytes]) -> SoftwareCustody:
    """Give the custody of the keys in these files, by name."""
    keks = {(match[1], int(match[2])): key for name, key in files.items() if (match := _KEK_NAME.fullmatch(name))}
    return SoftwareCustody(
        jurisdiction=files[JURISDICTION].decode("ascii", "replace"),
        keks=keks,
        index_secret=files[INDEX_KEY],
        detail_key=files[DETAIL_KEY],
    )


def _list_keks(directory: Path) -> list[tuple[str, int]]:
    """Give the class and key epoch of each key-encryption key that is there."""
    try:
        names = [path.name for path in directory.iterdir()]
    except OSError as error:
        raise ConfigurationError(
            f"the key directory {directory} cannot be read: {error.strerror}", hint="make keys with `ringfence init`"
        ) from None
    return sorted((match[1], int(match[2])) for name in names if (match := _KEK_NAME.fullmatch(name)))


def _kek_name(data_class: str, key_epoch: int) -> str:
    name = f"{data_class}.{key_epoch}.kek"
    if not _KEK_NAME.fullmatch(name):
        raise ConfigurationError(
            f"no key file can be named for class {data_class!r} in key epoch {key_epoch}",
            hint="a class is lower-case letters, digits, - and _; key epochs count from 1",
        )
    return name


def _detail_context(lane: int, n: int, part: str) -> bytes:
    return b"ringfence %s v1 %d %d" % (part.encode("ascii"), lane, n)
