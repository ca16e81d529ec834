"""Attestors: the public keys of those whose attestations of builds count, as people agreed to them.

Rules of this file:
1. A key is the DER of a SubjectPublicKeyInfo with an Ed25519 key or one of ECDSA on P-256: what builders sign with.
2. A key has one spelling, and is one that only its holder can sign with.

Source: RFC 5280, section 4.1.2.7; RFC 8410; RFC 5480.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from ringfence.core.errors import InvalidInputError
from ringfence.core.people.signatures import is_sound_point

PEM_SIZE_BYTES_MAX: Final = 2048
DER_SIZE_BYTES_MAX: Final = 128
ED25519: Final = "Ed25519"
P256: Final = "ECDSA P-256"

PublicKey: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class AttestorKey:
    """A key that was read and keeps to the rules of this file, and its algorithm's name."""

    algorithm: str
    key: PublicKey


def read_attestor(der: bytes, *, place: str = "attestor") -> AttestorKey:
    """Read an attestor's public key.

    Raises:
        InvalidInputError: it breaks a rule of this file.
    """
    try:
        key = load_der_public_key(der) if len(der) <= DER_SIZE_BYTES_MAX else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, Ed25519PublicKey):
        algorithm, sound = ED25519, is_sound_point(key.public_bytes_raw())
    elif isinstance(key, EllipticCurvePublicKey):
        algorithm, sound = P256, isinstance(key.curve, SECP256R1)
    else:
        raise _invalid("this is no public key, or of an algorithm that is not taken", place)
    if not sound or _render(key) != der:
        raise _invalid("this key could be signed with by anyone, is on another curve, or has a second spelling", place)
    return AttestorKey(algorithm, key)


def parse_attestor(pem: bytes, *, place: str = "attestor") -> bytes:
    """Give the DER of the public key in a PEM file, as `openssl pkey -pubout` writes it.

    Raises:
        InvalidInputError: it holds no such key, or the key breaks a rule of this file.
    """
    try:
        key = load_pem_public_key(pem) if len(pem) <= PEM_SIZE_BYTES_MAX else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise _invalid("this is no public key in PEM, or of an algorithm that is not taken", place)
    der = _render(key)
    read_attestor(der, place=place)
    return der


def name_attestor(der: bytes) -> str:
    """Give what a key is called: the SHA-256 of its DER, as hex."""
    return hashlib.sha256(der).hexdigest()


def _render(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _invalid(message: str, place: str) -> InvalidInputError:
    return InvalidInputError(
        message, place=place, hint=f"give a key of {ED25519} or {P256}, as `openssl pkey -pubout` writes it"
    )
