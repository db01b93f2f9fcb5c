"""A VIP in one process over PIPs in memory, which can be stopped, killed and started again on the same store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData

from controller.api.operations import Operations, operations_table
from controller.domain.errors import GeysersError
from controller.domain.identity import Identity, Role
from controller.domain.infrastructure import (
    NetconfAddress,
    VirtualInfrastructure,
    VirtualInfrastructureState,
    VirtualItSite,
    VirtualLink,
    VirtualNode,
)
from controller.domain.spectrum import FrequencySlot
from controller.licl.nodes import VirtualNodes
from controller.licl.schema import define_tables as define_licl_tables
from controller.licl.sync import SliceSync, SyncTimes
from controller.netconf.client import NcclientSession
from controller.netconf.openroadm_models import openroadm_engine
from controller.netconf.server import NetconfServer
from controller.ports.clock import SystemClock
from controller.ports.device_session import DeviceAddress
from controller.ports.provider import Provider
from controller.ports.rng import SeededRng
from controller.security.pki import make_ssh_key
from controller.sml.it import VirtualIt
from controller.sml.lifecycle import Lifecycle, LifecycleTimes
from controller.sml.market import Market, MarketTimes
from controller.sml.schema import define_tables as define_sml_tables
from controller.store.sqlite import SqliteStore

ALPHA = Identity("demo", Role.VIO, "alpha")
BETA = Identity("demo", Role.VIO, "beta")
BAND = FrequencySlot(0, 40)
State = VirtualInfrastructureState
SYNC_TIMES = SyncTimes(apply_s=2.0, reading_s=0.5, first_retry_s=0.05, longest_retry_s=0.2)
TIMES = LifecycleTimes(set_up_tries=3, first_retry_s=0.01, longest_retry_s=0.05)
MARKET_TIMES = MarketTimes(offers_s=0.5, call_s=0.5, release_s=0.5, hold_s=60.0)


@dataclass
class Witness:
    """An observer that remembers."""

    changes: list[tuple[str, VirtualInfrastructureState | None]] = field(default_factory=list)
    ends: list[tuple[str, VirtualInfrastructure | GeysersError]] = field(default_factory=list)

    def changed(self, connection: Connection, name: str, thing: VirtualInfrastructure) -> None:
        self.changes.append((name, thing.state))

    def ended(self, connection: Connection, name: str, outcome: VirtualInfrastructure | GeysersError) -> None:
        self.ends.append((name, outcome))


class Vip:
    """Store, synchronisation, virtual nodes, lifecycle and virtual IT, as the composition root puts them together."""

    def __init__(
        self, folder: Path, providers: Mapping[str, Provider], engine=None, seed: int = 1, *, real: bool = False
    ) -> None:
        """With `real` providers the usual deadlines hold instead of the short ones."""
        self._file = folder / "vip.sqlite"
        self._metadata = MetaData()
        self._licl = define_licl_tables(self._metadata)
        self._sml = define_sml_tables(self._metadata)
        self.operations = Operations(operations_table(self._metadata))
        self._providers = providers
        self._engine = engine or openroadm_engine()
        self._rng = SeededRng(seed)
        self._sync_times = SyncTimes() if real else SYNC_TIMES
        self._market_times = MarketTimes() if real else MARKET_TIMES
        self.witness = Witness()
        self.wrap: Callable[[SqliteStore], Any] = lambda store: store

    async def start(self) -> Vip:
        clock = SystemClock()
        self.store = self.wrap(await SqliteStore.open(self._file, self._metadata))
        self.server = NetconfServer(clock)
        self.sync = SliceSync(self.store, self._licl, self._providers, clock, self._sync_times)
        self.nodes = VirtualNodes(self.store, self._licl, self.server, self.sync, self._engine, base_port=0)
        market = Market(self._providers, self._market_times)
        identity = Identity("demo", Role.VIP, "broker")
        self.lifecycle = Lifecycle(identity, self.store, self._sml, market, self.nodes, clock, self._rng, TIMES)
        self.lifecycle.observer = self.witness
        self.it = VirtualIt(self.store, self._sml, self._providers, self._rng)
        await self.sync.start()
        await self.lifecycle.start()
        return self

    async def stop(self) -> None:
        await self.lifecycle.stop()
        await self.sync.stop()
        await self.server.close()
        await self.store.close()

    async def create(self, owner: Identity, wanted: VirtualInfrastructure) -> None:
        """Admit a VI and set its actor to work, as the servicer does."""
        await self.store.run(lambda connection: self.lifecycle.admit(connection, owner, wanted))
        self.lifecycle.wake(wanted.name)

    async def release(self, owner: Identity, name: str) -> None:
        await self.store.run(lambda connection: self.lifecycle.admit_release(connection, owner, name))
        self.lifecycle.wake(name)

    async def until(self, owner: Identity, name: str, *states: VirtualInfrastructureState) -> VirtualInfrastructure:
        """The VI once it is in one of `states`."""
        async with asyncio.timeout(20):
            while True:
                found = await self.lifecycle.get(owner, name)
                if found.state in states:
                    return found
                await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    """Wait for what another task brings about."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - the other side gives no event for it
            await asyncio.sleep(0.01)


def request(key: str, vio: str = "alpha", vi_id: str = "blue", band: FrequencySlot = BAND) -> VirtualInfrastructure:
    """AMS, LON and PAR joined in a chain over both PIPs, and a share of the data centre at AMS."""
    return VirtualInfrastructure(
        name=f"vios/{vio}/virtualInfrastructures/{vi_id}",
        nodes=(VirtualNode("a", "AMS", 2), VirtualNode("l", "LON", 2), VirtualNode("p", "PAR", 1)),
        links=(VirtualLink("al", "a", "l", band), VirtualLink("lp", "l", "p", band)),
        it_sites=(VirtualItSite("dc", "AMS", "a", 8, 32, 100),),
        ssh_public_key=key,
    )


def ssh_key(folder: Path, name: str) -> tuple[Path, str]:
    """A fresh key pair: private file, OpenSSH text of the public half."""
    file = folder / f"id_{name}"
    make_ssh_key(file, name)
    return file, file.with_suffix(".pub").read_text().strip()


def session_to(address: NetconfAddress, key_file: Path, username: str | None = None) -> NcclientSession:
    """A NETCONF session, not connected yet."""
    return NcclientSession(
        DeviceAddress(
            address.host, address.port, username or address.username, key_file, address.host_public_key, timeout_s=5
        )
    )
