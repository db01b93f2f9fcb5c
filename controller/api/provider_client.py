"""The Provider port over gRPC: how a VIP calls a PIP."""

from __future__ import annotations

from geysers.pip.v1 import pip_pb2, pip_pb2_grpc
from google.protobuf.duration_pb2 import Duration

from controller.api.calling import call, check_serving
from controller.api.convert import pip as convert
from controller.api.convert.types import server_from, server_to
from controller.domain.identity import Identity, Role
from controller.domain.it import Server, SitePower, Steering
from controller.domain.media import SliceConfiguration
from controller.domain.offers import Catalogue
from controller.domain.reservation import Reservation, SliceReading
from controller.security.grpc_tls import secure_channel
from controller.security.pki import Credentials


class GrpcProvider:
    """One PIP at the far end of a channel."""

    def __init__(
        self,
        name: str,
        target: str,
        credentials: Credentials,
        timeout_s: float = 20.0,
        *,
        server: Identity | Role | None = None,
    ) -> None:
        """`server` must answer at `target`: by default the PIP called `name`."""
        self.name = name
        self._timeout_s = timeout_s
        self._channel = secure_channel(
            target, credentials, server or Identity(credentials.identity.domain, Role.PIP, name)
        )
        self._market = pip_pb2_grpc.ProviderServiceStub(self._channel)
        self._slices = pip_pb2_grpc.SliceServiceStub(self._channel)
        self._it = pip_pb2_grpc.ItServiceStub(self._channel)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(None)

    async def check_serving(self, timeout_s: float = 5.0) -> None:
        """Raises DeviceUnreachable when no PIP is ready there; nothing was asked then."""
        await check_serving(self._channel, "geysers.pip.v1.ProviderService", timeout_s)

    async def list_offers(self) -> Catalogue:
        request = pip_pb2.ListOffersRequest()
        found = await call(self._market.ListOffers, request, pip_pb2.ListOffersResponse, self._timeout_s)
        return convert.catalogue_from(found)

    async def create_reservation(self, wanted: Reservation, hold_time_s: float, request_id: str) -> Reservation:
        hold_time = Duration()
        hold_time.FromMilliseconds(round(hold_time_s * 1e3))
        request = pip_pb2.CreateReservationRequest(
            reservation=convert.reservation_to(wanted), hold_time=hold_time, request_id=request_id
        )
        held = await call(self._market.CreateReservation, request, pip_pb2.CreateReservationResponse, self._timeout_s)
        return convert.reservation_from(held.reservation)

    async def list_reservations(self, gri: str = "") -> tuple[Reservation, ...]:
        request = pip_pb2.ListReservationsRequest(gri=gri)
        found = await call(self._market.ListReservations, request, pip_pb2.ListReservationsResponse, self._timeout_s)
        return tuple(convert.reservation_from(entry) for entry in found.reservations)

    async def activate_reservation(self, name: str, request_id: str) -> Reservation:
        request = pip_pb2.ActivateReservationRequest(name=name, request_id=request_id)
        active = await call(
            self._market.ActivateReservation, request, pip_pb2.ActivateReservationResponse, self._timeout_s
        )
        return convert.reservation_from(active.reservation)

    async def delete_reservation(self, name: str, request_id: str) -> None:
        request = pip_pb2.DeleteReservationRequest(name=name, request_id=request_id)
        await call(self._market.DeleteReservation, request, pip_pb2.DeleteReservationResponse, self._timeout_s)

    async def apply_slice(self, reservation: str, device: str, generation: int, desired: SliceConfiguration) -> None:
        request = pip_pb2.ApplySliceRequest(
            reservation=reservation, device=device, generation=generation, desired=convert.slice_to(desired)
        )
        await call(self._slices.ApplySlice, request, pip_pb2.ApplySliceResponse, self._timeout_s)

    async def get_slice(self, reservation: str, device: str) -> SliceReading:
        request = pip_pb2.GetSliceRequest(reservation=reservation, device=device)
        return convert.reading_from(
            await call(self._slices.GetSlice, request, pip_pb2.GetSliceResponse, self._timeout_s)
        )

    async def create_server(self, reservation: str, part_id: str, server: Server) -> Server:
        request = pip_pb2.CreateServerRequest(reservation=reservation, part_id=part_id, server=server_to(server))
        made = await call(self._it.CreateServer, request, pip_pb2.CreateServerResponse, self._timeout_s)
        return server_from(made.server)

    async def list_servers(self, reservation: str, part_id: str) -> SitePower:
        request = pip_pb2.ListServersRequest(reservation=reservation, part_id=part_id)
        found = await call(self._it.ListServers, request, pip_pb2.ListServersResponse, self._timeout_s)
        return SitePower(tuple(server_from(entry) for entry in found.servers), found.power_w)

    async def delete_server(self, reservation: str, part_id: str, server_id: str) -> None:
        request = pip_pb2.DeleteServerRequest(reservation=reservation, part_id=part_id, server_id=server_id)
        await call(self._it.DeleteServer, request, pip_pb2.DeleteServerResponse, self._timeout_s)

    async def put_steering(self, reservation: str, part_id: str, steering: Steering) -> None:
        request = pip_pb2.PutSteeringRequest(
            reservation=reservation, part_id=part_id, steering=convert.steering_to(steering)
        )
        await call(self._it.PutSteering, request, pip_pb2.PutSteeringResponse, self._timeout_s)

    async def delete_steering(self, reservation: str, part_id: str, steering_id: str) -> None:
        request = pip_pb2.DeleteSteeringRequest(reservation=reservation, part_id=part_id, steering_id=steering_id)
        await call(self._it.DeleteSteering, request, pip_pb2.DeleteSteeringResponse, self._timeout_s)

    async def list_steerings(self, reservation: str, part_id: str) -> tuple[Steering, ...]:
        request = pip_pb2.ListSteeringsRequest(reservation=reservation, part_id=part_id)
        found = await call(self._it.ListSteerings, request, pip_pb2.ListSteeringsResponse, self._timeout_s)
        return tuple(convert.steering_from(entry) for entry in found.steerings)
