"""Founding: how a governed ledger begins, signed by everyone who founds it.

Rules of this file:
1. The founding document names the ledger, its keys, its charter, the custodian's build, the founders with their facts
   and duties, the first services, and the first issuers of tokens. Every founder signs its exact bytes, in the
   namespace `found@ringfence`.
2. The genesis entry says in the clear what the fold needs: founders' numbers (1, 2, ... in order), parties, duties and
   public keys, the services' parties, and the issuers. The document and the signatures are its opening.
3. What the founders may be is checked when the charter that the document names is enacted, as the very next rule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec
from immutables import Map

from ringfence.core.charter import Charter
from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.governance.change_shape import NUMBER_MAX, TIME_MS_MAX, TITLE_CHARACTERS_MAX, is_name
from ringfence.core.governance.statement import NONCE_SIZE_BYTES
from ringfence.core.governance.wording import quote
from ringfence.core.issuers import is_trustable
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.governed_entry import Founder, TrustedIssuer
from ringfence.core.ledger.signed_note import VKEY_SIZE_CHARACTERS_MAX
from ringfence.core.people.independence import find_conflicts
from ringfence.core.people.register import PersonFacts, Register, find_fault, record
from ringfence.core.people.signatures import read_key, verify_signature
from ringfence.core.people.standing import Appointment, Build, Member, SigningKey, Standing

FOUND: Final = "found@ringfence"
FOUNDERS_MIN: Final = 3
FOUNDERS_MAX: Final = 32
THRESHOLD_MIN: Final = 2
SERVICES_MAX: Final = 32
ISSUERS_MAX: Final = 8
FOUNDING_SIZE_BYTES_MAX: Final = 64 * 1024
BUILD_NAME: Final = "the build that the ledger was founded with"


class FoundingPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One founder: the facts, the duties, the public key (OpenSSH wire format), and who the person's tokens name."""

    facts: PersonFacts
    duties: tuple[str, ...]
    key: bytes
    identity: e.Identity


class FoundingService(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service that is known from the start."""

    party: str
    identity: e.Identity


class Founding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="founding", tag="v1"):
    """The founding document. `charter` and `build` are SHA-256 digests; `nonce` is 16 random bytes.

    `holders` are the founders among whom the secret of the custodian's keys is shared out, `threshold` how many of them
    open it; none and 0 where the keys are not sealed. `issuers` are in order of name.
    """

    origin: str
    mode: str
    engine: str
    authority: bytes
    log_key: str
    charter: bytes
    build: bytes
    at_ms: int
    nonce: bytes
    people: tuple[FoundingPerson, ...]
    services: tuple[FoundingService, ...] = ()
    holders: tuple[int, ...] = ()
    threshold: int = 0
    issuers: tuple[TrustedIssuer, ...] = ()


class SignedFounding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Opening of a governed genesis: the document's exact bytes and a signature of each founder, in order."""

    document: bytes
    signatures: tuple[bytes, ...]


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Founding)
_decoder_signed = msgspec.json.Decoder(SignedFounding)


def render_founding(founding: Founding) -> bytes:
    """Give the document's bytes, which every founder signs."""
    return _encoder.encode(founding)


def parse_founding(data: bytes, *, place: str = "") -> Founding:
    """Read a founding document; the inverse of `render_founding`.

    Raises:
        ProofInvalidError: it is too long, is none, is not spelled canonically, or has a field that none can have.
    """
    if len(data) > FOUNDING_SIZE_BYTES_MAX:
        raise ProofInvalidError(
            "the founding document is too long", place=place, expected=f"<= {FOUNDING_SIZE_BYTES_MAX} bytes"
        )
    try:
        founding = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        told = quote(str(error))[1:-1]
        raise ProofInvalidError(f"the founding document cannot be read: {told}", place=place) from None
    if _encoder.encode(founding) != data:
        raise ProofInvalidError("the founding document is not in canonical form", place=place)
    check_founding(founding, place=place)
    return founding


def check_founding(founding: Founding, *, place: str = "") -> None:
    """Refuse a document with a field that no founding document can have, whatever its charter says.

    Raises:
        ProofInvalidError: says which field.
    """
    digests = (founding.authority, founding.charter, founding.build)
    checks = (
        (1 <= len(founding.origin) <= TITLE_CHARACTERS_MAX, "origin"),
        (founding.mode in (e.DEVELOPMENT, e.PRODUCTION), "mode"),
        (is_name(founding.engine), "engine"),
        (all(len(digest) == e.HASH_SIZE_BYTES for digest in digests), "authority, charter or build"),
        (len(founding.log_key) <= VKEY_SIZE_CHARACTERS_MAX, "log_key"),
        (0 <= founding.at_ms <= TIME_MS_MAX, "at_ms"),
        (len(founding.nonce) == NONCE_SIZE_BYTES, "nonce"),
        (FOUNDERS_MIN <= len(founding.people) <= FOUNDERS_MAX, "number of people"),
        (len(founding.services) <= SERVICES_MAX, "number of services"),
        (_are_holders(founding), "holders or threshold"),
        (are_issuers(founding.issuers), "issuers"),
        (all(is_name(service.party) for service in founding.services), "services' parties"),
        (all(_is_identity(service.identity) for service in founding.services), "services' identities"),
    )
    for fits, field in checks:
        if not fits:
            raise ProofInvalidError(f"the founding document's {field} cannot be", place=place)
    for number, person in enumerate(founding.people, start=1):
        if fault := _find_fault(person, number):
            raise ProofInvalidError(f"founder {number} cannot be told so: {fault}", place=place)


def _are_holders(founding: Founding) -> bool:
    """Tell whether the keys are shared out among founders, in order and once each, or not shared out at all."""
    holders, threshold = founding.holders, founding.threshold
    if not holders:
        return threshold == 0
    among = set(range(1, len(founding.people) + 1))
    return THRESHOLD_MIN <= threshold <= len(holders) and holders == tuple(sorted(among & set(holders)))


def are_issuers(issuers: tuple[TrustedIssuer, ...]) -> bool:
    """Tell whether issuers can be trusted from the start: few, in order and once each, none that is a tool of ours."""
    names = [issuer.name for issuer in issuers]
    return (
        len(names) <= ISSUERS_MAX
        and names == sorted(set(names))
        and all(1 <= len(name) <= TITLE_CHARACTERS_MAX and is_trustable(name) for name in names)
        and all(len(issuer.keys) == e.HASH_SIZE_BYTES for issuer in issuers)
    )


def _find_fault(person: FoundingPerson, number: int) -> str:
    """Say what about a founder cannot be; "" when all of it can."""
    facts, duties = person.facts, person.duties
    if fault := find_fault(facts):
        return fault
    if facts.number != number:
        return "founders are numbered in order"
    if not is_name(facts.party) or max(facts.manager, *facts.directed_by, 0) > NUMBER_MAX:
        return "the party is no name of a charter, or a number is too large"
    if not (0 <= facts.starts_ms <= TIME_MS_MAX and 0 <= facts.ends_ms <= TIME_MS_MAX):
        return "a time is in no calendar"
    if not duties or duties != tuple(sorted(set(duties))) or not all(map(is_name, duties)):
        return "duties are names of the charter, one or more, in order and once each"
    if not _is_identity(person.identity):
        return f"issuer and subject have 1 to {TITLE_CHARACTERS_MAX} characters each"
    try:
        read_key(person.key)
    except InvalidInputError as error:
        return error.message
    return ""


def _is_identity(identity: e.Identity) -> bool:
    return all(1 <= len(name) <= TITLE_CHARACTERS_MAX for name in (identity.issuer, identity.subject))


def render_founding_opening(salt: bytes, signed: SignedFounding) -> bytes:
    """Give the opening of a governed genesis: 16 bytes of salt, then the document with its signatures as JSON."""
    return salt + _encoder.encode(signed)


def genesis_of(founding: Founding, *, commitment: bytes) -> e.Genesis:
    """Give the genesis entry that a founding document leads to."""
    return e.Genesis(
        origin=founding.origin,
        mode=founding.mode,
        engine=founding.engine,
        authority=founding.authority,
        log_key=founding.log_key,
        at_ms=founding.at_ms,
        founders=tuple(
            Founder(person=number, party=person.facts.party, duties=person.duties, key=person.key)
            for number, person in enumerate(founding.people, start=1)
        ),
        services=tuple(service.party for service in founding.services),
        founding=commitment,
        charter=founding.charter,
        build=founding.build,
        holders=founding.holders,
        threshold=founding.threshold,
        issuers=founding.issuers,
    )


def verify_founding(signed: SignedFounding, *, place: str = "") -> Founding:
    """Check that every founder signed the document (rule 1).

    Raises:
        ProofInvalidError: a signature is missing or does not hold.
    """
    founding = parse_founding(signed.document, place=place)
    if len(signed.signatures) != len(founding.people):
        raise ProofInvalidError(
            "a founder's signature is missing",
            place=place,
            expected=f"{len(founding.people)}",
            found=f"{len(signed.signatures)}",
        )
    for number, (person, signature) in enumerate(zip(founding.people, signed.signatures, strict=True), start=1):
        try:
            verify_signature(signature, signed.document, namespace=FOUND, key=person.key)
        except ProofInvalidError as error:
            raise ProofInvalidError(
                f"founder {number} did not sign the founding document: {error.message}", place=place
            ) from None
    return founding


def begin_standing(genesis: e.Genesis, opening: bytes | None, *, place: str) -> tuple[Standing, list[e.Identity]]:
    """Give the standing that a governed ledger begins with, and the identities of founders and services if known.

    Raises:
        ProofInvalidError: the founders are too few or are not numbered in order, a key or build is missing, or the
            document does not say what the entry says.
    """
    founders = genesis.founders
    if not FOUNDERS_MIN <= len(founders) <= FOUNDERS_MAX:
        raise ProofInvalidError(
            "a governed ledger has too few founders or too many",
            place=place,
            expected=f"{FOUNDERS_MIN} to {FOUNDERS_MAX}",
            found=str(len(founders)),
        )
    if [founder.person for founder in founders] != list(range(1, len(founders) + 1)):
        raise ProofInvalidError("founders are not numbered in order", place=place)
    if len({founder.key for founder in founders}) != len(founders):
        raise ProofInvalidError("two founders have one key", place=place)
    if not len(genesis.charter) == len(genesis.build) == len(genesis.founding) == e.HASH_SIZE_BYTES:
        raise ProofInvalidError("a governed genesis lacks its charter, its build or its founding document", place=place)
    _check_holders(genesis, place=place)
    if not are_issuers(genesis.issuers):
        raise ProofInvalidError("the issuers of a governed genesis cannot be", place=place)
    register, identities = None, []
    if opening is not None:
        founding = _open(genesis, opening, place=place)
        register = record(Register(), [person.facts for person in founding.people], at_ms=genesis.at_ms)
        identities = [person.identity for person in founding.people]
        identities += [service.identity for service in founding.services]
    members, keys = {}, {}
    for founder in founders:
        duties = {duty: Appointment(duty, 1, 0) for duty in founder.duties}
        members[founder.person] = Member(founder.person, founder.party, duties)
        keys[founder.person] = SigningKey(founder.person, founder.person, founder.key, 1)
    standing = Standing(
        register=register,
        founding_charter=genesis.charter,
        founding_build=genesis.build,
        members=Map(members),
        keys=Map(keys),
        issuers=Map({issuer.name: issuer.keys for issuer in genesis.issuers}),
        holders=genesis.holders,
        threshold=genesis.threshold,
        withheld=0 if opening is not None else 1,
    )
    return standing, identities


def _check_holders(genesis: e.Genesis, *, place: str) -> None:
    """Check that nobody holds the custodian's keys alone, where they are shared out; in production they must be."""
    holders, threshold = genesis.holders, genesis.threshold
    if not holders and not threshold and genesis.mode == e.DEVELOPMENT:
        return
    numbers = {founder.person for founder in genesis.founders}
    if not (THRESHOLD_MIN <= threshold <= len(holders) == len(set(holders)) and set(holders) <= numbers):
        raise ProofInvalidError(
            "the custodian's keys are not shared out among founders",
            place=place,
            expected=f"a threshold of {THRESHOLD_MIN} or more of different founders",
            found=f"{threshold} of {len(holders)}",
        )


def _open(genesis: e.Genesis, opening: bytes, *, place: str) -> Founding:
    try:
        signed = _decoder_signed.decode(memoryview(opening)[e.SALT_SIZE_BYTES :])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ProofInvalidError(f"the founding's opening does not say what it should: {error}", place=place) from None
    founding = verify_founding(signed, place=place)
    if genesis_of(founding, commitment=genesis.founding) != genesis:
        raise ProofInvalidError("the genesis entry says something else than the founding document", place=place)
    if [person.facts.number for person in founding.people] != [founder.person for founder in genesis.founders]:
        raise ProofInvalidError("the founding document numbers its people in another way", place=place)
    return founding


def approve_founding_build(standing: Standing, charter: Charter) -> Standing:
    """Approve the build that the custodian begins with."""
    build = Build(standing.founding_build, BUILD_NAME, charter.custodian, 1)
    return replace(standing, builds=standing.builds.set(build.digest, build))


def check_founders(standing: Standing, charter: Charter, *, at_ms: int, place: str) -> None:
    """Check the founders against the charter that they founded the ledger on (rule 3).

    Raises:
        ProofInvalidError: names the founder and the rule.
    """
    governance = charter.governance
    if governance is None:
        raise ProofInvalidError("the founding charter says nothing of governance", place=place)
    for number, member in sorted(standing.members.items()):
        if member.party not in charter.parties:
            raise ProofInvalidError(f"founder {number} is of a party that the charter does not name", place=place)
        for name in member.duties:
            duty = governance.duties.get(name)
            if duty is None or duty.party != member.party:
                raise ProofInvalidError(f"founder {number} cannot hold the duty {name}", place=place)
            if others := governance.separated_from(name) & set(member.duties):
                raise ProofInvalidError(f"founder {number} holds {name} together with {min(others)}", place=place)
        if standing.register is not None and (
            conflicts := find_conflicts(standing.register, charter, number, duties=tuple(member.duties), at_ms=at_ms)
        ):
            raise ProofInvalidError(f"founder {number} is not independent: {conflicts[0].words}", place=place)
