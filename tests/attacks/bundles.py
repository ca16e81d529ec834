"""How the tests on bundles ask for a verdict, and what they demand of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ringfence.verify import REFUTED, VERIFIED, Refutation, Trust, Verdict, verify_bundle
from tests.ledgers import Ledger


def judge(ledger: Ledger, directory: Path, *, trust: Trust | None = None, **options: Any) -> Verdict:
    """Write the ledger as a bundle and verify it, by its own pins unless others are given."""
    return verify_bundle(ledger.write(directory, **options), trust=trust or ledger.trust())


def require_verified(verdict: Verdict) -> None:
    """Fail with the refutations when the bundle was not verified."""
    assert verdict.outcome == VERIFIED, verdict.problem or verdict.refutations


def require_refuted(verdict: Verdict, what: str, *, leaf: int | None = None) -> Refutation:
    """Fail unless the bundle was refuted, for this reason (part of the sentence) and at this leaf; give the reason."""
    assert verdict.outcome == REFUTED, (verdict.outcome, verdict.problem)
    found = [item for item in verdict.refutations if what in item.what]
    assert found, verdict.refutations
    if leaf is not None:
        assert leaf in [item.leaf for item in found], found
        assert any(f"leaf {leaf} " in item.place for item in found), found
    return found[0]
