"""The NETCONF endpoints of virtual nodes: started when a VI is deployed, stopped when its operator's rights end.

Port and host key of each device are durable: after a restart it is back at the same address with the same host key. The
only user is the VIO, the only key the one that came with the VI.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncssh
import structlog
from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from controller.domain.errors import WrongState
from controller.domain.infrastructure import NetconfAddress
from controller.licl.mapping import NodeMapping
from controller.licl.schema import LiclTables
from controller.licl.sync import SliceSync
from controller.licl.virtual_node import Face, RoadmFace, ShelfFace, VirtualDevice, VirtualStorage
from controller.netconf.openroadm_models import openroadm_engine
from controller.netconf.server import Endpoint, NetconfServer
from controller.netconf.yang_engine import YangEngine
from controller.ports.store import Store

log = structlog.get_logger()
DEFAULT_BASE_PORT = 18830
_PORT_TRIES = 256


@dataclass(frozen=True, slots=True)
class Deployment:
    """The virtual nodes of one VI and who may log in to them."""

    infrastructure: str
    username: str
    ssh_public_key: str
    nodes: tuple[NodeMapping, ...]


@dataclass(frozen=True, slots=True)
class NodeAddresses:
    """Where the two devices of a virtual node listen; no shelf without transponders."""

    roadm: NetconfAddress
    shelf: NetconfAddress | None


@dataclass(frozen=True, slots=True)
class _Reserved:
    candidates: tuple[int, ...]
    """Ports to try; the one and only once the device has been opened."""
    host_private_key: str


class VirtualNodes:
    """All virtual nodes of one VIP, on one NETCONF server."""

    def __init__(
        self,
        store: Store,
        tables: LiclTables,
        server: NetconfServer,
        sync: SliceSync,
        engine: YangEngine | None = None,
        *,
        host: str = "127.0.0.1",
        base_port: int = DEFAULT_BASE_PORT,
    ) -> None:
        self._store = store
        self._tables = tables
        self._table = tables.virtual_devices
        self._server = server
        self._sync = sync
        self._engine = engine or openroadm_engine()
        self._host = host
        self._base_port = base_port
        self._endpoints: dict[tuple[str, str], Endpoint] = {}

    async def deploy(self, deployment: Deployment) -> Mapping[str, NodeAddresses]:
        """Serve all nodes of a VI; those that are served already stay. Addresses by node id.

        Raises WrongState when a port that was promised is taken by another program.
        """
        addresses = {}
        for node in deployment.nodes:
            roadm = await self._serve(deployment, RoadmFace(node))
            shelf = await self._serve(deployment, ShelfFace(node)) if node.lines else None
            addresses[node.node_id] = NodeAddresses(roadm, shelf)
        return addresses

    async def withdraw(self, infrastructure: str, reservations: Sequence[str]) -> None:
        """Cut the operator off and forget the nodes of a VI, with what they wanted of the devices."""
        for key in [key for key in self._endpoints if key[0] == infrastructure]:
            await self._server.remove_endpoint(self._endpoints.pop(key))

        def forget(connection: Connection) -> None:
            connection.execute(delete(self._table).where(self._table.c.infrastructure == infrastructure))
            self._sync.remove(connection, reservations)

        await self._store.run(forget)

    async def _serve(self, deployment: Deployment, face: Face) -> NetconfAddress:
        key = (deployment.infrastructure, face.device_id)
        endpoint = self._endpoints.get(key)
        if endpoint is None:
            endpoint = await self._open(deployment, face)
            self._endpoints[key] = endpoint
        return NetconfAddress(endpoint.host, endpoint.port, endpoint.host_public_key, deployment.username)

    async def _open(self, deployment: Deployment, face: Face) -> Endpoint:
        device = VirtualDevice(face, self._engine, self._sync)
        infrastructure = deployment.infrastructure
        reserved = await self._reserve(infrastructure, device.name)
        for port in reserved.candidates:
            endpoint = await self._listen(deployment, device, port, reserved.host_private_key)
            if endpoint is not None:
                break
            log.info("port taken by another program", port=port, device=device.name)
        else:
            raise WrongState(
                f"{device.name} cannot listen on {self._host}:{reserved.candidates[0]}: another program has the port; "
                "end it",
                port=reserved.candidates[0],
            )
        # Nobody was told a port before this commit; from now on it is the device's.
        await self._store.run(lambda connection: self._keep_port(connection, infrastructure, endpoint))
        return endpoint

    async def _listen(
        self, deployment: Deployment, device: VirtualDevice, port: int, host_private_key: str
    ) -> Endpoint | None:
        """Serve a device on `port`; None when another program has the port."""
        try:
            return await self._server.add_endpoint(
                device,
                VirtualStorage(
                    self._store, self._tables, deployment.infrastructure, device, self._sync, host_private_key
                ),
                device.startup(),
                host=self._host,
                port=port,
                host_key=asyncssh.import_private_key(host_private_key),
                users={deployment.username: [asyncssh.import_public_key(deployment.ssh_public_key)]},
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return None

    async def _reserve(self, infrastructure: str, device_id: str) -> _Reserved:
        """Port and host key of a device, made on first use."""
        fresh_key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()

        def work(connection: Connection) -> _Reserved:
            row = connection.execute(select(self._table).where(self._is(infrastructure, device_id))).first()
            if row is not None and row.opened:
                return _Reserved((row.port,), row.host_private_key)
            candidates = self._free_ports(connection)
            if row is not None:
                return _Reserved(candidates, row.host_private_key)
            connection.execute(
                insert(self._table).values(
                    infrastructure=infrastructure,
                    device_id=device_id,
                    port=0,
                    host_private_key=fresh_key,
                    opened=False,
                )
            )
            return _Reserved(candidates, fresh_key)

        return await self._store.run(work)

    def _free_ports(self, connection: Connection) -> tuple[int, ...]:
        """Ports that no device was given, lowest first; 0 lets the system choose."""
        if self._base_port == 0:
            return (0,)
        taken = set(connection.scalars(select(self._table.c.port)))
        ports = range(self._base_port, min(self._base_port + len(taken) + _PORT_TRIES, 65536))
        return tuple(port for port in ports if port not in taken)

    def _keep_port(self, connection: Connection, infrastructure: str, endpoint: Endpoint) -> None:
        connection.execute(
            update(self._table)
            .where(self._is(infrastructure, endpoint.device.name))
            .values(port=endpoint.port, opened=True)
        )

    def _is(self, infrastructure: str, device_id: str) -> ColumnElement[bool]:
        return and_(self._table.c.infrastructure == infrastructure, self._table.c.device_id == device_id)
