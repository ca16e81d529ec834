"""Lanes: one writer's gapless chain of batches, sealed with its own key.

Rules of this file:
1. A lane has one batch in flight. Batch n+1 names the leaf hash of header n, so a batch can be neither inserted nor
   removed without breaking the chain.
2. A header carries a message authentication code of the lane's secret beside it in the store (never in the tree), so
   that after a crash the lane seals only what it wrote itself.
3. A seal is a signature over the chain's head; only sealed batches are sequenced.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import AnyLeaf, Batch, Seal, parse_entry, render_entry
from ringfence.core.ledger.merkle import hash_leaf

ENTRIES_PER_BATCH_MAX: Final = 256
NO_PREVIOUS: Final = bytes(32)
AUTHORITY_LANE: Final = 0
TIME_OFF_MS_MAX: Final = 1_000
"""How far a batch's time may be ahead of the clock of the store that commits it, and a rule's time behind what other
lanes committed while it was on its way."""


@dataclass(frozen=True, slots=True)
class LaneHead:
    """Where a lane stands: its last batch `n` (0 = none yet), that header's leaf hash, and its time."""

    lane: int
    n: int = 0
    hash: bytes = NO_PREVIOUS
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class BuiltBatch:
    """A batch ready to be stored: header and entries as leaves, the entries' hashes, and the head it leads to."""

    header: bytes
    entries: tuple[bytes, ...]
    hashes: tuple[bytes, ...]
    head: LaneHead
    epoch: int


def digest_entries(entries: Sequence[bytes]) -> bytes:
    """Give the digest (32 bytes) that a header carries: SHA-256 over the entries' leaf hashes, in order."""
    sha256 = hashlib.sha256
    return sha256(b"".join([sha256(b"\x00" + entry).digest() for entry in entries])).digest()


def build_batch(head: LaneHead, *, epoch: int, at_ms: int, entries: Sequence[bytes]) -> BuiltBatch:
    """Give the batch that follows `head`. Time never goes back: an earlier `at_ms` becomes the head's own.

    Args:
        head: where the lane stands.
        epoch: number of rule entries that the entries were decided on.
        at_ms: the gateway's time, milliseconds since 1970 UTC.
        entries: 1 to `ENTRIES_PER_BATCH_MAX` leaves as canonical JSON.
    """
    if not 1 <= len(entries) <= ENTRIES_PER_BATCH_MAX:
        raise ValueError(f"a batch holds 1 to {ENTRIES_PER_BATCH_MAX} entries, not {len(entries)}")
    at_ms = max(at_ms, head.at_ms)
    hashes = tuple([hash_leaf(entry) for entry in entries])
    header = render_entry(
        Batch(
            lane=head.lane,
            n=head.n + 1,
            previous=head.hash,
            epoch=epoch,
            at_ms=at_ms,
            count=len(entries),
            digest=hashlib.sha256(b"".join(hashes)).digest(),
        )
    )
    following = LaneHead(lane=head.lane, n=head.n + 1, hash=hash_leaf(header), at_ms=at_ms)
    return BuiltBatch(header=header, entries=tuple(entries), hashes=hashes, head=following, epoch=epoch)


def lane_secret(key: Ed25519PrivateKey) -> bytes:
    """Give the secret (32 bytes) that authenticates a lane's unsealed batches, from the lane's signing key."""
    return hmac.digest(key.private_bytes_raw(), b"ringfence lane secret v1", "sha256")


def authenticate_header(secret: bytes, header: bytes) -> bytes:
    """Give the code (32 bytes) kept beside a header in the store: HMAC-SHA256."""
    return hmac.digest(secret, header, "sha256")


def seal_message(*, origin: str, head: LaneHead) -> bytes:
    """Give the bytes that a seal signs."""
    return b"ringfence seal v1\n%s\n%d\n%d\n%s\n%d\n" % (
        origin.encode(),
        head.lane,
        head.n,
        head.hash.hex().encode(),
        head.at_ms,
    )


def seal_head(key: Ed25519PrivateKey, *, origin: str, head: LaneHead) -> bytes:
    """Give the seal of a lane's head as a leaf."""
    signature = key.sign(seal_message(origin=origin, head=head))
    return render_entry(Seal(lane=head.lane, n=head.n, head=head.hash, at_ms=head.at_ms, signature=signature))


def verify_seal(seal: Seal, *, origin: str, key: bytes, place: str = "") -> None:
    """Check a seal against the lane's public key (32 bytes).

    Raises:
        ProofInvalidError: the signature is not that key's over this head.
    """
    head = LaneHead(lane=seal.lane, n=seal.n, hash=seal.head, at_ms=seal.at_ms)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(seal.signature, seal_message(origin=origin, head=head))
    except (InvalidSignature, ValueError):
        raise ProofInvalidError(
            f"the seal of lane {seal.lane} at batch {seal.n} has a wrong signature", place=place
        ) from None


def verify_batch(
    head: LaneHead, header: Batch, *, header_leaf: bytes, entries: Sequence[bytes], place: str = ""
) -> LaneHead:
    """Check that a batch follows `head` and holds exactly these entries; give the head it leads to.

    Raises:
        ProofInvalidError: gap, broken chain, time going back, other entries.
    """
    following = verify_link(head, header, header_leaf=header_leaf, place=place)
    if header.count != len(entries) or header.digest != digest_entries(entries):
        raise ProofInvalidError(
            f"batch {header.n} of lane {header.lane} does not hold the entries that its header names", place=place
        )
    return following


def verify_link(head: LaneHead, header: Batch, *, header_leaf: bytes, place: str = "") -> LaneHead:
    """Check that a header follows `head` in its lane; give the head it leads to.

    Raises:
        ProofInvalidError: gap, broken chain, time going back.
    """
    if header.lane != head.lane or header.n != head.n + 1:
        raise ProofInvalidError(
            f"lane {head.lane} has a gap", place=place, expected=f"batch {head.n + 1}", found=f"batch {header.n}"
        )
    if header.previous != head.hash:
        raise ProofInvalidError(
            f"batch {header.n} of lane {head.lane} does not follow batch {head.n}",
            place=place,
            expected=head.hash.hex(),
            found=header.previous.hex(),
        )
    if header.at_ms < head.at_ms:
        raise ProofInvalidError(
            f"time goes back in lane {head.lane}", place=place, expected=f">= {head.at_ms}", found=f"{header.at_ms}"
        )
    return LaneHead(lane=head.lane, n=header.n, hash=hash_leaf(header_leaf), at_ms=header.at_ms)


def parse_stored_batch(header: bytes, entries: Sequence[bytes], *, place: str = "") -> tuple[Batch, list[AnyLeaf]]:
    """Read a stored batch's header and entries.

    Raises:
        ProofInvalidError: the first leaf is not a header, or an entry is a header or a seal.
    """
    first = parse_entry(header, place=place)
    if not isinstance(first, Batch):
        raise ProofInvalidError("a batch does not start with its header", place=place)
    parsed = [parse_entry(entry, place=f"{place} entry {position}") for position, entry in enumerate(entries)]
    if any(isinstance(entry, Batch | Seal) for entry in parsed):
        raise ProofInvalidError("a batch holds a header or a seal among its entries", place=place)
    return first, parsed
