"""The engine's choice against enumeration of every site, simple path, mode and slot on small random networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.errors import ResourceExhausted
from controller.domain.spectrum import GRANULES, FrequencySlot, is_free
from pce.engine import Engine
from pce.request import ItDemand, Objective, PathRequest
from pce.ted_snapshot import TedLink, TedSnapshot
from tests.unit.pce.networks import MODE_100G, MODE_400G, node, pair, qot, site

DEMAND = ItDemand(vcpu=8, memory_gib=32, storage_gib=10)
OBJECTIVES = [
    Objective.NET_POWER, Objective.IT_POWER, Objective.NET_IT_POWER, Objective.LATENCY, Objective.HOPS,
    Objective.DISTANCE, Objective.COST, Objective.CARBON,
]  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One feasible combination, worked out the long way."""

    site: str
    nodes: tuple[str, ...]
    mode: str
    n: int
    value: float
    margin_db: float


@st.composite
def networks(draw: st.DrawFn, *, quiet: bool = False) -> TedSnapshot:
    count = draw(st.integers(3, 5))
    names = "ABCDE"[:count]
    power = st.integers(0, 300).map(float)
    nodes = [
        node(
            name,
            modes=draw(st.sampled_from([(MODE_100G,), (MODE_100G, MODE_400G), (MODE_400G,)])),
            express_power_w=draw(power),
            add_drop_power_w=draw(power),
            cost=draw(power),
        )
        for name in names
    ]
    if quiet:
        nodes = [replace(n, transponders=(replace(n.transponders[0], modes=(MODE_100G,)),)) for n in nodes]
    links: list[TedLink] = []
    for i, a in enumerate(names):
        for z in names[i + 1 :]:
            # A quiet network is whole, so that there is always more than one route to choose from.
            if quiet or draw(st.booleans()):
                links.extend(draw_pair(draw, a, z, power, quiet))
    places = draw(st.lists(st.sampled_from(names[1:] if quiet else names), min_size=1, max_size=3))
    sites = [
        site(
            f"dc{number}",
            at,
            vcpu=draw(st.sampled_from([8.0, 64.0] if quiet else [4.0, 8.0, 64.0])),
            active=draw(st.booleans()),
            carbon_g_per_kwh=draw(st.sampled_from([30.0, 400.0])),
            cost_per_vcpu=draw(st.sampled_from([1.0, 7.0])),
        )
        for number, at in enumerate(places)
    ]
    return TedSnapshot.of(1, nodes, links, sites)


def draw_pair(draw: st.DrawFn, a: str, z: str, power: st.SearchStrategy[float], quiet: bool) -> list[TedLink]:
    length_km = draw(st.integers(50, 900).map(float))
    used: tuple[FrequencySlot, ...] = ()
    if not quiet and draw(st.booleans()):
        first = draw(st.integers(0, 100))
        end = draw(st.sampled_from([first + 2, first + 60, first + 660]))
        used = (FrequencySlot.from_granules(first, end),)
    scale = 1e-6 if quiet else 1e-5
    quality = qot(length_km, ase=length_km * scale, alone=length_km * scale / 5, full=length_km * scale / 2)
    return pair(a, z, quality=quality, used=used, power_w=draw(power), cost=draw(power))


def interpolated(link: TedLink, center_thz: float, name: str) -> float:
    samples = link.qot.samples
    return float(np.interp(center_thz, [s.center_thz for s in samples], [getattr(s, name) for s in samples]))


def margin_db(snapshot: TedSnapshot, links: list[TedLink], ends: tuple[str, str], mode: object, thz: float) -> float:
    total = 1.0
    for link in links:
        total *= 1 + interpolated(link, thz, "nsr_ase") + interpolated(link, thz, "nsr_nli_full")
    noise = (total - 1) * 12.5 / mode.baud_rate_gbd + 10 ** (-mode.tx_osnr_0p1nm_db / 10)  # type: ignore[attr-defined]
    for end in ends:
        noise += 10 ** (-(snapshot.nodes[end].add_drop_osnr_0p1nm_db + 10 * math.log10(2)) / 10)
    return -10 * math.log10(noise) - mode.required_osnr_0p1nm_db  # type: ignore[attr-defined]


def value(
    snapshot: TedSnapshot, objective: Objective, nodes: list[str], links: list[TedLink], at: str, w: float
) -> float:
    """Objective by its definition; `links` are both directions, `w` the transponders' power."""
    there = snapshot.sites[at]
    net = w + sum(link.power_w for link in links if not any(link.occupied))
    net += sum(snapshot.nodes[name].express_power_w for name in nodes[1:-1])
    net += snapshot.nodes[nodes[0]].add_drop_power_w + snapshot.nodes[nodes[-1]].add_drop_power_w
    it = (there.per_vcpu_w * DEMAND.vcpu + (0 if there.active else there.idle_w)) * there.pue
    forward = links[: len(links) // 2]
    return {
        Objective.NET_POWER: net,
        Objective.IT_POWER: it,
        Objective.NET_IT_POWER: net + it,
        Objective.LATENCY: sum(link.qot.latency_ms for link in forward),
        Objective.HOPS: float(len(forward)),
        Objective.DISTANCE: sum(link.qot.length_km for link in forward),
        Objective.COST: sum(link.cost for link in links)
        + sum(snapshot.nodes[name].cost for name in nodes)
        + there.cost_per_vcpu * DEMAND.vcpu,
        Objective.CARBON: (net + it) * there.carbon_g_per_kwh / 1000,
    }[objective]


def enumerate_choices(snapshot: TedSnapshot, objective: Objective, rate_gbps: float, least_db: float) -> list[Choice]:
    graph = nx.Graph([(link.a, link.z) for link in snapshot.links.values()])
    found = []
    for there in snapshot.sites.values():
        if there.vcpu_free < DEMAND.vcpu or there.node == "A" or "A" not in graph or there.node not in graph:
            continue
        shared = [
            m
            for m in (MODE_100G, MODE_400G)
            if all(m in snapshot.nodes[e].transponders[0].modes for e in ("A", there.node))
        ]
        for path in nx.all_simple_paths(graph, "A", there.node):
            forward = [snapshot.links[a + z] for a, z in pairwise(path)]
            reverse = [snapshot.links[z + a] for a, z in pairwise(path)]
            for mode in shared:
                if mode.bit_rate_gbps < rate_gbps:
                    continue
                for first in range(GRANULES - 2 * mode.m + 1):
                    slot = FrequencySlot.from_granules(first, first + 2 * mode.m)
                    if not all(is_free(link.occupied, slot) for link in forward + reverse):
                        continue
                    margin = min(
                        margin_db(snapshot, way, ("A", there.node), mode, slot.center_hz / 1e12)
                        for way in (forward, reverse)
                    )
                    if margin >= least_db:
                        cost = value(snapshot, objective, path, forward + reverse, there.name, 2 * mode.power_w)
                        found.append(Choice(there.name, tuple(path), mode.mode_id, slot.n, cost, margin))
                        break
    return found


@settings(deadline=None, max_examples=60)
@given(networks(), st.sampled_from(OBJECTIVES), st.sampled_from([100.0, 400.0]), st.sampled_from([0.0, 2.0]))
def test_every_feasible_combination_is_found_and_the_best_is_chosen(
    snapshot: TedSnapshot, objective: Objective, rate_gbps: float, least_db: float
) -> None:
    """With k above the number of simple paths the search is exhaustive."""
    request = PathRequest(
        "A", it_demand=DEMAND, bit_rate_gbps=rate_gbps, objective=objective, min_margin_db=least_db, k=70
    )
    rates = {m.bit_rate_gbps for n in snapshot.nodes.values() for t in n.transponders for m in t.modes}
    if max(rates) < rate_gbps:
        return
    expected = enumerate_choices(snapshot, objective, rate_gbps, least_db)
    if not expected:
        with pytest.raises(ResourceExhausted) as refused:
            Engine().compute(snapshot, request)
        assert refused.value.fields["constraint"]
        return
    answer = Engine().compute(snapshot, request)
    found = {(c.site, c.route.nodes, c.mode.mode_id, c.slot.n): c for c in answer.candidates}
    assert set(found) == {(c.site, c.nodes, c.mode, c.n) for c in expected}
    for choice in expected:
        candidate = found[choice.site, choice.nodes, choice.mode, choice.n]
        assert candidate.objective_value == pytest.approx(choice.value)
        assert candidate.margin_db == pytest.approx(choice.margin_db, abs=1e-9)
    assert answer.best.objective_value == pytest.approx(min(choice.value for choice in expected))
    assert [c.objective_value for c in answer.candidates] == pytest.approx(sorted(c.value for c in expected))


@settings(deadline=None, max_examples=60)
@given(networks(quiet=True), st.sampled_from(OBJECTIVES))
def test_one_route_is_enough_where_quality_and_spectrum_allow_all(snapshot: TedSnapshot, objective: Objective) -> None:
    """The first of the k routes is best by the objective itself, not merely the shortest."""
    expected = enumerate_choices(snapshot, objective, 100.0, 0.0)
    request = PathRequest("A", it_demand=DEMAND, objective=objective, k=1)
    best = Engine().compute(snapshot, request).best
    assert best.objective_value == pytest.approx(min(choice.value for choice in expected), abs=1e-4)
