"""Placing a VI on offers: what goes where, and every way to be refused."""

import asyncio
from dataclasses import replace

import asyncssh
import pytest

from controller.domain.errors import InvalidRequest, NoPath, NotFound, ResourceExhausted, SpectrumBlocked
from controller.domain.infrastructure import VirtualInfrastructure, VirtualItSite, VirtualLink, VirtualNode
from controller.domain.spectrum import FrequencySlot
from controller.licl.mapping import device_id, map_nodes, with_ports
from controller.licl.planner import Blueprint, describe, plan
from controller.licl.records import dump, load
from tests.licl_provider import MODE_400, link_offers, two_pips

KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
BAND = FrequencySlot(0, 40)
WANTED = VirtualInfrastructure(
    name="vios/alpha/virtualInfrastructures/blue",
    nodes=(VirtualNode("a", "AMS", 2), VirtualNode("l", "LON", 3), VirtualNode("p", "PAR", 1)),
    links=(VirtualLink("al", "a", "l", BAND), VirtualLink("lp", "l", "p", BAND), VirtualLink("ap", "a", "p", BAND)),
    it_sites=(VirtualItSite("dc", "AMS", "a", 8, 32, 100),),
    ssh_public_key=KEY,
)


@pytest.fixture(scope="module")
def catalogues():
    return {name: asyncio.run(provider.list_offers()) for name, provider in two_pips().items()}


def with_node(index: int, **values) -> VirtualInfrastructure:
    nodes = list(WANTED.nodes)
    nodes[index] = replace(nodes[index], **values)
    return replace(WANTED, nodes=tuple(nodes))


def with_link(index: int, **values) -> VirtualInfrastructure:
    links = list(WANTED.links)
    links[index] = replace(links[index], **values)
    return replace(WANTED, links=tuple(links))


def with_site(**values) -> VirtualInfrastructure:
    return replace(WANTED, it_sites=(replace(WANTED.it_sites[0], **values),))


def test_each_provider_is_asked_for_its_own_parts(catalogues) -> None:
    blueprint = plan(WANTED, catalogues)
    north, south = blueprint.reservations["north"], blueprint.reservations["south"]
    assert [(p.part_id, p.node, p.degree_ports, p.transponder_count) for p in north.node_parts] == [
        ("a", "pips/north/nodes/ROADM-AMS", ("DEG3-TTP-TXRX", "DEG1-TTP-TXRX"), 2),
        ("l", "pips/north/nodes/ROADM-LON", ("DEG1-TTP-TXRX", "DEG2-TTP-TXRX"), 3),
    ]
    assert [(p.part_id, p.link) for p in north.link_parts] == [
        ("al.az", "pips/north/links/ROADM-AMS.DEG3-TTP-TXRX"),
        ("al.za", "pips/north/links/ROADM-LON.DEG1-TTP-TXRX"),
        ("lp.az", "pips/north/links/ROADM-LON.DEG2-TTP-TXRX"),
        ("ap.az", "pips/north/links/ROADM-AMS.DEG1-TTP-TXRX"),
    ]
    assert [(p.part_id, p.link, p.band) for p in south.link_parts] == [
        ("lp.za", "pips/south/links/ROADM-PAR.DEG4-TTP-TXRX", BAND),
        ("ap.za", "pips/south/links/ROADM-PAR.DEG2-TTP-TXRX", BAND),
    ]
    assert [(p.part_id, p.it_site, p.vcpu_count) for p in north.it_parts] == [("dc", "pips/north/itSites/DC-AMS", 8)]
    assert south.it_parts == ()


def test_blueprint_survives_the_store(catalogues) -> None:
    blueprint = plan(WANTED, catalogues)
    assert load(Blueprint, dump(blueprint)) == blueprint
    assert load(VirtualInfrastructure, dump(describe(WANTED, blueprint))) == describe(WANTED, blueprint)


def test_description_tells_the_figures_and_no_physical_name(catalogues) -> None:
    blueprint = plan(WANTED, catalogues)
    described = describe(WANTED, blueprint)
    assert described.links[1].power_w == 20.0
    assert described.links[1].a_to_z_qot is not None
    assert described.nodes[0].add_drop_osnr_0p1nm_db == 33.0
    assert described.it_sites[0].pue == 1.2
    text = dump(described)
    assert not [name for name in ("ROADM", "XPDR", "north", "south", "DC-") if name in text]


async def test_ports_map_both_ways() -> None:
    providers = two_pips()
    blueprint = plan(WANTED, {name: await provider.list_offers() for name, provider in providers.items()})
    held = {
        name: await providers[name].create_reservation(part, 60, f"r-{name}")
        for name, part in blueprint.reservations.items()
    }
    a, lon, par = map_nodes(WANTED, blueprint, held)
    assert [(d.link_id, d.physical_port, d.neighbour_id, d.neighbour_degree) for d in a.degrees] == [
        ("al", "DEG3-TTP-TXRX", "vnode-blue-l", 1),
        ("ap", "DEG1-TTP-TXRX", "vnode-blue-p", 2),
    ]
    assert par.degrees[1].neighbour_degree == 2
    # The third transponder of LON is the second of the first of its two shelves.
    assert [(line.device, line.network_port) for line in lon.lines] == [
        ("XPDR-LON-1", "XPDR1-NETWORK1"),
        ("XPDR-LON-2", "XPDR1-NETWORK1"),
        ("XPDR-LON-1", "XPDR1-NETWORK2"),
    ]
    assert [share.device for share in lon.shelf_shares] == ["XPDR-LON-1", "XPDR-LON-2"]
    assert lon.physical_client_port("XPDR1-CLIENT3") == "XPDR1-CLIENT2"
    assert lon.physical_client_port("XPDR1-CLIENT4") is None
    described = with_ports(WANTED, (a, lon, par))
    assert [(link.a_port, link.z_port) for link in described.links] == [
        ("DEG1-TTP-TXRX", "DEG1-TTP-TXRX"),
        ("DEG2-TTP-TXRX", "DEG1-TTP-TXRX"),
        ("DEG2-TTP-TXRX", "DEG2-TTP-TXRX"),
    ]
    assert MODE_400 in described.nodes[0].modes


def test_device_ids_keep_to_the_length_of_the_model() -> None:
    assert device_id("alpha", "ams") == "alpha-ams"
    assert device_id("v", "a") == "vnode-v-a"
    long = {device_id("a-rather-long-name", f"node-{i}") for i in range(50)}
    assert len(long) == 50
    assert all(7 <= len(name) <= 15 for name in long)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (replace(WANTED, name="vios/alpha/x/blue"), "name"),
        (replace(WANTED, name="vios/alpha/virtualInfrastructures/-blue"), "name"),
        (replace(WANTED, nodes=(), links=(), it_sites=()), "nodes"),
        (with_node(1, node_id="a"), "nodes[1].node_id"),
        (with_node(1, node_id="l_1"), "nodes[1].node_id"),
        (with_node(1, clli=""), "nodes[1].clli"),
        (with_node(1, clli="AMS"), "nodes[1].clli"),
        (with_node(1, transponder_count=-1), "nodes[1].transponder_count"),
        (with_link(1, link_id="al"), "links[1].link_id"),
        (with_link(1, link_id="a.b"), "links[1].link_id"),
        (with_link(1, a_node_id="x"), "links[1].a_node_id"),
        (with_link(1, z_node_id="x"), "links[1].z_node_id"),
        (with_link(1, z_node_id="l"), "links[1].z_node_id"),
        (with_link(1, a_node_id="a", z_node_id="l"), "links[1].band"),
        (with_link(1, a_node_id="l", z_node_id="a", band=FrequencySlot(100, 20)), "links[1]"),
        (with_site(node_id="x"), "it_sites[0].node_id"),
        (with_site(clli="PAR"), "it_sites[0].clli"),
        (with_site(vcpu_count=0), "it_sites[0].vcpu_count"),
        (with_site(storage_gib=-1), "it_sites[0].storage_gib"),
        (replace(WANTED, ssh_public_key=""), "ssh_public_key"),
        (replace(WANTED, ssh_public_key="ssh-ed25519 AAAA nobody"), "ssh_public_key"),
        (replace(WANTED, ssh_public_key=f"{KEY}\n{KEY}"), "ssh_public_key"),
        (replace(WANTED, ssh_public_key="-----BEGIN PUBLIC KEY-----"), "ssh_public_key"),
    ],
)
def test_contradiction_names_its_field(catalogues, wanted, field) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(wanted, catalogues)
    assert caught.value.fields["field"] == f"virtual_infrastructure.{field}"
    assert caught.value.message.startswith(f"virtual_infrastructure.{field}")


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        (with_node(2, clli="OSL"), NotFound, r"nodes\[2\].clli='OSL'"),
        (with_node(1, clli="MIL"), NoPath, r"links\[0\]: no fibre pair .*'AMS' and 'MIL'"),
        (with_node(0, transponder_count=5), ResourceExhausted, r"nodes\[0\].transponder_count=5"),
        (with_site(vcpu_count=65), ResourceExhausted, r"it_sites\[0\].vcpu_count=65"),
        (with_site(memory_gib=257), ResourceExhausted, r"it_sites\[0\].memory_gib=257"),
        (with_site(storage_gib=1001), ResourceExhausted, r"it_sites\[0\].storage_gib=1001"),
        (with_site(clli="PAR", node_id="p"), NotFound, "no data centre"),
        (
            replace(
                WANTED, it_sites=(WANTED.it_sites[0], replace(WANTED.it_sites[0], it_site_id="dc2", vcpu_count=60))
            ),
            ResourceExhausted,
            r"it_sites\[1\].vcpu_count=60",
        ),
    ],
)
def test_what_is_not_on_offer_is_refused(catalogues, wanted, error, words) -> None:
    with pytest.raises(error, match=words):
        plan(wanted, catalogues)


@pytest.mark.parametrize(
    ("pip", "link_id"), [("north", "ROADM-LON.DEG2-TTP-TXRX"), ("south", "ROADM-PAR.DEG4-TTP-TXRX")]
)
async def test_band_held_in_either_direction_is_refused_in_one_wording(pip, link_id) -> None:
    providers = two_pips()
    providers[pip].hold(link_id, FrequencySlot(39, 1))
    with pytest.raises(SpectrumBlocked) as caught:
        plan(WANTED, {name: await provider.list_offers() for name, provider in providers.items()})
    assert caught.value.message == (
        "virtual_infrastructure.links[1].band (n=0, m=40) is not to be had between 'l' and 'p'; choose another band"
    )


def test_parallel_fibres_carry_parallel_links(catalogues) -> None:
    twice = with_link(1, a_node_id="a", z_node_id="l")
    north = catalogues["north"]
    second = link_offers(("north", "AMS", 7), ("north", "LON", 7))
    doubled = {**catalogues, "north": replace(north, links=(*north.links, *second))}
    blueprint = plan(twice, doubled)
    assert [link.a_to_z.source_port for link in blueprint.links[:2]] == ["DEG3-TTP-TXRX", "DEG7-TTP-TXRX"]


def test_parallel_fibres_between_providers_that_cannot_be_told_apart_are_refused(catalogues) -> None:
    second = link_offers(("north", "LON", 7), ("south", "PAR", 7))
    doubled = {
        pip: replace(catalogues[pip], links=(*catalogues[pip].links, extra))
        for pip, extra in zip(("north", "south"), second, strict=True)
    }
    with pytest.raises(NoPath):
        plan(WANTED, doubled)
    told_apart = {
        pip: replace(
            catalogue,
            links=tuple(
                replace(link, destination_port={"DEG2": "DEG4", "DEG7": "DEG7"}[link.source_port[:4]] + "-TTP-TXRX")
                if (link.source_node, link.destination_node) == ("ROADM-LON", "ROADM-PAR")
                else link
                for link in catalogue.links
            ),
        )
        for pip, catalogue in doubled.items()
    }
    assert plan(WANTED, told_apart).links[1].z_to_a.source_port == "DEG4-TTP-TXRX"


def test_one_way_fibre_is_no_fibre_pair(catalogues) -> None:
    south = replace(catalogues["south"], links=())
    with pytest.raises(NoPath):
        plan(WANTED, {**catalogues, "south": south})
