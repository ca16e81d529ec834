"""A run: what a coalition does, step by step, done by the functions that a ledger folds.

Rules of this file:
1. A step counts only when the core's own functions take it: proposals, approvals and their carrying, facts, decisions.
   Only signatures are left out: the coalition has the keys.
2. Nobody outside the coalition does anything: no veto, no declining, no suspension. Where somebody could, the step says
   who had how long.
3. Of a power past the program the charter is taken at its word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Final

from ringfence.core import changes as c
from ringfence.core.charter import Charter
from ringfence.core.charter.governance import PROPOSE_ONLY, Governance, Group, Operation
from ringfence.core.coalition.countings import COUNTINGS, NEWEST_COUNTING
from ringfence.core.coalition.world import World
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.effects import next_number
from ringfence.core.governance.orders import order
from ringfence.core.governance.proposals import approve, asked_duties, carry, propose, vetoes, why_not_carried
from ringfence.core.governance.quorum import is_enough
from ringfence.core.governance.recording import find_effects, fold_people
from ringfence.core.ledger.governed_entry import Approved, Carried, Ordered, PeopleRecorded, Proposed
from ringfence.core.people.register import PersonFacts, record
from ringfence.core.state import State

_PLACE: Final = "run"
_SECOND_MS: Final = 1_000
PUPPETS_MAX: Final = 8
"""Most people whom a run makes up."""

HOLDERS_MAX: Final = 16
"""Most people whom a run lets hold one duty; a quorum that asks for more is not tried."""

ASKERS_MAX: Final = 8
"""Most people who are let ask for one change, one after the other."""

FEEDING_POWERS: Final = ("feed-people", "gateway-root", "deploy")
"""Powers by which facts are told to the register: a gateway has the key that these are written with."""

OTHERS_MAX: Final = 16
"""Most people outside the coalition in whose names a run lets itself be admitted."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One step of a run.

    Attributes:
        what: the operation, order or power, as the charter calls it.
        by: who asks, orders or uses it.
        agreed: those who agree, whoever signs in their names.
        words: what is done.
        waits_ms: how long somebody outside had to stop it; 0 when nobody could.
    """

    what: str
    by: tuple[int, ...]
    agreed: tuple[int, ...]
    words: str
    waits_ms: int = 0


Kept = tuple[State, int, set[int], dict[int, int], list[Deed]]


class Run:
    """A coalition at work on a state.

    Args:
        world: of the coalition.
        state: where it begins.
        people: its members and others of the register, by number.
        at_ms: when it begins.

    Attributes:
        deeds: what was done, in order.
        own: the numbers of its people.
        began_with: those whom it began with.
    """

    def __init__(self, world: World, state: State, people: Iterable[int], *, at_ms: int) -> None:
        self.world, self.state, self.at_ms = world, state, at_ms
        self.own = set(people)
        self.began_with = frozenset(self.own)
        self.deeds: list[Deed] = []
        self._began_last = state.principal_last
        self._keys = {
            key.person: key.number for key in state.governed.keys.values() if key.person in self.own and not key.revoked
        }

    # -- what the program decides ----------------------------------------------------------------------------------

    def carry(self, change: c.AnyChange, words: str, *, charter: Charter | None = None) -> bool:
        """Ask for a change, agree to it and carry it, with whom the coalition can sign for; tells whether it is."""
        operation = self.state.governance.operations[c.operation_of(change)]
        if not self._could_be_enough(operation):
            return False
        askers = (by for by in self._first_own(self._keys) if not self.duties_of(by).isdisjoint(operation.propose))
        return any(self._carry_asked_by(by, change, words, charter) for by in islice(askers, ASKERS_MAX))

    def _could_be_enough(self, operation: Operation) -> bool:
        """Tell whether the coalition's signatures could be enough, were nobody kept apart: else no try is worth it."""
        signing = {person: duties for person in self._keys if (duties := self.duties_of(person))}
        return is_enough(operation, signing)

    def _first_own(self, people: Iterable[int]) -> list[int]:
        """Give people in order, the coalition's own before those in whose names it signs."""
        return sorted(people, key=lambda person: (person not in self.own, person))

    def _carry_asked_by(self, by: int, change: c.AnyChange, words: str, charter: Charter | None) -> bool:
        state, at_ms = self.state, self.at_ms + _SECOND_MS
        operation = state.governance.operations[c.operation_of(change)]
        number = state.governed.proposal_last + 1
        try:
            rule = Proposed(
                number=number,
                by=by,
                key=self._keys[by],
                change=change,
                expires_ms=at_ms + operation.expires_ms_max,
                statement=bytes(32),
            )
            state = _next(propose(state, rule, None, charter=charter, at_ms=at_ms, place=_PLACE))
            waits_ms = max((duty.veto_ms for duty in vetoes(state, state.governed.proposals[number])), default=0)
            state = self._agree(state, number, at_ms=at_ms + waits_ms)
            agreed = tuple(item.person for item in state.governed.proposals[number].approvals)
            carried = Carried(proposal=number, number=next_number(state, change))
            following = carry(state, carried, at_ms=at_ms + waits_ms, place=_PLACE)
            COUNTINGS[NEWEST_COUNTING].count(state, following, change, at_ms=at_ms + waits_ms)
            state = _next(following)
        except ProofInvalidError:
            return False
        self.state, self.at_ms = state, at_ms + waits_ms
        self.deeds.append(Deed(operation.name, (by,), agreed, words, waits_ms))
        return True

    def _agree(self, state: State, number: int, *, at_ms: int) -> State:
        """Let all agree who can, until it is enough."""
        asked = asked_duties(state, state.governed.proposals[number])
        for person in self._first_own(self._keys):
            if self.duties_of(person).isdisjoint(asked):
                continue
            if not why_not_carried(state, state.governed.proposals[number], at_ms=at_ms):
                break
            rule = Approved(proposal=number, by=person, key=self._keys[person], signature=bytes(32))
            try:
                state = _next(approve(state, rule, None, at_ms=at_ms, place=_PLACE))
            except ProofInvalidError:
                continue
        return state

    def order(self, change: c.AnyChange) -> int:
        """Order a change with somebody whom the coalition can sign for; gives who ordered it, 0 when nobody can."""
        may = self.state.governance.orders.get(c.operation_of(change), ())
        for by in self._first_own(self._keys):
            if self.duties_of(by).isdisjoint(may):
                continue
            number = next_number(self.state, change)
            rule = Ordered(by=by, key=self._keys[by], change=change, statement=bytes(32), number=number)
            try:
                self.state = _next(order(self.state, rule, None, at_ms=self.at_ms, place=_PLACE))
            except ProofInvalidError:
                continue
            return by
        return 0

    def pursue(self, change: c.AnyChange, words: str, *, charter: Charter | None = None) -> bool:
        """Carry a change; where the coalition's people are not enough, first get it more to sign with, or other rules.

        What was done in vain is as if it had not been.
        """
        before = self.keep()
        if self._grow_and_carry(change, words, charter):
            return True
        self.restore(before)
        if charter is None and self._take_over() and self._grow_and_carry(change, words, None):
            return True
        self.restore(before)
        return False

    def _grow_and_carry(self, change: c.AnyChange, words: str, charter: Charter | None) -> bool:
        if self.carry(change, words, charter=charter):
            return True
        operation = self.state.governance.operations[c.operation_of(change)]
        return any(self.carry(change, words, charter=charter) for _ in self._grow(operation))

    def _take_over(self) -> bool:
        """Put a charter in force by which any two agree to anything; tells whether it is.

        One that asks for a number of people is first replaced by one that asks for none, and is the same otherwise.
        """
        return (
            not self.state.governance.coalition_min
            or self._put_in_force(
                unbind(self.state.rules), "a charter is put in force that asks for no number of people"
            )
        ) and self._put_in_force(
            loosen(self.state.rules),
            "a charter is put in force by which any two of those who hold a duty agree to anything",
        )

    def _put_in_force(self, charter: Charter, words: str) -> bool:
        change = c.EnactCharter(
            name=charter.name, version=charter.version, digest=charter.digest, engine=self.state.engine
        )
        return self.pursue(change, words, charter=charter)

    def keep(self) -> Kept:
        """Give where the run stands."""
        return self.state, self.at_ms, set(self.own), dict(self._keys), list(self.deeds)

    def restore(self, before: Kept) -> None:
        """Go back to where the run stood: what was done since is as if it had not been."""
        self.state, self.at_ms, self.own, self._keys, self.deeds = before

    def _grow(self, operation: Operation) -> Iterator[None]:
        """Get more people to sign with, one after the other; stops after each."""
        wanted = dict.fromkeys([*operation.propose, *(d for w in operation.alternatives for g in w for d in g.duties)])
        most = 2 + max(sum(group.count for group in way) for way in operation.alternatives)
        members = self.state.governed.members
        for duty in wanted:
            yield from self._enrol(islice((one for one in members if duty in self.duties_of(one)), most))
        yield from self._appoint(wanted, self._keys)
        parties = {self.state.governance.duties[duty].party for duty in wanted}
        for party in sorted(parties):
            yield from self._enrol(islice((one for one, known in members.items() if known.party == party), most))
        yield from self._appoint(wanted, self._keys)
        yield from self._enter(wanted)
        for _ in range(PUPPETS_MAX):
            if not (self._may_tell() and self._tell(wanted)):
                return
            yield from self._enter(wanted)

    def _enrol(self, people: Iterable[int]) -> Iterator[None]:
        """Enrol a key of the coalition's own for everyone of these; stops after each."""
        for person in sorted(set(people) - self._keys.keys()):
            key = hashlib.sha256(f"coalition's key for {person}".encode()).digest()
            made = next_number(self.state, c.EnrolKey(person=person, key=key))
            if self.carry(c.EnrolKey(person=person, key=key), f"a key of the coalition's is enrolled for {person}"):
                self._keys[person] = made
                yield

    def _appoint(self, duties: Iterable[str], people: Iterable[int]) -> Iterator[None]:
        """Give people the duties, each to as many as any quorum could ask for; stops after each."""
        wide = list(self._first_own(people))
        for duty in duties:
            holding = sum(duty in self.duties_of(person) for person in self.own | self._keys.keys())
            for person in wide:
                if holding >= HOLDERS_MAX:
                    break
                member = self.state.governed.members.get(person)
                if member is None or duty in member.duties:
                    continue
                if self.carry(c.Appoint(person=person, duty=duty), f"{person} is given the duty {duty}"):
                    holding += 1
                    yield

    def _enter(self, duties: Iterable[str]) -> Iterator[None]:
        """Admit people without authority, the coalition's own first, with a key and duties; stops after each."""
        register = self.state.governed.register
        others = (number for number in register.people if number not in self.own) if register else ()
        for person in (*sorted(self.own), *islice(others, OTHERS_MAX)):
            member = self.state.governed.members.get(person)
            facts = register.people.get(person) if register else None
            if facts is None or (member is not None and member.is_active(self.at_ms)):
                continue
            change = c.Admit(person=person, party=facts.party, identity=bytes(32), until_ms=facts.ends_ms)
            if self.carry(change, f"{person} is admitted for {facts.party}"):
                yield
                yield from self._enrol([person])
                yield from self._appoint(duties, [person])

    def _may_tell(self) -> bool:
        """Tell whether the coalition can tell the register about people: by hand, or by a service that it registers."""
        if self._feeding_power() or self._own_feed():
            return True
        change = c.RegisterService(party=self.state.rules.custodian, identity=bytes(32), feeds=True)
        if self.carry(change, "a service of their own may tell the register about people"):
            return True
        return any(self.gain_power(name) for name in FEEDING_POWERS)

    def _feeding_power(self) -> str:
        """Give the power by which the coalition tells the register facts; "" when it has none."""
        return next((name for name in FEEDING_POWERS if self.has_power(name)), "")

    def _own_feed(self) -> int:
        """Give the number of a service of the coalition's that may tell the register; 0 when there is none."""
        known = self.state.principals.items()
        return next((number for number, who in known if who.feeds and number > self._began_last), 0)

    def _tell(self, duties: Iterable[str]) -> bool:
        """Tell the register of somebody who does not exist, and has all that is asked of who holds the first duty."""
        standing, governance, power = self.state.governed, self.state.governance, self._feeding_power()
        duty = next(iter(duties), None)
        if standing.register is None or duty is None:
            return False
        number, party = self.state.principal_last + 1, governance.duties[duty].party
        rules = [rule for rule in governance.independence if duty in rule.duties]
        facts = PersonFacts(
            number=number,
            reference=f"made-up-{number}",
            name="somebody made up",
            party=party,
            residence=next((rule.residence[0] for rule in rules if rule.residence), ""),
            works_in=next((rule.works_in[0] for rule in rules if rule.works_in), ""),
            devices_of=next((rule.devices_of[0] for rule in rules if rule.devices_of), ""),
            team=f"team of {number}",
        )
        register = record(standing.register, [facts], at_ms=self.at_ms)
        effects = find_effects(standing, register, self.state.rules, [facts], at_ms=self.at_ms)
        rule = PeopleRecorded(
            source="coalition",
            added=1,
            people=1,
            facts=bytes(32),
            suspends=effects.suspends,
            ends=effects.ends,
            by=0 if power else self._own_feed(),
        )
        self.state = _next(fold_people(self.state, rule, [facts], at_ms=self.at_ms, place=_PLACE))
        self.own.add(number)
        what = f"power:{power or 'feed-people'}"
        self.deeds.append(Deed(what, (), (), f"the register is told of {number}, who does not exist"))
        return True

    # -- what only the charter tells -------------------------------------------------------------------------------

    def has_power(self, name: str) -> bool:
        """Tell whether the coalition has a power past the program, as its people now stand."""
        told = self.state.governance.powers.get(name)
        if told is None:
            return True
        if told.party and told.party not in self.world.parties and not self._has_party(told.party):
            return False
        if not told.alternatives:
            return True
        present = {person: duties for person in self.own if (duties := self.duties_of(person))}
        asked = Operation(name=name, propose=(), alternatives=told.alternatives)
        return is_enough(asked, present)

    def gain_power(self, name: str) -> bool:
        """Get a power past the program, by giving the coalition's people the duties for it; tells whether it has it."""
        if self.has_power(name):
            return True
        told = self.state.governance.powers[name]
        duties = dict.fromkeys(duty for way in told.alternatives for group in way for duty in group.duties)
        before = self.keep()
        growing = chain(self._appoint(duties, self.own), self._enter(duties))
        if any(self.has_power(name) for _ in growing):
            return True
        self.restore(before)
        return False

    def _has_party(self, party: str) -> bool:
        register = self.state.governed.register
        really = (person for person in self.own if person <= self._began_last)  # nobody who was made up
        return any(
            register.people[person].party == party for person in really if register and person in register.people
        )

    def duties_of(self, person: int) -> frozenset[str]:
        """Give what a person may act with now."""
        member = self.state.governed.members.get(person)
        return frozenset(member.duties) if member is not None and member.is_active(self.at_ms) else frozenset()

    def signs_for(self, person: int) -> bool:
        """Tell whether the coalition can sign in somebody's name."""
        return person in self._keys

    def has_shares(self, count: int) -> bool:
        """Tell whether so many of the coalition's people hold shares of the custodian's keys."""
        return len(self.own.intersection(self.state.governed.holders)) >= count

    def holds_the_keys_shut(self) -> bool:
        """Tell whether those who hold shares beside the coalition's people are too few to open the custodian's keys."""
        world = self.world
        return bool(world.threshold) and self.has_shares(world.holders - world.threshold + 1)

    def note(self, what: str, words: str, by: Collection[int] = ()) -> None:
        """Note a step that the program takes no part in."""
        self.deeds.append(Deed(what, tuple(sorted(by)), (), words))


def unbind(charter: Charter) -> Charter:
    """Give the next version of a charter, which asks for no number of people."""
    return replace(
        charter,
        version=charter.version + 1,
        digest=hashlib.sha256(b"a charter that asks for no number of people").digest(),
        governance=replace(_governance(charter), coalition_min=0),
        memo={},
    )


def loosen(charter: Charter) -> Charter:
    """Give the next version of a charter, by which one agrees to whatever another one asks for; powers stay.

    No charter lets those agree or order who may only propose.
    """
    governance = _governance(charter)
    agreeing = tuple(
        name for name, duty in governance.duties.items() if charter.parties[duty.party].role not in PROPOSE_ONLY
    )
    anybody = ((Group(agreeing, 1),),)
    return replace(
        charter,
        version=charter.version + 1,
        digest=hashlib.sha256(b"a charter that any two may change").digest(),
        governance=replace(
            governance,
            duties={name: replace(duty, minimum=0, veto_by=(), veto_ms=0) for name, duty in governance.duties.items()},
            operations={name: Operation(name, tuple(governance.duties), anybody) for name in governance.operations},
            orders=dict.fromkeys(governance.orders, agreeing),
            cooling_ms=0,
            independence=(),
            separations=(),
        ),
        memo={},
    )


def _governance(charter: Charter) -> Governance:
    if charter.governance is None:
        raise ProofInvalidError("the charter says nothing of governance", place=_PLACE)
    return charter.governance


def _next(state: State) -> State:
    return replace(state, epoch=state.epoch + 1)
