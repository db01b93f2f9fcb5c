"""A path and a comb as arrays for the kernels: made once, then run as often as wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.domain.errors import InvalidRequest
from pce.core.amplifier import COEFFICIENTS, Amplifiers
from pce.core.propagation import AMPLIFIER, EQUALISER, LOSS, SPAN, Equalisers, Spans
from pce.gnpy_json import fault
from pce.physics.comb import Band, Comb
from pce.physics.decibel import Vector, ratio, ratios
from pce.physics.elements import (
    Amplifier,
    AmplifierSetting,
    Element,
    Fibre,
    Impairment,
    Level,
    LevelKind,
    Pad,
    Roadm,
)
from pce.physics.fibre import accumulated_s_per_m, attenuation_per_m, interference_matrix, lumped_ratio

_SAME_HZ = 1.0
_REFERENCE_SLOT_HZ = 50e9


def common_bands(elements: Sequence[Element]) -> list[Band] | None:
    """Bands that every amplifier of a path has; None when there is no amplifier."""
    common: list[Band] | None = None
    for element in elements:
        if isinstance(element, Amplifier):
            own = [setting.kind.band for setting in element.bands]
            pairs = [(a, b) for a in common for b in own] if common is not None else [(band, band) for band in own]
            common = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in pairs if max(a[0], b[0]) < min(a[1], b[1])]
    return common


@dataclass(frozen=True, eq=False, slots=True)
class PathPlan:
    """Arrays of a path; `accumulated` are the figures that need no propagation."""

    elements: tuple[Element, ...]
    comb: Comb
    kind: Any
    row: Any
    spans: Spans
    fibres: tuple[Fibre, ...]
    amplifiers: Amplifiers
    amplifier_names: tuple[str, ...]
    """uid, with the band's amplifier type where there are several, by row of `amplifiers`."""
    losses: Vector
    equalisers: Equalisers
    cd_s_per_m: Vector
    pmd_s: Vector
    pdl_db: Vector
    latency_s: float
    end_noise: Vector
    """Noise over signal in 12.5 GHz of the transmitter and of add, drop and express blocks."""

    @classmethod
    def of(cls, elements: Sequence[Element], comb: Comb) -> PathPlan:
        """Plan for the channels of `comb` that all amplifiers carry.

        Raises: InvalidRequest when none is left or an element does not fit the comb.
        """
        bands = common_bands(elements)
        if bands is not None:
            chosen = comb.within(bands)
            if not chosen.any():
                raise InvalidRequest(
                    f"path from {elements[0].uid} to {elements[-1].uid}: no channel lies in the band common to its "
                    f"amplifiers ({_said(bands)}); light channels inside it",
                    field="spectrum",
                    element=elements[0].uid,
                )
            comb = comb.kept(chosen)
        return _Builder(comb).build(tuple(elements))


class _Builder:
    def __init__(self, comb: Comb) -> None:
        self.comb = comb
        self.kind: list[int] = []
        self.row: list[int] = []
        self.fibres: list[Fibre] = []
        self.settings: list[tuple[str, AmplifierSetting, int, int]] = []
        self.losses: list[float] = []
        self.transmission: list[Vector] = []
        self.target_w: list[Vector] = []
        self.cd_s_per_m = np.zeros(comb.size)
        self.pmd_squared = np.zeros(comb.size)
        self.pdl_squared = np.zeros(comb.size)
        self.end_noise = ratios(-comb.tx_osnr_0p1nm_db)

    def build(self, elements: tuple[Element, ...]) -> PathPlan:
        for position, element in enumerate(elements):
            if isinstance(element, Fibre):
                self._fibre(element)
            elif isinstance(element, Amplifier):
                self._amplifier(element)
            elif isinstance(element, Roadm):
                before = elements[position - 1].uid if position else ""
                after = elements[position + 1].uid if position + 1 < len(elements) else ""
                self._roadm(element, before, after)
            elif isinstance(element, Pad):
                self._step(LOSS, len(self.losses))
                self.losses.append(ratio(-element.loss_db))
        size = self.comb.size
        return PathPlan(
            elements=elements,
            comb=self.comb,
            kind=np.array(self.kind, np.uint8),
            row=np.array(self.row, np.int32),
            spans=self._spans(),
            fibres=tuple(self.fibres),
            amplifiers=self._amplifiers(),
            amplifier_names=tuple(name for name, *_ in self.settings),
            losses=np.array(self.losses, np.float64),
            equalisers=Equalisers(_stacked(self.transmission, size), _stacked(self.target_w, size)),
            cd_s_per_m=self.cd_s_per_m,
            pmd_s=np.sqrt(self.pmd_squared),
            pdl_db=np.sqrt(self.pdl_squared),
            latency_s=sum(fibre.latency_s for fibre in self.fibres),
            end_noise=self.end_noise,
        )

    def _step(self, kind: int, row: int) -> None:
        self.kind.append(kind)
        self.row.append(row)

    def _fibre(self, fibre: Fibre) -> None:
        self._step(SPAN, len(self.fibres))
        self.fibres.append(fibre)
        self.cd_s_per_m += accumulated_s_per_m(fibre, self.comb.frequency_hz)
        self.pmd_squared += fibre.pmd_s_per_sqrt_m**2 * fibre.length_m

    def _amplifier(self, amplifier: Amplifier) -> None:
        for setting in amplifier.bands:
            inside = np.flatnonzero(self.comb.within([setting.kind.band]))
            if not inside.size:
                continue
            slots = self.comb.slot_hz[inside]
            if setting.kind.needs_one_slot_width and np.ptp(slots) > _SAME_HZ:
                raise fault(
                    f"amplifier {amplifier.uid}",
                    "amp_type",
                    f"{setting.kind.name} is specified for one slot width and the comb has several",
                    "light channels of one slot width, or use an amplifier type with another noise model",
                    setting.kind.name,
                )
            name = amplifier.uid if len(amplifier.bands) == 1 else f"{amplifier.uid}/{setting.kind.name}"
            self._step(AMPLIFIER, len(self.settings))
            self.settings.append((name, setting, int(inside[0]), int(inside[-1]) + 1))
            self.pmd_squared[inside] += setting.kind.pmd_s**2
            self.pdl_squared[inside] += setting.kind.pdl_db**2

    def _roadm(self, roadm: Roadm, before: str, after: str) -> None:
        crossing = roadm.crossings.get((before, after))
        if crossing is None:
            mend = "add the crossing, or correct the path"
            raise fault(f"roadm {roadm.uid}", "crossings", f"has none from {before!r} to {after!r}", mend)
        comb = self.comb
        passed = np.empty(comb.size)
        for channel, hz in enumerate(comb.frequency_hz):
            cost = _at(crossing, float(hz), f"roadm {roadm.uid}")
            passed[channel] = ratio(-cost.loss_db)
            self.pmd_squared[channel] += cost.pmd_s**2
            self.pdl_squared[channel] += cost.pdl_db**2
            if cost.osnr_0p1nm_db is not None:
                self.end_noise[channel] += ratio(-cost.osnr_0p1nm_db)
        level = roadm.per_degree.get(after, roadm.level)
        self._step(EQUALISER, len(self.transmission))
        self.transmission.append(passed)
        self.target_w.append(_target_w(level, comb) * ratios(comb.delta_power_db))

    def _spans(self) -> Spans:
        comb, fibres = self.comb, self.fibres
        known: dict[int, int] = {}
        matrices: list[Vector] = []
        rows = []
        for fibre in fibres:
            matrix = interference_matrix(comb, fibre.glass, fibre.length_m)
            if id(matrix) not in known:
                known[id(matrix)] = len(matrices)
                matrices.append(matrix)
            rows.append(known[id(matrix)])
        leave = [
            np.exp(-attenuation_per_m(fibre.glass, comb.frequency_hz) * fibre.length_m)
            * (lumped_ratio(fibre) * ratio(-fibre.connector_out_db))
            for fibre in fibres
        ]
        return Spans(
            entry=np.array([ratio(-fibre.connector_in_db) for fibre in fibres], np.float64),
            leave=_stacked(leave, comb.size),
            matrix=np.array(rows, np.int32),
            matrices=np.array(matrices, np.float64) if matrices else np.zeros((0, comb.size, comb.size)),
        )

    def _amplifiers(self) -> Amplifiers:
        count, size = len(self.settings), self.comb.size
        profiles: dict[tuple[Any, ...], int] = {}
        tables: list[tuple[Vector, Vector, float, Vector]] = []
        model = np.zeros((count, 2), np.int32)
        least, flat = np.zeros((2, count, 2))
        coefficients = np.zeros((count, 2, COEFFICIENTS))
        rows = np.zeros(count, np.int32)
        for row, (_, setting, first, last) in enumerate(self.settings):
            key = (setting.kind, setting.tilt_db, first, last)
            if key not in profiles:
                profiles[key] = len(tables)
                tables.append(_profile(setting, self.comb.frequency_hz, first, last))
            rows[row] = profiles[key]
            for position, stage in enumerate(setting.kind.stages):
                model[row, position] = stage.model
                least[row, position], flat[row, position] = stage.least_gain_db, stage.flat_gain_db
                coefficients[row, position] = stage.padded()
        settings = [setting for _, setting, _, _ in self.settings]
        return Amplifiers(
            entry=np.array([ratio(-setting.in_voa_db) for setting in settings], np.float64),
            leave=np.array([ratio(-setting.out_voa_db) for setting in settings], np.float64),
            gain_db=np.array([setting.gain_db for setting in settings], np.float64),
            max_power_w=np.array([ratio(setting.kind.max_power_dbm) * 1e-3 for setting in settings], np.float64),
            first=np.array([first for _, _, first, _ in self.settings], np.int32),
            last=np.array([last for _, _, _, last in self.settings], np.int32),
            stages=np.array([len(setting.kind.stages) for setting in settings], np.int32),
            preamp_gain_db=np.array([setting.kind.stages[0].flat_gain_db for setting in settings], np.float64),
            model=model,
            least_gain_db=least,
            flat_gain_db=flat,
            coefficients=coefficients,
            slot_scale_db=np.array(
                [10 * math.log10(_REFERENCE_SLOT_HZ / self.comb.slot_hz[first]) for _, _, first, _ in self.settings],
                np.float64,
            ),
            profile=rows,
            noise_ripple=_stacked([table[0] for table in tables], size),
            shape=_stacked([table[1] for table in tables], size),
            spread_db=np.array([table[2] for table in tables], np.float64),
            tilt=_stacked([table[3] for table in tables], size),
        )


def _profile(
    setting: AmplifierSetting, frequency_hz: Vector, first: int, last: int
) -> tuple[Vector, Vector, float, Vector]:
    """Noise ripple, gain shape, spread of the shape in dB, dynamic tilt; outside the amplifier's channels 1 or 0.

    The tilt asked for is made from the dynamic gain tilt, scaled so that its straight-line fit over the comb has the
    slope asked for; di Muro, JLT 18(3) 343, 2000.
    """
    kind = setting.kind
    inside = slice(first, last)
    hz = frequency_hz[inside]
    noise, shape, tilt = np.ones(frequency_hz.size), np.ones(frequency_hz.size), np.zeros(frequency_hz.size)
    noise[inside] = ratios(_spread(kind.noise_ripple_db, kind.band, hz))
    if kind.dynamic_gain_tilt:
        tilt[inside] = _spread(kind.dynamic_gain_tilt, kind.band, hz)
    gain_db = _spread(kind.gain_ripple_db, kind.band, hz)
    if hz.size == 1:
        return noise, shape, 0.0, tilt
    centred = hz - hz.mean()
    slope = float(centred @ tilt[inside] / (centred @ centred))
    if setting.tilt_db and slope:
        gain_db = gain_db - setting.tilt_db / (kind.band[1] - kind.band[0]) / slope * tilt[inside]
    gain = ratios(gain_db - gain_db.max())
    shape[inside] = gain / gain.mean()
    return noise, shape, float(np.ptp(gain_db)), tilt


def _spread(values: Sequence[float], band: Band, frequency_hz: Vector) -> Vector:
    """A table that is evenly spaced over a band, at frequencies."""
    if len(values) == 1:
        return np.full(frequency_hz.size, values[0])
    return np.asarray(np.interp(frequency_hz, np.linspace(band[0], band[1], len(values)), values))


def _at(crossing: tuple[Impairment, ...], hz: float, where: str) -> Impairment:
    for cost in crossing:
        if cost.band is None or cost.band[0] <= hz <= cost.band[1]:
            return cost
    raise fault(
        where, "crossings.impairments", f"say nothing of {hz / 1e12:g} THz", "widen a frequency range to take it in", hz
    )


def _target_w(level: Level, comb: Comb) -> Vector:
    if level.kind is LevelKind.CHANNEL_DBM:
        return np.full(comb.size, ratio(level.value) * 1e-3)
    width_hz = comb.baud_hz if level.kind is LevelKind.BAUD_MW_PER_GHZ else comb.slot_hz
    return np.asarray(level.value * width_hz * 1e-12)


def _stacked(rows: Sequence[Vector], size: int) -> Vector:
    return np.array(rows, np.float64) if rows else np.zeros((0, size))


def _said(bands: Sequence[Band]) -> str:
    return ", ".join(f"{lower / 1e12:g}-{upper / 1e12:g} THz" for lower, upper in bands) or "there is none"
