"""Discovery of the whole bundled network from the emulator's ready data, by one provider and by two."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from controller.domain.offers import Location
from controller.pip.provider import ProviderSettings
from controller.pip.stock import ItSiteSettings
from controller.ports.device_session import DeviceAddress
from controller.security.pki import make_ssh_key
from emulator.app import BUNDLED, DeviceUser, Emulator, EmulatorSettings
from emulator.plant import Plant, load_plant
from tests.interop.pip_network import Bench, dummy_figures

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::ResourceWarning")
LONGEST_S = 5.0
"""Measured: 0.7 s with the emulator in the same process, on two cores that other work shares."""


@pytest.fixture
async def emulator(tmp_path: Path):
    make_ssh_key(tmp_path / "id_pip", "pip")
    running = Emulator(EmulatorSettings(tmp_path / "emulator", users=[DeviceUser("pip", tmp_path / "id_pip.pub")]))
    await running.start()
    yield running
    await running.close()


def settings_of(name: str, ready: dict[str, Any], key: Path, plant: Plant, owned: set[str]) -> ProviderSettings:
    """Settings as a composition root makes them from the ready data, for the equipment of some providers."""
    ready = json.loads(json.dumps(ready))
    return ProviderSettings(
        name,
        {
            entry["name"]: DeviceAddress(entry["host"], entry["port"], "pip", key, entry["host_public_key"])
            for entry in ready["devices"]
            if entry["provider"] in owned
        },
        dummy_figures(plant),
        tuple(
            ItSiteSettings(entry["name"], Location(entry["clli"]), Path(entry["admin_file"]), 300.0)
            for entry in ready["it_sites"]
            if entry["provider"] in owned
        ),
    )


async def test_one_provider_discovers_all_in_seconds(emulator: Emulator, tmp_path: Path) -> None:
    plant = load_plant(BUNDLED / "network.json", BUNDLED / "equipment.json", BUNDLED / "it_sites.json")
    bench = Bench(tmp_path, settings_of("all", emulator.ready, tmp_path / "id_pip", plant, {"north", "south"}))
    began = time.perf_counter()
    provider = await bench.start()
    seconds = time.perf_counter() - began
    try:
        catalogue = await provider.catalogue()
    finally:
        await bench.stop()
    print(f"FIGURE pip.discovery_s={seconds:.2f} devices={len(emulator.ready['devices'])}")  # noqa: T201
    assert len(emulator.ready["devices"]) == 28
    assert seconds < LONGEST_S
    assert {node.node_id for node in catalogue.nodes} == set(plant.roadms)
    assert {(link.source_node, link.destination_node) for link in catalogue.links} == set(plant.lines)
    assert not any(link.inter_domain for link in catalogue.links)
    assert sum(len(node.transponders) for node in catalogue.nodes) == sum(
        shelf.transponder_count for shelf in plant.shelves.values()
    )
    for offer, site in zip(catalogue.it_sites, sorted(plant.it_sites, key=lambda site: site.name), strict=True):
        assert offer.site_id == site.name
        assert offer.vcpu_count == sum(server.vcpus for server in site.servers)
        assert offer.memory_gib == sum(server.memory_gib for server in site.servers)
        assert (offer.storage_gib, offer.pue, offer.server_idle_w) == (
            site.storage_gib,
            site.pue,
            site.servers[0].idle_w,
        )
        roadm = next(roadm for roadm in plant.roadms.values() if roadm.clli == site.clli)
        assert offer.location.latitude_deg == roadm.latitude_deg


async def test_each_of_two_providers_offers_its_own_half(emulator: Emulator, tmp_path: Path) -> None:
    plant = load_plant(BUNDLED / "network.json", BUNDLED / "equipment.json", BUNDLED / "it_sites.json")
    for name in ("north", "south"):
        folder = tmp_path / name
        bench = Bench(folder, settings_of(name, emulator.ready, tmp_path / "id_pip", plant, {name}))
        provider = await bench.start()
        try:
            catalogue = await provider.catalogue()
        finally:
            await bench.stop()
        own = {roadm.name for roadm in plant.roadms.values() if roadm.provider == name}
        assert {node.node_id for node in catalogue.nodes} == own
        assert {(link.source_node, link.destination_node) for link in catalogue.links} == {
            ends for ends in plant.lines if ends[0] in own
        }
        assert any(link.inter_domain for link in catalogue.links)
        for link in catalogue.links:
            assert link.inter_domain is (link.destination_node not in own)
            assert bool(link.destination_port) is not link.inter_domain
        assert {site.site_id for site in catalogue.it_sites} == {
            site.name for site in plant.it_sites if site.provider == name
        }
