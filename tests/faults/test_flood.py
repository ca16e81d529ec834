"""A flood of requests that are refused: the ledger grows by counts, nobody is left out of them, reads go on."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment, open_deployment
from ringfence.core.ledger import entry as e
from ringfence.services.refusals import SINGLE_REFUSALS_PER_SECOND_MAX, STRANGER
from tests.faults.load import Answer, Caller, Load, Seen, read_entries
from tests.faults.serving import Server, command
from tests.services.world import make_deployment, verified

USERS = [f"user{number}" for number in range(8)]
FLOOD = 2_000
SENDERS = 4
ANSWERS = 40


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """A deployment on the embedded store."""
    return make_deployment(tmp_path / "deployment")


def send_flood(port: int, token: str) -> list[Answer]:
    """Send `FLOOD` reads of protected data from several connections; gives every answer."""
    answers: list[Answer] = []

    def send() -> None:
        caller = Caller(port, token)
        for number in range(FLOOD // SENDERS):
            answers.append(caller.get(USERS[number % len(USERS)]))
        caller.close()

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_flood_of_refused_requests_is_counted_and_reads_go_on(deployment: Deployment, tmp_path: Path) -> None:
    app = command("token", "app", "-d", str(deployment.directory))["token"]
    parent = command("token", "parent", "-d", str(deployment.directory))["token"]
    server, seen = Server(deployment.directory), Seen()
    server.start()
    try:
        caller = Caller(server.port, app)
        assert {caller.put(user, 1).status for user in USERS} == {201}
        caller.close()
        begun = time.monotonic()
        with Load(server.port, app, seen, users=USERS, threads=2, writes=0.0) as load:
            load.wait_for(ANSWERS, "before", 200)
            load.move_on("strangers")
            strangers = send_flood(server.port, "nobody's token")
            load.wait_for(ANSWERS, "strangers", 200)
            load.move_on("parent")
            refused = send_flood(server.port, parent)
            load.wait_for(ANSWERS, "parent", 200)
            load.move_on("after")
            load.wait_for(ANSWERS, "after", 200)
    finally:
        assert server.stop() == 0
    seconds = int(time.monotonic() - begun) + 1

    assert Counter(answer.status for answer in strangers) == {401: FLOOD}
    # Where the machine is so busy that its ledger falls behind, a caller may be told to come again.
    refused = [answer for answer in refused if not answer.is_late]
    assert Counter(answer.status for answer in refused) == {403: len(refused)}
    answered = [answer for answer in seen.answers if not answer.is_late]
    assert {answer.status for answer in answered} == {200}
    entries = read_entries(open_deployment(deployment.directory))
    check_strangers(entries, seconds)
    check_known(entries, refused, seconds)
    # Everything else in the ledger is what was served.
    served = [entry for entry in entries if isinstance(entry, e.Access) and any(entry.decided.values())]
    assert len(served) == len(USERS) + len(answered)
    verified(deployment, tmp_path / "bundle")


def check_strangers(entries: list[e.AnyLeaf], seconds: int) -> None:
    """Strangers are counted, at most once a second."""
    counts = [entry for entry in entries if isinstance(entry, e.Refusals) and entry.principal == STRANGER]
    assert {entry.reason for entry in counts} == {"unauthenticated"}
    assert sum(entry.requests for entry in counts) == FLOOD
    assert len(counts) <= seconds + 1


def check_known(entries: list[e.AnyLeaf], refused: list[Answer], seconds: int) -> None:
    """A known caller is recorded singly up to the rate, each with the receipt that it was given, and counted above."""
    single = [entry for entry in entries if isinstance(entry, e.Access) and not any(entry.decided.values())]
    counts = [entry for entry in entries if isinstance(entry, e.Refusals) and entry.principal != STRANGER]
    assert {entry.principal for entry in single} == {entry.principal for entry in counts}
    assert {entry.reason for entry in counts} == {"denied"}
    assert len(single) + sum(entry.requests for entry in counts) == len(refused)
    assert len(single) == sum(bool(json.loads(answer.body)["receipt"]) for answer in refused)
    assert SINGLE_REFUSALS_PER_SECOND_MAX <= len(single) <= SINGLE_REFUSALS_PER_SECOND_MAX * (seconds + 1)
    assert len(counts) <= seconds + 1
