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


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tick_s(self) -> float:
        return time.monotonic()

    async def sleep_s(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)
