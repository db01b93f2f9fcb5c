"""A physical infrastructure provider as its broker sees it (LICL to PIP, hop 6 to hop 7), as a port."""

from typing import Protocol

from controller.domain.it import Server, SitePower, Steering
from controller.domain.media import SliceConfiguration
from controller.domain.offers import Catalogue
from controller.domain.reservation import Reservation, SliceReading


class Provider(Protocol):
    """One PIP. Raises the domain errors of the far side; DeviceUnreachable or DeviceInDoubt for the way there.

    Every call can be repeated: the same request_id, id or generation has one effect.
    """

    @property
    def name(self) -> str:
        """The PIP's name, as in pips/{pip}."""
        ...

    async def list_offers(self) -> Catalogue: ...

    async def create_reservation(self, wanted: Reservation, hold_time_s: float, request_id: str) -> Reservation:
        """Hold all parts of `wanted` or none."""
        ...

    async def list_reservations(self, gri: str = "") -> tuple[Reservation, ...]: ...

    async def activate_reservation(self, name: str, request_id: str) -> Reservation: ...

    async def delete_reservation(self, name: str, request_id: str) -> None:
        """Clear devices and sites of the reservation and free its parts; what is gone already is success."""
        ...

    async def apply_slice(self, reservation: str, device: str, generation: int, desired: SliceConfiguration) -> None:
        """Bring one device's share to `desired`; StaleGeneration when a younger one was applied before."""
        ...

    async def get_slice(self, reservation: str, device: str) -> SliceReading: ...

    async def create_server(self, reservation: str, part_id: str, server: Server) -> Server: ...

    async def list_servers(self, reservation: str, part_id: str) -> SitePower: ...

    async def delete_server(self, reservation: str, part_id: str, server_id: str) -> None: ...

    async def put_steering(self, reservation: str, part_id: str, steering: Steering) -> None: ...

    async def delete_steering(self, reservation: str, part_id: str, steering_id: str) -> None: ...

    async def list_steerings(self, reservation: str, part_id: str) -> tuple[Steering, ...]: ...
