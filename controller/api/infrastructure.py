"""Hop 1 of 8 at the VIP: geysers.vi.v1 in front of the lifecycle (controller.sml) and the virtual IT."""

from __future__ import annotations

from typing import Any, Protocol

from geysers.vi.v1 import vi_pb2, vi_pb2_grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from sqlalchemy import Connection

from controller.api.convert import vi as convert
from controller.api.convert.types import required, server_from, server_to
from controller.api.names import check_id, check_parent, split
from controller.api.operations import Operations, OperationsServicer, admit, body_sha256, check_request_id, finished
from controller.api.paging import page
from controller.api.server import ApiServer, caller
from controller.domain.errors import GeysersError, WrongState
from controller.domain.identity import Identity, Role
from controller.domain.infrastructure import VirtualInfrastructure, VirtualInfrastructureState
from controller.domain.it import Server, SitePower, Steering
from controller.ports.clock import Clock
from controller.ports.observer import Observer
from controller.ports.store import Store

COLLECTION = "virtualInfrastructures"


class LifecycleBackend(Protocol):
    """The life of virtual infrastructures."""

    observer: Observer[VirtualInfrastructure] | None

    async def check(self, owner: Identity, wanted: VirtualInfrastructure) -> None: ...

    def admit(
        self, connection: Connection, owner: Identity, wanted: VirtualInfrastructure
    ) -> VirtualInfrastructure: ...

    def admit_release(self, connection: Connection, owner: Identity, name: str) -> VirtualInfrastructure: ...

    def wake(self, name: str) -> None: ...

    async def get(self, owner: Identity, name: str) -> VirtualInfrastructure: ...

    async def list(self, owner: Identity) -> tuple[VirtualInfrastructure, ...]: ...


class VirtualItBackend(Protocol):
    """Servers and steerings inside active VIs."""

    async def create_server(self, owner: Identity, infrastructure: str, it_site_id: str, server: Server) -> Server: ...

    async def list_servers(self, owner: Identity, infrastructure: str, it_site_id: str) -> SitePower: ...

    async def delete_server(self, owner: Identity, infrastructure: str, it_site_id: str, server_id: str) -> None: ...

    async def put_steering(self, owner: Identity, infrastructure: str, node_id: str, steering: Steering) -> None: ...

    async def delete_steering(self, owner: Identity, infrastructure: str, node_id: str, steering_id: str) -> None: ...

    async def list_steerings(self, owner: Identity, infrastructure: str, node_id: str) -> tuple[Steering, ...]: ...


class _OperationsInStep:
    """Keeps the operations about a VI in step with it."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def changed(self, connection: Connection, name: str, thing: VirtualInfrastructure) -> None:
        if thing.state is VirtualInfrastructureState.DECOMMISSIONING:
            # Only the first release moves a VI here, before its own operation is written: what is open is a creation.
            self._operations.finish(
                connection, name, WrongState(f"{name} was released before it was ACTIVE", name=name)
            )
            return
        self._operations.progress(connection, name, _metadata(thing))

    def ended(self, connection: Connection, name: str, outcome: VirtualInfrastructure | GeysersError) -> None:
        self._operations.finish(
            connection, name, outcome if isinstance(outcome, GeysersError) else convert.infrastructure_to(outcome)
        )


class InfrastructureServicer(vi_pb2_grpc.VirtualInfrastructureServiceServicer):
    """Create, read, list and delete virtual infrastructures."""

    def __init__(self, backend: LifecycleBackend, operations: Operations, store: Store, clock: Clock) -> None:
        self._backend = backend
        self._operations = operations
        self._store = store
        self._clock = clock

    async def CreateVirtualInfrastructure(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.CreateVirtualInfrastructureRequest, context: Any
    ) -> operations_pb2.Operation:
        owner, request_id = caller(), check_request_id(request.request_id)
        check_parent(request.parent, owner)
        vi_id = check_id(request.virtual_infrastructure_id, "virtual_infrastructure_id")
        required(request, "virtual_infrastructure", "virtual_infrastructure")
        name = f"{request.parent}/{COLLECTION}/{vi_id}"
        wanted = convert.infrastructure_from(request.virtual_infrastructure, name)
        digest = body_sha256(request)
        repeat = await self._store.run(
            lambda connection: self._operations.find_repeat(connection, owner, request_id, digest)
        )
        if repeat is not None:
            return repeat
        await self._backend.check(owner, wanted)
        if request.validate_only:
            return finished(request_id, convert.infrastructure_to(wanted))

        def work(connection: Connection) -> operations_pb2.Operation:
            first = self._operations.find_repeat(connection, owner, request_id, digest)
            if first is not None:
                return first
            admitted = self._backend.admit(connection, owner, wanted)
            return self._add(connection, owner, request_id, digest, admitted)

        return await admit(self._store, work, lambda: self._backend.wake(name))

    async def GetVirtualInfrastructure(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.GetVirtualInfrastructureRequest, context: Any
    ) -> vi_pb2.GetVirtualInfrastructureResponse:
        owner = caller()
        split(request.name, owner, COLLECTION)
        found = await self._backend.get(owner, request.name)
        return vi_pb2.GetVirtualInfrastructureResponse(virtual_infrastructure=convert.infrastructure_to(found))

    async def ListVirtualInfrastructures(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.ListVirtualInfrastructuresRequest, context: Any
    ) -> vi_pb2.ListVirtualInfrastructuresResponse:
        owner = caller()
        check_parent(request.parent, owner)
        found = await self._backend.list(owner)
        shown, token = page(found, lambda entry: entry.name, request.page_size, request.page_token)
        return vi_pb2.ListVirtualInfrastructuresResponse(
            virtual_infrastructures=[convert.infrastructure_to(entry) for entry in shown], next_page_token=token
        )

    async def DeleteVirtualInfrastructure(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.DeleteVirtualInfrastructureRequest, context: Any
    ) -> operations_pb2.Operation:
        owner, request_id = caller(), check_request_id(request.request_id)
        split(request.name, owner, COLLECTION)
        digest = body_sha256(request)

        def work(connection: Connection) -> operations_pb2.Operation:
            first = self._operations.find_repeat(connection, owner, request_id, digest)
            if first is not None:
                return first
            released = self._backend.admit_release(connection, owner, request.name)
            return self._add(connection, owner, request_id, digest, released)

        return await admit(self._store, work, lambda: self._backend.wake(request.name))

    def _add(
        self, connection: Connection, owner: Identity, request_id: str, digest: str, about: VirtualInfrastructure
    ) -> operations_pb2.Operation:
        return self._operations.add(
            connection,
            owner=owner,
            request_id=request_id,
            digest=digest,
            target=about.name,
            metadata=_metadata(about),
            now=self._clock.now(),
        )


class VirtualItServicer(vi_pb2_grpc.VirtualItServiceServicer):
    """IT resources and client steering inside an active VI."""

    def __init__(self, backend: VirtualItBackend) -> None:
        self._backend = backend

    async def CreateServer(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.CreateServerRequest, context: Any
    ) -> vi_pb2.CreateServerResponse:
        owner, (vi, site) = caller(), split(request.parent, caller(), COLLECTION, "itSites")
        required(request, "server", "server")
        made = await self._backend.create_server(owner, _vi_name(owner, vi), site, server_from(request.server))
        return vi_pb2.CreateServerResponse(server=server_to(made))

    async def ListServers(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.ListServersRequest, context: Any
    ) -> vi_pb2.ListServersResponse:
        owner, (vi, site) = caller(), split(request.parent, caller(), COLLECTION, "itSites")
        found = await self._backend.list_servers(owner, _vi_name(owner, vi), site)
        return vi_pb2.ListServersResponse(servers=[server_to(entry) for entry in found.servers], power_w=found.power_w)

    async def DeleteServer(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.DeleteServerRequest, context: Any
    ) -> vi_pb2.DeleteServerResponse:
        owner, (vi, site, server) = caller(), split(request.name, caller(), COLLECTION, "itSites", "servers")
        await self._backend.delete_server(owner, _vi_name(owner, vi), site, server)
        return vi_pb2.DeleteServerResponse()

    async def PutSteering(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.PutSteeringRequest, context: Any
    ) -> vi_pb2.PutSteeringResponse:
        owner, (vi, node) = caller(), split(request.parent, caller(), COLLECTION, "nodes")
        required(request, "steering", "steering")
        await self._backend.put_steering(owner, _vi_name(owner, vi), node, convert.steering_from(request.steering))
        return vi_pb2.PutSteeringResponse()

    async def DeleteSteering(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.DeleteSteeringRequest, context: Any
    ) -> vi_pb2.DeleteSteeringResponse:
        owner, (vi, node, steering) = caller(), split(request.name, caller(), COLLECTION, "nodes", "steerings")
        await self._backend.delete_steering(owner, _vi_name(owner, vi), node, steering)
        return vi_pb2.DeleteSteeringResponse()

    async def ListSteerings(  # noqa: N802 - the name of the RPC
        self, request: vi_pb2.ListSteeringsRequest, context: Any
    ) -> vi_pb2.ListSteeringsResponse:
        owner, (vi, node) = caller(), split(request.parent, caller(), COLLECTION, "nodes")
        found = await self._backend.list_steerings(owner, _vi_name(owner, vi), node)
        return vi_pb2.ListSteeringsResponse(steerings=[convert.steering_to(entry) for entry in found])


def serve_infrastructure(
    server: ApiServer,
    lifecycle: LifecycleBackend,
    virtual_it: VirtualItBackend,
    operations: Operations,
    store: Store,
    clock: Clock,
) -> None:
    """Add geysers.vi.v1 and its operations to `server`; only operators may call them."""
    lifecycle.observer = _OperationsInStep(operations)
    vi_pb2_grpc.add_VirtualInfrastructureServiceServicer_to_server(
        InfrastructureServicer(lifecycle, operations, store, clock), server.grpc_server
    )
    vi_pb2_grpc.add_VirtualItServiceServicer_to_server(VirtualItServicer(virtual_it), server.grpc_server)
    operations_pb2_grpc.add_OperationsServicer_to_server(
        OperationsServicer(operations, store, caller), server.grpc_server
    )
    services = ("geysers.vi.v1.VirtualInfrastructureService", "geysers.vi.v1.VirtualItService")
    for service in (*services, "google.longrunning.Operations"):
        server.allow(service, [Role.VIO])


def _vi_name(owner: Identity, vi_id: str) -> str:
    return f"vios/{owner.name}/{COLLECTION}/{vi_id}"


def _metadata(about: VirtualInfrastructure) -> vi_pb2.VirtualInfrastructureOperationMetadata:
    return vi_pb2.VirtualInfrastructureOperationMetadata(
        name=about.name,
        state=convert.state_to(about.state),
        step="" if about.state is None else about.state.value.lower(),
    )
