"""Stimulated Raman scattering: how channels of higher frequency give power to those of lower frequency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

MAX_ORDER = 4


@njit(nogil=True, cache=True)
def raman_gain(frequency: Any, area: Any, offset: Any, efficiency: Any) -> Any:
    """Gain coefficient that channel i has from channel j, gain[j, i] in 1/(W·m); below 0 where i gives to j.

    frequency, area    : (N,) float64   Hz; effective area at it, m²
    offset, efficiency : (K,) float64   Hz rising from 0; gain times effective area over the pump's frequency, m/(W·Hz);
                                        the last value holds beyond the table

    C_ij = g(f_j - f_i)·f_j / mean area; where j has the lower frequency it is below 0 and times f_i/f_j, so that one
    channel loses what the other gains. Source: D'Amico et al., JLT 40(11) 3499, 2022, sec. III.
    """
    channels = frequency.size
    gain = np.zeros((channels, channels))
    for donor in range(channels):
        for other in range(channels):
            apart = frequency[donor] - frequency[other]
            strength = np.interp(abs(apart), offset, efficiency) * frequency[donor]
            strength /= (area[donor] + area[other]) / 2.0
            if apart < 0.0:
                strength *= -frequency[other] / frequency[donor]
            gain[donor, other] = strength
    return gain


@njit(nogil=True, cache=True)
def _weighted(gain: Any, weight: Any, out: Any) -> None:
    """out[i] = Σ_j gain[j, i]·weight[j]."""
    out[:] = 0.0
    for donor in range(weight.size):
        for other in range(weight.size):
            out[other] += gain[donor, other] * weight[donor]


@njit(nogil=True, cache=True)
def _source(order: int, terms: Any, place: int, channel: int) -> float:
    """Integrand of the next order's term, but for the attenuation: what the terms found so far say of the power."""
    first = terms[0, place, channel]
    if order == 2:
        return float(first)
    second = terms[1, place, channel]
    if order == 3:
        return float(second + first * first / 2.0)
    return float(terms[2, place, channel] + first * second + first**3 / 6.0)


@njit(nogil=True, cache=True)
def _exponent(start: Any, attenuation: Any, gain: Any, z: Any, order: int) -> Any:
    """Logarithm of P(z)/P(0), (Z, N), in a piece without lumped losses that begins at z[0] = 0 with `start` W."""
    places, channels = z.size, start.size
    terms = np.zeros((MAX_ORDER, places, channels))
    exponent = np.empty((places, channels))
    weight = np.empty(channels)
    for place in range(places):
        for channel in range(channels):
            effective = (1.0 - math.exp(-attenuation[channel] * z[place])) / attenuation[channel]
            weight[channel] = start[channel] * effective
        _weighted(gain, weight, terms[0, place])
    for term in range(2, order + 1):
        integral = np.zeros(channels)
        for place in range(1, places):
            step = (z[place] - z[place - 1]) / 2.0
            for channel in range(channels):
                before = math.exp(-attenuation[channel] * z[place - 1]) * _source(term, terms, place - 1, channel)
                here = math.exp(-attenuation[channel] * z[place]) * _source(term, terms, place, channel)
                integral[channel] += (before + here) * step
                weight[channel] = start[channel] * integral[channel]
            _weighted(gain, weight, terms[term - 1, place])
    for place in range(places):
        for channel in range(channels):
            total = -attenuation[channel] * z[place]
            for term in range(order):
                total += terms[term, place, channel]
            exponent[place, channel] = total
    return exponent


@njit(nogil=True, cache=True)
def raman_transmission(power: Any, attenuation: Any, gain: Any, z: Any, lumped: Any, order: int) -> Any:
    """Power of each channel along the fibre over its power at the input, (Z, N).

    power       : (N,) float64    W at the fibre's input; attenuation : (N,) float64  1/m
    gain        : (N, N) float64  as `raman_gain` makes it
    z, lumped   : (Z,) float64    positions in m from 0 to the end; transmission of a loss there, 1 where there is none
    order       : int             1 to 4: terms of the perturbative solution; 0: forward Euler on the equations

    At the place of a lumped loss the value is that before it; each piece between losses starts anew. Order 1:
    G1_i(z) = Σ_j C_ij P_j Leff_j(z); order n: Σ_j C_ij P_j ∫exp(-α_j u)·S_n(u)du by trapezoids on z, with S_2 = G1,
    S_3 = G2 + G1²/2, S_4 = G3 + G1·G2 + G1³/6; P_i(z) = P_i·exp(-α_i z + ΣG). Source: D'Amico et al., JLT 40(11) 3499,
    2022, sec. III.D. Cost order·Z·N².
    """
    places, channels = z.size, power.size
    along = np.ones((places, channels))
    if order == 0:
        change = np.empty(channels)
        for place in range(1, places):
            before = along[place - 1] * power
            _weighted(gain, before, change)
            step = z[place] - z[place - 1]
            along[place] = along[place - 1] * (1.0 + (change - attenuation) * step) * lumped[place - 1]
        return along
    start = power.copy()
    first = 0
    while first < places - 1:
        last = first + 1
        while last < places - 1 and lumped[last] == 1.0:
            last += 1
        exponent = _exponent(start, attenuation, gain, z[first : last + 1] - z[first], order)
        for place in range(first + 1, last + 1):
            along[place] = start / power * np.exp(exponent[place - first])
        start = start * np.exp(exponent[last - first]) * lumped[last]
        first = last
    return along
