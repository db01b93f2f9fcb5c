"""An OpenROADM 2.2.1 device written down from plain facts: its startup configuration.

The other direction of `controller.openroadm.facts`: what is built here, `parse_device` reads back. The LICL serves
virtual ROADMs and virtual transponder shelves from it; names of packs, ports and interfaces are the usual ones of the
dialect (DEG1-TTP-TXRX on pack 1/0 port L1, SRG1-PP1-TXRX on SRG1/0 port C1, XPDR1-NETWORK1 on 1/0/1-PLUG-NET port 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from controller.domain.spectrum import FrequencySlot
from controller.openroadm.facts import ModeFacts
from controller.openroadm.namespaces import (
    DEVICE,
    INTERFACES,
    OTS,
    ROOT,
    tag,
)

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
        here, there = (roadm.node_id, SRG_PACK, f"C{number}"), (roadm.shelf_id, line_pack(number), "1")
        _external_link(root, here, there)
    for number in numbers:
        degree = add(root, "degree")
        add(degree, "degree-number", str(number))
        for index, name in enumerate((f"{number}/0", f"{number}/0/ETH-PLUG"), start=1):
            _indexed_pack(degree, index, name)
        line = add(degree, "connection-ports")
        add(line, "index", "1")
        add_port_ref(line, f"{number}/0", "L1")
    if roadm.add_drop_count:
        group = add(root, "shared-risk-group")
        add(group, "srg-number", "1")
        _indexed_pack(group, 1, SRG_PACK)
    return data


def _degree_interfaces(root: etree._Element, number: int) -> None:
    _interface(root, f"ETH-DEG{number}", "ethernetCsmacd", f"{number}/0/ETH-PLUG", "ETH")
    section = _interface(root, f"OTS-{degree_port(number)}", "opticalTransport", f"{number}/0", "L1")
    add_foreign(add_foreign(section, OTS, "ots"), OTS, "fiber-type", "smf")
    multiplex = _interface(root, f"OMS-{degree_port(number)}", "openROADMOpticalMultiplex", f"{number}/0", "L1")
    below = etree.Element(tag("supporting-interface"))
    below.text = f"OTS-{degree_port(number)}"
    multiplex.append(below)


def _shelf_configuration(shelf: ShelfDescription) -> etree._Element:
    data, root = _device(shelf.node_id, "xpdr", shelf.site)
    numbers = range(1, len(shelf.lines) + 1)
    for number in numbers:
        _port(_pack(root, line_pack(number), "line_pluggable", str(number)), "1", "xpdr-network", network_port(number))
        client = _pack(root, client_pack(number), "client_pluggable", str(number))
        _port(client, "C1", "xpdr-client", client_port(number))
    for number in numbers:
        _external_link(root, (shelf.node_id, line_pack(number), "1"), (shelf.roadm_id, SRG_PACK, f"C{number}"))
    transponder = add(root, "xponder")
    add(transponder, "xpdr-number", "1")
    add(transponder, "xpdr-type", "tpdr")
    for number in numbers:
        sides = ((line_pack(number), "1"), (client_pack(number), "C1"))
        for index, (pack, port) in enumerate(sides, start=2 * number - 1):
            entry = add(transponder, "xpdr-port")
            add(entry, "index", str(index))
            add_port_ref(entry, pack, port)
    return data


def line_pack(number: int) -> str:
    """Circuit pack of a transponder's line side."""
    return f"1/0/{number}-PLUG-NET"


def client_pack(number: int) -> str:
    """Circuit pack of a transponder's client side."""
    return f"1/0/{number}-PLUG-CLIENT"


def _device(node_id: str, kind: str, site: Site) -> tuple[etree._Element, etree._Element]:
    data = etree.Element("data")
    root = etree.SubElement(data, ROOT, nsmap=_default(DEVICE))
    info = add(root, "info")
    add(info, "node-id", node_id)
    add(info, "node-number", "1")
    add(info, "node-type", kind)
    add(info, "clli", site.clli)
    place = add(info, "geoLocation")
    add(place, "latitude", f"{site.latitude_deg:.6f}")
    add(place, "longitude", f"{site.longitude_deg:.6f}")
    shelf = add(root, "shelves")
    add(shelf, "shelf-name", "1")
    add(shelf, "shelf-type", "rack unit")
    return data, root


def _pack(root: etree._Element, name: str, kind: str, slot: str) -> etree._Element:
    pack = add(root, "circuit-packs")
    for leaf, value in (
        ("circuit-pack-name", name),
        ("circuit-pack-type", kind),
        ("administrative-state", "inService"),
        ("equipment-state", "not-reserved-available"),
        ("shelf", "1"),
        ("slot", slot),
    ):
        add(pack, leaf, value)
    return pack


def _port(pack: etree._Element, name: str, qualifier: str, connection_point: str = "") -> None:
    port = add(pack, "ports")
    add(port, "port-name", name)
    add(port, "port-qual", qualifier)
    add(port, "administrative-state", "inService")
    if connection_point:
        add(port, "logical-connection-point", connection_point)


def _interface(root: etree._Element, name: str, kind: str, pack: str, port: str) -> etree._Element:
    entry = add(root, "interface")
    add(entry, "name", name)
    namespaces: Any = {"oi": INTERFACES}
    etree.SubElement(entry, tag("type"), nsmap=namespaces).text = f"oi:{kind}"
    add(entry, "administrative-state", "inService")
    add(entry, "supporting-circuit-pack-name", pack)
    add(entry, "supporting-port", port)
    return entry


def _external_link(root: etree._Element, here: tuple[str, str, str], there: tuple[str, str, str]) -> None:
    link = add(root, "external-link")
    add(link, "external-link-name", f"{here[1]}-{here[2]}")
    for side, (node_id, pack, port) in (("source", here), ("destination", there)):
        end = add(link, side)
        add(end, "node-id", node_id)
        add_port_ref(end, pack, port)


def _indexed_pack(holder: etree._Element, index: int, name: str) -> None:
    entry = add(holder, "circuit-packs")
    add(entry, "index", str(index))
    add(entry, "circuit-pack-name", name)


def add_port_ref(holder: etree._Element, pack: str, port: str) -> None:
    """Add the pair of leaves that names a port."""
    add(holder, "circuit-pack-name", pack)
    add(holder, "port-name", port)


def add(parent: etree._Element, name: str, value: str | None = None) -> etree._Element:
    """Add a child in the namespace of the device model."""
    child = etree.SubElement(parent, tag(name))
    child.text = value
    return child


def add_foreign(parent: etree._Element, namespace: str, name: str, value: str | None = None) -> etree._Element:
    """Add a child of another module."""
    child = etree.SubElement(parent, tag(name, namespace), nsmap=_default(namespace))
    child.text = value
    return child


def _default(namespace: str) -> Any:
    # lxml takes None for the default namespace; its published types do not say so.
    return {None: namespace}
