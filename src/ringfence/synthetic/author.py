"""One made-up user's hand: whatever is drawn at random for the user's export."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ringfence.synthetic.people import LAST_DAY, SyntheticUser, Words, dice

Section = dict[str, Any]
"""A JSON object."""


class Author:
    """Draws for one user; the same draws in the same order for the same user.

    Args:
        activity: times as many records as an ordinary user has.
    """

    def __init__(self, user: SyntheticUser, words: Words, *, activity: int) -> None:
        self.user = user
        self.words = words
        self.chance = dice(user.seed, "export", user.index)
        self._activity = activity
        self._seconds = int((LAST_DAY - user.joined).total_seconds())

    def many(self, most: int, make: Callable[[], Section]) -> list[Section] | None:
        """Give up to `most` records, times the user's activity; `null` or an empty list where there are none."""
        count = self.chance.randrange(most + 1) * self._activity
        if count == 0 and self.chance.random() < 0.5:
            return None
        return [make() for _ in range(count)]

    def date(self) -> str:
        """Give a moment between the first login and the last day, in UTC."""
        moment = self.user.joined + timedelta(seconds=self.chance.randrange(self._seconds))
        return f"{moment:%Y-%m-%d %H:%M:%S}"

    def sentence(self) -> str:
        """Give a few words."""
        return self.chance.choice(self.words.sentences)

    def term(self) -> str:
        """Give one word."""
        return self.chance.choice(self.words.terms)

    def company(self) -> str:
        """Give a company that does not exist."""
        return self.chance.choice(self.words.companies)

    def handle(self) -> str:
        """Give another user's name."""
        return f"{self.chance.choice(self.words.handles)}.{self.chance.randrange(2000)}"

    def link(self, kind: str = "video") -> str:
        """Give an address on the web where nothing is."""
        return f"https://www.{kind}.example/share/{self.chance.randrange(10**18, 10**19)}/"

    def amount(self) -> str:
        """Give an amount of money."""
        return f"{self.chance.randrange(1, 20000) / 100:.2f} USD"
