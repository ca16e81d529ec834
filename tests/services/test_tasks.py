"""Ending tasks: one that takes a cancellation for an ordinary error is asked again."""

from __future__ import annotations

import asyncio

from ringfence.core.errors import UnavailableError
from ringfence.services.tasks import end_task


async def go_on(ended: list[str], *, lost: int) -> None:
    """Loop as the lane's sealer does; the first `lost` cancellations become errors of a commit, and are passed over."""
    try:
        while True:
            try:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    if lost == 0:
                        raise
                    lost -= 1
                    raise UnavailableError("the outcome of a commit is not known") from None
            except UnavailableError:
                continue
    finally:
        ended.append("ended")


def test_task_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    async def run(lost: int) -> list[str]:
        ended: list[str] = []
        task = asyncio.create_task(go_on(ended, lost=lost))
        await asyncio.sleep(0)
        await asyncio.wait_for(end_task(task), 30)
        return ended

    assert asyncio.run(run(0)) == ["ended"]
    assert asyncio.run(run(2)) == ["ended"]


def test_task_that_failed_by_itself_is_ended_without_its_error() -> None:
    async def fail() -> None:
        raise ValueError("by itself")

    async def run() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        await end_task(task)

    asyncio.run(run())
