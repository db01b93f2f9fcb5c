"""Confidence interval of a share from batches of a simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

_TWO_SIDED_95 = 0.975


def interval_95(shares: Sequence[float], trials: int) -> tuple[float, float]:
    """95 % confidence interval of the mean of `shares`, each measured over an equal part of `trials`.

    Student's interval over batch means, which see that blocked requests come in clusters (Law, Simulation Modeling and
    Analysis, §9.5), and never narrower than Wilson's for independent trials, which also holds where nothing, or
    everything, was blocked.
    """
    mean = fmean(shares)
    low, high = _wilson(mean, trials)
    if len(shares) > 1:
        half = student_quantile(_TWO_SIDED_95, len(shares) - 1) * stdev(shares) / math.sqrt(len(shares))
        low, high = min(low, mean - half), max(high, mean + half)
    return max(low, 0.0), min(high, 1.0)


def _wilson(share: float, trials: int) -> tuple[float, float]:
    z = NormalDist().inv_cdf(_TWO_SIDED_95)
    spread = z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return centre - half, centre + half


def student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t: closed for 1 and 2 degrees, else Abramowitz and Stegun 26.7.5 (0.3 % at 3)."""
    if degrees == 1:
        return math.tan(math.pi * (probability - 0.5))
    if degrees == 2:
        return (2 * probability - 1) * math.sqrt(2 / (4 * probability * (1 - probability)))
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / float(degrees) ** power for power, term in enumerate(terms, 1))
