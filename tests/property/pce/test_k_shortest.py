"""K shortest loopless paths against networkx and against enumeration."""

import math
from itertools import islice

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pce.core.graph import k_shortest_paths

Arcs = list[tuple[int, int, float]]


def csr(nodes: int, arcs: Arcs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arcs = sorted(arcs)
    indptr = np.searchsorted([a for a, _, _ in arcs], np.arange(nodes + 1)).astype(np.int32)
    return indptr, np.array([z for _, z, _ in arcs], np.int32), np.array([w for _, _, w in arcs], np.float64)


def ours(nodes: int, arcs: Arcs, source: int, target: int, k: int) -> list[tuple[float, tuple[int, ...]]]:
    indptr, heads, weights = csr(nodes, arcs)
    rows, lengths, costs = k_shortest_paths(indptr, heads, weights, source, target, k)
    return [
        (float(cost), tuple(int(arc) for arc in row[:hops]))
        for row, hops, cost in zip(rows, lengths, costs, strict=True)
    ]


@st.composite
def simple_graphs(draw: st.DrawFn) -> tuple[int, Arcs]:
    nodes = draw(st.integers(2, 8))
    ends = st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)).filter(lambda ends: ends[0] != ends[1])
    # Whole numbers, 0 among them: ties are common and sums are exact.
    weights = draw(st.dictionaries(ends, st.integers(0, 9), max_size=30))
    return nodes, [(a, z, float(weight)) for (a, z), weight in weights.items()]


@settings(deadline=None, max_examples=300)
@given(simple_graphs(), st.integers(1, 12))
def test_weights_equal_those_of_networkx(graph: tuple[int, Arcs], k: int) -> None:
    nodes, arcs = graph
    peer = nx.DiGraph()
    peer.add_nodes_from(range(nodes))
    peer.add_weighted_edges_from(arcs)
    try:
        theirs = list(islice(nx.shortest_simple_paths(peer, 0, nodes - 1, weight="weight"), k))
    except nx.NetworkXNoPath:
        theirs = []
    found = ours(nodes, arcs, 0, nodes - 1, k)
    assert [cost for cost, _ in found] == [nx.path_weight(peer, path, "weight") for path in theirs]


@settings(deadline=None, max_examples=200)
@given(
    st.integers(2, 5).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(
                st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 3).map(float)).filter(
                    lambda arc: arc[0] != arc[1]
                ),
                max_size=12,
            ),
        )
    ),
    st.integers(1, 40),
)
def test_parallel_arcs_make_paths_of_their_own(graph: tuple[int, Arcs], k: int) -> None:
    """On multigraphs the k first of all loopless paths in the documented total order, equal weights and all."""
    nodes, arcs = graph
    arcs = sorted(arcs)
    everything: list[tuple[float, int, tuple[int, ...]]] = []

    def extend(here: int, seen: set[int], taken: tuple[int, ...]) -> None:
        if here == nodes - 1:
            everything.append((sum(arcs[arc][2] for arc in taken), len(taken), taken))
            return
        for arc, (a, z, _) in enumerate(arcs):
            if a == here and z not in seen:
                extend(z, seen | {z}, (*taken, arc))

    extend(0, {0}, ())
    found = ours(nodes, arcs, 0, nodes - 1, k)
    assert [(cost, len(path), path) for cost, path in found] == sorted(everything)[:k]


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(9, 40), st.integers(1, 25), st.booleans())
def test_larger_graphs_agree_with_networkx(seed: int, nodes: int, k: int, whole: bool) -> None:
    """Enough detours that the way that was promised is often barred; whole lengths tie, others do not."""
    rng = np.random.default_rng(seed)
    links = {(node, (node + 1) % nodes) for node in range(nodes)}
    links |= {(min(pair), max(pair)) for pair in rng.integers(0, nodes, (nodes, 2)).tolist() if pair[0] != pair[1]}
    peer = nx.Graph()
    for a, z in sorted(links):
        peer.add_edge(a, z, weight=float(rng.integers(1, 4)) if whole else float(rng.random()))
    arcs = [(u, v, peer[u][v]["weight"]) for a, z in peer.edges for u, v in ((a, z), (z, a))]
    theirs = list(islice(nx.shortest_simple_paths(peer, 0, nodes // 2, weight="weight"), k))
    found = ours(nodes, arcs, 0, nodes // 2, k)
    assert [cost for cost, _ in found] == pytest.approx([nx.path_weight(peer, p, "weight") for p in theirs], rel=1e-12)
    numbered = sorted(arcs)
    for _, path in found:
        way = [numbered[path[0]][0], *(numbered[arc][1] for arc in path)]
        assert (way[0], way[-1], len(set(way))) == (0, nodes // 2, len(path) + 1)
    assert len({path for _, path in found}) == len(found)
    keys = [(cost, len(path), path) for cost, path in found]
    assert keys == sorted(keys)


@pytest.mark.parametrize("k", [1, 3])
def test_an_arc_of_infinite_weight_is_not_used(k: int) -> None:
    arcs = [(0, 1, math.inf), (0, 2, 5.0), (2, 1, 5.0)]
    assert [cost for cost, _ in ours(3, arcs, 0, 1, k)] == [10.0]
