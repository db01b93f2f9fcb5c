"""What the devices must carry, worked out from services alone: their routes, slots, modes and infrastructures.

Ports are not taken from any controller's books: a degree is the one whose LLDP neighbour is the next node, and the
transponder at an end is one of the reservation's that is lit with the service's slot and mode.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field

from controller.audit.observation import DeviceObservation, Observation
from controller.domain.infrastructure import VirtualInfrastructure, VirtualInfrastructureState
from controller.domain.nips import Nips, NipsAnswer, NipsState
from controller.domain.reservation import NodePart
from controller.domain.spectrum import FrequencySlot
from controller.ncp.lightpath import TRANSMIT_POWER_DBM

Cross = tuple[str, str, FrequencySlot, float]
"""Source port, destination port, slot, signal width in GHz."""
Line = tuple[str, FrequencySlot, str, float]
"""Network port, slot, mode, transmit power in dBm."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its service asked for it, and the reservation identifier that it must stand under."""

    gri: str
    mark: str
    vcpu_count: int
    memory_gib: int
    volume_gib: int


@dataclass(slots=True)
class Expectation:
    """What must be there, by device; and services of which it could not be worked out."""

    crosses: dict[str, set[Cross]] = field(default_factory=dict)
    lines: dict[str, set[Line]] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    """By instance."""
    steerings: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    unexplained: list[tuple[str, str]] = field(default_factory=list)


class _Unexplained(Exception):
    """A service cannot be followed through the devices."""


def expect(seen: Observation) -> Expectation:
    """Expectation from all active services."""
    expected = Expectation()
    for operator in seen.operators.values():
        for service in operator.services:
            if service.state is not NipsState.ACTIVE or service.answer is None:
                continue
            try:
                infrastructure = _infrastructure_of(operator.infrastructures, service.answer)
                _follow(seen, expected, infrastructure, service, service.answer)
            except _Unexplained as reason:
                expected.unexplained.append((service.demand.name, str(reason)))
    return expected


def _infrastructure_of(infrastructures: tuple[VirtualInfrastructure, ...], answer: NipsAnswer) -> VirtualInfrastructure:
    for infrastructure in infrastructures:
        known = {node.node_id for node in infrastructure.nodes}
        if infrastructure.state is VirtualInfrastructureState.ACTIVE and set(answer.path) <= known:
            return infrastructure
    raise _Unexplained(f"no active infrastructure has the nodes {', '.join(answer.path)}")


def _follow(
    seen: Observation, expected: Expectation, infrastructure: VirtualInfrastructure, service: Nips, answer: NipsAnswer
) -> None:
    cllis = {node.node_id: node.clli for node in infrastructure.nodes}
    roadms = [_roadm_at(seen, cllis[node_id]) for node_id in answer.path]
    ends = []
    for node_id, roadm in ((answer.path[0], roadms[0]), (answer.path[-1], roadms[-1])):
        part = _part(seen, infrastructure.gri, node_id)
        device, network_port, client_port = _lit_transponder(seen, part, answer)
        add_drop = _add_drop_port(seen.devices[roadm], device, network_port, seen)
        ends.append(add_drop)
        line = (network_port, answer.frequency_slot, answer.mode_id, TRANSMIT_POWER_DBM)
        expected.lines.setdefault(device, set()).add(line)
        width_ghz = _signal_width_ghz(seen.devices[device], network_port, answer.mode_id)
        expected.steerings[seen.devices[device].facts.clli, client_port, service.demand.vlan_id] += 1
    for index, roadm in enumerate(roadms):
        before = _degree_towards(seen, roadm, roadms[index - 1]) if index else ends[0]
        after = _degree_towards(seen, roadm, roadms[index + 1]) if index + 1 < len(roadms) else ends[1]
        crosses = expected.crosses.setdefault(roadm, set())
        for source, target in itertools.permutations((before, after)):
            crosses.add((source, target, answer.frequency_slot, width_ghz))
    wanted = service.demand.machine
    if wanted is not None:
        if service.server is None or not service.server.instance_uuid:
            raise _Unexplained("asked for a machine and is ACTIVE without one")
        expected.machines[service.server.instance_uuid] = Machine(
            infrastructure.gri, service.server.server_id, wanted.vcpu_count, wanted.memory_gib, wanted.volume_gib
        )


def _roadm_at(seen: Observation, clli: str) -> str:
    for name, device in seen.devices.items():
        if device.facts.node_type == "rdm" and device.facts.clli == clli:
            return name
    raise _Unexplained(f"no ROADM stands at {clli}")


def _part(seen: Observation, gri: str, node_id: str) -> NodePart:
    for reservations in seen.reservations.values():
        for held in reservations:
            for part in held.node_parts:
                if held.gri == gri and part.part_id == node_id:
                    return part
    raise _Unexplained(f"no provider holds node {node_id} for {gri}")


def _lit_transponder(seen: Observation, part: NodePart, answer: NipsAnswer) -> tuple[str, str, str]:
    for offer in part.transponders:
        device = seen.devices.get(offer.device)
        for line in () if device is None else device.configuration.line_settings:
            found = (line.network_port, line.slot, line.mode_id)
            if found == (offer.network_port, answer.frequency_slot, answer.mode_id):
                return offer.device, offer.network_port, offer.client_port
    raise _Unexplained(f"no transponder of {part.part_id} is lit at {answer.frequency_slot} with {answer.mode_id}")


def _signal_width_ghz(shelf: DeviceObservation, network_port: str, mode_id: str) -> float:
    for line in shelf.facts.lines:
        for mode in line.modes:
            if (line.network_port, mode.mode_id) == (network_port, mode_id):
                return mode.baud_rate_gbd
    raise _Unexplained(f"{shelf.facts.node_id} {network_port} offers no mode {mode_id}")


def _add_drop_port(roadm: DeviceObservation, shelf: str, network_port: str, seen: Observation) -> str:
    remote = seen.devices[shelf].facts.port(network_port)
    for link in roadm.facts.external_links:
        if (link.remote_node, link.remote) == (shelf, remote):
            for port in roadm.facts.add_drop_ports:
                if port.port == link.local:
                    return port.connection_point
    raise _Unexplained(f"{shelf} {network_port} is patched to no add/drop port of {roadm.facts.node_id}")


def _degree_towards(seen: Observation, roadm: str, neighbour: str) -> str:
    facts = seen.devices[roadm].facts
    for entry in facts.neighbours:
        if entry.remote_node == neighbour:
            for degree in facts.degrees:
                if degree.lldp_interface == entry.interface:
                    return degree.connection_point
    raise _Unexplained(f"{roadm} has no degree towards {neighbour}")
