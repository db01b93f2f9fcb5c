"""State that a device shows beside its configuration (config=false nodes of the model)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from emulator.plant import Mode
from emulator.roadm.light_field import LightField

DEVICE = "http://org/openroadm/device"
LLDP = "http://org/openroadm/lldp"
OCH = "http://org/openroadm/optical-channel-interfaces"
XPDR = "urn:geysers:yang:openroadm-xpdr"
ENERGY = "urn:geysers:yang:device-energy"

# W per circuit pack while working, from the ROADM and transponder formulas of Vizcaino et al., Computer Networks 2012:
# 85 per degree, 100 per add/drop block, 150 for the frame (here: the supervisory packs); 22 for a 400G pluggable
# (vendor data of ZR+ modules).
PACK_POWER_W = {"WSSDEG": 85.0, "SRG": 100.0, "port": 0.0, "line_pluggable": 22.0, "client_pluggable": 0.0}
FRAME_POWER_W = 150.0


def add_state(
    data: etree._Element,
    name: str,
    light: LightField,
    modes: Mapping[str, Mode],
    lldp: Mapping[str, tuple[str, str]],
) -> None:
    """Add to a copy of the running configuration all that the device observes."""
    root = data.find(_q("org-openroadm-device"))
    if root is None:
        return
    interfaces = root.findall(_q("interface"))
    on_port: dict[tuple[str, str], list[str]] = {}
    for entry in interfaces:
        key = (entry.findtext(_q("supporting-circuit-pack-name"), ""), entry.findtext(_q("supporting-port"), ""))
        on_port.setdefault(key, []).append(entry.findtext(_q("name"), ""))
        _sub(entry, "operational-state", "inService")
    power_w = 0.0
    points: dict[tuple[str, str], str] = {}
    for pack in root.findall(_q("circuit-packs")):
        power_w += _pack_state(pack, on_port, modes, points)
    for entry in interfaces:
        _receiver_state(entry, name, light, modes, points)
    is_roadm = root.findtext(f"{_q('info')}/{_q('node-type')}") == "rdm"
    _info_state(root, power_w + (FRAME_POWER_W if is_roadm else 0.0), len(lldp), is_roadm)
    for shelf in root.findall(_q("shelves")):
        _hardware(shelf)
    if is_roadm:
        _degree_state(root)
        _lldp_state(root, lldp)
    else:
        _connection_map(root)


def _info_state(root: etree._Element, power_w: float, degree_count: int, is_roadm: bool) -> None:
    info = root.find(_q("info"))
    if info is None:
        return
    _hardware(info)
    _sub(info, "softwareVersion", "1")
    _sub(info, "openroadm-version", "2.2.1")
    if is_roadm:
        _sub(info, "max-degrees", str(degree_count))
        _sub(info, "max-srgs", "1")
    _energy(info, "power-w", power_w)


def _pack_state(
    pack: etree._Element,
    on_port: Mapping[tuple[str, str], list[str]],
    modes: Mapping[str, Mode],
    points: dict[tuple[str, str], str],
) -> float:
    name = pack.findtext(_q("circuit-pack-name"), "")
    kind = pack.findtext(_q("circuit-pack-type"), "")
    _hardware(pack)
    category = _sub(pack, "circuit-pack-category")
    _sub(category, "type", "circuitPack")
    _sub(pack, "is-pluggable-optics", "true" if "pluggable" in kind else "false")
    lit = False
    for port in pack.findall(_q("ports")):
        port_name = port.findtext(_q("port-name"), "")
        points[name, port_name] = port.findtext(_q("logical-connection-point"), "")
        _sub(port, "port-direction", "bidirectional")
        _sub(port, "operational-state", "inService")
        standing = on_port.get((name, port_name), [])
        lit = lit or bool(standing)
        for interface in standing:
            _sub(_sub(port, "interfaces"), "interface-name", interface)
        if port.findtext(_q("port-qual")) == "xpdr-network":
            _mode_list(port, modes)
    full_w = PACK_POWER_W.get(kind, 0.0)
    # A pluggable without a channel is off; the switching packs of a ROADM never are.
    drawn_w = full_w if lit or kind != "line_pluggable" else 0.0
    _energy(pack, "power-w", drawn_w)
    _energy(pack, "max-power-w", full_w)
    etree.SubElement(pack, f"{{{ENERGY}}}power-state", nsmap=_default(ENERGY)).text = "working" if drawn_w else "off"
    return drawn_w


def _mode_list(port: etree._Element, modes: Mapping[str, Mode]) -> None:
    for mode in modes.values():
        entry = etree.SubElement(port, f"{{{XPDR}}}supported-operational-mode", nsmap=_default(XPDR))
        for leaf, value in (
            ("mode-id", mode.mode_id),
            ("bit-rate-gbps", f"{mode.bit_rate_gbps:.3f}"),
            ("baud-rate-gbd", f"{mode.baud_rate_gbd:.6f}"),
            ("min-spacing-ghz", f"{mode.min_spacing_ghz:.3f}"),
            ("required-osnr-0p1nm-db", f"{mode.required_osnr_0p1nm_db:.3f}"),
            ("tx-osnr-0p1nm-db", f"{mode.tx_osnr_0p1nm_db:.3f}"),
        ):
            etree.SubElement(entry, f"{{{XPDR}}}{leaf}").text = value


def _receiver_state(
    entry: etree._Element,
    name: str,
    light: LightField,
    modes: Mapping[str, Mode],
    points: Mapping[tuple[str, str], str],
) -> None:
    och = entry.find(f"{{{OCH}}}och")
    if och is None:
        return
    mode = modes[och.findtext(f"{{{XPDR}}}operational-mode", "")]
    key = (entry.findtext(_q("supporting-circuit-pack-name"), ""), entry.findtext(_q("supporting-port"), ""))
    center_hz = float(och.findtext(f"{{{OCH}}}frequency", "0")) * 1e12
    seen = light.reception(f"{name}/{points.get(key, '')}", center_hz, mode.baud_rate_gbd * 1e9)
    receiver = etree.SubElement(och, f"{{{XPDR}}}receiver", nsmap=_default(XPDR))
    state = "no-signal"
    if seen is not None:
        etree.SubElement(receiver, f"{{{XPDR}}}input-power-dbm").text = f"{seen.input_power_dbm:.3f}"
        etree.SubElement(receiver, f"{{{XPDR}}}gsnr-0p1nm-db").text = f"{seen.gsnr_0p1nm_db:.4f}"
        state = "good" if seen.gsnr_0p1nm_db >= mode.required_osnr_0p1nm_db else "degraded"
    etree.SubElement(receiver, f"{{{XPDR}}}signal-state").text = state


def _degree_state(root: etree._Element) -> None:
    for degree in root.findall(_q("degree")):
        _sub(degree, "max-wavelengths", "96")
        _capabilities(degree)
    for group in root.findall(_q("shared-risk-group")):
        _sub(group, "max-add-drop-ports", "8")
        _sub(group, "current-provisioned-add-drop-ports", "8")
        _sub(group, "wavelength-duplication", "one-per-degree")
        _capabilities(group)


def _capabilities(holder: etree._Element) -> None:
    entry = _sub(holder, "mc-capabilities")
    for leaf, value in (
        ("slot-width-granularity", "12.5"),
        ("center-freq-granularity", "6.25"),
        ("min-slots", "1"),
        ("max-slots", "384"),
    ):
        _sub(entry, leaf, value)


def _lldp_state(root: etree._Element, lldp: Mapping[str, tuple[str, str]]) -> None:
    protocols = root.find(_q("protocols"))
    if protocols is None:
        protocols = _sub(root, "protocols")
    service = protocols.find(f"{{{LLDP}}}lldp")
    if service is None:
        service = etree.SubElement(protocols, f"{{{LLDP}}}lldp", nsmap=_default(LLDP))
    seen = etree.SubElement(service, f"{{{LLDP}}}nbr-list")
    for interface, (neighbour, remote) in lldp.items():
        entry = etree.SubElement(seen, f"{{{LLDP}}}if-name")
        for leaf, value in (
            ("ifName", interface),
            ("remoteSysName", neighbour),
            ("remotePortIdSubType", "ifname"),
            ("remotePortId", remote),
        ):
            etree.SubElement(entry, f"{{{LLDP}}}{leaf}").text = value


def _connection_map(root: etree._Element) -> None:
    """Each line side serves the client side of the same transponder: ports pair up in the order of xpdr-port."""
    for transponder in root.findall(_q("xponder")):
        ports = [
            (entry.findtext(_q("circuit-pack-name"), ""), entry.findtext(_q("port-name"), ""))
            for entry in transponder.findall(_q("xpdr-port"))
        ]
        for number, (line, client) in enumerate(zip(ports[0::2], ports[1::2], strict=True), start=1):
            entry = _sub(root, "connection-map")
            _sub(entry, "connection-map-number", str(number))
            for side, (pack, port) in (("source", line), ("destination", client)):
                end = _sub(entry, side)
                _sub(end, "circuit-pack-name", pack)
                _sub(end, "port-name", port)


def _hardware(part: etree._Element) -> None:
    for leaf, value in (("vendor", "GEYSERS"), ("model", "emulated"), ("serial-id", "0")):
        _sub(part, leaf, value)


def _energy(holder: etree._Element, leaf: str, value_w: float) -> None:
    etree.SubElement(holder, f"{{{ENERGY}}}{leaf}", nsmap=_default(ENERGY)).text = f"{value_w:.3f}"


def _q(name: str) -> str:
    return f"{{{DEVICE}}}{name}"


def _sub(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, _q(name))
    child.text = text
    return child


def _default(namespace: str) -> Any:
    return {None: namespace}
