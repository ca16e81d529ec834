"""Where a lane stands in the store, as far as its own key can tell; what a start after a crash begins with.

Up to its last seal a lane is settled. After it may be batches that a crash left unsealed: each is taken only if its
code shows that this lane wrote it, so that nobody can slip one in and have it sealed.
"""

from __future__ import annotations

import hmac
from typing import Final

from ringfence.core.entry import Batch, parse_entry
from ringfence.core.errors import IntegrityError, ProofInvalidError
from ringfence.core.lane import LaneHead, authenticate_header, leaf_hash, verify_batch
from ringfence.core.ports import Store, StoredBatch

BATCHES_PER_FETCH_MAX: Final = 256


async def read_lane(store: Store, lane: int, *, secret: bytes) -> tuple[LaneHead, LaneHead, int]:
    """Give the sealed head of a lane, its head, and the head's epoch.

    Raises:
        IntegrityError: a sealed batch is missing, or an unsealed one was not written by this lane.
    """
    sealed, epoch = await _sealed_head(store, lane)
    head = sealed
    while batches := await store.batches(lane, after_n=head.n, batches_max=BATCHES_PER_FETCH_MAX):
        for stored in batches:
            head = _follow(head, stored, secret)
            epoch = stored.epoch
    return sealed, head, epoch


async def _sealed_head(store: Store, lane: int) -> tuple[LaneHead, int]:
    seals = await store.seals(lane, after_n=0)
    if not seals:
        return LaneHead(lane=lane), 0
    last = seals[-1]
    place = f"lane {lane} batch {last.n}"
    stored = await store.find_batch(lane, last.n)
    if stored is None:
        raise IntegrityError(f"the store lost {place}, which was sealed", place=place)
    header = _parse_header(stored, place)
    return LaneHead(lane, last.n, leaf_hash(stored.header), header.at_ms), header.epoch


def _follow(head: LaneHead, stored: StoredBatch, secret: bytes) -> LaneHead:
    place = f"lane {stored.lane} batch {stored.n}"
    if not hmac.compare_digest(stored.code, authenticate_header(secret, stored.header)):
        raise IntegrityError(
            "the store holds a batch that this lane did not write",
            place=place,
            hint="the database was changed behind the program; keep a copy as evidence and see `ringfence doctor`",
        )
    header = _parse_header(stored, place)
    try:
        return verify_batch(head, header, header_leaf=stored.header, entries=stored.entries, place=place)
    except ProofInvalidError as error:
        raise IntegrityError(error.message, place=place) from error


def _parse_header(stored: StoredBatch, place: str) -> Batch:
    try:
        header = parse_entry(stored.header, place=place)
    except ProofInvalidError as error:
        raise IntegrityError(error.message, place=place) from error
    if not isinstance(header, Batch):
        raise IntegrityError("a stored batch has no header", place=place)
    return header
