"""One channel more on a lit path, without propagating the others again.

While no channel feels the power of the others but through interference, the share of a channel's power that is still
signal at the end of the path is a product: 1/(1 + y) for each amplifier, y its ASE over the power, and 1 - x for each
span, x its interference over the power.
"""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(nogil=True, cache=True)
def light(matrices: Any, matrix: Any, power: Any, share: Any, channel: int, sign: float) -> None:
    """Add (sign 1) or take away (sign -1) what `channel` does to every channel in every span.

    matrices, matrix : as in `pce.core.propagation.Spans`
    power            : (S, N) float64  W at each fibre's input, of every channel as if it were lit
    share            : (S, N) float64  interference over power that the lit channels cause; changed in place

    Cost O(S·N).
    """
    for span in range(matrix.size):
        squared = sign * power[span, channel] * power[span, channel]
        effect = matrices[matrix[span], channel]
        for other in range(effect.size):
            share[span, other] += effect[other] * squared


@njit(nogil=True, cache=True)
def lit_noise(matrices: Any, matrix: Any, power: Any, share: Any, kept: Any, candidate: int, noise: Any) -> None:
    """Noise over signal at the path's end, in the channel's own bandwidth, with one channel more.

    matrices, matrix, power, share : as in `light`
    kept      : (N,) float64   product of 1/(1 + y) over the amplifiers
    candidate : int            channel that is added; -1 for none
    noise     : (N,) float64   receives ASE plus NLI over signal; for a channel that is neither lit nor the candidate
                               without its own interference

    Cost O(S·N).
    """
    noise[:] = kept
    for span in range(matrix.size):
        squared = 0.0
        effect = matrices[matrix[span], max(candidate, 0)]
        if candidate >= 0:
            squared = power[span, candidate] * power[span, candidate]
        for channel in range(noise.size):
            noise[channel] *= 1.0 - share[span, channel] - effect[channel] * squared
    for channel in range(noise.size):
        noise[channel] = 1.0 / noise[channel] - 1.0
