"""Durable state of one data centre: an SQLite file, mirrored in memory.

A change is committed to disk (WAL, synchronous=FULL) before anyone sees it, so a process that is killed at any
moment comes back with exactly what it had answered.
"""

import dataclasses
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from emulator.it_site.model import (
    Attachment,
    Flavor,
    Network,
    Port,
    Project,
    Quota,
    Record,
    RoleGrant,
    Server,
    Subnet,
    Token,
    User,
    Volume,
)

_RECORD_TYPES: tuple[type[Any], ...] = (
    Project, User, RoleGrant, Token, Quota, Flavor, Server, Volume, Attachment, Network, Subnet, Port,
)  # fmt: skip
_TUPLE_FIELDS = frozenset({"role_names", "network_ids", "fixed_ips"})
_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID
"""

RecordT = TypeVar("RecordT", bound=Record)


def _revive(record_type: type[Any], body: str) -> Any:
    values = json.loads(body)
    for name in _TUPLE_FIELDS & values.keys():
        values[name] = tuple(values[name])
    if "boot_volumes" in values:
        values["boot_volumes"] = tuple((volume_id, bool(delete)) for volume_id, delete in values["boot_volumes"])
    return record_type(**values)


class Transaction:
    """Writes that become durable and visible together, or not at all."""

    def __init__(self) -> None:
        self.writes: list[tuple[type[Any], str, Any | None]] = []

    def put(self, record: Record) -> None:
        self.writes.append((type(record), record.id, record))

    def delete(self, record: Record) -> None:
        self.writes.append((type(record), record.id, None))


class SiteState:
    """All records of the site; reads are from memory, writes go through `transaction`."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        os.close(descriptor)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(_SCHEMA)
        self._records: dict[type[Any], dict[str, Any]] = {record_type: {} for record_type in _RECORD_TYPES}
        by_name = {record_type.__name__: record_type for record_type in _RECORD_TYPES}
        for kind, record_id, body in self._database.execute("SELECT kind, id, body FROM record"):
            self._records[by_name[kind]][record_id] = _revive(by_name[kind], body)

    def get(self, record_type: type[RecordT], record_id: str) -> RecordT | None:
        record: RecordT | None = self._records[record_type].get(record_id)
        return record

    def list(self, record_type: type[RecordT], where: Callable[[RecordT], bool] | None = None) -> list[RecordT]:
        """Records in the order of their ids, so that listings and paging are stable."""
        records = self._records[record_type]
        return [records[key] for key in sorted(records) if where is None or where(records[key])]

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        transaction = Transaction()
        yield transaction
        if not transaction.writes:
            return
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for record_type, record_id, record in transaction.writes:
                self._write(record_type.__name__, record_id, record)
            self._database.execute("COMMIT")
        except sqlite3.Error:
            self._database.execute("ROLLBACK")
            raise
        for record_type, record_id, record in transaction.writes:
            if record is None:
                self._records[record_type].pop(record_id, None)
            else:
                self._records[record_type][record_id] = record

    def _write(self, kind: str, record_id: str, record: Any | None) -> None:
        if record is None:
            self._database.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, record_id))
            return
        body = json.dumps(dataclasses.asdict(record), sort_keys=True)
        self._database.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (kind, record_id, body))

    def close(self) -> None:
        self._database.close()
