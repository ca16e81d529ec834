"""A gateway whose eye on the ledger hangs: it cannot know whether its batches get there, so it stops serving."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.faults.load import Caller
from tests.faults.serving import Server, command
from tests.services.world import make_deployment

WAIT_SECONDS = 30.0


def test_gateway_stops_serving_while_the_ledgers_directory_hangs(tmp_path: Path) -> None:
    deployment = make_deployment(tmp_path / "deployment")
    token = command("token", "app", "-d", str(deployment.directory))["token"]
    server = Server(deployment.directory)
    server.start()
    caller = Caller(server.port, token)
    try:
        assert caller.put("ada", 1).status == 201
        assert caller.get("ada").status == 200
        os.mkfifo(tmp_path / "hangs")  # whoever opens it waits for ever, as on a file system that is away
        (tmp_path / "hangs").rename(deployment.ledger / "checkpoint")
        deadline = time.monotonic() + WAIT_SECONDS
        while (answer := caller.get("ada")).status == 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        caller.close()
        server.kill()

    assert answer.status == 503
    assert b"could not be looked at" in answer.body
