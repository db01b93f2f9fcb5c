"""Noise of a route: what its lines add, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def route_noise(nsr_ase: Any, nsr_nli_self: Any, nsr_nli_full: Any, rows: Any, lit: Any) -> Any:
    """Noise-to-signal ratio at the end of a route, in the signal's bandwidth, for every centre frequency.

    nsr_ase, nsr_nli_self, nsr_nli_full : (L, C) float64   ratios of each directed link at C centres: ASE, NLI of the
                                                           channel alone, NLI with the whole band lit
    rows : (H,) int32      directed links in order of travel
    lit  : (L,) float64    share of the band lit by others on each link, 0 to 1; NLI goes linearly from alone to full

    Returns (C,) float64. Link ratios are those of a channel that enters without noise. A ROADM holds a channel's total
    power, noise included, so what enters the next line has that much less signal, and ratios compound:
    1 + r = Π (1 + r_link), to first order their sum. Cost O(H·C).
    """
    centers = nsr_ase.shape[1]
    total = np.ones(centers, np.float64)
    for row in rows:
        for center in range(centers):
            alone = nsr_nli_self[row, center]
            nli = alone + lit[row] * (nsr_nli_full[row, center] - alone)
            total[center] *= 1.0 + nsr_ase[row, center] + nli
    return total - 1.0
