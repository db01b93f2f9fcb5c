"""The provider's standing work: whatever happened in between, the state in the store is carried out in the end.

    per device: read it → learn it → settle what reservations want there     (every period, or when woken)
    releases:   clear devices, sites, switches → forget the reservation      (every period, or when woken)
    demands:    go on with removals, restore steerings                       (every period)
    holds:      forget what has lapsed                                       (when the next one lapses)

Every loop reads the state anew each time; a wake-up only saves waiting. What fails is logged and tried again, later
and later, never later than a period.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from controller.domain.errors import GeysersError
from controller.domain.reservation import ReservationState
from controller.pip.devices import DeviceWork
from controller.pip.drivers.openroadm import OpenRoadmDriver
from controller.pip.ledger import Ledger
from controller.pip.servers import ServerWork
from controller.pip.steerings import SteeringWork
from controller.pip.stock import Stock
from controller.pip.turns import Turns
from controller.ports.clock import Clock
from controller.ports.rng import Rng
from controller.ports.store import Store

log = structlog.get_logger()
LEAST_PAUSE_S = 0.5


class Loop:
    """One piece of work, again and again until it is cancelled."""

    def __init__(
        self, name: str, work: Callable[[], Awaitable[float | None]], clock: Clock, rng: Rng, period_s: float
    ) -> None:
        self.name = name
        self._work = work
        self._clock = clock
        self._rng = rng
        self._period_s = period_s
        self._wake = asyncio.Event()
        self.was_tried = asyncio.Event()

    def wake(self) -> None:
        """Look now, or once more when it is looking already."""
        self._wake.set()

    async def run(self) -> None:
        """Work; wait for what the work returned in s, or a period, or the wake-up."""
        pause_s = LEAST_PAUSE_S
        while True:
            self._wake.clear()
            try:
                wait_s = await self._work()
                pause_s = LEAST_PAUSE_S
            except GeysersError as error:
                log.warning("to be tried again", work=self.name, error=error.message)
                wait_s, pause_s = pause_s, min(2 * pause_s, self._period_s)
            except Exception:
                # A bug in one round must not end the loop for good.
                log.exception("to be tried again", work=self.name)
                wait_s, pause_s = pause_s, min(2 * pause_s, self._period_s)
            self.was_tried.set()
            await self._wait(self._period_s if wait_s is None else wait_s)

    async def _wait(self, duration_s: float) -> None:
        # Jitter, so that the devices of a provider are not all read in the same instant.
        sleeper = asyncio.ensure_future(self._clock.sleep_s(duration_s * self._rng.uniform(0.8, 1.0)))
        waker = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeper, waker), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            waker.cancel()


class Upkeep:
    """All loops of one provider."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rng: Rng,
        ledger: Ledger,
        stock: Stock,
        devices: DeviceWork,
        servers: ServerWork,
        steerings: SteeringWork,
        *,
        period_s: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._stock = stock
        self._devices = devices
        self._servers = servers
        self._steerings = steerings
        self._turns = Turns()
        self._period_s = period_s
        self._device_loops = {
            name: Loop(name, self._device_work(driver), clock, rng, period_s)
            for name, driver in sorted(devices.drivers.items())
        }
        self._site_loops = [
            Loop(site_id, self._site_work(site_id), clock, rng, period_s) for site_id in sorted(servers.sites)
        ]
        self._releases = Loop("releases", self._release_all, clock, rng, period_s)
        self._demands = Loop("demands", self._settle_demands, clock, rng, period_s)
        self._holds = Loop("holds", self._drop_lapsed, clock, rng, period_s)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin all loops; returns when every device and site has been tried once, whether it answered or not."""
        waited_for = [*self._device_loops.values(), *self._site_loops]
        for loop in [*waited_for, self._releases, self._demands, self._holds]:
            self._tasks.append(asyncio.get_running_loop().create_task(loop.run(), name=f"upkeep {loop.name}"))
        await asyncio.gather(*(loop.was_tried.wait() for loop in waited_for))

    async def close(self) -> None:
        """End all loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def wake_device(self, device: str) -> None:
        """Have a device looked at now."""
        if device in self._device_loops:
            self._device_loops[device].wake()

    def wake_holds(self) -> None:
        """A hold may lapse earlier than the ones before it."""
        self._holds.wake()

    def wake_releases(self) -> None:
        """A release is to be gone on with."""
        self._releases.wake()

    async def finish_release(self, reservation_id: str) -> None:
        """Clear what a reservation has anywhere, then forget it; raises the first error, and all can be repeated."""
        async with self._turns.of(reservation_id):
            held = await self._store.run(lambda connection: self._ledger.by_id(connection, reservation_id))
            if held is None or held.reservation.state is not ReservationState.RELEASING:
                return
            outcomes = await asyncio.gather(
                self._devices.clear(reservation_id),
                self._servers.remove_parts(held),
                self._steerings.clear(reservation_id),
                return_exceptions=True,
            )
            for error in outcomes:
                if error is not None:
                    raise error
            await self._store.run(lambda connection: self._ledger.forget(connection, reservation_id))
            log.info("released", reservation=reservation_id)

    def _device_work(self, driver: OpenRoadmDriver) -> Callable[[], Awaitable[float | None]]:
        async def work() -> None:
            reading = await driver.read()
            self._stock.learn_device(reading.facts)
            await self._devices.settle(driver.name)

        return work

    def _site_work(self, site_id: str) -> Callable[[], Awaitable[float | None]]:
        async def work() -> None:
            self._stock.learn_site(site_id, await self._servers.sites[site_id].facts())

        return work

    async def _release_all(self) -> None:
        releasing = await self._store.run(self._ledger.releasing)
        outcomes = await asyncio.gather(*(self.finish_release(one) for one in releasing), return_exceptions=True)
        for error in outcomes:
            if error is not None:
                raise error

    async def _settle_demands(self) -> None:
        try:
            await self._servers.resume_removals()
        finally:
            await self._steerings.settle()

    async def _drop_lapsed(self) -> float | None:
        next_time = await self._store.run(lambda connection: self._ledger.drop_lapsed(connection, self._clock.now()))
        if next_time is None:
            return None
        # Never longer than a period, since wall time may be set forward while we sleep.
        return min(max(0.01, (next_time - self._clock.now()).total_seconds()), self._period_s)
