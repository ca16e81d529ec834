"""Credentials of services: short tokens, bound to a service's TLS key, that name the approved build that it runs.

Rules of this file:
1. A credential is given for a build that people approved for the party of a registered service, with an attestation by
   the very key that they agreed to for it, and for nothing else. That the build still is approved is decided again at
   each call.
2. It counts on connections that show the service's certificate, for some hours at most: see `gateway.authentication`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt

from ringfence.app.attestations import Attested, verify_attestation
from ringfence.app.credential_keys import read_trusted_key, require_governed
from ringfence.app.deployment import Deployment
from ringfence.core.attestors import name_attestor
from ringfence.core.errors import DeniedError, InvalidInputError
from ringfence.core.issuers import CREDENTIALS_ISSUER
from ringfence.core.refusal_words import why_not_approved
from ringfence.core.standing import Standing
from ringfence.core.state import State
from ringfence.gateway.authentication import AUDIENCE, THUMBPRINT, render_thumbprint

LIFETIME_SECONDS_MAX: Final = 12 * 3_600
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


def issue_credential(
    deployment: Deployment,
    state: State,
    *,
    attestation: bytes,
    certificate: bytes,
    subject: str,
    lifetime_seconds: int,
    now_seconds: int,
) -> Credential:
    """Give a service a credential for the build that an attestation names, bound to its certificate.

    Args:
        deployment: whose key signs.
        state: the newest.
        attestation: a DSSE envelope with an in-toto statement.
        certificate: the service's, as PEM.
        subject: what the service is registered under.
        lifetime_seconds: up to `LIFETIME_SECONDS_MAX`; it ends with the certificate at the latest.
        now_seconds: seconds since 1970 UTC.

    Raises:
        ConfigurationError: the ledger is not governed or does not trust the key here.
        InvalidInputError: the subject is no registered service's, or the certificate cannot be used.
        ProofInvalidError: the attestation does not hold.
        DeniedError: the build is not approved for the service's party, or is attested by a key that nobody agreed to.
    """
    standing = require_governed(state)
    key = read_trusted_key(deployment, state)
    if not 1 <= lifetime_seconds <= LIFETIME_SECONDS_MAX:
        raise InvalidInputError(f"a credential is valid for 1 to {LIFETIME_SECONDS_MAX} seconds")
    party = _party_of(state, standing, subject)
    shown = _read_certificate(certificate, now_seconds)
    attestors = {build.attestor for build in standing.builds.values() if build.attestor}
    attested = verify_attestation(attestation, attestors, place="attestation")
    if reason := _why_not_given(standing, party, attested):
        raise DeniedError(
            f"{subject} gets no credential: {reason}",
            could_ask=["one for an approved build: a proposal to approve one needs the quorum of the charter"],
        )
    ends_seconds = min(now_seconds + lifetime_seconds, int(shown.not_valid_after_utc.timestamp()))
    claims = {
        "iss": CREDENTIALS_ISSUER,
        "sub": subject,
        "aud": AUDIENCE,
        "iat": now_seconds,
        "exp": ends_seconds,
        "cnf": {THUMBPRINT: render_thumbprint(shown.fingerprint(SHA256()))},
        "build": attested.build.hex(),
    }
    token = jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])
    return Credential(token, attested.build, standing.builds[attested.build].attestor, ends_seconds)


def _party_of(state: State, standing: Standing, subject: str) -> str:
    """Give the party of the service that is registered under a subject."""
    number = state.identities.get((CREDENTIALS_ISSUER, subject))
    if number is None or number in standing.members:
        raise InvalidInputError(
            f"{subject!r:.80} is no service that is registered for credentials",
            place="subject",
            hint=f"a proposal registers one: `do: register-service` with `issuer: {CREDENTIALS_ISSUER}`",
        )
    return state.principals[number].party


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


def _read_certificate(data: bytes, now_seconds: int) -> x509.Certificate:
    """Read the first certificate of a PEM file, which is the service's own."""
    try:
        if len(data) > CERTIFICATE_SIZE_BYTES_MAX:
            raise ValueError(f"it is larger than {CERTIFICATE_SIZE_BYTES_MAX} bytes")
        certificate = x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise InvalidInputError(f"the certificate cannot be read: {error}", place="certificate") from None
    now = datetime.fromtimestamp(now_seconds, UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise InvalidInputError(
            f"the certificate is valid from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}",
            place="certificate",
        )
    return certificate
