"""KSP-FF in flexnetsim (PyPI, pure Python), on paths and traffic read as JSON from standard input.

Run by `rsa_speed.py` with a Python that has flexnetsim. Demands are drawn in here, uniformly over the pairs, since the
paths come with their own numbering; arrivals, departures and the books of the spectrum are flexnetsim's. Its default
gives all random streams one seed, which correlates them; each gets its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
import time
from typing import Any

import numpy as np
from flexnetsim import Bitrate, Controller, Link, Network, Node, Simulator

SEED = 20


def simulate(study: dict[str, Any]) -> dict[str, float]:
    """Requests per second and blocking, the fill of the network included."""
    pairs, width, slots = study["pairs"], study["width"], study["slots"]
    draw = random.Random(SEED)  # noqa: S311 - a simulation, no secret
    links = 1 + max(link for paths in pairs for path in paths for link in path["links"])
    network = Network()
    for number in range(2):
        network.add_node(Node(number))
    for number in range(links):
        network.add_link(Link(number, 100.0, slots))
    books = [network.get_link(number) for number in range(links)]
    asked, refused = 0, 0

    def allocate(_source: Any, _target: Any, rate: Any, connection: Any, _network: Any, _paths: Any) -> Any:
        nonlocal asked, refused
        asked += 1
        kind = int(rate.bit_rate)
        for path in draw.choice(pairs):
            wanted = width[path["modulation"]][kind]
            used = np.logical_or.reduce([books[link].slots for link in path["links"]])
            ends = np.concatenate(([0], np.cumsum(used)))
            starts = np.flatnonzero(ends[wanted:] == ends[:-wanted])
            if starts.size:
                first = int(starts[0])
                for link in path["links"]:
                    connection.add_link(link, from_slot=first, to_slot=first + wanted)
                return Controller.status.ALLOCATED, connection
        refused += 1
        return Controller.status.NOT_ALLOCATED, connection

    simulator = Simulator()
    # Its constructor takes a network only from a file.
    controller = Controller(network)
    simulator._Simulator__controller = controller
    simulator.set_allocation_algorithm(allocate)
    simulator._Simulator__bitRatesDefault = [Bitrate(kind) for kind in range(len(width[0]))]
    simulator.lambdaS, simulator.mu, simulator.goalConnections = study["load"], 1, study["requests"]
    simulator.seedArrive, simulator.seedDeparture, simulator.seedBitRate = SEED + 1, SEED + 2, SEED + 3
    simulator.init()
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        simulator.run()
    seconds = time.process_time() - began
    return {"requests_per_s": asked / seconds, "blocking": refused / asked, "requests": asked}


if __name__ == "__main__":
    json.dump({name: simulate(study) for name, study in json.load(sys.stdin).items()}, sys.stdout)
