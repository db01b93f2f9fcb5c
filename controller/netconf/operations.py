"""The protocol operations of one endpoint: elements in, elements out (RFC 6241 §7, RFC 6022, RFC 5277 §2.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from lxml import etree

from controller.netconf.datastore import DEFAULT_CONFIRM_TIMEOUT_S, Datastores
from controller.netconf.device import BASE, NetconfDevice, RpcError
from controller.netconf.filter import subtree
from controller.netconf.instances import elements
from controller.netconf.session import NOTIFICATION, Session

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
STREAMS_NS = "urn:ietf:params:xml:ns:netmod:notification"
Result = Sequence[etree._Element] | None


class Sessions(Protocol):
    """The endpoint's other sessions."""

    def find(self, session_id: int) -> Session | None: ...

    def all(self) -> Sequence[Session]: ...


class Operations:
    """Serves the operations of one endpoint."""

    def __init__(
        self, device: NetconfDevice, datastores: Datastores, sessions: Sessions, streams: Sequence[str]
    ) -> None:
        self._device = device
        self._stores = datastores
        self._sessions = sessions
        self._streams = tuple(streams)
        self._handlers: dict[str, Callable[[Session, etree._Element], Awaitable[Result]]] = {
            _q("get"): self._get,
            _q("get-config"): self._get_config,
            _q("edit-config"): self._edit_config,
            _q("copy-config"): self._copy_config,
            _q("lock"): self._lock,
            _q("unlock"): self._unlock,
            _q("validate"): self._validate,
            _q("commit"): self._commit,
            _q("cancel-commit"): self._cancel_commit,
            _q("discard-changes"): self._discard_changes,
            _q("close-session"): self._close_session,
            _q("kill-session"): self._kill_session,
            f"{{{MONITORING}}}get-schema": self._get_schema,
            f"{{{NOTIFICATION}}}create-subscription": self._create_subscription,
        }

    async def __call__(self, session: Session, operation: etree._Element) -> Result:
        handler = self._handlers.get(str(operation.tag))
        if handler is not None:
            return await handler(session, operation)
        name = etree.QName(operation)
        if operation.tag in self._device.engine.rpcs:
            answer = await self._device.rpc(operation, session.info)
            if answer is None:
                raise RpcError("operation-not-supported", f"{name.localname} is not supported by this device")
            return answer or None
        known = name.namespace in self._device.engine.namespaces or name.namespace == BASE
        raise RpcError(
            "unknown-element" if known else "unknown-namespace",
            f"operation {name.localname!r} in {name.namespace!r} is not known here",
            error_type="protocol",
            info=[("bad-element", name.localname)] + ([] if known else [("bad-namespace", name.namespace or "")]),
        )

    async def _get(self, session: Session, operation: etree._Element) -> Result:
        everything = await self._device.operational(self._stores.running)
        everything.append(self._monitoring())
        everything.append(self._stream_list())
        return [await self._filtered(everything, operation)]

    async def _get_config(self, session: Session, operation: etree._Element) -> Result:
        return [await self._filtered(self._stores.source(_datastore(operation, "source")), operation)]

    async def _edit_config(self, session: Session, operation: etree._Element) -> Result:
        target = _datastore(operation, "target")
        config = operation.find(_q("config"))
        if config is None:
            raise _missing("config")
        option = (operation.findtext(_q("error-option")) or "stop-on-error").strip()
        test = (operation.findtext(_q("test-option")) or "test-then-set").strip()
        if option not in ("stop-on-error", "continue-on-error", "rollback-on-error"):
            raise _bad_value("error-option", option, "stop-on-error, continue-on-error or rollback-on-error")
        if test not in ("test-then-set", "set", "test-only"):
            raise _bad_value("test-option", test, "test-then-set, set or test-only")
        if test == "test-only":
            raise RpcError(
                "operation-not-supported", "test-only: use <validate> on the candidate", error_type="protocol"
            )
        default = (operation.findtext(_q("default-operation")) or "merge").strip()
        # An edit is applied whole or not at all, which satisfies every error-option.
        await self._stores.edit(session.info, target, list(elements(config)), default)
        return None

    async def _copy_config(self, session: Session, operation: etree._Element) -> Result:
        content = self._stores.source(_datastore(operation, "source"))
        await self._stores.replace(session.info, _datastore(operation, "target"), content)
        return None

    async def _lock(self, session: Session, operation: etree._Element) -> Result:
        await self._stores.lock(session.info, _datastore(operation, "target"))
        return None

    async def _unlock(self, session: Session, operation: etree._Element) -> Result:
        await self._stores.unlock(session.info, _datastore(operation, "target"))
        return None

    async def _validate(self, session: Session, operation: etree._Element) -> Result:
        await self._stores.validate(session.info, self._stores.source(_datastore(operation, "source")))
        return None

    async def _commit(self, session: Session, operation: etree._Element) -> Result:
        timeout = (operation.findtext(_q("confirm-timeout")) or str(DEFAULT_CONFIRM_TIMEOUT_S)).strip()
        timeout_s = _number(timeout)
        if timeout_s is None or timeout_s < 1:
            raise _bad_value("confirm-timeout", timeout, "seconds, 1 to 4294967295")
        await self._stores.commit(
            session.info,
            confirmed=operation.find(_q("confirmed")) is not None,
            timeout_s=timeout_s,
            persist=_optional(operation, "persist"),
            persist_id=_optional(operation, "persist-id"),
        )
        return None

    async def _cancel_commit(self, session: Session, operation: etree._Element) -> Result:
        await self._stores.cancel_commit(session.info, _optional(operation, "persist-id"))
        return None

    async def _discard_changes(self, session: Session, operation: etree._Element) -> Result:
        await self._stores.discard(session.info)
        return None

    async def _close_session(self, session: Session, operation: etree._Element) -> Result:
        session.closing.set()
        return None

    async def _kill_session(self, session: Session, operation: etree._Element) -> Result:
        text = (operation.findtext(_q("session-id")) or "").strip()
        number = _number(text)
        if number is None:
            raise _bad_value("session-id", text, "the number of another session")
        other = self._sessions.find(number)
        if number == session.info.session_id or other is None:
            raise RpcError(
                "invalid-value", f"session {text} cannot be killed: no such other session", error_type="protocol"
            )
        if other.info.username != session.info.username:
            raise RpcError("access-denied", f"session {text} belongs to another user", error_type="protocol")
        other.closing.set()
        return None

    async def _get_schema(self, session: Session, operation: etree._Element) -> Result:
        wanted = (operation.findtext(f"{{{MONITORING}}}identifier") or "").strip()
        version = (operation.findtext(f"{{{MONITORING}}}version") or "").strip()
        for module in self._device.engine.modules:
            if module.name == wanted and version in ("", module.revision):
                data = etree.Element(f"{{{MONITORING}}}data")
                data.text = module.source
                return [data]
        raise RpcError("invalid-value", f"no schema {wanted!r} {version!r} here: see /netconf-state/schemas")

    async def _create_subscription(self, session: Session, operation: etree._Element) -> Result:
        stream = (operation.findtext(f"{{{NOTIFICATION}}}stream") or "NETCONF").strip()
        if stream not in self._streams:
            raise RpcError("invalid-value", f"no stream {stream!r}: there is {', '.join(self._streams)}")
        if operation.find(f"{{{NOTIFICATION}}}startTime") is not None:
            raise RpcError("operation-not-supported", "this stream keeps no replay log: leave startTime out")
        if session.subscribed is not None:
            raise RpcError("operation-failed", "this session has a subscription already", error_type="protocol")
        session.subscribed = stream
        return None

    async def _filtered(self, data: etree._Element, operation: etree._Element) -> etree._Element:
        chosen = operation.find(_q("filter"))
        kind = "subtree" if chosen is None else chosen.get("type") or chosen.get(_q("type")) or "subtree"
        if kind != "subtree":
            raise RpcError(
                "bad-attribute",
                f"filter type {kind!r}: only subtree is supported",
                error_type="protocol",
                info=[("bad-attribute", "type"), ("bad-element", "filter")],
            )
        result = data if chosen is None else await self._selected(data, chosen)
        reply = etree.Element(_q("data"))
        for child in elements(result):
            reply.append(_detached(child))
        return reply

    async def _selected(self, data: etree._Element, chosen: etree._Element) -> etree._Element:
        whole, wanted = etree.tostring(data), etree.tostring(chosen, with_tail=False)

        def work() -> bytes:
            return etree.tostring(subtree(etree.fromstring(whole), etree.fromstring(wanted), self._device.engine.roots))

        return etree.fromstring(await self._stores.off_loop(work))

    def _monitoring(self) -> etree._Element:
        state = etree.Element(f"{{{MONITORING}}}netconf-state", nsmap=_as_default(MONITORING))
        schemas = _sub(state, "schemas")
        for module in self._device.engine.modules:
            entry = _sub(schemas, "schema")
            _sub(entry, "identifier", module.name)
            _sub(entry, "version", module.revision)
            _sub(entry, "format", "yang")
            _sub(entry, "namespace", module.namespace)
            _sub(entry, "location", "NETCONF")
        sessions = _sub(state, "sessions")
        for session in self._sessions.all():
            entry = _sub(sessions, "session")
            _sub(entry, "session-id", str(session.info.session_id))
            _sub(entry, "transport", "netconf-ssh")
            _sub(entry, "username", session.info.username)
        return state

    def _stream_list(self) -> etree._Element:
        root = etree.Element(f"{{{STREAMS_NS}}}netconf", nsmap=_as_default(STREAMS_NS))
        streams = etree.SubElement(root, f"{{{STREAMS_NS}}}streams")
        for name in self._streams:
            entry = etree.SubElement(streams, f"{{{STREAMS_NS}}}stream")
            etree.SubElement(entry, f"{{{STREAMS_NS}}}name").text = name
            etree.SubElement(entry, f"{{{STREAMS_NS}}}description").text = f"{name} events"
            etree.SubElement(entry, f"{{{STREAMS_NS}}}replaySupport").text = "false"
        return root


def _q(name: str) -> str:
    return f"{{{BASE}}}{name}"


def _sub(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, f"{{{MONITORING}}}{name}")
    child.text = text
    return child


def _as_default(namespace: str) -> Any:
    return {None: namespace}


def _detached(element: etree._Element) -> etree._Element:
    """A copy, because an lxml element has one parent and the datastore must keep its own."""
    return etree.fromstring(etree.tostring(element, with_tail=False))


def _optional(operation: etree._Element, name: str) -> str | None:
    found = operation.findtext(_q(name))
    return None if found is None else found.strip()


def _number(text: str) -> int | None:
    """A YANG uint32; None when `text` is none. Python's own notion of a digit is wider, "²" among others."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return None
    return number if (number := int(text)) <= 0xFFFF_FFFF else None


def _datastore(operation: etree._Element, role: str) -> str:
    holder = operation.find(_q(role))
    children = [] if holder is None else list(elements(holder))
    if len(children) != 1:
        raise _missing(role)
    name = etree.QName(children[0]).localname
    if name not in ("running", "candidate"):
        raise RpcError(
            "operation-not-supported",
            f"<{role}> {name!r}: this server has running and candidate",
            error_type="protocol",
            info=[("bad-element", name)],
        )
    return name


def _missing(name: str) -> RpcError:
    return RpcError("missing-element", f"<{name}> is missing", error_type="protocol", info=[("bad-element", name)])


def _bad_value(name: str, value: str, mend: str) -> RpcError:
    return RpcError(
        "invalid-value", f"{name} {value!r}: use {mend}", error_type="protocol", info=[("bad-element", name)]
    )
