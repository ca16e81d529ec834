"""Offline proofs: all that is needed to show that a log holds an entry, in one text file.

Rules:
  1. The lines are `c2sp.org/tlog-proof@v1`, perhaps `extra <base64>`, `index <decimal>`, the path's hashes in
     base64 from the leaf up, an empty line, and then the checkpoint, byte for byte.
  2. Nothing but the log's pinned key is trusted. `extra` is not covered by any signature or hash: never rely on it.

Source: c2sp.org/tlog-proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from ringfence.core.ledger.merkle import HASH_SIZE_BYTES, PATH_LENGTH_MAX, TREE_SIZE_MAX, verify_inclusion
from ringfence.core.ledger.signed_note import VerifierKey, parse_base64, parse_note, render_base64

PROOF_SIZE_BYTES_MAX: Final = 256 * 1024

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile("index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """An entry's place in a log, not checked.

    `index` is 0-based, `hashes` are the siblings from the leaf up (32 bytes each), `checkpoint` is the signed note
    as the log gave it. `extra` is free; empty when absent.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""


def parse_proof(data: bytes, *, place: str = "proof") -> InclusionProof:
    """Read a proof file, checking its form alone.

    Raises:
        ProofInvalidError: not such a file; the place has the line.
    """
    if len(data) > PROOF_SIZE_BYTES_MAX:
        raise _invalid("is too large", place, expected=f"{PROOF_SIZE_BYTES_MAX} bytes", found=f"{len(data)} bytes")
    head, separator, checkpoint = data.partition(b"\n\n")
    if not separator or not head.isascii():
        raise _invalid("is not a proof", place, expected="lines of ASCII, an empty line, a checkpoint")
    lines = head.decode("ascii").split("\n")
    if lines.pop(0) != _HEADER:
        raise _invalid("has another first line", f"{place} line 1", expected=_HEADER)
    number, extra = 2, b""
    if lines and lines[0].startswith("extra "):
        extra = parse_base64(lines.pop(0).removeprefix("extra "), place=f"{place} line {number}")
        number += 1
    match = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if not match or int(match[1]) >= TREE_SIZE_MAX:
        raise _invalid("is not an index", f"{place} line {number}", expected="index <decimal number>")
    if len(lines) > PATH_LENGTH_MAX:
        raise _invalid("has too many hashes", place, expected=f"up to {PATH_LENGTH_MAX}", found=str(len(lines)))
    hashes = [
        _parse_hash(line, place=f"{place} line {line_number}")
        for line_number, line in enumerate(lines, start=number + 1)
    ]
    parse_note(checkpoint, place=f"{place} checkpoint")
    return InclusionProof(int(match[1]), tuple(hashes), checkpoint, extra)


def render_proof(proof: InclusionProof) -> bytes:
    """Give the bytes of a proof file; `parse_proof` gives the proof back.

    Raises:
        InvalidInputError: a value cannot be put in a proof.
    """
    lines = [_HEADER, f"index {proof.index}", *map(render_base64, proof.hashes)]
    if proof.extra:
        lines.insert(1, f"extra {render_base64(proof.extra)}")
    data = "\n".join(lines).encode("ascii") + b"\n\n" + proof.checkpoint
    try:
        if parse_proof(data) == proof:
            return data
    except ProofInvalidError as error:
        raise InvalidInputError(f"this cannot be a proof: {error.message}", place=error.place) from None
    raise InvalidInputError("this cannot be a proof: it would be read as another one", place="proof")


def verify_proof(
    proof: InclusionProof,
    *,
    leaf_hash: bytes,
    log_key: VerifierKey,
    witness_keys: Iterable[VerifierKey] = (),
    origin: str | None = None,
) -> SignedCheckpoint:
    """Check a proof and give the checkpoint that vouches for the entry.

    Args:
        leaf_hash: 32 bytes, `merkle.hash_leaf` of the entry that it must be about.
        log_key, witness_keys, origin: see `open_checkpoint`. Signature lines by other keys are passed over, as the
            standard asks of readers.

    Raises:
        ProofInvalidError: wrongly signed, or not a proof of this entry.
    """
    signed = open_checkpoint(
        proof.checkpoint,
        log_key=log_key,
        witness_keys=witness_keys,
        origin=origin,
        strict=False,
        place="proof checkpoint",
    )
    tree = signed.checkpoint
    verify_inclusion(leaf_hash, proof.hashes, index=proof.index, size=tree.size, root=tree.root)
    return signed


def _parse_hash(line: str, *, place: str) -> bytes:
    value = parse_base64(line, place=place)
    if len(value) != HASH_SIZE_BYTES:
        raise _invalid("is not a hash", place, expected=f"{HASH_SIZE_BYTES} bytes", found=f"{len(value)} bytes")
    return value


def _invalid(message: str, place: str, *, expected: str = "", found: str = "") -> ProofInvalidError:
    return ProofInvalidError(f"{place} {message}", place=place, expected=expected, found=found)
