"""The PIP's process: geysers.pip.v1 to its north, its own devices, data centres and edge switches to its south.

ApiServer ─▶ PhysicalProvider ─┬▶ one driver per device        (ncclient, a thread each)
    │             │            ├▶ one driver per data centre   (openstacksdk, a thread each)
 Replies ──▶ SqliteStore       └▶ EdgeSwitchDriver ─▶ OpenFlow agent, a process of its own
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from controller.api.provider import serve_provider
from controller.api.replies import Replies, replies_table
from controller.api.server import ApiServer
from controller.app.addresses import Equipment, read_equipment
from controller.app.plant_figures import plant_figures_apart
from controller.openflow.client import OpenFlowAgent
from controller.pip.drivers.edge_switch import EdgeSwitchDriver
from controller.pip.provider import PhysicalProvider, ProviderSettings
from controller.pip.schema import define_tables
from controller.ports.clock import SystemClock
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
        own = read_equipment(
            settings.addresses_file,
            settings.name,
            username=f"pip-{settings.name}",
            private_key_file=settings.credentials.ssh_private_key_file,
        )
        configured = ProviderSettings(
            name=settings.name,
            devices=own.devices,
            figures=await plant_figures_apart(settings.network, settings.equipment, own.devices),
            it_sites=own.it_sites,
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

    def _edge(self, own: Equipment, clock: SystemClock) -> EdgeSwitchDriver | None:
        if not own.edge_switches:
            return None
        return EdgeSwitchDriver(OpenFlowAgent(own.edge_switches, clock, credentials=self._settings.credentials))
