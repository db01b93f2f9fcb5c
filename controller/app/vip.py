"""The VIP's process: geysers.vi.v1 and one NETCONF endpoint per virtual device to its north, PIPs to its south.

ApiServer ─▶ Lifecycle ─▶ Market ─────────▶ GrpcProvider × PIPs
    │            └─▶ VirtualNodes ─▶ NetconfServer (hop 5) ─▶ SliceSync (hop 6) ─▶ GrpcProvider
    └─▶ VirtualIt ────────────────────────────────────────────▶ GrpcProvider
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from controller.api.infrastructure import serve_infrastructure
from controller.api.operations import Operations, operations_table
from controller.api.provider_client import GrpcProvider
from controller.api.server import ApiServer
from controller.licl.nodes import DEFAULT_BASE_PORT, VirtualNodes
from controller.licl.schema import define_tables as define_licl_tables
from controller.licl.sync import SliceSync
from controller.netconf.server import NetconfServer
from controller.ports.clock import SystemClock
from controller.ports.rng import SystemRng
from controller.security.pki import Credentials
from controller.sml.it import VirtualIt
from controller.sml.lifecycle import Lifecycle
from controller.sml.market import Market
from controller.sml.schema import define_tables as define_sml_tables
from controller.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class VipSettings:
    """Which PIPs the broker deals with, and where it listens."""

    credentials: Credentials
    state_dir: Path
    pips: Mapping[str, str]
    """host:port of each PIP's gRPC, by its name."""
    host: str = "127.0.0.1"
    port: int = 0
    netconf_base_port: int = DEFAULT_BASE_PORT


class VipProcess:
    """The broker."""

    def __init__(self, settings: VipSettings) -> None:
        self._settings = settings
        self._store: SqliteStore | None = None
        self._server: ApiServer | None = None
        self._providers: dict[str, GrpcProvider] = {}
        self._netconf: NetconfServer | None = None
        self._sync: SliceSync | None = None
        self._lifecycle: Lifecycle | None = None

    async def start(self) -> None:
        settings = self._settings
        clock, rng = SystemClock(), SystemRng()
        metadata = MetaData()
        licl, sml = define_licl_tables(metadata), define_sml_tables(metadata)
        operations = Operations(operations_table(metadata))
        self._store = store = await SqliteStore.open(settings.state_dir / "vip.sqlite3", metadata)
        self._providers = {
            name: GrpcProvider(name, target, settings.credentials) for name, target in settings.pips.items()
        }
        self._netconf = NetconfServer(clock)
        self._sync = SliceSync(store, licl, self._providers, clock)
        nodes = VirtualNodes(
            store, licl, self._netconf, self._sync, host=settings.host, base_port=settings.netconf_base_port
        )
        self._lifecycle = Lifecycle(
            settings.credentials.identity, store, sml, Market(self._providers), nodes, clock, rng
        )
        self._server = ApiServer(settings.credentials, settings.host, settings.port, rng)
        serve_infrastructure(
            self._server, self._lifecycle, VirtualIt(store, sml, self._providers, rng), operations, store, clock
        )
        await self._sync.start()
        await self._lifecycle.start()
        for name in await store.run(operations.open_targets):
            self._lifecycle.wake(name)
        await self._server.start()
        await self._server.set_serving(serving=True)

    @property
    def ready(self) -> Mapping[str, Any]:
        port = 0 if self._server is None else self._server.port
        name = self._settings.credentials.identity.name
        return {"role": "vip", "name": name, "grpc": f"{self._settings.host}:{port}"}

    async def close(self) -> None:
        if self._server is not None:
            await self._server.stop()
        if self._lifecycle is not None:
            await self._lifecycle.stop()
        if self._netconf is not None:
            await self._netconf.close()
        if self._sync is not None:
            await self._sync.stop()
        for provider in self._providers.values():
            await provider.close()
        if self._store is not None:
            await self._store.close()
