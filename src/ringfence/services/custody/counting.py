"""Counters: how many records a clause has let through today, step by step without gaps.

A counter is not part of the state. Its row is changed in the transaction of the access that it counts, and the entry
holds the step, so that the verifier recomputes every limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringfence.core.entry import Count
from ringfence.core.errors import DeniedError
from ringfence.core.ports import ItemConflictError
from ringfence.core.ruling import Ruling
from ringfence.services.custody.limits import TOMORROW
from ringfence.services.custody.request import Request

DAY_MS: Final = 86_400_000


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


def day_is_used_up(clause: str) -> DeniedError:
    """Give what a caller is told whom a clause's bulk limit of the day refuses."""
    return DeniedError(f"the daily limit of clause `{clause}` is reached", clause=clause, could_ask=TOMORROW)


def bulk_counter(clause: str) -> str:
    """Give the name of the counter of a clause's bulk records."""
    return f"bulk/{clause}"


def downgrade_counter(clause: str) -> str:
    """Give the name of the counter of a clause's downgrades."""
    return f"downgrade/{clause}"


@dataclass(frozen=True, slots=True)
class ClauseGroup:
    """The classes of a ruling that one clause permits: what their entry says, and the step that it counts.

    `forbidden` when the clause's daily limit does not let the request through; nothing is counted then.
    """

    clause: str
    decided: dict[str, str]
    step: Count | None
    forbidden: bool


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
        step, forbidden = _count(ruling, request, clause, last, at_ms)
        groups.append(ClauseGroup(clause, {**decided, **refused}, step, forbidden))
        refused = {}
    return groups


def _count(
    ruling: Ruling, request: Request, clause: str, last: dict[str, Count], at_ms: int
) -> tuple[Count | None, bool]:
    decision = next((d for d in ruling.permitted.values() if d.clause == clause), None)
    if decision is None or request.shape != "bulk" or not decision.records_per_day_max:
        return None, False
    before = last_step(last, bulk_counter(clause))
    step = next_step(before, amount=request.records, at_ms=at_ms)
    if step.total > decision.records_per_day_max:
        return None, True
    last[step.counter] = step
    return step, False
