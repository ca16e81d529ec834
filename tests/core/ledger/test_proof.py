"""Offline proofs: each small tree's every leaf, every flipped byte, and every malformed line."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.checkpoint import Checkpoint, sign_checkpoint
from ringfence.core.ledger.merkle import hash_leaf, node_reader_of, prove_inclusion, root_of
from ringfence.core.ledger.proof import InclusionProof, parse_proof, render_proof, verify_proof
from ringfence.core.ledger.signed_note import verifier_key_of
from tests.core.mutation import mutated

ORIGIN = "ledger.example.com/custody"
SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG_KEY = verifier_key_of(SECRET, name=ORIGIN)
LEAVES = [hash_leaf(str(number).encode()) for number in range(12)]


def checkpoint_of(size: int) -> bytes:
    checkpoint = Checkpoint(ORIGIN, size, root_of(LEAVES[:size]))
    return sign_checkpoint(checkpoint, name=ORIGIN, key=SECRET, time_seconds=1_700_000_000)


def proof_of(index: int, size: int, extra: bytes = b"") -> InclusionProof:
    path = prove_inclusion(node_reader_of(LEAVES[:size]), index=index, size=size)
    return InclusionProof(index, path, checkpoint_of(size), extra)


PROOF = proof_of(5, 12)
DATA = render_proof(PROOF)


def test_every_leaf_of_every_small_tree_is_proven() -> None:
    for size in range(1, 13):
        for index in range(size):
            data = render_proof(proof_of(index, size))
            signed = verify_proof(parse_proof(data), leaf_hash=LEAVES[index], log_key=LOG_KEY)
            assert signed.checkpoint.size == size
            with pytest.raises(ProofInvalidError):
                verify_proof(parse_proof(data), leaf_hash=hash_leaf(b"another"), log_key=LOG_KEY)


def test_file_has_the_lines_of_the_standard() -> None:
    lines = render_proof(proof_of(1, 2, extra=b"abc")).split(b"\n")

    assert lines[:3] == [b"c2sp.org/tlog-proof@v1", b"extra YWJj", b"index 1"]
    assert len(lines[3]) == 44
    assert lines[4:7] == [b"", ORIGIN.encode(), b"2"]


def test_proof_reads_back_with_and_without_extra() -> None:
    for extra in (b"", b"\0\1\2"):
        proof = proof_of(5, 12, extra)
        assert parse_proof(render_proof(proof)) == proof
        verify_proof(parse_proof(render_proof(proof)), leaf_hash=LEAVES[5], log_key=LOG_KEY)


def test_every_flipped_bit_of_a_proof_is_refused() -> None:
    for position in range(len(DATA)):
        for bit in range(8):
            flipped = bytearray(DATA)
            flipped[position] ^= 1 << bit
            with pytest.raises(ProofInvalidError):
                verify_proof(parse_proof(bytes(flipped)), leaf_hash=LEAVES[5], log_key=LOG_KEY)


def test_proof_under_another_key_is_refused() -> None:
    other = verifier_key_of(Ed25519PrivateKey.from_private_bytes(bytes(32)), name=ORIGIN)

    with pytest.raises(ProofInvalidError):
        verify_proof(parse_proof(DATA), leaf_hash=LEAVES[5], log_key=other)


def test_path_of_one_tree_under_the_checkpoint_of_another_is_refused() -> None:
    for size in (6, 8, 11):
        moved = dataclasses.replace(PROOF, checkpoint=checkpoint_of(size))
        with pytest.raises(ProofInvalidError):
            verify_proof(parse_proof(render_proof(moved)), leaf_hash=LEAVES[5], log_key=LOG_KEY)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (b"c2sp.org/tlog-proof@v1", b"c2sp.org/tlog-proof@v2"),
        (b"c2sp.org/tlog-proof@v1\n", b""),
        (b"index 5\n", b""),
        (b"index 5", b"index 05"),
        (b"index 5", b"index -5"),
        (b"index 5", b"index  5"),
        (b"index 5", b"index 5 "),
        (b"index 5", "index \u0665".encode()),
        (b"index 5", b"index 9223372036854775807"),
        (b"index 5", b"extra \nindex 5"),
        (b"index 5", b"extra YWJ\nindex 5"),
        (b"index 5", b"index 5\nextra YWJj"),
        (b"index 5", b"extra YWJj\nextra YWJj\nindex 5"),
        (b"index 5\n", b"index 5\nYWJj\n"),
        (b"index 5\n", b"index 5\n\n"),
        (b"index 5\n", b"index 5\n" + b"A" * 43 + b"=\n" * 64),
        (b"=\n\n", b"=\n"),
        (b"\n\n", b"\n\n\n"),
        (b"\n", b"\r\n"),
    ],
)
def test_malformed_proof_is_refused(found: bytes, wanted: bytes) -> None:
    data = DATA.replace(found, wanted, 1)
    assert data != DATA

    with pytest.raises(ProofInvalidError):
        verify_proof(parse_proof(data), leaf_hash=LEAVES[5], log_key=LOG_KEY)


def test_proof_that_cannot_be_written_is_refused() -> None:
    for changes in (
        {"index": -1},
        {"hashes": (b"short",)},
        {"hashes": (b"",)},
        {"hashes": (bytes(32),) * 64},
        {"checkpoint": b"no note"},
        {"extra": bytes(2**18)},
    ):
        with pytest.raises(InvalidInputError):
            render_proof(dataclasses.replace(PROOF, **changes))


@given(st.binary(max_size=200) | mutated(DATA) | mutated(render_proof(proof_of(0, 1, b"extra"))))
def test_any_bytes_are_a_proof_or_refused(data: bytes) -> None:
    try:
        proof = parse_proof(data)
    except ProofInvalidError:
        return
    assert render_proof(proof) == data
