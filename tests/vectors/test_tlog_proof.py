"""Two implementations of tlog-proof agree: torchwood verified proof files of ours, and made the same ones.

`tlog_proof.json` is the output of `torchwood/main.go` on what this module prints when it is run as a program.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.checkpoint import Checkpoint, sign_checkpoint
from ringfence.core.ledger.merkle import hash_leaf, node_reader_of, prove_inclusion, root_of
from ringfence.core.ledger.proof import InclusionProof, parse_proof, render_proof, verify_proof
from ringfence.core.ledger.signed_note import render_vkey, verifier_key_of

ORIGIN = "ledger.example.com/custody"
SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG_KEY = verifier_key_of(SECRET, name=ORIGIN)
PLACES = [(0, 1), (0, 2), (1, 2), (2, 3), (4, 7), (6, 7), (254, 255), (0, 256), (255, 256), (256, 257), (9, 300)]
VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "tlog_proof.json").read_text())["proofs"]


def entry_of(index: int) -> bytes:
    """The entry that a proof is about."""
    return bytes(range(index % 7 + 1)) if index != 4 else b"\xff" * 1000


def make_proof(index: int, size: int) -> bytes:
    """Make the proof of one leaf in a tree whose other entries are `entry N`; every second one has something extra."""
    leaves = [hash_leaf(b"entry %d" % number if number != index else entry_of(index)) for number in range(size)]
    checkpoint = Checkpoint(ORIGIN, size, root_of(leaves))
    signed = sign_checkpoint(checkpoint, name=ORIGIN, key=SECRET, time_seconds=1_700_000_000)
    path = prove_inclusion(node_reader_of(leaves), index=index, size=size)
    return render_proof(InclusionProof(index, path, signed, b"extra" if index % 2 else b""))


def test_vectors_are_of_every_place() -> None:
    assert [(vector["index"], vector["size"]) for vector in VECTORS] == PLACES


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['index']} of {vector['size']}")
def test_proof_that_torchwood_verified_and_made_is_ours(vector: dict[str, Any]) -> None:
    entry, proof = bytes.fromhex(vector["entry"]), base64.b64decode(vector["proof"])

    assert entry == entry_of(vector["index"])
    assert proof == make_proof(vector["index"], vector["size"])
    assert (
        verify_proof(parse_proof(proof), leaf_hash=hash_leaf(entry), log_key=LOG_KEY).checkpoint.size == vector["size"]
    )
    with pytest.raises(ProofInvalidError):
        verify_proof(parse_proof(proof), leaf_hash=hash_leaf(b"another"), log_key=LOG_KEY)


if __name__ == "__main__":
    print(render_vkey(LOG_KEY))
    for index, size in PLACES:
        print(index, size, entry_of(index).hex(), base64.b64encode(make_proof(index, size)).decode())
