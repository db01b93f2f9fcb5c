"""Virtual to physical, both ways: which port of a virtual node is which port of whose device. Pure.

A virtual node is a virtual ROADM and, when it has transponders, a virtual shelf beside it. Virtual degree i carries the
i-th of the VI's links at the node; virtual transponder i is the i-th that the PIP assigned. Nothing physical shows in a
virtual name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.domain.errors import InvalidRequest, ResourceExhausted
from controller.domain.infrastructure import VirtualInfrastructure, VirtualNode
from controller.domain.media import CrossConnect, LineSetting, Reception, SliceConfiguration
from controller.domain.offers import Location
from controller.domain.qot import OperationalMode
from controller.domain.reservation import Reservation
from controller.domain.spectrum import FrequencySlot
from controller.licl.planner import Blueprint
from controller.licl.request import ROOT, split_name
from controller.openroadm.device_config import (
    Degree,
    Line,
    RoadmDescription,
    ShelfDescription,
    Site,
    add_drop_port,
    client_port,
    degree_port,
    network_port,
)
from controller.openroadm.facts import ModeFacts

SHELF_SUFFIX = "-xpdr"
# OpenROADM 2.2.1 common-types: a node-id has 7 to 20 characters, and the shelf's name is the ROADM's with the suffix.
_LEAST, _MOST = 7, 20 - len(SHELF_SUFFIX)


@dataclass(frozen=True, slots=True, order=True)
class DeviceShare:
    """What one reservation has in one physical device."""

    provider: str
    reservation: str
    device: str


@dataclass(frozen=True, slots=True)
class DegreeMap:
    """A virtual degree: the physical degree port and the band leased there."""

    link_id: str
    physical_port: str
    band: FrequencySlot
    neighbour_id: str
    neighbour_degree: int


@dataclass(frozen=True, slots=True)
class LineMap:
    """A virtual transponder: the physical one, and the add/drop port that it is patched to."""

    device: str
    network_port: str
    client_port: str
    add_drop_port: str
    modes: tuple[OperationalMode, ...]


@dataclass(frozen=True, slots=True)
class NodeMapping:
    """One virtual node and what carries it."""

    node_id: str
    roadm_id: str
    provider: str
    reservation: str
    physical_roadm: str
    location: Location
    degrees: tuple[DegreeMap, ...]
    lines: tuple[LineMap, ...]

    @property
    def shelf_id(self) -> str:
        return self.roadm_id + SHELF_SUFFIX

    @property
    def bands(self) -> tuple[FrequencySlot, ...]:
        return tuple(degree.band for degree in self.degrees)

    @property
    def roadm_share(self) -> DeviceShare:
        return DeviceShare(self.provider, self.reservation, self.physical_roadm)

    @property
    def shelf_shares(self) -> tuple[DeviceShare, ...]:
        """One share for each physical shelf; the transponders of a node may stand on several."""
        devices = sorted({line.device for line in self.lines})
        return tuple(DeviceShare(self.provider, self.reservation, device) for device in devices)

    def roadm_description(self) -> RoadmDescription:
        """The virtual ROADM as an OpenROADM device."""
        degrees = tuple(Degree(entry.band, (entry.neighbour_id, entry.neighbour_degree)) for entry in self.degrees)
        return RoadmDescription(self.roadm_id, self._site(), degrees, len(self.lines), self.shelf_id)

    def shelf_description(self) -> ShelfDescription:
        """The virtual shelf as an OpenROADM device."""
        lines = tuple(
            Line(tuple(_facts(mode) for mode in entry.modes), max((mode.power_w for mode in entry.modes), default=0.0))
            for entry in self.lines
        )
        return ShelfDescription(self.shelf_id, self._site(), lines, self.roadm_id)

    def physical_cross_connects(self, virtual: SliceConfiguration) -> SliceConfiguration:
        """What the virtual ROADM's configuration asks of the physical ROADM."""
        port_of = {degree_port(number): entry.physical_port for number, entry in enumerate(self.degrees, start=1)}
        port_of |= {add_drop_port(number): entry.add_drop_port for number, entry in enumerate(self.lines, start=1)}
        crosses = (
            replace(cross, source_port=port_of[cross.source_port], destination_port=port_of[cross.destination_port])
            for cross in virtual.cross_connects
        )
        return SliceConfiguration(cross_connects=frozenset(_marked(cross) for cross in crosses))

    def physical_line_settings(self, virtual: SliceConfiguration) -> dict[str, SliceConfiguration]:
        """What the virtual shelf's configuration asks of each physical shelf, by device."""
        settings: dict[str, set[LineSetting]] = {line.device: set() for line in self.lines}
        by_port = {network_port(number): entry for number, entry in enumerate(self.lines, start=1)}
        for setting in virtual.line_settings:
            line = by_port[setting.network_port]
            settings[line.device].add(replace(setting, network_port=line.network_port))
        return {device: SliceConfiguration(line_settings=frozenset(own)) for device, own in settings.items()}

    def virtual_receptions(self, device: str, receptions: Iterable[Reception]) -> dict[str, Reception]:
        """Readings of a physical shelf by virtual network port; what is not this node's is dropped."""
        seen = {reception.network_port: reception for reception in receptions}
        return {
            network_port(number): replace(seen[line.network_port], network_port=network_port(number))
            for number, line in enumerate(self.lines, start=1)
            if line.device == device and line.network_port in seen
        }

    def physical_client_port(self, virtual_port: str) -> str | None:
        """Physical port behind a virtual client port."""
        for number, line in enumerate(self.lines, start=1):
            if client_port(number) == virtual_port:
                return line.client_port
        return None

    def virtual_client_port(self, physical_port: str) -> str | None:
        """Virtual port in front of a physical client port."""
        for number, line in enumerate(self.lines, start=1):
            if line.client_port == physical_port:
                return client_port(number)
        return None

    def _site(self) -> Site:
        return Site(self.location.clli, self.location.latitude_deg, self.location.longitude_deg)


def device_id(vi_id: str, node_id: str) -> str:
    """OpenROADM node-id of a virtual ROADM: <vi>-<node>, brought to the length that the model allows."""
    name = f"{vi_id}-{node_id}"
    if len(name) < _LEAST:
        return f"vnode-{name}"
    if len(name) > _MOST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{name[: _MOST - 9].rstrip('-')}-{digest}"
    return name


def map_nodes(
    wanted: VirtualInfrastructure, blueprint: Blueprint, reservations: Mapping[str, Reservation]
) -> tuple[NodeMapping, ...]:
    """Port maps of all nodes, once the PIPs (by name) hold what the blueprint asked of them.

    Raises ResourceExhausted when a PIP assigned fewer transponders than it holds for us, InvalidRequest when two
    virtual degrees of a node would share one physical degree.
    """
    _, vi_id = split_name(wanted.name)
    ids = {node.node_id: device_id(vi_id, node.node_id) for node in wanted.nodes}
    links_at: dict[str, list[str]] = {node.node_id: [] for node in wanted.nodes}
    for link in wanted.links:
        links_at[link.a_node_id].append(link.link_id)
        links_at[link.z_node_id].append(link.link_id)
    mappings = []
    for node in wanted.nodes:
        placed = blueprint.node(node.node_id)
        reservation = reservations[placed.provider]
        mappings.append(
            NodeMapping(
                node_id=node.node_id,
                roadm_id=ids[node.node_id],
                provider=placed.provider,
                reservation=reservation.name,
                physical_roadm=placed.offer.node_id,
                location=placed.offer.location,
                degrees=_degrees(wanted, blueprint, node.node_id, ids, links_at),
                lines=_lines(node, reservation),
            )
        )
    return tuple(mappings)


def with_ports(wanted: VirtualInfrastructure, mappings: Iterable[NodeMapping]) -> VirtualInfrastructure:
    """`wanted` with the modes of its transponders and the virtual degree ports of its links filled in."""
    of_node = {mapping.node_id: mapping for mapping in mappings}
    port_of = {
        (mapping.node_id, degree.link_id): degree_port(number)
        for mapping in of_node.values()
        for number, degree in enumerate(mapping.degrees, start=1)
    }
    nodes = tuple(replace(node, modes=_common_modes(of_node[node.node_id].lines)) for node in wanted.nodes)
    links = tuple(
        replace(
            link,
            a_port=port_of[link.a_node_id, link.link_id],
            z_port=port_of[link.z_node_id, link.link_id],
        )
        for link in wanted.links
    )
    return replace(wanted, nodes=nodes, links=links)


def _degrees(
    wanted: VirtualInfrastructure,
    blueprint: Blueprint,
    node_id: str,
    ids: Mapping[str, str],
    links_at: Mapping[str, list[str]],
) -> tuple[DegreeMap, ...]:
    by_id = {link.link_id: link for link in wanted.links}
    degrees: list[DegreeMap] = []
    for link_id in links_at[node_id]:
        link, fibre = by_id[link_id], blueprint.link(link_id)
        here_is_a = link.a_node_id == node_id
        other = link.z_node_id if here_is_a else link.a_node_id
        port = (fibre.a_to_z if here_is_a else fibre.z_to_a).source_port
        shared = next((entry.link_id for entry in degrees if entry.physical_port == port), None)
        if shared is not None:
            raise InvalidRequest(
                f"{ROOT}: links {shared!r} and {link_id!r} leave node {node_id!r} on one fibre pair; ask for one link",
                field=f"{ROOT}.links",
                value=link_id,
            )
        number_there = links_at[other].index(link_id) + 1
        degrees.append(DegreeMap(link_id, port, link.band, ids[other], number_there))
    return tuple(degrees)


def _lines(node: VirtualNode, reservation: Reservation) -> tuple[LineMap, ...]:
    part = next((entry for entry in reservation.node_parts if entry.part_id == node.node_id), None)
    assigned = () if part is None else part.transponders
    if len(assigned) < node.transponder_count:
        raise ResourceExhausted(
            f"node {node.node_id!r}: {len(assigned)} of {node.transponder_count} transponders were assigned; "
            "ask for fewer",
            node=node.node_id,
        )
    return tuple(
        LineMap(entry.device, entry.network_port, entry.client_port, entry.add_drop_port, entry.modes)
        for entry in assigned[: node.transponder_count]
    )


def _common_modes(lines: tuple[LineMap, ...]) -> tuple[OperationalMode, ...]:
    """Modes that every transponder of a node offers."""
    if not lines:
        return ()
    shared = set.intersection(*({mode.mode_id for mode in line.modes} for line in lines))
    return tuple(mode for mode in lines[0].modes if mode.mode_id in shared)


def _marked(cross: CrossConnect) -> CrossConnect:
    # The mark rides in the device's circuit-id; a digest of the name says whose it is without saying what it is for.
    mark = hashlib.sha256(cross.connection_name.encode()).hexdigest()[:12]
    return replace(cross, cross_connect_id=mark)


def _facts(mode: OperationalMode) -> ModeFacts:
    return ModeFacts(
        mode.mode_id,
        mode.bit_rate_gbps,
        mode.baud_rate_gbd,
        mode.min_spacing_ghz,
        mode.required_osnr_0p1nm_db,
        mode.tx_osnr_0p1nm_db,
    )
