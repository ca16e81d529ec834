"""Proposals: from a signed request, by signed approvals, to a change that is carried.

Rules of this file:
1. Who proposes holds a duty that may ask for it, and all the time until it is carried. A proposal expires, and is
   carried, declined or forgotten once.
2. An approval counts when its person has authority, holds one of the duties that are asked for since before the
   proposal, signed with an own key, and neither asked for the change nor gains from it nor is bound to whoever does in
   a way that the charter names.
3. Approvals are looked at again when the change is carried: one whose person or key has lost its authority since, or
   has become conflicted, counts no more, and the person may approve again.
4. They must be enough by the charter that was in force when it was proposed and by the one in force now. What keeps
   from approving by one of the two, and a veto of one of the two, holds.
5. While fewer people than the charter's minimum hold a duty, only admissions, appointments and keys are carried.
6. A duty's veto holders may decline an appointment to it until their time is over; before that it is not carried.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

from ringfence.core import changes as c
from ringfence.core.charter import Charter
from ringfence.core.charter.governance import Duty, Group, Operation
from ringfence.core.charter.governance_words import RELATION_WORDS
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.conditions import check_possible
from ringfence.core.governance.effects import apply
from ringfence.core.governance.quorum import find_seats, is_enough, render_requirement
from ringfence.core.governance.signing import (
    read_statement,
    require_signer,
    use_statement,
    verify_by_key,
)
from ringfence.core.governance.statement import APPROVE, DECLINE, PROPOSE, Statement
from ringfence.core.ledger.governed_entry import Approved, Carried, Declined, Proposed, Signed
from ringfence.core.people.independence import OUTSIDE, approver_conflicts
from ringfence.core.people.standing import Approval, Member, Proposal, Standing
from ringfence.core.state import State

PROPOSALS_OPEN_MAX: Final = 10_000
CHARTERS_OPEN_MAX: Final = 64
"""Most proposals to enact a charter at a time: each holds a charter, which may be a thousand times its entry's size."""
APPROVALS_MAX: Final = 64
_STAFFING: Final = (c.Admit, c.Appoint, c.EnrolKey)
_AGAINST: Final = {
    OUTSIDE: "is not in the register, or is not there, or the one who asks or gains is not",
    **RELATION_WORDS,
}


def propose(
    state: State, rule: Proposed, signed: Signed | None, *, charter: Charter | None, at_ms: int, place: str
) -> State:
    """Give the state after a proposal; `charter` is the one that an `EnactCharter` names.

    Raises:
        ProofInvalidError: nobody may propose this so.
    """
    standing = state.governed
    governance = state.governance
    operation = governance.operations.get(c.operation_of(rule.change))
    if operation is None:
        raise ProofInvalidError("this cannot be proposed: one person orders it", place=place)
    member = require_signer(standing, by=rule.by, key=rule.key, at_ms=at_ms, place=place)
    if member.duties.keys().isdisjoint(operation.propose):
        raise ProofInvalidError(
            f"person {rule.by} proposes {operation.name} and holds no duty that may",
            place=place,
            expected=" or ".join(operation.propose),
            found=", ".join(sorted(member.duties)) or "no duty",
        )
    if rule.number != standing.proposal_last + 1:
        raise ProofInvalidError("proposals are not numbered in order", place=place, found=str(rule.number))
    if not at_ms < rule.expires_ms <= at_ms + operation.expires_ms_max:
        raise ProofInvalidError(
            "a proposal expires too late, or has already",
            place=place,
            expected=f"up to {operation.expires_ms_max // 1000} s from now",
            found=f"{(rule.expires_ms - at_ms) // 1000} s",
        )
    statement = None
    if signed is not None:
        statement = _read_proposed(state, rule, signed, at_ms=at_ms, place=place)
        standing = use_statement(state, standing, signed.statement, place=place)
    identity = statement.identity if statement else None
    proposal = Proposal(
        number=rule.number,
        by=rule.by,
        key=rule.key,
        change=rule.change,
        operation=operation,
        at_ms=at_ms,
        epoch=state.epoch + 1,
        expires_ms=rule.expires_ms,
        subjects=frozenset(statement.subjects) if statement else None,
        identity=(identity.issuer, identity.subject) if identity else None,
        statement=signed.statement if signed else b"",
        charter=charter,
        duty=governance.duties.get(rule.change.duty) if isinstance(rule.change, c.Appoint) else None,
    )
    check_possible(state, proposal, at_ms=at_ms, place=place)
    standing = replace(
        standing,
        proposals=_with_room(standing, proposal, at_ms=at_ms, place=place).set(rule.number, proposal),
        proposal_last=rule.number,
        withheld=standing.withheld + (signed is None),
    )
    return replace(state, standing=standing)


def _read_proposed(state: State, rule: Proposed, signed: Signed, *, at_ms: int, place: str) -> Statement:
    """Read the statement that a proposal rests on, its signature checked."""
    standing = state.governed
    statement = read_statement(
        state, signed, namespace=PROPOSE, by=rule.by, change=rule.change, at_ms=at_ms, place=place
    )
    if statement.expires_ms != rule.expires_ms:
        raise ProofInvalidError("a proposal expires at another time than its statement", place=place)
    verify_by_key(standing, signed, signed.statement, key=rule.key, namespace=PROPOSE, place=place)
    return statement


def _with_room(standing: Standing, following: Proposal, *, at_ms: int, place: str) -> Map[int, Proposal]:
    """Forget proposals that have expired, so that those that are open stay few, and leave room for one more."""
    proposals = standing.proposals
    for number, other in standing.proposals.items():
        if at_ms >= other.expires_ms:
            proposals = proposals.delete(number)
    if len(proposals) >= PROPOSALS_OPEN_MAX:
        raise ProofInvalidError(f"more than {PROPOSALS_OPEN_MAX} proposals are open", place=place)
    if following.charter is not None:
        charters = sum(other.charter is not None for other in proposals.values())
        if charters >= CHARTERS_OPEN_MAX:
            raise ProofInvalidError(
                f"{CHARTERS_OPEN_MAX} charters are proposed already: decline one first, or wait", place=place
            )
    return proposals


def approve(state: State, rule: Approved, signed: Signed | None, *, at_ms: int, place: str) -> State:
    """Give the state after an approval.

    Raises:
        ProofInvalidError: it does not count; says by which rule.
    """
    standing = state.governed
    proposal = open_proposal(standing, rule.proposal, at_ms=at_ms, place=place)
    require_signer(standing, by=rule.by, key=rule.key, at_ms=at_ms, place=place)
    kept = _without_lost(state, proposal, rule.by, at_ms=at_ms)
    if any(rule.by == approval.person for approval in kept):
        raise ProofInvalidError(f"person {rule.by} approved proposal {rule.proposal} already", place=place)
    if len(kept) >= APPROVALS_MAX:
        raise ProofInvalidError(f"proposal {rule.proposal} has {APPROVALS_MAX} approvals already", place=place)
    approval = Approval(rule.by, rule.key, state.epoch + 1)
    duties, reason = counting_duties(state, proposal, approval, at_ms=at_ms)
    if not duties:
        raise ProofInvalidError(f"the approval of {rule.by} does not count: {reason}", place=place)
    if signed is not None and proposal.statement:
        verify_by_key(standing, signed, proposal.statement, key=rule.key, namespace=APPROVE, place=place)
    proposal = replace(proposal, approvals=(*kept, approval))
    standing = replace(
        standing,
        proposals=standing.proposals.set(proposal.number, proposal),
        withheld=standing.withheld + (signed is None or not proposal.statement),
    )
    return replace(state, standing=standing)


def _without_lost(state: State, proposal: Proposal, person: int, *, at_ms: int) -> tuple[Approval, ...]:
    """Give the approvals without one of this person that counts no more, as after a change of the key."""
    return tuple(
        approval
        for approval in proposal.approvals
        if approval.person != person or counting_duties(state, proposal, approval, at_ms=at_ms)[0]
    )


def decline(state: State, rule: Declined, signed: Signed | None, *, at_ms: int, place: str) -> State:
    """Give the state after a proposal was declined: by one who could approve it, its author, or a veto holder.

    Raises:
        ProofInvalidError: this person may not decline it.
    """
    standing = state.governed
    proposal = open_proposal(standing, rule.proposal, at_ms=at_ms, place=place)
    member = require_signer(standing, by=rule.by, key=rule.key, at_ms=at_ms, place=place)
    may = declining_duties(state, proposal, at_ms=at_ms)
    if member.duties.keys().isdisjoint(may) and rule.by != proposal.by:
        raise ProofInvalidError(
            f"person {rule.by} declines proposal {rule.proposal} and holds no duty that may",
            place=place,
            expected=" or ".join(sorted(may)),
            found=", ".join(sorted(member.duties)) or "no duty",
        )
    if signed is not None and proposal.statement:
        verify_by_key(standing, signed, proposal.statement, key=rule.key, namespace=DECLINE, place=place)
    standing = replace(
        standing,
        proposals=standing.proposals.delete(proposal.number),
        withheld=standing.withheld + (signed is None or not proposal.statement),
    )
    return replace(state, standing=standing)


def carry(state: State, rule: Carried, *, at_ms: int, place: str) -> State:
    """Give the state after a proposal's change took effect.

    Raises:
        ProofInvalidError: it has expired, those who agreed are not enough, or the change is not possible now.
    """
    standing = state.governed
    proposal = open_proposal(standing, rule.proposal, at_ms=at_ms, place=place)
    if reason := why_not_carried(state, proposal, at_ms=at_ms):
        raise ProofInvalidError(f"proposal {proposal.number} cannot be carried: {reason}", place=place)
    check_possible(state, proposal, at_ms=at_ms, place=place)
    remaining = replace(standing, proposals=standing.proposals.delete(proposal.number))
    following, number = apply(replace(state, standing=remaining), proposal, at_ms=at_ms, place=place)
    if number != rule.number:
        raise ProofInvalidError(
            "a change made something with another number", place=place, expected=str(number), found=str(rule.number)
        )
    return following


def why_not_carried(state: State, proposal: Proposal, *, at_ms: int) -> str:
    """Say what a proposal still lacks; "" when it can be carried now."""
    author = state.governed.members.get(proposal.by)
    if author is None or not author.is_active(at_ms):
        return f"{proposal.by}, who asked for it, has no authority any more"
    held = _held_before(author, proposal)
    if any(held.isdisjoint(operation.propose) for operation in operations_of(state, proposal)):
        return f"{proposal.by}, who asked for it, holds no duty any more that may"
    tallied = tally(state, proposal, at_ms=at_ms)
    approvals = {one.approval.person: one.duties for one in tallied if one.duties}
    lost = [
        f"the approval of {one.approval.person} does not count any more: {one.reason}"
        for one in tallied
        if not one.duties
    ]
    for operation in operations_of(state, proposal):
        if not is_enough(operation, approvals):
            return "; ".join([f"it needs {render_requirement(operation)}, and {len(approvals)} agreed", *lost])
    if not isinstance(proposal.change, _STAFFING) and (short := understaffed(state, at_ms=at_ms)):
        name, there, wanted = short[0]
        return f"{there} people hold the duty {name}, and the charter wants {wanted}"
    for duty in vetoes(state, proposal):
        if _is_in_veto(proposal, duty, at_ms=at_ms):
            seconds = (proposal.at_ms + duty.veto_ms - at_ms) // 1000
            return f"{', '.join(duty.veto_by)} may still decline it, for {seconds} s"
    return ""


@dataclass(frozen=True, slots=True)
class Tallied:
    """What one approval of a proposal comes to at some time.

    Attributes:
        approval: of whom, and by which rule.
        duties: that the person agrees with; none when the approval does not count.
        reason: why it does not; "" when it does.
        groups: that the person counts for, by the charter of when the change was proposed and by the one in force, each
            once; none where those who agreed are not enough, or are enough without this person.
    """

    approval: Approval
    duties: AbstractSet[str]
    reason: str
    groups: tuple[Group, ...]


def tally(state: State, proposal: Proposal, *, at_ms: int) -> list[Tallied]:
    """Give what each approval of a proposal comes to, in order (rules 2 and 3)."""
    looked = [(approval, *counting_duties(state, proposal, approval, at_ms=at_ms)) for approval in proposal.approvals]
    approvals = {approval.person: duties for approval, duties, _ in looked if duties}
    seats = [find_seats(operation, approvals) for operation in operations_of(state, proposal)]
    return [
        Tallied(
            approval,
            duties,
            reason,
            tuple(dict.fromkeys(groups[approval.person] for groups in seats if approval.person in groups)),
        )
        for approval, duties, reason in looked
    ]


def operations_of(state: State, proposal: Proposal) -> tuple[Operation, Operation]:
    """Give what the charter asked for when a change was proposed, and what the one in force asks for (rule 4)."""
    return proposal.operation, state.governance.operations[proposal.operation.name]


def counting_duties(
    state: State, proposal: Proposal, approval: Approval, *, at_ms: int
) -> tuple[AbstractSet[str], str]:
    """Give the duties that a person may approve a proposal with, and why there are none (rule 2)."""
    duties, reason = agreeing_duties(state, proposal, approval, at_ms=at_ms)
    return (duties, reason) if not duties else _apart(state, proposal, approval, duties, at_ms=at_ms)


def agreeing_duties(
    state: State, proposal: Proposal, approval: Approval, *, at_ms: int
) -> tuple[AbstractSet[str], str]:
    """Give the same as `counting_duties`, whatever else keeps the person apart from who asks or gains."""
    standing = state.governed
    member, key = standing.members.get(approval.person), standing.keys.get(approval.key)
    if member is None or not member.is_active(at_ms):
        return frozenset(), "no authority: the person has none any more"
    if key is None or key.person != approval.person or key.revoked:
        return frozenset(), "key: it was revoked"
    beneficiary = beneficiary_of(standing, proposal.change)
    if approval.person in (proposal.by, beneficiary):
        return frozenset(), "self: nobody approves what they ask for or gain from"
    asked = asked_duties(state, proposal)
    duties = _held_before(member, proposal) & asked
    if not duties:
        late = member.duties.keys() & asked
        return frozenset(), (
            "appointed-since-request: appointed after the request" if late else "duty: none of those asked for"
        )
    return duties, ""


def _apart(
    state: State, proposal: Proposal, approval: Approval, duties: AbstractSet[str], *, at_ms: int
) -> tuple[AbstractSet[str], str]:
    """Give those of an approval's duties that no relation of the charter's stands against, and why there are none."""
    standing = state.governed
    beneficiary = beneficiary_of(standing, proposal.change)
    member = standing.members[approval.person]
    never = tuple(dict.fromkeys(name for operation in operations_of(state, proposal) for name in operation.never))
    if "appointed-by-requester" in never:
        duties = frozenset(
            duty for duty in duties if member.duties[duty].proposer not in (proposal.by, beneficiary or proposal.by)
        )
        if not duties:
            return frozenset(), "appointed-by-requester: the requester proposed the appointment"
    if standing.register is not None:
        found = approver_conflicts(
            standing.register,
            approver=approval.person,
            requester=proposal.by,
            beneficiary=beneficiary or proposal.by,
            never=tuple(name for name in never if name != "appointed-by-requester"),
            at_ms=at_ms,
            cooling_ms=state.governance.cooling_ms,
        )
        if found:
            return frozenset(), ", ".join(f"{name}: the person {_AGAINST[name]}" for name in found)
    return duties, ""


def _held_before(member: Member, proposal: Proposal) -> frozenset[str]:
    return frozenset(name for name, held in member.duties.items() if held.epoch < proposal.epoch)


def asked_duties(state: State, proposal: Proposal) -> frozenset[str]:
    """Give every duty that an approval of a proposal can be given with."""
    alternatives = (groups for operation in operations_of(state, proposal) for groups in operation.alternatives)
    return frozenset(duty for groups in alternatives for group in groups for duty in group.duties)


def beneficiary_of(standing: Standing, change: c.AnyChange) -> int | None:
    """Give the person whom a change gives something to, if it is one."""
    if isinstance(change, c.Admit | c.Appoint | c.EnrolKey | c.Grant):
        return change.person
    if isinstance(change, c.Review):
        given = standing.grants.get(change.grant)
        return given.grant.person if given else None
    return None


def declining_duties(state: State, proposal: Proposal, *, at_ms: int) -> frozenset[str]:
    """Give every duty of which any holder may decline a proposal now: those that approve it, and those with a veto."""
    vetoing = (duty.veto_by for duty in vetoes(state, proposal) if _is_in_veto(proposal, duty, at_ms=at_ms))
    return asked_duties(state, proposal).union(*vetoing)


def _is_in_veto(proposal: Proposal, duty: Duty, *, at_ms: int) -> bool:
    return at_ms < proposal.at_ms + duty.veto_ms


def vetoes(state: State, proposal: Proposal) -> list[Duty]:
    """Give the duty that a proposal appoints to, as the charter had it when it was proposed and as it has it now."""
    if not isinstance(proposal.change, c.Appoint):
        return []
    return [duty for duty in (proposal.duty, state.governance.duties.get(proposal.change.duty)) if duty is not None]


def understaffed(state: State, *, at_ms: int) -> list[tuple[str, int, int]]:
    """Give (duty, how many hold it with authority, how many should) for each duty that has too few."""
    standing = state.governed
    there: dict[str, int] = {}
    for member in standing.members.values():
        if member.is_active(at_ms):
            for duty in member.duties:
                there[duty] = there.get(duty, 0) + 1
    duties = state.governance.duties.values()
    return [
        (duty.name, there.get(duty.name, 0), duty.minimum) for duty in duties if there.get(duty.name, 0) < duty.minimum
    ]


def render_understaffed(short: Sequence[tuple[str, int, int]]) -> str:
    """Say which duties have too few people, and what does not work until they have enough; "" for none."""
    if not short:
        return ""
    duties = ", ".join(f"{duty} ({held} of {minimum})" for duty, held, minimum in short)
    return (
        f"fewer people than the charter's minimum hold {duties}: until enough do, nothing but admissions, appointments "
        f"and keys can be carried - no grant, build, service, issuer or charter; orders still work"
    )


def open_proposal(standing: Standing, number: int, *, at_ms: int, place: str) -> Proposal:
    """Give a proposal that is open.

    Raises:
        ProofInvalidError: there is none such, or it has expired.
    """
    proposal = standing.proposals.get(number)
    if proposal is None:
        raise ProofInvalidError(f"proposal {number} is not open", place=place)
    if at_ms >= proposal.expires_ms:
        raise ProofInvalidError(f"proposal {number} has expired", place=place)
    return proposal
