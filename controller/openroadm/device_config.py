"""An OpenROADM 2.2.1 device written down from plain facts: its startup configuration and the state beside it.

The other direction of `controller.openroadm.facts`: what is built here, `parse_device` reads back. The LICL serves
virtual ROADMs and virtual transponder shelves from it; names of packs, ports and interfaces are the usual ones of the
dialect (DEG1-TTP-TXRX on pack 1/0 port L1, SRG1-PP1-TXRX on SRG1/0 port C1, XPDR1-NETWORK1 on 1/0/1-PLUG-NET port 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from controller.domain.media import Reception
from controller.domain.spectrum import FrequencySlot
from controller.openroadm.facts import ModeFacts
from controller.openroadm.namespaces import (
    DEVICE,
    ENERGY,
    INTERFACES,
    LEASE,
    LLDP,
    OCH,
    OTS,
    ROOT,
    XPDR,
    device_root,
    tag,
    text,
)

VENDOR, MODEL = "GEYSERS", "virtual"
SRG_PACK = "SRG1/0"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a device stands."""

    clli: str
    latitude_deg: float = 0.0
    longitude_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Degree:
    """A degree, numbered by its place: the band leased on it, and who is at the other end of the fibre."""

    leased_band: FrequencySlot | None = None
    neighbour: tuple[str, int] | None = None
    """(node id, degree number) at the other end."""


@dataclass(frozen=True, slots=True)
class RoadmDescription:
    """A ROADM: degrees 1, 2, … and one shared risk group whose ports are patched to a shelf, port i to line i."""

    node_id: str
    site: Site
    degrees: tuple[Degree, ...]
    add_drop_count: int
    shelf_id: str = ""

    def configuration(self) -> etree._Element:
        """Startup configuration as <data>."""
        return _roadm_configuration(self)


@dataclass(frozen=True, slots=True)
class Line:
    """A transponder of a shelf: the modes of its line side, and the most that it draws."""

    modes: tuple[ModeFacts, ...]
    max_power_w: float = 0.0


@dataclass(frozen=True, slots=True)
class ShelfDescription:
    """A shelf of transponders 1, 2, …, line i patched to add/drop port i of `roadm_id`."""

    node_id: str
    site: Site
    lines: tuple[Line, ...]
    roadm_id: str

    def configuration(self) -> etree._Element:
        """Startup configuration as <data>."""
        return _shelf_configuration(self)


def degree_port(number: int) -> str:
    """Logical connection point of a degree's line port."""
    return f"DEG{number}-TTP-TXRX"


def add_drop_port(number: int) -> str:
    """Logical connection point of an add/drop port of the first shared risk group."""
    return f"SRG1-PP{number}-TXRX"


def network_port(number: int) -> str:
    """Logical connection point of a transponder's line side."""
    return f"XPDR1-NETWORK{number}"


def client_port(number: int) -> str:
    """Logical connection point of a transponder's client side."""
    return f"XPDR1-CLIENT{number}"


def with_roadm_state(running: etree._Element, roadm: RoadmDescription, power_w: float | None = None) -> etree._Element:
    """Running configuration and state together, as <get> answers; `power_w` is left out when it is not known."""
    data, root = _copy(running)
    if root is None:
        return data
    _common_state(root, power_w)
    info = _one(root, "info")
    _add(info, "max-degrees", str(len(roadm.degrees)))
    _add(info, "max-srgs", "1" if roadm.add_drop_count else "0")
    for entry in root.findall(tag("degree")):
        _add(entry, "max-wavelengths", "96")
        _capabilities(entry)
        band = roadm.degrees[int(text(entry, "degree-number")) - 1].leased_band
        if band is not None:
            lease = _foreign(entry, LEASE, "leased-spectrum")
            _foreign(lease, LEASE, "min-freq", f"{band.lower_hz / 1e12:.6f}")
            _foreign(lease, LEASE, "max-freq", f"{band.upper_hz / 1e12:.6f}")
    for entry in root.findall(tag("shared-risk-group")):
        for leaf in ("max-add-drop-ports", "current-provisioned-add-drop-ports"):
            _add(entry, leaf, str(roadm.add_drop_count))
        _add(entry, "wavelength-duplication", "one-per-degree")
        _capabilities(entry)
    _neighbours(root, roadm)
    return data


def with_shelf_state(
    running: etree._Element,
    shelf: ShelfDescription,
    power_w: float | None = None,
    receptions: Mapping[str, Reception] | None = None,
) -> etree._Element:
    """The same for a shelf; `receptions` by network port, and a port without one shows no receiver."""
    data, root = _copy(running)
    if root is None:
        return data
    _common_state(root, power_w)
    for number, line in enumerate(shelf.lines, start=1):
        pack = next(
            (entry for entry in root.findall(tag("circuit-packs")) if text(entry, "circuit-pack-name") == _net(number)),
            None,
        )
        if pack is not None:
            _line_state(pack, line)
    for entry in root.findall(tag("interface")):
        och = entry.find(tag("och", OCH))
        reception = (receptions or {}).get(text(entry, "name").rpartition("-")[0])
        if och is not None and reception is not None:
            _receiver(och, reception)
    for number in range(1, len(shelf.lines) + 1):
        entry = _add(root, "connection-map")
        _add(entry, "connection-map-number", str(number))
        _port_ref(_add(entry, "source"), _net(number), "1")
        _port_ref(_add(entry, "destination"), _client(number), "C1")
    return data


def _roadm_configuration(roadm: RoadmDescription) -> etree._Element:
    data, root = _device(roadm.node_id, "rdm", roadm.site)
    numbers = range(1, len(roadm.degrees) + 1)
    for number in numbers:
        _port(_pack(root, f"{number}/0", "WSSDEG", str(number)), "L1", "roadm-external", degree_port(number))
        _port(_pack(root, f"{number}/0/ETH-PLUG", "port", str(number)), "ETH", "roadm-internal")
    if roadm.add_drop_count:
        group_pack = _pack(root, SRG_PACK, "SRG", str(len(roadm.degrees) + 1))
        for number in range(1, roadm.add_drop_count + 1):
            _port(group_pack, f"C{number}", "roadm-external", add_drop_port(number))
    for number in numbers:
        _degree_interfaces(root, number)
    for number in range(1, roadm.add_drop_count + 1):
        here, there = (roadm.node_id, SRG_PACK, f"C{number}"), (roadm.shelf_id, _net(number), "1")
        _external_link(root, here, there)
    for number in numbers:
        degree = _add(root, "degree")
        _add(degree, "degree-number", str(number))
        for index, name in enumerate((f"{number}/0", f"{number}/0/ETH-PLUG"), start=1):
            _indexed_pack(degree, index, name)
        line = _add(degree, "connection-ports")
        _add(line, "index", "1")
        _port_ref(line, f"{number}/0", "L1")
    if roadm.add_drop_count:
        group = _add(root, "shared-risk-group")
        _add(group, "srg-number", "1")
        _indexed_pack(group, 1, SRG_PACK)
    return data


def _degree_interfaces(root: etree._Element, number: int) -> None:
    _interface(root, f"ETH-DEG{number}", "ethernetCsmacd", f"{number}/0/ETH-PLUG", "ETH")
    section = _interface(root, f"OTS-{degree_port(number)}", "opticalTransport", f"{number}/0", "L1")
    _foreign(_foreign(section, OTS, "ots"), OTS, "fiber-type", "smf")
    multiplex = _interface(root, f"OMS-{degree_port(number)}", "openROADMOpticalMultiplex", f"{number}/0", "L1")
    below = etree.Element(tag("supporting-interface"))
    below.text = f"OTS-{degree_port(number)}"
    multiplex.append(below)


def _shelf_configuration(shelf: ShelfDescription) -> etree._Element:
    data, root = _device(shelf.node_id, "xpdr", shelf.site)
    numbers = range(1, len(shelf.lines) + 1)
    for number in numbers:
        _port(_pack(root, _net(number), "line_pluggable", str(number)), "1", "xpdr-network", network_port(number))
        client_pack = _pack(root, _client(number), "client_pluggable", str(number))
        _port(client_pack, "C1", "xpdr-client", client_port(number))
    for number in numbers:
        _external_link(root, (shelf.node_id, _net(number), "1"), (shelf.roadm_id, SRG_PACK, f"C{number}"))
    transponder = _add(root, "xponder")
    _add(transponder, "xpdr-number", "1")
    _add(transponder, "xpdr-type", "tpdr")
    for number in numbers:
        for index, (pack, port) in enumerate(((_net(number), "1"), (_client(number), "C1")), start=2 * number - 1):
            entry = _add(transponder, "xpdr-port")
            _add(entry, "index", str(index))
            _port_ref(entry, pack, port)
    return data


def _net(number: int) -> str:
    return f"1/0/{number}-PLUG-NET"


def _client(number: int) -> str:
    return f"1/0/{number}-PLUG-CLIENT"


def _device(node_id: str, kind: str, site: Site) -> tuple[etree._Element, etree._Element]:
    data = etree.Element("data")
    root = etree.SubElement(data, ROOT, nsmap=_default(DEVICE))
    info = _add(root, "info")
    _add(info, "node-id", node_id)
    _add(info, "node-number", "1")
    _add(info, "node-type", kind)
    _add(info, "clli", site.clli)
    place = _add(info, "geoLocation")
    _add(place, "latitude", f"{site.latitude_deg:.6f}")
    _add(place, "longitude", f"{site.longitude_deg:.6f}")
    shelf = _add(root, "shelves")
    _add(shelf, "shelf-name", "1")
    _add(shelf, "shelf-type", "rack unit")
    return data, root


def _pack(root: etree._Element, name: str, kind: str, slot: str) -> etree._Element:
    pack = _add(root, "circuit-packs")
    for leaf, value in (
        ("circuit-pack-name", name),
        ("circuit-pack-type", kind),
        ("administrative-state", "inService"),
        ("equipment-state", "not-reserved-available"),
        ("shelf", "1"),
        ("slot", slot),
    ):
        _add(pack, leaf, value)
    return pack


def _port(pack: etree._Element, name: str, qualifier: str, connection_point: str = "") -> None:
    port = _add(pack, "ports")
    _add(port, "port-name", name)
    _add(port, "port-qual", qualifier)
    _add(port, "administrative-state", "inService")
    if connection_point:
        _add(port, "logical-connection-point", connection_point)


def _interface(root: etree._Element, name: str, kind: str, pack: str, port: str) -> etree._Element:
    entry = _add(root, "interface")
    _add(entry, "name", name)
    namespaces: Any = {"oi": INTERFACES}
    etree.SubElement(entry, tag("type"), nsmap=namespaces).text = f"oi:{kind}"
    _add(entry, "administrative-state", "inService")
    _add(entry, "supporting-circuit-pack-name", pack)
    _add(entry, "supporting-port", port)
    return entry


def _external_link(root: etree._Element, here: tuple[str, str, str], there: tuple[str, str, str]) -> None:
    link = _add(root, "external-link")
    _add(link, "external-link-name", f"{here[1]}-{here[2]}")
    for side, (node_id, pack, port) in (("source", here), ("destination", there)):
        end = _add(link, side)
        _add(end, "node-id", node_id)
        _port_ref(end, pack, port)


def _indexed_pack(holder: etree._Element, index: int, name: str) -> None:
    entry = _add(holder, "circuit-packs")
    _add(entry, "index", str(index))
    _add(entry, "circuit-pack-name", name)


def _port_ref(holder: etree._Element, pack: str, port: str) -> None:
    _add(holder, "circuit-pack-name", pack)
    _add(holder, "port-name", port)


def _copy(running: etree._Element) -> tuple[etree._Element, etree._Element | None]:
    data = etree.fromstring(etree.tostring(running))
    return data, device_root(data)


def _common_state(root: etree._Element, power_w: float | None) -> None:
    info = _one(root, "info")
    _hardware(info)
    _add(info, "softwareVersion", "1")
    _add(info, "openroadm-version", "2.2.1")
    if power_w is not None:
        _foreign(info, ENERGY, "power-w", f"{power_w:.3f}")
    for shelf in root.findall(tag("shelves")):
        _hardware(shelf)
    standing: dict[tuple[str, str], list[str]] = {}
    for entry in root.findall(tag("interface")):
        place = (text(entry, "supporting-circuit-pack-name"), text(entry, "supporting-port"))
        standing.setdefault(place, []).append(text(entry, "name"))
        up = text(entry, "administrative-state") == "inService"
        _add(entry, "operational-state", "inService" if up else "outOfService")
    for pack in root.findall(tag("circuit-packs")):
        _hardware(pack)
        _add(_add(pack, "circuit-pack-category"), "type", "circuitPack")
        _add(pack, "is-pluggable-optics", "true" if "pluggable" in text(pack, "circuit-pack-type") else "false")
        for port in pack.findall(tag("ports")):
            _add(port, "port-direction", "bidirectional")
            _add(port, "operational-state", "inService")
            # Controllers wait for this back-reference after they made an interface.
            for name in standing.get((text(pack, "circuit-pack-name"), text(port, "port-name")), ()):
                _add(_add(port, "interfaces"), "interface-name", name)


def _line_state(pack: etree._Element, line: Line) -> None:
    _foreign(pack, ENERGY, "max-power-w", f"{line.max_power_w:.3f}")
    for port in pack.findall(tag("ports")):
        for mode in line.modes:
            entry = _foreign(port, XPDR, "supported-operational-mode")
            for leaf, value in (
                ("mode-id", mode.mode_id),
                ("bit-rate-gbps", f"{mode.bit_rate_gbps:.3f}"),
                ("baud-rate-gbd", f"{mode.baud_rate_gbd:.6f}"),
                ("min-spacing-ghz", f"{mode.min_spacing_ghz:.3f}"),
                ("required-osnr-0p1nm-db", f"{mode.required_osnr_0p1nm_db:.3f}"),
                ("tx-osnr-0p1nm-db", f"{mode.tx_osnr_0p1nm_db:.3f}"),
            ):
                _foreign(entry, XPDR, leaf, value)


def _receiver(och: etree._Element, reception: Reception) -> None:
    receiver = _foreign(och, XPDR, "receiver")
    if reception.gsnr_0p1nm_db is not None:
        _foreign(receiver, XPDR, "input-power-dbm", f"{reception.input_power_dbm:.3f}")
        _foreign(receiver, XPDR, "gsnr-0p1nm-db", f"{reception.gsnr_0p1nm_db:.4f}")
    _foreign(receiver, XPDR, "signal-state", reception.signal_state)


def _capabilities(holder: etree._Element) -> None:
    entry = _add(holder, "mc-capabilities")
    for leaf, value in (
        ("slot-width-granularity", "12.5"),
        ("center-freq-granularity", "6.25"),
        ("min-slots", "1"),
        ("max-slots", "384"),
    ):
        _add(entry, leaf, value)


def _neighbours(root: etree._Element, roadm: RoadmDescription) -> None:
    protocols = root.find(tag("protocols"))
    if protocols is None:
        protocols = _add(root, "protocols")
    service = protocols.find(tag("lldp", LLDP))
    if service is None:
        service = _foreign(protocols, LLDP, "lldp")
    seen = _foreign(service, LLDP, "nbr-list")
    for number, degree in enumerate(roadm.degrees, start=1):
        if degree.neighbour is None:
            continue
        entry = _foreign(seen, LLDP, "if-name")
        for leaf, value in (
            ("ifName", f"ETH-DEG{number}"),
            ("remoteSysName", degree.neighbour[0]),
            ("remotePortIdSubType", "ifname"),
            ("remotePortId", f"ETH-DEG{degree.neighbour[1]}"),
        ):
            _foreign(entry, LLDP, leaf, value)


def _hardware(part: etree._Element) -> None:
    for leaf, value in (("vendor", VENDOR), ("model", MODEL), ("serial-id", "0")):
        _add(part, leaf, value)


def _one(root: etree._Element, name: str) -> etree._Element:
    found = root.find(tag(name))
    return _add(root, name) if found is None else found


def _add(parent: etree._Element, name: str, value: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, tag(name))
    child.text = value
    return child


def _foreign(parent: etree._Element, namespace: str, name: str, value: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, tag(name, namespace), nsmap=_default(namespace))
    child.text = value
    return child


def _default(namespace: str) -> Any:
    # lxml takes None for the default namespace; its published types do not say so.
    return {None: namespace}
