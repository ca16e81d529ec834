"""Who may sign what: the checks that every proposal, approval, refusal and order passes.

Rules of this file:
1. A signer is a member with authority at the entry's time, and the key is the signer's own and not revoked.
2. A signature is over the exact bytes of the statement, in the namespace of what the signer does with it.
3. A statement names this ledger and its genesis, speaks for its author, has not expired, and is used once, for ever.
4. Where the opening is withheld, what needs it is counted as withheld and not as passed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ringfence.core.changes import AnyChange
from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.governance.statement import Statement, check_namespace, digest_statement, parse_statement
from ringfence.core.ledger.governed_entry import Signed
from ringfence.core.people.signatures import verify_signature
from ringfence.core.people.standing import Member, Standing
from ringfence.core.state import State
from ringfence.core.times import show_time

CLOCK_SKEW_MS_MAX: Final = 5 * 60_000


def require_signer(standing: Standing, *, by: int, key: int, at_ms: int, place: str) -> Member:
    """Give the member who signs (rule 1).

    Raises:
        ProofInvalidError: there is no such member or key, or it has no authority now.
    """
    member = standing.members.get(by)
    if member is None:
        raise ProofInvalidError(f"person {by} signs and is no member", place=place)
    if not member.is_active(at_ms):
        why = "dismissed" if member.dismissed else "suspended" if member.suspended else "gone"
        raise ProofInvalidError(f"person {by} signs and has no authority: the person is {why}", place=place)
    known = standing.keys.get(key)
    if known is None or known.person != by:
        raise ProofInvalidError(f"person {by} signs with key {key}, which is not that person's", place=place)
    if known.revoked:
        raise ProofInvalidError(f"person {by} signs with key {key}, which was revoked", place=place)
    return member


def verify_by_key(standing: Standing, signed: Signed, message: bytes, *, key: int, namespace: str, place: str) -> None:
    """Check a signature (rule 2).

    Raises:
        ProofInvalidError: it is not by this key over these bytes for this purpose.
    """
    try:
        verify_signature(signed.signature, message, namespace=namespace, key=standing.keys[key].key)
    except ProofInvalidError as error:
        raise ProofInvalidError(
            f"the signature does not hold: {error.message}", place=place, expected=error.expected, found=error.found
        ) from None


def read_statement(
    state: State,
    signed: Signed,
    *,
    namespace: str,
    by: int,
    change: AnyChange,
    at_ms: int,
    place: str,
) -> Statement:
    """Read a statement that stands behind an entry (rule 3).

    Raises:
        ProofInvalidError: it is not a statement, or not this one.
    """
    try:
        statement = parse_statement(signed.statement)
        check_namespace(statement, namespace)
    except InvalidInputError as error:
        raise ProofInvalidError(f"what was signed cannot be: {error.message} ({error.place})", place=place) from None
    if (statement.origin, statement.genesis) != (state.origin, state.genesis):
        raise ProofInvalidError("a statement was signed for another ledger", place=place, found=statement.origin[:80])
    if statement.by != by:
        raise ProofInvalidError(
            "a statement speaks for somebody else", place=place, expected=str(by), found=str(statement.by)
        )
    if statement.change != change:
        raise ProofInvalidError("a statement asks for another change than its entry", place=place)
    if statement.epoch > state.epoch:
        raise ProofInvalidError("a statement names an epoch that has not come", place=place, found=str(statement.epoch))
    if statement.at_ms > at_ms + CLOCK_SKEW_MS_MAX:
        raise ProofInvalidError("a statement was made later than it was used", place=place)
    if at_ms >= statement.expires_ms:
        raise ProofInvalidError(
            f"a statement has expired: it held until {show_time(statement.expires_ms)}, and the ledger is at"
            f" {show_time(at_ms)}",
            place=place,
        )
    return statement


def use_statement(state: State, standing: Standing, data: bytes, *, place: str) -> Standing:
    """Note that a statement is used now (rule 3).

    Raises:
        ProofInvalidError: it was used before.
    """
    digest = digest_statement(data)
    if digest in standing.statements:
        raise ProofInvalidError(
            f"a statement is used twice; first by rule {standing.statements[digest]}", place=place, found=digest.hex()
        )
    return replace(standing, statements=standing.statements.set(digest, state.epoch + 1))
