"""The gateway process: what uvicorn runs, and the watch that stops it when its batches do not reach the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.garbage import settle_garbage
from ringfence.app.issuers import IssuerBook
from ringfence.app.runtime import Runtime, clock_ms, open_runtime
from ringfence.app.surroundings import make_country_finder, make_guard
from ringfence.core.errors import DeviceError, IntegrityError, ProofInvalidError, RingfenceError, UnavailableError
from ringfence.core.ledger.receipt import parse_receipt
from ringfence.core.ledger.tiles import parse_tile_path
from ringfence.core.times import DAY_MS
from ringfence.gateway.application import Gateway
from ringfence.gateway.authentication import TokenChecker
from ringfence.gateway.connections import STATE_KEY
from ringfence.gateway.direct_reads import STATE_KEY as DIRECT_STATE_KEY
from ringfence.gateway.direct_reads import DirectReads
from ringfence.gateway.governance import GovernanceCalls
from ringfence.gateway.http import Receive, Scope, Send
from ringfence.gateway.openapi import openapi_document
from ringfence.gateway.scim.calls import ScimCalls
from ringfence.ledger.receipts import prove_receipt
from ringfence.ledger.tree_reader import CHECKPOINT, VKEY, TreeReader, read_directory
from ringfence.ledger.watch import SERVED_SECONDS_MAX, WATCH_INTERVAL_SECONDS, LaneWatch
from ringfence.services.custody.gate import Gate
from ringfence.services.jobs import Prepared
from ringfence.services.tasks import end_task
from ringfence.services.writer import LaneWriter

DEPLOYMENT_VARIABLE: Final = "RINGFENCE_DEPLOYMENT"
LOOKS_PER_RULES: Final = 5
REQUESTS_KEPT_MS: Final = DAY_MS
FORGET_INTERVAL_SECONDS: Final = 600.0
GARBAGE_THRESHOLD: Final = 20_000
REFUSALS_PER_JOB_MAX: Final = 200

BLOB: Final = re.compile(r"blobs/[0-9a-f]{64}")

log = logging.getLogger("ringfence.serving")


class Service:
    """One gateway process: opens everything at start-up, closes it at shut-down without losing anything."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._runtime: Runtime | None = None
        self._gate: Gate | None = None
        self._watches: list[tuple[LaneWriter, LaneWatch]] = []
        self._looked_at_seconds = time.monotonic()
        self._late = ""
        self._late_rules = ""
        self._broken = ""
        self._uncopied = False
        self._reasons: list[str] = []
        self.gateway: Gateway | None = None

    async def start(self) -> Gateway:
        """Open the deployment and give the gateway's application."""
        runtime = self._runtime = await self._stack.enter_async_context(open_runtime(self._deployment))
        gate = self._gate = await self._stack.enter_async_context(runtime.gate())
        tree = TreeReader.in_directory(self._deployment.ledger)
        for writer in {gate.singles.lane: gate.singles, gate.bulk.lane: gate.bulk}.values():
            self._watches.append((writer, LaneWatch(runtime.store, tree, log_key=runtime.trust.log_key)))
        self._tasks = [
            asyncio.create_task(self._watch(runtime), name="watch the ledger"),
            asyncio.create_task(self._write_refusals(gate), name="write refusals"),
            asyncio.create_task(self._forget_requests(runtime), name="forget old requests"),
        ]

        async def prove(text: str) -> bytes:
            return await prove_receipt(runtime.store, tree, parse_receipt(text), log_key=runtime.trust.log_key)

        mode = runtime.keeper.state.mode
        issuers = IssuerBook(self._deployment, lambda: runtime.keeper.state)
        for line in issuers.unused():
            log.warning("%s", line)
        self.gateway = Gateway(
            gate,
            tokens=TokenChecker(issuers.usable, clock_seconds=time.time),
            countries=make_country_finder(self._deployment, mode=mode),
            readiness=self.reasons,
            notes=issuers.unused,
            documents={"/openapi.json": (b"application/json", openapi_document)},
            tree_file=_tree_files(self._deployment.ledger),
            prove=prove,
            governance=GovernanceCalls(gate, runtime.signed_governance),
            people=ScimCalls(gate, runtime.governance),
        )
        return self.gateway

    async def stop(self) -> None:
        """Write what is waiting, seal, and close."""
        for task in self._tasks:
            await end_task(task)
        if self._gate is not None:
            await _flush_refusals(self._gate)
        await self._stack.aclose()

    def reasons(self) -> list[str]:
        """Give why this process should get no requests, as of the last look; empty when it should.

        A look that does not come to its end, for a disk that hangs, is a reason too.
        """
        unseen_seconds = time.monotonic() - self._looked_at_seconds
        if unseen_seconds > SERVED_SECONDS_MAX:
            return [f"the ledger could not be looked at for {unseen_seconds:.1f} s", *self._reasons]
        return self._reasons

    def _look(self) -> None:
        """See what speaks against serving. A writer that failed refuses by itself until the next look."""
        self._reasons = [reason for reason in (self._broken, self._late) if reason]
        if self._gate is not None:
            self._reasons += [w.failure.message for w in (self._gate.singles, self._gate.bulk) if w.failure]

    async def _watch(self, runtime: Runtime) -> None:
        """Stop serving while the database is away or batches are missing from the signed tree.

        For good when something else stands in their place, or when this cannot be watched any more.
        """
        for look in itertools.count():
            await asyncio.sleep(WATCH_INTERVAL_SECONDS)
            late = ""
            try:
                if look % LOOKS_PER_RULES == 0:
                    self._late_rules = await self._fold_rules(runtime)
                late = await self._find_late() or self._late_rules
            except IntegrityError as error:
                self._broken = error.message
                log.critical("%s", error.message)
            except Exception as error:  # without its watch a gateway must not serve
                self._broken = f"the ledger cannot be watched: {type(error).__name__}"
                log.exception("the ledger cannot be watched")
            if late != self._late:
                log.warning("not serving: %s", late) if late else log.warning("serving again")
            self._late = late
            self._look()
            self._looked_at_seconds = time.monotonic()

    async def _fold_rules(self, runtime: Runtime) -> str:
        """Keep the newest checkpoint, and fold rules that others committed; gives why not to serve now, or ""."""
        await self._keep_shown(runtime)
        try:
            await runtime.keeper.refresh()
        except IntegrityError:
            raise
        except DeviceError as error:
            return error.message
        return ""

    async def _find_late(self) -> str:
        """Look for every lane's batches; gives why not to serve now, or ""."""
        now = time.monotonic()
        late = ""
        for writer, watch in self._watches:
            if writer.head.n > 0:  # sealed or not: what is not sealed in time is late as well
                age_seconds = (clock_ms() - writer.head.at_ms) / 1000  # it came since the last look, if it is new
                watch.note(writer.head, at_seconds=now - min(max(age_seconds, 0.0), WATCH_INTERVAL_SECONDS))
            try:
                await watch.check(now_seconds=now)
            except IntegrityError:
                raise
            except DeviceError as error:
                late = error.message
        return late

    async def _keep_shown(self, runtime: Runtime) -> None:
        """Copy the newest checkpoint to beside the keys; where nothing can be written there, say so once."""
        try:
            await asyncio.to_thread(runtime.keep_shown)
        except UnavailableError as error:
            if not self._uncopied:
                log.warning("the newest checkpoint is not copied: %s", error.message)
            self._uncopied = True
        else:
            self._uncopied = False

    async def _write_refusals(self, gate: Gate) -> None:
        while True:
            await asyncio.sleep(1.0)
            await _flush_refusals(gate)

    async def _forget_requests(self, runtime: Runtime) -> None:
        while True:
            with contextlib.suppress(DeviceError):
                await runtime.store.forget_requests(clock_ms() - REQUESTS_KEPT_MS)
            await asyncio.sleep(FORGET_INTERVAL_SECONDS)


async def _flush_refusals(gate: Gate) -> None:
    """Write the counted refusals; what could not be written is counted on."""
    tallies = gate.refusals.drain()
    for start in range(0, len(tallies), REFUSALS_PER_JOB_MAX):
        part = tallies[start : start + REFUSALS_PER_JOB_MAX]
        entries = [tally.render() for tally in part]
        try:
            await gate.singles.submit(
                lambda state, at_ms, entries=entries: Prepared(entries=entries, openings=[None] * len(entries))  # type: ignore[misc]
            )
        except RingfenceError:
            gate.refusals.give_back(part)


def _tree_files(directory: Path) -> Callable[[str], bytes | None]:
    """Give a reader of the public tree: its checkpoint, key, tiles and charters, and nothing else of the disk."""
    read_file = read_directory(directory)

    def read(path: str) -> bytes | None:
        if path not in (CHECKPOINT, VKEY) and not BLOB.fullmatch(path):
            try:
                parse_tile_path(path)
            except ProofInvalidError:
                return None
        return read_file(path)

    return read


def make_application() -> Callable[..., object]:
    """Give the ASGI application of the deployment that the environment names; uvicorn calls this in each process."""
    deployment = open_deployment(Path(os.environ[DEPLOYMENT_VARIABLE]))
    service = Service(deployment)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"][STATE_KEY] = make_guard(deployment)
            await _live(service, scope["state"], receive, send)
        elif service.gateway is not None:
            await service.gateway(scope, receive, send)

    return application


async def _live(service: Service, state: dict[str, object], receive: Receive, send: Send) -> None:
    """Start and stop the service when the server says so; a failed start ends the process with its reason."""
    await receive()
    try:
        state[DIRECT_STATE_KEY] = DirectReads(await service.start())
    except RingfenceError as error:
        # uvicorn writes the message to its log, and ends the process.
        hint = f" (hint: {error.hint})" if error.hint else ""
        await send({"type": "lifespan.startup.failed", "message": error.render() + hint})
        return
    # What start-up made stays: the collector need not look at it again and again while requests are served.
    settle_garbage(GARBAGE_THRESHOLD)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await service.stop()
    await send({"type": "lifespan.shutdown.complete"})
