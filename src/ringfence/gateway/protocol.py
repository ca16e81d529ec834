"""The server's HTTP protocol with two changes: bounds on what a peer may hold, and answers sent at once.

Rules of this file:
1. What is read is given to the parser in pieces, so that it never holds more of a head, or of what stands between the
   bytes of a body, than `head_size_bytes_max`. A longer head is answered with 431.
2. A connection that does not bring a whole head in time, or stops in the midst of a body that is waited for, is
   answered with 408, if anything was sent at all, and closed. Further bytes of a head win no time.
3. A connection above the limit of its address is answered with 429 before anything is read.
4. A peer that does not take its answer, `ANSWER_SIZE_BYTES_MIN` in each `answer_seconds_max`, is cut off, and so is one
   that lets a closing connection wait: what waits for it fills memory.
5. Whatever is refused here is answered as a problem document, as everything else is.
6. What is written in one turn of the loop is sent at once: uvicorn writes an answer's head and its body apart, and each
   write is a system call of its own. Gathered, they are one: about a tenth of what a small answer costs.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ringfence.gateway.connections import STATE_KEY, ConnectionGuard

GATHERED_SIZE_BYTES_MAX: Final = 64 * 1024
ANSWER_SIZE_BYTES_MIN: Final = 16 * 1024

_DEFAULT_GUARD: Final = ConnectionGuard()


class GatheringTransport:
    """A transport that gathers writes until the loop's next turn, or until they are `GATHERED_SIZE_BYTES_MAX`.

    Everything else goes to the transport beneath, after what was gathered.
    """

    __slots__ = ("_beneath", "_chunks", "_loop", "_size", "_take_seconds_max", "_timer", "_unsent")

    def __init__(self, beneath: asyncio.Transport, loop: asyncio.AbstractEventLoop, *, take_seconds_max: float) -> None:
        self._beneath = beneath
        self._loop = loop
        self._take_seconds_max = take_seconds_max
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._chunks: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Gather some bytes."""
        if not self._chunks:
            self._loop.call_soon(self.flush)
        self._chunks.append(data)
        self._size += len(data)
        if self._size >= GATHERED_SIZE_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Send what was gathered."""
        if self._chunks:
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
            if not self._beneath.is_closing():
                self._beneath.write(data)

    def close(self) -> None:
        """Send what was gathered, then close, which waits for the peer: see that it takes the rest in time."""
        self.flush()
        self._beneath.close()
        self.watch()

    def watch(self) -> None:
        """Cut the peer off when it does not take, in time after time, some of what waits for it: rule 4."""
        self.stop_watching()
        self._unsent = self._beneath.get_write_buffer_size()
        if self._unsent:
            self._timer = self._loop.call_later(self._take_seconds_max, self._look)

    def stop_watching(self) -> None:
        """Let the peer take its time again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._beneath.get_write_buffer_size() > max(self._unsent - ANSWER_SIZE_BYTES_MIN, 0):
            self._beneath.abort()  # closing would wait for the peer, and that is what it counts on
        else:
            self.watch()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._beneath, name)


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's own protocol on a gathering transport, within the limits of the process's `ConnectionGuard`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        guard = self.app_state.get(STATE_KEY)
        self._guard = guard if isinstance(guard, ConnectionGuard) else _DEFAULT_GUARD
        self._limits = self._guard.limits
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
        self._peer = self._guard.admit(str(remote[0]) if isinstance(remote, tuple) else "")
        if self._peer is None:
            self._is_over = True
            transport.write(_refusal(HTTPStatus.TOO_MANY_REQUESTS))
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

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._in_head = False
        self._unanswered = 0
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


def _is_unanswered(cycle: RequestResponseCycle | None) -> bool:
    return cycle is not None and not cycle.response_complete


def _refusal(status: HTTPStatus) -> bytes:
    """Give a whole answer that says no more than its status."""
    name = status.phrase.lower().replace(" ", "-")
    body = b'{"type":"urn:ringfence:problem:%b","title":"%b","status":%d}' % (
        name.encode(),
        status.phrase.lower().encode(),
        status,
    )
    head = (
        b"HTTP/1.1 %d %b\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    )
    return head % (status, status.phrase.encode(), len(body)) + body
