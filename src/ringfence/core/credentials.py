"""What the ledger records of a service's credential, and when one counts.

Rules of this file:
1. A credential counts from the entry that records it on, for the very service, build and certificate that the entry
   names, and until the entry's end. Whoever signs one that is in no entry has signed nothing.
2. It is given for an approval: once its build is withdrawn it counts no more, nor when the build is approved again.
3. A newer credential for the same certificate takes the place of the older one. What ended is dropped when the next
   one is recorded, so that a state holds those that count and few others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ringfence.core.decisions.refusal_words import why_not_approved
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.governed_entry import CredentialIssued
from ringfence.core.people.standing import IssuedCredential
from ringfence.core.state import State
from ringfence.core.times import HOUR_MS

LIFETIME_MS_MAX: Final = 12 * HOUR_MS
CREDENTIALS_MAX: Final = 1_000
"""Most certificates with a credential for one build of one service at a time."""
_DIGEST_SIZE_BYTES: Final = 32


def fold_credential(state: State, rule: CredentialIssued, *, at_ms: int, place: str) -> State:
    """Give the state after a credential was recorded.

    Raises:
        ProofInvalidError: it is for nobody who could be given one, for a build that is not approved for its party or
            that nobody is to attest, or for too long a time.
    """
    if reason := _why_not_issued(state, rule, at_ms=at_ms):
        raise ProofInvalidError(f"a credential was given to {rule.principal}, and {reason}", place=place)
    standing = state.governed
    known = standing.credentials.get((rule.principal, rule.build), {})
    kept = {certificate: one for certificate, one in known.items() if at_ms < one.until_ms}
    kept[rule.certificate] = IssuedCredential(rule.attestation, rule.until_ms, state.epoch + 1)
    if len(kept) > CREDENTIALS_MAX:
        raise ProofInvalidError(
            f"{rule.principal} has credentials for too many certificates at once",
            place=place,
            expected=f"<= {CREDENTIALS_MAX}",
        )
    credentials = standing.credentials.set((rule.principal, rule.build), kept)
    return replace(state, standing=replace(standing, credentials=credentials))


def _why_not_issued(state: State, rule: CredentialIssued, *, at_ms: int) -> str:
    standing, who = state.governed, state.principals.get(rule.principal)
    if who is None or rule.principal in standing.members:
        return "no service has this number"
    if reason := why_not_approved(standing, who.party, rule.build):
        return reason
    if not standing.builds[rule.build].attestor:
        return f"nobody is to attest the build {rule.build.hex()}"
    if not len(rule.certificate) == len(rule.attestation) == _DIGEST_SIZE_BYTES:
        return "it names its certificate or its attestation by no SHA-256"
    if not 0 < rule.until_ms - at_ms <= LIFETIME_MS_MAX:
        return f"it is for no time from 1 ms to {LIFETIME_MS_MAX} ms"
    return ""
