"""Speed of k shortest loopless paths (k = 5) beside igraph and networkx, on the same graphs and pairs.

    python benchmarks/ksp_speed.py [--runs 5] [--peer-python PYTHON]

Weights are km. All paths of all pairs must have the same lengths in every tool. igraph runs in a Python of its own that
has it (pip install python-igraph). Figures are CPU microseconds per pair, medians of the runs; the read ones are those
of the reference data's README. The order of our paths is total: km, then hops, then arc numbers from the source on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

K = 5
GOAL = 5.0
SEED = 7
READ_US = {
    "NSFNET": {"networkx": 342, "igraph": 32, "Python Yen over rustworkx": 90},
    "CORONET60": {"networkx": 1310, "igraph": 124, "Python Yen over rustworkx": 264},
    "CONUS75": {"networkx": 1694, "igraph": 190, "Python Yen over rustworkx": 331},
    "geometric1000": {"networkx": 69158, "igraph": 6687, "Python Yen over rustworkx": 13850},
}
PAIRS_MOST = {"geometric1000": 40}
NETWORKX_PAIRS = 10


def studies() -> dict[str, dict[str, Any]]:
    """Graphs as numbered nodes and [node, node, km], and the pairs that are asked for."""
    from pce.simulation.network import load_network

    made = {}
    for name, bundled in (("NSFNET", "nsfnet_deeprmsa"), ("CORONET60", "coronet"), ("CONUS75", "conus75")):
        network = load_network(f"{bundled}_undirected", None)
        number = {node: place for place, node in enumerate(network.nodes)}
        made[name] = (len(number), [[number[a], number[z], km] for (a, z), km in network.links.items()])
    made["geometric1000"] = (1000, geometric(1000, 3010))
    draw = random.Random(SEED)  # noqa: S311 - a choice of pairs, no secret
    result = {}
    for name, (nodes, links) in made.items():
        pairs = list(combinations(range(nodes), 2))
        draw.shuffle(pairs)
        result[name] = {"nodes": nodes, "links": links, "k": K, "pairs": pairs[: PAIRS_MOST.get(name, 500)]}
    return result


def geometric(nodes: int, count: int) -> list[list[float]]:
    """The `count` shortest links among random points, joined up where that leaves parts."""
    points = np.random.default_rng(SEED).random((nodes, 2)) * 1000
    ranked = sorted((float(np.hypot(*(points[a] - points[z]))), a, z) for a, z in combinations(range(nodes), 2))
    graph = nx.Graph((a, z) for _, a, z in ranked[:count])
    graph.add_nodes_from(range(nodes))
    links = [[a, z, km] for km, a, z in ranked[:count]]
    for km, a, z in ranked[count:]:
        if nx.is_connected(graph):
            break
        if not nx.has_path(graph, a, z):
            graph.add_edge(a, z)
            links.append([a, z, km])
    return links


def measure_ours(study: dict[str, Any], runs: int) -> dict[str, Any]:
    """Microseconds per pair, one call of the kernel each."""
    from pce.core.graph import k_shortest_paths

    arcs = sorted((a, z, km) for one, other, km in study["links"] for a, z in ((one, other), (other, one)))
    indptr = np.searchsorted([a for a, _, _ in arcs], np.arange(study["nodes"] + 1)).astype(np.int32)
    heads = np.array([z for _, z, _ in arcs], np.int32)
    weights = np.array([km for _, _, km in arcs])
    k_shortest_paths(indptr, heads, weights, 0, 1, K)
    taken = []
    for _ in range(runs):
        began = time.process_time()
        found = [k_shortest_paths(indptr, heads, weights, a, z, K) for a, z in study["pairs"]]
        taken.append((time.process_time() - began) / len(study["pairs"]) * 1e6)
    return {"us_per_pair": statistics.median(taken), "lengths": [costs.tolist() for _, _, costs in found]}


def measure_networkx(study: dict[str, Any]) -> dict[str, Any]:
    """Microseconds per pair of the first pairs."""
    graph = nx.Graph()
    graph.add_weighted_edges_from(study["links"])
    began = time.process_time()
    found = [
        list(islice(nx.shortest_simple_paths(graph, a, z, weight="weight"), K))
        for a, z in study["pairs"][:NETWORKX_PAIRS]
    ]
    used_us = (time.process_time() - began) / len(found) * 1e6
    lengths = [[nx.path_weight(graph, path, "weight") for path in paths] for paths in found]
    return {"us_per_pair": used_us, "lengths": lengths}


def same(ours: list[list[float]], theirs: list[list[float]]) -> bool:
    """Whether all lengths agree to rounding."""
    pairs = list(zip(ours, theirs, strict=False))
    return all(len(a) == len(b) and np.allclose(sorted(a), sorted(b), rtol=1e-9) for a, b in pairs)


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-python", help="a Python that has igraph")
    asked = parser.parse_args()
    graphs = studies()
    load = os.getloadavg()[0]
    igraph: dict[str, Any] = {}
    if asked.peer_python:
        done = subprocess.run(
            [asked.peer_python, str(Path(__file__).with_name("peer_igraph.py"))],
            input=json.dumps({"runs": asked.runs, "studies": graphs}),
            check=True,
            capture_output=True,
            text=True,
        )
        igraph = json.loads(done.stdout)
    told: dict[str, Any] = {}
    for name, study in graphs.items():
        ours, slow = measure_ours(study, asked.runs), measure_networkx(study)
        entry = {
            "nodes": study["nodes"],
            "links": len(study["links"]),
            "pairs": len(study["pairs"]),
            "us_per_pair": ours["us_per_pair"],
            "networkx_us": slow["us_per_pair"],
            "networkx_ratio": slow["us_per_pair"] / ours["us_per_pair"],
            "same_lengths": same(ours["lengths"], slow["lengths"]),
            "read_us": READ_US[name],
        }
        if igraph:
            theirs = igraph["studies"][name]
            entry["igraph_us"] = theirs["us_per_pair"]
            entry["igraph_ratio"] = theirs["us_per_pair"] / ours["us_per_pair"]
            entry["same_lengths"] = entry["same_lengths"] and same(ours["lengths"], theirs["lengths"])
            entry["goal_met"] = entry["igraph_ratio"] >= GOAL
        told[name] = entry
    document = {
        "k": K,
        "goal_igraph_ratio": GOAL,
        "machine": {"cores": os.cpu_count(), "load_average_before": load, "python": platform.python_version()},
        "igraph": igraph.get("version"),
        "graphs": told,
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
