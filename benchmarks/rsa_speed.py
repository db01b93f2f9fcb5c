"""Speed of `geysers pce simulate` beside its peers: requests per second of one core, scaling, memory, compilation.

    python benchmarks/rsa_speed.py [--data DIR] [--runs 5] [--peer-python PYTHON]

S1: NSFNET (44 directed links), 100 slots, k = 5, 250 Erlang; S2: the same with 320 slots and 900 Erlang. Peers' figures
are those measured for the reference data (its README); a Python with `flexnetsim` installed (pip install flexnetsim,
in an environment of its own) runs that peer here and now, on the same paths and traffic. On a machine that others use,
seconds of the clock are not ours alone: figures are of the process's own CPU time, those of the clock beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
SHARED = Path(os.environ.get("GEYSERS_SHARED", ROOT.parent / "shared")) / "reference" / "rsa"

BASE = {
    "topology": "nsfnet_deeprmsa_directed",
    "path_order": "spectral_resources",
    "k": 5,
    "slot_ghz": 12.5,
    "truncated_holding_2tau": False,
    "guardband_slots": 1,
    "bit_rate_gbps": {"min": 25, "max": 100, "step": 1},
    "modulations": [
        {"name": "16QAM", "reach_km": 625, "bits_per_s_per_hz": 4},
        {"name": "8QAM", "reach_km": 1250, "bits_per_s_per_hz": 3},
        {"name": "QPSK", "reach_km": 2500, "bits_per_s_per_hz": 2},
        {"name": "BPSK", "reach_km": None, "bits_per_s_per_hz": 1},
    ],
    "requests_measured": 2_000_000,
    "warmup": 20_000,
    "seeds": [1],
}
SCENARIOS = {
    "S1": BASE | {"id": "S1", "slots": 100, "load_erlang": 250},
    "S2": BASE | {"id": "S2", "slots": 320, "load_erlang": 900},
}
# Blocked requests of seed 1 with the reference's path set (bit_exact_vectors.json).
EXACT = {"S1": 235_411, "S2": 190_731}
GOALS = {"requests_per_s": {"S1": 5e6, "S2": 4e6}, "compile_s": 3.0, "memory_mb": 200.0, "two_cores": 1.7}
# Requests per second, README of the reference data: two shared cores, Python 3.11/3.12, no GPU.
PEERS: dict[str, dict[str, float]] = {
    "floor: C, one core": {"S1": 7.61e6, "S2": 6.31e6},
    "floor: numba, one core": {"S1": 6.40e6, "S2": 4.88e6},
    "Flex Net Sim (C++, -O3)": {"S1": 155e3, "S2": 45e3},
    "XLRON 1.1.0 (JAX, CPU), 1 environment": {"S1": 26.6e3, "S2": 9.1e3},
    "XLRON 1.1.0, 16 environments, 2 cores": {"S1": 33.7e3},
    "DeepRMSA script (own paths, truncated holding)": {"S1": 2.33e3},
    "Optical RL-Gym (undirected)": {"S1": 244.0},
    "FUSION (own scenario, 320 slots)": {"S2": 420.0},
    "Optical Networking Gym (GN model on, own scenario)": {"S2": 56.0},
}


def settings_of(data: Path | None, **changes: Any) -> dict[str, Any]:
    """The two scenarios as the kernel takes them."""
    from pce.simulation.path_sets import Library
    from pce.simulation.scenario import read_scenarios
    from pce.simulation.simulator import prepare

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scenario.json")
        file.write_text(json.dumps({"records": [entry | changes for entry in SCENARIOS.values()]}), encoding="utf-8")
        library = Library(data)
        return {each.scenario_id: prepare(each, library) for each in read_scenarios(file)}


def speed(data: Path | None, runs: int) -> dict[str, Any]:
    """Requests per second of one core, warm."""
    from pce.simulation.simulator import run

    figures: dict[str, Any] = {}
    for name, setting in settings_of(data).items():
        simulated = setting.scenario.requests + setting.scenario.warmup
        cpu, wall = [], []
        for _ in range(runs):
            began = time.perf_counter()
            tally = run(setting, 1, time.process_time)
            cpu.append(simulated / tally.seconds)
            wall.append(simulated / (time.perf_counter() - began))
        figures[name] = {
            "requests_per_s": statistics.median(cpu),
            "requests_per_s_runs": cpu,
            "requests_per_s_clock": statistics.median(wall),
            "paths": setting.path_source,
            "blocked": sum(tally.blocked),
            "blocking": tally.sbp,
            "exact": sum(tally.blocked) == EXACT[name] if data is not None else None,
        }
    return figures


def scaling(data: Path | None, runs: int) -> dict[str, Any]:
    """Clock time of eight seeds of S1 on one process and on two, started and ended with them.

    The ratio is that of the best runs: whoever else uses the cores only ever takes time away.
    """
    from pce.simulation.sweep import Workers, sweep

    setting = settings_of(data, seeds=list(range(1, 9)))["S1"]
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(runs):
        for workers, taken in seconds.items():
            began = time.perf_counter()
            sweep([setting], Workers(workers), time.perf_counter, lambda _number, _tallies: None)
            taken.append(time.perf_counter() - began)
    one, two = (statistics.median(seconds[workers]) for workers in (1, 2))
    best = {workers: min(taken) for workers, taken in seconds.items()}
    return {
        "one_process_s": best[1],
        "two_processes_s": best[2],
        "ratio": best[1] / best[2],
        "ratio_of_medians": one / two,
    }


FRESH = """
import json, resource, sys, time
sys.path.insert(0, {root!r})
import benchmarks.rsa_speed as bench
from pathlib import Path
from pce.simulation.simulator import run, warm_up
settings = bench.settings_of(Path({data!r}) if {data!r} else None)
began = time.process_time()
warm_up()
compile_s = time.process_time() - began
for setting in settings.values():
    run(setting, 1, time.process_time)
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"compile_s": compile_s, "memory_mb": peak_mb}}))
"""


def fresh(data: Path | None, runs: int) -> dict[str, Any]:
    """Compilation and peak memory of new processes: with an empty cache, and with a filled one."""
    told: dict[str, list[dict[str, float]]] = {"empty_cache": [], "filled_cache": []}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as cache:
            environment = os.environ | {"XDG_CACHE_HOME": cache, "NUMBA_CACHE_DIR": ""}
            code = FRESH.format(root=str(ROOT), data=str(data or ""))
            for entries in told.values():
                done = subprocess.run(
                    [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
                )
                entries.append(json.loads(done.stdout))
    return {
        state: {key: statistics.median(entry[key] for entry in entries) for key in entries[0]}
        for state, entries in told.items()
    }


def peer(python: str, data: Path | None, requests: int) -> dict[str, Any]:
    """Run flexnetsim (pure Python) on the same paths and traffic."""
    exported = {}
    for name, setting in settings_of(data).items():
        first, last, hops, links, modulation, width, _ = setting.arrays
        words = -(-setting.scenario.slots // 64)
        exported[name] = {
            "requests": requests,
            "slots": setting.scenario.slots,
            "load": setting.scenario.load_erlang,
            "width": width.tolist(),
            "pairs": [
                [
                    {
                        "links": (links[hops[path] : hops[path + 1]] // words).tolist(),
                        "modulation": int(modulation[path]),
                    }
                    for path in range(begin, end)
                ]
                for begin, end in zip(first, last, strict=True)
            ],
        }
    done = subprocess.run(
        [python, str(Path(__file__).with_name("peer_flexnetsim.py"))],
        input=json.dumps(exported),
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED if SHARED.is_dir() else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-python", help="a Python that has flexnetsim")
    parser.add_argument("--peer-requests", type=int, default=10_000)
    asked = parser.parse_args()

    import numba

    load = os.getloadavg()[0]
    ours = speed(asked.data, asked.runs)
    peers: dict[str, dict[str, Any]] = {name: {"read": figures} for name, figures in PEERS.items()}
    if asked.peer_python:
        peers["flexnetsim 0.23 (Python, PyPI), run here"] = {
            "read": {}, "run": peer(asked.peer_python, asked.data, asked.peer_requests)
        }  # fmt: skip
    for figures in peers.values():
        known = figures["read"] | {name: told["requests_per_s"] for name, told in figures.get("run", {}).items()}
        figures["ratio"] = {name: ours[name]["requests_per_s"] / value for name, value in known.items()}
    started = fresh(asked.data, min(asked.runs, 3))
    cores = scaling(asked.data, asked.runs)
    document = {
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_average_before": load,
            "python": platform.python_version(),
            "numba": numba.__version__,
        },
        "runs": asked.runs,
        "ours": ours,
        "started": started,
        "two_cores": cores,
        "peers": peers,
        "goals": {
            "S1": {"goal": GOALS["requests_per_s"]["S1"], "met": ours["S1"]["requests_per_s"] >= 5e6},
            "S2": {"goal": GOALS["requests_per_s"]["S2"], "met": ours["S2"]["requests_per_s"] >= 4e6},
            "compile_s": {"goal": 3.0, "met": started["empty_cache"]["compile_s"] <= GOALS["compile_s"]},
            "memory_mb": {"goal": 200.0, "met": started["empty_cache"]["memory_mb"] <= GOALS["memory_mb"]},
            "two_cores": {"goal": 1.7, "met": cores["ratio"] >= GOALS["two_cores"]},
        },
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
