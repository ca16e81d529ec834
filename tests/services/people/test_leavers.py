"""Many leavers in a day are told of, from the first one that is more than usual on."""

from __future__ import annotations

from ringfence.core.register import EMPTY_REGISTER, Register, record
from ringfence.services.people.leavers import DAY_MS, USUAL_MAX, usual_max, why_unusual
from tests.governed import facts

NOW_MS = 1_800_000_000_000


def register_of(*ends_ms: int) -> Register:
    told = [facts(number, f"p{number}", ends_ms=end) for number, end in enumerate(ends_ms, start=1)]
    return record(EMPTY_REGISTER, told, at_ms=NOW_MS - 2 * DAY_MS)


def test_more_than_a_tenth_and_ten_within_a_day_are_unusual() -> None:
    assert (usual_max(0), usual_max(109), usual_max(250)) == (USUAL_MAX, USUAL_MAX, 25)
    for there, gone, words in ((100, 10, ""), (100, 11, "11 of 100 people have left within a day"), (200, 20, "")):
        register = register_of(*[NOW_MS] * gone, *[0] * (there - gone))
        assert why_unusual(register, at_ms=NOW_MS).startswith(words)
        assert bool(why_unusual(register, at_ms=NOW_MS)) == bool(words)


def test_who_left_before_or_will_leave_does_not_count() -> None:
    many = USUAL_MAX + 1
    assert why_unusual(register_of(*[NOW_MS - DAY_MS + 1] * many), at_ms=NOW_MS)
    assert not why_unusual(register_of(*[NOW_MS - DAY_MS] * many), at_ms=NOW_MS)
    assert not why_unusual(register_of(*[NOW_MS + 1] * many), at_ms=NOW_MS)
