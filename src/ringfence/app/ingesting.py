"""`ingest`, wired: a process of its own walks and reads the sources, this one seals and stores.

Reading and sealing takes as long as storing does, so the two share the work on two cores. The reader holds the
custodian's keys as this process does, and no connection. It ends by itself when this process is gone: its pipe breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from ringfence.app.deployment import Deployment
from ringfence.app.garbage import settle_garbage
from ringfence.app.ingest_reader import GARBAGE_THRESHOLD, LEAVE_OPEN, SEAL, ReadingJob, read_all
from ringfence.app.runtime import Runtime
from ringfence.core.charter import Charter
from ringfence.core.errors import ConfigurationError, UnavailableError
from ringfence.core.issuers import LOCAL_ISSUER
from ringfence.legacy.limits import DEFAULT_LIMITS, ReadLimits
from ringfence.services.custody.request import Caller
from ringfence.services.intake.messages import Message, parse_messages

TOOL: Final = "ingest"
END_SECONDS_MAX: Final = 5.0
AHEAD_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
AHEAD_SIZE_BYTES_MIN: Final = 2 * 1024 * 1024
"""When this much waits, the reader seals again; when half of it does, it stops."""
SWITCH_SECONDS: Final = 0.0002
"""How soon the thread that receives gets its turn: it needs it for a moment, and the reader waits for it."""


def prepare_process() -> None:
    """Let this process do nothing but take exports in: for a command, before it begins."""
    settle_garbage(GARBAGE_THRESHOLD)
    sys.setswitchinterval(SWITCH_SECONDS)


class SourceFeed:
    """What a process of its own reads below some paths, as messages.

    Args:
        runtime: gives the charter in force and where addresses are placed.
        paths: directories and files.
        limits: of one export and one archive.

    Raises:
        ConfigurationError: the charter tells protected users by their logins too, and no geography is set.
    """

    def __init__(self, runtime: Runtime, paths: Sequence[Path], *, limits: ReadLimits = DEFAULT_LIMITS) -> None:
        geography = runtime.deployment.configuration.geography
        verify_geography(runtime.keeper.state.rules, geography)
        self._job = ReadingJob(
            paths=tuple(str(path) for path in paths),
            charter=runtime.keeper.state.rules,
            geography=str(runtime.deployment.path(geography)) if geography else "",
            limits=limits,
            deployment=str(runtime.deployment.directory),
        )
        self._share = WorkShare()

    def expect(self, new: bool) -> None:
        """Be told whether most users of what is read from here on are new to the vault."""
        self._share.users_are_new = new

    async def messages(self) -> AsyncIterator[Message]:
        """Give everything that is read.

        Raises:
            ConfigurationError: the geography cannot be read.
            UnavailableError: the reading process was killed.
        """
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=read_all, args=(theirs,), name="ingest reader", daemon=True)
        process.start()
        theirs.close()
        # Not among its arguments: those go through a pipe that would not break, were the reader killed meanwhile.
        with contextlib.suppress(OSError):  # what became of the reader is found where its messages are read
            ours.send(self._job)
        ahead = _ReadAhead(ours)
        try:
            while (packed := await ahead.take()) is not None:
                if not packed:
                    return
                if (sealing := self._share.change(ahead.waiting_size_bytes)) is not None:
                    with contextlib.suppress(OSError):  # as above
                        ours.send_bytes(SEAL if sealing else LEAVE_OPEN)
                for message in parse_messages(packed):
                    yield message
            raise UnavailableError("the process that reads the exports was killed", hint="run it again")
        finally:
            process.terminate()
            await asyncio.get_running_loop().run_in_executor(None, process.join, END_SECONDS_MAX)
            await ahead.stop()
            ours.close()


class WorkShare:
    """Which of the two processes seals: whoever is behind gets less to do.

    The reader does as long as the other one has something to go on with, where most users are new to the vault: what
    it seals for a known one is of no use.
    """

    def __init__(self) -> None:
        self.users_are_new = True
        self._sealing = True

    def change(self, waiting_size_bytes: int) -> bool | None:
        """Say whether the reader is to seal from here on, when that is not what it was told last.

        Args:
            waiting_size_bytes: what was read and not taken yet.
        """
        bound = AHEAD_SIZE_BYTES_MIN // 2 if self._sealing else AHEAD_SIZE_BYTES_MIN
        sealing = self.users_are_new and waiting_size_bytes >= bound
        if sealing == self._sealing:
            return None
        self._sealing = sealing
        return sealing


def verify_geography(charter: Charter, geography: str) -> None:
    """Check that logins can be placed, when the charter tells protected users by them: else these are left outside.

    Raises:
        ConfigurationError: they cannot.
    """
    if charter.jurisdiction.login_ip and not geography:
        raise ConfigurationError(
            "`geography` is not set, and the charter tells whose data is protected by login addresses too: "
            "users who are protected by these alone would be left outside",
            hint="name an MMDB file under `geography` in ringfence.yaml",
        )


def local_caller(runtime: Runtime) -> Caller:
    """Give the local tool as a caller: the custodian's, in the country where the deployment stands.

    Raises:
        ConfigurationError: the tool is not registered, or the charter names the deployment's region no more.
    """
    state = runtime.keeper.state
    number = state.identities.get((LOCAL_ISSUER, TOOL))
    if number is None:
        raise ConfigurationError(
            f"the tool `{TOOL}` is not registered", hint=f"ringfence principal register {TOOL} --issuer {LOCAL_ISSUER}"
        )
    return Caller(number, _country(runtime.deployment, runtime), "deployment")


def _country(deployment: Deployment, runtime: Runtime) -> str:
    region, regions = deployment.configuration.region, runtime.keeper.state.rules.regions
    if region not in regions:
        raise ConfigurationError(
            f"the charter in force names no region {region!r}", hint=f"it names {', '.join(regions)}"
        )
    return regions[region].country


class _ReadAhead:
    """Takes what comes through a pipe before it is asked for, so that neither process waits while the other works.

    No more is received while `AHEAD_SIZE_BYTES_MAX` wait. To be made in the event loop that takes from it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._changed = threading.Condition()
        self.waiting_size_bytes = 0
        self._stopped = False
        self._work = self._loop.run_in_executor(None, self._receive_all)

    async def take(self) -> bytes | None:
        """Give the next bytes; b"" at the end, None when the other process is gone."""
        packed = await self._waiting.get()
        with self._changed:
            self.waiting_size_bytes -= len(packed or b"")
            self._changed.notify()
        return packed

    async def stop(self) -> None:
        """End it; the other process must have ended, or its thread would wait for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        await self._work

    def _receive_all(self) -> None:
        packed: bytes | None = b" "
        while packed:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self.waiting_size_bytes < AHEAD_SIZE_BYTES_MAX)
                if self._stopped:
                    return
            try:
                packed = self._connection.recv_bytes()
            except (EOFError, OSError):
                packed = None
            with self._changed:
                self.waiting_size_bytes += len(packed or b"")
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, packed)
