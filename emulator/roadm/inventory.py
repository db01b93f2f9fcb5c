"""What a new device holds: its startup configuration, and the hardware facts that it reports beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lxml import etree

from emulator.plant import Plant, RoadmSite, TransponderShelf

DEVICE = "http://org/openroadm/device"
INTERFACES = "http://org/openroadm/interfaces"
LLDP = "http://org/openroadm/lldp"
OTS = "http://org/openroadm/optical-transport-interfaces"
ETHERNET = "http://org/openroadm/ethernet-interfaces"
ADD_DROP_PORTS = 8


def patches(plant: Plant) -> dict[str, str]:
    """Patch cords of the plant: 'XPDR/PORT' to 'ROADM/PORT', transponder i to add/drop port i."""
    cords = {}
    for shelf in plant.shelves.values():
        for number in range(1, shelf.transponder_count + 1):
            cords[f"{shelf.name}/XPDR1-NETWORK{number}"] = f"{shelf.roadm}/SRG1-PP{number}-TXRX"
    return cords


def roadm_startup(site: RoadmSite, shelves: Sequence[TransponderShelf]) -> etree._Element:
    """Startup configuration of a ROADM as <data>."""
    data, root = _device(site.name, "rdm", site.clli, site)
    for number in range(1, len(site.degrees) + 1):
        pack = _circuit_pack(root, f"{number}/0", "WSSDEG", str(number))
        _port(pack, "L1", "roadm-external", f"DEG{number}-TTP-TXRX")
        osc = _circuit_pack(root, f"{number}/0/ETH-PLUG", "port", str(number))
        _port(osc, "ETH", "roadm-internal", None)
    add_drop = _circuit_pack(root, "SRG1/0", "SRG", str(len(site.degrees) + 1))
    for number in range(1, ADD_DROP_PORTS + 1):
        _port(add_drop, f"C{number}", "roadm-external", f"SRG1-PP{number}-TXRX")
    for number in range(1, len(site.degrees) + 1):
        _interface(root, f"ETH-DEG{number}", "ethernetCsmacd", f"{number}/0/ETH-PLUG", "ETH")
        ots = _interface(root, f"OTS-DEG{number}-TTP-TXRX", "opticalTransport", f"{number}/0", "L1")
        etree.SubElement(
            etree.SubElement(ots, f"{{{OTS}}}ots", nsmap=_default(OTS)), f"{{{OTS}}}fiber-type"
        ).text = "smf"
        oms = _interface(root, f"OMS-DEG{number}-TTP-TXRX", "openROADMOpticalMultiplex", f"{number}/0", "L1")
        below = etree.Element(f"{{{DEVICE}}}supporting-interface")
        below.text = f"OTS-DEG{number}-TTP-TXRX"
        oms.append(below)
    for shelf in shelves:
        for number in range(1, shelf.transponder_count + 1):
            _external_link(root, (site.name, "SRG1/0", f"C{number}"), (shelf.name, f"1/0/{number}-PLUG-NET", "1"))
    for number in range(1, len(site.degrees) + 1):
        degree = _sub(root, "degree")
        _sub(degree, "degree-number", str(number))
        for index, name in enumerate((f"{number}/0", f"{number}/0/ETH-PLUG"), start=1):
            entry = _sub(degree, "circuit-packs")
            _sub(entry, "index", str(index))
            _sub(entry, "circuit-pack-name", name)
        port = _sub(degree, "connection-ports")
        _sub(port, "index", "1")
        _sub(port, "circuit-pack-name", f"{number}/0")
        _sub(port, "port-name", "L1")
    group = _sub(root, "shared-risk-group")
    _sub(group, "srg-number", "1")
    entry = _sub(group, "circuit-packs")
    _sub(entry, "index", "1")
    _sub(entry, "circuit-pack-name", "SRG1/0")
    return data


def shelf_startup(shelf: TransponderShelf, site: RoadmSite) -> etree._Element:
    """Startup configuration of a transponder shelf as <data>."""
    data, root = _device(shelf.name, "xpdr", site.clli, site)
    for number in range(1, shelf.transponder_count + 1):
        line = _circuit_pack(root, f"1/0/{number}-PLUG-NET", "line_pluggable", str(number))
        _port(line, "1", "xpdr-network", f"XPDR1-NETWORK{number}")
        client = _circuit_pack(root, f"1/0/{number}-PLUG-CLIENT", "client_pluggable", str(number))
        _port(client, "C1", "xpdr-client", f"XPDR1-CLIENT{number}")
    for number in range(1, shelf.transponder_count + 1):
        _external_link(root, (shelf.name, f"1/0/{number}-PLUG-NET", "1"), (site.name, "SRG1/0", f"C{number}"))
    transponder = _sub(root, "xponder")
    _sub(transponder, "xpdr-number", "1")
    _sub(transponder, "xpdr-type", "tpdr")
    for number in range(1, shelf.transponder_count + 1):
        for index, (pack, port) in enumerate(
            ((f"1/0/{number}-PLUG-NET", "1"), (f"1/0/{number}-PLUG-CLIENT", "C1")), start=2 * number - 1
        ):
            entry = _sub(transponder, "xpdr-port")
            _sub(entry, "index", str(index))
            _sub(entry, "circuit-pack-name", pack)
            _sub(entry, "port-name", port)
    return data


def neighbours(plant: Plant, roadm: str) -> Mapping[str, tuple[str, str]]:
    """What LLDP tells: own Ethernet interface to (neighbour, its interface)."""
    site = plant.roadms[roadm]
    return {
        f"ETH-DEG{number}": (other, f"ETH-DEG{plant.roadms[other].degree_to(roadm)}")
        for number, other in enumerate(site.degrees, start=1)
    }


def _device(name: str, kind: str, clli: str, site: RoadmSite) -> tuple[etree._Element, etree._Element]:
    data = etree.Element("data")
    root = etree.SubElement(data, f"{{{DEVICE}}}org-openroadm-device", nsmap=_default(DEVICE))
    info = _sub(root, "info")
    _sub(info, "node-id", name)
    _sub(info, "node-number", "1")
    _sub(info, "node-type", kind)
    _sub(info, "clli", clli)
    place = _sub(info, "geoLocation")
    _sub(place, "latitude", str(site.latitude_deg))
    _sub(place, "longitude", str(site.longitude_deg))
    shelf = _sub(root, "shelves")
    _sub(shelf, "shelf-name", "1")
    _sub(shelf, "shelf-type", "rack unit")
    return data, root


def _circuit_pack(root: etree._Element, name: str, kind: str, slot: str) -> etree._Element:
    pack = _sub(root, "circuit-packs")
    _sub(pack, "circuit-pack-name", name)
    _sub(pack, "circuit-pack-type", kind)
    _sub(pack, "administrative-state", "inService")
    _sub(pack, "equipment-state", "not-reserved-available")
    _sub(pack, "shelf", "1")
    _sub(pack, "slot", slot)
    return pack


def _port(pack: etree._Element, name: str, qualifier: str, connection_point: str | None) -> None:
    port = _sub(pack, "ports")
    _sub(port, "port-name", name)
    _sub(port, "port-qual", qualifier)
    _sub(port, "administrative-state", "inService")
    if connection_point is not None:
        _sub(port, "logical-connection-point", connection_point)


def _interface(root: etree._Element, name: str, kind: str, pack: str, port: str) -> etree._Element:
    entry = _sub(root, "interface")
    _sub(entry, "name", name)
    namespaces: Any = {"oi": INTERFACES}
    etree.SubElement(entry, f"{{{DEVICE}}}type", nsmap=namespaces).text = f"oi:{kind}"
    _sub(entry, "administrative-state", "inService")
    _sub(entry, "supporting-circuit-pack-name", pack)
    _sub(entry, "supporting-port", port)
    return entry


def _external_link(root: etree._Element, here: tuple[str, str, str], there: tuple[str, str, str]) -> None:
    link = _sub(root, "external-link")
    _sub(link, "external-link-name", f"{here[1]}-{here[2]}")
    for side, (node, pack, port) in (("source", here), ("destination", there)):
        end = _sub(link, side)
        _sub(end, "node-id", node)
        _sub(end, "circuit-pack-name", pack)
        _sub(end, "port-name", port)


def _sub(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, f"{{{DEVICE}}}{name}")
    child.text = text
    return child


def _default(namespace: str) -> Any:
    return {None: namespace}
