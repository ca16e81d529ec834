"""A gateway that is asked to stop in the midst of its work: what it acknowledged is there, sealed and published."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core.ledger import entry as e
from ringfence.services.refusals import STRANGER
from tests.faults.load import Caller, Load, Seen, check_values, missing_entries, read_entries
from tests.faults.serving import Server, command
from tests.services.world import make_deployment, verified

USERS = [f"user{number}" for number in range(12)]
ROUNDS = 3
ANSWERS = 60
STRANGERS = 7


def test_stop_under_load_loses_nothing_and_leaves_all_of_it_published(tmp_path: Path) -> None:
    deployment = make_deployment(tmp_path / "deployment")
    token = command("token", "app", "-d", str(deployment.directory))["token"]
    server, seen = Server(deployment.directory), Seen()
    for number in range(ROUNDS):
        server.start()
        with Load(server.port, token, seen, users=USERS, erases=0.02, until_broken=True) as load:
            load.phase = f"round {number}"
            load.wait_for(ANSWERS, load.phase, 200, 201)
            stranger = Caller(server.port, "nobody")
            assert {stranger.get("user0").status for _ in range(STRANGERS)} == {401}
            stranger.close()
            assert ask_to_stop(server, number) == 0, server.said()
        assert asyncio.run(unpublished(deployment)) == []
    server.start()
    try:
        check_values(server.port, token, seen)
    finally:
        assert server.stop() == 0

    assert missing_entries(deployment, seen) == []
    counted = [entry for entry in read_entries(deployment) if isinstance(entry, e.Refusals)]
    assert sum(entry.requests for entry in counted if entry.principal == STRANGER) == ROUNDS * STRANGERS
    assert "Traceback" not in server.said(), server.said()
    verified(deployment, tmp_path / "bundle")


def ask_to_stop(server: Server, number: int) -> int:
    """Stop the gateway as a service manager does, or as Ctrl-C at a terminal does: all processes at once."""
    if number % 2 == 0 or server.process is None:
        return server.stop()
    os.killpg(server.process.pid, signal.SIGINT)
    return server.process.wait(30)


async def unpublished(deployment: Deployment) -> list[str]:
    """Name the lanes that have batches beyond the signed tree."""
    async with open_runtime(deployment) as runtime:
        head = await runtime.store.tree_head()
        signed = runtime.tree.open_checkpoint(runtime.trust.log_key)
        assert signed is not None
        assert signed.checkpoint.size == head.size
        return [
            f"lane {lane.lane}: {lane.n} written, {head.sequenced.get(lane.lane, 0)} published"
            for lane in await runtime.store.lanes()
            if lane.n != head.sequenced.get(lane.lane, 0)
        ]
