"""Reads of one record, answered straight from their connection: the main path without a task of its own.

Rules of this file:
1. It does what `Gateway` does for the same request, by the same functions, in the same order; only the waiting
   differs. A request that would have to wait for more than its commit is left to `Gateway`, before anything of it is
   recorded: a refusal, which has an entry of its own; a user who is not in the cache.
2. An answer is opened after the next batch was sent, so that the database works meanwhile.
3. What does not open at once goes through `Reading.answer`, which records what became of it.
4. Nothing raises into the lane or into the parser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol

import msgspec

from ringfence.core.errors import RingfenceError
from ringfence.gateway import http
from ringfence.gateway.application import RECEIPT, Gateway
from ringfence.gateway.problems import CONTENT_TYPE, render_failure
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import ReadAnswer, Reading, begin_reading
from ringfence.services.jobs import Committed

STATE_KEY: Final = "direct reads"
"""Where the server's state has the `DirectReads`, so that the protocol finds it in every process."""

PREFIX: Final = b"/v1/records/"

_encode = msgspec.json.Encoder().encode


class Exchange(Protocol):
    """One request on its connection, which is answered once."""

    def answer(
        self,
        status: int,
        body: bytes,
        *,
        content_type: bytes = http.JSON,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """Send a whole answer, unless the peer is gone."""
        ...

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that ends with an answer; the server waits for it before it stops."""
        ...


class DirectReads:
    """Takes reads of one record from connections.

    Args:
        gateway: the application that everything else goes to.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._loop = asyncio.get_running_loop()
        self._due: list[_Waiting] = []

    def take(
        self, exchange: Exchange, url: bytes, headers: Sequence[tuple[bytes, bytes]], peer: str, certificate: bytes
    ) -> bool:
        """Answer a GET without a body, now or after its commit; False when it is left to `Gateway`: rule 1.

        Args:
            exchange: what to answer on.
            url: begins with `PREFIX`, and is in ASCII.
            headers: of the request, their names in lower case.
            peer: the address that the connection comes from, or "".
            certificate: SHA-256 of the certificate that the connection showed, or b"".
        """
        path, _, query = url.partition(b"?")
        gateway = self._gateway
        try:
            caller = gateway.authenticate(headers, peer, certificate)
            parts = http.segments(path)
            if len(parts) != 5:
                return False
            name = RecordName(user=parts[3], dataset=parts[2], record=parts[4])
            reading = begin_reading(gateway.gate, caller, purpose=http.query(query).get("purpose", ""), name=name)
            if reading is None:
                return False
            gateway.gate.singles.enqueue(reading.prepare, _Waiting(self, exchange, reading))
        except Exception as error:
            _fail(exchange, error)
        return True

    def deliver_soon(self, waiting: _Waiting) -> None:
        """Open and answer a read that is durable, in the loop's next turn: rule 2."""
        if not self._due:
            self._loop.call_soon(self._deliver)
        self._due.append(waiting)

    def fail_soon(self, exchange: Exchange, error: BaseException) -> None:
        """Say in the loop's next turn that a read was not committed: rule 4."""
        self._loop.call_soon(_fail, exchange, error)

    def _deliver(self) -> None:
        due, self._due = self._due, []
        for waiting in due:
            waiting.deliver()


class _Waiting:
    """A read whose entry is being committed."""

    __slots__ = ("_committed", "_exchange", "_reading", "_reads", "_told")

    def __init__(self, reads: DirectReads, exchange: Exchange, reading: Reading) -> None:
        self._reads = reads
        self._exchange = exchange
        self._reading = reading
        self._committed: Committed | None = None
        self._told = False

    def done(self) -> bool:
        return self._told

    def set_result(self, committed: Committed) -> None:
        self._told = True
        self._committed = committed
        self._reads.deliver_soon(self)

    def set_exception(self, error: BaseException) -> None:
        self._told = True
        self._reads.fail_soon(self._exchange, error)

    def deliver(self) -> None:
        """Open what was read, and answer."""
        committed = self._committed
        if committed is None:
            return
        try:
            _answer(self._exchange, self._reading.answer_at_once(committed))
        except RingfenceError:
            self._exchange.run(self._deliver_late(committed))  # rule 3
        except Exception as error:
            _fail(self._exchange, error)

    async def _deliver_late(self, committed: Committed) -> None:
        try:
            _answer(self._exchange, await self._reading.answer(committed))
        except Exception as error:
            _fail(self._exchange, error)


def _answer(exchange: Exchange, answer: ReadAnswer) -> None:
    exchange.answer(200, _encode(answer.record), headers=((RECEIPT, answer.receipt.encode()),))


def _fail(exchange: Exchange, error: BaseException) -> None:
    status, body, headers = render_failure(error)
    exchange.answer(status, body, content_type=CONTENT_TYPE, headers=headers)
