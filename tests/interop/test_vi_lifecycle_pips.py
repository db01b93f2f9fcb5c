"""A VI over two real providers: gRPC to them, NETCONF to emulated devices, light that really passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import MetaData

from controller.api.provider import serve_provider
from controller.api.provider_client import GrpcProvider
from controller.api.replies import Replies, replies_table
from controller.api.server import ApiServer
from controller.domain.identity import Identity, Role
from controller.domain.infrastructure import VirtualInfrastructure, VirtualLink, VirtualNode
from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.netconf.openroadm_models import openroadm_engine
from controller.openroadm.configuration import edit_elements, read_configuration, read_receptions
from controller.openroadm.facts import parse_device
from controller.pip.provider import PhysicalProvider, ProviderSettings
from controller.pip.schema import define_tables
from controller.ports.clock import SystemClock
from controller.ports.rng import SystemRng
from controller.security.pki import DevelopmentCa
from controller.store.sqlite import SqliteStore
from tests.interop.pip_network import MODE, Network
from tests.licl_vip import ALPHA, State, Vip, session_to, ssh_key

OWNERS = {"north": ["ROADM-AMS", "XPDR-AMS", "ROADM-LON"], "south": ["ROADM-PAR", "XPDR-PAR"]}
BAND = FrequencySlot(0, 40)
SLOT = FrequencySlot(0, 7)
NAME = "vios/alpha/virtualInfrastructures/blue"


class ServedPip:
    """A provider behind its gRPC server."""

    def __init__(self, name: str, folder: Path, network: Network, authority: DevelopmentCa) -> None:
        self._name, self._folder, self._network, self._authority = name, folder, network, authority

    async def start(self) -> int:
        metadata = MetaData()
        tables, replies = define_tables(metadata), replies_table(metadata)
        self._store = await SqliteStore.open(self._folder / f"{self._name}.sqlite", metadata)
        addresses = {device: self._network.addresses[device] for device in OWNERS[self._name]}
        settings = ProviderSettings(self._name, addresses, self._network.figures())
        self._provider = PhysicalProvider(settings, tables, self._store, SystemClock(), SystemRng())
        await self._provider.start()
        credentials = self._authority.issue(Identity("demo", Role.PIP, self._name))
        self._server = ApiServer(credentials, "127.0.0.1", 0, SystemRng())
        serve_provider(self._server, self._provider, self._store, Replies(replies), SystemRng())
        await self._server.start()
        return self._server.port

    async def close(self) -> None:
        await self._server.stop()
        await self._provider.close()
        await self._store.close()


@pytest.fixture
async def world(tmp_path: Path):
    engine = openroadm_engine()
    network = Network([name for names in OWNERS.values() for name in names], tmp_path, engine)
    await network.start_all()
    authority = DevelopmentCa(tmp_path / "pki")
    pips = [ServedPip(name, tmp_path, network, authority) for name in OWNERS]
    own = authority.issue(Identity("demo", Role.VIP, "broker"))
    clients = {
        name: GrpcProvider(name, f"127.0.0.1:{await pip.start()}", own) for name, pip in zip(OWNERS, pips, strict=True)
    }
    vip = await Vip(tmp_path, clients, engine, real=True).start()
    yield network, vip, tmp_path
    await vip.stop()
    for client in clients.values():
        await client.close()
    for pip in pips:
        await pip.close()
    await network.close()


def cross_both(a: str, z: str) -> SliceConfiguration:
    return SliceConfiguration(
        frozenset({CrossConnect("nips/0", a, z, SLOT, 63.1), CrossConnect("nips/1", z, a, SLOT, 63.1)})
    )


async def test_lightpath_over_two_providers_is_lit_through_virtual_nodes_and_leaves_no_trace(world) -> None:
    network, vip, folder = world
    before = network.configurations()
    key_file, key = ssh_key(folder, "alpha")
    wanted = VirtualInfrastructure(
        NAME,
        (VirtualNode("a", "AMS", 1), VirtualNode("l", "LON", 0), VirtualNode("p", "PAR", 1)),
        (VirtualLink("al", "a", "l", BAND), VirtualLink("lp", "l", "p", BAND)),
        (),
        key,
    )
    await vip.lifecycle.check(ALPHA, wanted)
    await vip.create(ALPHA, wanted)
    found = await vip.until(ALPHA, NAME, State.ACTIVE, State.FAILED)
    assert found.state is State.ACTIVE, vip.witness.ends
    a, lon, par = found.nodes
    assert lon.transponder is None
    line = SliceConfiguration(line_settings=frozenset({LineSetting("XPDR1-NETWORK1", SLOT, MODE, 0.0)}))
    plan = [
        (a.roadm, cross_both("SRG1-PP1-TXRX", found.links[0].a_port)),
        (lon.roadm, cross_both(found.links[0].z_port, found.links[1].a_port)),
        (par.roadm, cross_both(found.links[1].z_port, "SRG1-PP1-TXRX")),
        (a.transponder, line),
        (par.transponder, line),
    ]
    sessions = []
    for address, desired in plan:
        session = session_to(address, key_file)
        await session.connect()
        sessions.append(session)
        facts = parse_device(await session.get())
        await session.edit_config(edit_elements(facts, SliceConfiguration(), desired))
        await session.commit(confirmed=True, timeout_s=60, persist="nips")
    for session, (_, desired) in zip(sessions, plan, strict=True):
        await session.commit(persist_id="nips")
        facts = parse_device(await session.get())
        assert read_configuration(await session.get_config(), facts) == desired
    for session in sessions[3:]:
        data = await session.get()
        (reception,) = read_receptions(data, parse_device(data))
        assert reception.signal_state == "good"
        assert 20.0 < reception.gsnr_0p1nm_db < 32.0
        assert parse_device(data).power_w > 0
        await session.close()
    for session in sessions[:3]:
        await session.close()
    assert network.configurations() != before
    await vip.release(ALPHA, NAME)
    await vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    assert network.configurations() == before
