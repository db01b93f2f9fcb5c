"""The engine's answers and refusals on small networks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from controller.domain.errors import (
    GsnrBelowMargin,
    InvalidRequest,
    NoPath,
    NotFound,
    ResourceExhausted,
    SpectrumBlocked,
)
from controller.domain.spectrum import FrequencySlot
from pce.engine import Engine, PooledEngine
from pce.request import Constraint, ItDemand, Objective, PathRequest
from pce.ted_snapshot import FULL_BAND, TedSnapshot
from tests.unit.pce.networks import MODE_100G, MODE_400G, node, pair, qot, site, square

FIXED = PathRequest("A", targets=("C",), objective=Objective.DISTANCE)


def compute(snapshot: TedSnapshot, request: PathRequest):
    return Engine().compute(snapshot, request)


def test_shortest_route_lowest_slot_and_the_better_margin() -> None:
    answer = compute(square(), FIXED)
    best = answer.best
    assert answer.generation == 7
    assert best.route.nodes == ("A", "B", "C")
    assert best.route.forward == ("AB", "BC")
    assert best.route.reverse == ("BA", "CB")
    assert best.slot == FrequencySlot.from_granules(0, 8)
    assert best.mode == MODE_100G
    assert (best.length_km, best.latency_ms) == (200.0, 1.0)
    assert {c.route.nodes for c in answer.candidates} == {("A", "B", "C"), ("A", "D", "C"), ("A", "C")}


def test_power_of_lit_lines_is_not_counted_again() -> None:
    request = replace(FIXED, objective=Objective.NET_POWER, k=1)
    dark = compute(square(), request).best
    assert dark.net_power_w == 2 * 20.0 + 2 * 100.0
    assert dark.route.nodes == ("A", "C")
    lit = square().with_occupied(["AB", "BA", "BC", "CB"], dark.slot)
    onward = compute(lit, request).best
    assert onward.route.nodes == ("A", "B", "C")
    assert onward.net_power_w == 2 * 20.0
    assert onward.slot.first_granule == dark.slot.end_granule


def test_gsnr_today_rises_from_alone_to_full_with_what_is_lit() -> None:
    snapshot = TedSnapshot.of(1, [node("A"), node("B")], pair("A", "B"))
    request = PathRequest("A", targets=("B",), bit_rate_gbps=400)
    alone = compute(snapshot, request).best
    half = compute(snapshot.with_occupied(["AB", "BA"], FrequencySlot.from_granules(384, 768)), request).best
    almost = compute(snapshot.with_occupied(["AB", "BA"], FrequencySlot.from_granules(14, 768)), request).best
    assert alone.gsnr_0p1nm_db > half.gsnr_0p1nm_db > almost.gsnr_0p1nm_db
    assert almost.gsnr_0p1nm_db == pytest.approx(almost.worst_case_gsnr_0p1nm_db)
    assert alone.worst_case_gsnr_0p1nm_db == half.worst_case_gsnr_0p1nm_db
    assert alone.margin_db == alone.worst_case_gsnr_0p1nm_db - 24.0


def test_a_slot_where_quality_holds_is_taken_although_a_lower_one_is_free() -> None:
    """Figures worse at the upper end by 30 %, turned round: only the upper slots are quiet enough."""
    quality = qot(100.0, ase=6e-3)
    turned = replace(
        quality,
        samples=tuple(
            replace(sample, nsr_ase=other.nsr_ase)
            for sample, other in zip(quality.samples, reversed(quality.samples), strict=True)
        ),
    )
    snapshot = TedSnapshot.of(1, [node("A"), node("B")], pair("A", "B", quality=turned))
    request = PathRequest("A", targets=("B",), bit_rate_gbps=400)
    anywhere = compute(snapshot, replace(request, min_margin_db=-3.0)).best
    assert anywhere.slot.first_granule == 0
    strict = replace(request, min_margin_db=anywhere.margin_db + 0.2)
    chosen = compute(snapshot, strict).best
    assert chosen.slot.first_granule > 0
    assert chosen.margin_db >= strict.min_margin_db
    below = FrequencySlot.from_granules(chosen.slot.first_granule - 1, chosen.slot.end_granule - 1)
    full = snapshot.with_occupied(
        ["AB"], FrequencySlot.from_granules(below.first_granule, 768 - (below.first_granule % 2))
    )
    with pytest.raises(GsnrBelowMargin, match="worst-case margin"):
        compute(full, strict)


def test_only_the_band_of_the_link_is_used() -> None:
    band = FrequencySlot.from_granules(300, 400)
    snapshot = TedSnapshot.of(1, [node("A"), node("B")], pair("A", "B", band=band))
    assert compute(snapshot, PathRequest("A", targets=("B",))).best.slot.first_granule == 300
    # Words that leave the granules outside the band unmarked mean the same.
    bare = snapshot.with_links(replace(link, occupied=(0,) * 12) for link in snapshot.links.values())
    assert compute(bare, PathRequest("A", targets=("B",))).best.slot.first_granule == 300


def test_the_slot_is_free_in_both_directions() -> None:
    blocked = square().with_occupied(["CB"], FrequencySlot.from_granules(0, 20))
    assert compute(blocked, FIXED).best.route.nodes == ("A", "D", "C")
    request = replace(FIXED, avoid_nodes=frozenset({"D"}), avoid_links=frozenset({"CA"}))
    assert compute(blocked, request).best.slot.first_granule == 20


def test_a_link_without_its_opposite_carries_nothing() -> None:
    with pytest.raises(NoPath):
        compute(square().without_links(["CB", "DA", "CA"]), FIXED)


def test_parallel_links_are_alternatives() -> None:
    links = [*pair("A", "B", suffix="-1"), *pair("A", "B", suffix="-2", quality=qot(90.0))]
    snapshot = TedSnapshot.of(1, [node("A"), node("B")], links)
    answer = compute(snapshot, PathRequest("A", targets=("B",), objective=Objective.DISTANCE))
    assert answer.best.route.directed_links == ("AB-2", "BA-2")
    answer = compute(snapshot, PathRequest("A", targets=("B",), avoid_links=frozenset({"BA-2"})))
    assert {c.route.forward for c in answer.candidates} == {("AB-1",)}


def test_avoided_srlgs_and_latency() -> None:
    ring = [pair("A", "B", srlgs=frozenset({"duct"})), pair("B", "C"), pair("C", "D"), pair("D", "A")]
    snapshot = TedSnapshot.of(1, [node(name) for name in "ABCD"], [link for both in ring for link in both])
    request = replace(FIXED, avoid_srlgs=frozenset({"duct"}))
    assert {c.route.nodes for c in compute(snapshot, request).candidates} == {("A", "D", "C")}
    with pytest.raises(NoPath, match="max_latency_ms") as refused:
        compute(snapshot, replace(FIXED, max_latency_ms=0.75))
    assert refused.value.fields["shortfall"] == pytest.approx(0.25)
    assert refused.value.fields["unit"] == "ms"


def test_spectrum_blocked_says_how_much_is_missing() -> None:
    snapshot = TedSnapshot.of(1, [node("A"), node("B")], pair("A", "B"))
    nearly_full = snapshot.with_occupied(["AB"], FrequencySlot.from_granules(6, 768))
    with pytest.raises(SpectrumBlocked) as refused:
        compute(nearly_full, PathRequest("A", targets=("B",)))
    assert (refused.value.fields["shortfall"], refused.value.fields["unit"]) == (12.5, "GHz")
    assert refused.value.fields["route"] == "A → B"


def test_gsnr_below_margin_says_by_how_much() -> None:
    with pytest.raises(GsnrBelowMargin) as refused:
        compute(square(), replace(FIXED, bit_rate_gbps=400, min_margin_db=30))
    shortfall = refused.value.fields["shortfall"]
    best = compute(square(), replace(FIXED, bit_rate_gbps=400))
    # The quietest slot of the best route: at the band's lower end, where the figures are flat.
    assert shortfall == pytest.approx(30 - max(c.margin_db for c in best.candidates), abs=1e-6)
    assert refused.value.fields["mode"] == "400G"


def test_transponders_taken_or_without_a_common_mode() -> None:
    taken = square().with_transponders({"C": ["C-1"]}, free=False)
    with pytest.raises(ResourceExhausted, match="no transponder is free at C"):
        compute(taken, FIXED)
    slow = square().with_nodes([node("C", modes=(MODE_100G,))])
    with pytest.raises(ResourceExhausted, match="the fastest shared one carries 100 Gb/s") as refused:
        compute(slow, replace(FIXED, bit_rate_gbps=400))
    assert refused.value.fields["shortfall"] == 300


def test_a_mode_stated_differently_at_both_ends_counts_as_the_worse() -> None:
    better = replace(MODE_400G, required_osnr_0p1nm_db=20.0, tx_osnr_0p1nm_db=45.0, power_w=10.0)
    snapshot = square().with_nodes([node("C", modes=(better,))])
    best = compute(snapshot, replace(FIXED, bit_rate_gbps=400)).best
    assert best.mode == MODE_400G
    assert best.net_power_w == pytest.approx(80.0 + 10.0 + 4 * 100.0)


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"source": "X"}, NotFound, "source"),
        ({"targets": ("X",)}, NotFound, "targets"),
        ({"avoid_nodes": frozenset({"X"})}, NotFound, "avoid_nodes"),
        ({"avoid_nodes": frozenset({"A"})}, InvalidRequest, "avoid_nodes"),
        ({"targets": ("A",)}, InvalidRequest, "targets"),
        ({"bit_rate_gbps": 800.0}, InvalidRequest, "bit_rate_gbps"),
        ({"candidate_sites": ("dc",)}, InvalidRequest, "candidate_sites"),
        ({"objective": Objective.CARBON}, InvalidRequest, "objective"),
        ({"it_demand": ItDemand(1, 1)}, ResourceExhausted, "it_demand"),
    ],
)
def test_faults_of_the_request_are_named(change: dict, kind: type[Exception], field: str) -> None:
    with pytest.raises(kind) as refused:
        compute(square(), replace(FIXED, **change))
    assert refused.value.fields["field"] == field
    assert field in str(refused.value)


def test_the_rates_that_exist_are_named() -> None:
    with pytest.raises(InvalidRequest, match="100, 400"):
        compute(square(), replace(FIXED, bit_rate_gbps=401))


def test_sites_are_weighed_by_power_and_room() -> None:
    sites = [site("dc-b", "B"), site("dc-c", "C", per_vcpu_w=1.0), site("dc-d", "D", vcpu=2.0), site("dc-a", "A")]
    snapshot = replace(square(), sites={s.name: s for s in sites})
    request = PathRequest("A", it_demand=ItDemand(4, 16), objective=Objective.IT_POWER)
    answer = compute(snapshot, request)
    assert answer.best.site == "dc-c"
    assert answer.best.it_power_w == pytest.approx(4 * 1.0 * 1.3)
    refused = {(r.site, r.constraint): r for r in answer.refusals}
    assert refused["dc-d", Constraint.VCPU].shortfall == 2.0
    assert refused["dc-d", Constraint.VCPU].unit == "vCPU"
    assert ("dc-a", Constraint.CONNECTIVITY) in refused
    restricted = compute(snapshot, replace(request, targets=("B",)))
    assert {c.site for c in restricted.candidates} == {"dc-b"}
    with pytest.raises(InvalidRequest, match="no IT site stands there"):
        compute(snapshot, replace(request, targets=("C",), candidate_sites=("dc-b",)))
    with pytest.raises(NotFound, match="dc-x"):
        compute(snapshot, replace(request, candidate_sites=("dc-x",)))


@pytest.mark.parametrize(
    ("demand", "constraint", "unit"),
    [
        (ItDemand(100, 1), "vcpu", "vCPU"),
        (ItDemand(1, 300), "memory", "GiB"),
        (ItDemand(1, 1, 2000), "storage", "GiB"),
    ],
)
def test_no_room_anywhere(demand: ItDemand, constraint: str, unit: str) -> None:
    snapshot = replace(square(), sites={"dc": site("dc", "C")})
    with pytest.raises(ResourceExhausted) as refused:
        compute(snapshot, PathRequest("A", it_demand=demand))
    assert refused.value.fields["constraint"] == constraint
    assert refused.value.fields["unit"] == unit
    assert refused.value.fields["site"] == "dc"


def test_an_idle_site_costs_the_waking_of_a_server() -> None:
    snapshot = replace(square(), sites={"dc": site("dc", "C", active=False)})
    best = compute(snapshot, PathRequest("A", it_demand=ItDemand(4, 16))).best
    assert best.it_power_w == pytest.approx((100.0 + 4 * 5.0) * 1.3)
    assert best.objective_value == pytest.approx(best.net_power_w + best.it_power_w)


def test_avoiding_what_has_gone_is_no_fault() -> None:
    request = replace(FIXED, avoid_links=frozenset({"AB", "long gone"}))
    assert compute(square().without_links(["AB"]), request).best.route.nodes == ("A", "D", "C")


def test_an_engine_follows_its_snapshots() -> None:
    """Figures kept from one generation to the next must not hide a change of quality or of the network."""
    engine, snapshot = Engine(), square()
    before = engine.compute(snapshot, FIXED).best
    worse = snapshot.with_links([replace(link, qot=qot(100.0, ase=1e-2)) for link in snapshot.links.values()])
    assert engine.compute(worse, FIXED).best.margin_db < before.margin_db - 1
    assert engine.compute(snapshot.without_links(["AB"]), FIXED).best.route.nodes == ("A", "D", "C")
    assert engine.compute(snapshot, FIXED).best == before


async def test_concurrent_requests_on_different_generations_do_not_mix() -> None:
    snapshots = [square()]
    for first in range(0, 80, 8):
        slot = FrequencySlot.from_granules(first, first + 8)
        snapshots.append(snapshots[-1].with_occupied(snapshots[-1].links, slot))
    pooled = PooledEngine(threads=4)
    try:
        order = [snapshots[(7 * i) % len(snapshots)] for i in range(60)]
        answers = await asyncio.gather(*(pooled.compute(snapshot, FIXED) for snapshot in order))
    finally:
        pooled.close()
    for snapshot, answer in zip(order, answers, strict=True):
        assert answer.generation == snapshot.generation
        assert answer.best.slot.first_granule == 8 * (snapshot.generation - 7)


async def test_pooled_engine_answers_as_the_engine() -> None:
    pooled = PooledEngine()
    try:
        await pooled.warm_up()
        assert await pooled.compute(square(), FIXED) == compute(square(), FIXED)
        with pytest.raises(NotFound):
            await pooled.compute(square(), replace(FIXED, source="X"))
    finally:
        pooled.close()


def test_a_free_route_beyond_the_first_k_is_found() -> None:
    """The three shortest of five parallel routes are full; k=3 must not mean blocked."""
    middles = [f"M{number}" for number in range(5)]
    links = []
    for number, middle in enumerate(middles):
        used = (FULL_BAND,) if number < 3 else ()
        links += pair("A", middle, quality=qot(100.0 + number), used=used)
        links += pair(middle, "Z", quality=qot(100.0 + number))
    snapshot = TedSnapshot.of(1, [node(name) for name in ("A", "Z", *middles)], links)
    request = PathRequest(source="A", targets=("Z",), k=3, objective=Objective.LATENCY)
    answer = Engine().compute(snapshot, request)
    assert answer.best.route.nodes == ("A", "M3", "Z")
    full = {refusal.route.nodes[1] for refusal in answer.refusals if refusal.constraint is Constraint.SPECTRUM}
    assert full == {"M0", "M1", "M2"}
