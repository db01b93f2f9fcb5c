"""Noise figures of a line, at nine frequencies: what a provider may say of its plant without showing it (ADR 6).

The comb is the fullest that the C band takes (63.1 GBd every 87.5 GHz: the largest share of the band under light among
the OpenROADM W modes), at the power spectral density of the head ROADM. Constant density makes ASE ratios independent
of the symbol rate; NLI of a narrower channel is at most that of the reference channel, so the samples stay an upper
bound. Stimulated Raman scattering, which tilts a full C band by about a decibel per span, is not modelled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from controller.domain.errors import InvalidRequest
from controller.domain.qot import LinkQot, OperationalMode, QotSample
from controller.domain.spectrum import BAND_LOWER_HZ, GRANULE_HZ, GRANULES
from pce.core.amplifier import FIXED
from pce.physics.comb import Channel, Comb
from pce.physics.decibel import Vector, decibels
from pce.physics.elements import (
    Amplifier,
    AmplifierSetting,
    AmplifierType,
    Curve,
    Element,
    Fibre,
    Glass,
    Pad,
    Stage,
)
from pce.physics.fibre import accumulated_s_per_m
from pce.physics.path import propagated
from pce.physics.plan import PathPlan
from pce.plant_records import LIGHT_SPEED_M_PER_S, AmplifierRecord, LineRecord, LossRecord, SpanRecord

SAMPLES = 9
GROUP_INDEX = 1.468  # G.652 fibre at 1550 nm


@dataclass(frozen=True, slots=True)
class ReferenceComb:
    """The comb that stands for a band full of light."""

    baud_rate_gbd: float = 63.1
    spacing_ghz: float = 87.5
    lower_thz: float = BAND_LOWER_HZ / 1e12
    upper_thz: float = (BAND_LOWER_HZ + GRANULES * GRANULE_HZ) / 1e12

    def centers_hz(self, upper_aligned: bool) -> Vector:
        """Centre frequencies, as many as fit, flush with the lower or with the upper edge of the band."""
        width_ghz = (self.upper_thz - self.lower_thz) * 1e3
        count = int(width_ghz / self.spacing_ghz + 1e-9)
        if not 0 < self.baud_rate_gbd <= self.spacing_ghz or count < 1:
            raise InvalidRequest(
                f"reference comb of {self.baud_rate_gbd} GBd every {self.spacing_ghz} GHz does not fit "
                f"{self.lower_thz}-{self.upper_thz} THz: the symbol rate must not exceed the spacing, nor it the band",
                field="spacing_ghz",
                value=self.spacing_ghz,
            )
        unused_ghz = width_ghz - count * self.spacing_ghz if upper_aligned else 0.0
        first_ghz = self.lower_thz * 1e3 + unused_ghz + self.spacing_ghz / 2
        return np.asarray((first_ghz + np.arange(count) * self.spacing_ghz) * 1e9, np.float64)


DEFAULT_COMB = ReferenceComb()


def densest_comb(modes: Iterable[OperationalMode]) -> ReferenceComb:
    """The comb that fills the band most, of what these modes can light: the worst neighbours that anybody may have.

    At one power spectral density for all, interference grows with the share of the spectrum that is lit, which for a
    mode is its symbol rate over its slot (m × 12.5 GHz).
    """
    most = max(modes, key=lambda mode: (mode.baud_rate_gbd / (12.5 * mode.m), mode.mode_id), default=None)
    return DEFAULT_COMB if most is None else ReferenceComb(most.baud_rate_gbd, 12.5 * most.m)


def line_qot(line: LineRecord, comb: ReferenceComb = DEFAULT_COMB) -> LinkQot:
    """Transmission figures of one line.

    Samples are channels of the comb where straight lines between them follow the noise best: closer together towards
    the band edges, where interference falls off. The comb is flush with the nearer edge, which leaves a channel the
    most neighbours on its short side; beyond the outer samples their values hold. `nsr_ase` and `nsr_nli_full` are
    raised by what the straight lines would miss, so that each is no less than the model's value at any channel of the
    comb. Chromatic dispersion is that of the band's middle.
    Raises: InvalidRequest when a span's figures do not hold across the band.
    """
    centers_hz, (ase, alone, full) = _band_nsr(line, comb)
    chosen = _sample_positions(ase + full)
    noise, bound = _raised(ase, chosen), _raised(full, chosen)
    middle_hz = np.array([(comb.lower_thz + comb.upper_thz) / 2 * 1e12])
    return LinkQot(
        samples=tuple(
            QotSample(
                center_thz=round(float(centers_hz[i]) / 1e12, 9),
                nsr_ase=float(noise[rank]),
                nsr_nli_self=float(alone[i]),
                nsr_nli_full=float(bound[rank]),
            )
            for rank, i in enumerate(chosen)
        ),
        length_km=line.length_km,
        latency_ms=line.length_km * 1e3 * GROUP_INDEX / LIGHT_SPEED_M_PER_S * 1e3,
        cd_ps_per_nm=sum(float(accumulated_s_per_m(_fibre(span), middle_hz)[0]) * 1e3 for span in line.spans),
        pmd_ps=math.sqrt(
            sum(span.pmd_ps_per_sqrt_km**2 * span.length_km for span in line.spans)
            + sum(amplifier.pmd_ps**2 for amplifier in line.amplifiers)
        ),
    )


def _band_nsr(line: LineRecord, comb: ReferenceComb) -> tuple[Vector, Vector]:
    """Centres and ratios (3, N): the lower half from a comb flush with the lower edge, the upper from the other."""
    halves = []
    for upper in (False, True):
        centers_hz = comb.centers_hz(upper_aligned=upper)
        baud_hz = np.full(centers_hz.size, comb.baud_rate_gbd * 1e9)
        launch_w = np.full(centers_hz.size, line.psd_mw_per_ghz * comb.baud_rate_gbd * 1e-3)
        kept = slice((centers_hz.size + 1) // 2, None) if upper else slice(None, (centers_hz.size + 1) // 2)
        halves.append((centers_hz[kept], line_nsr(line, centers_hz, baud_hz, launch_w)[:, kept]))
    return np.concatenate([centers for centers, _ in halves]), np.concatenate([nsr for _, nsr in halves], axis=1)


def line_nsr(line: LineRecord, center_hz: Vector, baud_hz: Vector, launch_w: Vector) -> Vector:
    """Noise-to-signal ratios after `line` for any comb: rows ASE, NLI of the channel alone, NLI of the comb.

    center_hz, baud_hz, launch_w : (N,) rising in frequency; `launch_w` enters the first part of the line.
    Returns (3, N), each ratio in the channel's own bandwidth. Source: `pce.core.propagation`.
    """
    comb = Comb.of(
        Channel(hz, baud, baud, launch_dbm=launch_dbm)
        for hz, baud, launch_dbm in zip(
            center_hz.tolist(), baud_hz.tolist(), decibels(launch_w * 1e3).tolist(), strict=True
        )
    )
    plan = PathPlan.of([_element(part) for part in line.parts], comb)
    qot = propagated(plan)
    if not qot.plausible:
        raise InvalidRequest(
            f"line {line.a} → {line.z}: interference exceeds the signal; lower psd_mw_per_ghz={line.psd_mw_per_ghz} "
            "or the gains before its spans",
            field="psd_mw_per_ghz",
            line=f"{line.a} → {line.z}",
        )
    return qot.ratios


def _element(part: SpanRecord | AmplifierRecord | LossRecord) -> Element:
    """A part of a line as the physics takes it."""
    if isinstance(part, SpanRecord):
        return _fibre(part)
    if isinstance(part, LossRecord):
        return Pad(part.name, part.loss_db)
    stage = Stage(FIXED, 0.0, 0.0, (part.noise_figure_db,))
    kind = AmplifierType(part.name, (stage,), part.max_power_dbm, (0.0, math.inf))
    return Amplifier(part.name, (AmplifierSetting(kind, part.gain_db, 0.0, part.in_voa_db, part.out_voa_db),))


def _fibre(span: SpanRecord) -> Fibre:
    slope = span.dispersion_slope_ps_per_nm2_km
    return Fibre(
        uid=span.name,
        glass=Glass(
            loss_db_per_km=_loss(span),
            dispersion_s_per_m2=Curve((span.dispersion_ps_per_nm_km * 1e-6,)),
            dispersion_slope_s_per_m3=None if slope is None else slope * 1e3,
            effective_area_m2=span.effective_area_um2 * 1e-12,
            reference_hz=span.reference_thz * 1e12,
            name=span.name,
        ),
        length_m=span.length_km * 1e3,
        connector_in_db=span.connector_in_db,
        # Interference does not see where along the fibre a splice sits.
        connector_out_db=span.lumped_loss_db + span.connector_out_db,
        latency_s=span.length_km * 1e3 * GROUP_INDEX / LIGHT_SPEED_M_PER_S,
        pmd_s_per_sqrt_m=span.pmd_ps_per_sqrt_km * 1e-12 / math.sqrt(1e3),
    )


def _loss(span: SpanRecord) -> Curve:
    """Loss over frequency; beyond a table its ends hold."""
    frequencies_thz = [thz for thz, _ in span.loss_db_per_km]
    values = [loss for _, loss in span.loss_db_per_km]
    if len(values) == 1:
        return Curve((values[0],))
    beyond_hz = (1.0, *(thz * 1e12 for thz in frequencies_thz), 1e16)
    return Curve((values[0], *values, values[-1]), beyond_hz)


def _missed(values: Vector, chosen: list[int]) -> Vector:
    """By how much straight lines between the chosen positions stay below `values`."""
    every = np.arange(values.size)
    return np.asarray(np.maximum(values - np.interp(every, chosen, values[chosen]), 0.0))


def _sample_positions(values: Vector) -> list[int]:
    """Nine (or all, if fewer) positions: both ends, then each time where the straight lines miss most."""
    chosen = sorted({0, values.size - 1})
    while len(chosen) < min(SAMPLES, values.size):
        missed = _missed(values, chosen)
        missed[chosen] = -1.0
        chosen = sorted([*chosen, int(np.argmax(missed))])
    return chosen


def _raised(values: Vector, chosen: list[int]) -> Vector:
    """Values at the chosen positions, raised by the most that is missed on either side."""
    missed = _missed(values, chosen)
    raised = values[chosen].copy()
    for rank, position in enumerate(chosen):
        first = chosen[max(rank - 1, 0)]
        last = chosen[min(rank + 1, len(chosen) - 1)]
        raised[rank] = values[position] + missed[first : last + 1].max()
    return raised
