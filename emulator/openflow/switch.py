"""The edge switch at work: it listens like OVS with `ptcp:`, and every controller that connects is a session.

    listener ──▶ session (one task per controller: HELLO, then requests in order) ──▶ FlowTable
Roles (§6.3.5): a MASTER demotes the former one to SLAVE; a SLAVE reads but does not write.
"""

import asyncio
import contextlib
import hashlib
import logging
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from emulator.openflow import codec
from emulator.openflow.codec import HEADER, MessageType, Multipart, OpenFlowError, SwitchPort, frame, refuse
from emulator.openflow.table import FlowTable
from emulator.tls import TlsFiles, is_provider

log = logging.getLogger(__name__)

LAN_PORT = 100
HELLO_TIMEOUT_S = 10.0
MAX_MULTIPART_BODY = 60_000
NO_CHANGE, EQUAL, MASTER, SLAVE = 0, 1, 2, 3
SEND_FLOW_REMOVED = 1


class Switch:
    """What the sessions share: identity, ports, table, the master's generation."""

    def __init__(self, name: str, clli: str, client_ports: Sequence[str], directory: Path) -> None:
        digest = hashlib.sha256(name.encode()).digest()
        self.name = name
        self.clli = clli
        self.datapath_id = int.from_bytes(b"\0\0" + digest[:6], "big")
        names = [*enumerate(client_ports, start=1), (LAN_PORT, "LAN")]
        self.ports = [SwitchPort(n, label, b"\x02" + digest[6:9] + struct.pack("!H", n)) for n, label in names]
        self.table = FlowTable(directory / "flows.json", [port.number for port in self.ports])
        self.generation_id: int | None = None
        self.sessions: set[Session] = set()

    def description(self) -> bytes:
        """§7.3.5.1; `dp_desc` carries the location key."""
        texts = ("GEYSERS", "edge switch", "1.0", self.name, f"clli:{self.clli}")
        return struct.pack("!256s256s256s32s256s", *(text.encode() for text in texts))


class Session:
    """One controller's connection."""

    def __init__(self, switch: Switch, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._switch = switch
        self._reader = reader
        self._writer = writer
        self._role = EQUAL
        self._miss_length = 128
        self._config_flags = 0
        self._handlers: dict[int, Callable[[int, bytes], None]] = {
            MessageType.HELLO: lambda xid, body: None,
            MessageType.ERROR: lambda xid, body: None,
            MessageType.ECHO_REPLY: lambda xid, body: None,
            MessageType.ECHO_REQUEST: lambda xid, body: self._send(MessageType.ECHO_REPLY, xid, body),
            MessageType.FEATURES_REQUEST: self._features,
            MessageType.GET_CONFIG_REQUEST: self._get_config,
            MessageType.SET_CONFIG: self._set_config,
            MessageType.FLOW_MOD: self._flow_mod,
            MessageType.MULTIPART_REQUEST: self._multipart,
            MessageType.BARRIER_REQUEST: lambda xid, body: self._send(MessageType.BARRIER_REPLY, xid),
            MessageType.ROLE_REQUEST: self._set_role,
        }

    async def run(self) -> None:
        """Serve until the controller goes or speaks nonsense."""
        self._writer.write(codec.pack_hello(0))
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            version, kind, xid, raw = await self._read()
        if kind != MessageType.HELLO or not codec.hello_agrees(version, raw[HEADER.size :]):
            error = refuse(codec.HELLO_INCOMPATIBLE, "OpenFlow 1.4 only")
            self._writer.write(codec.pack_error(xid, error, b"this switch speaks OpenFlow 1.4 (0x05) only"))
            await self._writer.drain()
            return
        self._switch.sessions.add(self)
        while True:
            version, kind, xid, raw = await self._read()
            self._answer(version, kind, xid, raw)
            await self._writer.drain()

    async def _read(self) -> tuple[int, int, int, bytes]:
        head = await self._reader.readexactly(HEADER.size)
        version, kind, length, xid = HEADER.unpack(head)
        if length < HEADER.size:
            raise ConnectionError(f"frame of {length} octets")
        return version, kind, xid, head + await self._reader.readexactly(length - HEADER.size)

    def _answer(self, version: int, kind: int, xid: int, raw: bytes) -> None:
        try:
            if version != codec.VERSION:
                raise refuse(codec.BAD_VERSION, "the connection speaks OpenFlow 1.4")
            handler = self._handlers.get(kind)
            if handler is None:
                raise refuse(codec.BAD_TYPE, f"message type {kind} is not supported")
            handler(xid, raw[HEADER.size :])
        except OpenFlowError as error:
            self._writer.write(codec.pack_error(xid, error, raw))

    def _send(self, kind: int, xid: int, body: bytes = b"") -> None:
        self._writer.write(frame(kind, xid, body))

    def notify(self, message: bytes) -> None:
        """Send an asynchronous message, which slaves do not get."""
        if self._role != SLAVE:
            self._writer.write(message)

    def _features(self, xid: int, body: bytes) -> None:
        capabilities = 1 | 1 << 1  # FLOW_STATS, TABLE_STATS (§7.3.1)
        reply = struct.pack("!QIBB2xII", self._switch.datapath_id, 0, 1, 0, capabilities, 0)
        self._send(MessageType.FEATURES_REPLY, xid, reply)

    def _get_config(self, xid: int, body: bytes) -> None:
        self._send(MessageType.GET_CONFIG_REPLY, xid, struct.pack("!HH", self._config_flags, self._miss_length))

    def _set_config(self, xid: int, body: bytes) -> None:
        if len(body) != 4:
            raise refuse(codec.BAD_LENGTH, "SET_CONFIG carries 4 octets")
        self._config_flags, self._miss_length = struct.unpack("!HH", body)

    def _flow_mod(self, xid: int, body: bytes) -> None:
        if self._role == SLAVE:
            raise refuse(codec.IS_SLAVE, "a slave does not write")
        removed = self._switch.table.apply(codec.parse_flow_mod(body))
        for flow in removed:
            if flow.flags & SEND_FLOW_REMOVED:
                message = codec.pack_flow_removed(flow, self._switch.table.age_ns(flow))
                for session in self._switch.sessions:
                    session.notify(message)

    def _set_role(self, xid: int, body: bytes) -> None:
        if len(body) != 16:
            raise refuse(codec.BAD_LENGTH, "ROLE_REQUEST carries 16 octets")
        role, generation = struct.unpack("!I4xQ", body)
        if role > SLAVE:
            raise refuse(codec.BAD_ROLE, f"role {role}")
        if role in (MASTER, SLAVE):
            known = self._switch.generation_id
            # §6.3.5: generations are compared modulo 2^64, as a signed distance.
            if known is not None and (generation - known) % (1 << 64) >= 1 << 63:
                raise refuse(codec.ROLE_STALE, "a newer master is known")
            self._switch.generation_id = generation
        if role == MASTER:
            for session in self._switch.sessions - {self}:
                session.demote()
        if role != NO_CHANGE:
            self._role = role
        generation = self._switch.generation_id if self._switch.generation_id is not None else (1 << 64) - 1
        self._send(MessageType.ROLE_REPLY, xid, struct.pack("!I4xQ", self._role, generation))

    def demote(self) -> None:
        """Make a master a slave, since another became master."""
        if self._role == MASTER:
            self._role = SLAVE

    def _multipart(self, xid: int, body: bytes) -> None:
        if len(body) < 8:
            raise refuse(codec.BAD_LENGTH, "MULTIPART_REQUEST carries at least 8 octets")
        kind, flags = struct.unpack_from("!HH", body)
        if flags & 1 or kind not in set(Multipart):
            raise refuse(codec.BAD_MULTIPART, f"multipart {kind} is not supported")
        switch = self._switch
        if kind == Multipart.DESC:
            parts = [switch.description()]
        elif kind == Multipart.PORT_DESC:
            parts = [codec.pack_port(port) for port in switch.ports]
        elif kind == Multipart.TABLE:
            parts = [struct.pack("!B3xIQQ", 0, len(switch.table), 0, 0)]
        else:
            parts = self._flow_stats(body[8:])
        self._reply_in_parts(xid, kind, parts)

    def _flow_stats(self, body: bytes) -> list[bytes]:
        if len(body) < 32:
            raise refuse(codec.BAD_LENGTH, "flow statistics request")
        table_id, out_port, _, cookie, mask = struct.unpack_from("!B3xII4xQQ", body)
        match, _ = codec.parse_match(body, 32)
        if table_id not in (0, codec.ALL_TABLES):
            return []
        table = self._switch.table
        return [codec.pack_flow_stats(f, table.age_ns(f)) for f in table.select(match, out_port, cookie, mask)]

    def _reply_in_parts(self, xid: int, kind: int, parts: Sequence[bytes]) -> None:
        """Split at entries: a frame's length has 16 bits; all but the last carry OFPMPF_REPLY_MORE."""
        chunks = [b""]
        for entry in parts:
            if len(chunks[-1]) + len(entry) > MAX_MULTIPART_BODY:
                chunks.append(b"")
            chunks[-1] += entry
        for index, chunk in enumerate(chunks):
            more = int(index + 1 < len(chunks))
            self._send(MessageType.MULTIPART_REPLY, xid, struct.pack("!HH4x", kind, more) + chunk)


class EdgeSwitchHandle:
    """A running edge switch."""

    def __init__(self, switch: Switch, server: asyncio.Server, port: int) -> None:
        self.port = port
        self._switch = switch
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def table(self) -> FlowTable:
        """The flow table, for who looks at the data plane."""
        return self._switch.table

    def set_port_live(self, number: int, *, live: bool) -> None:
        """Raise or cut the link of a port and tell the controllers (PORT_STATUS, reason MODIFY)."""
        ports = self._switch.ports
        index = next(i for i, port in enumerate(ports) if port.number == number)
        ports[index] = SwitchPort(ports[index].number, ports[index].name, ports[index].mac, live)
        message = frame(MessageType.PORT_STATUS, 0, struct.pack("!B7x", 2) + codec.pack_port(ports[index]))
        for session in self._switch.sessions:
            session.notify(message)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Own one controller's connection from its start to its end."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        session = Session(self._switch, reader, writer)
        try:
            await session.run()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
            log.debug("%s: controller left: %s", self._switch.name, error)
        except asyncio.CancelledError:
            log.debug("%s: closing", self._switch.name)
        finally:
            self._switch.sessions.discard(session)
            if task is not None:
                self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        """Stop listening and drop the controllers; the flow table stays on disk."""
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()


async def start_edge_switch(
    name: str,
    clli: str,
    client_ports: Sequence[str],
    state_dir: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: TlsFiles | None = None,
    owner: str = "",
) -> EdgeSwitchHandle:
    """Listen for controllers on `host:port`; the state is in `state_dir/<name>`.

    port : 0 takes the port of the last start if it is free, else any.
    tls : controllers must come with a certificate; None, for tests, is plain TCP.
    owner : the provider whose controllers alone are let in, by the SAN URI of their certificate; empty for any.
    """
    context = None if tls is None else tls.mutual_context()
    directory = state_dir / name
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    port_file = directory / "port"
    switch = Switch(name, clli, client_ports, directory)
    handles: list[EdgeSwitchHandle] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if owner and not is_provider(writer.get_extra_info("ssl_object"), owner):
            log.warning("%s: refused a controller that is not of %s", name, owner)
            writer.transport.abort()
            return
        await handles[0].serve(reader, writer)

    remembered = int(port_file.read_text()) if port == 0 and port_file.exists() else port
    server: asyncio.Server | None = None
    if remembered != port:
        with contextlib.suppress(OSError):
            server = await asyncio.start_server(connected, host, remembered, ssl=context)
    server = server or await asyncio.start_server(connected, host, port, ssl=context)
    number = int(server.sockets[0].getsockname()[1])
    port_file.write_text(str(number))
    handles.append(EdgeSwitchHandle(switch, server, number))
    return handles[0]
