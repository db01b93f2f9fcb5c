"""From a VI as asked for to the parts that each PIP must reserve: the planning step of the broker. Pure.

A request is specific: a virtual node stands at a place, and the ROADM there carries it; a virtual link is a band on the
fibre pair between two such ROADMs; a virtual IT site is a share of the data centre at the same place. What remains to
be chosen is which of several ROADMs of one place, and which of several parallel fibre pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from controller.domain.errors import InvalidRequest, NoPath, NotFound, ResourceExhausted, SpectrumBlocked
from controller.domain.infrastructure import VirtualInfrastructure, VirtualLink
from controller.domain.offers import Catalogue, ItSiteOffer, LinkOffer, NodeOffer
from controller.domain.reservation import ItPart, LinkPart, NodePart, Reservation
from controller.licl.request import ROOT, validate


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A virtual node and the ROADM that will carry it."""

    node_id: str
    provider: str
    offer: NodeOffer


@dataclass(frozen=True, slots=True)
class PlacedLink:
    """A virtual link and the fibre pair that will carry it; each direction is offered by the PIP at its head."""

    link_id: str
    a_to_z: LinkOffer
    z_to_a: LinkOffer


@dataclass(frozen=True, slots=True)
class PlacedItSite:
    """A virtual IT site and the data centre that will carry it."""

    it_site_id: str
    provider: str
    offer: ItSiteOffer


@dataclass(frozen=True, slots=True)
class Blueprint:
    """How a VI is composed: virtual to physical, and what each PIP is to reserve (its `gri` still empty)."""

    nodes: tuple[PlacedNode, ...]
    links: tuple[PlacedLink, ...]
    it_sites: tuple[PlacedItSite, ...]
    reservations: Mapping[str, Reservation]

    def node(self, node_id: str) -> PlacedNode:
        return next(node for node in self.nodes if node.node_id == node_id)

    def link(self, link_id: str) -> PlacedLink:
        return next(link for link in self.links if link.link_id == link_id)


def plan(wanted: VirtualInfrastructure, catalogues: Mapping[str, Catalogue]) -> Blueprint:
    """Place `wanted` on what the PIPs (by name) offer.

    Raises InvalidRequest (a field contradicts another), NotFound (no such place), NoPath (no fibre there),
    SpectrumBlocked (one wording for a band that is held and one that never was), ResourceExhausted.
    """
    validate(wanted)
    nodes = _place_nodes(wanted, catalogues)
    links = _place_links(wanted, nodes, catalogues)
    it_sites = _place_it_sites(wanted, catalogues)
    reservations = _reservations(wanted, nodes, links, it_sites)
    return Blueprint(tuple(nodes.values()), links, it_sites, reservations)


def describe(wanted: VirtualInfrastructure, blueprint: Blueprint) -> VirtualInfrastructure:
    """`wanted` with what the offers tell about its parts, and without any physical name."""
    nodes = tuple(
        replace(
            node,
            location=replace(placed.offer.location),
            add_drop_osnr_0p1nm_db=placed.offer.add_drop_osnr_0p1nm_db,
        )
        for node, placed in zip(wanted.nodes, blueprint.nodes, strict=True)
    )
    links = tuple(
        replace(
            link,
            a_to_z_qot=placed.a_to_z.qot,
            z_to_a_qot=placed.z_to_a.qot,
            power_w=placed.a_to_z.power_w + placed.z_to_a.power_w,
        )
        for link, placed in zip(wanted.links, blueprint.links, strict=True)
    )
    it_sites = tuple(
        replace(
            site,
            server_idle_w=placed.offer.server_idle_w,
            vcpu_w=placed.offer.vcpu_w,
            pue=placed.offer.pue,
            carbon_g_per_kwh=placed.offer.carbon_g_per_kwh,
        )
        for site, placed in zip(wanted.it_sites, blueprint.it_sites, strict=True)
    )
    return replace(wanted, nodes=nodes, links=links, it_sites=it_sites)


def _place_nodes(wanted: VirtualInfrastructure, catalogues: Mapping[str, Catalogue]) -> dict[str, PlacedNode]:
    placed: dict[str, PlacedNode] = {}
    taken: dict[tuple[str, str], int] = {}
    for index, node in enumerate(wanted.nodes):
        here = [
            (provider, offer)
            for provider in sorted(catalogues)
            for offer in sorted(catalogues[provider].nodes, key=lambda offer: offer.node_id)
            if offer.location.clli == node.clli
        ]
        if not here:
            raise NotFound(
                f"{ROOT}.nodes[{index}].clli={node.clli!r}: no ROADM is on offer at this place; "
                "choose a place from the offers",
                field=f"{ROOT}.nodes[{index}].clli",
                value=node.clli,
            )
        free = [entry for entry in here if (entry[0], entry[1].node_id) not in taken]
        if not free:
            other = taken[here[0][0], here[0][1].node_id]
            raise InvalidRequest(
                f"{ROOT}.nodes[{index}].clli={node.clli!r}: nodes[{other}] stands there already and the place has no "
                "further ROADM; join the two nodes in one",
                field=f"{ROOT}.nodes[{index}].clli",
                value=node.clli,
            )
        able = [entry for entry in free if _free_transponders(entry[1]) >= node.transponder_count]
        if not able:
            field = f"{ROOT}.nodes[{index}].transponder_count"
            raise ResourceExhausted(
                f"{field}={node.transponder_count}: not that many transponders are to be had at {node.clli!r}; "
                "ask for fewer",
                field=field,
                value=node.transponder_count,
            )
        provider, offer = able[0]
        taken[provider, offer.node_id] = index
        placed[node.node_id] = PlacedNode(node.node_id, provider, offer)
    return placed


def _free_transponders(offer: NodeOffer) -> int:
    return sum(1 for transponder in offer.transponders if transponder.available)


def _place_links(
    wanted: VirtualInfrastructure, nodes: Mapping[str, PlacedNode], catalogues: Mapping[str, Catalogue]
) -> tuple[PlacedLink, ...]:
    placed: list[PlacedLink] = []
    used: dict[str, int] = {}
    for index, link in enumerate(wanted.links):
        a, z = nodes[link.a_node_id], nodes[link.z_node_id]
        pairs = list(_fibre_pairs(a, z, catalogues))
        if not pairs:
            where = f"{a.offer.location.clli!r} and {z.offer.location.clli!r}"
            raise NoPath(
                f"{ROOT}.links[{index}]: no fibre pair is on offer between {where}; join nodes that are neighbours",
                field=f"{ROOT}.links[{index}]",
            )
        unused = [pair for pair in pairs if pair[0].name not in used]
        if not unused:
            raise _shared_fibre(wanted, index, used[pairs[0][0].name])
        free = [pair for pair in unused if not any(_is_held(offer, link) for offer in pair)]
        if not free:
            raise _blocked(index, link)
        a_to_z, z_to_a = free[0]
        used[a_to_z.name] = used[z_to_a.name] = index
        placed.append(PlacedLink(link.link_id, a_to_z, z_to_a))
    return tuple(placed)


def _fibre_pairs(
    a: PlacedNode, z: PlacedNode, catalogues: Mapping[str, Catalogue]
) -> Iterator[tuple[LinkOffer, LinkOffer]]:
    """Offers (A→Z, Z→A) that stand on the same two degrees.

    A PIP need not know the degree at another PIP's ROADM; then the two directions belong together when there is no
    other choice. Parallel fibres that cannot be told apart are no pair: light would come out at the wrong degree.
    """
    there, back = _directed(a, z, catalogues), _directed(z, a, catalogues)
    for offer in there:
        answers = [other for other in back if _may_pair(offer, other)]
        if len(answers) == 1 and sum(_may_pair(entry, answers[0]) for entry in there) == 1:
            yield offer, answers[0]


def _may_pair(offer: LinkOffer, other: LinkOffer) -> bool:
    return offer.destination_port in ("", other.source_port) and other.destination_port in ("", offer.source_port)


def _directed(head: PlacedNode, tail: PlacedNode, catalogues: Mapping[str, Catalogue]) -> list[LinkOffer]:
    between_pips = head.provider != tail.provider
    found = [
        offer
        for offer in catalogues[head.provider].links
        if (offer.source_node, offer.destination_node) == (head.offer.node_id, tail.offer.node_id)
        and offer.inter_domain == between_pips
    ]
    return sorted(found, key=lambda offer: offer.source_port)


def _is_held(offer: LinkOffer, link: VirtualLink) -> bool:
    return any(held.overlaps(link.band) for held in offer.held_bands)


def _blocked(index: int, link: VirtualLink) -> SpectrumBlocked:
    # One wording, whoever has the band and whether it exists: a VIO must not learn about the others.
    field = f"{ROOT}.links[{index}].band"
    return SpectrumBlocked(
        f"{field} (n={link.band.n}, m={link.band.m}) is not to be had between {link.a_node_id!r} and "
        f"{link.z_node_id!r}; choose another band",
        field=field,
        value=f"n={link.band.n}, m={link.band.m}",
    )


def _shared_fibre(wanted: VirtualInfrastructure, index: int, other: int) -> InvalidRequest:
    here, there = wanted.links[index], wanted.links[other]
    if here.band.overlaps(there.band):
        field = f"{ROOT}.links[{index}].band"
        why = f"overlaps the band of links[{other}] on the same fibre pair; choose disjoint bands on different fibres"
    else:
        field = f"{ROOT}.links[{index}]"
        why = f"runs on the fibre pair of links[{other}], and a virtual degree has one band; ask for one wider link"
    return InvalidRequest(
        f"{field} (n={here.band.n}, m={here.band.m}) {why}", field=field, value=f"n={here.band.n}, m={here.band.m}"
    )


def _place_it_sites(wanted: VirtualInfrastructure, catalogues: Mapping[str, Catalogue]) -> tuple[PlacedItSite, ...]:
    placed: list[PlacedItSite] = []
    left: dict[tuple[str, str], dict[str, int]] = {}
    for index, site in enumerate(wanted.it_sites):
        where = f"{ROOT}.it_sites[{index}]"
        here = [
            (provider, offer)
            for provider in sorted(catalogues)
            for offer in sorted(catalogues[provider].it_sites, key=lambda offer: offer.site_id)
            if offer.location.clli == site.clli
        ]
        if not here:
            raise NotFound(
                f"{where}.clli={site.clli!r}: no data centre is on offer at this place; choose another node",
                field=f"{where}.clli",
                value=site.clli,
            )
        short = ""
        for provider, offer in here:
            quantities = ("vcpu_count", "memory_gib", "storage_gib")
            rest = left.setdefault((provider, offer.site_id), {name: getattr(offer, name) for name in quantities})
            lacking = [name for name in quantities if getattr(site, name) > rest[name]]
            if not lacking:
                for name in quantities:
                    rest[name] -= getattr(site, name)
                placed.append(PlacedItSite(site.it_site_id, provider, offer))
                break
            short = short or lacking[0]
        else:
            raise ResourceExhausted(
                f"{where}.{short}={getattr(site, short)}: not that much is to be had at {site.clli!r}; ask for less",
                field=f"{where}.{short}",
                value=getattr(site, short),
            )
    return tuple(placed)


def _reservations(
    wanted: VirtualInfrastructure,
    nodes: Mapping[str, PlacedNode],
    links: tuple[PlacedLink, ...],
    it_sites: tuple[PlacedItSite, ...],
) -> dict[str, Reservation]:
    node_parts: dict[str, list[NodePart]] = {}
    link_parts: dict[str, list[LinkPart]] = {}
    it_parts: dict[str, list[ItPart]] = {}
    ports: dict[str, list[str]] = {node_id: [] for node_id in nodes}
    for link, fibre in zip(wanted.links, links, strict=True):
        ends = ((link.a_node_id, fibre.a_to_z, "az"), (link.z_node_id, fibre.z_to_a, "za"))
        for node_id, offer, direction in ends:
            ports[node_id].append(offer.source_port)
            part = LinkPart(f"{link.link_id}.{direction}", offer.name, link.band)
            link_parts.setdefault(nodes[node_id].provider, []).append(part)
    for node in wanted.nodes:
        home = nodes[node.node_id]
        share = NodePart(node.node_id, home.offer.name, tuple(ports[node.node_id]), node.transponder_count)
        node_parts.setdefault(home.provider, []).append(share)
    for site, centre in zip(wanted.it_sites, it_sites, strict=True):
        share_of_it = ItPart(site.it_site_id, centre.offer.name, site.vcpu_count, site.memory_gib, site.storage_gib)
        it_parts.setdefault(centre.provider, []).append(share_of_it)
    return {
        provider: Reservation(
            gri="",
            node_parts=tuple(node_parts.get(provider, ())),
            link_parts=tuple(link_parts.get(provider, ())),
            it_parts=tuple(it_parts.get(provider, ())),
        )
        for provider in sorted({*node_parts, *link_parts, *it_parts})
    }
