"""Times: how long an hour and a day are, and every moment and day that a person is told, spelt in one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def show_time(at_ms: int) -> str:
    """Give a moment as `2026-01-31 09:30:00 UTC`, or `2026-01-31 09:30:00.250 UTC` when it is no whole second.

    Args:
        at_ms: milliseconds since 1970 UTC. Two different ones never look the same; one that no calendar has stays a
            number.
    """
    try:
        return f"{_moment(at_ms).isoformat(' ', 'milliseconds').partition('+')[0].removesuffix('.000')} UTC"
    except OverflowError:
        return f"{at_ms} ms since 1970"


def show_day(at_ms: int) -> str:
    """Give the day of a moment in UTC, as `2026-01-31`; a moment that no calendar has stays a number."""
    try:
        return _moment(at_ms).date().isoformat()
    except OverflowError:
        return show_time(at_ms)


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)
