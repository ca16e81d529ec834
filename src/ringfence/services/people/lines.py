"""Who is who in an HR file: each person once, managers whom somebody knows, reporting lines without circles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from ringfence.core.charter.document import show
from ringfence.core.people.register import Register
from ringfence.services.people.table import Problems, Row

CIRCLE_SHOWN_MAX: Final = 1_000
"""Most people of one circle that its problem names."""

_SOMEBODY: Final = "the reference of somebody in this file or in the register"


def check_people(rows: Sequence[Row], register: Register, problems: Problems) -> None:
    """Find people who are there twice, managers and directors who are not known, and circles in reporting lines.

    Args:
        rows: what the file says; rows without a reference are left out.
        register: who is known already.
        problems: takes what is found, each with its row.
    """
    folded = {reference.casefold(): reference for reference in register.numbers}
    first = _check_once(rows, folded, problems)
    folded |= {reference.casefold(): reference for reference in first}
    for row in rows:
        for column, references in (("manager", (row.manager,)), ("directed_by", row.directed_by)):
            for reference in references:
                if reference and reference not in first and reference not in register.numbers:
                    meant = folded.get(reference.casefold(), "")
                    hint = f"; did you mean `{meant}`?" if meant else ""
                    problems.add(row.line, column, f"the unknown person {show(reference)}", _SOMEBODY + hint)
    for circle in find_circles(first, lambda reference: _manager_of(reference, first, register)):
        row = min((first[reference] for reference in circle if reference in first), key=lambda one: one.line)
        problems.add(row.line, "manager", describe_circle(circle, row.reference), "reporting lines that end")


def _check_once(rows: Sequence[Row], registered: Mapping[str, str], problems: Problems) -> dict[str, Row]:
    """Give the first row of each reference."""
    first: dict[str, Row] = {}
    spelled: dict[str, Row] = {}
    for row in rows:
        if not row.reference:
            continue
        first.setdefault(row.reference, row)
        earlier = spelled.setdefault(row.reference.casefold(), row)
        known = registered.get(row.reference.casefold(), row.reference)
        if earlier is not row:
            found = f"{show(row.reference)}, who is on line {earlier.line} as {show(earlier.reference)}"
            problems.add(row.line, "reference", found, "each person once")
        elif known != row.reference:
            found = f"{show(row.reference)}, whom the register has as {show(known)}"
            problems.add(row.line, "reference", found, "the register's spelling")
    return first


def find_circles(people: Collection[str], manager_of: Callable[[str], str]) -> Iterator[list[str]]:
    """Give each circle of line managers that one of these people is part of, each person managed by the next.

    Args:
        people: by reference.
        manager_of: gives whom a person is managed by; "" for nobody.
    """
    walked: dict[str, str] = {}  # by reference, the walk on which it was met first
    for start in people:
        reference, way = start, []
        while reference and reference not in walked:
            walked[reference] = start
            way.append(reference)
            reference = manager_of(reference)
        if reference and walked[reference] == start:
            circle = way[way.index(reference) :]
            if any(one in people for one in circle):
                yield circle


def _manager_of(reference: str, rows: Mapping[str, Row], register: Register) -> str:
    """Give whom somebody is managed by: who is not in the file has the manager that the register knows."""
    row = rows.get(reference)
    if row is not None:
        return row.manager
    number = register.numbers.get(reference)
    manager = register.people.get(register.people[number].manager) if number is not None else None
    return manager.reference if manager is not None else ""


def describe_circle(circle: list[str], first: str) -> str:
    """Name everybody of a circle, beginning and ending with `first`."""
    at = circle.index(first)
    turned = [*circle[at:], *circle[:at], first]
    shown = [show(reference) for reference in turned[: CIRCLE_SHOWN_MAX + 1]]
    more = len(turned) - len(shown)
    words = f"{shown[0]} managed by " + ", managed by ".join(shown[1:])
    return f"a circle of {len(circle)}: {words}" + (f", and {more} more" if more else "")
