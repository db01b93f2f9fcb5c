"""The invariants of the whole system, as one pure function over an observation.

1. Cross-connects and line settings in the devices = those of the confirmed lightpaths, both directions, width and
   power included, nothing else; no interface that these do not explain.
2. No granule twice on a degree; no transponder, and no band of a fibre, held twice; both directions of a fibre pair
   under one reservation identifier.
3. Shares of a data centre never exceed it; its machines, volumes and projects and all flows of the edge switches =
   those of the active services and reservations, of the size, in the project and under the mark that they say.
4. Every mark on a device names a reservation that is active and holds that spectrum.
5. No service below the threshold of its mode, which a transponder offers, computed in the worst case or measured now.
6. Nothing is left half done: no service or infrastructure between two resting states, and reservations stand for
   active infrastructures, each of which has some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.audit.expectation import Expectation, expect
from controller.audit.observation import Observation
from controller.domain.infrastructure import VirtualInfrastructureState
from controller.domain.nips import Nips, NipsState
from controller.domain.reservation import Reservation, ReservationState
from controller.domain.spectrum import FrequencySlot

OUR_PREFIX = "geysers-"
"""What names of our projects and flavours at a data centre begin with."""
RESTING_NIPS = frozenset({NipsState.ACTIVE, NipsState.RELEASED, NipsState.FAILED})
RESTING_INFRASTRUCTURES = frozenset(
    {
        VirtualInfrastructureState.ACTIVE,
        VirtualInfrastructureState.DECOMMISSIONED,
        VirtualInfrastructureState.FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant broken, where, and how."""

    invariant: str
    subject: str
    message: str


def violations(seen: Observation) -> list[Violation]:
    """Every invariant that does not hold in what was seen, empty when all do."""
    found: list[Violation] = []
    expected = expect(seen)
    found.extend(Violation("lightpaths", name, why) for name, why in expected.unexplained)
    found.extend(_devices(seen, expected))
    found.extend(_spectrum(seen))
    found.extend(_holdings(seen))
    found.extend(_fibre_pairs(seen))
    found.extend(_marks(seen))
    found.extend(_shares(seen))
    found.extend(_machines(seen, expected))
    found.extend(_left_at_sites(seen, expected))
    found.extend(_steerings(seen, expected))
    found.extend(_quality(seen))
    found.extend(_half_done(seen))
    return found


def active_services(seen: Observation) -> Iterator[tuple[str, Nips]]:
    """Active services with the operator that owns each."""
    for vio, operator in seen.operators.items():
        for service in operator.services:
            if service.state is NipsState.ACTIVE:
                yield vio, service


def _devices(seen: Observation, expected: Expectation) -> Iterator[Violation]:
    for name, device in seen.devices.items():
        has = {
            (c.source_port, c.destination_port, c.slot, c.signal_width_ghz) for c in device.configuration.cross_connects
        }
        wants = expected.crosses.get(name, set())
        for source, target, slot, width_ghz in sorted(has - wants):
            what = f"{source} → {target} {slot} for {width_ghz:g} GHz"
            yield Violation("lightpaths", name, f"carries {what}, which no active service explains")
        for source, target, slot, width_ghz in sorted(wants - has):
            yield Violation("lightpaths", name, f"lacks {source} → {target} {slot} for {width_ghz:g} GHz of a service")
        lit = {(e.network_port, e.slot, e.mode_id, e.transmit_power_dbm) for e in device.configuration.line_settings}
        wanted = expected.lines.get(name, set())
        for port, slot, mode_id, power_dbm in sorted(lit - wanted):
            what = f"{port} is lit with {mode_id} at {slot} and {power_dbm:g} dBm"
            yield Violation("lightpaths", name, f"{what}, which no service explains")
        for port, slot, mode_id, power_dbm in sorted(wanted - lit):
            what = f"{port} is not lit with {mode_id} at {slot} and {power_dbm:g} dBm"
            yield Violation("lightpaths", name, f"{what}, as an active service has it")
        for part, what in sorted(device.strays.items()):
            yield Violation("lightpaths", name, f"{part}, {what}, is explained by no lightpath")


def _spectrum(seen: Observation) -> Iterator[Violation]:
    for name, device in seen.devices.items():
        for side in ("source_port", "destination_port"):
            used: Counter[tuple[str, int]] = Counter()
            for cross in device.configuration.cross_connects:
                port = getattr(cross, side)
                if device.facts.is_degree(port):
                    used.update((port, granule) for granule in cross.slot.granules)
            for (port, granule), times in used.items():
                if times > 1:
                    yield Violation("spectrum", name, f"granule {granule} is used {times} times at {port} ({side})")


def _holdings(seen: Observation) -> Iterator[Violation]:
    for pip, reservations in seen.reservations.items():
        bands: dict[str, list[tuple[FrequencySlot, str]]] = {}
        transponders: Counter[tuple[str, str]] = Counter()
        for held in reservations:
            for link in held.link_parts:
                bands.setdefault(link.link, []).append((link.band, held.name))
            for node in held.node_parts:
                transponders.update((entry.device, entry.network_port) for entry in node.transponders)
        for link_name, taken in bands.items():
            for index, (band, holder) in enumerate(taken):
                for other, other_holder in taken[index + 1 :]:
                    if band.overlaps(other):
                        yield Violation("holdings", link_name, f"{band} of {holder} overlaps {other} of {other_holder}")
        for (device, port), times in transponders.items():
            if times > 1:
                yield Violation("holdings", f"pips/{pip}", f"transponder {device} {port} is held {times} times")


def _fibre_pairs(seen: Observation) -> Iterator[Violation]:
    """Who holds a band of one direction of a fibre pair holds it in the other direction too."""
    held = [
        (link.link.rpartition("/links/")[2], link, reservation.gri)
        for reservations in seen.reservations.values()
        for reservation in reservations
        for link in reservation.link_parts
    ]
    kept = {(end, link.band, gri) for end, link, gri in held}
    for end, link, gri in held:
        node, _, port = end.rpartition(".")
        back = _other_end(seen, node, port)
        if back is None:
            yield Violation("fibre-pairs", link.link, f"{gri} holds it, and no device sees a neighbour on {port}")
        elif (back, link.band, gri) not in kept:
            others = {other for there, part, other in held if there == back and part.band.overlaps(link.band)}
            holders = ", ".join(sorted(others)) or "nobody"
            yield Violation("fibre-pairs", link.link, f"{gri} holds {link.band}; back from {back} it is {holders}")


def _other_end(seen: Observation, node: str, port: str) -> str | None:
    """Head of the opposite direction of a fibre pair, NODE.PORT, found over LLDP."""
    device = seen.devices.get(node)
    lldp = {} if device is None else {degree.connection_point: degree.lldp_interface for degree in device.facts.degrees}
    for entry in () if device is None else device.facts.neighbours:
        remote = seen.devices.get(entry.remote_node)
        if entry.interface == lldp.get(port) and remote is not None:
            for degree in remote.facts.degrees:
                if degree.lldp_interface == entry.remote_interface:
                    return f"{entry.remote_node}.{degree.connection_point}"
    return None


def _marks(seen: Observation) -> Iterator[Violation]:
    by_id = {held.name.rpartition("/")[2]: held for entries in seen.reservations.values() for held in entries}
    for name, device in seen.devices.items():
        for cross in device.configuration.cross_connects:
            reservation_id, _, _ = cross.cross_connect_id.partition("/")
            held = by_id.get(reservation_id)
            if held is None or held.state is not ReservationState.ACTIVE:
                yield Violation("marks", name, f"{cross.connection_name} carries no mark of an active reservation")
                continue
            for port in (cross.source_port, cross.destination_port):
                if device.facts.is_degree(port) and not _holds(held, name, port, cross.slot):
                    yield Violation("marks", name, f"{cross.connection_name} lies outside what {held.name} holds")


def _holds(held: Reservation, node: str, port: str, slot: FrequencySlot) -> bool:
    ends = f"/links/{node}.{port}"
    return any(part.link.endswith(ends) and part.band.contains(slot) for part in held.link_parts)


def _shares(seen: Observation) -> Iterator[Violation]:
    shares: dict[str, list[tuple[int, int, int]]] = {}
    for reservations in seen.reservations.values():
        for held in reservations:
            for part in held.it_parts:
                site_id = part.it_site.rpartition("/")[2]
                shares.setdefault(site_id, []).append((part.vcpu_count, part.memory_gib, part.storage_gib))
    for name, site in seen.sites.items():
        sold = [sum(column) for column in zip(*shares.get(name, []), strict=True)] or [0, 0, 0]
        for what, used, capacity in zip(
            ("vCPU", "GiB of memory", "GiB of storage"),
            sold,
            (site.vcpu_count, site.memory_gib, site.storage_gib),
            strict=True,
        ):
            if used > capacity:
                yield Violation("shares", name, f"{used} {what} are leased of {capacity}")


def _machines(seen: Observation, expected: Expectation) -> Iterator[Violation]:
    standing: set[str] = set()
    for name, site in seen.sites.items():
        projects = dict(entry.split(" ", 1) for entry in site.inventory.get("projects", ()))
        for server in site.servers:
            standing.add(server.instance_uuid)
            machine = expected.machines.get(server.instance_uuid)
            if machine is None:
                yield Violation("machines", server.instance_uuid, "runs at a data centre, but no active service has it")
                continue
            has = (server.mark, server.vcpu_count, server.memory_gib, server.volume_gib)
            wants = (machine.mark, machine.vcpu_count, machine.memory_gib, machine.volume_gib)
            if has != wants:
                message = f"has mark, vCPU, GiB of memory and of storage {has}; its service asked for {wants}"
                yield Violation("machines", server.instance_uuid, message)
            project = projects.get(server.project, "")
            if not project.startswith(_prefixes(seen, name, machine.gri)):
                yield Violation("machines", server.instance_uuid, f"is in project {project!r}, not of {machine.gri}")
    for instance in sorted(expected.machines.keys() - standing):
        yield Violation("machines", instance, "belongs to an active service, but no data centre runs it")


def _left_at_sites(seen: Observation, expected: Expectation) -> Iterator[Violation]:
    """Volumes of no machine of a service; projects and flavours of ours that no active reservation explains."""
    for name, site in seen.sites.items():
        explained = {
            volume
            for server in site.servers
            if server.instance_uuid in expected.machines
            for volume in server.volume_uuids
        }
        for volume in sorted(set(site.inventory.get("volumes", ())) - explained):
            yield Violation("left-behind", name, f"volume {volume} is attached to no machine of an active service")
        prefixes = _prefixes(seen, name)
        for kind in ("projects", "flavours"):
            for entry in site.inventory.get(kind, ()):
                own_name = entry.partition(" ")[2]
                if own_name.startswith(OUR_PREFIX) and not own_name.startswith(prefixes):
                    yield Violation("left-behind", name, f"{own_name} of the {kind} is of no active reservation")


def _prefixes(seen: Observation, site_id: str, gri: str | None = None) -> tuple[str, ...]:
    """What names of projects and flavours begin with at a site: one entry for each active reservation there."""
    return tuple(
        f"{OUR_PREFIX}{held.name.rpartition('/')[2]}-"
        for reservations in seen.reservations.values()
        for held in reservations
        if held.state is ReservationState.ACTIVE
        and gri in (None, held.gri)
        and any(part.it_site.rpartition("/")[2] == site_id for part in held.it_parts)
    )


def _steerings(seen: Observation, expected: Expectation) -> Iterator[Violation]:
    carried = Counter((entry.clli, entry.client_port, entry.vlan_id) for entry in seen.steerings)
    for key in sorted((carried - expected.steerings) + (expected.steerings - carried)):
        there, wanted = carried[key], expected.steerings[key]
        yield Violation("steerings", key[0], f"{key[1]} VLAN {key[2]}: {there} at the switch, {wanted} in services")
    whole = Counter(entry.clli for entry in seen.steerings)
    for clli, count in sorted(seen.flow_counts.items()):
        if count != 2 * whole[clli]:
            yield Violation("steerings", clli, f"{count} flows at the switch; its {whole[clli]} steerings are two each")


def _quality(seen: Observation) -> Iterator[Violation]:
    required = _required_osnr_db(seen)
    for vio, service in active_services(seen):
        answer = service.answer
        if answer is None:
            yield Violation("quality", service.demand.name, f"is ACTIVE for {vio} without an answer of the PCE")
            continue
        if answer.margin_db < service.demand.min_margin_db - 1e-9:
            yield Violation("quality", service.demand.name, f"worst-case margin is {answer.margin_db:.2f} dB")
        measured = service.measured_gsnr_0p1nm_db
        if answer.mode_id not in required:
            yield Violation("quality", service.demand.name, f"has mode {answer.mode_id}, which no transponder offers")
        elif measured is None or measured < required[answer.mode_id]:
            yield Violation("quality", service.demand.name, f"receivers report {measured} dB for {answer.mode_id}")


def _required_osnr_db(seen: Observation) -> Mapping[str, float]:
    return {
        mode.mode_id: mode.required_osnr_0p1nm_db
        for device in seen.devices.values()
        for line in device.facts.lines
        for mode in line.modes
    }


def _half_done(seen: Observation) -> Iterator[Violation]:
    for operator in seen.operators.values():
        for service in operator.services:
            if service.state not in RESTING_NIPS:
                yield Violation("half-done", service.demand.name, f"is {service.state.value}")
        for infrastructure in operator.infrastructures:
            if infrastructure.state not in RESTING_INFRASTRUCTURES:
                yield Violation("half-done", infrastructure.name, f"is {infrastructure.state}")
    live = {
        infrastructure.gri
        for operator in seen.operators.values()
        for infrastructure in operator.infrastructures
        if infrastructure.state is VirtualInfrastructureState.ACTIVE
    }
    held_gris = {held.gri for reservations in seen.reservations.values() for held in reservations}
    for gri in sorted(live - held_gris):
        yield Violation("half-done", gri, "belongs to an active VI, and no provider holds anything for it")
    for reservations in seen.reservations.values():
        for held in reservations:
            if held.state is not ReservationState.ACTIVE or held.gri not in live:
                yield Violation("half-done", held.name, f"is {held.state.value} for {held.gri}, which is no active VI")
