"""A virtual infrastructure of two nodes and one link, and what its devices say, written by hand."""

from __future__ import annotations

from controller.domain.infrastructure import (
    NetconfAddress,
    VirtualInfrastructure,
    VirtualItSite,
    VirtualLink,
    VirtualNode,
)
from controller.domain.qot import LinkQot, QotSample
from controller.domain.spectrum import FrequencySlot
from controller.ncp.ted import NodeFacts
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

BAND = FrequencySlot.from_granules(100, 200)
QOT = LinkQot((QotSample(193.0, 1e-3, 1e-4, 2e-4),), 80.0, 0.4, 1300.0, 0.4)
BACK = LinkQot((QotSample(193.0, 2e-3, 1e-4, 2e-4),), 80.0, 0.4, 1300.0, 0.4)
ADDRESS = NetconfAddress("127.0.0.1", 830, "key", "alpha")
MODE = ModeFacts("400G", 400.0, 63.1, 87.5, 24.0, 37.0)


def roadm(name: str, neighbour: str, band: FrequencySlot | None = BAND) -> DeviceFacts:
    return DeviceFacts(
        node_id=f"vi-{name}",
        node_type="rdm",
        clli=name,
        latitude_deg=0.0,
        longitude_deg=0.0,
        degrees=(DegreeFacts(1, "DEG1-TTP-TXRX", PortRef("1/0", "L1"), "ETH-DEG1", band),),
        add_drop_ports=(AddDropFacts("SRG1-PP1-TXRX", PortRef("SRG1/0", "C1"), 1),),
        lines=(),
        neighbours=(NeighbourFacts("ETH-DEG1", f"vi-{neighbour}", "ETH-DEG1"),),
        external_links=(ExternalLinkFacts(PortRef("SRG1/0", "C1"), f"vi-{name}-xpdr", PortRef("net", "1")),),
        power_w=200.0,
    )


def shelf(name: str) -> DeviceFacts:
    line = LineFacts("XPDR1-NETWORK1", PortRef("net", "1"), "XPDR1-CLIENT1", PortRef("cli", "1"), (MODE,), 22.0)
    return DeviceFacts(f"vi-{name}-xpdr", "xpdr", name, 0.0, 0.0, (), (), (line,), (), (), 0.0)


FACTS = {name: NodeFacts(roadm(name, other), shelf(name)) for name, other in (("a", "z"), ("z", "a"))}
INFRASTRUCTURE = VirtualInfrastructure(
    "vios/alpha/virtualInfrastructures/one",
    (
        VirtualNode("a", "A", 1, ADDRESS, ADDRESS, add_drop_osnr_0p1nm_db=33.0),
        VirtualNode("z", "Z", 1, ADDRESS, ADDRESS),
    ),
    (VirtualLink("l", "a", "z", BAND, QOT, BACK, "DEG1-TTP-TXRX", "DEG1-TTP-TXRX", 12.0),),
    (VirtualItSite("it", "Z", "z", 8, 32, 100, 110.0, 5.6, 1.3, 300.0),),
    "",
)
