"""What new facts about people take away, and the entry that says so.

Rules of this file:
1. A true fact is never refused. What it takes away from a member is taken by the same entry.
2. It takes away only: a member whom a rule of independence now stands against is suspended until a new admission, and
   so is one who changed the employer; one who leaves has no authority from that time on, and is not suspended as
   well. A fact that is favourable changes nothing until a quorum says so.
3. Whoever has the facts computes the same effects; whoever has not folds those that the entry says.
4. A service tells facts only when a quorum let it, and when it is of no party that the custodian is independent of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ringfence.core.charter import Charter
from ringfence.core.charter.governance import PROPOSE_ONLY
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.voiding import void_admissions
from ringfence.core.ledger.governed_entry import PeopleRecorded
from ringfence.core.people.independence import Independence
from ringfence.core.people.register import PersonFacts, Register, record
from ringfence.core.people.standing import LONG_AGO_MS, Member, Standing
from ringfence.core.state import Principal, State

MEMBERS_MAX: Final = 800
"""Most members at a time: what one entry must be able to suspend all of."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What facts take away: members who are suspended, and (member, time from which there is no authority)."""

    suspends: tuple[int, ...]
    ends: tuple[tuple[int, int], ...]


def why_not_feed(principal: Principal | None, charter: Charter) -> str:
    """Say why a caller may not tell the register facts; "" when it may (rule 4)."""
    if principal is None:
        return "it is not registered"
    if not principal.feeds:
        return "no quorum let it feed the register of people"
    return why_no_feed_of(principal.party, charter)


def why_no_feed_of(party: str, charter: Charter) -> str:
    """Say why no service of a party may feed the register; "" when one may."""
    known = charter.parties.get(party)
    if known is None:
        return f"the charter names no party {party}"
    if known.role in PROPOSE_ONLY:
        return f"{party} is an {known.role} party, and the custodian is independent of what it says about people"
    return ""


def find_effects(
    standing: Standing, register: Register, charter: Charter, facts: Sequence[PersonFacts], *, at_ms: int
) -> Effects:
    """Give what the new facts take away (rule 2).

    Args:
        standing: before the facts.
        register: with the facts recorded.
        charter: in force.
        facts: the new ones.
        at_ms: when they are recorded.
    """
    suspends, ends = [], []
    told = {one.number for one in facts}
    independence = Independence(register, charter, at_ms=at_ms)
    for number, member in sorted(standing.members.items()):
        if member.dismissed:
            continue
        known = register.people.get(number)
        until_ms = member.until_ms
        if number in told and known is not None and known.ends_ms and _ends_sooner(known.ends_ms, member):
            until_ms = max(known.ends_ms, LONG_AGO_MS)
            ends.append((number, known.ends_ms))
        has_left = 0 < until_ms <= at_ms  # nothing is left to take, and only a new admission gives it back
        if not (member.suspended or has_left) and (
            known is None or known.party != member.party or independence.find_conflicts(number, tuple(member.duties))
        ):
            suspends.append(number)
    return Effects(tuple(suspends), tuple(ends))


def _ends_sooner(ends_ms: int, member: Member) -> bool:
    return member.until_ms == 0 or ends_ms < member.until_ms


def fold_people(
    state: State, rule: PeopleRecorded, facts: Sequence[PersonFacts] | None, *, at_ms: int, place: str
) -> State:
    """Give the state after facts were recorded; they are None where they are withheld.

    Raises:
        ProofInvalidError: who told them may not, the entry does not say what follows from the facts, or it takes from
            somebody who is no member.
    """
    standing, charter = state.governed, state.rules
    if rule.by and (reason := why_not_feed(state.principals.get(rule.by), charter)):
        raise ProofInvalidError(f"facts about people were told by {rule.by}, who may not: {reason}", place=place)
    register = None
    if facts is not None and standing.register is not None:
        last = state.principal_last
        register = _record(standing.register, rule, facts, principal_last=last, at_ms=at_ms, place=place)
        effects = find_effects(standing, register, charter, facts, at_ms=at_ms)
        if (effects.suspends, effects.ends) != (rule.suspends, rule.ends):
            raise ProofInvalidError(
                "facts were recorded with other effects than follow from them",
                place=place,
                expected=f"suspends {effects.suspends}, ends {effects.ends}",
                found=f"suspends {rule.suspends}, ends {rule.ends}",
            )
    members = standing.members
    for number in rule.suspends:
        member = _member(members.get(number), number, place)
        members = members.set(number, replace(member, suspended=True, lost_ms=at_ms))
    for number, until_ms in rule.ends:
        # An end that has come holds from this entry on, for a gateway too whose clock is behind.
        ended_ms = until_ms if until_ms > at_ms else LONG_AGO_MS
        member = _member(members.get(number), number, place)
        members = members.set(number, replace(member, until_ms=ended_ms, lost_ms=at_ms))
    withheld = standing.withheld + (1 if facts is None else 0)
    standing = void_admissions(standing, {*rule.suspends, *(number for number, _ in rule.ends)})
    following = replace(standing, register=register, members=members, withheld=withheld)
    return replace(state, standing=following, principal_last=state.principal_last + rule.added)


def _record(
    register: Register,
    rule: PeopleRecorded,
    facts: Sequence[PersonFacts],
    *,
    principal_last: int,
    at_ms: int,
    place: str,
) -> Register:
    added = sorted(one.number for one in facts if one.number not in register.people)
    if added != list(range(principal_last + 1, principal_last + 1 + rule.added)) or len(facts) != rule.people:
        raise ProofInvalidError(
            "facts were recorded of other people than the entry counts",
            place=place,
            expected=f"{rule.people} people, {rule.added} of them new and numbered from {principal_last + 1}",
            found=f"{len(facts)} people, {len(added)} of them new",
        )
    return record(register, facts, at_ms=at_ms)


def _member(member: Member | None, number: int, place: str) -> Member:
    if member is None:
        raise ProofInvalidError(f"facts take from {number}, who is no member", place=place)
    return member
