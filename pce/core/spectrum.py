"""First fit on a route: the lowest slot that is free on every directed link and quiet enough."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

GRANULES_PER_WORD = 64
BLOCKED = -1
TOO_NOISY = -2


@njit(nogil=True, cache=True)
def first_fit(occupied: Any, rows: Any, m: int, noise: Any, limit: float) -> int:
    """First granule of the lowest slot that is free on all links and not noisier than allowed, or a code.

    occupied : (L, W) uint64   bit g % 64 of word g // 64 set: 6.25 GHz granule g is in use on directed link l
    rows     : (H,) int32      directed links of the route, both directions
    m        : int64           slot width = m × 12.5 GHz (ITU-T G.694.1), so 2·m granules
    noise    : (64·W+1,) float64   noise-to-signal ratio of a signal centred on the lower edge of granule g
    limit    : float64         largest noise allowed; infinite = any

    The centre of granules [g, g + 2·m) is the lower edge of granule g + m: always on the 6.25 GHz grid.
    Returns g ≥ 0, or BLOCKED (-1): nothing free, or TOO_NOISY (-2): free slots, but none quiet enough.
    Cost O(W·H + G) for G = 64·W granules.
    """
    words = occupied.shape[1]
    used = np.zeros(words, np.uint64)
    for row in rows:
        for word in range(words):
            used[word] |= occupied[row, word]
    code = BLOCKED
    run = 0
    for granule in range(words * GRANULES_PER_WORD):
        shifted = used[granule // GRANULES_PER_WORD] >> np.uint64(granule % GRANULES_PER_WORD)
        run = 0 if shifted & np.uint64(1) else run + 1
        if run >= 2 * m:
            if noise[granule + 1 - m] <= limit:
                return granule + 1 - 2 * m
            code = TOO_NOISY
    return code
