"""Attestations of builds, written apart from the code under test: DSSE envelopes with in-toto statements."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from tests.core.people.attestor_keys import attestor_private

PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUILDER = 11
"""The seed of the key of whoever builds the app, in `tests.core.people.attestor_keys`."""


def statement_of(build: bytes, **changes: Any) -> dict[str, Any]:
    """Give an in-toto statement about a build, by its digest, with other members where they are given."""
    told = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app-7.3.tar.gz", "digest": {"sha256": build.hex()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"buildDefinition": {"buildType": "https://builds.example.org/v1"}, "runDetails": {}},
    }
    return told | changes


def sign_payload(payload: bytes, *, seed: int = BUILDER, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Give an attestor's raw signature over a payload and its type: DSSE v1's PAE."""
    kind = payload_type.encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key = attestor_private(seed)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(signed)
    return key.sign(signed, ec.ECDSA(SHA256()))


def envelope_of(payload: bytes, *signatures: bytes, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    """Give an envelope whose parts need not fit each other."""
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": "any", "sig": base64.b64encode(signature).decode()} for signature in signatures],
    }


def attest(build: bytes, *seeds: int, payload_type: str = PAYLOAD_TYPE, **changes: Any) -> bytes:
    """Give an attestation of a build as its attestors sign it, its builder alone where none are told.

    Args:
        build: its digest.
        seeds: those of the attestors' keys, in the order of their signatures.
        payload_type: what the envelope says that the payload is.
        changes: other members of the statement.
    """
    payload = json.dumps(statement_of(build, **changes)).encode()
    signatures = (sign_payload(payload, seed=seed, payload_type=payload_type) for seed in seeds or (BUILDER,))
    return json.dumps(envelope_of(payload, *signatures, payload_type=payload_type)).encode()
