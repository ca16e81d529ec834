"""Clients of a real gateway: several threads that write, read and erase their own users, and note every answer.

What the clients were told is held against what they read meanwhile, and against the store afterwards:
- What was acknowledged last is there, or what was tried after it.
- Every answer that gave or took something has a receipt, and every receipt names an entry that is stored, with the hash
  that the receipt says.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core.ledger.entry import AnyLeaf, parse_entry
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.receipt import Receipt, parse_receipt
from ringfence.core.ports import StoredBatch
from tests.services.world import US_ADDRESS

WAIT_SECONDS_MAX = 40.0
OK = (200, 201)
FAILURES = (OSError, http.client.HTTPException)


class Answer(NamedTuple):
    """What came back: the status, the headers (names in lower case), the body, and when the request was sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    phase: str = ""

    @property
    def receipt(self) -> str:
        """The receipt as text; "" without one."""
        return self.headers.get("ringfence-receipt", "")

    @property
    def is_late(self) -> bool:
        """Whether it says that the gateway waits for a signed checkpoint, as it must when the machine is too slow."""
        return self.status == 503 and b"under no signed checkpoint" in self.body

    @property
    def is_problem(self) -> bool:
        """Whether it says in the gateway's own form what is wrong."""
        return self.headers.get("content-type") == "application/problem+json" and "detail" in json.loads(self.body)


class Caller:
    """One connection to a gateway, kept open; made again after it broke."""

    def __init__(self, port: int, token: str, *, timeout_seconds: float = WAIT_SECONDS_MAX) -> None:
        self._headers = {"authorization": f"Bearer {token}", **US_ADDRESS}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)

    def call(self, method: str, path: str, fields: dict[str, Any] | None = None, *, phase: str = "") -> Answer:
        """Send a request and give its answer; raises one of `FAILURES` when the connection breaks."""
        body = None if fields is None else json.dumps(fields).encode()
        headers = {**self._headers, **({"content-type": "application/json"} if body else {})}
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            data = answer.read()
        except FAILURES:
            self._connection.close()
            raise
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, data, phase)

    def put(self, user: str, value: int, *, phase: str = "") -> Answer:
        """Store a value in a user's profile."""
        return self.call("PUT", profile(user), {"userName": user, "bioDescription": str(value)}, phase=phase)

    def erase(self, user: str, *, phase: str = "") -> Answer:
        """Erase a user who asked for it."""
        return self.call("DELETE", f"/v1/users/{user}?purpose=user_request", phase=phase)

    def get(self, user: str, *, phase: str = "") -> Answer:
        """Read a user's profile."""
        return self.call("GET", profile(user), phase=phase)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def profile(user: str) -> str:
    """The path of a user's profile, for serving that user."""
    return f"/v1/records/profile/{user}/self?purpose=serve_user"


@dataclass
class Seen:
    """What the clients were told: every answer, and what may be stored of each user.

    `possible` has the value that was acknowledged last and those that were tried since; None is nothing at all. `wrong`
    says which reads gave something else.
    """

    possible: dict[str, set[int | None]] = field(default_factory=dict)
    values: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def check_read(self, user: str, answer: Answer) -> None:
        """Hold a read's answer against what may be stored; says nothing of a user whom these clients never wrote."""
        possible = self.possible.get(user)
        if possible is not None and answer.status in (200, 404):
            fields = json.loads(answer.body)["fields"] if answer.status == 200 else {}
            stored = int(fields["bioDescription"]) if fields else None
            if stored not in possible:
                self.wrong.append(f"{user}: {stored} is stored, possible is {possible}: {answer}")

    def statuses(self, phase: str) -> Counter[int]:
        """How often each status was the answer to a request that was sent in this phase."""
        return Counter(answer.status for answer in self.answers if answer.phase == phase)

    def served(self, phase: str) -> set[int]:
        """Each status that was the answer to a request of this phase; that the gateway is late is left out."""
        return {answer.status for answer in self.answers if answer.phase == phase and not answer.is_late}


class Load:
    """Threads that write and read until the block ends, or until the gateway hangs up when `until_broken`.

    `phase` is what requests that are sent from now on are noted under.
    """

    def __init__(
        self,
        port: int,
        token: str,
        seen: Seen,
        *,
        users: Sequence[str],
        threads: int = 4,
        writes: float = 0.5,
        erases: float = 0.0,
        until_broken: bool = False,
    ) -> None:
        self.phase = "before"
        self.seen = seen
        self._port, self._token = port, token
        self._writes, self._erases, self._until_broken = writes, erases, until_broken
        self._stop = threading.Event()
        self._sending = [""] * threads
        self._threads = [
            threading.Thread(target=self._run, args=(number, users[number::threads]), daemon=True)
            for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int, phase: str, *statuses: int) -> None:
        """Wait until so many requests of a phase were answered by one of these statuses."""
        wait_until(
            lambda: sum(self.seen.statuses(phase)[status] for status in statuses) >= count,
            lambda: f"{count} answers {statuses} in phase {phase}: {self.seen.statuses(phase)} {self.seen.broken[-3:]}",
        )

    def move_on(self, phase: str) -> None:
        """Begin a phase, and wait until nothing is on its way that was sent in the one before."""
        before, self.phase = self.phase, phase
        wait_until(lambda: before not in self._sending, lambda: f"the last answer of phase {before}")

    def _run(self, number: int, mine: Sequence[str]) -> None:
        chance = random.Random()
        caller = Caller(self._port, self._token)
        while not self._stop.is_set():
            user = chance.choice(mine)
            # Noted first and then looked at again, so that `move_on` misses nobody.
            phase = self._sending[number] = self.phase
            if phase != self.phase:
                continue
            try:
                self.seen.answers.append(self._call(caller, user, phase, chance.random()))
            except FAILURES as error:
                self.seen.broken.append(repr(error))
                if self._until_broken:
                    break
                time.sleep(0.05)
            finally:
                self._sending[number] = ""
        caller.close()

    def _call(self, caller: Caller, user: str, phase: str, chance: float) -> Answer:
        seen = self.seen
        if chance >= self._writes + self._erases:
            answer = caller.get(user, phase=phase)
            seen.check_read(user, answer)
            return answer
        before = seen.possible.get(user, {None})
        if chance < self._writes:
            seen.values[user] += 1
            value = seen.values[user]
            seen.possible[user] = {*before, value}
            answer = caller.put(user, value, phase=phase)
        else:
            value = None
            seen.possible[user] = {*before, None}
            answer = caller.erase(user, phase=phase)
        if answer.status in OK:
            seen.possible[user] = {value}
        elif answer.status == 404:
            seen.possible[user] = before  # nothing was there to erase, and so nothing was
            seen.check_read(user, answer)
        return answer


def wait_until(done: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait until something holds; fails with what was awaited when it takes too long."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not done():
        assert time.monotonic() < deadline, f"waited in vain for {what()}"
        time.sleep(0.02)


def check_values(port: int, token: str, seen: Seen) -> None:
    """Read every user: what was acknowledged last is there, or what was tried after it; so it was in every read."""
    caller = Caller(port, token)
    for user in seen.possible:
        answer = _read_when_served(caller, user)
        assert answer.status in (200, 404), answer
        seen.check_read(user, answer)
    caller.close()
    assert seen.possible
    assert seen.wrong == []


def _read_when_served(caller: Caller, user: str) -> Answer:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while (answer := caller.get(user)).is_late and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def read_entries(deployment: Deployment) -> list[AnyLeaf]:
    """Give every stored entry, lane by lane."""

    async def read() -> list[AnyLeaf]:
        async with open_runtime(deployment) as runtime:
            heads = await runtime.store.lanes()
            lanes = [await runtime.store.batches(head.lane, after_n=0, batches_max=1_000_000) for head in heads]
            return [parse_entry(entry) for batches in lanes for batch in batches for entry in batch.entries]

    return asyncio.run(read())


def missing_entries(deployment: Deployment, seen: Seen) -> list[Answer]:
    """Give the answers without their entry: that gave something without a receipt, or whose receipt names none."""

    async def look() -> list[Answer]:
        missing = []
        batches: dict[tuple[int, int], StoredBatch | None] = {}
        async with open_runtime(deployment) as runtime:
            for answer in seen.answers:
                if answer.status not in OK and not answer.receipt:
                    continue
                receipt = parse_receipt(answer.receipt) if answer.receipt else None
                place = (receipt.lane, receipt.n) if receipt else (0, 0)
                if place not in batches:
                    batches[place] = await runtime.store.find_batch(*place)
                if receipt is None or not _holds(batches[place], receipt):
                    missing.append(answer)
        return missing

    assert any(answer.status in OK for answer in seen.answers)
    return asyncio.run(look())


def _holds(batch: StoredBatch | None, receipt: Receipt) -> bool:
    if batch is None or receipt.position >= len(batch.entries):
        return False
    return hash_leaf(batch.entries[receipt.position]) == receipt.entry_hash
