"""Independence: what stands between a person and a duty, or an approval, by the facts of the register.

Rules of this file:
1. What is not known counts against the person: a country that nobody told, a party that the charter does not name, a
   manager who is not in the register, more people above somebody than are looked at. Somebody who is not in the
   register, has not started or has left, has every conflict.
2. A tie that ended counts as if it held until the charter's cooling time is over.
3. Chains go up through line managers and through those who really direct the work, in any mixture that the rule names.
   Who is found there is of a party when it employs or pays them, whatever ways the rule names for the person itself.
4. Of several chains the shortest is told, and of those the one that comes first in the order of `Register.ties`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ringfence.core.charter import Charter
from ringfence.core.charter.governance import IndependenceRule
from ringfence.core.people.register import (
    DIRECTION,
    EMPLOYER,
    MANAGER,
    PAY,
    TEAM,
    PersonFacts,
    Register,
    Tie,
)
from ringfence.core.times import show_day

PEOPLE_ABOVE_MAX: Final = 1_000
"""Most people above one person who are looked at; a person with more above has a conflict."""

SELF: Final = "self"
OUTSIDE: Final = "not-in-register"
SAME_TEAM: Final = "same-team"
SAME_MANAGER: Final = "same-manager"
DIRECTED_BY_REQUESTER: Final = "directed-by-requester"
APPOINTED_BY_REQUESTER: Final = "appointed-by-requester"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One reason why a person may not hold a duty.

    Attributes:
        rule: the charter's name for the rule that is broken.
        chain: numbers of people, from the person upwards; the last is the one that the rule finds fault with.
        words: the chain spelled out, such as `7 is managed by 4, who is employed by parent`.
    """

    rule: str
    chain: tuple[int, ...]
    words: str


def find_conflicts(
    register: Register, charter: Charter, number: int, *, duties: Collection[str], at_ms: int
) -> tuple[Conflict, ...]:
    """Give everything that keeps a person from holding any of these duties, in the order of the charter's rules.

    Args:
        register: the facts.
        charter: its independence rules are asked; one without governance has none.
        number: the person.
        duties: rules that speak of none of these are left out.
        at_ms: when the person is to hold them.
    """
    return Independence(register, charter, at_ms=at_ms).find_conflicts(number, duties)


def approver_conflicts(
    register: Register,
    *,
    approver: int,
    requester: int,
    beneficiary: int,
    never: tuple[str, ...],
    at_ms: int,
    cooling_ms: int,
) -> tuple[str, ...]:
    """Give the names of the relations that keep a person from approving.

    `SELF` and `OUTSIDE` hold whatever the charter says. A relation that is not known here holds, except for
    `APPOINTED_BY_REQUESTER`: the register does not tell who appointed whom, and the caller must.

    Args:
        approver: who would approve.
        requester: who asks.
        beneficiary: who would get what is asked for; 0 when that is nobody.
        never: relations that the charter names.
        cooling_ms: how long a tie that ended still counts.
    """
    askers = {requester, beneficiary} - {0}
    found = [SELF] if approver in askers else []
    facts = register.people.get(approver)
    if facts is None or not facts.is_present(at_ms) or not all(asker in register.people for asker in askers):
        return (*found, OUTSIDE, *(name for name in never if name != APPOINTED_BY_REQUESTER))
    since_ms = at_ms - cooling_ms
    for name in never:
        if name == SAME_TEAM:
            holds = any(_share_team(register, approver, asker, since_ms) for asker in askers)
        elif name == SAME_MANAGER:
            holds = any(_share_manager(register, approver, asker, since_ms) for asker in askers)
        elif name == DIRECTED_BY_REQUESTER:
            holds = _is_below(register, approver, askers, since_ms)
        else:
            holds = name != APPOINTED_BY_REQUESTER
        if holds:
            found.append(name)
    return tuple(found)


def _share_team(register: Register, one: int, other: int, since_ms: int) -> bool:
    """Tell whether two people are of one team, or one's team is not known."""
    if not (register.people[one].team and register.people[other].team):
        return True
    teams = [
        {tie.name.casefold() for tie in register.ties(number, ended_after_ms=since_ms) if tie.kind == TEAM}
        for number in (one, other)
    ]
    return not teams[0].isdisjoint(teams[1])


def _share_manager(register: Register, one: int, other: int, since_ms: int) -> bool:
    managers = [
        {tie.person for tie in register.ties(number, ended_after_ms=since_ms) if tie.kind == MANAGER}
        for number in (one, other)
    ]
    return not managers[0].isdisjoint(managers[1])


def _is_below(register: Register, number: int, above: Collection[int], since_ms: int) -> bool:
    """Tell whether somebody of these manages or directs a person through any chain, or the chains are not known."""
    climb = _Climb(_Lines(register, frozenset((MANAGER, DIRECTION)), since_ms), number)
    for person in climb:
        if person not in register.people or (person in above and person != number):
            return True
    return climb.is_cut


class _Lines:
    """Who is above whom by ties of some kinds; each person's ties are looked through once.

    Args:
        kinds: of `MANAGER` and `DIRECTION`.
        since_ms: ties that ended later count too.
    """

    def __init__(self, register: Register, kinds: frozenset[str], since_ms: int) -> None:
        self._register = register
        self._kinds = kinds
        self._since_ms = since_ms
        self._known: dict[int, Mapping[int, Tie]] = {}

    def above(self, number: int) -> Mapping[int, Tie]:
        """Give the people right above a person, each with the first tie that leads there."""
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = dict(self._find(number))
        return known

    def _find(self, number: int) -> Iterator[tuple[int, Tie]]:
        if number not in self._register.people:
            return
        seen = set()
        for tie in self._register.ties(number, ended_after_ms=self._since_ms):
            if tie.kind in self._kinds and tie.person not in seen:
                seen.add(tie.person)
                yield tie.person, tie


class _Climb:
    """Goes up from a person along lines, nearest people first; the person itself comes first.

    Attributes:
        is_cut: whether more people are above than were given.
    """

    def __init__(self, lines: _Lines, start: int) -> None:
        self._lines = lines
        self._below: dict[int, tuple[int, Tie] | None] = {start: None}
        self.is_cut = False

    def __iter__(self) -> Iterator[int]:
        waiting = deque(self._below)
        while waiting:
            number = waiting.popleft()
            yield number
            for person, tie in self._lines.above(number).items():
                if person in self._below:
                    continue
                if len(self._below) > PEOPLE_ABOVE_MAX:
                    self.is_cut = True
                    return
                self._below[person] = (number, tie)
                waiting.append(person)

    def steps_to(self, number: int) -> list[tuple[int, Tie]]:
        """Give the way up to a person who was given: each person below, with the tie that leads on."""
        steps: list[tuple[int, Tie]] = []
        step = self._below[number]
        while step is not None:
            steps.append(step)
            step = self._below[step[0]]
        return steps[::-1]


class Independence:
    """The register as a charter sees it at a time: what is found out about one person is known for the next.

    Args:
        register: the facts.
        charter: its independence rules are asked; one without governance has none.
        at_ms: when duties are to be held.
    """

    def __init__(self, register: Register, charter: Charter, *, at_ms: int) -> None:
        governance = charter.governance
        self._register = register
        self._charter = charter
        self._at_ms = at_ms
        self._since_ms = at_ms - (governance.cooling_ms if governance else 0)
        self._rules = governance.independence if governance else ()
        self._lines: dict[frozenset[str], _Lines] = {}
        self._faults: dict[tuple[int, frozenset[str], tuple[str, ...]], str] = {}

    def find_conflicts(self, number: int, duties: Collection[str]) -> tuple[Conflict, ...]:
        """Give everything that keeps a person from any of these duties: see `find_conflicts`."""
        rules = [rule for rule in self._rules if not frozenset(rule.duties).isdisjoint(duties)]
        return tuple(conflict for rule in rules for conflict in self._against(rule, number))

    def _against(self, rule: IndependenceRule, number: int) -> Iterator[Conflict]:
        """Give what one rule says against a person."""
        facts = self._register.people.get(number)
        absence = _describe_absence(facts, self._at_ms)
        if facts is None or absence:
            yield Conflict(rule.name, (number,), f"{number} {absence}")
            return
        chain = self._find_chain(rule, number) if rule.roles and rule.through else None
        if chain is not None:
            yield chain
        if rule.residence and facts.residence not in rule.residence:
            yield Conflict(rule.name, (number,), f"{number} lives in {facts.residence or _UNKNOWN_COUNTRY}")
        if rule.works_in and facts.works_in not in rule.works_in:
            yield Conflict(rule.name, (number,), f"{number} works in {facts.works_in or _UNKNOWN_COUNTRY}")
        if rule.devices_of and facts.devices_of not in rule.devices_of:
            owner = facts.devices_of or _UNKNOWN_PARTY
            yield Conflict(rule.name, (number,), f"{number} works on devices of {owner}")

    def _find_chain(self, rule: IndependenceRule, start: int) -> Conflict | None:
        """Give the shortest chain to a party of the rule's roles, or to where nobody knows."""
        own = frozenset(rule.through) & {EMPLOYER, PAY}
        climb = _Climb(self._lines_of(frozenset(rule.through) & {MANAGER, DIRECTION}), start)
        last = start
        for last in climb:
            fault = self._fault_of(last, own if last == start else _PARTY_TIES, rule.roles)
            if fault:
                return _spell(rule.name, climb.steps_to(last), last, fault)
        if climb.is_cut:
            fault = f"has more than {PEOPLE_ABOVE_MAX} people above, and no more are looked at"
            return _spell(rule.name, [], start, fault)
        return None

    def _lines_of(self, kinds: frozenset[str]) -> _Lines:
        if kinds not in self._lines:
            self._lines[kinds] = _Lines(self._register, kinds, self._since_ms)
        return self._lines[kinds]

    def _fault_of(self, number: int, kinds: frozenset[str], roles: tuple[str, ...]) -> str:
        key = (number, kinds, roles)
        if key not in self._faults:
            self._faults[key] = self._find_fault(number, kinds, roles)
        return self._faults[key]

    def _find_fault(self, number: int, kinds: frozenset[str], roles: tuple[str, ...]) -> str:
        """Say how a person is of a party that has one of the roles, or may be of one; "" when neither is so."""
        if number not in self._register.people:
            return "is not in the register"
        for tie in self._register.ties(number, ended_after_ms=self._since_ms):
            if tie.kind not in kinds:
                continue
            party = self._charter.parties.get(tie.name)
            if party is None or party.role in roles:
                named = tie.name or _UNKNOWN_PARTY
                unknown = ", a party that the charter does not name" if tie.name and party is None else ""
                return f"{describe_tie(tie)} {named}{unknown}"
        return ""


_PARTY_TIES: Final = frozenset((EMPLOYER, PAY))
_UNKNOWN_PARTY: Final = "a party that is not known"
_UNKNOWN_COUNTRY: Final = "a country that is not known"
_VERBS: Final = {MANAGER: "managed", DIRECTION: "directed", EMPLOYER: "employed", PAY: "paid"}


def _spell(rule: str, steps: list[tuple[int, Tie]], last: int, fault: str) -> Conflict:
    parts = [f"{describe_tie(tie)} {tie.person}" for _, tie in steps]
    chain = (*(number for number, _ in steps), last)
    return Conflict(rule, chain, f"{chain[0]} " + ", who ".join([*parts, fault]))


def describe_tie(tie: Tie) -> str:
    """Say what a tie is, up to whom or what it binds: `is managed by`, `was employed until 2025-06-15 by`."""
    until = f" until {show_day(tie.ended_ms)}" if tie.ended_ms else ""
    is_or_was = "was" if tie.ended_ms else "is"
    return f"{is_or_was}{until} in the team" if tie.kind == TEAM else f"{is_or_was} {_VERBS[tie.kind]}{until} by"


def _describe_absence(facts: PersonFacts | None, at_ms: int) -> str:
    if facts is None:
        return "is not in the register"
    if facts.is_present(at_ms):
        return ""
    if at_ms < facts.starts_ms:
        return f"does not start before {show_day(facts.starts_ms)}"
    return f"left on {show_day(facts.ends_ms)}"
