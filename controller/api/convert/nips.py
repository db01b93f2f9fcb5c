"""geysers.nips.v1 to domain types and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from geysers.nips.v1 import nips_pb2

from controller.api.convert.types import server_from, server_to, slot_from, slot_to, time_from, time_to
from controller.domain.errors import InvalidRequest
from controller.domain.nips import (
    MachineDemand,
    Nips,
    NipsAnswer,
    NipsDemand,
    NipsObjective,
    NipsState,
    WeighedRefusal,
)
from controller.domain.spectrum import FrequencySlot, Words, to_int
from pce.ted_snapshot import TedLink, TedSnapshot


class Problem(Protocol):
    """What had to be left out of a topology, and why."""

    @property
    def subject(self) -> str: ...

    @property
    def message(self) -> str: ...


_OBJECTIVE = "OBJECTIVE_"
_STATE = "NIPS_STATE_"


def demand_from(message: nips_pb2.Nips, name: str) -> NipsDemand:
    """Read what is asked for; output-only fields are ignored."""
    objective = NipsObjective.NET_IT_POWER
    if message.objective:
        try:
            objective = NipsObjective(nips_pb2.Objective.Name(message.objective).removeprefix(_OBJECTIVE))
        except ValueError as error:
            raise InvalidRequest(
                f"nips.objective {message.objective}: use one of {', '.join(kind.value for kind in NipsObjective)}",
                field="nips.objective",
            ) from error
    machine = None
    if message.HasField("it_demand"):
        machine = MachineDemand(
            vcpu_count=message.it_demand.vcpu_count,
            memory_gib=message.it_demand.memory_gib,
            volume_gib=message.it_demand.volume_gib,
            candidate_it_site_ids=tuple(message.it_demand.candidate_it_site_ids),
        )
    return NipsDemand(
        name=name,
        source_node_id=message.source_node_id,
        bit_rate_gbps=message.bit_rate_gbps,
        destination_node_id=message.destination_node_id,
        machine=machine,
        objective=objective,
        min_margin_db=message.min_margin_db,
        vlan_id=message.vlan_id,
    )


def state_to(state: NipsState) -> nips_pb2.NipsState.ValueType:
    """Write a service's state."""
    return nips_pb2.NipsState.Value(_STATE + state.value)


def demand_to(demand: NipsDemand) -> nips_pb2.Nips:
    """Write what is asked for."""
    message = nips_pb2.Nips(
        name=demand.name,
        source_node_id=demand.source_node_id,
        destination_node_id=demand.destination_node_id,
        bit_rate_gbps=demand.bit_rate_gbps,
        objective=nips_pb2.Objective.Value(_OBJECTIVE + demand.objective.value),
        min_margin_db=demand.min_margin_db,
        vlan_id=demand.vlan_id,
    )
    if demand.machine is not None:
        message.it_demand.CopyFrom(
            nips_pb2.ItDemand(
                vcpu_count=demand.machine.vcpu_count,
                memory_gib=demand.machine.memory_gib,
                volume_gib=demand.machine.volume_gib,
                candidate_it_site_ids=demand.machine.candidate_it_site_ids,
            )
        )
    return message


def nips_to(nips: Nips) -> nips_pb2.Nips:
    """Write a service."""
    message = demand_to(nips.demand)
    message.state = state_to(nips.state)
    message.failure = nips.failure
    if nips.measured_gsnr_0p1nm_db is not None:
        message.measured_gsnr_0p1nm_db = nips.measured_gsnr_0p1nm_db
    if nips.server is not None:
        message.server.CopyFrom(server_to(nips.server))
    stamp = time_to(nips.create_time)
    if stamp is not None:
        message.create_time.CopyFrom(stamp)
    if nips.answer is not None:
        _write_answer(message, nips.answer)
    return message


def _write_answer(message: nips_pb2.Nips, answer: NipsAnswer) -> None:
    message.path.extend(answer.path)
    message.frequency_slot.CopyFrom(slot_to(answer.frequency_slot))
    message.mode_id = answer.mode_id
    message.gsnr_0p1nm_db = answer.gsnr_0p1nm_db
    message.worst_case_gsnr_0p1nm_db = answer.worst_case_gsnr_0p1nm_db
    message.margin_db = answer.margin_db
    message.power_w = answer.power_w
    message.it_site_id = answer.it_site_id
    message.latency_ms = answer.latency_ms
    message.refusals.extend(
        nips_pb2.Refusal(
            subject=refusal.subject,
            constraint=refusal.constraint,
            shortfall=refusal.shortfall,
            unit=refusal.unit,
            message=refusal.message,
        )
        for refusal in answer.refusals
    )


def nips_from(message: nips_pb2.Nips) -> Nips:
    """Read a service as a client does."""
    answer = None
    if message.HasField("frequency_slot"):
        answer = NipsAnswer(
            path=tuple(message.path),
            frequency_slot=slot_from(message.frequency_slot),
            mode_id=message.mode_id,
            gsnr_0p1nm_db=message.gsnr_0p1nm_db,
            worst_case_gsnr_0p1nm_db=message.worst_case_gsnr_0p1nm_db,
            margin_db=message.margin_db,
            power_w=message.power_w,
            latency_ms=message.latency_ms,
            it_site_id=message.it_site_id,
            refusals=tuple(
                WeighedRefusal(entry.subject, entry.constraint, entry.shortfall, entry.unit, entry.message)
                for entry in message.refusals
            ),
        )
    create_time = time_from(message, "create_time")
    if create_time is None:
        raise InvalidRequest("the service has no create_time: it was not written by a server", field="create_time")
    return Nips(
        demand=demand_from(message, message.name),
        state=NipsState(nips_pb2.NipsState.Name(message.state).removeprefix(_STATE)),
        create_time=create_time,
        answer=answer,
        server=server_from(message.server) if message.HasField("server") else None,
        measured_gsnr_0p1nm_db=(message.measured_gsnr_0p1nm_db if message.HasField("measured_gsnr_0p1nm_db") else None),
        failure=message.failure,
    )


def topology_to(snapshot: TedSnapshot, problems: Sequence[Problem] = ()) -> nips_pb2.GetTopologyResponse:
    """Write the traffic engineering database."""
    return nips_pb2.GetTopologyResponse(
        generation=snapshot.generation,
        nodes=[
            nips_pb2.TopologyNode(
                node_id=node.name,
                transponder_count=len(node.transponders),
                used_transponder_count=sum(1 for entry in node.transponders if not entry.free),
            )
            for node in snapshot.nodes.values()
        ],
        links=[
            nips_pb2.TopologyLink(
                name=link.name,
                source_node_id=link.a,
                destination_node_id=link.z,
                band=slot_to(link.band),
                used_slots=[slot_to(slot) for slot in used_slots(link)],
                length_km=link.qot.length_km,
            )
            for link in snapshot.links.values()
        ],
        it_sites=[
            nips_pb2.TopologyItSite(
                it_site_id=site.name,
                node_id=site.node,
                vcpu_count=int(site.vcpu_free),
                memory_gib=int(site.memory_free_gib),
                storage_gib=int(site.storage_free_gib),
            )
            for site in snapshot.sites.values()
        ],
        problems=[nips_pb2.TopologyProblem(subject=problem.subject, message=problem.message) for problem in problems],
    )


def used_slots(link: TedLink) -> list[FrequencySlot]:
    """Maximal runs of granules in use inside the band; slots have even widths, and so has a run of them."""
    return [FrequencySlot.from_granules(first, end) for first, end in _runs(link.occupied, link.band)]


def _runs(occupied: Words, band: FrequencySlot) -> list[tuple[int, int]]:
    used = to_int(occupied)
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for granule in range(band.first_granule, band.end_granule + 1):
        lit = granule < band.end_granule and bool(used >> granule & 1)
        if lit and start is None:
            start = granule
        elif not lit and start is not None:
            runs.append((start, granule))
            start = None
    return runs
