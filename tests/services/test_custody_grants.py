"""What a person reads under a grant: for whom, how much, how long, and what is said to whoever is refused."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment, open_deployment
from ringfence.core import changes as c
from ringfence.core.decisions.ruling import GRANT_OTHER_USER, GRANT_USED_UP
from ringfence.core.errors import DeniedError, RingfenceError
from ringfence.core.ledger import entry as e
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.listing import list_records
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.request_checks import find_dataset
from ringfence.services.custody.searching import find_users
from ringfence.services.custody.writing import WriteItem, write_records
from tests.governed import NUMBERS, facts
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world, open_governed_world
from tests.services.world import verified
from tests.stores import POSTGRES, SQLITE

Ask = Callable[[Gate, Caller, str], Awaitable[object]]


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A governed deployment with nothing in it but its first rules; copied by each test."""
    directory = tmp_path_factory.mktemp("founded") / "deployment"
    found_deployment(directory)
    return directory


@pytest.fixture
def deployment(founded: Path, tmp_path: Path) -> Deployment:
    """A governed deployment of the test's own."""
    shutil.copytree(founded, tmp_path / "deployment")
    return open_deployment(tmp_path / "deployment")


async def read(gate: Gate, caller: Caller, user: str) -> object:
    return await read_record(gate, caller, purpose="support", name=RecordName(user, "person", "self"))


async def read_batch(gate: Gate, caller: Caller, user: str) -> object:
    names = [RecordName(user, "posts", f"post-{number}") for number in range(3)]
    return await read_records(gate, caller, purpose="support", names=names)


async def read_bulk(gate: Gate, caller: Caller, user: str) -> object:
    names = [RecordName(name, "person", "self") for name in ("ann", user)]
    return await read_records(gate, caller, purpose="support", names=names)


async def list_posts(gate: Gate, caller: Caller, user: str, *, verb: str = "read", records_max: int = 5) -> object:
    return await list_records(
        gate,
        caller,
        purpose="support",
        verb=verb,
        user=user,
        dataset="posts",
        after=b"",
        records_max=records_max,
    )


async def export(gate: Gate, caller: Caller, user: str) -> object:
    return await list_posts(gate, caller, user, verb="export")


async def find(gate: Gate, caller: Caller, user: str) -> object:
    return await find_users(
        gate, caller, purpose="support", dataset="person", field="Email", value=f"{user}@example.org"
    )


async def write(gate: Gate, caller: Caller, user: str) -> object:
    item = WriteItem(user, "posts", "post-0", {"Text": "changed"})
    return await write_records(gate, caller, purpose="support", items=[item])


ASKS: dict[str, tuple[Ask, int]] = {
    "read": (read, 1),
    "batch": (read_batch, 3),
    "list": (list_posts, 5),
    "export": (export, 5),
    "write": (write, 1),
}
"""What can be asked about one user, and how many records it counts."""


async def counter(world: GovernedWorld, grant: int) -> e.Count | None:
    return await world.gate.store.counter(f"grant/{grant}")


async def accesses(world: GovernedWorld) -> list[e.Access]:
    """Give every access of the ledger that names a grant, lane by lane in order."""
    found: list[e.Access] = []
    for lane in (world.gate.singles, world.gate.bulk):
        for n in range(1, lane.head.n + 1):
            batch = await world.gate.store.find_batch(lane.lane, n)
            entries = [e.parse_entry(leaf) for leaf in batch.entries] if batch else []
            found += [entry for entry in entries if isinstance(entry, e.Access) and entry.grant]
    return found


async def refused(asking: Awaitable[object]) -> DeniedError:
    with pytest.raises(DeniedError) as caught:
        await asking
    return caught.value


# -- (a) whose records -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ASKS, "bulk"])
def test_grant_for_named_users_permits_nothing_about_others(deployment: Deployment, tmp_path: Path, name: str) -> None:
    ask = read_bulk if name == "bulk" else ASKS[name][0]

    async def work(world: GovernedWorld) -> tuple[int, DeniedError, DeniedError, list[e.Access]]:
        ann, bob = await world.store_user("ann"), await world.store_user("bob")
        await world.store_user("cat")
        grant = await world.give(ann, bob)
        eve = world.caller("eve", grant=grant)
        await ask(world.gate, eve, "bob")
        used = await counter(world, grant)
        other, unknown = await refused(ask(world.gate, eve, "cat")), await refused(ask(world.gate, eve, "nobody"))
        assert await counter(world, grant) == used
        assert used is not None
        return used.total, other, unknown, await accesses(world)

    total, other, unknown, entries = in_governed_world(deployment, work)

    assert total == (2 if name == "bulk" else ASKS[name][1])
    assert "grant 1 is for other users" in other.message
    assert other.receipt
    assert other.message.replace(other.receipt, "") == unknown.message.replace(unknown.receipt, "")
    if name != "write":
        assert [entry.decided["protected"] for entry in entries] == ["helping", GRANT_OTHER_USER, GRANT_OTHER_USER]
    verified(deployment, tmp_path / "bundle")


def test_grant_for_named_users_permits_no_look_up_and_one_for_any_does(deployment: Deployment, tmp_path: Path) -> None:
    async def work(world: GovernedWorld) -> tuple[DeniedError, object, int]:
        ann = await world.store_user("ann")
        named, any_user = await world.give(ann), await world.give()
        error = await refused(find(world.gate, world.caller("eve", grant=named), "ann"))
        found = await find(world.gate, world.caller("eve", grant=any_user), "ann")
        used = await counter(world, any_user)
        return error, getattr(found, "users", None), used.total if used else 0

    error, users, total = in_governed_world(deployment, work)

    assert "grant 1 is for other users" in error.message
    assert (users, total) == (["ann"], 10)
    verified(deployment, tmp_path / "bundle")


# -- (b) how many ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ASKS)
def test_grant_gives_what_it_is_for_and_no_record_more(deployment: Deployment, tmp_path: Path, name: str) -> None:
    ask, counts = ASKS[name]

    async def work(world: GovernedWorld) -> tuple[DeniedError, int, list[e.Access]]:
        await world.store_user("ann")
        grant = await world.give(records_max=3 * counts - 1 if counts > 1 else 2)
        eve = world.caller("eve", grant=grant)
        for _ in range(2):
            await ask(world.gate, eve, "ann")
        error = await refused(ask(world.gate, eve, "ann"))
        used = await counter(world, grant)
        return error, used.total if used else 0, await accesses(world)

    error, total, entries = in_governed_world(deployment, work)

    assert total == 2 * counts
    assert "grant 1 is used up" in error.message
    assert "proposal" in " ".join(error.could_ask)
    if name in ("read", "list", "export"):
        assert entries[-1].decided["protected"] == GRANT_USED_UP
        assert entries[-1].granted is not None
        assert entries[-1].granted.amount == 0
    verified(deployment, tmp_path / "bundle")


def test_bulk_counts_for_the_clause_and_for_the_grant(deployment: Deployment, tmp_path: Path) -> None:
    async def work(world: GovernedWorld) -> tuple[list[e.Access], e.Count | None]:
        await world.store_user("ann")
        await world.store_user("bob")
        grant = await world.give()
        for _ in range(2):
            await read_bulk(world.gate, world.caller("eve", grant=grant), "bob")
        return await accesses(world), await world.gate.store.counter("bulk/helping")

    entries, bulk = in_governed_world(deployment, work)

    assert [(entry.counted and entry.counted.total, entry.granted and entry.granted.total) for entry in entries] == [
        (2, 2),
        (4, 4),
    ]
    assert bulk is not None
    assert bulk.total == 4
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("store", [SQLITE, POSTGRES])
def test_requests_at_once_never_take_more_than_the_grant_is_for(tmp_path: Path, store: str) -> None:
    deployment = found_deployment(tmp_path / "deployment", store=store)

    async def work(world: GovernedWorld) -> tuple[list[object], e.Count | None]:
        await world.store_user("ann")
        grant = await world.give(records_max=20)
        eve = world.caller("eve", grant=grant)
        asks = [ask(world.gate, eve, "ann") for _ in range(8) for ask in (read, read_batch)]
        answers: list[object] = await asyncio.gather(*asks, return_exceptions=True)
        return answers, await counter(world, grant)

    answers, used = in_governed_world(deployment, work)

    errors = [answer for answer in answers if isinstance(answer, RingfenceError)]
    assert all(isinstance(error, DeniedError) and "is used up" in error.message for error in errors), errors
    given = [answer for answer in answers if not isinstance(answer, BaseException)]
    counted = sum(len(getattr(answer, "records", [1])) for answer in given)
    assert used is not None
    assert 18 <= counted == used.total <= 20
    verified(deployment, tmp_path / "bundle")


def test_two_processes_count_on_one_grant(tmp_path: Path) -> None:
    deployment = found_deployment(tmp_path / "deployment", store=POSTGRES)

    async def work() -> int:
        async with open_governed_world(deployment) as one, open_governed_world(deployment) as other:
            await one.store_user("ann")
            grant = await one.give(records_max=40)
            eve = one.caller("eve", grant=grant)
            await other.runtime.keeper.refresh()
            asks = [read(world.gate, eve, "ann") for _ in range(15) for world in (one, other)]
            await asyncio.gather(*asks)
            used = await counter(one, grant)
            return used.total if used else 0

    assert asyncio.run(work()) == 30
    verified(deployment, tmp_path / "bundle")


# -- (c) what is kept back ---------------------------------------------------------------------------------------------


def test_field_that_the_grant_withholds_is_not_given(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> list[object]:
        await world.store_user("ann")
        grants = [await world.give(), await world.give(withhold=("person.Email",))]
        answers = [
            await read_record(
                world.gate,
                world.caller("eve", grant=grant),
                purpose="support",
                name=RecordName("ann", "person", "self"),
            )
            for grant in grants
        ]
        error = await refused(find(world.gate, world.caller("eve", grant=grants[1]), "ann"))
        assert "withholds person.Email" in error.message
        return [sorted(answer.record.values()) for answer in answers]

    whole, narrowed = in_governed_world(deployment, work)

    assert whole == ["Country", "Email", "userName"]
    assert narrowed == ["Country", "userName"]


# -- (e) what a refusal says -------------------------------------------------------------------------------------------


async def _revoke(world: GovernedWorld, grant: int) -> None:
    await world.order("ivy", c.RevokeGrant(grant=grant))


async def _stop_everything(world: GovernedWorld, grant: int) -> None:
    await world.order("ivy", c.Suspend(scope=c.EVERYTHING))


async def _stop_party(world: GovernedWorld, grant: int) -> None:
    await world.order("ivy", c.Suspend(scope=c.PARTY, name="trust"))


async def _stop_flow(world: GovernedWorld, grant: int) -> None:
    await world.order("ivy", c.Suspend(scope=c.FLOW, name="helping"))


async def _direct_from_the_parent(world: GovernedWorld, grant: int) -> None:
    boss = world.state.principal_last + 1
    await world.record(
        facts(boss, "zoe", party="parent"),
        facts(NUMBERS["fay"], "fay", manager=boss),
        facts(NUMBERS["eve"], "eve", manager=NUMBERS["fay"]),
    )


async def _leave(world: GovernedWorld, grant: int) -> None:
    await world.record(facts(NUMBERS["eve"], "eve", ends_ms=world.gate.clock_ms()))


async def _dismiss(world: GovernedWorld, grant: int) -> None:
    await world.order("dot", c.Dismiss(person=NUMBERS["eve"]))


async def _narrow(world: GovernedWorld, grant: int) -> None:
    await world.order(
        "ada", c.NarrowGrant(grant=grant, datasets=("posts",), classes=("protected",), records_max=1, lasts_ms=60_000)
    )


@pytest.mark.parametrize(
    ("happens", "why", "could_ask"),
    [
        (_revoke, "grant 1 was ended by rule", "under a grant of the kind access"),
        (_narrow, "grant 1 is for posts", "under a grant of the kind access"),
        (_stop_everything, "everything is suspended (suspension 1, ordered by 9)", "once the suspension is lifted"),
        (_stop_party, "the party trust is suspended (suspension 1, ordered by 9)", "once the suspension is lifted"),
        (_stop_flow, "clause `helping` is suspended (suspension 1, ordered by 9)", "once its suspension is lifted"),
        (
            _direct_from_the_parent,
            "not-directed-from-the-parent: 5 is managed by 6, who is managed by 12, who is employed by parent",
            "a new admission",
        ),
        (_leave, "person 5 left at 20", "a new admission"),
        (_dismiss, "person 5 is dismissed", "a new admission"),
    ],
)
def test_refusal_says_what_stands_against_it_and_what_could_be_asked(
    deployment: Deployment,
    tmp_path: Path,
    happens: Callable[[GovernedWorld, int], Awaitable[None]],
    why: str,
    could_ask: str,
) -> None:
    async def work(world: GovernedWorld) -> DeniedError:
        await world.store_user("ann")
        grant = await world.give()
        eve = world.caller("eve", grant=grant)
        await read(world.gate, eve, "ann")
        await happens(world, grant)
        return await refused(read(world.gate, eve, "ann"))

    error = in_governed_world(deployment, work)

    assert why in error.message
    assert could_ask in " ".join(error.could_ask), error.could_ask
    assert error.receipt
    verified(deployment, tmp_path / "bundle")


def test_grant_that_expired_or_is_somebody_elses_is_named_as_such(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> list[str]:
        await world.store_user("ann")
        grant = await world.give(lasts_ms=1_000)
        other = await refused(read(world.gate, world.caller("fay", grant=grant), "ann"))
        none = await refused(read(world.gate, world.caller("fay", grant=99), "ann"))
        await asyncio.sleep(1.1)
        expired = await refused(read(world.gate, world.caller("eve", grant=grant), "ann"))
        return [other.message, none.message, expired.message]

    other, none, expired = in_governed_world(deployment, work)

    assert other.endswith("grant 1 is not one of person 6")
    assert none.endswith("grant 99 is not one of person 6")
    assert "grant 1 expired at" in expired


@pytest.mark.parametrize("later_first", [True, False])
def test_answer_is_of_its_own_time_whatever_was_asked_before(deployment: Deployment, *, later_first: bool) -> None:
    """As after a step of the clock back: an entry is of its batch's time, and is decided again at that time."""

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        grant = await world.give()
        until_ms = world.state.governed.grants[grant].until_ms
        request = Request(world.caller("eve", grant=grant), "support", "read", "single", 1)
        dataset = find_dataset(world.gate, "person")
        times = {until_ms - 1: True, until_ms: False}
        for at_ms in (*sorted(times, reverse=later_first), *times):
            ruling = world.gate.rulings.rule(world.state, request, dataset, at_ms=at_ms)
            assert bool(ruling.permitted) == times[at_ms]

    in_governed_world(deployment, work)


def test_who_lacks_a_grant_hears_which_one_to_propose(deployment: Deployment) -> None:
    async def work(world: GovernedWorld) -> DeniedError:
        await world.store_user("ann")
        return await refused(read(world.gate, world.caller("eve"), "ann"))

    error = in_governed_world(deployment, work)

    assert "no clause of the charter permits it" in error.message
    assert error.could_ask == (
        "clause `helping` permits trust to read person under a grant of the kind access, break-glass or legal-demand, "
        "which a proposal asks for and the request names",
    )


def test_refusals_of_one_caller_under_a_grant_are_counted_above_their_rate(
    deployment: Deployment, tmp_path: Path
) -> None:
    async def work(world: GovernedWorld) -> int:
        ann = await world.store_user("ann")
        await world.store_user("bob")
        eve = world.caller("eve", grant=await world.give(ann))
        for _ in range(60):
            await refused(read(world.gate, eve, "bob"))
        return len(await accesses(world))

    assert in_governed_world(deployment, work) < 60
    verified(deployment, tmp_path / "bundle")
