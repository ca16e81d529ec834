"""One lane's batches and seals that are not in the tree yet, verified as they are pulled.

Rules of this file:
1. The store is not trusted: each batch must follow the last one of its lane, hold what its header says, and be
   covered by a seal of the lane's certified key. What is not so stops everything with `IntegrityError`, naming lane
   and batch; nothing of it is ever in the tree.
2. A batch whose time has not come by this machine's clock waits: a checkpoint that enclosed it could never be
   verified.
3. A lane is pulled as far as its newest seal within an epoch reaches, or as far as one round allows, and always ends
   at a seal.
4. The seals are read before the batches: the lane writes on meanwhile, and what a seal covers must be there.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile
from operator import attrgetter
from typing import Final, NamedTuple

from ringfence.core.errors import IntegrityError, ProofInvalidError
from ringfence.core.ledger.entry import RULE_TYPES, AnyLeaf, Seal, parse_entry
from ringfence.core.ledger.lane import LaneHead, parse_stored_batch, verify_link, verify_seal
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ports import Placement, Store, StoredBatch, StoredRule, StoredSeal

BATCHES_PER_PULL_MAX: Final = 64
_RULES: Final = frozenset(RULE_TYPES)


@dataclass(slots=True)
class Leaves:
    """Leaves in the tree's order, from leaf `start` on, with their hashes and the batches' places."""

    start: int
    leaves: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)

    def add_batch(self, batch: StoredBatch, hashes: list[bytes]) -> None:
        """Append a batch: header, then entries, with all their hashes."""
        self.placements.append(Placement(batch.lane, batch.n, self.start + len(self.leaves)))
        self.leaves.append(batch.header)
        self.leaves.extend(batch.entries)
        self.hashes.extend(hashes)

    def add_seal(self, leaf: bytes) -> None:
        """Append a seal."""
        self.leaves.append(leaf)
        self.hashes.append(hash_leaf(leaf))


def check_batch(tail: LaneHead, batch: StoredBatch) -> tuple[LaneHead, list[AnyLeaf], list[bytes]]:
    """Check that a stored batch follows `tail` and holds what its header says.

    Returns:
        The head that it leads to, its entries, and the leaf hashes of header and entries.

    Raises:
        IntegrityError: it does not, or its row says another lane, number, epoch or kind than its header.
    """
    place = f"lane {tail.lane} batch {batch.n}"
    try:
        header, entries = parse_stored_batch(batch.header, batch.entries, place=place)
        following = verify_link(tail, header, header_leaf=batch.header, place=place)
    except ProofInvalidError as error:
        raise not_as_written(str(error), error.place or place) from None
    hashes = [hash_leaf(entry) for entry in batch.entries]
    if header.count != len(hashes) or header.digest != hashlib.sha256(b"".join(hashes)).digest():
        raise not_as_written("its entries are not those that its header names", place)
    if (header.lane, header.n, header.epoch) != (batch.lane, batch.n, batch.epoch):
        raise not_as_written("its row names another lane, number or epoch than its header", place)
    if _RULES.isdisjoint(map(type, entries)) == batch.rule:
        raise not_as_written("its row and its entries disagree on whether it holds a rule", place)
    return following, entries, [following.hash, *hashes]


def check_seal(leaf: bytes, tail: LaneHead, *, origin: str, key: bytes) -> None:
    """Check that a leaf is the seal of a lane's head by its key.

    Raises:
        IntegrityError: it is not.
    """
    place = f"lane {tail.lane} batch {tail.n}"
    try:
        seal = parse_entry(leaf, place=place)
        if not isinstance(seal, Seal) or (seal.lane, seal.n) != (tail.lane, tail.n):
            raise not_as_written("its seal is of another batch", place)
        if (seal.head, seal.at_ms) != (tail.hash, tail.at_ms):
            raise not_as_written("it, or one before it, is not what the lane sealed", place)
        verify_seal(seal, origin=origin, key=key, place=place)
    except ProofInvalidError as error:
        raise not_as_written(str(error), place) from None


class _Checked(NamedTuple):
    """A batch that was verified but for its seal, and the leaf hashes of its header and entries."""

    batch: StoredBatch
    hashes: list[bytes]


class LanePull:
    """What one lane has beyond `tail`, as one round sees it."""

    def __init__(self, store: Store, tail: LaneHead, *, stored_n: int) -> None:
        self.tail = tail
        self._store = store
        self._stored_n = stored_n
        self._pulled_n = tail.n
        self._ended = False
        self._batches: deque[StoredBatch] = deque()
        self._seals: list[StoredSeal] | None = None
        self.early: LaneHead | None = None

    async def peek(self) -> StoredBatch | None:
        """Give the batch after `tail`, not verified, or None when the store has none.

        Raises:
            IntegrityError: the store says that the lane goes on, and yet the batch is not there.
        """
        if not self._batches and not self._ended:
            await self._read_seals()
            pulled = await self._store.batches(self.tail.lane, after_n=self._pulled_n, batches_max=BATCHES_PER_PULL_MAX)
            self._batches.extend(pulled)
            self._ended = len(pulled) < BATCHES_PER_PULL_MAX
            self._pulled_n = pulled[-1].n if pulled else self._pulled_n
        if not self._batches:
            if self._stored_n > self.tail.n:
                raise _missing(self.tail)
            return None
        if self._batches[0].n != self.tail.n + 1:
            raise _missing(self.tail)
        return self._batches[0]

    async def take_sealed(
        self, into: Leaves, *, epoch: int, n_max: int, at_ms_max: int, leaves_max: int, origin: str, key: bytes
    ) -> bool:
        """Append the batches of this epoch up to the newest seal that `leaves_max` reaches, or else the first seal.

        What is of a later time than `at_ms_max` is left, with its seal, until its time has come (`early` names it).

        Returns:
            Whether a newer seal of this epoch was left for later.

        Raises:
            IntegrityError: rule 1. Nothing was appended.
        """
        seals = await self._seals_within(epoch=epoch, n_max=n_max)
        taken: list[_Checked] = []
        sealed: StoredSeal | None = None
        leaves = 0
        for seal in seals:
            run = await self._take_run(seal, epoch=epoch, at_ms_max=at_ms_max)
            if not run:  # too early, or a rule that this round does not know of yet, with its own seal
                break
            taken += run
            leaves += sum(len(item.hashes) for item in run)
            sealed = seal
            if leaves >= leaves_max:
                break
        if sealed is None:
            return False
        check_seal(sealed.leaf, self.tail, origin=origin, key=key)
        for item in taken:
            into.add_batch(item.batch, item.hashes)
        into.add_seal(sealed.leaf)
        return sealed is not seals[-1] and self.early is None

    async def _seals_within(self, *, epoch: int, n_max: int) -> list[StoredSeal]:
        """Give the seals of this epoch after `tail`, up to batch `n_max`, in order; none of them verified."""
        seals = await self._read_seals()
        first = bisect_right(seals, self.tail.n, key=attrgetter("n"))
        return [*takewhile(lambda seal: seal.epoch == epoch and seal.n <= n_max, seals[first:])]

    async def _read_seals(self) -> list[StoredSeal]:
        """Give the lane's seals as of before its first batch was pulled: rule 3."""
        if self._seals is None:
            self._seals = await self._store.seals(self.tail.lane, after_n=self.tail.n)
        return self._seals

    async def _take_run(self, seal: StoredSeal, *, epoch: int, at_ms_max: int) -> list[_Checked]:
        """Take the batches up to a seal, verified but for it; none when one of them holds a rule or is too early.

        Raises:
            IntegrityError: rule 1.
        """
        run: list[_Checked] = []
        start = self.tail
        while self.tail.n < seal.n:
            batch = await self.peek()
            if batch is None:
                raise _missing(self.tail)
            following, _, hashes = check_batch(self.tail, batch)
            if following.at_ms > at_ms_max and not batch.rule:
                self.early = following
            if batch.rule or self.early is not None:
                self._batches.extendleft(item.batch for item in reversed(run))
                self.tail = start
                return []
            if batch.epoch != epoch:
                place = f"lane {batch.lane} batch {batch.n}"
                raise not_as_written(f"a seal of epoch {epoch} covers it, and it is of epoch {batch.epoch}", place)
            self._batches.popleft()
            self.tail = following
            run.append(_Checked(batch, hashes))
        return run

    async def take_rule(self, rule: StoredRule, into: Leaves) -> tuple[LaneHead, AnyLeaf]:
        """Append the batch that holds a rule, verified but for its seal; give the head it leads to and the rule.

        Raises:
            IntegrityError: rule 1.
        """
        place = f"lane {rule.batch.lane} batch {rule.batch.n}"
        if await self.peek() != rule.batch:
            raise not_as_written("the lane has another batch at its place", place)
        following, entries, hashes = check_batch(self.tail, rule.batch)
        if len(entries) != 1 or not rule.batch.rule:
            raise not_as_written("a rule's batch holds that rule alone", place)
        self._batches.popleft()
        self.tail = following
        into.add_batch(rule.batch, hashes)
        return following, entries[0]


def not_as_written(what: str, place: str) -> IntegrityError:
    """Give the error for a batch that the lane did not write as it stands."""
    return IntegrityError(
        f"a batch in the database is not what a lane wrote and sealed: {what}",
        place=place,
        hint="Nothing of it was published. Find out who changed the database; sequencing goes on once it is put right.",
    )


def _missing(tail: LaneHead) -> IntegrityError:
    place = f"lane {tail.lane} batch {tail.n + 1}"
    return IntegrityError("a batch that was written is missing in the database", place=place)
