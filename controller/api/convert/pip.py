"""geysers.pip.v1 to domain types and back."""

from __future__ import annotations

from geysers.pip.v1 import pip_pb2

from controller.api.convert.types import (
    location_from,
    location_to,
    mode_from,
    mode_to,
    qot_from,
    qot_to,
    slot_from,
    slot_to,
    time_from,
    time_to,
)
from controller.domain.it import Steering
from controller.domain.media import CrossConnect, LineSetting, Reception, SliceConfiguration
from controller.domain.offers import Catalogue, ItSiteOffer, LinkOffer, NodeOffer, TransponderOffer
from controller.domain.reservation import (
    ItPart,
    LinkPart,
    NodePart,
    Reservation,
    ReservationState,
    SliceReading,
)

_STATES = {
    ReservationState.HELD: pip_pb2.RESERVATION_STATE_HELD,
    ReservationState.ACTIVE: pip_pb2.RESERVATION_STATE_ACTIVE,
    ReservationState.RELEASING: pip_pb2.RESERVATION_STATE_RELEASING,
}
_STATES_BACK = {value: key for key, value in _STATES.items()}


def transponder_from(message: pip_pb2.TransponderOffer) -> TransponderOffer:
    """Read a transponder on offer."""
    return TransponderOffer(
        device=message.device,
        network_port=message.network_port,
        client_port=message.client_port,
        add_drop_port=message.add_drop_port,
        modes=tuple(mode_from(mode) for mode in message.modes),
        available=message.available,
    )


def transponder_to(offer: TransponderOffer) -> pip_pb2.TransponderOffer:
    """Write a transponder on offer."""
    return pip_pb2.TransponderOffer(
        device=offer.device,
        network_port=offer.network_port,
        client_port=offer.client_port,
        add_drop_port=offer.add_drop_port,
        modes=[mode_to(mode) for mode in offer.modes],
        available=offer.available,
    )


def catalogue_from(message: pip_pb2.ListOffersResponse) -> Catalogue:
    """Read everything on offer."""
    return Catalogue(
        nodes=tuple(_node_from(entry) for entry in message.nodes),
        links=tuple(_link_from(entry) for entry in message.links),
        it_sites=tuple(_site_from(entry) for entry in message.it_sites),
    )


def catalogue_to(catalogue: Catalogue) -> pip_pb2.ListOffersResponse:
    """Write everything on offer."""
    return pip_pb2.ListOffersResponse(
        nodes=[_node_to(entry) for entry in catalogue.nodes],
        links=[_link_to(entry) for entry in catalogue.links],
        it_sites=[_site_to(entry) for entry in catalogue.it_sites],
    )


def _owner_and_id(name: str) -> tuple[str, str]:
    parts = name.split("/")
    return parts[1], parts[3]


def _node_from(message: pip_pb2.NodeOffer) -> NodeOffer:
    pip, node_id = _owner_and_id(message.name)
    return NodeOffer(
        pip=pip,
        node_id=node_id,
        location=location_from(message.location),
        degree_ports=tuple(entry.port for entry in message.degrees),
        transponders=tuple(transponder_from(entry) for entry in message.transponders),
        add_drop_osnr_0p1nm_db=message.add_drop_osnr_0p1nm_db,
        power_w=message.power_w,
    )


def _node_to(offer: NodeOffer) -> pip_pb2.NodeOffer:
    return pip_pb2.NodeOffer(
        name=offer.name,
        location=location_to(offer.location),
        degrees=[pip_pb2.DegreeOffer(port=port) for port in offer.degree_ports],
        transponders=[transponder_to(entry) for entry in offer.transponders],
        add_drop_osnr_0p1nm_db=offer.add_drop_osnr_0p1nm_db,
        power_w=offer.power_w,
    )


def _link_from(message: pip_pb2.LinkOffer) -> LinkOffer:
    pip, link_id = _owner_and_id(message.name)
    return LinkOffer(
        pip=pip,
        link_id=link_id,
        source_node=message.source_node,
        source_port=message.source_port,
        destination_node=message.destination_node,
        destination_port=message.destination_port,
        inter_domain=message.inter_domain,
        held_bands=tuple(slot_from(band) for band in message.held_bands),
        qot=qot_from(message.qot),
        power_w=message.power_w,
    )


def _link_to(offer: LinkOffer) -> pip_pb2.LinkOffer:
    return pip_pb2.LinkOffer(
        name=offer.name,
        source_node=offer.source_node,
        source_port=offer.source_port,
        destination_node=offer.destination_node,
        destination_port=offer.destination_port,
        inter_domain=offer.inter_domain,
        held_bands=[slot_to(band) for band in offer.held_bands],
        qot=qot_to(offer.qot),
        power_w=offer.power_w,
    )


def _site_from(message: pip_pb2.ItSiteOffer) -> ItSiteOffer:
    pip, site_id = _owner_and_id(message.name)
    return ItSiteOffer(
        pip=pip,
        site_id=site_id,
        location=location_from(message.location),
        vcpu_count=message.vcpu_count,
        memory_gib=message.memory_gib,
        storage_gib=message.storage_gib,
        server_idle_w=message.server_idle_w,
        vcpu_w=message.vcpu_w,
        pue=message.pue,
        carbon_g_per_kwh=message.carbon_g_per_kwh,
        awake=message.awake,
    )


def _site_to(offer: ItSiteOffer) -> pip_pb2.ItSiteOffer:
    return pip_pb2.ItSiteOffer(
        name=offer.name,
        location=location_to(offer.location),
        vcpu_count=offer.vcpu_count,
        memory_gib=offer.memory_gib,
        storage_gib=offer.storage_gib,
        server_idle_w=offer.server_idle_w,
        vcpu_w=offer.vcpu_w,
        pue=offer.pue,
        carbon_g_per_kwh=offer.carbon_g_per_kwh,
        awake=offer.awake,
    )


def reservation_from(message: pip_pb2.Reservation) -> Reservation:
    """Read a reservation, wanted or held."""
    return Reservation(
        gri=message.gri,
        node_parts=tuple(
            NodePart(
                part_id=part.part_id,
                node=part.node,
                degree_ports=tuple(part.degree_ports),
                transponder_count=part.transponder_count,
                transponders=tuple(transponder_from(entry) for entry in part.transponders),
            )
            for part in message.node_parts
        ),
        link_parts=tuple(
            LinkPart(part.part_id, part.link, slot_from(part.band, f"reservation.link_parts[{index}].band"))
            for index, part in enumerate(message.link_parts)
        ),
        it_parts=tuple(
            ItPart(part.part_id, part.it_site, part.vcpu_count, part.memory_gib, part.storage_gib)
            for part in message.it_parts
        ),
        name=message.name,
        state=_STATES_BACK.get(message.state, ReservationState.HELD),
        hold_expire_time=time_from(message, "hold_expire_time"),
    )


def reservation_to(reservation: Reservation) -> pip_pb2.Reservation:
    """Write a reservation."""
    return pip_pb2.Reservation(
        name=reservation.name,
        gri=reservation.gri,
        node_parts=[
            pip_pb2.NodePart(
                part_id=part.part_id,
                node=part.node,
                degree_ports=part.degree_ports,
                transponder_count=part.transponder_count,
                transponders=[transponder_to(entry) for entry in part.transponders],
            )
            for part in reservation.node_parts
        ],
        link_parts=[
            pip_pb2.LinkPart(part_id=part.part_id, link=part.link, band=slot_to(part.band))
            for part in reservation.link_parts
        ],
        it_parts=[
            pip_pb2.ItPart(
                part_id=part.part_id,
                it_site=part.it_site,
                vcpu_count=part.vcpu_count,
                memory_gib=part.memory_gib,
                storage_gib=part.storage_gib,
            )
            for part in reservation.it_parts
        ],
        state=_STATES[reservation.state],
        hold_expire_time=time_to(reservation.hold_expire_time),
    )


def slice_from(message: pip_pb2.DesiredSlice, where: str = "desired") -> SliceConfiguration:
    """Read what a tenant wants of, or has in, one device."""
    return SliceConfiguration(
        cross_connects=frozenset(
            CrossConnect(
                cross_connect_id=entry.cross_connect_id,
                source_port=entry.source_port,
                destination_port=entry.destination_port,
                slot=slot_from(entry.slot, f"{where}.cross_connects[{index}].slot"),
                signal_width_ghz=entry.signal_width_ghz,
            )
            for index, entry in enumerate(message.cross_connects)
        ),
        line_settings=frozenset(
            LineSetting(
                network_port=entry.network_port,
                slot=slot_from(entry.slot, f"{where}.line_settings[{index}].slot"),
                mode_id=entry.mode_id,
                transmit_power_dbm=entry.transmit_power_dbm,
            )
            for index, entry in enumerate(message.line_settings)
        ),
    )


def slice_to(configuration: SliceConfiguration) -> pip_pb2.DesiredSlice:
    """Write it, in a stable order."""
    return pip_pb2.DesiredSlice(
        cross_connects=[
            pip_pb2.CrossConnect(
                cross_connect_id=entry.cross_connect_id,
                source_port=entry.source_port,
                destination_port=entry.destination_port,
                slot=slot_to(entry.slot),
                signal_width_ghz=entry.signal_width_ghz,
            )
            for entry in sorted(configuration.cross_connects, key=lambda cross: cross.connection_name)
        ],
        line_settings=[
            pip_pb2.LineSetting(
                network_port=entry.network_port,
                slot=slot_to(entry.slot),
                mode_id=entry.mode_id,
                transmit_power_dbm=entry.transmit_power_dbm,
            )
            for entry in sorted(configuration.line_settings, key=lambda line: line.network_port)
        ],
    )


def reading_from(message: pip_pb2.GetSliceResponse) -> SliceReading:
    """Read what a device carries of a reservation."""
    return SliceReading(
        actual=slice_from(message.actual, "actual"),
        receptions=tuple(
            Reception(
                network_port=entry.network_port,
                input_power_dbm=entry.input_power_dbm,
                gsnr_0p1nm_db=entry.gsnr_0p1nm_db if entry.HasField("gsnr_0p1nm_db") else None,
                signal_state=entry.signal_state,
            )
            for entry in message.receptions
        ),
        power_w=message.power_w,
    )


def reading_to(reading: SliceReading) -> pip_pb2.GetSliceResponse:
    """Write it."""
    return pip_pb2.GetSliceResponse(
        actual=slice_to(reading.actual),
        receptions=[
            pip_pb2.Reception(
                network_port=entry.network_port,
                input_power_dbm=entry.input_power_dbm,
                gsnr_0p1nm_db=entry.gsnr_0p1nm_db,
                signal_state=entry.signal_state,
            )
            for entry in reading.receptions
        ],
        power_w=reading.power_w,
    )


def steering_from(message: pip_pb2.Steering) -> Steering:
    """Read a steering."""
    return Steering(message.steering_id, message.client_port, message.vlan_id)


def steering_to(steering: Steering) -> pip_pb2.Steering:
    """Write a steering."""
    return pip_pb2.Steering(
        steering_id=steering.steering_id, client_port=steering.client_port, vlan_id=steering.vlan_id
    )
