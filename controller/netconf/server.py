"""NETCONF over SSH (RFC 6242): many endpoints in one process, one asyncssh listener each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import asyncssh
import structlog
from lxml import etree

from controller.netconf.datastore import DEFAULT_CONFIGURATION_BYTES, Datastores
from controller.netconf.device import DatastoreStorage, NetconfDevice, SessionInfo
from controller.netconf.operations import Operations
from controller.netconf.session import BASE_1_0, BASE_1_1, Session
from controller.ports.clock import Clock, SystemClock

log = structlog.get_logger()
CAPABILITIES = (
    BASE_1_0,
    BASE_1_1,
    "urn:ietf:params:netconf:capability:writable-running:1.0",
    "urn:ietf:params:netconf:capability:candidate:1.0",
    "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
    "urn:ietf:params:netconf:capability:rollback-on-error:1.0",
    "urn:ietf:params:netconf:capability:validate:1.1",
    "urn:ietf:params:netconf:capability:notification:1.0",
    "urn:ietf:params:netconf:capability:interleave:1.0",
    "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring?module=ietf-netconf-monitoring&revision=2010-10-04",
    # The list of streams that <get> shows (RFC 5277 §3.2.5.1) is in this namespace: a client must know of it.
    "urn:ietf:params:xml:ns:netmod:notification?module=nc-notifications&revision=2008-07-14",
)
ACCEPT_TURNS = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one endpoint grants its clients."""

    message_bytes: int = 1024 * 1024
    configuration_bytes: int = DEFAULT_CONFIGURATION_BYTES
    sessions: int = 64
    connections: int = 64
    server_connections: int = 512
    """Of all endpoints of one server together: each costs a file descriptor."""
    hello_timeout_s: float = 30.0
    """Also how long a connection may stay without a session."""
    write_timeout_s: float = 30.0
    """How long a client may leave what it asked for unread."""
    login_timeout_s: float = 30.0
    keepalive_interval_s: float = 60.0


@dataclass(slots=True)
class _Connection:
    """What an SSH connection is used for."""

    sessions: int = 0
    idle_timer: asyncio.TimerHandle | None = None


class Endpoint:
    """One device's listener, datastores and sessions."""

    def __init__(
        self,
        device: NetconfDevice,
        datastores: Datastores,
        users: Mapping[str, Sequence[asyncssh.SSHKey]],
        limits: Limits,
        clock: Clock,
        streams: Sequence[str],
        server_connections: Callable[[], int],
    ) -> None:
        self.device = device
        self.datastores = datastores
        self.host = ""
        self.port = 0
        self.host_public_key = ""
        self.users = {name: tuple(keys) for name, keys in users.items()}
        self.limits = limits
        self._clock = clock
        self._sessions: dict[int, Session] = {}
        self._next_session_id = 1
        self._server_connections = server_connections
        self._connections: dict[asyncssh.SSHServerConnection, _Connection] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._listener: asyncssh.SSHAcceptor | None = None
        self._operations = Operations(device, datastores, self, streams)
        self._capabilities = [
            *CAPABILITIES,
            *(f"{m.namespace}?module={m.name}&revision={m.revision}" for m in device.engine.modules),
        ]

    async def listen(self, host: str, port: int, host_key: asyncssh.SSHKey) -> None:
        """Open the listener; port 0 takes a free one."""
        self.host_public_key = host_key.export_public_key().decode().strip()
        self._listener = await asyncssh.create_server(
            lambda: _Login(self),
            host,
            port,
            server_host_keys=[host_key],
            encoding=None,
            login_timeout=self.limits.login_timeout_s,
            keepalive_interval=self.limits.keepalive_interval_s,
            password_auth=False,
            kbdint_auth=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            line_editor=False,
        )
        self.host, self.port = host, self._listener.get_port()

    def running(self) -> etree._Element:
        """The running configuration; not to be changed in place."""
        return self.datastores.running

    async def notify(self, event: etree._Element, stream: str = "NETCONF") -> None:
        """Send an event to the subscribers of `stream`."""
        event_time = self._clock.now().isoformat().replace("+00:00", "Z")
        for session in list(self._sessions.values()):
            if session.subscribed is not None and session.subscribed in (stream, "NETCONF"):
                try:
                    session.notify(event, event_time)
                except (ConnectionError, asyncssh.Error) as error:
                    log.info("subscriber lost", session=session.info.session_id, error=str(error))

    async def close(self) -> None:
        """Close the listener and cut every session; returns when nothing that a session asked for runs any more."""
        if self._listener is not None:
            await self._stop_accepting(self._listener)
            self._listener.close()
        for session in list(self._sessions.values()):
            session.closing.set()
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.wait_closed() for connection in connections))
        if self._listener is not None:
            await self._listener.wait_closed()
        # A commit under way goes on to its end: it was stored, and what follows it must not meet a withdrawn device.
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self.datastores.close()

    async def _stop_accepting(self, listener: asyncssh.SSHAcceptor) -> None:
        """Accept no more, and have known what was accepted: it must not outlive the endpoint.

        asyncio takes a turn of the loop to make a transport of what it accepted and another to tell its protocol, and
        loses the socket when the listener is closed in between.
        """
        loop = asyncio.get_running_loop()
        for listening in listener.sockets:
            loop.remove_reader(listening.fileno())
        for _ in range(ACCEPT_TURNS):
            await self._clock.sleep_s(0)

    @property
    def connections(self) -> int:
        """SSH connections now."""
        return len(self._connections)

    def connected(self, connection: asyncssh.SSHServerConnection) -> None:
        """Know a connection, so that closing the endpoint cuts it; one too many is cut at once."""
        if len(self._connections) >= self.limits.connections or (
            self._server_connections() >= self.limits.server_connections
        ):
            log.info("too many connections", device=self.device.name, peer=connection.get_extra_info("peername"))
            connection.abort()
            return
        self._connections[connection] = _Connection()
        self._await_session(connection)

    def disconnected(self, connection: asyncssh.SSHServerConnection | None) -> None:
        """Forget a connection."""
        known = None if connection is None else self._connections.pop(connection, None)
        if known is not None and known.idle_timer is not None:
            known.idle_timer.cancel()

    def _await_session(self, connection: asyncssh.SSHServerConnection) -> None:
        """Close a connection that no session is opened on."""
        known = self._connections.get(connection)
        if known is not None and not known.sessions:
            known.idle_timer = asyncio.get_running_loop().call_later(self.limits.hello_timeout_s, connection.close)

    def find(self, session_id: int) -> Session | None:
        return self._sessions.get(session_id)

    def all(self) -> Sequence[Session]:
        return list(self._sessions.values())

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one session on an SSH channel."""
        connection: asyncssh.SSHServerConnection = process.get_extra_info("connection")
        known = self._connections.get(connection)
        task = asyncio.current_task()
        if process.subsystem != "netconf" or len(self._sessions) >= self.limits.sessions or not known or not task:
            process.exit(1)
            return
        self._serving.add(task)
        known.sessions += 1
        if known.idle_timer is not None:
            known.idle_timer.cancel()
        try:
            await self._run_session(process)
        finally:
            known.sessions -= 1
            self._await_session(connection)
            await self._hang_up(process)
            self._serving.discard(task)

    async def _run_session(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        peer = process.get_extra_info("peername") or ("", 0)
        info = SessionInfo(self._next_session_id, str(process.get_extra_info("username")), f"{peer[0]}:{peer[1]}")
        self._next_session_id += 1
        session = Session(
            info,
            _Channel(process),
            self._capabilities,
            self._operations,
            message_limit_bytes=self.limits.message_bytes,
            hello_timeout_s=self.limits.hello_timeout_s,
            write_timeout_s=self.limits.write_timeout_s,
        )
        self._sessions[info.session_id] = session
        try:
            await session.run()
        finally:
            del self._sessions[info.session_id]
            await self.datastores.session_closed(info.session_id)

    async def _hang_up(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Close the channel; what the client does not take in time is thrown away."""
        process.exit(0)
        try:
            async with asyncio.timeout(self.limits.write_timeout_s):
                await process.wait_closed()
        except TimeoutError:
            process.channel.abort()


class NetconfServer:
    """The endpoints of one process."""

    def __init__(self, clock: Clock | None = None, limits: Limits | None = None) -> None:
        self._clock = clock or SystemClock()
        self._limits = limits or Limits()
        self._endpoints: list[Endpoint] = []
        # One thread: the interpreter runs one at a time, and with more of them the event loop would wait longer.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="netconf-edit")

    async def add_endpoint(
        self,
        device: NetconfDevice,
        storage: DatastoreStorage,
        initial_running: etree._Element,
        *,
        host: str,
        port: int,
        host_key: asyncssh.SSHKey,
        users: Mapping[str, Sequence[asyncssh.SSHKey]],
        streams: Sequence[str] = ("NETCONF",),
    ) -> Endpoint:
        """Serve `device` on its own port; `users` maps each user name to the public keys that may log in."""
        datastores = Datastores(device, storage, self._clock, self._worker, self._limits.configuration_bytes)
        await datastores.open(initial_running)
        endpoint = Endpoint(device, datastores, users, self._limits, self._clock, streams, self._connections)
        await endpoint.listen(host, port, host_key)
        self._endpoints.append(endpoint)
        return endpoint

    def _connections(self) -> int:
        return sum(endpoint.connections for endpoint in self._endpoints)

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Stop serving one device."""
        self._endpoints.remove(endpoint)
        await endpoint.close()

    async def close(self) -> None:
        """Stop serving all."""
        endpoints, self._endpoints = self._endpoints, []
        await asyncio.gather(*(endpoint.close() for endpoint in endpoints))
        self._worker.shutdown(wait=False)


class _Login(asyncssh.SSHServer):
    """Public-key login of the users that an endpoint knows."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._endpoint.connected(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._endpoint.disconnected(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return any(key == known for known in self._endpoint.users.get(username, ()))

    def session_requested(self) -> asyncssh.SSHServerProcess[bytes]:
        return asyncssh.SSHServerProcess(self._endpoint.serve, None, 3, False)


class _Channel:
    """An SSH channel as a session sees it."""

    def __init__(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self._process = process

    def write(self, data: bytes) -> None:
        self._process.stdout.write(data)

    async def drain(self) -> None:
        await self._process.stdout.drain()

    async def read(self, count: int) -> bytes:
        return await self._process.stdin.read(count)

    @property
    def unsent_bytes(self) -> int:
        return self._process.channel.get_write_buffer_size()
