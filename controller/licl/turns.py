"""Turns at things that many want and one may have: a lock per key that is there only while somebody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class _Turn:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted_by = 0


class Turns(Generic[K]):
    """Locks by key. Keys come and go with reservations, so a lock goes with the last who held or awaited it."""

    def __init__(self) -> None:
        self._turns: dict[K, _Turn] = {}

    @asynccontextmanager
    async def at(self, key: K) -> AsyncIterator[None]:
        """Wait for one's turn at `key` and have it for the block."""
        turn = self._turns.setdefault(key, _Turn())
        turn.wanted_by += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted_by -= 1
            if not turn.wanted_by:
                del self._turns[key]

    def __contains__(self, key: object) -> bool:
        """Whether somebody has the turn at `key` or waits for it."""
        return key in self._turns
