"""The part of a service that the VIP makes: the machine at the end, and the client VLAN steered in at both ends.

Every call to the broker can be repeated, so a lost answer is answered by asking again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceUnreachable,
    GeysersError,
    NotFound,
    ResourceExhausted,
)
from controller.domain.infrastructure import VirtualInfrastructureState
from controller.domain.it import ItResourceState, Server
from controller.ncp.records import Plan
from controller.ports.broker import Broker
from controller.ports.clock import Clock

log = structlog.get_logger()
T = TypeVar("T")
_ENDED = (VirtualInfrastructureState.DECOMMISSIONED, VirtualInfrastructureState.FAILED)


@dataclass(frozen=True, slots=True)
class ItTimings:
    """How patient the controller is with the VIP."""

    deadline_s: float = 180.0
    """For one thing to be made, a server to become active included."""
    poll_s: float = 0.5


class ItPart:
    """Makes and removes the IT part of plans in one virtual infrastructure."""

    def __init__(self, broker: Broker, infrastructure: str, clock: Clock, timings: ItTimings | None = None) -> None:
        self._broker = broker
        self._infrastructure = infrastructure
        self._clock = clock
        self._timings = timings or ItTimings()

    async def make_server(self, plan: Plan) -> Server | None:
        """Make the machine and wait until it is active; None when none was asked for.

        Raises ResourceExhausted when the site ends it in ERROR, DeviceInDoubt when it is not active in time.
        """
        wanted, site = plan.server, plan.it_site_id
        if wanted is None:
            return None
        give_up_at = self._clock.tick_s() + self._timings.deadline_s
        server: Server | None = await self._insist(
            lambda: self._broker.create_server(self._infrastructure, site, wanted), give_up_at
        )
        while server is None or server.state is not ItResourceState.ACTIVE:
            if server is not None and server.state is ItResourceState.ERROR:
                raise ResourceExhausted(
                    f"IT site {site} could not make the server: {server.fault or 'no reason given'}", it_site_id=site
                )
            if self._clock.tick_s() > give_up_at:
                raise DeviceInDoubt(
                    f"IT site {site}: the server is not active after {self._timings.deadline_s:g} s", it_site_id=site
                )
            await self._clock.sleep_s(self._timings.poll_s)
            server = await self._insist(lambda: self._find_server(site, wanted.server_id), give_up_at)
        return server

    async def steer(self, plan: Plan) -> None:
        """Steer the client VLAN into the transponders at both ends."""
        give_up_at = self._clock.tick_s() + self._timings.deadline_s
        for node, steering in plan.steerings:
            await self._insist(
                lambda node=node, steering=steering: self._broker.put_steering(  # type: ignore[misc]
                    self._infrastructure, node, steering
                ),
                give_up_at,
            )

    async def clear(self, plan: Plan) -> None:
        """Remove steerings and server; returns when they are seen gone, however long that takes."""
        while True:
            try:
                if await self._is_clear(plan):
                    return
            except GeysersError as error:
                log.warning("IT part not removed yet", infrastructure=self._infrastructure, error=error.message)
                if await self.infrastructure_is_gone():
                    return
            await self._clock.sleep_s(self._timings.poll_s)

    async def infrastructure_is_gone(self) -> bool:
        """True when the VIP says that the infrastructure ended, and with it all that ever stood in it."""
        try:
            infrastructure = await self._broker.get_infrastructure(self._infrastructure)
        except NotFound:
            return True
        except GeysersError:
            return False
        return infrastructure.state in _ENDED

    async def _is_clear(self, plan: Plan) -> bool:
        clear = True
        for node, steering in plan.steerings:
            await _gone(self._broker.delete_steering(self._infrastructure, node, steering.steering_id))
            left = await _gone(self._broker.list_steerings(self._infrastructure, node)) or ()
            clear = clear and all(other.steering_id != steering.steering_id for other in left)
        if plan.server is not None:
            await _gone(self._broker.delete_server(self._infrastructure, plan.it_site_id, plan.server.server_id))
            clear = clear and await self._find_server(plan.it_site_id, plan.server.server_id) is None
        return clear

    async def _find_server(self, site: str, server_id: str) -> Server | None:
        listing = await _gone(self._broker.list_servers(self._infrastructure, site))
        servers = () if listing is None else listing.servers
        return next((server for server in servers if server.server_id == server_id), None)

    async def _insist(self, call: Callable[[], Awaitable[T]], give_up_at: float) -> T:
        while True:
            try:
                return await call()
            except (DeviceUnreachable, DeviceInDoubt):
                if self._clock.tick_s() > give_up_at:
                    raise
            await self._clock.sleep_s(self._timings.poll_s)


async def _gone(call: Awaitable[T]) -> T | None:
    """What the call answers; None when the thing, or where it stood, does not exist any more."""
    try:
        return await call
    except NotFound:
        return None
