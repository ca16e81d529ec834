"""What follows from people, proposals and orders: suspension, leaving, break-glass, vetoes, the founding."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from ringfence.core import changes as c
from ringfence.core.decisions.ruling import (
    GRANT_UNUSABLE,
    STOPPED_EVERYTHING,
    STOPPED_PARTY,
    STOPPED_PERSON,
    Asked,
    rule_access,
)
from ringfence.core.errors import ProofInvalidError
from ringfence.core.folding import RuleSource, fold
from ringfence.core.ledger import entry as e
from ringfence.core.state import EMPTY, State, digest_state
from tests.governed import APP, BUILD, CHARTER, HOUR_MS, NUMBERS, Ground, a_grant, facts, found


@pytest.fixture
def ground() -> Ground:
    return Ground.founded()


def decided(ground: Ground, *, who: str = "eve", grant: int = 0, at_ms: int = 0) -> str:
    asked = Asked(NUMBERS[who], "US", "support", "read", "person", "single", 1, grant)
    return rule_access(ground.state, asked, ["protected"], at_ms=at_ms or ground.now_ms).decided["protected"]


def decided_for_app(ground: Ground) -> str:
    asked = Asked(APP, "US", "serve", "read", "person", "single", 1)
    return rule_access(ground.state, asked, ["protected"], at_ms=ground.now_ms).decided["protected"]


# -- grants --------------------------------------------------------------------------------------------------------


def test_grant_permits_until_its_time_is_over(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)

    assert decided(ground, grant=grant) == "helping"
    assert decided(ground, grant=grant, at_ms=ground.now_ms + HOUR_MS) == GRANT_UNUSABLE
    assert decided(ground) == ""


def test_person_may_not_use_what_the_charter_gives_to_services_of_the_same_party(ground: Ground) -> None:
    asked = Asked(APP, "US", "serve", "read", "person", "single", 1)
    releaser = asked._replace(principal=NUMBERS["hal"])  # holds a duty of the app's party
    newcomer = asked._replace(principal=ground.hire("kim", party="app"))
    ground.admit("kim", party="app")  # holds no duty

    assert decided_for_app(ground) == "serving"
    for person in (releaser, newcomer):
        assert rule_access(ground.state, person, ["protected"], at_ms=ground.now_ms).decided == {"protected": ""}


def test_grant_of_somebody_else_permits_nothing(ground: Ground) -> None:
    ground.hire("jon")
    ground.admit("jon")
    ground.appoint("jon", "engineer")
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)

    assert decided(ground, grant=grant) == "helping"
    assert decided(ground, who="jon", grant=grant) == GRANT_UNUSABLE


def test_grant_that_was_revoked_permits_nothing_and_stays_in_the_history(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)
    ground.order("ivy", c.RevokeGrant(grant=grant))

    assert decided(ground, grant=grant) == GRANT_UNUSABLE
    assert ground.state.governed.grants[grant].ended == ground.state.epoch


def test_grant_is_narrowed_and_never_widened(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)
    less = c.NarrowGrant(grant=grant, datasets=("person",), classes=("public",), records_max=1, lasts_ms=60_000)
    more = c.NarrowGrant(grant=grant, datasets=("person",), classes=("public",), records_max=999, lasts_ms=60_000)

    with pytest.raises(ProofInvalidError, match="it would leave more than there is"):
        ground.order("ada", more)
    ground.order("ada", less)
    assert decided(ground, grant=grant) == GRANT_UNUSABLE
    assert decided(ground, grant=grant, at_ms=ground.now_ms + 60_000) == GRANT_UNUSABLE


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"records_max": 1001}, "up to 1000 records"),
        ({"lasts_ms": 9 * HOUR_MS}, "it may last up to 28800 s"),
        ({"purpose": "profit"}, "the charter does not know profit"),
        ({"datasets": ("secrets",)}, "the charter does not know secrets"),
    ],
)
def test_grant_that_the_charter_does_not_know_is_not_proposed(
    ground: Ground, told: dict[str, object], why: str
) -> None:
    with pytest.raises(ProofInvalidError, match=why):
        ground.propose("eve", a_grant(**told))
    ground.propose("eve", a_grant())


def test_grant_for_named_users_keeps_their_references(ground: Ground) -> None:
    subject = b"0123456789abcdef"
    grant = ground.agree("eve", a_grant(subjects_any=False), "ada", "ben", number=1, subjects=(subject,))

    assert ground.state.governed.grants[grant].subjects == frozenset({subject})


# -- people --------------------------------------------------------------------------------------------------------


def test_member_directed_from_the_parent_is_suspended_by_the_fact_itself(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)
    boss = ground.hire("zoe", party="parent", residence="CN", works_in="CN")
    ground.record(facts(NUMBERS["eve"], "eve", directed_by=(boss,)))

    assert ground.state.governed.members[NUMBERS["eve"]].suspended
    assert decided(ground, grant=grant) == STOPPED_PERSON


def test_member_directed_from_the_parent_through_others_is_suspended_too(ground: Ground) -> None:
    boss = ground.hire("zoe", party="parent")
    ground.record(facts(NUMBERS["fay"], "fay", manager=boss), facts(NUMBERS["eve"], "eve", manager=NUMBERS["fay"]))

    assert ground.state.governed.members[NUMBERS["eve"]].suspended
    assert ground.state.governed.members[NUMBERS["fay"]].suspended
    assert not ground.state.governed.members[NUMBERS["gus"]].suspended


def test_favourable_fact_does_not_end_a_suspension_and_a_quorum_does(ground: Ground) -> None:
    boss = ground.hire("zoe", party="parent")
    ground.record(facts(NUMBERS["eve"], "eve", directed_by=(boss,)))
    ground.record(facts(NUMBERS["eve"], "eve"))
    assert ground.state.governed.members[NUMBERS["eve"]].suspended

    with pytest.raises(ProofInvalidError, match="not-directed-from-the-parent"):
        ground.admit("eve")
    ground.now_ms += 366 * 24 * HOUR_MS
    identity = e.Identity("https://login.example.org", "eve")
    change = c.Admit(person=NUMBERS["eve"], party="trust", identity=e.commit(e.render_opening(b"s" * 16, identity)))
    ground.agree("dot", change, "ada", "ben", identity=identity, identity_salt=b"s" * 16)
    assert not ground.state.governed.members[NUMBERS["eve"]].suspended


def test_recorded_effects_must_be_those_that_follow(ground: Ground) -> None:
    ground.record(facts(NUMBERS["eve"], "eve", residence="CN"))
    rule, source = ground.entries[-1]
    before = Ground.founded().state

    assert fold(before, rule, source).governed.members[NUMBERS["eve"]].suspended
    silent = type(rule)(
        source=rule.source,  # type: ignore[union-attr]
        added=0,
        people=1,
        facts=rule.facts,  # type: ignore[union-attr]
    )
    with pytest.raises(ProofInvalidError, match="other effects than follow"):
        fold(before, silent, source)


def test_leaver_loses_everything_from_that_entry_on(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)
    ground.record(facts(NUMBERS["eve"], "eve", ends_ms=ground.now_ms))

    assert decided(ground, grant=grant) == STOPPED_PERSON


def test_person_who_was_only_recorded_has_no_authority(ground: Ground) -> None:
    ground.hire("jon")

    assert decided(ground, who="jon") == ""
    with pytest.raises(ProofInvalidError, match="is no member with authority"):
        ground.appoint("jon", "engineer")


def test_person_is_not_admitted_for_another_party_than_the_employer(ground: Ground) -> None:
    ground.hire("jon", party="app")

    with pytest.raises(ProofInvalidError, match="is employed by app, not by trust"):
        ground.admit("jon")
    ground.admit("jon", party="app")


def test_duties_that_exclude_each_other_are_not_held_by_one_person(ground: Ground) -> None:
    with pytest.raises(ProofInvalidError, match="nobody holds officer together with engineer"):
        ground.appoint("eve", "officer")
    ground.appoint("eve", "manager")


def test_dismissed_person_loses_keys_grants_and_calls(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)
    ground.order("dot", c.Dismiss(person=NUMBERS["eve"]))

    assert ground.state.governed.grants[grant].ended
    assert ground.state.governed.keys[NUMBERS["eve"]].revoked
    assert NUMBERS["eve"] not in ground.state.principals
    with pytest.raises(ProofInvalidError, match="the person is dismissed"):
        ground.propose("eve", a_grant())


def test_too_few_officers_stop_everything_but_staffing(ground: Ground) -> None:
    ground.order("dot", c.Dismiss(person=NUMBERS["cid"]))
    ready = ground.propose("eve", a_grant())
    ground.approve(ready, "ada", "ben")
    ground.hire("jon")
    identity = e.Identity("https://login.example.org", "jon")
    change = c.Admit(person=NUMBERS["jon"], party="trust", identity=e.commit(e.render_opening(b"s" * 16, identity)))
    staffing = ground.propose("dot", change, identity=identity, identity_salt=b"s" * 16)
    ground.approve(staffing, "ada", "ben")
    ground.order("dot", c.EndAppointment(person=NUMBERS["ben"], duty="officer"))

    with pytest.raises(ProofInvalidError, match=r"1 people hold the duty officer|it needs"):
        ground.carry(ready, 1)


# -- vetoes, suspensions, break-glass --------------------------------------------------------------------------------


def test_appointment_waits_for_the_veto_and_the_veto_ends_it(ground: Ground) -> None:
    keeper = c.Appoint(person=NUMBERS["gus"], duty="keeper")
    first = ground.propose("dot", keeper, expires_ms=ground.now_ms + 100 * HOUR_MS)
    ground.approve(first, "ada", "ben")

    with pytest.raises(ProofInvalidError, match="monitor may still decline it"):
        ground.carry(first)
    ground.decline(first, "ivy")
    with pytest.raises(ProofInvalidError, match=f"proposal {first} is not open"):
        ground.carry(first)
    second = ground.propose("dot", keeper, expires_ms=ground.now_ms + 100 * HOUR_MS)
    ground.approve(second, "ada", "ben")
    ground.now_ms += 73 * HOUR_MS
    ground.carry(second)


def test_veto_is_over_with_its_time_and_who_may_agree_may_decline_until_it_is_carried(ground: Ground) -> None:
    keeper = c.Appoint(person=NUMBERS["gus"], duty="keeper")
    first, second = (ground.propose("dot", keeper, expires_ms=ground.now_ms + 100 * HOUR_MS) for _ in range(2))
    over_ms = ground.state.governed.proposals[second].at_ms + 72 * HOUR_MS
    ground.now_ms = over_ms - 1000
    with pytest.raises(ProofInvalidError, match="holds no duty that may"):
        ground.decline(second, "ivy")
    ground.decline(second, "ada")

    third = ground.propose("dot", keeper, expires_ms=ground.now_ms + 100 * HOUR_MS)
    ground.now_ms = ground.state.governed.proposals[third].at_ms + 72 * HOUR_MS - 1001
    ground.decline(third, "ivy")
    assert [*ground.state.governed.proposals] == [first]


def test_somebody_without_a_say_does_not_decline(ground: Ground) -> None:
    proposal = ground.propose("eve", a_grant())

    with pytest.raises(ProofInvalidError, match="holds no duty that may"):
        ground.decline(proposal, "gus")
    ground.decline(proposal, "ada")


def test_overseer_stops_a_flow_a_party_and_everything_and_only_a_quorum_starts_them_again(ground: Ground) -> None:
    for number, (scope, name, said) in enumerate(
        [(c.FLOW, "serving", "!serving"), (c.PARTY, "app", STOPPED_PARTY), (c.EVERYTHING, "", STOPPED_EVERYTHING)],
        start=1,
    ):
        assert decided_for_app(ground) == "serving"
        ground.order("ivy", c.Suspend(scope=scope, name=name), number=number)
        assert decided_for_app(ground) == said
        lift = ground.propose("ada", c.Lift(suspension=number))
        ground.approve(lift, "ben")
        with pytest.raises(ProofInvalidError, match="it needs"):
            ground.carry(lift)
        ground.approve(lift, "cid", "ivy")
        ground.carry(lift)
    assert decided_for_app(ground) == "serving"


def test_somebody_without_the_duty_orders_nothing(ground: Ground) -> None:
    with pytest.raises(ProofInvalidError, match="person 8 orders suspend and holds no duty that may"):
        ground.order("hal", c.Suspend(scope=c.EVERYTHING), number=1)
    ground.order("ivy", c.Suspend(scope=c.EVERYTHING), number=1)


def test_break_glass_is_given_by_one_person_and_blocks_the_next_until_it_is_reviewed(ground: Ground) -> None:
    urgent = a_grant(kind=c.BREAK_GLASS, records_max=5)
    grant = ground.order("eve", urgent, number=1)
    assert decided(ground, grant=grant) == "helping"

    with pytest.raises(ProofInvalidError, match="was not reviewed yet"):
        ground.order("eve", urgent, number=2)
    review = ground.propose("ada", c.Review(grant=grant, justified=True))
    ground.approve(review, "ben")
    ground.carry(review)
    ground.order("eve", urgent, number=2)


def test_overdue_review_blocks_everybody(ground: Ground) -> None:
    ground.hire("jon")
    ground.admit("jon")
    ground.appoint("jon", "engineer")
    ground.order("eve", a_grant(kind=c.BREAK_GLASS, records_max=5), number=1)
    ground.now_ms += 25 * HOUR_MS

    with pytest.raises(ProofInvalidError, match="overdue"):
        ground.order("jon", a_grant("jon", kind=c.BREAK_GLASS, records_max=5), number=2)
    ground.agree("ada", c.Review(grant=1, justified=False), "ben")
    ground.order("jon", a_grant("jon", kind=c.BREAK_GLASS, records_max=5), number=2)


def test_break_glass_for_somebody_else_is_refused(ground: Ground) -> None:
    with pytest.raises(ProofInvalidError, match="to that person alone"):
        ground.order("eve", a_grant("fay", kind=c.BREAK_GLASS, records_max=5), number=1)


# -- the founding and the folding ------------------------------------------------------------------------------------


def test_governed_ledger_takes_no_rule_that_an_operator_makes_alone(ground: Ground) -> None:
    for rule in (
        e.PrincipalRegistered(number=99, party="trust", identity=b"x" * 32),
        e.CharterEnacted(name="small", version=2, digest=b"x" * 32, engine="v2"),
        e.LaneCertified(lane=1, key=b"k" * 32, build="ringfence 0.1.0", duty="gateway"),
        e.LaneRecovered(lane=1, n=1, reason="lost"),
    ):
        with pytest.raises(ProofInvalidError, match="the ledger is governed"):
            ground.fold(rule)
    build = ground.state.governed.founding_build.hex()
    ground.fold(e.LaneCertified(lane=1, key=b"k" * 32, build=f"sha256:{build}", duty="gateway"))


@pytest.mark.parametrize(
    ("lane", "n", "reason", "agreed"),
    [
        (1, 7, "lost", True),
        (1, 6, "lost", False),
        (1, 8, "lost", False),
        (1, 7, "routine", False),
        (2, 7, "lost", False),
    ],
)
def test_lane_is_recovered_as_a_quorum_agreed_in_every_word(
    ground: Ground, lane: int, n: int, reason: str, agreed: bool
) -> None:
    build = f"sha256:{ground.state.governed.founding_build.hex()}"
    for number in (1, 2):
        ground.fold(e.LaneCertified(lane=number, key=b"k" * 32, build=build, duty="gateway"))
    ground.agree("dot", c.RecoverLane(lane=1, n=7, reason="lost"), "ada", "ben")
    rule = e.LaneRecovered(lane=lane, n=n, reason=reason)

    if agreed:
        ground.fold(rule)
    else:
        with pytest.raises(ProofInvalidError, match="the ledger is governed: LaneRecovered takes a quorum"):
            ground.fold(rule)


def test_gateway_is_not_certified_for_a_build_that_was_approved_for_somebody_else(ground: Ground) -> None:
    change = c.ApproveBuild(name="ranker 7", party="app", digest=bytes(32))
    ground.agree("hal", change, "gus")
    lane = e.LaneCertified(lane=1, key=b"k" * 32, build=f"sha256:{bytes(32).hex()}", duty="gateway")

    with pytest.raises(ProofInvalidError, match="the ledger is governed: LaneCertified takes a quorum"):
        ground.fold(lane)
    ground.order("gus", c.WithdrawBuild(digest=bytes(32)))
    ground.agree("hal", msgspec.structs.replace(change, party="trust"), "gus")
    ground.fold(lane)


def test_no_lane_is_certified_as_the_authority(ground: Ground) -> None:
    lane = e.LaneCertified(lane=1, key=b"k" * 32, build=f"sha256:{BUILD.hex()}", duty="authority")

    with pytest.raises(ProofInvalidError, match="certified for a duty that no lane is given"):
        ground.fold(lane)
    for number, duty in enumerate(("gateway", "ingest"), start=1):
        ground.fold(msgspec.structs.replace(lane, lane=number, duty=duty))


def test_founder_who_did_not_sign_is_no_founder() -> None:
    genesis, opening = found(absent="eve")

    with pytest.raises(ProofInvalidError, match="founder 5 did not sign the founding document"):
        fold(EMPTY, genesis, RuleSource(lane=0, at_ms=1, opening=opening))
    genesis, opening = found()
    fold(EMPTY, genesis, RuleSource(lane=0, at_ms=1, opening=opening))


def test_genesis_that_says_something_else_than_the_founders_signed_is_refused() -> None:
    genesis, opening = found()
    stuffed = msgspec.structs.replace(genesis, services=("app", "parent"))

    with pytest.raises(ProofInvalidError, match="something else than the founding document"):
        fold(EMPTY, stuffed, RuleSource(lane=0, at_ms=1, opening=opening))
    fold(EMPTY, genesis, RuleSource(lane=0, at_ms=1, opening=opening))


def test_founder_who_is_not_independent_is_refused_with_the_charter() -> None:
    with pytest.raises(ProofInvalidError, match="founder 1 is not independent"):
        Ground.founded(ada={"directed_by": (NUMBERS["hal"],)})
    Ground.founded()


def test_another_charter_than_the_founding_one_is_not_enacted() -> None:
    ground = Ground()
    ground.fold(*found())
    text = CHARTER.replace("Keeps things running.", "Runs things.").encode()

    with pytest.raises(ProofInvalidError, match="the ledger is governed"):
        ground.fold(e.CharterEnacted(name="small", version=1, digest=e.commit(text), engine="v2"), file=text)
    text = CHARTER.encode()
    ground.fold(e.CharterEnacted(name="small", version=1, digest=e.commit(text), engine="v2"), file=text)


def test_state_folded_without_openings_decides_as_the_one_with_them(ground: Ground) -> None:
    grant = ground.agree("eve", a_grant(), "ada", "ben", number=1)
    boss = ground.hire("zoe", party="parent")
    ground.record(facts(NUMBERS["fay"], "fay", manager=boss))
    ground.hire("jon")
    ground.admit("jon")
    ground.order("ivy", c.Suspend(scope=c.FLOW, name="serving"), number=1)
    ground.propose("eve", a_grant())
    state: State = EMPTY
    for rule, source in ground.entries:
        blob = source.blob if isinstance(rule, e.CharterEnacted) else None
        state = fold(state, rule, replace(source, opening=None, blob=blob))

    assert digest_state(state) == digest_state(ground.state)
    assert state.governed.withheld > 0
    assert ground.state.governed.withheld == 0
    asked = Asked(NUMBERS["eve"], "US", "support", "read", "person", "single", 1, grant)
    assert rule_access(state, asked, ["protected"], at_ms=ground.now_ms).decided == {"protected": "helping"}


# -- engines ---------------------------------------------------------------------------------------------------------

PLAIN = CHARTER.replace("    duties: [engineer]\n    needs: [access, break-glass, legal-demand]\n", "")
"""A charter of which no flow asks for duties or grants: a ledger without founders may have it under any engine."""


def enacted(ground: Ground, engine: str) -> int:
    """Propose the next version of `PLAIN` under an engine, and let all agree who must; give the proposal's number."""
    text = PLAIN.replace("version: 1\n", "version: 2\n", 1).encode()
    change = c.EnactCharter(name="small", version=2, digest=e.commit(text), engine=engine)
    proposal = ground.propose("fay", change, file=text)
    ground.approve(proposal, "ada", "ben", "ivy")
    return proposal


def test_a_governed_ledger_is_never_put_under_an_engine_that_heeds_no_suspension() -> None:
    """Under it a suspended flow would run on, and people would use what the charter gives to services."""
    ground = Ground.founded(PLAIN)
    with pytest.raises(ProofInvalidError, match="the engine v1 heeds no duties and no suspended flow: name v2"):
        enacted(ground, "v1")
    ground.carry(enacted(ground, "v2"))
    ground.order("ivy", c.Suspend(scope=c.FLOW, name="serving"), number=1)
    assert decided_for_app(ground) == "!serving"
    assert decided(ground) == ""


@pytest.mark.parametrize("engine", ["v1", "v2"])
def test_a_founding_charter_is_not_enacted_under_such_an_engine_either(engine: str) -> None:
    genesis, opening = found(PLAIN)
    ground = Ground()
    ground.fold(genesis, opening)
    text = PLAIN.encode()
    rule = e.CharterEnacted(name="small", version=1, digest=e.commit(text), engine=engine)
    if engine == "v1":
        with pytest.raises(ProofInvalidError, match="a charter of a governed ledger"):
            ground.fold(rule, file=text)
    else:
        assert ground.fold(rule, file=text).engine == engine
