"""Noise figures of a line, at nine frequencies: what a provider may say of its plant without showing it (ADR 6).

The comb is the fullest that the C band takes (63.1 GBd every 87.5 GHz: the largest share of the band under light among
the OpenROADM W modes), at the power spectral density of the head ROADM. Constant density makes ASE ratios independent
of the symbol rate; NLI of a narrower channel is at most that of the reference channel, so the samples stay an upper
bound. Stimulated Raman scattering, which tilts a full C band by about a decibel per span, is not modelled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from controller.domain.errors import InvalidRequest
from controller.domain.qot import LinkQot, QotSample
from controller.domain.spectrum import BAND_LOWER_HZ, GRANULE_HZ, GRANULES
from pce.core.line import AMPLIFIER, LOSS, SPAN, line_noise
from pce.plant_records import LIGHT_SPEED_M_PER_S, AmplifierRecord, LineRecord, SpanRecord

Vector: TypeAlias = npt.NDArray[np.float64]

SAMPLES = 9
GROUP_INDEX = 1.468  # G.652 fibre at 1550 nm
_KERR_M2_PER_W = 2.6e-20  # nonlinear index of silica, Agrawal, Nonlinear Fiber Optics
_CORE_RADIUS_M = 4.2e-6


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


def line_qot(line: LineRecord, comb: ReferenceComb = DEFAULT_COMB) -> LinkQot:
    """Transmission figures of one line.

    Samples are channels of the comb where straight lines between them follow interference best: closer together
    towards the band edges, where it falls off. The comb is flush with the nearer edge, which leaves a channel the most
    neighbours on its short side; beyond the outer samples their values hold. `nsr_nli_full` is raised by what the
    straight lines would miss, so that it is no less than the model's value at any channel of the comb. Chromatic
    dispersion is that of the band's middle.
    Raises: InvalidRequest when a span's figures do not hold across the band.
    """
    centers_hz, (ase, alone, full) = _band_nsr(line, comb)
    chosen = _sample_positions(full)
    bound = _raised(full, chosen)
    middle_hz = np.array([(comb.lower_thz + comb.upper_thz) / 2 * 1e12])
    return LinkQot(
        samples=tuple(
            QotSample(
                center_thz=round(float(centers_hz[i]) / 1e12, 9),
                nsr_ase=float(ase[i]),
                nsr_nli_self=float(alone[i]),
                nsr_nli_full=float(bound[rank]),
            )
            for rank, i in enumerate(chosen)
        ),
        length_km=line.length_km,
        latency_ms=line.length_km * 1e3 * GROUP_INDEX / LIGHT_SPEED_M_PER_S * 1e3,
        cd_ps_per_nm=sum(float(_accumulated_ps_per_nm(span, middle_hz)[0]) for span in line.spans),
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
    Returns (3, N), each ratio in the channel's own bandwidth. Source: `pce.core.line.line_noise`.
    """
    elements = len(line.parts)
    kind = np.zeros(elements, np.uint8)
    entry, length_m, gain, noise_factor, max_power_w = np.ones((5, elements))
    leave, attenuation, beta2, gamma = np.ones((4, elements, center_hz.size))
    for i, part in enumerate(line.parts):
        if isinstance(part, SpanRecord):
            loss_db_per_m = np.interp(center_hz / 1e12, *_columns(part.loss_db_per_km)) / 1e3
            kind[i], length_m[i] = SPAN, part.length_km * 1e3
            entry[i] = _ratio(-part.connector_in_db)
            leave[i] = _ratio(-loss_db_per_m * length_m[i] - part.lumped_loss_db - part.connector_out_db)
            attenuation[i] = loss_db_per_m * math.log(10) / 10
            beta2[i] = _beta2_s2_per_m(part, center_hz)
            gamma[i] = _gamma_per_w_m(part, center_hz)
        elif isinstance(part, AmplifierRecord):
            kind[i], entry[i], leave[i] = AMPLIFIER, _ratio(-part.in_voa_db), _ratio(-part.out_voa_db)
            gain[i], noise_factor[i] = _ratio(part.gain_db), _ratio(part.noise_figure_db)
            max_power_w[i] = _ratio(part.max_power_dbm) / 1e3
        else:
            kind[i], leave[i] = LOSS, _ratio(-part.loss_db)
    ratios: Vector = line_noise(
        kind, entry, leave, length_m, attenuation, beta2, gamma, gain, noise_factor, max_power_w,
        center_hz, baud_hz, launch_w,
    )  # fmt: skip
    if not np.all((ratios >= 0) & (ratios < 1e300)):
        raise InvalidRequest(
            f"line {line.a} → {line.z}: interference exceeds the signal; lower psd_mw_per_ghz={line.psd_mw_per_ghz} "
            "or the gains before its spans",
            field="psd_mw_per_ghz",
            line=f"{line.a} → {line.z}",
        )
    return ratios


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


def _dispersion_ps_per_nm_km(span: SpanRecord, frequency_hz: Vector) -> Vector:
    if span.dispersion_slope_ps_per_nm2_km is None:
        return np.asarray(span.dispersion_ps_per_nm_km * (frequency_hz / (span.reference_thz * 1e12)) ** 2)
    wavelength_nm = LIGHT_SPEED_M_PER_S / frequency_hz * 1e9
    reference_nm = LIGHT_SPEED_M_PER_S / (span.reference_thz * 1e12) * 1e9
    return np.asarray(
        span.dispersion_ps_per_nm_km + span.dispersion_slope_ps_per_nm2_km * (wavelength_nm - reference_nm)
    )


def _accumulated_ps_per_nm(span: SpanRecord, frequency_hz: Vector) -> Vector:
    """Chromatic dispersion of a span; without a slope the stated figure is taken for the whole band."""
    if span.dispersion_slope_ps_per_nm2_km is None:
        return np.full(frequency_hz.size, span.dispersion_ps_per_nm_km * span.length_km)
    return _dispersion_ps_per_nm_km(span, frequency_hz) * span.length_km


def _beta2_s2_per_m(span: SpanRecord, frequency_hz: Vector) -> Vector:
    """Group-velocity dispersion, -λ² D / (2πc)."""
    dispersion = _dispersion_ps_per_nm_km(span, frequency_hz) * 1e-6
    if np.min(np.abs(dispersion)) < 1e-7 or np.ptp(np.sign(dispersion)):
        raise InvalidRequest(
            f"fibre {span.name}: its dispersion passes below 0.1 ps/(nm·km) inside the band, where the closed form of "
            "the GN model does not hold; correct dispersion or its slope",
            field="dispersion_ps_per_nm_km",
            value=span.dispersion_ps_per_nm_km,
        )
    wavelength_m = LIGHT_SPEED_M_PER_S / frequency_hz
    return np.asarray(-(wavelength_m**2) * dispersion / (2 * math.pi * LIGHT_SPEED_M_PER_S))


def _gamma_per_w_m(span: SpanRecord, frequency_hz: Vector) -> Vector:
    """Nonlinear coefficient 2πf·n2/(c·Aeff), the mode field of a step-index core growing with the wavelength.

    With Aeff = πr²/ln V and V proportional to the frequency, πr²/Aeff(f) = πr²/Aeff(f_ref) + ln(f/f_ref).
    """
    core_m2 = math.pi * _CORE_RADIUS_M**2
    log_v = core_m2 / (span.effective_area_um2 * 1e-12) + np.log(frequency_hz / (span.reference_thz * 1e12))
    return np.asarray(2 * math.pi * frequency_hz * _KERR_M2_PER_W * log_v / (LIGHT_SPEED_M_PER_S * core_m2))


def _columns(points: tuple[tuple[float, float], ...]) -> tuple[list[float], list[float]]:
    return [thz for thz, _ in points], [value for _, value in points]


def _ratio(value_db: Any) -> Any:
    return 10.0 ** (value_db / 10.0)
