"""Taking exports in: what was read is stored in chunks, each one transaction with its ledger entries.

Rules of this file:
1. A chunk is committed whole or not at all, so a run that was killed goes on where it stood by being run again.
2. A user is in one chunk at a time: another piece of the same user waits until what came before is committed.
3. While one chunk is written the next is planned; at most `CHUNKS_AT_ONCE` are on their way.
4. A chunk that the charter refuses ends the run: nothing of it is stored, and the error says what the charter lacks.
5. A user who was erased is not brought back by an export, be it erased before or meanwhile: it is left.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from ringfence.core.errors import ConfigurationError, ConflictError, IntegrityError, UnavailableError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import ItemConflictError
from ringfence.core.state import State
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.late_refusals import LateRefusal
from ringfence.services.custody.refusing import refuse_ruling
from ringfence.services.custody.request import Caller
from ringfence.services.custody.request_checks import check_purpose
from ringfence.services.custody.write_entries import (
    Asking,
    counters_of,
    decide_groups,
    request_of,
    rule_group,
)
from ringfence.services.intake.chunk import Chunk, Progress
from ringfence.services.intake.messages import (
    ERASED,
    LEFT,
    PRESENT,
    REFUSED,
    TAKEN,
    Advanced,
    Failed,
    Interrupted,
    Message,
    Piece,
    Sized,
    Told,
)
from ringfence.services.intake.planning import Plan, plan_chunk
from ringfence.services.intake.summary import SourceReport, Summary
from ringfence.services.jobs import Prepared

CHUNKS_AT_ONCE: Final = 2
ATTEMPTS_MAX: Final = 8
USERS_NAMED_IN_REFUSAL_MAX: Final = 1_000

Tell = Callable[[SourceReport], None]


class Intake:
    """One run over some sources.

    Args:
        gate: the custody service; its lane for bulk requests is used.
        caller: who takes the data in.
        purpose: what for, a purpose of the charter.
        tell: told what became of each source, as soon as it is known.
        advance: told of progress: bytes read since the last time, and bytes in all when that became known, else 0.
        expect: told after each chunk whether most of its users were new to the vault: then it helps that rows come
            sealed.

    Raises:
        InvalidInputError: the charter has no such purpose.
    """

    def __init__(
        self,
        gate: Gate,
        caller: Caller,
        *,
        purpose: str,
        tell: Tell = lambda report: None,
        advance: Callable[[int, int], None] = lambda read, total: None,
        expect: Callable[[bool], None] = lambda new: None,
    ) -> None:
        check_purpose(gate, purpose)
        self._gate = gate
        self._caller = caller
        self._purpose = purpose
        self._tell = tell
        self._advance = advance
        self._expect = expect
        self._chunk = Chunk()
        self._running: dict[asyncio.Task[None], set[str]] = {}
        self._open: Progress | None = None
        self.summary = Summary()

    async def run(self, messages: AsyncIterator[Message]) -> Summary:
        """Store what is read, to the end.

        Raises:
            DeniedError: the charter refuses; `summary` says what was stored before.
            DeviceError: the store or the keys fail; run again.
        """
        try:
            async for message in messages:
                await self._take(message)
            await self._flush()
            await self._settle(chunks_left=0)
        except asyncio.CancelledError:
            for task in self._running:
                task.cancel()
            raise
        finally:  # what is on its way is still counted
            await asyncio.gather(*self._running, return_exceptions=True)
        return self.summary

    # -- what is read --------------------------------------------------------------------------------------------

    async def _take(self, message: Message) -> None:
        match message:
            case Piece():
                await self._take_piece(message)
            case Advanced(size_bytes=size):
                self._advance(size, 0)
            case Told():
                self._conclude(
                    SourceReport(
                        name=message.name,
                        outcome=message.outcome,
                        reason=message.reason,
                        place=message.place,
                        records_left=message.records,
                    )
                )
            case Interrupted():
                self._interrupt(message)
            case Sized(size_bytes=size):
                self._advance(0, size)
            case Failed():
                kind = ConfigurationError if message.is_setting else UnavailableError
                raise kind(message.message, hint=message.hint)

    async def _take_piece(self, piece: Piece) -> None:
        progress = self._open
        if progress is None:
            progress = self._open = Progress(piece.name, piece.user, piece.reason)
            if piece.user in self._chunk.users:
                await self._flush()
        if piece.last:
            progress.ended, self._open = True, None
        if progress.failure:
            self._conclude_export(progress)
            return
        weight = piece.weigh()
        if not self._chunk.has_room(weight):
            await self._flush()
        self._chunk.add(piece, weight, progress)
        if self._chunk.is_full():
            await self._flush()

    def _interrupt(self, message: Interrupted) -> None:
        progress, self._open = self._open, None
        if progress is None:
            self._conclude(SourceReport(name=message.name, outcome=REFUSED, reason=message.reason, place=message.place))
            return
        progress.failure, progress.place, progress.ended = message.reason, message.place, True
        self._conclude_export(progress)

    # -- storing -------------------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        """Send the chunk on its way: rules 2 and 3."""
        chunk, self._chunk = self._chunk, Chunk()
        if not chunk.users:
            return
        users = set(chunk.users)
        meets = any(users & others for others in self._running.values())
        await self._settle(chunks_left=0 if meets else CHUNKS_AT_ONCE - 1)
        task = asyncio.create_task(self._store(chunk), name="store a chunk")
        self._running[task] = users
        await asyncio.sleep(0)

    async def _settle(self, *, chunks_left: int) -> None:
        """Wait until at most so many chunks are on their way; what failed rises here."""
        while len(self._running) > chunks_left:
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._running[task]
                task.result()

    async def _store(self, chunk: Chunk) -> None:
        """Plan and commit one chunk; plan again when the store has moved."""
        for _ in range(ATTEMPTS_MAX):
            asking = Asking(
                caller=self._caller, purpose=self._purpose, shape="bulk" if len(chunk.users) > 1 else "single"
            )
            plan = await plan_chunk(self._gate, chunk, asking)
            if await self._leave_erased(chunk, plan):
                continue
            for user in plan.known_users:
                chunk.users[user].subject_ref = plan.references[user]
            try:
                if plan.groups:
                    await self._commit(plan, asking)
            except ItemConflictError as error:
                if error.reason == "data":
                    raise IntegrityError(
                        "the database refuses a record", hint="see the database's log; nothing of its chunk was stored"
                    ) from error
                continue
            self._count(chunk, plan)
            return
        raise ConflictError("other writers changed the same users too often meanwhile", hint="run it again")

    async def _commit(self, plan: Plan, asking: Asking) -> None:
        await self._refuse_if_denied(plan, asking)
        gate = self._gate
        counters = counters_of(gate.keeper.state, plan.groups, asking, at_ms=gate.clock_ms())
        for counter in counters:
            await gate.bulk.counters.load(counter)
        refusal = LateRefusal(gate.refusals, asking.caller.principal)

        def prepare(state: State, at_ms: int) -> Prepared:
            if any(reference in gate.erased for reference in plan.references.values()):
                raise ItemConflictError([0], reason="subject")
            if any(state.datasets[dataset] != kept for dataset, kept in plan.kept.items()):
                raise ItemConflictError([0], reason="charter")
            last = gate.bulk.counters.last_steps()
            if not counters <= last.keys():  # another writer was faster, so that they are to be read again
                raise ItemConflictError([0], reason="count")
            decided = decide_groups(gate, state, plan.groups, asking, last=last, at_ms=at_ms)
            if decided.denied:
                return refusal.prepare(decided.denied, reason=decided.code, at_ms=at_ms)
            refusal.forget()
            gate.bulk.counters.take(decided.counts)
            return Prepared(
                entries=decided.entries,
                openings=decided.openings,
                subjects=plan.subjects,
                keys=plan.keys,
                writes=plan.writes,
                drops=plan.drops,
                searches=plan.searches,
                counts=decided.counts,
            )

        # A crash here leaves the whole chunk committed or nothing of it.
        committed = await gate.bulk.submit(prepare)
        refusal.raise_with(committed.receipt_text)

    async def _refuse_if_denied(self, plan: Plan, asking: Asking) -> None:
        gate = self._gate
        for group in plan.groups:
            ruling = rule_group(gate.keeper.state, gate.clock_ms(), group=group, asking=asking)
            if len(ruling.permitted) == len(group.classes):
                continue
            group.classes -= set(ruling.permitted)
            users = list(plan.references)[:USERS_NAMED_IN_REFUSAL_MAX]
            about = e.About(unknown=[gate.subjects.index(user) for user in users])
            rule = functools.partial(rule_group, group=group, asking=asking)
            raise await refuse_ruling(gate, request_of(group, asking), group.dataset, about, rule=rule)

    # -- what became of it ---------------------------------------------------------------------------------------

    async def _leave_erased(self, chunk: Chunk, plan: Plan) -> bool:
        """Leave out users who were erased, before or since the run began to store them: rule 5."""
        index = self._gate.subjects.index
        unknown = {index(user): user for user in chunk.users if user not in plan.known_users}
        gone = [chunk.users[unknown[found]] for found in await self._gate.store.erased(list(unknown))]
        gone += [
            progress
            for user, progress in chunk.users.items()
            if progress not in gone and progress.subject_ref and progress.subject_ref != plan.references[user]
        ]
        for progress in gone:
            progress.erased = True
            progress.records_left += sum(
                piece.weigh().records + piece.repeated for piece in chunk.pieces[progress.user]
            )
            progress.waiting -= len(chunk.pieces[progress.user])
            chunk.drop(progress.user)
            self._conclude_export(progress)
        return bool(gone)

    def _count(self, chunk: Chunk, plan: Plan) -> None:
        """Count what is committed, and conclude the exports that ended with it."""
        self._expect(2 * len(plan.known_users) < len(chunk.users))
        for user, progress in chunk.users.items():
            tally = plan.tallies[user]
            progress.records_new += tally.new
            progress.records_changed += tally.changed
            progress.records_known += tally.known
            progress.user_is_new |= user not in plan.known_users
            progress.subject_ref = plan.references[user]
            progress.waiting -= len(chunk.pieces[user])
            self._conclude_export(progress)

    def _conclude_export(self, progress: Progress) -> None:
        if not progress.ended or progress.waiting:
            return
        stored = progress.records_new or progress.records_changed or progress.user_is_new
        report = SourceReport(
            name=progress.name,
            outcome=TAKEN if stored else PRESENT,
            reason=progress.reason,
            records_new=progress.records_new,
            records_changed=progress.records_changed,
            records_known=progress.records_known,
            user_is_new=progress.user_is_new,
        )
        if progress.erased:
            report = replace(report, outcome=LEFT, reason=ERASED, records_left=progress.records_left)
        if progress.failure:
            report = replace(report, outcome=REFUSED, reason=progress.failure, place=progress.place)
        self._conclude(report)

    def _conclude(self, report: SourceReport) -> None:
        self.summary.add(report)
        self._tell(report)
