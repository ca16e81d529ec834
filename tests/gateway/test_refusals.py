"""A flood of refusals is counted, within limits, and what could not be written is not lost."""

from __future__ import annotations

from ringfence.core.ledger.entry import Refusals, parse_entry
from ringfence.services.refusals import COUNTED_PRINCIPALS_MAX, SINGLE_REFUSALS_PER_SECOND_MAX, STRANGER, RefusalMeter


class Clock:
    """A clock that is set by hand."""

    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def drained(meter: RefusalMeter) -> dict[tuple[int, str], int]:
    return {(tally.principal, tally.reason): tally.requests for tally in meter.drain()}


def test_caller_is_recorded_singly_up_to_its_rate_each_second() -> None:
    clock = Clock()
    meter = RefusalMeter(clock)
    for _ in range(3):
        admitted = [meter.admit(7) for _ in range(SINGLE_REFUSALS_PER_SECOND_MAX + 5)]
        assert admitted == [True] * SINGLE_REFUSALS_PER_SECOND_MAX + [False] * 5
        assert meter.admit(8)
        clock.ms += 1000


def test_counts_are_given_once_with_since_when() -> None:
    clock = Clock()
    meter = RefusalMeter(clock)
    for _ in range(3):
        meter.count(7, "denied")
    meter.count(STRANGER, "unauthenticated")
    clock.ms += 500

    entries = [parse_entry(tally.render()) for tally in meter.drain()]

    assert entries == [
        Refusals(principal=7, reason="denied", requests=3, since_ms=1_000_000),
        Refusals(principal=STRANGER, reason="unauthenticated", requests=1, since_ms=1_000_000),
    ]
    assert meter.drain() == []
    meter.count(7, "denied")
    assert [tally.since_ms for tally in meter.drain()] == [1_000_500]


def test_counts_that_could_not_be_written_are_counted_on_from_their_beginning() -> None:
    clock = Clock()
    meter = RefusalMeter(clock)
    meter.count(7, "denied")
    clock.ms += 500
    tallies = meter.drain()
    meter.count(7, "denied")
    meter.give_back(tallies)

    assert [(tally.requests, tally.since_ms) for tally in meter.drain()] == [(2, 1_000_000)]
    meter.count(7, "denied")
    assert drained(meter) == {(7, "denied"): 1}


def test_memory_is_bounded_and_the_sum_is_kept() -> None:
    meter = RefusalMeter(Clock())
    for principal in range(1, COUNTED_PRINCIPALS_MAX + 501):
        meter.count(principal, "denied")
    found = drained(meter)
    assert len(found) <= COUNTED_PRINCIPALS_MAX + 1
    assert sum(found.values()) == COUNTED_PRINCIPALS_MAX + 500
    assert found[(STRANGER, "denied")] == 500
