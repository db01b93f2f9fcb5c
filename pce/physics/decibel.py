"""Decibels at the border; inside, ratios."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float64]
Positions: TypeAlias = npt.NDArray[np.int64]


def ratio(value_db: float) -> float:
    """Power ratio of a value in dB."""
    return float(10.0 ** (value_db / 10.0))


def ratios(values_db: npt.ArrayLike) -> Vector:
    """Power ratios of values in dB."""
    return np.asarray(10.0 ** (np.asarray(values_db, np.float64) / 10.0))


def decibels(values: npt.ArrayLike) -> Vector:
    """Values in dB of power ratios; -inf and inf for 0 and infinity."""
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(np.asarray(values, np.float64)))
