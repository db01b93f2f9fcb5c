"""Times igraph's k shortest paths (Yen, in C) on graphs read as JSON from standard input; run by `ksp_speed.py`."""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import igraph


def measure(study: dict[str, Any], runs: int) -> dict[str, Any]:
    """Median microseconds per pair, and the lengths of all paths."""
    graph = igraph.Graph(n=study["nodes"], edges=[link[:2] for link in study["links"]], directed=False)
    weights = [link[2] for link in study["links"]]
    graph.es["weight"] = weights
    taken = []
    for _ in range(runs):
        began = time.process_time()
        found = [
            graph.get_k_shortest_paths(a, z, k=study["k"], weights="weight", output="epath") for a, z in study["pairs"]
        ]
        taken.append((time.process_time() - began) / len(study["pairs"]) * 1e6)
    lengths = [[sum(weights[link] for link in path) for path in paths] for paths in found]
    return {"us_per_pair": statistics.median(taken), "lengths": lengths}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    told = {name: measure(study, asked["runs"]) for name, study in asked["studies"].items()}
    json.dump({"version": igraph.__version__, "studies": told}, sys.stdout)
