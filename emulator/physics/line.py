"""One line between two ROADMs: amplifiers and spans acting on the channels that are lit.

Sources: amplifier noise h·f·B·NF at the input; nonlinear interference by the incoherent Gaussian-noise model in closed
form, Poggiolini et al., arXiv:1209.0394, eq. 120-123, with the powers that are really there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emulator.plant import Amplifier, Span

PLANCK_J_S = 6.62607015e-34
LIGHT_SPEED_M_PER_S = 299_792_458.0
REFERENCE_HZ = LIGHT_SPEED_M_PER_S / 1550e-9
N2_M2_PER_W = 2.6e-20
CORE_RADIUS_M = 4.2e-6
GROUP_INDEX = 1.468
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Light:
    """Channels on one fibre, in increasing frequency: signal, ASE and NLI in W, each in its own bandwidth."""

    center_hz: Vector
    baud_rate_hz: Vector
    signal_w: Vector
    ase_w: Vector
    nli_w: Vector
    cd_s_per_m: Vector
    pmd_squared_s2: Vector
    latency_s: Vector

    @property
    def total_w(self) -> Vector:
        return self.signal_w + self.ase_w + self.nli_w

    def scaled(self, factor: Vector | float) -> Light:
        """All powers times `factor`."""
        return replace(self, signal_w=self.signal_w * factor, ase_w=self.ase_w * factor, nli_w=self.nli_w * factor)


def through_line(light: Light, parts: Sequence[Span | Amplifier]) -> Light:
    """Light at the end of a line."""
    for part in parts:
        light = _amplified(light, part) if isinstance(part, Amplifier) else _through_fibre(light, part)
    return light


def _amplified(light: Light, amplifier: Amplifier) -> Light:
    total_dbm = 10 * np.log10(float(np.sum(light.total_w)) * 1e3)
    # Saturation: the whole comb may not leave above the amplifier's maximum output power.
    gain_db = min(amplifier.gain_db, amplifier.p_max_dbm - total_dbm)
    noise_figure_db = amplifier.noise_figure_db + max(amplifier.gain_min_db - gain_db, 0.0)
    added_w = PLANCK_J_S * light.center_hz * light.baud_rate_hz * 10 ** (noise_figure_db / 10)
    return replace(light, ase_w=light.ase_w + added_w).scaled(10 ** (gain_db / 10))


def _through_fibre(light: Light, span: Span) -> Light:
    light = light.scaled(10 ** (-span.con_in_db / 10))
    interference_w = _nonlinear_interference_w(light, span)
    total_w = light.total_w
    # The interference is taken out of the channel, whose power stays what it was.
    kept = 1 - interference_w / total_w
    light = replace(
        light,
        signal_w=light.signal_w * kept,
        ase_w=light.ase_w * kept,
        nli_w=light.nli_w * kept + interference_w,
        cd_s_per_m=light.cd_s_per_m + span.dispersion_s_per_m2 * span.length_m,
        pmd_squared_s2=light.pmd_squared_s2 + span.pmd_s_per_sqrt_m**2 * span.length_m,
        latency_s=light.latency_s + span.length_m * GROUP_INDEX / LIGHT_SPEED_M_PER_S,
    )
    loss_db = span.loss_db_per_km * span.length_m / 1e3 + span.con_out_db
    return light.scaled(10 ** (-loss_db / 10))


def _nonlinear_interference_w(light: Light, span: Span) -> Vector:
    frequency_hz, baud_rate_hz = light.center_hz, light.baud_rate_hz
    alpha_per_m = span.loss_db_per_km / 1e3 / (10 * np.log10(np.e))
    effective_m = (1 - np.exp(-alpha_per_m * span.length_m)) / alpha_per_m
    beta2 = _beta2_s2_per_m(frequency_hz, span.dispersion_s_per_m2)
    pair_beta2 = np.abs((beta2[:, None] + beta2[None, :]) / 2)
    distance_hz = frequency_hz[None, :] - frequency_hz[:, None]
    scale = np.pi**2 / alpha_per_m * pair_beta2 * baud_rate_hz[:, None]
    edges = np.arcsinh(scale * (distance_hz + baud_rate_hz[None, :] / 2))
    edges -= np.arcsinh(scale * (distance_hz - baud_rate_hz[None, :] / 2))
    psi = effective_m**2 * alpha_per_m / (2 * np.pi * pair_beta2) * edges / 2
    weight = np.full_like(psi, 32 / 27)
    np.fill_diagonal(weight, 16 / 27)
    density = light.total_w / baud_rate_hz
    gamma = _gamma_per_w_m(frequency_hz, span.effective_area_m2)
    interference: Vector = gamma**2 * ((weight * psi) @ density**2) * light.total_w
    return interference


def _beta2_s2_per_m(frequency_hz: Vector, dispersion_s_per_m2: float) -> Vector:
    # Without a slope, D scales so that beta2 stays constant over the band.
    dispersion = dispersion_s_per_m2 * (frequency_hz / REFERENCE_HZ) ** 2
    return -((LIGHT_SPEED_M_PER_S / frequency_hz) ** 2) * dispersion / (2 * np.pi * LIGHT_SPEED_M_PER_S)


def _gamma_per_w_m(frequency_hz: Vector, effective_area_m2: float) -> Vector:
    """Nonlinear coefficient of a step-index core whose mode fills `effective_area_m2` at 1550 nm."""
    wave = 2 * np.pi * REFERENCE_HZ / LIGHT_SPEED_M_PER_S * CORE_RADIUS_M
    contrast = 0.5 * (np.exp(np.pi * CORE_RADIUS_M**2 / effective_area_m2) / (wave * GROUP_INDEX)) ** 2
    v_number = 2 * np.pi * frequency_hz / LIGHT_SPEED_M_PER_S * CORE_RADIUS_M * GROUP_INDEX * np.sqrt(2 * contrast)
    area_m2 = np.pi * CORE_RADIUS_M**2 / np.log(v_number)
    gamma: Vector = 2 * np.pi * frequency_hz * N2_M2_PER_W / (LIGHT_SPEED_M_PER_S * area_m2)
    return gamma
