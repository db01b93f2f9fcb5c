"""Hop 1 of 8 at an NCP: geysers.nips.v1 in front of admission and signalling (controller.ncp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from geysers.nips.v1 import nips_pb2, nips_pb2_grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from sqlalchemy import Connection

from controller.api.convert import nips as convert
from controller.api.convert.types import required
from controller.api.names import check_id, check_parent, split
from controller.api.operations import Operations, OperationsServicer, admit, body_sha256, check_request_id, finished
from controller.api.paging import page
from controller.api.server import ApiServer, caller
from controller.domain.errors import GeysersError
from controller.domain.identity import Identity, Role
from controller.domain.nips import Nips, NipsDemand
from controller.ports.clock import Clock
from controller.ports.observer import Observer
from controller.ports.store import Store
from pce.ted_snapshot import TedSnapshot

COLLECTION = "nips"


class CallsBackend(Protocol):
    """Admission and the life of services."""

    observer: Observer[Nips] | None

    async def validate(self, owner: Identity, demand: NipsDemand) -> Nips: ...

    def admit(self, connection: Connection, owner: Identity, demand: NipsDemand) -> Nips: ...

    def admit_release(self, connection: Connection, owner: Identity, name: str) -> Nips: ...

    def wake(self, name: str) -> None: ...

    async def get(self, owner: Identity, name: str) -> Nips: ...

    async def list(self, owner: Identity) -> Sequence[Nips]: ...

    async def topology(self, owner: Identity) -> tuple[TedSnapshot, Sequence[convert.Problem]]: ...


class _OperationsInStep:
    """Keeps the operations about a service in step with it."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def changed(self, connection: Connection, name: str, thing: Nips) -> None:
        self._operations.progress(connection, name, _metadata(thing))

    def ended(self, connection: Connection, name: str, outcome: Nips | GeysersError) -> None:
        self._operations.finish(
            connection, name, outcome if isinstance(outcome, GeysersError) else convert.nips_to(outcome)
        )


class NipsServicer(nips_pb2_grpc.NipsServiceServicer):
    """Create, read, list and delete network and IT services."""

    def __init__(self, backend: CallsBackend, operations: Operations, store: Store, clock: Clock) -> None:
        self._backend = backend
        self._operations = operations
        self._store = store
        self._clock = clock

    async def CreateNips(  # noqa: N802 - the name of the RPC
        self, request: nips_pb2.CreateNipsRequest, context: Any
    ) -> operations_pb2.Operation:
        owner, request_id = caller(), check_request_id(request.request_id)
        check_parent(request.parent, owner)
        required(request, "nips", "nips")
        name = f"{request.parent}/{COLLECTION}/{check_id(request.nips_id, 'nips_id')}"
        demand = convert.demand_from(request.nips, name)
        digest = body_sha256(request)
        repeat = await self._store.run(
            lambda connection: self._operations.find_repeat(connection, owner, request_id, digest)
        )
        if repeat is not None:
            return repeat
        answer = await self._backend.validate(owner, demand)
        if request.validate_only:
            return finished(request_id, convert.nips_to(answer))

        def work(connection: Connection) -> operations_pb2.Operation:
            first = self._operations.find_repeat(connection, owner, request_id, digest)
            if first is not None:
                return first
            return self._add(connection, owner, request_id, digest, self._backend.admit(connection, owner, demand))

        return await admit(self._store, work, lambda: self._backend.wake(name))

    async def GetNips(  # noqa: N802 - the name of the RPC
        self, request: nips_pb2.GetNipsRequest, context: Any
    ) -> nips_pb2.GetNipsResponse:
        owner = caller()
        split(request.name, owner, COLLECTION)
        return nips_pb2.GetNipsResponse(nips=convert.nips_to(await self._backend.get(owner, request.name)))

    async def ListNips(  # noqa: N802 - the name of the RPC
        self, request: nips_pb2.ListNipsRequest, context: Any
    ) -> nips_pb2.ListNipsResponse:
        owner = caller()
        check_parent(request.parent, owner)
        found = await self._backend.list(owner)
        shown, token = page(found, lambda entry: entry.demand.name, request.page_size, request.page_token)
        return nips_pb2.ListNipsResponse(nips=[convert.nips_to(entry) for entry in shown], next_page_token=token)

    async def DeleteNips(  # noqa: N802 - the name of the RPC
        self, request: nips_pb2.DeleteNipsRequest, context: Any
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
        self, connection: Connection, owner: Identity, request_id: str, digest: str, about: Nips
    ) -> operations_pb2.Operation:
        return self._operations.add(
            connection,
            owner=owner,
            request_id=request_id,
            digest=digest,
            target=about.demand.name,
            metadata=_metadata(about),
            now=self._clock.now(),
        )


class TopologyServicer(nips_pb2_grpc.TopologyServiceServicer):
    """The operator's view of its own virtual infrastructure."""

    def __init__(self, backend: CallsBackend) -> None:
        self._backend = backend

    async def GetTopology(  # noqa: N802 - the name of the RPC
        self, request: nips_pb2.GetTopologyRequest, context: Any
    ) -> nips_pb2.GetTopologyResponse:
        owner = caller()
        check_parent(request.parent, owner)
        snapshot, problems = await self._backend.topology(owner)
        return convert.topology_to(snapshot, problems)


def serve_nips(
    server: ApiServer, vio: Identity, backend: CallsBackend, operations: Operations, store: Store, clock: Clock
) -> None:
    """Add geysers.nips.v1 and its operations to `server`; only `vio`, whose controller this is, may call them."""
    backend.observer = _OperationsInStep(operations)
    nips_pb2_grpc.add_NipsServiceServicer_to_server(NipsServicer(backend, operations, store, clock), server.grpc_server)
    nips_pb2_grpc.add_TopologyServiceServicer_to_server(TopologyServicer(backend), server.grpc_server)
    operations_pb2_grpc.add_OperationsServicer_to_server(
        OperationsServicer(operations, store, caller), server.grpc_server
    )
    for service in ("geysers.nips.v1.NipsService", "geysers.nips.v1.TopologyService", "google.longrunning.Operations"):
        server.allow(service, [Role.VIO], only=vio)


def _metadata(about: Nips) -> nips_pb2.NipsOperationMetadata:
    return nips_pb2.NipsOperationMetadata(name=about.demand.name, state=convert.state_to(about.state))
