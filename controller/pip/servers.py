"""Servers in IT parts: the row first, then the site, and back in the other order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from controller.domain.errors import DeviceUnreachable, GeysersError, ResourceExhausted
from controller.domain.identity import Identity
from controller.domain.it import ItResourceState, Server, SitePower
from controller.domain.reservation import ItPart
from controller.pip.demands import Demands, ServerKey, it_part
from controller.pip.drivers.openstack import OpenStackDriver
from controller.pip.ledger import Ledger
from controller.pip.records import HeldReservation
from controller.pip.turns import Turns
from controller.ports.store import Store


class ServerWork:
    """All data centres of the provider; one call at a time for each part."""

    def __init__(self, store: Store, ledger: Ledger, demands: Demands, sites: Mapping[str, OpenStackDriver]) -> None:
        self._store = store
        self._ledger = ledger
        self._demands = demands
        self.sites = sites
        self._turns = Turns()

    async def create(self, owner: Identity, name: str, part_id: str, server: Server) -> Server:
        """Make a server, or complete or return the one that is there."""
        held = await self._store.run(lambda connection: self._ledger.find_active(connection, owner, name))
        key = ServerKey(held.reservation_id, part_id, server.server_id)
        async with self._turns.of((held.reservation_id, part_id)):
            part = await self._store.run(
                lambda connection: self._demands.want_server(
                    connection, self._ledger.find_active(connection, owner, name), part_id, server
                )
            )
            try:
                return await self._site(part).create_server(held.reservation_id, part, server)
            except ResourceExhausted:
                # The driver removed what there was of it before it said so.
                await self._store.run(lambda connection: self._demands.forget_server(connection, key))
                raise

    async def list(self, owner: Identity, name: str, part_id: str) -> SitePower:
        """Servers of a part as the site has them, and what it draws for them now.

        The facility's power (PUE included) is split by virtual CPUs: the parts' shares add up to the meter, and who
        wakes a physical server pays for its idling.
        """
        held, part, wanted = await self._store.run(lambda connection: self._wanted(connection, owner, name, part_id))
        site = self._site(part)
        present = await site.list_servers(held.reservation_id, part_id)
        facts = await site.facts()
        servers = []
        for server in wanted:
            seen = present.get(server.server_id)
            if seen is None:
                servers.append(replace(server, state=ItResourceState.BUILDING))
                continue
            servers.append(
                replace(
                    server,
                    state=seen.state,
                    instance_uuid=seen.instance_uuid,
                    volume_uuid=seen.volume_uuid,
                    fault=seen.fault,
                )
            )
        running = sum(server.vcpu_count for server in servers if server.state is ItResourceState.ACTIVE)
        power_w = facts.facility_power_w * running / facts.vcpus_used if facts.vcpus_used else 0.0
        return SitePower(tuple(servers), power_w)

    async def delete(self, owner: Identity, name: str, part_id: str, server_id: str) -> None:
        """Remove a server and its volume; what is gone already is success."""
        held = await self._store.run(lambda connection: self._ledger.find_active(connection, owner, name))
        it_part(held, part_id)
        key = ServerKey(held.reservation_id, part_id, server_id)
        async with self._turns.of((held.reservation_id, part_id)):
            await self._store.run(lambda connection: self._demands.unwant_server(connection, key))
            await self._remove(held, key)

    async def resume_removals(self) -> None:
        """Go on with removals that were cut off; the first error is raised after all were tried."""
        failed: list[GeysersError] = []
        for key in await self._store.run(self._demands.servers_removing):
            held = await self._held(key)
            if held is None:
                continue
            async with self._turns.of((key.reservation_id, key.part_id)):
                try:
                    await self._remove(held, key)
                except GeysersError as error:
                    failed.append(error)
        if failed:
            raise failed[0]

    async def remove_parts(self, held: HeldReservation) -> None:
        """Remove all that a reservation has at sites."""
        for part in held.reservation.it_parts:
            async with self._turns.of((held.reservation_id, part.part_id)):
                await self._site(part).remove_part(held.reservation_id, part.part_id)

    async def _held(self, key: ServerKey) -> HeldReservation | None:
        return await self._store.run(lambda connection: self._ledger.by_id(connection, key.reservation_id))

    async def _remove(self, held: HeldReservation, key: ServerKey) -> None:
        """Under the part's lock: remove at the site what is marked as on its way out."""
        if key not in await self._store.run(self._demands.servers_removing):
            return
        part = it_part(held, key.part_id)
        await self._site(part).delete_server(key.reservation_id, key.part_id, key.server_id)
        await self._store.run(lambda connection: self._demands.forget_server(connection, key))

    def _wanted(
        self, connection: Connection, owner: Identity, name: str, part_id: str
    ) -> tuple[HeldReservation, ItPart, tuple[Server, ...]]:
        held = self._ledger.find_active(connection, owner, name)
        part = it_part(held, part_id)
        return held, part, self._demands.servers(connection, held.reservation_id, part_id)

    def _site(self, part: ItPart) -> OpenStackDriver:
        site_id = part.it_site.rpartition("/")[2]
        if site_id not in self.sites:
            raise DeviceUnreachable(f"{part.it_site} is not among the provider's sites any more: add its address")
        return self.sites[site_id]
