"""geysers.vi.v1 to domain types and back."""

from __future__ import annotations

from geysers.vi.v1 import vi_pb2

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
from controller.domain.infrastructure import (
    NetconfAddress,
    VirtualInfrastructure,
    VirtualInfrastructureState,
    VirtualItSite,
    VirtualLink,
    VirtualNode,
)
from controller.domain.it import Steering

_PREFIX = "VIRTUAL_INFRASTRUCTURE_STATE_"


def state_to(state: VirtualInfrastructureState | None) -> vi_pb2.VirtualInfrastructureState.ValueType:
    """Write a VI's state."""
    return vi_pb2.VirtualInfrastructureState.Value(_PREFIX + ("UNSPECIFIED" if state is None else state.value))


def _state_from(value: vi_pb2.VirtualInfrastructureState.ValueType) -> VirtualInfrastructureState | None:
    name = vi_pb2.VirtualInfrastructureState.Name(value).removeprefix(_PREFIX)
    return None if name == "UNSPECIFIED" else VirtualInfrastructureState(name)


def infrastructure_from(message: vi_pb2.VirtualInfrastructure, name: str) -> VirtualInfrastructure:
    """Read a VI; `name` is its resource name."""
    return VirtualInfrastructure(
        name=name,
        nodes=tuple(_node_from(entry) for entry in message.nodes),
        links=tuple(_link_from(entry, index) for index, entry in enumerate(message.links)),
        it_sites=tuple(_site_from(entry) for entry in message.it_sites),
        ssh_public_key=message.ssh_public_key,
        state=_state_from(message.state),
        gri=message.gri,
        create_time=time_from(message, "create_time"),
    )


def infrastructure_to(infrastructure: VirtualInfrastructure) -> vi_pb2.VirtualInfrastructure:
    """Write a VI."""
    return vi_pb2.VirtualInfrastructure(
        name=infrastructure.name,
        nodes=[_node_to(entry) for entry in infrastructure.nodes],
        links=[_link_to(entry) for entry in infrastructure.links],
        it_sites=[_site_to(entry) for entry in infrastructure.it_sites],
        ssh_public_key=infrastructure.ssh_public_key,
        state=state_to(infrastructure.state),
        gri=infrastructure.gri,
        create_time=time_to(infrastructure.create_time),
    )


def _address_from(message: vi_pb2.NetconfEndpoint) -> NetconfAddress:
    return NetconfAddress(message.host, message.port, message.host_public_key, message.username)


def _address_to(address: NetconfAddress | None) -> vi_pb2.NetconfEndpoint | None:
    if address is None:
        return None
    return vi_pb2.NetconfEndpoint(
        host=address.host, port=address.port, host_public_key=address.host_public_key, username=address.username
    )


def _node_from(message: vi_pb2.VirtualNode) -> VirtualNode:
    return VirtualNode(
        node_id=message.node_id,
        clli=message.clli,
        transponder_count=message.transponder_count,
        roadm=_address_from(message.roadm) if message.HasField("roadm") else None,
        transponder=_address_from(message.transponder) if message.HasField("transponder") else None,
        location=location_from(message.location) if message.HasField("location") else None,
        add_drop_osnr_0p1nm_db=message.add_drop_osnr_0p1nm_db,
        modes=tuple(mode_from(mode) for mode in message.modes),
    )


def _node_to(node: VirtualNode) -> vi_pb2.VirtualNode:
    return vi_pb2.VirtualNode(
        node_id=node.node_id,
        clli=node.clli,
        transponder_count=node.transponder_count,
        roadm=_address_to(node.roadm),
        transponder=_address_to(node.transponder),
        location=None if node.location is None else location_to(node.location),
        add_drop_osnr_0p1nm_db=node.add_drop_osnr_0p1nm_db,
        modes=[mode_to(mode) for mode in node.modes],
    )


def _link_from(message: vi_pb2.VirtualLink, index: int) -> VirtualLink:
    return VirtualLink(
        link_id=message.link_id,
        a_node_id=message.a_node_id,
        z_node_id=message.z_node_id,
        band=slot_from(message.band, f"virtual_infrastructure.links[{index}].band"),
        a_to_z_qot=qot_from(message.a_to_z_qot) if message.HasField("a_to_z_qot") else None,
        z_to_a_qot=qot_from(message.z_to_a_qot) if message.HasField("z_to_a_qot") else None,
        a_port=message.a_port,
        z_port=message.z_port,
        power_w=message.power_w,
    )


def _link_to(link: VirtualLink) -> vi_pb2.VirtualLink:
    return vi_pb2.VirtualLink(
        link_id=link.link_id,
        a_node_id=link.a_node_id,
        z_node_id=link.z_node_id,
        band=slot_to(link.band),
        a_to_z_qot=None if link.a_to_z_qot is None else qot_to(link.a_to_z_qot),
        z_to_a_qot=None if link.z_to_a_qot is None else qot_to(link.z_to_a_qot),
        a_port=link.a_port,
        z_port=link.z_port,
        power_w=link.power_w,
    )


def _site_from(message: vi_pb2.VirtualItSite) -> VirtualItSite:
    return VirtualItSite(
        it_site_id=message.it_site_id,
        clli=message.clli,
        node_id=message.node_id,
        vcpu_count=message.vcpu_count,
        memory_gib=message.memory_gib,
        storage_gib=message.storage_gib,
        server_idle_w=message.server_idle_w,
        vcpu_w=message.vcpu_w,
        pue=message.pue,
        carbon_g_per_kwh=message.carbon_g_per_kwh,
    )


def _site_to(site: VirtualItSite) -> vi_pb2.VirtualItSite:
    return vi_pb2.VirtualItSite(
        it_site_id=site.it_site_id,
        clli=site.clli,
        node_id=site.node_id,
        vcpu_count=site.vcpu_count,
        memory_gib=site.memory_gib,
        storage_gib=site.storage_gib,
        server_idle_w=site.server_idle_w,
        vcpu_w=site.vcpu_w,
        pue=site.pue,
        carbon_g_per_kwh=site.carbon_g_per_kwh,
    )


def steering_from(message: vi_pb2.Steering) -> Steering:
    """Read a steering."""
    return Steering(message.steering_id, message.client_port, message.vlan_id)


def steering_to(steering: Steering) -> vi_pb2.Steering:
    """Write a steering."""
    return vi_pb2.Steering(steering_id=steering.steering_id, client_port=steering.client_port, vlan_id=steering.vlan_id)
