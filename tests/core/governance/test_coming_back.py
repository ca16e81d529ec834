"""What a comeback, a change of the charter or a change of keys does to what is held and what is open."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger import entry as e
from tests.governed import CHARTER, HOUR_MS, ISSUER, NUMBERS, SALT, Ground, a_grant, facts, public_key_of


@pytest.fixture
def ground() -> Ground:
    return Ground.founded()


def admission(name: str, *, party: str = "trust") -> tuple[c.Admit, dict[str, Any]]:
    """Give the change that admits somebody, and what its statement tells beside."""
    identity = e.Identity(ISSUER, name)
    change = c.Admit(person=NUMBERS[name], party=party, identity=e.commit(e.render_opening(SALT, identity)))
    return change, {"identity": identity, "identity_salt": SALT}


def readmit(ground: Ground, name: str, *people: str, party: str = "trust") -> None:
    """Let a quorum admit somebody."""
    change, told = admission(name, party=party)
    ground.agree("dot", change, *people, **told)


def enactment(text: str) -> tuple[c.EnactCharter, bytes]:
    """Give the change that enacts a charter's text, and its file."""
    file = text.encode()
    version = int(text.split("version: ")[1].split("\n")[0])
    return c.EnactCharter(name="small", version=version, digest=hashlib.sha256(file).digest(), engine="v2"), file


def enact(ground: Ground, old: str, new: str, *, base: str = CHARTER) -> str:
    """Let a quorum enact the charter with one passage replaced; give its text."""
    assert old in base
    text = base.replace(old, new).replace("version: 1", "version: 2")
    change, file = enactment(text)
    ground.agree("ada", change, "ben", "cid", "ivy", file=file)
    return text


# -- who comes back ---------------------------------------------------------------------------------------------------


def test_leaver_who_comes_back_has_neither_duties_nor_keys_nor_grants(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(lasts_ms=8 * HOUR_MS), "ada", "ben", number=1)
    ground.record(facts(NUMBERS["eve"], "eve", ends_ms=ground.now_ms))
    ground.record(facts(NUMBERS["eve"], "eve"))
    readmit(ground, "eve", "ada", "ben")

    standing = ground.state.governed
    assert standing.members[NUMBERS["eve"]].is_active(ground.now_ms)
    assert not standing.members[NUMBERS["eve"]].duties
    assert standing.grants[grant].ended
    with pytest.raises(ProofInvalidError, match="which was revoked"):
        ground.propose("eve", a_grant())


def test_member_who_never_left_keeps_everything_through_another_admission(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)
    before = ground.state.governed
    readmit(ground, "eve", "ada", "ben")

    assert ground.state.governed.members[NUMBERS["eve"]].duties == before.members[NUMBERS["eve"]].duties
    assert not ground.state.governed.grants[grant].ended
    ground.propose("eve", a_grant())


def test_officer_cleared_after_the_request_does_not_approve_it(ground: Ground) -> None:
    ground.record(facts(NUMBERS["cid"], "cid", residence="CN"))
    ground.record(facts(NUMBERS["cid"], "cid"))
    before = ground.propose("eve", a_grant())
    readmit(ground, "cid", "ada", "ben")

    with pytest.raises(ProofInvalidError, match="appointed-since-request"):
        ground.approve(before, "cid")
    ground.approve(ground.propose("eve", a_grant()), "cid")


def test_officer_whom_the_requester_had_cleared_does_not_approve(ground: Ground) -> None:
    ground.agree("dot", c.Appoint(person=NUMBERS["dot"], duty="engineer"), "ada", "ben")
    ground.record(facts(NUMBERS["cid"], "cid", residence="CN"))
    ground.record(facts(NUMBERS["cid"], "cid"))
    readmit(ground, "cid", "ada", "ben")

    with pytest.raises(ProofInvalidError, match="appointed-by-requester"):
        ground.approve(ground.propose("dot", a_grant()), "cid")
    ground.approve(ground.propose("eve", a_grant()), "cid")


def test_member_who_went_to_another_party_is_admitted_there_without_the_old_duties(ground: Ground) -> None:
    ground.record(facts(NUMBERS["gus"], "gus", party="app"))
    assert ground.state.governed.members[NUMBERS["gus"]].suspended

    readmit(ground, "gus", "ada", "ben", party="app")
    assert not ground.state.governed.members[NUMBERS["gus"]].duties
    with pytest.raises(ProofInvalidError, match="lets no member of app hold the duty inspector"):
        ground.propose("dot", c.Appoint(person=NUMBERS["gus"], duty="inspector"))


# -- who asked, and who agreed -----------------------------------------------------------------------------------------


def test_request_of_somebody_who_left_is_not_carried(ground: Ground) -> None:
    change = c.Appoint(person=NUMBERS["gus"], duty="manager")
    left, kept = ground.propose("dot", change), ground.propose("eve", a_grant())
    ground.approve(left, "ada", "ben")
    ground.approve(kept, "ada", "ben")
    ground.record(facts(NUMBERS["dot"], "dot", ends_ms=ground.now_ms))

    with pytest.raises(ProofInvalidError, match="4, who asked for it, has no authority any more"):
        ground.carry(left)
    ground.carry(kept, 1)


def test_officer_with_a_new_key_agrees_again_when_the_old_key_was_revoked(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())
    ground.approve(proposal, "ada", "ben")
    ground.agree("dot", c.EnrolKey(person=NUMBERS["ben"], key=public_key_of("ben's new")), "ada", "cid", number=10)
    NUMBERS["ben's new"] = NUMBERS["ben"]
    with pytest.raises(ProofInvalidError, match="approved proposal 1 already"):
        ground.approve(proposal, "ben's new")
    ground.order("cid", c.RevokeKey(key=ground.key("ben")))

    with pytest.raises(ProofInvalidError, match="key: it was revoked"):
        ground.carry(proposal, 1)
    ground.approve(proposal, "ben's new")
    ground.carry(proposal, 1)


# -- charters that change while something is open ----------------------------------------------------------------------


def test_relation_that_a_new_charter_forbids_keeps_from_approving_what_was_open(ground: Ground) -> None:
    text = enact(ground, "      never: [same-team, same-manager, directed-by-requester, appointed-by-requester]\n", "")
    ground.record(facts(NUMBERS["ada"], "ada", team="night"), facts(NUMBERS["eve"], "eve", team="night"))
    proposal = ground.propose("eve", a_grant(), expires_ms=ground.now_ms + 20 * HOUR_MS)
    ground.approve(proposal, "ada", "ben")
    change, file = enactment(CHARTER.replace("version: 1", "version: 3"))
    assert "never: [same-team" not in text
    ground.agree("ada", change, "ben", "cid", "ivy", file=file)

    with pytest.raises(ProofInvalidError, match="the approval of 1 does not count any more: same-team"):
        ground.carry(proposal, 1)
    ground.approve(proposal, "cid")
    ground.carry(proposal, 1)


def test_duty_that_a_new_charter_asks_for_may_agree_to_what_was_open(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant(), expires_ms=ground.now_ms + 20 * HOUR_MS)
    ground.approve(proposal, "ada", "ben")
    with pytest.raises(ProofInvalidError, match="duty: none of those asked for"):
        ground.approve(proposal, "ivy")
    with_monitor = "{all: [{from: [officer], count: 2}, {from: [monitor], count: 1}]}"
    enact(
        ground,
        "{any: [{from: [officer], count: 2}, {all: [{from: [officer], count: 1}, {from: [manager], count: 1}]}]}",
        with_monitor,
    )

    with pytest.raises(ProofInvalidError, match="it needs 2 of officer and 1 of monitor"):
        ground.carry(proposal, 1)
    ground.approve(proposal, "ivy")
    ground.carry(proposal, 1)


def test_veto_that_a_new_charter_takes_away_still_holds_for_what_was_open(ground: Ground) -> None:
    keeper = c.Appoint(person=NUMBERS["gus"], duty="keeper")
    proposal = ground.propose("dot", keeper, expires_ms=ground.now_ms + 100 * HOUR_MS)
    ground.approve(proposal, "ada", "ben")
    enact(ground, ", veto: {by: [monitor], hours: 72}", "")

    with pytest.raises(ProofInvalidError, match="monitor may still decline it"):
        ground.carry(proposal)
    fresh = ground.propose("dot", keeper)
    ground.approve(fresh, "ada", "ben")
    ground.carry(fresh)
    ground.decline(proposal, "ivy")


def test_charter_under_which_a_member_would_not_be_independent_is_not_enacted(ground: Ground) -> None:
    lived = CHARTER.replace("    residence: [US]\n", "    residence: [CA]\n").replace("version: 1", "version: 2")
    change, file = enactment(lived)
    with pytest.raises(ProofInvalidError, match=r"1 would not be independent \(lives-here: 1 lives in US\)"):
        ground.propose("ada", change, file=file)

    enact(ground, "    residence: [US]\n", "    residence: [US, CA]\n")
    assert ground.state.rules.version == 2


def test_duties_of_a_leaver_do_not_stand_against_a_new_charter(ground: Ground) -> None:
    ground.agree("dot", c.Appoint(person=NUMBERS["gus"], duty="manager"), "ada", "ben")
    separated = "separations: [[engineer, officer], [people, keeper], [inspector, manager]]"
    old = "separations: [[engineer, officer], [people, keeper]]"
    change, file = enactment(CHARTER.replace(old, separated).replace("version: 1", "version: 2"))
    with pytest.raises(ProofInvalidError, match="7 would hold duties that the new charter separates"):
        ground.propose("ada", change, file=file)
    ground.record(facts(NUMBERS["gus"], "gus", ends_ms=ground.now_ms))

    enact(ground, old, separated)
