"""What an operator's programs call: virtual infrastructures at the VIP, services at its own NCP, over gRPC.

Long-running operations are polled with GetOperation (AIP-151) until they are done or the deadline passes; a deadline
says nothing about the outcome, so it is raised as DeviceInDoubt.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

from geysers.nips.v1 import nips_pb2, nips_pb2_grpc
from geysers.vi.v1 import vi_pb2, vi_pb2_grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.message import Message

from controller.api.calling import call, check_serving
from controller.api.convert import nips as convert_nips
from controller.api.convert import vi as convert_vi
from controller.api.status import from_status
from controller.domain.errors import DeviceInDoubt, DeviceUnreachable, WrongState
from controller.domain.identity import Identity, Role
from controller.domain.infrastructure import VirtualInfrastructure
from controller.domain.nips import Nips, NipsDemand
from controller.ports.clock import Clock, SystemClock
from controller.security.grpc_tls import secure_channel
from controller.security.pki import Credentials

ResultT = TypeVar("ResultT", bound=Message)
FIRST_POLL_S = 0.05
LONGEST_POLL_S = 1.0


class _Client:
    """A channel, a deadline for single calls, and the waiting for operations."""

    service: ClassVar[str]

    def __init__(
        self,
        target: str,
        credentials: Credentials,
        server: Identity | Role,
        timeout_s: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        self.vio = credentials.identity.name
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._channel = secure_channel(target, credentials, server)
        self._operations = operations_pb2_grpc.OperationsStub(self._channel)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(None)

    async def check_serving(self, timeout_s: float = 5.0) -> None:
        """Raises DeviceUnreachable when no server is ready there; nothing was asked then."""
        await check_serving(self._channel, self.service, timeout_s)

    async def _finish(self, operation: operations_pb2.Operation, kind: type[ResultT], deadline_s: float) -> ResultT:
        """Wait for the result; raises the domain error that the operation ended with."""
        end_tick_s = self._clock.tick_s() + deadline_s
        pause_s = FIRST_POLL_S
        while not operation.done:
            if self._clock.tick_s() > end_tick_s:
                raise DeviceInDoubt(f"{operation.name} is not done after {deadline_s:g} s: ask again later")
            await self._clock.sleep_s(pause_s)
            pause_s = min(1.5 * pause_s, LONGEST_POLL_S)
            request = operations_pb2.GetOperationRequest(name=operation.name)
            try:
                operation = await call(
                    self._operations.GetOperation, request, operations_pb2.Operation, self._timeout_s
                )
            except (DeviceUnreachable, DeviceInDoubt):
                # The server may be starting again; the operation is durable there.
                continue
        if operation.HasField("error"):
            raise from_status(operation.error)
        result = kind()
        if not operation.response.Unpack(result):
            raise WrongState(f"{operation.name} answered with {operation.response.type_url}")
        return result


class InfrastructureClient(_Client):
    """An operator at the VIP."""

    service = "geysers.vi.v1.VirtualInfrastructureService"

    def __init__(
        self, target: str, credentials: Credentials, timeout_s: float = 20.0, clock: Clock | None = None
    ) -> None:
        super().__init__(target, credentials, Role.VIP, timeout_s, clock)
        self._stub = vi_pb2_grpc.VirtualInfrastructureServiceStub(self._channel)

    async def create(
        self,
        vi_id: str,
        wanted: VirtualInfrastructure,
        request_id: str,
        *,
        validate_only: bool = False,
        deadline_s: float = 120.0,
    ) -> VirtualInfrastructure:
        """Order a VI and wait until it is ACTIVE; raises why it could not be."""
        request = vi_pb2.CreateVirtualInfrastructureRequest(
            parent=f"vios/{self.vio}",
            virtual_infrastructure_id=vi_id,
            virtual_infrastructure=convert_vi.infrastructure_to(wanted),
            request_id=request_id,
            validate_only=validate_only,
        )
        operation = await call(
            self._stub.CreateVirtualInfrastructure, request, operations_pb2.Operation, self._timeout_s
        )
        made = await self._finish(operation, vi_pb2.VirtualInfrastructure, deadline_s)
        return convert_vi.infrastructure_from(made, made.name)

    async def get(self, name: str) -> VirtualInfrastructure:
        """One VI by its resource name."""
        request = vi_pb2.GetVirtualInfrastructureRequest(name=name)
        found = await call(
            self._stub.GetVirtualInfrastructure, request, vi_pb2.GetVirtualInfrastructureResponse, self._timeout_s
        )
        return convert_vi.infrastructure_from(found.virtual_infrastructure, found.virtual_infrastructure.name)

    async def list(self) -> tuple[VirtualInfrastructure, ...]:
        """All VIs of this operator."""
        found: list[VirtualInfrastructure] = []
        token = ""
        while True:
            request = vi_pb2.ListVirtualInfrastructuresRequest(parent=f"vios/{self.vio}", page_token=token)
            answer = await call(
                self._stub.ListVirtualInfrastructures,
                request,
                vi_pb2.ListVirtualInfrastructuresResponse,
                self._timeout_s,
            )
            found.extend(convert_vi.infrastructure_from(entry, entry.name) for entry in answer.virtual_infrastructures)
            token = answer.next_page_token
            if not token:
                return tuple(found)

    async def delete(self, name: str, request_id: str, deadline_s: float = 120.0) -> VirtualInfrastructure:
        """Decommission a VI and wait until all is given back."""
        request = vi_pb2.DeleteVirtualInfrastructureRequest(name=name, request_id=request_id)
        operation = await call(
            self._stub.DeleteVirtualInfrastructure, request, operations_pb2.Operation, self._timeout_s
        )
        ended = await self._finish(operation, vi_pb2.VirtualInfrastructure, deadline_s)
        return convert_vi.infrastructure_from(ended, ended.name)


class NipsClient(_Client):
    """An operator, or its client, at the operator's own NCP."""

    service = "geysers.nips.v1.NipsService"

    def __init__(
        self, target: str, credentials: Credentials, timeout_s: float = 20.0, clock: Clock | None = None
    ) -> None:
        super().__init__(target, credentials, credentials.identity, timeout_s, clock)
        self._stub = nips_pb2_grpc.NipsServiceStub(self._channel)
        self._topology = nips_pb2_grpc.TopologyServiceStub(self._channel)

    def name_of(self, nips_id: str) -> str:
        """Resource name of a service."""
        return f"vios/{self.vio}/nips/{nips_id}"

    async def create(
        self, demand: NipsDemand, request_id: str, *, validate_only: bool = False, deadline_s: float = 120.0
    ) -> Nips:
        """Set a service up and wait until it is ACTIVE; raises why it could not be."""
        message = convert_nips.demand_to(demand)
        request = nips_pb2.CreateNipsRequest(
            parent=f"vios/{self.vio}",
            nips_id=demand.name.rpartition("/")[2],
            nips=message,
            request_id=request_id,
            validate_only=validate_only,
        )
        operation = await call(self._stub.CreateNips, request, operations_pb2.Operation, self._timeout_s)
        return convert_nips.nips_from(await self._finish(operation, nips_pb2.Nips, deadline_s))

    async def get(self, name: str) -> Nips:
        """One service, with what its receivers report now."""
        request = nips_pb2.GetNipsRequest(name=name)
        found = await call(self._stub.GetNips, request, nips_pb2.GetNipsResponse, self._timeout_s)
        return convert_nips.nips_from(found.nips)

    async def list(self) -> tuple[Nips, ...]:
        """All services of this operator."""
        found: list[Nips] = []
        token = ""
        while True:
            request = nips_pb2.ListNipsRequest(parent=f"vios/{self.vio}", page_token=token)
            answer = await call(self._stub.ListNips, request, nips_pb2.ListNipsResponse, self._timeout_s)
            found.extend(convert_nips.nips_from(entry) for entry in answer.nips)
            token = answer.next_page_token
            if not token:
                return tuple(found)

    async def delete(self, name: str, request_id: str, deadline_s: float = 120.0) -> Nips:
        """Release a service and wait until it is off every device."""
        request = nips_pb2.DeleteNipsRequest(name=name, request_id=request_id)
        operation = await call(self._stub.DeleteNips, request, operations_pb2.Operation, self._timeout_s)
        return convert_nips.nips_from(await self._finish(operation, nips_pb2.Nips, deadline_s))

    async def topology(self) -> nips_pb2.GetTopologyResponse:
        """The traffic engineering database as it is now."""
        request = nips_pb2.GetTopologyRequest(parent=f"vios/{self.vio}")
        return await call(self._topology.GetTopology, request, nips_pb2.GetTopologyResponse, self._timeout_s)
