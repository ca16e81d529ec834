"""Many leavers in a day: more than a custodian usually loses, so that a broken or hostile source is likely.

A fact that somebody has left is never refused, however many are told: it takes authority away. A file is another thing:
in it, silence says that somebody has left, and a file that is cut off is refused (`recording`). So what an HR system
tells one by one is taken, and said loudly. When somebody left is what a source says, and who moved abroad has not left:
so members from whom facts take authority are counted too, by when they were told.
"""

from __future__ import annotations

from typing import Final

from ringfence.core.people.register import Register
from ringfence.core.people.standing import Standing
from ringfence.core.times import DAY_MS

USUAL_MAX: Final = 10
USUAL_SHARE: Final = 10
"""Of the people who are there one in so many may leave without a word about it.

Of few people `USUAL_MAX` may, but never more than half: a first file that leaves out the founders of a ledger would
otherwise end everybody's authority, and nobody would be left to admit anybody.
"""


def usual_max(present: int) -> int:
    """Give how many of so many people who are there may leave without a word about it."""
    return min(present // 2, max(USUAL_MAX, present // USUAL_SHARE))


def list_unusual(standing: Standing, *, at_ms: int) -> list[str]:
    """Say in each way that facts of the day up to a time took more than usual; `at_ms` as below.

    Facts that are withheld here tell of no leavers; what members lost stands in the clear.
    """
    register = standing.register
    left = why_unusual(register, at_ms=at_ms) if register is not None else ""
    return [told for told in (left, why_unusual_losses(standing, at_ms=at_ms)) if told]


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


def why_unusual_losses(standing: Standing, *, at_ms: int) -> str:
    """Say that facts, told in the day up to a time, took the authority of more members than usual; "" when not.

    Args:
        standing: what the facts came to.
        at_ms: milliseconds since 1970 UTC.
    """
    lost = there = 0
    for member in standing.members.values():
        is_lost = member.lost_ms > at_ms - DAY_MS
        lost += is_lost
        there += is_lost or member.is_active(at_ms)
    if lost <= usual_max(there):
        return ""
    return (
        f"facts that were told within a day took authority from {lost} of {there} members,"
        f" and {usual_max(there)} are usual"
    )
