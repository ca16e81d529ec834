"""Keys of attestors, written apart from the code under test."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.core.people.ssh_keys import private_key

ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in its DER: RFC 8410, section 4."""


def attestor_private(seed: int) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    """Give a private key: Ed25519, or ECDSA on P-256 where the seed is below zero."""
    return private_key(seed) if seed > 0 else ec.derive_private_key(-seed, ec.SECP256R1())


def attestor_key(seed: int) -> bytes:
    """Give the public key of the pair with this seed, as DER."""
    return attestor_private(seed).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
