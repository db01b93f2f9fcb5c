"""Servers, volumes and steerings of a provider, at a live data centre and a live edge switch."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import openstack
import pytest

from controller.domain.errors import (
    AlreadyExists,
    DeviceUnreachable,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    ResourceExhausted,
    WrongState,
)
from controller.domain.identity import Identity, Role
from controller.domain.it import ItResourceState, Server, Steering
from controller.domain.offers import Location
from controller.domain.reservation import ItPart, NodePart, Reservation
from controller.netconf.openroadm_models import openroadm_engine
from controller.openflow.client import OpenFlowAgent
from controller.pip.drivers.edge_switch import EdgeSwitchDriver
from controller.pip.drivers.openstack import ItSiteFacts, OpenStackDriver
from controller.pip.provider import ProviderSettings
from controller.pip.stock import ItSiteSettings
from controller.ports.clock import SystemClock
from controller.security.pki import DevelopmentCa
from emulator.it_site import ItSiteHandle, start_it_site
from emulator.openflow import start_edge_switch
from emulator.openflow.switch import EdgeSwitchHandle
from emulator.tls import TlsFiles
from tests.interop.pip_network import ALPHA, BETA, Bench, Network, until

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::ResourceWarning")
SITE = "pips/west/itSites/dc-ams"
NODE = "pips/west/nodes/ROADM-AMS"
SMALL = Server("web", 2, 4, 20)


@dataclass(frozen=True)
class Metal:
    vcpus: int = 8
    memory_gib: int = 32
    idle_w: float = 64.0
    max_w: float = 252.0


@dataclass(frozen=True)
class DataCentre:
    name: str = "dc-ams"
    clli: str = "AMS"
    provider: str = "west"
    servers: tuple[Metal, ...] = field(default_factory=lambda: (Metal(), Metal()))
    storage_gib: int = 200
    pue: float = 1.3


@pytest.fixture
async def site(tmp_path: Path):
    handle = await start_it_site(DataCentre(), tmp_path / "sites", build_s=0.02)
    yield handle
    await handle.close()


@pytest.fixture
async def bench(tmp_path: Path, site: ItSiteHandle):
    centre = ItSiteSettings("dc-ams", Location("AMS", "Amsterdam", "NL"), site.admin_file, 267.6)
    built = Bench(tmp_path, ProviderSettings("west", {}, it_sites=(centre,), upkeep_period_s=0.3))
    await built.start()
    yield built
    await built.stop()


async def test_the_password_goes_only_where_a_certificate_is_checked(tmp_path: Path) -> None:
    own = DevelopmentCa(tmp_path / "pki").issue(Identity("demo", Role.EMULATOR, "emulator"))
    files = TlsFiles(own.certificate_file, own.private_key_file, own.ca_certificate_file)
    site = await start_it_site(DataCentre(), tmp_path / "sites", tls=files)
    good = json.loads(site.admin_file.read_text())
    plain = good["auth_url"].replace("https:", "http:")
    file = tmp_path / "admin.json"

    async def facts_with(content: Any) -> ItSiteFacts:
        file.write_text(json.dumps(content))
        driver = OpenStackDriver("dc-ams", file, SystemClock())
        try:
            return await driver.facts()
        finally:
            await driver.close()

    try:
        assert (await facts_with(good)).vcpu_count == 16
        refused = [good | change for change in (
            {"auth_url": plain}, {"verify": False}, {"verify": "no"}, {"insecure": True}, {"auth_url": 5},
            {"auth": {"auth_url": plain}},
        )]  # fmt: skip
        for content in (*refused, [], {}):
            with pytest.raises(NotAuthenticated, match=r"admin\.json"):
                await facts_with(content)
    finally:
        await site.close()
        gc.collect()


def share(vcpus: int = 8, memory_gib: int = 32, storage_gib: int = 100, part_id: str = "it") -> Reservation:
    return Reservation("gri:1", it_parts=(ItPart(part_id, SITE, vcpus, memory_gib, storage_gib),))


async def everything(site: ItSiteHandle) -> dict[str, list[str]]:
    """All that a site has, as its administrator sees it."""

    def look() -> dict[str, list[str]]:
        cloud = openstack.connection.Connection(**json.loads(site.admin_file.read_text()))
        found = {
            "projects": sorted(project.name for project in cloud.identity.projects()),
            "flavours": sorted(flavour.name for flavour in cloud.compute.flavors()),
            "servers": sorted(server.name for server in cloud.compute.servers(all_projects=True)),
            "volumes": sorted(
                f"{volume.name} {volume.status}" for volume in cloud.block_storage.volumes(all_projects=True)
            ),
        }
        cloud.close()
        return found

    return await asyncio.to_thread(look)


async def test_the_offer_is_what_the_site_says_and_what_is_left(bench: Bench) -> None:
    (offer,) = (await bench.provider.catalogue()).it_sites
    assert offer.name == SITE
    assert (offer.vcpu_count, offer.memory_gib, offer.storage_gib, offer.awake) == (16, 64, 200, False)
    assert (offer.server_idle_w, offer.vcpu_w, offer.pue, offer.carbon_g_per_kwh) == (64.0, 23.5, 1.3, 267.6)
    assert offer.location.city == "Amsterdam"
    held = await bench.lease(ALPHA, share(10))
    await bench.provider.create_server(ALPHA, held.name, "it", SMALL)
    (offer,) = (await bench.provider.catalogue()).it_sites
    assert (offer.vcpu_count, offer.memory_gib, offer.storage_gib, offer.awake) == (6, 32, 100, True)
    with pytest.raises(ResourceExhausted, match="vcpu_count=6 left"):
        await bench.reserve(BETA, share(7))
    await bench.reserve(BETA, share(6))


async def test_a_server_comes_with_its_volume_once_and_goes_without_a_trace(bench: Bench, site: ItSiteHandle) -> None:
    provider = bench.provider
    before = await everything(site)
    wanted = share()
    # A second part whose name begins like the first one's, and a third that is no name for a project.
    beside = [
        replace(wanted.it_parts[0], part_id=name, vcpu_count=2, memory_gib=4, storage_gib=5)
        for name in ("it-2", "ställe/3")
    ]
    held = await bench.lease(ALPHA, replace(wanted, it_parts=(*wanted.it_parts, *beside)))
    first, again = await asyncio.gather(*(provider.create_server(ALPHA, held.name, "it", SMALL) for _ in range(2)))
    assert first == again
    assert (first.state, first.fault) == (ItResourceState.ACTIVE, "")
    assert first.instance_uuid
    assert first.volume_uuid
    with pytest.raises(AlreadyExists):
        await provider.create_server(ALPHA, held.name, "it", Server("web", 3, 4, 20))
    for part in beside:
        await provider.create_server(ALPHA, held.name, part.part_id, Server("node/1", 1, 2))
        await provider.delete_server(ALPHA, held.name, part.part_id, "node/1")
    await provider.create_server(ALPHA, held.name, "it", Server("plain", 4, 8))
    listed = await provider.list_servers(ALPHA, held.name, "it")
    assert {server.server_id: server.volume_uuid for server in listed.servers} == {
        "plain": "",
        "web": first.volume_uuid,
    }
    # One physical server is awake, 6 of its 8 vCPUs are sold, and all of them to this part.
    assert listed.power_w == pytest.approx(1.3 * (64 + (252 - 64) * 6 / 8))
    assert (await everything(site))["volumes"] == ["web in-use"]
    await provider.delete_server(ALPHA, held.name, "it", "web")
    await provider.delete_server(ALPHA, held.name, "it", "web")
    middle = await everything(site)
    assert (middle["servers"], middle["volumes"]) == (["plain"], [])
    assert [name for name in middle["flavours"] if name.startswith("geysers")] == [
        f"geysers-{held.name.rpartition('/')[2]}-it-4-8"
    ]
    await provider.release(ALPHA, held.name)
    assert await everything(site) == before


async def test_a_share_is_a_limit_and_another_tenants_part_looks_like_none(bench: Bench) -> None:
    provider = bench.provider
    held = await bench.lease(ALPHA, share(4, 8, 30))
    await provider.create_server(ALPHA, held.name, "it", SMALL)
    for server, what in (
        (Server("b", 3, 1), "vcpu_count=2"),
        (Server("b", 1, 5), "memory_gib=4"),
        (Server("b", 1, 1, 11), "storage|volume_gib=10"),
    ):
        with pytest.raises(ResourceExhausted, match=what):
            await provider.create_server(ALPHA, held.name, "it", server)
    with pytest.raises(InvalidRequest):
        await provider.create_server(ALPHA, held.name, "it", Server("a\nb", 1, 1))
    for owner, part_id in ((BETA, "it"), (ALPHA, "other")):
        with pytest.raises(NotFound):
            await provider.create_server(owner, held.name, part_id, Server("b", 1, 1))
        with pytest.raises(NotFound):
            await provider.list_servers(owner, held.name, part_id)
        with pytest.raises(NotFound):
            await provider.delete_server(owner, held.name, part_id, "web")
    waiting = await bench.reserve(BETA, share(4))
    with pytest.raises(WrongState):
        await provider.create_server(BETA, waiting.name, "it", SMALL)


async def test_what_no_physical_server_holds_is_refused_and_leaves_nothing(bench: Bench, site: ItSiteHandle) -> None:
    provider = bench.provider
    held = await bench.lease(ALPHA, share(16, 64))
    with pytest.raises(ResourceExhausted, match="No valid host"):
        await provider.create_server(ALPHA, held.name, "it", Server("wide", 9, 9, 5))
    left = await everything(site)
    assert (left["servers"], left["volumes"]) == ([], [])
    assert (await provider.list_servers(ALPHA, held.name, "it")).servers == ()
    made = await provider.create_server(ALPHA, held.name, "it", Server("wide", 8, 9, 5))
    assert made.state is ItResourceState.ACTIVE


async def test_a_creation_cut_at_any_step_is_completed_or_released(
    bench: Bench, site: ItSiteHandle, monkeypatch
) -> None:
    """Every step is done and then its answer lost; the same call again completes, and a release clears."""
    provider, run = bench.provider, OpenStackDriver._run
    before = await everything(site)
    steps: dict[str, int] = {"left": 0}

    class Cut(Exception):
        pass

    async def counted(self: OpenStackDriver, step: str, work: Callable[[], Any], *, changes: bool = True) -> Any:
        result = await run(self, step, work, changes=changes)
        if changes:
            steps["left"] -= 1
            if steps["left"] == 0:
                raise Cut(step)
        return result

    monkeypatch.setattr(OpenStackDriver, "_run", counted)
    cut: list[str] = []
    for number in range(1, 20):
        held = await bench.lease(ALPHA, share())
        steps["left"] = number
        try:
            await provider.create_server(ALPHA, held.name, "it", SMALL)
        except Cut as error:
            cut.append(str(error))
            if number % 2:
                made = await provider.create_server(ALPHA, held.name, "it", SMALL)
                assert made.state is ItResourceState.ACTIVE
                now = await everything(site)
                assert (now["servers"], now["volumes"]) == (["web"], ["web in-use"])
        steps["left"] = 0
        await provider.release(ALPHA, held.name)
        assert await everything(site) == before
        if len(cut) < number:
            break
    assert len(cut) == 5, cut


async def test_a_removal_cut_by_an_outage_goes_on_after_a_restart(
    bench: Bench, site: ItSiteHandle, tmp_path: Path
) -> None:
    held = await bench.lease(ALPHA, share())
    await bench.provider.create_server(ALPHA, held.name, "it", SMALL)
    await site.close()
    with pytest.raises(DeviceUnreachable):
        await bench.provider.delete_server(ALPHA, held.name, "it", "web")
    await bench.stop()
    back = await start_it_site(DataCentre(), tmp_path / "sites", build_s=0.02)
    try:
        await bench.start()

        async def is_gone() -> bool:
            found = await everything(back)
            return (found["servers"], found["volumes"]) == ([], [])

        await until(is_gone)
    finally:
        await back.close()


# -- steerings at the edge switch ------------------------------------------------------------------------------------


@pytest.fixture
async def switch(tmp_path: Path):
    clients = [f"XPDR1-CLIENT{number}" for number in range(1, 5)]
    handle = await start_edge_switch("edge-ams", "AMS", clients, tmp_path / "state")
    yield handle
    await handle.close()


@pytest.fixture
async def edge_bench(tmp_path: Path, switch: EdgeSwitchHandle):
    network = Network(["ROADM-AMS", "XPDR-AMS"], tmp_path, openroadm_engine())
    await network.start_all()
    agent = OpenFlowAgent([("127.0.0.1", switch.port)], SystemClock())
    settings = ProviderSettings("west", network.addresses, network.figures(), upkeep_period_s=0.3)
    built = Bench(tmp_path, settings, edge=EdgeSwitchDriver(agent))
    await built.start()
    yield built
    await built.stop()
    await network.close()


def node(transponders: int) -> Reservation:
    return Reservation("gri:1", node_parts=(NodePart("n", NODE, (), transponders),))


async def test_steerings_stay_in_their_reservation(edge_bench: Bench, switch: EdgeSwitchHandle) -> None:
    provider = edge_bench.provider
    alpha, beta = [await edge_bench.lease(owner, node(1)) for owner in (ALPHA, BETA)]
    ports = [held.node_parts[0].transponders[0].client_port for held in (alpha, beta)]
    assert ports == ["XPDR1-CLIENT1", "XPDR1-CLIENT2"]
    mine = Steering("s", ports[0], 301)
    await provider.put_steering(ALPHA, alpha.name, "n", mine)
    await provider.put_steering(ALPHA, alpha.name, "n", mine)
    assert switch.table.forward(100, 301) == [(1, None)]
    with pytest.raises(NotFound):
        await provider.put_steering(BETA, beta.name, "n", Steering("s", ports[0], 302))
    with pytest.raises(AlreadyExists):
        await provider.put_steering(BETA, beta.name, "n", Steering("s", ports[1], 301))
    with pytest.raises(AlreadyExists):
        await provider.put_steering(ALPHA, alpha.name, "n", Steering("s", ports[0], 302))
    await provider.put_steering(BETA, beta.name, "n", Steering("s", ports[1], 302))
    assert await provider.list_steerings(ALPHA, alpha.name, "n") == (mine,)
    with pytest.raises(NotFound):
        await provider.list_steerings(BETA, alpha.name, "n")
    await provider.delete_steering(ALPHA, alpha.name, "n", "s")
    await provider.delete_steering(ALPHA, alpha.name, "n", "s")
    assert switch.table.forward(100, 301) == []
    assert switch.table.forward(100, 302) == [(2, None)]
    await provider.release(BETA, beta.name)
    assert len(switch.table) == 0


async def test_a_steering_that_the_switch_lost_is_restored(edge_bench: Bench, switch: EdgeSwitchHandle) -> None:
    provider = edge_bench.provider
    held = await edge_bench.lease(ALPHA, node(1))
    await provider.put_steering(ALPHA, held.name, "n", Steering("s", "XPDR1-CLIENT1", 301))
    driver = provider._edge
    await driver.delete(held.name.rpartition("/")[2], "AMS", "s")
    await until(lambda: switch.table.forward(100, 301) == [(1, None)])
