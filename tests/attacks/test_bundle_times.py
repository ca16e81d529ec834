"""Times that the ledger itself contradicts: what a rule began is not of a time before that rule."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.governed import HOUR_MS, a_grant
from tests.governed_ledgers import GovernedLedger, governed
from tests.ledgers import ALICE, GATEWAY, started

EARLIER = "a batch is of an earlier time than the rule that began its epoch"
GIVEN = {"protected": "helping", "public": "helping"}


def with_a_rule_after_the_grant_ended() -> tuple[GovernedLedger, int]:
    """Give a ledger with a rule that is ten hours later than the end of grant 1, and that end."""
    ledger = governed()
    until_ms = ledger.ground.state.governed.grants[1].until_ms
    ledger.ground.now_ms = until_ms + 10 * HOUR_MS
    ledger.ground.propose("eve", a_grant())
    ledger.follow()
    return ledger, until_ms


def test_access_under_a_grant_that_ended_is_not_dated_back_behind_a_rule(tmp_path: Path) -> None:
    ledger, until_ms = with_a_rule_after_the_grant_ended()
    place = ledger.batch(GATEWAY, ledger.read(ALICE, decided=GIVEN), at_ms=until_ms - 1)
    ledger.now_ms = until_ms + 11 * HOUR_MS

    require_refuted(judge(ledger, tmp_path), EARLIER, leaf=place)


def test_access_is_not_dated_before_its_grant_was_given(tmp_path: Path) -> None:
    ledger = governed()
    given_ms = ledger.ground.state.governed.grants[1].given_ms
    place = ledger.batch(GATEWAY, ledger.read(ALICE, decided=GIVEN), at_ms=given_ms - 1)

    require_refuted(judge(ledger, tmp_path / "before"), EARLIER, leaf=place)
    honest = governed()
    honest.batch(GATEWAY, honest.read(ALICE, decided=GIVEN), at_ms=given_ms)
    require_verified(judge(honest, tmp_path / "at"))


def test_rule_is_not_dated_before_the_rule_that_it_follows(tmp_path: Path) -> None:
    ledger = started()
    ruled_ms = ledger.state.ruled_ms
    ledger.register(50, "app")
    require_verified(judge(ledger, tmp_path / "honest"))
    ledger.now_ms = ruled_ms - HOUR_MS
    ledger.register(51, "app")
    ledger.now_ms = ruled_ms + HOUR_MS

    require_refuted(judge(ledger, tmp_path / "back"), "time")
