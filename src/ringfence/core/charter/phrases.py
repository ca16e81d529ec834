"""How a list of names reads in a sentence."""

from __future__ import annotations

from collections.abc import Sequence


def join_and(names: Sequence[str]) -> str:
    """Give `a, b and c`."""
    return _joined(names, "and")


def join_or(names: Sequence[str]) -> str:
    """Give `a, b or c`."""
    return _joined(names, "or")


def is_or_are(names: Sequence[str]) -> str:
    """Give the verb that fits so many names."""
    return "is" if len(names) == 1 else "are"


def as_sentence(words: str) -> str:
    """Give words that a person wrote with a full stop behind them, unless they end as a sentence does."""
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _joined(names: Sequence[str], last: str) -> str:
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
