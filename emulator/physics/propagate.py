"""The whole plant lit: each channel is followed through cross-connects and lines to a receiver, or to where it ends.

A ROADM holds every channel that leaves it at its target power spectral density; what arrives with less passes as it is.
Add and drop blocks and the transmitter bring noise of their own, which counts at the receiver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emulator.physics.line import Light, through_line
from emulator.plant import Plant, RoadmSite

REFERENCE_BANDWIDTH_HZ = 12.5e9  # 0.1 nm at 1550 nm
SLOT_TOLERANCE_HZ = 1e6


@dataclass(frozen=True, slots=True)
class TxChannel:
    """A laser that is on; `transmitter` is 'DEVICE/PORT'."""

    transmitter: str
    center_hz: float
    baud_rate_hz: float
    slot_width_hz: float
    tx_power_dbm: float
    tx_osnr_0p1nm_db: float


@dataclass(frozen=True, slots=True)
class CrossConnect:
    """A window of frequencies that a ROADM passes from one connection point to another."""

    roadm: str
    source: str
    destination: str
    center_hz: float
    width_hz: float


@dataclass(frozen=True, slots=True)
class Reception:
    """What arrives at a receiver, 'DEVICE/PORT'."""

    receiver: str
    transmitter: str
    center_hz: float
    baud_rate_hz: float
    input_power_dbm: float
    osnr_0p1nm_db: float
    gsnr_0p1nm_db: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class LightState:
    """The light after it settled. Degree powers are totals, by 'ROADM/DEGn', absent when dark."""

    receptions: Mapping[str, tuple[Reception, ...]]
    degree_output_dbm: Mapping[str, float]
    degree_input_dbm: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Route:
    """Where one channel goes: the lines it takes, and the receiver at the end, if it gets there."""

    channel: TxChannel
    roadms: tuple[str, ...]
    receiver: str | None

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        return tuple(zip(self.roadms, self.roadms[1:], strict=False))


class LightPlant:
    """The plant with its patch cords; `patches` joins 'XPDR/PORT' and 'ROADM/PORT', both ways round."""

    def __init__(self, plant: Plant, patches: Mapping[str, str]) -> None:
        self._plant = plant
        self._patches = {**patches, **{there: here for here, there in patches.items()}}

    def settle(self, channels: Sequence[TxChannel], cross_connects: Sequence[CrossConnect]) -> LightState:
        """Light for these lasers and cross-connects."""
        switches: dict[tuple[str, str], list[CrossConnect]] = {}
        for cross in cross_connects:
            switches.setdefault((cross.roadm, cross.source), []).append(cross)
        routes = [self._follow(channel, switches) for channel in channels]
        arriving = self._propagate(routes)
        receptions: dict[str, list[Reception]] = {}
        for number, route in enumerate(routes):
            if route.receiver is not None:
                reception = self._receive(route, arriving.get((number, len(route.lines))))
                receptions.setdefault(route.receiver, []).append(reception)
        outputs, inputs = self._degree_powers(routes, arriving)
        return LightState({key: tuple(value) for key, value in receptions.items()}, outputs, inputs)

    def _follow(self, channel: TxChannel, switches: Mapping[tuple[str, str], Sequence[CrossConnect]]) -> _Route:
        where = self._patches.get(channel.transmitter)
        roadms: list[str] = []
        seen: set[tuple[str, str]] = set()
        while where is not None:
            roadm, _, port = where.partition("/")
            if (roadm, port) in seen:
                # Light that runs in a circle never reaches a receiver.
                return _Route(channel, tuple(roadms), None)
            seen.add((roadm, port))
            roadms.append(roadm)
            cross = next((cross for cross in switches.get((roadm, port), ()) if _passes(cross, channel)), None)
            if cross is None:
                break
            if not cross.destination.startswith("DEG"):
                return _Route(channel, tuple(roadms), self._patches.get(f"{roadm}/{cross.destination}"))
            site = self._plant.roadms[roadm]
            neighbour = site.degrees[degree_number(cross.destination) - 1]
            where = f"{neighbour}/DEG{self._plant.roadms[neighbour].degree_to(roadm)}-TTP-TXRX"
        return _Route(channel, tuple(roadms), None)

    def _propagate(self, routes: Sequence[_Route]) -> dict[tuple[int, int], Light]:
        """Light of channel i at the end of its k-th line (k = 0: at the add port), as one-channel Light.

        A ROADM sets the power of what leaves it, so lines depend on one another only through noise: sweeping once per
        hop settles every line exactly.
        """
        arriving: dict[tuple[int, int], Light] = {
            (number, 0): _launch(route.channel) for number, route in enumerate(routes)
        }
        users: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for number, route in enumerate(routes):
            for hop, line in enumerate(route.lines):
                users.setdefault(line, []).append((number, hop))
        for _ in range(max((len(route.lines) for route in routes), default=0)):
            for line, passing in users.items():
                site = self._plant.roadms[line[0]]
                known = [(number, hop) for number, hop in passing if (number, hop) in arriving]
                known.sort(key=lambda key: routes[key[0]].channel.center_hz)
                if not known:
                    continue
                comb = _join([_equalise(arriving[key], site) for key in known])
                comb = through_line(comb, self._plant.lines[line])
                for position, (number, hop) in enumerate(known):
                    arriving[number, hop + 1] = _pick(comb, position)
        return arriving

    def _receive(self, route: _Route, light: Light | None) -> Reception:
        channel = route.channel
        if light is None:
            light = _launch(channel)
        drop = self._plant.roadms[route.roadms[-1]]
        add = self._plant.roadms[route.roadms[0]]
        light = _equalise(light, drop)
        noise_w = float(light.ase_w[0] + light.nli_w[0])
        scale = REFERENCE_BANDWIDTH_HZ / channel.baud_rate_hz
        # The add/drop figure of a ROADM is for both blocks together; each brings half of that noise.
        local = _ratio(-channel.tx_osnr_0p1nm_db) + sum(
            _ratio(-(site.add_drop_osnr_0p1nm_db + 10 * np.log10(2))) for site in (add, drop)
        )
        signal_w = float(light.signal_w[0])
        return Reception(
            receiver=str(route.receiver),
            transmitter=channel.transmitter,
            center_hz=channel.center_hz,
            baud_rate_hz=channel.baud_rate_hz,
            input_power_dbm=_dbm(float(light.total_w[0])),
            osnr_0p1nm_db=-_db(float(light.ase_w[0]) / signal_w * scale + local),
            gsnr_0p1nm_db=-_db(noise_w / signal_w * scale + local),
            latency_ms=float(light.latency_s[0]) * 1e3,
        )

    def _degree_powers(
        self, routes: Sequence[_Route], arriving: Mapping[tuple[int, int], Light]
    ) -> tuple[dict[str, float], dict[str, float]]:
        outputs_w: dict[str, float] = {}
        inputs_w: dict[str, float] = {}
        for number, route in enumerate(routes):
            for hop, (near, far) in enumerate(route.lines):
                near_site, far_site = self._plant.roadms[near], self._plant.roadms[far]
                out = f"{near}/DEG{near_site.degree_to(far)}"
                into = f"{far}/DEG{far_site.degree_to(near)}"
                leaving = _equalise(arriving[number, hop], near_site)
                outputs_w[out] = outputs_w.get(out, 0.0) + float(leaving.total_w[0])
                inputs_w[into] = inputs_w.get(into, 0.0) + float(arriving[number, hop + 1].total_w[0])
        return (
            {key: _dbm(value) for key, value in outputs_w.items()},
            {key: _dbm(value) for key, value in inputs_w.items()},
        )


def degree_number(connection_point: str) -> int:
    """Number in 'DEGn-TTP-TXRX'."""
    return int(connection_point.removeprefix("DEG").partition("-")[0])


def _passes(cross: CrossConnect, channel: TxChannel) -> bool:
    half_hz = min(channel.slot_width_hz, channel.baud_rate_hz) / 2
    return abs(cross.center_hz - channel.center_hz) + half_hz <= cross.width_hz / 2 + SLOT_TOLERANCE_HZ


def _launch(channel: TxChannel) -> Light:
    one, zero = np.ones(1), np.zeros(1)
    power_w = 10 ** (channel.tx_power_dbm / 10) * 1e-3
    return Light(
        center_hz=one * channel.center_hz,
        baud_rate_hz=one * channel.baud_rate_hz,
        signal_w=one * power_w,
        ase_w=zero,
        nli_w=zero,
        cd_s_per_m=zero,
        pmd_squared_s2=zero,
        latency_s=zero,
    )


def _equalise(light: Light, site: RoadmSite) -> Light:
    target_w = site.target_psd_mw_per_ghz * 1e-3 * light.baud_rate_hz / 1e9
    return light.scaled(np.minimum(1.0, target_w / light.total_w))


def _join(lights: Iterable[Light]) -> Light:
    parts = list(lights)
    return Light(*(np.concatenate([getattr(part, name) for part in parts]) for name in Light.__slots__))


def _pick(light: Light, position: int) -> Light:
    return Light(*(getattr(light, name)[position : position + 1] for name in Light.__slots__))


def _ratio(value_db: float) -> float:
    return float(10 ** (value_db / 10))


def _db(ratio: float) -> float:
    return float(10 * np.log10(ratio))


def _dbm(power_w: float) -> float:
    return _db(power_w * 1e3)
