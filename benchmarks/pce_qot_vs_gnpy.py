"""Quality of transmission of one path: our kernels beside GNPy in the same process, the same elements, the same comb.

    python benchmarks/pce_qot_vs_gnpy.py [--network N --equipment E --path A,B,…] [--channels 96] [--runs 200]

Prints one JSON object: medians in microseconds, ratios, and the largest difference in GSNR between the two. Ours:
`propagate` is the whole comb with its plan made (kernels compiled, matrices cached), receiver included; `plan` is the
plan with its matrices still to compute; `add_channel` is what one more channel gets and does to all others, exactly.
GNPy: the walk through the elements and the receiver on fresh copies, copies and spectrum not timed. Without GNPy
(`pip install -e '.[oracle]'`) its part is null.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pce.physics import fibre  # noqa: E402  the repository need not be installed
from pce.physics.comb import Channel, Comb  # noqa: E402
from pce.physics.lit_path import LitPath  # noqa: E402
from pce.physics.network import GnpyNetwork  # noqa: E402
from pce.physics.path import run  # noqa: E402
from pce.physics.plan import PathPlan  # noqa: E402

NETWORK = ROOT / "emulator" / "networks" / "europe14"
PATH = "ROADM-MAD,ROADM-LYS,ROADM-PAR,ROADM-LON,ROADM-BRU"
FIRST_HZ, SPACING_HZ, BAUD_HZ, TX_OSNR_DB = 191.35e12, 50e9, 32e9, 40.0


def median_us(work: Callable[[Any], object], runs: int, make: Callable[[], Any] = lambda: None) -> float:
    """Median time of `work` on what `make` makes, without the making."""
    times = []
    for _ in range(runs):
        made = make()
        begin = time.perf_counter_ns()
        work(made)
        times.append((time.perf_counter_ns() - begin) / 1e3)
    return round(statistics.median(times), 2)


def ours(elements: tuple[Any, ...], comb: Comb, runs: int) -> tuple[dict[str, Any], np.ndarray]:
    """Our medians and GSNR."""
    plan = PathPlan.of(elements, comb)
    gsnr_db = run(plan).gsnr_0p1nm_db
    middle = comb.size // 2
    lit = LitPath(elements, comb, np.arange(comb.size) != middle)
    added = lit.gsnr_0p1nm_db(middle)
    return {
        "spans": len(plan.fibres),
        "propagate_us": median_us(lambda _: run(plan).gsnr_0p1nm_db, runs),
        "add_channel_us": median_us(lambda _: lit.noise_with(middle), runs * 10),
        "plan_us": median_us(lambda _: PathPlan.of(elements, comb), max(runs // 20, 3), fibre.forget_matrices),
        "plan_cached_us": median_us(lambda _: PathPlan.of(elements, comb), max(runs // 20, 3)),
        "add_channel_difference_db": float(np.max(np.abs(added - gsnr_db))),
    }, gsnr_db


def theirs(options: argparse.Namespace, uids: list[str], comb: Comb) -> tuple[dict[str, Any], np.ndarray] | None:
    """GNPy's median and GSNR; None when it is not installed."""
    try:
        from gnpy.core.elements import Roadm
        from gnpy.core.info import create_arbitrary_spectral_information
        from gnpy.core.parameters import SimParams, TransceiverRole
        from gnpy.tools import json_io
        from gnpy.tools.worker_utils import designed_network
    except ImportError:
        return None
    SimParams.set_params({})
    equipment = json_io.load_equipments_and_configs(options.equipment, None, None)
    # A designed network has the end-of-life margin in its connectors already.
    for span in equipment["Span"].values():
        span.EOL = 0
    network, _, _ = designed_network(equipment, json_io.load_network(options.network, equipment), no_insert_edfas=True)
    by_uid = {node.uid: node for node in network.nodes}
    path = [by_uid[uid] for uid in uids]

    def make() -> tuple[Any, Any]:
        light = create_arbitrary_spectral_information(
            frequency=comb.frequency_hz,
            pch=comb.launch_w,
            tx_power=comb.launch_w,
            baud_rate=comb.baud_hz,
            slot_width=comb.slot_hz,
            roll_off=comb.roll_off,
            tx_osnr=comb.tx_osnr_0p1nm_db,
        )
        return deepcopy(path), light

    def walk(made: tuple[Any, Any]) -> np.ndarray:
        elements, light = made
        light = elements[0](light, role=TransceiverRole.EMITTER)
        blocks = []
        for before, element, after in zip(elements, elements[1:], elements[2:], strict=False):
            if isinstance(element, Roadm):
                light = element(light, degree=after.uid, from_degree=before.uid)
                blocks.append(element.get_impairment("roadm-osnr", light.frequency, before.uid, after.uid))
            else:
                light = element(light)
        light = elements[-1](light, role=TransceiverRole.RECEIVER)
        elements[-1].update_snr(*blocks, light.tx_osnr)
        return elements[-1].snr_01nm

    gsnr_db = walk(make())
    return {"version": version("gnpy"), "propagate_us": median_us(walk, max(options.runs // 10, 5), make)}, gsnr_db


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", type=Path, default=NETWORK / "network.json")
    parser.add_argument("--equipment", type=Path, default=NETWORK / "equipment.json")
    parser.add_argument("--path", default=PATH)
    parser.add_argument("--channels", type=int, default=96)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    comb = Comb.of(
        Channel(FIRST_HZ + number * SPACING_HZ, BAUD_HZ, SPACING_HZ, tx_osnr_0p1nm_db=TX_OSNR_DB)
        for number in range(options.channels)
    )
    elements = GnpyNetwork(options.network, options.equipment).path(options.path.split(","))
    mine, gsnr_db = ours(elements, comb, options.runs)
    found = {"network": options.network.name, "path": options.path, "channels": comb.size, "ours": mine, "gnpy": None}
    reference = theirs(options, [element.uid for element in elements], comb)
    if reference is not None:
        gnpy_us = reference[0]["propagate_us"]
        found["gnpy"] = reference[0]
        found["ratio_propagate"] = round(gnpy_us / mine["propagate_us"], 1)
        found["ratio_add_channel"] = round(gnpy_us / mine["add_channel_us"], 1)
        found["gsnr_difference_db"] = float(np.max(np.abs(reference[1] - gsnr_db)))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
