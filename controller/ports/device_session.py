"""One NETCONF session to one device, physical or virtual, as a port."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lxml import etree


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """Where a NETCONF/SSH endpoint listens and how to prove who both sides are."""

    host: str
    port: int
    username: str
    private_key_file: Path
    host_public_key: str
    """OpenSSH text of the only host key accepted."""
    timeout_s: float = 10.0


class DeviceSession(Protocol):
    """RFC 6241 operations. Raises DeviceUnreachable, DeviceLocked, DeviceRejected, DeviceInDoubt."""

    @property
    def capabilities(self) -> frozenset[str]: ...

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def get(self, subtree: etree._Element | None = None) -> etree._Element:
        """<get>; returns the <data> element."""
        ...

    async def get_config(self, source: str = "running", subtree: etree._Element | None = None) -> etree._Element:
        """<get-config>; returns the <data> element."""
        ...

    async def edit_config(
        self, config: Sequence[etree._Element], target: str = "candidate", default_operation: str = "merge"
    ) -> None: ...

    async def validate(self, source: str = "candidate") -> None: ...

    async def commit(
        self,
        *,
        confirmed: bool = False,
        timeout_s: int | None = None,
        persist: str | None = None,
        persist_id: str | None = None,
    ) -> None: ...

    async def cancel_commit(self, persist_id: str | None = None) -> None: ...

    async def discard_changes(self) -> None: ...

    async def lock(self, target: str) -> None: ...

    async def unlock(self, target: str) -> None: ...

    async def rpc(self, operation: etree._Element) -> etree._Element:
        """A module's own RPC; returns the <rpc-reply>."""
        ...
