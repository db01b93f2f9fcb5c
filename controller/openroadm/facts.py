"""What a device says about itself: an OpenROADM <get> reply as typed facts.

Names are read, never assumed: degrees through degree/connection-ports, add/drop ports through the packs of a shared
risk group, neighbours through LLDP on the packs of a degree, transponders through external-link.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from controller.domain.errors import DeviceRejected, NotFound
from controller.domain.spectrum import FrequencySlot
from controller.openroadm.namespaces import ENERGY, LEASE, LLDP, XPDR, device_root, number, tag, text


@dataclass(frozen=True, slots=True)
class PortRef:
    """A port by its circuit pack and name."""

    circuit_pack: str
    port: str


@dataclass(frozen=True, slots=True)
class DegreeFacts:
    """A degree: its line port and the Ethernet interface that runs LLDP over its supervisory channel."""

    number: int
    connection_point: str
    line: PortRef
    lldp_interface: str
    leased_band: FrequencySlot | None = None
    """Spectrum that a virtual device may use here; None on a physical one, which may use all."""


@dataclass(frozen=True, slots=True)
class AddDropFacts:
    """An add/drop port of a shared risk group."""

    connection_point: str
    port: PortRef
    srg: int


@dataclass(frozen=True, slots=True)
class ModeFacts:
    """An operational mode that a transponder's line side offers."""

    mode_id: str
    bit_rate_gbps: float
    baud_rate_gbd: float
    min_spacing_ghz: float
    required_osnr_0p1nm_db: float
    tx_osnr_0p1nm_db: float


@dataclass(frozen=True, slots=True)
class LineFacts:
    """A transponder: its network port, the client port mapped to it, and its modes."""

    network_port: str
    network: PortRef
    client_port: str
    client: PortRef
    modes: tuple[ModeFacts, ...]
    power_w: float


@dataclass(frozen=True, slots=True)
class NeighbourFacts:
    """An LLDP neighbour."""

    interface: str
    remote_node: str
    remote_interface: str


@dataclass(frozen=True, slots=True)
class ExternalLinkFacts:
    """A patch between a port of this device and a port of another."""

    local: PortRef
    remote_node: str
    remote: PortRef


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A ROADM (`rdm`) or transponder device (`xpdr`) as it describes itself."""

    node_id: str
    node_type: str
    clli: str
    latitude_deg: float
    longitude_deg: float
    degrees: tuple[DegreeFacts, ...]
    add_drop_ports: tuple[AddDropFacts, ...]
    lines: tuple[LineFacts, ...]
    neighbours: tuple[NeighbourFacts, ...]
    external_links: tuple[ExternalLinkFacts, ...]
    power_w: float

    def port(self, connection_point: str) -> PortRef:
        """Port behind a logical connection point."""
        for degree in self.degrees:
            if degree.connection_point == connection_point:
                return degree.line
        for add_drop in self.add_drop_ports:
            if add_drop.connection_point == connection_point:
                return add_drop.port
        for line in self.lines:
            if line.network_port == connection_point:
                return line.network
            if line.client_port == connection_point:
                return line.client
        raise NotFound(f"{self.node_id} has no port {connection_point!r}", port=connection_point)

    def is_degree(self, connection_point: str) -> bool:
        return any(degree.connection_point == connection_point for degree in self.degrees)


def parse_device(data: etree._Element) -> DeviceFacts:
    """Facts out of the <data> of a <get>; raises DeviceRejected when it holds no OpenROADM device."""
    root = device_root(data)
    info = None if root is None else root.find(tag("info"))
    if root is None or info is None:
        raise DeviceRejected("the device answered without org-openroadm-device/info: is it an OpenROADM 2.2.1 node?")
    packs = {text(pack, "circuit-pack-name"): pack for pack in root.findall(tag("circuit-packs"))}
    return DeviceFacts(
        node_id=text(info, "node-id"),
        node_type=text(info, "node-type"),
        clli=text(info, "clli"),
        latitude_deg=number(info, "geoLocation/latitude", 0.0),
        longitude_deg=number(info, "geoLocation/longitude", 0.0),
        degrees=tuple(_degrees(root, packs)),
        add_drop_ports=tuple(_add_drop_ports(root, packs)),
        lines=tuple(_lines(root, packs)),
        neighbours=tuple(_neighbours(root)),
        external_links=tuple(_external_links(root, text(info, "node-id"))),
        power_w=number(info, "power-w", 0.0, ENERGY)
        or sum(number(pack, "power-w", 0.0, ENERGY) for pack in packs.values()),
    )


def _connection_point(packs: dict[str, etree._Element], ref: PortRef) -> str:
    pack = packs.get(ref.circuit_pack)
    for port in () if pack is None else pack.findall(tag("ports")):
        if text(port, "port-name") == ref.port:
            return text(port, "logical-connection-point")
    return ""


def _degrees(root: etree._Element, packs: dict[str, etree._Element]) -> list[DegreeFacts]:
    interfaces = [
        (text(entry, "name"), text(entry, "supporting-circuit-pack-name"))
        for entry in root.findall(tag("interface"))
        if text(entry, "type").endswith("ethernetCsmacd")
    ]
    degrees = []
    for degree in root.findall(tag("degree")):
        line = PortRef(text(degree, "connection-ports/circuit-pack-name"), text(degree, "connection-ports/port-name"))
        own_packs = {text(pack, "circuit-pack-name") for pack in degree.findall(tag("circuit-packs"))}
        lldp = next((name for name, pack in interfaces if pack in own_packs), "")
        degrees.append(
            DegreeFacts(
                int(text(degree, "degree-number")), _connection_point(packs, line), line, lldp, _leased_band(degree)
            )
        )
    return sorted(degrees, key=lambda degree: degree.number)


def _leased_band(degree: etree._Element) -> FrequencySlot | None:
    lease = degree.find(tag("leased-spectrum", LEASE))
    if lease is None:
        return None
    edges_hz = [number(lease, leaf, 0.0, LEASE) * 1e12 for leaf in ("min-freq", "max-freq")]
    return FrequencySlot.from_edges_hz(*edges_hz)


def _add_drop_ports(root: etree._Element, packs: dict[str, etree._Element]) -> list[AddDropFacts]:
    ports = []
    for group in root.findall(tag("shared-risk-group")):
        srg = int(text(group, "srg-number"))
        for entry in group.findall(tag("circuit-packs")):
            name = text(entry, "circuit-pack-name")
            for port in packs[name].findall(tag("ports")) if name in packs else ():
                point = text(port, "logical-connection-point")
                if point and text(port, "port-qual") == "roadm-external":
                    ports.append(AddDropFacts(point, PortRef(name, text(port, "port-name")), srg))
    return ports


def _lines(root: etree._Element, packs: dict[str, etree._Element]) -> list[LineFacts]:
    found: dict[PortRef, etree._Element] = {}
    for name, pack in packs.items():
        for port in pack.findall(tag("ports")):
            found[PortRef(name, text(port, "port-name"))] = port
    client_of = _client_map(root, found)
    lines = []
    for ref, port in found.items():
        if text(port, "port-qual") != "xpdr-network":
            continue
        client = client_of.get(ref, PortRef("", ""))
        client_point = text(found[client], "logical-connection-point") if client in found else ""
        modes = tuple(_mode(entry) for entry in port.findall(tag("supported-operational-mode", XPDR)))
        power_w = number(packs[ref.circuit_pack], "max-power-w", 0.0, ENERGY)
        point = text(port, "logical-connection-point")
        lines.append(LineFacts(point, ref, client_point, client, modes, power_w))
    return sorted(lines, key=lambda line: line.network_port)


def _client_map(root: etree._Element, ports: dict[PortRef, etree._Element]) -> dict[PortRef, PortRef]:
    pairs: dict[PortRef, PortRef] = {}
    for entry in root.findall(tag("connection-map")):
        ends = []
        for side in ("source", "destination"):
            for end in entry.findall(tag(side)):
                ends.append(PortRef(text(end, "circuit-pack-name"), text(end, "port-name")))
        networks = [end for end in ends if end in ports and text(ports[end], "port-qual") == "xpdr-network"]
        clients = [end for end in ends if end in ports and text(ports[end], "port-qual") == "xpdr-client"]
        pairs.update(dict.fromkeys(networks, clients[0]) if clients else {})
    return pairs


def _mode(entry: etree._Element) -> ModeFacts:
    return ModeFacts(
        mode_id=text(entry, "mode-id", namespace=XPDR),
        bit_rate_gbps=number(entry, "bit-rate-gbps", 0.0, XPDR),
        baud_rate_gbd=number(entry, "baud-rate-gbd", 0.0, XPDR),
        min_spacing_ghz=number(entry, "min-spacing-ghz", 0.0, XPDR),
        required_osnr_0p1nm_db=number(entry, "required-osnr-0p1nm-db", 0.0, XPDR),
        tx_osnr_0p1nm_db=number(entry, "tx-osnr-0p1nm-db", 0.0, XPDR),
    )


def _neighbours(root: etree._Element) -> list[NeighbourFacts]:
    path = f"{tag('protocols')}/{tag('lldp', LLDP)}/{tag('nbr-list', LLDP)}/{tag('if-name', LLDP)}"
    return [
        NeighbourFacts(*(text(entry, leaf, namespace=LLDP) for leaf in ("ifName", "remoteSysName", "remotePortId")))
        for entry in root.findall(path)
    ]


def _external_links(root: etree._Element, node_id: str) -> list[ExternalLinkFacts]:
    links = []
    for entry in root.findall(tag("external-link")):
        ends = []
        for side in ("source", "destination"):
            ref = PortRef(text(entry, f"{side}/circuit-pack-name"), text(entry, f"{side}/port-name"))
            ends.append((text(entry, f"{side}/node-id"), ref))
        for (here, local), (there, remote) in ((ends[0], ends[1]), (ends[1], ends[0])):
            if here == node_id and there != node_id:
                fact = ExternalLinkFacts(local, there, remote)
                if fact not in links:
                    links.append(fact)
    return links
