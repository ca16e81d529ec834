"""Lanes across the parts of the ledger: what one part leaves open, the next must take up.

A part of the tree is checked without knowing where the lanes stood before it. It notes what it had to take for
granted (`Assumed`), and the chain of parts is checked here, in order. Nothing stays assumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from ringfence.core.ledger.entry import Seal
from ringfence.core.ledger.lane import LaneHead
from ringfence.verify.bundle import place_of_leaf
from ringfence.verify.checkpoints import CLOCK_SKEW_MS_MAX
from ringfence.verify.verdict import Findings


@dataclass(slots=True)
class LaneTrack:
    """One lane within one part: where it stands, whether that is sealed, and what was taken for granted.

    `head` is None until the part has a batch of the lane. `first` and the seals and closings before it are claims
    about the head that the part began with.
    """

    head: LaneHead | None = None
    sealed: bool = True
    head_leaf: int = 0
    first: FirstBatch | None = None
    seals: list[tuple[int, Seal]] = field(default_factory=list)
    closings: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FirstBatch:
    """The first batch of a lane in a part, as its header says."""

    leaf: int
    n: int
    previous: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class DatedRule:
    """A rule by its number, from 1, its leaf and its time; and of the batches before it that are known, the newest."""

    number: int
    leaf: int
    at_ms: int
    newest: LaneHead | None


@dataclass(slots=True)
class Assumed:
    """What a part has to say about lanes: its tracks, and the lanes known at its first moment of quiet.

    At a rule and at a checkpoint every lane must be sealed. `quiet` names the first such place in the part, or is "",
    and `quiet_lanes` are the lanes that the part itself could answer for. `first_rule` is held against the lanes' times
    in earlier parts; rules after it are of no earlier time than it is.
    """

    tracks: dict[int, LaneTrack] = field(default_factory=dict)
    quiet: str = ""
    quiet_lanes: frozenset[int] = frozenset()
    first_rule: DatedRule | None = None


@dataclass(frozen=True, slots=True)
class _Standing:
    head: LaneHead
    sealed: bool
    leaf: int


class LaneBook:
    """Every lane of the ledger, part after part."""

    __slots__ = ("_findings", "_lanes")

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._lanes: dict[int, _Standing] = {}

    def take(self, part: Assumed) -> None:
        """Check what the next part took for granted, and move on to its end."""
        if part.quiet:
            self._check_quiet(part)
        if part.first_rule:
            check_date(part.first_rule, [standing.head for standing in self._lanes.values()], findings=self._findings)
        for number, track in sorted(part.tracks.items()):
            standing = self._lanes.get(number, _Standing(LaneHead(lane=number), True, 0))
            for leaf, seal in track.seals:
                check_seal(seal, standing.head, leaf=leaf, findings=self._findings)
            for leaf, n in track.closings:
                check_closing(number, n, standing.head, leaf=leaf, findings=self._findings)
            if track.first:
                check_link(number, track.first, standing.head, findings=self._findings)
            head = track.head or standing.head
            sealed = track.sealed if track.head or track.seals else standing.sealed
            self._lanes[number] = _Standing(head, sealed, track.head_leaf if track.head else standing.leaf)

    def close(self) -> None:
        """End the ledger: everything that is published is sealed."""
        for number, standing in sorted(self._lanes.items()):
            if not standing.sealed:
                refute_unsealed(
                    number, standing.head, "the end of the tree", leaf=standing.leaf, findings=self._findings
                )

    def __len__(self) -> int:
        return len(self._lanes)

    def _check_quiet(self, part: Assumed) -> None:
        for number, standing in sorted(self._lanes.items()):
            if not standing.sealed and number not in part.quiet_lanes:
                refute_unsealed(number, standing.head, part.quiet, leaf=standing.leaf, findings=self._findings)
                self._lanes[number] = _Standing(standing.head, True, standing.leaf)  # said once is enough


def check_link(lane: int, batch: FirstBatch, head: LaneHead, *, findings: Findings) -> None:
    """Refute a batch that does not follow the lane's head: gap, broken chain, time going back."""
    place = place_of_leaf(batch.leaf)
    if batch.n != head.n + 1:
        expected, found = f"batch {head.n + 1}", f"batch {batch.n}"
        findings.refute(place, f"lane {lane} has a gap", expected=expected, found=found, leaf=batch.leaf)
        return
    if batch.previous != head.hash:
        findings.refute(
            place,
            f"batch {batch.n} of lane {lane} does not follow the batch before it",
            expected=head.hash.hex(),
            found=batch.previous.hex(),
            leaf=batch.leaf,
        )
    if batch.at_ms < head.at_ms:
        expected, found = f">= {head.at_ms}", str(batch.at_ms)
        findings.refute(place, f"time goes back in lane {lane}", expected=expected, found=found, leaf=batch.leaf)


def check_seal(seal: Seal, head: LaneHead, *, leaf: int, findings: Findings) -> None:
    """Refute a seal of anything but the lane's newest batch in the tree."""
    if (seal.n, seal.head, seal.at_ms) != (head.n, head.hash, head.at_ms) or head.n == 0:
        findings.refute(
            place_of_leaf(leaf),
            f"a seal of lane {seal.lane} is not of the lane's newest batch",
            expected=f"batch {head.n}, {head.hash.hex()}",
            found=f"batch {seal.n}, {seal.head.hex()}",
            leaf=leaf,
        )


def newest_of(heads: Iterable[LaneHead]) -> LaneHead | None:
    """Give the head of the latest time; None when there is none."""
    return max(heads, key=attrgetter("at_ms"), default=None)


def check_date(rule: DatedRule, heads: Iterable[LaneHead], *, findings: Findings) -> None:
    """Refute a rule of an earlier time than a batch before it, by more than two clocks may be apart.

    `heads` are those of the lanes in earlier parts, which `rule.newest` does not know of.
    """
    newest = newest_of([*heads, *([rule.newest] if rule.newest else [])])
    if newest is not None and rule.at_ms < newest.at_ms - CLOCK_SKEW_MS_MAX:
        findings.refute(
            place_of_leaf(rule.leaf),
            f"rule {rule.number} is of an earlier time than batch {newest.n} of lane {newest.lane}, before it",
            expected=f">= {newest.at_ms - CLOCK_SKEW_MS_MAX}",
            found=str(rule.at_ms),
            leaf=rule.leaf,
        )


def check_closing(lane: int, n: int, head: LaneHead, *, leaf: int, findings: Findings) -> None:
    """Refute a rule that closes a lane at another batch than its last."""
    if n != head.n:
        findings.refute(
            place_of_leaf(leaf),
            f"lane {lane} is closed after another batch than its last",
            expected=f"batch {head.n}",
            found=f"batch {n}",
            leaf=leaf,
        )


def refute_unsealed(lane: int, head: LaneHead, before: str, *, leaf: int, findings: Findings) -> None:
    """Refute a batch that no seal covers in time."""
    what = f"batch {head.n} of lane {lane} is not sealed before {before}"
    findings.refute(place_of_leaf(leaf), what, leaf=leaf)
