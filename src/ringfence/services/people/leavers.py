"""Many leavers in a day: more than a custodian usually loses, so that a broken or hostile source is likely.

A fact that somebody has left is never refused, however many are told: it takes authority away. A file is another thing:
in it, silence says that somebody has left, and a file that is cut off is refused (`recording`). So what an HR system
tells one by one is taken, and said loudly. When somebody left is what a source says, and who moved abroad has not left:
so members from whom facts take authority are counted too, by when they were told.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ringfence.core.governed_entry import PeopleRecorded
from ringfence.core.register import Register
from ringfence.core.standing import Standing
from ringfence.core.times import DAY_MS

USUAL_MAX: Final = 10
USUAL_SHARE: Final = 10
"""Of the people who are there one in so many, and at least `USUAL_MAX`, may leave without a word about it."""


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


class Losses:
    """Members from whom facts took authority within a day, whatever the facts were and whoever told them."""

    def __init__(self) -> None:
        self._taken: deque[tuple[int, int]] = deque()  # when it was told, from whom

    def note(self, rule: PeopleRecorded, *, at_ms: int) -> None:
        """Take note of what an entry takes, at most a day's.

        Args:
            rule: the entry.
            at_ms: now, milliseconds since 1970 UTC.
        """
        self._taken.extend((at_ms, number) for number in {*rule.suspends, *(number for number, _ in rule.ends)})
        while self._taken and self._taken[0][0] <= at_ms - DAY_MS:
            self._taken.popleft()

    def why_unusual(self, standing: Standing, *, at_ms: int) -> str:
        """Say that facts took the authority of more members than usual in the day up to a time; "" when not."""
        lost = {number for told_ms, number in self._taken if told_ms > at_ms - DAY_MS}
        there = len(lost | {number for number, member in standing.members.items() if member.is_active(at_ms)})
        if len(lost) <= usual_max(there):
            return ""
        return (
            f"facts that were told within a day took authority from {len(lost)} of {there} members,"
            f" and {usual_max(there)} are usual"
        )
