"""Whether a user belongs to the jurisdiction: the votes, and what they come to."""

from __future__ import annotations

from itertools import product

import pytest

from ringfence.core.jurisdiction import (
    CONTRADICTORY,
    DECLARED,
    INSIDE,
    LOGIN_IP,
    MISSING,
    OUTSIDE,
    PHONE,
    SILENT,
    Evidence,
    Observation,
    Verdict,
    determine,
)
from tests.core.small_charter import small_charter

RULES = small_charter().jurisdiction
FIELDS = {DECLARED: ("person", "country"), PHONE: ("person", "phone"), LOGIN_IP: ("logins", "address")}
COUNTRIES = {INSIDE: "NO", OUTSIDE: "SE", SILENT: ""}


def saw(kind: str, country: str, count: int = 1) -> Observation:
    """One observation, found where the small charter says."""
    dataset, field = FIELDS[kind]
    return Observation(kind=kind, dataset=dataset, field=field, country=country, count=count)


def verdict_on(*observations: Observation) -> Verdict:
    return determine(RULES, Evidence(observations))


@pytest.mark.parametrize("votes", list(product((INSIDE, OUTSIDE, SILENT, None), repeat=3)))
def test_all_ways_in_which_three_sources_can_speak(votes: tuple[str | None, ...]) -> None:
    kinds = (DECLARED, PHONE, LOGIN_IP)
    verdict = verdict_on(*(saw(kind, COUNTRIES[vote]) for kind, vote in zip(kinds, votes, strict=True) if vote))
    spoken = {vote for vote in votes if vote in (INSIDE, OUTSIDE)}
    reasons = {frozenset(): MISSING, frozenset({INSIDE}): INSIDE, frozenset({OUTSIDE}): OUTSIDE}
    assert verdict.reason == reasons.get(frozenset(spoken), CONTRADICTORY)
    assert verdict.protected == (spoken != {OUTSIDE})
    assert [vote.vote for vote in verdict.votes] == [vote for vote in votes if vote]


def test_without_evidence_a_user_is_protected() -> None:
    assert verdict_on() == Verdict(MISSING, True, ())


def test_two_values_of_one_field_can_contradict_each_other() -> None:
    assert verdict_on(saw(PHONE, "NO"), saw(PHONE, "SE")).reason == CONTRADICTORY
    assert verdict_on(saw(PHONE, "SE"), saw(PHONE, "DK")).reason == OUTSIDE


@pytest.mark.parametrize(
    ("inside", "outside", "vote"),
    [(0, 1, OUTSIDE), (1, 0, INSIDE), (1, 9, INSIDE), (1, 10, OUTSIDE), (3, 27, INSIDE), (3, 28, OUTSIDE)],
)
def test_logins_vote_inside_from_exactly_the_share_on(inside: int, outside: int, vote: str) -> None:
    verdict = verdict_on(saw(LOGIN_IP, "NO", inside), saw(LOGIN_IP, "SE", outside))
    assert verdict.reason == vote
    assert (verdict.votes[0].inside_count, verdict.votes[0].located_count) == (inside, inside + outside)


def test_logins_that_could_not_be_located_do_not_count() -> None:
    verdict = verdict_on(saw(LOGIN_IP, "", 1000), saw(LOGIN_IP, "NO"))
    assert verdict.reason == INSIDE
    assert verdict.votes[0].located_count == 1
    assert verdict_on(saw(LOGIN_IP, "", 1000)).reason == MISSING


def test_single_visit_home_does_not_contradict_a_life_elsewhere() -> None:
    assert not verdict_on(saw(PHONE, "SE"), saw(LOGIN_IP, "SE", 99), saw(LOGIN_IP, "NO", 1)).protected
    assert verdict_on(saw(PHONE, "SE"), saw(LOGIN_IP, "SE", 9), saw(LOGIN_IP, "NO", 1)).reason == CONTRADICTORY
