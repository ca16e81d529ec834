"""One receipt, held against a proof file of the ledger and the pins: what its holder can check without a bundle.

Rules of this file:
1. What is proved is that an entry with the receipt's hash is a leaf of the tree that the pinned log signed, with as
   many cosignatures of pinned witnesses as the pins ask for. Lane, batch and position are how the custodian finds the
   entry: no proof is about them.
2. A file that is no proof at all says nothing against the custodian: it is unreadable, and refutes nothing.
3. Signature lines by keys that the pins do not name are passed over, as C2SP asks of whoever reads a tlog-proof.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.proof import parse_proof, verify_proof
from ringfence.core.ledger.receipt import Receipt
from ringfence.core.times import show_time
from ringfence.verify.checkpoints import require_witnesses
from ringfence.verify.render import render_refutation
from ringfence.verify.trust import Trust
from ringfence.verify.verdict import REFUTED, VERIFIED, Refutation

FORMAT: Final = "ringfence-receipt/1"


@dataclass(frozen=True, slots=True)
class ReceiptVerdict:
    """What a proof file says of a receipt.

    Attributes:
        outcome: `VERIFIED` or `REFUTED`.
        refutation: what contradicts what; None when nothing does. What follows is empty where something does.
        origin: the ledger's name.
        leaf: where in the tree the entry stands, from 0.
        size: how many leaves the tree has that vouches for it.
        root: that tree's root, in hex.
        signed_at_seconds: when the log signed it, seconds since 1970 UTC.
        witnesses: names of the pinned witnesses that cosigned it.
    """

    outcome: str
    refutation: Refutation | None = None
    origin: str = ""
    leaf: int = 0
    size: int = 0
    root: str = ""
    signed_at_seconds: int = 0
    witnesses: tuple[str, ...] = ()


def check_receipt(receipt: Receipt, proof: bytes, *, trust: Trust) -> ReceiptVerdict:
    """Check that the pinned ledger holds the entry of a receipt.

    Args:
        receipt: what the caller was given.
        proof: a proof file (tlog-proof), at most `PROOF_SIZE_BYTES_MAX`.
        trust: the pins.

    Raises:
        InvalidInputError: it is no proof file (rule 2).
    """
    try:
        proved = parse_proof(proof)
    except ProofInvalidError as error:
        raise InvalidInputError(
            f"this is no proof file: {error.message}",
            place=error.place,
            hint="save what `GET /v1/receipts/RECEIPT` answers, whole as it is",
        ) from None
    try:
        signed = verify_proof(
            proved,
            leaf_hash=receipt.entry_hash,
            log_key=trust.log_key,
            witness_keys=trust.witnesses,
            origin=trust.origin,
        )
        require_witnesses(signed, trust, place="proof checkpoint")
    except ProofInvalidError as error:
        told = Refutation(error.place or "proof", error.message, error.expected, error.found)
        return ReceiptVerdict(REFUTED, told)
    tree = signed.checkpoint
    return ReceiptVerdict(
        VERIFIED,
        None,
        tree.origin,
        proved.index,
        tree.size,
        tree.root.hex(),
        signed.time_seconds,
        tuple(item.key.name for item in signed.cosignatures),
    )


def render_receipt_json(verdict: ReceiptVerdict) -> str:
    """Give the verdict as one line of JSON; `docs/calling.md` lists the members."""
    return json.dumps({"format": FORMAT, **asdict(verdict)})


def render_receipt_text(verdict: ReceiptVerdict) -> str:
    """Give the verdict as lines of text, without control characters."""
    if verdict.refutation is not None:
        refuted = "REFUTED: the proof contradicts the receipt, the pins or itself."
        return "\n".join((refuted, *render_refutation(verdict.refutation)))
    return "\n".join(
        (
            "VERIFIED against the pinned keys: the ledger holds the entry of this receipt.",
            f"Ledger    {verdict.origin}",
            f"Leaf      {verdict.leaf:,} of {verdict.size:,}",
            f"Root      {verdict.root}",
            f"Signed    {show_time(verdict.signed_at_seconds * 1000)}",
            f"Witnesses {', '.join(verdict.witnesses) or 'none'}",
        )
    )
