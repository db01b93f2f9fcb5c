"""A fibre's figures at the channels of a comb, and the matrices that are computed from them once."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from controller.domain.errors import InvalidRequest
from pce.core.interference import gn_matrix
from pce.core.raman import raman_gain
from pce.physics.comb import Comb
from pce.physics.decibel import Vector
from pce.physics.elements import LIGHT_SPEED_M_PER_S, Curve, Fibre, Glass

_NEPER_DB = 10.0 * math.log10(math.e)
_LEAST_DISPERSION_S_PER_M2 = 1e-7  # 0.1 ps/(nm·km)
_CACHED = 512


def at(curve: Curve, frequency_hz: Vector, where: str, field: str) -> Vector:
    """Values of a curve at frequencies. Raises: InvalidRequest outside its table."""
    if not curve.frequencies_hz:
        return np.full(frequency_hz.size, curve.values[0])
    lower, upper = curve.frequencies_hz[0], curve.frequencies_hz[-1]
    if frequency_hz[0] < lower or frequency_hz[-1] > upper:
        raise InvalidRequest(
            f"{where}: {field} is given for {lower / 1e12:g}-{upper / 1e12:g} THz and the comb takes "
            f"{frequency_hz[0] / 1e12:g}-{frequency_hz[-1] / 1e12:g} THz; widen the table or drop the channels outside",
            element=where,
            field=field,
        )
    return np.asarray(np.interp(frequency_hz, curve.frequencies_hz, curve.values))


def attenuation_per_m(glass: Glass, frequency_hz: Vector) -> Vector:
    """Power attenuation in 1/m."""
    return at(glass.loss_db_per_km, frequency_hz, glass.name, "loss_coef_db_per_km") / 1e3 / _NEPER_DB


def _sloped(glass: Glass, frequency_hz: Vector) -> Vector | None:
    """Dispersion in s/m² where the fibre states how it runs over frequency; None for a single value."""
    stated = at(glass.dispersion_s_per_m2, frequency_hz, glass.name, "dispersion_s_per_m2")
    if glass.dispersion_s_per_m2.frequencies_hz:
        return stated
    if glass.dispersion_slope_s_per_m3 is None:
        return None
    apart_m = LIGHT_SPEED_M_PER_S / frequency_hz - LIGHT_SPEED_M_PER_S / glass.reference_hz
    return np.asarray(stated + glass.dispersion_slope_s_per_m3 * apart_m)


def accumulated_s_per_m(fibre: Fibre, frequency_hz: Vector) -> Vector:
    """Chromatic dispersion of a span; a single value is taken for the whole band."""
    sloped = _sloped(fibre.glass, frequency_hz)
    constant = fibre.glass.dispersion_s_per_m2.values[0]
    return (np.full(frequency_hz.size, constant) if sloped is None else sloped) * fibre.length_m


def beta2_s2_per_m(glass: Glass, frequency_hz: Vector) -> Vector:
    """Group-velocity dispersion -λ²·D/(2πc); a single value of D grows with the square of the frequency.

    Raises: InvalidRequest where the dispersion comes too near to zero for the GN model's closed form.
    """
    dispersion = _sloped(glass, frequency_hz)
    if dispersion is None:
        constant = glass.dispersion_s_per_m2.values[0]
        dispersion = np.asarray(constant * (frequency_hz / glass.reference_hz) ** 2)
    if np.min(np.abs(dispersion)) < _LEAST_DISPERSION_S_PER_M2 or np.ptp(np.sign(dispersion)):
        raise InvalidRequest(
            f"fibre {glass.name}: its dispersion passes below 0.1 ps/(nm·km) inside the band, where the closed form of "
            "the GN model does not hold; correct dispersion or its slope",
            element=glass.name,
            field="dispersion_s_per_m2",
        )
    return np.asarray(-LIGHT_SPEED_M_PER_S * dispersion / (2 * math.pi * frequency_hz**2))


def effective_area_m2(glass: Glass, frequency_hz: Vector) -> Vector:
    """Effective area πr²/ln V of a step-index core, V proportional to the frequency."""
    core_m2 = math.pi * glass.core_radius_m**2
    log_v = core_m2 / glass.effective_area_m2 + np.log(frequency_hz / glass.reference_hz)
    return np.asarray(core_m2 / log_v)


def gamma_per_w_m(glass: Glass, frequency_hz: Vector) -> Vector:
    """Nonlinear coefficient 2πf·n2/(c·Aeff)."""
    area = effective_area_m2(glass, frequency_hz)
    return np.asarray(2 * math.pi * frequency_hz * glass.kerr_m2_per_w / (LIGHT_SPEED_M_PER_S * area))


def lumped_ratio(fibre: Fibre) -> float:
    """Transmission of the losses inside a span."""
    return float(10.0 ** (-sum(loss.loss_db for loss in fibre.lumped) / 10.0))


def interference_matrix(comb: Comb, glass: Glass, length_m: float) -> Vector:
    """`gn_matrix` of a span; lumped losses do not enter. Cached per grid, glass and length."""
    return _interference_matrix(comb.grid, glass, length_m)


@lru_cache(maxsize=_CACHED)
def _interference_matrix(grid: tuple[bytes, bytes], glass: Glass, length_m: float) -> Vector:
    frequency_hz, baud_hz = (np.frombuffer(column).copy() for column in grid)
    matrix: Vector = gn_matrix(
        frequency_hz,
        baud_hz,
        attenuation_per_m(glass, frequency_hz),
        beta2_s2_per_m(glass, frequency_hz),
        gamma_per_w_m(glass, frequency_hz),
        length_m,
    )
    return matrix


def forget_matrices() -> None:
    """Empty the cache, as at the start of a process."""
    _interference_matrix.cache_clear()


class RamanTable:
    """Raman gain of a fibre's glass: gain times effective area, normalised to a pump's frequency."""

    def __init__(self, offset_hz: Vector, gamma_m_per_w: Vector, reference_hz: float) -> None:
        self.offset_hz = offset_hz
        self.efficiency = gamma_m_per_w / reference_hz

    def matrix(self, comb: Comb, glass: Glass) -> Vector:
        """`raman_gain` of a comb; cached per comb and glass."""
        return _raman_matrix(self, comb, glass)


@lru_cache(maxsize=64)
def _raman_matrix(table: RamanTable, comb: Comb, glass: Glass) -> Vector:
    area = effective_area_m2(glass, comb.frequency_hz)
    matrix: Vector = raman_gain(comb.frequency_hz, area, table.offset_hz, table.efficiency)
    return matrix
