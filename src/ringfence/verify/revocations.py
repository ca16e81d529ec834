"""How long each revocation took: from the time in the signed statement to that of the entry that puts it in effect.

Rules of this file:
1. A revocation is an order that takes authority away: every order but break-glass.
2. It begins when its author's program wrote the statement that was signed, by the author's clock, and ends when the
   authority's lane began the transaction that commits the entry, by that lane's clock. How long the commit itself took
   is in no entry. Both times are under a signature and neither is anything that a third party measured.
3. The time in a statement is in its opening. Without openings it is withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringfence.core.changes import Grant, operation_of
from ringfence.core.governance.statement import parse_statement
from ringfence.core.ledger.entry import Batch, Rule, parse_signed
from ringfence.core.ledger.governed_entry import Ordered

PERCENTILE: Final = 99


@dataclass(frozen=True, slots=True)
class Revocation:
    """An order that took authority away, at `leaf`.

    Attributes:
        change: the charter's word for what was ordered.
        by: the number of who ordered it.
        committed_at_ms: the time of the entry's batch, milliseconds since 1970 UTC, by the authority's lane.
        signed_at_ms: the time in the signed statement, by its author; None where the opening is not there.
        took_ms: from the one to the other; negative when the author's clock is ahead.
    """

    leaf: int
    change: str
    by: int
    committed_at_ms: int
    signed_at_ms: int | None
    took_ms: int | None


def revocation_of(rule: Rule, batch: Batch, *, leaf: int, opening: bytes, place: str) -> Revocation | None:
    """Give what a rule that was folded took away; None when it is no revocation.

    Args:
        opening: the rule's opening, held against it before; b"" where it is withheld.
    """
    if not isinstance(rule, Ordered) or isinstance(rule.change, Grant):
        return None
    signed_at_ms = parse_statement(parse_signed(opening, place=place).statement).at_ms if opening else None
    took_ms = None if signed_at_ms is None else batch.at_ms - signed_at_ms
    return Revocation(leaf, operation_of(rule.change), rule.by, batch.at_ms, signed_at_ms, took_ms)


def percentile_ms(revocations: Sequence[Revocation]) -> int | None:
    """Give the 99th percentile (nearest rank) of those whose time is known; None when it is of none."""
    known = sorted(item.took_ms for item in revocations if item.took_ms is not None)
    return known[-(-len(known) * PERCENTILE // 100) - 1] if known else None
