"""Many leavers in a day are told of, from the first one that is more than usual on."""

from __future__ import annotations

import pytest
from immutables import Map

from ringfence.core.people.register import EMPTY_REGISTER, Register, record
from ringfence.core.people.standing import Member, Standing
from ringfence.core.times import DAY_MS
from ringfence.services.people.leavers import USUAL_MAX, list_unusual, usual_max, why_unusual, why_unusual_losses
from tests.governed import facts

NOW_MS = 1_800_000_000_000


def register_of(*ends_ms: int) -> Register:
    told = [facts(number, f"p{number}", ends_ms=end) for number, end in enumerate(ends_ms, start=1)]
    return record(EMPTY_REGISTER, told, at_ms=NOW_MS - 2 * DAY_MS)


def test_more_than_half_or_than_a_tenth_and_ten_within_a_day_are_unusual() -> None:
    assert (usual_max(0), usual_max(7), usual_max(20), usual_max(109), usual_max(250)) == (0, 3, 10, USUAL_MAX, 25)
    for there, gone, words in (
        (100, 10, ""),
        (100, 11, "11 of 100 people have left within a day"),
        (200, 20, ""),
        (7, 3, ""),
        (7, 4, "4 of 7 people have left within a day, by the facts told, and 3 are usual"),
    ):
        register = register_of(*[NOW_MS] * gone, *[0] * (there - gone))
        assert why_unusual(register, at_ms=NOW_MS).startswith(words)
        assert bool(why_unusual(register, at_ms=NOW_MS)) == bool(words)


def test_who_left_before_or_will_leave_does_not_count() -> None:
    many = USUAL_MAX + 1
    assert why_unusual(register_of(*[NOW_MS - DAY_MS + 1] * many), at_ms=NOW_MS)
    assert not why_unusual(register_of(*[NOW_MS - DAY_MS] * many), at_ms=NOW_MS)
    assert not why_unusual(register_of(*[NOW_MS + 1] * many), at_ms=NOW_MS)


@pytest.mark.parametrize(
    ("lost", "there", "is_unusual"), [(10, 10, False), (11, 10, True), (10, 9, True), (11, 99, False)]
)
def test_members_who_lose_authority_count_for_a_day_and_with_those_who_have_it(
    lost: int, there: int, is_unusual: bool
) -> None:
    gone = [Member(number, "trust", suspended=True, lost_ms=NOW_MS) for number in range(1, lost + 1)]
    ending = [Member(500, "trust", until_ms=NOW_MS + DAY_MS, lost_ms=NOW_MS - DAY_MS)]
    before = [Member(600, "trust", suspended=True, lost_ms=NOW_MS - DAY_MS)]
    here = [Member(number, "trust") for number in range(1000, 1000 + there - 1)]
    members = Map({member.number: member for member in (*gone, *ending, *before, *here)})
    standing = Standing(register=None, founding_charter=b"", founding_build=b"", members=members)

    words = f"facts that were told within a day took authority from {lost} of {lost + there} members"
    assert why_unusual_losses(standing, at_ms=NOW_MS).startswith(words if is_unusual else "")
    assert bool(why_unusual_losses(standing, at_ms=NOW_MS)) is is_unusual
    assert list_unusual(standing, at_ms=NOW_MS) == [why_unusual_losses(standing, at_ms=NOW_MS)] * is_unusual
    assert not why_unusual_losses(standing, at_ms=NOW_MS + DAY_MS)
