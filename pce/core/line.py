"""Noise that one line adds: ASE of its amplifiers and nonlinear interference of its fibres (GN model)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

SPAN = 0
AMPLIFIER = 1
LOSS = 2
_PLANCK_J_S = 6.62607015e-34  # exact, SI 2019


@njit(nogil=True, cache=True)
def _interference(
    index: int, frequency: Any, baud: Any, power: Any, attenuation: Any, length: float, beta2: Any, gamma: Any
) -> Any:
    """NLI power of channel `index` over its own power after one span, (alone, all lit).

    Incoherent GN model in closed form, eq. 120-123 of Poggiolini et al., arXiv:1209.0394; arguments as in `line_noise`.
    """
    alone = 0.0
    everything = 0.0
    for other in range(frequency.size):
        effective = (1.0 - math.exp(-attenuation[other] * length)) / attenuation[other]
        asymptotic = 1.0 / attenuation[other]
        dispersion = abs(beta2[index] + beta2[other]) / 2.0
        scale = math.pi**2 * asymptotic * dispersion * baud[index]
        apart = frequency[other] - frequency[index]
        upper = math.asinh(scale * (apart + baud[other] / 2.0))
        lower = math.asinh(scale * (apart - baud[other] / 2.0))
        overlap = effective**2 * (upper - lower) / (4.0 * math.pi * dispersion * asymptotic)
        weight = 16.0 / 27.0 if other == index else 32.0 / 27.0
        density = power[other] / baud[other]
        share = weight * gamma[index] ** 2 * density**2 * overlap
        everything += share
        if other == index:
            alone = share
    return alone, everything


@njit(nogil=True, cache=True)
def line_noise(
    kind: Any,
    entry: Any,
    leave: Any,
    length: Any,
    attenuation: Any,
    beta2: Any,
    gamma: Any,
    gain: Any,
    noise_factor: Any,
    max_power: Any,
    frequency: Any,
    baud: Any,
    launch: Any,
) -> Any:
    """Noise-to-signal ratios at the end of a line for a comb that enters it without noise.

    kind         : (E,) uint8      SPAN, AMPLIFIER or LOSS, in order of travel
    entry        : (E,) float64    transmission before the fibre or amplifier: connectors, pads, input attenuator
    leave        : (E, N) float64  transmission after entry: fibre and connector, output attenuator, or the loss
    length       : (E,) float64    m, spans
    attenuation  : (E, N) float64  1/m, power, spans
    beta2        : (E, N) float64  s²/m, not 0, spans
    gamma        : (E, N) float64  1/(W·m), spans
    gain         : (E,) float64    ratio asked of the amplifier; less when its output would exceed `max_power`
    noise_factor : (E,) float64    ratio
    max_power    : (E,) float64    W, total output
    frequency, baud, launch : (N,) float64   Hz rising, Bd, W per channel at the line's head

    Returns (3, N) float64, each in the channel's own bandwidth `baud`: ASE; NLI of the channel alone; NLI of the comb.
    NLI is taken out of the channel, so a channel's power stays what it was. Cost O(E·N²).
    """
    power = launch.copy()
    ratios = np.zeros((3, frequency.size))
    for element in range(kind.size):
        power *= entry[element]
        if kind[element] == SPAN:
            for index in range(frequency.size):
                alone, everything = _interference(
                    index, frequency, baud, power, attenuation[element], length[element], beta2[element], gamma[element]
                )
                # What is left for the signal is 1/(1 + noise ratios) of the power; interference takes its share.
                ase = ratios[0, index]
                ratios[1, index] += alone * (1.0 + ase + ratios[1, index]) / (1.0 - alone)
                ratios[2, index] += everything * (1.0 + ase + ratios[2, index]) / (1.0 - everything)
        elif kind[element] == AMPLIFIER:
            effective = min(gain[element], max_power[element] / np.sum(power))
            for index in range(frequency.size):
                added = _PLANCK_J_S * frequency[index] * baud[index] * noise_factor[element]
                signal = power[index] / (1.0 + ratios[0, index] + ratios[2, index])
                ratios[0, index] += added / signal
                power[index] = (power[index] + added) * effective
        power *= leave[element]
    return ratios
