"""Changes: everything that a person can ask for in a signed statement, as values in the clear.

Rules of this file:
1. A change is what the ledger says in the clear. What is private about it (words, tickets, who a number is, which
   users) is in the statement that asks for it, which is an opening.
2. `OPERATIONS` names each change as the charter does. A change is *carried* when those whom the charter names agreed
   to it. One that only takes authority away can also be *ordered*, by one person, and holds at once.
3. Times are milliseconds since 1970 UTC; digests and commitments are 32 bytes.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

ACCESS, LEGAL_DEMAND, BREAK_GLASS = "access", "legal-demand", "break-glass"
GRANT_KINDS: Final = (ACCESS, LEGAL_DEMAND, BREAK_GLASS)
EVERYTHING, PARTY, FLOW = "everything", "party", "flow"
SUSPENSION_SCOPES: Final = (EVERYTHING, PARTY, FLOW)


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="do"):
    """Common base of every change."""


class EnactCharter(Change, frozen=True, kw_only=True, tag="enact-charter"):
    """Put a charter in force: name, version, SHA-256 of its file, and the engine that decides by it."""

    name: str
    version: int
    digest: bytes
    engine: str


class Admit(Change, frozen=True, kw_only=True, tag="admit"):
    """Let a person of the register call the gateway and hold duties, as a member of a party.

    `identity` commits to the token's issuer and subject (an `Identity`). `until_ms` is when the person leaves, as the
    register says; 0 when no such time is known. A person who was suspended is cleared by it: it is refused while an
    independence rule stands against the person.
    """

    person: int
    party: str
    identity: bytes
    until_ms: int = 0


class Appoint(Change, frozen=True, kw_only=True, tag="appoint"):
    """Give a duty to a person who was admitted."""

    person: int
    duty: str


class EnrolKey(Change, frozen=True, kw_only=True, tag="enrol-key"):
    """Let a person sign with a key: `key` is a public key in OpenSSH's wire format."""

    person: int
    key: bytes


class Grant(Change, frozen=True, kw_only=True, tag="grant"):
    """Let a person use flows of the charter that need a grant, for some time and some records.

    `kind` is one of `GRANT_KINDS`. `subjects_any` tells that any user may be looked at, else those that the statement
    names (in its opening). `withhold` are fields as `dataset.field`. `records_max` counts over the grant's whole life.
    `lasts_ms` runs from the entry that gives it.
    """

    kind: str
    person: int
    purpose: str
    verbs: tuple[str, ...]
    datasets: tuple[str, ...]
    classes: tuple[str, ...]
    records_max: int
    lasts_ms: int
    subjects_any: bool = False
    bulk: bool = False
    withhold: tuple[str, ...] = ()


class ApproveBuild(Change, frozen=True, kw_only=True, tag="approve-build"):
    """Let a build of a party run; `digest` is SHA-256 of what is built, `name` in words.

    `attestor` is the public key (see `attestors`) with whose attestation services get credentials for it; b"" where no
    service does.
    """

    name: str
    party: str
    digest: bytes
    attestor: bytes = b""


class RegisterService(Change, frozen=True, kw_only=True, tag="register-service"):
    """Make a service known as a party's; `identity` commits to the token's issuer and subject.

    `feeds` lets it tell facts about people to the register, for the HR system that it speaks for.
    """

    party: str
    identity: bytes
    feeds: bool = False


class TrustIssuer(Change, frozen=True, kw_only=True, tag="trust-issuer"):
    """Take tokens of an issuer; `keys` is SHA-256 of its JWK set's file. Replaces what was trusted under the name."""

    name: str
    keys: bytes


class OpenKeyEpoch(Change, frozen=True, kw_only=True, tag="open-key-epoch"):
    """Wrap new subject keys of a class under the next key epoch."""

    data_class: str
    key_epoch: int


class RecoverLane(Change, frozen=True, kw_only=True, tag="recover-lane"):
    """Go on without whatever a lane wrote after batch `n`."""

    lane: int
    n: int
    reason: str


class Lift(Change, frozen=True, kw_only=True, tag="lift"):
    """End a suspension."""

    suspension: int


class Review(Change, frozen=True, kw_only=True, tag="review"):
    """Find that a break-glass grant was used rightly, or not; either ends the wait for its review."""

    grant: int
    justified: bool


class Suspend(Change, frozen=True, kw_only=True, tag="suspend"):
    """Stop a flow, a party or everything. `name` is the flow's or party's, "" for everything."""

    scope: str
    name: str = ""


class EndAppointment(Change, frozen=True, kw_only=True, tag="end-appointment"):
    """Take a duty from a person."""

    person: int
    duty: str


class Dismiss(Change, frozen=True, kw_only=True, tag="dismiss"):
    """Take everything from a person: duties, keys, grants, calls."""

    person: int


class RevokeKey(Change, frozen=True, kw_only=True, tag="revoke-key"):
    """Stop taking signatures by a key, by its number."""

    key: int


class RevokeGrant(Change, frozen=True, kw_only=True, tag="revoke-grant"):
    """End a grant."""

    grant: int


class NarrowGrant(Change, frozen=True, kw_only=True, tag="narrow-grant"):
    """Leave less of a grant: fewer datasets and classes (what is named stays), fewer records, less time from now."""

    grant: int
    datasets: tuple[str, ...]
    classes: tuple[str, ...]
    records_max: int
    lasts_ms: int


class WithdrawBuild(Change, frozen=True, kw_only=True, tag="withdraw-build"):
    """Stop giving credentials to a build, and stop taking those that it has."""

    digest: bytes


class WithdrawService(Change, frozen=True, kw_only=True, tag="withdraw-service"):
    """Make a service unknown."""

    principal: int


class WithdrawIssuer(Change, frozen=True, kw_only=True, tag="withdraw-issuer"):
    """Take no more tokens of an issuer."""

    name: str


Giving: TypeAlias = (
    EnactCharter
    | Admit
    | Appoint
    | EnrolKey
    | Grant
    | ApproveBuild
    | RegisterService
    | TrustIssuer
    | OpenKeyEpoch
    | RecoverLane
    | Lift
    | Review
)
"""What adds or restores authority, or changes the rules: a quorum must agree."""

Taking: TypeAlias = (
    Suspend
    | EndAppointment
    | Dismiss
    | RevokeKey
    | RevokeGrant
    | NarrowGrant
    | WithdrawBuild
    | WithdrawService
    | WithdrawIssuer
)
"""What only takes authority away: one person whom the charter names may order it."""

AnyChange: TypeAlias = Giving | Taking

GIVING_TYPES: Final = (
    EnactCharter,
    Admit,
    Appoint,
    EnrolKey,
    Grant,
    ApproveBuild,
    RegisterService,
    TrustIssuer,
    OpenKeyEpoch,
    RecoverLane,
    Lift,
    Review,
)
TAKING_TYPES: Final = (
    Suspend,
    EndAppointment,
    Dismiss,
    RevokeKey,
    RevokeGrant,
    NarrowGrant,
    WithdrawBuild,
    WithdrawService,
    WithdrawIssuer,
)


def operation_of(change: AnyChange) -> str:
    """Give the charter's word for what a change does: its tag; a grant's is that of its kind (`grant` for access)."""
    if isinstance(change, Grant) and change.kind != ACCESS:
        return change.kind
    return str(change.__struct_config__.tag)


CARRIED: Final = (*(str(kind.__struct_config__.tag) for kind in GIVING_TYPES), LEGAL_DEMAND)
"""Operations that need a quorum (`suspend` may be carried by one as well)."""

ORDERED: Final = (*(str(kind.__struct_config__.tag) for kind in TAKING_TYPES), BREAK_GLASS)
"""Operations that one person may order. Break-glass gives, and is bounded by its review."""
