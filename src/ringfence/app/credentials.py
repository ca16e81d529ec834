"""Credentials of services: short tokens, bound to a service's TLS key, that name the approved build that it runs.

Rules of this file:
1. A credential is given for a build that people approved for the party of a registered service, with an attestation by
   the very key that they agreed to for it, and for nothing else. That the build still is approved is decided again at
   each call.
2. It counts on connections that show the service's certificate, for some hours at most: see `gateway.authentication`.
3. It counts once the ledger has recorded that it was given, and no other does, whoever signed it: see
   `core.credentials`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import OKPKey

from ringfence.app.attestations import Attested, verify_attestation
from ringfence.app.credential_keys import read_trusted_key, require_governed
from ringfence.app.deployment import Deployment
from ringfence.core.credentials import LIFETIME_MS_MAX
from ringfence.core.decisions.refusal_words import why_not_approved
from ringfence.core.errors import DeniedError, InvalidInputError
from ringfence.core.issuers import CREDENTIALS_ISSUER
from ringfence.core.ledger.governed_entry import CredentialIssued
from ringfence.core.people.attestors import name_attestor
from ringfence.core.people.standing import Standing
from ringfence.core.state import State
from ringfence.gateway.authentication import AUDIENCE, THUMBPRINT, render_thumbprint
from ringfence.services.governance.rule_writing import RuleWriter, WrittenRule

LIFETIME_SECONDS_MAX: Final = LIFETIME_MS_MAX // 1000
CERTIFICATE_SIZE_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential: the token, the digest of the build that it names, and when it ends (seconds since 1970 UTC).

    `attestor` is the key, as DER, that people agreed to for the build, and that attested it.
    """

    token: str
    build: bytes
    attestor: bytes
    ends_seconds: int


async def issue_credential(
    deployment: Deployment,
    rules: RuleWriter,
    *,
    attestation: bytes,
    certificate: bytes,
    subject: str,
    lifetime_seconds: int,
) -> Credential:
    """Give a service a credential for the build that an attestation names, bound to its certificate.

    That it is given is durable in the ledger before it is signed. A crash in between leaves an entry, and no credential
    that anybody could show.

    Args:
        deployment: whose key signs.
        rules: writes into the authority's lane.
        attestation: a DSSE envelope with an in-toto statement.
        certificate: the service's, as PEM.
        subject: what the service is registered under.
        lifetime_seconds: up to `LIFETIME_SECONDS_MAX`; it ends with the certificate at the latest.

    Raises:
        ConfigurationError: the ledger is not governed or does not trust the key here.
        InvalidInputError: the subject is no registered service's, or the certificate cannot be used.
        ProofInvalidError: the attestation does not hold.
        DeniedError: the build is not approved for the service's party, or is attested by a key that nobody agreed to.
        ConflictError: the rules do not allow it, as when the service has too many.
    """
    if not 1 <= lifetime_seconds <= LIFETIME_SECONDS_MAX:
        raise InvalidInputError(f"a credential is valid for 1 to {LIFETIME_SECONDS_MAX} seconds")
    recorded: list[tuple[OKPKey, CredentialIssued, bytes, int]] = []

    def make(state: State, at_ms: int) -> WrittenRule:
        number, attested = _find_build(state, subject, attestation)
        shown = _read_certificate(certificate, at_ms)
        ends_seconds = min(at_ms // 1000 + lifetime_seconds, int(shown.not_valid_after_utc.timestamp()))
        rule = CredentialIssued(
            principal=number,
            build=attested.build,
            certificate=shown.fingerprint(SHA256()),
            attestation=hashlib.sha256(attestation).digest(),
            until_ms=ends_seconds * 1000,
        )
        attestor = state.governed.builds[attested.build].attestor
        recorded[:] = [(read_trusted_key(deployment, state), rule, attestor, at_ms // 1000)]
        return WrittenRule(rule)

    await rules.write(make)
    key, rule, attestor, now_seconds = recorded[0]
    return Credential(_sign(key, rule, subject, now_seconds), rule.build, attestor, rule.until_ms // 1000)


def _sign(key: OKPKey, rule: CredentialIssued, subject: str, now_seconds: int) -> str:
    claims = {
        "iss": CREDENTIALS_ISSUER,
        "sub": subject,
        "aud": AUDIENCE,
        "iat": now_seconds,
        "exp": rule.until_ms // 1000,
        "cnf": {THUMBPRINT: render_thumbprint(rule.certificate)},
        "build": rule.build.hex(),
    }
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


def _find_build(state: State, subject: str, attestation: bytes) -> tuple[int, Attested]:
    """Give the number of the service that is registered under a subject, and the build that it may be given one for."""
    standing = require_governed(state)
    number = state.identities.get((CREDENTIALS_ISSUER, subject))
    if number is None or number in standing.members:
        raise InvalidInputError(
            f"{subject!r:.80} is no service that is registered for credentials",
            place="subject",
            hint=f"a proposal registers one: `do: register-service` with `issuer: {CREDENTIALS_ISSUER}`",
        )
    attestors = {build.attestor for build in standing.builds.values() if build.attestor}
    attested = verify_attestation(attestation, attestors, place="attestation")
    if reason := _why_not_given(standing, state.principals[number].party, attested):
        raise DeniedError(
            f"{subject} gets no credential: {reason}",
            could_ask=["one for an approved build: a proposal to approve one needs the quorum of the charter"],
        )
    return number, attested


def _why_not_given(standing: Standing, party: str, attested: Attested) -> str:
    """Say why a party's services get no credential for an attested build; "" where they do."""
    if reason := why_not_approved(standing, party, attested.build):
        return reason
    agreed = standing.builds[attested.build].attestor
    if agreed in attested.attestors:
        return ""
    signers = sorted(name_attestor(attestor) for attestor in attested.attestors)
    keys = f"the key {signers[0]}" if len(signers) == 1 else f"the keys {' and '.join(signers)}"
    words = f"people agreed to the key {name_attestor(agreed)}" if agreed else "people agreed that nobody attests it"
    return f"the build {attested.build.hex()} is attested by {keys}, and {words}"


def _read_certificate(data: bytes, at_ms: int) -> x509.Certificate:
    """Read the first certificate of a PEM file, which is the service's own."""
    try:
        if len(data) > CERTIFICATE_SIZE_BYTES_MAX:
            raise ValueError(f"it is larger than {CERTIFICATE_SIZE_BYTES_MAX} bytes")
        certificate = x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise InvalidInputError(f"the certificate cannot be read: {error}", place="certificate") from None
    now = datetime.fromtimestamp(at_ms / 1000, UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise InvalidInputError(
            f"the certificate is valid from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}",
            place="certificate",
        )
    return certificate
