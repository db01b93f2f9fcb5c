"""K shortest loopless routes on a directed multigraph in compressed rows.

Arc e runs from the node u with indptr[u] ≤ e < indptr[u+1] to heads[e]; parallel arcs are arcs of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

INFINITY = np.inf


@njit(nogil=True, cache=True)
def _shortest(
    indptr: Any,
    heads: Any,
    weights: Any,
    source: int,
    target: int,
    barred_nodes: Any,
    barred_arcs: Any,
    distance: Any,
    hops: Any,
    arrival: Any,
    settled: Any,
) -> bool:
    """Dijkstra from `source` until `target` is settled; fewer hops win among equal weights.

    distance, hops, arrival, settled : (N,) scratch; afterwards arrival[v] is the arc by which v was reached
    True when `target` was reached. Cost O(N² + A), no allocation.
    """
    nodes = indptr.size - 1
    for node in range(nodes):
        distance[node] = INFINITY
        hops[node] = nodes
        arrival[node] = -1
        settled[node] = barred_nodes[node]
    settled[source] = False
    distance[source] = 0.0
    hops[source] = 0
    while True:
        here = -1
        for node in range(nodes):
            if settled[node] or distance[node] == INFINITY:
                continue
            if (
                here < 0
                or distance[node] < distance[here]
                or (distance[node] == distance[here] and hops[node] < hops[here])
            ):
                here = node
        if here < 0:
            return False
        if here == target:
            return True
        settled[here] = True
        for arc in range(indptr[here], indptr[here + 1]):
            there = heads[arc]
            if barred_arcs[arc] or settled[there]:
                continue
            reached = distance[here] + weights[arc]
            if reached < distance[there] or (reached == distance[there] and hops[here] + 1 < hops[there]):
                distance[there] = reached
                hops[there] = hops[here] + 1
                arrival[there] = arc


@njit(nogil=True, cache=True)
def _precedes(cost: float, length: int, route: Any, other_cost: float, other_length: int, other: Any) -> bool:
    """Total order of routes: weight, hops, then arc numbers from the source on."""
    if cost != other_cost:
        return cost < other_cost
    if length != other_length:
        return length < other_length
    for position in range(length):
        if route[position] != other[position]:
            return bool(route[position] < other[position])
    return False


@njit(nogil=True, cache=True)
def _bar_known(arcs: Any, lengths: Any, found: int, position: int, barred_arcs: Any, barred: bool) -> None:
    """Bar (or free) the arc at `position` of every found route that shares the newest one's first `position` arcs."""
    newest = found - 1
    for other in range(found):
        if lengths[other] <= position:
            continue
        same = True
        for before in range(position):
            if arcs[other, before] != arcs[newest, before]:
                same = False
                break
        if same:
            barred_arcs[arcs[other, position]] = barred


@njit(nogil=True, cache=True)
def _last_of(costs: Any, lengths: Any, arcs: Any, rows: int) -> int:
    """Row of the pool that comes last in the total order."""
    last = 0
    for row in range(1, rows):
        if _precedes(costs[last], lengths[last], arcs[last], costs[row], lengths[row], arcs[row]):
            last = row
    return last


@njit(nogil=True, cache=True)
def _first_of(costs: Any, lengths: Any, arcs: Any, rows: int) -> int:
    """Row of the pool that comes first in the total order."""
    first = 0
    for row in range(1, rows):
        if _precedes(costs[row], lengths[row], arcs[row], costs[first], lengths[first], arcs[first]):
            first = row
    return first


@njit(nogil=True, cache=True)
def _offer(
    costs: Any, lengths: Any, arcs: Any, branches: Any, pooled: int, cost: float, length: int, draft: Any, branch: int
) -> int:
    """Put a path into the pool; a full pool keeps its best. Returns the number of pooled paths."""
    row = pooled
    if pooled == costs.size:
        row = _last_of(costs, lengths, arcs, pooled)
        if _precedes(costs[row], lengths[row], arcs[row], cost, length, draft):
            return pooled
    else:
        pooled += 1
    arcs[row, :length] = draft[:length]
    lengths[row] = length
    costs[row] = cost
    branches[row] = branch
    return pooled


@njit(nogil=True, cache=True)
def _spell(draft: Any, root: Any, position: int, length: int, target: int, arrival: Any, tails: Any) -> None:
    """Write into `draft` the first `position` arcs of `root`, then the arcs by which `target` was reached."""
    draft[:position] = root[:position]
    node = target
    for place in range(length - 1, position - 1, -1):
        draft[place] = arrival[node]
        node = tails[arrival[node]]


@njit(nogil=True, cache=True)
def _tails(indptr: Any, arcs: int) -> Any:
    tails = np.empty(arcs, np.int32)
    for node in range(indptr.size - 1):
        tails[indptr[node] : indptr[node + 1]] = node
    return tails


@njit(nogil=True, cache=True)
def k_shortest_paths(indptr: Any, heads: Any, weights: Any, source: int, target: int, k: int) -> Any:
    """Up to k loopless paths in rising order of weight, then hops, then arc numbers.

    indptr  : (N+1,) int32     arcs of node u are indptr[u] … indptr[u+1]-1
    heads   : (A,) int32       node where an arc ends
    weights : (A,) float64     ≥ 0, any additive unit; an arc of infinite weight is not used
    source, target, k : int64  different nodes; k ≥ 1

    Returns (arcs, lengths, costs): (F, N) int32 arc numbers then -1, (F,) int32 hops, (F,) float64; F ≤ k paths exist.
    Yen (Management Science 17(11), 1971) with Lawler's restriction (Management Science 18(7), 1972): a path is varied
    only from where it left its parent on, so no path is found twice and the pool needs to keep only the k best.
    Cost O(k·N·(N² + A + k)) time, O(k·N) memory.
    """
    nodes = indptr.size - 1
    tails = _tails(indptr, heads.size)
    arcs, pool_arcs = np.empty((k, nodes), np.int32), np.empty((k, nodes), np.int32)
    lengths, pool_lengths = np.zeros(k, np.int32), np.zeros(k, np.int32)
    costs, pool_costs = np.empty(k, np.float64), np.empty(k, np.float64)
    pool_branches = np.zeros(k, np.int32)
    barred_nodes, settled = np.zeros(nodes, np.bool_), np.empty(nodes, np.bool_)
    barred_arcs = weights == INFINITY
    distance = np.empty(nodes, np.float64)
    hops, arrival, draft = np.empty(nodes, np.int32), np.empty(nodes, np.int32), np.empty(nodes, np.int32)
    found = pooled = branch = 0
    while found < k:
        # The first round varies nothing: from the source on it finds the shortest path itself.
        newest = max(found - 1, 0)
        barred_nodes[:] = False
        for position in range(lengths[newest] if found else 1):
            spur = heads[arcs[newest, position - 1]] if position else source
            if position >= branch:
                _bar_known(arcs, lengths, found, position, barred_arcs, True)
                reached = _shortest(
                    indptr, heads, weights, spur, target, barred_nodes, barred_arcs, distance, hops, arrival, settled
                )
                _bar_known(arcs, lengths, found, position, barred_arcs, False)
                if reached:
                    length = position + hops[target]
                    _spell(draft, arcs[newest], position, length, target, arrival, tails)
                    cost = 0.0
                    for place in range(length):
                        cost += weights[draft[place]]
                    pooled = _offer(
                        pool_costs, pool_lengths, pool_arcs, pool_branches, pooled, cost, length, draft, position
                    )
            barred_nodes[spur] = True
        if pooled == 0:
            break
        best = _first_of(pool_costs, pool_lengths, pool_arcs, pooled)
        arcs[found], lengths[found], costs[found] = pool_arcs[best], pool_lengths[best], pool_costs[best]
        arcs[found, lengths[found] :] = -1
        branch = pool_branches[best]
        found, pooled = found + 1, pooled - 1
        pool_arcs[best], pool_lengths[best] = pool_arcs[pooled], pool_lengths[pooled]
        pool_costs[best], pool_branches[best] = pool_costs[pooled], pool_branches[pooled]
    return arcs[:found], lengths[:found], costs[:found]
