"""Ledger entries: what a leaf of the tree says, as canonical JSON.

Rules of this file:
1. A leaf is the canonical JSON of one struct below: fields in the order given, defaults left out, bytes as base64,
   no white space. `parse_entry` refuses every other spelling, so a leaf has exactly one meaning.
2. A *rule* entry changes what later decisions read. Every other entry, but for batch headers and seals, is an
   *access* entry.
3. An entry holds the inputs of `decide` that are not about a person. The rest is a salted SHA-256 commitment whose
   opening is kept apart; destroying the opening is how the ledger forgets.
4. An entry is at most `ENTRY_SIZE_BYTES_MAX` long, an opening at most `OPENING_SIZE_BYTES_MAX`.
"""

from __future__ import annotations

import hashlib
from typing import Final, TypeAlias, TypeVar

import msgspec

from ringfence.core.changes import EnactCharter
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.governed_entry import (
    Approved,
    Carried,
    CredentialIssued,
    Declined,
    Founder,
    Ordered,
    PeopleRecorded,
    Proposed,
    Signed,
    TrustedIssuer,
)
from ringfence.core.ledger.leaf import Leaf

ENTRY_SIZE_BYTES_MAX: Final = 8 * 1024
OPENING_SIZE_BYTES_MAX: Final = 60 * 1024
SALT_SIZE_BYTES: Final = 16
HASH_SIZE_BYTES: Final = 32

DEVELOPMENT: Final = "development"
PRODUCTION: Final = "production"


class Batch(Leaf, frozen=True, kw_only=True, tag="batch"):
    """Header of a batch: `count` entries that one transaction of one lane committed; the entries follow it.

    `n` counts from 1 in a lane without gaps. `previous` is the leaf hash of header n-1 (32 zero bytes for n = 1).
    `digest` is SHA-256 over the leaf hashes of the entries, in order. `at_ms` is milliseconds since 1970 UTC, never
    decreasing in a lane. `epoch` is the number of rule entries committed before this batch.
    """

    lane: int
    n: int
    previous: bytes
    epoch: int
    at_ms: int
    count: int
    digest: bytes


class Seal(Leaf, frozen=True, kw_only=True, tag="seal"):
    """A lane's signature over the leaf hash of its header `n`, and so over every batch up to it."""

    lane: int
    n: int
    head: bytes
    at_ms: int
    signature: bytes


class Count(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a counter: the `ordinal`-th (from 1), adding `amount`, giving `total` within the UTC `day`.

    `day` is whole days since 1970, and `total` starts at 0 each day; a grant counts over its whole life, so that the
    day of its steps is 0.
    """

    counter: str
    ordinal: int
    amount: int
    total: int
    day: int


class Access(Leaf, frozen=True, kw_only=True, tag="access"):
    """One request for records of one dataset, and what the charter said to it.

    `decided` maps each data class that was asked for to the clause that permitted it, to "" when no clause does, or
    to "!" and the name of a limit or clause that forbade it. `records` is how many records were named. `about`
    commits to the subjects and records (an `About`). `country_from` names where the country came from. `counted` is the
    step of the clause's counter for the day. `grant` is the grant that the caller named, `granted` the step of that
    grant's counter where what was given rests on it. `build` is the digest of the build that the credential names.
    """

    verb: str
    principal: int
    country: str
    purpose: str
    dataset: str
    decided: dict[str, str]
    records: int
    about: bytes
    shape: str = "single"
    country_from: str = "connection"
    counted: Count | None = None
    grant: int = 0
    granted: Count | None = None
    build: bytes = b""


class Downgrade(Leaf, frozen=True, kw_only=True, tag="downgrade"):
    """Records that a write moved to a less protected class; follows the `Access` entry of that write."""

    principal: int
    country: str
    purpose: str
    dataset: str
    clause: str
    about: bytes
    counted: Count


class SubjectsNamed(Leaf, frozen=True, kw_only=True, tag="subjects-named"):
    """A member who may ask for grants learned the references of some users, to ask for access to them alone.

    `users` is how many were named; `about` commits to those that are there and to the others (an `About`).
    """

    principal: int
    users: int
    about: bytes


class Refusals(Leaf, frozen=True, kw_only=True, tag="refusals"):
    """Requests refused without an entry of their own: strangers, or a known principal above its rate.

    `principal` is 0 for strangers. `reason` is a code such as `unauthenticated`.
    """

    principal: int
    reason: str
    requests: int
    since_ms: int


class Outcome(Leaf, frozen=True, kw_only=True, tag="outcome"):
    """What became of an access of the same lane after its commit, when it was not answered as decided."""

    n: int
    position: int
    result: str


class Genesis(Leaf, frozen=True, kw_only=True, tag="rule.genesis"):
    """The first entry. `authority` is the Ed25519 public key of lane 0, `log_key` the checkpoint key as a vkey.

    A ledger with `founders` is governed: rules change by their quorum, and by those whom they appoint. Then `founding`
    commits to the founding document with the signature of each of them, `charter` is the digest of the charter that is
    enacted next, `build` that of the custodian's build (32 bytes each), and `services` are the parties of the services
    that are known from the start, numbered on from the last founder. The custodian's keys open with the shares of
    `threshold` of the `holders`; 0 where they lie open on the custodian's host. `issuers` are those whose tokens are
    taken from the start, in order of name.
    """

    origin: str
    mode: str
    engine: str
    authority: bytes
    log_key: str
    at_ms: int
    founders: tuple[Founder, ...] = ()
    services: tuple[str, ...] = ()
    founding: bytes = b""
    charter: bytes = b""
    build: bytes = b""
    holders: tuple[int, ...] = ()
    threshold: int = 0
    issuers: tuple[TrustedIssuer, ...] = ()


class CharterEnacted(Leaf, frozen=True, kw_only=True, tag="rule.charter"):
    """From here on this charter decides, by this engine. `digest` is SHA-256 of the charter's file."""

    name: str
    version: int
    digest: bytes
    engine: str


class LaneCertified(Leaf, frozen=True, kw_only=True, tag="rule.lane-certified"):
    """A lane may write: its Ed25519 public key, the build it runs and what it is for (`gateway`, `ingest`)."""

    lane: int
    key: bytes
    build: str
    duty: str


class LaneRecovered(Leaf, frozen=True, kw_only=True, tag="rule.lane-recovered"):
    """The custodian goes on without whatever the lane wrote after batch `n`. Always reported by `verify`."""

    lane: int
    n: int
    reason: str


class PrincipalRegistered(Leaf, frozen=True, kw_only=True, tag="rule.principal-registered"):
    """A caller is known by `number` and belongs to `party`. `identity` commits to an `Identity`."""

    number: int
    party: str
    identity: bytes


class PrincipalWithdrawn(Leaf, frozen=True, kw_only=True, tag="rule.principal-withdrawn"):
    """A caller is no longer known."""

    number: int


class KeyEpochOpened(Leaf, frozen=True, kw_only=True, tag="rule.key-epoch"):
    """New subject keys of this class are wrapped under key epoch `key_epoch` from here on."""

    data_class: str
    key_epoch: int


class SubjectErased(Leaf, frozen=True, kw_only=True, tag="rule.subject-erased"):
    """A subject is gone: no later access may list it. Decided like an access of verb `erase`, by its `build` too."""

    principal: int
    country: str
    purpose: str
    decided: dict[str, str]
    about: bytes
    country_from: str = "connection"
    build: bytes = b""


Rule: TypeAlias = (
    Genesis
    | CharterEnacted
    | LaneCertified
    | LaneRecovered
    | PrincipalRegistered
    | PrincipalWithdrawn
    | KeyEpochOpened
    | SubjectErased
    | PeopleRecorded
    | CredentialIssued
    | Proposed
    | Approved
    | Declined
    | Carried
    | Ordered
)
AccessEntry: TypeAlias = Access | Downgrade | SubjectsNamed | Refusals | Outcome
Entry: TypeAlias = Rule | AccessEntry
AnyLeaf: TypeAlias = Batch | Seal | Entry

RULE_TYPES: Final = (
    Genesis,
    CharterEnacted,
    LaneCertified,
    LaneRecovered,
    PrincipalRegistered,
    PrincipalWithdrawn,
    KeyEpochOpened,
    SubjectErased,
    PeopleRecorded,
    CredentialIssued,
    Proposed,
    Approved,
    Declined,
    Carried,
    Ordered,
)
RULE_PREFIX: Final = b'{"kind":"rule.'


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Opening of a principal's identity: the token's `iss` and `sub`."""

    issuer: str
    subject: str


class Written(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One stored part: its record key (16 bytes), class, version and SHA-256 of the sealed bytes.

    A part that the write deleted has the version that it had with its sign changed, and an empty digest: so that the
    entries about a part are one chain, whichever lanes wrote them. A class at version 0, with an empty digest, had no
    part; but something that the write replaced can be of it by now, though it was stored as another.
    `dataset` is "" for the dataset of the entry, else one that this program keeps for itself, such as `@jurisdiction`.
    """

    record_key: bytes
    data_class: str
    version: int
    digest: bytes
    dataset: str = ""


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Opening of an access: which subjects and records.

    `subjects` are 16-byte subject references; `records` the 16-byte record keys, parallel to `subjects` when a
    request names one record of each; `unknown` the blind indexes of users that are not in the vault; `written` the
    parts that a write left; `searched` the field and token of a look-up.
    """

    subjects: list[bytes] = []
    records: list[bytes] = []
    unknown: list[bytes] = []
    written: list[Written] = []
    searched: list[bytes] = []


_Value = TypeVar("_Value", About, Identity, Signed)
_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[AnyLeaf] = msgspec.json.Decoder(AnyLeaf)
_decoder_about = msgspec.json.Decoder(About)
_decoder_identity = msgspec.json.Decoder(Identity)
_decoder_signed = msgspec.json.Decoder(Signed)

render_entry = _encoder.encode
"""Give a leaf as canonical JSON bytes. Mappings must be built in sorted order (`decided` is)."""


def parse_entry(data: bytes, *, place: str = "") -> AnyLeaf:
    """Read one leaf; the inverse of `render_entry`.

    Raises:
        ProofInvalidError: it is too long, not an entry, or not spelled canonically.
    """
    if len(data) > ENTRY_SIZE_BYTES_MAX:
        raise ProofInvalidError(
            "an entry is too long", place=place, expected=f"<= {ENTRY_SIZE_BYTES_MAX} bytes", found=f"{len(data)}"
        )
    try:
        entry = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ProofInvalidError(f"a leaf is not an entry: {error}", place=place) from None
    if _encoder.encode(entry) != data:
        raise ProofInvalidError("an entry is not in canonical form", place=place)
    return entry


def commit(opening: bytes) -> bytes:
    """Give the commitment (32 bytes) to an opening: SHA-256 over its salt (16 bytes) and value."""
    return hashlib.sha256(opening).digest()


def render_opening(salt: bytes, value: About | Identity | Signed) -> bytes:
    """Give the opening of a commitment: 16 bytes of salt, then the value as JSON."""
    return salt + _encoder.encode(value)


def parse_about(opening: bytes, *, place: str = "") -> About:
    """Read the opening of an access.

    Raises:
        ProofInvalidError: it is not one.
    """
    return _parse_opening(_decoder_about, opening, place)


def parse_identity(opening: bytes, *, place: str = "") -> Identity:
    """Read the opening of a principal's identity.

    Raises:
        ProofInvalidError: it is not one.
    """
    return _parse_opening(_decoder_identity, opening, place)


def parse_signed(opening: bytes, *, place: str = "") -> Signed:
    """Read the opening of a proposal, an approval, a refusal or an order.

    Raises:
        ProofInvalidError: it is not one.
    """
    return _parse_opening(_decoder_signed, opening, place)


def _parse_opening(decoder: msgspec.json.Decoder[_Value], opening: bytes, place: str) -> _Value:
    if not SALT_SIZE_BYTES < len(opening) <= OPENING_SIZE_BYTES_MAX:
        raise ProofInvalidError("an opening has a wrong length", place=place, found=f"{len(opening)} bytes")
    try:
        return decoder.decode(memoryview(opening)[SALT_SIZE_BYTES:])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ProofInvalidError(f"an opening does not say what it should: {error}", place=place) from None


def public_file(rule: AnyLeaf) -> bytes | None:
    """Give the digest of the file that a rule names and that is published with the tree, or None when it names none."""
    if isinstance(rule, CharterEnacted):
        return rule.digest
    if isinstance(rule, Proposed) and isinstance(rule.change, EnactCharter):
        return rule.change.digest
    return None


def commitment_of(entry: AnyLeaf) -> bytes | None:
    """Give the commitment that an entry carries, or None when it carries none."""
    if isinstance(entry, Access | Downgrade | SubjectsNamed | SubjectErased):
        return entry.about
    if isinstance(entry, PrincipalRegistered):
        return entry.identity
    if isinstance(entry, Proposed | Ordered):
        return entry.statement
    if isinstance(entry, Approved | Declined):
        return entry.signature
    if isinstance(entry, Genesis):
        return entry.founding or None
    return None
