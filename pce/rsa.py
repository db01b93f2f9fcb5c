"""Frequency slot of a route: the lowest that is free on every directed link and quiet enough for the mode."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from controller.domain.spectrum import ANCHOR_GRANULE, GRANULES, FrequencySlot
from pce.core.spectrum import BLOCKED, TOO_NOISY, first_fit
from pce.network_arrays import Floats, NetworkArrays
from pce.request import Constraint
from pce.route import Path

_CONSTRAINT = {BLOCKED: Constraint.SPECTRUM, TOO_NOISY: Constraint.GSNR}


def assign_slot(arrays: NetworkArrays, path: Path, m: int, noise: Floats, limit: float) -> FrequencySlot | Constraint:
    """Lowest slot of width m on both directions whose centre's `noise` is at most `limit`, or what forbids it.

    GSNR goes before SPECTRUM: when no centre of the band is quiet enough, it does not matter what is free.
    """
    if 2 * m > GRANULES:
        return Constraint.SPECTRUM
    if quietest(noise, m) > limit:
        return Constraint.GSNR
    first = int(first_fit(arrays.occupied, path.all_rows, m, noise, limit))
    if first < 0:
        return _CONSTRAINT[first]
    return FrequencySlot(n=first + m - ANCHOR_GRANULE, m=m)


def quietest(noise: Floats, m: int) -> float:
    """Least noise among the centres that a slot of width m can have in the band."""
    return float(noise[m : GRANULES + 1 - m].min())


def quietest_free(arrays: NetworkArrays, path: Path, m: int, noise: Floats) -> float:
    """Least noise among the centres of free slots of width m; infinite when there is none."""
    free = _free_granules(arrays, path)
    ends = np.concatenate(([0], np.cumsum(free)))
    starts = np.flatnonzero(ends[2 * m :] - ends[: -2 * m] == 2 * m)
    return float(noise[starts + m].min()) if starts.size else float("inf")


def longest_free_granules(arrays: NetworkArrays, path: Path) -> int:
    """Length of the longest run of granules that is free on all directed links."""
    longest = run = 0
    for free in _free_granules(arrays, path):
        run = run + 1 if free else 0
        longest = max(longest, run)
    return longest


def _free_granules(arrays: NetworkArrays, path: Path) -> npt.NDArray[np.bool_]:
    used = np.bitwise_or.reduce(arrays.occupied[path.all_rows], axis=0)
    return np.asarray(np.unpackbits(used.astype("<u8").view(np.uint8), bitorder="little") == 0)
