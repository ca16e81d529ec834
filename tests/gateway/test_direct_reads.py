"""A direct read and the same request through the application: one answer, and the same entries for it.

A `content-length: 0` makes a GET unusual enough to be left to the application, so that both can be asked for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from ringfence.core.errors import UnavailableError
from ringfence.gateway.direct_reads import DirectReads
from ringfence.services.custody import reading
from ringfence.services.custody.gate import Gate
from ringfence.services.jobs import Committed
from tests.faults.serving import Server, command
from tests.gateway.asgi import Stage, open_stage
from tests.services.world import US_ADDRESS, make_deployment

PROFILE = {"userName": "ada", "emailAddress": "ada@example.com"}
READ = b"/v1/records/profile/ada/self?purpose=serve_user"
WAIT_SECONDS = 20.0
Headers = tuple[tuple[bytes, bytes], ...]


# -- on a connection -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway with one user in it."""
    deployment = make_deployment(tmp_path_factory.mktemp("direct") / "deployment")
    running = Server(deployment.directory)
    running.start()
    try:
        answer = httpx.put(
            f"{running.url}/v1/records/profile/ada/self?purpose=serve_user", headers=headers_of(running), json=PROFILE
        )
        assert answer.status_code == 201
        yield running
    finally:
        running.stop()


def headers_of(server: Server, name: str = "app") -> dict[str, str]:
    token = command("token", name, "-d", str(server.deployment))["token"]
    return {"authorization": f"Bearer {token}", **US_ADDRESS}


@pytest.fixture(scope="module")
def tokens(server: Server) -> dict[str, dict[str, str]]:
    return {name: headers_of(server, name) for name in ("app", "parent")}


def request(
    path: bytes, headers: dict[str, str], *more: bytes, version: bytes = b"1.1", method: bytes = b"GET"
) -> bytes:
    lines = [b"%b %b HTTP/%b" % (method, path, version), b"host: gateway.example"]
    lines += [f"{name}: {value}".encode() for name, value in headers.items()]
    return b"\r\n".join([*lines, *more, b"", b""])


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS)


def read_answers(connection: socket.socket, count: int) -> list[httpx.Response]:
    """Read so many whole answers from a connection."""
    answers: list[httpx.Response] = []
    with connection.makefile("rb") as stream:
        while len(answers) < count:
            status = int(stream.readline().split()[1])
            headers: list[tuple[str, str]] = []
            while line := stream.readline().strip():
                name, _, value = line.decode().partition(": ")
                headers.append((name, value))
            body = stream.read(int(dict(headers)["content-length"]))
            answers.append(httpx.Response(status, headers=headers, content=body))
        return answers


def ask(server: Server, *requests: bytes) -> list[httpx.Response]:
    """Send requests in one piece on one connection, and give their answers."""
    with connect(server) as connection:
        connection.sendall(b"".join(requests))
        return read_answers(connection, len(requests))


@pytest.mark.parametrize(
    ("path", "who", "status"),
    [
        (READ, "app", 200),
        (READ, "parent", 403),
        (b"/v1/records/profile/nobody/self?purpose=serve_user", "app", 404),
        (b"/v1/records/profile/ada/other?purpose=serve_user", "app", 404),
        (b"/v1/records/profile/ada/self?purpose=curiosity", "app", 400),
        (b"/v1/records/profile/ada/self", "app", 400),
        (b"/v1/records/profile/ada/self?purpose=serve_user&purpose=x", "app", 400),
        (b"/v1/records/nothing/ada/self?purpose=serve_user", "app", 400),
        (b"/v1/records/profile//self?purpose=serve_user", "app", 400),
        (b"/v1/records/profile/%ff/self?purpose=serve_user", "app", 400),
        (b"/v1/records/profile/%61da/self?purpose=serve_user", "app", 200),
        (b"/v1/records/profile/ada/self/more?purpose=serve_user", "app", 404),
        (b"/v1/records/profile/ada?purpose=serve_user", "app", 200),
    ],
)
def test_answer_is_the_same_as_the_applications(
    server: Server, tokens: dict[str, dict[str, str]], path: bytes, who: str, status: int
) -> None:
    direct, by_application = ask(server, request(path, tokens[who]), request(path, tokens[who], b"content-length: 0"))

    assert (direct.status_code, by_application.status_code) == (status, status)
    assert sorted(direct.headers) == sorted(by_application.headers)
    for name in set(direct.headers) - {"ringfence-receipt", "content-length"}:
        assert direct.headers[name] == by_application.headers[name]
    found, wanted = direct.json(), by_application.json()
    if status == 404 and "receipt" in found["detail"]:
        found["detail"], wanted["detail"] = (body["detail"].partition("(receipt")[0] for body in (found, wanted))
    assert {**found, "receipt": ""} == {**wanted, "receipt": ""}


def test_stranger_is_refused_as_by_the_application(server: Server) -> None:
    for more in ((), (b"content-length: 0",)):
        (answer,) = ask(server, request(READ, {"authorization": "Bearer no"}, *more))
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_requests_sent_in_one_piece_are_answered_in_their_order(
    server: Server, tokens: dict[str, dict[str, str]]
) -> None:
    app = tokens["app"]
    listing = request(b"/v1/records/profile/ada?purpose=serve_user", app)
    wanted = [request(READ, app), listing, request(READ, app), request(READ, app), listing] * 4

    answers = ask(server, *wanted)

    assert ["records" in answer.json() for answer in answers] == [False, True, False, False, True] * 4
    receipts = [answer.headers["ringfence-receipt"] for answer in answers]
    assert len(set(receipts)) == len(receipts)


@pytest.mark.parametrize(("version", "more"), [(b"1.1", (b"connection: close",)), (b"1.0", ())])
def test_connection_that_is_not_kept_is_closed_after_the_answer(
    server: Server, tokens: dict[str, dict[str, str]], version: bytes, more: tuple[bytes, ...]
) -> None:
    with connect(server) as connection:
        connection.sendall(request(READ, tokens["app"], *more, version=version))
        (answer,) = read_answers(connection, 1)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""


def test_body_of_a_get_is_not_read_as_the_next_request(server: Server, tokens: dict[str, dict[str, str]]) -> None:
    smuggled = request(b"/healthz", {})
    with_body = request(READ, tokens["app"], b"content-length: %d" % len(smuggled)) + smuggled
    first, second = ask(server, with_body, request(READ, tokens["app"]))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["fields"] == second.json()["fields"] == PROFILE


def test_peer_that_leaves_without_its_answer_harms_nobody(server: Server, tokens: dict[str, dict[str, str]]) -> None:
    for _ in range(20):
        with connect(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.sendall(request(READ, tokens["app"]))
    (answer,) = ask(server, request(READ, tokens["app"]))
    assert answer.status_code == 200
    assert "Traceback" not in server.said()


def test_part_that_does_not_open_is_refused_and_recorded(server: Server, tokens: dict[str, dict[str, str]]) -> None:
    for record in ("good", "bad", "bad"):
        path = f"{server.url}/v1/records/profile/ada/{record}?purpose=serve_user"
        assert httpx.put(path, headers=tokens["app"], json=PROFILE).status_code in (200, 201)
    with closing(sqlite3.connect(next(server.deployment.glob("*.db")))) as database, database:
        changed = database.execute("UPDATE parts SET sealed = zeroblob(60) WHERE version = 2").rowcount
    assert changed

    good, bad, again = (
        ask(server, request(b"/v1/records/profile/ada/%b?purpose=serve_user" % name, tokens["app"]))[0]
        for name in (b"good", b"bad", b"good")
    )

    assert (good.status_code, bad.status_code, again.status_code) == (200, 500, 200)
    assert PROFILE["emailAddress"] not in bad.text
    assert "ringfence-receipt" not in bad.headers


# -- what is taken, and what is left to the application -------------------------------------------------------------


class Recorder:
    """An exchange that keeps its answer."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, Headers]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.answered = asyncio.Event()

    def answer(self, status: int, body: bytes, *, content_type: bytes = b"", headers: Headers = ()) -> None:
        self.answers.append((status, body, headers))
        self.answered.set()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("direct") / "deployment") as opened:
        path = READ.decode().partition("?")[0]
        assert opened.request("PUT", path, params={"purpose": "serve_user"}, json=PROFILE).status_code == 201
        assert opened.request("GET", READ.decode()).status_code == 200  # the user is in the cache from here on
        yield opened


def take(stage: Stage, path: bytes, name: str = "app") -> tuple[bool, Recorder]:
    """Hand a read over, and wait for its answer if it was taken."""

    async def work() -> tuple[bool, Recorder]:
        exchange = Recorder()
        headers = [(b"authorization", b"Bearer " + stage.tokens[name].encode()), (b"x-forwarded-for", b"192.0.2.10")]
        taken = DirectReads(stage.application).take(exchange, path, headers, "127.0.0.1", b"")
        if taken:
            await asyncio.wait_for(exchange.answered.wait(), WAIT_SECONDS)
        return taken, exchange

    return stage.runner.run(work())


def test_read_of_a_known_user_is_taken_once_it_is_recorded(stage: Stage) -> None:
    before = stage.gate.singles.head.n

    taken, exchange = take(stage, READ)

    assert taken
    ((status, body, headers),) = exchange.answers
    assert (status, json.loads(body)["fields"]) == (200, PROFILE)
    assert dict(headers)[b"ringfence-receipt"].split(b"-")[1] == b"%d" % stage.gate.singles.head.n
    assert stage.gate.singles.head.n == before + 1


@pytest.mark.parametrize(
    ("path", "who"),
    [(READ, "parent"), (READ.replace(b"ada", b"nobody"), "app"), (READ.replace(b"self", b"a/b"), "app")],
)
def test_read_that_has_to_wait_for_more_is_left_alone_before_anything_is_recorded(
    stage: Stage, path: bytes, who: str
) -> None:
    before = stage.gate.singles.head.n
    taken, exchange = take(stage, path, who)
    assert (taken, exchange.answers, stage.gate.singles.head.n) == (False, [], before)
    assert take(stage, READ)[0]


def test_read_whose_commit_fails_is_told_so_and_gives_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(transaction: Any) -> Any:
        raise UnavailableError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(stage.gate.store, "transact", fail)
        taken, exchange = take(stage, READ)

    assert taken
    ((status, body, headers),) = exchange.answers
    assert (status, headers) == (503, ((b"retry-after", b"1"),))
    assert PROFILE["userName"].encode() not in body
    assert take(stage, READ)[1].answers[0][0] == 200


def test_answer_that_comes_too_late_is_not_given_and_the_outcome_is_recorded(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(gate: Gate, committed: Committed) -> None:
        raise UnavailableError("the answer took too long and was not given")

    before = stage.gate.singles.head.n
    with monkeypatch.context() as patch:
        patch.setattr(reading, "check_time", late)
        taken, exchange = take(stage, READ)

    assert taken
    assert [status for status, _, _ in exchange.answers] == [503]
    assert len(exchange.tasks) == 1
    assert stage.gate.singles.head.n == before + 2  # the access, and what became of it


def test_direct_read_stops_with_the_service(stage: Stage) -> None:
    stage.reasons.append("a test says so")
    try:
        assert take(stage, READ)[1].answers[0][0] == 503
    finally:
        stage.reasons.clear()
    assert take(stage, READ)[1].answers[0][0] == 200
