"""A few emulated devices of the bundled network, and a provider that owns them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import asyncssh
from lxml import etree
from sqlalchemy import MetaData

from controller.domain.identity import Identity
from controller.domain.offers import LinkOffer
from controller.domain.qot import LinkQot, QotSample
from controller.domain.reservation import LinkPart, NodePart, Reservation
from controller.domain.spectrum import FrequencySlot
from controller.netconf.device import FileStorage
from controller.netconf.server import Endpoint, NetconfServer
from controller.netconf.yang_engine import YangEngine
from controller.pip.drivers.openstack import OpenStackDriver
from controller.pip.inventory import LineFigures, PlantFigures
from controller.pip.provider import PhysicalProvider, ProviderSettings
from controller.pip.schema import define_tables
from controller.pip.stock import ItSiteSettings
from controller.ports.clock import Clock, SystemClock
from controller.ports.device_session import DeviceAddress
from controller.ports.rng import SeededRng
from controller.security.pki import make_ssh_key
from controller.store.sqlite import SqliteStore
from emulator.physics import LightPlant
from emulator.plant import Plant, load_plant
from emulator.roadm.device import OpenRoadmDevice
from emulator.roadm.inventory import neighbours, patches, roadm_startup, shelf_startup
from emulator.roadm.light_field import LightField

FOLDER = Path(__file__).parents[2] / "emulator" / "networks" / "europe14"
MODE = "OR-W-400G-oFEC-63.1Gbd"
ALPHA = Identity.parse("geysers://demo/vip/alpha")
BETA = Identity.parse("geysers://demo/vip/beta")


class Network:
    """Devices by name, each of which can be stopped, changed behind the provider's back, and started again."""

    def __init__(self, names: list[str], folder: Path, engine: YangEngine) -> None:
        self.names = names
        self.plant = load_plant(FOLDER / "network.json", FOLDER / "equipment.json")
        self.light = LightField(LightPlant(self.plant, patches(self.plant)))
        self.lldp = {name: dict(neighbours(self.plant, name)) for name in self.plant.roadms}
        self.endpoints: dict[str, Endpoint] = {}
        self.devices: dict[str, OpenRoadmDevice] = {}
        self.addresses: dict[str, DeviceAddress] = {}
        self._folder = folder
        self._engine = engine
        self._server = NetconfServer()
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        make_ssh_key(folder / "id_pip", "pip")

    async def start(self, name: str) -> None:
        plant = self.plant
        site = plant.roadms.get(name) or plant.roadms[plant.shelves[name].roadm]
        beside = [entry for entry in plant.shelves.values() if entry.roadm == site.name]
        is_roadm = name in plant.roadms
        device = OpenRoadmDevice(name, self._engine, self.light, plant.modes, self.lldp.get(name, {}))
        endpoint = await self._server.add_endpoint(
            device,
            FileStorage(self.storage_file(name)),
            roadm_startup(site, beside) if is_roadm else shelf_startup(plant.shelves[name], site),
            host="127.0.0.1",
            port=self.addresses[name].port if name in self.addresses else 0,
            host_key=self._host_key,
            users={"pip": [asyncssh.read_public_key(self._folder / "id_pip.pub")]},
        )
        self.devices[name], self.endpoints[name] = device, endpoint
        self.addresses[name] = DeviceAddress(
            "127.0.0.1", endpoint.port, "pip", self._folder / "id_pip", endpoint.host_public_key, timeout_s=5.0
        )

    def storage_file(self, name: str) -> Path:
        return self._folder / f"{name}.xml"

    async def start_all(self) -> None:
        for name in self.names:
            await self.start(name)

    async def stop(self, name: str) -> None:
        await self._server.remove_endpoint(self.endpoints.pop(name))

    async def close(self) -> None:
        await self._server.close()

    def configuration(self, name: str) -> bytes:
        """Running of a device in canonical form, children of the device in the order of their keys."""
        data = etree.fromstring(etree.tostring(self.endpoints[name].running()))
        for root in data:
            root[:] = sorted(root, key=lambda entry: etree.tostring(entry, method="c14n"))
        return etree.tostring(data, method="c14n")

    def configurations(self) -> dict[str, bytes]:
        return {name: self.configuration(name) for name in self.endpoints}

    def figures(self) -> PlantFigures:
        return dummy_figures(self.plant)


def dummy_figures(plant: Plant) -> PlantFigures:
    """Plant records with the same figures for every line."""
    qot = LinkQot((QotSample(193.7, 1e-3, 1e-4, 2e-4),), 100.0, 0.5, 1700.0, 0.4)
    return PlantFigures(
        {ends: LineFigures(qot, 50.0) for ends in plant.lines},
        {site.name: site.add_drop_osnr_0p1nm_db for site in plant.roadms.values()},
    )


def open_plain_site(site: ItSiteSettings, clock: Clock) -> OpenStackDriver:
    """Emulated sites without a certificate."""
    return OpenStackDriver(site.site_id, site.credentials_file, clock, allow_plain_text=True)


class Bench:
    """A provider over a network, which can be stopped and begun again on the same store."""

    def __init__(self, folder: Path, settings: ProviderSettings, **parts: object) -> None:
        self._folder = folder
        self._parts = parts
        self.settings = settings
        self.provider: PhysicalProvider
        self.store: SqliteStore
        self._ids = SeededRng(7)

    async def start(self) -> PhysicalProvider:
        metadata = MetaData()
        tables = define_tables(metadata)
        self.store = await SqliteStore.open(self._folder / "pip.sqlite3", metadata)
        self.provider = PhysicalProvider(
            self.settings, tables, self.store, SystemClock(), SeededRng(3),
            **{"open_site": open_plain_site, **self._parts},
        )  # fmt: skip
        await self.provider.start()
        return self.provider

    async def stop(self) -> None:
        await self.provider.close()
        await self.store.close()

    async def reserve(self, owner: Identity, wanted: Reservation, hold_time_s: float = 60.0) -> Reservation:
        number = self._ids.uuid().replace("-", "")[:16]
        return await self.store.run(
            lambda connection: self.provider.reserve(connection, owner, wanted, hold_time_s, number)
        )

    async def lease(self, owner: Identity, wanted: Reservation) -> Reservation:
        """Reserve and activate."""
        held = await self.reserve(owner, wanted)
        return await self.provider.activate(owner, held.name)


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a condition, which may be a coroutine function."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.02)


async def corridor(
    provider: PhysicalProvider, route: list[str], band: FrequencySlot, transponders: dict[str, int], gri: str = "gri:1"
) -> Reservation:
    """A request for a band along a route in both directions, with transponders at some nodes."""
    catalogue = await provider.catalogue()
    nodes = {node.node_id: node for node in catalogue.nodes}
    hops = {(link.source_node, link.destination_node): link for link in catalogue.links}
    links: list[LinkOffer] = []
    for a, b in itertools.pairwise(route):
        links += [hops[a, b], hops[b, a]]
    node_parts = tuple(
        NodePart(
            f"n-{node}",
            nodes[node].name,
            tuple(link.source_port for link in links if link.source_node == node),
            transponders.get(node, 0),
        )
        for node in route
    )
    link_parts = tuple(LinkPart(f"l-{index}", link.name, band) for index, link in enumerate(links))
    return Reservation(gri, node_parts, link_parts)
