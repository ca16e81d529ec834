"""Receipts: what a caller is given for an entry, by which it can have it proved later that the ledger kept it.

Rules of this file:
1. A receipt names the entry by its place in its lane and by its leaf hash. The hash is what a proof is about; the
   place is how the custodian finds the entry.
2. A receipt alone proves nothing. With a proof file of the ledger it proves that the entry, unchanged, is under a
   checkpoint that the log signed.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ringfence.core.errors import InvalidInputError
from ringfence.core.ledger.lane import ENTRIES_PER_BATCH_MAX
from ringfence.core.ledger.merkle import HASH_SIZE_BYTES

_RECEIPT: Final = re.compile(r"(0|[1-9][0-9]{0,9})-([1-9][0-9]{0,18})-(0|[1-9][0-9]{0,2})-([0-9a-f]{64})")


class Receipt(NamedTuple):
    """Entry `position` (from 0) of batch `n` of `lane`, and its leaf hash (32 bytes)."""

    lane: int
    n: int
    position: int
    entry_hash: bytes


def render_receipt(receipt: Receipt) -> str:
    """Give a receipt as text: `<lane>-<n>-<position>-<leaf hash in hex>`; `parse_receipt` gives it back.

    Raises:
        InvalidInputError: a value cannot be that of a receipt.
    """
    lane, n, position, entry_hash = receipt
    numbers = 0 <= lane < 10**10 and 1 <= n < 10**19 and 0 <= position < ENTRIES_PER_BATCH_MAX
    if not numbers or len(entry_hash) != HASH_SIZE_BYTES:
        raise InvalidInputError("this cannot be a receipt", place="receipt")
    return f"{lane}-{n}-{position}-{entry_hash.hex()}"


def parse_receipt(text: str) -> Receipt:
    """Read a receipt.

    Raises:
        InvalidInputError: it is none.
    """
    receipt = _match(text)
    if receipt is None:
        raise InvalidInputError(
            "this is not a receipt: expected <lane>-<batch>-<position>-<64 hex digits>", place="receipt"
        )
    return receipt


def _match(text: str) -> Receipt | None:
    match = _RECEIPT.fullmatch(text)
    if match is None or int(match[3]) >= ENTRIES_PER_BATCH_MAX or len(match[4]) != 2 * HASH_SIZE_BYTES:
        return None
    return Receipt(int(match[1]), int(match[2]), int(match[3]), bytes.fromhex(match[4]))
