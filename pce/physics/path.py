"""Quality of transmission at the end of a path, for every channel of a comb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.domain.errors import InvalidRequest
from pce.core.propagation import ASE, NLI, SPAN, propagate
from pce.physics.comb import Channel, Comb
from pce.physics.decibel import Vector, decibels
from pce.physics.elements import Element
from pce.physics.plan import PathPlan
from pce.physics.scattering import cross_span
from pce.physics.simulation import DEFAULT_PHYSICS, NliModel, Physics

REFERENCE_BANDWIDTH_HZ = 12.5e9  # 0.1 nm at 1550 nm


@dataclass(frozen=True, eq=False)
class PathQot:
    """What arrives: arrays over `plan.comb`, the channels that all amplifiers carry, in rising frequency."""

    plan: PathPlan
    power_w: Vector
    """Per channel, noise included."""
    ratios: Vector
    """(3, N) noise over signal that the line adds, in the channel's own bandwidth: ASE; NLI alone; NLI of the comb."""
    amplifier_gain_db: Vector
    """Left by saturation, in order of `plan.amplifier_names`."""

    @property
    def comb(self) -> Comb:
        return self.plan.comb

    @property
    def plausible(self) -> bool:
        """Whether interference is weaker than the signal, as the model takes it to be."""
        return bool(self.ratios.min() >= 0 and self.ratios.max() < 1e300)

    @cached_property
    def gsnr_0p1nm_db(self) -> Vector:
        """Signal over all noise in 12.5 GHz, with transmitter and add and drop blocks."""
        return -decibels(self._scaled(self.ratios[ASE] + self.ratios[NLI]) + self.plan.end_noise)

    @cached_property
    def osnr_ase_0p1nm_db(self) -> Vector:
        """Signal over ASE in 12.5 GHz, with transmitter and add and drop blocks."""
        return -decibels(self._scaled(self.ratios[ASE]) + self.plan.end_noise)

    @property
    def cd_ps_per_nm(self) -> Vector:
        return self.plan.cd_s_per_m * 1e3

    @property
    def pmd_ps(self) -> Vector:
        return self.plan.pmd_s * 1e12

    @property
    def pdl_db(self) -> Vector:
        return self.plan.pdl_db

    @property
    def latency_ms(self) -> float:
        return self.plan.latency_s * 1e3

    @cached_property
    def penalty_db(self) -> Vector:
        """What the receivers lose to dispersion, PMD and PDL; infinite beyond their tables."""
        return np.array([self._penalty_db(channel, row) for row, channel in enumerate(self.comb.channels)])

    def _penalty_db(self, channel: Channel, row: int) -> float:
        met = {"chromatic_dispersion": self.cd_ps_per_nm, "pmd": self.pmd_ps, "pdl": self.pdl_db}
        return sum(table.at(float(met[impairment][row])) for impairment, table in channel.penalties.items())

    def _scaled(self, noise: Vector) -> Vector:
        return np.asarray(noise * REFERENCE_BANDWIDTH_HZ / self.comb.baud_hz)


def path_qot(elements: Sequence[Element], comb: Comb, physics: Physics = DEFAULT_PHYSICS) -> PathQot:
    """Quality of transmission of `comb` from the first to the last of `elements`. Raises: InvalidRequest."""
    return run(PathPlan.of(elements, comb), physics)


def run(plan: PathPlan, physics: Physics = DEFAULT_PHYSICS) -> PathQot:
    """Propagate a planned path. Raises: InvalidRequest when interference exceeds the signal."""
    qot = propagated(plan, physics)
    if not qot.plausible:
        raise InvalidRequest(
            f"path from {plan.elements[0].uid} to {plan.elements[-1].uid}: interference exceeds the signal; lower the "
            "launch power or the gains before its fibres",
            field="launch_power",
            element=plan.elements[0].uid,
        )
    return qot


def propagated(plan: PathPlan, physics: Physics = DEFAULT_PHYSICS) -> PathQot:
    """As `run`, `plausible` or not."""
    comb = plan.comb
    power, noise = comb.launch_w.copy(), np.zeros((3, comb.size))
    gain_db = plan.amplifiers.gain_db.copy()
    begin = 0
    stops = _stops(plan, physics)
    for stop in (*stops, plan.kind.size):
        propagate(
            plan.kind, plan.row, begin, stop, plan.spans, plan.amplifiers, plan.losses, plan.equalisers,
            comb.frequency_hz, comb.baud_hz, power, noise, gain_db,
        )  # fmt: skip
        if stop < plan.kind.size:
            span = plan.row[stop]
            matrix = plan.spans.matrices[plan.spans.matrix[span]]
            cross_span(plan.fibres[span], comb, physics, matrix, power, noise)
        begin = stop + 1
    return PathQot(plan, power, noise, gain_db)


def _stops(plan: PathPlan, physics: Physics) -> list[int]:
    """Elements that the propagation kernel leaves to `cross_span`."""
    if physics.raman is None and physics.nli is NliModel.GN:
        return []
    return [int(position) for position in np.flatnonzero(plan.kind == SPAN)]
