"""The audit over a small healthy world says nothing; over the same world with one thing wrong it names that thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.audit.invariants import violations
from controller.audit.observation import (
    DeviceObservation,
    Observation,
    OperatorObservation,
    SiteObservation,
    SiteServerObservation,
    SteeringObservation,
)
from controller.domain.infrastructure import (
    VirtualInfrastructure,
    VirtualInfrastructureState,
    VirtualItSite,
    VirtualLink,
    VirtualNode,
)
from controller.domain.it import ItResourceState, Server
from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.nips import MachineDemand, Nips, NipsAnswer, NipsDemand, NipsState
from controller.domain.offers import TransponderOffer
from controller.domain.reservation import ItPart, LinkPart, NodePart, Reservation, ReservationState
from controller.domain.spectrum import FrequencySlot
from controller.openroadm.facts import (
    AddDropFacts,
    DegreeFacts,
    DeviceFacts,
    ExternalLinkFacts,
    LineFacts,
    ModeFacts,
    NeighbourFacts,
    PortRef,
)

BAND, SLOT, FREE = FrequencySlot(0, 40), FrequencySlot(0, 6), FrequencySlot(20, 6)
MODE = ModeFacts("400G", 400.0, 63.1, 75.0, 24.0, 36.0)
DEGREE, ADD_DROP, NETWORK = "DEG1-TTP-TXRX", "SRG1-PP1-TXRX", "XPDR1-NETWORK1"
RESERVATION_ID = "0123456789abcdef"
PROJECT = f"geysers-{RESERVATION_ID}-it"
TRANSPONDER_PORT, ADD_DROP_PORT = PortRef("1/0/1-PLUG-NET", "1"), PortRef("SRG1/0", "C1")


def _facts(node_id: str, node_type: str, clli: str, **parts: Any) -> DeviceFacts:
    empty: dict[str, Any] = dict.fromkeys(("degrees", "add_drop_ports", "lines", "neighbours", "external_links"), ())
    return DeviceFacts(
        node_id=node_id, node_type=node_type, clli=clli, latitude_deg=0.0, longitude_deg=0.0, power_w=1.0,
        **(empty | parts),
    )  # fmt: skip


def _roadm(here: str, there: str) -> DeviceObservation:
    facts = _facts(
        f"ROADM-{here}",
        "rdm",
        here,
        degrees=(DegreeFacts(1, DEGREE, PortRef("1/0", "L1"), "ETH-DEG1"),),
        add_drop_ports=(AddDropFacts(ADD_DROP, ADD_DROP_PORT, 1),),
        neighbours=(NeighbourFacts("ETH-DEG1", f"ROADM-{there}", "ETH-DEG1"),),
        external_links=(ExternalLinkFacts(ADD_DROP_PORT, f"XPDR-{here}", TRANSPONDER_PORT),),
    )
    crosses = {
        CrossConnect(f"{RESERVATION_ID}/x", source, target, SLOT, 63.1)
        for source, target in ((ADD_DROP, DEGREE), (DEGREE, ADD_DROP))
    }
    return DeviceObservation(facts, SliceConfiguration(frozenset(crosses)), (), b"")


def _shelf(here: str) -> DeviceObservation:
    line = LineFacts(NETWORK, TRANSPONDER_PORT, "XPDR1-CLIENT1", PortRef("c", "C1"), (MODE,), 20.0)
    lit = LineSetting(NETWORK, SLOT, MODE.mode_id, 0.0)
    facts = _facts(f"XPDR-{here}", "xpdr", here, lines=(line,))
    return DeviceObservation(facts, SliceConfiguration(line_settings=frozenset({lit})), (), b"")


def _reservation() -> Reservation:
    nodes = tuple(
        NodePart(
            node_id,
            f"pips/north/nodes/ROADM-{clli}",
            (DEGREE,),
            1,
            (TransponderOffer(f"XPDR-{clli}", NETWORK, "XPDR1-CLIENT1", ADD_DROP, ()),),
        )
        for node_id, clli in (("a", "AMS"), ("b", "BER"))
    )
    links = tuple(LinkPart(f"l.{clli}", f"pips/north/links/ROADM-{clli}.{DEGREE}", BAND) for clli in ("AMS", "BER"))
    return Reservation(
        "gri-1", nodes, links, (ItPart("it", "pips/north/itSites/DC", 8, 32, 100),),
        f"pips/north/reservations/{RESERVATION_ID}", ReservationState.ACTIVE,
    )  # fmt: skip


def _service() -> Nips:
    demand = NipsDemand("vios/v/nips/s", "a", 400.0, machine=MachineDemand(4, 8, 20), vlan_id=301)
    answer = NipsAnswer(("a", "b"), SLOT, MODE.mode_id, 28.0, 27.0, 3.0, 10.0, 1.0, "it")
    server = Server("uid", 4, 8, 20, ItResourceState.ACTIVE, "instance", "volume")
    return Nips(demand, NipsState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC), answer, server, 28.0)


def _healthy() -> Observation:
    site = SiteObservation(
        servers=(SiteServerObservation("1", "uid", "instance", 4, 8, 20, ("volume",)),),
        inventory={
            "projects": ("0 admin", f"1 {PROJECT}"), "users": (), "flavours": (f"f {PROJECT}-4-8", "g m1.tiny"),
            "servers": ("instance",), "volumes": ("volume",),
        },
        vcpu_count=96, memory_gib=384, storage_gib=2000, facility_power_w=100.0,
    )  # fmt: skip
    infrastructure = VirtualInfrastructure(
        "vios/v/virtualInfrastructures/i",
        (VirtualNode("a", "AMS", 1), VirtualNode("b", "BER", 1)),
        (VirtualLink("l", "a", "b", BAND),),
        (VirtualItSite("it", "BER", "b", 8, 32, 100),),
        "",
        VirtualInfrastructureState.ACTIVE,
        "gri-1",
    )
    return Observation(
        devices={
            "ROADM-AMS": _roadm("AMS", "BER"),
            "ROADM-BER": _roadm("BER", "AMS"),
            "XPDR-AMS": _shelf("AMS"),
            "XPDR-BER": _shelf("BER"),
        },
        sites={"DC": site},
        steerings=tuple(SteeringObservation(clli, "XPDR1-CLIENT1", 301) for clli in ("AMS", "BER")),
        reservations={"north": (_reservation(),), "south": ()},
        operators={"v": OperatorObservation((infrastructure,), (_service(),))},
        flow_counts={"AMS": 2, "BER": 2, "MIL": 0},
    )


def _site(seen: Observation, **changes: Any) -> Observation:
    return replace(seen, sites={"DC": replace(seen.sites["DC"], **changes)})


def _listed(seen: Observation, kind: str, entry: str) -> Observation:
    inventory = dict(seen.sites["DC"].inventory)
    return _site(seen, inventory={**inventory, kind: (*inventory[kind], entry)})


def _server(seen: Observation, **changes: Any) -> Observation:
    return _site(seen, servers=(replace(seen.sites["DC"].servers[0], **changes),))


def _device(seen: Observation, name: str, **changes: Any) -> Observation:
    return replace(seen, devices={**seen.devices, name: replace(seen.devices[name], **changes)})


def _north(seen: Observation, *held: Reservation) -> Observation:
    return replace(seen, reservations={"north": held, "south": ()})


def _other_tenant_back(seen: Observation) -> Observation:
    """The way back from BER is another tenant's."""
    mine = _reservation()
    theirs = Reservation(
        "gri-2", link_parts=mine.link_parts[1:], name="pips/north/reservations/2", state=ReservationState.ACTIVE
    )
    infrastructure = replace(seen.operators["v"].infrastructures[0], gri="gri-2")
    operators = {**seen.operators, "w": OperatorObservation((infrastructure,))}
    return replace(_north(seen, replace(mine, link_parts=mine.link_parts[:1]), theirs), operators=operators)


def _narrowed(seen: Observation) -> Observation:
    crosses = seen.devices["ROADM-AMS"].configuration.cross_connects
    narrow = frozenset(replace(cross, signal_width_ghz=50.0) for cross in crosses)
    return _device(seen, "ROADM-AMS", configuration=SliceConfiguration(narrow))


def _louder(seen: Observation) -> Observation:
    (line,) = seen.devices["XPDR-AMS"].configuration.line_settings
    loud = SliceConfiguration(line_settings=frozenset({replace(line, transmit_power_dbm=3.0)}))
    return _device(seen, "XPDR-AMS", configuration=loud)


def _unknown_mode(seen: Observation) -> Observation:
    service = _service()
    assert service.answer is not None
    unknown = replace(service, answer=replace(service.answer, mode_id="900G"))
    operator = replace(seen.operators["v"], services=(unknown,))
    return replace(seen, operators={"v": operator})


def _moved(seen: Observation) -> Observation:
    """The machine stands in a project of somebody else."""
    return _listed(_server(seen, project="9"), "projects", "9 theirs")


def _crossed(seen: Observation, change: Callable[[frozenset[CrossConnect]], frozenset[CrossConnect]]) -> Observation:
    """Other cross-connects in ROADM-AMS."""
    crosses = change(seen.devices["ROADM-AMS"].configuration.cross_connects)
    return _device(seen, "ROADM-AMS", configuration=SliceConfiguration(crosses))


def _one_way(seen: Observation) -> Observation:
    return _crossed(seen, lambda crosses: frozenset(cross for cross in crosses if cross.source_port == DEGREE))


def _foreign(seen: Observation, mark: str = f"{RESERVATION_ID}/y", slot: FrequencySlot = FREE) -> Observation:
    """A cross-connect more, which no service has."""
    return _crossed(seen, lambda crosses: crosses | {CrossConnect(mark, ADD_DROP, DEGREE, slot, 63.1)})


def _second_holder(seen: Observation, **parts: Any) -> Observation:
    """Another active infrastructure whose reservation has `parts`."""
    theirs = Reservation("gri-2", name="pips/north/reservations/2", state=ReservationState.ACTIVE, **parts)
    infrastructure = replace(seen.operators["v"].infrastructures[0], gri="gri-2")
    operators = {**seen.operators, "w": OperatorObservation((infrastructure,))}
    return replace(_north(seen, _reservation(), theirs), operators=operators)


def _service_with(seen: Observation, **changes: Any) -> Observation:
    operator = seen.operators["v"]
    return replace(seen, operators={"v": replace(operator, services=(replace(operator.services[0], **changes),))})


def _answer_with(seen: Observation, **changes: Any) -> Observation:
    answer = seen.operators["v"].services[0].answer
    assert answer is not None
    return _service_with(seen, answer=replace(answer, **changes))


def _infrastructure_in(seen: Observation, state: VirtualInfrastructureState) -> Observation:
    operator = seen.operators["v"]
    changed = replace(operator.infrastructures[0], state=state)
    return replace(seen, operators={"v": replace(operator, infrastructures=(changed,))})


OVERLAPPING = FrequencySlot(BAND.n + 2 * BAND.m - 1, BAND.m)
STRANGER = SiteServerObservation("1", "stranger", "stranger", 1, 1, 0, ())


def test_a_healthy_world_has_no_violation() -> None:
    assert violations(_healthy()) == []


@pytest.mark.parametrize(
    ("invariant", "told", "hurt"),
    [
        ("half-done", "no provider holds anything", lambda seen: _north(seen)),
        ("fibre-pairs", f"back from ROADM-BER.{DEGREE} it is gri-2", _other_tenant_back),
        (
            "fibre-pairs",
            "it is nobody",
            lambda seen: _north(seen, replace(_reservation(), link_parts=_reservation().link_parts[:1])),
        ),
        ("left-behind", "orphan", lambda seen: _listed(seen, "volumes", "orphan")),
        ("left-behind", "geysers-dead-it", lambda seen: _listed(seen, "projects", "2 geysers-dead-it")),
        ("left-behind", "geysers-dead-it-4-8", lambda seen: _listed(seen, "flavours", "h geysers-dead-it-4-8")),
        ("left-behind", "volume", lambda seen: _server(seen, volume_uuids=())),
        ("machines", "'uid', 2, 8, 20", lambda seen: _server(seen, vcpu_count=2)),
        ("machines", "'uid', 4, 4, 20", lambda seen: _server(seen, memory_gib=4)),
        ("machines", "'uid', 4, 8, 10", lambda seen: _server(seen, volume_gib=10)),
        ("machines", "'other', 4, 8, 20", lambda seen: _server(seen, mark="other")),
        ("machines", "'theirs'", _moved),
        ("steerings", "3 flows", lambda seen: replace(seen, flow_counts={"AMS": 2, "BER": 3})),
        ("steerings", "1 flows", lambda seen: replace(seen, flow_counts={"AMS": 2, "BER": 2, "MIL": 1})),
        ("lightpaths", "mc-1:8", lambda seen: _device(seen, "ROADM-BER", strays={"mc-1:8": "an interface"})),
        ("lightpaths", "50 GHz", _narrowed),
        ("lightpaths", "3 dBm", _louder),
        ("quality", "900G", _unknown_mode),
        ("lightpaths", f"carries {ADD_DROP} → {DEGREE}", _foreign),
        ("lightpaths", f"lacks {ADD_DROP} → {DEGREE}", _one_way),
        (
            "lightpaths",
            "no transponder of a is lit",
            lambda seen: _device(seen, "XPDR-AMS", configuration=SliceConfiguration()),
        ),
        ("lightpaths", "no active service explains", lambda seen: _service_with(seen, state=NipsState.RELEASED)),
        ("spectrum", "is used 2 times", lambda seen: _foreign(seen, slot=FrequencySlot(SLOT.n + 1, SLOT.m))),
        ("marks", "no mark of an active reservation", lambda seen: _foreign(seen, mark="nobody/y")),
        ("marks", "lies outside", lambda seen: _foreign(seen, slot=FrequencySlot(BAND.n + BAND.m, 6))),
        (
            "holdings",
            "overlaps",
            lambda seen: _second_holder(seen, link_parts=(replace(_reservation().link_parts[0], band=OVERLAPPING),)),
        ),
        (
            "holdings",
            f"transponder XPDR-AMS {NETWORK} is held 2 times",
            lambda seen: _second_holder(seen, node_parts=_reservation().node_parts[:1]),
        ),
        (
            "shares",
            "97 vCPU are leased of 96",
            lambda seen: _second_holder(seen, it_parts=(ItPart("it", "pips/north/itSites/DC", 89, 0, 0),)),
        ),
        (
            "machines",
            "no active service has it",
            lambda seen: _site(seen, servers=(*seen.sites["DC"].servers, STRANGER)),
        ),
        ("machines", "no data centre runs it", lambda seen: _site(seen, servers=())),
        ("steerings", "0 at the switch, 1 in services", lambda seen: replace(seen, steerings=seen.steerings[:1])),
        (
            "steerings",
            "2 at the switch, 1 in services",
            lambda seen: replace(seen, steerings=(*seen.steerings, seen.steerings[0])),
        ),
        ("quality", "worst-case margin is -0.10 dB", lambda seen: _answer_with(seen, margin_db=-0.1)),
        ("quality", "receivers report 23.9 dB", lambda seen: _service_with(seen, measured_gsnr_0p1nm_db=23.9)),
        ("quality", "receivers report None dB", lambda seen: _service_with(seen, measured_gsnr_0p1nm_db=None)),
        ("quality", "without an answer", lambda seen: _service_with(seen, answer=None)),
        ("half-done", "is RELEASING", lambda seen: _service_with(seen, state=NipsState.RELEASING)),
        ("half-done", "DEPLOYING", lambda seen: _infrastructure_in(seen, VirtualInfrastructureState.DEPLOYING)),
        ("half-done", "is no active VI", lambda seen: _infrastructure_in(seen, VirtualInfrastructureState.FAILED)),
        ("half-done", "is HELD", lambda seen: _north(seen, replace(_reservation(), state=ReservationState.HELD))),
    ],
)
def test_one_thing_wrong_is_named(invariant: str, told: str, hurt: Callable[[Observation], Observation]) -> None:
    found = violations(hurt(_healthy()))
    assert [entry for entry in found if entry.invariant == invariant and told in entry.message], found
