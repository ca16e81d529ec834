"""A receipt's entry is proven under a signed checkpoint; another entry, place or key is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import IntegrityError, InvalidInputError, NotFoundError, ProofInvalidError, UnavailableError
from ringfence.core.ledger.checkpoint import SignedCheckpoint
from ringfence.core.ledger.lane import LaneHead
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.proof import parse_proof, verify_proof
from ringfence.core.ledger.receipt import Receipt, parse_receipt, render_receipt
from ringfence.core.ledger.signed_note import VerifierKey, verifier_key_of
from ringfence.ledger.receipts import prove_receipt
from ringfence.ledger.tree_reader import TreeReader
from ringfence.ledger.watch import SERVED_SECONDS_MAX, WATCH_INTERVAL_SECONDS, LaneWatch, prove_batch
from tests.ledger.tree import sequence
from tests.ledger.writer import ORIGIN, VERIFIER, LedgerWriter, entry_hash, refusals


@dataclass
class Sequenced:
    """Entries 0 to 699 in batches of ten, all in the tree."""

    run: Any
    ledger: LedgerWriter
    directory: Path

    @property
    def tree(self) -> TreeReader:
        return TreeReader.in_directory(self.directory)

    def prove(self, receipt: Receipt) -> bytes:
        proof: bytes = self.run(prove_receipt(self.ledger.store, self.tree, receipt, log_key=VERIFIER))
        return proof


def receipt_of(number: int) -> Receipt:
    return Receipt(1, number // 10 + 1, number % 10, entry_hash(number))


def check(receipt: Receipt, proof: bytes, *, log_key: VerifierKey = VERIFIER) -> SignedCheckpoint:
    return verify_proof(parse_proof(proof), leaf_hash=receipt.entry_hash, log_key=log_key)


@pytest.fixture
def sequenced(run: Any, ledger: LedgerWriter, tmp_path: Path) -> Sequenced:
    for _ in range(70):
        run(ledger.access(1, 10))
    run(ledger.seal(1))
    run(sequence(ledger.store, tmp_path / "tree"))
    return Sequenced(run, ledger, tmp_path / "tree")


def test_every_receipt_is_proven(sequenced: Sequenced) -> None:
    for number in (*range(0, 700, 37), 699):
        receipt = parse_receipt(render_receipt(receipt_of(number)))
        assert receipt.entry_hash == hash_leaf(refusals(number))
        signed = check(receipt, sequenced.prove(receipt))
        assert signed.checkpoint.size == 4 * 3 + 70 * 11 + 1


def test_changed_entry_is_not_proven(sequenced: Sequenced) -> None:
    receipt = receipt_of(300)
    proof = sequenced.prove(receipt)
    with pytest.raises(ProofInvalidError):
        check(receipt._replace(entry_hash=entry_hash(301)), proof)
    with pytest.raises(ProofInvalidError):
        check(receipt, proof.replace(b"index ", b"index 1"))
    check(receipt, proof)


def test_proof_by_another_log_is_refused(sequenced: Sequenced) -> None:
    stranger = verifier_key_of(Ed25519PrivateKey.from_private_bytes(bytes(32)), name=ORIGIN)
    receipt = receipt_of(300)
    proof = sequenced.prove(receipt)
    with pytest.raises(ProofInvalidError):
        check(receipt, proof, log_key=stranger)


def test_no_proof_is_made_for_an_entry_that_the_ledger_does_not_have(sequenced: Sequenced) -> None:
    sequenced.prove(receipt_of(300))
    for forged in (receipt_of(300)._replace(entry_hash=bytes(32)), receipt_of(300)._replace(position=250)):
        with pytest.raises(NotFoundError, match="another entry"):
            sequenced.prove(forged)
    with pytest.raises(NotFoundError):
        sequenced.prove(receipt_of(300)._replace(n=71))


def test_receipt_that_is_not_sequenced_yet_is_to_be_asked_for_again(sequenced: Sequenced) -> None:
    sequenced.run(sequenced.ledger.access(1, 10))
    with pytest.raises(UnavailableError, match="yet"):
        sequenced.prove(receipt_of(700))

    sequenced.run(sequenced.ledger.seal(1))
    sequenced.run(sequence(sequenced.ledger.store, sequenced.directory))
    check(receipt_of(700), sequenced.prove(receipt_of(700)))


def test_changed_tile_gives_no_proof(sequenced: Sequenced) -> None:
    tile = sequenced.directory / "tile/0/000"
    data = tile.read_bytes()
    tile.write_bytes(data[:32] + bytes(32) + data[64:])
    with pytest.raises(IntegrityError, match="not what was signed"):
        sequenced.prove(receipt_of(100))


@given(
    st.builds(
        Receipt, st.integers(0, 10**9), st.integers(1, 10**18), st.integers(0, 255), st.binary(min_size=32, max_size=32)
    )
)
def test_receipt_reads_back(receipt: Receipt) -> None:
    assert parse_receipt(render_receipt(receipt)) == receipt


@pytest.mark.parametrize("text", ["", "1-1-0-00", f"1-0-0-{'0' * 64}", f"01-1-0-{'0' * 64}", f"1-1-256-{'0' * 64}\n"])
def test_other_text_is_no_receipt(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_receipt(text)


def test_batch_is_proven_under_the_newest_checkpoint(sequenced: Sequenced) -> None:
    store, head = sequenced.ledger.store, sequenced.ledger.heads[1]
    sequenced.run(prove_batch(store, sequenced.tree, head, log_key=VERIFIER))
    other = LaneHead(head.lane, head.n, bytes(32), head.at_ms)
    with pytest.raises(IntegrityError, match="another entry"):
        sequenced.run(prove_batch(store, sequenced.tree, other, log_key=VERIFIER))


def test_batch_is_awaited_for_itself_however_many_follow_it(sequenced: Sequenced) -> None:
    ledger = sequenced.ledger
    watch = LaneWatch(ledger.store, sequenced.tree, log_key=VERIFIER, wait_seconds_max=2.6)
    watch.note(sequenced.run(ledger.access(1)), at_seconds=1000.0)
    sequenced.run(ledger.seal(1))
    for tick in range(1, 12):  # batch 72, and others after it, while 71 is on its way
        watch.note(sequenced.run(ledger.access(1)), at_seconds=1000.0 + tick / 5)
    sequenced.run(sequence(ledger.store, sequenced.directory))
    sequenced.run(watch.check(now_seconds=1002.4))
    assert watch.proven_n == 71

    sequenced.run(watch.check(now_seconds=1002.8))
    with pytest.raises(UnavailableError, match=r"batch 72 of lane 1 is under no signed checkpoint after 2\.7 s"):
        sequenced.run(watch.check(now_seconds=1002.9))


def test_gateway_stops_within_three_seconds_without_its_batch_and_goes_on_when_it_is_proven(
    sequenced: Sequenced,
) -> None:
    ledger = sequenced.ledger
    watch = LaneWatch(ledger.store, sequenced.tree, log_key=VERIFIER)
    sequenced.run(watch.check(now_seconds=1000.0))
    watch.note(sequenced.run(ledger.access(1)), at_seconds=1000.0)
    watch.note(sequenced.run(ledger.access(1)), at_seconds=1002.0)

    sequenced.run(watch.check(now_seconds=1000.0 + SERVED_SECONDS_MAX - 1.5 * WATCH_INTERVAL_SECONDS))
    with pytest.raises(UnavailableError, match=r"batch 71 of lane 1 is under no signed checkpoint after 2\.9 s"):
        sequenced.run(watch.check(now_seconds=1000.0 + SERVED_SECONDS_MAX - 0.5 * WATCH_INTERVAL_SECONDS))

    sequenced.run(ledger.seal(1))
    sequenced.run(sequence(ledger.store, sequenced.directory))
    sequenced.run(watch.check(now_seconds=1004.0))
    assert watch.proven_n == 72
    sequenced.run(watch.check(now_seconds=2000.0))


def test_gateway_sees_that_its_batch_was_replaced(sequenced: Sequenced) -> None:
    watch = LaneWatch(sequenced.ledger.store, sequenced.tree, log_key=VERIFIER)
    head = sequenced.ledger.heads[1]
    watch.note(LaneHead(head.lane, head.n, bytes(32), head.at_ms), at_seconds=1000.0)
    with pytest.raises(IntegrityError, match="another entry"):
        sequenced.run(watch.check(now_seconds=1000.1))
