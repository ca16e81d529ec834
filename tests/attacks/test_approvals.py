"""Attacks on approvals that are known from other systems. Each is refused by name, and its honest twin is carried."""

from __future__ import annotations

import hashlib

import pytest

from ringfence.core import changes as c
from ringfence.core.charter import parse_charter
from ringfence.core.errors import CharterInvalidError, ProofInvalidError
from ringfence.core.governance.statement import APPROVE
from ringfence.core.ledger import entry as e
from ringfence.core.ledger import governed_entry as g
from tests.governed import CHARTER, HOUR_MS, NUMBERS, Ground, a_grant, facts, public_key_of, sign


@pytest.fixture
def ground() -> Ground:
    return Ground.founded()


def granted(ground: Ground) -> int:
    return sum(given.is_live(ground.now_ms) for given in ground.state.governed.grants.values())


def test_honest_request_with_two_officers_is_carried(ground: Ground) -> None:
    ground.agree("eve", a_grant(), "ada", "ben", number=1)

    assert granted(ground) == 1


# 1. zero approvals


def test_request_without_approvals_is_not_carried(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())

    with pytest.raises(ProofInvalidError, match=r"it needs 2 of officer .*, and 0 agreed"):
        ground.carry(proposal, 1)


def test_charter_that_asks_for_no_approvals_is_refused() -> None:
    text = CHARTER.replace(
        "legal-demand: {propose: [manager], approve: {from: [monitor, officer], count: 2}",
        "legal-demand: {propose: [manager], approve: {from: [monitor, officer], count: 0}",
    )
    assert text != CHARTER

    with pytest.raises(CharterInvalidError):
        parse_charter(text.encode(), file="c.yaml")
    parse_charter(CHARTER.encode(), file="c.yaml")


# 2. self-approval


def test_requester_never_approves(ground: Ground) -> None:
    ground.agree("dot", c.Appoint(person=NUMBERS["fay"], duty="officer"), "ada", "ben")
    proposal = ground.propose("fay", a_grant())

    with pytest.raises(ProofInvalidError, match="self: nobody approves what they ask for or gain from"):
        ground.approve(proposal, "fay")
    ground.approve(proposal, "ada", "ben")
    ground.carry(proposal, 1)


def test_whoever_gains_never_approves_what_another_asks_for(ground: Ground) -> None:
    proposal = ground.propose("dot", c.Appoint(person=NUMBERS["ada"], duty="manager"))

    with pytest.raises(ProofInvalidError, match="self"):
        ground.approve(proposal, "ada")
    ground.approve(proposal, "ben", "cid")
    ground.carry(proposal)


# 3. indirect approver


def test_somebody_of_the_requesters_team_does_not_approve(ground: Ground) -> None:
    ground.record(facts(NUMBERS["ada"], "ada", team="night shift"), facts(NUMBERS["eve"], "eve", team="night shift"))
    proposal = ground.propose("eve", a_grant())

    with pytest.raises(ProofInvalidError, match="same-team"):
        ground.approve(proposal, "ada")
    ground.approve(proposal, "ben", "cid")
    ground.carry(proposal, 1)


def test_somebody_whom_the_requester_directs_through_another_does_not_approve(ground: Ground) -> None:
    ground.record(
        facts(NUMBERS["ada"], "ada", directed_by=(NUMBERS["fay"],)),
        facts(NUMBERS["fay"], "fay", manager=NUMBERS["eve"]),
    )
    proposal = ground.propose("eve", a_grant())

    with pytest.raises(ProofInvalidError, match="directed-by-requester"):
        ground.approve(proposal, "ada")
    ground.approve(proposal, "ben", "cid")
    ground.carry(proposal, 1)


def test_somebody_whom_the_requester_managed_until_lately_does_not_approve(ground: Ground) -> None:
    ground.record(facts(NUMBERS["ada"], "ada", manager=NUMBERS["eve"]))
    ground.record(facts(NUMBERS["ada"], "ada"))
    proposal = ground.propose("eve", a_grant())

    with pytest.raises(ProofInvalidError, match="directed-by-requester"):
        ground.approve(proposal, "ada")
    ground.approve(proposal, "ben", "cid")
    ground.carry(proposal, 1)


# 4. approver appointed after the request


def test_officer_appointed_after_the_request_does_not_approve_it(ground: Ground) -> None:
    ground.hire("jon")
    ground.admit("jon")
    proposal = ground.propose("eve", a_grant())
    ground.appoint("jon", "officer", by=("ada", "ben"))

    with pytest.raises(ProofInvalidError, match="appointed-since-request"):
        ground.approve(proposal, "jon")
    later = ground.propose("eve", a_grant())
    ground.approve(later, "jon", "ada")
    ground.carry(later, 1)


# 5. approver from another tenant


def test_member_of_another_party_does_not_approve(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())

    with pytest.raises(ProofInvalidError, match="duty: none of those asked for"):
        ground.approve(proposal, "hal")
    with pytest.raises(ProofInvalidError, match="lets no member of app hold the duty officer"):
        ground.propose("dot", c.Appoint(person=NUMBERS["hal"], duty="officer"))


def test_approval_given_in_another_ledger_does_not_hold_here(ground: Ground) -> None:
    elsewhere = Ground.founded(eve={"team": "another"})
    assert elsewhere.state.genesis != ground.state.genesis
    there = elsewhere.statement("eve", a_grant())

    with pytest.raises(ProofInvalidError, match="signed for another ledger"):
        ground.propose("eve", a_grant(), data=there)
    elsewhere.propose("eve", a_grant(), data=there)


# 6. replay for another request


def test_approval_of_one_request_does_not_hold_for_another(ground: Ground) -> None:
    harmless = ground.propose("eve", a_grant(records_max=1))
    greedy = ground.propose("eve", a_grant(records_max=1000))
    taken = sign("ada", ground.state.governed.proposals[harmless].statement, APPROVE)
    opening = ground.opening(g.Signed(b"", taken))

    with pytest.raises(ProofInvalidError, match="the signature does not hold"):
        ground.fold(
            g.Approved(proposal=greedy, by=NUMBERS["ada"], key=ground.key("ada"), signature=e.commit(opening)), opening
        )
    ground.fold(
        g.Approved(proposal=harmless, by=NUMBERS["ada"], key=ground.key("ada"), signature=e.commit(opening)), opening
    )


def test_statement_is_used_once(ground: Ground) -> None:
    data = ground.statement("eve", a_grant())
    ground.propose("eve", a_grant(), data=data, expires_ms=ground.now_ms + 4 * HOUR_MS)

    with pytest.raises(ProofInvalidError, match="a statement is used twice"):
        ground.propose("eve", a_grant(), data=data, expires_ms=ground.now_ms - 1000 + 4 * HOUR_MS)


def test_person_approves_once(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())
    ground.approve(proposal, "ada")

    with pytest.raises(ProofInvalidError, match=r"person \d+ approved proposal 1 already"):
        ground.approve(proposal, "ada")


def test_signature_of_the_proposer_is_no_approval(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())
    data = ground.state.governed.proposals[proposal].statement
    opening = ground.opening(g.Signed(b"", sign("ada", data, "propose@ringfence")))

    with pytest.raises(ProofInvalidError, match="the signature does not hold"):
        ground.fold(
            g.Approved(proposal=proposal, by=NUMBERS["ada"], key=ground.key("ada"), signature=e.commit(opening)),
            opening,
        )


# 7. approval after expiry


def test_request_that_has_expired_is_neither_approved_nor_carried(ground: Ground) -> None:
    late = ground.propose("eve", a_grant())
    ready = ground.propose("eve", a_grant())
    ground.approve(ready, "ada", "ben")
    ground.now_ms += 5 * HOUR_MS

    with pytest.raises(ProofInvalidError, match=f"proposal {late} has expired"):
        ground.approve(late, "ada")
    with pytest.raises(ProofInvalidError, match=f"proposal {ready} has expired"):
        ground.carry(ready, 1)


def test_statement_that_expired_in_the_ledgers_time_is_told_with_both_times(ground: Ground) -> None:
    """Rules that a clock ahead wrote carry the ledger's time along: whoever orders must see why a new order is late."""
    change = c.RevokeKey(key=ground.key("cid"))
    told = {"at_ms": ground.now_ms - HOUR_MS, "expires_ms": ground.now_ms - 1}

    with pytest.raises(ProofInvalidError, match=r"it held until 20\d\d-.* UTC, and the ledger is at 20\d\d-.* UTC"):
        ground.order("ada", change, **told)
    ground.order("ada", change, **{**told, "expires_ms": ground.now_ms + HOUR_MS})


# 8. threshold lowered while pending


def test_lowered_threshold_does_not_help_a_request_that_was_pending(ground: Ground) -> None:
    pending = ground.propose("eve", a_grant(), expires_ms=ground.now_ms + 20 * HOUR_MS)
    ground.approve(pending, "ada")
    lowered = CHARTER.replace("version: 1", "version: 2").replace(
        "approve: {any: [{from: [officer], count: 2}, "
        "{all: [{from: [officer], count: 1}, {from: [manager], count: 1}]}]}",
        "approve: {from: [officer], count: 1}",
    )
    assert "count: 1}]}]}" not in lowered
    text = lowered.encode()
    enact = c.EnactCharter(name="small", version=2, digest=hashlib.sha256(text).digest(), engine="v2")
    ground.agree("ada", enact, "ben", "cid", "ivy", file=text)

    with pytest.raises(ProofInvalidError, match="it needs 2 of officer"):
        ground.carry(pending, 1)
    fresh = ground.propose("eve", a_grant())
    ground.approve(fresh, "ada")
    ground.carry(fresh, 1)


def test_raised_threshold_holds_for_a_request_that_was_pending(ground: Ground) -> None:
    pending = ground.propose("eve", a_grant(), expires_ms=ground.now_ms + 20 * HOUR_MS)
    ground.approve(pending, "ada", "ben")
    raised = CHARTER.replace("version: 1", "version: 2").replace(
        "{any: [{from: [officer], count: 2},", "{any: [{from: [officer], count: 3},"
    )
    text = raised.encode()
    enact = c.EnactCharter(name="small", version=2, digest=hashlib.sha256(text).digest(), engine="v2")
    ground.agree("ada", enact, "ben", "cid", "ivy", file=text)

    with pytest.raises(ProofInvalidError, match="it needs 3 of officer"):
        ground.carry(pending, 1)
    ground.approve(pending, "cid")
    ground.carry(pending, 1)


# 9. leaver's approval


def test_approval_of_somebody_who_left_does_not_count(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())
    ground.approve(proposal, "ada", "ben")
    ground.hire("jon")
    ground.admit("jon", by=("ada", "cid"))
    ground.appoint("jon", "officer", by=("ada", "cid"))
    ground.record(facts(NUMBERS["ben"], "ben", ends_ms=ground.now_ms))

    with pytest.raises(ProofInvalidError, match="the approval of 2 does not count any more: no authority"):
        ground.carry(proposal, 1)
    ground.approve(proposal, "cid")
    ground.carry(proposal, 1)


def test_approval_by_a_key_that_was_revoked_does_not_count(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())
    ground.approve(proposal, "ada", "ben")
    ground.order("cid", c.RevokeKey(key=ground.key("ben")))

    with pytest.raises(ProofInvalidError, match="key: it was revoked"):
        ground.carry(proposal, 1)
    ground.approve(proposal, "cid")
    ground.carry(proposal, 1)


# and: two places for one person


def test_person_with_two_duties_is_not_two_approvers(ground: Ground) -> None:
    ground.agree("dot", c.Appoint(person=NUMBERS["ada"], duty="manager"), "ben", "cid")
    proposal = ground.propose("eve", a_grant())
    ground.approve(proposal, "ada")

    with pytest.raises(ProofInvalidError, match="and 1 agreed"):
        ground.carry(proposal, 1)
    ground.approve(proposal, "fay")
    ground.carry(proposal, 1)


def test_key_of_one_person_does_not_sign_for_another(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())
    signature = sign("ada", ground.state.governed.proposals[proposal].statement, APPROVE)
    opening = ground.opening(g.Signed(b"", signature))
    assert public_key_of("ada") != public_key_of("ben")

    with pytest.raises(ProofInvalidError, match="signs with key 1, which is not that person's"):
        ground.fold(
            g.Approved(proposal=proposal, by=NUMBERS["ben"], key=ground.key("ada"), signature=e.commit(opening)),
            opening,
        )
