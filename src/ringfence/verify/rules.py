"""The rules of the whole ledger, folded in order before anything is decided again.

Rules of this file:
1. Rule leaves are found by their first bytes, which no other leaf can have; each stands right after its batch header
   and right before its seal.
2. The fold gives the state that each part of the ledger starts from, the subjects that were erased, and the charters
   that the bundle must hold, each by its digest, and no other.
3. When a rule cannot be folded, nothing after it can be decided again: that part of the ledger is only hashed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ringfence.core.errors import ProofInvalidError
from ringfence.core.folding import RuleSource, fold
from ringfence.core.ledger.entry import (
    RULE_PREFIX,
    RULE_TYPES,
    Batch,
    LaneRecovered,
    Rule,
    SubjectErased,
    parse_about,
    parse_entry,
    public_file,
)
from ringfence.core.ledger.governed_entry import Carried, PeopleRecorded
from ringfence.core.ledger.tiles import TILE_WIDTH
from ringfence.core.state import EMPTY, State
from ringfence.verify.bundle import Bundle, entries_tile, place_of_leaf
from ringfence.verify.openings import Openings, verify_opening
from ringfence.verify.revocations import Revocation, revocation_of
from ringfence.verify.verdict import Findings, Recovery

TILES_PER_PART: Final = 32
LEAVES_PER_PART: Final = TILES_PER_PART * TILE_WIDTH
RECOVERIES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class PartStart:
    """Where the walk through one part of the ledger begins, and the state there; None where no state is known.

    `leaf` is the first that the part may begin at: a rule's leaves belong to the part that its header is in.
    """

    leaf: int
    state: State | None


@dataclass(slots=True)
class RuleBook:
    """What the rules come to.

    Attributes:
        starts: one for each part of `LEAVES_PER_PART` leaves.
        state: the state at the end, or the last one that could be folded.
        erased: subject to the epoch from which it may not be listed; only those whose opening is there.
        recovered: lanes that the custodian went on without.
        blobs: digests of the charters that were enacted or proposed.
        facts: commitments of the facts about people that were recorded.
        revocations: orders that took authority away, with how long each took.
        uncounted: changes whose count of a coalition is believed, for facts about people are withheld.
    """

    starts: list[PartStart] = field(default_factory=list)
    state: State = EMPTY
    erased: dict[bytes, int] = field(default_factory=dict)
    recovered: list[Recovery] = field(default_factory=list)
    blobs: set[bytes] = field(default_factory=set)
    facts: set[bytes] = field(default_factory=set)
    revocations: list[Revocation] = field(default_factory=list)
    uncounted: int = 0


def read_rules(bundle: Bundle, *, size: int, detail: bool, findings: Findings) -> RuleBook:
    """Fold every rule of the tree."""
    book = RuleBook()
    openings = Openings(bundle, size=size) if detail else None
    broken = False
    rule_leaf = -2
    try:
        for leaf, data, header in find_rule_leaves(bundle, size=size):
            _start_parts(book, until=leaf, size=size, rule_leaf=rule_leaf)
            rule_leaf = leaf
            _take(book, bundle, data, header, leaf=leaf, openings=openings, findings=findings)
    except ProofInvalidError as error:
        broken = True
        findings.refute_error(error, leaf=max(rule_leaf, 0))
    _start_parts(book, until=size, size=size, rule_leaf=rule_leaf, broken=broken)
    return book


@dataclass(frozen=True, slots=True)
class FoldedRule:
    """One rule with what it changed.

    Attributes:
        leaf: where it stands.
        batch: the header of its batch.
        opening: what its commitment opens to; b"" where that is withheld or there is none.
        before, after: the state on both sides of it.
    """

    leaf: int
    rule: Rule
    batch: Batch
    opening: bytes
    before: State
    after: State


def fold_rules(bundle: Bundle, *, size: int, until: int, detail: bool) -> Iterator[FoldedRule]:
    """Fold the rules that stand at or before leaf `until`, one after the other.

    Raises:
        ProofInvalidError: one cannot be folded: what follows cannot be explained.
    """
    openings = Openings(bundle, size=size) if detail else None
    book, findings = RuleBook(), Findings()
    for leaf, data, header in find_rule_leaves(bundle, size=size):
        if leaf > until:
            return
        before = book.state
        _take(book, bundle, data, header, leaf=leaf, openings=openings, findings=findings)
        rule, batch = parse_entry(data), parse_entry(header)
        if isinstance(rule, RULE_TYPES) and isinstance(batch, Batch):
            yield FoldedRule(leaf, rule, batch, openings.of(leaf) if openings else b"", before, book.state)


def fold_rule(
    bundle: Bundle, state: State, rule: Rule, batch: Batch, *, leaf: int, opening: bytes | None = None
) -> State:
    """Fold one rule of a batch, the file that it names read from the bundle.

    Facts about people are read where the rule's openings are: `opening` is not None.

    Raises:
        ProofInvalidError: the state does not allow it, or the charter is missing.
    """
    digest = public_file(rule)
    file = bundle.read_blob(digest) if digest else None
    if isinstance(rule, PeopleRecorded) and opening is not None:
        file = bundle.read_facts(rule.facts)
    source = RuleSource(
        lane=batch.lane,
        at_ms=batch.at_ms,
        opening=opening or None,
        blob=file,
        place=place_of_leaf(leaf),
    )
    return fold(state, rule, source)


def find_rule_leaves(bundle: Bundle, *, size: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Give (leaf, rule, the leaf before it) for each rule, in order; both as bytes, not yet read.

    Raises:
        InvalidInputError: a tile cannot be read.
    """
    before_file: list[bytes] = []
    for index in range(-(-size // TILE_WIDTH)):
        tile = entries_tile(index, size=size)
        if RULE_PREFIX not in bundle.read_entries(tile):
            before_file = []
            continue
        leaves = bundle.read_leaves(tile)
        for number, data in enumerate(leaves):
            if not data.startswith(RULE_PREFIX):
                continue
            if number == 0 and index and not before_file:
                before_file = bundle.read_leaves(entries_tile(index - 1, size=size))
            before = leaves[number - 1] if number else (before_file[-1] if before_file else b"")
            yield index * TILE_WIDTH + number, data, before
        before_file = leaves


def _start_parts(book: RuleBook, *, until: int, size: int, rule_leaf: int, broken: bool = False) -> None:
    """Note the state for every part that starts at or before leaf `until` - 1, after the rule at `rule_leaf`."""
    while (first := len(book.starts) * LEAVES_PER_PART) < min(until, size):
        inside_rule = rule_leaf - 1 < first <= rule_leaf + 1
        book.starts.append(PartStart(rule_leaf + 2 if inside_rule else first, None if broken else book.state))


def _take(
    book: RuleBook,
    bundle: Bundle,
    data: bytes,
    header: bytes,
    *,
    leaf: int,
    openings: Openings | None,
    findings: Findings,
) -> None:
    place = place_of_leaf(leaf)
    rule = parse_entry(data, place=place)
    batch = parse_entry(header, place=place_of_leaf(leaf - 1)) if header else None
    if not isinstance(rule, RULE_TYPES) or not isinstance(batch, Batch):
        raise ProofInvalidError("a rule does not stand alone in its batch", place=place)
    opening = openings.of(leaf) if openings else b""
    if opening:
        _verify_opening(rule, opening, place=place)
    if digest := public_file(rule):
        book.blobs.add(digest)
    if isinstance(rule, LaneRecovered) and len(book.recovered) < RECOVERIES_MAX:
        book.recovered.append(Recovery(leaf, rule.lane, rule.n, rule.reason))
    if isinstance(rule, PeopleRecorded):
        book.facts.add(rule.facts)
    unproven = book.state.withheld
    book.state = fold_rule(bundle, book.state, rule, batch, leaf=leaf, opening=opening if openings else None)
    if isinstance(rule, Carried) and rule.proof and book.state.governed.register is None:
        book.uncounted += 1
    if openings and book.state.withheld > unproven:
        findings.refute(
            place, "the bundle has openings, and what this change of the rules rests on is not among them", leaf=leaf
        )
    if revocation := revocation_of(rule, batch, leaf=leaf, opening=opening, place=place):
        book.revocations.append(revocation)
    if opening and isinstance(rule, SubjectErased):
        subjects = parse_about(opening, place=place).subjects
        if not subjects:
            raise ProofInvalidError("an erasure's opening names no subject", place=place)
        for subject in subjects:
            if book.erased.setdefault(subject, book.state.epoch) != book.state.epoch:
                findings.refute(place, "a subject is erased that was erased before", found=subject.hex(), leaf=leaf)


def _verify_opening(rule: Rule, opening: bytes, *, place: str) -> None:
    try:
        verify_opening(rule, opening)
    except ProofInvalidError as error:
        raise ProofInvalidError(error.message, place=place, expected=error.expected, found=error.found) from None
