"""K shortest loopless routes on a directed multigraph in compressed rows.

Arc e runs from the node u with indptr[u] ≤ e < indptr[u+1] to heads[e]; parallel arcs are arcs of their own.

Every search knows the distance that is left to the target with nothing barred. Where the path that this promises is
open, it is taken without a search; where it is not, the promise guides one (A*: Hart, Nilsson and Raphael, IEEE Trans.
SSC 4(2), 1968), and a path that could not enter the pool is given up early.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

INFINITY = np.inf
# Sums of the same arcs in another order may differ by rounding; a bound must not cut what is equal.
_SLACK = 1.0 + 1e-12
# Columns of `cost`, per node: from the start, that with what is left, and what is left to the target at least.
_SO_FAR, _THROUGH, _LEFT = 0, 1, 2
# Columns of `label`, per node: hops from the start, arc of arrival, place in the heap (0: none), round that wrote it;
# hops left to the target, and the first arc of that way.
_HOPS, _ARRIVAL, _PLACE, _ROUND, _HOPS_LEFT, _ONWARD = 0, 1, 2, 3, 4, 5


@njit(nogil=True, cache=True)
def _lift(heap: Any, cost: Any, label: Any, place: int) -> None:
    """Move the node at `place` up to where it belongs; heap[0] is the number of nodes, the first stands at 1."""
    node = heap[place]
    while place > 1:
        above = heap[place // 2]
        if cost[above, _THROUGH] < cost[node, _THROUGH] or (
            cost[above, _THROUGH] == cost[node, _THROUGH] and label[above, _HOPS] <= label[node, _HOPS]
        ):
            break
        heap[place] = above
        label[above, _PLACE] = place
        place //= 2
    heap[place] = node
    label[node, _PLACE] = place


@njit(nogil=True, cache=True)
def _take(heap: Any, cost: Any, label: Any) -> Any:
    """Remove and return the node that comes first: least cost through it, then fewest hops."""
    first = heap[1]
    label[first, _PLACE] = 0
    size = heap[0] - 1
    heap[0] = size
    if size == 0:
        return first
    node = heap[size + 1]
    through, hops = cost[node, _THROUGH], label[node, _HOPS]
    place = 1
    while 2 * place <= size:
        below = 2 * place
        if below < size:
            one, other = heap[below], heap[below + 1]
            if cost[other, _THROUGH] < cost[one, _THROUGH] or (
                cost[other, _THROUGH] == cost[one, _THROUGH] and label[other, _HOPS] < label[one, _HOPS]
            ):
                below += 1
        child = heap[below]
        if through < cost[child, _THROUGH] or (through == cost[child, _THROUGH] and hops <= label[child, _HOPS]):
            break
        heap[place] = child
        label[child, _PLACE] = place
        place = below
    heap[place] = node
    label[node, _PLACE] = place
    return first


@njit(nogil=True, cache=True)
def _comes_earlier(arc: int, node: int, start: int, origins: Any, label: Any) -> bool:
    """Whether arriving at `node` by `arc` has lower arc numbers, from the start on, than its arrival of equal cost."""
    new, old = arc, label[node, _ARRIVAL]
    while origins[new] != origins[old]:
        if origins[new] == start or origins[old] == start:
            return False
        new, old = label[origins[new], _ARRIVAL], label[origins[old], _ARRIVAL]
    return bool(new < old)


@njit(nogil=True, cache=True)
def _search(
    pointers: Any,
    ends: Any,
    arcs: Any,
    origins: Any,
    weights: Any,
    start: int,
    goal: int,
    limit: float,
    barred_nodes: Any,
    barred_arcs: Any,
    cost: Any,
    label: Any,
    heap: Any,
    turn: int,
) -> bool:
    """Label nodes from `start` until `goal` is reached (-1: all); least cost, then hops, then arc numbers.

    Row r of arcs[pointers[u]:pointers[u+1]] leaves u, or enters it in a graph turned round, for ends[r]; origins[e] is
    where arc e is left from. Nothing whose cost so far and left (cost[:, _LEFT]) is above `limit` is looked at. cost,
    label and heap are written; label[v, _ROUND] = turn where v has a label. True: goal reached.
    """
    cost[start, _SO_FAR], cost[start, _THROUGH] = 0.0, cost[start, _LEFT]
    label[start, _HOPS], label[start, _ARRIVAL], label[start, _ROUND] = 0, -1, turn
    heap[0], heap[1] = 1, start
    label[start, _PLACE] = 1
    while heap[0] > 0:
        here = _take(heap, cost, label)
        if here == goal:
            return True
        hops = label[here, _HOPS] + 1
        for row in range(pointers[here], pointers[here + 1]):
            arc, there = arcs[row], ends[row]
            if barred_arcs[arc] or barred_nodes[there]:
                continue
            reached = cost[here, _SO_FAR] + weights[arc]
            through = reached + cost[there, _LEFT]
            if through > limit or through == INFINITY:
                continue
            if label[there, _ROUND] == turn:
                if reached > cost[there, _SO_FAR] or (reached == cost[there, _SO_FAR] and hops > label[there, _HOPS]):
                    continue
                if reached == cost[there, _SO_FAR] and hops == label[there, _HOPS]:
                    if _comes_earlier(arc, there, start, origins, label):
                        label[there, _ARRIVAL] = arc
                    continue
            else:
                label[there, _ROUND], label[there, _PLACE] = turn, 0
            cost[there, _SO_FAR], cost[there, _THROUGH] = reached, through
            label[there, _HOPS], label[there, _ARRIVAL] = hops, arc
            if there == goal:
                limit = min(limit, reached * _SLACK)
            if label[there, _PLACE] == 0:
                heap[0] += 1
                heap[heap[0]] = there
                label[there, _PLACE] = heap[0]
            _lift(heap, cost, label, label[there, _PLACE])
    return False


@njit(nogil=True, cache=True)
def _turned_round(indptr: Any, heads: Any, tails: Any) -> Any:
    """The arcs that enter each node: (N+1,) pointers, (A,) where each comes from, (A,) its number."""
    nodes = indptr.size - 1
    pointers = np.zeros(nodes + 1, np.int32)
    for arc in range(heads.size):
        pointers[heads[arc] + 1] += 1
    for node in range(nodes):
        pointers[node + 1] += pointers[node]
    filled = pointers.copy()
    sources, arcs = np.empty(heads.size, np.int32), np.empty(heads.size, np.int32)
    for arc in range(heads.size):
        row = filled[heads[arc]]
        filled[heads[arc]] += 1
        sources[row], arcs[row] = tails[arc], arc
    return pointers, sources, arcs


@njit(nogil=True, cache=True)
def _best_arc(indptr: Any, heads: Any, weights: Any, node: int, cost: Any, label: Any, barred_arcs: Any) -> Any:
    """Arc out of `node` with least weight and distance left, then hops, then number; -1 when none leads to the end."""
    best, least, fewest = -1, INFINITY, 0
    for arc in range(indptr[node], indptr[node + 1]):
        if barred_arcs[arc]:
            continue
        promised = weights[arc] + cost[heads[arc], _LEFT]
        hops = label[heads[arc], _HOPS_LEFT]
        if promised < least or (promised == least and promised < INFINITY and hops < fewest):
            best, least, fewest = arc, promised, hops
    return best


@njit(nogil=True, cache=True)
def _ahead(
    indptr: Any,
    heads: Any,
    tails: Any,
    weights: Any,
    target: int,
    barred_nodes: Any,
    barred_arcs: Any,
    cost: Any,
    label: Any,
    heap: Any,
) -> None:
    """Fill in what is left to `target` from each node and the first arc of the way, by one search backwards."""
    nodes = indptr.size - 1
    pointers, sources, arcs = _turned_round(indptr, heads, tails)
    cost[:, _LEFT] = 0.0
    _search(
        pointers, sources, arcs, heads, weights, target, -1, INFINITY, barred_nodes, barred_arcs, cost, label, heap, 1
    )  # fmt: skip
    for node in range(nodes):
        cost[node, _LEFT] = cost[node, _SO_FAR] if label[node, _ROUND] == 1 else INFINITY
        label[node, _HOPS_LEFT] = label[node, _HOPS]
    for node in range(nodes):
        label[node, _ONWARD] = _best_arc(indptr, heads, weights, node, cost, label, barred_arcs)


@njit(nogil=True, cache=True)
def _follow(
    draft: Any, position: int, spur: int, arc: Any, heads: Any, label: Any, target: int, barred_nodes: Any
) -> Any:
    """Write the path that `arc` promises into `draft` from `position` on; its hops in all, or 0 when it is not open."""
    place = position
    while True:
        draft[place] = arc
        place += 1
        node = heads[arc]
        if node == target:
            return place
        # On a way of least weight and hops no node comes twice, but it may run into what is barred.
        if barred_nodes[node] or node == spur:
            return 0
        arc = label[node, _ONWARD]


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
def _bar_known(arcs: Any, lengths: Any, found: int, position: int, barred_arcs: Any) -> None:
    """Bar the arc at `position` of every found route that shares the newest one's first `position` arcs."""
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
            barred_arcs[arcs[other, position]] = True


@njit(nogil=True, cache=True)
def _last_of(costs: Any, lengths: Any, arcs: Any, begin: int, end: int) -> int:
    """Row of begin … end-1 that comes last in the total order."""
    last = begin
    for row in range(begin + 1, end):
        if _precedes(costs[last], lengths[last], arcs[last], costs[row], lengths[row], arcs[row]):
            last = row
    return last


@njit(nogil=True, cache=True)
def _first_of(costs: Any, lengths: Any, arcs: Any, begin: int, end: int) -> int:
    """Row of begin … end-1 that comes first in the total order."""
    first = begin
    for row in range(begin + 1, end):
        if _precedes(costs[row], lengths[row], arcs[row], costs[first], lengths[first], arcs[first]):
            first = row
    return first


@njit(nogil=True, cache=True)
def _offer(
    costs: Any,
    lengths: Any,
    arcs: Any,
    branches: Any,
    begin: int,
    end: int,
    room: int,
    weights: Any,
    length: int,
    draft: Any,
    branch: int,
) -> Any:
    """Put a path into the pool, rows begin … end-1; one of `room` rows keeps its best. Returns the pool's new end."""
    cost = 0.0
    for place in range(length):
        cost += weights[draft[place]]
    row = end
    if end - begin == room:
        row = _last_of(costs, lengths, arcs, begin, end)
        if _precedes(costs[row], lengths[row], arcs[row], cost, length, draft):
            return end
    else:
        end += 1
    for place in range(length):
        arcs[row, place] = draft[place]
    lengths[row] = length
    costs[row] = cost
    branches[row] = branch
    return end


@njit(nogil=True, cache=True)
def _move(costs: Any, lengths: Any, arcs: Any, branches: Any, row: int, to: int) -> None:
    """Put the path of one row into another row."""
    for place in range(lengths[row]):
        arcs[to, place] = arcs[row, place]
    lengths[to], costs[to], branches[to] = lengths[row], costs[row], branches[row]


@njit(nogil=True, cache=True)
def _spell(draft: Any, position: int, length: int, target: int, label: Any, tails: Any) -> None:
    """Write into `draft`, from `position` on, the arcs by which `target` was reached."""
    node = target
    for place in range(length - 1, position - 1, -1):
        draft[place] = label[node, _ARRIVAL]
        node = tails[draft[place]]


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
    Where sums of weights are exact, as of whole numbers, the order is total and so is the choice of the k paths.
    Yen (Management Science 17(11), 1971) with Lawler's restriction (Management Science 18(7), 1972): a path is varied
    only from where it left its parent on, so no path is found twice and the pool needs to keep only the k best.
    Cost O(k·N·((N + A)·log N + k)) time at worst, in practice one full search and a few short ones; O(k·N + A) memory.
    """
    nodes = indptr.size - 1
    tails, own = _tails(indptr, heads.size), np.arange(heads.size).astype(np.int32)
    # Rows of paths: found ones from 0 on, the pool from k on.
    arcs, costs = np.empty((2 * k, nodes), np.int32), np.empty(2 * k, np.float64)
    lengths, branches = np.zeros(2 * k, np.int32), np.zeros(2 * k, np.int32)
    barred_nodes, barred_arcs = np.zeros(nodes, np.bool_), weights == INFINITY
    cost, label = np.empty((nodes, 3), np.float64), np.zeros((nodes, 6), np.int32)
    heap, draft = np.empty(nodes + 1, np.int32), np.empty(nodes, np.int32)
    _ahead(indptr, heads, tails, weights, target, barred_nodes, barred_arcs, cost, label, heap)
    found, end, turn = 0, k, 1
    while found < k:
        # The first round varies nothing: from the source on it finds the shortest path itself.
        newest = max(found - 1, 0)
        barred_nodes[:] = False
        before = 0.0
        for position in range(lengths[newest] if found else 1):
            spur = source
            if position:
                draft[position - 1] = arcs[newest, position - 1]
                before += weights[draft[position - 1]]
                spur = heads[draft[position - 1]]
            if position >= branches[newest]:
                limit = INFINITY
                if end - k == k - found:
                    limit = costs[_last_of(costs, lengths, arcs, k, end)] * _SLACK
                _bar_known(arcs, lengths, found, position, barred_arcs)
                length = 0
                arc = _best_arc(indptr, heads, weights, spur, cost, label, barred_arcs)
                if arc >= 0 and before + weights[arc] + cost[heads[arc], _LEFT] <= limit:
                    length = _follow(draft, position, spur, arc, heads, label, target, barred_nodes)
                    turn += 1
                    if length == 0 and _search(
                        indptr, heads, own, tails, weights, spur, target, limit - before, barred_nodes, barred_arcs,
                        cost, label, heap, turn,
                    ):  # fmt: skip
                        length = position + label[target, _HOPS]
                        _spell(draft, position, length, target, label, tails)
                for out in range(indptr[spur], indptr[spur + 1]):
                    barred_arcs[out] = weights[out] == INFINITY
                if length:
                    end = _offer(
                        costs, lengths, arcs, branches, k, end, k - found, weights, length, draft, position
                    )  # fmt: skip
            barred_nodes[spur] = True
        if end == k:
            break
        best = _first_of(costs, lengths, arcs, k, end)
        end -= 1
        _move(costs, lengths, arcs, branches, best, found)
        _move(costs, lengths, arcs, branches, end, best)
        found += 1
    for row in range(found):
        arcs[row, lengths[row] :] = -1
    return arcs[:found], lengths[:found], costs[:found]
