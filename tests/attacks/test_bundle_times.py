"""Times that the ledger itself contradicts: of what follows a rule before it, or of a rule before what it follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.core import changes as c
from ringfence.core.folding import RuleSource
from ringfence.core.ledger import entry as e
from ringfence.core.ledger import governed_entry as g
from ringfence.verify.checkpoints import CLOCK_SKEW_MS_MAX
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.governed import APP, HOUR_MS, a_grant
from tests.governed_ledgers import GovernedLedger, governed
from tests.ledgers import ALICE, BOB, GATEWAY, INGEST, Ledger, started

EARLIER = "a batch is of an earlier time than the rule that began its epoch"
MINUTE_MS = 60_000
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


# -- rules that are dated back behind what other lanes wrote -----------------------------------------------------------


def serve(ledger: GovernedLedger, *, at_ms: int) -> e.Batch:
    """Let the app read a user's record at this time; give the header of the batch."""
    ledger.now_ms = at_ms - 10
    place = ledger.batch(GATEWAY, ledger.access(principal=APP))
    header = e.parse_entry(ledger.leaves[place])
    assert isinstance(header, e.Batch)
    assert header.at_ms == at_ms
    return header


def earlier_than(rule: int, batch: e.Batch) -> str:
    return f"rule {rule} is of an earlier time than batch {batch.n} of lane {batch.lane}, before it"


@pytest.mark.parametrize("is_dated_back", [True, False])
def test_revocation_is_not_dated_back_behind_an_access(tmp_path: Path, is_dated_back: bool) -> None:
    """It was asked for at once and held up for half an hour, and is made to look as if it had taken a second."""
    ledger = governed()
    asked_ms = ledger.ground.now_ms
    served = serve(ledger, at_ms=asked_ms + 30 * MINUTE_MS)
    ledger.ground.now_ms = asked_ms if is_dated_back else served.at_ms
    ledger.ground.order("ada", c.RevokeGrant(grant=1), at_ms=asked_ms)
    ledger.follow()
    ledger.now_ms = served.at_ms + HOUR_MS

    verdict = judge(ledger, tmp_path)

    (revocation,) = verdict.revocations
    if is_dated_back:
        found = require_refuted(verdict, earlier_than(ledger.epoch, served), leaf=revocation.leaf)
        assert int(found.found) == asked_ms + 1_000
    else:
        require_verified(verdict)
        assert revocation.took_ms == 30 * MINUTE_MS + 1_000


@pytest.mark.parametrize("served_first", [True, False])
def test_request_is_not_carried_at_a_time_before_it_expired_once_later_accesses_stand(
    tmp_path: Path, served_first: bool
) -> None:
    ledger = governed()
    proposal = ledger.ground.propose("eve", a_grant())
    expires_ms = ledger.ground.state.governed.proposals[proposal].expires_ms
    ledger.ground.approve(proposal, "ada", "ben")
    ledger.follow()
    if served_first:
        served = serve(ledger, at_ms=expires_ms + HOUR_MS)
    ledger.ground.now_ms = expires_ms - 2_000
    ledger.ground.carry(proposal, 2)
    ledger.follow()
    carried = ledger.epoch
    if not served_first:
        serve(ledger, at_ms=expires_ms + HOUR_MS)
    ledger.now_ms = expires_ms + 2 * HOUR_MS

    verdict = judge(ledger, tmp_path)

    if served_first:
        require_refuted(verdict, earlier_than(carried, served))
    else:
        require_verified(verdict)


def test_request_that_is_carried_at_the_time_of_a_later_access_has_expired(tmp_path: Path) -> None:
    """A rule is decided at the time that it bears, and this is the earliest that an honest writer could give it."""
    ledger = governed()
    proposal = ledger.ground.propose("eve", a_grant())
    expires_ms = ledger.ground.state.governed.proposals[proposal].expires_ms
    ledger.ground.approve(proposal, "ada", "ben")
    ledger.follow()
    served = serve(ledger, at_ms=expires_ms + HOUR_MS)
    carried = g.Carried(proposal=proposal, number=2)
    ledger.ground.entries.append((carried, RuleSource(lane=0, at_ms=served.at_ms)))
    ledger.follow()
    ledger.now_ms = served.at_ms + HOUR_MS

    require_refuted(judge(ledger, tmp_path), f"proposal {proposal} has expired")


@pytest.mark.parametrize("behind_ms", [0, CLOCK_SKEW_MS_MAX, CLOCK_SKEW_MS_MAX + 1, HOUR_MS])
def test_rule_may_be_behind_a_gateway_by_what_two_clocks_may_be_apart(tmp_path: Path, behind_ms: int) -> None:
    ledger = started()
    newest_ms = ledger.now_ms + 2 * HOUR_MS
    ledger.batch(GATEWAY, ledger.access(), at_ms=newest_ms)
    ledger.now_ms = newest_ms - behind_ms - 10
    place = ledger.register(50, "app")
    ledger.now_ms = newest_ms + HOUR_MS

    verdict = judge(ledger, tmp_path)

    if behind_ms > CLOCK_SKEW_MS_MAX:
        found = require_refuted(verdict, "is of an earlier time than batch", leaf=place)
        assert (int(found.found), found.expected) == (newest_ms - behind_ms, f">= {newest_ms - CLOCK_SKEW_MS_MAX}")
        assert len(verdict.refutations) == 1
    else:
        require_verified(verdict)


def went_back(lane: int) -> Ledger:
    """Give a ledger where the clock of a gateway, or the authority's (lane 0), was an hour late; written honestly."""
    ledger = started()
    newest_ms = ledger.now_ms + HOUR_MS
    ledger.batch(GATEWAY, ledger.access(), at_ms=newest_ms)
    if lane == GATEWAY:  # the lane goes on at its newest time, and another at its own, which is right
        ledger.batch(GATEWAY, ledger.access(), at_ms=newest_ms)
        ledger.batch(INGEST, ledger.access(verb="write"), at_ms=newest_ms - HOUR_MS + 1_000)
    ledger.now_ms = newest_ms - 10  # the rule is of the newest time that any lane wrote
    ledger.register(50, "app")
    ledger.batch(INGEST, ledger.access(verb="write"), at_ms=newest_ms)
    ledger.now_ms = newest_ms + HOUR_MS
    return ledger


@pytest.mark.parametrize("lane", [0, GATEWAY])
def test_clock_that_went_back_an_hour_refutes_no_honest_ledger(tmp_path: Path, lane: int) -> None:
    require_verified(judge(went_back(lane), tmp_path))


def test_erasure_is_not_dated_back_behind_what_another_lane_wrote(tmp_path: Path) -> None:
    """A gateway writes erasures, which are rules: they are held against every other lane as well."""
    for name, behind_ms in (("honest", 0), ("back", HOUR_MS)):
        ledger = started()
        ledger.erase(ALICE)
        newest_ms = ledger.now_ms + 2 * HOUR_MS
        ledger.batch(INGEST, ledger.access(BOB), at_ms=newest_ms)
        ledger.now_ms = newest_ms - behind_ms - 10
        place = ledger.erase(b"carol-----------")
        ledger.now_ms = newest_ms + HOUR_MS
        verdict = judge(ledger, tmp_path / name)
        if behind_ms:
            require_refuted(verdict, f"of lane {INGEST}, before it", leaf=place)
        else:
            require_verified(verdict)
