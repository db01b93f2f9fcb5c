"""A path with some of its channels lit: what one channel more would get, and do to the others.

Exact, and a thousand times cheaper than propagating the comb again, while channels feel each other only through
interference: flat amplifiers below their power limit whose noise does not depend on their input, no Raman scattering.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from controller.domain.errors import InvalidRequest, WrongState
from pce.core.amplifier import FLAT_DB, OSNR_MASK, OSNR_POLYNOMIAL, PLANCK_J_S, noise_factor
from pce.core.lighting import light, lit_noise
from pce.core.propagation import AMPLIFIER, LOSS, SPAN
from pce.physics.comb import Comb
from pce.physics.decibel import Vector, decibels, ratio
from pce.physics.elements import Element
from pce.physics.path import REFERENCE_BANDWIDTH_HZ
from pce.physics.plan import PathPlan


class LitPath:
    """Lit and unlit channels of a comb on one path."""

    def __init__(self, elements: Sequence[Element], comb: Comb, lit: npt.ArrayLike | None = None) -> None:
        """Path with the channels of `comb` that all amplifiers carry; `lit` (N,) bool says which are lit, else none.

        Raises: InvalidRequest when an amplifier makes channels feel each other's power, or is at its limit.
        """
        self.plan = PathPlan.of(elements, comb)
        size = self.plan.comb.size
        self._refuse_coupling()
        self._power = np.empty((len(self.plan.fibres), size))
        self._amplifier_power_w = np.zeros((len(self.plan.amplifier_names), size))
        self._kept = np.ones(size)
        self._pass()
        self._share = np.zeros_like(self._power)
        self._scale = REFERENCE_BANDWIDTH_HZ / self.plan.comb.baud_hz
        self._noise = np.empty(size)
        self._amplifiers_w = np.zeros(len(self.plan.amplifier_names))
        gain = 10.0 ** (self.plan.amplifiers.gain_db / 10.0)
        self._limit_w = self.plan.amplifiers.max_power_w / gain
        self.lit = np.zeros(size, np.bool_)
        for channel in np.flatnonzero(np.zeros(size, np.bool_) if lit is None else np.asarray(lit, np.bool_)):
            self.add(int(channel))

    def noise_with(self, channel: int) -> Vector:
        """Noise over signal in 12.5 GHz of every lit channel and of `channel`, were it lit too; (N,), NaN elsewhere.

        With transmitter and add and drop blocks, as `PathQot.gsnr_0p1nm_db`. Cost O(S·N).
        Raises: InvalidRequest when `channel` would saturate an amplifier; WrongState when it is lit already.
        """
        if self.lit[channel]:
            raise WrongState(f"channel {channel} is lit already: choose one that is not", field="channel")
        if self._amplifiers_w.size and (self._amplifiers_w + self._amplifier_power_w[:, channel] > self._limit_w).any():
            raise self._saturated(channel)
        found = self._found(channel)
        found[~self.lit & (np.arange(found.size) != channel)] = np.nan
        return found

    def noise(self) -> Vector:
        """Noise over signal in 12.5 GHz of every lit channel; (N,), NaN elsewhere."""
        return np.where(self.lit, self._found(-1), np.nan)

    def gsnr_0p1nm_db(self, channel: int | None = None) -> Vector:
        """GSNR in 12.5 GHz of the lit channels, and of `channel` were it lit too; NaN elsewhere."""
        return -decibels(self.noise() if channel is None else self.noise_with(channel))

    def add(self, channel: int) -> None:
        """Light a channel. Raises: as `noise_with`."""
        self.noise_with(channel)
        self._switch(channel, 1.0)

    def drop(self, channel: int) -> None:
        """Put a channel out. Raises: WrongState when it is not lit."""
        if not self.lit[channel]:
            raise WrongState(f"channel {channel} is not lit: choose one that is", field="channel")
        self._switch(channel, -1.0)

    def _found(self, candidate: int) -> Vector:
        spans = self.plan.spans
        lit_noise(spans.matrices, spans.matrix, self._power, self._share, self._kept, candidate, self._noise)
        return np.asarray(self._noise * self._scale + self.plan.end_noise)

    def _switch(self, channel: int, sign: float) -> None:
        spans = self.plan.spans
        light(spans.matrices, spans.matrix, self._power, self._share, channel, sign)
        self._amplifiers_w += sign * self._amplifier_power_w[:, channel]
        self.lit[channel] = sign > 0

    def _pass(self) -> None:
        """Power of every channel at each fibre and amplifier, and what amplifiers leave of the signal."""
        plan, power = self.plan, self.plan.comb.launch_w.copy()
        for kind, row in zip(plan.kind, plan.row, strict=True):
            if kind == SPAN:
                power *= plan.spans.entry[row]
                self._power[row] = power
                power *= plan.spans.leave[row]
            elif kind == AMPLIFIER:
                self._amplify(int(row), power)
            elif kind == LOSS:
                power *= plan.losses[row]
            else:
                power[:] = np.minimum(power * plan.equalisers.transmission[row], plan.equalisers.target_w[row])

    def _amplify(self, row: int, power: Vector) -> None:
        amplifiers, comb = self.plan.amplifiers, self.plan.comb
        inside = slice(amplifiers.first[row], amplifiers.last[row])
        profile = amplifiers.profile[row]
        power[inside] *= amplifiers.entry[row]
        self._amplifier_power_w[row, inside] = power[inside]
        gain_db = amplifiers.gain_db[row]
        factor = noise_factor(amplifiers, row, gain_db, 1.0) * amplifiers.noise_ripple[profile, inside]
        added = PLANCK_J_S * comb.frequency_hz[inside] * comb.baud_hz[inside] * factor
        self._kept[inside] /= 1.0 + added / power[inside]
        gain = ratio(gain_db) * amplifiers.leave[row] * amplifiers.shape[profile, inside]
        power[inside] = (power[inside] + added) * gain

    def _refuse_coupling(self) -> None:
        amplifiers = self.plan.amplifiers
        coupled = np.isin(amplifiers.model, (OSNR_POLYNOMIAL, OSNR_MASK)).any(axis=1)
        coupled |= amplifiers.spread_db[amplifiers.profile] > FLAT_DB
        if coupled.any():
            name = self.plan.amplifier_names[int(np.argmax(coupled))]
            raise InvalidRequest(
                f"amplifier {name}: its gain or noise depends on all channels together; propagate the whole comb "
                "for such a path",
                field="amp_type",
                element=name,
            )

    def _saturated(self, channel: int) -> InvalidRequest:
        over = self._amplifiers_w + self._amplifier_power_w[:, channel] > self._limit_w
        name = self.plan.amplifier_names[int(np.argmax(over))]
        return InvalidRequest(
            f"amplifier {name}: channel {channel} would take it beyond its power limit; propagate the whole comb, or "
            "light fewer channels",
            field="p_max_dbm",
            element=name,
        )
