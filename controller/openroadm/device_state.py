"""State (config=false nodes) of a device whose configuration `controller.openroadm.device_config` built."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from controller.domain.media import Reception
from controller.openroadm.device_config import (
    Line,
    RoadmDescription,
    ShelfDescription,
    add,
    add_foreign,
    add_port_ref,
    client_pack,
    line_pack,
)
from controller.openroadm.namespaces import ENERGY, LEASE, LLDP, OCH, XPDR, device_root, tag, text

VENDOR, MODEL = "GEYSERS", "virtual"


def with_roadm_state(running: etree._Element, roadm: RoadmDescription, power_w: float | None = None) -> etree._Element:
    """Running configuration and state together, as <get> answers; `power_w` is left out when it is not known."""
    data, root = _copy(running)
    if root is None:
        return data
    _common_state(root, power_w)
    info = _one(root, "info")
    add(info, "max-degrees", str(len(roadm.degrees)))
    add(info, "max-srgs", "1" if roadm.add_drop_count else "0")
    for entry in root.findall(tag("degree")):
        add(entry, "max-wavelengths", "96")
        _capabilities(entry)
        band = roadm.degrees[int(text(entry, "degree-number")) - 1].leased_band
        if band is not None:
            lease = add_foreign(entry, LEASE, "leased-spectrum")
            add_foreign(lease, LEASE, "min-freq", f"{band.lower_hz / 1e12:.6f}")
            add_foreign(lease, LEASE, "max-freq", f"{band.upper_hz / 1e12:.6f}")
    for entry in root.findall(tag("shared-risk-group")):
        for leaf in ("max-add-drop-ports", "current-provisioned-add-drop-ports"):
            add(entry, leaf, str(roadm.add_drop_count))
        add(entry, "wavelength-duplication", "one-per-degree")
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
        for pack in root.findall(tag("circuit-packs")):
            if text(pack, "circuit-pack-name") == line_pack(number):
                _line_state(pack, line)
    for entry in root.findall(tag("interface")):
        och = entry.find(tag("och", OCH))
        reception = (receptions or {}).get(text(entry, "name").rpartition("-")[0])
        if och is not None and reception is not None:
            _receiver(och, reception)
    for number in range(1, len(shelf.lines) + 1):
        entry = add(root, "connection-map")
        add(entry, "connection-map-number", str(number))
        add_port_ref(add(entry, "source"), line_pack(number), "1")
        add_port_ref(add(entry, "destination"), client_pack(number), "C1")
    return data


def _copy(running: etree._Element) -> tuple[etree._Element, etree._Element | None]:
    data = etree.fromstring(etree.tostring(running))
    return data, device_root(data)


def _common_state(root: etree._Element, power_w: float | None) -> None:
    info = _one(root, "info")
    _hardware(info)
    add(info, "softwareVersion", "1")
    add(info, "openroadm-version", "2.2.1")
    if power_w is not None:
        add_foreign(info, ENERGY, "power-w", f"{power_w:.3f}")
    for shelf in root.findall(tag("shelves")):
        _hardware(shelf)
    standing: dict[tuple[str, str], list[str]] = {}
    for entry in root.findall(tag("interface")):
        place = (text(entry, "supporting-circuit-pack-name"), text(entry, "supporting-port"))
        standing.setdefault(place, []).append(text(entry, "name"))
        up = text(entry, "administrative-state") == "inService"
        add(entry, "operational-state", "inService" if up else "outOfService")
    for pack in root.findall(tag("circuit-packs")):
        _hardware(pack)
        add(add(pack, "circuit-pack-category"), "type", "circuitPack")
        add(pack, "is-pluggable-optics", "true" if "pluggable" in text(pack, "circuit-pack-type") else "false")
        for port in pack.findall(tag("ports")):
            add(port, "port-direction", "bidirectional")
            add(port, "operational-state", "inService")
            # Controllers wait for this back-reference after they made an interface.
            for name in standing.get((text(pack, "circuit-pack-name"), text(port, "port-name")), ()):
                add(add(port, "interfaces"), "interface-name", name)


def _line_state(pack: etree._Element, line: Line) -> None:
    add_foreign(pack, ENERGY, "max-power-w", f"{line.max_power_w:.3f}")
    for port in pack.findall(tag("ports")):
        for mode in line.modes:
            entry = add_foreign(port, XPDR, "supported-operational-mode")
            for leaf, value in (
                ("mode-id", mode.mode_id),
                ("bit-rate-gbps", f"{mode.bit_rate_gbps:.3f}"),
                ("baud-rate-gbd", f"{mode.baud_rate_gbd:.6f}"),
                ("min-spacing-ghz", f"{mode.min_spacing_ghz:.3f}"),
                ("required-osnr-0p1nm-db", f"{mode.required_osnr_0p1nm_db:.3f}"),
                ("tx-osnr-0p1nm-db", f"{mode.tx_osnr_0p1nm_db:.3f}"),
            ):
                add_foreign(entry, XPDR, leaf, value)


def _receiver(och: etree._Element, reception: Reception) -> None:
    receiver = add_foreign(och, XPDR, "receiver")
    if reception.gsnr_0p1nm_db is not None:
        add_foreign(receiver, XPDR, "input-power-dbm", f"{reception.input_power_dbm:.3f}")
        add_foreign(receiver, XPDR, "gsnr-0p1nm-db", f"{reception.gsnr_0p1nm_db:.4f}")
    add_foreign(receiver, XPDR, "signal-state", reception.signal_state)


def _capabilities(holder: etree._Element) -> None:
    entry = add(holder, "mc-capabilities")
    for leaf, value in (
        ("slot-width-granularity", "12.5"),
        ("center-freq-granularity", "6.25"),
        ("min-slots", "1"),
        ("max-slots", "384"),
    ):
        add(entry, leaf, value)


def _neighbours(root: etree._Element, roadm: RoadmDescription) -> None:
    protocols = root.find(tag("protocols"))
    if protocols is None:
        protocols = add(root, "protocols")
    service = protocols.find(tag("lldp", LLDP))
    if service is None:
        service = add_foreign(protocols, LLDP, "lldp")
    seen = add_foreign(service, LLDP, "nbr-list")
    for number, degree in enumerate(roadm.degrees, start=1):
        if degree.neighbour is None:
            continue
        entry = add_foreign(seen, LLDP, "if-name")
        for leaf, value in (
            ("ifName", f"ETH-DEG{number}"),
            ("remoteSysName", degree.neighbour[0]),
            ("remotePortIdSubType", "ifname"),
            ("remotePortId", f"ETH-DEG{degree.neighbour[1]}"),
        ):
            add_foreign(entry, LLDP, leaf, value)


def _hardware(part: etree._Element) -> None:
    for leaf, value in (("vendor", VENDOR), ("model", MODEL), ("serial-id", "0")):
        add(part, leaf, value)


def _one(root: etree._Element, name: str) -> etree._Element:
    found = root.find(tag(name))
    return add(root, name) if found is None else found
