"""The world of a coalition: who is in it from the start, and who could join and would bring whom.

Rules of this file:
1. In it from the start is everyone whom its parties employ or pay, and everyone below these through any chain of line
   managers and those who really direct the work. A chain that cannot be followed to its end is taken to lead there.
2. Who joins brings everyone below, through any such chain. People who are alike in what they bring are one kind.
3. A tie that ended counts as if it held until the charter's cooling time is over, as for independence.
4. Somebody who is in no register may always join, of any party: with no duty, and free to be given one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ringfence.core.charter import Charter
from ringfence.core.charter_governance import EXCLUDED, THROUGH, Governance
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.independence import PEOPLE_ABOVE_MAX
from ringfence.core.register import DIRECTION, MANAGER, TEAM, Register
from ringfence.core.standing import Member, Standing
from ringfence.core.state import State

SHARE: Final = "@share"
"""What a person has who holds a share of the custodian's keys."""

JOINERS_MAX: Final = 64
"""Most people of one kind who are told apart: no requirement of a charter asks for more."""

STRANGER: Final = "@stranger"
"""What a person has who was never admitted."""

Profile = frozenset[str]


def of_party(name: str) -> str:
    """Give what a person of a party has."""
    return f"@of {name}"


def could_hold(duty: str) -> str:
    """Give what a member has who could be appointed to a duty."""
    return f"@could {duty}"


def could_return(duty: str) -> str:
    """Give what a member without authority has who would hold a duty again once admitted."""
    return f"@return {duty}"


def could_enter(duty: str) -> str:
    """Give what a person has who could be admitted and appointed to a duty."""
    return f"@enter {duty}"


def has_grant(kind: str) -> str:
    """Give what a person has who has a live grant of a kind."""
    return f"@grant {kind}"


@dataclass(frozen=True, slots=True)
class Kind:
    """People who bring the same when they join.

    Attributes:
        brings: how many people of which profile, the one who joins among them.
        people: the numbers of those who are of this kind, ascending; empty for somebody who is in no register.
        most: how many of them may join, at most `JOINERS_MAX`.
        party: of whom they are, for those who are in no register.
    """

    brings: tuple[tuple[Profile, int], ...]
    people: tuple[int, ...]
    most: int
    party: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What a state says of coalitions.

    Attributes:
        charter: the charter in force.
        parties: those that collude.
        base: how many people of which profile are in the coalition from the start.
        base_people: the members among them, by number.
        kinds: who could join.
        known: how many people of the register there are of which profile, colluding or not; of those who were never
            admitted at most `JOINERS_MAX` of a party.
        below: the members whom anyone manages or directs through any chain, by the number of who does; each is below
            themselves.
        open_duties: duties that people of the coalition's own parties could be given without end.
        holders, threshold: how many hold shares of the custodian's keys, and how many open them; 0 where they are not
            shared out.
        services: parties of which a service is registered.
    """

    charter: Charter
    parties: tuple[str, ...]
    base: tuple[tuple[Profile, int], ...]
    base_people: tuple[int, ...]
    kinds: tuple[Kind, ...]
    known: tuple[tuple[Profile, int], ...]
    below: Mapping[int, tuple[int, ...]]
    open_duties: frozenset[str]
    holders: int
    threshold: int
    services: frozenset[str]

    @property
    def governance(self) -> Governance:
        """What the charter says of people."""
        if self.charter.governance is None:
            raise ProofInvalidError("the charter says nothing of governance", place="coalition")
        return self.charter.governance


def excluded_parties(charter: Charter) -> tuple[str, ...]:
    """Give the parties that a charter excludes, in its order."""
    return tuple(party.name for party in charter.parties.values() if party.role == EXCLUDED)


def see_world(state: State, *, at_ms: int, parties: Collection[str] | None = None) -> World:
    """Give the world of a coalition.

    Args:
        state: of a governed ledger, with its register.
        at_ms: the time that it is asked for.
        parties: those that collude; the excluded ones when it is None.

    Raises:
        ProofInvalidError: the ledger is not governed, the register is withheld, or there is no such party.
    """
    standing, charter = state.governed, state.rules
    if standing.register is None:
        raise ProofInvalidError("facts about people are withheld: a coalition is counted with them", place="register")
    known = excluded_parties(charter) if parties is None else tuple(parties)
    for name in known:
        if name not in charter.parties:
            raise ProofInvalidError(
                f"the charter names no party {name}", place="parties", expected=", ".join(charter.parties), found=name
            )
    return _Sight(state, standing, standing.register, charter, known, at_ms).see()


class _Sight:
    """Looks at one state at one time."""

    def __init__(
        self,
        state: State,
        standing: Standing,
        register: Register,
        charter: Charter,
        parties: tuple[str, ...],
        at_ms: int,
    ) -> None:
        self._state, self._standing, self._register, self._charter = state, standing, register, charter
        self._governance = state.governance
        self._parties, self._at_ms = parties, at_ms
        self._since_ms = at_ms - self._governance.cooling_ms
        self._duties_of: dict[str, list[str]] = {}
        for duty in self._governance.duties.values():
            self._duties_of.setdefault(duty.party, []).append(duty.name)
        self._chiefs: dict[int, tuple[int, ...] | None] = {}
        self._grants: dict[int, set[str]] = {}
        for given in standing.grants.values():
            if given.is_live(at_ms):
                self._grants.setdefault(given.grant.person, set()).add(given.grant.kind)

    def see(self) -> World:
        profiles = {number: self._profile(member) for number, member in sorted(self._standing.members.items())}
        above = {number: self._above(number) for number in profiles}
        base = tuple(number for number, chiefs in above.items() if chiefs is None)
        below: dict[int, list[int]] = {}
        for number, chiefs in above.items():
            for chief in chiefs or ():
                below.setdefault(chief, []).append(number)
        services = (who.party for number, who in self._state.principals.items() if number not in self._standing.members)
        return World(
            charter=self._charter,
            parties=self._parties,
            base=_count(profiles[number] for number in base),
            base_people=base,
            kinds=(*self._kinds(profiles, below), *self._strangers()),
            known=_count((*profiles.values(), *self._never_admitted(profiles))),
            below={chief: tuple(people) for chief, people in below.items()},
            open_duties=frozenset(name for name in self._governance.duties if self._is_open(name)),
            holders=len(self._standing.holders),
            threshold=self._standing.threshold,
            services=frozenset(services),
        )

    def _profile(self, member: Member) -> Profile:
        """Give what one member has: what counts for requirements, now and once something was given."""
        has = [of_party(member.party)]
        if member.number in self._standing.holders:
            has.append(SHARE)
        could = self._duties_of.get(member.party, ())
        if member.is_active(self._at_ms):
            has += member.duties
            has += (has_grant(kind) for kind in self._grants.get(member.number, ()))
            has += map(could_hold, could)
        else:
            has += map(could_return, member.duties)
            has += map(could_enter, could)
        return frozenset(has)

    def _above(self, number: int) -> list[int] | None:
        """Give a member and everyone above; None when one of these is the coalition's, or may be (rule 1)."""
        found, seen = [number], {number}
        for person in found:
            chiefs = self._chiefs_of(person)
            if chiefs is None:
                return None
            for chief in chiefs:
                if chief not in seen:
                    seen.add(chief)
                    found.append(chief)
            if len(found) > PEOPLE_ABOVE_MAX:
                return None
        return found

    def _chiefs_of(self, person: int) -> tuple[int, ...] | None:
        """Give who manages or directs a person; None when the coalition's parties employ or pay them, or may."""
        if person not in self._chiefs:
            self._chiefs[person] = self._find_chiefs(person)
        return self._chiefs[person]

    def _find_chiefs(self, person: int) -> tuple[int, ...] | None:
        if person not in self._register.people:
            return None
        chiefs = []
        for tie in self._register.ties(person, ended_after_ms=self._since_ms):
            if tie.kind in (MANAGER, DIRECTION):
                chiefs.append(tie.person)
            elif tie.kind != TEAM and (tie.name in self._parties or tie.name not in self._charter.parties):
                return None
        return tuple(chiefs)

    def _kinds(self, profiles: Mapping[int, Profile], below: Mapping[int, list[int]]) -> list[Kind]:
        alike: dict[tuple[tuple[Profile, int], ...], list[int]] = {}
        for chief, people in sorted(below.items()):
            brought = [profiles[person] for person in people]
            if chief not in profiles:
                brought.append(self._stranger(self._register.people[chief].party))
            alike.setdefault(_count(brought), []).append(chief)
        return [Kind(brings, tuple(people), min(len(people), JOINERS_MAX)) for brings, people in alike.items()]

    def _strangers(self) -> list[Kind]:
        names = [name for name in self._charter.parties if name not in self._parties]
        return [Kind(((self._stranger(name), 1),), (), JOINERS_MAX, party=name) for name in names]

    def _stranger(self, party: str) -> Profile:
        return frozenset([STRANGER, of_party(party), *map(could_enter, self._duties_of.get(party, ()))])

    def _never_admitted(self, members: Collection[int]) -> Iterator[Profile]:
        counted: Counter[str] = Counter()
        for number, facts in self._register.people.items():
            if number not in members and counted[facts.party] < JOINERS_MAX:
                counted[facts.party] += 1
                yield self._stranger(facts.party)

    def _is_open(self, duty: str) -> bool:
        """Tell whether somebody of the coalition's own could be given a duty: no rule keeps all of them from it."""
        party = self._governance.duties[duty].party
        if party in self._parties:
            return True
        roles = {self._charter.parties[name].role for name in self._parties}
        return not all(
            any(
                duty in rule.duties and role in rule.roles and set(rule.through) == set(THROUGH)
                for rule in self._governance.independence
            )
            for role in roles
        )


def _count(profiles: Iterable[Profile]) -> tuple[tuple[Profile, int], ...]:
    return tuple(sorted(Counter(profiles).items(), key=lambda item: _order(item[0])))


@lru_cache(maxsize=4096)
def _order(profile: Profile) -> tuple[str, ...]:
    return tuple(sorted(profile))
