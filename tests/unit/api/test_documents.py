"""JSON documents of VIs and services: read with every fault named, written and read back the same."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.api.documents import (
    catalogue_document,
    infrastructure_document,
    infrastructure_from_document,
    nips_document,
    reservations_document,
)
from controller.domain.errors import InvalidRequest
from controller.domain.infrastructure import (
    NetconfAddress,
    VirtualInfrastructure,
    VirtualInfrastructureState,
    VirtualItSite,
    VirtualLink,
    VirtualNode,
)
from controller.domain.it import ItResourceState, Server
from controller.domain.nips import MachineDemand, Nips, NipsAnswer, NipsDemand, NipsState, WeighedRefusal
from controller.domain.offers import Catalogue, Location, NodeOffer
from controller.domain.qot import LinkQot, OperationalMode, QotSample
from controller.domain.reservation import ItPart, LinkPart, Reservation, ReservationState
from controller.domain.spectrum import FrequencySlot

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "vi-ring5.json"
NOON = datetime(2026, 1, 31, 12, 0, 0, 250000, tzinfo=UTC)
MODE = OperationalMode("OR-W", 400.0, 63.1, 87.5, 24.0, 37.0, 65.5)
QOT = LinkQot((QotSample(193.1, 0.001, 0.0001, 0.0005),), 380.0, 1.9, 6460.0, 0.8)
WHOLE = VirtualInfrastructure(
    name="vios/alpha/virtualInfrastructures/blue",
    nodes=(
        VirtualNode(
            "a",
            "BER",
            2,
            NetconfAddress("127.0.0.1", 18830, "ssh-ed25519 AAAA", "vio-alpha"),
            NetconfAddress("127.0.0.1", 18831, "ssh-ed25519 BBBB", "vio-alpha"),
            Location("BER", "Berlin", "DE", 52.5, 13.4),
            33.0,
            (MODE,),
        ),
        VirtualNode("b", "ZRH", 0),
    ),
    links=(VirtualLink("l", "a", "b", FrequencySlot(-20, 40), QOT, QOT, "DEG1-TTP-TXRX", "DEG2-TTP-TXRX", 880.0),),
    it_sites=(VirtualItSite("s", "BER", "a", 16, 64, 500, 110.0, 5.6, 1.58, 381.0),),
    ssh_public_key="ssh-ed25519 CCCC",
    state=VirtualInfrastructureState.ACTIVE,
    gri="geysers://demo/vip/broker/gri/1",
    create_time=NOON,
)


def read(document: Any) -> VirtualInfrastructure:
    return infrastructure_from_document(json.dumps(document), "vi.json")


def fault_of(text: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        infrastructure_from_document(text, "vi.json")
    return caught.value.message


def test_what_is_written_reads_back_the_same() -> None:
    document = infrastructure_document(WHOLE)
    assert document["state"] == "ACTIVE"
    assert document["create_time"] == "2026-01-31T12:00:00.250Z"
    assert document["nodes"][1]["transponder"] is None
    assert read(document) == WHOLE


def test_protobuf_s_own_spelling_is_read_too() -> None:
    document = {
        "nodes": [{"nodeId": "a", "clli": "BER", "transponderCount": "2"}],
        "itSites": [{"itSiteId": "s", "vcpuCount": 4.0}],
        "sshPublicKey": "k",
        "state": "VIRTUAL_INFRASTRUCTURE_STATE_ACTIVE",
    }
    found = read(document)
    assert found.nodes == (VirtualNode("a", "BER", 2),)
    assert found.it_sites[0].vcpu_count == 4
    assert (found.ssh_public_key, found.state) == ("k", VirtualInfrastructureState.ACTIVE)


def test_the_example_is_the_ring_that_it_claims_to_be() -> None:
    found = infrastructure_from_document(EXAMPLE.read_text(), "example")
    assert [(node.node_id, node.clli, node.transponder_count) for node in found.nodes] == [
        ("ber", "BER", 2),
        ("vie", "VIE", 2),
        ("muc", "MUC", 0),
        ("fra", "FRA", 0),
        ("zrh", "ZRH", 2),
    ]
    assert {link.link_id: (link.a_node_id, link.z_node_id) for link in found.links} == {
        f"{a}-{z}": (a, z)
        for a, z in (("ber", "fra"), ("ber", "vie"), ("vie", "muc"), ("muc", "fra"), ("muc", "zrh"), ("fra", "zrh"))
    }
    assert {link.band for link in found.links} == {FrequencySlot(0, 40)}
    assert [(site.node_id, site.vcpu_count, site.memory_gib, site.storage_gib) for site in found.it_sites] == [
        ("ber", 16, 64, 500),
        ("zrh", 16, 64, 500),
    ]
    assert found.ssh_public_key == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "vi.json: is not JSON: Expecting value: line 1 column 1 (char 0): mend it there"),
        ("[" * 100_000, "vi.json: is nested too deeply: write one JSON object"),
        ("[1]", "vi.json: the document: [1] does not fit: write an object, { … }"),
        ('"x"', 'vi.json: the document: "x" does not fit: write an object, { … }'),
        ('{"gri": 1e999}', "vi.json: gri: Infinity does not fit: write a text in quotes"),
        ('{"nodez": []}', "vi.json: nodez: no such field: did you mean nodes?"),
        ('{"nodes": {"a": 1}}', 'vi.json: nodes: {"a": 1} does not fit: write a list, [ … ]'),
        ('{"nodes": ["a"]}', 'vi.json: nodes[0]: "a" does not fit: write an object, { … }'),
        ('{"nodes": [{}, null]}', "vi.json: nodes[1]: null does not fit: write an object, { … }"),
        ('{"links": [{"band": 7}]}', "vi.json: links[0].band: 7 does not fit: write an object, { … }"),
        ('{"nodes": [{"node_id": 5}]}', "vi.json: nodes[0].node_id: 5 does not fit: write a text in quotes"),
        ('{"state": "BEAUTIFUL"}', 'vi.json: state: "BEAUTIFUL" does not fit: write one of UNSPECIFIED, REQUESTED, '),
        ('{"create_time": "noon"}', 'vi.json: create_time: "noon" does not fit: write a time as 2026-01-31T12:00:00Z'),
        ('{"gri": "a", "gri": "b"}', "vi.json: is not JSON: 'gri' appears twice in one object: mend it there"),
        ('{"sshPublicKey": "a", "ssh_public_key": "b"}', "vi.json: ssh_public_key: is there in both spellings"),
        ('{"nodes": [{"x": 1}]}', "vi.json: nodes[0].x: no such field: use node_id, clli, transponder_count, roadm"),
        ('{"links": [{"power_w": NaN}]}', "vi.json: is not JSON: NaN is no number of JSON: mend it there"),
        ('{"links": [{"power_w": "loud"}]}', 'vi.json: links[0].power_w: "loud" does not fit: write a number'),
        ('{"links": [{"band": {"n": 1.5}}]}', "vi.json: links[0].band.n: 1.5 does not fit: write a whole number"),
        ('{"links": [{"band": {"n": 0}}]}', "vi.json: virtual_infrastructure.links[0].band: frequency slot width m=0"),
        (
            '{"links": [{"band": {"n": 480, "m": 40}}]}',
            "vi.json: virtual_infrastructure.links[0].band: frequency slot n",
        ),
    ],
)
def test_every_fault_names_place_value_and_mend(text: str, message: str) -> None:
    assert fault_of(text).startswith(message)


@pytest.mark.parametrize("value", ["two", -1, 1.5, True, [], {}, 2**32])
def test_a_count_must_be_a_whole_number(value: Any) -> None:
    text = json.dumps({"nodes": [{"transponder_count": value}]})
    assert fault_of(text).endswith("does not fit: write a whole number of at least 0")


def test_a_long_value_is_cut_in_the_message() -> None:
    assert len(fault_of(json.dumps({"nodes": "x" * 10_000}))) < 150


def test_a_service_is_written_with_short_names_and_null_for_what_is_not_known() -> None:
    demand = NipsDemand("vios/alpha/nips/n1", "vie", 400.0, machine=MachineDemand(4, 8, 50, ("it-ber",)), vlan_id=301)
    bare = nips_document(Nips(demand, NipsState.ADMITTED, NOON))
    assert (bare["state"], bare["objective"], bare["it_demand"]["vcpu_count"]) == ("ADMITTED", "NET_IT_POWER", 4)
    assert bare["frequency_slot"] is bare["server"] is bare["measured_gsnr_0p1nm_db"] is None
    answer = NipsAnswer(
        ("vie", "ber"), FrequencySlot(-33, 7), "OR-W", 26.5, 25.5, 1.5, 2176.7, 3.2, "it-ber",
        (WeighedRefusal("vie → muc", "gsnr", 1.2, "dB", "too noisy"),),
    )  # fmt: skip
    server = Server("n1", 4, 8, 50, ItResourceState.ACTIVE, "instance", "volume")
    whole = nips_document(
        Nips(demand, NipsState.ACTIVE, NOON, answer=answer, server=server, measured_gsnr_0p1nm_db=26.4)
    )
    assert whole["frequency_slot"] == {"n": -33, "m": 7}
    assert whole["path"] == ["vie", "ber"]
    assert (whole["server"]["state"], whole["measured_gsnr_0p1nm_db"]) == ("ACTIVE", 26.4)
    assert whole["refusals"] == [
        {"subject": "vie → muc", "constraint": "gsnr", "shortfall": 1.2, "unit": "dB", "message": "too noisy"}
    ]


def test_offers_and_reservations_are_json_whatever_they_hold() -> None:
    node = NodeOffer("north", "ROADM-BER", Location("BER"), ("DEG1-TTP-TXRX",), (), float("inf"), 505.0)
    written = catalogue_document(Catalogue(nodes=(node,)))
    assert json.loads(json.dumps(written, allow_nan=False))["nodes"][0]["add_drop_osnr_0p1nm_db"] == "Infinity"
    held = Reservation(
        "gri", (), (LinkPart("l", "pips/north/links/x", FrequencySlot(0, 40)),),
        (ItPart("s", "pips/north/itSites/dc", 16, 64, 500),), "pips/north/reservations/1", ReservationState.RELEASING,
    )  # fmt: skip
    found = reservations_document([held, replace(held, hold_expire_time=NOON)])["reservations"]
    assert found[0]["state"] == "RELEASING"
    assert found[0]["link_parts"][0]["band"] == {"n": 0, "m": 40}
    assert (found[0]["hold_expire_time"], found[1]["hold_expire_time"]) == (None, "2026-01-31T12:00:00.250Z")
