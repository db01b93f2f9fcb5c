"""A device written from facts reads back as the same facts, and both trees keep the model."""

import os
from pathlib import Path

import pytest
from lxml import etree

from controller.domain.media import CrossConnect, LineSetting, Reception, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.netconf.edit import apply_edit
from controller.netconf.openroadm_models import openroadm_engine
from controller.openroadm.configuration import edit_elements, read_configuration, read_receptions
from controller.openroadm.device_config import (
    Degree,
    Line,
    RoadmDescription,
    ShelfDescription,
    Site,
)
from controller.openroadm.device_state import with_roadm_state, with_shelf_state
from controller.openroadm.facts import ExternalLinkFacts, ModeFacts, NeighbourFacts, PortRef, parse_device

PUBLISHED = Path(os.environ.get("GEYSERS_SHARED", Path(__file__).parents[4] / "shared")) / "yang/openroadm/device-2.2.1"
MODE = ModeFacts("400G", 400.0, 63.1, 75.0, 24.0, 36.0)
SITE = Site("AMS", 52.37, 4.9)
ROADM = RoadmDescription(
    "alpha-a",
    SITE,
    (Degree(FrequencySlot(0, 40), ("alpha-b", 2)), Degree(FrequencySlot(100, 20), ("alpha-c", 1)), Degree()),
    2,
    "alpha-a-xpdr",
)
SHELF = ShelfDescription("alpha-a-xpdr", SITE, (Line((MODE,), 20.0), Line((MODE,), 22.0)), "alpha-a")
SLOT = FrequencySlot(n=0, m=6)


@pytest.fixture(scope="module")
def engines():
    found = [openroadm_engine()]
    if PUBLISHED.is_dir():
        found.append(openroadm_engine(PUBLISHED))
    return found


def test_roadm_reads_back_as_it_was_described(engines) -> None:
    configuration = ROADM.configuration()
    full = with_roadm_state(configuration, ROADM, 123.5)
    for engine in engines:
        engine.validate_config(configuration)
        engine.validate_operational(full)
    facts = parse_device(full)
    assert (facts.node_id, facts.node_type, facts.clli, facts.power_w) == ("alpha-a", "rdm", "AMS", 123.5)
    assert (facts.latitude_deg, facts.longitude_deg) == (52.37, 4.9)
    assert [degree.leased_band for degree in facts.degrees] == [degree.leased_band for degree in ROADM.degrees]
    assert [degree.connection_point for degree in facts.degrees] == [f"DEG{i}-TTP-TXRX" for i in (1, 2, 3)]
    assert facts.neighbours == (
        NeighbourFacts("ETH-DEG1", "alpha-b", "ETH-DEG2"),
        NeighbourFacts("ETH-DEG2", "alpha-c", "ETH-DEG1"),
    )
    assert [degree.lldp_interface for degree in facts.degrees] == [f"ETH-DEG{i}" for i in (1, 2, 3)]
    assert [port.connection_point for port in facts.add_drop_ports] == ["SRG1-PP1-TXRX", "SRG1-PP2-TXRX"]
    assert facts.external_links[1] == ExternalLinkFacts(
        PortRef("SRG1/0", "C2"), "alpha-a-xpdr", PortRef("1/0/2-PLUG-NET", "1")
    )


def test_shelf_reads_back_as_it_was_described(engines) -> None:
    configuration = SHELF.configuration()
    full = with_shelf_state(configuration, SHELF)
    for engine in engines:
        engine.validate_config(configuration)
        engine.validate_operational(full)
    facts = parse_device(full)
    assert [(line.network_port, line.client_port) for line in facts.lines] == [
        ("XPDR1-NETWORK1", "XPDR1-CLIENT1"),
        ("XPDR1-NETWORK2", "XPDR1-CLIENT2"),
    ]
    assert [line.power_w for line in facts.lines] == [20.0, 22.0]
    assert facts.lines[0].modes == (MODE,)
    assert facts.external_links[0].remote_node == "alpha-a"
    assert full.find(".//{*}power-w") is None


def test_empty_roadm_is_valid(engines) -> None:
    bare = RoadmDescription("alpha-z", SITE, (), 0)
    for engine in engines:
        engine.validate_operational(with_roadm_state(bare.configuration(), bare))
    assert parse_device(with_roadm_state(bare.configuration(), bare)).add_drop_ports == ()


def test_slice_written_into_it_is_read_back_and_readings_show(engines) -> None:
    facts = parse_device(with_roadm_state(ROADM.configuration(), ROADM))
    crosses = SliceConfiguration(
        frozenset({CrossConnect("x1", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", SLOT, 63.1)}), frozenset()
    )
    running = apply_edit(engines[0], ROADM.configuration(), edit_elements(facts, SliceConfiguration(), crosses))
    for engine in engines:
        engine.validate_operational(with_roadm_state(running, ROADM, 1.0))
    assert read_configuration(running, facts) == crosses

    lines = parse_device(with_shelf_state(SHELF.configuration(), SHELF))
    lit = SliceConfiguration(frozenset(), frozenset({LineSetting("XPDR1-NETWORK2", SLOT, "400G", -1.5)}))
    running = apply_edit(engines[0], SHELF.configuration(), edit_elements(lines, SliceConfiguration(), lit))
    reading = Reception("XPDR1-NETWORK2", -12.5, 27.25, "good")
    full = with_shelf_state(running, SHELF, 22.0, {"XPDR1-NETWORK2": reading})
    for engine in engines:
        engine.validate_operational(full)
    assert read_configuration(full, lines) == lit
    assert read_receptions(full, lines) == (reading,)
    dark = with_shelf_state(
        running, SHELF, 22.0, {"XPDR1-NETWORK2": Reception("XPDR1-NETWORK2", -99, None, "no-signal")}
    )
    assert read_receptions(dark, lines) == (Reception("XPDR1-NETWORK2", -99.0, None, "no-signal"),)
    assert b"receiver" not in etree.tostring(with_shelf_state(running, SHELF))
