"""Sealed parts and wrapped keys: open where they belong, and nowhere else."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.envelope import (
    NONCE_SIZE_BYTES,
    OVERHEAD_SIZE_BYTES,
    KeyName,
    PartName,
    WrappedKey,
    commit_key,
    open_part,
    render_part_name,
    seal_part,
    unwrap_key,
    wrap_key,
)
from ringfence.core.errors import IntegrityError
from tests.core.mutation import mutated

ALICE, BOB = b"alice-----------", b"bob-------------"
RECORD, OTHER_RECORD = b"record-aaaaaaaaa", b"record-bbbbbbbbb"
NAME = PartName("profile", ALICE, RECORD, "protected")
KEY_NAME = KeyName("US", "protected", 1, ALICE)
CIPHER = AESGCM(bytes(range(32)))
OTHER_CIPHER = AESGCM(bytes(32))
DATA_KEY = bytes(range(100, 132))
NONCE = bytes(range(NONCE_SIZE_BYTES))
PLAINTEXT = b'{"email":"alice@example.com"}'


def sealed(name: PartName = NAME, version: int = 1, plaintext: bytes = PLAINTEXT) -> bytes:
    return seal_part(CIPHER, name, version=version, plaintext=plaintext, nonce=NONCE)


def wrapped(name: KeyName = KEY_NAME, data_key: bytes = DATA_KEY) -> WrappedKey:
    return wrap_key(CIPHER, name, data_key=data_key, nonce=NONCE)


def changed(original: bytes) -> st.SearchStrategy[bytes]:
    """Give bytes that are anything near the original but it."""
    return mutated(original).filter(lambda data: data != original)


# --- parts -----------------------------------------------------------------------------------------------------------


@given(plaintext=st.binary(max_size=300), version=st.integers(1, (1 << 63) - 1), dataset=st.text(max_size=20))
def test_part_opens_to_what_was_sealed(plaintext: bytes, version: int, dataset: str) -> None:
    name = NAME._replace(dataset=dataset)
    data = sealed(name, version, plaintext)
    assert len(data) == len(plaintext) + OVERHEAD_SIZE_BYTES
    assert open_part(CIPHER, name, version=version, sealed=data) == plaintext


@pytest.mark.parametrize(
    "name",
    [
        NAME._replace(dataset="posts"),
        NAME._replace(subject_ref=BOB),
        NAME._replace(record_key=OTHER_RECORD),
        NAME._replace(data_class="public"),
        PartName("profil", b"e" + ALICE[:15], RECORD, "protected"),
        PartName("profile", ALICE, RECORD, "protecte"),
    ],
)
def test_part_does_not_open_in_another_place(name: PartName) -> None:
    with pytest.raises(IntegrityError) as caught:
        open_part(CIPHER, name, version=1, sealed=sealed())
    assert caught.value.place == render_part_name(name)
    assert open_part(CIPHER, NAME, version=1, sealed=sealed()) == PLAINTEXT


@pytest.mark.parametrize("version", [1, 3, -1, 1 << 64])
def test_part_does_not_open_as_another_version(version: int) -> None:
    with pytest.raises(IntegrityError):
        open_part(CIPHER, NAME, version=version, sealed=sealed(version=2))
    assert open_part(CIPHER, NAME, version=2, sealed=sealed(version=2)) == PLAINTEXT


def test_swapped_ciphertexts_of_one_subject_do_not_open() -> None:
    names = [NAME, NAME._replace(record_key=OTHER_RECORD)]
    parts = [sealed(name) for name in names]
    for name, part in zip(names, reversed(parts), strict=True):
        with pytest.raises(IntegrityError):
            open_part(CIPHER, name, version=1, sealed=part)
    assert [open_part(CIPHER, name, version=1, sealed=part) for name, part in zip(names, parts, strict=True)]


def test_part_does_not_open_with_another_key() -> None:
    with pytest.raises(IntegrityError):
        open_part(OTHER_CIPHER, NAME, version=1, sealed=sealed())


def test_part_shows_neither_its_text_nor_its_key() -> None:
    assert PLAINTEXT[:8] not in sealed()
    with pytest.raises(IntegrityError) as caught:
        open_part(CIPHER, NAME, version=2, sealed=sealed())
    assert "alice@" not in f"{caught.value} {caught.value.hint} {caught.value.place}"


@given(data=changed(sealed()))
def test_changed_part_never_opens(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        open_part(CIPHER, NAME, version=1, sealed=data)


@given(data=st.binary(max_size=80))
def test_any_bytes_are_refused_as_a_part(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        open_part(CIPHER, NAME, version=1, sealed=data)


def test_every_byte_of_a_part_counts() -> None:
    part = sealed()
    for place in range(len(part)):
        for bit in (0x01, 0x80):
            flipped = part[:place] + bytes([part[place] ^ bit]) + part[place + 1 :]
            with pytest.raises(IntegrityError):
                open_part(CIPHER, NAME, version=1, sealed=flipped)
        with pytest.raises(IntegrityError):
            open_part(CIPHER, NAME, version=1, sealed=part[:place])


# --- keys ------------------------------------------------------------------------------------------------------------


@given(data_key=st.binary(min_size=32, max_size=32), key_epoch=st.integers(0, (1 << 63) - 1))
def test_key_unwraps_to_what_was_wrapped(data_key: bytes, key_epoch: int) -> None:
    name = KEY_NAME._replace(key_epoch=key_epoch)
    assert unwrap_key(CIPHER, name, wrapped(name, data_key)) == data_key


def test_commitment_is_hkdf_expand_of_the_key() -> None:
    expand = HKDFExpand(hashes.SHA256(), 32, b"ringfence commit v1")
    assert commit_key(DATA_KEY) == wrapped().commitment == expand.derive(DATA_KEY)


@pytest.mark.parametrize(
    "name",
    [
        KEY_NAME._replace(jurisdiction="DE"),
        KEY_NAME._replace(data_class="public"),
        KEY_NAME._replace(key_epoch=2),
        KEY_NAME._replace(subject_ref=BOB),
        KeyName("USp", "rotected", 1, ALICE),
    ],
)
def test_wrapped_key_does_not_open_in_another_place(name: KeyName) -> None:
    with pytest.raises(IntegrityError):
        unwrap_key(CIPHER, name, wrapped())
    assert unwrap_key(CIPHER, KEY_NAME, wrapped()) == DATA_KEY


def test_swapped_wrapped_keys_do_not_open() -> None:
    alice, bob = wrapped(), wrapped(KEY_NAME._replace(subject_ref=BOB), bytes(32))
    for swapped in (bob, WrappedKey(alice.wrapped, bob.commitment), WrappedKey(bob.wrapped, alice.commitment)):
        with pytest.raises(IntegrityError):
            unwrap_key(CIPHER, KEY_NAME, swapped)


def test_key_that_is_not_the_one_committed_to_is_refused() -> None:
    """A hostile wrapper authenticates a false commitment: AES-GCM opens, the commitment tells."""
    false = hashlib.sha256(b"another key").digest()
    label = [b"US", b"protected", (1).to_bytes(8, "big"), ALICE, false]
    context = b"ringfence key v1" + b"".join(len(part).to_bytes(2, "big") + part for part in label)
    forged = WrappedKey(NONCE + CIPHER.encrypt(NONCE, DATA_KEY, context), false)
    with pytest.raises(IntegrityError, match="committed"):
        unwrap_key(CIPHER, KEY_NAME, forged)


def test_key_does_not_unwrap_under_another_key() -> None:
    with pytest.raises(IntegrityError):
        unwrap_key(OTHER_CIPHER, KEY_NAME, wrapped())


@given(data=changed(wrapped().wrapped), commitment=st.sampled_from([wrapped().commitment, bytes(32), b""]))
def test_changed_wrapped_key_never_opens(data: bytes, commitment: bytes) -> None:
    with pytest.raises(IntegrityError):
        unwrap_key(CIPHER, KEY_NAME, WrappedKey(data, commitment))


@given(commitment=changed(wrapped().commitment))
def test_changed_commitment_never_opens(commitment: bytes) -> None:
    with pytest.raises(IntegrityError):
        unwrap_key(CIPHER, KEY_NAME, WrappedKey(wrapped().wrapped, commitment))


@given(data=st.binary(max_size=70), commitment=st.binary(max_size=40))
def test_any_bytes_are_refused_as_a_wrapped_key(data: bytes, commitment: bytes) -> None:
    with pytest.raises(IntegrityError):
        unwrap_key(CIPHER, KEY_NAME, WrappedKey(data, commitment))
