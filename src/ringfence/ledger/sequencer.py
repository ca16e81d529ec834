"""The sequencer: the one process that numbers sealed batches and signs what it committed.

One round, numbered as in the code:
1. Read the head. If it is not the one that this sequencer left, another has taken over: stop.
2. Pull, verify and order what the lanes sealed (`ordering`).
3. Compare and swap the head. Only now do the leaves have places.
4. Write the tiles of the committed head, and hold their root against it.
5. Sign the committed head, and put the checkpoint where it is shown, then where it is kept.

A crash between any two steps loses nothing: whoever starts next finds the committed head, writes the same tiles (a
pure function of it) and signs it. Gateways never hold the key that signs here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core.errors import (
    ConfigurationError,
    DeviceError,
    IntegrityError,
    ProofInvalidError,
    UnavailableError,
)
from ringfence.core.ledger.checkpoint import Checkpoint, sign_checkpoint
from ringfence.core.ledger.signed_note import render_vkey, verifier_key_of
from ringfence.core.ports import CommitUnknownError, Store, TreeHead
from ringfence.ledger.disk import Disk
from ringfence.ledger.leaves import read_placed_batches
from ringfence.ledger.ordering import Edge, Log, Round, Waiting, collect_round, is_named
from ringfence.ledger.resume import restore_edge
from ringfence.ledger.rollback import check_not_behind, read_kept, verify_grown_from, verify_growth
from ringfence.ledger.shown import ShownCheckpoint
from ringfence.ledger.tree_reader import CheckedTree
from ringfence.ledger.tree_standing import TreeStanding, render_standing
from ringfence.ledger.tree_writer import TreeWriter

LEAVES_PER_STEP_MAX: Final = 8192
RETRY_SECONDS: Final = 1.0
RULES_PER_PULL_MAX: Final = 64
LAST_ROUNDS_MAX: Final = 64
CLOCK_AHEAD_MS_MAX: Final = 1_000
"""How far a batch's time may be ahead of this machine's clock. With the part of a second that a checkpoint's time
leaves out, it stays within what a verifier allows, 2 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencerLimits:
    """How much a round does, and how often.

    `leaves_per_round_max` is passed by at most one seal's run of batches for each lane. `interval_seconds` is the
    pause after a round that left nothing sealed behind. An unchanged head is signed again after
    `sign_again_seconds`, so that the newest checkpoint says until when there was nothing new.
    """

    leaves_per_round_max: int = 32_768
    rules_per_round_max: int = 256
    interval_seconds: float = 0.4
    sign_again_seconds: int = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """What a round did: the tree's size now, leaves added, whether sealed batches were left for the next round.

    `waiting` names the batches whose missing seals hold back a rule that was committed after them, and those whose time
    has not come.
    """

    size: int
    added: int
    epoch: int
    more: bool
    waiting: tuple[Waiting, ...]


class Sequencer:
    """Turns sealed batches into the signed static tree.

    Args:
        store: the ledger's store, its primary.
        tree_directory: the static tree; made if missing.
        key: the checkpoint key.
        origin: the log's name.
        clock_ms: the time, milliseconds since 1970 UTC.
        genesis_hash: leaf hash of the genesis entry (32 bytes) when it is pinned; b"" takes the first that comes.
        limits: how much and how often.
        disk: how files are written.
        copy: where the newest checkpoint is copied to, away from the tree; None copies it nowhere.
    """

    def __init__(
        self,
        store: Store,
        *,
        tree_directory: Path,
        key: Ed25519PrivateKey,
        origin: str,
        clock_ms: Callable[[], int],
        genesis_hash: bytes = b"",
        limits: SequencerLimits | None = None,
        disk: Disk | None = None,
        copy: ShownCheckpoint | None = None,
    ) -> None:
        self._store = store
        self._copy = copy
        self._key = key
        self._clock_ms = clock_ms
        self._limits = limits or SequencerLimits()
        log_key = verifier_key_of(key, name=origin)
        self._log = Log(origin=origin, vkey=render_vkey(log_key), genesis_hash=genesis_hash)
        self._log_key = log_key
        self._writer = TreeWriter(tree_directory, log_key=log_key, disk=disk)
        self._term = 0
        self._blobs_epoch = 0
        self._head: TreeHead | None = None
        self._edge: Edge | None = None

    async def open(self) -> None:
        """Become the sequencer, refuse a rolled-back database, and complete what an earlier one left.

        Raises:
            RollbackError: the database is older than, or not a growth of, what was already shown: names both sizes.
            IntegrityError: the tree directory or the database is not what was written: says where.
            ConfigurationError: another sequencer has the tree directory, or it is of another log.
        """
        # The lock first: a term taken by one that cannot write would stop the one that does.
        await asyncio.to_thread(self._writer.open)
        # A crash after this leaves a term that nobody uses; the next one takes a larger.
        self._term = await self._store.begin_term()
        await self._load()

    async def close(self) -> None:
        """Let go of the tree directory. The store stays open."""
        self._head = self._edge = None
        await asyncio.to_thread(self._writer.close)

    async def run(
        self,
        stop: asyncio.Event,
        *,
        report: Callable[[Progress], None],
        report_unavailable: Callable[[DeviceError], None],
    ) -> None:
        """Run rounds until `stop` is set, and then those that publish what was sealed before it was.

        A device that does not answer is asked again, but not after `stop`; any other error ends it.
        """
        last_rounds = 0
        while last_rounds < LAST_ROUNDS_MAX:
            stopping = stop.is_set()
            try:
                progress = await self.run_round()
                report(progress)
                pause = 0.0 if progress.more else self._limits.interval_seconds
            except (UnavailableError, CommitUnknownError) as error:
                # The next round starts from what was committed, so that it need not be known here.
                report_unavailable(error)
                pause = RETRY_SECONDS
                if stopping:
                    return
            if stopping:
                last_rounds = last_rounds + 1 if progress.more else LAST_ROUNDS_MAX
                continue
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                continue

    async def run_round(self) -> Progress:
        """Sequence what is sealed, at most `leaves_per_round_max` leaves, and sign the head.

        Raises:
            IntegrityError: the store holds what no lane wrote and sealed: says lane and batch. It is not published.
            ConfigurationError: another sequencer has taken over.
            UnavailableError: a device does not answer; the next round starts from what was committed.
        """
        if self._head is None or self._edge is None:
            await asyncio.to_thread(self._writer.open)
            await self._load()
        head, edge = self._head, self._edge
        if head is None or edge is None:
            raise ConfigurationError("the sequencer was closed")
        # Whatever fails from here on, what was committed is read again before anything else is done.
        self._head = self._edge = None
        found = await self._store.tree_head()  # 1
        published = self._writer.published
        if published is not None:
            check_not_behind(found, published.checkpoint)
        self._check_term(found)
        if found != head:
            raise IntegrityError(
                f"the tree's head was changed from {head.size} to {found.size} leaves by someone else",
                place="tree head",
            )
        collected = await collect_round(  # 2
            self._store,
            edge,
            size=head.size,
            log=self._log,
            at_ms_max=self._clock_ms() + CLOCK_AHEAD_MS_MAX,
            leaves_max=self._limits.leaves_per_round_max,
            rules_max=self._limits.rules_per_round_max,
        )
        added = len(collected.leaves.leaves)
        if added:
            head = await self._commit(head, collected)
        if added or self._is_stale():
            await self._publish(head)
        self._head, self._edge = head, collected.edge
        return Progress(head.size, added, head.epoch, collected.more, collected.waiting)

    async def _commit(self, head: TreeHead, collected: Round) -> TreeHead:
        """Step 3 and the first half of 4."""
        leaves, edge = collected.leaves, collected.edge
        full = self._writer.grow(leaves.leaves, leaves.hashes)
        frontier = self._writer.frontier
        following = TreeHead(
            size=frontier.size,
            root=frontier.root(),
            frontier=frontier.to_bytes(),
            term=self._term,
            epoch=edge.state.epoch,
            sequenced={lane: tail.n for lane, tail in sorted(edge.tails.items())},
        )
        # A crash before this commits leaves nothing; after it, a head without tiles: `_load` writes them.
        if not await self._store.commit_tree(expected=head, following=following, placements=leaves.placements):
            raise _replaced()
        await asyncio.to_thread(self._writer.write, full)
        return following

    async def _publish(self, head: TreeHead) -> None:
        """The second half of step 4, and step 5."""
        await asyncio.to_thread(self._writer.complete)
        await self._put_blobs(head)
        note = self._sign(head)
        # A crash before this leaves the older checkpoint, and more tiles than it names.
        await asyncio.to_thread(self._writer.publish, note)
        # A crash before this leaves an older copy, which the tree is a growth of.
        if self._copy:
            await asyncio.to_thread(self._copy.keep, note)
        standing = TreeStanding(head.size, head.root, head.epoch, head.sequenced)
        # A crash before this leaves an older standing: `_load` reads the leaves since then once more.
        await asyncio.to_thread(self._writer.put_standing, render_standing(standing, key=self._key))
        # A crash before this leaves the checkpoint shown and not kept: `_load` keeps it.
        await self._store.put_checkpoint(head.size, note)

    async def _put_blobs(self, head: TreeHead) -> None:
        """Put the charters of the tree's rules beside its tiles, so that a copy of the tree can be verified whole."""
        while self._blobs_epoch < head.epoch:
            rules = await self._store.rules(after_epoch=self._blobs_epoch, rules_max=RULES_PER_PULL_MAX)
            rules = [rule for rule in rules if rule.batch.epoch < head.epoch]
            if not rules:
                raise IntegrityError(f"rule {self._blobs_epoch + 1} of the tree is missing", place="rules")
            blobs = [rule.blob for rule in rules if rule.blob and is_named(rule)]
            await asyncio.to_thread(self._writer.put_blobs, blobs)
            self._blobs_epoch = rules[-1].batch.epoch + 1

    def _sign(self, head: TreeHead) -> bytes:
        """Sign a committed head as a checkpoint; this is where witnesses' cosignatures are to be added.

        Time never goes back from one checkpoint to the next.

        Raises:
            IntegrityError: the tiles that were written are not those of the head.
        """
        frontier = self._writer.frontier
        if (frontier.size, frontier.root()) != (head.size, head.root):
            raise IntegrityError("the tiles are not those of the committed head", place=f"tree of {head.size} leaves")
        earlier = self._writer.published
        time_seconds = max(self._clock_ms() // 1000, earlier.time_seconds if earlier else 0)
        checkpoint = Checkpoint(self._log.origin, head.size, head.root)
        return sign_checkpoint(checkpoint, name=self._log.origin, key=self._key, time_seconds=time_seconds)

    def _is_stale(self) -> bool:
        """Tell whether the newest checkpoint, of this very head, is old enough to be signed anew."""
        signed = self._writer.published
        return signed is not None and self._clock_ms() // 1000 - signed.time_seconds >= self._limits.sign_again_seconds

    async def _load(self) -> None:
        """Stand at the committed head: refuse a rollback, complete and sign the tree, fold the rules."""
        kept = await read_kept(self._store, log_key=self._log_key)
        shown = self._writer.published.checkpoint if self._writer.published else None
        copied = self._copy.read() if self._copy else None
        head = await self._store.tree_head()
        for checkpoint in (shown, kept, copied):
            if checkpoint is not None:
                check_not_behind(head, checkpoint)
        self._check_term(head)
        # First all of it is verified, then written: no tile is ever of leaves that the head does not vouch for.
        if copied is not None and shown is not None and copied.size <= shown.size == self._writer.frontier.size:
            await asyncio.to_thread(verify_grown_from, self._writer.reader, shown, copied)
        standing, frontier = await asyncio.to_thread(self._writer.read_standing)
        newest = copied if copied is not None and (shown is None or shown.size < copied.size) else shown
        standing = await verify_growth(self._store, frontier, head=head, shown=newest, standing=standing)
        standing.check_head(head)
        self._blobs_epoch = standing.epoch if self._writer.has_blobs() else 0
        if self._copy and (note := self._writer.reader.read_checkpoint()) is not None:
            await asyncio.to_thread(self._copy.keep, note)
        written = self._writer.frontier.size
        async for leaves, hashes in _read_steps(self._store, first_leaf=written, size=head.size):
            await asyncio.to_thread(self._writer.write, self._writer.grow(leaves, hashes))
        if head.size and (shown is None or kept is None or min(shown.size, kept.size) < head.size):
            await self._publish(head)
        elif written < head.size:  # nothing new to sign: the tiles of what was shown were lost, and are made anew
            await asyncio.to_thread(self._writer.complete)
        await self._put_blobs(head)
        try:
            tree = CheckedTree(self._writer.reader, size=head.size, root=head.root)
        except ProofInvalidError as error:
            raise IntegrityError(f"the tree directory cannot be read back: {error}", place=error.place) from None
        self._edge = await restore_edge(self._store, head, tree, log=self._log)
        self._head = head

    def _check_term(self, head: TreeHead) -> None:
        if head.term != self._term:
            raise _replaced()


async def _read_steps(store: Store, *, first_leaf: int, size: int) -> AsyncIterator[tuple[list[bytes], list[bytes]]]:
    """Give committed leaves and their hashes, `LEAVES_PER_STEP_MAX` or a little more at a time."""
    leaves: list[bytes] = []
    hashes: list[bytes] = []
    async for placed in read_placed_batches(store, first_leaf=first_leaf, size=size):
        leaves += placed.leaves
        hashes += placed.hashes
        if len(leaves) >= LEAVES_PER_STEP_MAX:
            yield leaves, hashes
            leaves, hashes = [], []
    if leaves:
        yield leaves, hashes


def _replaced() -> ConfigurationError:
    return ConfigurationError(
        "another sequencer has taken over this ledger; this one signs nothing more",
        hint="Run exactly one sequencer for each ledger.",
    )
