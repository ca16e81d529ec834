"""What rests on a grant: for whom the grant is, what is left of it, and the step that counts it.

Rules of this file:
1. What is decided on the charter alone is held against the grant in the batch, on the same state: only users of the
   grant are touched, and no more records are named in its whole life than it is for.
2. The records that are asked for are counted, not those that are found, with the access in one transaction. Whoever
   else counts at the same time makes the later one try again.
3. What is refused for its grant is recorded as an access that was refused, singly up to the caller's rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ringfence.core.charter import Dataset
from ringfence.core.decisions.ruling import (
    GRANT_OTHER_USER,
    GRANT_USED_UP,
    Ruling,
    grant_counter,
    is_within,
    without_grant,
)
from ringfence.core.errors import ConflictError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import CountWrite, ItemConflictError
from ringfence.core.state import State
from ringfence.services.custody.access_entries import access_entry
from ringfence.services.custody.counting import GRANT_LIMIT, grant_step
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.late_refusals import LateRefusal
from ringfence.services.custody.refusing import denied
from ringfence.services.custody.request import Caller, Request
from ringfence.services.jobs import Committed, Prepared
from ringfence.services.writer import LaneWriter

ATTEMPTS_MAX: Final = 32
"""How often a request counts again that others overtake; each time one of them is through."""

GRANT_USER: Final = "grant-user"


class Held(NamedTuple):
    """What is left of a ruling that was held against its grant.

    Attributes:
        ruling: without what the grant does not permit.
        step: what the grant's counter takes; None when nothing was left that rests on the grant.
        code: why the grant refuses, as `Refusals` say it; "" when it does not.
    """

    ruling: Ruling
    step: e.Count | None = None
    code: str = ""

    def counts(self) -> list[CountWrite]:
        """Give the step as a row."""
        return [CountWrite(0, self.step)] if self.step else []


def keep_to_users(ruling: Ruling, about: e.About) -> Ruling:
    """Give a ruling without what rests on a grant that is for other users than a request is about."""
    given = ruling.grant
    if given is None or is_within(given.grant, given.subjects, about):
        return ruling
    return without_grant(ruling, GRANT_OTHER_USER)


def hold_to_grant(ruling: Ruling, request: Request, about: e.About, *, last: Mapping[str, e.Count]) -> Held:
    """Hold a ruling on one request against the grant that it rests on (rule 1).

    Raises:
        ItemConflictError: the grant's counter is not loaded.
    """
    if ruling.grant is None:
        return Held(ruling)
    kept = keep_to_users(ruling, about)
    if kept.grant is None:
        return Held(kept, code=GRANT_USER)
    step = grant_step(kept, request, kept.decided, last=last)
    if step is not None and step.amount == 0:
        return Held(without_grant(kept, GRANT_USED_UP), step, GRANT_LIMIT)
    return Held(kept, step)


def prepare_held(
    gate: Gate, lane: LaneWriter, refusal: LateRefusal, request: Request, dataset: Dataset, held: Held, about: e.About
) -> Prepared:
    """Give what records one request, without what it reads; `refusal` says whether the grant refuses it whole (rule 3).

    Raises:
        DeniedError: it is refused, and the caller's refusals are above their rate, so that it was only counted.
    """
    leaf, opening = access_entry(
        gate, request, dataset=dataset.name, decided=dict(held.ruling.decided), about=about, granted=held.step
    )
    prepared = Prepared(entries=[leaf], openings=[opening], counts=held.counts())
    refusal.forget()
    if held.code and not held.ruling.permitted:
        error = denied(gate, request, dataset, held.ruling)
        prepared = refusal.prepare(error, reason=held.code, at_ms=gate.clock_ms(), entry=prepared)
    lane.counters.take(prepared.counts)
    return prepared


async def load_grant(gate: Gate, lane: LaneWriter, caller: Caller) -> None:
    """Have a lane know the counter of the grant that a caller names, if there is one such."""
    standing = gate.keeper.state.standing
    if caller.grant and standing is not None and caller.grant in standing.grants:
        await lane.counters.load(grant_counter(caller.grant))


async def submit_held(
    gate: Gate, lane: LaneWriter, caller: Caller, prepare: Callable[[State, int], Prepared]
) -> Committed:
    """Submit a job that a grant may count (rule 2).

    Raises:
        ConflictError: too many requests count under the grant at once.
        DeniedError, UnavailableError: as the job and the lane say.
    """
    if not caller.grant:
        return await lane.submit(prepare)
    for _ in range(ATTEMPTS_MAX):
        await load_grant(gate, lane, caller)
        try:
            return await lane.submit(prepare)
        except ItemConflictError:
            continue
    raise ConflictError("too many requests count under the same grant at once", hint="try again")
