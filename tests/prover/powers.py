"""The governed charter of `tests.governed` with what it says of coalitions."""

from __future__ import annotations

from ringfence.prover.coalition.answers import Answer, Coalition
from ringfence.prover.coalition.search import Search
from tests.governed import CHARTER, Ground

POWERS = """
coalition:
  min: 3
  powers:
    gateway-root:
      words: An engineer and two officers.
      by: {all: [{from: [engineer], count: 1}, {from: [officer], count: 2}]}
    host-root: {words: The board's machines., of: board}
    deploy: {words: As a gateway opens., by: {all: [{from: [engineer], count: 1}, {from: [officer], count: 2}]}}
    sign-builds: {words: Inspectors., by: {from: [inspector], count: 1}}
    issue-tokens: {words: Whoever keeps the register., by: {from: [people], count: 1}}
    feed-people: {words: Whoever keeps the register., by: {from: [people], count: 1}}
    sign-log: {words: Managers., by: {from: [manager], count: 1}}
"""

COUNTED = CHARTER + POWERS

_NOBODY = "{words: Nobody., by: {from: [inspector], count: 60}}"
ASLEEP = "".join(
    (
        CHARTER.replace("from: [officer], count: 2}, e", "from: [monitor], count: 9}, e").replace(
            "{from: [monitor], count: 1}", "{from: [monitor], count: 9}"
        ),
        "\ncoalition:\n  min: 3\n  powers:\n",
        *(
            f"    {power}: {_NOBODY}\n"
            for power in "gateway-root host-root deploy sign-builds issue-tokens feed-people sign-log".split()
        ),
    )
).replace("{from: [inspector], count: 1}", "{from: [inspector], count: 60}")
"""One in which nobody could change the rules or run another gateway, not even if all worked together."""


def answer(ground: Ground, goal: str, *parties: str) -> Answer:
    """Give what is known of a goal in a ledger."""
    coalition = Coalition(ground.state, at_ms=ground.now_ms, parties=parties or None)
    return coalition.answer(next(item for item in coalition.goals if item.name == goal))


def least(ground: Ground, goal: str, *parties: str) -> int | None:
    """Give how many people a goal needs at the least, without looking for a run."""
    coalition = Coalition(ground.state, at_ms=ground.now_ms, parties=parties or None)
    found = Search(coalition.model).find_smallest(goal, seconds=20)
    return None if found is None else found.at_least


def written(old: str, new: str, *, times: int = 1) -> str:
    """Give the charter's text with something in it replaced."""
    assert COUNTED.count(old) == times, f"{COUNTED.count(old)} times: {old}"
    return COUNTED.replace(old, new)
