"""The server's HTTP protocol with three changes: bounds on what a peer may hold, answers sent at once, direct reads.

Rules of this file:
1. What is read is given to the parser in pieces, so that it never holds more of a head, or of what stands between the
   bytes of a body, than `head_size_bytes_max`. A longer head is answered with 431.
2. A connection that does not bring a whole head in time, or stops in the midst of a body that is waited for, is
   answered with 408, if anything was sent at all, and closed. Further bytes of a head win no time.
3. A connection above the limit of its address is answered with 429 before anything is read; one above the limit of
   the process with 503.
4. A peer that does not take its answer in time is cut off, and so is one that lets a closing connection wait: see
   `GatheringTransport`.
5. Whatever is refused here is answered as a problem document, as everything else is.
6. A plain GET of one record is given to `DirectReads` and answered without ASGI, a task and an event of its own: about
   a third of what a read costs. Whatever is unusual about a request (a body, an upgrade, HTTP/1.0, a peer that sends
   its next request early or does not read) leaves it to the server.
7. What a connection's client proved by its certificate is looked up once, and goes with each request of it.
8. One timer of a connection serves for its whole life between requests.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ringfence.gateway import direct_reads, http
from ringfence.gateway.connections import STATE_KEY, ConnectionGuard
from ringfence.gateway.direct_reads import DirectReads
from ringfence.gateway.transport import GatheringTransport

_DEFAULT_GUARD: Final = ConnectionGuard()
_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_DETAILS: Final = {
    HTTPStatus.BAD_REQUEST: "this is no HTTP request, or one that could be read in two ways",
    HTTPStatus.REQUEST_TIMEOUT: "the request did not come whole in time",
    HTTPStatus.TOO_MANY_REQUESTS: "this address holds too many connections",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the request's line and headers are too large",
    HTTPStatus.SERVICE_UNAVAILABLE: "the process holds as many connections as it can: try again, or another one",
}


class _NoEvent:
    """Nobody waits for the body of a direct read."""

    def set(self) -> None:
        """Do nothing."""


class DirectCycle:
    """One direct read, which the server's protocol takes for a cycle of its own."""

    __slots__ = (
        "_protocol",
        "_transport",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
    )

    message_event: Final = _NoEvent()

    def __init__(self, protocol: GatheringProtocol, transport: GatheringTransport) -> None:
        self._protocol = protocol
        self._transport = transport
        self.disconnected = False
        self.keep_alive = True
        self.more_body = False
        self.response_started = False
        self.response_complete = False

    def answer(
        self,
        status: int,
        body: bytes,
        *,
        content_type: bytes = http.JSON,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """Send a whole answer, unless the peer is gone."""
        if self.response_complete or self.disconnected:
            return
        self.response_started = self.response_complete = True
        if not self.keep_alive:
            headers = (*headers, (b"connection", b"close"))
        self._transport.write_now(http.render_answer(status, body, content_type=content_type, headers=headers))
        if not self.keep_alive:
            self._transport.close()
        self._protocol.on_response_complete()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that ends with an answer; the server waits for it before it stops."""
        task = self._protocol.loop.create_task(work)
        task.add_done_callback(self._protocol.tasks.discard)
        self._protocol.tasks.add(task)


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's own protocol on a gathering transport, within the limits of the process's `ConnectionGuard`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        guard = self.app_state.get(STATE_KEY)
        self._guard = guard if isinstance(guard, ConnectionGuard) else _DEFAULT_GUARD
        self._limits = self._guard.limits
        self._direct: DirectReads | None = self.app_state.get(direct_reads.STATE_KEY)
        self._idle_until = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._host = ""
        self._certificate = b""
        self._peer: str | None = None
        self._is_over = False
        self._in_head = True
        self._unanswered = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._gathering: GatheringTransport | None = None

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, or refuse it: rule 3."""
        remote = transport.get_extra_info("peername")
        self._host = str(remote[0]) if isinstance(remote, tuple) else ""
        self._certificate = _thumbprint(transport)
        self._peer = None
        status = HTTPStatus.SERVICE_UNAVAILABLE
        if len(self.connections) < self._limits.connections_max:
            self._peer = self._guard.admit(self._host)
            status = HTTPStatus.TOO_MANY_REQUESTS
        if self._peer is None:
            self._is_over = True
            transport.write(_refusal(status))
            transport.close()
            return
        self._gathering = GatheringTransport(transport, self.loop, take_seconds_max=self._limits.answer_seconds_max)
        super().connection_made(self._gathering)  # type: ignore[arg-type]
        self._wait(self._limits.head_seconds_max)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let a connection go."""
        self._stop_waiting()
        if self._gathering is not None:
            self._gathering.stop_watching()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._is_over = True
        if self._peer is not None:
            self._guard.leave(self._peer)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Give what was read to the parser, piece by piece: rule 1."""
        piece_size = self._limits.head_size_bytes_max
        while data and not self._is_over and not self.transport.is_closing():
            piece, data = data[: piece_size - self._unanswered], data[piece_size - self._unanswered :]
            self._unanswered += len(piece)
            super().data_received(piece)
            if self._unanswered >= piece_size and not self.transport.is_closing():
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if self._is_over:
            return
        if not self._in_head:
            self._wait(self._limits.body_seconds_max)
        elif self._unanswered == 0:
            self._stop_waiting()  # between requests, where the server's own limit holds
        elif self._timer is None:
            self._wait(self._limits.head_seconds_max)

    # -- what the parser tells -----------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Say that what was sent is no HTTP, and close."""
        del msg
        self._is_over = True
        self._stop_waiting()
        self.transport.write(_refusal(HTTPStatus.BAD_REQUEST))
        self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins. What only ASGI needs is made when it is known that ASGI is needed."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._in_head = False
        self._unanswered = 0
        if self._is_plain_read() and self._read_directly():
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.scope[http.CERTIFICATE] = self._certificate  # type: ignore[typeddict-unknown-key]
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of a body came."""
        self._unanswered = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._in_head = True
        self._unanswered = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The peer does not take what is sent: see that it does in time (rule 4)."""
        super().pause_writing()
        if self._gathering is not None:
            self._gathering.watch()

    def resume_writing(self) -> None:
        """The peer took most of what was sent; where the connection closes, it must take the rest too."""
        super().resume_writing()
        if self._gathering is not None:
            self._gathering.watch() if self._gathering.is_closing() else self._gathering.stop_watching()

    # -- direct reads --------------------------------------------------------------------------------------------

    def _is_plain_read(self) -> bool:
        """Tell whether the request may be a direct read: rule 6."""
        url, parser = self.url, self.parser
        return (
            url.startswith(direct_reads.PREFIX)
            and parser.get_method() == b"GET"
            and not _is_unanswered(self.cycle)
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and _BODY_HEADERS.isdisjoint([name for name, _ in self.headers])
            and url.isascii()
            and b"#" not in url
            and not self.flow.write_paused
            and not self.server_state.default_headers
        )

    def _read_directly(self) -> bool:
        if self._direct is None or self._gathering is None:
            return False
        before, cycle = self.cycle, DirectCycle(self, self._gathering)
        self.cycle = cycle  # type: ignore[assignment]
        if self._direct.take(cycle, self.url, self.headers, self._host, self._certificate):
            return True
        self.cycle = before
        return False

    def on_response_complete(self) -> None:
        """An answer is whole: take the next request that is here, or wait for one: rule 8."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle_until = self.loop.time() + self.timeout_keep_alive
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_at(self._idle_until, self._look_whether_idle)

    def _unset_keepalive_if_required(self) -> None:
        """Something came: the connection is not idle."""
        self._idle_until = 0.0

    def _look_whether_idle(self) -> None:
        self._idle_timer = None
        if self._idle_until == 0.0:
            return
        if self.loop.time() < self._idle_until:
            self._idle_timer = self.loop.call_at(self._idle_until, self._look_whether_idle)
        else:
            self.timeout_keep_alive_handler()

    # -- waiting -------------------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        """Wait so long from now on. One timer serves for many waits: it looks again when it fires too early."""
        self._deadline = self.loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._stop_waiting()
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._look)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """See whether the peer is late: rule 2. While we let it wait ourselves, it is not."""
        self._timer = None
        if self._is_over:
            return
        if _is_unanswered(self.cycle) if self._in_head else self.flow.read_paused:
            self._wait(self._limits.body_seconds_max)
        elif self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._look)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Say why, where nothing else was said yet, and close."""
        self._is_over = True
        self._stop_waiting()
        if self._unanswered if self._in_head else _is_unanswered(self.cycle) and not self.cycle.response_started:
            self.transport.write(_refusal(status))
        self.transport.close()


def _thumbprint(transport: asyncio.Transport) -> bytes:
    """Give the SHA-256 of the certificate that the peer showed and proved the key of; b"" when it showed none."""
    connection = transport.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) if connection is not None else None
    return hashlib.sha256(certificate).digest() if certificate else b""


def _is_unanswered(cycle: RequestResponseCycle | None) -> bool:
    return cycle is not None and not cycle.response_complete


def _refusal(status: HTTPStatus) -> bytes:
    """Give a whole answer: a problem that says what is wrong with the connection."""
    title = status.phrase.lower()
    body = b'{"type":"urn:ringfence:problem:%b","title":"%b","status":%d,"detail":"%b"}' % (
        title.replace(" ", "-").encode(),
        title.encode(),
        status,
        _DETAILS[status].encode(),
    )
    head = (
        b"HTTP/1.1 %d %b\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    )
    return head % (status, status.phrase.encode(), len(body)) + body
