"""Time as a port: nothing in the controller reads the clock or sleeps except through this."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for records and calendars, ticks for durations; the two are never mixed."""

    def now(self) -> datetime:
        """Wall time, UTC, timezone-aware."""
        ...

    def tick_s(self) -> float:
        """Monotonic seconds from an arbitrary origin."""
        ...

    async def sleep_s(self, duration_s: float) -> None:
        """Wait for `duration_s` monotonic seconds."""
        ...


async def wait_for(clock: Clock, event: asyncio.Event, timeout_s: float | None) -> bool:
    """Wait until `event` is set, at most `timeout_s` of the clock (None: as long as it takes); whether it is set."""
    if timeout_s is None:
        return await event.wait()
    occurred = asyncio.ensure_future(event.wait())
    elapsed = asyncio.ensure_future(clock.sleep_s(max(timeout_s, 0.0)))
    try:
        await asyncio.wait((occurred, elapsed), return_when=asyncio.FIRST_COMPLETED)
        return event.is_set()
    finally:
        occurred.cancel()
        elapsed.cancel()


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tick_s(self) -> float:
        return time.monotonic()

    async def sleep_s(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)
