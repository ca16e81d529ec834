"""One part of the ledger, checked on its own: hashes, then batches, seals, rules and decisions.

Rules of this file:
1. A part is `LEAVES_PER_PART` leaves. It walks the batches that begin in it, to the end of the last one, which may
   lie in the next part; so every leaf is walked exactly once, and `PartReport.start` and `end` must join up.
2. Outside of a batch there are only batch headers and seals. A rule is alone in its batch and its seal follows it.
3. A batch is of the epoch of the rules before it, by a lane that these rules certified and did not close.
4. At a rule, and at the size of every checkpoint, each lane's newest batch is sealed. A rule is of no time before them.
5. What depends on earlier parts is handed on in the report, never skipped.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import RULE_PREFIX, Batch, LaneRecovered, Rule, Seal, parse_entry
from ringfence.core.ledger.lane import ENTRIES_PER_BATCH_MAX, LaneHead, verify_seal
from ringfence.core.ledger.tiles import TILE_WIDTH, Tile, fold_tile
from ringfence.core.state import Lane, State
from ringfence.verify.bundle import entries_tile, place_of_leaf
from ringfence.verify.counters import Run
from ringfence.verify.entries import EntryChecker
from ringfence.verify.lanes import (
    Assumed,
    DatedRule,
    FirstBatch,
    LaneTrack,
    check_closing,
    check_date,
    check_link,
    check_seal,
    newest_of,
    refute_unsealed,
)
from ringfence.verify.outcomes import BATCH_PREFIX, OutcomeBook, Outcomes
from ringfence.verify.rules import LEAVES_PER_PART, TILES_PER_PART, PartStart, fold_rule
from ringfence.verify.scope import Scope
from ringfence.verify.verdict import Findings, Refutation, Tally

SEAL_PREFIX: Final = b'{"kind":"seal"'
HEAD_PREFIXES: Final = (BATCH_PREFIX, SEAL_PREFIX)


@dataclass(slots=True)
class PartReport:
    """What a part came to.

    Attributes:
        roots: the roots of its full tiles, in order; the hashes of the level above.
        hashed: whether all of its leaves were read and hashed.
        walked: whether its batches were walked; not so where no state is known.
        start, end: the first leaf walked, and one past the last.
        epoch: rules folded at `end`.
    """

    number: int
    roots: list[bytes] = field(default_factory=list)
    hashed: bool = False
    walked: bool = False
    start: int = 0
    end: int = 0
    epoch: int = 0
    lanes: Assumed = field(default_factory=Assumed)
    counters: dict[tuple[int, str], list[Run]] = field(default_factory=dict)
    outcomes: Outcomes = field(default_factory=Outcomes)
    tally: Tally = field(default_factory=Tally)
    refutations: tuple[Refutation, ...] = ()
    refutations_more: bool = False


def check_part(scope: Scope, number: int, start: PartStart) -> PartReport:
    """Check part `number` of the ledger, from the state at its start."""
    report = PartReport(number)
    findings = Findings(scope.refutations_max)
    try:
        leaves = Leaves(scope, number, report, findings)
        report.hashed = True
        if start.state is not None:
            report.walked = _Walk(scope, leaves, start, start.state, report, findings).run()
    except ProofInvalidError as error:
        findings.refute_error(error, leaf=max(number * LEAVES_PER_PART, report.end))
    report.refutations, report.refutations_more = findings.in_order(), findings.more
    return report


class Leaves:
    """The leaves of one part and their hashes, held against the tiles; those after the part are read on demand."""

    __slots__ = ("_next_tile", "_scope", "end", "first", "hashes", "leaves")

    def __init__(self, scope: Scope, number: int, report: PartReport, findings: Findings) -> None:
        self._scope = scope
        self.first = number * LEAVES_PER_PART
        self.end = min(scope.size, self.first + LEAVES_PER_PART)
        self.leaves: list[bytes] = []
        self.hashes: list[bytes] = []
        self._next_tile = number * TILES_PER_PART
        while self.first + len(self.leaves) < self.end:
            index = self._next_tile
            hashes = self._read()
            tile = Tile(0, index, len(hashes))
            if scope.bundle.read_tile_hashes(tile) != hashes:
                self._refute_tile(tile, hashes, findings)
            if tile.is_full:
                report.roots.append(fold_tile(hashes))

    def need(self, until: int) -> bool:
        """Have the leaves below `until` at hand; False when the tree ends before."""
        if until > self._scope.size:
            return False
        while self.first + len(self.leaves) < until:
            self._read()
        return True

    def _read(self) -> list[bytes]:
        sha256 = hashlib.sha256
        leaves = self._scope.bundle.read_leaves(entries_tile(self._next_tile, size=self._scope.size))
        hashes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
        self._next_tile += 1
        self.leaves += leaves
        self.hashes += hashes
        return hashes

    def _refute_tile(self, tile: Tile, hashes: Sequence[bytes], findings: Findings) -> None:
        stored = self._scope.bundle.read_tile_hashes(tile)
        number = next(at for at, pair in enumerate(zip(stored, hashes, strict=True)) if pair[0] != pair[1])
        leaf = tile.index * TILE_WIDTH + number
        findings.refute(
            f"{place_of_leaf(leaf)}, against {tile.path}",
            "a leaf is not the one that the tree was made of",
            expected=stored[number].hex(),
            found=hashes[number].hex(),
            leaf=leaf,
        )


class _Walk:
    """Goes through the batches and seals that begin in one part."""

    def __init__(
        self, scope: Scope, leaves: Leaves, start: PartStart, state: State, report: PartReport, findings: Findings
    ) -> None:
        self._scope = scope
        self._source = leaves
        self._state = state
        self._report = report
        self._findings = findings
        self._tracks = report.lanes.tracks
        self._batches: Counter[str] = Counter()
        outcomes = OutcomeBook(report.outcomes, findings)
        self._entries = EntryChecker(scope, state, report.counters, report.tally, findings, outcomes)
        self._position = max(start.leaf, leaves.first)
        self._stopped = False
        self._quiet = iter([size for size in scope.times.sizes if size >= self._position])
        self._next_quiet = next(self._quiet, scope.size)

    def run(self) -> bool:
        """Walk, and note in the report where the walk began and ended; False if it had to stop before."""
        source, report = self._source, self._report
        if source.first:
            self._skip_to_head()
        report.start = self._position
        while self._position < source.end and not self._stopped:
            if self._next_quiet <= self._position:
                self._check_quiet(self._position, "a checkpoint")
            leaf = source.leaves[self._position - source.first]
            if leaf.startswith(BATCH_PREFIX):
                self._walk_batch(leaf)
            elif leaf.startswith(SEAL_PREFIX):
                self._walk_seal()
            else:
                what = "this leaf stands outside of any batch"
                self._findings.refute(place_of_leaf(self._position), what, leaf=self._position)
                self._skip_to_head()
            report.end = self._position
        report.end = self._position
        report.epoch = self._state.epoch
        report.tally.assert_many("time", self._batches)
        self._entries.finish()
        return not self._stopped

    def _skip_to_head(self) -> None:
        source = self._source
        while self._position < source.end:
            if source.leaves[self._position - source.first].startswith(HEAD_PREFIXES):
                return
            self._position += 1

    def _walk_batch(self, leaf: bytes) -> None:
        """Check one batch and move past it."""
        position, source = self._position, self._source
        try:
            header = parse_entry(leaf)
            if not isinstance(header, Batch) or not 1 <= header.count <= ENTRIES_PER_BATCH_MAX:
                raise ProofInvalidError(f"a batch holds 1 to {ENTRIES_PER_BATCH_MAX} entries")
            first, end = position + 1, position + 1 + header.count
            if not source.need(end):
                raise ProofInvalidError("the tree ends inside of a batch")
            lane = self._lane_of(header.lane, header.epoch, header=header)
        except ProofInvalidError as error:
            self._findings.refute_error(error, leaf=position)
            self._position += 1
            self._skip_to_head()
            return
        at = first - source.first
        digest = hashlib.sha256(b"".join(source.hashes[at : at + header.count])).digest()
        if digest != header.digest:
            what = f"batch {header.n} of lane {header.lane} does not hold the entries that its header names"
            self._findings.refute(
                place_of_leaf(position), what, expected=header.digest.hex(), found=digest.hex(), leaf=position
            )
        self._check_place(header, position, end)
        entries = source.leaves[at : at + header.count]
        is_rule = entries[0].startswith(RULE_PREFIX)
        if is_rule:
            self._check_quiet(position, f"the rule at leaf {first}")
            self._check_date(header, first)
        self._link(header, position)
        self._batches[lane.duty] += 1
        self._entries.check_bare(position)
        self._position = end
        if is_rule and header.count == 1:
            self._walk_rule(entries[0], header, first)
        else:
            if lane.duty == "authority":
                what = "the authority's lane holds rules alone, each in a batch of its own"
                self._findings.refute(place_of_leaf(position), what, leaf=position)
            self._entries.check_batch(header, entries, first=first, build=lane.build)

    def _lane_of(self, number: int, epoch: int, *, header: Batch | None = None) -> Lane:
        """Give the lane that writes at this point; refuse one that the rules so far do not let write (rule 3)."""
        state = self._state
        if epoch != state.epoch:
            raise ProofInvalidError(
                "a batch is recorded under the wrong epoch", expected=f"epoch {state.epoch}", found=f"epoch {epoch}"
            )
        if epoch == 0 and header:
            return Lane(number=number, key=b"", build="", duty="authority")  # folding refuses any but lane 0's genesis
        lane = state.lanes.get(number)
        if lane is None:
            raise ProofInvalidError(f"lane {number} was not certified before it wrote")
        if lane.closed_after is not None:
            raise ProofInvalidError(f"lane {number} wrote after it was closed")
        return lane

    def _check_place(self, header: Batch, position: int, end: int) -> None:
        """Check a batch's time, and that no checkpoint cuts it."""
        latest_ms, earliest_ms = self._scope.times.limit_of(position), self._state.ruled_ms
        if header.at_ms > latest_ms or header.at_ms < 0:
            what = "a batch is of a later time than the checkpoint that encloses it"
            self._refute_time(what, header, position, expected=f"<= {latest_ms}")
        elif header.at_ms < earliest_ms:
            what = "a batch is of an earlier time than the rule that began its epoch"
            self._refute_time(what, header, position, expected=f">= {earliest_ms}")
        while self._next_quiet < end:
            if self._next_quiet > position:
                what = f"the checkpoint of {self._next_quiet} leaves ends inside of a batch"
                self._findings.refute(place_of_leaf(position), what, leaf=position)
            self._next_quiet = next(self._quiet, self._scope.size)

    def _check_date(self, header: Batch, leaf: int) -> None:
        """Check that a rule is of no time before the batches that it follows; the part's first waits for the joint."""
        lanes = self._report.lanes
        newest = newest_of(track.head for track in self._tracks.values() if track.head)
        rule = DatedRule(header.epoch + 1, leaf, header.at_ms, newest)
        if lanes.first_rule is None:
            lanes.first_rule = rule
        else:
            check_date(rule, (), findings=self._findings)

    def _refute_time(self, what: str, header: Batch, position: int, *, expected: str) -> None:
        place = place_of_leaf(position)
        self._findings.refute(place, what, expected=expected, found=str(header.at_ms), leaf=position)

    def _link(self, header: Batch, position: int) -> None:
        """Let a batch follow its lane's head, or note what it follows if this part does not know."""
        track = self._tracks.setdefault(header.lane, LaneTrack())
        first = FirstBatch(position, header.n, header.previous, header.at_ms)
        if track.head is None:
            track.first = first
        else:
            check_link(header.lane, first, track.head, findings=self._findings)
        leaf_hash = self._source.hashes[position - self._source.first]
        track.head = LaneHead(lane=header.lane, n=header.n, hash=leaf_hash, at_ms=header.at_ms)
        track.head_leaf = position
        track.sealed = False

    def _walk_rule(self, data: bytes, header: Batch, leaf: int) -> None:
        """Fold a rule; its seal must come next. A rule that cannot be folded ends the walk: the state is unknown."""
        try:
            rule = parse_entry(data)
            if not isinstance(rule, Rule):
                raise ProofInvalidError("this is no rule")
            self._entries.check_rule(rule, leaf, at_ms=header.at_ms)
            self._state = fold_rule(self._scope.bundle, self._state, rule, header, leaf=leaf)
        except ProofInvalidError as error:
            self._findings.refute_error(error, leaf=leaf)
            self._stopped = True
            return
        self._entries.move(self._state)
        self._report.tally.counts["rules"] += 1
        if isinstance(rule, LaneRecovered):
            self._close(rule, leaf)
        if self._next_quiet == self._position:
            self._check_quiet(self._position, "a checkpoint")
        source = self._source
        if source.need(self._position + 1):
            following = source.leaves[self._position - source.first]
            seal = parse_entry(following) if following.startswith(SEAL_PREFIX) else None
            if isinstance(seal, Seal) and seal.lane == header.lane:
                self._walk_seal()
                return
        self._findings.refute(place_of_leaf(leaf), "a rule is not directly followed by its seal", leaf=leaf)

    def _close(self, rule: LaneRecovered, leaf: int) -> None:
        track = self._tracks.setdefault(rule.lane, LaneTrack())
        if track.head is None:
            track.closings.append((leaf, rule.n))
        else:
            check_closing(rule.lane, rule.n, track.head, leaf=leaf, findings=self._findings)

    def _walk_seal(self) -> None:
        """Check a seal's signature and that it is of its lane's newest batch; move past it."""
        position = self._position
        self._position += 1
        try:
            seal = parse_entry(self._source.leaves[position - self._source.first])
            if not isinstance(seal, Seal):
                raise ProofInvalidError("this is no seal")
            lane = self._lane_of(seal.lane, self._state.epoch)
            verify_seal(seal, origin=self._scope.origin, key=lane.key)
        except ProofInvalidError as error:
            self._findings.refute_error(error, leaf=position)
            return
        self._report.tally.counts["seals"] += 1
        self._entries.check_bare(position)
        track = self._tracks.setdefault(seal.lane, LaneTrack())
        if track.head is None:
            track.seals.append((position, seal))
        else:
            check_seal(seal, track.head, leaf=position, findings=self._findings)
        track.sealed = True

    def _check_quiet(self, position: int, what: str) -> None:
        """Check that every lane is sealed here (rule 4)."""
        lanes = self._report.lanes
        if not lanes.quiet:
            lanes.quiet = what
            lanes.quiet_lanes = frozenset(
                number for number, track in self._tracks.items() if track.head is not None or track.seals
            )
        for number, track in sorted(self._tracks.items()):
            if track.head is not None and not track.sealed:
                refute_unsealed(number, track.head, what, leaf=track.head_leaf, findings=self._findings)
                track.sealed = True  # said once is enough
        while self._next_quiet <= position and self._next_quiet < self._scope.size:
            self._next_quiet = next(self._quiet, self._scope.size)
