"""Times in words: one spelling, exact, for every number."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.times import show_day, show_time

WHEN_MS = 1_769_851_800_000
END_MS = 253_402_300_800_000
"""The first moment that no calendar has: the year 10000."""


@pytest.mark.parametrize(
    ("at_ms", "words"),
    [
        (WHEN_MS, "2026-01-31 09:30:00 UTC"),
        (WHEN_MS + 250, "2026-01-31 09:30:00.250 UTC"),
        (WHEN_MS + 1, "2026-01-31 09:30:00.001 UTC"),
        (0, "1970-01-01 00:00:00 UTC"),
        (-1, "1969-12-31 23:59:59.999 UTC"),
        (END_MS - 1, "9999-12-31 23:59:59.999 UTC"),
        (END_MS, f"{END_MS} ms since 1970"),
        (-(10**20), f"{-(10**20)} ms since 1970"),
    ],
)
def test_moment_is_told_to_the_millisecond_and_without_any_when_it_is_a_whole_second(at_ms: int, words: str) -> None:
    assert show_time(at_ms) == words


@pytest.mark.parametrize(
    ("at_ms", "words"),
    [(WHEN_MS, "2026-01-31"), (1970, "1970-01-01"), (-1, "1969-12-31"), (END_MS, f"{END_MS} ms since 1970")],
)
def test_day_is_that_of_the_moment_in_utc(at_ms: int, words: str) -> None:
    assert show_day(at_ms) == words


@given(st.integers(min_value=-END_MS // 5, max_value=END_MS - 1))
def test_moment_in_words_can_be_read_back(at_ms: int) -> None:
    told = datetime.fromisoformat(show_time(at_ms).removesuffix(" UTC")).replace(tzinfo=UTC)
    assert round(told.timestamp() * 1000) == at_ms
