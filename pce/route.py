"""Candidate routes between two nodes: k best by what is minimised and k shortest, both directions usable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pce.core.graph import k_shortest_paths
from pce.network_arrays import Floats, NetworkArrays, Rows
from pce.request import Objective, PathRequest, Route
from pce.ted_snapshot import TedLink

_SHORT_FIRST_PER_KM = 1e-9
"""Weight of a km where links weigh the same (all lit, all free of charge): too small to outweigh anything else."""


@dataclass(frozen=True, slots=True)
class Path:
    """A route with its rows in the snapshot's arrays. Latency is the slower direction's, length the longer's."""

    route: Route
    forward_rows: Rows
    reverse_rows: Rows
    links: tuple[TedLink, ...]
    length_km: float
    latency_ms: float

    @property
    def all_rows(self) -> Rows:
        return np.concatenate((self.forward_rows, self.reverse_rows))


def candidate_paths(arrays: NetworkArrays, request: PathRequest, source: str, target: str) -> list[Path]:
    """Up to k routes by the objective's weight and up to k by length, each route once."""
    admitted = _admitted(arrays, request, source, target)
    ends = arrays.node_index[source], arrays.node_index[target]
    found: dict[tuple[int, ...], Path] = {}
    for weights in _weights(arrays, request.objective, source):
        usable = np.where(admitted, weights, np.inf)
        arcs, lengths, _ = k_shortest_paths(arrays.indptr, arrays.heads, usable, *ends, request.k)
        for row, hops in zip(arcs, lengths, strict=True):
            key = tuple(int(arc) for arc in row[:hops])
            if key not in found:
                found[key] = _path(arrays, source, key)
    return list(found.values())


def _path(arrays: NetworkArrays, source: str, arcs: tuple[int, ...]) -> Path:
    forward = tuple(arrays.pairs[arc][0] for arc in arcs)
    reverse = tuple(arrays.pairs[arc][1] for arc in arcs)
    index = np.array(arcs, np.int64)
    return Path(
        route=Route(
            nodes=(source, *(link.z for link in forward)),
            forward=tuple(link.name for link in forward),
            reverse=tuple(link.name for link in reverse),
        ),
        forward_rows=arrays.forward_rows[index],
        reverse_rows=arrays.reverse_rows[index],
        links=forward + reverse,
        length_km=max(sum(link.qot.length_km for link in way) for way in (forward, reverse)),
        latency_ms=max(sum(link.qot.latency_ms for link in way) for way in (forward, reverse)),
    )


def _admitted(arrays: NetworkArrays, request: PathRequest, source: str, target: str) -> npt.NDArray[np.bool_]:
    """Per arc, whether the request allows it; avoided nodes may still be the two ends."""
    avoided = request.avoid_nodes - {source, target}
    return np.array(
        [
            not (
                {forward.a, forward.z} & avoided
                or {forward.name, reverse.name} & request.avoid_links
                or (forward.srlgs | reverse.srlgs) & request.avoid_srlgs
            )
            for forward, reverse in arrays.pairs
        ],
        np.bool_,
    )


def _weights(arrays: NetworkArrays, objective: Objective, source: str) -> list[Floats]:
    """Arc weights to search by, the objective's own first; each is additive along a route."""
    length = np.array([max(f.qot.length_km, r.qot.length_km) for f, r in arrays.pairs], np.float64)
    nodes = arrays.snapshot.nodes
    own: Floats | None = None
    if objective in (Objective.NET_POWER, Objective.NET_IT_POWER, Objective.CARBON):
        own = np.array(
            [
                sum(link.power_w for link in pair if not link.is_lit)
                + (0.0 if pair[0].a == source else nodes[pair[0].a].express_power_w)
                for pair in arrays.pairs
            ],
            np.float64,
        )
    elif objective is Objective.LATENCY:
        own = np.array([max(f.qot.latency_ms, r.qot.latency_ms) for f, r in arrays.pairs], np.float64)
    elif objective is Objective.HOPS:
        own = np.ones(len(arrays.pairs))
    elif objective is Objective.COST:
        own = np.array([f.cost + r.cost + nodes[f.z].cost for f, r in arrays.pairs], np.float64)
    return [length] if own is None else [own + _SHORT_FIRST_PER_KM * length, length]
