"""The invariants of the whole system, as one pure function over an observation.

1. Cross-connects and line settings in the devices = those of the confirmed lightpaths, both directions, nothing else.
2. No granule twice on a degree; no transponder, and no band of a fibre, held twice.
3. Shares of a data centre never exceed it; its machines and the steerings = those of the active services.
4. Every mark on a device names a reservation that is active and holds that spectrum.
5. No service below its mode's threshold, computed in the worst case or measured now.
6. Nothing is left half done: no service or infrastructure between two resting states.
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
    found.extend(_marks(seen))
    found.extend(_data_centres(seen, expected))
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
        has = {(c.source_port, c.destination_port, c.slot) for c in device.configuration.cross_connects}
        wants = expected.crosses.get(name, set())
        for source, target, slot in sorted(has - wants):
            yield Violation("lightpaths", name, f"carries {source} → {target} {slot}, which no active service explains")
        for source, target, slot in sorted(wants - has):
            yield Violation("lightpaths", name, f"lacks {source} → {target} {slot} of an active service")
        lit = {(line.network_port, line.slot, line.mode_id) for line in device.configuration.line_settings}
        wanted = expected.lines.get(name, set())
        for port, slot, mode_id in sorted(lit - wanted):
            yield Violation("lightpaths", name, f"{port} is lit with {mode_id} at {slot}, which no service explains")
        for port, slot, mode_id in sorted(wanted - lit):
            yield Violation("lightpaths", name, f"{port} is not lit with {mode_id} at {slot} of an active service")


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


def _data_centres(seen: Observation, expected: Expectation) -> Iterator[Violation]:
    shares: dict[str, list[tuple[int, int, int]]] = {}
    for reservations in seen.reservations.values():
        for held in reservations:
            for part in held.it_parts:
                site_id = part.it_site.rpartition("/")[2]
                shares.setdefault(site_id, []).append((part.vcpu_count, part.memory_gib, part.storage_gib))
    standing = {server.instance_uuid for site in seen.sites.values() for server in site.servers}
    for instance in sorted(standing - expected.instances):
        yield Violation("machines", instance, "runs at a data centre, but no active service has it")
    for instance in sorted(expected.instances - standing):
        yield Violation("machines", instance, "belongs to an active service, but no data centre runs it")
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
    carried = Counter((entry.clli, entry.client_port, entry.vlan_id) for entry in seen.steerings)
    for key in sorted((carried - expected.steerings) + (expected.steerings - carried)):
        there, wanted = carried[key], expected.steerings[key]
        yield Violation("steerings", key[0], f"{key[1]} VLAN {key[2]}: {there} at the switch, {wanted} in services")


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
        if measured is None or measured < required.get(answer.mode_id, 0.0):
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
    for reservations in seen.reservations.values():
        for held in reservations:
            if held.state is not ReservationState.ACTIVE or held.gri not in live:
                yield Violation("half-done", held.name, f"is {held.state.value} for {held.gri}, which is no active VI")
