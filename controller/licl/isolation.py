"""What a tenant may put into a virtual device: its own channels, in its own spectrum, in the dialect we can carry out.

A tenant owns media channels (mc), network media channels (nmc), optical channels (och) and roadm-connections, and
nothing else of the device. Checked at edit time, on the whole configuration that a commit would make, so that what
passes is exactly what `read_configuration` reads and the layer below can be asked for. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lxml import etree

from controller.domain.errors import InvalidRequest
from controller.domain.media import LAUNCH_POWER_MAX_DBM, LAUNCH_POWER_MIN_DBM
from controller.domain.spectrum import FrequencySlot
from controller.netconf.device import RpcError
from controller.openroadm.facts import DeviceFacts, LineFacts, PortRef
from controller.openroadm.namespaces import MC, NMC, OCH, ROOT, XPDR, device_root, number, tag, text

MEDIA_CHANNEL = "mediaChannelTrailTerminationPoint"
NETWORK_MEDIA_CHANNEL = "networkMediaChannelConnectionTerminationPoint"
OPTICAL_CHANNEL = "opticalChannel"
_GRANULES = re.compile(r"([0-9]{1,6}):([0-9]{1,6})")
TENANTS_OWN = frozenset({MEDIA_CHANNEL, NETWORK_MEDIA_CHANNEL, OPTICAL_CHANNEL})


class Isolation:
    """The rules of one virtual device; `bands` is all that is leased at its node."""

    def __init__(self, facts: DeviceFacts, bands: Iterable[FrequencySlot]) -> None:
        self._facts = facts
        self._bands = tuple(bands)
        self._degrees = {degree.connection_point: degree for degree in facts.degrees}
        self._add_drop = {port.connection_point: port.port for port in facts.add_drop_ports}
        self._lines = {line.network_port: line for line in facts.lines}

    def check(self, before: etree._Element, after: etree._Element) -> None:
        """Raise RpcError (access-denied, invalid-value, resource-denied, with error-path) at the first fault."""
        _check_foreign_parts(before, after)
        root = device_root(after)
        if root is None:
            return
        own = [entry for entry in root.findall(tag("interface")) if _kind(entry) in TENANTS_OWN]
        by_name = {text(entry, "name"): entry for entry in own}
        slots = {name: self._check_interface(name, entry) for name, entry in by_name.items()}
        self._check_overlaps(by_name, slots)
        for name, entry in by_name.items():
            if _kind(entry) == NETWORK_MEDIA_CHANNEL:
                self._check_supporting(name, entry, slots)
        self._check_connections(root, by_name, slots)

    def _check_interface(self, name: str, entry: etree._Element) -> FrequencySlot:
        kind = _kind(entry)
        if kind == MEDIA_CHANNEL:
            return self._check_media_channel(name, entry)
        if kind == NETWORK_MEDIA_CHANNEL:
            return self._check_network_media_channel(name, entry)
        return self._check_optical_channel(name, entry)

    def _check_media_channel(self, name: str, entry: etree._Element) -> FrequencySlot:
        port, _, _ = name.partition("-mc-")
        degree = self._degrees.get(port)
        if degree is None:
            raise _invalid(name, f"a media channel is called <degree port>-mc-<slot>, e.g. {self._example('mc')}")
        low_hz, high_hz = (_frequency_hz(entry, "mc-ttp", leaf, MC, name) for leaf in ("min-freq", "max-freq"))
        slot = _slot(name, low_hz, high_hz)
        _check_name(name, f"{port}-mc-{slot.openroadm_name}")
        self._check_port(name, entry, degree.line)
        if text(entry, "supporting-interface") != f"OMS-{port}":
            raise _invalid(name, f"supporting-interface must be OMS-{port}")
        if degree.leased_band is None or not degree.leased_band.contains(slot):
            raise _not_leased(name)
        return slot

    def _check_network_media_channel(self, name: str, entry: etree._Element) -> FrequencySlot:
        port, _, _ = name.partition("-nmc-")
        at = self._degrees[port].line if port in self._degrees else self._add_drop.get(port)
        if at is None:
            raise _invalid(name, f"a network media channel is called <port>-nmc-<slot>, e.g. {self._example('nmc')}")
        slot = self._named_slot(name, f"{port}-nmc-")
        self._check_port(name, entry, at)
        _check_center(name, _frequency_hz(entry, "nmc-ctp", "frequency", NMC, name), slot)
        width_hz = _frequency_hz(entry, "nmc-ctp", "width", NMC, name, scale=1e9)
        if not 0 < width_hz <= slot.width_hz:
            raise _invalid(name, f"width {width_hz / 1e9:g} GHz: use more than 0, at most {slot.width_hz / 1e9:g} GHz")
        return slot

    def _check_optical_channel(self, name: str, entry: etree._Element) -> FrequencySlot:
        port, _, _ = name.rpartition("-")
        line = self._lines.get(port)
        if line is None:
            raise _invalid(name, f"an optical channel is called <network port>-<slot>, e.g. {self._example('och')}")
        slot = self._named_slot(name, f"{port}-")
        self._check_port(name, entry, line.network)
        _check_center(name, _frequency_hz(entry, "och", "frequency", OCH, name), slot)
        self._check_mode(name, entry, line, slot)
        _check_launch_power(name, number(entry.find(tag("och", OCH)), "transmit-power", 0.0, OCH))
        return slot

    def _check_mode(self, name: str, entry: etree._Element, line: LineFacts, slot: FrequencySlot) -> None:
        mode_id = text(entry.find(tag("och", OCH)), "operational-mode", namespace=XPDR)
        mode = next((mode for mode in line.modes if mode.mode_id == mode_id), None)
        if mode is None:
            offered = ", ".join(sorted(mode.mode_id for mode in line.modes))
            raise _invalid(name, f"operational-mode {mode_id!r}: use one of {offered}")
        if slot.width_hz < mode.min_spacing_ghz * 1e9 - 1.0:
            raise _invalid(name, f"slot of {slot.width_hz / 1e9:g} GHz: {mode_id} needs {mode.min_spacing_ghz:g} GHz")

    def _check_overlaps(self, by_name: dict[str, etree._Element], slots: dict[str, FrequencySlot]) -> None:
        """No granule twice on a degree or an add/drop port, no second channel on a line side."""
        windows: dict[str, list[str]] = {}
        lit: dict[str, str] = {}
        for name, entry in by_name.items():
            if _kind(entry) == OPTICAL_CHANNEL:
                port = name.rpartition("-")[0]
                if port in lit:
                    raise _denied(name, f"{port} carries {lit[port]} already; remove it first")
                lit[port] = name
                continue
            port = name.partition("-mc-" if _kind(entry) == MEDIA_CHANNEL else "-nmc-")[0]
            if _kind(entry) == NETWORK_MEDIA_CHANNEL and port in self._degrees:
                # There it stands on a media channel, and those are compared.
                continue
            others = windows.setdefault(port, [])
            clash = next((other for other in others if slots[other].overlaps(slots[name])), None)
            if clash is not None:
                raise _denied(name, f"overlaps {clash}; choose free spectrum of the lease")
            others.append(name)

    def _check_supporting(self, name: str, entry: etree._Element, slots: dict[str, FrequencySlot]) -> None:
        """On a degree a network media channel stands on the media channel of its slot; on an add/drop port on none."""
        port = name.partition("-nmc-")[0]
        below = text(entry, "supporting-interface")
        wanted = f"{port}-mc-{slots[name].openroadm_name}" if port in self._degrees else ""
        if below != wanted or (wanted and wanted not in slots):
            raise _invalid(
                name, f"supporting-interface must be {wanted}" if wanted else "leave supporting-interface out"
            )

    def _check_connections(
        self, root: etree._Element, by_name: dict[str, etree._Element], slots: dict[str, FrequencySlot]
    ) -> None:
        used: dict[tuple[str, str], str] = {}
        for connection in root.findall(tag("roadm-connections")):
            name = text(connection, "connection-name")
            ends = (text(connection, "source/src-if"), text(connection, "destination/dst-if"))
            fault = self._connection_fault(name, ends, by_name, slots)
            path = _path("roadm-connections", "connection-name", name)
            if fault:
                raise RpcError("invalid-value", f"{name}: {fault}", path=path)
            for role, end in zip(("source", "destination"), ends, strict=True):
                if (role, end) in used:
                    raise RpcError(
                        "resource-denied", f"{name}: {end} is the {role} of {used[role, end]} already", path=path
                    )
                used[role, end] = name

    def _connection_fault(
        self,
        name: str,
        ends: tuple[str, str],
        by_name: dict[str, etree._Element],
        slots: dict[str, FrequencySlot],
    ) -> str:
        """What is wrong with a connection, and how to mend it; empty when nothing is."""
        for end in ends:
            if end not in by_name or _kind(by_name[end]) != NETWORK_MEDIA_CHANNEL:
                return f"{end!r} is no network media channel of yours"
        ports = [end.partition("-nmc-")[0] for end in ends]
        if slots[ends[0]] != slots[ends[1]]:
            joined = " and ".join(slots[end].openroadm_name for end in ends)
            return f"joins slots {joined}; a ROADM cannot shift frequency: use one slot"
        widths = [float(text(by_name[end].find(tag("nmc-ctp", NMC)), "width", namespace=NMC)) for end in ends]
        if widths[0] != widths[1]:
            return f"joins signals of {widths[0]:g} and {widths[1]:g} GHz; give both ends one width"
        if ports[0] == ports[1] or not any(port in self._degrees for port in ports):
            return "join a degree with another port"
        expected = f"{ports[0]}-{ports[1]}-{slots[ends[0]].openroadm_name}"
        return "" if name == expected else f"call this connection {expected}"

    def _named_slot(self, name: str, prefix: str) -> FrequencySlot:
        """The slot that a name ends in; it must lie in a band leased at this node."""
        written = name.removeprefix(prefix)
        try:
            slot = FrequencySlot.from_openroadm_name(written)
        except InvalidRequest as error:
            # A well-formed pair of granules beyond the C band is spectrum that is not leased, like any other.
            granules = _GRANULES.fullmatch(written)
            if granules and (int(granules[2]) - int(granules[1])) % 2 == 1:
                raise _not_leased(name) from error
            raise _invalid(name, "end the name in the slot as FIRST:LAST granule of 6.25 GHz, e.g. 713:720") from error
        _check_name(name, prefix + slot.openroadm_name)
        port = prefix.removesuffix("-nmc-")
        bands = (self._degrees[port].leased_band,) if port in self._degrees else self._bands
        if not any(band is not None and band.contains(slot) for band in bands):
            raise _not_leased(name)
        return slot

    def _check_port(self, name: str, entry: etree._Element, expected: PortRef) -> None:
        at = PortRef(text(entry, "supporting-circuit-pack-name"), text(entry, "supporting-port"))
        if at != expected:
            raise _invalid(
                name, f"it stands on {at.circuit_pack} {at.port}; by its name: {expected.circuit_pack} {expected.port}"
            )

    def _example(self, kind: str) -> str:
        slot = self._bands[0].openroadm_name if self._bands else "713:720"
        ports: Mapping[str, object] = self._lines if kind == "och" else self._degrees
        port = next(iter(ports), "(none on this device)")
        return f"{port}-{slot}" if kind == "och" else f"{port}-{kind}-{slot}"


def _check_foreign_parts(before: etree._Element, after: etree._Element) -> None:
    """All but the tenant's own interfaces and connections must stay as it is."""
    old, new = _parts(before), _parts(after)
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            what = "changed" if path in old and path in new else "taken away" if path in old else "added"
            raise RpcError(
                "access-denied",
                f"{path} was {what}: a tenant may edit only its own channels and roadm-connections",
                path=path,
            )


def _parts(data: etree._Element) -> dict[str, Any]:
    """Top parts of a configuration that are not the tenant's, by path, in a form that can be compared."""
    parts: dict[str, Any] = {}
    for top in data:
        if top.tag != ROOT:
            parts[f"/{etree.QName(top).localname}"] = _canonical(top)
            continue
        parts[f"/{etree.QName(top).localname}"] = True
        for child in top:
            if not isinstance(child.tag, str) or child.tag == tag("roadm-connections"):
                continue
            if child.tag == tag("interface") and _kind(child) in TENANTS_OWN:
                continue
            local = etree.QName(child).localname
            key = next((entry for entry in child if isinstance(entry.tag, str) and _is_key(local, entry)), None)
            path = f"/org-openroadm-device/{local}"
            if key is not None:
                path = _path(local, etree.QName(key).localname, (key.text or "").strip())
            parts[path] = _canonical(child)
    return parts


_KEYS = {
    "shelves": "shelf-name",
    "circuit-packs": "circuit-pack-name",
    "interface": "name",
    "external-link": "external-link-name",
    "physical-link": "physical-link-name",
    "degree": "degree-number",
    "shared-risk-group": "srg-number",
    "xponder": "xpdr-number",
}


def _is_key(local: str, entry: etree._Element) -> bool:
    return etree.QName(entry).localname == _KEYS.get(local)


def _canonical(element: etree._Element) -> tuple[str, str, tuple[Any, ...]]:
    """Name, value with its prefix resolved, and children in no order: equal when the meaning is equal."""
    value = (element.text or "").strip()
    prefix, colon, local = value.partition(":")
    if colon and prefix in element.nsmap:
        value = f"{{{element.nsmap[prefix]}}}{local}"
    children = sorted(_canonical(child) for child in element if isinstance(child.tag, str))
    return (str(element.tag), value, tuple(children))


def _kind(entry: etree._Element) -> str:
    return text(entry, "type").rpartition(":")[2]


def _slot(name: str, low_hz: float, high_hz: float) -> FrequencySlot:
    try:
        return FrequencySlot.from_edges_hz(low_hz, high_hz)
    except InvalidRequest as error:
        if error.fields.get("field") == "n":
            # On the grid and beyond the C band.
            raise _not_leased(name) from error
        raise _invalid(
            name,
            f"min-freq {low_hz / 1e12:.6f} and max-freq {high_hz / 1e12:.6f} THz: use edges on the 6.25 GHz grid "
            "anchored at 193.1 THz, a multiple of 12.5 GHz apart",
        ) from error


def _check_name(name: str, expected: str) -> None:
    if name != expected:
        raise _invalid(name, f"call it {expected}, after its port and slot")


def _check_center(name: str, frequency_hz: float, slot: FrequencySlot) -> None:
    if abs(frequency_hz - slot.center_hz) > 1e6:
        raise _invalid(
            name,
            f"frequency {frequency_hz / 1e12:.6f} THz: the centre of slot {slot.openroadm_name} is "
            f"{slot.center_hz / 1e12:.6f} THz",
        )


def _check_launch_power(name: str, power_dbm: float) -> None:
    # The lease is of spectrum; in the fibre and its amplifiers a tenant's light meets that of all others.
    if not LAUNCH_POWER_MIN_DBM <= power_dbm <= LAUNCH_POWER_MAX_DBM:
        raise _invalid(
            name,
            f"transmit-power {power_dbm:.10g} dBm: use {LAUNCH_POWER_MIN_DBM:g} to {LAUNCH_POWER_MAX_DBM:g} dBm",
        )


def _frequency_hz(
    entry: etree._Element, holder: str, leaf: str, namespace: str, name: str, *, scale: float = 1e12
) -> float:
    value = text(entry.find(tag(holder, namespace)), leaf, namespace=namespace)
    if not value:
        raise _invalid(name, f"{holder}/{leaf} is missing: give it")
    return float(value) * scale


def _path(local: str, key: str, value: str) -> str:
    quote = '"' if "'" in value else "'"
    return f"/org-openroadm-device/{local}[{key}={quote}{value}{quote}]"


def _invalid(name: str, why: str) -> RpcError:
    return RpcError("invalid-value", f"{name}: {why}", path=_path("interface", "name", name))


def _denied(name: str, why: str) -> RpcError:
    return RpcError("resource-denied", f"{name}: {why}", path=_path("interface", "name", name))


def _not_leased(name: str) -> RpcError:
    # One wording, whether another tenant has that spectrum or nobody ever will.
    return _denied(name, "this spectrum is not leased to you; use degree/leased-spectrum")
