"""What a coalition can reach in a small world, found by trying everything with the core's own functions.

It knows nothing of profiles, counts or rules of `core.coalition`: it has people, keys and states.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

from ringfence.core import changes as c
from ringfence.core.charter_governance import Operation
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.effects import next_number
from ringfence.core.governance.orders import break_glass, order
from ringfence.core.governance.proposals import approve, carry, propose
from ringfence.core.governance.quorum import is_enough
from ringfence.core.governance.recording import fold_people
from ringfence.core.governed_entry import Approved, Carried, Ordered, PeopleRecorded, Proposed
from ringfence.core.register import DIRECTION, EMPLOYER, MANAGER, PAY, PersonFacts
from ringfence.core.ruling import Asked, rule_access
from ringfence.core.standing import Suspension
from ringfence.core.state import State
from tests.prover.small_worlds import AT_MS, DUTIES, HOUR_MS

STATES_MAX = 60
PUPPETS_MAX = 2
PARENTS = ("parent",)


@dataclass(frozen=True)
class Place:
    """Where a search stands: a state, whose keys the coalition has, and who is there in person."""

    state: State
    keys: dict[int, int]
    own: frozenset[int]
    puppets: int = 0

    def mark(self) -> tuple[object, ...]:
        standing = self.state.governed
        return (
            tuple(
                (number, tuple(sorted(m.duties)), m.is_active(AT_MS)) for number, m in sorted(standing.members.items())
            ),
            tuple(sorted(self.keys)),
            self.own,
        )


def own_from_the_start(state: State) -> set[int]:
    """Give everyone who is the parent's, or below somebody who is."""
    register = state.governed.register
    assert register is not None

    def is_theirs(number: int, seen: frozenset[int]) -> bool:
        if number not in register.people:
            return True
        for tie in register.ties(number, ended_after_ms=AT_MS):
            if tie.kind in (EMPLOYER, PAY) and (tie.name in PARENTS or tie.name not in state.rules.parties):
                return True
            above = tie.kind in (MANAGER, DIRECTION) and tie.person not in seen
            if above and is_theirs(tie.person, seen | {tie.person}):
                return True
        return False

    return {number for number in register.people if is_theirs(number, frozenset((number,)))}


def brought_by(state: State, chiefs: set[int]) -> set[int]:
    """Give these people and everyone below them."""
    register = state.governed.register
    assert register is not None
    found, grown = set(chiefs), True
    while grown:
        below = {
            number
            for number in register.people
            if any(
                tie.kind in (MANAGER, DIRECTION) and tie.person in found
                for tie in register.ties(number, ended_after_ms=AT_MS)
            )
        }
        grown = not below <= found
        found |= below
    return found


@dataclass
class Search:
    """What of some goals can be reached from one state by one coalition."""

    start: Place
    wanted: frozenset[str]
    reached: set[str] = field(default_factory=set)
    is_whole: bool = True

    def run(self) -> Search:
        seen = {self.start.mark()}
        waiting = deque([self.start])
        while waiting:
            place = waiting.popleft()
            self._look(place)
            if self.reached >= self.wanted:
                return self
            for following in _moves(place):
                mark = following.mark()
                if mark in seen:
                    continue
                if len(seen) >= STATES_MAX:
                    self.is_whole = False
                    return self
                seen.add(mark)
                waiting.append(following)
        return self

    def _look(self, place: Place) -> None:
        for goal in self.wanted - self.reached:
            if goal.startswith("flow:"):
                found = _reads(place, goal.removeprefix("flow:"))
            elif goal.startswith("power:"):
                found = _has_power(place, goal.removeprefix("power:"))
            else:
                found = _carry(place, _change(place.state, goal)) is not None
            if found:
                self.reached.add(goal)


def _change(state: State, goal: str) -> c.AnyChange:
    """Give the change that is a goal, by the operation's name."""
    rules = state.rules
    changes: dict[str, c.AnyChange] = {
        "enact-charter": c.EnactCharter(name=rules.name, version=rules.version + 1, digest=bytes(32), engine="v2"),
        "lift": c.Lift(suspension=1),
        "trust-issuer": c.TrustIssuer(name="own", keys=bytes(32)),
    }
    return changes[goal]


def _moves(place: Place) -> Iterator[Place]:
    standing = place.state.governed
    register = standing.register
    assert register is not None
    for number, member in standing.members.items():
        if number not in place.keys:
            key = hashlib.sha256(f"enrolled {number}".encode()).digest()
            made = next_number(place.state, c.EnrolKey(person=number, key=key))
            if state := _carry(place, c.EnrolKey(person=number, key=key)):
                yield replace(place, state=state, keys={**place.keys, number: made})
        for duty in DUTIES:
            if duty in member.duties:
                if state := _order(place, c.EndAppointment(person=number, duty=duty)):
                    yield replace(place, state=state)
            elif state := _carry(place, c.Appoint(person=number, duty=duty)):
                yield replace(place, state=state)
    for number in register.people:
        facts = register.people.get(number)
        member = standing.members.get(number)
        if facts is None or (member is not None and member.is_active(AT_MS)):
            continue
        change = c.Admit(person=number, party=facts.party, identity=bytes(32), until_ms=facts.ends_ms)
        if state := _carry(place, change):
            yield replace(place, state=state)
    if place.puppets < PUPPETS_MAX and _has_power(place, "feed-people"):
        for party in ("trust", "board"):
            number = place.state.principal_last + 1
            facts = PersonFacts(number=number, reference=f"made {number}", name="made", party=party, team=f"t {number}")
            rule = PeopleRecorded(source="x", added=1, people=1, facts=bytes(32))
            try:
                state = fold_people(place.state, rule, [facts], at_ms=AT_MS, place="brute")
            except ProofInvalidError:
                continue
            yield Place(_next(state), place.keys, place.own | {number}, place.puppets + 1)


def _next(state: State) -> State:
    return replace(state, epoch=state.epoch + 1)


def _carry(place: Place, change: c.AnyChange) -> State | None:
    """Give the state in which a change was carried, asked for by anybody whose key the coalition has."""
    state = place.state
    number = state.governed.proposal_last + 1
    charter = None
    if isinstance(change, c.EnactCharter):
        charter = replace(state.rules, version=change.version, digest=change.digest, memo={})
    if isinstance(change, c.Lift):
        stopped = state.governed.suspensions.set(1, Suspension(1, c.FLOW, "serving", 1, 0))
        state = replace(state, standing=replace(state.governed, suspensions=stopped))
    for by, key in place.keys.items():
        asked = Proposed(
            number=number, by=by, key=key, change=change, expires_ms=AT_MS + 10 * HOUR_MS, statement=bytes(32)
        )
        try:
            tried = _next(propose(state, asked, None, charter=charter, at_ms=AT_MS, place="brute"))
        except ProofInvalidError:
            continue
        for person, signing in place.keys.items():
            agreed = Approved(proposal=number, by=person, key=signing, signature=bytes(32))
            try:
                tried = _next(approve(tried, agreed, None, at_ms=AT_MS, place="brute"))
            except ProofInvalidError:
                continue
        done = Carried(proposal=number, number=next_number(tried, change))
        try:
            return _next(carry(tried, done, at_ms=AT_MS + 2 * HOUR_MS, place="brute"))
        except ProofInvalidError:
            continue
    return None


def _order(place: Place, change: c.AnyChange) -> State | None:
    for by, key in place.keys.items():
        try:
            return _next(
                order(
                    place.state,
                    Ordered(by=by, key=key, change=change, statement=bytes(32)),
                    None,
                    at_ms=AT_MS,
                    place="brute",
                )
            )
        except ProofInvalidError:
            continue
    return None


def _has_power(place: Place, name: str) -> bool:
    told = place.state.governance.powers.get(name)
    register = place.state.governed.register
    assert register is not None
    if told is None:
        return True
    if told.party and told.party not in PARENTS and not any(register.people[n].party == told.party for n in place.own):
        return False
    if not told.alternatives:
        return True
    members = place.state.governed.members
    there = {
        number: frozenset(members[number].duties)
        for number in place.own
        if number in members and members[number].is_active(AT_MS)
    }
    return is_enough(Operation(name=name, propose=(), alternatives=told.alternatives), there)


def _reads(place: Place, name: str) -> bool:
    """Tell whether somebody reads through a flow now, with a grant that the coalition can have given.

    That is one of its own people, or anybody where it can make tokens that name others.
    """
    flow = next(flow for flow in place.state.rules.flows if flow.name == name)
    limits = place.state.governance.grants
    issuer = _carry(place, c.TrustIssuer(name="own", keys=bytes(32)))
    names_others = _has_power(place, "issue-tokens") or issuer is not None
    for person in place.state.governed.members if names_others else place.own:
        for kind in flow.needs:
            change = c.Grant(
                kind=kind,
                person=person,
                purpose=flow.purposes[0],
                verbs=flow.verbs,
                datasets=flow.datasets,
                classes=flow.classes,
                records_max=limits.break_glass_records_max,
                lasts_ms=limits.break_glass_lasts_ms_max,
                subjects_any=True,
            )
            state = _break(place, change) if kind == c.BREAK_GLASS else _carry(place, change)
            if state is None:
                continue
            number = len(state.governed.grants)
            asked = Asked(person, flow.countries[0], flow.purposes[0], flow.verbs[0], "person", "single", 1, number)
            at_ms = state.governed.grants[number].given_ms
            if rule_access(state, asked, flow.classes, at_ms=at_ms).permitted:
                return True
    return False


def _break(place: Place, change: c.Grant) -> State | None:
    member = place.state.governed.members.get(change.person)
    may = place.state.governance.orders.get(c.BREAK_GLASS, ())
    if member is None or change.person not in place.keys or member.duties.keys().isdisjoint(may):
        return None
    try:
        return break_glass(place.state, change, by=change.person, subjects=None, at_ms=AT_MS, place="brute")[0]
    except ProofInvalidError:
        return None


def search_all(state: State, goals: frozenset[str]) -> tuple[dict[str, int], bool]:
    """Give for each goal that anybody reaches how few must join, and whether nothing was left out."""
    register = state.governed.register
    assert register is not None
    base = own_from_the_start(state)
    others = sorted(set(register.people) - base)
    fewest: dict[str, int] = {}
    is_whole = True
    for number in range(len(others) + 1):
        for joined in combinations(others, number):
            own = base | brought_by(state, set(joined))
            keys = {person: key.number for key in state.governed.keys.values() if (person := key.person) in own}
            found = Search(Place(state, keys, frozenset(own)), goals - fewest.keys()).run()
            is_whole &= found.is_whole
            for name in found.reached:
                fewest.setdefault(name, number)
        if fewest.keys() >= goals:
            break
    return fewest, is_whole
