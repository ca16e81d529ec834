"""Why one entry of a ledger says what it says, in sentences, from a bundle alone.

Rules of this file:
1. It explains what the ledger says, and proves nothing: `verify` does. A ledger whose rules cannot be folded up to the
   entry is not explained.
2. Everything is told as of the entry: names, duties, grants and reasons of its own moment. What an agreement came to
   is told as of the entry that carried it.
3. What an opening would tell and is not there is said to be withheld, never left out in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.entry import RULE_TYPES, About, AnyLeaf, Batch, parse_about, parse_entry
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.tiles import TILE_WIDTH
from ringfence.core.state import EMPTY, State
from ringfence.reports.agreeing import Trail
from ringfence.reports.history import open_evidence
from ringfence.verify.bundle import Bundle, entries_tile, place_of_leaf
from ringfence.verify.openings import Openings, verify_opening
from ringfence.verify.rules import FoldedRule, find_rule_leaves, fold_rules


@dataclass(frozen=True, slots=True)
class Explained:
    """An entry with all that it rests on.

    Attributes:
        leaf: its place.
        entry: what it says.
        header: of its batch; None for a header or a seal.
        state: that it was decided on; for a rule, that before it.
        folded: the rule with what it changed; None for any other entry.
        about: what it is about; None where that is withheld or there is nothing to tell.
        trail: how what was agreed to up to the entry came about.
        detail: whether the bundle has openings.
    """

    leaf: int
    entry: AnyLeaf
    header: Batch | None
    state: State
    folded: FoldedRule | None
    about: About | None
    trail: Trail
    detail: bool


def find_entry(
    directory: Path, *, leaf: int | None = None, rule: int | None = None, entry_hash: bytes = b""
) -> Explained:
    """Read one entry of a bundle, by its leaf, by its number among the rules or by its hash, with what it rests on.

    Raises:
        InvalidInputError: there is no such entry, or a file cannot be read.
        ProofInvalidError: the rules before it cannot be folded, or it is no entry.
    """
    evidence = open_evidence(directory)
    bundle, size, detail = evidence.bundle, evidence.size, evidence.detail
    if rule is not None:
        leaf = _find_rule(bundle, rule, size=size)
    elif leaf is None:
        leaf = _find_hash(bundle, entry_hash, size=size)
    if not 0 <= leaf < size:
        raise InvalidInputError(f"there is no leaf {leaf}: the tree has {size}", place="entry")
    entry = parse_entry(_leaf(bundle, leaf, size=size), place=place_of_leaf(leaf))
    trail, state = Trail(), EMPTY
    folded = None
    for item in fold_rules(bundle, size=size, until=leaf, detail=detail):
        trail.follow(item)
        state = item.before if item.leaf == leaf else item.after
        folded = item if item.leaf == leaf else None
    if isinstance(entry, RULE_TYPES) and folded is None:
        raise ProofInvalidError("the rule cannot be folded", place=place_of_leaf(leaf))
    header = _header(bundle, leaf, size=size)
    if header is not None and header.epoch != state.epoch:
        raise ProofInvalidError(
            f"the entry says that it was decided in epoch {header.epoch}, and stands in epoch {state.epoch}",
            place=place_of_leaf(leaf),
        )
    about = _about(bundle, entry, leaf, size=size) if detail else None
    return Explained(leaf, entry, header, state, folded, about, trail, detail)


def _leaf(bundle: Bundle, leaf: int, *, size: int) -> bytes:
    index, number = divmod(leaf, TILE_WIDTH)
    return bundle.read_leaves(entries_tile(index, size=size))[number]


def _find_rule(bundle: Bundle, number: int, *, size: int) -> int:
    """Give where a rule stands: the first one is number 1, and each is one epoch."""
    count = 0
    for count, (leaf, _, _) in enumerate(find_rule_leaves(bundle, size=size), start=1):
        if count == number:
            return leaf
    raise InvalidInputError(
        f"there is no rule {number}: the bundle has {count}",
        place="entry",
        hint="export the ledger again: it may be newer",
    )


def _find_hash(bundle: Bundle, entry_hash: bytes, *, size: int) -> int:
    for index in range(-(-size // TILE_WIDTH)):
        for number, data in enumerate(bundle.read_leaves(entries_tile(index, size=size))):
            if hash_leaf(data) == entry_hash:
                return index * TILE_WIDTH + number
    raise InvalidInputError(
        "no entry of this bundle has the receipt's hash", place="entry", hint="export the ledger again: it may be newer"
    )


def _header(bundle: Bundle, leaf: int, *, size: int) -> Batch | None:
    """Give the header of the batch that an entry belongs to: the nearest one before it, in this tile or the last."""
    for index in range(leaf // TILE_WIDTH, max(leaf // TILE_WIDTH - 2, -1), -1):
        leaves = bundle.read_leaves(entries_tile(index, size=size))
        for before in range(min(leaf, index * TILE_WIDTH + len(leaves)) - 1, index * TILE_WIDTH - 1, -1):
            header = parse_entry(leaves[before - index * TILE_WIDTH], place=place_of_leaf(before))
            if isinstance(header, Batch):
                return header if before + header.count >= leaf else None
    return None


def _about(bundle: Bundle, entry: AnyLeaf, leaf: int, *, size: int) -> About | None:
    opening = Openings(bundle, size=size).of(leaf)
    if not opening or not hasattr(entry, "about"):
        return None
    verify_opening(entry, opening)
    return parse_about(opening, place=place_of_leaf(leaf))
