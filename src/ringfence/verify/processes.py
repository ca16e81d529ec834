"""The parts of the ledger, checked side by side and given back in order.

Rules of this file:
1. Each part is a pure function of the bundle and of its start, so the number of processes changes nothing but time.
2. Processes are started afresh (`spawn`), get what all parts share once, and hold one part in memory at a time.
3. At most `PARTS_WAITING_PER_PROCESS` parts a process are ahead of the one that is awaited.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from ringfence.core.errors import InvalidInputError, UnavailableError
from ringfence.verify.parts import PartReport, check_part
from ringfence.verify.rules import PartStart
from ringfence.verify.scope import Scope

PARTS_WAITING_PER_PROCESS: Final = 3
PARTS_MIN: Final = 8
JOBS_MAX: Final = 256

_scopes: list[Scope] = []


def check_parts(scope: Scope, starts: Sequence[PartStart], *, jobs: int) -> Iterator[PartReport]:
    """Check every part and give the reports in order. Fewer than `PARTS_MIN` parts are checked in this process.

    Raises:
        InvalidInputError: a file cannot be read.
        UnavailableError: a process was killed.
    """
    if jobs < 2 or len(starts) < PARTS_MIN:
        for number, start in enumerate(starts):
            yield check_part(scope, number, start)
        return
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[PartReport]] = deque()
    jobs = min(jobs, JOBS_MAX, len(starts))
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(scope,))
    try:
        for number, start in enumerate(starts):
            waiting.append(pool.submit(_check, number, start))
            if len(waiting) >= jobs * PARTS_WAITING_PER_PROCESS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise UnavailableError(
            "a process of the verifier was killed", hint="it may have run out of memory: try fewer --jobs"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def require_jobs(jobs: int) -> None:
    """Refuse a number of processes that makes no sense."""
    if not 1 <= jobs <= JOBS_MAX:
        raise InvalidInputError(f"jobs must be from 1 to {JOBS_MAX}, not {jobs}", place="--jobs")


def _begin(scope: Scope) -> None:
    _scopes[:] = [scope]


def _check(number: int, start: PartStart) -> PartReport:
    return check_part(_scopes[0], number, start)
