"""Standing: what governance has come to after some number of rules. Values only; `folding` changes them.

Rules of this file:
1. History stays: a key that was revoked, a grant that ended and a member who left are here, marked with the epoch.
2. What is known without openings is all here but for `register`, which is None from the first fact that was withheld.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from immutables import Map

from ringfence.core.changes import AnyChange, Grant
from ringfence.core.charter import Charter
from ringfence.core.charter.governance import Duty, Operation
from ringfence.core.people.register import Register

LONG_AGO_MS: Final = 1
"""The end of a member's authority that had come when it was told: before any clock."""


@dataclass(frozen=True, slots=True)
class Appointment:
    """A duty that a member holds: since which epoch, and who proposed it (0: a founding)."""

    duty: str
    epoch: int
    proposer: int


@dataclass(frozen=True, slots=True)
class Member:
    """A person who was admitted.

    Attributes:
        number: the person's number, in the register and as a principal.
        party: the party that the person works for.
        duties: what the person holds, by duty.
        until_ms: from when on the person has no authority; 0 while no end is known, `LONG_AGO_MS` once it has come.
        suspended: whether an independence rule stands against the person; holds until a new admission.
        dismissed: whether everything was taken from the person.
        lost_ms: when it was told last that facts take authority from the person, by the entry's time; 0 while none do.
            No rule and no decision reads it: it is for whoever watches a feed.
    """

    number: int
    party: str
    duties: Mapping[str, Appointment] = field(default_factory=dict)
    until_ms: int = 0
    suspended: bool = False
    dismissed: bool = False
    lost_ms: int = 0

    def is_active(self, at_ms: int) -> bool:
        """Tell whether the person has any authority at this time."""
        return not (self.suspended or self.dismissed or self.has_left(at_ms))

    def has_left(self, at_ms: int) -> bool:
        """Tell whether the person's time is over, by the facts."""
        return 0 < self.until_ms <= at_ms

    def duties_kept(self, party: str, *, at_ms: int) -> Mapping[str, Appointment]:
        """Give the duties that an admission for a party leaves to the person: none to who left or was of another."""
        return {} if self.dismissed or self.has_left(at_ms) or self.party != party else self.duties


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that a person signs with: public, in OpenSSH's wire format. `revoked` is the epoch of its end, or 0."""

    number: int
    person: int
    key: bytes
    epoch: int
    revoked: int = 0


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's agreement to a proposal."""

    person: int
    key: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that was asked for and is neither carried nor declined nor forgotten yet.

    Attributes:
        number: from 1, in order.
        by: the person who asked.
        key: that the person signed with; 0 in what nobody signed.
        operation: what the charter in force when it was proposed asks for; its own name and rules are kept with it.
        at_ms, epoch: when it was proposed.
        subjects: the users that a grant is to be limited to; None where the statement is withheld.
        identity: (issuer, subject) that the statement names; None where it names none or is withheld.
        statement: the exact bytes that were signed; b"" where they are withheld.
        charter: the charter to enact, with its file's text.
        duty: what the charter in force when it was proposed says of the duty of an appointment.
    """

    number: int
    by: int
    change: AnyChange
    operation: Operation
    at_ms: int
    epoch: int
    expires_ms: int
    approvals: tuple[Approval, ...] = ()
    subjects: frozenset[bytes] | None = None
    identity: tuple[str, str] | None = None
    statement: bytes = b""
    charter: Charter | None = None
    duty: Duty | None = None
    key: int = 0


@dataclass(frozen=True, slots=True)
class GivenGrant:
    """A grant and what has become of it.

    Attributes:
        grant: as it was given, or as it was narrowed since.
        subjects: the users that it is limited to; None where any may be looked at, or the statement is withheld.
        given_ms, until_ms: its time; `until_ms` is excluded.
        epoch: the rule that gave it.
        ended: the epoch of its revocation, or 0.
        review_until_ms: until when it must be reviewed; 0 when it need not be.
        reviewed: the epoch of its review, or 0.
    """

    number: int
    grant: Grant
    subjects: frozenset[bytes] | None
    given_ms: int
    until_ms: int
    epoch: int
    proposal: int = 0
    ended: int = 0
    review_until_ms: int = 0
    reviewed: int = 0

    def is_live(self, at_ms: int) -> bool:
        """Tell whether it can be used at this time."""
        return self.ended == 0 and at_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class Build:
    """A build that may run: see `changes.ApproveBuild`. `withdrawn` is the epoch of its end, or 0."""

    digest: bytes
    name: str
    party: str
    epoch: int
    withdrawn: int = 0
    attestor: bytes = b""


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A credential that a service has for a build and a certificate: see `governed_entry.CredentialIssued`.

    `until_ms` is excluded; `epoch` is the rule that recorded it.
    """

    attestation: bytes
    until_ms: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Suspension:
    """Something that is stopped: a flow, a party or everything. `lifted` is the epoch of its end, or 0."""

    number: int
    scope: str
    name: str
    epoch: int
    by: int
    lifted: int = 0


_NONE: Final[Mapping[bytes, IssuedCredential]] = {}


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that governance adds to the state.

    Attributes:
        founding_charter, founding_build: digests that the genesis names.
        register: the people and their relations; None where facts are withheld.
        members: those who were admitted, by number.
        keys, grants, suspensions, builds: by number (builds by digest), those that ended too.
        proposals: those that are open, by number.
        credentials: those of a service's number and a build's digest, by the digest of the certificate.
        issuers: digest of each trusted issuer's keys, by name.
        statements: digests of the statements that were used, each once for ever.
        recoveries: lanes that may be recovered, each after this batch and with this reason.
        stopped: (scope, name) of every suspension that holds.
        holders: members who hold a share of the custodian's keys, as the genesis says; none where these are not sealed.
        threshold: how many of them open the keys; 0 where these are not sealed.
        withheld: signatures and facts that could not be checked because their openings are not there.
    """

    register: Register | None
    founding_charter: bytes
    founding_build: bytes
    members: Map[int, Member] = field(default_factory=Map)
    keys: Map[int, SigningKey] = field(default_factory=Map)
    proposals: Map[int, Proposal] = field(default_factory=Map)
    grants: Map[int, GivenGrant] = field(default_factory=Map)
    builds: Map[bytes, Build] = field(default_factory=Map)
    credentials: Map[tuple[int, bytes], Mapping[bytes, IssuedCredential]] = field(default_factory=Map)
    issuers: Map[str, bytes] = field(default_factory=Map)
    suspensions: Map[int, Suspension] = field(default_factory=Map)
    statements: Map[bytes, int] = field(default_factory=Map)
    recoveries: Map[int, tuple[int, str]] = field(default_factory=Map)
    stopped: frozenset[tuple[str, str]] = frozenset()
    proposal_last: int = 0
    holders: tuple[int, ...] = ()
    threshold: int = 0
    withheld: int = 0

    def has_credential(self, principal: int, build: bytes, certificate: bytes, *, at_ms: int) -> bool:
        """Tell whether a service can show a credential for a build with this very certificate at this time."""
        given = self.credentials.get((principal, build), _NONE).get(certificate)
        return given is not None and self._is_for_approval(given, build) and at_ms < given.until_ms

    def credential_until_ms(self, principal: int, build: bytes) -> int:
        """Give until when a service can show a credential for a build, whatever its certificate; else 0."""
        given = self.credentials.get((principal, build), _NONE).values()
        return max((one.until_ms for one in given if self._is_for_approval(one, build)), default=0)

    def _is_for_approval(self, given: IssuedCredential, build: bytes) -> bool:
        """Tell whether a credential was given since its build was approved: an older one is of an earlier approval."""
        approved = self.builds.get(build)
        return approved is not None and given.epoch > approved.epoch


def digest_standing(standing: Standing) -> bytes:
    """Give a digest (32 bytes) of what rules and decisions read of a standing and stands in the clear."""
    facts = {
        "founding": [standing.founding_charter.hex(), standing.founding_build.hex()],
        "members": [
            [
                *(member.number, member.party, member.until_ms, member.suspended, member.dismissed),
                [[held.duty, held.epoch, held.proposer] for _, held in sorted(member.duties.items())],
            ]
            for _, member in sorted(standing.members.items())
        ],
        "keys": [
            [key.number, key.person, key.key.hex(), key.epoch, key.revoked] for _, key in sorted(standing.keys.items())
        ],
        "proposals": [
            [
                *(item.number, item.by, item.at_ms, item.epoch, item.expires_ms, msgspec.to_builtins(item.change)),
                [[approval.person, approval.key, approval.epoch] for approval in item.approvals],
            ]
            for _, item in sorted(standing.proposals.items())
        ],
        "grants": [
            [
                *(item.number, item.given_ms, item.until_ms, item.epoch, item.proposal, item.ended),
                *(item.review_until_ms, item.reviewed, msgspec.to_builtins(item.grant)),
            ]
            for _, item in sorted(standing.grants.items())
        ],
        "builds": [
            [
                *(build.digest.hex(), build.name, build.party, build.epoch, build.withdrawn),
                *([build.attestor.hex()] if build.attestor else []),  # one without is told as it was told before
            ]
            for _, build in sorted(standing.builds.items())
        ],
        **({"credentials": _credentials(standing)} if standing.credentials else {}),  # told as before without any
        "issuers": [[name, keys.hex()] for name, keys in sorted(standing.issuers.items())],
        "suspensions": [
            [item.number, item.scope, item.name, item.epoch, item.by, item.lifted]
            for _, item in sorted(standing.suspensions.items())
        ],
        "recoveries": [[lane, *agreed] for lane, agreed in sorted(standing.recoveries.items())],
        "proposal_last": standing.proposal_last,
        **({"shares": [*standing.holders, standing.threshold]} if standing.holders else {}),
    }
    return hashlib.sha256(msgspec.json.encode(facts)).digest()


def _credentials(standing: Standing) -> list[list[object]]:
    return [
        [
            *(principal, build.hex()),
            [
                [certificate.hex(), one.attestation.hex(), one.until_ms, one.epoch]
                for certificate, one in sorted(given.items())
            ],
        ]
        for (principal, build), given in sorted(standing.credentials.items())
    ]
