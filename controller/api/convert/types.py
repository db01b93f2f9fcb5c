"""geysers.type.v1 to domain types and back."""

from __future__ import annotations

from datetime import UTC, datetime

from geysers.type.v1 import optical_pb2
from google.protobuf import timestamp_pb2
from google.protobuf.message import Message

from controller.domain.errors import InvalidRequest
from controller.domain.it import ItResourceState, Server
from controller.domain.offers import Location
from controller.domain.qot import LinkQot, OperationalMode, QotSample
from controller.domain.spectrum import FrequencySlot

_SERVER_STATES = {
    ItResourceState.BUILDING: optical_pb2.IT_RESOURCE_STATE_BUILDING,
    ItResourceState.ACTIVE: optical_pb2.IT_RESOURCE_STATE_ACTIVE,
    ItResourceState.ERROR: optical_pb2.IT_RESOURCE_STATE_ERROR,
}
_SERVER_STATES_BACK = {value: key for key, value in _SERVER_STATES.items()}


def required(message: Message, field: str, where: str) -> None:
    """Refuse a request without the sub-message `field`."""
    if not message.HasField(field):
        raise InvalidRequest(f"{where} is missing: it is required", field=where)


def slot_from(message: optical_pb2.FrequencySlot, where: str = "frequency_slot") -> FrequencySlot:
    """Read a slot; a bad one is refused with `where` in its words."""
    try:
        return FrequencySlot(n=message.n, m=message.m)
    except InvalidRequest as error:
        raise InvalidRequest(f"{where}: {error.message}", field=where, n=message.n, m=message.m) from error


def slot_to(slot: FrequencySlot) -> optical_pb2.FrequencySlot:
    """Write a slot."""
    return optical_pb2.FrequencySlot(n=slot.n, m=slot.m)


def location_from(message: optical_pb2.Location) -> Location:
    """Read a location."""
    return Location(message.clli, message.city, message.country_code, message.latitude_deg, message.longitude_deg)


def location_to(location: Location) -> optical_pb2.Location:
    """Write a location."""
    return optical_pb2.Location(
        clli=location.clli,
        city=location.city,
        country_code=location.country_code,
        latitude_deg=location.latitude_deg,
        longitude_deg=location.longitude_deg,
    )


def qot_from(message: optical_pb2.LinkQot) -> LinkQot:
    """Read quality of transmission."""
    return LinkQot(
        samples=tuple(
            QotSample(entry.center_thz, entry.nsr_ase, entry.nsr_nli_self, entry.nsr_nli_full)
            for entry in message.samples
        ),
        length_km=message.length_km,
        latency_ms=message.latency_ms,
        cd_ps_per_nm=message.cd_ps_per_nm,
        pmd_ps=message.pmd_ps,
    )


def qot_to(qot: LinkQot) -> optical_pb2.LinkQot:
    """Write quality of transmission."""
    return optical_pb2.LinkQot(
        samples=[
            optical_pb2.QotSample(
                center_thz=entry.center_thz,
                nsr_ase=entry.nsr_ase,
                nsr_nli_self=entry.nsr_nli_self,
                nsr_nli_full=entry.nsr_nli_full,
            )
            for entry in qot.samples
        ],
        length_km=qot.length_km,
        latency_ms=qot.latency_ms,
        cd_ps_per_nm=qot.cd_ps_per_nm,
        pmd_ps=qot.pmd_ps,
    )


def mode_from(message: optical_pb2.OperationalMode) -> OperationalMode:
    """Read an operational mode."""
    return OperationalMode(
        mode_id=message.mode_id,
        bit_rate_gbps=message.bit_rate_gbps,
        baud_rate_gbd=message.baud_rate_gbd,
        min_spacing_ghz=message.min_spacing_ghz,
        required_osnr_0p1nm_db=message.required_osnr_0p1nm_db,
        tx_osnr_0p1nm_db=message.tx_osnr_0p1nm_db,
        power_w=message.power_w,
    )


def mode_to(mode: OperationalMode) -> optical_pb2.OperationalMode:
    """Write an operational mode."""
    return optical_pb2.OperationalMode(
        mode_id=mode.mode_id,
        bit_rate_gbps=mode.bit_rate_gbps,
        baud_rate_gbd=mode.baud_rate_gbd,
        min_spacing_ghz=mode.min_spacing_ghz,
        required_osnr_0p1nm_db=mode.required_osnr_0p1nm_db,
        tx_osnr_0p1nm_db=mode.tx_osnr_0p1nm_db,
        power_w=mode.power_w,
    )


def server_from(message: optical_pb2.Server) -> Server:
    """Read a server."""
    return Server(
        server_id=message.server_id,
        vcpu_count=message.vcpu_count,
        memory_gib=message.memory_gib,
        volume_gib=message.volume_gib,
        state=_SERVER_STATES_BACK.get(message.state),
        instance_uuid=message.instance_uuid,
        volume_uuid=message.volume_uuid,
        fault=message.fault,
    )


def server_to(server: Server) -> optical_pb2.Server:
    """Write a server."""
    return optical_pb2.Server(
        server_id=server.server_id,
        vcpu_count=server.vcpu_count,
        memory_gib=server.memory_gib,
        volume_gib=server.volume_gib,
        state=optical_pb2.IT_RESOURCE_STATE_UNSPECIFIED if server.state is None else _SERVER_STATES[server.state],
        instance_uuid=server.instance_uuid,
        volume_uuid=server.volume_uuid,
        fault=server.fault,
    )


def time_to(instant: datetime | None) -> timestamp_pb2.Timestamp | None:
    """Write a wall time."""
    if instant is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(instant.astimezone(UTC))
    return stamp


def time_from(message: Message, field: str) -> datetime | None:
    """Read the wall time in `field`, None when it is not set."""
    if not message.HasField(field):
        return None
    stamp: timestamp_pb2.Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)
