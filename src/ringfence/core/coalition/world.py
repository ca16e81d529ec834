"""The world of a coalition: who is in it from the start, and who could join and would bring whom.

Rules of this file:
1. In it from the start is everyone whom its parties employ or pay, and everyone below these through any chain of line
   managers and those who really direct the work. A chain that cannot be followed to its end is taken to lead there.
2. Who joins brings everyone below, through any such chain. People who are alike in what they bring are one kind.
3. A tie that ended counts as if it held until the charter's cooling time is over, as for independence. No tie keeps
   anybody from a duty for good: whoever pays or directs can end it, and a coalition can wait.
4. Members and everybody else whom the register knows count alike: whoever is below comes along, admitted or not.
5. Somebody who is in no register may always join, of any party: with no duty, and free to be given one.
6. What people outside asked for or agreed to already in requests that are open is seen where it is asked for (see
   `lending`). A gate does not ask: each of these requests is counted when it is to take effect.
7. A charter that was in force before may be named: whom that one has in the coalition by a tie that it still counts, a
   new one does not let go.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ringfence.core.charter import Charter
from ringfence.core.charter.governance import EXCLUDED, THROUGH, Governance
from ringfence.core.coalition.lending import ADMITTED, Lent, find_given, find_lent
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.recording import why_not_feed
from ringfence.core.people.register import DIRECTION, EMPLOYER, MANAGER, PAY, Register
from ringfence.core.people.standing import Member, Standing
from ringfence.core.state import State

SHARE: Final = "@share"
"""What a person has who holds a share of the custodian's keys."""

JOINERS_MAX: Final = 66
"""Most people of one kind, or of one profile, who are told apart: no requirement of a charter asks for more."""

_MEMO: Final = "coalition-lines"
_NEWEST: Final = "newest"

SHOWN_MAX: Final = 16
"""Most people of one party who were never admitted, and are named among those who are in it from the start."""

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
        brings: how many people of which profile, up to `JOINERS_MAX`, the one who joins among them.
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
        base_people: the members among them, by number, and a few of the others of each party.
        kinds: who could join.
        known: how many people of the register there are of which profile, colluding or not.
        below: those whom anyone manages or directs through any chain, by the number of who does; each is below
            themselves.
        open_duties: duties that people of the coalition's own parties could be given without end.
        holders, threshold: how many hold shares of the custodian's keys, and how many open them; 0 where they are not
            shared out.
        services: parties of which a service is registered.
        feeds: parties of those of these services that may tell the register about people.
        lent: what people outside asked for or agreed to already (rule 6).
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
    feeds: frozenset[str]
    lent: tuple[Lent, ...] = ()

    @property
    def governance(self) -> Governance:
        """What the charter says of people."""
        if self.charter.governance is None:
            raise ProofInvalidError("the charter says nothing of governance", place="coalition")
        return self.charter.governance


def excluded_parties(charter: Charter) -> tuple[str, ...]:
    """Give the parties that a charter excludes, in its order."""
    return tuple(party.name for party in charter.parties.values() if party.role == EXCLUDED)


def seen_in(state: State) -> tuple[object, ...]:
    """Give everything of a state that a world is seen in: while it is the same, nothing but time moves the world."""
    standing = state.standing
    people = (standing.members, standing.register, standing.grants) if standing else ()
    return (state.charter, state.principals, *people)


def is_seen_alike(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Tell whether what was seen in two states (`seen_in`) is the same, object by object."""
    return len(one) == len(other) and all(mine is theirs for mine, theirs in zip(one, other, strict=True))


def see_world(
    state: State,
    *,
    at_ms: int,
    parties: Collection[str] | None = None,
    sees_open: bool = False,
    before: Charter | None = None,
) -> World:
    """Give the world of a coalition.

    Args:
        state: of a governed ledger, with its register.
        at_ms: the time that it is asked for.
        parties: those that collude; the excluded ones when it is None.
        sees_open: whether what others asked for or agreed to in open requests is seen (rule 6).
        before: the charter that was in force before, whose ties count as well (rule 7); None for none.

    Raises:
        ProofInvalidError: the ledger is not governed, the register is withheld, or there is no such party.
    """
    standing, charter = state.governed, state.rules
    if standing.register is None:
        raise ProofInvalidError("facts about people are withheld: a coalition is counted with them", place="register")
    before = charter if before is None else before
    known = excluded_parties(charter) if parties is None else tuple(parties)
    for name in known:
        if name not in charter.parties:
            raise ProofInvalidError(
                f"the charter names no party {name}", place="parties", expected=", ".join(charter.parties), found=name
            )
    return _Sight(state, standing, standing.register, charter, before, known, at_ms).see(sees_open=sees_open)


class _Ties:
    """Who manages or directs whom, by the ties that hold and those that ended later than a time."""

    def __init__(self, register: Register, named: Collection[str], parties: Collection[str], *, since_ms: int) -> None:
        self._register, self._named, self._parties, self._since_ms = register, named, parties, since_ms
        self.chiefs: dict[int, tuple[int, ...] | None] = {
            number: self._find_chiefs(number) for number in register.people
        }

    def theirs(self) -> set[int]:
        """Give everyone whom the coalition's parties employ or pay, and everyone below these (rule 1)."""
        reports: dict[int, list[int]] = {}
        found = []
        for number, chiefs in self.chiefs.items():
            if chiefs is None or not all(chief in self.chiefs for chief in chiefs):
                found.append(number)
            else:
                for chief in chiefs:
                    reports.setdefault(chief, []).append(number)
        seen = set(found)
        for number in found:
            for person in reports.get(number, ()):
                if person not in seen:
                    seen.add(person)
                    found.append(person)
        return seen

    def below(self, groups: Mapping[int, Hashable], without: Collection[int]) -> dict[int, list[int]]:
        """Give whom each person brings, themselves first; of one group up to `JOINERS_MAX`, all that counts.

        Args:
            groups: of everyone, who is counted with whom; None for who is counted alone.
            without: people of the coalition from the start, whom nobody need bring.
        """
        found: dict[int, dict[int, None]] = {}
        counts: Counter[tuple[int, Hashable]] = Counter()
        waiting = deque((number, number) for number in groups if number not in without)
        while waiting:
            chief, person = waiting.popleft()
            brought, group = found.setdefault(chief, {}), groups[person]
            if person in brought or (group is not None and counts[chief, group] >= JOINERS_MAX):
                continue
            brought[person] = None
            counts[chief, group] += 1
            waiting.extend((above, person) for above in self.chiefs.get(chief) or ())
        return {chief: list(people) for chief, people in found.items()}

    def _find_chiefs(self, number: int) -> tuple[int, ...] | None:
        """Give who manages or directs a person; None when the person is of the coalition's parties, or may be."""
        ties = list(self._register.ties(number, ended_after_ms=self._since_ms))
        for tie in ties:
            if tie.kind in (EMPLOYER, PAY) and (tie.name in self._parties or tie.name not in self._named):
                return None
        return tuple(tie.person for tie in ties if tie.kind in (MANAGER, DIRECTION))


@dataclass(frozen=True, slots=True)
class _Lines:
    """What the register alone tells: whose everybody is, and who is below whom.

    Attributes:
        theirs: who is in the coalition from the start.
        given: what people outside asked to give to whom: see `lending`.
        base, known: of those who were never admitted: how many of which profile are in it, and how many there are.
        base_people: see `World`.
        below: whom each person brings, themselves first.
        strangers_below, members_below: the same, apart.
    """

    theirs: frozenset[int]
    given: Mapping[int, Collection[str]]
    base: tuple[tuple[Profile, int], ...]
    base_people: tuple[int, ...]
    known: tuple[tuple[Profile, int], ...]
    below: Mapping[int, tuple[int, ...]]
    strangers_below: Mapping[int, tuple[tuple[Profile, int], ...]]
    members_below: Mapping[int, tuple[int, ...]]


class _Sight:
    """Looks at one state at one time."""

    def __init__(
        self,
        state: State,
        standing: Standing,
        register: Register,
        charter: Charter,
        before: Charter,
        parties: tuple[str, ...],
        at_ms: int,
    ) -> None:
        self._state, self._standing, self._register, self._charter = state, standing, register, charter
        self._governance = state.governance
        self._parties, self._at_ms = parties, at_ms
        coolings = [known.governance.cooling_ms for known in (charter, before) if known.governance]
        self._since_ms = at_ms - max(coolings)
        self._duties_of: dict[str, list[str]] = {}
        self._strangers_known: dict[tuple[str, bool], Profile] = {}
        for duty in self._governance.duties.values():
            self._duties_of.setdefault(duty.party, []).append(duty.name)
        self._grants: dict[int, set[str]] = {}
        for given in standing.grants.values():
            if given.is_live(at_ms):
                self._grants.setdefault(given.grant.person, set()).add(given.grant.kind)
        self._open = frozenset(name for name in self._governance.duties if self._is_open(name))

    def see(self, *, sees_open: bool) -> World:
        given = find_given(self._standing, at_ms=self._at_ms) if sees_open else ()
        lines = self._lines(given)
        profiles = {
            number: self._profile(member, lines.given.get(number, ()))
            for number, member in sorted(self._standing.members.items())
        }
        base = Counter(dict(lines.base))
        base.update(profiles[number] for number in profiles if number in lines.theirs)
        known = Counter(dict(lines.known))
        known.update(profiles.values())
        services = [who for number, who in self._state.principals.items() if number not in self._standing.members]
        return World(
            charter=self._charter,
            parties=self._parties,
            base=_told(base),
            base_people=lines.base_people,
            kinds=(*self._kinds(profiles, lines), *self._strangers()),
            known=_told(known),
            below=lines.below,
            open_duties=self._open,
            holders=len(self._standing.holders),
            threshold=self._standing.threshold,
            services=frozenset(who.party for who in services),
            feeds=frozenset(who.party for who in services if not why_not_feed(who, self._charter)),
            lent=tuple(find_lent(self._state, lines.theirs, at_ms=self._at_ms)) if sees_open else (),
        )

    def _lines(self, given: tuple[tuple[int, int, str], ...]) -> _Lines:
        """Give what the register alone tells; what was worked out last is remembered for as long as it is so."""
        members = frozenset(self._standing.members)
        register, key = self._register, (self._parties, members, given)
        memo = self._charter.memo.setdefault(_MEMO, {})
        known: tuple[Register, Hashable, range, _Lines] | None = memo.get(_NEWEST)
        if known is None or known[0] is not register or known[1] != key or self._since_ms not in known[2]:
            alike = register.alike(ended_after_ms=self._since_ms)
            known = memo[_NEWEST] = (register, key, alike, self._follow(members, given))
        return known[3]

    def _follow(self, members: frozenset[int], requests: tuple[tuple[int, int, str], ...]) -> _Lines:
        everybody = sorted({*members, *self._register.people})
        ties = _Ties(self._register, self._charter.parties, self._parties, since_ms=self._since_ms)
        theirs = ties.theirs() | {number for number in everybody if number not in self._register.people}
        given: dict[int, set[str]] = {}
        for by, person, mark in requests:
            if by not in theirs:
                given.setdefault(person, set()).add(mark)
        strangers = {
            number: self._stranger(self._register.people[number].party, number in given)
            for number in everybody
            if number not in members
        }
        below = ties.below({number: strangers.get(number) for number in everybody}, theirs)
        return _Lines(
            theirs=frozenset(theirs),
            given=given,
            base=_told(Counter(strangers[number] for number in theirs if number in strangers)),
            base_people=tuple(self._few(sorted(theirs))),
            known=_told(Counter(strangers.values())),
            below={chief: tuple(people) for chief, people in below.items()},
            strangers_below={
                chief: _told(Counter(strangers[person] for person in people if person in strangers))
                for chief, people in below.items()
            },
            members_below={
                chief: tuple(person for person in people if person in members) for chief, people in below.items()
            },
        )

    def _profile(self, member: Member, given: Collection[str]) -> Profile:
        """Give what one member has: what counts for requirements, now and once something was given.

        Args:
            member: of the ledger.
            given: what people outside asked to give the member.
        """
        number, facts = member.number, self._register.people.get(member.number)
        party = facts.party if facts else member.party
        has = [of_party(party)]
        if number in self._standing.holders:
            has.append(SHARE)
        has += given
        if member.is_active(self._at_ms) or ADMITTED in given:
            has += member.duties
            has += (has_grant(kind) for kind in self._grants.get(number, ()))
            has += map(could_hold, self._duties_of.get(party if ADMITTED in given else member.party, ()))
        if not member.is_active(self._at_ms):
            has += map(could_return, member.duties)
            has += map(could_enter, self._duties_of.get(party, ()))
        return frozenset(has)

    def _few(self, people: Iterable[int]) -> Iterator[int]:
        """Give the members among these people, and at most `SHOWN_MAX` of the others of each party."""
        counted: Counter[str] = Counter()
        for number in people:
            party = "" if number in self._standing.members else self._register.people[number].party
            counted[party] += bool(party)
            if counted[party] <= SHOWN_MAX:
                yield number

    def _kinds(self, profiles: Mapping[int, Profile], lines: _Lines) -> list[Kind]:
        alike: dict[tuple[tuple[Profile, int], ...], list[int]] = {}
        for chief, brought in lines.strangers_below.items():
            members = lines.members_below[chief]
            if len(lines.below[chief]) == 1 and chief not in profiles and chief not in lines.given:
                continue  # on their own they are strangers (rule 5)
            brings = _capped(Counter(dict(brought)) + Counter(profiles[one] for one in members)) if members else brought
            alike.setdefault(brings, []).append(chief)
        return [Kind(brings, tuple(sorted(people)), min(len(people), JOINERS_MAX)) for brings, people in alike.items()]

    def _strangers(self) -> list[Kind]:
        names = [name for name in self._charter.parties if name not in self._parties]
        return [Kind(((self._stranger(name), 1),), (), JOINERS_MAX, party=name) for name in names]

    def _stranger(self, party: str, is_asked_in: bool = False) -> Profile:
        known = self._strangers_known.get((party, is_asked_in))
        if known is None:
            could = (could_enter, could_hold) if is_asked_in else (could_enter,)
            duties = self._duties_of.get(party, ())
            known = frozenset([STRANGER, of_party(party), *(way(duty) for way in could for duty in duties)])
            self._strangers_known[party, is_asked_in] = known
        return known

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


def _told(counted: Counter[Profile]) -> tuple[tuple[Profile, int], ...]:
    return tuple(sorted(counted.items(), key=lambda item: _order(item[0])))


def _capped(counted: Counter[Profile]) -> tuple[tuple[Profile, int], ...]:
    return tuple((profile, min(number, JOINERS_MAX)) for profile, number in _told(counted))


@lru_cache(maxsize=4096)
def _order(profile: Profile) -> tuple[str, ...]:
    return tuple(sorted(profile))
