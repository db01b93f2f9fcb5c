"""SQLite behind the Store port: WAL, synchronous=FULL, one writer thread per process."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, MetaData, create_engine, event, text

T = TypeVar("T")


class SqliteStore:
    """One file, owned by one process; transactions run in call order on one thread.

    A committed transaction survives power loss: WAL with synchronous=FULL syncs the log at each commit.
    """

    def __init__(self, path: Path, metadata: MetaData) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._engine = create_engine(f"sqlite:///{path}")
        event.listen(self._engine, "connect", _on_connect)
        event.listen(self._engine, "begin", _on_begin)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._metadata = metadata

    @classmethod
    async def open(cls, path: Path, metadata: MetaData) -> "SqliteStore":
        """Open the file, making it and the tables of `metadata` when absent."""
        store = cls(path, metadata)
        await store.run(lambda connection: store._create(connection, path))
        return store

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction.

        Cancelling the caller does not cancel the transaction: it either commits whole or not at all.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._writer, self._transact, work))

    def _create(self, connection: Connection, path: Path) -> None:
        self._metadata.create_all(connection)
        path.chmod(0o600)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._engine.dispose)
        self._writer.shutdown(wait=True)


def _on_connect(connection: Any, _record: Any) -> None:
    # pysqlite's own implicit BEGIN is switched off so that BEGIN IMMEDIATE below takes the write lock at once.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    connection.execute(text("BEGIN IMMEDIATE"))
