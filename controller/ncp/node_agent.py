"""One agent per virtual device: the only one who talks to it.

    run() ──▶ connect ──▶ read facts ──▶ watch ─┬─ keep-alive: facts again
               ▲  back-off with jitter          └─ session lost: once more from the beginning
               └────────────────────────────────────┘

    stage ─▶ commit_confirmed ─▶ confirm ─▶ unlock      a set-up, device by device (RFC 6241 §8.4)
    withdraw                                            takes all of one service off, and sees that it is gone

Whoever changes the device holds `turn`. A request whose answer is lost is in doubt: the agent connects again, locks
the candidate (which an earlier request of ours still being carried out would not let it), and reads running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog
from lxml import etree

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    GeysersError,
)
from controller.domain.infrastructure import NetconfAddress
from controller.domain.media import Reception, SliceConfiguration
from controller.ncp.lightpath import carries, owned, with_wanted
from controller.netconf.client import NcclientSession
from controller.openroadm.configuration import edit_elements, read_configuration, read_receptions
from controller.openroadm.facts import DeviceFacts, parse_device
from controller.openroadm.namespaces import DEVICE, ROOT, tag
from controller.ports.clock import Clock, wait_for
from controller.ports.device_session import DeviceAddress, DeviceSession
from controller.ports.rng import Rng

log = structlog.get_logger()
T = TypeVar("T")
SessionFactory = Callable[[NetconfAddress], DeviceSession]
ATTEMPTS = 3
"""How often a step that was in doubt is taken up again before it counts as refused."""


@dataclass(frozen=True, slots=True)
class AgentTimings:
    """How patient an agent is."""

    keep_alive_s: float = 15.0
    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 30.0
    ready_timeout_s: float = 20.0
    """For a session to come back while somebody waits for it."""
    lock_timeout_s: float = 30.0
    retry_s: float = 0.5


def ssh_sessions(private_key_file: Path, timeout_s: float = 15.0) -> SessionFactory:
    """Sessions over SSH with the operator's own key; a device is known by its host key."""

    def open_session(address: NetconfAddress) -> DeviceSession:
        return NcclientSession(
            DeviceAddress(
                address.host, address.port, address.username, private_key_file, address.host_public_key, timeout_s
            )
        )

    return open_session


class NodeAgent:
    """Owner of the NETCONF session to one virtual ROADM or transponder shelf."""

    def __init__(
        self,
        name: str,
        address: NetconfAddress,
        open_session: SessionFactory,
        clock: Clock,
        rng: Rng,
        timings: AgentTimings | None = None,
    ) -> None:
        self.name = name
        self.turn = asyncio.Lock()
        self.problem = "no connection was tried yet"
        self.tried = asyncio.Event()
        """Set after the first attempt to connect, whatever came of it."""
        self._address = address
        self._open_session = open_session
        self._clock = clock
        self._rng = rng
        self._timings = timings or AgentTimings()
        self._session: DeviceSession | None = None
        self._facts: DeviceFacts | None = None
        self._locked = False
        self._up = asyncio.Event()
        self._lost = asyncio.Event()

    @property
    def facts(self) -> DeviceFacts | None:
        """What the device last said of itself; None while there is no session."""
        return self._facts if self._up.is_set() else None

    async def run(self) -> None:
        """Keep a session open until cancelled."""
        delay_s = self._timings.reconnect_min_s
        while True:
            try:
                await self.close()
                await self._connect()
                delay_s = self._timings.reconnect_min_s
                self.tried.set()
                await self._watch()
                continue
            except GeysersError as error:
                self._failed(error.message)
            except Exception as error:
                # What a device answers is not ours to trust: nonsense in it must not end the agent.
                log.exception("nonsense from a device", device=self.name)
                self._failed(f"its answer cannot be understood: {error}")
            self.tried.set()
            await self._clock.sleep_s(delay_s * self._rng.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, self._timings.reconnect_max_s)

    async def close(self) -> None:
        """End the session; what is staged or pending on the device is left to the device and the next start."""
        self._up.clear()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def read_configuration(self) -> SliceConfiguration:
        """Cross-connects and line settings in running."""
        wanted = _subtree("interface", "roadm-connections")
        data = await self._call(lambda session: session.get_config("running", wanted))
        return read_configuration(data, self._known_facts())

    async def reception(self, network_port: str) -> Reception | None:
        """Reading of one receiver now; None when no channel is set on it."""
        data = await self._call(lambda session: session.get(_subtree("interface")))
        readings = read_receptions(data, self._known_facts())
        return next((reading for reading in readings if reading.network_port == network_port), None)

    async def lock(self) -> None:
        """Lock the candidate, once; raises DeviceLocked when another session keeps it."""
        await self._again_when_lost(self._lock)

    async def stage(self, uid: str, wanted: SliceConfiguration) -> None:
        """Put `wanted` into the locked candidate and have the device validate it; running stays as it is."""
        await self._again_when_lost(lambda: self._stage(uid, wanted))

    async def commit_confirmed(self, uid: str, wanted: SliceConfiguration, persist_id: str, timeout_s: int) -> None:
        """Commit what was staged; the device reverts it after `timeout_s` unless it is confirmed."""

        async def take_up() -> None:
            if not self._locked:
                # The session went, and with it lock and candidate. If the commit was carried out, running shows it.
                await self._lock()
                if carries(await self.read_configuration(), uid, wanted):
                    return
                await self._stage(uid, wanted)
            await self._call(lambda session: session.commit(confirmed=True, timeout_s=timeout_s, persist=persist_id))

        await self._again_when_lost(take_up)

    async def confirm(self, uid: str, wanted: SliceConfiguration, persist_id: str) -> None:
        """Make the pending commit permanent; where the device reverted it already, apply it again."""
        await self.ready()
        await self._lock()
        try:
            await self._call(lambda session: session.commit(persist_id=persist_id))
        except DeviceRejected:
            # Nothing of ours is pending any more: it was confirmed before, or reverted. The commit without persist-id
            # that follows would be refused if it were still pending (RFC 6241 §8.4.1), so success is certainty.
            await self._discard()
            await self._stage(uid, wanted)
            await self._call(lambda session: session.commit())

    async def unlock(self) -> None:
        """Give the candidate back; without a session there is nothing to give back."""
        if not self._locked:
            return
        try:
            await self._call(lambda session: session.unlock("candidate"))
        except GeysersError as error:
            log.info("unlock failed", device=self.name, error=error.message)
        self._locked = False

    async def withdraw(self, uid: str, wanted: SliceConfiguration, persist_id: str | None) -> None:
        """Take all of `uid` off the device, and return when it is seen gone; may be tried again after any error.

        Nothing that does not carry the uid's marks is touched.
        """
        await self.ready()
        if persist_id is None and not self._locked and not await self._carries_any(uid, wanted):
            # Never committed, or removed already, and no edit of ours in the candidate: nothing to lock for.
            return
        await self._lock()
        try:
            await self._withdraw(uid, wanted, persist_id)
        except GeysersError:
            # Whoever has the turn next needs the candidate.
            await self.unlock()
            raise
        await self.unlock()
        if await self._carries_any(uid, wanted):
            raise DeviceRejected(f"{self.name} still shows parts of {uid} after they were removed", device=self.name)

    async def ready(self) -> None:
        """Wait for a session; raises DeviceUnreachable when none comes in time."""
        if not self._up.is_set() and not await wait_for(self._clock, self._up, self._timings.ready_timeout_s):
            raise DeviceUnreachable(f"{self.name}: {self.problem}", device=self.name)

    async def _lock(self) -> None:
        give_up_at = self._clock.tick_s() + self._timings.lock_timeout_s
        while not self._locked:
            try:
                await self._call(lambda session: session.lock("candidate"))
                self._locked = True
            except DeviceLocked:
                # Either another session holds it, perhaps our own dead one, or somebody left edits in the candidate.
                if self._clock.tick_s() > give_up_at:
                    raise
                await self._discard()
                await self._clock.sleep_s(self._timings.retry_s)

    async def _stage(self, uid: str, wanted: SliceConfiguration) -> None:
        await self._lock()
        current = await self.read_configuration()
        if not carries(current, uid, wanted):
            await self._edit(current, with_wanted(current, uid, wanted, self.name))

    async def _carries_any(self, uid: str, wanted: SliceConfiguration) -> bool:
        mine = owned(await self.read_configuration(), uid, wanted)
        return bool(mine.cross_connects or mine.line_settings)

    async def _withdraw(self, uid: str, wanted: SliceConfiguration, persist_id: str | None) -> None:
        await self._discard()
        if persist_id is not None:
            try:
                await self._call(lambda session: session.cancel_commit(persist_id))
            except DeviceRejected:
                # Nothing is pending under our persist-id: it was never committed, or it is over. What running holds
                # decides; if something is pending after all, the commit below is refused and we come back.
                log.debug("no confirmed commit to cancel", device=self.name, persist_id=persist_id)
        current = await self.read_configuration()
        mine = owned(current, uid, wanted)
        if mine.cross_connects or mine.line_settings:
            rest = SliceConfiguration(
                current.cross_connects - mine.cross_connects, current.line_settings - mine.line_settings
            )
            await self._edit(current, rest)
            await self._call(lambda session: session.commit())

    async def _edit(self, current: SliceConfiguration, desired: SliceConfiguration) -> None:
        edits = edit_elements(self._known_facts(), current, desired)
        if edits:
            await self._call(lambda session: session.edit_config(edits))
            await self._call(lambda session: session.validate())

    async def _discard(self) -> None:
        try:
            await self._call(lambda session: session.discard_changes())
        except (DeviceLocked, DeviceRejected) as error:
            log.debug("candidate not discarded", device=self.name, error=error.message)

    async def _again_when_lost(self, step: Callable[[], Awaitable[None]]) -> None:
        """Take `step` up again on a new session when the old one is lost; it must read back what it did before."""
        for attempt in range(1, ATTEMPTS + 1):
            await self.ready()
            try:
                await step()
            except (DeviceUnreachable, DeviceInDoubt):
                if attempt == ATTEMPTS:
                    raise
            else:
                return

    async def _call(self, work: Callable[[DeviceSession], Awaitable[T]]) -> T:
        session = self._session
        if session is None or not self._up.is_set():
            raise DeviceUnreachable(f"{self.name}: {self.problem}", device=self.name)
        try:
            return await work(session)
        except (DeviceUnreachable, DeviceInDoubt) as error:
            if session is self._session:
                self.problem = error.message
                self._up.clear()
                self._locked = False
                self._lost.set()
            raise

    async def _connect(self) -> None:
        session = self._open_session(self._address)
        try:
            await session.connect()
            self._facts = parse_device(await session.get())
        except BaseException:
            await session.close()
            raise
        self._session = session
        self._locked = False
        self._lost.clear()
        self.problem = ""
        self._up.set()

    async def _watch(self) -> None:
        """Return when the session is dead; facts are read again while nobody else needs the device."""
        while not await wait_for(self._clock, self._lost, self._timings.keep_alive_s):
            if self.turn.locked():
                continue
            try:
                self._facts = parse_device(await self._call(lambda session: session.get()))
            except GeysersError as error:
                log.warning("keep-alive failed", device=self.name, error=error.message)

    def _failed(self, problem: str) -> None:
        if self.problem != problem:
            log.warning("device not usable", device=self.name, problem=problem)
        self.problem = problem
        self._up.clear()
        self._locked = False

    def _known_facts(self) -> DeviceFacts:
        if self._facts is None:
            raise DeviceUnreachable(f"{self.name}: {self.problem}", device=self.name)
        return self._facts


def _subtree(*names: str) -> etree._Element:
    root = etree.Element(ROOT, nsmap={None: DEVICE})  # type: ignore[dict-item]  # lxml's types lack the default namespace
    for name in names:
        etree.SubElement(root, tag(name))
    return root
