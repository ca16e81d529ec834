"""The verifier: re-runs every recorded decision, offline, for someone who trusts nobody.

Imports `ringfence.core` alone, and needs no network and no secret of the custodian. It answers verified, refuted with
the place named, or unreadable, and says what it had to take on trust. Start with `verifier.py`.

`trust`, `bundle` what is pinned, and what is read · `checkpoints`, `tree` what the log signed · `rules` folded in
order · `parts`, `processes`, `scope`, `lanes` the leaves, in parts side by side · `entries`, `decisions`, `openings`,
`requests`, `outcomes`, `grants`, `counters` what each must say · `revocations` how long they took · `verdict`,
`conclusion`, `render` the answer. Apart from all of this, `receipts` holds one receipt against its proof.
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
