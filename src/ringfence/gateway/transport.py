"""What the server's protocol writes to: answers sent at once, and peers that do not take them cut off.

Rules of this file:
1. What is written in one turn of the loop is sent at once: uvicorn writes an answer's head and its body apart, and each
   write is a system call of its own. Gathered, they are one: about a tenth of what a small answer costs.
2. A peer that does not take its answer, `ANSWER_SIZE_BYTES_MIN` in each `take_seconds_max`, is cut off, and so is one
   that lets a closing connection wait: what waits for it fills memory.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

GATHERED_SIZE_BYTES_MAX: Final = 64 * 1024
ANSWER_SIZE_BYTES_MIN: Final = 16 * 1024


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

    def write_now(self, data: bytes) -> None:
        """Send some bytes after what was gathered; they are dropped when the connection is closing."""
        if self._chunks:
            self.write(data)
            self.flush()
        elif not self._beneath.is_closing():
            self._beneath.write(data)

    def is_closing(self) -> bool:
        """Tell whether the connection is closed or about to be."""
        return self._beneath.is_closing()

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
        """Cut the peer off when it does not take, in time after time, some of what waits for it: rule 2."""
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
