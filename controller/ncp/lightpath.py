"""A PCE answer as a plan: both directions of one slot, from transponder to transponder, and what stands at the end.

Also the ownership marks: a cross-connect carries the service's uid in its identifier, a line setting is ours when it
is what the plan says on a line that the service booked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.domain.errors import DeviceRejected, NoPath, NotFound
from controller.domain.infrastructure import VirtualInfrastructure
from controller.domain.it import Server, Steering
from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.nips import NipsAnswer, NipsDemand, WeighedRefusal
from controller.ncp.records import Plan, Receiver
from controller.ncp.ted import NodeFacts, add_drop_port
from controller.openroadm.facts import DeviceFacts
from pce.request import Candidate, ItDemand, Objective, PathAnswer, PathRequest, Refusal

TRANSMIT_POWER_DBM = 0.0  # the ROADM equalises; any power within the add port's range gives the same light


def roadm_key(node_id: str) -> str:
    """Name, in this controller, of the ROADM of a virtual node."""
    return node_id


def shelf_key(node_id: str) -> str:
    """Name, in this controller, of the transponder shelf of a virtual node."""
    return f"{node_id}/xpdr"


def path_request(demand: NipsDemand) -> PathRequest:
    """The demand in the PCE's terms."""
    machine = demand.machine
    return PathRequest(
        source=demand.source_node_id,
        targets=(demand.destination_node_id,) if demand.destination_node_id else None,
        it_demand=None
        if machine is None
        else ItDemand(float(machine.vcpu_count), float(machine.memory_gib), float(machine.volume_gib)),
        candidate_sites=None if machine is None else (machine.candidate_it_site_ids or None),
        bit_rate_gbps=demand.bit_rate_gbps,
        objective=Objective[demand.objective.name],
        min_margin_db=demand.min_margin_db,
    )


def nips_answer(answer: PathAnswer) -> NipsAnswer:
    """The best candidate as the service shows it."""
    best = answer.best
    return NipsAnswer(
        path=best.route.nodes,
        frequency_slot=best.slot,
        mode_id=best.mode.mode_id,
        gsnr_0p1nm_db=best.gsnr_0p1nm_db,
        worst_case_gsnr_0p1nm_db=best.worst_case_gsnr_0p1nm_db,
        margin_db=best.margin_db,
        power_w=best.net_power_w + best.it_power_w,
        latency_ms=best.latency_ms,
        it_site_id=best.site or "",
        refusals=tuple(_weighed(refusal) for refusal in answer.refusals),
    )


def build_plan(
    uid: str,
    demand: NipsDemand,
    candidate: Candidate,
    infrastructure: VirtualInfrastructure,
    facts: Mapping[str, NodeFacts],
) -> Plan:
    """All that `candidate` asks of devices and sites.

    Raises NoPath when both ends are one node, and NotFound when a device lost a part since the snapshot.
    """
    if candidate.route.hops == 0:
        raise NoPath(f"both ends are at {candidate.source_node}: a lightpath joins two nodes; choose another end")
    ends = (
        (candidate.source_node, candidate.source_transponder),
        (candidate.target_node, candidate.target_transponder),
    )
    shelves = [_facts_of(facts, node, shelf=True) for node, _ in ends]
    add_drops = [_add_drop(facts, node, port) for node, port in ends]
    devices = {
        roadm_key(node): SliceConfiguration(crosses)
        for node, crosses in _cross_connects(uid, candidate, _degree_ports(infrastructure), add_drops).items()
    }
    for node, port in ends:
        setting = LineSetting(port, candidate.slot, candidate.mode.mode_id, TRANSMIT_POWER_DBM)
        devices[shelf_key(node)] = SliceConfiguration(line_settings=frozenset({setting}))
    machine = demand.machine
    return Plan(
        devices=devices,
        receivers=tuple(Receiver(shelf_key(node), port) for node, port in ends),
        required_osnr_0p1nm_db=candidate.mode.required_osnr_0p1nm_db,
        slot=candidate.slot,
        directed_links=candidate.route.directed_links,
        transponders=ends,
        steerings=tuple(
            (node, Steering(f"{uid}-{end}", _client_port(shelf, port), demand.vlan_id))
            for (node, port), shelf, end in zip(ends, shelves, "az", strict=True)
        ),
        it_site_id=candidate.site or "",
        server=None
        if machine is None or candidate.site is None
        else Server(uid, machine.vcpu_count, machine.memory_gib, machine.volume_gib),
    )


def _cross_connects(
    uid: str, candidate: Candidate, ports: Mapping[str, tuple[str, str]], add_drops: Sequence[str]
) -> dict[str, frozenset[CrossConnect]]:
    """Both directions through every ROADM of the route.

    Between two ROADMs the forward direction leaves by the head port of the forward link, and the reverse direction
    arrives at the tail port of the reverse link: the same degree, unless links are parallel.
    """
    route = candidate.route
    towards_source = [(add_drops[0], add_drops[0])]
    towards_target = []
    for forward, reverse in zip(route.forward, route.reverse, strict=True):
        towards_target.append((ports[forward][0], ports[reverse][1]))
        towards_source.append((ports[forward][1], ports[reverse][0]))
    towards_target.append((add_drops[1], add_drops[1]))
    crosses = {}
    for node, (enter, leave_back), (leave, enter_back) in zip(route.nodes, towards_source, towards_target, strict=True):
        crosses[node] = frozenset(
            CrossConnect(f"{uid}/{direction}", source, target, candidate.slot, candidate.mode.baud_rate_gbd)
            for direction, source, target in (("f", enter, leave), ("r", enter_back, leave_back))
        )
    return crosses


def owned(current: SliceConfiguration, uid: str, wanted: SliceConfiguration) -> SliceConfiguration:
    """What `uid` has in a device now."""
    lines = {_line_key(line) for line in wanted.line_settings}
    return SliceConfiguration(
        frozenset(cross for cross in current.cross_connects if cross.cross_connect_id.startswith(f"{uid}/")),
        frozenset(line for line in current.line_settings if _line_key(line) in lines),
    )


def carries(current: SliceConfiguration, uid: str, wanted: SliceConfiguration) -> bool:
    """True when a device holds all that `uid` wants of it."""
    mine = owned(current, uid, wanted)
    present = {_cross_key(cross) for cross in mine.cross_connects}
    return present >= {_cross_key(cross) for cross in wanted.cross_connects} and len(mine.line_settings) == len(
        wanted.line_settings
    )


def with_wanted(current: SliceConfiguration, uid: str, wanted: SliceConfiguration, device: str) -> SliceConfiguration:
    """The device's configuration with `wanted` in it, and nothing else of `uid`.

    Raises DeviceRejected when something that is not ours stands where `wanted` would go: merging into it would make
    it look like ours, and undoing would then remove it.
    """
    mine = owned(current, uid, wanted)
    others = SliceConfiguration(
        current.cross_connects - mine.cross_connects, current.line_settings - mine.line_settings
    )
    targets = {cross.destination_port: cross for cross in wanted.cross_connects}
    for cross in others.cross_connects:
        clash = targets.get(cross.destination_port)
        if clash is not None and clash.slot.overlaps(cross.slot):
            raise DeviceRejected(
                f"{device}: cross-connect {cross.connection_name} ({cross.cross_connect_id}) is not ours and takes "
                f"{cross.slot.openroadm_name} on {cross.destination_port}: remove it or free the spectrum",
                device=device,
            )
    busy = {line.network_port for line in others.line_settings}
    for line in wanted.line_settings:
        if line.network_port in busy:
            raise DeviceRejected(
                f"{device}: {line.network_port} carries a line setting that is not ours: remove it", device=device
            )
    return SliceConfiguration(
        others.cross_connects | wanted.cross_connects, others.line_settings | wanted.line_settings
    )


def _line_key(line: LineSetting) -> tuple[object, ...]:
    return (line.network_port, line.slot, line.mode_id)


def _cross_key(cross: CrossConnect) -> tuple[object, ...]:
    # Not the width: a device may answer it rounded.
    return (cross.cross_connect_id, cross.source_port, cross.destination_port, cross.slot)


def _degree_ports(infrastructure: VirtualInfrastructure) -> dict[str, tuple[str, str]]:
    """Degree ports at head and tail of each directed link."""
    ports: dict[str, tuple[str, str]] = {}
    for link in infrastructure.links:
        ports[f"{link.link_id}.az"] = (link.a_port, link.z_port)
        ports[f"{link.link_id}.za"] = (link.z_port, link.a_port)
    return ports


def _facts_of(facts: Mapping[str, NodeFacts], node: str, *, shelf: bool) -> DeviceFacts:
    entry = facts.get(node, NodeFacts())
    found = entry.shelf if shelf else entry.roadm
    if found is None:
        raise NotFound(f"{node}: its {'transponder shelf' if shelf else 'ROADM'} cannot be reached now", node=node)
    return found


def _add_drop(facts: Mapping[str, NodeFacts], node: str, network_port: str) -> str:
    roadm = _facts_of(facts, node, shelf=False)
    port = add_drop_port(roadm, _facts_of(facts, node, shelf=True), network_port)
    if not port:
        raise NotFound(f"{node}: transponder {network_port} is patched to no add/drop port any more", node=node)
    return port


def _client_port(shelf: DeviceFacts, network_port: str) -> str:
    for line in shelf.lines:
        if line.network_port == network_port and line.client_port:
            return line.client_port
    raise NotFound(f"{shelf.node_id}: no client port belongs to {network_port}", port=network_port)


def _weighed(refusal: Refusal) -> WeighedRefusal:
    parts = (refusal.route, refusal.site, refusal.target, refusal.mode)
    return WeighedRefusal(
        subject=" · ".join(str(part) for part in parts if part),
        constraint=refusal.constraint.value,
        shortfall=refusal.shortfall,
        unit=refusal.unit,
        message=refusal.message,
    )
