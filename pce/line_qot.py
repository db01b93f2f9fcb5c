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

    def centers_hz(self) -> Vector:
        """Centre frequencies, as many as fit, in the middle of the band."""
        width_ghz = (self.upper_thz - self.lower_thz) * 1e3
        count = int(width_ghz / self.spacing_ghz + 1e-9)
        if not 0 < self.baud_rate_gbd <= self.spacing_ghz or count < 1:
            raise InvalidRequest(
                f"reference comb of {self.baud_rate_gbd} GBd every {self.spacing_ghz} GHz does not fit "
                f"{self.lower_thz}-{self.upper_thz} THz: the symbol rate must not exceed the spacing, nor it the band",
                field="spacing_ghz",
                value=self.spacing_ghz,
            )
        first_ghz = self.lower_thz * 1e3 + (width_ghz - count * self.spacing_ghz) / 2 + self.spacing_ghz / 2
        return np.asarray((first_ghz + np.arange(count) * self.spacing_ghz) * 1e9, np.float64)


DEFAULT_COMB = ReferenceComb()


def line_qot(line: LineRecord, comb: ReferenceComb = DEFAULT_COMB) -> LinkQot:
    """Transmission figures of one line.

    Samples are channels of the comb, closer together towards the band edges, where interference falls off steeply;
    beyond the outer ones their values hold. Chromatic dispersion is that of the band's middle.
    Raises: InvalidRequest when a span's figures do not hold across the band.
    """
    centers_hz = comb.centers_hz()
    ase, alone, full = line_nsr(
        line,
        centers_hz,
        np.full(centers_hz.size, comb.baud_rate_gbd * 1e9),
        np.full(centers_hz.size, line.psd_mw_per_ghz * comb.baud_rate_gbd * 1e-3),
    )
    chosen = _sample_positions(centers_hz.size)
    middle_hz = np.array([(comb.lower_thz + comb.upper_thz) / 2 * 1e12])
    return LinkQot(
        samples=tuple(
            QotSample(
                center_thz=round(float(centers_hz[i]) / 1e12, 9),
                nsr_ase=float(ase[i]),
                nsr_nli_self=float(alone[i]),
                nsr_nli_full=float(full[i]),
            )
            for i in chosen
        ),
        length_km=line.length_km,
        latency_ms=line.length_km * 1e3 * GROUP_INDEX / LIGHT_SPEED_M_PER_S * 1e3,
        cd_ps_per_nm=sum(float(_accumulated_ps_per_nm(span, middle_hz)[0]) for span in line.spans),
        pmd_ps=math.sqrt(
            sum(span.pmd_ps_per_sqrt_km**2 * span.length_km for span in line.spans)
            + sum(amplifier.pmd_ps**2 for amplifier in line.amplifiers)
        ),
    )


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


def _sample_positions(count: int) -> list[int]:
    """Nine (or all, if fewer) channels of a comb at the extremes of a Chebyshev polynomial over the band."""
    order = np.arange(SAMPLES)
    positions = np.rint((count - 1) * (1 - np.cos(math.pi * order / (SAMPLES - 1))) / 2).astype(int)
    return sorted({int(position) for position in positions})


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
