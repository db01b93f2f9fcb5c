"""The TED from hand-written facts: what is taken over, what is left out, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain.it import Server
from controller.domain.qot import OperationalMode
from controller.domain.spectrum import FrequencySlot, is_free
from controller.ncp.bookings import Bookings
from controller.ncp.ted import NodeFacts, build_snapshot
from controller.openroadm.facts import DegreeFacts, NeighbourFacts, PortRef
from tests.unit.ncp.two_nodes import BACK, BAND, FACTS, INFRASTRUCTURE, QOT, roadm, shelf

NOTHING = Bookings(3, {}, frozenset(), {})


def _links_and_problems(infrastructure=INFRASTRUCTURE, facts=None):
    snapshot, problems = build_snapshot(3, infrastructure, facts or FACTS, NOTHING, {"it": ()})
    return set(snapshot.links), [problem.message for problem in problems]


def test_both_directions_with_their_own_figures() -> None:
    snapshot, problems = build_snapshot(3, INFRASTRUCTURE, FACTS, NOTHING, {"it": ()})
    assert problems == ()
    assert snapshot.generation == 3
    forward, reverse = snapshot.links["l.az"], snapshot.links["l.za"]
    assert (forward.a, forward.z, forward.qot, forward.power_w) == ("a", "z", QOT, 12.0)
    assert (reverse.a, reverse.z, reverse.qot) == ("z", "a", BACK)
    assert is_free(forward.occupied, BAND)
    assert not is_free(forward.occupied, FrequencySlot.from_granules(98, 102))
    assert not forward.is_lit
    node = snapshot.nodes["a"]
    assert node.add_drop_osnr_0p1nm_db == 33.0
    assert [(entry.port, entry.free) for entry in node.transponders] == [("XPDR1-NETWORK1", True)]
    assert node.transponders[0].modes == (OperationalMode("400G", 400.0, 63.1, 87.5, 24.0, 37.0, 22.0),)


def test_power_of_a_mode_is_the_brokers_where_it_gave_one() -> None:
    mode = OperationalMode("400G", 400.0, 63.1, 87.5, 24.0, 37.0, 17.5)
    nodes = (replace(INFRASTRUCTURE.nodes[0], modes=(mode,)), INFRASTRUCTURE.nodes[1])
    snapshot, _ = build_snapshot(3, replace(INFRASTRUCTURE, nodes=nodes), FACTS, NOTHING, {"it": ()})
    assert snapshot.nodes["a"].transponders[0].modes[0].power_w == 17.5


def test_booked_granules_and_transponders_are_taken() -> None:
    bookings = Bookings(4, {"l.az": frozenset({150, 151})}, frozenset({("z", "XPDR1-NETWORK1")}), {})
    snapshot, _ = build_snapshot(4, INFRASTRUCTURE, FACTS, bookings, {"it": ()})
    assert not is_free(snapshot.links["l.az"].occupied, FrequencySlot.from_granules(150, 152))
    assert is_free(snapshot.links["l.az"].occupied, FrequencySlot.from_granules(152, 200))
    assert is_free(snapshot.links["l.za"].occupied, BAND)
    assert snapshot.links["l.az"].is_lit
    assert [entry.free for entry in snapshot.nodes["z"].transponders] == [False]
    assert [entry.free for entry in snapshot.nodes["a"].transponders] == [True]


def _with_roadm(name: str, **changes) -> dict[str, NodeFacts]:
    return {**FACTS, name: replace(FACTS[name], roadm=replace(FACTS[name].roadm, **changes))}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (_with_roadm("a", neighbours=(NeighbourFacts("ETH-DEG1", "vi-x", "ETH-DEG1"),)), "sees vi-x"),
        (_with_roadm("z", degrees=roadm("z", "a", None).degrees), "leases 1:768"),
        (_with_roadm("z", degrees=roadm("z", "a", FrequencySlot.from_granules(100, 198)).degrees), "leases 101:198"),
        (_with_roadm("a", degrees=()), "no degree 'DEG1-TTP-TXRX'"),
        ({**FACTS, "z": NodeFacts(None, shelf("z"))}, "cannot be reached"),
        ({"a": FACTS["a"]}, "cannot be reached"),
    ],
)
def test_link_that_the_devices_contradict_is_left_out(facts: dict[str, NodeFacts], reason: str) -> None:
    links, problems = _links_and_problems(facts=facts)
    assert links == set()
    assert any(reason in message for message in problems)


def test_lldp_that_leads_to_another_degree_of_the_right_node_is_a_contradiction() -> None:
    second = DegreeFacts(2, "DEG2-TTP-TXRX", PortRef("2/0", "L1"), "ETH-DEG2", BAND)
    facts = _with_roadm("z", degrees=(*FACTS["z"].roadm.degrees, second))
    facts["a"] = NodeFacts(replace(FACTS["a"].roadm, neighbours=(NeighbourFacts("ETH-DEG1", "vi-z", "ETH-DEG2"),)))
    links, problems = _links_and_problems(facts=facts)
    assert links == set()
    assert any("DEG2-TTP-TXRX" in message for message in problems)


def test_silent_lldp_is_no_contradiction() -> None:
    assert _links_and_problems(facts=_with_roadm("a", neighbours=()))[0] == {"l.az", "l.za"}


def test_link_without_figures_is_left_out() -> None:
    links = (replace(INFRASTRUCTURE.links[0], z_to_a_qot=None),)
    assert _links_and_problems(replace(INFRASTRUCTURE, links=links)) == (
        set(),
        ["the VIP gave no transmission figures for it"],
    )


def test_transponder_without_a_patch_is_left_out() -> None:
    facts = _with_roadm("a", external_links=())
    snapshot, problems = build_snapshot(3, INFRASTRUCTURE, facts, NOTHING, {"it": ()})
    assert snapshot.nodes["a"].transponders == ()
    assert [problem.subject for problem in problems] == ["nodes/a"]


def test_what_is_left_of_an_it_site_counts_each_server_once() -> None:
    booked = (Server("mine", 2, 4, 10), Server("not-built-yet", 1, 2, 0))
    standing = (Server("mine", 2, 4, 10), Server("by-hand", 3, 8, 20))
    bookings = replace(NOTHING, servers={"it": booked})
    snapshot, _ = build_snapshot(3, INFRASTRUCTURE, FACTS, bookings, {"it": standing})
    site = snapshot.sites["it"]
    assert (site.vcpu_free, site.memory_free_gib, site.storage_free_gib, site.active) == (2, 18, 70, True)
    idle, _ = build_snapshot(3, INFRASTRUCTURE, FACTS, NOTHING, {"it": ()})
    assert (idle.sites["it"].vcpu_free, idle.sites["it"].active) == (8, False)


def test_it_site_that_cannot_be_read_is_left_out() -> None:
    snapshot, problems = build_snapshot(3, INFRASTRUCTURE, FACTS, NOTHING, {})
    assert snapshot.sites == {}
    assert [problem.subject for problem in problems] == ["itSites/it"]
