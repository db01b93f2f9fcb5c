"""Hop 7 of 8: the physical provider (lower LICL) as its brokers call it, between geysers.pip.v1 and the equipment.

controller.api ──▶ PhysicalProvider ──▶ Ledger, Demands (the books; every promise is written first)
                        │          └──▶ DeviceWork, ServerWork, SteeringWork ──▶ drivers ──▶ equipment
                        └──▶ Upkeep (carries out, in the end, whatever the books say)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection

from controller.domain.errors import GeysersError, InvalidRequest
from controller.domain.identity import Identity
from controller.domain.it import Server, SitePower, Steering
from controller.domain.media import SliceConfiguration
from controller.domain.offers import Catalogue
from controller.domain.reservation import Reservation, SliceReading
from controller.netconf.client import NcclientSession
from controller.pip.admission import GENERATION_LIMIT, check_slice
from controller.pip.demands import Demands
from controller.pip.devices import DeviceWork
from controller.pip.drivers.edge_switch import EdgeSwitchDriver
from controller.pip.drivers.openroadm import OpenRoadmDriver
from controller.pip.drivers.openstack import OpenStackDriver
from controller.pip.inventory import PlantFigures
from controller.pip.ledger import Ledger
from controller.pip.schema import Tables
from controller.pip.servers import ServerWork
from controller.pip.steerings import SteeringWork
from controller.pip.stock import ItSiteSettings, Stock
from controller.pip.upkeep import Upkeep
from controller.ports.clock import Clock
from controller.ports.device_session import DeviceAddress, DeviceSession
from controller.ports.rng import Rng
from controller.ports.store import Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What a provider owns and where it is: devices by node identifier, data centres, records of the plant."""

    name: str
    devices: Mapping[str, DeviceAddress]
    figures: PlantFigures = field(default_factory=PlantFigures)
    it_sites: tuple[ItSiteSettings, ...] = ()
    upkeep_period_s: float = 30.0
    """Drift is found and repaired within this time."""
    connections_at_once: int = 8
    """Sessions set up at the same time; each costs CPU for its key exchange."""


def _open_site(site: ItSiteSettings, clock: Clock) -> OpenStackDriver:
    return OpenStackDriver(site.site_id, site.credentials_file, clock)


class PhysicalProvider:
    """One PIP. `reserve` runs in the store's thread, all else in the event loop."""

    def __init__(
        self,
        settings: ProviderSettings,
        tables: Tables,
        store: Store,
        clock: Clock,
        rng: Rng,
        *,
        edge: EdgeSwitchDriver | None = None,
        open_session: Callable[[DeviceAddress], DeviceSession] = NcclientSession,
        open_site: Callable[[ItSiteSettings, Clock], OpenStackDriver] = _open_site,
    ) -> None:
        self.name = settings.name
        self._store = store
        self._clock = clock
        self._edge = edge
        self._loop: asyncio.AbstractEventLoop | None = None
        connecting = asyncio.Semaphore(settings.connections_at_once)
        drivers = {
            name: OpenRoadmDriver(
                name, lambda a=address: open_session(a), clock, rng, connecting,  # type: ignore[misc]
                persist_id=f"geysers-pip-{settings.name}",
            )
            for name, address in settings.devices.items()
        }  # fmt: skip
        sites = {site.site_id: open_site(site, clock) for site in settings.it_sites}
        self._ledger = Ledger(settings.name, tables)
        demands = Demands(tables)
        self._stock = Stock(settings.name, settings.devices, settings.it_sites, settings.figures)
        self._devices = DeviceWork(store, self._ledger, drivers)
        self._servers = ServerWork(store, self._ledger, demands, sites)
        self._steerings = SteeringWork(store, self._ledger, demands, edge)
        self._upkeep = Upkeep(
            store, clock, rng, self._ledger, self._stock, self._devices, self._servers, self._steerings,
            period_s=settings.upkeep_period_s,
        )  # fmt: skip

    async def start(self) -> None:
        """Discover everything that answers and take up what a former run left; what is down joins when it comes."""
        self._loop = asyncio.get_running_loop()
        began_tick_s = self._clock.tick_s()
        for driver in self._devices.drivers.values():
            await driver.start()
        if self._edge is not None:
            await self._edge.start()
        await self._upkeep.start()
        self._stock.report()
        offers = self._stock.offers
        log.info(
            "discovered", pip=self.name, nodes=len(offers.nodes), links=len(offers.links),
            it_sites=len(offers.it_sites), seconds=round(self._clock.tick_s() - began_tick_s, 2),
        )  # fmt: skip

    async def close(self) -> None:
        """Stop. Devices, sites and switches keep what they have."""
        await self._upkeep.close()
        await asyncio.gather(*(driver.close() for driver in self._devices.drivers.values()))
        await asyncio.gather(*(site.close() for site in self._servers.sites.values()))
        if self._edge is not None:
            await self._edge.close()

    # -- the market -------------------------------------------------------------------------------------------------

    async def catalogue(self) -> Catalogue:
        """What is on offer, and what is left of it. Sites that do not answer now are shown as they last did."""
        await asyncio.gather(*(self._refresh(site_id, site) for site_id, site in self._servers.sites.items()))

        def work(connection: Connection) -> Catalogue:
            self._ledger.drop_lapsed(connection, self._clock.now())
            return self._ledger.remaining(connection, self._stock.offers)

        return await self._store.run(work)

    def reserve(
        self, connection: Connection, owner: Identity, wanted: Reservation, hold_time_s: float, reservation_id: str
    ) -> Reservation:
        """Hold all parts or none, inside the caller's transaction and in its thread.

        Raises NotFound (not on offer), DeviceUnreachable (not yet), SpectrumBlocked, ResourceExhausted (transponders,
        IT), InvalidRequest.
        """
        self._stock.check_answered(wanted)
        held = self._ledger.reserve(
            connection, self._stock.offers, owner, wanted, hold_time_s, reservation_id, self._clock.now()
        )
        if self._loop is not None:
            # The loop looks into the store, and gets its turn there after this transaction.
            self._loop.call_soon_threadsafe(self._upkeep.wake_holds)
        return held

    async def get_reservation(self, owner: Identity, name: str) -> Reservation:
        """One reservation of the caller's. Raises NotFound."""

        def work(connection: Connection) -> Reservation:
            self._ledger.drop_lapsed(connection, self._clock.now())
            return self._ledger.find(connection, owner, name).reservation

        return await self._store.run(work)

    async def list_reservations(self, owner: Identity, gri: str = "") -> tuple[Reservation, ...]:
        """The caller's reservations, all or of one GRI."""

        def work(connection: Connection) -> tuple[Reservation, ...]:
            self._ledger.drop_lapsed(connection, self._clock.now())
            return self._ledger.list_owned(connection, owner, gri)

        return await self._store.run(work)

    async def activate(self, owner: Identity, name: str) -> Reservation:
        """Make a held reservation usable; again changes nothing. NotFound when lapsed, WrongState when releasing."""
        return await self._store.run(
            lambda connection: self._ledger.activate(connection, owner, name, self._clock.now())
        )

    async def release(self, owner: Identity, name: str) -> None:
        """Clear all that a reservation put anywhere and free its parts; a reservation that is gone is success.

        Raises what kept it from being finished now (DeviceUnreachable, DeviceInDoubt, …): it goes on by itself until
        it is, and calling again tells.
        """
        reservation_id = await self._store.run(lambda connection: self._ledger.begin_release(connection, owner, name))
        if reservation_id is not None:
            try:
                await self._upkeep.finish_release(reservation_id)
            finally:
                self._upkeep.wake_releases()

    # -- slices of devices ------------------------------------------------------------------------------------------

    async def apply_slice(
        self, owner: Identity, name: str, device: str, generation: int, desired: SliceConfiguration
    ) -> None:
        """Bring one device's share to `desired`, which is durable before the device is asked.

        Raises NotFound, WrongState, InvalidRequest, StaleGeneration: nothing changed. DeviceUnreachable, DeviceLocked,
        DeviceInDoubt: it is carried out as soon as the device allows. DeviceRejected: the device will not have it.
        """
        if not 0 <= generation < GENERATION_LIMIT:
            raise InvalidRequest(f"generation {generation}: use 0 to {GENERATION_LIMIT - 1}", field="generation")

        def work(connection: Connection) -> str:
            held = self._ledger.find_active(connection, owner, name)
            check_slice(held, device, desired)
            self._ledger.want_slice(connection, held, device, generation, desired)
            return held.reservation_id

        reservation_id = await self._store.run(work)
        try:
            await self._devices.bring(reservation_id, device)
        except GeysersError:
            self._upkeep.wake_device(device)
            raise

    async def get_slice(self, owner: Identity, name: str, device: str) -> SliceReading:
        """What a device carries of a reservation, read from the device now."""
        held = await self._store.run(lambda connection: self._ledger.find_active(connection, owner, name))
        check_slice(held, device, SliceConfiguration())
        return await self._devices.read(held, device)

    # -- servers and steerings --------------------------------------------------------------------------------------

    async def create_server(self, owner: Identity, name: str, part_id: str, server: Server) -> Server:
        """Make a server with its volume; the same again returns the first. ResourceExhausted leaves nothing behind."""
        return await self._servers.create(owner, name, part_id, server)

    async def list_servers(self, owner: Identity, name: str, part_id: str) -> SitePower:
        """Servers of an IT part and their power, read from the site now."""
        return await self._servers.list(owner, name, part_id)

    async def delete_server(self, owner: Identity, name: str, part_id: str, server_id: str) -> None:
        """Remove a server and its volume; what is gone already is success."""
        await self._servers.delete(owner, name, part_id, server_id)

    async def put_steering(self, owner: Identity, name: str, part_id: str, steering: Steering) -> None:
        """Steer a client VLAN into a transponder of the reservation; a repeat changes nothing."""
        await self._steerings.put(owner, name, part_id, steering)

    async def delete_steering(self, owner: Identity, name: str, part_id: str, steering_id: str) -> None:
        """Take a steering away; what is gone already is success."""
        await self._steerings.delete(owner, name, part_id, steering_id)

    async def list_steerings(self, owner: Identity, name: str, part_id: str) -> tuple[Steering, ...]:
        """Steerings of a node part that the switch carries now."""
        return await self._steerings.list(owner, name, part_id)

    async def _refresh(self, site_id: str, site: OpenStackDriver) -> None:
        try:
            self._stock.learn_site(site_id, await site.facts())
        except GeysersError as error:
            log.warning("shown as it last was", site=site_id, error=error.message)
