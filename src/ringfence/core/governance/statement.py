"""Statements: the exact bytes that people sign, when they ask for a change, approve it, decline it or order one.

Rules of this file:
1. A statement is canonical JSON: fields in the order below, defaults left out, bytes as base64, no white space, at
   most `STATEMENT_SIZE_BYTES_MAX` long. `parse_statement` refuses every other spelling, so that one meaning has one
   sequence of bytes, and a signature over the bytes is an agreement to the meaning.
2. It names the ledger (origin and genesis), the epoch that its author saw, who made it, when, until when and a number
   used once: a signature for one ledger, moment or request fits no other.
3. Everything that takes effect is in the bytes: the users that a grant is limited to, and what a commitment to an
   identity opens to, which must fit the commitment.
4. What a signature over it says is the namespace that it is made in. No two of them are alike, and each fits only the
   changes that can be made that way: a quorum carries, one person orders.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from ringfence.core import changes as c
from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.change_shape import (
    DIGEST_BYTES,
    NUMBER_MAX,
    REASON_CHARACTERS_MAX,
    TIME_MS_MAX,
    TITLE_CHARACTERS_MAX,
    check_change,
)
from ringfence.core.governance.change_words import describe_change
from ringfence.core.governance.wording import count_of, quote, show_duration
from ringfence.core.ledger.entry import SALT_SIZE_BYTES, Identity, commit, render_opening
from ringfence.core.times import DAY_MS, show_time

STATEMENT_SIZE_BYTES_MAX: Final = 48 * 1024
LIFETIME_MS_MIN: Final = 60_000
LIFETIME_MS_MAX: Final = 30 * DAY_MS
NONCE_SIZE_BYTES: Final = 16
TICKET_CHARACTERS_MAX: Final = 200
SUBJECTS_MAX: Final = 1000
SUBJECT_SIZE_BYTES: Final = 16

PROPOSE: Final = "propose@ringfence"
APPROVE: Final = "approve@ringfence"
DECLINE: Final = "decline@ringfence"
ORDER: Final = "order@ringfence"
STATEMENT_NAMESPACES: Final = (PROPOSE, APPROVE, DECLINE, ORDER)
"""What a signature over a statement can say (rule 4)."""

_SUSPEND: Final = c.operation_of(c.Suspend(scope=c.EVERYTHING))


class Statement(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="statement",
    tag="ringfence/1",
):
    """One change that somebody asks for or orders, with all that makes it that one.

    `genesis` is the leaf hash of the ledger's first entry (32 bytes). `epoch` is the number of rules that its author
    saw. `by` is the author's person number. `nonce` is 16 random bytes. `subjects` are the references (16 bytes, in
    order, each once) of the users that a grant is limited to. `identity` and `identity_salt` (16 bytes) open the
    commitment of an `Admit` or a `RegisterService`. Times are milliseconds since 1970 UTC.
    """

    origin: str
    genesis: bytes
    epoch: int
    at_ms: int
    expires_ms: int
    nonce: bytes
    by: int
    change: c.AnyChange
    reason: str
    ticket: str = ""
    subjects: tuple[bytes, ...] = ()
    identity: Identity | None = None
    identity_salt: bytes = b""


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Statement)


def render_statement(statement: Statement) -> bytes:
    """Give the bytes of a statement; `parse_statement` gives it back.

    Raises:
        InvalidInputError: `parse_statement` would refuse them.
    """
    try:
        data = _encoder.encode(statement)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInputError("a statement has a value that JSON cannot hold", place="statement") from None
    parse_statement(data)
    return data


def parse_statement(data: bytes, *, place: str = "statement") -> Statement:
    """Read a statement.

    Raises:
        InvalidInputError: it is too long, no statement, spelled otherwise than canonically, or has a field that no
            statement can have.
    """
    if len(data) > STATEMENT_SIZE_BYTES_MAX:
        raise InvalidInputError(
            f"a statement has {len(data)} bytes, more than {STATEMENT_SIZE_BYTES_MAX}",
            place=place,
            hint="name fewer users, or write a shorter reason",
        )
    try:
        statement = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"this is no statement: {quote(str(error))[1:-1]}", place=place) from None
    if _encoder.encode(statement) != data:
        raise InvalidInputError(
            "a statement is not in canonical form", place=place, hint="sign the bytes as they were made, unchanged"
        )
    _check_header(statement, place)
    check_change(statement.change, place=f"{place}.change")
    _check_subjects(statement, place)
    _check_identity(statement, place)
    return statement


def digest_statement(data: bytes) -> bytes:
    """Give the SHA-256 (32 bytes) of a statement's bytes, by which it is told from every other."""
    return hashlib.sha256(data).digest()


def check_namespace(statement: Statement, namespace: str, *, place: str = "statement") -> None:
    """Refuse a signature that says what nobody can say of such a change (rule 4).

    Raises:
        InvalidInputError: the namespace is none of a statement's, or the change cannot be made that way.
    """
    if namespace not in STATEMENT_NAMESPACES:
        raise InvalidInputError(f"no statement is signed in the namespace {namespace!r:.80}", place=place)
    operation = c.operation_of(statement.change)
    if namespace == ORDER and operation not in c.ORDERED:
        raise InvalidInputError(
            f"{operation} cannot be ordered by one person", place=place, hint="propose it, and let others approve it"
        )
    if namespace != ORDER and operation not in (*c.CARRIED, _SUSPEND):
        raise InvalidInputError(
            f"{operation} is ordered by one person, not carried by a quorum", place=place, hint="sign it as an order"
        )


def describe_statement(statement: Statement) -> list[str]:
    """Give all that a statement says in plain sentences, from it alone: what whoever signs its bytes agrees to.

    Two statements that differ have sentences that differ. What somebody wrote stands escaped in quotation marks.

    Args:
        statement: one that `parse_statement` gave.
    """
    lines = describe_change(statement.change)
    if statement.identity is not None:
        lines.append(
            f"It is whoever holds tokens of the issuer {quote(statement.identity.issuer)} for the subject "
            f"{quote(statement.identity.subject)}."
        )
    if statement.subjects:
        lines.append(f"It is limited to {count_of(len(statement.subjects), 'user')}, by their references:")
        lines += [f"  {subject.hex()}" for subject in statement.subjects]
    lines.append(f"The reason given is {quote(statement.reason)}.")
    lines.append(f"The ticket is {quote(statement.ticket)}." if statement.ticket else "No ticket is named.")
    lifetime = show_duration(statement.expires_ms - statement.at_ms)
    return [
        *lines,
        f"Person {statement.by} made this statement at {show_time(statement.at_ms)}.",
        f"It expires at {show_time(statement.expires_ms)}, {lifetime} later.",
        f"It is for the ledger {quote(statement.origin)}, whose first entry is {statement.genesis.hex()}.",
        f"Its author saw the rules up to epoch {statement.epoch}. Its number used once is {statement.nonce.hex()}.",
    ]


def _check_header(statement: Statement, place: str) -> None:
    lifetime_ms = statement.expires_ms - statement.at_ms
    checks = (
        (1 <= len(statement.origin) <= TITLE_CHARACTERS_MAX, "origin", f"1 to {TITLE_CHARACTERS_MAX} characters"),
        (len(statement.genesis) == DIGEST_BYTES, "genesis", f"{DIGEST_BYTES} bytes"),
        (0 <= statement.epoch <= NUMBER_MAX, "epoch", f"a whole number from 0 to {NUMBER_MAX}"),
        (0 <= statement.at_ms <= TIME_MS_MAX, "at_ms", "milliseconds since 1970, up to the year 9999"),
        (statement.expires_ms <= TIME_MS_MAX, "expires_ms", "milliseconds since 1970, up to the year 9999"),
        (LIFETIME_MS_MIN <= lifetime_ms <= LIFETIME_MS_MAX, "expires_ms", "1 minute to 30 days after at_ms"),
        (len(statement.nonce) == NONCE_SIZE_BYTES, "nonce", f"{NONCE_SIZE_BYTES} bytes"),
        (1 <= statement.by <= NUMBER_MAX, "by", f"a whole number from 1 to {NUMBER_MAX}"),
        (
            statement.reason.strip() != "" and len(statement.reason) <= REASON_CHARACTERS_MAX,
            "reason",
            f"1 to {REASON_CHARACTERS_MAX} characters, not all of them blank",
        ),
        (len(statement.ticket) <= TICKET_CHARACTERS_MAX, "ticket", f"up to {TICKET_CHARACTERS_MAX} characters"),
    )
    for fits, field, expected in checks:
        if not fits:
            raise InvalidInputError(f"{field} must be {expected}", place=f"{place}.{field}")


def _check_subjects(statement: Statement, place: str) -> None:
    subjects = statement.subjects
    limited = isinstance(statement.change, c.Grant) and not statement.change.subjects_any
    if limited != bool(subjects):
        raise InvalidInputError(
            "users are named in a grant that is not for any user, and only there", place=f"{place}.subjects"
        )
    if (
        len(subjects) > SUBJECTS_MAX
        or subjects != tuple(sorted(set(subjects)))
        or any(len(subject) != SUBJECT_SIZE_BYTES for subject in subjects)
    ):
        raise InvalidInputError(
            f"subjects must be up to {SUBJECTS_MAX} references of {SUBJECT_SIZE_BYTES} bytes, in order, each once",
            place=f"{place}.subjects",
        )


def _check_identity(statement: Statement, place: str) -> None:
    change, identity, salt = statement.change, statement.identity, statement.identity_salt
    if not isinstance(change, c.Admit | c.RegisterService):
        if identity is not None or salt:
            raise InvalidInputError("an identity is given where none is asked for", place=f"{place}.identity")
        return
    if identity is None or len(salt) != SALT_SIZE_BYTES:
        raise InvalidInputError(
            f"the identity is not given with a salt of {SALT_SIZE_BYTES} bytes", place=f"{place}.identity"
        )
    for name in (identity.issuer, identity.subject):
        if not 1 <= len(name) <= TITLE_CHARACTERS_MAX:
            raise InvalidInputError(
                f"issuer and subject have 1 to {TITLE_CHARACTERS_MAX} characters each", place=f"{place}.identity"
            )
    if commit(render_opening(salt, identity)) != change.identity:
        raise InvalidInputError("the change is about another identity than it is said to be", place=f"{place}.identity")
