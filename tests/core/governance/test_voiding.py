"""What was asked for before something was taken does not give it back; what is asked for afterwards does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ringfence.core import changes as c
from ringfence.core.decisions.ruling import is_approved
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger import entry as e
from tests.governed import CHARTER, FOUNDERS, ISSUER, NUMBERS, SALT, Ground, a_grant, facts, public_key_of

APP_7 = c.ApproveBuild(name="app 7", party="app", digest=bytes(range(32)))
LOGIN = c.TrustIssuer(name="https://idp.example", keys=bytes(range(32)))
NEWER = CHARTER.replace("version: 1", "version: 2", 1).replace("name: serving", "name: serving-users", 1).encode()
NEWER_CHARTER = c.EnactCharter(name="small", version=2, digest=hashlib.sha256(NEWER).digest(), engine="v2")
OTHER = "https://other.example"
EVE = NUMBERS["eve"]


def identity(name: str) -> dict[str, object]:
    return {"identity": e.Identity(ISSUER, name), "identity_salt": SALT}


def admission(person: int, name: str, *, party: str = "trust") -> c.Admit:
    opening = e.render_opening(SALT, e.Identity(ISSUER, name))
    return c.Admit(person=person, party=party, identity=e.commit(opening))


@dataclass(frozen=True)
class Case:
    """Something that two people ask for, one taking of it, and how it is seen to be there."""

    by: str
    change: c.AnyChange
    approvers: tuple[str, ...]
    taken_by: str
    taken: c.AnyChange
    is_there: Callable[[Ground], bool]


CASES = {
    "build": Case(
        *("hal", APP_7, ("gus",), "gus", c.WithdrawBuild(digest=APP_7.digest)),
        lambda ground: is_approved(ground.state.governed, "app", APP_7.digest),
    ),
    "issuer": Case(
        *("dot", LOGIN, ("ada", "ben"), "cid", c.WithdrawIssuer(name=LOGIN.name)),
        lambda ground: LOGIN.name in ground.state.governed.issuers,
    ),
    "appointment": Case(
        *("dot", c.Appoint(person=NUMBERS["fay"], duty="inspector"), ("ada", "ben"), "cid"),
        c.EndAppointment(person=NUMBERS["fay"], duty="inspector"),
        lambda ground: "inspector" in ground.state.governed.members[NUMBERS["fay"]].duties,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_second_request_that_was_agreed_to_before_does_not_bring_back_what_was_taken(case: Case) -> None:
    ground = Ground.founded()
    first, second = (ground.propose(case.by, case.change) for _ in range(2))
    ground.approve(first, *case.approvers)
    ground.approve(second, *case.approvers)
    ground.carry(first)
    assert case.is_there(ground)
    ground.order(case.taken_by, case.taken)
    assert not case.is_there(ground)

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(second)

    ground.agree(case.by, case.change, *case.approvers)  # asked for again, it is given
    assert case.is_there(ground)


def test_service_that_was_withdrawn_does_not_come_back_by_an_older_request() -> None:
    ground = Ground.founded()
    change = c.RegisterService(party="app", identity=admission(0, "batch").identity)
    first, second = (ground.propose("dot", change, **identity("batch")) for _ in range(2))
    ground.approve(first, "ada", "ben")
    number = ground.state.principal_last + 1
    ground.carry(first, number)
    ground.approve(second, "ada", "ben")
    ground.order("ada", c.WithdrawService(principal=number))

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(second, number + 1)
    assert (ISSUER, "batch") not in ground.state.identities


def test_who_was_dismissed_is_not_admitted_by_what_was_agreed_before() -> None:
    ground = Ground.founded()
    proposal = ground.propose("dot", admission(EVE, "eve"), **identity("eve"))
    ground.approve(proposal, "ada", "ben")
    ground.order("cid", c.Dismiss(person=EVE))

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(proposal)
    ground.agree("dot", admission(EVE, "eve"), "ada", "ben", **identity("eve"))
    assert ground.state.governed.members[EVE].is_active(ground.now_ms)


def test_who_was_suspended_by_a_fact_is_not_admitted_by_what_was_agreed_before() -> None:
    ground = Ground.founded()
    proposal = ground.propose("dot", admission(EVE, "eve"), **identity("eve"))
    ground.approve(proposal, "ada", "ben")
    ground.record(facts(EVE, "eve", residence="CA"))
    ground.record(facts(EVE, "eve"))

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(proposal)
    assert not ground.state.governed.members[EVE].is_active(ground.now_ms)


def test_revoked_grant_does_not_live_on_in_another_request_of_the_same_person() -> None:
    ground = Ground.founded()
    ground.agree("eve", a_grant(), "ada", "ben", number=1)
    again = ground.propose("eve", a_grant())
    ground.approve(again, "ada", "ben")
    ground.order("ada", c.RevokeGrant(grant=1))

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(again, 2)
    ground.agree("eve", a_grant(), "ada", "ben", number=2)
    assert ground.state.governed.grants[2].is_live(ground.now_ms)


def test_suspended_flow_does_not_run_on_under_another_name_that_was_agreed_to_before() -> None:
    ground = Ground.founded()
    proposal = ground.propose("ada", NEWER_CHARTER, file=NEWER)
    ground.approve(proposal, "ben", "cid", "ivy")
    ground.order("ivy", c.Suspend(scope=c.FLOW, name="serving"), number=1)

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(proposal)
    assert ground.state.rules.version == 1


def test_what_is_taken_elsewhere_voids_nothing() -> None:
    ground = Ground.founded()
    ground.agree("hal", APP_7, "gus")
    other = ground.propose("hal", c.ApproveBuild(name="app 8", party="app", digest=bytes(32)))
    charter = ground.propose("ada", NEWER_CHARTER, file=NEWER)
    ground.order("gus", c.WithdrawBuild(digest=APP_7.digest))

    assert {other, charter} <= set(ground.state.governed.proposals)


def test_request_of_somebody_who_lost_the_duty_to_ask_is_not_carried() -> None:
    ground = Ground.founded()
    kept, lost = (ground.propose("fay", a_grant("eve")) for _ in range(2))
    ground.approve(kept, "ada", "ben")
    ground.carry(kept, 1)
    ground.approve(lost, "ada", "ben")
    ground.order("cid", c.EndAppointment(person=NUMBERS["fay"], duty="manager"))

    with pytest.raises(ProofInvalidError, match="holds no duty any more that may"):
        ground.carry(lost, 2)


# -- what takes the place of something, and keys ----------------------------------------------------------------------


def test_narrowed_grant_does_not_live_on_in_another_request_of_the_same_person() -> None:
    ground = Ground.founded()
    ground.agree("eve", a_grant(), "ada", "ben", number=1)
    again = ground.propose("eve", a_grant())
    ground.approve(again, "ada", "ben")
    less = c.NarrowGrant(grant=1, datasets=("person",), classes=("public",), records_max=1, lasts_ms=60_000)
    ground.order("cid", less)

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(again, 2)
    ground.agree("eve", a_grant(), "ada", "ben", number=2)


def test_keys_of_an_issuer_that_were_replaced_do_not_come_back_by_an_older_request() -> None:
    ground = Ground.founded()
    newer = c.TrustIssuer(name=LOGIN.name, keys=bytes(32))
    old, elsewhere = ground.propose("dot", LOGIN), ground.propose("dot", c.TrustIssuer(name=OTHER, keys=bytes(32)))
    ground.approve(old, "ada", "ben")
    ground.agree("dot", newer, "ada", "cid")

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(old)
    assert elsewhere in ground.state.governed.proposals
    ground.agree("dot", LOGIN, "ada", "ben")
    assert ground.state.governed.issuers[LOGIN.name] == LOGIN.keys


def test_login_that_was_replaced_does_not_come_back_by_an_older_request() -> None:
    ground = Ground.founded()
    old = ground.propose("dot", admission(EVE, "eve"), **identity("eve"))
    ground.approve(old, "ada", "ben")
    ground.agree("dot", admission(EVE, "eve anew"), "ada", "ben", **identity("eve anew"))

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(old)
    assert (ISSUER, "eve") not in ground.state.identities
    ground.agree("dot", admission(EVE, "eve"), "ada", "ben", **identity("eve"))
    assert ground.state.identities[ISSUER, "eve"] == EVE


def test_what_was_asked_for_with_a_key_is_void_once_the_key_is_revoked() -> None:
    ground = Ground.founded()
    by_eve, by_fay = (ground.propose(name, a_grant("eve")) for name in ("eve", "fay"))
    for proposal in (by_eve, by_fay):
        ground.approve(proposal, "ada", "ben")
    ground.order("cid", c.RevokeKey(key=ground.key("eve")))

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(by_eve, 1)
    ground.carry(by_fay, 1)


# -- identities, and coming back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["ben", "service"])
def test_nobody_is_admitted_under_the_login_of_somebody_else(login: str) -> None:
    ground = Ground.founded()
    zed = ground.hire("zed")

    with pytest.raises(ProofInvalidError, match="the identity is that of"):
        ground.agree("dot", admission(zed, login), "ben", "ada", **identity(login))
    ground.agree("dot", admission(zed, "zed"), "ben", "ada", **identity("zed"))
    assert ground.state.identities[ISSUER, "zed"] == zed


def test_login_that_was_free_when_it_was_asked_for_is_not_taken_over_later() -> None:
    ground = Ground.founded()
    zed, yan = ground.hire("zed"), ground.hire("yan")
    late = ground.propose("dot", admission(zed, "new"), **identity("new"))
    ground.approve(late, "ada", "ben")
    ground.agree("dot", admission(yan, "new"), "ada", "ben", **identity("new"))

    with pytest.raises(ProofInvalidError, match=f"the identity is that of {yan}"):
        ground.carry(late)


def test_admission_by_another_employer_leaves_keys_and_grants_behind() -> None:
    ground = Ground.founded()
    ground.agree("eve", a_grant(), "ada", "ben", number=1)
    ground.record(facts(EVE, "eve", party="app"))
    ground.agree("dot", admission(EVE, "eve", party="app"), "ben", "ada", **identity("eve"))

    assert not ground.state.governed.grants[1].is_live(ground.now_ms)
    assert all(key.revoked for key in ground.state.governed.keys.values() if key.person == EVE)


def test_admission_after_a_suspension_keeps_the_key_and_no_grant() -> None:
    ground = Ground.founded()
    ground.agree("eve", a_grant(), "ada", "ben", number=1)
    ground.record(facts(EVE, "eve", residence="CA"))
    ground.record(facts(EVE, "eve"))
    ground.agree("dot", admission(EVE, "eve"), "ben", "ada", **identity("eve"))

    assert not ground.state.governed.grants[1].is_live(ground.now_ms)
    assert any(not key.revoked for key in ground.state.governed.keys.values() if key.person == EVE)


LEAVING = {"left": {"ends_ms": 1}, "was suspended": {"residence": "CA"}}
GIFTS = {
    "grant": (lambda: a_grant("eve"), "fay", 1),
    "duty": (lambda: c.Appoint(person=EVE, duty="inspector"), "dot", 0),
    "key": (lambda: c.EnrolKey(person=EVE, key=public_key_of("another of eve")), "dot", len(FOUNDERS) + 1),
}


@pytest.mark.parametrize("fact", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("gift", GIFTS.values(), ids=GIFTS)
def test_who_comes_back_is_given_nothing_that_was_agreed_to_before(
    gift: tuple[Callable[[], c.AnyChange], str, int], fact: dict[str, object]
) -> None:
    ground = Ground.founded()
    change, by, number = gift[0](), gift[1], gift[2]
    before, other = ground.propose(by, change), ground.propose("fay", a_grant("fay"))
    ground.approve(before, "ada", "ben")
    ground.record(facts(EVE, "eve", **fact))
    ground.record(facts(EVE, "eve"))
    ground.agree("dot", admission(EVE, "eve"), "ada", "ben", **identity("eve"))

    with pytest.raises(ProofInvalidError, match="is not open"):
        ground.carry(before, number)
    assert other in ground.state.governed.proposals
    ground.agree(by, change, "ada", "ben", number=number)


@pytest.mark.parametrize("leaves", [True, False])
def test_request_of_somebody_who_was_suspended_since_does_not_revive_with_the_admission(leaves: bool) -> None:
    ground = Ground.founded()
    fay = NUMBERS["fay"]
    proposal = ground.propose("fay", a_grant("eve"))
    ground.approve(proposal, "ada", "ben")
    if leaves:
        ground.record(facts(fay, "fay", residence="CA"))
        ground.record(facts(fay, "fay"))
    ground.agree("dot", admission(fay, "fay"), "ada", "ben", **identity("fay"))

    if leaves:
        with pytest.raises(ProofInvalidError, match="holds no duty any more that may"):
            ground.carry(proposal, 1)
        proposal = ground.propose("fay", a_grant("eve"))
        ground.approve(proposal, "ada", "ben")
    ground.carry(proposal, 1)
