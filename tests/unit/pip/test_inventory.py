"""Discovery out of facts that nobody assumed, and what is reported in place of being offered."""

from __future__ import annotations

from dataclasses import replace

from controller.domain.qot import LinkQot, QotSample
from controller.openroadm.facts import (
    AddDropFacts,
    DegreeFacts,
    DeviceFacts,
    ExternalLinkFacts,
    LineFacts,
    ModeFacts,
    NeighbourFacts,
    PortRef,
)
from controller.pip.inventory import LineFigures, PlantFigures, discover

MODE = ModeFacts("400G", 400.0, 63.1, 75.0, 24.0, 36.0)
LINE = LineFigures(LinkQot((QotSample(193.7, 1e-3, 1e-4, 2e-4),), 100.0, 0.5, 1700.0, 0.4), 50.0)
SLOT = PortRef("east", "add-1")


def roadm(name: str, neighbours: dict[str, tuple[str, str]]) -> DeviceFacts:
    degrees = tuple(
        DegreeFacts(number, f"{name}-{interface}", PortRef(interface, "line"), interface)
        for number, interface in enumerate(sorted(neighbours), start=1)
    )
    seen = tuple(NeighbourFacts(interface, *there) for interface, there in neighbours.items())
    add_drop = (AddDropFacts("PP1", SLOT, 1),)
    return DeviceFacts(name, "rdm", name[-3:], 52.3, 4.9, degrees, add_drop, (), seen, (), 500.0)


def shelf(name: str, remote: str, mode: ModeFacts = MODE) -> DeviceFacts:
    lines = (LineFacts("N1", PortRef("n", "1"), "C1", PortRef("c", "1"), (mode,), 22.0),)
    patch = (ExternalLinkFacts(PortRef("n", "1"), remote, SLOT),)
    return DeviceFacts(name, "xpdr", name[-3:], 52.3, 4.9, (), (), lines, (), patch, 22.0)


FACTS = {
    "R-AMS": roadm("R-AMS", {"west": ("R-LON", "north"), "south": ("R-PAR", "up")}),
    "R-LON": roadm("R-LON", {"north": ("R-AMS", "west")}),
    "X-AMS": shelf("X-AMS", "R-AMS"),
}
FIGURES = PlantFigures(
    {("R-AMS", "R-LON"): LINE, ("R-LON", "R-AMS"): LINE, ("R-AMS", "R-PAR"): LINE}, {"R-AMS": 33.0, "R-LON": 33.0}
)


def test_links_and_transponders_come_from_what_the_devices_say() -> None:
    found = discover("p", FACTS, FACTS, FIGURES)
    assert found.faults == ()
    assert {(k.source_port, k.destination_port, k.inter_domain) for k in found.links.values()} == {
        ("R-AMS-west", "R-LON-north", False),
        ("R-LON-north", "R-AMS-west", False),
        ("R-AMS-south", "", True),
    }
    (transponder,) = found.nodes["pips/p/nodes/R-AMS"].transponders
    assert (transponder.device, transponder.add_drop_port, transponder.client_port) == ("X-AMS", "PP1", "C1")
    assert transponder.modes[0].power_w == 22.0
    assert found.nodes["pips/p/nodes/R-LON"].transponders == ()


def test_a_far_end_that_says_otherwise_is_a_fault() -> None:
    for told in ({"north": ("R-AMS", "south")}, {"north": ("R-XXX", "west")}, {"other": ("R-AMS", "west")}):
        found = discover("p", {**FACTS, "R-LON": roadm("R-LON", told)}, FACTS, FIGURES)
        assert not [k for k in found.links.values() if (k.source_node, k.destination_node) == ("R-AMS", "R-LON")]
        assert any("mis-wired" in fault and "R-AMS-west" in fault for fault in found.faults)


def test_a_far_end_that_has_not_answered_is_waited_for() -> None:
    answered = {name: facts for name, facts in FACTS.items() if name != "R-LON"}
    found = discover("p", answered, FACTS, FIGURES)
    assert [link.source_port for link in found.links.values()] == ["R-AMS-south"]
    assert "R-LON has not answered yet" in found.faults[0]


def test_what_the_plant_records_lack_is_not_offered() -> None:
    lines = {ends: line for ends, line in FIGURES.lines.items() if ends != ("R-AMS", "R-PAR")}
    found = discover("p", FACTS, FACTS, PlantFigures(lines, {"R-AMS": 33.0}))
    assert list(found.nodes) == ["pips/p/nodes/R-AMS"]
    assert [link.source_port for link in found.links.values()] == ["R-AMS-west"]
    assert len(found.faults) == 2


def test_a_patch_that_the_roadm_contradicts_is_a_fault() -> None:
    other = ExternalLinkFacts(SLOT, "X-BER", PortRef("n", "1"))
    found = discover("p", {**FACTS, "R-AMS": replace(FACTS["R-AMS"], external_links=(other,))}, FACTS, FIGURES)
    assert found.nodes["pips/p/nodes/R-AMS"].transponders == ()
    assert "mend the external-link" in found.faults[0]
    same = ExternalLinkFacts(SLOT, "X-AMS", PortRef("n", "1"))
    found = discover("p", {**FACTS, "R-AMS": replace(FACTS["R-AMS"], external_links=(same,))}, FACTS, FIGURES)
    assert len(found.nodes["pips/p/nodes/R-AMS"].transponders) == 1


def test_a_mode_without_sense_takes_its_transponder_off_the_offer_and_nothing_else() -> None:
    broken = shelf("X-AMS", "R-AMS", replace(MODE, bit_rate_gbps=0.0))
    found = discover("p", {**FACTS, "X-AMS": broken}, FACTS, FIGURES)
    assert found.nodes["pips/p/nodes/R-AMS"].transponders == ()
    assert "bit_rate_gbps" in found.faults[0]
    assert len(found.links) == 3
