"""An OpenROADM device behind a NETCONF endpoint: what it refuses, what it does, and what it reports."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from lxml import etree

from controller.netconf.device import RpcError, SessionInfo
from controller.netconf.yang_engine import YangEngine
from emulator.physics import CrossConnect, TxChannel
from emulator.plant import Mode
from emulator.roadm.light_field import LightField
from emulator.roadm.state import add_state

DEVICE = "http://org/openroadm/device"
MC = "http://org/openroadm/media-channel-interfaces"
NMC = "http://org/openroadm/network-media-channel-interfaces"
OCH = "http://org/openroadm/optical-channel-interfaces"
XPDR = "urn:geysers:yang:openroadm-xpdr"
GRANULE_THZ = 0.00625
ANCHOR_THZ = 193.1
LAUNCH_POWER_DBM = (-30.0, 10.0)
"""What the lasers of a shelf can be set to, from shuttered to amplified; a coherent pluggable alone does -10 to +1."""


class OpenRoadmDevice:
    """One ROADM or transponder shelf."""

    def __init__(
        self,
        name: str,
        engine: YangEngine,
        light: LightField,
        modes: Sequence[Mode],
        lldp: Mapping[str, tuple[str, str]],
    ) -> None:
        self.name = name
        self.engine = engine
        self._light = light
        self._modes = {mode.mode_id: mode for mode in modes}
        self._lldp = lldp

    async def operational(self, running: etree._Element) -> etree._Element:
        data = etree.fromstring(etree.tostring(running))
        add_state(data, self.name, self._light, self._modes, self._lldp)
        return data

    async def check(self, before: etree._Element, after: etree._Element, session: SessionInfo) -> None:
        device = Interfaces(after)
        device.check_media_channels()
        device.check_connections()
        device.check_optical_channels(self._modes)

    async def apply(self, before: etree._Element, after: etree._Element) -> None:
        device = Interfaces(after)
        self._light.put_device(self.name, device.lasers(self.name, self._modes), device.cross_connects(self.name))

    async def rpc(self, operation: etree._Element, session: SessionInfo) -> Sequence[etree._Element] | None:
        # get-connection-port-trail needs the running configuration, which an RPC is not given.
        return None


class Interfaces:
    """The interfaces and cross-connects of a configuration, by name."""

    def __init__(self, data: etree._Element) -> None:
        root = data.find(_q("org-openroadm-device"))
        self._root = etree.Element(_q("org-openroadm-device")) if root is None else root
        self._by_name = {entry.findtext(_q("name"), ""): entry for entry in self._root.findall(_q("interface"))}
        self._points: dict[tuple[str, str], str] = {}
        for pack in self._root.findall(_q("circuit-packs")):
            for port in pack.findall(_q("ports")):
                key = (pack.findtext(_q("circuit-pack-name"), ""), port.findtext(_q("port-name"), ""))
                self._points[key] = port.findtext(_q("logical-connection-point"), "")

    def point_of(self, entry: etree._Element) -> str:
        """Logical connection point of the port that an interface stands on."""
        key = (entry.findtext(_q("supporting-circuit-pack-name"), ""), entry.findtext(_q("supporting-port"), ""))
        return self._points.get(key, "")

    def check_media_channels(self) -> None:
        """Media channels lie on the grid, within the band, and do not overlap on their degree."""
        windows: dict[str, list[tuple[float, float, str]]] = {}
        for name, entry in self._by_name.items():
            window = entry.find(f"{{{MC}}}mc-ttp")
            if window is None:
                continue
            low, high = (_number(window, leaf, MC, name) for leaf in ("min-freq", "max-freq"))
            for leaf, edge in (("min-freq", low), ("max-freq", high)):
                steps = (edge - ANCHOR_THZ) / GRANULE_THZ
                if abs(steps - round(steps)) > 1e-3 or not 191.325 - 1e-6 <= edge <= 196.125 + 1e-6:
                    raise _refuse(name, f"{leaf} {edge} THz: use a 6.25 GHz step within 191.325-196.125 THz")
            if high <= low:
                raise _refuse(name, f"max-freq {high} THz must lie above min-freq {low} THz")
            windows.setdefault(self.point_of(entry), []).append((low, high, name))
        for port, taken in windows.items():
            taken.sort()
            for (_, high, first), (low, _, second) in itertools.pairwise(taken):
                if low < high - 1e-9:
                    raise _refuse(second, f"overlaps {first} on {port}: choose free spectrum", "resource-denied")

    def check_connections(self) -> None:
        """A cross-connect joins two network media channels of one frequency, at two ports."""
        used: dict[str, str] = {}
        for connection in self._root.findall(_q("roadm-connections")):
            name = connection.findtext(_q("connection-name"), "")
            ends = [self._end(connection, side, name) for side in (("source", "src-if"), ("destination", "dst-if"))]
            centers = [_number(end, "frequency", NMC, name) for end in ends]
            if abs(centers[0] - centers[1]) > 1e-6:
                raise _refuse(name, f"joins {centers[0]} THz to {centers[1]} THz: a ROADM cannot shift frequency")
            target = connection.findtext(f"{_q('destination')}/{_q('dst-if')}", "")
            if target in used:
                raise _refuse(name, f"{target} is fed by {used[target]} already", "resource-denied")
            used[target] = name

    def check_optical_channels(self, modes: Mapping[str, Mode]) -> None:
        """An optical channel has a mode and a launch power of its line side, and each line side carries one channel."""
        lit: dict[str, str] = {}
        for name, entry in self._by_name.items():
            och = entry.find(f"{{{OCH}}}och")
            if och is None:
                continue
            mode_id = och.findtext(f"{{{XPDR}}}operational-mode", "")
            if mode_id not in modes:
                raise _refuse(name, f"operational-mode {mode_id!r}: use one of {', '.join(sorted(modes))}")
            _number(och, "frequency", OCH, name)
            power_dbm, (least_dbm, most_dbm) = _launch_power_dbm(och), LAUNCH_POWER_DBM
            if not least_dbm <= power_dbm <= most_dbm:
                raise _refuse(name, f"transmit-power {power_dbm:.10g} dBm: use {least_dbm:g} to {most_dbm:g} dBm")
            port = self.point_of(entry)
            if port in lit:
                raise _refuse(name, f"{port} carries {lit[port]} already: remove it first", "resource-denied")
            lit[port] = name

    def lasers(self, device: str, modes: Mapping[str, Mode]) -> list[TxChannel]:
        """Lasers that this configuration lights."""
        channels = []
        for name, entry in self._by_name.items():
            och = entry.find(f"{{{OCH}}}och")
            if och is None or entry.findtext(_q("administrative-state"), "") != "inService":
                continue
            mode = modes[och.findtext(f"{{{XPDR}}}operational-mode", "")]
            channels.append(
                TxChannel(
                    transmitter=f"{device}/{self.point_of(entry)}",
                    center_hz=_number(och, "frequency", OCH, name) * 1e12,
                    baud_rate_hz=mode.baud_rate_gbd * 1e9,
                    slot_width_hz=mode.min_spacing_ghz * 1e9,
                    tx_power_dbm=_launch_power_dbm(och),
                    tx_osnr_0p1nm_db=mode.tx_osnr_0p1nm_db,
                )
            )
        return channels

    def cross_connects(self, device: str) -> list[CrossConnect]:
        """Windows that this configuration opens."""
        crosses = []
        for connection in self._root.findall(_q("roadm-connections")):
            name = connection.findtext(_q("connection-name"), "")
            source, target = (
                self._by_name[connection.findtext(path, "")]
                for path in (f"{_q('source')}/{_q('src-if')}", f"{_q('destination')}/{_q('dst-if')}")
            )
            signal = self._end(connection, ("source", "src-if"), name)
            crosses.append(
                CrossConnect(
                    roadm=device,
                    source=self.point_of(source),
                    destination=self.point_of(target),
                    center_hz=_number(signal, "frequency", NMC, name) * 1e12,
                    width_hz=self._width_ghz(source, target, signal, name) * 1e9,
                )
            )
        return crosses

    def _width_ghz(self, source: etree._Element, target: etree._Element, signal: etree._Element, name: str) -> float:
        """Width of the narrowest media channel below, or of the signal where there is none."""
        width_ghz = math.inf
        for entry in (source, target):
            below = self._by_name.get(entry.findtext(_q("supporting-interface"), ""))
            window = None if below is None else below.find(f"{{{MC}}}mc-ttp")
            if window is not None:
                low, high = (_number(window, leaf, MC, name) for leaf in ("min-freq", "max-freq"))
                width_ghz = min(width_ghz, (high - low) * 1e3)
        return width_ghz if math.isfinite(width_ghz) else _number(signal, "width", NMC, name)

    def _end(self, connection: etree._Element, side: tuple[str, str], name: str) -> etree._Element:
        reference = connection.findtext(f"{_q(side[0])}/{_q(side[1])}", "")
        signal = self._by_name[reference].find(f"{{{NMC}}}nmc-ctp") if reference in self._by_name else None
        if signal is None:
            raise _refuse(name, f"{side[1]} {reference!r} is no network media channel of this device")
        return signal


def _q(name: str) -> str:
    return f"{{{DEVICE}}}{name}"


def _launch_power_dbm(och: etree._Element) -> float:
    return float(och.findtext(f"{{{OCH}}}transmit-power", "0"))


def _number(element: etree._Element, leaf: str, namespace: str, name: str) -> float:
    text = element.findtext(f"{{{namespace}}}{leaf}")
    if text is None:
        raise _refuse(name, f"{leaf} is missing", "missing-element")
    return float(text)


def _refuse(name: str, why: str, tag: str = "invalid-value") -> RpcError:
    return RpcError(tag, f"{name}: {why}", path=f"/org-openroadm-device/*[name='{name}']")
