"""Outcomes: each names an access of its lane that was given, and no access has two.

Rules of this file:
1. An outcome in a part of the ledger is mostly about an access of the same part, and is held against it there. The
   others are handed on, with where each lane's batches are, and looked up at the end: no part is read more than once
   again, whatever the outcomes name.
2. Whether an access has two outcomes is seen over the whole ledger, for the first `OUTCOMES_MAX` of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ringfence.core.decisions.ruling import is_given
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import Access, Batch, Outcome, parse_entry
from ringfence.core.ledger.tiles import TILE_WIDTH
from ringfence.verify.bundle import Bundle, entries_tile, place_of_leaf
from ringfence.verify.verdict import Findings, Tally

OUTCOMES_MAX: Final = 200_000
TOO_MANY: Final = f"outcomes after the first {OUTCOMES_MAX:,}: which access each is about"
BATCH_PREFIX: Final = b'{"kind":"batch"'


class Named(NamedTuple):
    """An access that an outcome names, the outcome's leaf, and whether the access was found already."""

    lane: int
    n: int
    position: int
    leaf: int
    is_found: bool


@dataclass(slots=True)
class Outcomes:
    """What a part has to say about outcomes; `batches` are the first and last batch of each lane in it."""

    named: list[Named] = field(default_factory=list)
    batches: dict[int, tuple[int, int]] = field(default_factory=dict)


class OutcomeBook:
    """The outcomes of one part."""

    __slots__ = ("_batches", "_findings", "_outcomes")

    def __init__(self, outcomes: Outcomes, findings: Findings) -> None:
        self._outcomes = outcomes
        self._findings = findings
        self._batches: dict[tuple[int, int], Sequence[bytes]] = {}

    def take_batch(self, header: Batch, entries: Sequence[bytes], *, first: int) -> None:
        """Note a batch: outcomes may name its entries from now on."""
        self._batches[header.lane, header.n] = entries
        begun = self._outcomes.batches.get(header.lane)
        self._outcomes.batches[header.lane] = (begun[0] if begun else header.n, header.n)

    def take(self, outcome: Outcome, *, lane: int, leaf: int) -> None:
        """Take an outcome.

        Raises:
            ProofInvalidError: it names no access of the part that was given.
        """
        entries = self._batches.get((lane, outcome.n))
        named = Named(lane, outcome.n, outcome.position, leaf, entries is not None)
        if entries is not None:
            _check_given(entries, named)
        self._outcomes.named.append(named)


class OutcomeLedger:
    """The outcomes of the whole ledger, part after part."""

    __slots__ = ("_bundle", "_findings", "_last", "_parts", "_seen", "_size", "_starts", "_tally", "_waiting")

    def __init__(self, bundle: Bundle, *, size: int, tally: Tally, findings: Findings) -> None:
        self._bundle = bundle
        self._size = size
        self._tally = tally
        self._findings = findings
        self._seen: set[tuple[int, int, int]] = set()
        self._waiting: list[Named] = []
        self._starts: list[tuple[int, int]] = []
        self._last: dict[int, list[int]] = {}
        self._parts: dict[int, list[int]] = {}

    def take(self, part: Outcomes, *, start: int, end: int) -> None:
        """Take the next part, whose batches begin at leaf `start` and end before `end`."""
        for lane, (_, last) in part.batches.items():
            self._last.setdefault(lane, []).append(last)
            self._parts.setdefault(lane, []).append(len(self._starts))
        self._starts.append((start, end))
        for named in part.named:
            if len(self._seen) >= OUTCOMES_MAX:
                self._tally.withheld[TOO_MANY] += 1
                continue
            if named[:3] in self._seen:
                self._refute(named, "an access has two outcomes")
            self._seen.add(named[:3])
            if not named.is_found:
                self._waiting.append(named)

    def close(self) -> None:
        """Look up what was named across parts.

        Raises:
            ProofInvalidError: a file of the bundle cannot be read.
        """
        wanted: dict[int, dict[tuple[int, int], list[Named]]] = {}
        for named in self._waiting:
            last = self._last.get(named.lane, [])
            at = bisect_left(last, named.n)
            if at == len(last):
                self._refute(named, "an outcome names no earlier access of its lane")
            else:
                part = self._parts[named.lane][at]
                wanted.setdefault(part, {}).setdefault((named.lane, named.n), []).append(named)
        for part, batches in sorted(wanted.items()):
            self._look_up(batches, *self._starts[part])

    def _look_up(self, batches: dict[tuple[int, int], list[Named]], start: int, end: int) -> None:
        """Hold outcomes against the batches of one part, which is read once more."""
        leaves = self._leaves(start, end)
        for leaf in leaves:
            if not leaf.startswith(BATCH_PREFIX):
                continue
            header = parse_entry(leaf)
            found = batches.pop((header.lane, header.n), None) if isinstance(header, Batch) else None
            if found is None or not isinstance(header, Batch):
                continue
            entries = [entry for _, entry in zip(range(header.count), leaves, strict=False)]
            for named in found:
                try:
                    _check_given(entries, named)
                except ProofInvalidError as error:
                    self._findings.refute_error(error, leaf=named.leaf)
        for found in batches.values():
            for named in found:
                self._refute(named, "an outcome names no earlier access of its lane")

    def _leaves(self, start: int, end: int) -> Iterator[bytes]:
        for index in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
            leaves = self._bundle.read_leaves(entries_tile(index, size=self._size))
            first = index * TILE_WIDTH
            yield from leaves[max(start - first, 0) : max(end - first, 0)]

    def _refute(self, named: Named, what: str) -> None:
        found = f"batch {named.n}, entry {named.position}"
        self._findings.refute(place_of_leaf(named.leaf), what, found=found, leaf=named.leaf)


def _check_given(entries: Sequence[bytes], named: Named) -> None:
    """Check that an outcome is about an access of this batch, and that it was given.

    Raises:
        ProofInvalidError: it is not.
    """
    place = f"batch {named.n}, entry {named.position}"
    entry = parse_entry(entries[named.position]) if named.position < len(entries) else None
    if not isinstance(entry, Access):
        raise ProofInvalidError("an outcome names no earlier access of its lane", found=place)
    if not is_given(entry):
        raise ProofInvalidError("an outcome names an access that was refused anyway", found=place)
