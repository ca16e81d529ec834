"""Answering after the commit: in time, within bounds, and with an entry of its own where it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

from ringfence.core.errors import LimitExceededError, RingfenceError, UnavailableError
from ringfence.core.ledger import entry as e
from ringfence.services.custody.gate import Gate
from ringfence.services.jobs import Committed, Prepared
from ringfence.services.writer import LaneWriter

ANSWER_MS_MAX: Final = 10_000
ANSWER_SIZE_BYTES_MAX: Final = 32 * 1024 * 1024


def check_time(gate: Gate, committed: Committed) -> None:
    """Answer within the stated time or not at all.

    Raises:
        UnavailableError: the commit took longer than `ANSWER_MS_MAX`.
    """
    if gate.clock_ms() - committed.at_ms > ANSWER_MS_MAX:
        raise UnavailableError("the answer took too long and was not given", hint="try again")


def check_size(parts: Iterable[tuple[int, bytes]]) -> None:
    """Refuse to open more than fits into one answer.

    Raises:
        LimitExceededError: the parts are larger than `ANSWER_SIZE_BYTES_MAX` together.
    """
    if sum(len(sealed) for _, sealed in parts) > ANSWER_SIZE_BYTES_MAX:
        raise LimitExceededError(
            "the records are too large for one answer",
            limit="answer_size_bytes_max",
            value_max=ANSWER_SIZE_BYTES_MAX,
            hint="ask for fewer at a time",
        )


async def record_failure(committed: Committed, error: RingfenceError, lane: LaneWriter) -> None:
    """Record that an access was committed but could not be answered as decided. The error stays the answer."""
    receipt = committed.receipt
    leaf = e.render_entry(e.Outcome(n=receipt.n, position=receipt.position, result=type(error).__name__))
    with contextlib.suppress(RingfenceError):
        await lane.submit(lambda state, at_ms: Prepared(entries=[leaf], openings=[None]))
