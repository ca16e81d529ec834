"""Hostile connections to a real server: heads without end, heads and bodies that never come, too many of them.

Every refusal has a twin that is served. Deadlines are fractions of a second; no test measures time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from ruamel.yaml import YAML

from ringfence.gateway.connections import STATE_KEY, ConnectionGuard, ConnectionLimits
from ringfence.gateway.protocol import GatheringProtocol
from tests.faults.serving import Server
from tests.services.world import make_deployment

HEAD = 4096
SHORT = 0.2
WAIT_SECONDS = 20.0
GET = b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n"
LARGE = 8 * 1024 * 1024
LIMITS = ConnectionLimits(
    head_size_bytes_max=HEAD,
    head_seconds_max=SHORT,
    body_seconds_max=SHORT,
    answer_seconds_max=SHORT * 2,
    per_address_max=1000,
)
PATIENT = ConnectionLimits(head_size_bytes_max=HEAD, per_address_max=3)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the number of bytes of the body; `/slow` takes longer than any deadline, `/large` never fits."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(SHORT * 4)
    body = bytes(LARGE) if scope["path"] == "/large" else b"%d" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(guard: ConnectionGuard) -> Iterator[tuple[str, int]]:
    """Serve in a thread, on a port of its own."""

    async def with_guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        await receive()
        scope["state"][STATE_KEY] = guard
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(with_guard, http=GatheringProtocol, lifespan="on", log_level="critical", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def guard() -> ConnectionGuard:
    return ConnectionGuard(LIMITS)


@pytest.fixture(scope="module")
def server(guard: ConnectionGuard) -> Iterator[tuple[str, int]]:
    with serving(guard) as address:
        yield address


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=WAIT_SECONDS)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes; a reset after its answer counts as closing."""
    found = b""
    try:
        while more := connection.recv(65_536):
            found += more
    except ConnectionResetError:
        pass
    return found


def send_until_closed(connection: socket.socket, data: bytes, *, times: int) -> int:
    """Send again and again; give how many bytes went before the server had enough."""
    for sent in range(times):
        try:
            connection.sendall(data)
        except OSError:
            return sent * len(data)
    return times * len(data)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask(connection: socket.socket, request: bytes = GET) -> bytes:
    """Send a request and read one answer; the connection stays open."""
    connection.sendall(request)
    found = b""
    while b"\r\n\r\n" not in found:
        more = connection.recv(65_536)
        if not more:
            break
        found += more
    return found


@pytest.mark.parametrize(("size", "status"), [(HEAD - 200, 200), (HEAD + 1, 431), (HEAD * 40, 431)])
@pytest.mark.parametrize("shape", ["one header", "many headers", "long address"])
def test_head_is_read_up_to_its_limit(server: tuple[str, int], size: int, status: int, shape: str) -> None:
    head = {
        "one header": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * size + b"\r\n\r\n",
        "many headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: aaaaaaaaaa\r\n" * (size // 15) + b"\r\n",
        "long address": b"GET /?" + b"a" * size + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    }[shape]
    with connect(server) as connection:
        if status == 200:
            assert status_of(ask(connection, head)) == 200
            assert status_of(ask(connection, head)) == 200  # on the same connection, counted anew
        elif len(head) > HEAD:
            send_until_closed(connection, head, times=1)
            assert status_of(read_all(connection)) in (431, 0)  # 0: reset, since more was sent than is read


def test_head_without_end_is_told_so_and_holds_no_memory(server: tuple[str, int]) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD)
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        sent = send_until_closed(connection, b"X: " + b"a" * 1_000_000 + b"\r\n", times=200)
    assert sent < 200 * 1_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n"])
def test_connection_that_brings_no_whole_head_is_closed(server: tuple[str, int], sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        assert status_of(read_all(connection)) == (408 if sent else 0)


def test_head_that_comes_byte_by_byte_wins_no_time(server: tuple[str, int]) -> None:
    with connect(server) as connection:
        stop = threading.Event()

        def dribble() -> None:
            while not stop.wait(SHORT / 10):
                try:
                    connection.sendall(b"X: a\r\n")
                except OSError:
                    return

        connection.sendall(b"GET / HTTP/1.1\r\n")
        thread = threading.Thread(target=dribble)
        thread.start()
        answer = read_all(connection)
        stop.set()
        thread.join()
    assert status_of(answer) in (408, 0)


def test_half_head_after_a_whole_request_is_closed_too(server: tuple[str, int]) -> None:
    with connect(server) as connection:
        assert status_of(ask(connection)) == 200
        connection.sendall(b"GET / HTT")
        assert status_of(read_all(connection)) == 408


def test_body_that_stops_is_given_up_and_one_that_goes_on_is_not(server: tuple[str, int]) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(head + b"12345")
        assert status_of(read_all(connection)) == 408
    with connect(server) as connection:
        connection.sendall(head)
        for _ in range(9):
            connection.sendall(b"x")
            threading.Event().wait(SHORT / 4)
        assert ask(connection, b"x").endswith(b"10")


@pytest.mark.parametrize(
    "between", [b"1;" + b"a" * HEAD * 4, b"0\r\nX: " + b"a" * HEAD * 4, b"0\r\n" + b"X: a\r\n" * HEAD]
)
def test_what_stands_between_the_bytes_of_a_body_is_bounded(server: tuple[str, int], between: bytes) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(server) as connection:
        assert ask(connection, chunked + b"1;a=b\r\nx\r\n" * 3000 + b"0\r\nX: y\r\n\r\n").endswith(b"3000")
    with connect(server) as connection:
        send_until_closed(connection, chunked + between, times=1)
        assert status_of(read_all(connection)) in (431, 0)


def test_answer_that_takes_long_is_not_the_peers_fault(server: tuple[str, int]) -> None:
    slow = GET.replace(b"GET /", b"GET /slow")
    with connect(server) as connection:
        assert status_of(ask(connection, slow)) == 200
    with connect(server) as connection:
        assert ask(connection, slow + b"GET /").startswith(b"HTTP/1.1 200 ")  # and the next one has begun meanwhile


GET_LARGE = GET.replace(b"GET /", b"GET /large")


def test_peer_that_takes_nothing_of_its_answer_is_cut_off(server: tuple[str, int], guard: ConnectionGuard) -> None:
    with connect(server) as connection:
        connection.sendall(GET_LARGE)
        wait_until(lambda: guard.held() == 1)
        wait_until(lambda: guard.held() == 0)

        assert len(read_all(connection)) < LARGE


def test_peer_that_lets_a_closing_connection_wait_is_cut_off(server: tuple[str, int], guard: ConnectionGuard) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(server)
        connection.sendall(GET_LARGE.replace(b"HTTP/1.1", b"HTTP/1.0"))
        wait_until(lambda: guard.held() == 1)
        wait_until(lambda: guard.held() == 0)


def test_peer_that_takes_its_answer_slowly_gets_all_of_it(server: tuple[str, int]) -> None:
    with connect(server) as connection:
        connection.sendall(GET_LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        found = 0
        while more := connection.recv(LARGE // 32):
            found += len(more)
            time.sleep(SHORT / 4)

    assert found > LARGE


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n"),
        GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET),
        GET.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + GET),
        GET.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: xchunked\r\n\r\n" + GET),
        GET.replace(b"\r\n\r\n", b"\r\nContent-Length : 40\r\n\r\n" + GET),
        GET.replace(b"\r\n\r\n", b"\r\nX: a\r\n b\r\n\r\n"),
        GET.replace(b"\r\n", b"\n"),
        b"no HTTP at all\r\n\r\n",
    ],
)
def test_what_two_servers_could_read_differently_is_refused_as_a_problem(
    server: tuple[str, int], request_bytes: bytes
) -> None:
    with connect(server) as connection:
        connection.sendall(request_bytes)
        answer = read_all(connection)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert (status_of(answer), json.loads(body)["status"]) == (400, 400)
    assert b"content-type: application/problem+json" in head


@pytest.mark.parametrize("trusted", [False, True])
def test_one_address_holds_so_many_connections_and_a_trusted_proxy_any_number(trusted: bool) -> None:
    networks = [ipaddress.ip_network("127.0.0.0/8")] if trusted else []
    guard = ConnectionGuard(PATIENT, trusted=networks)
    with serving(guard) as address:
        held = [connect(address) for _ in range(3)]
        assert [status_of(ask(connection)) for connection in held] == [200] * 3
        with connect(address) as fourth:
            if trusted:
                assert status_of(ask(fourth)) == 200
            else:
                assert status_of(read_all(fourth)) == 429
        assert guard.held() == (0 if trusted else 3)
        held.pop().close()
        while guard.held() > 2:
            threading.Event().wait(0.01)
        with connect(address) as another:
            assert status_of(ask(another)) == 200
        for connection in held:
            connection.close()
    assert guard.held() == 0


def test_process_holds_so_many_connections_and_refuses_the_next_as_a_problem() -> None:
    limits = ConnectionLimits(connections_max=2)
    with serving(ConnectionGuard(limits)) as address:
        first, second = connect(address), connect(address)
        assert {status_of(ask(first)), status_of(ask(second))} == {200}
        with connect(address) as third:
            head, _, body = read_all(third).partition(b"\r\n\r\n")
        assert (status_of(head), json.loads(body)["status"]) == (503, 503)
        assert json.loads(body)["detail"]
        second.close()
        wait_until(lambda: _is_served(address))
        first.close()


def _is_served(address: tuple[str, int]) -> bool:
    with connect(address) as connection:
        return status_of(ask(connection)) == 200


def test_addresses_of_one_ipv6_customer_count_as_one() -> None:
    guard = ConnectionGuard(ConnectionLimits(per_address_max=2))
    assert guard.admit("2001:db8::1") == guard.admit("2001:db8::ffff:2") == "2001:db8::/64"
    assert guard.admit("2001:db8::3") is None
    assert guard.admit("2001:db8:0:1::3") == "2001:db8:0:1::/64"
    assert guard.admit("192.0.2.1") == guard.admit("::ffff:192.0.2.1") == "192.0.2.1"
    assert guard.admit("192.0.2.1") is None
    guard.leave("192.0.2.1")
    assert guard.admit("192.0.2.1") == "192.0.2.1"
    assert guard.admit("") == ""


@pytest.mark.parametrize("proxies", [{}, {"edge": "127.0.0.1/32"}])
def test_settings_of_a_served_deployment_hold(tmp_path: Path, proxies: dict[str, str]) -> None:
    make_deployment(tmp_path / "deployment")
    path, yaml = tmp_path / "deployment" / "ringfence.yaml", YAML()
    settings = yaml.load(path.read_text("utf-8"))
    settings["listen"]["connections_per_address_max"] = 2
    settings["trusted_proxies"] = proxies
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)
    server = Server(tmp_path / "deployment")
    server.start()
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    alive = GET.replace(b"GET /", b"GET /healthz")
    held = [connect(address) for _ in range(3)]
    answers = [status_of(ask(connection, alive)) for connection in held[:2]]
    third = status_of(ask(held[2], alive)) if proxies else status_of(read_all(held[2]))
    for connection in held:
        connection.close()
    assert server.stop() == 0
    assert (answers, third) == ([200, 200], 200 if proxies else 429)
