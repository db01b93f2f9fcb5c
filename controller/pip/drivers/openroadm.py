"""The driver of one OpenROADM device: an actor that owns the session, one cycle at a time.

    apply, read ──▶ requests (bounded) ──▶ actor: lock running → read → lock candidate → edit → validate
                                                  → commit confirmed → read back → confirm → unlock

Applications that wait together share one cycle, since a device holds one pending confirmed commit. What is applied is
asked for when the cycle begins, never when it was queued: an older wish cannot overwrite a younger one.

While a confirmed commit is pending, running may yet be undone and proves nothing. One of ours is reverted before
anything is believed, also one of a former run of this process (its persist-id is the same in every run); anybody
else's keeps the lock of running from us, without which running is not looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from lxml import etree

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    GeysersError,
    ResourceExhausted,
)
from controller.domain.media import Reception, SliceConfiguration
from controller.openroadm.configuration import read_configuration, read_receptions
from controller.openroadm.facts import DeviceFacts, parse_device
from controller.openroadm.namespaces import DEVICE, ROOT, tag
from controller.pip.drivers.share import Share, edits, is_settled
from controller.ports.clock import Clock
from controller.ports.device_session import DeviceSession
from controller.ports.rng import Rng

log = structlog.get_logger()
CANDIDATE, RUNNING = "candidate", "running"
CONFIRM_TIMEOUT_S = 15
LEAST_PAUSE_S, MOST_PAUSE_S = 0.1, 2.0
QUEUE_LENGTH = 256

Wanted = Callable[[], Awaitable[Share | None]]


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """A device as it is now."""

    facts: DeviceFacts
    configuration: SliceConfiguration
    receptions: tuple[Reception, ...]


@dataclass(slots=True)
class _Request:
    """A read (`wanted` is None) or an application that waits for its turn."""

    wanted: Wanted | None
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def succeed(self, result: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(result)


class OpenRoadmDriver:
    """One device.

    connecting : bounds how many drivers of the process set up sessions at a time
    persist_id : of our confirmed commits; the same in every run of the provider, and nobody else's
    """

    def __init__(
        self,
        name: str,
        open_session: Callable[[], DeviceSession],
        clock: Clock,
        rng: Rng,
        connecting: asyncio.Semaphore,
        *,
        persist_id: str,
        deadline_s: float = 20.0,
    ) -> None:
        self.name = name
        self._open_session = open_session
        self._clock = clock
        self._rng = rng
        self._connecting = connecting
        self._deadline_s = deadline_s
        self._session: DeviceSession | None = None
        self._facts: DeviceFacts | None = None
        self._persist_id = persist_id
        # A former run may have been killed between its commit and the confirmation.
        self._may_be_pending = True
        self._is_committing = False
        self._requests: deque[_Request] = deque()
        self._arrived = asyncio.Event()
        self._actor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve requests; the session is set up by the first one."""
        self._actor = asyncio.get_running_loop().create_task(self._serve(), name=f"driver {self.name}")

    async def close(self) -> None:
        """Stop; what waits is told that nothing was sent."""
        if self._actor is not None:
            self._actor.cancel()
            await asyncio.gather(self._actor, return_exceptions=True)
            self._actor = None
        while self._requests:
            self._requests.popleft().fail(DeviceUnreachable(f"{self.name}: the provider is stopping"))
        await self._drop_session()

    async def read(self) -> DeviceReading:
        """Everything that the device says now. Raises DeviceUnreachable, DeviceRejected."""
        reading: DeviceReading = await self._ask(_Request(None))
        return reading

    async def apply(self, wanted: Wanted) -> None:
        """Bring one reservation's share of the device to what `wanted` says when its turn comes; None changes nothing.

        Raises DeviceUnreachable (nothing was sent), DeviceInDoubt (sent, and the device went silent), DeviceLocked,
        DeviceRejected, NotFound for a port that the device does not have. Cancelling the caller does not stop it.
        """
        await self._ask(_Request(wanted))

    async def _ask(self, request: _Request) -> Any:
        if self._actor is None or self._actor.done():
            raise DeviceUnreachable(f"{self.name}: its driver is not running")
        if len(self._requests) >= QUEUE_LENGTH:
            raise ResourceExhausted(f"{self.name}: {QUEUE_LENGTH} requests wait already: try again later")
        self._requests.append(request)
        self._arrived.set()
        return await request.answer

    async def _serve(self) -> None:
        while True:
            while not self._requests:
                self._arrived.clear()
                await self._arrived.wait()
            batch = [self._requests.popleft()]
            while batch[0].wanted and self._requests and self._requests[0].wanted:
                batch.append(self._requests.popleft())
            try:
                await self._work(batch)
            except asyncio.CancelledError:
                for request in batch:
                    request.fail(DeviceInDoubt(f"{self.name}: the provider stopped in the middle: read back"))
                raise
            except Exception as error:
                # A bug must not end the actor; whoever asked gets it.
                log.exception("device driver", device=self.name)
                await self._drop_session()
                for request in batch:
                    request.fail(error)

    async def _work(self, batch: Sequence[_Request]) -> None:
        if batch[0].wanted is None:
            await self._read_for(batch[0])
            return
        shares = [(request, await request.wanted()) for request in batch if request.wanted is not None]
        for request, share in shares:
            if share is None:
                request.succeed(None)
        # The same reservation asked twice is one share; the later question got the younger answer.
        by_reservation = {share.reservation_id: share for _, share in shares if share is not None}
        failed = await self._bring_each(list(by_reservation.values()))
        for request, share in shares:
            error = None if share is None else failed.get(share.reservation_id)
            if error is None:
                request.succeed(None)
            else:
                request.fail(error)

    async def _read_for(self, request: _Request) -> None:
        try:
            for last in (False, True):
                try:
                    session = await self._connected()
                    await self._cancel_pending(session)
                    request.succeed(self._interpret(await session.get()))
                    return
                except (DeviceInDoubt, DeviceUnreachable):
                    await self._drop_session()
                    if last:
                        raise
        except DeviceInDoubt as error:
            # Reading changes nothing, so there is nothing to be in doubt about.
            request.fail(DeviceUnreachable(error.message, device=self.name))
        except GeysersError as error:
            request.fail(error)

    async def _bring_each(self, shares: Sequence[Share]) -> dict[str, GeysersError]:
        """Bring all shares in one cycle; when the device refuses it, each in its own. Returns what failed."""
        if not shares:
            return {}
        try:
            await self._bring(shares)
        except GeysersError as error:
            if len(shares) == 1 or isinstance(error, DeviceUnreachable | DeviceInDoubt | DeviceLocked):
                return {share.reservation_id: error for share in shares}
            failed: dict[str, GeysersError] = {}
            for share in shares:
                failed |= await self._bring_each([share])
            return failed
        return {}

    async def _bring(self, shares: Sequence[Share]) -> None:
        end_tick_s = self._clock.tick_s() + self._deadline_s
        pause_s = LEAST_PAUSE_S
        doubt: DeviceInDoubt | None = None
        last: GeysersError
        while True:
            try:
                session = await self._connected()
                await self._cancel_pending(session)
                await self._cycle(session, shares)
                return
            except (DeviceInDoubt, DeviceUnreachable) as error:
                had_session = self._session is not None
                await self._drop_session()
                if isinstance(error, DeviceInDoubt) or self._is_committing:
                    doubt = DeviceInDoubt(error.message, device=self.name)
                if doubt is None and not had_session:
                    raise
                # A session that was lost, perhaps long ago in its sleep, is no reason to give up: one that cannot be
                # set up is, unless something is in doubt.
                last = doubt or error
            except DeviceLocked as error:
                # Perhaps by a commit of ours that a lost session carried out after all.
                self._may_be_pending = True
                last = error
            if self._clock.tick_s() + pause_s > end_tick_s:
                raise last
            await self._clock.sleep_s(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, MOST_PAUSE_S)

    async def _cycle(self, session: DeviceSession, shares: Sequence[Share]) -> None:
        facts = await self._known_facts(session)
        held: list[str] = []
        try:
            await self._lock(session, RUNNING, held)
            before = await self._running(session)
            if not all(is_settled(before, facts, share) for share in shares):
                await self._lock(session, CANDIDATE, held)
                await self._change(session, facts, shares, before)
        except (DeviceInDoubt, DeviceUnreachable):
            raise
        except GeysersError:
            await self._undo(session, held)
            raise
        await self._give_back(session, held)

    async def _lock(self, session: DeviceSession, datastore: str, held: list[str]) -> None:
        await session.lock(datastore)
        held.append(datastore)

    async def _change(
        self, session: DeviceSession, facts: DeviceFacts, shares: Sequence[Share], before: etree._Element
    ) -> None:
        for step in edits(before, facts, shares):
            await session.edit_config(step)
        await session.validate()
        self._may_be_pending = self._is_committing = True
        await session.commit(confirmed=True, timeout_s=CONFIRM_TIMEOUT_S, persist=self._persist_id)
        data = await self._running(session)
        if not all(is_settled(data, facts, share) for share in shares):
            raise DeviceRejected(f"{self.name} took the edit but reads back differently: look at its log")
        await session.commit(persist_id=self._persist_id)
        self._may_be_pending = self._is_committing = False

    async def _undo(self, session: DeviceSession, held: Sequence[str]) -> None:
        """Leave the device as it was; when it does not answer, dropping the session and the timer do the same."""
        try:
            await self._cancel_pending(session)
            if CANDIDATE in held:
                await session.discard_changes()
            for datastore in reversed(held):
                await session.unlock(datastore)
        except GeysersError as error:
            log.warning("undo left to the device", device=self.name, error=error.message)
            await self._drop_session()

    async def _give_back(self, session: DeviceSession, held: Sequence[str]) -> None:
        try:
            for datastore in reversed(held):
                await session.unlock(datastore)
        except GeysersError as error:
            # What was to be done is done and confirmed; the locks go with the session.
            log.warning("unlock", device=self.name, error=error.message)
            await self._drop_session()

    async def _cancel_pending(self, session: DeviceSession) -> None:
        """Revert a confirmed commit of ours that may not have been confirmed, in this run or a former one."""
        if not self._may_be_pending:
            return
        with contextlib.suppress(DeviceRejected, DeviceLocked):
            # Refused when none of ours is pending: never committed, reverted by its timer, or confirmed after all.
            await session.cancel_commit(persist_id=self._persist_id)
        self._may_be_pending = self._is_committing = False

    async def _connected(self) -> DeviceSession:
        if self._session is None:
            session = self._open_session()
            async with self._connecting:
                try:
                    await session.connect()
                except BaseException:
                    await session.close()
                    raise
                self._session = session
        return self._session

    async def _known_facts(self, session: DeviceSession) -> DeviceFacts:
        if self._facts is None:
            self._interpret(await session.get())
        if self._facts is None:
            raise DeviceRejected(f"{self.name}: the device does not describe itself")
        return self._facts

    async def _running(self, session: DeviceSession) -> etree._Element:
        root = etree.Element(ROOT, nsmap=_NSMAP)
        for name in ("interface", "roadm-connections"):
            etree.SubElement(root, tag(name))
        return await session.get_config(RUNNING, root)

    def _interpret(self, data: etree._Element) -> DeviceReading:
        facts = parse_device(data)
        if facts.node_id != self.name:
            raise DeviceRejected(f"{self.name}: the device at its address calls itself {facts.node_id!r}")
        self._facts = facts
        return DeviceReading(facts, read_configuration(data, facts), read_receptions(data, facts))

    async def _drop_session(self) -> None:
        session, self._session, self._facts = self._session, None, None
        if session is not None:
            await session.close()


_NSMAP: Any = {None: DEVICE}
