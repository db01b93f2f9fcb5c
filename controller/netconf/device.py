"""What a NETCONF endpoint serves: a device behind it, durable datastores under it, and the errors it answers with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lxml import etree

from controller.netconf.yang_engine import YangEngine

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"


class RpcError(Exception):
    """An <rpc-error> (RFC 6241 §4.3): error-type, error-tag and what else the RFC puts beside them.

    `info` holds (element name, text) pairs for <error-info>.
    """

    def __init__(
        self,
        tag: str,
        message: str,
        *,
        error_type: str = "application",
        path: str | None = None,
        app_tag: str | None = None,
        info: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.tag = tag
        self.message = message
        self.error_type = error_type
        self.path = path
        self.app_tag = app_tag
        self.info = tuple(info)

    def element(self) -> etree._Element:
        """The error as XML."""
        root = etree.Element(f"{{{BASE}}}rpc-error")
        for name, value in (
            ("error-type", self.error_type),
            ("error-tag", self.tag),
            ("error-severity", "error"),
            ("error-app-tag", self.app_tag),
            ("error-path", self.path),
            ("error-message", self.message),
        ):
            if value is not None:
                etree.SubElement(root, f"{{{BASE}}}{name}").text = value
        if self.info:
            holder = etree.SubElement(root, f"{{{BASE}}}error-info")
            for name, value in self.info:
                etree.SubElement(holder, f"{{{BASE}}}{name}").text = value
        return root


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Who is at the other end of a session."""

    session_id: int
    username: str
    peer: str


class NetconfDevice(Protocol):
    """The thing behind an endpoint. Configurations are <data> elements with the top-level nodes inside."""

    @property
    def name(self) -> str: ...

    @property
    def engine(self) -> YangEngine: ...

    async def operational(self, running: etree._Element) -> etree._Element:
        """Configuration and state together, for <get>."""
        ...

    async def check(self, before: etree._Element, after: etree._Element, session: SessionInfo) -> None:
        """Refuse a change by raising RpcError; has no effects. Called at validate and commit, after YANG validation."""
        ...

    async def apply(self, before: etree._Element, after: etree._Element) -> None:
        """Carry a committed change out. Raising makes the commit fail, and running stays `before`."""
        ...

    async def rpc(self, operation: etree._Element, session: SessionInfo) -> Sequence[etree._Element] | None:
        """Serve an RPC of the device's own modules; None when it is not supported."""
        ...


@dataclass(frozen=True, slots=True)
class StoredDatastores:
    """What survives a crash: running, and while a confirmed commit is pending also what it would revert to."""

    running: bytes
    rollback: bytes | None = None
    persist_id: str | None = None


class DatastoreStorage(Protocol):
    """Durability of one endpoint; `save` returns when the state would survive power loss."""

    async def load(self) -> StoredDatastores | None: ...

    async def save(self, stored: StoredDatastores) -> None: ...


class FileStorage:
    """Datastores in one XML file, replaced atomically and synced."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def load(self) -> StoredDatastores | None:
        return _read(self._file)

    async def save(self, stored: StoredDatastores) -> None:
        # Some kB and one fsync; done in place so that the order of commits is the order on disk.
        _write(self._file, stored)


def _read(file: Path) -> StoredDatastores | None:
    if not file.exists():
        return None
    root = etree.fromstring(file.read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True))
    parts = {child.tag: child for child in root}
    rollback = parts.get("rollback")
    return StoredDatastores(
        running=etree.tostring(parts["running"][0]),
        rollback=None if rollback is None else etree.tostring(rollback[0]),
        persist_id=None if rollback is None else rollback.get("persist-id"),
    )


def _write(file: Path, stored: StoredDatastores) -> None:
    root = etree.Element("datastores")
    etree.SubElement(root, "running").append(etree.fromstring(stored.running))
    if stored.rollback is not None:
        holder = etree.SubElement(root, "rollback")
        if stored.persist_id is not None:
            holder.set("persist-id", stored.persist_id)
        holder.append(etree.fromstring(stored.rollback))
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".new")
    with temporary.open("wb") as stream:
        stream.write(etree.tostring(root))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
