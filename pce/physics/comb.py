"""A comb: the channels that are lit together, with what their transmitters and receivers say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from controller.domain.errors import InvalidRequest
from pce.gnpy_json import fault
from pce.physics.decibel import Vector, ratios

Band = tuple[float, float]
"""Lower and upper edge in Hz."""


@dataclass(frozen=True, slots=True)
class PenaltyTable:
    """Receiver penalty in dB over an impairment, straight between points, infinite outside them."""

    up_to: tuple[float, ...]
    penalty_db: tuple[float, ...]

    @classmethod
    def of(cls, up_to: Sequence[float], penalty_db: Sequence[float]) -> PenaltyTable:
        """Points in rising order; when all lie above 0, no impairment costs nothing."""
        points = sorted(zip(up_to, penalty_db, strict=True))
        if points and points[0][0] > 0:
            points.insert(0, (0.0, 0.0))
        return cls(tuple(at for at, _ in points), tuple(penalty for _, penalty in points))

    def at(self, impairment: float) -> float:
        return float(np.interp(impairment, self.up_to, self.penalty_db, left=np.inf, right=np.inf))


@dataclass(frozen=True, slots=True)
class Channel:
    """One media channel with its signal."""

    frequency_hz: float
    baud_hz: float
    slot_hz: float
    roll_off: float = 0.15
    launch_dbm: float = 0.0
    delta_power_db: float = 0.0
    """Offset to what ROADMs equalise to."""
    tx_osnr_0p1nm_db: float = 40.0
    required_osnr_0p1nm_db: float | None = None
    penalties: Mapping[str, PenaltyTable] = field(default_factory=dict)
    """By impairment: chromatic_dispersion in ps/nm, pmd in ps, pdl in dB."""


@dataclass(frozen=True, eq=False, slots=True)
class Comb:
    """Channels in rising order of frequency, as arrays."""

    channels: tuple[Channel, ...]
    frequency_hz: Vector
    baud_hz: Vector
    slot_hz: Vector
    roll_off: Vector
    launch_w: Vector
    delta_power_db: Vector
    tx_osnr_0p1nm_db: Vector

    @classmethod
    def of(cls, channels: Iterable[Channel], where: str = "spectrum") -> Comb:
        """Comb of channels in any order.

        Raises: InvalidRequest when there are none, when a signal is wider than its slot or slots overlap.
        """
        rising = tuple(sorted(channels, key=lambda channel: channel.frequency_hz))
        if not rising:
            raise InvalidRequest(f"{where}: no channels; give at least one", field="channels", element=where)
        _check(rising, where)
        columns = np.array(
            [
                (c.frequency_hz, c.baud_hz, c.slot_hz, c.roll_off, c.launch_dbm, c.delta_power_db, c.tx_osnr_0p1nm_db)
                for c in rising
            ],
            np.float64,
        ).T.copy()
        frequency_hz, baud_hz, slot_hz, roll_off, launch_dbm, delta_power_db, tx_osnr_db = columns
        return cls(
            channels=rising,
            frequency_hz=frequency_hz,
            baud_hz=baud_hz,
            slot_hz=slot_hz,
            roll_off=roll_off,
            launch_w=ratios(launch_dbm) * 1e-3,
            delta_power_db=delta_power_db,
            tx_osnr_0p1nm_db=tx_osnr_db,
        )

    @property
    def grid(self) -> tuple[bytes, bytes]:
        """Frequencies and symbol rates as a key: all that a matrix of interference depends on."""
        return self.frequency_hz.tobytes(), self.baud_hz.tobytes()

    @property
    def size(self) -> int:
        return len(self.channels)

    def within(self, bands: Sequence[Band]) -> npt.NDArray[np.bool_]:
        """Which channels lie with their whole slot in one of the bands."""
        lower, upper = self.frequency_hz - self.slot_hz / 2, self.frequency_hz + self.slot_hz / 2
        inside = [(lower >= band[0]) & (upper <= band[1]) for band in bands]
        return np.asarray(np.any(inside, axis=0)) if inside else np.zeros(self.size, np.bool_)

    def kept(self, chosen: npt.NDArray[np.bool_]) -> Comb:
        """The chosen channels; itself when these are all."""
        if chosen.all():
            return self
        return Comb.of(channel for channel, stays in zip(self.channels, chosen, strict=True) if stays)


def _check(channels: tuple[Channel, ...], where: str) -> None:
    for number, channel in enumerate(channels):
        name = f"{where}, channel at {channel.frequency_hz / 1e12:.6f} THz"
        if not 0 < channel.baud_hz <= channel.slot_hz:
            raise fault(
                name,
                "baud_rate_hz",
                f"{channel.baud_hz / 1e9:g} GBd does not fit a slot of {channel.slot_hz / 1e9:g} GHz",
                "widen slot_width_hz or lower the symbol rate; both exceed 0",
                channel.baud_hz,
            )
        if number == 0:
            continue
        before = channels[number - 1]
        gap_hz = channel.frequency_hz - channel.slot_hz / 2 - (before.frequency_hz + before.slot_hz / 2)
        # Frequencies near 2e14 Hz are exact to 0.03 Hz.
        if gap_hz < -1.0:
            raise fault(
                name,
                "frequency_hz",
                f"its slot overlaps that of {before.frequency_hz / 1e12:.6f} THz by {-gap_hz / 1e9:g} GHz",
                "move one of the two or narrow slot_width_hz",
                channel.frequency_hz,
            )
