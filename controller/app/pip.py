"""The PIP's process: geysers.pip.v1 to its north, its own devices, data centres and edge switches to its south.

ApiServer ─▶ PhysicalProvider ─┬▶ one driver per device        (ncclient, a thread each)
    │             │            ├▶ one driver per data centre   (openstacksdk, a thread each)
 Replies ──▶ SqliteStore       └▶ EdgeSwitchDriver ─▶ OpenFlow agent, a process of its own
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from controller.api.provider import serve_provider
from controller.api.replies import Replies, replies_table
from controller.api.server import ApiServer
from controller.app.plant_figures import plant_figures_apart
from controller.domain.errors import InvalidRequest
from controller.domain.offers import Location
from controller.openflow.client import OpenFlowAgent
from controller.pip.drivers.edge_switch import EdgeSwitchDriver
from controller.pip.provider import PhysicalProvider, ProviderSettings
from controller.pip.schema import define_tables
from controller.pip.stock import ItSiteSettings
from controller.ports.clock import SystemClock
from controller.ports.device_session import DeviceAddress
from controller.ports.rng import SystemRng
from controller.security.pki import Credentials
from controller.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class PipSettings:
    """Where a PIP's equipment is, what it knows of its fibres, and where it listens."""

    name: str
    credentials: Credentials
    state_dir: Path
    addresses_file: Path
    """JSON as the emulator's ready file: devices, it_sites, edge_switches; of these, the provider's own."""
    network: Path
    """GNPy network with the spans and amplifiers that no device can tell of."""
    equipment: Path
    host: str = "127.0.0.1"
    port: int = 0
    upkeep_period_s: float = 30.0


class PipProcess:
    """One provider."""

    def __init__(self, settings: PipSettings) -> None:
        self._settings = settings
        self._store: SqliteStore | None = None
        self._provider: PhysicalProvider | None = None
        self._server: ApiServer | None = None

    async def start(self) -> None:
        settings = self._settings
        clock, rng = SystemClock(), SystemRng()
        own = _own_addresses(settings.addresses_file, settings.name)
        configured = ProviderSettings(
            name=settings.name,
            devices={entry["name"]: _device_address(entry, settings) for entry in own["devices"]},
            figures=await plant_figures_apart(
                settings.network, settings.equipment, [str(entry["name"]) for entry in own["devices"]]
            ),
            it_sites=tuple(_it_site(entry) for entry in own["it_sites"]),
            upkeep_period_s=settings.upkeep_period_s,
        )
        metadata = MetaData()
        tables, replies = define_tables(metadata), Replies(replies_table(metadata))
        self._store = await SqliteStore.open(settings.state_dir / "pip.sqlite3", metadata)
        self._provider = PhysicalProvider(configured, tables, self._store, clock, rng, edge=self._edge(own, clock))
        self._server = ApiServer(settings.credentials, settings.host, settings.port, rng)
        serve_provider(self._server, self._provider, self._store, replies, rng)
        # Before discovery is through, what is ours would be said not to exist.
        await self._provider.start()
        await self._server.start()
        await self._server.set_serving(serving=True)

    @property
    def ready(self) -> Mapping[str, Any]:
        port = 0 if self._server is None else self._server.port
        return {"role": "pip", "name": self._settings.name, "grpc": f"{self._settings.host}:{port}"}

    async def close(self) -> None:
        if self._server is not None:
            await self._server.stop()
        if self._provider is not None:
            await self._provider.close()
        if self._store is not None:
            await self._store.close()

    def _edge(self, own: Mapping[str, Sequence[Mapping[str, Any]]], clock: SystemClock) -> EdgeSwitchDriver | None:
        switches = [(str(entry["host"]), int(entry["port"])) for entry in own["edge_switches"]]
        if not switches:
            return None
        socket_path = self._settings.state_dir / "openflow.sock"
        return EdgeSwitchDriver(OpenFlowAgent(switches, socket_path, clock, credentials=self._settings.credentials))


def _own_addresses(file: Path, provider: str) -> dict[str, list[Mapping[str, Any]]]:
    """Entries of `file` that belong to `provider`."""
    try:
        content = json.loads(file.read_text())
    except OSError as error:
        raise InvalidRequest(f"{file}: cannot be read: {error.strerror}", field="addresses") from error
    except ValueError as error:
        raise InvalidRequest(f"{file}: is not JSON: {error}", field="addresses") from error
    own: dict[str, list[Mapping[str, Any]]] = {}
    for kind in ("devices", "it_sites", "edge_switches"):
        entries = content.get(kind, []) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InvalidRequest(f"{file}: {kind!r} must be a list of objects", field=kind)
        own[kind] = [entry for entry in entries if entry.get("provider") == provider]
    if not own["devices"]:
        raise InvalidRequest(
            f'{file}: no device has "provider": {provider!r}: name a provider of that file', field="provider"
        )
    return own


def _device_address(entry: Mapping[str, Any], settings: PipSettings) -> DeviceAddress:
    try:
        return DeviceAddress(
            host=str(entry["host"]),
            port=int(entry["port"]),
            username=f"pip-{settings.name}",
            private_key_file=settings.credentials.ssh_private_key_file,
            host_public_key=str(entry["host_public_key"]),
        )
    except (KeyError, ValueError) as error:
        raise InvalidRequest(
            f"{settings.addresses_file}: device {entry.get('name')!r}: {error} is missing or wrong", field="devices"
        ) from error


def _it_site(entry: Mapping[str, Any]) -> ItSiteSettings:
    return ItSiteSettings(
        site_id=str(entry["name"]),
        location=Location(clli=str(entry["clli"]), country_code=str(entry.get("country_code", ""))),
        credentials_file=Path(entry["admin_file"]),
        carbon_g_per_kwh=float(entry.get("carbon_g_per_kwh", 0.0)),
    )
