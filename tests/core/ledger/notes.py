"""A signed checkpoint of a made-up ledger, its log and one witness: the same keys in every test."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core.ledger.checkpoint import Checkpoint, add_cosignatures, render_checkpoint, sign_checkpoint
from ringfence.core.ledger.signed_note import KEY_TYPE_COSIGNATURE, cosign, verifier_key_of

ORIGIN = "ledger.example.com/custody"
LOG_SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS_SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
LOG_KEY = verifier_key_of(LOG_SECRET, name=ORIGIN)
WITNESS_KEY = verifier_key_of(WITNESS_SECRET, name="witness.example.net/w1", key_type=KEY_TYPE_COSIGNATURE)
TIME_SECONDS = 1_700_000_000
CHECKPOINT = Checkpoint(ORIGIN, 20852163, bytes(range(100, 132)))
TEXT = render_checkpoint(CHECKPOINT)
SIGNED = sign_checkpoint(CHECKPOINT, name=ORIGIN, key=LOG_SECRET, time_seconds=TIME_SECONDS)


def witnessed(secret: Ed25519PrivateKey = WITNESS_SECRET, name: str = WITNESS_KEY.name) -> bytes:
    """Give the signed checkpoint with a witness's cosignature."""
    return add_cosignatures(SIGNED, [cosign(TEXT, name=name, key=secret, time_seconds=TIME_SECONDS + 1)])
