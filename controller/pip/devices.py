"""What reservations want of devices, brought there and read back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from sqlalchemy import Connection

from controller.domain.errors import DeviceUnreachable
from controller.domain.media import SliceConfiguration
from controller.domain.reservation import SliceReading
from controller.domain.spectrum import GRANULES
from controller.pip.admission import bands_at, transponders_of_device
from controller.pip.drivers.openroadm import DeviceReading, OpenRoadmDriver
from controller.pip.drivers.share import Share, unmarked
from controller.pip.ledger import Ledger
from controller.pip.records import HeldReservation
from controller.ports.store import Store

log = structlog.get_logger()


class DeviceWork:
    """All devices of the provider."""

    def __init__(self, store: Store, ledger: Ledger, drivers: Mapping[str, OpenRoadmDriver]) -> None:
        self._store = store
        self._ledger = ledger
        self.drivers = drivers

    async def bring(self, reservation_id: str, device: str) -> None:
        """Bring a device to what the store says of a reservation. Raises as OpenRoadmDriver.apply."""
        await self._driver(device).apply(lambda: self._share(reservation_id, device))

    async def settle(self, device: str) -> None:
        """Bring a device to what the store says of all reservations; what fails is logged, the first error raised."""
        reservations = await self._store.run(lambda connection: self._ledger.reservations_at(connection, device))
        outcomes = await asyncio.gather(*(self.bring(one, device) for one in reservations), return_exceptions=True)
        failed = [(one, error) for one, error in zip(reservations, outcomes, strict=True) if error is not None]
        for one, error in failed:
            log.warning("not as wanted yet", device=device, reservation=one, error=str(error))
        if failed:
            raise failed[0][1]

    async def clear(self, reservation_id: str) -> None:
        """Take a reservation that is being released off all its devices; done when all are seen clear."""
        devices = await self._store.run(lambda connection: self._ledger.devices_touched(connection, reservation_id))
        outcomes = await asyncio.gather(
            *(self.bring(reservation_id, device) for device in devices), return_exceptions=True
        )
        for error in outcomes:
            if error is not None:
                raise error

    async def read(self, held: HeldReservation, device: str) -> SliceReading:
        """What a device carries of one reservation now."""
        reading = await self._driver(device).read()
        ports = frozenset(offer.network_port for offer in transponders_of_device(held, device))
        actual = unmarked(reading.configuration, Share(held.reservation_id, network_ports=ports))
        return SliceReading(
            actual=actual,
            receptions=tuple(seen for seen in reading.receptions if seen.network_port in ports),
            power_w=_power_w(held, device, reading, actual),
        )

    async def _share(self, reservation_id: str, device: str) -> Share | None:
        def work(connection: Connection) -> Share | None:
            desired = self._ledger.wanted_slice(connection, reservation_id, device)
            held = self._ledger.by_id(connection, reservation_id)
            if desired is None or held is None:
                return None
            ports = frozenset(offer.network_port for offer in transponders_of_device(held, device))
            return Share(reservation_id, desired, ports)

        return await self._store.run(work)

    def _driver(self, device: str) -> OpenRoadmDriver:
        if device not in self.drivers:
            raise DeviceUnreachable(
                f"{device} is not among the provider's devices any more: add its address", device=device
            )
        return self.drivers[device]


def _power_w(held: HeldReservation, device: str, reading: DeviceReading, actual: SliceConfiguration) -> float:
    """Power of a reservation's share of a device.

    A transponder that is lit counts whole. A ROADM's power is split evenly over its degrees, and at each degree by the
    part of the band that is reserved, lit or not: that is what the reservation keeps switched on.
    """
    lit = {line.network_port for line in actual.line_settings}
    transponders_w = sum(line.power_w for line in reading.facts.lines if line.network_port in lit)
    if not reading.facts.degrees:
        return transponders_w
    reserved = sum(len(band.granules) for bands in bands_at(held, device).values() for band in bands)
    return transponders_w + reading.facts.power_w * reserved / (len(reading.facts.degrees) * GRANULES)
