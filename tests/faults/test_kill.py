"""SIGKILL at random moments during mixed load: nothing acknowledged is lost, nothing is read without its entry."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.runtime import open_runtime
from ringfence.core.receipt import parse_receipt
from tests.faults.serving import Server, command
from tests.services.world import US_ADDRESS, make_deployment, verified

ROUNDS = int(os.environ.get("RINGFENCE_KILL_ROUNDS", "200"))
PARTS = 4
WRITERS = 4
USERS = 12


@dataclass
class Seen:
    """What the clients were told: the newest acknowledged value of each user, and every receipt of a read."""

    newest: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    receipts: list[str] = field(default_factory=list)


def _load(url: str, token: str, mine: list[str], seen: Seen, stop: threading.Event) -> None:
    """Write and read this thread's own users until the server dies."""
    chance = random.Random()
    headers = {"authorization": f"Bearer {token}", **US_ADDRESS}
    with httpx.Client(base_url=url, headers=headers, timeout=5) as client:
        while not stop.is_set():
            user = chance.choice(mine)
            path = f"/v1/records/profile/{user}/self?purpose=serve_user"
            try:
                if chance.random() < 0.5:
                    value = seen.tried.get(user, 0) + 1
                    seen.tried[user] = value
                    answer = client.put(path, json={"userName": user, "bioDescription": str(value)})
                    if answer.status_code in (200, 201):
                        seen.newest[user] = value
                        seen.receipts.append(answer.headers["ringfence-receipt"])
                else:
                    answer = client.get(path)
                    if answer.status_code == 200:
                        seen.receipts.append(answer.headers["ringfence-receipt"])
            except httpx.HTTPError:
                return


def _round(server: Server, token: str, seen: Seen, chance: random.Random) -> None:
    stop = threading.Event()
    users = [f"user{number}" for number in range(USERS)]
    threads = [
        threading.Thread(target=_load, args=(server.url, token, users[number::WRITERS], seen, stop))
        for number in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.02, 0.5))
    server.kill()
    stop.set()
    for thread in threads:
        thread.join()


def _check_values(server: Server, token: str, seen: Seen) -> None:
    headers = {"authorization": f"Bearer {token}", **US_ADDRESS}
    with httpx.Client(base_url=server.url, headers=headers, timeout=10) as client:
        for user, acknowledged in seen.newest.items():
            answer = client.get(f"/v1/records/profile/{user}/self?purpose=serve_user")
            assert answer.status_code == 200, answer.text
            stored = int(answer.json()["fields"]["bioDescription"])
            assert acknowledged <= stored <= seen.tried[user], f"{user}: acknowledged {acknowledged}, stored {stored}"


async def _missing(deployment: Deployment, receipts: list[str]) -> list[str]:
    missing = []
    async with open_runtime(deployment) as runtime:
        for text in receipts:
            receipt = parse_receipt(text)
            batch = await runtime.store.find_batch(receipt.lane, receipt.n)
            if batch is None or receipt.position >= len(batch.entries):
                missing.append(text)
    return missing


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment, made once and copied by each part."""
    directory = tmp_path_factory.mktemp("kill") / "deployment"
    make_deployment(directory)
    return directory


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_kill_at_random_loses_nothing_and_the_ledger_verifies(local: Path, tmp_path: Path, part: int) -> None:
    directory = tmp_path / "deployment"
    shutil.copytree(local, directory)
    deployment = open_deployment(directory)
    token = command("token", "app", "--hours", "24", "-d", str(directory))["token"]
    chance = random.Random(part)
    server, seen = Server(directory), Seen()
    for _ in range(max(1, ROUNDS // PARTS)):
        server.start()
        _round(server, token, seen, chance)
    server.start()
    try:
        _check_values(server, token, seen)
    finally:
        assert server.stop() == 0

    assert seen.receipts
    assert asyncio.run(_missing(deployment, seen.receipts)) == []
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"
