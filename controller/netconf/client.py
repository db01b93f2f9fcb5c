"""NETCONF client: ncclient behind the DeviceSession port.

ncclient blocks, so each device has a thread of its own, which also keeps the order of its RPCs. Three of its habits are
mended here: it waits 100 ms before sending (TICK), it takes a warning for an error, and its parser resolves entities.
A time-out after a request was sent is DeviceInDoubt: the device may have done it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncssh
import ncclient.transport.session
from lxml import etree
from ncclient import manager
from ncclient.operations import rpc as ncclient_rpc
from ncclient.operations.errors import TimeoutExpiredError
from ncclient.transport.errors import AuthenticationError, SessionCloseError, SSHError, TransportError

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    NotAuthenticated,
)
from controller.netconf.device import BASE, RpcError
from controller.ports.device_session import DeviceAddress

T = TypeVar("T")
# Each session's thread looks this often for something to send: 1 ms per RPC on average, against the idle wake-ups of
# every device that a provider owns (at 0.5 ms, fourteen idle devices took a tenth of a core).
ncclient.transport.session.TICK = 0.002
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)


class _RawReply(ncclient_rpc.RPCReply):  # type: ignore[misc]
    """A reply left alone by ncclient, so that warnings stay warnings."""

    def parse(self) -> None:
        self._root = etree.fromstring(self._raw.encode(), _PARSER)
        self._errors: list[Any] = []
        self._parsed = True


class _RawRpc(ncclient_rpc.RPC):  # type: ignore[misc]
    """Sends any operation element."""

    REPLY_CLS = _RawReply

    def request(self, operation: etree._Element) -> Any:
        return self._request(operation)


class NcclientSession:
    """One session to one device."""

    def __init__(self, address: DeviceAddress) -> None:
        self.address = address
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"netconf-{address.port}")
        self._manager: Any = None
        self._closed = False

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset(self._manager.server_capabilities) if self._manager else frozenset()

    async def connect(self) -> None:
        await self._in_thread(self._connect)

    async def close(self) -> None:
        """End the session; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._in_thread(self._disconnect)
        finally:
            self._thread.shutdown(wait=False)

    async def get(self, subtree: etree._Element | None = None) -> etree._Element:
        return _data(await self.rpc(_operation("get", _filter(subtree))))

    async def get_config(self, source: str = "running", subtree: etree._Element | None = None) -> etree._Element:
        return _data(await self.rpc(_operation("get-config", _holder("source", source), _filter(subtree))))

    async def edit_config(
        self, config: Sequence[etree._Element], target: str = "candidate", default_operation: str = "merge"
    ) -> None:
        content = _element("config")
        content.extend(config)
        await self.rpc(
            _operation(
                "edit-config", _holder("target", target), _element("default-operation", default_operation), content
            )
        )

    async def validate(self, source: str = "candidate") -> None:
        await self.rpc(_operation("validate", _holder("source", source)))

    async def commit(
        self,
        *,
        confirmed: bool = False,
        timeout_s: int | None = None,
        persist: str | None = None,
        persist_id: str | None = None,
    ) -> None:
        await self.rpc(
            _operation(
                "commit",
                _element("confirmed") if confirmed else None,
                None if timeout_s is None else _element("confirm-timeout", str(timeout_s)),
                None if persist is None else _element("persist", persist),
                None if persist_id is None else _element("persist-id", persist_id),
            )
        )

    async def cancel_commit(self, persist_id: str | None = None) -> None:
        await self.rpc(_operation("cancel-commit", None if persist_id is None else _element("persist-id", persist_id)))

    async def discard_changes(self) -> None:
        await self.rpc(_operation("discard-changes"))

    async def lock(self, target: str) -> None:
        await self.rpc(_operation("lock", _holder("target", target)))

    async def unlock(self, target: str) -> None:
        await self.rpc(_operation("unlock", _holder("target", target)))

    async def rpc(self, operation: etree._Element) -> etree._Element:
        """Send one operation; returns the <rpc-reply>, raises what its errors mean."""
        reply = await self._in_thread(lambda: self._exchange(operation))
        errors = [_read_error(entry) for entry in reply.iter(f"{{{BASE}}}rpc-error") if _is_error(entry)]
        if errors:
            name = etree.QName(operation).localname
            first = errors[0]
            kind = DeviceLocked if first.tag in ("lock-denied", "in-use") else DeviceRejected
            text = f"{self.address.host}:{self.address.port} refused {name}: {first.tag}: {first.message}"
            if kind is DeviceLocked:
                raise DeviceLocked(text, tag=first.tag)
            raise DeviceRejected(text, errors, tag=first.tag, path=first.path)
        return reply

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _connect(self) -> None:
        address = self.address
        where = f"{address.host}:{address.port}"
        try:
            self._manager = manager.connect_ssh(
                host=address.host,
                port=address.port,
                username=address.username,
                key_filename=str(address.private_key_file),
                hostkey_b64=_host_key_base64(address.host_public_key),
                allow_agent=False,
                look_for_keys=False,
                ssh_config=None,
                timeout=address.timeout_s,
            )
        except AuthenticationError as error:
            raise NotAuthenticated(f"{where} did not accept the key of {address.username!r}") from error
        except (SSHError, SessionCloseError, TransportError, OSError, EOFError) as error:
            raise DeviceUnreachable(f"{where} is not reachable over NETCONF/SSH: {error}") from error
        self._manager.timeout = address.timeout_s

    def _disconnect(self) -> None:
        if self._manager is None:
            return
        session, self._manager = self._manager._session, None
        # Not close-session: that waits for an answer that a dead device never gives (it leaks a thread and a socket).
        session.close()

    def _exchange(self, operation: etree._Element) -> etree._Element:
        where = f"{self.address.host}:{self.address.port}"
        if self._manager is None or not self._manager.connected:
            raise DeviceUnreachable(f"no session to {where}")
        rpc = _RawRpc(self._manager._session, self._manager._device_handler, timeout=self.address.timeout_s)
        try:
            reply = rpc.request(operation)
        except (TimeoutExpiredError, SessionCloseError, TransportError, OSError, EOFError) as error:
            self._disconnect()
            raise DeviceInDoubt(
                f"{where} did not answer {etree.QName(operation).localname}: read back what it did"
            ) from error
        reply.parse()
        root: etree._Element = reply._root
        return root


def _element(name: str, text: str | None = None) -> etree._Element:
    element = etree.Element(f"{{{BASE}}}{name}")
    element.text = text
    return element


def _holder(role: str, datastore: str) -> etree._Element:
    element = _element(role)
    element.append(_element(datastore))
    return element


def _filter(subtree: etree._Element | None) -> etree._Element | None:
    if subtree is None:
        return None
    element = _element("filter")
    element.set("type", "subtree")
    element.append(subtree)
    return element


def _operation(name: str, *children: etree._Element | None) -> etree._Element:
    element = _element(name)
    element.extend([child for child in children if child is not None])
    return element


def _data(reply: etree._Element) -> etree._Element:
    data = reply.find(f"{{{BASE}}}data")
    if data is None:
        raise DeviceRejected("the reply holds no <data>")
    return data


def _is_error(entry: etree._Element) -> bool:
    return (entry.findtext(f"{{{BASE}}}error-severity") or "error").strip() != "warning"


def _read_error(entry: etree._Element) -> RpcError:
    def text(name: str) -> str | None:
        found = entry.findtext(f"{{{BASE}}}{name}")
        return None if found is None else found.strip()

    info = entry.find(f"{{{BASE}}}error-info")
    return RpcError(
        text("error-tag") or "operation-failed",
        text("error-message") or "",
        error_type=text("error-type") or "application",
        path=text("error-path"),
        app_tag=text("error-app-tag"),
        info=[(etree.QName(child).localname, child.text or "") for child in (() if info is None else info)],
    )


def _host_key_base64(openssh_text: str) -> str:
    asyncssh.import_public_key(openssh_text)
    return openssh_text.split()[1]
