"""A caller whose limit of the day is used up: told by which clause, and however often it asks, it fills no ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.errors import DeniedError
from ringfence.core.ledger import entry as e
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.searching import find_users
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.refusals import SINGLE_REFUSALS_PER_SECOND_MAX
from tests.faults.load import read_entries
from tests.services.world import OPEN, World, in_world, make_deployment, verified

TRIES = 3 * SINGLE_REFUSALS_PER_SECOND_MAX
CHARTER = (
    OPEN.replace("{records_max: 100, records_per_day_max: 50000000000}", "{records_max: 2, records_per_day_max: 2}")
    .replace("downgrades_per_day_max: 1000000", "downgrades_per_day_max: 1")
    .replace("verbs: [find, export]\n", "verbs: [find, export]\n    withhold: [profile.emailAddress]\n")
)

Ask = Callable[[World, int], Awaitable[object]]


@pytest.fixture
def narrow(tmp_path: Path) -> Deployment:
    """A deployment whose charter lets two records be read in bulk a day, and one become less protected."""
    return make_deployment(tmp_path / "deployment", charter=CHARTER.encode())


async def read_two(world: World, number: int) -> object:
    """Read two records in bulk."""
    names = [RecordName(f"user{number}{letter}", "profile", "self") for letter in "ab"]
    return await read_records(world.gate, world.caller("app"), purpose="rank_feeds", names=names)


async def publish(world: World, number: int) -> object:
    """Make a record that was private public."""
    for viewers in ("Only me", "Everyone"):
        item = WriteItem("ada", "posts", f"post{number}", {"Title": "a", "WhoCanView": viewers})
        await write_records(world.gate, world.caller("app"), purpose="serve_user", items=[item])
    return number


async def guess(world: World, number: int) -> object:
    """Look for a user by what is withheld from who asks; the first time by what is not."""
    purpose, who = ("serve_user", "app") if number == 0 else ("user_request", "staff")
    value = f"user{number}@example.com"
    return await find_users(
        world.gate, world.caller(who), purpose=purpose, dataset="profile", field="emailAddress", value=value
    )


@pytest.mark.parametrize(
    ("ask", "clause", "reason"),
    [
        (read_two, "rank-feeds", "bulk-limit"),
        (publish, "serve-users", "downgrade-limit"),
        (guess, "export-for-user", "withheld-field"),
    ],
)
def test_refusals_by_a_limit_name_its_clause_and_are_counted_above_their_rate(
    narrow: Deployment, tmp_path: Path, ask: Ask, clause: str, reason: str
) -> None:
    async def work(world: World) -> list[DeniedError]:
        world.gate.refusals._clock_ms = lambda: 1_000  # all of it within one second
        await ask(world, 0)
        refused = []
        for number in range(1, TRIES + 1):
            with pytest.raises(DeniedError) as denied:
                await ask(world, number)
            refused.append(denied.value)
        tallies = world.gate.refusals.drain()
        counted = [(t.principal, t.reason, t.requests) for t in tallies]
        principal = world.principals["staff" if ask is guess else "app"]
        assert counted == [(principal, reason, TRIES - SINGLE_REFUSALS_PER_SECOND_MAX)]
        return refused

    refused = in_world(narrow, work)

    assert {error.clause for error in refused} == {clause}
    assert all(clause in error.message for error in refused)
    assert all(bool(error.could_ask) == (ask is not guess) for error in refused)
    single = [entry for entry in read_entries(narrow) if isinstance(entry, e.Refusals)]
    assert [(entry.reason, entry.requests) for entry in single] == [(reason, 1)] * SINGLE_REFUSALS_PER_SECOND_MAX
    assert sum(bool(error.receipt) for error in refused) == SINGLE_REFUSALS_PER_SECOND_MAX
    assert verified(narrow, tmp_path / "bundle").outcome == "verified"
