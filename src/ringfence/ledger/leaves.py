"""From the committed head back to the leaves: what the tree holds, read from the store by place.

Rules of this file:
1. The head's placements say where each batch stands: its header, its entries, and then, where the next batch starts
   one leaf later, the seal of that same batch.
2. Nothing read is trusted: each batch is held against its header's digest, and whoever calls holds the leaves
   against a root.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Final, NamedTuple

from ringfence.core.errors import IntegrityError, ProofInvalidError
from ringfence.core.ledger.entry import Batch, parse_entry
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ports import Placement, Store, StoredBatch, StoredSeal

PLACEMENTS_PER_PULL_MAX: Final = 512
BATCHES_PER_PULL_MAX: Final = 16


class PlacedBatch(NamedTuple):
    """A batch in the tree: its header at `first_leaf`, its entries, and its seal (or b"") after them.

    `hashes` are the leaf hashes of `leaves`.
    """

    first_leaf: int
    batch: StoredBatch
    leaves: tuple[bytes, ...]
    hashes: tuple[bytes, ...]
    sealed: bool


async def read_placed_batches(store: Store, *, first_leaf: int, size: int) -> AsyncIterator[PlacedBatch]:
    """Give the batches of the leaves [first_leaf, size), in the tree's order.

    Args:
        store: the ledger's store.
        first_leaf: where a batch starts.
        size: where a batch, or its seal, ends.

    Raises:
        IntegrityError: a batch or seal is missing, is not what its header says, or does not fill its place.
    """
    lanes: dict[int, _StoredLane] = {}
    expected = first_leaf
    async for placement, end in _iterate_placements(store, first_leaf=first_leaf, size=size):
        place = f"lane {placement.lane} batch {placement.n}"
        if placement.first_leaf != expected:
            raise IntegrityError(
                f"the database places a batch at leaf {placement.first_leaf}, not at {expected}", place=place
            )
        lane = lanes.setdefault(placement.lane, _StoredLane(store, placement.lane))
        batch = await lane.batch(placement.n)
        hashes = check_digest(batch, place=place)
        leaves = (batch.header, *batch.entries)
        sealed = end - placement.first_leaf == len(leaves) + 1
        if sealed:
            seal = await lane.seal(placement.n)
            leaves, hashes = (*leaves, seal), (*hashes, hash_leaf(seal))
        expected = placement.first_leaf + len(leaves)
        if expected != end:
            raise IntegrityError(f"a batch does not fill the leaves from {placement.first_leaf} to {end}", place=place)
        yield PlacedBatch(placement.first_leaf, batch, leaves, hashes, sealed)
    if expected != size:
        raise IntegrityError("the database places no batch there", place=f"leaf {expected} of {size}")


def check_digest(batch: StoredBatch, *, place: str) -> tuple[bytes, ...]:
    """Check that a stored batch holds what its header says; give the leaf hashes of header and entries.

    Raises:
        IntegrityError: it does not.
    """
    try:
        header = parse_entry(batch.header, place=place)
    except ProofInvalidError as error:
        raise IntegrityError(f"a stored batch has no header: {error}", place=place) from None
    hashes = [hash_leaf(entry) for entry in batch.entries]
    digest = hashlib.sha256(b"".join(hashes)).digest()
    names = (batch.lane, batch.n, len(hashes), digest)
    if not isinstance(header, Batch) or (header.lane, header.n, header.count, header.digest) != names:
        raise IntegrityError("a stored batch is not what its header says", place=place)
    return (hash_leaf(batch.header), *hashes)


async def _iterate_placements(store: Store, *, first_leaf: int, size: int) -> AsyncIterator[tuple[Placement, int]]:
    """Give each placement with the leaf at which the next one starts."""
    previous: Placement | None = None
    start = first_leaf
    while start < size:
        page = await store.placements(first_leaf=start, placements_max=PLACEMENTS_PER_PULL_MAX)
        following = _after(page, previous)
        if not following:
            break
        for placement in following:
            if placement.first_leaf >= size:
                break
            if previous is not None:
                yield previous, placement.first_leaf
            previous = placement
        start = following[-1].first_leaf + 1
    if previous is not None:
        yield previous, size


def _after(page: Iterable[Placement], previous: Placement | None) -> list[Placement]:
    """Leave out what an earlier page ended with: a page starts with the batch that *holds* its first leaf."""
    return [item for item in page if previous is None or item.first_leaf > previous.first_leaf]


class _StoredLane:
    """One lane's batches and seals, asked for in order of n, read some at a time."""

    def __init__(self, store: Store, lane: int) -> None:
        self._store = store
        self._lane = lane
        self._batches: deque[StoredBatch] = deque()
        self._seals: deque[StoredSeal] = deque()

    async def batch(self, n: int) -> StoredBatch:
        if not self._batches:
            pulled = await self._store.batches(self._lane, after_n=n - 1, batches_max=BATCHES_PER_PULL_MAX)
            self._batches.extend(pulled)
        if not self._batches or self._batches[0].n != n:
            raise IntegrityError("a batch of the tree is missing in the database", place=f"lane {self._lane} batch {n}")
        return self._batches.popleft()

    async def seal(self, n: int) -> bytes:
        while self._seals and self._seals[0].n < n:
            self._seals.popleft()
        if not self._seals:
            self._seals.extend(await self._store.seals(self._lane, after_n=n - 1))
        if not self._seals or self._seals[0].n != n:
            raise IntegrityError("a seal of the tree is missing in the database", place=f"lane {self._lane} batch {n}")
        return self._seals.popleft().leaf
