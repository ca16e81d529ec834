"""Many leavers in a day: more than a custodian usually loses, so that a broken or hostile source is likely.

A fact that somebody has left is never refused, however many are told: it takes authority away. A file is another thing:
in it, silence says that somebody has left, and a file that is cut off is refused (`recording`). So what an HR system
tells one by one is taken, and said loudly.
"""

from __future__ import annotations

from typing import Final

from ringfence.core.register import Register

USUAL_MAX: Final = 10
USUAL_SHARE: Final = 10
"""Of the people who are there one in so many, and at least `USUAL_MAX`, may leave without a word about it."""

DAY_MS: Final = 86_400_000


def usual_max(present: int) -> int:
    """Give how many of so many people who are there may leave without a word about it."""
    return max(USUAL_MAX, present // USUAL_SHARE)


def why_unusual(register: Register, *, at_ms: int) -> str:
    """Say that more people than usual have left in the day up to a time; "" when they have not.

    Args:
        register: what the facts say.
        at_ms: milliseconds since 1970 UTC.
    """
    since_ms, gone, there = at_ms - DAY_MS, 0, 0
    for facts in register.people.values():
        gone += since_ms < facts.ends_ms <= at_ms
        there += facts.ends_ms == 0 or facts.ends_ms > since_ms
    if gone <= usual_max(there):
        return ""
    return f"{gone} of {there} people have left within a day, by the facts told, and {usual_max(there)} are usual"
