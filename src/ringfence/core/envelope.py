"""Sealed bytes: how a record's part and a subject's key are encrypted.

Rules of this file:
1. Every subject has one random 256-bit data key per data class. It is never derived from another key, so that one
   subject can be shredded alone.
2. A data key is wrapped under the key-encryption key of its jurisdiction, class and key epoch; what it belongs to is
   authenticated with it, so that a wrapped key moved to another subject or class does not open.
3. A data key has a public commitment, checked before anything is opened with it: AES-GCM alone does not bind a
   ciphertext to one key.
4. A part is authenticated with its dataset, subject, record, class, schema and version, so that ciphertexts cannot be
   swapped or put back under another version.

Algorithms: AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces; HKDF-Expand (RFC 5869) with SHA-256.
A key-encryption key wraps at most 2^32 data keys and a data key seals at most 2^32 parts, the bound of SP 800-38D for
random nonces.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.errors import IntegrityError

KEY_SIZE_BYTES: Final = 32
NONCE_SIZE_BYTES: Final = 12
TAG_SIZE_BYTES: Final = 16
REFERENCE_SIZE_BYTES: Final = 16
SCHEMA: Final = 1
PLAINTEXT_SIZE_BYTES_MAX: Final = 1024 * 1024
OVERHEAD_SIZE_BYTES: Final = 1 + NONCE_SIZE_BYTES + TAG_SIZE_BYTES
CONTEXT_HEADS_CACHED_MAX: Final = 1024
_FORMAT: Final = b"\x01"
_FIRST_VERSION: Final = struct.pack(">HQ", SCHEMA, 1)


class PartName(NamedTuple):
    """Which part: everything that is authenticated with it but its version.

    `subject_ref` and `record_key` are 16 bytes each.
    """

    dataset: str
    subject_ref: bytes
    record_key: bytes
    data_class: str


class KeyName(NamedTuple):
    """Which data key: everything that is authenticated with its wrapping."""

    jurisdiction: str
    data_class: str
    key_epoch: int
    subject_ref: bytes


class WrappedKey(NamedTuple):
    """A data key under a key-encryption key, and its public commitment (32 bytes)."""

    wrapped: bytes
    commitment: bytes


def commit_key(data_key: bytes) -> bytes:
    """Give the public commitment (32 bytes) to a data key: HKDF-Expand(key, "commit")."""
    return hmac.digest(data_key, b"ringfence commit v1\x01", "sha256")


def _pack(label: bytes, *fields: bytes) -> bytes:
    return label + b"".join([struct.pack(">H", len(field)) + field for field in fields])


def _part_context(name: PartName, version: int) -> bytes:
    head = _context_head(name.dataset, name.data_class)
    return b"%b%b%b%b" % (head, name.subject_ref, name.record_key, struct.pack(">HQ", SCHEMA, version))


@lru_cache(maxsize=CONTEXT_HEADS_CACHED_MAX)
def _context_head(dataset: str, data_class: str) -> bytes:
    """Give what the contexts of all parts of a dataset and class begin with: a charter names few of them."""
    return _pack(b"ringfence part v1", dataset.encode(), data_class.encode())


def seal_part(cipher: AESGCM, name: PartName, *, version: int, plaintext: bytes, nonce: bytes) -> bytes:
    """Encrypt one part under its subject's data key.

    Args:
        cipher: AES-256-GCM under the data key, after its commitment was checked.
        name: what the part is.
        version: 1 for the first write, one more for each later write.
        plaintext: at most `PLAINTEXT_SIZE_BYTES_MAX` bytes.
        nonce: 12 random bytes, never used before with this key.
    """
    return _FORMAT + nonce + cipher.encrypt(nonce, plaintext, _part_context(name, version))


def contexts_of_new(
    datasets: Sequence[str], subject_ref: bytes, data_class: str, record_keys: Sequence[bytes]
) -> list[bytes]:
    """Give what `seal_new_parts` binds the first versions of parts to, of one subject and class.

    Args:
        datasets, record_keys: of each part; see `PartName`.
        subject_ref, data_class: see `PartName`.

    Raises:
        ValueError: there are not as many of each.
    """
    heads = {dataset: _context_head(dataset, data_class) + subject_ref for dataset in {*datasets}}
    return [heads[dataset] + key + _FIRST_VERSION for dataset, key in zip(datasets, record_keys, strict=True)]


def seal_new_parts(
    cipher: AESGCM, *, contexts: Sequence[bytes], plaintexts: Sequence[bytes], nonces: bytes
) -> list[bytes]:
    """Encrypt the first versions of many parts of one subject and class, each as `seal_part` does.

    Args:
        cipher: see `seal_part`.
        contexts: of each part, by `contexts_of_new`.
        plaintexts: of each part, at most `PLAINTEXT_SIZE_BYTES_MAX` bytes.
        nonces: 12 random bytes for each, one after the other, never used before with this key.

    Raises:
        ValueError: there are not as many of each.
    """
    encrypt, sealed = cipher.encrypt, []
    places = range(0, len(nonces), NONCE_SIZE_BYTES)
    for place, context, plaintext in zip(places, contexts, plaintexts, strict=True):
        nonce = nonces[place : place + NONCE_SIZE_BYTES]
        sealed.append(_FORMAT + nonce + encrypt(nonce, plaintext, context))
    return sealed


def open_part(cipher: AESGCM, name: PartName, *, version: int, sealed: bytes) -> bytes:
    """Decrypt one part; the inverse of `seal_part`.

    Raises:
        IntegrityError: it is not what was sealed under this key, name and version.
    """
    if len(sealed) < OVERHEAD_SIZE_BYTES or sealed[:1] != _FORMAT:
        raise IntegrityError("a stored part is not in the sealed format", place=render_part_name(name))
    try:
        return cipher.decrypt(
            sealed[1 : 1 + NONCE_SIZE_BYTES], sealed[1 + NONCE_SIZE_BYTES :], _part_context(name, version)
        )
    except (InvalidTag, struct.error):  # a version that no part can have is as wrong as another one's
        raise IntegrityError(
            "a stored part does not open under its own key, place and version",
            place=render_part_name(name),
            hint="run `ringfence vault audit` to find every row that is not what was written",
        ) from None


def wrap_key(cipher: AESGCM, name: KeyName, *, data_key: bytes, nonce: bytes) -> WrappedKey:
    """Encrypt a data key under a key-encryption key.

    Args:
        cipher: AES-256-GCM under the key-encryption key of the name's jurisdiction, class and key epoch.
        name: what the key is.
        data_key: 32 random bytes.
        nonce: 12 random bytes.
    """
    commitment = commit_key(data_key)
    return WrappedKey(nonce + cipher.encrypt(nonce, data_key, _key_context(name, commitment)), commitment)


def unwrap_key(cipher: AESGCM, name: KeyName, wrapped: WrappedKey) -> bytes:
    """Decrypt a data key and check its commitment; the inverse of `wrap_key`.

    Raises:
        IntegrityError: it is not what was wrapped for this subject, class and key epoch.
    """
    place = f"key {name.data_class} of subject {name.subject_ref.hex()}"
    try:
        data_key = cipher.decrypt(
            wrapped.wrapped[:NONCE_SIZE_BYTES],
            wrapped.wrapped[NONCE_SIZE_BYTES:],
            _key_context(name, wrapped.commitment),
        )
    except (InvalidTag, ValueError):
        raise IntegrityError(
            "a wrapped key does not open for the subject and class it is stored under", place=place
        ) from None
    if not hmac.compare_digest(commit_key(data_key), wrapped.commitment):
        raise IntegrityError("a data key is not the one that was committed to", place=place)
    return data_key


def _key_context(name: KeyName, commitment: bytes) -> bytes:
    return _pack(
        b"ringfence key v1",
        name.jurisdiction.encode(),
        name.data_class.encode(),
        struct.pack(">Q", name.key_epoch),
        name.subject_ref,
        commitment,
    )


def render_part_name(name: PartName) -> str:
    """Give a part's name for a message: pseudonyms only."""
    return f"{name.dataset}/{name.subject_ref.hex()}/{name.record_key.hex()}/{name.data_class}"
