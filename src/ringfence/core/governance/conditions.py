"""Conditions: what must be so for a change to be possible, whoever agrees to it.

Rules of this file:
1. They are asked when a change is proposed, so that nobody agrees to what cannot be, and again when it takes effect,
   on the state of then.
2. What rests on facts about people is checked where the register is known, by the same function everywhere.
"""

from __future__ import annotations

from ringfence.core import changes as c
from ringfence.core.charter import Charter
from ringfence.core.charter.governance import EXCLUDED, Governance
from ringfence.core.charter.terms import VERBS
from ringfence.core.decisions.engines import HEEDING_ENGINES
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.recording import MEMBERS_MAX, why_no_feed_of
from ringfence.core.issuers import is_trustable
from ringfence.core.people.independence import Independence
from ringfence.core.people.standing import Member, Proposal, Standing
from ringfence.core.state import State


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
            return _why_not_enact(state, proposal, change, at_ms=at_ms)
        case c.Admit() as change:
            holder = state.identities.get(proposal.identity) if proposal.identity is not None else None
            if holder not in (None, change.person):
                return f"the identity is that of {holder}"
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
            if change.feeds and (reason := why_no_feed_of(change.party, state.rules)):
                return f"it may not feed the register of people: {reason}"
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
        case c.TrustIssuer() as change:
            return "" if is_trustable(change.name) else f"{change.name} stands for one of this program's own tools"
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
    kept = member.duties_kept(change.party, at_ms=at_ms) if member else ()
    return _conflict(_independence(state, state.rules, at_ms=at_ms), change.person, tuple(kept))


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
    return _conflict(_independence(state, state.rules, at_ms=at_ms), change.person, (*member.duties, change.duty))


def _independence(state: State, charter: Charter, *, at_ms: int) -> Independence | None:
    """Give the register as a charter sees it now; None where facts are withheld."""
    register = state.governed.register
    return None if register is None else Independence(register, charter, at_ms=at_ms)


def _conflict(independence: Independence | None, person: int, duties: tuple[str, ...]) -> str:
    """Give the first rule of independence against a person, in words; "" where facts are withheld."""
    conflicts = independence.find_conflicts(person, duties) if independence is not None else ()
    return f"{conflicts[0].rule}: {conflicts[0].words}" if conflicts else ""


def _why_not_enrol(state: State, change: c.EnrolKey, *, at_ms: int) -> str:
    member = state.governed.members.get(change.person)
    if member is None or not member.is_active(at_ms):
        return f"{change.person} is no member with authority"
    if any(known.key == change.key for known in state.governed.keys.values()):
        return "the key was enrolled before"
    return ""


def _why_not_enact(state: State, proposal: Proposal, change: c.EnactCharter, *, at_ms: int) -> str:
    charter = proposal.charter
    if charter is None or charter.digest != change.digest:
        return "the charter's file is missing or is another one"
    if (charter.name, charter.version) != (change.name, change.version):
        return "the charter's file has another name or version"
    if charter.governance is None:
        return "the new charter says nothing of governance, and the ledger is governed"
    if charter.version <= state.rules.version or charter.jurisdiction.country != state.rules.jurisdiction.country:
        return "its version must grow, and it may not move to another jurisdiction"
    if change.engine not in HEEDING_ENGINES:
        known = " or ".join(sorted(HEEDING_ENGINES))
        return f"the engine {change.engine} heeds no duties and no suspended flow: name {known}"
    independence = _independence(state, charter, at_ms=at_ms)
    for number, member in state.governed.members.items():
        if not (member.dismissed or member.has_left(at_ms)) and (
            reason := _why_not_under(charter, charter.governance, independence, member, at_ms=at_ms)
        ):
            return f"{number} {reason}"
    return ""


def _why_not_under(
    charter: Charter, governance: Governance, independence: Independence | None, member: Member, *, at_ms: int
) -> str:
    """Say what of a member could not be under a new charter; "" when all of it could."""
    if member.party not in charter.parties:
        return f"is a member of {member.party}, which the new charter does not name: dismiss them first"
    held = member.duties.keys() & governance.duties.keys()
    for duty in sorted(held):
        if governance.separated_from(duty) & held:
            return "would hold duties that the new charter separates: end an appointment first"
        if governance.duties[duty].party != member.party:
            return f"would hold {duty}, which is another party's there: end the appointment first"
    if member.is_active(at_ms) and (conflict := _conflict(independence, member.number, tuple(sorted(held)))):
        return f"would not be independent ({conflict}): end an appointment first"
    return ""


def why_not_grant(state: State, proposal: Proposal, change: c.Grant, *, at_ms: int) -> str:
    """Say why a grant could not be given now; "" when it could."""
    charter, limits = state.rules, state.governance.grants
    member = state.governed.members.get(change.person)
    if member is None or not member.is_active(at_ms):
        return f"{change.person} is no member with authority"
    if charter.parties[member.party].role == EXCLUDED:
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
