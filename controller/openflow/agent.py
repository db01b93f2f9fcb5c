"""The agent process: line JSON over an inherited socket in, OpenFlow out; it ends when the other end does.

`python -m controller.openflow.agent --descriptor N --switch HOST:PORT …`
A request {"id", "command", "arguments", "deadline_s"} is answered by {"id", "ok", "result" | "error", "message"}.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from controller.domain.errors import (
    AlreadyExists,
    DeviceInDoubt,
    DeviceRejected,
    DeviceUnreachable,
    GeysersError,
    InvalidRequest,
    NotFound,
)
from controller.openflow import osken_app, steering
from controller.openflow.steering import LAN_PORT_NAME, Steering, steering_cookie
from controller.openflow.tunnel import Tunnels

log = logging.getLogger(__name__)
MAX_LINE_BYTES = 1 << 16
STOP_GRACE_S = 1.0


class Link:
    """One connected switch, seen from the event loop."""

    def __init__(self, datapath: Any) -> None:
        self.datapath = datapath
        self.clli = ""
        self.ports: dict[int, str] = {}
        self.lock = asyncio.Lock()
        self.waiting: dict[int, asyncio.Future[list[Any]]] = {}
        self.errors: dict[int, Any] = {}
        self.parts: dict[int, list[Any]] = {}

    async def ask(self, request: Any) -> list[Any]:
        """Send one request; the collected body of its answer."""
        xid = self.datapath.set_xid(request)
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.waiting[xid] = answer
        try:
            await self.send(request)
            return await answer
        finally:
            self.waiting.pop(xid, None)
            self.parts.pop(xid, None)

    async def send(self, message: Any) -> None:
        """Queue one message; off the loop, since os-ken's queue of 16 blocks."""
        sent = await asyncio.get_running_loop().run_in_executor(None, self.datapath.send_msg, message)
        if not sent:
            raise DeviceUnreachable(f"the switch at {self.clli or 'an unknown place'} has gone: wait until it is back")

    async def commit(self, mods: list[Any], undo: list[Any]) -> None:
        """Send FLOW_MODs and a barrier; raise what the switch refused of them, after `undo` took back the others."""
        refusal = await self._refusal(mods)
        if refusal is None:
            return
        try:
            left = await self._refusal(undo) if undo else None
        except GeysersError as error:
            left = error
        if left is not None:
            raise DeviceInDoubt(f"{refusal.message}; part of it may be left: read it back ({left.message})")
        raise refusal

    async def _refusal(self, mods: list[Any]) -> GeysersError | None:
        xids = []
        for mod in mods:
            xids.append(self.datapath.set_xid(mod))
            await self.send(mod)
        await self.ask(self.datapath.ofproto_parser.OFPBarrierRequest(self.datapath))
        refused = [error for xid in xids if (error := self.errors.pop(xid, None)) is not None]
        for error in refused:
            if (error.type, error.code) == (5, 3):
                return AlreadyExists(f"{self.clli}: the client port or the VLAN is steered already: delete that first")
            return DeviceRejected(f"{self.clli}: the switch refused a flow (type {error.type}, code {error.code})")
        return None

    async def flows(self) -> list[Any]:
        """All flows of the switch, read back."""
        parser, protocol = self.datapath.ofproto_parser, self.datapath.ofproto
        return await self.ask(parser.OFPFlowStatsRequest(
            self.datapath, 0, protocol.OFPTT_ALL, protocol.OFPP_ANY, protocol.OFPG_ANY, 0, 0, parser.OFPMatch()
        ))  # fmt: skip


class Agent:
    """The commands, over all switches."""

    def __init__(self, switch_count: int) -> None:
        self._switch_count = switch_count
        self._links: dict[Any, Link] = {}
        self._changed = asyncio.Condition()
        self._notices: set[asyncio.Task[None]] = set()

    def receive(self, kind: str, datapath: Any, message: Any) -> None:
        """Take what the os-ken threads hand over, in the loop's thread."""
        if kind == "dead":
            link = self._links.pop(datapath, None)
            for answer in link.waiting.values() if link else ():
                if not answer.done():
                    answer.set_exception(DeviceInDoubt("the switch went before it answered: read it back"))
            return
        link = self._links.setdefault(datapath, Link(datapath))
        if kind == "ports":
            link.ports.update({port.port_no: port.name.rstrip(b"\0").decode(errors="replace") for port in message.body})
        elif kind == "description":
            text = message.body.dp_desc.rstrip(b"\0").decode(errors="replace")
            link.clli = text.removeprefix("clli:") if text.startswith("clli:") else ""
            notice = asyncio.get_running_loop().create_task(self._notify())
            self._notices.add(notice)
            notice.add_done_callback(self._notices.discard)
        elif kind == "error":
            link.errors[message.xid] = message
            self._finish(link, message.xid, DeviceRejected(f"error type {message.type}, code {message.code}"))
        elif kind == "flows":
            link.parts.setdefault(message.xid, []).extend(message.body)
            if not message.flags & 1:
                self._finish(link, message.xid, link.parts[message.xid])
        else:
            self._finish(link, message.xid, [])

    def _finish(self, link: Link, xid: int, outcome: list[Any] | GeysersError) -> None:
        answer = link.waiting.get(xid)
        if answer is None or answer.done():
            return
        if isinstance(outcome, GeysersError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _known(self) -> list[Link]:
        return [link for link in self._links.values() if link.clli]

    async def _link(self, clli: str) -> Link:
        """Find the switch at `clli`; wait for it while a switch is still missing."""

        def found() -> Link | None:
            return next((link for link in self._known() if link.clli == clli), None)

        async with self._changed:
            await self._changed.wait_for(lambda: found() is not None or len(self._known()) >= self._switch_count)
        link = found()
        if link is None:
            raise NotFound(f"no edge switch at {clli}: use a CLLI that list_switches shows", clli=clli)
        return link

    async def list_switches(self) -> list[dict[str, Any]]:
        return [
            {"dpid": link.datapath.id, "clli": link.clli, "ports": {name: n for n, name in link.ports.items()}}
            for link in sorted(self._known(), key=lambda link: link.clli)
        ]

    async def put_steering(
        self, *, id: str, clli: str, client_port: str, vlan_id: int, tagged: bool = False
    ) -> dict[str, Any]:
        if isinstance(vlan_id, bool) or not isinstance(vlan_id, int) or not 1 <= vlan_id <= 4094:
            raise InvalidRequest(f"vlan_id {vlan_id!r}: give a whole number from 1 to 4094", vlan_id=vlan_id)
        wanted = Steering(steering_cookie(id), client_port, vlan_id, tagged)
        link = await self._link(clli)
        async with link.lock:
            numbers = {name: number for number, name in link.ports.items()}
            if client_port not in numbers or client_port == LAN_PORT_NAME:
                raise NotFound(f"{clli} has no client port {client_port}: use one that list_switches shows")
            flows = await link.flows()
            if wanted in steering.read_back(flows, link.ports):
                return dataclasses.asdict(wanted)
            for flow in flows:
                theirs = (flow.match.get("in_port"), flow.match.get("vlan_vid", 0))
                ours = [(m["in_port"], m["vlan_vid"]) for m in
                        steering.matches(wanted, numbers[client_port], numbers[LAN_PORT_NAME])]  # fmt: skip
                if flow.cookie != wanted.cookie and theirs in ours:
                    raise AlreadyExists(f"{clli}: {client_port} or VLAN {vlan_id} is steered already: delete it")
            remove = steering.delete_mod(link.datapath, wanted.cookie)
            add = steering.flow_mods(link.datapath, wanted, numbers[client_port], numbers[LAN_PORT_NAME])
            await link.commit([remove, *add], undo=[steering.delete_mod(link.datapath, wanted.cookie)])
        return dataclasses.asdict(wanted)

    async def delete_steering(self, *, id: str, clli: str) -> None:
        link = await self._link(clli)
        async with link.lock:
            await link.commit([steering.delete_mod(link.datapath, steering_cookie(id))], undo=[])

    async def list_steering(self, *, clli: str) -> list[dict[str, Any]]:
        link = await self._link(clli)
        async with link.lock:
            return [dataclasses.asdict(found) for found in steering.read_back(await link.flows(), link.ports)]

    async def count_flows(self, *, clli: str) -> int:
        link = await self._link(clli)
        async with link.lock:
            return len(await link.flows())

    async def answer(self, line: bytes) -> dict[str, Any]:
        """Carry out one request line; never raises."""
        number: Any = None
        try:
            request = json.loads(line)
            number = request["id"]
            commands: dict[str, Callable[..., Awaitable[Any]]] = {
                "list_switches": self.list_switches, "put_steering": self.put_steering,
                "delete_steering": self.delete_steering, "list_steering": self.list_steering,
                "count_flows": self.count_flows,
            }  # fmt: skip
            async with asyncio.timeout(float(request.get("deadline_s", 10.0))):
                result = await commands[request["command"]](**request.get("arguments", {}))
        except GeysersError as error:
            return {"id": number, "ok": False, "error": type(error).__name__, "message": error.message}
        except TimeoutError:
            return {"id": number, "ok": False, **self._overdue(request)}
        except (ValueError, KeyError, TypeError) as error:
            return {"id": number, "ok": False, "error": "InvalidRequest", "message": f"unreadable request: {error!r}"}
        return {"id": number, "ok": True, "result": result}

    def _overdue(self, request: dict[str, Any]) -> dict[str, str]:
        clli = request.get("arguments", {}).get("clli", "")
        if any(link.clli == clli for link in self._known()):
            return {"error": "DeviceInDoubt", "message": f"the switch at {clli} did not answer in time: read it back"}
        return {"error": "DeviceUnreachable", "message": f"no switch at {clli} is connected: check its address"}


async def _serve(arguments: argparse.Namespace) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    addresses = [(host, int(port)) for host, _, port in (text.rpartition(":") for text in arguments.switch)]
    agent = Agent(len(addresses))

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def one(line: bytes) -> None:
            writer.write(json.dumps(await agent.answer(line)).encode() + b"\n")

        with contextlib.suppress(ConnectionError, ValueError):
            async with asyncio.TaskGroup() as requests:
                try:
                    while line := await reader.readline():
                        requests.create_task(one(line))
                finally:
                    stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def hand_over(kind: str, datapath: Any, message: Any) -> None:
        loop.call_soon_threadsafe(agent.receive, kind, datapath, message)

    osken_app.start(addresses, hand_over, Tunnels(loop, _tls_context(arguments)).open)
    reader, writer = await asyncio.open_unix_connection(
        sock=socket.socket(fileno=arguments.descriptor), limit=MAX_LINE_BYTES
    )
    serving = loop.create_task(session(reader, writer))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    # The session ends by itself once its socket does; asyncio would report a cancelled one as a fault.
    writer.close()
    await asyncio.wait([serving], timeout=STOP_GRACE_S)


def _tls_context(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    if arguments.tls_ca is None:
        return None
    context = ssl.create_default_context(cafile=arguments.tls_ca)
    context.load_cert_chain(arguments.tls_certificate, arguments.tls_key)
    return context


def main() -> None:
    """Run until SIGTERM, SIGINT, or the end of the parent."""
    parser = argparse.ArgumentParser(prog="controller.openflow.agent", description=__doc__)
    parser.add_argument("--switch", action="append", default=[], metavar="HOST:PORT", help="passive switch; repeatable")
    parser.add_argument("--descriptor", type=int, required=True, help="inherited stream socket to serve commands on")
    for name in ("ca", "certificate", "key"):
        parser.add_argument(f"--tls-{name}", type=Path, help="PEM file; all three for mutual TLS, none for tests")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    code = 1
    try:
        asyncio.run(_serve(parser.parse_args()))
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except Exception:
        log.exception("the agent failed")
    finally:
        # os-ken's threads cannot be stopped; a plain return would wait for them for ever.
        os._exit(code)


if __name__ == "__main__":
    main()
