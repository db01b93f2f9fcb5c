"""The traffic engineering database: what the virtual nodes say, what the VIP alone can know, and what is booked.

Topology, leased bands, transponders and their modes are read from the devices; noise figures and IT sites are the
VIP's word. Where the two contradict each other the link is left out and the contradiction is reported: a lightpath
through a mis-wired link would end up somewhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.domain.infrastructure import VirtualInfrastructure, VirtualItSite, VirtualLink, VirtualNode
from controller.domain.it import Server
from controller.domain.qot import LinkQot, OperationalMode
from controller.domain.spectrum import GRANULES, FrequencySlot, occupied_outside, to_int, to_words
from controller.ncp.bookings import Bookings, ItUse
from controller.openroadm.facts import DegreeFacts, DeviceFacts, LineFacts
from pce.ted_snapshot import TedItSite, TedLink, TedNode, TedSnapshot, TedTransponder

WHOLE_BAND = FrequencySlot.from_granules(0, GRANULES)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the two devices of a virtual node say; None for one that cannot be reached now."""

    roadm: DeviceFacts | None = None
    shelf: DeviceFacts | None = None


@dataclass(frozen=True, slots=True)
class TopologyProblem:
    """Why something of the infrastructure is not in the TED."""

    subject: str
    message: str


def build_snapshot(
    generation: int,
    infrastructure: VirtualInfrastructure,
    facts: Mapping[str, NodeFacts],
    bookings: Bookings,
    servers: Mapping[str, tuple[Server, ...]],
) -> tuple[TedSnapshot, tuple[TopologyProblem, ...]]:
    """Snapshot of one generation and what had to be left out of it.

    facts : per virtual node id; servers : per IT site that could be read, the servers that stand there now.
    """
    problems: list[TopologyProblem] = []
    nodes = [_node(node, facts.get(node.node_id, NodeFacts()), bookings, problems) for node in infrastructure.nodes]
    links: list[TedLink] = []
    for link in infrastructure.links:
        reason = _link_fault(link, facts)
        if reason:
            problems.append(TopologyProblem(f"links/{link.link_id}", reason))
        else:
            links.extend(_both_directions(link, bookings))
    sites = []
    for site in infrastructure.it_sites:
        standing = servers.get(site.it_site_id)
        if standing is None:
            problems.append(TopologyProblem(f"itSites/{site.it_site_id}", "its servers could not be read from the VIP"))
        else:
            sites.append(_it_site(site, bookings.servers.get(site.it_site_id, ()), standing))
    return TedSnapshot.of(generation, nodes, links, sites), tuple(problems)


def foreign_use(booked: tuple[Server, ...], standing: tuple[Server, ...]) -> ItUse:
    """Capacity of servers that stand at a site without a booking of ours."""
    known = {server.server_id for server in booked}
    others = [server for server in standing if server.server_id not in known]
    return ItUse(
        sum(server.vcpu_count for server in others),
        sum(server.memory_gib for server in others),
        sum(server.volume_gib for server in others),
    )


def add_drop_port(roadm: DeviceFacts, shelf: DeviceFacts, network_port: str) -> str:
    """Connection point of the add/drop port that a transponder's line side is patched to; empty when none is."""
    line = shelf.port(network_port)
    patched = [link.local for link in roadm.external_links if (link.remote_node, link.remote) == (shelf.node_id, line)]
    patched += [link.remote for link in shelf.external_links if (link.remote_node, link.local) == (roadm.node_id, line)]
    for port in roadm.add_drop_ports:
        if port.port in patched:
            return port.connection_point
    return ""


def _node(node: VirtualNode, facts: NodeFacts, bookings: Bookings, problems: list[TopologyProblem]) -> TedNode:
    transponders = []
    subject = f"nodes/{node.node_id}"
    if facts.roadm is None:
        problems.append(TopologyProblem(subject, "its ROADM cannot be reached"))
    if facts.shelf is None and node.transponder is not None:
        problems.append(TopologyProblem(subject, "its transponder shelf cannot be reached"))
    if facts.roadm is not None and facts.shelf is not None:
        for line in facts.shelf.lines:
            if not add_drop_port(facts.roadm, facts.shelf, line.network_port):
                message = f"transponder {line.network_port} is patched to no add/drop port of {facts.roadm.node_id}"
                problems.append(TopologyProblem(subject, message))
                continue
            is_free = (node.node_id, line.network_port) not in bookings.transponders
            transponders.append(TedTransponder(line.network_port, _modes(node, line), is_free))
    return TedNode(node.node_id, node.add_drop_osnr_0p1nm_db, tuple(transponders))


def _modes(node: VirtualNode, line: LineFacts) -> tuple[OperationalMode, ...]:
    """Modes that the device offers; their power is the VIP's figure where it has one, else the device's."""
    power_w = {mode.mode_id: mode.power_w for mode in node.modes}
    return tuple(
        OperationalMode(
            mode_id=mode.mode_id,
            bit_rate_gbps=mode.bit_rate_gbps,
            baud_rate_gbd=mode.baud_rate_gbd,
            min_spacing_ghz=mode.min_spacing_ghz,
            required_osnr_0p1nm_db=mode.required_osnr_0p1nm_db,
            tx_osnr_0p1nm_db=mode.tx_osnr_0p1nm_db,
            power_w=power_w.get(mode.mode_id, line.power_w),
        )
        for mode in line.modes
    )


def _link_fault(link: VirtualLink, facts: Mapping[str, NodeFacts]) -> str:
    """Why a link cannot be used as the VIP describes it; empty when it can."""
    if link.a_to_z_qot is None or link.z_to_a_qot is None:
        return "the VIP gave no transmission figures for it"
    ends = ((link.a_node_id, link.a_port), (link.z_node_id, link.z_port))
    for (here, port), (there, far_port) in (ends, ends[::-1]):
        own, far = facts.get(here, NodeFacts()).roadm, facts.get(there, NodeFacts()).roadm
        if own is None or far is None:
            return f"the ROADM of {here if own is None else there} cannot be reached"
        degree = _degree(own, port)
        if degree is None:
            return f"{own.node_id} has no degree {port!r}"
        band = degree.leased_band or WHOLE_BAND
        if band != link.band:
            return (
                f"{own.node_id} leases {band.openroadm_name} on {port}, the infrastructure says "
                f"{link.band.openroadm_name}"
            )
        fault = _wiring_fault(own, degree, far, far_port)
        if fault:
            return fault
    return ""


def _wiring_fault(own: DeviceFacts, degree: DegreeFacts, far: DeviceFacts, far_port: str) -> str:
    for neighbour in own.neighbours:
        if not degree.lldp_interface or neighbour.interface != degree.lldp_interface:
            continue
        seen = f"{own.node_id} sees {neighbour.remote_node} {neighbour.remote_interface} on {degree.connection_point}"
        if neighbour.remote_node != far.node_id:
            return f"{seen}, the infrastructure says {far.node_id}"
        ends = {far_degree.lldp_interface: far_degree.connection_point for far_degree in far.degrees}
        if ends.get(neighbour.remote_interface, far_port) != far_port:
            return f"{seen} ({ends[neighbour.remote_interface]}), the infrastructure says {far_port}"
    return ""


def _degree(facts: DeviceFacts, connection_point: str) -> DegreeFacts | None:
    return next((degree for degree in facts.degrees if degree.connection_point == connection_point), None)


def _both_directions(link: VirtualLink, bookings: Bookings) -> list[TedLink]:
    directions = (
        ("az", link.a_node_id, link.z_node_id, link.a_to_z_qot),
        ("za", link.z_node_id, link.a_node_id, link.z_to_a_qot),
    )
    return [
        _directed(f"{link.link_id}.{suffix}", a, z, link, qot, bookings)
        for suffix, a, z, qot in directions
        if qot is not None
    ]


def _directed(name: str, a: str, z: str, link: VirtualLink, qot: LinkQot, bookings: Bookings) -> TedLink:
    used = sum(1 << granule for granule in bookings.granules.get(name, ()))
    occupied = to_words(to_int(occupied_outside(link.band)) | used) if used else occupied_outside(link.band)
    return TedLink(name, a, z, link.band, occupied, qot, link.power_w)


def _it_site(site: VirtualItSite, booked: tuple[Server, ...], standing: tuple[Server, ...]) -> TedItSite:
    others = foreign_use(booked, standing)
    vcpu = others.vcpu_count + sum(server.vcpu_count for server in booked)
    memory = others.memory_gib + sum(server.memory_gib for server in booked)
    storage = others.storage_gib + sum(server.volume_gib for server in booked)
    return TedItSite(
        name=site.it_site_id,
        node=site.node_id,
        vcpu_free=max(0, site.vcpu_count - vcpu),
        memory_free_gib=max(0, site.memory_gib - memory),
        storage_free_gib=max(0, site.storage_gib - storage),
        idle_w=site.server_idle_w,
        per_vcpu_w=site.vcpu_w,
        pue=site.pue,
        active=bool(booked or standing),
        carbon_g_per_kwh=site.carbon_g_per_kwh,
    )
