"""Checks of what a charter says of coalitions: that everything is told which the count of people rests on."""

from __future__ import annotations

from ringfence.core.charter.checker import Checker
from ringfence.core.charter.document import Path
from ringfence.core.charter.governance import POWERS
from ringfence.core.charter.governance_check import check_tree


def check_coalition(checker: Checker) -> None:
    """Check who has each power; a charter that asks for a coalition's size tells of all of them."""
    coalition = checker.shape.coalition
    if coalition is None or not checker.known("duties"):
        return  # a charter without duties is told of once, by the check of governance
    for name, power in coalition.powers.items():
        path: Path = ("coalition", "powers", name)
        if power.by is not None:
            check_tree(checker, (*path, "by"), power.by)
        if power.of is not None:
            checker.name((*path, "of"), power.of, "parties", "party")
        if power.by is None and power.of is None and checker.document.is_whole(path):
            checker.add(path, "neither `by` nor `of`", "one of them or both: who has the power", at_key=True)
    missing = [name for name in POWERS if name not in checker.known("coalition.powers")]
    if coalition.min and missing:
        found = "no " + ", ".join(f"`{name}`" for name in missing)
        expected = "in `powers`, an entry for each of " + ", ".join(POWERS) + ": `min` rests on them"
        checker.add(("coalition", "min"), found, expected, at_key=True)
