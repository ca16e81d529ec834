"""What an HR system tells of one person, as facts: an end holds from now on and is undone by nobody's silence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError
from ringfence.core.people.register import DIRECTED_BY_MAX, EMPTY_REGISTER, PersonFacts, record
from ringfence.services.people.feeding import end_of_list
from ringfence.services.people.telling import TEXTS, Told, facts_of
from ringfence.services.people.values import COLUMNS
from tests.services.people.files import NOW_MS, PARTIES

HOUR_MS = 3_600_000
PAST, NOW, LATER = NOW_MS - HOUR_MS, NOW_MS, NOW_MS + HOUR_MS
NAMES = {column: column for column in (*COLUMNS, "external_id", "active")}
KNOWN = PersonFacts(number=1, reference="E1", name="Person E1", party="keeper", residence="NO")


def told_of(known: PersonFacts = KNOWN, **told: Any) -> Told:
    """Give what is told of somebody of whom nothing has changed but what is told here."""
    texts = {column: told.pop(column, getattr(known, field)) for column, field in TEXTS.items()}
    usual = {
        "manager": known.manager,
        "directed_by": known.directed_by,
        "starts_ms": known.starts_ms,
        "ends_ms": known.ends_ms,
        "external_id": known.external_id,
    }
    return Told(texts=texts, **{**usual, **told})


def tell(told: Told, *known: PersonFacts, number: int = 1) -> PersonFacts:
    register = record(EMPTY_REGISTER, known, at_ms=PAST)
    return facts_of(told, number=number, register=register, parties=PARTIES, names=NAMES, at_ms=NOW)


def with_end(ends_ms: int) -> PersonFacts:
    return PersonFacts(number=1, reference="E1", name="Person E1", party="keeper", residence="NO", ends_ms=ends_ms)


def test_texts_and_the_rest_are_all_that_a_file_says() -> None:
    assert {*TEXTS, "manager", "directed_by", "starts", "ends"} == set(COLUMNS)


@pytest.mark.parametrize(
    ("known", "ends", "is_there", "expected"),
    [
        # nothing known of an end
        (0, 0, None, 0),
        (0, 0, True, 0),
        (0, 0, False, NOW),
        (0, PAST, None, PAST),
        (0, PAST, False, PAST),
        (0, LATER, None, LATER),
        (0, LATER, True, LATER),
        (0, LATER, False, NOW),
        # an end that has come is undone by nobody's silence
        (PAST, 0, None, PAST),
        (PAST, PAST, None, PAST),
        (PAST, 0, False, PAST),
        (PAST, PAST, False, PAST),
        (PAST, 0, True, 0),
        (PAST, PAST, True, 0),
        (PAST, LATER, True, LATER),
        (PAST, LATER, None, LATER),
        (PAST, LATER, False, PAST),
        # an end to come
        (LATER, 0, None, 0),
        (LATER, LATER, True, LATER),
        (LATER, LATER, False, NOW),
        (LATER, PAST, None, PAST),
    ],
)
def test_end_of_a_person(known: int, ends: int, is_there: bool | None, expected: int) -> None:
    told = told_of(with_end(known), ends_ms=ends, is_there=is_there)

    assert tell(told, with_end(known)).ends_ms == expected


@given(
    st.sampled_from([0, PAST, NOW, LATER]),
    st.sampled_from([0, PAST, NOW, LATER]) | st.integers(1, NOW_MS * 2),
    st.integers(-NOW_MS, NOW_MS * 2),
)
def test_who_is_told_not_to_be_there_never_is_from_now_on(known: int, ends: int, starts: int) -> None:
    told = told_of(with_end(known), ends_ms=ends, starts_ms=starts, is_there=False)

    try:
        facts = tell(told, with_end(known))
    except InvalidInputError:
        assert 0 < ends <= starts
        return
    assert not facts.is_present(NOW)
    assert not facts.is_present(NOW_MS * 3)


def test_who_is_there_and_has_left_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="active: found somebody who is there and has left"):
        tell(told_of(ends_ms=PAST, is_there=True), KNOWN)

    assert tell(told_of(ends_ms=LATER, is_there=True), KNOWN).ends_ms == LATER


def test_rehire_may_start_after_the_end_that_was_known() -> None:
    facts = tell(told_of(with_end(PAST), starts_ms=LATER, is_there=True), with_end(PAST))

    assert (facts.starts_ms, facts.ends_ms) == (LATER, 0)


def test_what_did_not_change_is_not_looked_at_again() -> None:
    odd = PersonFacts(
        number=1,
        reference="E 1;",
        name="a\u202eb",
        party="gone",
        residence="XX",
        manager=77,
        directed_by=(1, 78),
        external_id="x" * 200,
        starts_ms=LATER,
        ends_ms=PAST,
    )

    assert tell(told_of(odd, residence="NO"), odd).residence == "NO"
    with pytest.raises(InvalidInputError, match="employer: found the unknown party `gone`"):
        tell(told_of(employer="gone"), KNOWN)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = told_of(employer="gone", residence="XX", manager=9, ends_ms=5, starts_ms=6, external_id="\n")

    with pytest.raises(InvalidInputError) as error:
        tell(told, KNOWN)

    for column in ("employer", "residence", "manager", "ends", "external_id"):
        assert f"{column}: found" in error.value.message


def test_who_is_off_the_list_is_nobodys_new_manager_and_stays_who_it_was() -> None:
    boss = PersonFacts(number=2, reference="E2", name="B", party="keeper", unlisted=True)
    below = PersonFacts(number=1, reference="E1", name="Person E1", party="keeper", residence="NO", manager=2)

    with pytest.raises(InvalidInputError, match="manager: found 2, who is nobody of the register"):
        tell(told_of(manager=2), KNOWN, boss)
    assert tell(told_of(below, team="red"), below, boss).manager == 2
    listed = PersonFacts(number=2, reference="E2", name="B", party="keeper")
    assert tell(told_of(manager=2), KNOWN, listed).manager == 2


def test_directors_are_few_and_somebody_else() -> None:
    people = [PersonFacts(number=n, reference=f"E{n}", name="x", party="keeper") for n in range(2, DIRECTED_BY_MAX + 3)]
    numbers = tuple(one.number for one in people)

    assert tell(told_of(directed_by=numbers[:DIRECTED_BY_MAX]), KNOWN, *people).directed_by == numbers[:DIRECTED_BY_MAX]
    with pytest.raises(InvalidInputError, match=f"directed_by: found {DIRECTED_BY_MAX + 1} people"):
        tell(told_of(directed_by=numbers), KNOWN, *people)
    with pytest.raises(InvalidInputError, match="directed_by: found the person itself"):
        tell(told_of(directed_by=(1,)), KNOWN, *people)


def test_who_is_taken_off_the_list_has_left_and_stays_known() -> None:
    assert end_of_list(KNOWN, at_ms=NOW).ends_ms == NOW
    assert end_of_list(with_end(LATER), at_ms=NOW).ends_ms == NOW
    assert end_of_list(with_end(PAST), at_ms=NOW).ends_ms == PAST
    assert end_of_list(KNOWN, at_ms=NOW).unlisted
    assert end_of_list(KNOWN, at_ms=NOW).reference == "E1"
