"""Why a request is refused, in words, and what could be asked instead: help for whoever reads it, never a decision.

Rules of this file:
1. It says what the entry says and no more of others: a grant of somebody else is as good as none.
2. A conflict of independence is spelled out person by person, where the facts about people are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ringfence.core.changes import EVERYTHING, FLOW, PARTY
from ringfence.core.charter.terms import NONE, OTHER
from ringfence.core.decisions.engines import what_could_be_asked
from ringfence.core.decisions.ruling import (
    GRANT_OTHER_USER,
    GRANT_UNUSABLE,
    GRANT_USED_UP,
    STOPPED_BUILD,
    STOPPED_EVERYTHING,
    STOPPED_PARTY,
    STOPPED_PERSON,
    Asked,
)
from ringfence.core.decisions.view import APPROVED, View
from ringfence.core.people.independence import find_conflicts
from ringfence.core.people.standing import LONG_AGO_MS, Member, Standing
from ringfence.core.state import State
from ringfence.core.times import show_time


class Reason(NamedTuple):
    """Why a request is refused.

    Attributes:
        clause: the clause that would permit it and forbids it, or "".
        words: the rest of a sentence that begins with what was asked and a colon.
        governed: whether people decided so: something is suspended, or a grant is missing.
    """

    clause: str
    words: str
    governed: bool = False


def why_refused(state: State, asked: Asked, decided: Mapping[str, str], *, at_ms: int) -> Reason:
    """Say why a request is refused.

    Args:
        state: what it was decided on.
        asked: the request.
        decided: what its entry says, by class.
        at_ms: when it was decided.
    """
    said = next((text for text in decided.values() if text.startswith("!@")), "")
    said = said or next((text for text in decided.values() if text.startswith("!")), "")
    standing = state.standing
    if said.startswith("!@"):
        return Reason("", _why_governed(state, asked, said, at_ms=at_ms), governed=True)
    clause = said.removeprefix("!")
    if not clause:
        return Reason("", "no clause of the charter permits it")
    if standing is not None and (FLOW, clause) in standing.stopped:
        return Reason(clause, f"clause `{clause}` is suspended{_by_suspension(standing, FLOW, clause)}", governed=True)
    given = standing.grants.get(asked.grant) if standing is not None else None
    if given is not None and given.grant.person == asked.principal and asked.records > given.grant.records_max:
        return Reason(clause, f"grant {given.number} is for {given.grant.records_max} records in all", governed=True)
    return Reason(clause, f"the limit of clause `{clause}` forbids it")


def _why_governed(state: State, asked: Asked, said: str, *, at_ms: int) -> str:
    standing = state.standing
    if standing is None:
        return f"the ledger is not governed, so that there is no grant {asked.grant}"
    party = _party(state, asked)
    match said:
        case _ if said == STOPPED_EVERYTHING:
            return f"everything is suspended{_by_suspension(standing, EVERYTHING, '')}"
        case _ if said == STOPPED_PARTY:
            return f"the party {party} is suspended{_by_suspension(standing, PARTY, party)}"
        case _ if said == STOPPED_PERSON:
            return why_inactive(state, asked.principal, at_ms=at_ms)
        case _ if said == STOPPED_BUILD:
            return why_not_shown(standing, party, asked.principal, asked.build, at_ms=at_ms)
        case _ if said == GRANT_OTHER_USER:
            return f"grant {asked.grant} is for other users"
        case _ if said == GRANT_USED_UP:
            given = standing.grants.get(asked.grant)
            total = f"of its {given.grant.records_max} records " if given else ""
            return f"grant {asked.grant} is used up: {total}fewer than {asked.records} are left"
        case _ if said == GRANT_UNUSABLE:
            return why_unusable(standing, asked, at_ms=at_ms)
        case _:
            return f"it is refused by `{said[1:]}`"


def why_inactive(state: State, person: int, *, at_ms: int) -> str:
    """Say why a member has no authority; "" for one who has."""
    member = state.governed.members.get(person)
    if member is None or member.is_active(at_ms):
        return ""
    if member.dismissed:
        return f"person {person} is dismissed"
    if not member.suspended or 0 < member.until_ms <= at_ms:
        return f"person {person} {_leaving(state, member)}"
    register = state.governed.register
    conflicts = (
        find_conflicts(register, state.rules, person, duties=tuple(member.duties), at_ms=at_ms) if register else ()
    )
    if not conflicts:
        return f"person {person} is suspended until a new admission"
    rules = "; ".join(f"{conflict.rule}: {conflict.words}" for conflict in conflicts)
    return f"person {person} is suspended, because the charter says {rules}"


def _leaving(state: State, member: Member) -> str:
    """Say when a member left, where that is known: an end that had come when it was told is kept without its time."""
    register = state.governed.register
    facts = register.people.get(member.number) if register else None
    ended_ms = member.until_ms if member.until_ms > LONG_AGO_MS else facts.ends_ms if facts else 0
    return f"left at {show_time(ended_ms)}" if ended_ms else "has left"


def why_not_approved(standing: Standing, party: str, digest: bytes) -> str:
    """Say why a party's services may not run a build; "" where they may."""
    build = standing.builds.get(digest)
    if build is None:
        return f"the build {digest.hex()} is not approved"
    if build.withdrawn:
        return f"the build {digest.hex()} was withdrawn by rule {build.withdrawn}"
    if build.party != party:
        return f"the build {digest.hex()} is approved for {build.party}, not for {party}"
    return ""


def why_not_shown(standing: Standing, party: str, principal: int, digest: bytes, *, at_ms: int) -> str:
    """Say why a service's credential for a build does not count; "" where it does."""
    if reason := why_not_approved(standing, party, digest):
        return reason
    until_ms = standing.credential_until_ms(principal, digest)
    if at_ms < until_ms:
        return ""
    ended = f"the last one ended at {show_time(until_ms)}" if until_ms else "none was recorded since it was approved"
    return f"caller {principal} has no credential for the build {digest.hex()}: {ended}"


def why_unusable(standing: Standing, asked: Asked, *, at_ms: int) -> str:
    """Say why the grant that a request names does not permit it; "" where the grant covers it."""
    given = standing.grants.get(asked.grant)
    name = f"grant {asked.grant}"
    if given is None or given.grant.person != asked.principal:
        return f"{name} is not one of person {asked.principal}"
    grant = given.grant
    if given.ended:
        return f"{name} was ended by rule {given.ended}"
    if at_ms >= given.until_ms:
        return f"{name} expired at {show_time(given.until_ms)}"
    if asked.purpose != grant.purpose:
        return f"{name} is for the purpose {grant.purpose}"
    if asked.verb not in grant.verbs:
        return f"{name} is to {' or '.join(grant.verbs)}"
    if asked.dataset not in grant.datasets:
        return f"{name} is for {' and '.join(grant.datasets) or 'no dataset'}"
    if asked.shape != "single" and not grant.bulk:
        return f"{name} is for one user at a time"
    return f"{name} is for the classes {', '.join(grant.classes) or 'none'}"


def could_be_asked(
    state: State, asked: Asked, classes: Iterable[str], decided: Mapping[str, str], *, at_ms: int
) -> list[str]:
    """Give sentences on what could be asked instead, nearest first; none when nothing is near."""
    said = set(decided.values())
    if said & {STOPPED_EVERYTHING, STOPPED_PARTY}:
        return ["the same once the suspension is lifted: a proposal to lift it needs the quorum of the charter"]
    if STOPPED_PERSON in said:
        return ["a new admission: a proposal to admit the person needs the quorum of the charter"]
    if STOPPED_BUILD in said:
        return [
            "the same with a credential for an approved build: a proposal to approve one needs the charter's quorum"
        ]
    standing, party = state.standing, _party(state, asked)
    duties: tuple[str, ...] = ()
    duty = kind = build = NONE
    stopped: frozenset[str] = frozenset()
    if standing is not None:
        member, given = standing.members.get(asked.principal), standing.grants.get(asked.grant)
        duty, duties = (OTHER, tuple(member.duties)) if member else (NONE, ())
        build = APPROVED if asked.build else NONE
        stopped = frozenset(name for scope, name in standing.stopped if scope == FLOW)
        covers = given is not None and not said & {GRANT_UNUSABLE, GRANT_OTHER_USER, GRANT_USED_UP}
        if given is not None and covers and given.grant.person == asked.principal and given.is_live(at_ms):
            kind = given.grant.kind
    views = (
        View(
            *(party, asked.country, asked.purpose, asked.verb, asked.dataset, data_class, asked.shape),
            *(duty, kind, build, stopped),
        )
        for data_class in classes
    )
    return what_could_be_asked(state.rules, *views, duties=duties)


def _party(state: State, asked: Asked) -> str:
    who = state.principals.get(asked.principal)
    return who.party if who else OTHER


def _by_suspension(standing: Standing, scope: str, name: str) -> str:
    for suspension in standing.suspensions.values():
        if (suspension.scope, suspension.name) == (scope, name) and not suspension.lifted:
            return f" (suspension {suspension.number}, ordered by {suspension.by})"
    return ""
