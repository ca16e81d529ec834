"""One lane's writer: joins waiting jobs into batches, commits each before anything of it is released.

Rules of this file (steps 3 to 6 of the main path):
1. One batch is in flight. Jobs that wait meanwhile go into the next one, at most `ENTRIES_PER_BATCH_MAX` entries.
2. A job is prepared on the state that its batch is stamped with; when the rules moved, it is prepared again.
3. Nothing of a batch is released before its commit is known. An unknown commit is settled by (lane, n) before n+1.
4. A batch that the store refuses harms only the items at fault: they are told, the others go again.
5. A lane seals what it wrote before it writes a rule, or its first batch of another epoch; and every 200 ms.
6. Whatever this clock says, a batch is of no time before its lane's last one and the rule that began its epoch, and a
   rule of none before what any lane has written. Where that is too far ahead of this clock, no rule is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core.errors import (
    ConflictError,
    DeviceError,
    IntegrityError,
    LimitExceededError,
    RingfenceError,
    UnavailableError,
)
from ringfence.core.key_custody import FACTS, KeyCustody
from ringfence.core.ledger.detail import render_detail
from ringfence.core.ledger.lane import (
    ENTRIES_PER_BATCH_MAX,
    BuiltBatch,
    LaneHead,
    authenticate_header,
    build_batch,
    lane_secret,
    seal_head,
)
from ringfence.core.ports import (
    CommitUnknownError,
    EpochMovedError,
    ItemConflictError,
    LaneMemory,
    LaneMovedError,
    RecordRead,
    Rows,
    Store,
    StoredBatch,
    StoredSeal,
    TimePassedError,
    Transaction,
)
from ringfence.core.state import State
from ringfence.services.counters import CounterBook
from ringfence.services.jobs import Committed, Job, Prepared, RowsToWrite, Waiter, release
from ringfence.services.keeper import RuleKeeper
from ringfence.services.lane_recovery import LaneKey, read_lane
from ringfence.services.tasks import end_task

SEAL_INTERVAL_SECONDS: Final = 0.2
JOINING_TURNS_MAX: Final = 4
WAITING_JOBS_MAX: Final = 4096
READS_PER_BATCH_MAX: Final = 1024
UNKNOWN_COMMIT_SECONDS_MAX: Final = 10.0
ATTEMPTS_MAX: Final = 8
RETRY_PAUSE_SECONDS: Final = 0.05
LANES_AHEAD_MS_MAX: Final = 2 * 60 * 60_000
"""How far a rule's time may be moved ahead of this clock by what other lanes wrote: by clocks that were set an hour
back, never by as much as would end every request and grant."""


class LaneWriter:
    """Writes one lane of this process.

    Args:
        store: the database.
        keeper: the state to decide on.
        custody: seals the openings.
        origin: the ledger's name, which every seal names.
        lane: number of a lane that is certified for `key` and was claimed by this process.
        key: the lane's signing key.
        clock_ms: gives milliseconds since 1970 UTC.
        memory: remembers outside the store what the lane sealed last; None remembers nothing.
    """

    def __init__(
        self,
        store: Store,
        keeper: RuleKeeper,
        custody: KeyCustody,
        *,
        origin: str,
        lane: int,
        key: Ed25519PrivateKey,
        clock_ms: Callable[[], int],
        memory: LaneMemory | None = None,
    ) -> None:
        self._store = store
        self._memory = memory
        self._origin = origin
        self._keeper = keeper
        self._custody = custody
        self._key = key
        self._secret = lane_secret(key)
        self.clock_ms = clock_ms
        self._waiting: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_event_loop()  # asked once: each asking is a system call
        self._task: asyncio.Task[None] | None = None
        self._sealer: asyncio.Task[None] | None = None
        self._sealing = asyncio.Lock()
        self._stopping = False
        self.counters = CounterBook(store)
        self.failure: RingfenceError | None = None
        self.lane = lane
        self.head = LaneHead(lane=lane)
        self.head_epoch = 0
        self.sealed = LaneHead(lane=lane)

    async def start(self) -> None:
        """Take the lane up where it stands, seal what an earlier process left unsealed, and start writing.

        Raises:
            IntegrityError: the store holds batches or seals of this lane that this lane's key did not write.
            RollbackError: the store stands before what this lane is remembered to have sealed.
        """
        public_key = self._key.public_key().public_bytes_raw()
        self.sealed, self.head, self.head_epoch = await read_lane(
            self._store,
            self.lane,
            key=LaneKey(origin=self._origin, public_key=public_key, secret=self._secret),
            remembered=self._memory.read() if self._memory else None,
        )
        self._remember(self.sealed)
        await self.seal()
        self._task = asyncio.create_task(self._run(), name=f"lane {self.lane}")
        self._sealer = asyncio.create_task(self._seal_regularly(), name=f"seal lane {self.lane}")

    async def stop(self) -> None:
        """Write every job that was taken, seal, and stop. Nothing that was acknowledged is lost."""
        self._stopping = True
        self._wake.set()
        if self._task:
            await self._task
        if self._sealer:
            await end_task(self._sealer)
        with contextlib.suppress(DeviceError):
            await self.seal()

    def submit(self, prepare: Callable[[State, int], Prepared], *, rule: bool = False) -> asyncio.Future[Committed]:
        """Queue a job; its future resolves after the commit. `rule`: as for `Job`.

        Raises:
            UnavailableError: as for `enqueue`.
        """
        done: asyncio.Future[Committed] = self._loop.create_future()
        self.enqueue(prepare, done, rule=rule)
        return done

    def enqueue(self, prepare: Callable[[State, int], Prepared], waiter: Waiter, *, rule: bool = False) -> None:
        """Queue a job for a waiter that is told after the commit. `rule`: as for `Job`.

        Raises:
            UnavailableError: the writer is stopping, full, or found the store to be wrong; the waiter hears nothing.
        """
        if self.failure is not None:
            raise self.failure
        if self._stopping:
            raise UnavailableError("the service is stopping", hint="send the request to another process")
        if len(self._waiting) >= WAITING_JOBS_MAX:
            raise UnavailableError(f"more than {WAITING_JOBS_MAX} requests wait", hint="try again in a second")
        self._waiting.append(Job(prepare, waiter, rule))
        self._wake.set()

    # -- writing -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
                await self._let_join()
                continue
            jobs: list[Job] = []
            try:
                at_ms = await self._date()
                jobs = self._take(at_ms)
                await self._write(jobs, at_ms)
            except RingfenceError as error:
                self._give_up(jobs or [self._waiting.popleft()], error)  # none is taken yet: the first has no time
            except Exception as error:  # a fault of ours: nobody waits for a lane that writes no more
                self.failure = UnavailableError(f"the lane stopped in a way not foreseen: {type(error).__name__}")
                self._fail_all([*jobs, *self._waiting], self.failure)
                self._waiting.clear()
                raise

    async def _date(self) -> int:
        """Give the time of the next batch: rule 6.

        Raises:
            UnavailableError: a lane has written more than `LANES_AHEAD_MS_MAX` ahead of this clock.
        """
        newest = self.head
        if self._waiting[0].rule:
            newest = max(await self._store.lanes(), key=attrgetter("at_ms"), default=newest)
        clock_ms = self.clock_ms()
        ahead_ms = newest.at_ms - clock_ms
        own_ms = max(clock_ms, self.head.at_ms, self._keeper.state.ruled_ms)
        if newest.at_ms > own_ms and ahead_ms > LANES_AHEAD_MS_MAX:
            raise UnavailableError(
                f"lane {newest.lane} has written {ahead_ms / 1000:.0f} s ahead of this machine's clock,"
                " and no rule may be of an earlier time",
                hint="set the clocks right; if they are, find out who changed the database",
            )
        return max(own_ms, newest.at_ms)

    async def _let_join(self) -> None:
        """Let what arrives in the loop's next turns join, while it keeps coming: one commit serves all of it.

        Nothing is waited for: a turn in which nothing comes takes some microseconds, and ends this.
        """
        waiting = 0
        for _ in range(JOINING_TURNS_MAX):
            if not waiting < len(self._waiting) < ENTRIES_PER_BATCH_MAX:
                return
            waiting = len(self._waiting)
            await asyncio.sleep(0)

    def _give_up(self, jobs: Sequence[Job], error: RingfenceError) -> None:
        if isinstance(error, IntegrityError | LaneMovedError):
            self.failure = error
            jobs = [*jobs, *self._waiting]
            self._waiting.clear()
        for job in jobs:
            job.fail(error)

    def _take(self, at_ms: int) -> list[Job]:
        """Prepare waiting jobs until the batch is full; a job that cannot be prepared is told and left out.

        A rule begins a batch: what time it is decided at was found out for the first of those that wait.
        """
        state = self._keeper.state
        self.counters.begin()
        jobs: list[Job] = []
        entries = reads = 0
        first = self._waiting[0]
        while self._waiting:
            job = self._waiting[0]
            if job.rule and job is not first:
                break
            prepared = self._prepare(job, state, at_ms)
            if prepared is None:
                self._waiting.popleft()
                continue
            if jobs and (
                prepared.rule
                or entries + len(prepared.entries) > ENTRIES_PER_BATCH_MAX
                or reads + len(prepared.reads) > READS_PER_BATCH_MAX
            ):
                job.prepared = None
                break
            self._waiting.popleft()
            jobs.append(job)
            entries += len(prepared.entries)
            reads += len(prepared.reads)
            if prepared.rule:
                break
        return jobs

    def _prepare(self, job: Job, state: State, at_ms: int) -> Prepared | None:
        if job.done.done():
            return None
        try:
            prepared = job.prepare(state, at_ms)
            if not 1 <= len(prepared.entries) <= ENTRIES_PER_BATCH_MAX:
                raise LimitExceededError(
                    "the request needs too many ledger entries",
                    limit="entries_per_batch_max",
                    value_max=ENTRIES_PER_BATCH_MAX,
                )
        except RingfenceError as error:
            job.fail(error)
            return None
        except Exception as error:  # one poisoned job must not stop the lane
            job.fail(UnavailableError(f"the request could not be prepared: {type(error).__name__}"))
            return None
        job.prepared = prepared
        return prepared

    async def _write(self, jobs: list[Job], at_ms: int) -> None:
        """Commit a batch of prepared jobs; on a data error split it; on a conflict tell the items at fault."""
        if not jobs:
            return
        epoch = self._keeper.state.epoch
        closes_epoch = any(job.prepared and job.prepared.rule for job in jobs)
        if (closes_epoch or epoch != self.head_epoch) and self.sealed.n != self.head.n:
            await self.seal()
        transaction, batch = self._assemble(jobs, epoch, at_ms)
        try:
            rows = await self._store.transact(transaction)
        except (EpochMovedError, TimePassedError):
            await self._keeper.refresh()
            self._requeue(jobs)
        except ItemConflictError as error:
            if error.items:
                self._blame(jobs, error)
            else:  # the store cannot tell which
                await self._split(jobs, at_ms, error)
        except CommitUnknownError:
            await self._settle(jobs, batch, epoch)
        except (UnavailableError, LaneMovedError, IntegrityError):
            raise
        except DeviceError as error:
            await self._split(jobs, at_ms, error)
        else:
            self._advance(batch, epoch)
            self.counters.commit(transaction.counts)
            release(jobs, batch, rows)
            if transaction.rule:
                self._remember(batch.head)
                await self._keeper.refresh()

    def _assemble(self, jobs: Sequence[Job], epoch: int, at_ms: int) -> tuple[Transaction, BuiltBatch]:
        entries: list[bytes] = []
        openings: list[bytes | None] = []
        reads: list[RecordRead] = []
        rows = RowsToWrite()
        rule, blob = False, b""
        n = self.head.n + 1
        for item, job in enumerate(jobs):
            prepared = job.prepared
            if prepared is None:
                continue
            if prepared.mark or prepared.writes or prepared.lists or prepared.finds or prepared.counts or prepared.rule:
                rows.add(item, prepared, lane=self.lane, n=n, position=len(entries), at_ms=at_ms)
                rule, blob = rule or prepared.rule, blob or prepared.blob
                if prepared.facts:
                    blob = self._custody.seal_detail(lane=self.lane, n=n, plaintext=prepared.facts, part=FACTS)
            entries.extend(prepared.entries)
            openings.extend(prepared.openings)
            reads.extend(prepared.reads)
        batch = build_batch(self.head, epoch=epoch, at_ms=at_ms, entries=entries)
        detail = self._custody.seal_detail(lane=self.lane, n=n, plaintext=render_detail(openings))
        transaction = Transaction(
            batch=batch,
            code=authenticate_header(self._secret, batch.header),
            detail=detail,
            rule=rule,
            seal=seal_head(self._key, origin=self._origin, head=batch.head) if rule else b"",
            blob=blob,
            reads=reads,
            lists=rows.lists,
            finds=rows.finds,
            subjects=rows.subjects,
            keys=rows.keys,
            writes=rows.writes,
            drops=rows.drops,
            searches=rows.searches,
            counts=rows.counts,
            requests=rows.requests,
            erasures=rows.erasures,
        )
        return transaction, batch

    def _advance(self, batch: BuiltBatch, epoch: int) -> None:
        self.head = batch.head
        self.head_epoch = epoch

    def _requeue(self, jobs: Sequence[Job]) -> None:
        for job in reversed(jobs):
            job.prepared = None
            job.attempts += 1
            if job.attempts > ATTEMPTS_MAX:
                job.fail(ConflictError("the rules or the records changed too often while the request waited"))
            else:
                self._waiting.appendleft(job)
        self._wake.set()

    def _blame(self, jobs: Sequence[Job], error: ItemConflictError) -> None:
        """Tell the jobs at fault (they plan again), queue the others again."""
        if error.reason == "count":
            self.counters.forget()
        at_fault = set(error.items)
        for item in at_fault:
            jobs[item].fail(ItemConflictError([item], reason=error.reason))
        self._requeue([job for item, job in enumerate(jobs) if item not in at_fault])

    async def _split(self, jobs: list[Job], at_ms: int, error: DeviceError) -> None:
        """Write a batch that the store refuses as two, until the one item at fault stands alone and is told."""
        if len(jobs) == 1:
            jobs[0].fail(error)
            return
        middle = len(jobs) // 2
        for half in (jobs[:middle], jobs[middle:]):
            state = self._keeper.state
            at_ms = max(at_ms, state.ruled_ms)
            self.counters.begin()
            await self._write([job for job in half if self._prepare(job, state, at_ms)], at_ms)

    async def _settle(self, jobs: Sequence[Job], batch: BuiltBatch, epoch: int) -> None:
        """Find out by (lane, n) whether a batch was committed. Its reads are not answered either way.

        A crash here leaves the batch committed or not; the next start settles it in the same way.
        """
        self.counters.forget()
        for job in jobs:
            if job.prepared and (job.prepared.reads or job.prepared.lists or job.prepared.finds):
                job.fail(_unanswered())
        stored = await self._find_until_answered(jobs, batch.head.n)
        if stored is None:
            self._fail_all(jobs, _unanswered())
            return
        if stored.header != batch.header:
            raise IntegrityError(
                f"batch {batch.head.n} of lane {self.lane} is not the one that this process wrote",
                place=f"lane {self.lane} batch {batch.head.n}",
            )
        self._advance(batch, epoch)
        release(jobs, batch, Rows([], [], []))
        if any(job.prepared and job.prepared.rule for job in jobs):
            self._remember(batch.head)
            await self._keeper.refresh()

    async def _find_until_answered(self, jobs: Sequence[Job], n: int) -> StoredBatch | None:
        """Ask for batch n until the database answers; callers are not kept waiting meanwhile."""
        deadline = asyncio.get_running_loop().time() + UNKNOWN_COMMIT_SECONDS_MAX
        while True:
            try:
                return await self._store.find_batch(self.lane, n)
            except UnavailableError:
                late = asyncio.get_running_loop().time() > deadline
                if late or self._stopping:
                    self._fail_all(jobs, _unanswered())
                if self._stopping:
                    raise
                self._fail_all(self._waiting, UnavailableError("the database does not answer", hint="try again"))
                self._waiting.clear()
                await asyncio.sleep(RETRY_PAUSE_SECONDS)

    def _fail_all(self, jobs: Iterable[Job], error: RingfenceError) -> None:
        for job in jobs:
            job.fail(error)

    # -- sealing -------------------------------------------------------------------------------------------------

    async def _seal_regularly(self) -> None:
        while True:
            await asyncio.sleep(SEAL_INTERVAL_SECONDS)
            with contextlib.suppress(DeviceError):
                await self.seal()

    async def seal(self) -> None:
        """Sign the lane's head if it moved since the last seal."""
        async with self._sealing:
            head, epoch = self.head, self.head_epoch
            if head.n == self.sealed.n:
                return
            leaf = seal_head(self._key, origin=self._origin, head=head)
            try:
                await self._store.put_seal(StoredSeal(lane=self.lane, n=head.n, epoch=epoch, leaf=leaf))
            except CommitUnknownError as error:  # the same seal is put again
                raise UnavailableError("the seal of the lane could not be stored", hint="try again") from error
            self._remember(head)

    def _remember(self, head: LaneHead) -> None:
        """Note what is sealed in the store. A crash before this leaves an older memory, which the store is ahead of."""
        self.sealed = head
        if self._memory:
            self._memory.write(head)


def _unanswered() -> UnavailableError:
    return UnavailableError(
        "the connection to the database broke while the request was committed; nothing was released",
        hint="send the request again with the same request_id",
    )
