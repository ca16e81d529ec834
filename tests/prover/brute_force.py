"""What a coalition can reach in a small world, found by trying everything with the core's own functions.

It knows nothing of profiles, counts or rules of `core.coalition`: it has people, keys and states.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

from ringfence.core import changes as c
from ringfence.core.charter import Charter, Flow
from ringfence.core.charter.governance import Duty, Group, Operation
from ringfence.core.credentials import fold_credential
from ringfence.core.decisions.ruling import Asked, rule_access
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.effects import next_number
from ringfence.core.governance.orders import break_glass, order
from ringfence.core.governance.proposals import approve, carry, propose
from ringfence.core.governance.quorum import is_enough
from ringfence.core.governance.recording import fold_people
from ringfence.core.ledger.governed_entry import Approved, Carried, CredentialIssued, Ordered, PeopleRecorded, Proposed
from ringfence.core.people.register import DIRECTION, EMPLOYER, MANAGER, PAY, PersonFacts
from ringfence.core.people.standing import Suspension
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
    made: frozenset[int] = frozenset()
    feed: int = 0

    def mark(self) -> tuple[object, ...]:
        standing = self.state.governed
        assert standing.register is not None
        return (
            tuple(
                (number, tuple(sorted(m.duties)), m.is_active(AT_MS)) for number, m in sorted(standing.members.items())
            ),
            tuple(sorted(self.keys)),
            self.own,
            tuple((number, standing.register.people[number].party) for number in sorted(self.made)),
            self.state.rules.version,
            bool(self.feed),
            *(tuple(kept) for kept in (standing.proposals, standing.issuers, standing.grants)),
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
            elif goal in _PAST_THE_PROGRAM:
                found = _PAST_THE_PROGRAM[goal](place)
            else:
                found = carry_for(place, _change(place.state, goal)) is not None
            if found:
                self.reached.add(goal)
        self.reached |= self.wanted.intersection(goal for goal, _ in _open_carried(place))


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
            if state := carry_for(place, c.EnrolKey(person=number, key=key)):
                yield replace(place, state=state, keys={**place.keys, number: made})
        for duty in DUTIES:
            if duty in member.duties:
                if state := order_for(place, c.EndAppointment(person=number, duty=duty)):
                    yield replace(place, state=state)
            elif state := carry_for(place, c.Appoint(person=number, duty=duty)):
                yield replace(place, state=state)
    for number in register.people:
        facts = register.people.get(number)
        member = standing.members.get(number)
        if facts is None or (member is not None and member.is_active(AT_MS)):
            continue
        change = c.Admit(person=number, party=facts.party, identity=bytes(32), until_ms=facts.ends_ms)
        if state := carry_for(place, change):
            yield replace(place, state=state)
    if place.state.rules.version == 1 and (state := carry_for(place, ENACT, charter=anything_goes(place.state.rules))):
        yield replace(place, state=state)
    feeding = c.RegisterService(party="trust", identity=bytes(32), feeds=True)
    if not place.feed and (state := carry_for(place, feeding)):
        yield replace(place, state=state, feed=state.principal_last)
    yield from _made_up(place)
    yield from (following for _, following in _open_carried(place))


def _open_carried(place: Place) -> Iterator[tuple[str, Place]]:
    """Carry open requests, whoever agreed, each with its goal or ""; of what others asked for, what is for people."""
    for number, asked in place.state.governed.proposals.items():
        state, change = place.state, asked.change
        if asked.by not in place.own and not isinstance(change, c.Admit | c.Appoint | c.Grant):
            continue
        for person, key in place.keys.items():
            try:
                agreed = Approved(proposal=number, by=person, key=key, signature=bytes(32))
                state = _next(approve(state, agreed, None, at_ms=AT_MS, place="brute"))
            except ProofInvalidError:
                continue
        done = Carried(proposal=number, number=next_number(state, change))
        try:
            following = replace(place, state=_next(carry(state, done, at_ms=AT_MS + 2 * HOUR_MS, place="brute")))
        except ProofInvalidError:
            continue
        match change:
            case c.EnactCharter():
                yield "enact-charter", following
            case c.Grant() if change.person in place.own:
                yield "give", following
            case c.EnrolKey():
                yield "", replace(following, keys={**place.keys, change.person: done.number})
            case c.RegisterService() if change.feeds:
                yield "", replace(following, feed=done.number)
            case _:
                yield "", following


def _made_up(place: Place) -> Iterator[Place]:
    """Tell the register of people who do not exist: by hand, as a gateway does, or as a service that may."""
    known = [number for number, who in place.state.principals.items() if who.feeds] if _names_others(place) else []
    by = 0 if _has_power(place, "feed-people") or _opens(place) else place.feed or next(iter(known), -1)
    if len(place.made) < PUPPETS_MAX and by >= 0:
        for party in ("trust", "board"):
            number = place.state.principal_last + 1
            facts = PersonFacts(number=number, reference=f"made {number}", name="made", party=party, team=f"t {number}")
            rule = PeopleRecorded(source="x", added=1, people=1, facts=bytes(32), by=by)
            try:
                state = fold_people(place.state, rule, [facts], at_ms=AT_MS, place="brute")
            except ProofInvalidError:
                continue
            yield replace(place, state=_next(state), own=place.own | {number}, made=place.made | {number})


ENACT = c.EnactCharter(name="small", version=2, digest=hashlib.sha256(b"anything goes").digest(), engine="v2")


def anything_goes(charter: Charter) -> Charter:
    """Give a charter of two people's own: one asks, another agrees, whatever they are."""
    governance = charter.governance
    assert governance is not None
    anybody = ((Group(tuple(DUTIES), 1),),)
    return replace(
        charter,
        version=2,
        digest=ENACT.digest,
        governance=replace(
            governance,
            duties={name: Duty(name, "", party) for name, party in DUTIES.items()},
            operations={name: Operation(name, tuple(DUTIES), anybody) for name in governance.operations},
            orders={name: tuple(DUTIES) for name in governance.orders},
            independence=(),
            separations=(),
        ),
        memo={},
    )


def _next(state: State) -> State:
    return replace(state, epoch=state.epoch + 1)


def carry_for(place: Place, change: c.AnyChange, *, charter: Charter | None = None) -> State | None:
    """Give the state in which a change was carried, asked for by anybody whose key the coalition has."""
    state = place.state
    number = state.governed.proposal_last + 1
    if isinstance(change, c.EnactCharter) and charter is None:
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


def order_for(place: Place, change: c.AnyChange) -> State | None:
    """Give the state in which a change was ordered, by anybody whose key the coalition has."""
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
    there_really = place.own - place.made
    if (
        told.party
        and told.party not in PARENTS
        and not any(register.people[n].party == told.party for n in there_really)
    ):
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


def _names_others(place: Place) -> bool:
    trusting = c.TrustIssuer(name="own", keys=bytes(32))
    is_trusted = trusting.name in place.state.governed.issuers
    says = _has_power(place, "issue-tokens") or _opens(place)  # a gateway says who called
    return is_trusted or says or carry_for(place, trusting) is not None


def _reads(place: Place, name: str) -> bool:
    """Tell whether somebody reads through a flow now, with a grant that the coalition has or can have given.

    That is one of its own people, or anybody where it can make tokens that name others, or have somebody admitted with
    a login of its own.
    """
    flow = next(flow for flow in place.state.rules.flows if flow.name == name)
    if not flow.duties:
        return _reads_as_service(place, flow)
    names_others = _names_others(place)
    for person, member in place.state.governed.members.items():
        admit = c.Admit(person=person, party=member.party, identity=bytes(32))
        state = place.state if names_others or person in place.own else carry_for(place, admit)
        if state is not None and _reads_as(replace(place, state=state), flow, person):
            return True
    return False


def _reads_as(place: Place, flow: Flow, person: int) -> bool:
    state = place.state
    if not flow.needs:
        return _is_permitted(state, flow, person, 0, at_ms=AT_MS)
    for number, given in state.governed.grants.items():
        if given.grant.person == person and _is_permitted(state, flow, person, number, at_ms=AT_MS):
            return True
    for kind in flow.needs:
        change = grant_for(state, flow, kind, person)
        following = _break(place, change) if kind == c.BREAK_GLASS else carry_for(place, change)
        if following is None:
            continue
        number = len(following.governed.grants)
        if _is_permitted(following, flow, person, number, at_ms=following.governed.grants[number].given_ms):
            return True
    return False


def grant_for(state: State, flow: Flow, kind: str, person: int) -> c.Grant:
    limits = state.governance.grants
    return c.Grant(
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


def _is_permitted(state: State, flow: Flow, who: int, grant: int, *, at_ms: int, build: bytes = b"") -> bool:
    asked = Asked(who, flow.countries[0], flow.purposes[0], flow.verbs[0], "person", "single", 1, grant, build)
    return bool(rule_access(state, asked, flow.classes, at_ms=at_ms).permitted)


def _reads_as_service(place: Place, flow: Flow) -> bool:
    """Read as a service that is there, with its tokens, or as one that was registered for it; with a build if asked."""
    known = [number for number, who in place.state.principals.items() if who.party in flow.who]
    known = [number for number in known if number not in place.state.governed.members]
    choices = [(place.state, number) for number in known if _names_others(place)]
    registered = carry_for(place, c.RegisterService(party=flow.who[0], identity=bytes(32)))
    if registered is not None:
        choices.append((registered, registered.principal_last))
    for state, service in choices:
        at_ms, build = AT_MS + 2 * HOUR_MS, b""
        if flow.builds:
            approved, build = _get_build(replace(place, state=state), flow)
            if approved is None:
                continue
            told = CredentialIssued(
                principal=service,
                build=build,
                certificate=bytes(32),
                attestation=bytes(32),
                until_ms=at_ms + HOUR_MS,
            )
            state = _next(fold_credential(approved, told, at_ms=at_ms, place="brute"))
        if _is_permitted(state, flow, service, 0, at_ms=at_ms, build=build):
            return True
    return False


def _get_build(place: Place, flow: Flow) -> tuple[State | None, bytes]:
    """Give a build that a credential may be for, and the state in which it is approved; None where there is none.

    Whoever signs attestations, or has the key that credentials are recorded with, says that theirs is an approved one.
    """
    approved = {digest for digest, known in place.state.governed.builds.items() if known.party == flow.who[0]}
    if approved and (_has_power(place, "sign-builds") or _opens(place)):
        return place.state, min(approved)
    build = hashlib.sha256(b"their build").digest()
    change = c.ApproveBuild(name="x", party=flow.who[0], digest=build, attestor=bytes(32))
    return carry_for(place, change), build


def _gives(place: Place) -> bool:
    """Tell whether one of the coalition's people is given a grant by a quorum."""
    flow = next(flow for flow in place.state.rules.flows if flow.duties)
    kinds = [kind for kind in flow.needs if kind != c.BREAK_GLASS]
    return any(
        carry_for(place, grant_for(place.state, flow, kind, person)) is not None
        for kind in kinds
        for person in place.own
    )


def _builds(place: Place) -> bool:
    return _has_power(place, "deploy") or _has_power(place, "gateway-root")


def _opens(place: Place) -> bool:
    standing = place.state.governed
    shares = len(place.own.intersection(standing.holders))
    return (_has_power(place, "host-root") and 0 < standing.threshold <= shares) or _builds(place)


def _destroys(place: Place) -> bool:
    standing = place.state.governed
    kept = len(standing.holders) - len(place.own.intersection(standing.holders))
    return _has_power(place, "host-root") or _opens(place) or kept < standing.threshold


_PAST_THE_PROGRAM: dict[str, Callable[[Place], bool]] = {
    "give": _gives,
    "build": _builds,
    "open": _opens,
    "destroy": _destroys,
}


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
