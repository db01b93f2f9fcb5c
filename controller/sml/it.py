"""Virtual IT: servers and client steering of an active VI, carried to the PIP that holds the part behind it.

The operator names its virtual IT sites, nodes and client ports; the PIP hears its own. Another's VI, an unknown one and
an unknown part of one's own all look the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
from sqlalchemy import Connection, delete, insert, select

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceUnreachable,
    GeysersError,
    InvalidRequest,
    NotFound,
    ResourceExhausted,
    WrongState,
)
from controller.domain.identity import Identity
from controller.domain.infrastructure import VirtualItSite
from controller.domain.it import Server, SitePower, Steering
from controller.licl.mapping import NodeMapping, map_nodes
from controller.licl.turns import Turns
from controller.licl.veil import veil
from controller.ports.provider import Provider
from controller.ports.rng import Rng
from controller.ports.store import Store
from controller.sml.registry import Record, Registry, State
from controller.sml.schema import SmlTables

log = structlog.get_logger()
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
CALL_TIMEOUT_S = 120.0
"""Making a server takes a data centre this long at most."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a reservation at a PIP."""

    provider: str
    reservation: str
    part_id: str


class VirtualIt:
    """Servers and steerings inside active VIs."""

    def __init__(
        self,
        store: Store,
        tables: SmlTables,
        providers: Mapping[str, Provider],
        rng: Rng,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._store = store
        self._registry = Registry(tables, rng)
        self._names = _SteeringNames(tables)
        self._providers = providers
        self._timeout_s = timeout_s
        self._turns: Turns[_Part] = Turns()

    async def create_server(self, owner: Identity, infrastructure: str, it_site_id: str, server: Server) -> Server:
        """Make a server within the VI's share of the site; ResourceExhausted beyond it."""
        _check_name("server.server_id", server.server_id)
        site, part = await self._site(owner, infrastructure, it_site_id)
        # One at a time per share, so that two requests cannot both take the last of it.
        async with self._turns.at(part):
            standing = await self._call(part, it_site_id, lambda pip: pip.list_servers(part.reservation, part.part_id))
            _check_share(site, server, standing)
            made = await self._call(
                part, server.server_id, lambda pip: pip.create_server(part.reservation, part.part_id, server)
            )
        return _without_providers_words(made)

    async def list_servers(self, owner: Identity, infrastructure: str, it_site_id: str) -> SitePower:
        """Servers of the VI at a site, and what they draw."""
        _, part = await self._site(owner, infrastructure, it_site_id)
        found = await self._call(part, it_site_id, lambda pip: pip.list_servers(part.reservation, part.part_id))
        return replace(found, servers=tuple(_without_providers_words(server) for server in found.servers))

    async def delete_server(self, owner: Identity, infrastructure: str, it_site_id: str, server_id: str) -> None:
        """Remove a server and its volume."""
        _, part = await self._site(owner, infrastructure, it_site_id, f"/servers/{server_id}")
        async with self._turns.at(part):
            await self._call(part, server_id, lambda pip: pip.delete_server(part.reservation, part.part_id, server_id))

    async def put_steering(self, owner: Identity, infrastructure: str, node_id: str, steering: Steering) -> None:
        """Join a client VLAN to a virtual client port of a node."""
        _check_name("steering.steering_id", steering.steering_id)
        node, part = await self._node(owner, infrastructure, node_id)
        port = node.physical_client_port(steering.client_port)
        if port is None:
            raise NotFound(f"{infrastructure}/nodes/{node_id}: client port {steering.client_port!r} not found")
        if [line.client_port for line in node.lines].count(port) > 1:
            # A PIP is told a port by its name alone, and two shelves of one node may use the same.
            raise WrongState(
                f"{steering.client_port}: its provider cannot tell it from another port of node {node_id!r}; "
                "use a node whose transponders stand on one shelf"
            )
        physical_id = _physical_id(node_id, steering.steering_id)
        await self._store.run(
            lambda connection: self._names.keep(connection, infrastructure, node_id, steering.steering_id, physical_id)
        )
        physical = replace(steering, steering_id=physical_id, client_port=port)
        await self._call(
            part,
            steering.steering_id,
            lambda pip: pip.put_steering(part.reservation, part.part_id, physical),
        )

    async def delete_steering(self, owner: Identity, infrastructure: str, node_id: str, steering_id: str) -> None:
        """Take a steering away."""
        _, part = await self._node(owner, infrastructure, node_id, f"/steerings/{steering_id}")
        physical_id = _physical_id(node_id, steering_id)
        await self._call(
            part, steering_id, lambda pip: pip.delete_steering(part.reservation, part.part_id, physical_id)
        )
        await self._store.run(lambda connection: self._names.forget(connection, infrastructure, node_id, steering_id))

    async def list_steerings(self, owner: Identity, infrastructure: str, node_id: str) -> tuple[Steering, ...]:
        """Steerings of a node that its provider carries now, in the operator's terms."""
        node, part = await self._node(owner, infrastructure, node_id)
        found = await self._call(part, node_id, lambda pip: pip.list_steerings(part.reservation, part.part_id))
        names = await self._store.run(lambda connection: self._names.of_node(connection, infrastructure, node_id))
        own = []
        for steering in found:
            port, steering_id = node.virtual_client_port(steering.client_port), names.get(steering.steering_id)
            if port is not None and steering_id is not None:
                own.append(replace(steering, steering_id=steering_id, client_port=port))
        return tuple(sorted(own, key=lambda steering: steering.steering_id))

    async def _site(
        self, owner: Identity, infrastructure: str, it_site_id: str, below: str = ""
    ) -> tuple[VirtualItSite, _Part]:
        """The site and the part behind it; `below` is what was asked for in it, for the words of a refusal."""
        asked = f"{infrastructure}/itSites/{it_site_id}{below}"
        record = await self._active(owner, infrastructure, asked)
        site = next((entry for entry in record.wanted.it_sites if entry.it_site_id == it_site_id), None)
        placed = () if record.blueprint is None else record.blueprint.it_sites
        centre = next((entry for entry in placed if entry.it_site_id == it_site_id), None)
        if site is None or centre is None:
            raise _not_found(asked)
        return site, _Part(centre.provider, record.reservations[centre.provider].name, it_site_id)

    async def _node(
        self, owner: Identity, infrastructure: str, node_id: str, below: str = ""
    ) -> tuple[NodeMapping, _Part]:
        asked = f"{infrastructure}/nodes/{node_id}{below}"
        record = await self._active(owner, infrastructure, asked)
        mappings = () if record.blueprint is None else map_nodes(record.wanted, record.blueprint, record.reservations)
        node = next((entry for entry in mappings if entry.node_id == node_id), None)
        if node is None:
            raise _not_found(asked)
        return node, _Part(node.provider, node.reservation, node_id)

    async def _active(self, owner: Identity, infrastructure: str, asked: str) -> Record:
        try:
            record = await self._store.run(lambda connection: self._registry.find(connection, infrastructure, owner))
        except NotFound as error:
            # Named as it was asked for, which is all that is said of another's.
            raise _not_found(asked) from error
        if record.state is not State.ACTIVE:
            raise WrongState(
                f"virtual infrastructure {infrastructure!r} is {record.state.value}: it must be ACTIVE for this",
                name=infrastructure,
                state=record.state.value,
            )
        return record

    async def _call(self, part: _Part, subject: str, work: Callable[[Provider], Awaitable[T]]) -> T:
        provider = self._providers.get(part.provider)
        if provider is None:
            raise DeviceUnreachable(f"{subject}: its provider is not configured: try again later")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await work(provider)
        except TimeoutError as error:
            raise DeviceInDoubt(
                f"{subject}: no answer within {self._timeout_s:g} s: read back what was done"
            ) from error
        except GeysersError as error:
            raise veil(error, subject) from error


def _not_found(asked: str) -> NotFound:
    return NotFound(f"{asked} not found", name=asked)


def _without_providers_words(server: Server) -> Server:
    """The server with a fault in our words: a data centre's may name hosts, projects and other tenants."""
    if not server.fault:
        return server
    log.info("fault of a server", server=server.server_id, instance=server.instance_uuid, fault=server.fault)
    return replace(server, fault="the data centre could not provide this server: delete it, ask again")


def _check_share(site: VirtualItSite, server: Server, standing: SitePower) -> None:
    """Refuse what would take more than the VI's share; a server that stands already counts once."""
    others = [entry for entry in standing.servers if entry.server_id != server.server_id]
    for field, least, share in (
        ("vcpu_count", 1, site.vcpu_count),
        ("memory_gib", 1, site.memory_gib),
        ("volume_gib", 0, site.storage_gib),
    ):
        asked = getattr(server, field)
        if asked < least:
            raise InvalidRequest(
                f"server.{field}={asked}: ask for {least} or more", field=f"server.{field}", value=asked
            )
        left = share - sum(getattr(entry, field) for entry in others)
        if asked > left:
            raise ResourceExhausted(
                f"server.{field}={asked}: {max(left, 0)} of {share} are left at {site.it_site_id!r}; ask for less",
                field=f"server.{field}",
                value=asked,
            )


def _physical_id(node_id: str, steering_id: str) -> str:
    """A PIP's name for a steering: short, and unique within the reservation of a VI."""
    return hashlib.sha256(f"{node_id}/{steering_id}".encode()).hexdigest()[:32]


def _check_name(field: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        raise InvalidRequest(
            f"{field}={value!r}: use 1 to 40 letters, digits, '.', '_' or '-', a letter or digit first",
            field=field,
            value=value,
        )


class _SteeringNames:
    """Which of the PIP's steerings is which of the operator's; rows are written before the PIP is asked."""

    def __init__(self, tables: SmlTables) -> None:
        self._table = tables.steerings

    def keep(
        self, connection: Connection, infrastructure: str, node_id: str, steering_id: str, physical_id: str
    ) -> None:
        self.forget(connection, infrastructure, node_id, steering_id)
        connection.execute(
            insert(self._table).values(
                infrastructure=infrastructure, node_id=node_id, steering_id=steering_id, physical_id=physical_id
            )
        )

    def forget(self, connection: Connection, infrastructure: str, node_id: str, steering_id: str) -> None:
        columns = self._table.c
        connection.execute(
            delete(self._table).where(
                columns.infrastructure == infrastructure,
                columns.node_id == node_id,
                columns.steering_id == steering_id,
            )
        )

    def of_node(self, connection: Connection, infrastructure: str, node_id: str) -> dict[str, str]:
        """The operator's name by the PIP's."""
        columns = self._table.c
        query = select(columns.physical_id, columns.steering_id).where(
            columns.infrastructure == infrastructure, columns.node_id == node_id
        )
        return {row.physical_id: row.steering_id for row in connection.execute(query)}
