"""From what the lanes stored to the tree's next leaves.

Order of leaves:
1. For epoch e = 0, 1, 2, ...: every batch of epoch e that holds no rule, each lane by n, any interleaving of lanes;
   then the one batch that holds rule e+1, directly followed by its seal; then epoch e+1.
2. A batch is its header leaf and its entry leaves. Each run of batches of a lane ends with a seal of that lane, so
   whatever a round gives ends sealed, and only sealed batches are ever in the tree.
3. The rules are read first and the lanes after. No batch of epoch e commits after rule e+1, so what the lanes then
   have of epoch e is all that there will ever be: once all of it is sealed and taken, the epoch may end.
4. What is of a time that has not come waits, and what must follow it: see `lane_pull`.
5. A lane that a rule closes ends at the batch that the rule names; later ones are left out.
6. Nothing here follows the order of rows or of commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ringfence.core.errors import IntegrityError, ProofInvalidError
from ringfence.core.folding import RuleSource, fold
from ringfence.core.ledger.entry import (
    RULE_TYPES,
    AnyLeaf,
    Batch,
    Genesis,
    LaneRecovered,
    Rule,
    parse_entry,
    public_file,
)
from ringfence.core.ledger.lane import LaneHead
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ports import Store, StoredRule
from ringfence.core.state import State
from ringfence.ledger.lane_pull import LanePull, Leaves, check_seal, not_as_written

RULES_PER_ROUND_MAX: Final = 256
N_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Edge:
    """How far the tree goes: the state that its rules fold to, and each lane's last batch in it."""

    state: State
    tails: Mapping[int, LaneHead]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Which log this is: its name, its key as text, and its genesis entry's leaf hash where that is pinned (or b"")."""

    origin: str
    vkey: str
    genesis_hash: bytes = b""

    def check_genesis(self, rule: AnyLeaf, leaf: bytes, *, place: str) -> None:
        """Check that a genesis is this log's; other rules pass.

        Raises:
            IntegrityError: it names another log or key, or is not the pinned one.
        """
        if not isinstance(rule, Genesis):
            return
        if (rule.origin, rule.log_key) != (self.origin, self.vkey):
            raise not_as_written(f"genesis is of the log {rule.origin!r} or of another checkpoint key", place)
        if self.genesis_hash and hash_leaf(leaf) != self.genesis_hash:
            raise not_as_written("genesis is not the one that is pinned", place)


class Waiting(NamedTuple):
    """A stored batch that is not taken: not sealed, so that it holds back the rule that ends its epoch, or too early.

    `early_ms` is how far its time is ahead of what may be in the tree now; 0 for one that is not sealed.
    """

    lane: int
    n: int
    epoch: int
    early_ms: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """What comes next in the tree: leaves (perhaps none), the edge after them, and why there are no more.

    `more` says that something sealed was left for the next round.
    """

    leaves: Leaves
    edge: Edge
    more: bool
    waiting: tuple[Waiting, ...]


async def collect_round(
    store: Store,
    edge: Edge,
    *,
    size: int,
    log: Log,
    at_ms_max: int,
    leaves_max: int,
    rules_max: int = RULES_PER_ROUND_MAX,
) -> Round:
    """Pull, verify and order what follows the edge.

    Args:
        store: the ledger's store, its primary.
        edge: how far the tree goes.
        size: leaves in the tree.
        log: which log this is; genesis and every seal must say so.
        at_ms_max: what is of a later time is left for a later round.
        leaves_max: how many leaves are enough; passed by at most one seal's run of batches for each lane.
        rules_max: how many rules are enough.

    Raises:
        IntegrityError: the store holds what no lane wrote, or lacks what one wrote: says lane and batch.
    """
    collector = _Collector(store, edge, size=size, log=log, at_ms_max=at_ms_max, leaves_max=leaves_max)
    return await collector.collect(rules_max)


class _Collector:
    """One round."""

    def __init__(self, store: Store, edge: Edge, *, size: int, log: Log, at_ms_max: int, leaves_max: int) -> None:
        self._store = store
        self._at_ms_max = at_ms_max
        self._log = log
        self._leaves_max = leaves_max
        self._leaves = Leaves(start=size)
        self._state = edge.state
        self._tails = dict(edge.tails)
        self._pulls: dict[int, LanePull] = {}
        self._more = False

    async def collect(self, rules_max: int) -> Round:
        rules = await self._store.rules(after_epoch=self._state.epoch, rules_max=rules_max)
        heads = {head.lane: head.n for head in await self._store.lanes()}
        for lane in sorted({*heads, *self._tails}):
            tail = self._tails.get(lane, LaneHead(lane))
            self._pulls[lane] = LanePull(self._store, tail, stored_n=heads.get(lane, 0))
            if heads.get(lane, 0) < tail.n:
                raise IntegrityError(
                    f"lane {lane} has {heads.get(lane, 0)} batches in the database and {tail.n} in the tree",
                    place=f"lane {lane} batch {tail.n}",
                )
        for rule in rules:
            self._check_epoch(rule)
            await self._take_accesses(rule)
            waiting = [] if self._more else await self._list_waiting(rule)
            if self._more or waiting or self._is_early(rule):
                return self._end(waiting)
            await self._take_rule(rule)
            if len(self._leaves.leaves) >= self._leaves_max:
                self._more = True
                return self._end([])
        if len(rules) < rules_max:
            await self._take_accesses(None)
        else:
            self._more = True  # the rule that ends this epoch may be there already: it is asked for first
        return self._end([])

    def _end(self, waiting: list[Waiting]) -> Round:
        tails = {**self._tails, **{lane: pull.tail for lane, pull in self._pulls.items() if pull.tail.n}}
        early = [
            Waiting(lane, pull.early.n, self._state.epoch, pull.early.at_ms - self._at_ms_max)
            for lane, pull in self._pulls.items()
            if pull.early is not None
        ]
        named = {item.lane for item in early}
        waiting = [*early, *(item for item in waiting if item.lane not in named)]
        return Round(self._leaves, Edge(self._state, tails), self._more, tuple(waiting))

    def _is_early(self, rule: StoredRule) -> bool:
        """Tell whether a rule's time has not come; what cannot be read is told of where it is taken."""
        try:
            header = parse_entry(rule.batch.header)
        except ProofInvalidError:
            return False
        early = isinstance(header, Batch) and header.at_ms > self._at_ms_max
        if early and isinstance(header, Batch) and rule.batch.lane in self._pulls:
            self._pulls[rule.batch.lane].early = LaneHead(header.lane, n=header.n, at_ms=header.at_ms)
        return early

    def _check_epoch(self, rule: StoredRule) -> None:
        if rule.batch.epoch != self._state.epoch:
            place = f"lane {rule.batch.lane} batch {rule.batch.n}"
            raise IntegrityError(
                f"the database has rule {rule.batch.epoch + 1} where rule {self._state.epoch + 1} is due", place=place
            )

    async def _take_accesses(self, closing: StoredRule | None) -> None:
        """Take what is sealed of the present epoch; `closing` is the rule that ends it, if it is there yet.

        Lanes share what is left of the round, so that one that is far behind holds back no other.
        """
        lanes = [lane for lane in self._pulls if await self._may_write(lane)]
        for position, lane in enumerate(lanes):
            left = self._leaves_max - len(self._leaves.leaves)
            left_behind = await self._pulls[lane].take_sealed(
                self._leaves,
                epoch=self._state.epoch,
                n_max=_last_of_epoch(lane, closing),
                at_ms_max=self._at_ms_max,
                leaves_max=left // (len(lanes) - position),
                origin=self._log.origin,
                key=self._state.lanes[lane].key,
            )
            self._more = self._more or left_behind

    async def _may_write(self, lane: int) -> bool:
        """Tell whether the lane's batches of this epoch belong in the tree.

        Raises:
            IntegrityError: it has batches of this epoch and no rule ever certified it.
        """
        known = self._state.lanes.get(lane)
        if known is not None:
            return known.closed_after is None
        batch = await self._pulls[lane].peek()
        if batch is not None and batch.epoch <= self._state.epoch and not batch.rule:
            raise not_as_written(
                f"lane {lane} is not certified in epoch {self._state.epoch}", f"lane {lane} batch {batch.n}"
            )
        return False

    async def _list_waiting(self, rule: StoredRule) -> list[Waiting]:
        """Give the lanes' first batches that must come before this rule and are not sealed."""
        waiting: list[Waiting] = []
        epoch = self._state.epoch
        for lane, pull in self._pulls.items():
            if not await self._may_write(lane):
                continue
            if pull.tail.n >= _last_of_epoch(lane, rule):
                continue  # before looking: what a recovered lane had after this may be lost
            batch = await pull.peek()
            if batch is None or batch.epoch > epoch:
                continue
            place = f"lane {lane} batch {batch.n}"
            if batch.epoch < epoch:
                raise not_as_written(f"it is of epoch {batch.epoch} and came after rule {epoch}", place)
            if batch.rule:
                raise not_as_written(f"two batches hold rule {epoch + 1}", place)
            waiting.append(Waiting(lane, batch.n, epoch))
        return waiting

    async def _take_rule(self, stored: StoredRule) -> None:
        lane = stored.batch.lane
        place = f"lane {lane} batch {stored.batch.n}"
        known = self._state.lanes.get(lane)
        if known is not None and known.closed_after is not None:
            raise not_as_written(f"lane {lane} was closed after batch {known.closed_after}", place)
        pull = self._pulls.get(lane)
        if pull is None:
            raise IntegrityError("a rule is there of a lane that never wrote", place=place)
        following, rule = await pull.take_rule(stored, self._leaves)
        if not isinstance(rule, RULE_TYPES):
            raise not_as_written("it holds no rule", place)
        self._check_closing(rule, place)
        self._log.check_genesis(rule, stored.batch.entries[0], place=place)
        self._state = fold_rule(self._state, rule, stored, place=place)
        check_seal(stored.seal, following, origin=self._log.origin, key=self._state.lanes[lane].key)
        self._leaves.add_seal(stored.seal)

    def _check_closing(self, rule: Rule, place: str) -> None:
        """Check that a lane is closed just where the tree has it."""
        if not isinstance(rule, LaneRecovered):
            return
        pull = self._pulls.get(rule.lane)
        taken = pull.tail.n if pull else 0
        if taken != rule.n:
            raise IntegrityError(
                f"a rule closes lane {rule.lane} after batch {rule.n}, and the tree has it up to batch {taken}",
                place=place,
            )


def fold_rule(state: State, rule: Rule, stored: StoredRule, *, place: str) -> State:
    """Fold a stored rule, its opening withheld: the state holds all that sequencing needs.

    Raises:
        IntegrityError: the state does not allow this rule.
    """
    try:
        header = parse_entry(stored.batch.header, place=place)
        source = RuleSource(
            lane=stored.batch.lane,
            at_ms=header.at_ms if isinstance(header, Batch) else 0,
            blob=stored.blob if public_file(rule) else None,
            place=place,
        )
        return fold(state, rule, source)
    except ProofInvalidError as error:
        raise IntegrityError(f"the database holds a rule that cannot be: {error}", place=place) from None


def is_named(stored: StoredRule) -> bool:
    """Tell whether a stored rule names the file that is stored with it.

    Raises:
        IntegrityError: it names another one.
    """
    rule = _peek_rule(stored)
    digest = public_file(rule) if rule is not None else None
    if digest is None:
        return False
    if hashlib.sha256(stored.blob).digest() != digest:
        place = f"lane {stored.batch.lane} batch {stored.batch.n}"
        raise IntegrityError("the database holds another file than the one that a rule names", place=place)
    return True


def _last_of_epoch(lane: int, closing: StoredRule | None) -> int:
    """Give the last batch that this lane may have before the rule that ends the epoch."""
    if closing is None:
        return N_MAX
    last = closing.batch.n - 1 if closing.batch.lane == lane else N_MAX
    rule = _peek_rule(closing)
    if isinstance(rule, LaneRecovered) and rule.lane == lane:
        last = min(last, rule.n)
    return last


def _peek_rule(stored: StoredRule) -> AnyLeaf | None:
    """Give a stored rule, not verified, or None when it is none: taking it then says so."""
    try:
        return parse_entry(stored.batch.entries[0]) if stored.batch.entries else None
    except ProofInvalidError:
        return None
