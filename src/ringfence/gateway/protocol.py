"""The server's HTTP protocol with one change: what is written in one turn of the loop is sent at once.

uvicorn writes an answer's head and its body apart, and each write is a system call of its own. Gathered, they are one:
about a tenth of what a small answer costs.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

GATHERED_SIZE_BYTES_MAX: Final = 64 * 1024


class GatheringTransport:
    """A transport that gathers writes until the loop's next turn, or until they are `GATHERED_SIZE_BYTES_MAX`.

    Everything else goes to the transport beneath, after what was gathered.
    """

    __slots__ = ("_beneath", "_chunks", "_loop", "_size")

    def __init__(self, beneath: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._beneath = beneath
        self._loop = loop
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
        """Send what was gathered, then close."""
        self.flush()
        self._beneath.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._beneath, name)


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's own protocol on a gathering transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(GatheringTransport(transport, self.loop))  # type: ignore[arg-type]
