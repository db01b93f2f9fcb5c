"""What a path is made of: fibres, amplifiers, ROADMs, pads, transceivers, with every figure that propagation needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from pce.core import amplifier as kernel
from pce.physics.comb import Band
from pce.physics.decibel import Vector

LIGHT_SPEED_M_PER_S = 299_792_458.0
REFERENCE_HZ = LIGHT_SPEED_M_PER_S / 1550e-9
"""1550 nm, where fibre makers state dispersion."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure over frequency: one value for all, or a table that is straight between points."""

    values: tuple[float, ...]
    frequencies_hz: tuple[float, ...] = ()
    """Rising; empty for a single value."""


@dataclass(frozen=True, slots=True)
class Glass:
    """A kind of fibre: all that matters to interference but the length."""

    loss_db_per_km: Curve
    dispersion_s_per_m2: Curve
    """At `reference_hz` when it is a single value."""
    dispersion_slope_s_per_m3: float | None = None
    effective_area_m2: float = 83e-12
    """At `reference_hz`."""
    reference_hz: float = REFERENCE_HZ
    core_radius_m: float = 4.2e-6
    kerr_m2_per_w: float = 2.6e-20
    name: str = field(default="", compare=False)
    """A span made of it, for messages."""


@dataclass(frozen=True, slots=True)
class LumpedLoss:
    """A splice or patch inside a span."""

    position_m: float
    loss_db: float


@dataclass(frozen=True, slots=True)
class Fibre:
    """One span."""

    uid: str
    glass: Glass
    length_m: float
    connector_in_db: float
    """Connector and pad before the fibre."""
    connector_out_db: float
    latency_s: float
    pmd_s_per_sqrt_m: float = 0.0
    lumped: tuple[LumpedLoss, ...] = ()
    """In order of position, each inside the fibre."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of an amplifier and its noise model, a constant of `pce.core.amplifier`."""

    model: int
    least_gain_db: float
    flat_gain_db: float
    coefficients: tuple[float, ...] = ()

    def padded(self) -> Vector:
        """Coefficients as kernels take them: polynomials lie against the right edge, what is missing is 0."""
        row = np.zeros(kernel.COEFFICIENTS)
        count = len(self.coefficients)
        polynomial = self.model in (kernel.POLYNOMIAL, kernel.OSNR_POLYNOMIAL)
        row[slice(kernel.COEFFICIENTS - count, None) if polynomial else slice(0, count)] = self.coefficients
        return row


@dataclass(frozen=True, slots=True)
class AmplifierType:
    """An amplifier of the equipment library; tables over frequency are evenly spaced over the band."""

    name: str
    stages: tuple[Stage, ...]
    """One, or preamplifier and booster."""
    max_power_dbm: float
    band: Band
    needs_one_slot_width: bool = False
    """The OpenROADM models count power per slot, and so know only combs of one slot width."""
    noise_ripple_db: tuple[float, ...] = (0.0,)
    gain_ripple_db: tuple[float, ...] = (0.0,)
    dynamic_gain_tilt: tuple[float, ...] = ()
    """How gain changes over frequency when all of it changes, in dB per dB; empty when it is not known."""
    pmd_s: float = 0.0
    pdl_db: float = 0.0


@dataclass(frozen=True, slots=True)
class AmplifierSetting:
    """One band of an amplifier, as it is set."""

    kind: AmplifierType
    gain_db: float
    tilt_db: float = 0.0
    in_voa_db: float = 0.0
    out_voa_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Amplifier:
    """An amplifier with one band, or several beside each other."""

    uid: str
    bands: tuple[AmplifierSetting, ...]


class LevelKind(StrEnum):
    """What a ROADM holds constant."""

    CHANNEL_DBM = "dBm per channel"
    BAUD_MW_PER_GHZ = "mW/GHz of symbol rate"
    SLOT_MW_PER_GHZ = "mW/GHz of slot width"


@dataclass(frozen=True, slots=True)
class Level:
    """What a ROADM equalises to."""

    kind: LevelKind
    value: float


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a crossing of a ROADM costs in one frequency range; the range counts by a channel's centre."""

    band: Band | None = None
    pmd_s: float = 0.0
    pdl_db: float = 0.0
    loss_db: float = 0.0
    osnr_0p1nm_db: float | None = None
    """Of the add, drop or express block; counted at the receiver."""


@dataclass(frozen=True, slots=True)
class Roadm:
    """A ROADM; mappings are by the egress neighbour, crossings by (ingress, egress)."""

    uid: str
    level: Level
    per_degree: Mapping[str, Level] = field(default_factory=dict)
    crossings: Mapping[tuple[str, str], tuple[Impairment, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pad:
    """A fused joint or attenuator."""

    uid: str
    loss_db: float


@dataclass(frozen=True, slots=True)
class Transceiver:
    """An end of a path; nothing happens there."""

    uid: str


Element: TypeAlias = Fibre | Amplifier | Roadm | Pad | Transceiver
