"""Ownership marks and the plan of a lightpath."""

from __future__ import annotations

import pytest

from controller.domain.errors import DeviceRejected, NoPath
from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.nips import MachineDemand, NipsDemand, NipsObjective
from controller.domain.qot import OperationalMode
from controller.domain.spectrum import FrequencySlot
from controller.ncp.lightpath import build_plan, carries, owned, path_request, with_wanted
from pce.request import Candidate, Objective, Route
from tests.unit.ncp.two_nodes import FACTS, INFRASTRUCTURE

SLOT = FrequencySlot.from_granules(120, 134)
UID = "0b5c1e1c-7a3e-4a43-9d6c-6f2f6f0f2a11"
MODE = OperationalMode("400G", 400.0, 63.1, 87.5, 24.0, 37.0)


def _candidate(route: Route) -> Candidate:
    line = "XPDR1-NETWORK1"
    ends = (route.nodes[0], route.nodes[-1], line, line)
    return Candidate(route, SLOT, MODE, *ends, "it", 27.0, 26.0, 2.0, 40.0, 12.0, 3.0, 80.0, 1.0)


def _demand() -> NipsDemand:
    return NipsDemand("vios/alpha/nips/n", "a", 400.0, "z", MachineDemand(2, 4, 10, ("it",)), vlan_id=9)


def test_plan_of_one_hop() -> None:
    plan = build_plan(UID, _demand(), _candidate(Route(("a", "z"), ("l.az",), ("l.za",))), INFRASTRUCTURE, FACTS)
    assert plan.devices["a"].cross_connects == {
        CrossConnect(f"{UID}/f", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", SLOT, 63.1),
        CrossConnect(f"{UID}/r", "DEG1-TTP-TXRX", "SRG1-PP1-TXRX", SLOT, 63.1),
    }
    assert plan.devices["z"].cross_connects == {
        CrossConnect(f"{UID}/r", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", SLOT, 63.1),
        CrossConnect(f"{UID}/f", "DEG1-TTP-TXRX", "SRG1-PP1-TXRX", SLOT, 63.1),
    }
    line = SliceConfiguration(line_settings=frozenset({LineSetting("XPDR1-NETWORK1", SLOT, "400G", 0.0)}))
    assert plan.devices["a/xpdr"] == plan.devices["z/xpdr"] == line
    assert plan.directed_links == ("l.az", "l.za")
    assert [(node, steering.client_port, steering.vlan_id) for node, steering in plan.steerings] == [
        ("a", "XPDR1-CLIENT1", 9),
        ("z", "XPDR1-CLIENT1", 9),
    ]
    assert len({steering.steering_id for _, steering in plan.steerings}) == 2
    assert (plan.server.server_id, plan.server.vcpu_count, plan.it_site_id) == (UID, 2, "it")


def test_both_ends_at_one_node_is_no_lightpath() -> None:
    with pytest.raises(NoPath, match="two nodes"):
        build_plan(UID, _demand(), _candidate(Route(("a",), (), ())), INFRASTRUCTURE, FACTS)


def test_demand_in_the_terms_of_the_pce() -> None:
    request = path_request(_demand())
    assert (request.source, request.targets, request.candidate_sites) == ("a", ("z",), ("it",))
    assert (request.it_demand.vcpu, request.it_demand.memory_gib, request.it_demand.storage_gib) == (2, 4, 10)
    anywhere = NipsDemand("n", "a", 100.0, "", MachineDemand(1, 1, 0), NipsObjective.LATENCY, vlan_id=1)
    request = path_request(anywhere)
    assert (request.targets, request.candidate_sites, request.objective) == (None, None, Objective.LATENCY)


MINE = CrossConnect(f"{UID}/f", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", SLOT, 63.1)
LINE = LineSetting("XPDR1-NETWORK1", SLOT, "400G", 0.0)
WANTED = SliceConfiguration(frozenset({MINE}), frozenset({LINE}))


def test_only_marked_things_are_owned() -> None:
    other = CrossConnect("somebody/f", "SRG1-PP2-TXRX", "DEG1-TTP-TXRX", FrequencySlot.from_granules(150, 164), 63.1)
    other_line = LineSetting("XPDR1-NETWORK2", SLOT, "400G", 0.0)
    current = SliceConfiguration(frozenset({MINE, other}), frozenset({LINE, other_line}))
    assert owned(current, UID, WANTED) == WANTED
    assert carries(current, UID, WANTED)
    assert with_wanted(current, UID, WANTED, "roadm") == current
    without = SliceConfiguration(frozenset({other}), frozenset({other_line}))
    assert not carries(without, UID, WANTED)
    assert with_wanted(without, UID, WANTED, "roadm") == current
    assert owned(without, UID, WANTED) == SliceConfiguration()


def test_width_that_a_device_rounds_is_still_ours() -> None:
    rounded = CrossConnect(MINE.cross_connect_id, MINE.source_port, MINE.destination_port, SLOT, 63.0)
    assert carries(SliceConfiguration(frozenset({rounded}), frozenset({LINE})), UID, WANTED)


@pytest.mark.parametrize(
    "foreign",
    [
        SliceConfiguration(frozenset({CrossConnect("x", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", SLOT, 63.1)})),
        SliceConfiguration(
            frozenset(
                {CrossConnect("x", "DEG2-TTP-TXRX", "DEG1-TTP-TXRX", FrequencySlot.from_granules(130, 144), 50.0)}
            )
        ),
        SliceConfiguration(
            line_settings=frozenset({LineSetting("XPDR1-NETWORK1", FrequencySlot(n=90, m=4), "100G", 0.0)})
        ),
    ],
)
def test_what_stands_in_the_way_is_not_taken_over(foreign: SliceConfiguration) -> None:
    with pytest.raises(DeviceRejected, match="not ours"):
        with_wanted(foreign, UID, WANTED, "roadm")
