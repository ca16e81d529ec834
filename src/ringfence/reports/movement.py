"""How the smallest coalition moved from a checkpoint on, and which rule moved it.

Rules of this file:
1. A number is how few people must join for a goal that a charter's `coalition.min` is about, counted one by one. It is
   a bound from below: whoever wants to know what so many would do asks the prover. Where so many were not found, for
   the counting ended there or there were too many choices, it is told as "at least", and calls nothing short.
2. Before a rule and after it is counted at the rule's own time. What differs from the last count already before it was
   moved by nothing but time: an authority, or a tie that still counted, came to its end.
3. Worlds with one digest have one count, so that a rule that changes nobody's power costs nothing.
4. It says what the ledger says. The checkpoint is held against the tree's tiles; the leaves are `verify`'s to check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ringfence.core.coalition.closure import build_model
from ringfence.core.coalition.floor import COUNTED_MAX, Nearest, find_nearest
from ringfence.core.coalition.gate import digest_world
from ringfence.core.coalition.rules import FLOORED
from ringfence.core.coalition.world import is_seen_alike, see_world, seen_in
from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.state import EMPTY, State
from ringfence.reports.agreeing import Trail
from ringfence.reports.history import Evidence, without_openings
from ringfence.reports.sentences import summarise
from ringfence.verify.checkpoints import open_earlier, open_newest
from ringfence.verify.rules import fold_rules
from ringfence.verify.tree import check_roots
from ringfence.verify.verdict import Findings


class Number(NamedTuple):
    """How few must join for a goal.

    Attributes:
        people: no fewer are enough; at most `COUNTED_MAX` and one, beyond which is not counted.
        is_found: whether so many are enough, by the rules that only add; else more may be needed.
    """

    people: int
    is_found: bool

    def is_short(self, minimum: int) -> bool:
        """Tell whether fewer are known to be enough than a charter asks for."""
        return self.is_found and self.people < minimum


Fewest = Mapping[str, Number]
"""How few must join, by goal."""

TIME: Final = "No rule did: with time an authority came to its end, or a tie that still counted."


class Kept(NamedTuple):
    """A checkpoint that the reader kept: how many leaves it covers, and when it was signed, in whole seconds."""

    size: int
    signed_at_ms: int


class Move(NamedTuple):
    """A rule that moved numbers.

    Attributes:
        epoch: that the rule began; that of the last rule where time alone moved it.
        leaf: where the rule stands; None where time alone moved it.
        at_ms: when it was found moved.
        words: the rule, in one line.
        goals: from which number to which, as in `Fewest`, for each goal that moved.
    """

    epoch: int
    leaf: int | None
    at_ms: int
    words: str
    goals: Mapping[str, tuple[Number, Number]]


class Point(NamedTuple):
    """Where the numbers stood at a moment, and how many the charter asked for; 0 for none."""

    epoch: int
    at_ms: int
    fewest: Fewest
    minimum: int


@dataclass(frozen=True, slots=True)
class Movement:
    """How the numbers moved between two checkpoints, in order."""

    first: Point
    moves: tuple[Move, ...]
    last: Point


def open_kept(evidence: Evidence, note: bytes) -> Kept:
    """Open a checkpoint that the reader kept, and check that the bundle's tree has grown from it.

    Raises:
        InvalidInputError: it is no checkpoint.
        ProofInvalidError: it is another ledger's or another key's, the bundle is older, or its tree is no growth of it.
    """
    findings = Findings()
    notes = open_newest(evidence.bundle, None)
    notes = open_earlier(evidence.bundle, notes, None, sizes=(), since=note, findings=findings)
    if not findings:
        check_roots(evidence.bundle, notes, findings)
    for refuted in findings.in_order():
        raise ProofInvalidError(refuted.what, place=refuted.place, expected=refuted.expected, found=refuted.found)
    signed = notes.earlier[0].signed
    return Kept(signed.checkpoint.size, signed.time_seconds * 1000)


def follow_coalitions(
    evidence: Evidence,
    kept: Kept,
    *,
    parties: Sequence[str] | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Movement:
    """Count after every rule since a checkpoint.

    Args:
        evidence: a bundle with its openings, of a governed ledger.
        kept: from `open_kept`.
        parties: those that collude; the excluded ones when it is None.
        tell: is told how many leaves were read, and how many there are.

    Raises:
        InvalidInputError: the bundle has no openings, or no charter was in force yet at the checkpoint.
        ProofInvalidError: the ledger is not governed, a rule cannot be folded, or there is no such party.
    """
    if not evidence.detail:
        raise without_openings()
    counting, trail, moves = _Counting(parties), Trail(), list[Move]()
    first: Point | None = None
    state = EMPTY
    for folded in fold_rules(evidence.bundle, size=evidence.size, until=evidence.size, detail=True):
        tell(folded.leaf, evidence.size)
        trail.follow(folded)
        state, at_ms = folded.after, folded.batch.at_ms
        if folded.leaf < kept.size:
            continue
        if first is None:
            first = counting.begin(folded.before, kept.signed_at_ms)
        if not is_seen_alike(seen_in(folded.before), seen_in(state)):
            moves += counting.move(folded.before, at_ms, TIME, leaf=None)
            moves += counting.move(state, at_ms, summarise(folded, trail), leaf=folded.leaf)
    first = first or counting.begin(state, kept.signed_at_ms)
    at_ms = max(evidence.signed_at_ms, state.ruled_ms)
    moves += counting.move(state, at_ms, TIME, leaf=None)
    tell(evidence.size, evidence.size)
    return Movement(first, tuple(moves), counting.point(state, at_ms))


class _Counting:
    """Counts each world once, and knows the last numbers."""

    def __init__(self, parties: Sequence[str] | None) -> None:
        self._parties = parties
        self._known: dict[bytes, Fewest] = {}
        self._last: Fewest = {}

    def begin(self, state: State, at_ms: int) -> Point:
        if state.charter is None:
            raise InvalidInputError("no charter was in force yet at the checkpoint", place="--since")
        at_ms = max(at_ms, state.ruled_ms)
        self._last = self._count(state, at_ms)
        return self.point(state, at_ms)

    def point(self, state: State, at_ms: int) -> Point:
        return Point(state.epoch, at_ms, self._last, state.governance.coalition_min)

    def move(self, state: State, at_ms: int, words: str, *, leaf: int | None) -> Iterator[Move]:
        """Count, and give what moved since the last count, if anything did."""
        before, self._last = self._last, self._count(state, at_ms)
        goals = {goal: (before[goal], number) for goal, number in self._last.items() if number != before[goal]}
        if goals:
            yield Move(state.epoch, leaf, at_ms, words, goals)

    def _count(self, state: State, at_ms: int) -> Fewest:
        world = see_world(state, at_ms=at_ms, parties=self._parties)
        digest = digest_world(world)
        if digest not in self._known:
            model = build_model(world)
            self._known[digest] = {goal: _number(find_nearest(model, [goal], most=COUNTED_MAX)) for goal in FLOORED}
        return self._known[digest]


def _number(found: Nearest | None) -> Number:
    return Number(COUNTED_MAX + 1, is_found=False) if found is None else Number(found.people, bool(found.goal))
