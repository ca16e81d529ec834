"""The entries of a governed ledger: who was recorded, what was proposed, who signed, what took effect.

Each is a rule entry of the authority's lane. What it says in the clear is enough to fold the state; with its opening
anyone checks that it follows from signatures and facts.
"""

from __future__ import annotations

import msgspec

from ringfence.core.changes import AnyChange
from ringfence.core.ledger.leaf import Leaf


class Founder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Someone who founded a governed ledger: number, party, duties, and public key in OpenSSH's wire format."""

    person: int
    party: str
    duties: tuple[str, ...]
    key: bytes


class TrustedIssuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An issuer whose tokens are taken from the start: its name, and SHA-256 of its JWK set's file."""

    name: str
    keys: bytes


class PeopleRecorded(Leaf, frozen=True, kw_only=True, tag="rule.people"):
    """The register of people learned facts; what they take away from anyone is taken by this entry.

    `facts` commits to a salted list of `PersonFacts` (`people` of them, `added` of persons not known before, numbered
    on from the last number). `suspends` are members whom an independence rule now forbids their duties, or who changed
    their employer; `ends` gives (member, time from which the member has no authority), both in order of number. `by` is
    the service that told the facts; 0 where the custodian's own operator took a file.
    """

    source: str
    added: int
    people: int
    facts: bytes
    suspends: tuple[int, ...] = ()
    ends: tuple[tuple[int, int], ...] = ()
    by: int = 0


class CredentialIssued(Leaf, frozen=True, kw_only=True, tag="rule.credential-issued"):
    """The custodian gave the service `principal` a credential for a build, bound to a certificate, until `until_ms`.

    `build`, `certificate` and `attestation` are digests (SHA-256, 32 bytes): of the build, of the certificate as DER
    and of the attestation's file.
    """

    principal: int
    build: bytes
    certificate: bytes
    attestation: bytes
    until_ms: int


class Proposed(Leaf, frozen=True, kw_only=True, tag="rule.proposed"):
    """A person asks for a change; `statement` commits to the bytes that were signed and their signature by `key`."""

    number: int
    by: int
    key: int
    change: AnyChange
    expires_ms: int
    statement: bytes


class Approved(Leaf, frozen=True, kw_only=True, tag="rule.approved"):
    """A person agrees to a proposal; `signature` commits to a signature over its statement's exact bytes."""

    proposal: int
    by: int
    key: int
    signature: bytes


class Declined(Leaf, frozen=True, kw_only=True, tag="rule.declined"):
    """A person refuses a proposal, which ends it; `signature` commits to a signature over its statement's bytes."""

    proposal: int
    by: int
    key: int
    signature: bytes


class Carried(Leaf, frozen=True, kw_only=True, tag="rule.carried"):
    """A proposal's change takes effect. `number` is that of the grant, key, service or suspension it made, or 0.

    Where the charter asks for a coalition's size, `counting` names the way of counting (`COUNTINGS`). Of a change that
    this one counts, `coalition` is how few people must join the excluded parties from then on, counted up to what the
    charter asks, and `proof` the digest of the world that it was counted in.
    """

    proposal: int
    number: int = 0
    counting: str = ""
    coalition: int = 0
    proof: bytes = b""


class Ordered(Leaf, frozen=True, kw_only=True, tag="rule.ordered"):
    """One person's signed statement takes effect at once: it takes authority away, or is break-glass."""

    by: int
    key: int
    change: AnyChange
    statement: bytes
    number: int = 0


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Opening of what a person signed: the statement's exact bytes (b"" where the proposal holds them), a signature."""

    statement: bytes
    signature: bytes
