"""Countings are frozen: these counts were recorded when each was made, and must never come out otherwise.

`counting_c1.json` holds a charter, variants of it, and groups of people; each variant with each group is a state. Of
each state the count and the world's digest are recorded, and of changes between variants whether each is refused.
Only until the first release may one be recorded anew: `python -m tests.vectors.test_countings`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from immutables import Map

from ringfence.core import changes as c
from ringfence.core.charter import Charter, parse_charter
from ringfence.core.coalition.countings import COUNTINGS, NEWEST_COUNTING
from ringfence.core.errors import ProofInvalidError
from ringfence.core.people.register import PersonFacts, Register, record
from ringfence.core.people.standing import Appointment, GivenGrant, Member, Standing
from ringfence.core.state import Principal, State

HERE = Path(__file__).parent
DAY_MS = 24 * 3_600_000
AT_MS = 1_700_000_000_000
CHANGE = c.Appoint(person=1, duty="officer")
NEW_NAME = (
    "the counting {} gives something else now, and refutes ledgers that it was counted for. Let it be as it was, and "
    "give what is corrected a new name in COUNTINGS, with a vector of its own"
)


def file_of(counting: str) -> Path:
    return HERE / f"counting_{counting}.json"


def frozen(counting: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(file_of(counting).read_text(encoding="utf-8"))
    return told


def charters_of(vector: dict[str, Any]) -> dict[str, Charter]:
    """Give the charter with the edits of each variant."""
    charters = {}
    for variant, edits in vector["variants"].items():
        text = "".join(vector["charter"])
        for old, new in edits:
            assert text.count(old) == 1, (variant, old)
            text = text.replace(old, new)
        charters[variant] = parsed(text)
    return charters


@cache
def parsed(text: str) -> Charter:
    return parse_charter(text.encode(), file="variant.yaml")


def state_of(charter: Charter, people: dict[str, Any]) -> State:
    """Give a state with people as they were told of, day after day."""
    register, days = Register(), people["days"]
    for number, told in enumerate(days):
        facts = msgspec.convert(told, list[PersonFacts])
        register = record(register, facts, at_ms=AT_MS - (len(days) - number) * DAY_MS)
    members = {}
    for told in people["members"]:
        duties = {duty: Appointment(duty, 1, 0) for duty in told["duties"]}
        members[told["number"]] = Member(**{**told, "duties": duties})
    principals = {number: Principal(number, member.party) for number, member in members.items()}
    principals |= {told["number"]: Principal(**told) for told in people["services"]}
    grants = {number: c.Grant(**_grant(person)) for number, person in enumerate(people["granted"], start=1)}
    standing = Standing(
        register=register,
        founding_charter=bytes(32),
        founding_build=bytes(32),
        members=Map(members),
        grants=Map({n: GivenGrant(n, grant, None, AT_MS - DAY_MS, AT_MS + DAY_MS, 3) for n, grant in grants.items()}),
        holders=tuple(people["holders"]),
        threshold=people["threshold"],
    )
    return State(
        epoch=5,
        engine="v2",
        charter=charter,
        charter_digest=charter.digest,
        principals=Map(principals),
        principal_last=max(principals),
        standing=standing,
    )


def _grant(person: int) -> dict[str, Any]:
    return {
        "kind": c.ACCESS,
        "person": person,
        "purpose": "support",
        "verbs": ("read",),
        "datasets": ("person",),
        "classes": ("protected",),
        "records_max": 5,
        "lasts_ms": DAY_MS,
        "subjects_any": True,
    }


def counts(counting: str, vector: dict[str, Any]) -> Iterator[tuple[str, str, list[Any]]]:
    """Give how many must join in each state, and the world's digest."""
    for variant, charter in charters_of(vector).items():
        for group, people in vector["groups"].items():
            state = state_of(charter, people)
            counted = COUNTINGS[counting].count(state, state, CHANGE, at_ms=AT_MS)
            yield variant, group, [counted.people, counted.proof.hex()]


def refusals(counting: str, vector: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Give whether each change between neighbours among the variants, or from the first, is refused; with one group.

    Some others are with groups of their own.
    """
    charters, names = charters_of(vector), list(vector["variants"])
    pairs = [*pairwise(names), *pairwise(reversed(names)), *((names[0], name) for name in names[2:])]
    changes = [(vector["group"], before, after) for before, after in pairs]
    for group, before, after in [*changes, *vector["others"]]:
        people = vector["groups"][group]
        states = [state_of(charters[variant], people) for variant in (before, after)]
        name = f"{before} to {after}" if group == vector["group"] else f"{before} to {after}, {group}"
        try:
            COUNTINGS[counting].count(*states, CHANGE, at_ms=AT_MS)
        except ProofInvalidError:
            yield name, True
        else:
            yield name, False


def write(counting: str, vector: dict[str, Any]) -> None:
    """Record what a counting gives."""
    vector["gated"] = sorted(kind.__name__ for kind in COUNTINGS[counting].gated)
    vector["counts"] = {}
    for variant, group, counted in counts(counting, vector):
        vector["counts"].setdefault(variant, {})[group] = counted
    vector["refused"] = dict(refusals(counting, vector))
    file_of(counting).write_text(json.dumps(vector, indent=1) + "\n", encoding="utf-8")


def test_every_counting_has_its_vectors() -> None:
    assert {file_of(counting) for counting in COUNTINGS} == set(HERE.glob("counting_*.json"))
    assert list(COUNTINGS)[-1] == NEWEST_COUNTING


@pytest.mark.parametrize("counting", COUNTINGS)
def test_vectors_tell_much_apart(counting: str) -> None:
    vector = frozen(counting)
    counted = [told for groups in vector["counts"].values() for told in groups.values()]
    assert {people for people, _ in counted} == {0, 1, 2, 3, 4, 5}
    assert len({proof for _, proof in counted}) == len(counted) >= 100
    refused = list(vector["refused"].values())
    assert min(refused.count(True), refused.count(False)) >= 20


@pytest.mark.parametrize("counting", COUNTINGS)
def test_counts_are_as_they_were_recorded(counting: str) -> None:
    vector = frozen(counting)
    assert sorted(kind.__name__ for kind in COUNTINGS[counting].gated) == vector["gated"], NEW_NAME.format(counting)
    for variant, group, counted in counts(counting, vector):
        assert counted == vector["counts"][variant][group], f"{variant}, {group}: {NEW_NAME.format(counting)}"


@pytest.mark.parametrize("counting", COUNTINGS)
def test_what_is_refused_is_as_it_was_recorded(counting: str) -> None:
    vector = frozen(counting)
    for change, is_refused in refusals(counting, vector):
        assert is_refused == vector["refused"][change], f"{change}: {NEW_NAME.format(counting)}"


if __name__ == "__main__":
    write(NEWEST_COUNTING, frozen(NEWEST_COUNTING))
