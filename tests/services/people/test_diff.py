"""What an HR file changes: added, changed, gone, and the facts that are recorded for it."""

from __future__ import annotations

import msgspec
import pytest

from ringfence.core.people.register import EMPTY_REGISTER, PersonFacts, Register, record
from ringfence.services.people.diff import AttributeChange, Difference, PersonChange, find_difference
from ringfence.services.people.table import Problems, parse_table
from tests.services.people.files import NOW_MS, PARTIES, file_of, problems_of, read, row_of


def taken(*rows: dict[str, str], register: Register = EMPTY_REGISTER, is_partial: bool = False) -> Register:
    """Give a register after a file of these rows."""
    return record(register, read(file_of(*rows), register, is_partial=is_partial).facts, at_ms=NOW_MS)


def test_new_people_get_the_next_numbers_in_the_order_of_the_file() -> None:
    register = taken(row_of("E1"), row_of("E2"))

    difference = read(file_of(row_of("E9"), row_of("E1"), row_of("E3"), row_of("E2")), register)

    assert difference.added == (PersonChange(3, "E9", "Person E9"), PersonChange(4, "E3", "Person E3"))
    assert [facts.number for facts in difference.facts] == [3, 4]
    assert (difference.changed, difference.gone, difference.unchanged) == ((), (), 2)


def test_numbers_go_on_after_the_last_that_anybody_had() -> None:
    problems = Problems("hr.csv")
    rows = parse_table(file_of(row_of("E1")), parties=PARTIES, problems=problems)

    difference = find_difference(rows, EMPTY_REGISTER, number_last=41, at_ms=NOW_MS, is_partial=False)

    assert [facts.number for facts in difference.facts] == [42]


def test_same_file_again_changes_nothing() -> None:
    rows = [row_of("E1", manager="E2", directed_by="E2", paid_by="app", ends="2030-01-01"), row_of("E2")]

    difference = read(file_of(*rows), taken(*rows))

    assert difference == Difference((), (), (), (), unchanged=2)


def test_paying_employer_is_the_same_told_or_not() -> None:
    assert read(file_of(row_of("E1", paid_by="keeper")), taken(row_of("E1"))).facts == ()
    assert read(file_of(row_of("E1", paid_by="parent")), taken(row_of("E1"))).facts != ()


def test_every_attribute_that_changes_is_told_as_a_file_has_it() -> None:
    register = taken(row_of("E1", directed_by="E3;E2", manager="E2"), row_of("E2"), row_of("E3"))
    new = row_of(
        "E1",
        name="Ada",
        employer="app",
        paid_by="parent",
        residence="SE",
        works_in="",
        manager="E4",
        directed_by="E2",
        team="red",
        devices_of="app",
        starts="2020-01-02",
        ends="2030-12-31",
    )

    difference = read(file_of(new, row_of("E4")), register, is_partial=True)

    assert difference.changed == (
        PersonChange(
            1,
            "E1",
            "Ada",
            (
                AttributeChange("name", "Person E1", "Ada"),
                AttributeChange("employer", "keeper", "app"),
                AttributeChange("paid_by", "", "parent"),
                AttributeChange("residence", "NO", "SE"),
                AttributeChange("works_in", "NO", ""),
                AttributeChange("manager", "E2", "E4"),
                AttributeChange("directed_by", "E2;E3", "E2"),
                AttributeChange("team", "blue", "red"),
                AttributeChange("devices_of", "keeper", "app"),
                AttributeChange("starts", "2020-01-01T00:00:00+00:00", "2020-01-02T00:00:00+00:00"),
                AttributeChange("ends", "", "2031-01-01T00:00:00+00:00"),
            ),
        ),
    )
    assert [facts.number for facts in difference.facts] == [1, 4]
    assert difference.facts[0].manager == 4


def test_last_day_of_the_calendar_is_told() -> None:
    difference = read(file_of(row_of("E1", ends="9999-12-31")), taken(row_of("E1")))

    assert difference.changed[0].changes == (AttributeChange("ends", "", "9999-12-31T23:59:59+00:00"),)


def test_time_that_no_calendar_has_is_told_all_the_same() -> None:
    facts = PersonFacts(number=1, reference="E1", name="Person E1", party="keeper", ends_ms=10**18)
    register = record(EMPTY_REGISTER, [facts], at_ms=NOW_MS)

    changes = read(file_of(row_of("E1")), register).changed[0].changes

    assert AttributeChange("ends", "1000000000000000000 ms since 1970", "") in changes


def test_person_who_is_missing_from_a_full_file_has_left() -> None:
    register = taken(row_of("E1"), row_of("E2", ends="2100-01-01"), row_of("E3"))

    difference = read(file_of(row_of("E3")), register)

    assert [(one.number, one.reference) for one in difference.gone] == [(1, "E1"), (2, "E2")]
    assert difference.gone[0].changes == (AttributeChange("ends", "", "2025-06-15T15:06:40+00:00"),)
    assert [(facts.number, facts.ends_ms) for facts in difference.facts] == [(1, NOW_MS), (2, NOW_MS)]
    after = record(register, difference.facts, at_ms=NOW_MS)
    assert after.people[1] == msgspec.structs.replace(register.people[1], ends_ms=NOW_MS)
    assert not after.people[1].is_present(NOW_MS)


def test_file_keeps_what_it_has_no_column_for_and_puts_back_on_the_list_whom_it_names() -> None:
    known = PersonFacts(number=1, reference="E1", name="x", party="keeper", external_id="0-7", unlisted=True)

    register = taken(row_of("E1"), register=record(EMPTY_REGISTER, [known], at_ms=NOW_MS))

    assert (register.people[1].external_id, register.people[1].unlisted) == ("0-7", False)


def test_person_who_is_missing_from_a_partial_file_stays() -> None:
    assert read(file_of(row_of("E2")), taken(row_of("E1"), row_of("E2")), is_partial=True).facts == ()


def test_person_who_had_left_stays_as_they_were() -> None:
    register = taken(row_of("E1", ends="2024-05-31"), row_of("E2"))

    assert read(file_of(row_of("E2")), register).facts == ()


def test_person_who_comes_back_is_a_change_of_the_same_person() -> None:
    register = taken(row_of("E1"), row_of("E2"))
    register = taken(row_of("E2"), register=register)

    difference = read(file_of(row_of("E1"), row_of("E2")), register)

    assert difference.added == ()
    assert difference.changed[0].changes == (AttributeChange("ends", "2025-06-15T15:06:40+00:00", ""),)
    assert difference.facts[0].number == 1


def test_empty_full_file_makes_everybody_a_leaver() -> None:
    register = taken(row_of("E1"), row_of("E2"))

    assert len(read(file_of(), register).gone) == 2
    assert read(file_of(), register, is_partial=True).facts == ()


def test_manager_whom_the_register_does_not_know_either_is_shown_by_number() -> None:
    register = record(
        EMPTY_REGISTER, [PersonFacts(number=1, reference="E1", name="x", party="keeper", manager=77)], at_ms=NOW_MS
    )

    changes = read(file_of(row_of("E1")), register).changed[0].changes

    assert AttributeChange("manager", "number 77", "") in changes


def test_file_with_any_problem_changes_nothing() -> None:
    rows = [row_of(f"E{number}") for number in range(50)]
    good, bad = file_of(*rows), file_of(*rows[:-1], row_of("E49", employer="acme"))

    assert len(read(good).facts) == 50
    assert len(problems_of(bad)) == 1


@pytest.mark.parametrize("is_partial", [False, True])
def test_recording_the_facts_makes_the_register_say_what_the_file_says(is_partial: bool) -> None:
    register = taken(row_of("E1", manager="E2"), row_of("E2"), row_of("E3"))
    data = file_of(row_of("E2", manager="E4", team="red"), row_of("E4", directed_by="E1"))

    after = record(register, read(data, register, is_partial=is_partial).facts, at_ms=NOW_MS)

    assert read(data, after, is_partial=is_partial).facts == ()
    assert after.people[2].team == "red"
    assert after.people[3].is_present(NOW_MS) is is_partial
