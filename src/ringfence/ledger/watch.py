"""A gateway's eye on the sequencer: what it wrote must be under a signed checkpoint within seconds, or it stops.

Rules of this file:
1. Proven means: an inclusion path from the tree's files leads from the header's leaf hash to the root of a checkpoint
   that the log signed. What the database says only tells where to look.
2. A header names its predecessor, so proving a lane's newer batch covers the older ones.
3. Every head that is noted is awaited for itself: a lane that writes on and on wins no time by its newer batches.
4. The gateway notes and asks every `WATCH_INTERVAL_SECONDS` and passes its own clock; nothing here reads one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, NamedTuple

from ringfence.core.errors import UnavailableError
from ringfence.core.ledger.lane import LaneHead
from ringfence.core.ledger.signed_note import VerifierKey
from ringfence.core.ports import Store
from ringfence.ledger.receipts import prove_leaf
from ringfence.ledger.tree_reader import TreeReader

SERVED_SECONDS_MAX: Final = 3.0
"""How long a gateway serves on after a commit that is under no checkpoint."""
WATCH_INTERVAL_SECONDS: Final = 0.2
WAIT_SECONDS_MAX: Final = SERVED_SECONDS_MAX - WATCH_INTERVAL_SECONDS
"""How long a noted head may wait: it is looked for up to one interval late."""


class _Noted(NamedTuple):
    head: LaneHead
    at_seconds: float


async def prove_batch(store: Store, tree: TreeReader, head: LaneHead, *, log_key: VerifierKey) -> None:
    """Check that a lane's batch is under the newest signed checkpoint: its header's hash, at its place.

    Raises:
        UnavailableError: it is not yet.
        IntegrityError: the ledger has another batch at that place, or the tree's files are not what was signed.
    """
    place = f"lane {head.lane} batch {head.n}"
    first_leaf = await store.placement(head.lane, head.n)
    if first_leaf is None:
        raise UnavailableError(f"{place} is not in the tree yet")
    # Files, hashes and a signature: beside the loop, so that no request waits for them.
    await asyncio.to_thread(prove_leaf, tree, index=first_leaf, leaf_hash=head.hash, log_key=log_key, place=place)


class LaneWatch:
    """Watches that one lane's batches come under a signed checkpoint.

    Args:
        store: the ledger's store.
        tree: the static tree, from its directory or from where it is served.
        log_key: the log's pinned key.
        wait_seconds_max: how long a batch may wait.
    """

    def __init__(
        self, store: Store, tree: TreeReader, *, log_key: VerifierKey, wait_seconds_max: float = WAIT_SECONDS_MAX
    ) -> None:
        self._store = store
        self._tree = tree
        self._log_key = log_key
        self._wait_seconds_max = wait_seconds_max
        self._waiting: deque[_Noted] = deque()
        self._noted_n = 0
        self.proven_n = 0

    def note(self, head: LaneHead, *, at_seconds: float) -> None:
        """Say that the lane has committed up to `head`, and when, by a clock that never goes back."""
        if head.n > self._noted_n:
            self._noted_n = head.n
            self._waiting.append(_Noted(head, at_seconds))

    async def check(self, *, now_seconds: float) -> None:
        """Look for the batches that are still awaited, oldest first.

        Raises:
            UnavailableError: it waits for longer than `wait_seconds_max`: stop serving until it is proven.
            IntegrityError: the ledger has another batch in its place: stop serving for good.
        """
        while self._waiting:
            oldest = self._waiting[0]
            try:
                await prove_batch(self._store, self._tree, oldest.head, log_key=self._log_key)
            except UnavailableError as error:
                waited = now_seconds - oldest.at_seconds
                if waited > self._wait_seconds_max:
                    raise UnavailableError(
                        f"batch {oldest.head.n} of lane {oldest.head.lane} is under no signed checkpoint"
                        f" after {waited:.1f} s: {error}",
                        hint="Nothing is served until it is. Check that the sequencer runs, and what it reports.",
                    ) from error
                return
            self.proven_n = oldest.head.n
            self._waiting.popleft()
