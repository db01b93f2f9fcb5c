"""Spans whose power profile is not plain: Raman scattering between channels, and interference computed from it."""

from __future__ import annotations

import math

import numpy as np

from pce.core.generalised import approximate_psi, separated_psi
from pce.core.interference import ALONE, add_interference, interference
from pce.core.raman import raman_transmission
from pce.physics.comb import Comb
from pce.physics.decibel import Positions, Vector, ratio
from pce.physics.elements import Fibre
from pce.physics.fibre import attenuation_per_m, beta2_s2_per_m, gamma_per_w_m
from pce.physics.simulation import NliModel, Physics

_REACH_HZ_PER = 5 * 50e9 * 32e9 * 21.3e-27
"""Pumps nearer than this over |β2|·R are integrated over both bands: five channels of 32 GBd every 50 GHz on G.652."""


def cross_span(fibre: Fibre, comb: Comb, physics: Physics, matrix: Vector, power: Vector, ratios: Vector) -> None:
    """Take a comb through a span, from before the input connector to after the output connector.

    power, ratios : as in `pce.core.propagation`, changed in place; matrix : `gn_matrix` of the span.
    """
    power *= ratio(-fibre.connector_in_db)
    z, along = _profile(fibre, comb, physics, power)
    if physics.nli is NliModel.GN:
        alone, everything = np.diagonal(matrix) * power**2, interference(matrix, power)
    else:
        alone, everything = _generalised(fibre, comb, physics, power, z, along)
    add_interference(ratios, alone, everything)
    power *= along[-1] * ratio(-fibre.connector_out_db)


def _grid(fibre: Fibre, step_m: float) -> Vector:
    """Positions every `step_m` and at the ends and lumped losses."""
    places = [loss.position_m for loss in fibre.lumped]
    return np.unique(np.concatenate([np.arange(0.0, fibre.length_m, step_m), places, [fibre.length_m]]))


def _profile(fibre: Fibre, comb: Comb, physics: Physics, power: Vector) -> tuple[Vector, Vector]:
    """Positions (Z,), and power there over that at the input (Z, N)."""
    attenuation = attenuation_per_m(fibre.glass, comb.frequency_hz)
    if physics.raman is None:
        z = _grid(fibre, fibre.length_m)
        passed = np.cumprod(_lumped(fibre, z))
        return z, np.exp(-np.outer(z, attenuation)) * passed[:, None]
    z = _grid(fibre, physics.solver_step_m)
    gain = physics.raman.matrix(comb, fibre.glass)
    along = raman_transmission(power, attenuation, gain, z, _lumped(fibre, z), physics.raman_order)
    wanted = _grid(fibre, physics.result_step_m)
    if wanted.size == z.size and np.array_equal(wanted, z):
        return z, along
    return wanted, np.array([np.interp(wanted, z, column) for column in along.T]).T.copy()


def _lumped(fibre: Fibre, z: Vector) -> Vector:
    """Transmission of the loss at each position, 1 where there is none."""
    passed = np.ones(z.size)
    for loss in fibre.lumped:
        passed[np.searchsorted(z, loss.position_m)] *= ratio(-loss.loss_db)
    return passed


def _generalised(
    fibre: Fibre, comb: Comb, physics: Physics, power: Vector, z: Vector, along: Vector
) -> tuple[Vector, Vector]:
    """Interference over power, of the channel alone and of the comb, by a generalised GN model."""
    hz, baud = comb.frequency_hz, comb.baud_hz
    attenuation, beta2 = attenuation_per_m(fibre.glass, hz), beta2_s2_per_m(fibre.glass, hz)
    cuts = physics.cuts(comb.size)
    # As fine as loss and phase along the fibre ask, in the mismatch 4π²·f1·f2·β2.
    finest = np.minimum(
        physics.dispersion_tolerance * attenuation, physics.phase_shift_tolerance_rad / physics.result_step_m
    ) / (4 * math.pi**2 * comb.slot_hz.max())
    if physics.nli is NliModel.GENERALISED_APPROXIMATE:
        steps = finest / np.abs(beta2).max()
        psi = approximate_psi(cuts, hz, baud, comb.roll_off, attenuation, beta2, along, z, steps)
    else:
        dispersion = np.abs(beta2[cuts])[:, None]
        reach = _REACH_HZ_PER / (dispersion * baud)
        steps = finest / dispersion
        beta3 = _beta3(hz, beta2, cuts)
        psi = separated_psi(cuts, hz, baud, comb.roll_off, attenuation, beta2, beta3, along, z, reach, steps)
    own = cuts[:, None] == np.arange(comb.size)
    gamma = gamma_per_w_m(fibre.glass, hz[cuts])[:, None]
    density = np.where(own, ALONE, 2 * ALONE) * gamma**2 * psi * (power / baud) ** 2
    density *= (power[cuts] / baud[cuts])[:, None]
    # Interference is white over a channel; between computed channels its density runs straight.
    shares = [np.interp(hz, hz[cuts], part) * baud / power for part in (density[own], density.sum(axis=1))]
    return shares[0], shares[1]


def _beta3(hz: Vector, beta2: Vector, cuts: Positions) -> Vector:
    """Dispersion's slope β3 at the computed channels, of a parabola through β2 of the comb; 0 elsewhere."""
    beta3 = np.zeros(hz.size)
    degree = min(2, hz.size - 1)
    for cut in cuts:
        if degree:
            fitted = np.polyfit((hz - hz[cut]) / 1e12, beta2, degree)
            beta3[cut] = fitted[-2] / 1e12 / (2 * math.pi)
    return beta3
