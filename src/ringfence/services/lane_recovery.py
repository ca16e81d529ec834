"""Where a lane stands in the store, as far as its own key can tell; what a start after a crash begins with.

Rules of this file:
1. Up to its last seal a lane is settled, and a seal settles nothing until its signature is checked over the very batch
   that is stored.
2. After the last seal may be batches that a crash left unsealed: each is taken only if its code shows that this lane
   wrote it, so that nobody can slip one in and have it sealed.
3. A lane that stands before what it is remembered to have sealed was set back, and is not taken up.
4. A lane is closed only where its batches, from the last one in the tree on, are what it sealed: at any other place
   the sequencer would stop for good.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ringfence.core.errors import IntegrityError, ProofInvalidError, RollbackError
from ringfence.core.ledger.entry import Batch, Seal, parse_entry
from ringfence.core.ledger.lane import LaneHead, authenticate_header, verify_batch, verify_seal
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ports import Store, StoredBatch, StoredSeal

BATCHES_PER_FETCH_MAX: Final = 256
SEALS_PER_LOOK: Final = 1024
TAMPERED_HINT: Final = "the database was changed behind the program; keep a copy as evidence and see `ringfence doctor`"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneKey:
    """What shows that a lane wrote something.

    `origin` is the ledger's name, `public_key` the lane's (32 bytes), `secret` what authenticates unsealed batches.
    """

    origin: str
    public_key: bytes
    secret: bytes = b""


async def read_lane(
    store: Store, lane: int, *, key: LaneKey, remembered: LaneHead | None = None
) -> tuple[LaneHead, LaneHead, int]:
    """Give the sealed head of a lane, its head, and the head's epoch.

    Args:
        remembered: the last head that this lane is known to have sealed, from outside the store.

    Raises:
        IntegrityError: a sealed batch is missing, a seal is not the lane's, or a batch was not written by it.
        RollbackError: the store stands before what was sealed.
    """
    sealed, epoch = await _sealed_head(store, lane, key)
    if remembered is not None:
        await verify_remembered(store, [remembered])
    head = sealed
    while batches := await store.batches(lane, after_n=head.n, batches_max=BATCHES_PER_FETCH_MAX):
        for stored in batches:
            _check_code(stored, key.secret)
            head = _follow(head, stored)
            epoch = stored.epoch
    return sealed, head, epoch


async def verify_remembered(store: Store, heads: Iterable[LaneHead]) -> None:
    """Check that the store still has what lanes are known to have sealed.

    Raises:
        RollbackError: it does not: names the first lane and batch.
    """
    for head in heads:
        stored = await store.find_batch(head.lane, head.n) if head.n else None
        if head.n and (stored is None or hash_leaf(stored.header) != head.hash):
            raise RollbackError(
                f"lane {head.lane} sealed its batch {head.n}, and the database does not have it as it was sealed",
                hint="Do not serve from it. Restore the newest database; if the batches are lost for good, and only"
                f" then, go on without them by `ringfence ledger recover {head.lane}`. Where a quorum has to agree"
                f" to that first, gateways start once `keys/lanes/{head.lane}.head` is moved away.",
            )


async def find_closing_point(store: Store, lane: int, *, key: LaneKey) -> int:
    """Give the last batch of a lane that can be in the tree: up to it everything is there as it was sealed.

    The lane must be held, so that nobody writes it meanwhile. Batches that are in the tree already are taken from
    there; what comes after is verified, up to the newest seal that holds.
    """
    n = (await store.tree_head()).sequenced.get(lane, 0)
    stored = await store.find_batch(lane, n) if n else None
    if n and stored is None:
        return n
    head = _head_of(stored) if stored else LaneHead(lane)
    seals = {seal.n: seal for seal in await store.seals(lane, after_n=n)}
    try:
        while batches := await store.batches(lane, after_n=head.n, batches_max=BATCHES_PER_FETCH_MAX):
            for batch in batches:
                head = _follow(head, batch)
                if batch.n in seals and _holds(seals[batch.n], batch, key):
                    n = batch.n
    except IntegrityError:
        return n
    return n


async def _sealed_head(store: Store, lane: int, key: LaneKey) -> tuple[LaneHead, int]:
    last = await _newest_seal(store, lane)
    if last is None:
        return LaneHead(lane=lane), 0
    place = f"lane {lane} batch {last.n}"
    stored = await store.find_batch(lane, last.n)
    if stored is None:
        raise IntegrityError(f"the store lost {place}, which was sealed", place=place)
    _check_code(stored, key.secret)
    head = _head_of(stored)
    try:
        _verify_stored_seal(last, stored, head, key)
    except ProofInvalidError as error:
        raise IntegrityError(
            f"the store holds a seal that this lane did not sign: {error.message}", place=place, hint=TAMPERED_HINT
        ) from error
    return head, stored.epoch


async def _newest_seal(store: Store, lane: int) -> StoredSeal | None:
    """Find a lane's last seal from its end, since a lane seals several times a second for years."""
    after_n, reach = (await store.lane_head(lane)).n, SEALS_PER_LOOK
    while after_n > 0:
        after_n, reach = max(after_n - reach, 0), 4 * reach
        if seals := await store.seals(lane, after_n=after_n):
            return seals[-1]
    seals = await store.seals(lane, after_n=0)
    return seals[-1] if seals else None


def _verify_stored_seal(seal: StoredSeal, stored: StoredBatch, head: LaneHead, key: LaneKey) -> None:
    place = f"lane {head.lane} batch {head.n}"
    leaf = parse_entry(seal.leaf, place=place)
    if not isinstance(leaf, Seal) or (leaf.lane, leaf.n, leaf.head, leaf.at_ms) != (
        *(head.lane, head.n, head.hash),
        head.at_ms,
    ):
        raise ProofInvalidError("it is over another batch", place=place)
    if seal.epoch != stored.epoch:
        raise ProofInvalidError("its row names another epoch than its batch", place=place)
    verify_seal(leaf, origin=key.origin, key=key.public_key, place=place)


def _holds(seal: StoredSeal, stored: StoredBatch, key: LaneKey) -> bool:
    try:
        _verify_stored_seal(seal, stored, _head_of(stored), key)
    except ProofInvalidError:
        return False
    return True


def _check_code(stored: StoredBatch, secret: bytes) -> None:
    if not hmac.compare_digest(stored.code, authenticate_header(secret, stored.header)):
        place = f"lane {stored.lane} batch {stored.n}"
        raise IntegrityError("the store holds a batch that this lane did not write", place=place, hint=TAMPERED_HINT)


def _head_of(stored: StoredBatch) -> LaneHead:
    """Give the head that a stored batch leads to, its row and entries held against its header."""
    place = f"lane {stored.lane} batch {stored.n}"
    header = _parse_header(stored, place)
    before = LaneHead(lane=stored.lane, n=stored.n - 1, hash=header.previous)
    return _verified(before, stored, header, place)


def _follow(head: LaneHead, stored: StoredBatch) -> LaneHead:
    place = f"lane {stored.lane} batch {stored.n}"
    return _verified(head, stored, _parse_header(stored, place), place)


def _verified(head: LaneHead, stored: StoredBatch, header: Batch, place: str) -> LaneHead:
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
    if header.epoch != stored.epoch:
        raise IntegrityError("a stored batch's row names another epoch than its header", place=place)
    return header
