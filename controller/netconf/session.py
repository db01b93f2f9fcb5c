"""One NETCONF session: hello, then one RPC after the other (RFC 6241 §4, §8.1)."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from lxml import etree

from controller.domain.errors import GeysersError
from controller.netconf.device import BASE, RpcError, SessionInfo
from controller.netconf.framing import (
    ChunkDecoder,
    Decoder,
    EndOfMessageDecoder,
    FramingError,
    frame_chunked,
    frame_end_of_message,
)
from controller.netconf.instances import elements

log = structlog.get_logger()
BASE_1_0 = "urn:ietf:params:netconf:base:1.0"
BASE_1_1 = "urn:ietf:params:netconf:base:1.1"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
_Result = TypeVar("_Result")
RPC = f"{{{BASE}}}rpc"
MAX_IN_SCOPE = 256
"""Namespace declarations that hold at one place of a message, and attributes of <rpc>."""


class Stream(Protocol):
    """The transport under a session: an SSH channel."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    async def read(self, count: int) -> bytes:
        """Up to `count` bytes; empty at the end."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """Written, and not taken by the peer yet."""
        ...


Handler = Callable[["Session", etree._Element], Awaitable[Sequence[etree._Element] | None]]
"""Serves one operation element; None answers <ok/>."""


class Session:
    """Talks to one client until either side ends."""

    def __init__(
        self,
        info: SessionInfo,
        stream: Stream,
        capabilities: Sequence[str],
        handler: Handler,
        *,
        message_limit_bytes: int,
        hello_timeout_s: float,
        write_timeout_s: float,
    ) -> None:
        self.info = info
        self.closing = asyncio.Event()
        self.subscribed: str | None = None
        self._stream = stream
        self._capabilities = capabilities
        self._handler = handler
        self._message_limit_bytes = message_limit_bytes
        self._hello_timeout_s = hello_timeout_s
        self._write_timeout_s = write_timeout_s
        self._frame = frame_end_of_message
        self._write_turn = asyncio.Lock()
        self._unsent_limit_bytes = message_limit_bytes

    async def run(self) -> None:
        """Serve until the client closes, breaks the framing, or `closing` is set."""
        try:
            await self._serve()
        except FramingError as error:
            # RFC 6242 §4.2: after a framing error the session must be closed.
            log.info("framing error", session=self.info.session_id, peer=self.info.peer, error=str(error))
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError) as error:
            log.info("session lost", session=self.info.session_id, error=str(error))

    async def send(self, message: etree._Element) -> None:
        """Send one message, whole; wait until the peer takes it, or the session is to end.

        Raises TimeoutError when the peer takes nothing for too long.
        """
        async with self._write_turn:
            self._write(message)
            # The last reply before an end is not waited for: a peer that does not read must not keep its locks.
            async with asyncio.timeout(self._write_timeout_s):
                await self._unless_closing(self._stream.drain())

    def notify(self, event: etree._Element, event_time: str) -> None:
        """Send a notification (RFC 5277 §4); a subscriber that does not take them loses its session."""
        if self._stream.unsent_bytes > self._unsent_limit_bytes:
            log.info("subscriber does not read", session=self.info.session_id, peer=self.info.peer)
            self.closing.set()
        if self.closing.is_set():
            return
        message = etree.Element(f"{{{NOTIFICATION}}}notification")
        etree.SubElement(message, f"{{{NOTIFICATION}}}eventTime").text = event_time
        message.append(copy.deepcopy(event))
        self._write(message)

    def _write(self, message: etree._Element) -> None:
        self._stream.write(self._frame(etree.tostring(message, xml_declaration=False, encoding="UTF-8")))

    async def _serve(self) -> None:
        await self.send(self._hello())
        decoder: Decoder = EndOfMessageDecoder(self._message_limit_bytes)
        waiting: list[bytes] = []
        async with asyncio.timeout(self._hello_timeout_s):
            while not waiting:
                data = await self._read()
                if not data:
                    return
                for message in decoder.feed(data):
                    waiting.append(message)
                    break
        if self._accept_hello(waiting.pop(0)):
            rest, decoder = decoder.rest(), ChunkDecoder(self._message_limit_bytes)
            self._frame = frame_chunked
        else:
            rest = b""
            # Further 1.0 messages may already be buffered in the decoder; an empty feed hands them out.
        data = rest
        while not self.closing.is_set():
            for message in decoder.feed(data):
                await self._answer(message)
                if self.closing.is_set():
                    return
            data = await self._read()
            if not data:
                return

    async def _read(self) -> bytes:
        """Bytes from the peer, or nothing once the session is to end."""
        return await self._unless_closing(self._stream.read(65536)) or b""

    async def _unless_closing(self, work: Coroutine[Any, Any, _Result]) -> _Result | None:
        """What `work` gives; None once the session is to end."""
        working = asyncio.ensure_future(work)
        closing = asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait((working, closing), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            closing.cancel()
            working.cancel()

    def _hello(self) -> etree._Element:
        hello = etree.Element(f"{{{BASE}}}hello", nsmap=_default_namespace())
        listed = etree.SubElement(hello, f"{{{BASE}}}capabilities")
        for capability in self._capabilities:
            etree.SubElement(listed, f"{{{BASE}}}capability").text = capability
        etree.SubElement(hello, f"{{{BASE}}}session-id").text = str(self.info.session_id)
        return hello

    def _accept_hello(self, message: bytes) -> bool:
        """True when both sides speak base 1.1."""
        root = parse(message)
        if root.tag != f"{{{BASE}}}hello" or root.find(f"{{{BASE}}}session-id") is not None:
            # RFC 6241 §8.1: a client that sends a session-id, or no hello first, is cut off.
            raise FramingError("the first message is no client <hello>")
        offered = {(entry.text or "").strip() for entry in root.iter(f"{{{BASE}}}capability")}
        if BASE_1_1 in offered:
            return True
        if BASE_1_0 in offered:
            return False
        raise FramingError("no base capability in common")

    async def _answer(self, message: bytes) -> None:
        reply = etree.Element(f"{{{BASE}}}rpc-reply", nsmap=_default_namespace())
        try:
            root = parse(message)
        except FramingError as error:
            # RFC 6241 §4.3: malformed-message, base 1.1 only.
            reply.append(RpcError("malformed-message", str(error), error_type="rpc").element())
            await self.send(reply)
            self.closing.set()
            return
        for name, value in root.attrib.items():
            # RFC 6241 §4.2: all attributes of <rpc> come back in <rpc-reply>.
            reply.set(name, value)
        try:
            result = await self._dispatch(root)
        except RpcError as error:
            reply.append(error.element())
        except GeysersError as error:
            reply.append(RpcError("operation-failed", error.message).element())
        except Exception:
            log.exception("bug in an operation", session=self.info.session_id)
            reply.append(RpcError("operation-failed", "internal error").element())
        else:
            if result is None:
                etree.SubElement(reply, f"{{{BASE}}}ok")
            for element in result or ():
                reply.append(element)
        await self.send(reply)

    async def _dispatch(self, root: etree._Element) -> Sequence[etree._Element] | None:
        if root.tag != RPC:
            raise RpcError("unknown-element", f"{root.tag} is no <rpc>", error_type="rpc")
        if root.get("message-id") is None:
            raise RpcError(
                "missing-attribute",
                "<rpc> lacks message-id",
                error_type="rpc",
                info=[("bad-attribute", "message-id"), ("bad-element", "rpc")],
            )
        operations = list(elements(root))
        if len(operations) != 1:
            raise RpcError("missing-element", "<rpc> must hold exactly one operation", error_type="rpc")
        return await self._handler(self, operations[0])


def parse(message: bytes) -> etree._Element:
    """Parse a message from outside: no DOCTYPE, no entities, no network, bounded depth and text."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        root = etree.fromstring(message.strip(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise FramingError(f"not well-formed: {error}") from error
    info: Any = root.getroottree().docinfo
    if info.doctype:
        raise FramingError("a DOCTYPE is not accepted")
    if len(root.attrib) > MAX_IN_SCOPE:
        raise FramingError(f"the message has more than {MAX_IN_SCOPE} attributes")
    if message.count(b"xmlns") > MAX_IN_SCOPE:
        _deny_many_namespaces(root)
    return root


def _deny_many_namespaces(root: etree._Element) -> None:
    """Each look at a value with a prefix costs as much as there are namespaces in scope."""
    in_scope = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        in_scope += 1 if event == "start-ns" else -1
        if in_scope > MAX_IN_SCOPE:
            raise FramingError(f"more than {MAX_IN_SCOPE} namespaces in scope")


def _default_namespace() -> dict[str, str]:
    namespaces: dict[str | None, str] = {None: BASE}
    return namespaces  # type: ignore[return-value]  # lxml's types do not know the default namespace
