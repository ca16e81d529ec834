"""What an HR file, or a request of an HR system, changes in the register, and the facts to record so that it holds.

Rules of this file:
1. People are told apart by their references. Who is new gets the next numbers, in the order of the file.
2. A file is everybody (full) or some people (partial). Whoever is in the register and not in a full file has left, as
   of the time of the import; who had left by then stays as they are.
3. What is said of a person replaces everything that was known, but for what a file has no column for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ringfence.core.people.register import PersonFacts, Register
from ringfence.services.people.lines import check_people
from ringfence.services.people.table import Problems, Row, parse_table
from ringfence.services.people.values import SEPARATOR


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """One fact of a person that is told otherwise: the file's column, and its text before and after."""

    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What changes of one person; nothing is listed for who is added, and the end alone for who is gone."""

    number: int
    reference: str
    name: str
    changes: tuple[AttributeChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What a file changes, each part in the order of the file and `gone` by number.

    Attributes:
        facts: what to record so that the register says what the file says; empty when it does already.
        unchanged: how many people of the file the register knows exactly so.
    """

    added: tuple[PersonChange, ...]
    changed: tuple[PersonChange, ...]
    gone: tuple[PersonChange, ...]
    facts: tuple[PersonFacts, ...]
    unchanged: int


def read_people(
    data: bytes,
    *,
    file: str,
    parties: Collection[str],
    register: Register,
    number_last: int,
    at_ms: int,
    is_partial: bool,
) -> Difference:
    """Read an HR file and tell what it changes; all of it or, when there is any problem, nothing.

    Args:
        data: the file.
        file: what to call it in problems.
        parties: the names that the charter has for parties.
        register: what is known.
        number_last: the largest number that anybody ever had.
        at_ms: when the file is taken: people who are gone have left then.
        is_partial: whether people who are not in the file stay as they are.

    Raises:
        PeopleInvalidError: carries every problem with its row.
    """
    problems = Problems(file)
    rows = parse_table(data, parties=parties, problems=problems)
    check_people(rows, register, problems)
    problems.raise_any()
    return find_difference(rows, register, number_last=number_last, at_ms=at_ms, is_partial=is_partial)


def find_difference(
    rows: Sequence[Row], register: Register, *, number_last: int, at_ms: int, is_partial: bool
) -> Difference:
    """Tell what rows without problems change; the arguments are those of `read_people`."""
    numbers = _number(rows, register, number_last)
    gone = () if is_partial else tuple(_list_gone(register, numbers, at_ms))
    return compare_facts([_facts_of(row, numbers, register) for row in rows], register, gone=gone, ended_ms=at_ms)


def compare_facts(
    told: Sequence[PersonFacts], register: Register, *, gone: Sequence[PersonFacts] = (), ended_ms: int = 0
) -> Difference:
    """Tell what facts change.

    Args:
        told: all that is known of some people from now on, each once.
        register: what was known.
        gone: what was known of people who have left at `ended_ms`.
    """
    references = {one.number: one.reference for one in told}
    added: list[PersonChange] = []
    changed: list[PersonChange] = []
    facts: list[PersonFacts] = []
    for new in told:
        old = register.people.get(new.number)
        if old == new:
            continue
        facts.append(new)
        if old is None:
            added.append(PersonChange(new.number, new.reference, new.name))
        else:
            changed.append(_compare(old, new, register, references))
    unchanged = len(told) - len(facts)
    left = [msgspec.structs.replace(old, ends_ms=ended_ms) for old in gone]
    leavers = [_compare(old, new, register, references) for old, new in zip(gone, left, strict=True)]
    return Difference(tuple(added), tuple(changed), tuple(leavers), (*facts, *left), unchanged)


def _number(rows: Sequence[Row], register: Register, number_last: int) -> dict[str, int]:
    """Give the number of everybody in the file."""
    numbers: dict[str, int] = {}
    for row in rows:
        known = register.numbers.get(row.reference)
        if known is None:
            number_last += 1
        numbers[row.reference] = number_last if known is None else known
    return numbers


def _facts_of(row: Row, numbers: Mapping[str, int], register: Register) -> PersonFacts:
    def number_of(reference: str) -> int:
        return numbers[reference] if reference in numbers else register.numbers[reference]

    number = numbers[row.reference]
    old = register.people.get(number)
    known_as = old.external_id if old is not None else ""
    return PersonFacts(
        number=number,
        reference=row.reference,
        name=row.name,
        party=row.employer,
        paid_by="" if row.paid_by == row.employer else row.paid_by,
        residence=row.residence,
        works_in=row.works_in,
        manager=number_of(row.manager) if row.manager else 0,
        directed_by=tuple(sorted(map(number_of, row.directed_by))),
        team=row.team,
        devices_of=row.devices_of,
        starts_ms=row.starts_ms,
        ends_ms=row.ends_ms,
        external_id=known_as,  # which a file has no column for
    )


def _compare(old: PersonFacts, new: PersonFacts, register: Register, references: Mapping[int, str]) -> PersonChange:
    """Tell which facts of a person are told otherwise."""
    before, after = show_facts(old, register, references), show_facts(new, register, references)
    changes = tuple(
        AttributeChange(column, before[column], after[column]) for column in before if before[column] != after[column]
    )
    return PersonChange(new.number, new.reference, new.name, changes)


def _list_gone(register: Register, numbers: Mapping[str, int], at_ms: int) -> Iterator[PersonFacts]:
    """Give those who are in the register, have not left by then, and are not in the file."""
    staying = frozenset(numbers.values())
    for number in sorted(register.people):
        facts = register.people[number]
        if number not in staying and (facts.ends_ms == 0 or facts.ends_ms > at_ms):
            yield facts


def show_facts(facts: PersonFacts, register: Register, references: Mapping[int, str] | None = None) -> dict[str, str]:
    """Give facts as a file would, by column: people by their references, times as ISO 8601.

    Args:
        references: of people who are not in the register yet, by number.
    """

    def reference(number: int) -> str:
        known = register.people.get(number)
        return known.reference if known is not None else (references or {}).get(number, f"number {number}")

    return {
        "reference": facts.reference,
        "name": facts.name,
        "employer": facts.party,
        "paid_by": facts.paid_by,
        "residence": facts.residence,
        "works_in": facts.works_in,
        "manager": reference(facts.manager) if facts.manager else "",
        "directed_by": SEPARATOR.join(map(reference, facts.directed_by)),
        "team": facts.team,
        "devices_of": facts.devices_of,
        "starts": render_time(facts.starts_ms) if facts.starts_ms else "",
        "ends": render_time(facts.ends_ms) if facts.ends_ms else "",
    }


def render_time(at_ms: int) -> str:
    """Give a time as a people file says it, ISO 8601 in UTC; one that no calendar has stays a number."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # the end of the last day of the calendar, and what is beyond
        return f"{at_ms} ms since 1970"
