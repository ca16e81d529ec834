"""Who counts for which group: seats fill one alternative, and nobody has two."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.charter.governance import Group, Operation
from ringfence.core.governance.quorum import find_seats, is_enough

DUTIES = ("officer", "manager", "monitor")
groups = st.builds(
    Group, duties=st.sets(st.sampled_from(DUTIES), min_size=1).map(tuple), count=st.integers(min_value=1, max_value=2)
)
operations = st.lists(st.lists(groups, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(
    lambda alternatives: Operation(name="grant", propose=(), alternatives=tuple(alternatives))
)
approvals = st.dictionaries(st.integers(min_value=1, max_value=6), st.sets(st.sampled_from(DUTIES)), max_size=6)


@given(operations, approvals)
def test_seats_are_those_of_one_alternative_each_taken_by_somebody_who_may(
    operation: Operation, people: dict[int, set[str]]
) -> None:
    seats = find_seats(operation, people)

    assert bool(seats) == is_enough(operation, people)
    assert all(people[person] & set(group.duties) for person, group in seats.items())
    taken = Counter((group.duties, group.count) for group in seats.values())
    wanted = [
        Counter({key: key[1] * times for key, times in Counter((one.duties, one.count) for one in alternative).items()})
        for alternative in operation.alternatives
    ]
    assert not seats or taken in wanted


def test_who_is_not_needed_has_no_seat_and_nobody_has_one_where_they_are_not_enough() -> None:
    two = Group(duties=("officer",), count=2)
    operation = Operation(name="grant", propose=(), alternatives=((two,),))
    officer, manager = {"officer"}, {"manager"}

    assert find_seats(operation, {1: officer, 2: manager, 3: officer, 4: officer}) == {1: two, 3: two}
    assert find_seats(operation, {1: officer, 2: manager}) == {}
    assert find_seats(operation, {}) == {}
