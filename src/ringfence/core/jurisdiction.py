"""Whether a user belongs to the jurisdiction, from evidence in the user's own data.

Rules of this file:
1. Every source of evidence votes inside, outside, or is silent. All that speak say outside: the user is outside. All
   say inside: inside. They differ: contradictory. None speaks: missing. Only "outside" is not protected.
2. A country that could not be found is silence, never a vote for outside.
3. A declared country and a phone number vote one by one. The login addresses of a source vote together, for people
   travel: inside when at least `login_share_min` of the located ones are from the country.
4. Countries are found elsewhere, by libraries whose name and version are kept with the evidence; nothing here looks
   anything up, so the same evidence always gives the same verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringfence.core.charter import JurisdictionRules

INSIDE: Final = "inside"
OUTSIDE: Final = "outside"
CONTRADICTORY: Final = "contradictory"
MISSING: Final = "missing"
SILENT: Final = "silent"
REASONS: Final = (INSIDE, OUTSIDE, CONTRADICTORY, MISSING)

DECLARED: Final = "declared"
PHONE: Final = "phone"
LOGIN_IP: Final = "login_ip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one value, or several equal ones, of the user's data says of the country.

    Attributes:
        kind: `DECLARED`, `PHONE` or `LOGIN_IP`.
        dataset, field: where the value was found, as the charter names it.
        country: ISO 3166 alpha-2 code that was found for it; "" when none could be.
        count: how many values say so.
        library: what found the country, with its version, such as `phonenumbers 9.0`; "" when nothing was needed.
    """

    kind: str
    dataset: str
    field: str
    country: str
    count: int = 1
    library: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All observations of one user, in the order in which they were made."""

    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one source says: `INSIDE`, `OUTSIDE` or `SILENT`, and the counts that it says so from.

    Attributes:
        inside_count: values from the jurisdiction's country.
        located_count: values for which a country was found.
    """

    kind: str
    dataset: str
    field: str
    vote: str
    inside_count: int
    located_count: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the user's data is protected, why (one of `REASONS`), and each source's vote."""

    reason: str
    protected: bool
    votes: tuple[Vote, ...]


def determine(rules: JurisdictionRules, evidence: Evidence) -> Verdict:
    """Tell whether a user belongs to the jurisdiction (rules 1 to 3)."""
    grouped: dict[tuple[str, str, str], list[Observation]] = {}
    for item in evidence.observations:
        grouped.setdefault((item.kind, item.dataset, item.field), []).append(item)
    votes: list[Vote] = []
    for (kind, _, _), items in grouped.items():
        groups = [items] if kind == LOGIN_IP else [[item] for item in items]
        votes.extend(_vote(rules, group) for group in groups)
    spoken = {vote.vote for vote in votes} - {SILENT}
    if not spoken:
        reason = MISSING
    elif len(spoken) > 1:
        reason = CONTRADICTORY
    else:
        reason = spoken.pop()
    return Verdict(reason, reason != OUTSIDE, tuple(votes))


def _vote(rules: JurisdictionRules, items: Sequence[Observation]) -> Vote:
    first = items[0]
    located = sum(item.count for item in items if item.country)
    inside = sum(item.count for item in items if item.country == rules.country)
    share_min = rules.login_share_min if first.kind == LOGIN_IP else 1
    spoken = INSIDE if inside >= share_min * located else OUTSIDE
    return Vote(
        kind=first.kind,
        dataset=first.dataset,
        field=first.field,
        vote=spoken if located else SILENT,
        inside_count=inside,
        located_count=located,
    )
