"""A small charter with rules of independence, and people to try them on.

The parties are those of the small charter: `keeper` (custodian), `hoster` (host), `app` (operator), `parent`
(excluded), `watch` (overseer).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ringfence.core.charter import Charter
from ringfence.core.charter.governance import Duty, Governance, GrantLimits, IndependenceRule
from ringfence.core.people.register import PersonFacts, Register, record
from tests.core.small_charter import small_charter

DAY_MS: Final = 24 * 3_600_000
NOW_MS: Final = 1_750_000_000_000
COOLING_MS: Final = 365 * DAY_MS

UNDIRECTED: Final = IndependenceRule(
    name="not-directed-from-the-parent",
    words="Nobody above is of the parent or the app.",
    duties=("officer", "engineer"),
    roles=("excluded", "operator"),
    through=("employer", "pay", "manager", "direction"),
)
AT_HOME: Final = IndependenceRule(
    name="lives-and-works-here",
    words="Lives and works here, on the keeper's devices.",
    duties=("officer",),
    residence=("NO",),
    works_in=("NO", "SE"),
    devices_of=("keeper",),
)


def ruled_charter(*rules: IndependenceRule, cooling_ms: int = COOLING_MS) -> Charter:
    """Give the small charter with these rules of independence, and two duties of the keeper."""
    governance = Governance(
        duties={name: Duty(name=name, words="", party="keeper") for name in ("officer", "engineer")},
        operations={},
        orders={},
        grants=GrantLimits(
            lasts_ms_max=0,
            records_max=0,
            break_glass_lasts_ms_max=0,
            break_glass_records_max=0,
            break_glass_review_ms=0,
        ),
        cooling_ms=cooling_ms,
        independence=rules,
    )
    return replace(small_charter(), governance=governance)


def person(number: int, **facts: Any) -> PersonFacts:
    """Give the facts of a person who breaks no rule, but for what is told."""
    usual = {
        "reference": f"E{number}",
        "name": f"Person {number}",
        "party": "keeper",
        "residence": "NO",
        "works_in": "NO",
        "team": f"team {number}",
        "devices_of": "keeper",
    }
    return PersonFacts(number=number, **{**usual, **facts})


def register_of(*people: PersonFacts, at_ms: int = NOW_MS - 2 * COOLING_MS) -> Register:
    """Give a register of these people, told long ago."""
    return record(Register(), people, at_ms=at_ms)
