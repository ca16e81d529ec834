"""`verify` tells how long each revocation took, from the time in its signed statement to that of its entry."""

from __future__ import annotations

import json
from pathlib import Path

from ringfence.core import changes as c
from ringfence.verify import SELF_CONSISTENT, Verdict
from ringfence.verify.render import render_json, render_text
from ringfence.verify.revocations import Revocation, percentile_ms
from tests.attacks.bundles import judge, require_verified
from tests.governed import NUMBERS, a_grant
from tests.governed_ledgers import GovernedLedger, governed

WRITTEN_MS = 1000
"""Every entry of these ledgers is written a second after what led to it."""


def revoked() -> GovernedLedger:
    """Give a ledger with two revocations, of which the second took 4.5 seconds, and a break-glass."""
    ledger = governed(a_grant(), a_grant())
    ground = ledger.ground
    ground.order("ivy", c.RevokeGrant(grant=1))
    ground.order("eve", a_grant(kind=c.BREAK_GLASS, records_max=5), number=3)
    made_ms = ground.now_ms
    ground.now_ms += 3500
    ground.order("ada", c.RevokeGrant(grant=2), at_ms=made_ms)
    ledger.follow()
    return ledger


def test_each_revocation_is_told_with_its_time_and_nothing_else_is(tmp_path: Path) -> None:
    verdict = judge(revoked(), tmp_path)

    require_verified(verdict)
    told = [(item.change, item.by, item.took_ms) for item in verdict.revocations]
    assert told == [("revoke-grant", NUMBERS["ivy"], WRITTEN_MS), ("revoke-grant", NUMBERS["ada"], 3500 + WRITTEN_MS)]
    text = render_text(verdict)
    assert "         2  in 4,500 ms or less (99 of 100)" in text
    leaf = verdict.revocations[1].leaf
    assert f"     4,500  ms, the longest: revoke-grant by {NUMBERS['ada']}, leaf {leaf}" in text
    (first, _) = json.loads(render_json(verdict))["revocations"]
    assert first["took_ms"] == first["committed_at_ms"] - first["signed_at_ms"] == WRITTEN_MS


def test_time_of_a_revocation_is_withheld_without_openings(tmp_path: Path) -> None:
    ledger = revoked()
    verdict = judge(ledger, tmp_path, detail=False)

    assert [item.took_ms for item in verdict.revocations] == [None, None]
    assert "         2  of which the statement is withheld" in render_text(verdict)
    assert "or less" not in render_text(verdict)


def test_ledger_without_revocations_says_nothing_of_them(tmp_path: Path) -> None:
    verdict = judge(governed(), tmp_path)

    assert verdict.revocations == ()
    assert "Revocations" not in render_text(verdict)


def test_percentile_is_the_time_within_which_99_of_100_are() -> None:
    took = [Revocation(leaf, "dismiss", 1, leaf, 0, leaf) for leaf in range(1, 201)]

    assert percentile_ms(took) == 198
    assert percentile_ms(took[:1]) == 1
    assert percentile_ms([]) is None


def test_clock_of_an_author_that_is_ahead_shows() -> None:
    ahead = Revocation(7, "dismiss", 1, 1_000, 1_500, -500)
    text = render_text(Verdict(SELF_CONSISTENT, origin="log", revocations=(ahead,)))

    assert "         1  in -500 ms or less (99 of 100)" in text
