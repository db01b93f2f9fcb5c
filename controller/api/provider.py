"""Hop 1 of 8 at a PIP: geysers.pip.v1 in front of the provider's own code (controller.pip)."""

from __future__ import annotations

from typing import Any, Protocol

from geysers.pip.v1 import pip_pb2, pip_pb2_grpc
from sqlalchemy import Connection

from controller.api.convert import pip as convert
from controller.api.convert.types import required, server_from, server_to
from controller.api.operations import body_sha256, check_request_id
from controller.api.replies import Replies
from controller.api.server import ApiServer, caller
from controller.domain.identity import Identity, Role
from controller.domain.it import Server, SitePower, Steering
from controller.domain.media import SliceConfiguration
from controller.domain.offers import Catalogue
from controller.domain.reservation import Reservation, SliceReading
from controller.ports.rng import Rng
from controller.ports.store import Store

RESERVATION_ID_CHARACTERS = 16


class ProviderBackend(Protocol):
    """What the servicers call; `owner` is the broker whose call is served."""

    async def catalogue(self) -> Catalogue: ...

    def reserve(
        self, connection: Connection, owner: Identity, wanted: Reservation, hold_time_s: float, reservation_id: str
    ) -> Reservation: ...

    async def get_reservation(self, owner: Identity, name: str) -> Reservation: ...

    async def list_reservations(self, owner: Identity, gri: str = "") -> tuple[Reservation, ...]: ...

    async def activate(self, owner: Identity, name: str) -> Reservation: ...

    async def release(self, owner: Identity, name: str) -> None: ...

    async def apply_slice(
        self, owner: Identity, name: str, device: str, generation: int, desired: SliceConfiguration
    ) -> None: ...

    async def get_slice(self, owner: Identity, name: str, device: str) -> SliceReading: ...

    async def create_server(self, owner: Identity, name: str, part_id: str, server: Server) -> Server: ...

    async def list_servers(self, owner: Identity, name: str, part_id: str) -> SitePower: ...

    async def delete_server(self, owner: Identity, name: str, part_id: str, server_id: str) -> None: ...

    async def put_steering(self, owner: Identity, name: str, part_id: str, steering: Steering) -> None: ...

    async def delete_steering(self, owner: Identity, name: str, part_id: str, steering_id: str) -> None: ...

    async def list_steerings(self, owner: Identity, name: str, part_id: str) -> tuple[Steering, ...]: ...


class ProviderServicer(pip_pb2_grpc.ProviderServiceServicer):
    """Offers and reservations."""

    def __init__(self, backend: ProviderBackend, store: Store, replies: Replies, rng: Rng) -> None:
        self._backend = backend
        self._store = store
        self._replies = replies
        self._rng = rng

    async def ListOffers(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.ListOffersRequest, context: Any
    ) -> pip_pb2.ListOffersResponse:
        return convert.catalogue_to(await self._backend.catalogue())

    async def CreateReservation(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.CreateReservationRequest, context: Any
    ) -> pip_pb2.CreateReservationResponse:
        owner, request_id = caller(), check_request_id(request.request_id)
        required(request, "reservation", "reservation")
        wanted = convert.reservation_from(request.reservation)
        # Not through a timedelta, which ends at 10^9 days; how long is too long is the provider's to say.
        hold_time_s = request.hold_time.seconds + request.hold_time.nanos * 1e-9
        digest = body_sha256(request)
        reservation_id = self._rng.uuid().replace("-", "")[:RESERVATION_ID_CHARACTERS]

        def work(connection: Connection) -> pip_pb2.CreateReservationResponse:
            first = self._replies.find(connection, owner, request_id, digest)
            if first is not None:
                return pip_pb2.CreateReservationResponse.FromString(first)
            held = self._backend.reserve(connection, owner, wanted, hold_time_s, reservation_id)
            response = pip_pb2.CreateReservationResponse(reservation=convert.reservation_to(held))
            self._replies.add(connection, owner, request_id, digest, response.SerializeToString())
            return response

        return await self._store.run(work)

    async def GetReservation(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.GetReservationRequest, context: Any
    ) -> pip_pb2.GetReservationResponse:
        found = await self._backend.get_reservation(caller(), request.name)
        return pip_pb2.GetReservationResponse(reservation=convert.reservation_to(found))

    async def ListReservations(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.ListReservationsRequest, context: Any
    ) -> pip_pb2.ListReservationsResponse:
        found = await self._backend.list_reservations(caller(), request.gri)
        return pip_pb2.ListReservationsResponse(reservations=[convert.reservation_to(entry) for entry in found])

    async def ActivateReservation(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.ActivateReservationRequest, context: Any
    ) -> pip_pb2.ActivateReservationResponse:
        # Activating is idempotent by itself, so its request_id is checked but needs no row.
        check_request_id(request.request_id)
        active = await self._backend.activate(caller(), request.name)
        return pip_pb2.ActivateReservationResponse(reservation=convert.reservation_to(active))

    async def DeleteReservation(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.DeleteReservationRequest, context: Any
    ) -> pip_pb2.DeleteReservationResponse:
        check_request_id(request.request_id)
        await self._backend.release(caller(), request.name)
        return pip_pb2.DeleteReservationResponse()


class SliceServicer(pip_pb2_grpc.SliceServiceServicer):
    """State of the slices of devices."""

    def __init__(self, backend: ProviderBackend) -> None:
        self._backend = backend

    async def ApplySlice(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.ApplySliceRequest, context: Any
    ) -> pip_pb2.ApplySliceResponse:
        desired = convert.slice_from(request.desired)
        await self._backend.apply_slice(caller(), request.reservation, request.device, request.generation, desired)
        return pip_pb2.ApplySliceResponse(generation=request.generation)

    async def GetSlice(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.GetSliceRequest, context: Any
    ) -> pip_pb2.GetSliceResponse:
        reading = await self._backend.get_slice(caller(), request.reservation, request.device)
        return convert.reading_to(reading)


class ItServicer(pip_pb2_grpc.ItServiceServicer):
    """Servers, volumes and steering."""

    def __init__(self, backend: ProviderBackend) -> None:
        self._backend = backend

    async def CreateServer(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.CreateServerRequest, context: Any
    ) -> pip_pb2.CreateServerResponse:
        required(request, "server", "server")
        wanted = server_from(request.server)
        made = await self._backend.create_server(caller(), request.reservation, request.part_id, wanted)
        return pip_pb2.CreateServerResponse(server=server_to(made))

    async def ListServers(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.ListServersRequest, context: Any
    ) -> pip_pb2.ListServersResponse:
        found = await self._backend.list_servers(caller(), request.reservation, request.part_id)
        return pip_pb2.ListServersResponse(
            servers=[server_to(server) for server in found.servers], power_w=found.power_w
        )

    async def DeleteServer(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.DeleteServerRequest, context: Any
    ) -> pip_pb2.DeleteServerResponse:
        await self._backend.delete_server(caller(), request.reservation, request.part_id, request.server_id)
        return pip_pb2.DeleteServerResponse()

    async def PutSteering(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.PutSteeringRequest, context: Any
    ) -> pip_pb2.PutSteeringResponse:
        required(request, "steering", "steering")
        wanted = convert.steering_from(request.steering)
        await self._backend.put_steering(caller(), request.reservation, request.part_id, wanted)
        return pip_pb2.PutSteeringResponse()

    async def DeleteSteering(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.DeleteSteeringRequest, context: Any
    ) -> pip_pb2.DeleteSteeringResponse:
        await self._backend.delete_steering(caller(), request.reservation, request.part_id, request.steering_id)
        return pip_pb2.DeleteSteeringResponse()

    async def ListSteerings(  # noqa: N802 - the name of the RPC
        self, request: pip_pb2.ListSteeringsRequest, context: Any
    ) -> pip_pb2.ListSteeringsResponse:
        found = await self._backend.list_steerings(caller(), request.reservation, request.part_id)
        return pip_pb2.ListSteeringsResponse(steerings=[convert.steering_to(entry) for entry in found])


def serve_provider(server: ApiServer, backend: ProviderBackend, store: Store, replies: Replies, rng: Rng) -> None:
    """Add all services of geysers.pip.v1 to `server`; only brokers may call them."""
    pip_pb2_grpc.add_ProviderServiceServicer_to_server(
        ProviderServicer(backend, store, replies, rng), server.grpc_server
    )
    pip_pb2_grpc.add_SliceServiceServicer_to_server(SliceServicer(backend), server.grpc_server)
    pip_pb2_grpc.add_ItServiceServicer_to_server(ItServicer(backend), server.grpc_server)
    for service in ("ProviderService", "SliceService", "ItService"):
        server.allow(f"geysers.pip.v1.{service}", [Role.VIP])
