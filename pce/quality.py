"""GSNR of a route in 12.5 GHz, both directions, with the channels lit today and with the whole band lit."""

from __future__ import annotations

import math

import numpy as np

from controller.domain.qot import OperationalMode
from controller.domain.spectrum import GRANULES, FrequencySlot
from pce.core.quality import route_noise
from pce.network_arrays import Floats, NetworkArrays
from pce.route import Path
from pce.ted_snapshot import TedNode

REFERENCE_BANDWIDTH_GHZ = 12.5  # 0.1 nm at 1550 nm


def worst_case_noise(arrays: NetworkArrays, path: Path) -> Floats:
    """Noise-to-signal ratio of the noisier direction with the whole band lit, (769,) at the arrays' centres."""
    return _noise(arrays, path, np.ones(arrays.lit_granules.size))


def noise_today(arrays: NetworkArrays, path: Path, slot: FrequencySlot) -> float:
    """Noise-to-signal ratio of the noisier direction at `slot` with what the snapshot shows as lit.

    NLI goes from the channel alone to the full band by the share of the other granules that is lit: right on average
    over where neighbours sit, as each brings about its bandwidth's share of the interference.
    """
    lit = np.minimum(arrays.lit_granules / max(GRANULES - 2 * slot.m, 1), 1.0)
    return float(_noise(arrays, path, lit)[slot.first_granule + slot.m])


def end_noise(mode: OperationalMode, source: TedNode, target: TedNode) -> float:
    """Noise-to-signal ratio in 12.5 GHz of the transmitter, the add and the drop block.

    A node's add/drop OSNR stands for its add and drop block together; a lightpath meets one of them at each end, which
    brings half of that noise.
    """
    blocks = sum(_ratio(-node.add_drop_osnr_0p1nm_db) / 2 for node in (source, target))
    return blocks + _ratio(-mode.tx_osnr_0p1nm_db)


def gsnr_0p1nm_db(line_nsr: float, mode: OperationalMode, ends: float) -> float:
    """GSNR in 12.5 GHz from the lines' ratio in the signal's bandwidth and the ends' ratio in 12.5 GHz."""
    noise = line_nsr * REFERENCE_BANDWIDTH_GHZ / mode.baud_rate_gbd + ends
    return -10.0 * math.log10(noise)


def line_noise_limit(mode: OperationalMode, ends: float, min_margin_db: float) -> float:
    """Largest ratio of the lines at which `mode` keeps its margin; negative when the ends alone bring too much."""
    allowed = _ratio(-(mode.required_osnr_0p1nm_db + min_margin_db))
    return (allowed - ends) * mode.baud_rate_gbd / REFERENCE_BANDWIDTH_GHZ


def _noise(arrays: NetworkArrays, path: Path, lit: Floats) -> Floats:
    noise = arrays.noise
    ways = [
        route_noise(noise.nsr_ase, noise.nsr_nli_self, noise.nsr_nli_full, rows, lit)
        for rows in (path.forward_rows, path.reverse_rows)
    ]
    return np.asarray(np.maximum(ways[0], ways[1]))


def _ratio(value_db: float) -> float:
    return float(10.0 ** (value_db / 10.0))
