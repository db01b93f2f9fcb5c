"""Durable state as a port: one transaction at a time, on one writer."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Store(Protocol):
    """Runs a function inside one transaction; a raised exception undoes everything it wrote.

    State is durable when `run` returns: effects come after it, never before.
    """

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one serialised read-write transaction and return its result."""
        ...

    async def close(self) -> None: ...
