"""A virtual infrastructure to run an operator's controller on: emulated devices with a lease, and a broker in memory.

Two ways to the same devices: NETCONF over SSH, and the same operations called in this process, for tests that crash
the controller hundreds of times.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncssh
from lxml import etree
from sqlalchemy import MetaData, select

from controller.domain.errors import (
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    GeysersError,
    NoPath,
    NotFound,
    ResourceExhausted,
    SpectrumBlocked,
)
from controller.domain.identity import Identity
from controller.domain.infrastructure import (
    NetconfAddress,
    VirtualInfrastructure,
    VirtualInfrastructureState,
    VirtualItSite,
    VirtualLink,
    VirtualNode,
)
from controller.domain.it import ItResourceState, Server, SitePower, Steering
from controller.domain.nips import MachineDemand, Nips, NipsDemand, NipsState
from controller.domain.qot import LinkQot, QotSample
from controller.domain.spectrum import FrequencySlot, is_free
from controller.ncp.call import Calls
from controller.ncp.it_part import ItTimings
from controller.ncp.node_agent import AgentTimings, SessionFactory
from controller.ncp.schema import NcpTables, define_tables
from controller.ncp.signalling import SagaTimings
from controller.netconf.client import NcclientSession
from controller.netconf.datastore import Datastores
from controller.netconf.device import RpcError, SessionInfo, StoredDatastores
from controller.netconf.operations import Operations
from controller.netconf.server import NetconfServer
from controller.netconf.yang_engine import YangEngine
from controller.ports.clock import SystemClock
from controller.ports.rng import SystemRng
from controller.store.sqlite import SqliteStore
from emulator.physics import LightPlant
from emulator.plant import Plant, load_plant
from emulator.roadm.device import OpenRoadmDevice
from emulator.roadm.inventory import neighbours, patches, roadm_startup, shelf_startup
from emulator.roadm.light_field import LightField
from pce.request import Candidate, PathAnswer, PathRequest, Route
from pce.ted_snapshot import TedSnapshot

FOLDER = Path(__file__).parents[2] / "emulator" / "networks" / "europe14"
ALPHA = Identity.parse("geysers://demo/vio/alpha")
BETA = Identity.parse("geysers://demo/vio/beta")
VI = "vios/alpha/virtualInfrastructures/one"
BAND = FrequencySlot.from_granules(200, 200 + 8 * 14)
"""Eight slots of 87.5 GHz."""
CITIES = ("AMS", "LON", "PAR", "BRU")
LINKS = (("AMS", "LON"), ("LON", "PAR"), ("AMS", "BRU"), ("BRU", "PAR"), ("LON", "BRU"))
LEASE = "urn:geysers:yang:lease"
DEVICE = "http://org/openroadm/device"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
DEADLINE_S = 30.0


class LeasedDevice(OpenRoadmDevice):
    """An emulated device that reports a lease on each degree, as a virtual node does, and can be told to fail."""

    band: FrequencySlot | None = BAND
    refuse_apply: str = ""
    apply_delay_s: float = 0.0

    async def operational(self, running: etree._Element) -> etree._Element:
        data = await super().operational(running)
        for degree in data.iter(f"{{{DEVICE}}}degree") if self.band else ():
            lease = etree.SubElement(degree, f"{{{LEASE}}}leased-spectrum")
            etree.SubElement(lease, f"{{{LEASE}}}min-freq").text = f"{self.band.lower_hz / 1e12:.6f}"
            etree.SubElement(lease, f"{{{LEASE}}}max-freq").text = f"{self.band.upper_hz / 1e12:.6f}"
        return data

    async def apply(self, before: etree._Element, after: etree._Element) -> None:
        if self.apply_delay_s:
            delay_s, self.apply_delay_s = self.apply_delay_s, 0.0
            await asyncio.sleep(delay_s)
        if self.refuse_apply:
            why, self.refuse_apply = self.refuse_apply, ""
            raise RpcError("operation-failed", why)
        await super().apply(before, after)


class MemoryStorage:
    """Datastores that live as long as the test."""

    def __init__(self) -> None:
        self.stored: StoredDatastores | None = None

    async def load(self) -> StoredDatastores | None:
        return self.stored

    async def save(self, stored: StoredDatastores) -> None:
        self.stored = stored


@dataclass
class CrashPlan:
    """Stops the controller at its k-th step: that step, and all after it, never come back."""

    at: int = 0
    count: int = 0
    labels: list[str] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def point(self, label: str) -> None:
        self.count += 1
        self.labels.append(label)
        if self.at and self.count >= self.at:
            self.reached.set()
            await asyncio.Event().wait()


class CrashingStore:
    """A store that a crash plan watches."""

    def __init__(self, inner: SqliteStore, plan: CrashPlan) -> None:
        self._inner, self._plan = inner, plan

    async def run(self, work: Callable[[Any], Any]) -> Any:
        await self._plan.point("before write")
        result = await self._inner.run(work)
        await self._plan.point("after write")
        return result

    async def close(self) -> None:
        await self._inner.close()


@dataclass
class _LocalPeer:
    """What the operations need to know of a session."""

    info: SessionInfo
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    subscribed: str | None = None


class LocalDevice:
    """The datastores and operations of one device, without a listener."""

    def __init__(self, device: LeasedDevice) -> None:
        self.device = device
        self.datastores = Datastores(device, MemoryStorage(), SystemClock())
        self.operations = Operations(device, self.datastores, self, ("NETCONF",))
        self.next_session_id = 1

    def find(self, session_id: int) -> None:
        return None

    def all(self) -> tuple[()]:
        return ()


class LocalSession(NcclientSession):
    """The client's operations carried to a LocalDevice in this process, watched by a crash plan."""

    def __init__(self, local: LocalDevice, plan: CrashPlan, log: list[tuple[str, str]]) -> None:
        self._local, self._plan, self._log = local, plan, log
        self._peer: _LocalPeer | None = None

    async def connect(self) -> None:
        self._peer = _LocalPeer(SessionInfo(self._local.next_session_id, "alpha", "local"))
        self._local.next_session_id += 1

    async def close(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            await self._local.datastores.session_closed(peer.info.session_id)

    async def rpc(self, operation: etree._Element) -> etree._Element:
        name = etree.QName(operation).localname
        label = f"{self._local.device.name} {name}"
        self._log.append((self._local.device.name, name))
        await self._plan.point(f"before {label}")
        if self._peer is None:
            raise DeviceUnreachable("no session")
        reply = etree.Element(f"{{{BASE}}}rpc-reply")
        try:
            result = await self._local.operations(self._peer, etree.fromstring(etree.tostring(operation)))
        except RpcError as error:
            kind = DeviceLocked if error.tag in ("lock-denied", "in-use") else DeviceRejected
            raise kind(f"{label}: {error.tag}: {error.message}", tag=error.tag) from error
        reply.extend(result or ())
        await self._plan.point(f"after {label}")
        return reply


class MemoryBroker:
    """The VIP of one infrastructure, in memory; servers take two looks to become active."""

    def __init__(self, infrastructure: VirtualInfrastructure) -> None:
        self.infrastructure = infrastructure
        self.servers: dict[tuple[str, str], Server] = {}
        self.steerings: dict[tuple[str, str], Steering] = {}
        self.refuse_server: GeysersError | None = None
        self.refuse_steering: GeysersError | None = None
        self.server_ends_in_error = False
        self.plan = CrashPlan()

    async def get_infrastructure(self, name: str) -> VirtualInfrastructure:
        if name != self.infrastructure.name:
            raise NotFound(f"{name!r} not found")
        return self.infrastructure

    async def create_server(self, infrastructure: str, it_site_id: str, server: Server) -> Server:
        await self.plan.point("before create_server")
        if self.refuse_server is not None:
            raise self.refuse_server
        key = (it_site_id, server.server_id)
        if key not in self.servers:
            self.servers[key] = replace(server, state=ItResourceState.BUILDING, instance_uuid=f"i-{server.server_id}")
        await self.plan.point("after create_server")
        return self.servers[key]

    async def list_servers(self, infrastructure: str, it_site_id: str) -> SitePower:
        for key, server in self.servers.items():
            if key[0] == it_site_id and server.state is ItResourceState.BUILDING:
                state = ItResourceState.ERROR if self.server_ends_in_error else ItResourceState.ACTIVE
                self.servers[key] = replace(server, state=state, fault="no host" if self.server_ends_in_error else "")
        here = tuple(server for (site, _), server in self.servers.items() if site == it_site_id)
        return SitePower(here, 0.0)

    async def delete_server(self, infrastructure: str, it_site_id: str, server_id: str) -> None:
        await self.plan.point("before delete_server")
        if self.servers.pop((it_site_id, server_id), None) is None:
            raise NotFound(f"server {server_id!r} not found")
        await self.plan.point("after delete_server")

    async def put_steering(self, infrastructure: str, node_id: str, steering: Steering) -> None:
        await self.plan.point("before put_steering")
        if self.refuse_steering is not None:
            raise self.refuse_steering
        self.steerings[node_id, steering.steering_id] = steering
        await self.plan.point("after put_steering")

    async def delete_steering(self, infrastructure: str, node_id: str, steering_id: str) -> None:
        await self.plan.point("before delete_steering")
        self.steerings.pop((node_id, steering_id), None)
        await self.plan.point("after delete_steering")

    async def list_steerings(self, infrastructure: str, node_id: str) -> tuple[Steering, ...]:
        return tuple(steering for (node, _), steering in self.steerings.items() if node == node_id)


class FirstFitComputer:
    """Fewest hops, lowest free slot, first mode that carries the rate, first free transponder."""

    def __init__(self) -> None:
        self.requests: list[tuple[TedSnapshot, PathRequest]] = []
        self.before_answer: Callable[[], Any] | None = None

    async def compute(self, snapshot: TedSnapshot, request: PathRequest) -> PathAnswer:
        self.requests.append((snapshot, request))
        target, site = self._target(snapshot, request)
        route = self._route(snapshot, request.source, target)
        ends = [
            next((t for t in snapshot.nodes[node].transponders if t.free), None) for node in (request.source, target)
        ]
        if ends[0] is None or ends[1] is None:
            raise ResourceExhausted("no transponder is free at one of the ends", request=request.source)
        mode = next(mode for mode in ends[0].modes if mode.bit_rate_gbps >= request.bit_rate_gbps)
        slot = self._slot(snapshot, route, mode.m)
        if self.before_answer is not None:
            await self.before_answer()
        best = Candidate(
            route, slot, mode, request.source, target, ends[0].port, ends[1].port, site, 27.0, 26.0, 2.0, 40.0, 12.0,
            3.0, 600.0, 52.0,
        )  # fmt: skip
        return PathAnswer(snapshot.generation, request.objective, best, (best,))

    def _target(self, snapshot: TedSnapshot, request: PathRequest) -> tuple[str, str | None]:
        if request.it_demand is None:
            return (request.targets or ("",))[0], None
        for site in snapshot.sites.values():
            fits = site.vcpu_free >= request.it_demand.vcpu and site.node != request.source
            if fits and (request.candidate_sites is None or site.name in request.candidate_sites):
                return site.node, site.name
        raise ResourceExhausted("no IT site has enough left")

    def _route(self, snapshot: TedSnapshot, source: str, target: str) -> Route:
        queue, seen = deque([(source,)]), {source}
        while queue:
            nodes = queue.popleft()
            if nodes[-1] == target:
                hops = list(itertools.pairwise(nodes))
                between = snapshot.links_between
                return Route(
                    nodes, tuple(between[a, z][0].name for a, z in hops), tuple(between[z, a][0].name for a, z in hops)
                )
            for a, z in sorted(snapshot.links_between):
                if a == nodes[-1] and z not in seen:
                    seen.add(z)
                    queue.append((*nodes, z))
        raise NoPath(f"no route from {source} to {target}")

    def _slot(self, snapshot: TedSnapshot, route: Route, m: int) -> FrequencySlot:
        links = [snapshot.links[name] for name in route.directed_links]
        for first in range(links[0].band.first_granule, links[0].band.end_granule - 2 * m + 1):
            slot = FrequencySlot.from_granules(first, first + 2 * m)
            if all(is_free(link.occupied, slot) for link in links):
                return slot
        raise SpectrumBlocked(f"no slot of m={m} on {route}")


class Watcher:
    """An observer that remembers, and lets a test wait for an end."""

    def __init__(self) -> None:
        self.states: list[tuple[str, NipsState]] = []
        self.outcomes: dict[str, list[Nips | GeysersError]] = {}

    def changed(self, connection: Any, name: str, thing: Nips) -> None:
        self.states.append((name, thing.state))

    def ended(self, connection: Any, name: str, outcome: Nips | GeysersError) -> None:
        self.outcomes.setdefault(name, []).append(outcome)


class Testbed:
    """Devices, broker, path computer and store of one operator; controllers come and go."""

    __test__ = False

    def __init__(
        self,
        folder: Path,
        engine: YangEngine,
        cities: tuple[str, ...] = CITIES,
        qot: Callable[[str, str], LinkQot] | None = None,
    ) -> None:
        self.folder = folder
        self.qot = qot or _no_qot
        self.plant: Plant = load_plant(FOLDER / "network.json", FOLDER / "equipment.json", FOLDER / "it_sites.json")
        self.light = LightField(LightPlant(self.plant, patches(self.plant)))
        self.devices: dict[str, LeasedDevice] = {}
        self.startups: dict[str, etree._Element] = {}
        for city in cities:
            site = self.plant.roadms[f"ROADM-{city}"]
            shelf = self.plant.shelves[f"XPDR-{city}"]
            self.startups[site.name] = roadm_startup(site, [shelf])
            self.startups[shelf.name] = shelf_startup(shelf, site)
            lldp = neighbours(self.plant, site.name)
            self.devices[site.name] = LeasedDevice(site.name, engine, self.light, self.plant.modes, lldp)
            self.devices[shelf.name] = LeasedDevice(shelf.name, engine, self.light, self.plant.modes, {})
        self.cities = cities
        self.datastores: dict[str, Datastores] = {}
        self.local: dict[str, LocalDevice] = {}
        self.addresses: dict[str, NetconfAddress] = {}
        self.server: NetconfServer | None = None
        self.endpoints: dict[str, Any] = {}
        self.rpc_log: list[tuple[str, str]] = []
        self.watcher = Watcher()
        self.computer: Any = FirstFitComputer()

    async def open_local(self) -> None:
        """Devices in this process."""
        for port, (name, device) in enumerate(self.devices.items(), start=1):
            self.local[name] = LocalDevice(device)
            self.datastores[name] = self.local[name].datastores
            await self.datastores[name].open(self.startups[name])
            self.addresses[name] = NetconfAddress(name, port, "", "alpha")
        await self._open_store()

    async def open_ssh(self, key_file: Path) -> None:
        """Devices behind NETCONF over SSH."""
        self.server = NetconfServer()
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        for name, device in self.devices.items():
            endpoint = await self.server.add_endpoint(
                device,
                MemoryStorage(),
                self.startups[name],
                host="127.0.0.1",
                port=0,
                host_key=host_key,
                users={"alpha": [asyncssh.read_public_key(f"{key_file}.pub")]},
            )
            self.endpoints[name] = endpoint
            self.datastores[name] = endpoint.datastores
            self.addresses[name] = NetconfAddress("127.0.0.1", endpoint.port, endpoint.host_public_key, "alpha")
        await self._open_store()

    async def _open_store(self) -> None:
        metadata = MetaData()
        self.tables: NcpTables = define_tables(metadata)
        self.store = await SqliteStore.open(self.folder / "ncp.sqlite", metadata)
        self.broker = MemoryBroker(self.infrastructure())
        self.before = self.running()

    async def close(self) -> None:
        for datastores in self.datastores.values():
            await datastores.close()
        if self.server is not None:
            await self.server.close()
        await self.store.close()

    def infrastructure(self) -> VirtualInfrastructure:
        nodes = tuple(
            VirtualNode(
                city.lower(), city, 4, self.addresses[f"ROADM-{city}"], self.addresses[f"XPDR-{city}"],
                add_drop_osnr_0p1nm_db=self.plant.roadms[f"ROADM-{city}"].add_drop_osnr_0p1nm_db,
            )
            for city in self.cities
        )  # fmt: skip
        links = tuple(
            VirtualLink(
                f"{a}-{z}".lower(),
                a.lower(),
                z.lower(),
                BAND,
                self.qot(a, z),
                self.qot(z, a),
                self._port(a, z),
                self._port(z, a),
                10.0,
            )
            for a, z in LINKS
            if a in self.cities and z in self.cities
        )
        sites = tuple(
            VirtualItSite(f"it-{city.lower()}", city, city.lower(), 8, 32, 100, 110.0, 5.6, 1.3, 300.0)
            for city in ("PAR", "LON")
            if city in self.cities
        )
        return VirtualInfrastructure(VI, nodes, links, sites, "", VirtualInfrastructureState.ACTIVE)

    def _port(self, here: str, there: str) -> str:
        return f"DEG{self.plant.roadms[f'ROADM-{here}'].degree_to(f'ROADM-{there}')}-TTP-TXRX"

    def local_sessions(self, plan: CrashPlan) -> SessionFactory:
        return lambda address: LocalSession(self.local[address.host], plan, self.rpc_log)

    async def controller(
        self, open_session: SessionFactory | None = None, plan: CrashPlan | None = None, **changes: Any
    ) -> Calls:
        """A started controller on the testbed's store."""
        plan = plan or CrashPlan()
        self.broker.plan = plan
        settings: dict[str, Any] = {
            "saga_timings": SagaTimings(60, 2.0, 0.02, 10.0, 0.02),
            "agent_timings": AgentTimings(0.2, 0.02, 0.1, 5.0, 5.0, 0.02),
            "it_timings": ItTimings(5.0, 0.01),
        }
        calls = Calls(
            infrastructure=VI,
            store=CrashingStore(self.store, plan),
            tables=self.tables,
            broker=self.broker,
            path_computer=self.computer,
            open_session=open_session or self.local_sessions(plan),
            clock=SystemClock(),
            rng=SystemRng(),
            **(settings | changes),
        )
        calls.observer = self.watcher
        starting = asyncio.ensure_future(calls.start())
        crashing = asyncio.ensure_future(plan.reached.wait())
        done, _ = await asyncio.wait((starting, crashing), return_when=asyncio.FIRST_COMPLETED)
        crashing.cancel()
        if starting not in done:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        else:
            starting.result()
        return calls

    async def admit(self, calls: Calls, demand: NipsDemand) -> Nips:
        nips = await self.store.run(lambda connection: calls.admit(connection, ALPHA, demand))
        calls.wake(demand.name)
        return nips

    async def release(self, calls: Calls, name: str) -> Nips:
        nips = await self.store.run(lambda connection: calls.admit_release(connection, ALPHA, name))
        calls.wake(name)
        return nips

    async def at_rest(self, calls: Calls, name: str, states: tuple[NipsState, ...] = ()) -> Nips:
        """The service once it has come to rest in one of `states`."""
        wanted = states or (NipsState.ACTIVE, NipsState.RELEASED, NipsState.FAILED)
        async with asyncio.timeout(DEADLINE_S):
            while True:
                nips = next(entry for entry in await calls.list(ALPHA) if entry.demand.name == name)
                if nips.state in wanted:
                    return nips
                await asyncio.sleep(0.005)

    def running(self) -> dict[str, bytes]:
        """Configuration of every device, as it is stored."""
        return {name: etree.tostring(datastores.running, method="c14n") for name, datastores in self.datastores.items()}

    async def assert_clear(self) -> None:
        """Devices byte-equal to the start, nothing locked or pending, nothing booked, no server, no steering."""
        assert self.running() == self.before
        for name, datastores in self.datastores.items():
            assert datastores._pending is None, f"{name} holds a confirmed commit"
            assert not datastores._locks, f"{name} is locked"
        assert not self.light.state.receptions
        assert (self.broker.servers, self.broker.steerings) == ({}, {})
        assert await self.booked() == 0

    async def booked(self) -> int:
        """Rows of every kind of booking."""
        tables = (self.tables.spectrum, self.tables.transponders, self.tables.it_shares)
        return sum(
            [len(await self.store.run(lambda c, table=table: c.execute(select(table)).all())) for table in tables]
        )


def demand(name: str = "first", source: str = "ams", destination: str = "par", **changes: Any) -> NipsDemand:
    """A 400 Gb/s lightpath; `machine` adds a server."""
    given: dict[str, Any] = {
        "name": f"vios/alpha/nips/{name}",
        "source_node_id": source,
        "destination_node_id": destination,
        "bit_rate_gbps": 400.0,
        "vlan_id": 100,
    }
    return NipsDemand(**(given | changes))


MACHINE = MachineDemand(vcpu_count=4, memory_gib=8, volume_gib=20, candidate_it_site_ids=("it-par",))


def _no_qot(_a: str, _z: str) -> LinkQot:
    """Figures for a path computer that does not look at them."""
    samples = (QotSample(191.4, 1e-3, 1e-4, 2e-4), QotSample(196.0, 1e-3, 1e-4, 2e-4))
    return LinkQot(samples, 300.0, 1.5, 5000.0, 1.0)
