"""Many leavers in a day are told of, from the first one that is more than usual on."""

from __future__ import annotations

from immutables import Map

from ringfence.core.governed_entry import PeopleRecorded
from ringfence.core.register import EMPTY_REGISTER, Register, record
from ringfence.core.standing import Member, Standing
from ringfence.core.times import DAY_MS
from ringfence.services.people.leavers import USUAL_MAX, Losses, usual_max, why_unusual
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


def test_members_who_lose_authority_count_once_for_a_day_and_with_those_who_have_it() -> None:
    members = Map({number: Member(number, "trust") for number in range(1, 10)})
    standing = Standing(register=None, founding_charter=b"", founding_build=b"", members=members)
    lost = tuple(range(100, 100 + USUAL_MAX))
    losses = Losses()

    def note(*suspends: int, ends: tuple[tuple[int, int], ...] = (), at_ms: int = NOW_MS) -> None:
        rule = PeopleRecorded(source="test", added=0, people=1, facts=b"", suspends=suspends, ends=ends)
        losses.note(rule, at_ms=at_ms)

    note(*lost)
    note(*lost)
    assert not losses.why_unusual(standing, at_ms=NOW_MS)
    note(ends=((99, 1),), at_ms=NOW_MS + 1)
    words = "facts that were told within a day took authority from 11 of 20 members, and 10 are usual"
    assert losses.why_unusual(standing, at_ms=NOW_MS + DAY_MS - 1) == words
    assert not losses.why_unusual(standing, at_ms=NOW_MS + DAY_MS)
    note(at_ms=NOW_MS + DAY_MS)
    assert not losses.why_unusual(standing, at_ms=NOW_MS + 1)
