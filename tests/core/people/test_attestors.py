"""Keys of attestors: two algorithms, one spelling, and none that anyone could sign with."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError
from ringfence.core.people.attestors import (
    DER_SIZE_BYTES_MAX,
    ED25519,
    P256,
    PublicKey,
    name_attestor,
    parse_attestor,
    read_attestor,
)
from tests.core.mutation import mutated
from tests.core.people.attestor_keys import ED25519_PREFIX, attestor_key, attestor_private

KEYS = {1: ED25519, -1: P256}

# From `openssl genpkey -algorithm ed25519`, and what `openssl pkey -pubout -outform DER | sha256sum` says of it.
OPENSSL_PEM = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAQdSeuugkF+g4zclXUzruIANcndWQvSmB9cXgd2wQy0g=
-----END PUBLIC KEY-----
"""
OPENSSL_NAME = "4d8a4320e015abb8856c17876ba36420583f5453adeca99e2d8d38ec779dec9b"


def spki(key: PublicKey | ed448.Ed448PublicKey | rsa.RSAPublicKey, encoding: Encoding = Encoding.DER) -> bytes:
    return key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("seed", KEYS)
def test_key_of_each_algorithm_is_read(seed: int) -> None:
    der, pem = attestor_key(seed), spki(attestor_private(seed).public_key(), Encoding.PEM)

    assert parse_attestor(pem) == der
    assert read_attestor(der).algorithm == KEYS[seed]
    assert spki(read_attestor(der).key) == der


def test_name_is_what_openssl_gives() -> None:
    assert name_attestor(parse_attestor(OPENSSL_PEM)) == OPENSSL_NAME
    assert name_attestor(b"x") == hashlib.sha256(b"x").hexdigest()


def compressed() -> bytes:
    """Give the key on P-256 with its point spelled in the short way, which other programs take."""
    point = attestor_private(-1).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point


OTHERS = {
    "nothing": b"",
    "one byte short": attestor_key(1)[:-1],
    "one byte more": attestor_key(1) + b"\x00",
    "small order": ED25519_PREFIX + bytes(32),
    "point of one": ED25519_PREFIX + b"\x01" + bytes(31),
    "second spelling": ED25519_PREFIX + (2**255 - 19 + 3).to_bytes(32, "little"),
    "compressed": compressed(),
    "another curve": spki(ec.derive_private_key(7, ec.SECP384R1()).public_key()),
    "curve of coins": spki(ec.derive_private_key(7, ec.SECP256K1()).public_key()),
    "Ed448": spki(ed448.Ed448PrivateKey.from_private_bytes(bytes(57)).public_key()),
    "RSA": spki(rsa.generate_private_key(65537, 2048).public_key()),
    "too long": bytes(DER_SIZE_BYTES_MAX + 1),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_key_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        read_attestor(OTHERS[name])
    assert read_attestor(attestor_key(1))


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"ssh-ed25519 AAAA",
        attestor_key(1),
        OPENSSL_PEM.replace(b"PUBLIC", b"PRIVATE"),
        spki(ec.derive_private_key(7, ec.SECP384R1()).public_key(), Encoding.PEM),
        OPENSSL_PEM + b"\n" * 2048,
    ],
)
def test_file_without_such_a_key_is_refused(pem: bytes) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_attestor(pem)
    assert "openssl pkey -pubout" in refused.value.hint
    assert parse_attestor(OPENSSL_PEM)


@given(st.sampled_from([1, -1]).flatmap(lambda seed: mutated(attestor_key(seed))))
def test_changed_key_is_refused_or_is_another_key(der: bytes) -> None:
    try:
        key = read_attestor(der).key
    except InvalidInputError:
        return
    assert spki(key) == der
