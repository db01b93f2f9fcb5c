"""The Broker port over gRPC: how an NCP, or an operator's command line, calls the VIP."""

from __future__ import annotations

from geysers.vi.v1 import vi_pb2, vi_pb2_grpc

from controller.api.calling import call
from controller.api.convert import vi as convert
from controller.api.convert.types import server_from, server_to
from controller.domain.identity import Role
from controller.domain.infrastructure import VirtualInfrastructure
from controller.domain.it import Server, SitePower, Steering
from controller.security.grpc_tls import secure_channel
from controller.security.pki import Credentials


class GrpcBroker:
    """The VIP at the far end of a channel."""

    def __init__(self, target: str, credentials: Credentials, timeout_s: float = 30.0) -> None:
        self._timeout_s = timeout_s
        self._channel = secure_channel(target, credentials, Role.VIP)
        self._infrastructures = vi_pb2_grpc.VirtualInfrastructureServiceStub(self._channel)
        self._it = vi_pb2_grpc.VirtualItServiceStub(self._channel)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(None)

    async def get_infrastructure(self, name: str) -> VirtualInfrastructure:
        request = vi_pb2.GetVirtualInfrastructureRequest(name=name)
        found = await call(
            self._infrastructures.GetVirtualInfrastructure,
            request,
            vi_pb2.GetVirtualInfrastructureResponse,
            self._timeout_s,
        )
        return convert.infrastructure_from(found.virtual_infrastructure, found.virtual_infrastructure.name)

    async def create_server(self, infrastructure: str, it_site_id: str, server: Server) -> Server:
        request = vi_pb2.CreateServerRequest(parent=f"{infrastructure}/itSites/{it_site_id}", server=server_to(server))
        made = await call(self._it.CreateServer, request, vi_pb2.CreateServerResponse, self._timeout_s)
        return server_from(made.server)

    async def list_servers(self, infrastructure: str, it_site_id: str) -> SitePower:
        request = vi_pb2.ListServersRequest(parent=f"{infrastructure}/itSites/{it_site_id}")
        found = await call(self._it.ListServers, request, vi_pb2.ListServersResponse, self._timeout_s)
        return SitePower(tuple(server_from(entry) for entry in found.servers), found.power_w)

    async def delete_server(self, infrastructure: str, it_site_id: str, server_id: str) -> None:
        request = vi_pb2.DeleteServerRequest(name=f"{infrastructure}/itSites/{it_site_id}/servers/{server_id}")
        await call(self._it.DeleteServer, request, vi_pb2.DeleteServerResponse, self._timeout_s)

    async def put_steering(self, infrastructure: str, node_id: str, steering: Steering) -> None:
        request = vi_pb2.PutSteeringRequest(
            parent=f"{infrastructure}/nodes/{node_id}", steering=convert.steering_to(steering)
        )
        await call(self._it.PutSteering, request, vi_pb2.PutSteeringResponse, self._timeout_s)

    async def delete_steering(self, infrastructure: str, node_id: str, steering_id: str) -> None:
        request = vi_pb2.DeleteSteeringRequest(name=f"{infrastructure}/nodes/{node_id}/steerings/{steering_id}")
        await call(self._it.DeleteSteering, request, vi_pb2.DeleteSteeringResponse, self._timeout_s)

    async def list_steerings(self, infrastructure: str, node_id: str) -> tuple[Steering, ...]:
        request = vi_pb2.ListSteeringsRequest(parent=f"{infrastructure}/nodes/{node_id}")
        found = await call(self._it.ListSteerings, request, vi_pb2.ListSteeringsResponse, self._timeout_s)
        return tuple(convert.steering_from(entry) for entry in found.steerings)
