"""Amplifiers: gain under saturation, gain over frequency, noise figure, amplified spontaneous emission.

Makers state noise figures and dynamic gain tilt as functions of decibels, so these are the one place where a kernel
works in decibels.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import njit

PLANCK_J_S = 6.62607015e-34  # exact, SI 2019

FIXED = 0
TWO_COILS = 1
POLYNOMIAL = 2
OSNR_POLYNOMIAL = 3
OSNR_MASK = 4
NOISELESS = 5
COEFFICIENTS = 8

_OSNR_TO_NOISE_DB = 58.0
"""-10·log10(h·f·12.5 GHz / 1 mW) in the C band, rounded as in the OpenROADM MSA optical specification."""
FLAT_DB = 0.05
"""Gain that varies less than this over the band is taken as flat in power (di Muro's correction is not applied)."""
_EXACT_DB = 1e-11


class Amplifiers(NamedTuple):
    """Amplifiers of a path, one row per amplifier and band; several may share a row of the tables over frequency."""

    entry: Any
    """(A,) float64 transmission of the input attenuator."""
    leave: Any
    """(A,) float64 transmission of the output attenuator."""
    gain_db: Any
    """(A,) float64 gain asked for."""
    max_power_w: Any
    """(A,) float64 total output power."""
    first: Any
    """(A,) int32 first channel of the band."""
    last: Any
    """(A,) int32 channel after the band's last."""
    stages: Any
    """(A,) int32 1, or 2 for a preamplifier and a booster in one case."""
    preamp_gain_db: Any
    """(A,) float64 gain of the first of two stages."""
    model: Any
    """(A, 2) int32 noise model of each stage: FIXED …"""
    least_gain_db: Any
    """(A, 2) float64 below it the stage is padded."""
    flat_gain_db: Any
    """(A, 2) float64 gain at which the stage is flat."""
    coefficients: Any
    """(A, 2, COEFFICIENTS) float64 of the noise model; polynomials highest order first, right-aligned."""
    slot_scale_db: Any
    """(A,) float64 50 GHz over the slot width of the comb."""
    profile: Any
    """(A,) int32 row in the tables below."""
    noise_ripple: Any
    """(T, N) float64 ratio on the noise figure."""
    shape: Any
    """(T, N) float64 ratio: gain over frequency, mean 1 over the band."""
    spread_db: Any
    """(T,) float64 largest less smallest value of the shape."""
    tilt: Any
    """(T, N) float64 dB dynamic gain tilt."""


@njit(nogil=True, cache=True)
def _polynomial(coefficients: Any, x: float) -> float:
    """Value of a polynomial given highest order first."""
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


@njit(nogil=True, cache=True)
def stage_noise_db(
    model: int, least_db: float, flat_db: float, coefficients: Any, gain_db: float, channel_dbm: float
) -> float:
    """Noise figure in dB of one stage at `gain_db`; -inf for a stage without noise.

    channel_dbm : mean input power per 50 GHz of the comb, for the OpenROADM models

    Below its least gain a stage is padded, which worsens the noise figure by the pad. TWO_COILS: nf1 + nf2/g1 with the
    loss between the coils taken off g1 (coefficients nf1, nf2, loss in dB). POLYNOMIAL: of the gain missing to flat.
    OSNR models: the OpenROADM MSA optical specifications, versions 4 and 5, state the OSNR that an amplifier leaves
    over its input power.
    """
    if model == NOISELESS:
        return -math.inf
    pad_db = max(least_db - gain_db, 0.0)
    padded_db = gain_db + pad_db
    missing_db = max(flat_db - padded_db, 0.0)
    if model == TWO_COILS:
        first = 10.0 ** ((padded_db - coefficients[2] - missing_db) / 10.0)
        total = 10.0 ** (coefficients[0] / 10.0) + 10.0 ** (coefficients[1] / 10.0) / first
        return float(10.0 * math.log10(total) + pad_db)
    if model == POLYNOMIAL:
        return float(_polynomial(coefficients, -missing_db) + pad_db)
    if model == OSNR_POLYNOMIAL:
        return float(channel_dbm - _polynomial(coefficients, channel_dbm) + _OSNR_TO_NOISE_DB + pad_db)
    if model == OSNR_MASK:
        return float(channel_dbm - min((4.0 * channel_dbm + 275.0) / 7.0, 33.0) + _OSNR_TO_NOISE_DB + pad_db)
    return float(coefficients[0] + pad_db)


@njit(nogil=True, cache=True)
def noise_factor(amplifiers: Any, row: int, gain_db: float, power_w: float) -> float:
    """Noise figure as a ratio, but for its ripple, at `gain_db` and a total input power of `power_w`.

    Two stages: NF1 + NF2/g1, the first at its own gain, the second at what is left.
    """
    channels = amplifiers.last[row] - amplifiers.first[row]
    channel_dbm = 10.0 * math.log10(power_w * 1e3 / channels) + amplifiers.slot_scale_db[row]
    total = 0.0
    stage_gain_db = gain_db
    for stage in range(amplifiers.stages[row]):
        before_db = amplifiers.preamp_gain_db[row] if stage == 1 else 0.0
        if amplifiers.stages[row] == 2:
            stage_gain_db = gain_db - before_db if stage == 1 else amplifiers.preamp_gain_db[row]
        figure_db = stage_noise_db(
            amplifiers.model[row, stage],
            amplifiers.least_gain_db[row, stage],
            amplifiers.flat_gain_db[row, stage],
            amplifiers.coefficients[row, stage],
            stage_gain_db,
            channel_dbm,
        )
        total += 10.0 ** ((figure_db - before_db) / 10.0)
    return total


@njit(nogil=True, cache=True)
def _mean_gain_db(shape: Any, tilt: Any, power: Any, first: int, last: int, scale: float) -> float:
    """Gain in total power of a shape bent by `scale` times the dynamic tilt."""
    amplified, total = 0.0, 0.0
    for channel in range(first, last):
        amplified += power[channel] * shape[channel] * 10.0 ** (tilt[channel] * scale / 10.0)
        total += power[channel]
    return float(10.0 * math.log10(amplified / total))


@njit(nogil=True, cache=True)
def _bend(shape: Any, tilt: Any, power: Any, first: int, last: int, spread_db: float) -> float:
    """How much of the dynamic tilt to add so that the gain in total power comes out as set.

    One secant step on either side of the first guess; di Muro, JLT 18(3) 343, 2000.
    """
    guess = -_mean_gain_db(shape, tilt, power, first, last, 0.0)
    middle = _mean_gain_db(shape, tilt, power, first, last, guess)
    if abs(middle) <= _EXACT_DB:
        return guess
    if middle > 0.0:
        other = _mean_gain_db(shape, tilt, power, first, last, guess - spread_db)
        step = -spread_db
    else:
        other = _mean_gain_db(shape, tilt, power, first, last, guess + spread_db)
        step = spread_db
    # Without any dynamic tilt nothing can be bent.
    return guess if other == middle else float(guess - middle * step / (other - middle))


@njit(nogil=True, cache=True)
def amplify(amplifiers: Any, row: int, frequency: Any, baud: Any, power: Any, ratios: Any) -> float:
    """Pass the band's channels through amplifier `row`; `power` (N,) W and `ratios` (3, N) change in place.

    ratios : noise over signal as in `pce.core.propagation`. ASE h·f·R·F enters before the gain (both polarisations are
    in the definition of the noise figure), in the channel's own bandwidth R. The gain falls so that the total output
    does not exceed `max_power_w`. Returns the gain in dB that was left. Cost O(N), with 4·N powers when the gain is not
    flat.
    """
    first, last = amplifiers.first[row], amplifiers.last[row]
    profile = amplifiers.profile[row]
    total = 0.0
    for channel in range(first, last):
        power[channel] *= amplifiers.entry[row]
        total += power[channel]
    gain_db = min(amplifiers.gain_db[row], 10.0 * math.log10(amplifiers.max_power_w[row] / total))
    factor = noise_factor(amplifiers, row, gain_db, total)
    shape, tilt = amplifiers.shape[profile], amplifiers.tilt[profile]
    bend = 0.0
    spread_db = amplifiers.spread_db[profile]
    if spread_db > FLAT_DB and last - first > 1:
        bend = _bend(shape, tilt, power, first, last, spread_db)
    gain = 10.0 ** (gain_db / 10.0) * amplifiers.leave[row]
    for channel in range(first, last):
        ripple = amplifiers.noise_ripple[profile, channel]
        added = PLANCK_J_S * frequency[channel] * baud[channel] * factor * ripple
        signal = power[channel] / (1.0 + ratios[0, channel] + ratios[2, channel])
        ratios[0, channel] += added / signal
        bent = shape[channel] if bend == 0.0 else shape[channel] * 10.0 ** (tilt[channel] * bend / 10.0)
        power[channel] = (power[channel] + added) * gain * bent
    return float(gain_db)
