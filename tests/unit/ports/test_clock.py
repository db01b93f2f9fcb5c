"""Waiting for an event or a time, whichever is first, on a clock that the test holds."""

import asyncio
from datetime import UTC, datetime

import pytest

from controller.ports.clock import wait_for


class HeldClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []
        self.over = asyncio.Event()

    def now(self) -> datetime:
        return datetime(2026, 11, 25, tzinfo=UTC)

    def tick_s(self) -> float:
        return 0.0

    async def sleep_s(self, duration_s: float) -> None:
        self.asked_s.append(duration_s)
        await self.over.wait()


@pytest.mark.parametrize("timeout_s", [5.0, None])
async def test_event_ends_the_wait(timeout_s) -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(wait_for(HeldClock(), event, timeout_s))
    await asyncio.sleep(0)
    assert not waiting.done()
    event.set()
    assert await waiting is True


async def test_time_ends_the_wait() -> None:
    clock = HeldClock()
    waiting = asyncio.create_task(wait_for(clock, asyncio.Event(), -1.0))
    await asyncio.sleep(0)
    clock.over.set()
    assert await waiting is False
    assert clock.asked_s == [0.0]


async def test_cancelled_wait_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(wait_for(HeldClock(), asyncio.Event(), 5.0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
