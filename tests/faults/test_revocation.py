"""Access withdrawn while three gateway processes serve reads at full rate: nothing is answered after the rule.

No clock is compared. What was before and after is told by the database, which shows the rule together with every batch
that was committed before it; by epochs and receipts in the exported ledger; and by what the test itself did first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core.charter import parse_charter
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.receipt import parse_receipt
from ringfence.ledger.tree_reader import TreeReader
from tests.faults.load import Caller, Load, Seen
from tests.faults.serving import Server, command
from tests.services.world import EXAMPLE, make_deployment, verified
from tests.stores import make_postgres_database, shared_server

USERS = [f"user{number}" for number in range(12)]
ANSWERS = 100
GATEWAYS = 3
OLDER_BATCHES = """
SELECT h.epoch, (SELECT count(*) FROM ringfence.batches b WHERE b.epoch < h.epoch) FROM ringfence.rule_head h
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment on PostgreSQL."""
    database = asyncio.run(make_postgres_database(shared_server()))
    yield make_deployment(tmp_path / "deployment", store=database.dsn)
    asyncio.run(database.drop())


def without_flow(target: Path) -> Path:
    """Write the example's next version, in which the app may not serve users any more."""
    text = EXAMPLE.read_text().replace("\nversion: 1\n", "\nversion: 2\n", 1)
    begin = text.index("  - name: serve-users\n")
    end = text.index("  - name: rank-feeds\n")
    target.write_text(text[:begin] + text[end:])
    flows = parse_charter(target.read_bytes(), file=target.name).flows
    assert all(flow.name != "serve-users" for flow in flows)
    return target


def exported_leaves(bundle: Path, size: int) -> list[bytes]:
    """Give every leaf of an exported ledger, in order."""
    return [leaf for page in TreeReader.in_directory(bundle).iterate_entries(start=0, size=size) for leaf in page]


def check_nothing_follows(leaves: list[bytes], receipts: list[str]) -> None:
    """The last rule is the one that withdrew: no batch of an older epoch and no granted access stands after it."""
    entries = [e.parse_entry(leaf) for leaf in leaves]
    last_rule = max(place for place, entry in enumerate(entries) if isinstance(entry, e.RULE_TYPES))
    epoch = sum(isinstance(entry, e.RULE_TYPES) for entry in entries)
    assert isinstance(entries[last_rule], e.CharterEnacted | e.PrincipalWithdrawn)
    places = {hash_leaf(leaf): place for place, leaf in enumerate(leaves)}
    answered = [places[parse_receipt(receipt).entry_hash] for receipt in receipts]
    assert max(answered) < last_rule
    after = entries[last_rule + 1 :]
    assert [entry for entry in after if isinstance(entry, e.Batch) and entry.epoch != epoch] == []
    accesses = [entry for entry in after if isinstance(entry, e.Access)]
    assert accesses, "the readers went on asking"
    assert all(decided == "" or decided[0] == "!" for entry in accesses for decided in entry.decided.values())
    before = [entry for entry in entries[:last_rule] if isinstance(entry, e.Access)]
    assert sum(any(entry.decided.values()) for entry in before) >= len(answered)


def wait_until_all_serve(deployment: Deployment) -> None:
    """Wait until each process has its two lanes: certifying one is a rule too, and must not follow the withdrawal."""

    async def run() -> None:
        deadline = time.monotonic() + 60
        while True:
            async with open_runtime(deployment) as runtime:
                if sum(lane.duty == "gateway" for lane in runtime.keeper.state.lanes.values()) == 2 * GATEWAYS:
                    return
            assert time.monotonic() < deadline, "not every process has its lanes"
            await asyncio.sleep(0.2)

    asyncio.run(run())


def prepare(server: Server, token: str) -> None:
    """Store what the readers read."""
    caller = Caller(server.port, token)
    assert {caller.put(user, 1).status for user in USERS} == {201}
    caller.close()


def withdraw_under_load(deployment: Deployment, withdraw: tuple[str, ...], loads: list[Load]) -> int:
    """Run the command; requests are of the phase "after" from the moment on at which the database shows its rule.

    Gives how many batches of older epochs stood there at that moment.
    """

    async def run() -> int:
        session = await asyncpg.connect(deployment.configuration.store)
        begun, _ = await session.fetchrow(OLDER_BATCHES)
        withdrawing = asyncio.create_task(asyncio.to_thread(command, *withdraw))
        epoch = begun
        while epoch == begun and not withdrawing.done():
            await asyncio.sleep(0.002)
            epoch, batches = await session.fetchrow(OLDER_BATCHES)
        for load in loads:
            load.phase = "after"
        await withdrawing
        await session.close()
        assert epoch == begun + 1
        return int(batches)

    return asyncio.run(run())


async def older_batches(deployment: Deployment) -> int:
    """Give how many batches of older epochs there are."""
    session = await asyncpg.connect(deployment.configuration.store)
    _, batches = await session.fetchrow(OLDER_BATCHES)
    await session.close()
    return int(batches)


@pytest.mark.parametrize("what", ["charter", "principal"])
@pytest.mark.parametrize("shape", ["three gateways", "one gateway of three processes"])
def test_no_read_is_answered_after_the_rule_that_withdraws_it(
    deployment: Deployment, tmp_path: Path, what: str, shape: str
) -> None:
    directory = str(deployment.directory)
    token = command("token", "app", "-d", directory)["token"]
    withdraw = (
        ("charter", "enact", str(without_flow(tmp_path / "charter-2.yaml")), "-d", directory)
        if what == "charter"
        else ("principal", "withdraw", "app", "-d", directory)
    )
    if shape == "three gateways":
        servers = [Server(deployment.directory, sequencer=number == 0) for number in range(GATEWAYS)]
        readers = 2
    else:
        servers = [Server(deployment.directory, processes=GATEWAYS)]
        readers = 9
    seen = Seen()
    with ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.stop)
        wait_until_all_serve(deployment)
        prepare(servers[0], token)
        loads = [Load(server.port, token, seen, users=USERS, threads=readers, writes=0.0) for server in servers]
        for load in loads:
            stack.enter_context(load)
        loads[0].wait_for(ANSWERS * GATEWAYS, "before", 200)
        for load in loads:
            load.move_on("during")
        batches = withdraw_under_load(deployment, withdraw, loads)
        loads[0].wait_for(ANSWERS * GATEWAYS, "after", 401, 403)

    assert asyncio.run(older_batches(deployment)) == batches
    # The accepting twin: until the rule, every reader of every gateway got what it asked for.
    assert seen.served("before") == {200}
    assert seen.served("during") <= {200, 401, 403}
    assert seen.served("after") <= {401, 403}
    assert seen.broken == []
    answered = [answer.receipt for answer in seen.answers if answer.status == 200]
    if shape == "three gateways":
        assert len({parse_receipt(receipt).lane for receipt in answered}) == GATEWAYS
    size = verified(deployment, tmp_path / "bundle").size
    check_nothing_follows(exported_leaves(tmp_path / "bundle", size), answered)
