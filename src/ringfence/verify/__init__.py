"""The verifier: re-runs every recorded decision, offline, for someone who trusts nobody.

Imports `ringfence.core` alone, and needs no network and no secret of the custodian. It answers verified, refuted with
the place named, or unreadable, and says what it had to take on trust. Start with `verifier.py`.
"""

from ringfence.verify.trust import Trust, parse_trust
from ringfence.verify.verdict import REFUTED, SELF_CONSISTENT, UNREADABLE, VERIFIED, Refutation, Verdict
from ringfence.verify.verifier import verify_bundle

__all__ = [
    "REFUTED",
    "SELF_CONSISTENT",
    "UNREADABLE",
    "VERIFIED",
    "Refutation",
    "Trust",
    "Verdict",
    "parse_trust",
    "verify_bundle",
]
