"""Ending a task that runs beside others."""

from __future__ import annotations

import asyncio
from typing import Any, Final

ASK_AGAIN_SECONDS: Final = 0.5


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended; what it ends with is nobody's any more.

    One cancellation may be lost: one that meets a commit becomes the error of a commit whose outcome is not known,
    and a loop that goes on after such errors goes on after it too.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=ASK_AGAIN_SECONDS)
    if not task.cancelled():
        task.exception()  # taken, so that it is not reported as never looked at
