"""Cross-connects and line settings as OpenROADM configuration, in both directions.

A cross-connect is, on a degree, a media channel (mc-ttp) carrying a network media channel (nmc-ctp); on an add/drop
port a network media channel alone; and a roadm-connection between the two. The identifier of a cross-connect rides in
the `circuit-id` of its roadm-connection's source interface: that is the mark by which we know what is ours. A name only
identifies: where light goes is read from frequencies, and what its name does not tell the truth about is not believed.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from lxml import etree

from controller.domain.errors import InvalidRequest, NotFound
from controller.domain.media import CrossConnect, LineSetting, Reception, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.openroadm.facts import DeviceFacts, PortRef
from controller.openroadm.namespaces import (
    COMMON_TYPES,
    DEVICE,
    INTERFACES,
    MC,
    NETCONF,
    NMC,
    OCH,
    ROOT,
    XPDR,
    device_root,
    number,
    tag,
    text,
)

_RATES = ((100, "R100G", COMMON_TYPES), (200, "R200G", COMMON_TYPES), (300, "R300G", XPDR), (400, "R400G", XPDR))

_STARTUP_KINDS = frozenset({"ethernetCsmacd", "opticalTransport", "openROADMOpticalMultiplex"})
_TOLERANCE_HZ = 1e6  # frequency-THz of org-openroadm-common-types has fraction-digits 6, thus steps of 1 MHz


@dataclass(frozen=True, slots=True)
class _Nmc:
    port: str
    slot: FrequencySlot
    signal_width_ghz: float
    marks: str

    @property
    def name(self) -> str:
        return f"{self.port}-nmc-{self.slot.openroadm_name}"


def read_configuration(data: etree._Element, facts: DeviceFacts) -> SliceConfiguration:
    """Cross-connects and line settings in a configuration; `data` is the <data> of a <get-config> or <get>.

    What does not bear names as we give them (a person's own interfaces) is left out, and so is what bears such a name
    and has another frequency, window or port than it says: it carries no light where the name promises it. An
    administrative state is not judged, since a tenant may take its own channel out of service.
    """
    return _read(data, facts, _misnamed(data, facts))


def sound_configuration(data: etree._Element, facts: DeviceFacts) -> SliceConfiguration:
    """The same, of what is in service from end to end: what carries light, or would if there were any."""
    return _read(data, facts, unsound_interfaces(data, facts))


def named_configuration(data: etree._Element, facts: DeviceFacts) -> SliceConfiguration:
    """The same, as the names say: what has to go before names can be used anew. Proves nothing about the light."""
    return _read(data, facts, None)


def unsound_interfaces(data: etree._Element, facts: DeviceFacts) -> dict[str, str]:
    """Interfaces that bear names as we give them and are not what these say, or not in service; with what is wrong.

    A network media channel is what its media channel is: it is unsound where that one is.
    """
    interfaces = _interfaces(data)
    dark = {name for name, entry in interfaces.items() if text(entry, "administrative-state") != "inService"}
    unsound = _misnamed(data, facts)
    for name, entry in interfaces.items():
        if name in unsound or _named(name) is None:
            continue
        for part in (name, text(entry, "supporting-interface")):
            if part in dark:
                unsound[name] = f"{part} is {text(interfaces[part], 'administrative-state') or 'in no state'}"
    return unsound


def stray_parts(data: etree._Element, facts: DeviceFacts) -> dict[str, str]:
    """Interfaces and connections that no sound cross-connect or line setting explains; with what each is.

    Interfaces that a device starts with (Ethernet, transport and multiplex sections) are its own.
    """
    root = device_root(data)
    sound, unsound = sound_configuration(data, facts), unsound_interfaces(data, facts)
    explained = {f"{line.network_port}-{line.slot.openroadm_name}" for line in sound.line_settings}
    for cross in sound.cross_connects:
        for port in (cross.source_port, cross.destination_port):
            explained |= {f"{port}-{kind}-{cross.slot.openroadm_name}" for kind in ("nmc", "mc")}
    strays = {
        name: unsound.get(name, f"an interface of type {text(entry, 'type')}")
        for name, entry in _interfaces(data).items()
        if name not in explained and text(entry, "type").rpartition(":")[2] not in _STARTUP_KINDS
    }
    connections = {cross.connection_name for cross in sound.cross_connects}
    for entry in () if root is None else root.findall(tag("roadm-connections")):
        name = text(entry, "connection-name")
        if name not in connections:
            ends = text(entry, "source/src-if"), text(entry, "destination/dst-if")
            strays[name] = f"a connection from {ends[0]} to {ends[1]}"
    return strays


def _read(data: etree._Element, facts: DeviceFacts, unsound: Container[str] | None) -> SliceConfiguration:
    """What is written, without what stands on `unsound` interfaces; None takes every name at its word."""
    root = device_root(data)
    if root is None:
        return SliceConfiguration()
    interfaces = _interfaces(data)
    crosses = set()
    for connection in root.findall(tag("roadm-connections")):
        ends = text(connection, "source/src-if"), text(connection, "destination/dst-if")
        if not all(end in interfaces for end in ends):
            continue
        slot, name = _slot_of(ends[0]), text(connection, "connection-name")
        if slot is None:
            continue
        source, destination = (interfaces[end].find(tag("nmc-ctp", NMC)) for end in ends)
        cross = CrossConnect(
            cross_connect_id=_mark_of(interfaces[ends[0]], name),
            source_port=_point_of(ends[0]),
            destination_port=_point_of(ends[1]),
            slot=slot,
            signal_width_ghz=number(source, "width", 0.0, NMC),
        )
        if unsound is not None:
            one_signal = _slot_of(ends[1]) == slot and number(destination, "width", 0.0, NMC) == cross.signal_width_ghz
            if not one_signal or name != cross.connection_name or any(end in unsound for end in ends):
                continue
        crosses.add(cross)
    points = {line.network_port for line in facts.lines}
    lines = set()
    for name, entry in interfaces.items():
        och = entry.find(tag("och", OCH))
        point, slot = name.rpartition("-")[0], _slot_of(name)
        if och is None or point not in points or slot is None or (unsound is not None and name in unsound):
            continue
        mode_id = text(och, "operational-mode", namespace=XPDR)
        lines.add(LineSetting(point, slot, mode_id, number(och, "transmit-power", 0.0, OCH)))
    return SliceConfiguration(frozenset(crosses), frozenset(lines))


def _interfaces(data: etree._Element) -> dict[str, etree._Element]:
    root = device_root(data)
    return {} if root is None else {text(entry, "name"): entry for entry in root.findall(tag("interface"))}


def _misnamed(data: etree._Element, facts: DeviceFacts) -> dict[str, str]:
    """Interfaces whose content is not what their name says, by name; what stands on one is none either."""
    interfaces = _interfaces(data)
    wrong: dict[str, str] = {}
    for name, entry in sorted(interfaces.items(), key=lambda item: "-nmc-" in item[0]):
        named = _named(name)
        if named is None:
            continue
        point, kind, slot = named
        fault = _content_fault(entry, kind, slot) or _port_fault(entry, point, facts)
        below = f"{point}-mc-{slot.openroadm_name}" if kind == "nmc" and facts.is_degree(point) else ""
        if not fault and below:
            if text(entry, "supporting-interface") != below or below not in interfaces:
                fault = f"it does not stand on {below}"
            else:
                fault = wrong.get(below, "")
        if fault:
            wrong[name] = fault
    return wrong


def _named(name: str) -> tuple[str, str, FrequencySlot] | None:
    """Port, kind (mc, nmc, och) and slot that a name says; None for a name that somebody else gave."""
    slot = _slot_of(name)
    if slot is None:
        return None
    for kind in ("nmc", "mc"):
        point, found, _ = name.rpartition(f"-{kind}-")
        if found:
            return point, kind, slot
    return name.rpartition("-")[0], "och", slot


def _content_fault(entry: etree._Element, kind: str, slot: FrequencySlot) -> str:
    container, namespace = {"mc": ("mc-ttp", MC), "nmc": ("nmc-ctp", NMC), "och": ("och", OCH)}[kind]
    content = entry.find(tag(container, namespace))
    if content is None:
        return f"it has no {container}"
    expected_hz = (
        {"min-freq": slot.lower_hz, "max-freq": slot.upper_hz} if kind == "mc" else {"frequency": slot.center_hz}
    )
    for leaf, hz in expected_hz.items():
        if abs(number(content, leaf, 0.0, namespace) * 1e12 - hz) > _TOLERANCE_HZ:
            written = text(content, leaf, "absent", namespace)
            return f"{leaf} is {written}, and by its name {_thz(hz)} THz"
    return ""


def _port_fault(entry: etree._Element, point: str, facts: DeviceFacts) -> str:
    at = PortRef(text(entry, "supporting-circuit-pack-name"), text(entry, "supporting-port"))
    try:
        expected = facts.port(point)
    except NotFound as error:
        return error.message
    return "" if at == expected else f"it stands on {at.circuit_pack} {at.port}, not on {point}"


def read_receptions(data: etree._Element, facts: DeviceFacts) -> tuple[Reception, ...]:
    """Readings of all receivers, from the <data> of a <get> on a transponder device."""
    root = device_root(data)
    points = {line.network_port for line in facts.lines}
    receptions = []
    for entry in () if root is None else root.findall(tag("interface")):
        receiver = entry.find(f"{tag('och', OCH)}/{tag('receiver', XPDR)}")
        point = text(entry, "name").rpartition("-")[0]
        if receiver is None or point not in points:
            continue
        gsnr = text(receiver, "gsnr-0p1nm-db", namespace=XPDR)
        receptions.append(
            Reception(
                network_port=point,
                input_power_dbm=number(receiver, "input-power-dbm", -99.0, XPDR),
                gsnr_0p1nm_db=float(gsnr) if gsnr else None,
                signal_state=text(receiver, "signal-state", "no-signal", namespace=XPDR),
            )
        )
    return tuple(receptions)


def edit_elements(facts: DeviceFacts, current: SliceConfiguration, desired: SliceConfiguration) -> list[etree._Element]:
    """Edits for <edit-config> that turn `current` into `desired`, deletions before creations.

    One <org-openroadm-device>, or nothing when the two are equal: what goes, connections first and media channels
    last; then what comes, the other way round. Raises NotFound for a port that the device does not have.
    """
    removed = sorted(current.cross_connects - desired.cross_connects, key=lambda cross: cross.connection_name)
    added = sorted(desired.cross_connects - current.cross_connects, key=lambda cross: cross.connection_name)
    namespaces: Any = {None: DEVICE, "nc": NETCONF, "oi": INTERFACES, "ct": COMMON_TYPES, "gxp": XPDR}
    root = etree.Element(ROOT, nsmap=namespaces)
    for cross in removed:
        _delete(root, "roadm-connections", "connection-name", cross.connection_name)
    kept = _terminations(facts, desired.cross_connects)
    for name in sorted(_terminations(facts, current.cross_connects).keys() - kept.keys(), key=_nmc_first):
        _delete(root, "interface", "name", name)
    for line in sorted(current.line_settings - desired.line_settings, key=lambda line: line.network_port):
        _delete(root, "interface", "name", f"{line.network_port}-{line.slot.openroadm_name}")
    present = _terminations(facts, current.cross_connects)
    marks = {f"{cross.source_port}-nmc-{cross.slot.openroadm_name}": cross.cross_connect_id for cross in added}
    for name in sorted(kept.keys() - present.keys(), key=_nmc_first, reverse=True):
        root.append(kept[name])
    for name, mark in marks.items():
        if name in present:
            entry = _list_entry(root, "interface", "name", name)
            etree.SubElement(entry, tag("circuit-id")).text = mark
    for cross in added:
        root.append(_connection(cross, facts))
    for line in sorted(desired.line_settings - current.line_settings, key=lambda line: line.network_port):
        root.append(_optical_channel(line, facts))
    return [root] if len(root) else []


def _default(namespace: str) -> Any:
    # lxml takes None for the default namespace; its published types do not say so.
    return {None: namespace}


def _nmc_first(name: str) -> tuple[int, str]:
    return (0 if "-nmc-" in name else 1, name)


def _terminations(facts: DeviceFacts, crosses: frozenset[CrossConnect]) -> dict[str, etree._Element]:
    """Interfaces that the cross-connects stand on, by name."""
    marks = {(cross.source_port, cross.slot): cross.cross_connect_id for cross in crosses}
    wanted: dict[str, etree._Element] = {}
    for cross in sorted(crosses, key=lambda cross: cross.connection_name):
        for port in (cross.source_port, cross.destination_port):
            end = _Nmc(port, cross.slot, cross.signal_width_ghz, marks.get((port, cross.slot), cross.cross_connect_id))
            supporting = None
            if facts.is_degree(port):
                supporting = f"{port}-mc-{cross.slot.openroadm_name}"
                wanted[supporting] = _media_channel(supporting, end, facts)
            wanted[end.name] = _network_media_channel(end, supporting, facts)
    return wanted


def _interface(name: str, kind: str, port: str, facts: DeviceFacts, mark: str = "") -> etree._Element:
    namespaces: Any = {None: DEVICE, "oi": INTERFACES, "ct": COMMON_TYPES, "gxp": XPDR}
    entry = etree.Element(tag("interface"), nsmap=namespaces)
    ref = facts.port(port)
    etree.SubElement(entry, tag("name")).text = name
    etree.SubElement(entry, tag("type")).text = f"oi:{kind}"
    etree.SubElement(entry, tag("administrative-state")).text = "inService"
    if mark:
        etree.SubElement(entry, tag("circuit-id")).text = mark
    etree.SubElement(entry, tag("supporting-circuit-pack-name")).text = ref.circuit_pack
    etree.SubElement(entry, tag("supporting-port")).text = ref.port
    return entry


def _media_channel(name: str, end: _Nmc, facts: DeviceFacts) -> etree._Element:
    entry = _interface(name, "mediaChannelTrailTerminationPoint", end.port, facts)
    etree.SubElement(entry, tag("supporting-interface")).text = f"OMS-{end.port}"
    window = etree.SubElement(entry, tag("mc-ttp", MC), nsmap=_default(MC))
    etree.SubElement(window, tag("min-freq", MC)).text = _thz(end.slot.lower_hz)
    etree.SubElement(window, tag("max-freq", MC)).text = _thz(end.slot.upper_hz)
    return entry


def _network_media_channel(end: _Nmc, supporting: str | None, facts: DeviceFacts) -> etree._Element:
    entry = _interface(end.name, "networkMediaChannelConnectionTerminationPoint", end.port, facts, end.marks)
    if supporting is not None:
        etree.SubElement(entry, tag("supporting-interface")).text = supporting
    signal = etree.SubElement(entry, tag("nmc-ctp", NMC), nsmap=_default(NMC))
    etree.SubElement(signal, tag("frequency", NMC)).text = _thz(end.slot.center_hz)
    etree.SubElement(signal, tag("width", NMC)).text = f"{end.signal_width_ghz:g}"
    return entry


def _connection(cross: CrossConnect, facts: DeviceFacts) -> etree._Element:
    entry = etree.Element(tag("roadm-connections"), nsmap=_default(DEVICE))
    etree.SubElement(entry, tag("connection-name")).text = cross.connection_name
    # Our ROADMs equalise every egress to a constant power spectral density; towards a degree the WSS controls power.
    mode = "power" if facts.is_degree(cross.destination_port) else "off"
    etree.SubElement(entry, tag("opticalControlMode")).text = mode
    source = etree.SubElement(entry, tag("source"))
    etree.SubElement(source, tag("src-if")).text = f"{cross.source_port}-nmc-{cross.slot.openroadm_name}"
    destination = etree.SubElement(entry, tag("destination"))
    etree.SubElement(destination, tag("dst-if")).text = f"{cross.destination_port}-nmc-{cross.slot.openroadm_name}"
    return entry


def _optical_channel(line: LineSetting, facts: DeviceFacts) -> etree._Element:
    name = f"{line.network_port}-{line.slot.openroadm_name}"
    entry = _interface(name, "opticalChannel", line.network_port, facts)
    och = etree.SubElement(entry, tag("och", OCH), nsmap=_default(OCH))
    rate, namespace = _rate_of(line, facts)
    prefix = "ct" if namespace == COMMON_TYPES else "gxp"
    etree.SubElement(och, tag("rate", OCH)).text = f"{prefix}:{rate}"
    etree.SubElement(och, tag("frequency", OCH)).text = _thz(line.slot.center_hz)
    etree.SubElement(och, tag("transmit-power", OCH)).text = f"{line.transmit_power_dbm:.2f}"
    etree.SubElement(och, tag("operational-mode", XPDR), nsmap={"gxp": XPDR}).text = line.mode_id
    return entry


def _rate_of(line: LineSetting, facts: DeviceFacts) -> tuple[str, str]:
    modes = next((entry.modes for entry in facts.lines if entry.network_port == line.network_port), ())
    bit_rate_gbps = next((mode.bit_rate_gbps for mode in modes if mode.mode_id == line.mode_id), 100.0)
    for limit_gbps, name, namespace in _RATES:
        if bit_rate_gbps <= limit_gbps:
            return name, namespace
    return _RATES[-1][1], _RATES[-1][2]


def _list_entry(root: etree._Element, name: str, key: str, value: str) -> etree._Element:
    entry = etree.SubElement(root, tag(name))
    etree.SubElement(entry, tag(key)).text = value
    return entry


def _delete(root: etree._Element, name: str, key: str, value: str) -> None:
    entry = _list_entry(root, name, key, value)
    entry.set(f"{{{NETCONF}}}operation", "remove")


def _mark_of(interface: etree._Element, default: str) -> str:
    return text(interface, "circuit-id") or default


def _slot_of(interface_name: str) -> FrequencySlot | None:
    """Slot that our interface names end in; None for a name that somebody else gave."""
    try:
        return FrequencySlot.from_openroadm_name(interface_name.rpartition("-")[2])
    except InvalidRequest:
        return None


def _point_of(interface_name: str) -> str:
    return interface_name.partition("-nmc-")[0]


def _thz(frequency_hz: float) -> str:
    whole, fraction = f"{frequency_hz / 1e12:.6f}".split(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"
