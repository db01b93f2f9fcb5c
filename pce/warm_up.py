"""Compiles all kernels, or loads them from the cache, with the types that the shell calls them with."""

from __future__ import annotations

import numpy as np

from controller.domain.spectrum import GRANULES, WORDS
from pce.core.graph import k_shortest_paths
from pce.core.quality import route_noise
from pce.core.spectrum import first_fit
from pce.line_qot import line_qot
from pce.plant_records import LineRecord, SpanRecord


def warm_up() -> None:
    """Call each kernel once on the smallest input. Blocks for as long as compilation takes."""
    one = np.array([1], np.int32)
    k_shortest_paths(np.array([0, 1, 1], np.int32), one, np.ones(1), 0, 1, 1)
    noise = np.zeros(GRANULES + 1)
    table = np.zeros((2, GRANULES + 1))
    route_noise(table, table, table, one, np.ones(2))
    first_fit(np.zeros((2, WORDS), np.uint64), one, 4, noise, 0.0)
    span = SpanRecord("warm-up", 80.0, ((193.1, 0.2),), 0.25, 0.25, 16.7, 83.0)
    line_qot(LineRecord("a", "z", (span,), 2.8e-4))


if __name__ == "__main__":
    warm_up()
