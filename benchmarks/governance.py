"""What does a decision cost with 50,000 people, 800 members and 10,000 live grants, against one with 50 people?

    python -m benchmarks.governance [--decisions N] [--rounds N]

Method: two governed deployments are founded by signatures, as in the tests; the states that their processes decide on
are then widened to so many people of the register, members with a duty and live grants, without a signature for each:
one to 50 of each. In turn N requests (default 20,000) of members under grants drawn at random are decided on either, in
processor time; the median of the rounds' ratios counts.

    decide      `rule_access` on one dataset's classes: what the gateway does for a request that it has not seen, and
                the verifier for each entry that it has not seen
    refuse      the same for grants that are somebody else's
    remembered  the gateway's gate on 2,000 different requests that it has seen under these rules

Left out: entries, the grant's counter, the database.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ringfence.app.deployment import open_deployment
from ringfence.core import changes as c
from ringfence.core.charter.catalog import classes_of
from ringfence.core.decisions.ruling import Asked, rule_access
from ringfence.core.people.register import PersonFacts, record
from ringfence.core.people.standing import Appointment, GivenGrant, Member
from ringfence.core.state import Principal, State
from ringfence.services.custody.request import Caller, Request
from tests.governed import HOUR_MS
from tests.services.governed_world import GovernedWorld, found_deployment, open_governed_world

PEOPLE, MEMBERS, GRANTS = 50_000, 800, 10_000
FEW = 50
RATIO_MAX = 1.3
REMEMBERED = 2_000
PURPOSE, DATASET = "support", "person"
Item = TypeVar("Item", Asked, Request)


def widen(state: State, *, people: int, members: int, grants: int, at_ms: int) -> State:
    """Give a governed state with so many people, of whom so many are engineers, and so many live grants to these."""
    standing = state.governed
    assert standing.register is not None
    first = state.principal_last + 1
    facts = [
        PersonFacts(
            number=number,
            reference=f"hr-{number}",
            name=f"Person {number}",
            party="trust",
            residence="US",
            works_in="US",
            manager=max(1, number // 8),
            team=f"team {number % 97}",
        )
        for number in range(first, first + people)
    ]
    register = record(standing.register, facts, at_ms=at_ms)
    duties = {"engineer": Appointment("engineer", state.epoch, 1)}
    numbers = range(first, first + members)
    given = {
        number: GivenGrant(
            number=number,
            grant=c.Grant(
                kind=c.ACCESS,
                person=first + number % members,
                purpose=PURPOSE,
                verbs=("read",),
                datasets=(DATASET,),
                classes=("protected", "public"),
                records_max=1000,
                lasts_ms=HOUR_MS,
                subjects_any=True,
            ),
            subjects=None,
            given_ms=at_ms,
            until_ms=at_ms + HOUR_MS,
            epoch=state.epoch,
        )
        for number in range(1, grants + 1)
    }
    return replace(
        state,
        principals=state.principals.update({number: Principal(number, "trust") for number in numbers}),
        principal_last=first + people - 1,
        standing=replace(
            standing,
            register=register,
            members=standing.members.update({number: Member(number, "trust", duties) for number in numbers}),
            grants=standing.grants.update(given),
        ),
    )


def requests_of(state: State, count: int, *, by_owner: bool = True) -> list[Asked]:
    """Give requests under grants drawn at random, by whom they are to or by the next member."""
    drawn = random.Random(count)
    grants = list(state.governed.grants.values())
    owners = [given.grant.person for given in grants]
    return [
        ask(owners[at] if by_owner else owners[at - 1], grants[at].number)
        for at in drawn.choices(range(len(grants)), k=count)
    ]


def repeated_requests_of(state: State, count: int) -> list[Asked]:
    """Give requests of which `REMEMBERED` are different, under as many of the grants as there are."""
    grants = list(state.governed.grants.values())
    chosen = grants[:: max(1, len(grants) // REMEMBERED)]
    different = [
        ask(chosen[at % len(chosen)].grant.person, chosen[at % len(chosen)].number, records=1 + at // FEW)
        for at in range(REMEMBERED)
    ]
    return random.Random(count).choices(different, k=count)


def ask(person: int, grant: int, *, records: int = 1) -> Asked:
    """Give a request under a grant."""
    return Asked(person, "US", PURPOSE, "read", DATASET, "single", records, grant)


def time_each(decide: Callable[[Item], object], requests: Sequence[Item]) -> float:
    """Give the processor microseconds of one decision; every request is met once before."""
    for request in requests:
        decide(request)
    gc.collect()
    begin = time.process_time()
    for request in requests:
        decide(request)
    return (time.process_time() - begin) / len(requests) * 1e6


def compare(name: str, few: Callable[[], float], many: Callable[[], float], *, rounds: int) -> float:
    """Measure both in turn, print the medians, and give the median of the rounds' ratios."""
    pairs = [(few(), many()) for _ in range(rounds)]
    ratio = statistics.median(large / small for small, large in pairs)
    for label, at in ((f"{name}, {FEW} people", 0), (f"{name}, {PEOPLE} people", 1)):
        value = statistics.median(pair[at] for pair in pairs)
        print(f"{label:<32} {value:>12,.2f} {'us':<16} {ratio if at else 1:.3f} of the baseline", flush=True)
    return ratio


async def measure(few: GovernedWorld, many: GovernedWorld, *, decisions: int, rounds: int) -> float:
    """Measure every stage; gives the largest ratio."""
    at_ms = few.gate.clock_ms()
    few.runtime.keeper.state = widen(few.state, people=FEW, members=FEW, grants=FEW, at_ms=at_ms)
    many.runtime.keeper.state = widen(many.state, people=PEOPLE, members=MEMBERS, grants=GRANTS, at_ms=at_ms)
    classes = classes_of(few.state.rules.datasets[DATASET])

    def decide(world: GovernedWorld, *, by_owner: bool) -> Callable[[], float]:
        state = world.state
        requests = requests_of(state, decisions, by_owner=by_owner)
        permitted = {bool(rule_access(state, asked, classes, at_ms=at_ms).permitted) for asked in requests}
        if permitted != {by_owner}:
            raise AssertionError("the requests are not decided as they should be")
        return lambda: time_each(lambda asked: rule_access(state, asked, classes, at_ms=at_ms), requests)

    def remember(world: GovernedWorld) -> Callable[[], float]:
        state, gate = world.state, world.gate
        dataset = state.rules.datasets[DATASET]
        requests = [
            Request(Caller(asked.principal, "US", grant=asked.grant), PURPOSE, "read", "single", asked.records)
            for asked in repeated_requests_of(state, decisions)
        ]
        return lambda: time_each(lambda request: gate.rulings.rule(state, request, dataset, at_ms=at_ms), requests)

    stages = {
        "decide": (decide(few, by_owner=True), decide(many, by_owner=True)),
        "refuse": (decide(few, by_owner=False), decide(many, by_owner=False)),
        "remembered": (remember(few), remember(many)),
    }
    return max(compare(name, *both, rounds=rounds) for name, both in stages.items())


async def run(directory: Path, *, decisions: int, rounds: int) -> float:
    """Measure on two governed deployments that lie in a directory."""
    async with (
        open_governed_world(open_deployment(directory / "few")) as few,
        open_governed_world(open_deployment(directory / "many")) as many,
    ):
        return await measure(few, many, decisions=decisions, rounds=rounds)


def main() -> int:
    """Measure; gives 1 when a decision with many people costs more than `RATIO_MAX` of one with few."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ringfence-benchmark-") as name:
        for deployment in ("few", "many"):
            found_deployment(Path(name) / deployment)
        ratio = asyncio.run(run(Path(name), decisions=options.decisions, rounds=options.rounds))
    return 1 if ratio > RATIO_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
