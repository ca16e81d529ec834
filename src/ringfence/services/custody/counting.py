"""Counters: how many records a clause has let through today, and a grant in its life, step by step without gaps.

A counter is not part of the state. Its row is changed in the transaction of the access that it counts, and the entry
holds the step, so that the verifier recomputes every limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from ringfence.core.decisions.ruling import Ruling, grant_counter, rests_on_grant
from ringfence.core.errors import DeniedError
from ringfence.core.ledger.entry import Count
from ringfence.core.ports import CountWrite, ItemConflictError
from ringfence.core.times import DAY_MS
from ringfence.services.custody.late_refusals import ANOTHER_GRANT, TOMORROW
from ringfence.services.custody.request import Request

BULK_LIMIT: Final = "bulk-limit"
GRANT_LIMIT: Final = "grant-limit"


def next_step(last: Count, *, amount: int, at_ms: int) -> Count:
    """Give the step after `last`. A new UTC day starts from 0; time that goes back stays on the last day."""
    day = max(last.day, at_ms // DAY_MS)
    total = (last.total if day == last.day else 0) + amount
    return Count(counter=last.counter, ordinal=last.ordinal + 1, amount=amount, total=total, day=day)


def last_step(last: Mapping[str, Count], counter: str) -> Count:
    """Give a counter's last step.

    Raises:
        ItemConflictError: it was forgotten while the request waited: it must be loaded again.
    """
    step = last.get(counter)
    if step is None:
        raise ItemConflictError([0], reason="count")
    return step


def limit_is_used_up(group: ClauseGroup, request: Request) -> DeniedError:
    """Give what a caller is told whom a group's limit refuses."""
    if group.forbidden == GRANT_LIMIT:
        words = f"grant {request.caller.grant} is used up: fewer than {request.records} of its records are left"
        return DeniedError(words, could_ask=ANOTHER_GRANT)
    words = f"the daily limit of clause `{group.clause}` is reached"
    return DeniedError(words, clause=group.clause, could_ask=TOMORROW)


def bulk_counter(clause: str) -> str:
    """Give the name of the counter of a clause's bulk records."""
    return f"bulk/{clause}"


def downgrade_counter(clause: str) -> str:
    """Give the name of the counter of a clause's downgrades."""
    return f"downgrade/{clause}"


@dataclass(frozen=True, slots=True)
class ClauseGroup:
    """The classes of a ruling that one clause permits: what their entry says, and the steps that it counts.

    `step` is the clause's, `granted` that of the grant that they rest on. `forbidden` says, as a code, which limit does
    not let the request through (`BULK_LIMIT`, `GRANT_LIMIT`); nothing is counted then.
    """

    clause: str
    decided: dict[str, str]
    step: Count | None = None
    granted: Count | None = None
    forbidden: str = ""

    def counts(self) -> list[CountWrite]:
        """Give the steps as rows."""
        return [CountWrite(0, step) for step in (self.step, self.granted) if step]


def group_by_clause(ruling: Ruling, request: Request, *, last: dict[str, Count], at_ms: int) -> list[ClauseGroup]:
    """Give one group for each permitting clause; refused classes go with the first. At least one group.

    Args:
        ruling: what the charter says to the request for one dataset.
        request: its shape and number of records.
        last: the last step of each counter; moved on by the steps that are given.
        at_ms: the batch's time.
    """
    permitted: dict[str, dict[str, str]] = {}
    refused = {data_class: text for data_class, text in ruling.decided.items() if data_class not in ruling.permitted}
    for data_class, decision in ruling.permitted.items():
        permitted.setdefault(decision.clause, {})[data_class] = decision.clause
    groups: list[ClauseGroup] = []
    for clause, decided in permitted.items() or [("", {})]:
        groups.append(_count(ruling, request, ClauseGroup(clause, {**decided, **refused}), last, at_ms))
        refused = {}
    return groups


def _count(ruling: Ruling, request: Request, group: ClauseGroup, last: dict[str, Count], at_ms: int) -> ClauseGroup:
    decision = next((d for d in ruling.permitted.values() if d.clause == group.clause), None)
    step = None
    if decision is not None and request.shape == "bulk" and decision.records_per_day_max:
        step = next_step(last_step(last, bulk_counter(group.clause)), amount=request.records, at_ms=at_ms)
        if step.total > decision.records_per_day_max:
            return replace(group, forbidden=BULK_LIMIT)
    granted = grant_step(ruling, request, group.decided, last=last)
    if granted is not None and granted.amount == 0:
        return replace(group, forbidden=GRANT_LIMIT)
    for taken in (step, granted):
        if taken is not None:
            last[taken.counter] = taken
    return replace(group, step=step, granted=granted)


def grant_step(
    ruling: Ruling, request: Request, decided: Mapping[str, str], *, last: Mapping[str, Count]
) -> Count | None:
    """Give the step of the grant's counter that an entry takes; None when nothing of it rests on a grant.

    It adds the records that are asked for, or 0 when fewer are left: then the grant permits nothing of this entry.

    Raises:
        ItemConflictError: as for `last_step`.
    """
    given = ruling.grant
    if given is None or not rests_on_grant(ruling, decided):
        return None
    before = last_step(last, grant_counter(given.number))
    amount = request.records if before.total + request.records <= given.grant.records_max else 0
    return Count(counter=before.counter, ordinal=before.ordinal + 1, amount=amount, total=before.total + amount, day=0)
