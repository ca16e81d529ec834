"""Effects: what each change does to the state, and what must be so for it to be possible.

Rules of this file:
1. `check_possible` is asked when a change is proposed, so that nobody agrees to what cannot be, and again when it takes
   effect, on the state of then.
2. What rests on facts about people is checked where the register is known, by the same function everywhere.
3. Nothing is forgotten: what ends is marked with the epoch of its end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from immutables import Map

from ringfence.core import entry as e
from ringfence.core.enacting import enact
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance import changes as c
from ringfence.core.governance.independence import find_conflicts
from ringfence.core.governance.recording import MEMBERS_MAX
from ringfence.core.governance.standing import (
    Appointment,
    Build,
    GivenGrant,
    Member,
    Proposal,
    SigningKey,
    Standing,
    Suspension,
)
from ringfence.core.state import Principal, State
from ringfence.core.view import VERBS

_EXCLUDED: Final = "excluded"


def check_possible(state: State, proposal: Proposal, *, at_ms: int, place: str) -> None:
    """Check that a change could take effect now, whoever agrees to it.

    Raises:
        ProofInvalidError: it could not; says why.
    """
    if reason := why_impossible(state, proposal, at_ms=at_ms):
        raise ProofInvalidError(f"{c.operation_of(proposal.change)} is not possible: {reason}", place=place)


def why_impossible(state: State, proposal: Proposal, *, at_ms: int) -> str:
    """Say why a change could not take effect now; "" when it could."""
    match proposal.change:
        case c.EnactCharter() as change:
            return _why_not_enact(state, proposal, change)
        case c.Admit() as change:
            return _why_not_admit(state, change, at_ms=at_ms)
        case c.Appoint() as change:
            return _why_not_appoint(state, change, at_ms=at_ms)
        case c.EnrolKey() as change:
            return _why_not_enrol(state, change, at_ms=at_ms)
        case c.Grant() as change:
            return why_not_grant(state, proposal, change, at_ms=at_ms)
        case c.ApproveBuild() as change:
            known = state.governed.builds.get(change.digest)
            if change.party not in state.rules.parties:
                return f"the charter names no party {change.party}"
            return "the build is approved already" if known is not None and not known.withdrawn else ""
        case c.RegisterService() as change:
            if proposal.identity in state.identities:
                return "the service is registered already"
            return "" if change.party in state.rules.parties else f"the charter names no party {change.party}"
        case c.OpenKeyEpoch() as change:
            following = state.key_epochs.get(change.data_class, 0) + 1
            return "" if change.key_epoch == following else f"the next key epoch of {change.data_class} is {following}"
        case c.RecoverLane() as change:
            lane = state.lanes.get(change.lane)
            usable = lane is not None and lane.closed_after is None and lane.duty != "authority"
            return "" if usable else f"lane {change.lane} is not open"
        case c.Lift() as change:
            suspension = state.governed.suspensions.get(change.suspension)
            return "" if suspension is not None and not suspension.lifted else "there is no such suspension"
        case c.Review() as change:
            given = state.governed.grants.get(change.grant)
            waits = given is not None and given.review_until_ms and not given.reviewed
            return "" if waits else f"grant {change.grant} waits for no review"
        case c.TrustIssuer():
            return ""
        case change:
            return why_not_taken(state, change, at_ms=at_ms)


def why_not_taken(state: State, change: c.AnyChange, *, at_ms: int) -> str:
    """Say why a change that takes authority away has nothing to take; "" when it has."""
    standing = state.governed
    match change:
        case c.Suspend():
            known = {c.EVERYTHING: ("",), c.PARTY: state.rules.parties, c.FLOW: [f.name for f in state.rules.flows]}
            if change.name not in known.get(change.scope, ()):
                return f"the charter names no {change.scope} {change.name}"
            return "it is suspended already" if (change.scope, change.name) in standing.stopped else ""
        case c.EndAppointment():
            member = standing.members.get(change.person)
            held = member is not None and change.duty in member.duties
            return "" if held else f"{change.person} does not hold the duty {change.duty}"
        case c.Dismiss():
            member = standing.members.get(change.person)
            return "" if member is not None and not member.dismissed else f"{change.person} is no member"
        case c.RevokeKey():
            key = standing.keys.get(change.key)
            return "" if key is not None and not key.revoked else f"key {change.key} is not enrolled"
        case c.RevokeGrant():
            given = standing.grants.get(change.grant)
            return "" if given is not None and given.is_live(at_ms) else f"grant {change.grant} is not live"
        case c.NarrowGrant():
            return _why_not_narrow(standing, change, at_ms=at_ms)
        case c.WithdrawBuild():
            build = standing.builds.get(change.digest)
            return "" if build is not None and not build.withdrawn else "the build is not approved"
        case c.WithdrawService():
            known_service = change.principal in state.principals and change.principal not in standing.members
            return "" if known_service else f"{change.principal} is no service"
        case c.WithdrawIssuer():
            return "" if change.name in standing.issuers else f"the issuer {change.name} is not trusted"
        case _:
            return "it gives, and cannot be ordered"


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
            return _admit(state, proposal, change), 0
        case c.Appoint() as change:
            member = standing.members[change.person]
            held = member.duties.set(change.duty, Appointment(change.duty, epoch, proposal.by))
            return _with_member(state, replace(member, duties=held)), 0
        case c.EnrolKey() as change:
            number = len(standing.keys) + 1
            key = SigningKey(number, change.person, change.key, epoch)
            return _with(state, replace(standing, keys=standing.keys.set(number, key))), number
        case c.Grant() as change:
            return give_grant(state, proposal, change, at_ms=at_ms)
        case c.ApproveBuild() as change:
            build = Build(change.digest, change.name, change.party, epoch)
            return _with(state, replace(standing, builds=standing.builds.set(change.digest, build))), 0
        case c.RegisterService() as change:
            return _register_service(state, proposal, change)
        case c.TrustIssuer() as change:
            return _with(state, replace(standing, issuers=standing.issuers.set(change.name, change.keys))), 0
        case c.OpenKeyEpoch() as change:
            return replace(state, key_epochs={**state.key_epochs, change.data_class: change.key_epoch}), 0
        case c.RecoverLane() as change:
            return _with(state, replace(standing, recoveries=standing.recoveries.set(change.lane, change.n))), 0
        case c.Lift() as change:
            lifted = replace(standing.suspensions[change.suspension], lifted=epoch)
            suspensions = standing.suspensions.set(change.suspension, lifted)
            return _with(state, _with_suspensions(standing, suspensions)), 0
        case c.Review() as change:
            reviewed = replace(standing.grants[change.grant], reviewed=epoch)
            return _with(state, replace(standing, grants=standing.grants.set(change.grant, reviewed))), 0
        case change:
            return take(state, change, by=proposal.by, at_ms=at_ms)


def take(state: State, change: c.AnyChange, *, by: int, at_ms: int) -> tuple[State, int]:
    """Give the state after something was taken away, and the number of the suspension if it made one."""
    standing, epoch = state.governed, state.epoch + 1
    match change:
        case c.Suspend():
            number = len(standing.suspensions) + 1
            suspension = Suspension(number, change.scope, change.name, epoch, by)
            return _with(state, _with_suspensions(standing, standing.suspensions.set(number, suspension))), number
        case c.EndAppointment():
            member = standing.members[change.person]
            return _with_member(state, replace(member, duties=member.duties.delete(change.duty))), 0
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


# -- people --------------------------------------------------------------------------------------------------------


def _why_not_admit(state: State, change: c.Admit, *, at_ms: int) -> str:
    standing = state.governed
    if change.person > state.principal_last or (
        change.person in state.principals and change.person not in standing.members
    ):
        return f"{change.person} is no person of the register"
    if change.party not in state.rules.parties:
        return f"the charter names no party {change.party}"
    if len(standing.members) >= MEMBERS_MAX and change.person not in standing.members:
        return f"there are {MEMBERS_MAX} members already"
    if standing.register is None:
        return ""
    known = standing.register.people.get(change.person)
    if known is None:
        return f"{change.person} is no person of the register"
    if known.party != change.party:
        return f"{change.person} is employed by {known.party}, not by {change.party}"
    if not known.is_present(at_ms):
        return f"{change.person} has not started, or has left"
    if change.until_ms != known.ends_ms:
        return f"{change.person} is there until {known.ends_ms}, not until {change.until_ms}"
    member = standing.members.get(change.person)
    return _conflict(state, change.person, tuple(member.duties) if member else (), at_ms=at_ms)


def _why_not_appoint(state: State, change: c.Appoint, *, at_ms: int) -> str:
    member = state.governed.members.get(change.person)
    duty = state.governance.duties.get(change.duty)
    if member is None or not member.is_active(at_ms):
        return f"{change.person} is no member with authority"
    if duty is None or duty.party != member.party:
        return f"the charter lets no member of {member.party} hold the duty {change.duty}"
    if change.duty in member.duties:
        return f"{change.person} holds the duty {change.duty} already"
    if others := state.governance.separated_from(change.duty) & member.duties.keys():
        return f"nobody holds {change.duty} together with {min(others)}, which {change.person} holds"
    return _conflict(state, change.person, (*member.duties, change.duty), at_ms=at_ms)


def _conflict(state: State, person: int, duties: tuple[str, ...], *, at_ms: int) -> str:
    """Give the first rule of independence that stands against a person, in words; "" where facts are withheld."""
    register = state.governed.register
    if register is None:
        return ""
    conflicts = find_conflicts(register, state.rules, person, duties=duties, at_ms=at_ms)
    return f"{conflicts[0].rule}: {conflicts[0].words}" if conflicts else ""


def _why_not_enrol(state: State, change: c.EnrolKey, *, at_ms: int) -> str:
    member = state.governed.members.get(change.person)
    if member is None or not member.is_active(at_ms):
        return f"{change.person} is no member with authority"
    if any(known.key == change.key for known in state.governed.keys.values()):
        return "the key was enrolled before"
    return ""


def _admit(state: State, proposal: Proposal, change: c.Admit) -> State:
    standing = state.governed
    before = standing.members.get(change.person)
    duties = before.duties if before is not None and not before.dismissed and before.party == change.party else Map()
    member = Member(change.person, change.party, duties, until_ms=change.until_ms)
    identities = {known: number for known, number in state.identities.items() if number != change.person}
    if proposal.identity is not None:
        identities[proposal.identity] = change.person
    principal = Principal(number=change.person, party=change.party)
    return replace(
        _with_member(state, member),
        principals=state.principals.set(change.person, principal),
        identities=identities,
    )


def _dismiss(state: State, person: int) -> State:
    standing, epoch = state.governed, state.epoch + 1
    keys, grants = standing.keys, standing.grants
    for number, key in standing.keys.items():
        if key.person == person and not key.revoked:
            keys = keys.set(number, replace(key, revoked=epoch))
    for number, given in standing.grants.items():
        if given.grant.person == person and not given.ended:
            grants = grants.set(number, replace(given, ended=epoch))
    member = replace(standing.members[person], duties=Map(), dismissed=True)
    standing = replace(standing, keys=keys, grants=grants, members=standing.members.set(person, member))
    return _without_principal(_with(state, standing), person)


def _register_service(state: State, proposal: Proposal, change: c.RegisterService) -> tuple[State, int]:
    number = state.principal_last + 1
    identities = dict(state.identities)
    if proposal.identity is not None:
        identities[proposal.identity] = number
    following = replace(
        state,
        principals=state.principals.set(number, Principal(number=number, party=change.party)),
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
            members = members.set(number, replace(member, duties=Map(known)))
    return _with(state, replace(standing, members=members))


def _why_not_enact(state: State, proposal: Proposal, change: c.EnactCharter) -> str:
    charter = proposal.charter
    if charter is None or charter.digest != change.digest:
        return "the charter's file is missing or is another one"
    if (charter.name, charter.version) != (change.name, change.version):
        return "the charter's file has another name or version"
    if charter.governance is None:
        return "the new charter says nothing of governance, and the ledger is governed"
    if charter.version <= state.rules.version or charter.jurisdiction.country != state.rules.jurisdiction.country:
        return "its version must grow, and it may not move to another jurisdiction"
    for number, member in state.governed.members.items():
        if not member.dismissed and member.party not in charter.parties:
            return f"{number} is a member of {member.party}, which the new charter does not name: dismiss them first"
        for duty in member.duties:
            if charter.governance.separated_from(duty) & member.duties.keys():
                return f"{number} would hold duties that the new charter separates: end an appointment first"
            known = charter.governance.duties.get(duty)
            if known is not None and known.party != member.party:
                return f"{number} would hold {duty}, which is another party's there: end the appointment first"
    return ""


# -- grants --------------------------------------------------------------------------------------------------------


def why_not_grant(state: State, proposal: Proposal, change: c.Grant, *, at_ms: int) -> str:
    """Say why a grant could not be given now; "" when it could."""
    charter, limits = state.rules, state.governance.grants
    member = state.governed.members.get(change.person)
    if member is None or not member.is_active(at_ms):
        return f"{change.person} is no member with authority"
    if charter.parties[member.party].role == _EXCLUDED:
        return f"{change.person} is of {member.party}, an excluded party"
    urgent = change.kind == c.BREAK_GLASS
    lasts_ms_max = limits.break_glass_lasts_ms_max if urgent else limits.lasts_ms_max
    records_max = limits.break_glass_records_max if urgent else limits.records_max
    if not 0 < change.lasts_ms <= lasts_ms_max:
        return f"it may last up to {lasts_ms_max // 1000} s"
    if not 0 < change.records_max <= records_max:
        return f"it may be for up to {records_max} records"
    unknown = [
        *({change.purpose} - charter.purposes.keys()),
        *(set(change.verbs) - set(VERBS)),
        *(set(change.datasets) - charter.datasets.keys()),
        *(set(change.classes) - charter.classes.keys()),
    ]
    if unknown:
        return f"the charter does not know {min(unknown)}"
    for name in change.withhold:
        dataset, _, field = name.partition(".")
        if dataset not in charter.datasets or field not in charter.datasets[dataset].field_classes:
            return f"the charter knows no field {name}"
    if change.subjects_any == bool(proposal.subjects) and proposal.subjects is not None:
        return "it must name its users, or be for any user, and not both"
    return ""


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


def _why_not_narrow(standing: Standing, change: c.NarrowGrant, *, at_ms: int) -> str:
    given = standing.grants.get(change.grant)
    if given is None or not given.is_live(at_ms):
        return f"grant {change.grant} is not live"
    grant = given.grant
    fits = (
        set(change.datasets) <= set(grant.datasets)
        and set(change.classes) <= set(grant.classes)
        and change.records_max <= grant.records_max
        and at_ms + change.lasts_ms <= given.until_ms
    )
    return "" if fits else "it would leave more than there is"


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


# -- values --------------------------------------------------------------------------------------------------------


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
        identities={identity: known for identity, known in state.identities.items() if known != number},
    )
