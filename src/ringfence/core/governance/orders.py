"""Orders: what one person's signed statement does at once.

Rules of this file:
1. Whoever orders is a member with authority and holds a duty that the charter names for just this order.
2. An order takes authority away. The one exception is break-glass: it gives its own author a short grant that must be
   reviewed afterwards. While one of the author's waits for its review, or anybody's is overdue, there is no next one.
"""

from __future__ import annotations

from dataclasses import replace

from ringfence.core import changes as c
from ringfence.core.charter.governance import Operation
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.conditions import why_not_grant, why_not_taken
from ringfence.core.governance.effects import give_grant, take
from ringfence.core.governance.signing import read_statement, require_signer, use_statement, verify_by_key
from ringfence.core.governance.statement import ORDER
from ringfence.core.ledger.governed_entry import Ordered, Signed
from ringfence.core.people.standing import Proposal
from ringfence.core.state import State


def order(state: State, rule: Ordered, signed: Signed | None, *, at_ms: int, place: str) -> State:
    """Give the state after an order.

    Raises:
        ProofInvalidError: this person may not order this, or it has nothing to take.
    """
    standing = state.governed
    operation = c.operation_of(rule.change)
    member = require_signer(standing, by=rule.by, key=rule.key, at_ms=at_ms, place=place)
    may = state.governance.orders.get(operation, ())
    if member.duties.keys().isdisjoint(may):
        raise ProofInvalidError(
            f"person {rule.by} orders {operation} and holds no duty that may",
            place=place,
            expected=" or ".join(may) or "nobody may",
            found=", ".join(sorted(member.duties)) or "no duty",
        )
    subjects = None
    if signed is not None:
        statement = read_statement(
            state, signed, namespace=ORDER, by=rule.by, change=rule.change, at_ms=at_ms, place=place
        )
        verify_by_key(standing, signed, signed.statement, key=rule.key, namespace=ORDER, place=place)
        standing = use_statement(state, standing, signed.statement, place=place)
        subjects = frozenset(statement.subjects)
    standing = replace(standing, withheld=standing.withheld + (signed is None))
    noted = replace(state, standing=standing)
    if isinstance(rule.change, c.Grant):
        following, number = break_glass(noted, rule.change, by=rule.by, subjects=subjects, at_ms=at_ms, place=place)
    else:
        if reason := why_not_taken(noted, rule.change, at_ms=at_ms):
            raise ProofInvalidError(f"{operation} has nothing to take: {reason}", place=place)
        following, number = take(noted, rule.change, by=rule.by, at_ms=at_ms)
    if number != rule.number:
        raise ProofInvalidError(
            "an order made something with another number", place=place, expected=str(number), found=str(rule.number)
        )
    return following


def break_glass(
    state: State, change: c.Grant, *, by: int, subjects: frozenset[bytes] | None, at_ms: int, place: str
) -> tuple[State, int]:
    """Give the state after a person gave a break-glass grant alone, and the grant's number.

    Raises:
        ProofInvalidError: it is for somebody else, an earlier one waits for its review, or it goes too far.
    """
    if change.kind != c.BREAK_GLASS or change.person != by:
        raise ProofInvalidError("only break-glass is given by one person, and to that person alone", place=place)
    unreviewed = [given for given in state.governed.grants.values() if given.review_until_ms and not given.reviewed]
    if own := [given.number for given in unreviewed if given.grant.person == by]:
        raise ProofInvalidError(f"grant {own[0]} of {by} was not reviewed yet: no break-glass before that", place=place)
    if overdue := [given.number for given in unreviewed if at_ms >= given.review_until_ms]:
        raise ProofInvalidError(
            f"the review of break-glass grant {overdue[0]} is overdue: no break-glass before that", place=place
        )
    proposal = Proposal(
        number=0,
        by=by,
        change=change,
        operation=Operation(name=c.BREAK_GLASS, propose=(), alternatives=()),
        at_ms=at_ms,
        epoch=state.epoch + 1,
        expires_ms=at_ms,
        subjects=subjects,
    )
    if reason := why_not_grant(state, proposal, change, at_ms=at_ms):
        raise ProofInvalidError(f"break-glass is not possible: {reason}", place=place)
    return give_grant(state, proposal, change, at_ms=at_ms)
