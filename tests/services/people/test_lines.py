"""Who is who in an HR file: duplicates, people whom nobody knows, circles in reporting lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.people.register import EMPTY_REGISTER, PersonFacts, Register, record
from ringfence.services.people import lines
from ringfence.services.people.diff import Difference
from tests.services.people.files import NOW_MS, file_of, places_of, problems_of, read, row_of


def registered(difference: Difference, before: Register = EMPTY_REGISTER) -> Register:
    return record(before, difference.facts, at_ms=NOW_MS)


@pytest.mark.parametrize(
    ("references", "problem"),
    [
        (["E1", "E2", "E1"], "4:1: found reference: `E1`, who is on line 2 as `E1`; expected each person once"),
        (["E1", "e1"], "3:1: found reference: `e1`, who is on line 2 as `E1`; expected each person once"),
    ],
)
def test_person_who_is_there_twice_is_told_with_both_lines(references: list[str], problem: str) -> None:
    assert problems_of(file_of(*map(row_of, references))) == [f"hr.csv:{problem}"]


def test_every_further_row_of_a_person_is_told() -> None:
    assert places_of(problems_of(file_of(*map(row_of, ["E1", "E1", "E2", "E1"])))) == ["3:1", "5:1"]


def test_person_whom_the_register_spells_otherwise_is_told() -> None:
    register = registered(read(file_of(row_of("E1"))))

    problems = problems_of(file_of(row_of("e1")), register)

    assert problems == [
        "hr.csv:2:1: found reference: `e1`, whom the register has as `E1`; expected the register's spelling"
    ]
    assert problems_of(file_of(row_of("E1")), register) == []


def test_manager_of_the_register_is_known_to_any_file() -> None:
    register = registered(read(file_of(row_of("E1"))))
    data = file_of(row_of("E2", manager="E1", directed_by="E1"))

    assert problems_of(data) != []
    assert problems_of(data, register) == []
    assert problems_of(data, register, is_partial=True) == []


def test_circle_is_named_whole_at_its_first_row() -> None:
    data = file_of(
        row_of("E0", manager="E3"),
        row_of("E1", manager="E2"),
        row_of("E2", manager="E3"),
        row_of("E3", manager="E1"),
    )

    assert problems_of(data) == [
        "hr.csv:3:7: found manager: a circle of 3: `E1` managed by `E2`, managed by `E3`, managed by `E1`; "
        "expected reporting lines that end"
    ]


def test_every_circle_is_named() -> None:
    data = file_of(
        row_of("E1", manager="E1"),
        row_of("E2", manager="E3"),
        row_of("E3", manager="E2"),
        row_of("E4", manager="E2"),
    )

    problems = problems_of(data)

    assert places_of(problems) == ["2:7", "3:7"]
    assert "a circle of 1: `E1` managed by `E1`;" in problems[0]


def test_line_that_ends_is_no_circle() -> None:
    assert problems_of(file_of(row_of("E1", manager="E2"), row_of("E2", manager="E3"), row_of("E3"))) == []


def test_people_may_direct_each_other() -> None:
    assert problems_of(file_of(row_of("E1", directed_by="E2"), row_of("E2", directed_by="E1"))) == []


def test_circle_through_the_register_is_named() -> None:
    register = registered(read(file_of(row_of("E1", manager="E2"), row_of("E2"))))

    problems = problems_of(file_of(row_of("E2", manager="E1")), register, is_partial=True)

    assert len(problems) == 1
    assert "a circle of 2: `E2` managed by `E1`, managed by `E2`" in problems[0]


def circle_in_register() -> Register:
    """Give a register in which two people manage each other: told of each by itself."""
    register = registered(read(file_of(row_of("E1", manager="E2"), row_of("E2"))))
    return record(register, [PersonFacts(number=2, reference="E2", name="", party="keeper", manager=1)], at_ms=NOW_MS)


def test_file_that_breaks_a_circle_is_taken() -> None:
    assert problems_of(file_of(row_of("E2")), circle_in_register(), is_partial=True) == []


def test_circle_of_the_register_alone_is_not_the_files() -> None:
    assert problems_of(file_of(row_of("E3", manager="E1")), circle_in_register(), is_partial=True) == []


def test_huge_circle_is_named_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CIRCLE_SHOWN_MAX", 2)
    rows = [row_of(f"E{number}", manager=f"E{(number + 1) % 5}") for number in range(5)]

    problems = problems_of(file_of(*rows))

    assert "a circle of 5: `E0` managed by `E1`, managed by `E2`, and 3 more;" in problems[0]


@given(managers=st.lists(st.integers(0, 7), min_size=8, max_size=8), known=st.integers(0, 8))
def test_circles_are_those_that_following_everybody_finds(managers: list[int], known: int) -> None:
    """The first `known` people are in the register alone, managed as told; the rest are in the file."""
    everybody = [row_of(f"E{number}", manager=f"E{manager}") for number, manager in enumerate(managers)]
    facts = [
        PersonFacts(number=at + 1, reference=f"E{at}", name="", party="keeper", manager=manager + 1)
        for at, manager in enumerate(managers)
    ]
    register = record(EMPTY_REGISTER, facts if known else [], at_ms=NOW_MS)

    problems = problems_of(file_of(*everybody[known:]), register, is_partial=True)

    expected = set()
    for start in range(8):
        way = [start]
        while managers[way[-1]] not in way:
            way.append(managers[way[-1]])
        circle = frozenset(way[way.index(managers[way[-1]]) :])
        if max(circle) >= known:
            expected.add(circle)
    found = {
        frozenset(int(word.strip("`E,;")) for word in problem.split(";")[0].split() if word.startswith("`E"))
        for problem in problems
    }
    assert found == expected
    assert len(problems) == len(expected)
