"""Nonlinear interference with the power profile that Raman scattering makes: the generalised GN model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_FINE = 0.01
"""Step of the efficiency's table in radians over the whole fibre: linear interpolation is right to 1e-5."""


@njit(nogil=True, cache=True)
def mixing_efficiency(mismatch: float, profile: Any, z: Any, attenuation: float) -> float:
    """|∫ρ²(z)·exp(i·mismatch·z)dz|² in m², of a channel's power profile.

    mismatch    : rad/m   phase mismatch of the mixing product
    profile     : (Z,) float64  power over that at the input, with exp(-attenuation·z) taken out; linear between z (m)
    attenuation : 1/m, not 0

    With w = i·mismatch - attenuation the integral of a piecewise straight line times exp(w·z) is exact:
    [ρ·exp(w·z)]/w - Σ slope·(exp(w·z') - exp(w·z))/w². Source: Cantono et al., arXiv:1710.02225, eq. 21.
    """
    w = complex(-attenuation, mismatch)
    step = -1.0
    growth = complex(1.0, 0.0)
    here = np.exp(w * z[0])
    total = -profile[0] * here / w
    for place in range(z.size - 1):
        width = z[place + 1] - z[place]
        if width != step:
            step, growth = width, np.exp(w * width)
        there = here * growth
        total -= (profile[place + 1] - profile[place]) / width * (there - here) / (w * w)
        here = there
    total += profile[-1] * here / w
    return float(total.real * total.real + total.imag * total.imag)


@njit(nogil=True, cache=True)
def _raised_cosine(apart: float, baud: float, roll_off: float) -> float:
    """Spectrum of a channel over its peak, `apart` Hz off its centre."""
    distance = abs(apart)
    flat = (1.0 - roll_off) * baud / 2.0
    if distance <= flat:
        return 1.0
    if distance < (1.0 + roll_off) * baud / 2.0:
        return 0.5 * (1.0 + math.cos(math.pi / (roll_off * baud) * (distance - flat)))
    return 0.0


@njit(nogil=True, cache=True)
def _mismatch(one: float, two: float, beta2: float, beta3: float) -> float:
    """Phase mismatch in rad/m of frequencies `one` and `two` Hz off the channel's centre."""
    return 4.0 * math.pi**2 * one * two * (beta2 + math.pi * beta3 * (one + two))


@njit(nogil=True, cache=True)
def _table(most: float, profile: Any, z: Any, attenuation: float) -> Any:
    """Mixing efficiency at mismatches 0, s, 2s … beyond `most`, and 1/s. It is even in the mismatch."""
    step = _FINE / z[-1]
    table = np.empty(int(most / step) + 2)
    for row in range(table.size):
        table[row] = mixing_efficiency(row * step, profile, z, attenuation)
    return table, 1.0 / step


@njit(nogil=True, cache=True)
def _points(width: float, step: float) -> int:
    """Number of points at 0, step, 2·step … below `width`."""
    return math.ceil(width / step)


@njit(nogil=True, cache=True)
def both_bands(apart: float, cut: Any, pump: Any, steps: Any, beta2: float, beta3: float, profile: Any, z: Any) -> Any:
    """ψ of a pump near the channel, or the channel itself: integral over both bands by trapezoids.

    apart     : Hz        pump's centre less the channel's
    cut, pump : (baud in Bd, roll-off); the pump's third entry is its attenuation in 1/m
    steps     : (Hz, Hz)  of the integral over the channel's and over the pump's band
    beta2, beta3 : s²/m, s³/m at the channel; profile, z as in `mixing_efficiency`
    """
    cut_half, pump_half = cut[0] * (1.0 + cut[1]) / 2.0, pump[0] * (1.0 + pump[1]) / 2.0
    rows, columns = _points(2.0 * pump_half, steps[1]), _points(2.0 * cut_half, steps[0])
    farthest = abs(apart) + pump_half
    most = abs(_mismatch(farthest, cut_half, abs(beta2), 0.0)) + abs(
        4.0 * math.pi**3 * beta3 * farthest * cut_half * (farthest + cut_half)
    )
    table, per_step = _table(most, profile, z, pump[2])
    shape = np.empty(columns)
    for column in range(columns):
        shape[column] = _raised_cosine(column * steps[0] - cut_half, cut[0], cut[1])
    total = 0.0
    for row in range(rows):
        within = row * steps[1] - pump_half
        outer = _raised_cosine(within, pump[0], pump[1])
        if outer == 0.0:
            continue
        inner = 0.0
        for column in range(columns):
            two = column * steps[0] - cut_half
            third = _raised_cosine(within + two, pump[0], pump[1])
            position = abs(_mismatch(apart + within, two, beta2, beta3)) * per_step
            low = int(position)
            value = shape[column] * third * (table[low] + (position - low) * (table[low + 1] - table[low]))
            inner += value / 2.0 if column == 0 or column == columns - 1 else value
        total += (inner / 2.0 if row == 0 or row == rows - 1 else inner) * outer
    return total * steps[0] * steps[1]


@njit(nogil=True, cache=True)
def band_edges(apart: float, cut: Any, pump: Any, step: float, beta2: float, beta3: float, profile: Any, z: Any) -> Any:
    """ψ of a pump far from the channel: integral over the channel's band at the two edges of the pump's.

    Arguments as in `both_bands`, `step` in Hz over the channel's band.
    """
    cut_half, pump_half = cut[0] * (1.0 + cut[1]) / 2.0, pump[0] * (1.0 + pump[1]) / 2.0
    points = _points(cut_half, step)
    total = 0.0
    for side in (-1.0, 1.0):
        edge = apart + side * pump_half
        for point in range(points):
            two = point * step
            value = mixing_efficiency(_mismatch(edge, two, beta2, beta3), profile, z, pump[2])
            total += value / 2.0 if point == 0 or point == points - 1 else value
    # The integrand is even over the channel's band, and the two edges are averaged: 2/2.
    return total * step * pump[0]


@njit(nogil=True, cache=True)
def separated_psi(
    cuts: Any, frequency: Any, baud: Any, roll_off: Any, attenuation: Any, beta2: Any, beta3: Any, along: Any, z: Any,
    reach: Any, finest: Any,
) -> Any:  # fmt: skip
    """ψ of the spectrally separated generalised GN model, (C, N), for each chosen channel and each pump.

    cuts                      : (C,) int64    positions of the chosen channels
    frequency, baud, roll_off : (N,) float64  Hz, Bd, 1
    attenuation, beta2, beta3 : (N,) float64  1/m; s²/m; s³/m, that of a chosen channel holds for all its pumps
    along, z                  : (Z, N), (Z,)  power over that at the input; m
    reach                     : (C, N) Hz     pumps within it are integrated over both bands
    finest                    : (C, N) Hz     step of both integrals; over the channel's band it shrinks with the number
                                              of channels in between

    Source: Cantono et al., arXiv:1710.02225, eq. 21. Cost: seconds for 96 channels.
    """
    psi = np.empty((cuts.size, frequency.size))
    for row in range(cuts.size):
        channel = cuts[row]
        cut = (baud[channel], roll_off[channel])
        for other in range(frequency.size):
            profile = along[:, other] * np.exp(attenuation[other] * z)
            apart = frequency[other] - frequency[channel]
            pump = (baud[other], roll_off[other], attenuation[other])
            step = finest[row, other] / (1.0 + abs(other - channel))
            if other == channel or abs(apart) <= reach[row, other]:
                steps = (step, finest[row, other])
                psi[row, other] = both_bands(apart, cut, pump, steps, beta2[channel], beta3[channel], profile, z)
            else:
                psi[row, other] = band_edges(apart, cut, pump, step, beta2[channel], beta3[channel], profile, z)
    return psi


@njit(nogil=True, cache=True)
def approximate_psi(
    cuts: Any, frequency: Any, baud: Any, roll_off: Any, attenuation: Any, beta2: Any, along: Any, z: Any, finest: Any
) -> Any:
    """ψ in closed form for pumps and by integration for the channel itself, (C, N); arguments as in `separated_psi`.

    finest : (N,) Hz   step of both integrals for the channel itself, which takes no β3

    ψ_ij = R_j/(4π·|β2·(f_j - f_i)|)·[Σ_m sign(k_jm)·|ΔL_jm|/√|k_jm|]², k_jm the logarithmic slope of pump j's profile
    L_j in piece m of z. Source: D'Amico et al., JLT 40(11) 3499, 2022, eq. 24-25.
    """
    channels = frequency.size
    effective = np.zeros(channels)
    for pump in range(channels):
        for place in range(z.size - 1):
            width = z[place + 1] - z[place]
            slope = (math.log(along[place + 1, pump]) - math.log(along[place, pump])) / width
            if slope != 0.0:
                lost = abs(along[place + 1, pump] - along[place, pump]) / math.sqrt(abs(slope))
                effective[pump] += lost if slope > 0.0 else -lost
    psi = np.empty((cuts.size, channels))
    for row in range(cuts.size):
        channel = cuts[row]
        for pump in range(channels):
            if pump == channel:
                profile = along[:, channel] * np.exp(attenuation[channel] * z)
                own = (baud[channel], roll_off[channel], attenuation[channel])
                steps = (finest[channel], finest[channel])
                psi[row, pump] = both_bands(0.0, own[:2], own, steps, beta2[channel], 0.0, profile, z)
            else:
                apart = frequency[pump] - frequency[channel]
                dispersion = abs((beta2[channel] + beta2[pump]) / 2.0 * apart)
                psi[row, pump] = effective[pump] ** 2 * baud[pump] / (4.0 * math.pi * dispersion)
    return psi
