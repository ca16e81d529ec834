"""Effects: what each change does to the state. That it is possible was checked: see `conditions`.

Nothing is forgotten: what ends is marked with the epoch of its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from immutables import Map

from ringfence.core import changes as c
from ringfence.core.enacting import enact
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.voiding import void_after, void_gifts
from ringfence.core.ledger import entry as e
from ringfence.core.people.standing import (
    Appointment,
    Build,
    GivenGrant,
    Member,
    Proposal,
    SigningKey,
    Standing,
    Suspension,
)
from ringfence.core.state import Principal, State, without_identity


def apply(state: State, proposal: Proposal, *, at_ms: int, place: str) -> tuple[State, int]:
    """Give the state after a change that is possible, and the number of what it made (0 when it made nothing).

    Raises:
        ProofInvalidError: a charter cannot be put in force.
    """
    standing, epoch = state.governed, state.epoch + 1
    match proposal.change:
        case c.EnactCharter() as change:
            if proposal.charter is None:
                raise ProofInvalidError("the charter's file is missing", place=place)
            rule = e.CharterEnacted(
                name=change.name, version=change.version, digest=change.digest, engine=change.engine
            )
            return _drop_unknown_duties(enact(state, rule, proposal.charter, place=place)), 0
        case c.Admit() as change:
            return _admit(state, proposal, change, at_ms=at_ms), 0
        case c.Appoint() as change:
            member = standing.members[change.person]
            held = {**member.duties, change.duty: Appointment(change.duty, epoch, proposal.by)}
            return _with_member(state, replace(member, duties=held)), 0
        case c.EnrolKey() as change:
            number = len(standing.keys) + 1
            key = SigningKey(number, change.person, change.key, epoch)
            return _with(state, replace(standing, keys=standing.keys.set(number, key))), number
        case c.Grant() as change:
            return give_grant(state, proposal, change, at_ms=at_ms)
        case c.ApproveBuild() as change:
            build = Build(change.digest, change.name, change.party, epoch, attestor=change.attestor)
            return _with(state, replace(standing, builds=standing.builds.set(change.digest, build))), 0
        case c.RegisterService() as change:
            return _register_service(state, proposal, change)
        case c.TrustIssuer() as change:
            standing = void_after(state, change)
            return _with(state, replace(standing, issuers=standing.issuers.set(change.name, change.keys))), 0
        case c.OpenKeyEpoch() as change:
            return replace(state, key_epochs={**state.key_epochs, change.data_class: change.key_epoch}), 0
        case c.RecoverLane() as change:
            recoveries = standing.recoveries.set(change.lane, (change.n, change.reason))
            return _with(state, replace(standing, recoveries=recoveries)), 0
        case c.Lift() as change:
            lifted = replace(standing.suspensions[change.suspension], lifted=epoch)
            suspensions = standing.suspensions.set(change.suspension, lifted)
            return _with(state, _with_suspensions(standing, suspensions)), 0
        case c.Review() as change:
            reviewed = replace(standing.grants[change.grant], reviewed=epoch)
            return _with(state, replace(standing, grants=standing.grants.set(change.grant, reviewed))), 0
        case change:
            return take(state, change, by=proposal.by, at_ms=at_ms)


def next_number(state: State, change: c.AnyChange) -> int:
    """Give the number of what a change would make, or 0 when it makes nothing."""
    standing = state.governed
    match change:
        case c.EnrolKey():
            return len(standing.keys) + 1
        case c.Grant():
            return len(standing.grants) + 1
        case c.Suspend():
            return len(standing.suspensions) + 1
        case c.RegisterService():
            return state.principal_last + 1
        case _:
            return 0


def take(state: State, change: c.AnyChange, *, by: int, at_ms: int) -> tuple[State, int]:
    """Give the state after something was taken away, and the number of the suspension if it made one.

    Open requests that would give it back are void from then on.
    """
    state = _with(state, void_after(state, change))
    standing, epoch = state.governed, state.epoch + 1
    match change:
        case c.Suspend():
            number = len(standing.suspensions) + 1
            suspension = Suspension(number, change.scope, change.name, epoch, by)
            return _with(state, _with_suspensions(standing, standing.suspensions.set(number, suspension))), number
        case c.EndAppointment():
            member = standing.members[change.person]
            return _with_member(state, replace(member, duties=_without(member.duties, change.duty))), 0
        case c.Dismiss():
            return _dismiss(state, change.person), 0
        case c.RevokeKey():
            key = replace(standing.keys[change.key], revoked=epoch)
            return _with(state, replace(standing, keys=standing.keys.set(change.key, key))), 0
        case c.RevokeGrant():
            given = replace(standing.grants[change.grant], ended=epoch)
            return _with(state, replace(standing, grants=standing.grants.set(change.grant, given))), 0
        case c.NarrowGrant():
            return _narrow(state, change, at_ms=at_ms), 0
        case c.WithdrawBuild():
            build = replace(standing.builds[change.digest], withdrawn=epoch)
            return _with(state, replace(standing, builds=standing.builds.set(change.digest, build))), 0
        case c.WithdrawService():
            return _without_principal(state, change.principal), 0
        case c.WithdrawIssuer():
            return _with(state, replace(standing, issuers=standing.issuers.delete(change.name))), 0
        case _:
            raise ProofInvalidError("a change gives, and was ordered")


def _admit(state: State, proposal: Proposal, change: c.Admit, *, at_ms: int) -> State:
    state = _with(state, void_after(state, change))
    before = state.governed.members.get(change.person)
    duties = before.duties_kept(change.party, at_ms=at_ms) if before is not None else {}
    if before is not None and not before.is_active(at_ms):
        # What was lost meanwhile is given now: it counts for nothing that was asked for before, nor for whoever asks.
        duties = {name: Appointment(name, state.epoch + 1, proposal.by) for name in duties}
        state = _with(state, void_gifts(state.governed, change.person))
        moved = before.party != change.party
        state = _strip(state, change.person) if moved or before.has_left(at_ms) else _end_grants(state, change.person)
    member = Member(change.person, change.party, duties, until_ms=change.until_ms)
    identities = without_identity(state.identities, change.person)
    if proposal.identity is not None:
        identities = identities.set(proposal.identity, change.person)
    principal = Principal(number=change.person, party=change.party)
    return replace(
        _with_member(state, member),
        principals=state.principals.set(change.person, principal),
        identities=identities,
    )


def _dismiss(state: State, person: int) -> State:
    following = _strip(state, person)
    member = replace(following.governed.members[person], duties={}, dismissed=True)
    return _without_principal(_with_member(following, member), person)


def _strip(state: State, person: int) -> State:
    """Take keys and grants from a person."""
    standing, epoch = state.governed, state.epoch + 1
    keys = standing.keys
    for number, key in standing.keys.items():
        if key.person == person and not key.revoked:
            keys = keys.set(number, replace(key, revoked=epoch))
    return _end_grants(_with(state, replace(standing, keys=keys)), person)


def _end_grants(state: State, person: int) -> State:
    """Take grants from a person."""
    standing, epoch = state.governed, state.epoch + 1
    grants = standing.grants
    for number, given in standing.grants.items():
        if given.grant.person == person and not given.ended:
            grants = grants.set(number, replace(given, ended=epoch))
    return _with(state, replace(standing, grants=grants))


def _register_service(state: State, proposal: Proposal, change: c.RegisterService) -> tuple[State, int]:
    number = state.principal_last + 1
    identities = state.identities
    if proposal.identity is not None:
        identities = identities.set(proposal.identity, number)
    following = replace(
        state,
        principals=state.principals.set(number, Principal(number=number, party=change.party, feeds=change.feeds)),
        principal_last=number,
        identities=identities,
    )
    return following, number


def _drop_unknown_duties(state: State) -> State:
    """Take duties that the new charter does not know any more."""
    standing = state.governed
    members = standing.members
    for number, member in standing.members.items():
        known = {name: held for name, held in member.duties.items() if name in state.governance.duties}
        if len(known) != len(member.duties):
            members = members.set(number, replace(member, duties=known))
    return _with(state, replace(standing, members=members))


def give_grant(state: State, proposal: Proposal, change: c.Grant, *, at_ms: int) -> tuple[State, int]:
    """Give the state with a new grant, and its number."""
    standing = state.governed
    number = len(standing.grants) + 1
    review_ms = state.governance.grants.break_glass_review_ms
    given = GivenGrant(
        number=number,
        grant=change,
        subjects=None if change.subjects_any else proposal.subjects,
        given_ms=at_ms,
        until_ms=at_ms + change.lasts_ms,
        epoch=state.epoch + 1,
        proposal=proposal.number,
        review_until_ms=at_ms + review_ms if change.kind == c.BREAK_GLASS else 0,
    )
    return _with(state, replace(standing, grants=standing.grants.set(number, given))), number


def _narrow(state: State, change: c.NarrowGrant, *, at_ms: int) -> State:
    standing = state.governed
    given = standing.grants[change.grant]
    grant = c.Grant(
        kind=given.grant.kind,
        person=given.grant.person,
        purpose=given.grant.purpose,
        verbs=given.grant.verbs,
        datasets=change.datasets,
        classes=change.classes,
        records_max=change.records_max,
        lasts_ms=given.grant.lasts_ms,
        subjects_any=given.grant.subjects_any,
        bulk=given.grant.bulk,
        withhold=given.grant.withhold,
    )
    narrowed = replace(given, grant=grant, until_ms=at_ms + change.lasts_ms)
    return _with(state, replace(standing, grants=standing.grants.set(change.grant, narrowed)))


def _without(duties: Mapping[str, Appointment], name: str) -> Mapping[str, Appointment]:
    return {other: held for other, held in duties.items() if other != name}


def _with(state: State, standing: Standing) -> State:
    return replace(state, standing=standing)


def _with_member(state: State, member: Member) -> State:
    return _with(state, replace(state.governed, members=state.governed.members.set(member.number, member)))


def _with_suspensions(standing: Standing, suspensions: Map[int, Suspension]) -> Standing:
    stopped = frozenset((item.scope, item.name) for item in suspensions.values() if not item.lifted)
    return replace(standing, suspensions=suspensions, stopped=stopped)


def _without_principal(state: State, number: int) -> State:
    return replace(
        state,
        principals=state.principals.delete(number) if number in state.principals else state.principals,
        identities=without_identity(state.identities, number),
    )
