"""The PIPs as the lifecycle sees them: offers gathered, parts held, activated and given back, each in its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import structlog

from controller.domain.errors import DeviceInDoubt, DeviceUnreachable, GeysersError, NoPath, NotFound
from controller.domain.infrastructure import VirtualInfrastructure
from controller.domain.offers import Catalogue
from controller.domain.reservation import Reservation
from controller.licl.planner import Blueprint, plan
from controller.licl.veil import veil
from controller.ports.provider import Provider

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MarketTimes:
    """Deadlines of what a PIP is asked."""

    offers_s: float = 10.0
    call_s: float = 30.0
    release_s: float = 120.0
    """Giving back clears devices and sites."""
    hold_s: float = 300.0
    """How long a PIP holds parts that are not activated."""


class Market:
    """All PIPs of one VIP. What a PIP refuses is raised in words that an operator may read."""

    def __init__(self, providers: Mapping[str, Provider], times: MarketTimes | None = None) -> None:
        self._providers = providers
        self._times = times or MarketTimes()

    async def plan(self, wanted: VirtualInfrastructure) -> Blueprint:
        """Plan on what all PIPs offer now; a PIP that does not answer offers nothing."""
        names = sorted(self._providers)
        answers = await asyncio.gather(*(self._offers(name) for name in names))
        catalogues = {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}
        try:
            return plan(wanted, catalogues)
        except (NotFound, NoPath) as error:
            if len(catalogues) < len(names):
                raise DeviceUnreachable(f"{error.message} (a provider does not answer: try again later)") from error
            raise

    async def reserve(self, provider: str, wanted: Reservation, request_id: str) -> Reservation:
        """Hold all parts of `wanted` at one PIP, or none."""
        return await self._call(
            provider,
            lambda pip: pip.create_reservation(wanted, self._times.hold_s, request_id),
            self._times.call_s,
        )

    async def activate(self, provider: str, reservation: str, request_id: str) -> Reservation:
        """Make a held reservation usable."""
        return await self._call(
            provider, lambda pip: pip.activate_reservation(reservation, request_id), self._times.call_s
        )

    async def release(self, provider: str, gri: str, request_id: str) -> None:
        """Give back all that one PIP holds under a GRI, also what it never got round to answer.

        Returns when the PIP says that it holds nothing any more. A reservation still on its way there when it said so
        is a hold that nobody activates: it lapses by itself.
        """

        async def work(pip: Provider) -> None:
            for held in await pip.list_reservations(gri):
                await pip.delete_reservation(held.name, request_id)
            if await pip.list_reservations(gri):
                raise DeviceInDoubt(f"{provider} still holds parts of {gri}: ask again")

        await self._call(provider, work, self._times.release_s)

    async def _offers(self, provider: str) -> Catalogue | None:
        try:
            async with asyncio.timeout(self._times.offers_s):
                return await self._providers[provider].list_offers()
        except (GeysersError, TimeoutError) as error:
            log.warning("no offers", provider=provider, error=str(error))
            return None

    async def _call(self, name: str, work: Callable[[Provider], Awaitable[T]], limit_s: float) -> T:
        provider = self._providers.get(name)
        if provider is None:
            raise DeviceUnreachable("a provider of this virtual infrastructure is not configured any more: add it")
        try:
            async with asyncio.timeout(limit_s):
                return await work(provider)
        except TimeoutError as error:
            raise DeviceInDoubt(f"a provider did not answer within {limit_s:g} s") from error
        except GeysersError as error:
            raise veil(error, "virtual infrastructure") from error
