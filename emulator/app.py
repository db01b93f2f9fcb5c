"""The emulator as one process: every device, data centre and edge switch of a plant, on ports of their own.

    load_plant ─▶ LightField ◀─ OpenRoadmDevice × n ─▶ NetconfServer (one endpoint each)
              ├─▶ start_it_site × m      (OpenStack-style REST)
              └─▶ start_edge_switch × k  (OpenFlow 1.4)

All state lives under one directory: configurations, host keys and ports come back after any kind of stop.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from controller.netconf.device import FileStorage
from controller.netconf.openroadm_models import openroadm_engine
from controller.netconf.server import Endpoint, NetconfServer
from controller.netconf.yang_engine import YangEngine
from emulator.it_site import start_it_site
from emulator.openflow import start_edge_switch
from emulator.physics import LightPlant
from emulator.plant import InvalidNetworkError, Plant, load_plant
from emulator.roadm.device import OpenRoadmDevice
from emulator.roadm.inventory import neighbours, patches, roadm_startup, shelf_startup
from emulator.roadm.light_field import LightField
from emulator.tls import TlsFiles

MAX_PORT = 65535
BUNDLED = Path(__file__).parent / "networks" / "europe14"


@dataclass(frozen=True, slots=True)
class DeviceUser:
    """Who may log in to devices over SSH, and with which key."""

    name: str
    public_key_file: Path
    provider: str | None = None
    """Only to the devices of this provider; None for all."""


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """What to emulate, and where."""

    state_dir: Path
    network: Path = BUNDLED / "network.json"
    equipment: Path = BUNDLED / "equipment.json"
    it_sites: Path | None = BUNDLED / "it_sites.json"
    host: str = "127.0.0.1"
    netconf_base_port: int = 0
    """Port of the first device, the others follow; 0 takes free ports, the same again at the next start."""
    users: Sequence[DeviceUser] = ()
    yang_dir: Path | None = None
    tls: TlsFiles | None = None
    """Identity of data centres and edge switches; None, for tests, serves them in plain text."""


class Emulator:
    """A running emulator; `ready` is what the ready file says."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self._settings = settings
        self._closing = AsyncExitStack()
        self.ready: dict[str, Any] = {"devices": [], "it_sites": [], "edge_switches": []}

    async def start(self) -> None:
        """Start everything; raises InvalidNetworkError before anything listens."""
        settings = self._settings
        plant = load_plant(settings.network, settings.equipment, settings.it_sites)
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        ports = PortBook(
            settings.state_dir / "netconf_ports.json",
            settings.netconf_base_port,
            len(plant.roadms) + len(plant.shelves),
        )
        engine = openroadm_engine(settings.yang_dir)
        try:
            await self._start_devices(plant, engine, ports)
            await self._start_it_sites(plant)
            await self._start_edge_switches(plant)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop everything, last started first."""
        await self._closing.aclose()

    async def _start_devices(self, plant: Plant, engine: YangEngine, ports: PortBook) -> None:
        settings = self._settings
        light = LightField(LightPlant(plant, patches(plant)))
        server = NetconfServer()
        self._closing.push_async_callback(server.close)
        users = [(user, asyncssh.read_public_key(user.public_key_file)) for user in settings.users]
        for name in [*plant.roadms, *plant.shelves]:
            is_roadm = name in plant.roadms
            site = plant.roadms[name if is_roadm else plant.shelves[name].roadm]
            beside = [shelf for shelf in plant.shelves.values() if shelf.roadm == site.name]
            endpoint = await server.add_endpoint(
                OpenRoadmDevice(name, engine, light, plant.modes, neighbours(plant, name) if is_roadm else {}),
                FileStorage(settings.state_dir / "devices" / f"{name}.xml"),
                roadm_startup(site, beside) if is_roadm else shelf_startup(plant.shelves[name], site),
                host=settings.host,
                port=ports.wanted(name),
                host_key=_host_key(settings.state_dir / "devices" / f"{name}.hostkey"),
                users=_allowed(users, site.provider),
                streams=("NETCONF", "OPENROADM"),
            )
            ports.taken(name, endpoint.port)
            self.ready["devices"].append(_device_entry(name, "rdm" if is_roadm else "xpdr", endpoint, site))
        ports.save()

    async def _start_it_sites(self, plant: Plant) -> None:
        for site in plant.it_sites:
            handle = await start_it_site(
                site, self._settings.state_dir / "it_sites", self._settings.host, tls=self._settings.tls
            )
            self._closing.push_async_callback(handle.close)
            self.ready["it_sites"].append(
                {
                    "name": site.name,
                    "url": handle.url,
                    "admin_file": str(handle.admin_file),
                    "provider": site.provider,
                    "clli": site.clli,
                    "country_code": site.country_code,
                    "carbon_g_per_kwh": site.carbon_g_per_kwh,
                }
            )

    async def _start_edge_switches(self, plant: Plant) -> None:
        for shelf in plant.shelves.values():
            site = plant.roadms[shelf.roadm]
            name = f"edge-{site.clli.lower()}"
            clients = [f"XPDR1-CLIENT{number}" for number in range(1, shelf.transponder_count + 1)]
            handle = await start_edge_switch(
                name,
                site.clli,
                clients,
                self._settings.state_dir / "edge_switches",
                self._settings.host,
                tls=self._settings.tls,
                owner=site.provider,
            )
            self._closing.push_async_callback(handle.close)
            self.ready["edge_switches"].append(
                {
                    "name": name,
                    "host": self._settings.host,
                    "port": handle.port,
                    "provider": site.provider,
                    "clli": site.clli,
                }
            )


class PortBook:
    """Which device listens where, kept so that a restart takes the same ports; raises InvalidNetworkError."""

    def __init__(self, file: Path, base_port: int, device_count: int) -> None:
        if base_port and not 0 < base_port <= MAX_PORT + 1 - device_count:
            raise InvalidNetworkError(
                f"netconf_base_port {base_port}: {device_count} devices need as many ports from there: use at most "
                f"{MAX_PORT + 1 - device_count}, or 0 for free ones"
            )
        self._file = file
        self._next_port = base_port
        self._known = _known_ports(file)

    def wanted(self, name: str) -> int:
        if self._next_port:
            self._next_port += 1
            return self._next_port - 1
        return self._known.get(name, 0)

    def taken(self, name: str, port: int) -> None:
        self._known[name] = port

    def save(self) -> None:
        write_atomically(self._file, json.dumps(self._known))


def _known_ports(file: Path) -> dict[str, int]:
    if not file.exists():
        return {}
    try:
        known = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise InvalidNetworkError(f"{file}: is not JSON ({error}): remove it, and devices take new ports") from error
    if not isinstance(known, dict) or not all(type(port) is int and 0 < port <= MAX_PORT for port in known.values()):
        raise InvalidNetworkError(f"{file}: is no map of devices to ports: remove it, and devices take new ports")
    return known


def _allowed(users: Sequence[tuple[DeviceUser, asyncssh.SSHKey]], provider: str) -> dict[str, list[asyncssh.SSHKey]]:
    """Users of one provider's devices, with their keys."""
    allowed: dict[str, list[asyncssh.SSHKey]] = {}
    for user, key in users:
        if user.provider in (None, provider):
            allowed.setdefault(user.name, []).append(key)
    return allowed


def write_atomically(file: Path, text: str) -> None:
    """Write `file` so that a reader sees all of it or nothing."""
    temporary = file.with_name(file.name + ".new")
    temporary.write_text(text)
    temporary.replace(file)


def _host_key(file: Path) -> asyncssh.SSHKey:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = asyncssh.generate_private_key("ssh-ed25519")
        temporary = file.with_name(file.name + ".new")
        temporary.touch(mode=0o600)
        key.write_private_key(temporary)
        temporary.replace(file)
    return asyncssh.read_private_key(file)


def _device_entry(name: str, kind: str, endpoint: Endpoint, site: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "host": endpoint.host,
        "port": endpoint.port,
        "provider": site.provider,
        "clli": site.clli,
        "host_public_key": endpoint.host_public_key,
    }
