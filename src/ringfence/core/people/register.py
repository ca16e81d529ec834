"""People: the register of facts that an HR system reports, as values, and the ties that ended.

Rules of this file:
1. The register records facts and never refuses a true one: people who manage each other, managers whom nobody knows
   and parties that no charter names are recorded as they are told. Refused is only what is no fact of anybody.
2. New facts replace all facts of a person. A tie to another person, a team or a party that is not among them any more
   has ended, and is kept with the time: so that whoever feeds the register can reveal a conflict, and not hide one.
3. Nobody is ever removed. Who has left has a time at which that was.
4. Facts are about people, so that the ledger has a commitment to them alone; `render_facts` is what it commits to.
5. Times are milliseconds since 1970 UTC. A number is a person's for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec
from immutables import Map

from ringfence.core.errors import ProofInvalidError

PEOPLE_PER_RECORD_MAX: Final = 100_000
"""Most people whose facts are recorded at once."""

FACTS_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024
REFERENCE_CHARACTERS_MAX: Final = 64
TEXT_CHARACTERS_MAX: Final = 200
"""Longest name, team or party."""

DIRECTED_BY_MAX: Final = 16
"""Most people who are told to direct one person's work at the same time."""

_NEVER_MS: Final = 1 << 62

MANAGER, DIRECTION, TEAM, EMPLOYER, PAY = "manager", "direction", "team", "employer", "pay"


class PersonFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """All that is told of one person.

    Attributes:
        number: 1 or more.
        reference: what the HR system calls the person; nobody else has it.
        party: the employer, as the charter names parties.
        paid_by: the party that pays the person; "" for the employer.
        residence, works_in: ISO 3166 alpha-2 countries; "" when not known.
        manager: the line manager's number; 0 for nobody.
        directed_by: numbers of those who really direct the person's work, beyond the line manager; sorted.
        team: "" when not known.
        devices_of: the party that owns what the person works on; "" when not known.
        starts_ms, ends_ms: from when and until when the person is there; 0 when no such time is known.
        external_id: what the system that feeds the register calls the person, where that is not the reference.
        unlisted: whether that system took the person off its list. Whatever is known of the person stays.
    """

    number: int
    reference: str
    name: str
    party: str
    paid_by: str = ""
    residence: str = ""
    works_in: str = ""
    manager: int = 0
    directed_by: tuple[int, ...] = ()
    team: str = ""
    devices_of: str = ""
    starts_ms: int = 0
    ends_ms: int = 0
    external_id: str = ""
    unlisted: bool = False

    def is_present(self, at_ms: int) -> bool:
        """Tell whether the person has started and has not left."""
        return self.starts_ms <= at_ms and (self.ends_ms == 0 or at_ms < self.ends_ms)


class Tie(NamedTuple):
    """What binds a person to somebody or something.

    Attributes:
        kind: `MANAGER` and `DIRECTION` bind to a person, `TEAM`, `EMPLOYER` and `PAY` to a name.
        person: a number; 0 for a tie to a name.
        name: of a team or a party, "" when it is not known; "" for a tie to a person.
        ended_ms: when it ended; 0 when it holds.
    """

    kind: str
    person: int = 0
    name: str = ""
    ended_ms: int = 0


@dataclass(frozen=True, slots=True)
class Register:
    """Everybody who was ever reported.

    Attributes:
        people: facts by number.
        numbers: the number of each reference.
        former: the ties of each person that ended, oldest first; each is there once, as it ended last.
    """

    people: Map[int, PersonFacts] = field(default_factory=Map)
    numbers: Map[str, int] = field(default_factory=Map)
    former: Map[int, tuple[Tie, ...]] = field(default_factory=Map)

    def ties(self, number: int, *, ended_after_ms: int) -> Iterator[Tie]:
        """Give the ties of a person of the register: those that hold, then those that ended later than that."""
        yield from ties_of(self.people[number])
        for tie in self.former.get(number, ()):
            if tie.ended_ms > ended_after_ms:
                yield tie

    def alike(self, *, ended_after_ms: int) -> range:
        """Give the times for which `ties` gives the same of everybody as for this one, which is among them."""
        ends = [tie.ended_ms for ties in self.former.values() for tie in ties]
        first = max((end for end in ends if end <= ended_after_ms), default=min(ended_after_ms, 0))
        return range(first, min((end for end in ends if end > ended_after_ms), default=_NEVER_MS))


EMPTY_REGISTER: Final = Register()


def ties_of(facts: PersonFacts) -> Iterator[Tie]:
    """Give the ties that hold by these facts. There is always one to an employer and one to who pays."""
    if facts.manager:
        yield Tie(MANAGER, person=facts.manager)
    for number in facts.directed_by:
        yield Tie(DIRECTION, person=number)
    if facts.team:
        yield Tie(TEAM, name=facts.team)
    yield Tie(EMPLOYER, name=facts.party)
    yield Tie(PAY, name=facts.paid_by or facts.party)


def record(register: Register, facts: Sequence[PersonFacts], *, at_ms: int) -> Register:
    """Give the register with new facts: all that is told of these people from here on.

    Args:
        facts: one for each person, at most `PEOPLE_PER_RECORD_MAX`.
        at_ms: when they are recorded; ties that they do not have any more ended then.

    Raises:
        ProofInvalidError: they are malformed, a person is among them twice, or two people would have one reference.
    """
    _check_facts(facts)
    people, numbers, former = register.people.mutate(), register.numbers.mutate(), register.former.mutate()
    for new in facts:  # all references are freed before any is given, for two people may have changed theirs
        old = people.get(new.number)
        if old is not None and old.reference != new.reference:
            del numbers[old.reference]
    for new in facts:
        if numbers.get(new.reference, new.number) != new.number:
            raise ProofInvalidError(f"the reference of person {new.number} is that of another one as well")
        old = people.get(new.number)
        if old is not None:
            ended = _ended(old, new, former.get(new.number, ()), at_ms)
            if ended:
                former[new.number] = ended
            else:
                former.pop(new.number, None)
        people[new.number] = new
        numbers[new.reference] = new.number
    return Register(people=people.finish(), numbers=numbers.finish(), former=former.finish())


def _ended(old: PersonFacts, new: PersonFacts, former: tuple[Tie, ...], at_ms: int) -> tuple[Tie, ...]:
    """Give the ties of a person that are former ones by the new facts."""
    before = tuple(ties_of(old))
    holding = frozenset(ties_of(new))
    if not former and holding.issuperset(before):
        return ()
    earlier = [tie for tie in former if tie._replace(ended_ms=0) not in holding]
    ending = [tie._replace(ended_ms=at_ms) for tie in before if tie not in holding]
    return (*earlier, *ending)


def _check_facts(facts: Sequence[PersonFacts]) -> None:
    if len(facts) > PEOPLE_PER_RECORD_MAX:
        raise ProofInvalidError(
            "facts are recorded of too many people at once",
            expected=f"<= {PEOPLE_PER_RECORD_MAX}",
            found=str(len(facts)),
        )
    if len({one.number for one in facts}) != len(facts):
        raise ProofInvalidError("the facts of one person are there twice")
    for one in facts:
        fault = find_fault(one)
        if fault:
            raise ProofInvalidError(f"the facts of person {one.number} are malformed: {fault}")


def find_fault(facts: PersonFacts) -> str:
    """Say in what way these are no facts of anybody; "" when they are."""
    if facts.number < 1:
        return "a number is 1 or more"
    if not 0 < len(facts.reference) <= REFERENCE_CHARACTERS_MAX:
        return f"a reference has 1 to {REFERENCE_CHARACTERS_MAX} characters"
    texts = (
        *(facts.name, facts.party, facts.paid_by, facts.residence, facts.works_in, facts.team, facts.devices_of),
        facts.external_id,
    )
    if max(map(len, texts)) > TEXT_CHARACTERS_MAX:
        return f"a text has at most {TEXT_CHARACTERS_MAX} characters"
    if facts.manager < 0:
        return "a manager's number is not negative"
    above = facts.directed_by
    if above and (above[0] < 1 or len(above) > DIRECTED_BY_MAX or any(a >= b for a, b in pairwise(above))):
        return f"at most {DIRECTED_BY_MAX} people direct a person, told by number, in order and once each"
    return ""


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(list[PersonFacts])


def render_facts(facts: Iterable[PersonFacts]) -> bytes:
    """Give facts as canonical JSON: what an entry commits to, behind a salt."""
    return _encoder.encode(list(facts))


def parse_facts(data: bytes, *, place: str = "") -> list[PersonFacts]:
    """Read facts; the inverse of `render_facts`.

    Raises:
        ProofInvalidError: they are too long, not facts, or not spelled canonically.
    """
    if len(data) > FACTS_SIZE_BYTES_MAX:
        raise ProofInvalidError(
            "facts are too long", place=place, expected=f"<= {FACTS_SIZE_BYTES_MAX} bytes", found=str(len(data))
        )
    try:
        facts = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ProofInvalidError(f"these are no facts of people: {error}", place=place) from None
    if _encoder.encode(facts) != data:
        raise ProofInvalidError("facts are not in canonical form", place=place)
    return facts
