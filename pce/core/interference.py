"""Nonlinear interference of one span without power exchange between channels: the closed form of the GN model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

ALONE = 16.0 / 27.0
"""Weight of a channel's interference on itself; of two channels on each other twice as much."""


@njit(nogil=True, cache=True)
def overlap(
    apart: float, cut_baud: float, pump_baud: float, dispersion: float, pump_attenuation: float, length: float
) -> float:
    """ψ of eq. 123 in Poggiolini et al., arXiv:1209.0394, in m²·Hz-normalised units of that paper.

    apart            : Hz          pump's centre less the channel's
    cut_baud         : Bd          of the channel under test; pump_baud : Bd of the interfering channel
    dispersion       : s²/m        |β2| between the two, not 0
    pump_attenuation : 1/m, length : m
    """
    effective = (1.0 - math.exp(-pump_attenuation * length)) / pump_attenuation
    asymptotic = 1.0 / pump_attenuation
    scale = math.pi**2 * asymptotic * dispersion * cut_baud
    arcs = math.asinh(scale * (apart + pump_baud / 2.0)) - math.asinh(scale * (apart - pump_baud / 2.0))
    return effective**2 * arcs / (4.0 * math.pi * dispersion * asymptotic)


@njit(nogil=True, cache=True)
def gn_matrix(frequency: Any, baud: Any, attenuation: Any, beta2: Any, gamma: Any, length: float) -> Any:
    """What each channel adds to each other's interference in one span: N_i = P_i·Σ_j matrix[j, i]·P_j².

    frequency, baud : (N,) float64   Hz, Bd
    attenuation     : (N,) float64   1/m, power
    beta2, gamma    : (N,) float64   s²/m, not 0; 1/(W·m)
    length          : m

    Returns (N, N) float64 in 1/W², row = interfering channel j, column = channel i. P is the power at the fibre's
    input after its connector, noise included. Incoherent GN model, eq. 120-123 of Poggiolini et al., arXiv:1209.0394:
    matrix[j, i] = w_ij·γ_i²·ψ_ij / R_j², w = 16/27 for i = j, else 32/27. It depends on the comb and the fibre only, so
    it is computed once and reused. Cost 2·N² asinh.
    """
    channels = frequency.size
    matrix = np.empty((channels, channels))
    for pump in range(channels):
        for cut in range(channels):
            dispersion = abs(beta2[cut] + beta2[pump]) / 2.0
            apart = frequency[pump] - frequency[cut]
            psi = overlap(apart, baud[cut], baud[pump], dispersion, attenuation[pump], length)
            weight = ALONE if cut == pump else 2.0 * ALONE
            matrix[pump, cut] = weight * gamma[cut] ** 2 * psi / baud[pump] ** 2
    return matrix


@njit(nogil=True, cache=True)
def interference(matrix: Any, power: Any) -> Any:
    """Interference over a channel's own power, N_i/P_i, (N,), of a comb of `power` W per channel at a fibre's input.

    `matrix` as `gn_matrix` makes it. Cost N² multiplications, in the order in which memory lies.
    """
    share = np.zeros(power.size)
    for pump in range(power.size):
        squared = power[pump] * power[pump]
        row = matrix[pump]
        for cut in range(power.size):
            share[cut] += row[cut] * squared
    return share


@njit(nogil=True, cache=True)
def add_interference(ratios: Any, alone: Any, everything: Any) -> None:
    """Take interference out of each channel.

    ratios            : (3, N) noise over signal: ASE; NLI of the channel alone; NLI of the comb. Changed in place.
    alone, everything : (N,) interference over the channel's power, of itself and of the comb

    The channel's power stays; signal and ASE lose the same share x, so ASE over signal stays and
    NLI over signal grows by x·(1 + ASE + NLI)/(1 - x), all over signal.
    """
    for cut in range(alone.size):
        before = 1.0 + ratios[0, cut]
        ratios[1, cut] += alone[cut] * (before + ratios[1, cut]) / (1.0 - alone[cut])
        ratios[2, cut] += everything[cut] * (before + ratios[2, cut]) / (1.0 - everything[cut])
