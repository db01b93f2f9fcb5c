"""The NCP's process, one per operator: geysers.nips.v1 to its north, its virtual nodes and the VIP to its south.

ApiServer ─▶ Calls (hop 2) ─▶ Saga per service (hop 4) ─▶ NodeAgent per virtual device ─▶ NETCONF
               │    └─▶ PooledEngine (hop 3)
               └─▶ GrpcBroker ─▶ VIP
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from controller.api.broker_client import GrpcBroker
from controller.api.nips import serve_nips
from controller.api.operations import Operations, operations_table
from controller.api.server import ApiServer
from controller.ncp.call import Calls
from controller.ncp.node_agent import ssh_sessions
from controller.ncp.schema import define_tables
from controller.ports.clock import SystemClock
from controller.ports.rng import SystemRng
from controller.security.pki import Credentials
from controller.store.sqlite import SqliteStore
from pce.engine import PooledEngine


@dataclass(frozen=True, slots=True)
class NcpSettings:
    """Which infrastructure an operator's controller runs, at which VIP, and where it listens."""

    credentials: Credentials
    state_dir: Path
    infrastructure_id: str
    vip: str
    """host:port of the VIP's gRPC."""
    host: str = "127.0.0.1"
    port: int = 0


class NcpProcess:
    """One operator's controller."""

    def __init__(self, settings: NcpSettings) -> None:
        self._settings = settings
        self._store: SqliteStore | None = None
        self._server: ApiServer | None = None
        self._broker: GrpcBroker | None = None
        self._engine: PooledEngine | None = None
        self._calls: Calls | None = None

    async def start(self) -> None:
        settings = self._settings
        vio = settings.credentials.identity
        clock, rng = SystemClock(), SystemRng()
        metadata = MetaData()
        tables, operations = define_tables(metadata), Operations(operations_table(metadata))
        self._store = store = await SqliteStore.open(settings.state_dir / "ncp.sqlite3", metadata)
        self._broker = GrpcBroker(settings.vip, settings.credentials)
        self._engine = PooledEngine()
        self._calls = Calls(
            infrastructure=f"vios/{vio.name}/virtualInfrastructures/{settings.infrastructure_id}",
            store=store,
            tables=tables,
            broker=self._broker,
            path_computer=self._engine,
            open_session=ssh_sessions(settings.credentials.ssh_private_key_file),
            clock=clock,
            rng=rng,
        )
        self._server = ApiServer(settings.credentials, settings.host, settings.port, rng)
        serve_nips(self._server, vio, self._calls, operations, store, clock)
        await self._server.start()
        # Kernels are warm and every service is being carried on before the first request is welcome.
        await self._engine.warm_up()
        await self._calls.start()
        for name in await store.run(operations.open_targets):
            self._calls.wake(name)
        await self._server.set_serving(serving=True)

    @property
    def ready(self) -> Mapping[str, Any]:
        port = 0 if self._server is None else self._server.port
        name = self._settings.credentials.identity.name
        return {"role": "ncp", "name": name, "grpc": f"{self._settings.host}:{port}"}

    async def close(self) -> None:
        if self._server is not None:
            await self._server.stop()
        if self._calls is not None:
            await self._calls.close()
        if self._broker is not None:
            await self._broker.close()
        if self._engine is not None:
            self._engine.close()
        if self._store is not None:
            await self._store.close()
