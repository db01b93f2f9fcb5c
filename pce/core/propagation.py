"""A comb of channels on its way through a path: power and noise of every channel after the last element."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from pce.core.amplifier import amplify
from pce.core.interference import add_interference, interference

SPAN = 0
AMPLIFIER = 1
LOSS = 2
EQUALISER = 3

ASE = 0
NLI_ALONE = 1
NLI = 2


class Spans(NamedTuple):
    """Fibres of a path; those of one kind and length share a matrix."""

    entry: Any
    """(S,) float64 transmission before the fibre: connector and pad."""
    leave: Any
    """(S, N) float64 transmission of fibre, lumped losses and connector."""
    matrix: Any
    """(S,) int32 row in `matrices`."""
    matrices: Any
    """(M, N, N) float64 as `pce.core.interference.gn_matrix` makes them."""


class Equalisers(NamedTuple):
    """What ROADMs do to each channel."""

    transmission: Any
    """(Q, N) float64 of the ROADM itself."""
    target_w: Any
    """(Q, N) float64 power at most: a ROADM attenuates, it does not amplify."""


@njit(nogil=True, cache=True)
def propagate(
    kind: Any, row: Any, begin: int, end: int, spans: Any, amplifiers: Any, losses: Any, equalisers: Any,
    frequency: Any, baud: Any, power: Any, ratios: Any, gain_db: Any,
) -> None:  # fmt: skip
    """Take a comb through elements `begin` to `end` - 1 of a path.

    kind, row  : (E,) uint8, int32    what each element is, and its row in the tables of that kind
    spans, amplifiers, equalisers     `Spans`, `Amplifiers`, `Equalisers`; losses : (K,) float64 transmission
    frequency, baud : (N,) float64    Hz rising, Bd
    power      : (N,) float64         W per channel, noise included; changed in place
    ratios     : (3, N) float64       noise over signal, each in the channel's own bandwidth: ASE; NLI of the channel
                                      alone; NLI of the comb; changed in place
    gain_db    : (A,) float64         receives the gain that saturation left

    Attenuation and gain change signal and noise alike. NLI is taken out of the channel, so that a channel's power stays
    what it was; it is computed from the whole power, noise included. Cost O(E·N²) multiplications.
    """
    channels = power.size
    alone = np.empty(channels)
    for element in range(begin, end):
        here = row[element]
        if kind[element] == SPAN:
            matrix = spans.matrices[spans.matrix[here]]
            for channel in range(channels):
                power[channel] *= spans.entry[here]
                alone[channel] = matrix[channel, channel] * power[channel] * power[channel]
            add_interference(ratios, alone, interference(matrix, power))
            for channel in range(channels):
                power[channel] *= spans.leave[here, channel]
        elif kind[element] == AMPLIFIER:
            gain_db[here] = amplify(amplifiers, here, frequency, baud, power, ratios)
        elif kind[element] == LOSS:
            for channel in range(channels):
                power[channel] *= losses[here]
        else:
            for channel in range(channels):
                passed = power[channel] * equalisers.transmission[here, channel]
                power[channel] = min(passed, equalisers.target_w[here, channel])
