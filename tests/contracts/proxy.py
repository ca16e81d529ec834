"""A wire between a store and its PostgreSQL server that can be held in one direction, and cut."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import parse_qs, unquote, urlsplit


class Proxy:
    """Passes bytes on, until it is told to hold those of one direction. `cut` closes the store's side alone.

    The server's side stays open until `close`: the server does not learn that the client is gone, as when a network
    fails.
    """

    def __init__(self, dsn: str) -> None:
        self._target = urlsplit(dsn)
        self._listener: asyncio.Server | None = None
        self._clients: list[asyncio.StreamWriter] = []
        self._servers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._flow = {"requests": asyncio.Event(), "answers": asyncio.Event()}
        self.held = asyncio.Event()
        self.dsn = ""

    async def start(self) -> None:
        """Listen on a port of this machine; `dsn` is the target's through it."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        user = self._target.netloc.rpartition("@")[0]
        self.dsn = f"postgresql://{user}@127.0.0.1:{port}{self._target.path}"
        self.flow()

    async def close(self) -> None:
        """Close both sides."""
        self.flow()
        self.cut()
        for writer in self._servers:
            writer.close()
        for task in self._tasks:
            task.cancel()
        if self._listener:
            self._listener.close()

    def hold(self, direction: str) -> None:
        """Keep back all `requests` or all `answers` from now on; `held` is set when there was something to keep."""
        self.held.clear()
        self._flow[direction].clear()

    def flow(self) -> None:
        """Pass bytes on again, to connections made from now on."""
        for event in self._flow.values():
            event.set()

    def cut(self) -> None:
        """Close the store's side of every connection."""
        for writer in self._clients:
            writer.close()
        self._clients.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = parse_qs(self._target.query).get("host", [""])[0]
        if host.startswith("/"):
            server = await asyncio.open_unix_connection(f"{unquote(host)}/.s.PGSQL.{self._target.port or 5432}")
        else:
            server = await asyncio.open_connection(self._target.hostname, self._target.port or 5432)
        self._clients.append(writer)
        self._servers.append(server[1])
        for direction, source, target in (("requests", reader, server[1]), ("answers", server[0], writer)):
            self._tasks.append(asyncio.create_task(self._pass_on(direction, source, target)))

    async def _pass_on(self, direction: str, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, OSError):
            while data := await source.read(65536):
                if not self._flow[direction].is_set():
                    self.held.set()
                    return  # this connection stays dumb in this direction, even when others flow again
                target.write(data)
                await target.drain()
            if direction == "answers":
                target.close()
