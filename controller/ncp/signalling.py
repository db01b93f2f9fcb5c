"""Hop 4 of 8: the saga that sets a service up whole, or leaves nothing of it.

    ADMITTED ─▶ BOOKED ─▶ STAGED ─▶ COMMITTED_PENDING ─▶ CONFIRMED ─▶ ACTIVE ─▶ RELEASING ─▶ RELEASED
        │          └─────────┴───────────────┴──▶ RELEASING (failure set) ──▶ FAILED       ▲
        └──▶ FAILED                                                  release by the client ┘

Each state is durable before what it stands for is begun, so a restart knows what may have been touched:

    BOOKED             spectrum, transponders and IT share are rows; a server and steerings may exist
    STAGED             candidates may be locked and edited; running is as it was
    COMMITTED_PENDING  devices may hold a confirmed commit under the record's persist-id
    CONFIRMED          some device may have been confirmed: from here only forward

A process that finds one of the first three undoes it; the devices would revert by themselves, only later. Bookings are
given back after every device and site is *seen* clear. Hop 3 (the PCE) is behind `NipsPlanner`, hop 5 behind NodeAgent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import Connection

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    GeysersError,
    GsnrBelowMargin,
    StaleGeneration,
    WrongState,
)
from controller.domain.media import SliceConfiguration
from controller.domain.nips import Nips, NipsState
from controller.ncp.bookings import free
from controller.ncp.it_part import ItPart
from controller.ncp.node_agent import NodeAgent
from controller.ncp.planner import NipsPlanner
from controller.ncp.records import AT_REST, NipsRecord, Plan, Receiver, Records
from controller.ncp.schema import NcpTables
from controller.ports.clock import Clock
from controller.ports.observer import Observer
from controller.ports.rng import Rng
from controller.ports.store import Store

log = structlog.get_logger()
BEFORE_CONFIRMATION = frozenset({NipsState.BOOKED, NipsState.STAGED, NipsState.COMMITTED_PENDING})


@dataclass(frozen=True, slots=True)
class SagaTimings:
    """How patient a set-up is."""

    confirm_timeout_s: int = 180
    """After which devices revert by themselves; longer than `light_deadline_s`, so that the good case never races."""
    light_deadline_s: float = 60.0
    light_poll_s: float = 0.5
    forward_limit_s: float = 600.0
    """How long confirmation is pursued on a device before all is released."""
    forward_retry_s: float = 1.0
    turn_timeout_s: float = 120.0
    """How long a set-up waits for another service to be done with a device."""
    clear_retry_s: float = 0.5


@dataclass(slots=True)
class World:
    """What every saga of one controller works with."""

    store: Store
    tables: NcpTables
    planner: NipsPlanner
    it_part: ItPart
    clock: Clock
    rng: Rng
    timings: SagaTimings
    agents: dict[str, NodeAgent] = field(default_factory=dict)
    observer: Observer[Nips] | None = None

    @property
    def records(self) -> Records:
        return Records(self.tables)


class DeviceTurns:
    """Turns at devices that one saga holds; taken in sorted order, so that two sagas never wait for each other."""

    def __init__(self, agents: Mapping[str, NodeAgent], clock: Clock, timeout_s: float) -> None:
        self._agents = agents
        self._clock = clock
        self._timeout_s = timeout_s
        self._held: set[str] = set()

    async def take(self, devices: Iterable[str]) -> None:
        """Wait for each device's turn; raises DeviceLocked when another service keeps one for too long."""
        for device in sorted(set(devices) - self._held):
            if not await _acquired(self._agents[device].turn, self._clock, self._timeout_s):
                raise DeviceLocked(
                    f"{device} is kept by another service for more than {self._timeout_s:g} s: try again later",
                    device=device,
                )
            self._held.add(device)

    async def take_free(self, devices: Iterable[str]) -> None:
        """Take those that nobody holds."""
        await self.take(
            device for device in devices if device in self._agents and not self._agents[device].turn.locked()
        )

    def give_back(self, device: str) -> None:
        if device in self._held:
            self._held.discard(device)
            self._agents[device].turn.release()

    def give_all_back(self) -> None:
        for device in sorted(self._held):
            self.give_back(device)


class Saga:
    """Carries one service to its next state of rest."""

    def __init__(self, world: World, name: str, turns: DeviceTurns | None = None) -> None:
        self._world = world
        self._name = name
        self._turns = turns or DeviceTurns(world.agents, world.clock, world.timings.turn_timeout_s)
        self._steps: dict[NipsState, Callable[[NipsRecord], Awaitable[NipsRecord]]] = {
            NipsState.ADMITTED: self._plan_and_book,
            NipsState.BOOKED: self._make_it_part,
            NipsState.STAGED: self._stage,
            NipsState.COMMITTED_PENDING: self._commit_and_look,
            NipsState.CONFIRMED: self._confirm,
            NipsState.RELEASING: self._clear,
        }

    async def run(self) -> None:
        """Go on until the service is ACTIVE, RELEASED or FAILED."""
        try:
            record = await self._world.store.run(self._look)
            if record is not None and record.state in BEFORE_CONFIRMATION:
                # A saga never begins in these states: the one that wrote them was cut off.
                interrupted = StaleGeneration(
                    f"the controller was restarted while this was {record.state.value}; all was undone, ask again",
                    name=self._name,
                )
                record = await self._fail(record, interrupted)
            while record is not None and record.state in self._steps:
                record = await self._step(record)
        finally:
            self._turns.give_all_back()

    async def _step(self, record: NipsRecord) -> NipsRecord:
        try:
            return await self._steps[record.state](record)
        except GeysersError as error:
            if record.state in (NipsState.CONFIRMED, NipsState.RELEASING):
                raise
            log.info("set-up refused", name=self._name, state=record.state.value, error=error.message)
            return await self._fail(record, error)
        except Exception:
            log.exception("bug in the saga", name=self._name, state=record.state.value)
            if record.state in (NipsState.CONFIRMED, NipsState.RELEASING):
                raise
            return await self._fail(record, GeysersError("an internal error stopped the set-up: see the log"))

    async def _plan_and_book(self, record: NipsRecord) -> NipsRecord:
        return await self._world.planner.book(record, self._change)

    async def _make_it_part(self, record: NipsRecord) -> NipsRecord:
        plan = _plan_of(record)
        server = await self._world.it_part.make_server(plan)
        await self._world.it_part.steer(plan)
        await self._turns.take(self._known(plan))
        return await self._write(
            record, replace(record, nips=replace(record.nips, server=server, state=NipsState.STAGED))
        )

    async def _stage(self, record: NipsRecord) -> NipsRecord:
        plan = _plan_of(record)
        for device in sorted(plan.devices):
            await self._agent(device).lock()
        await self._on_all(plan, lambda agent, wanted: agent.stage(record.uid, wanted))
        return await self._write(record, record.moved(NipsState.COMMITTED_PENDING, persist_id=self._world.rng.uuid()))

    async def _commit_and_look(self, record: NipsRecord) -> NipsRecord:
        plan, persist_id = _plan_of(record), record.persist_id or ""
        timeout_s = self._world.timings.confirm_timeout_s
        await self._on_all(
            plan, lambda agent, wanted: agent.commit_confirmed(record.uid, wanted, persist_id, timeout_s)
        )
        give_up_at = self._world.clock.tick_s() + self._world.timings.light_deadline_s
        await _all(self._see_light(receiver, plan.required_osnr_0p1nm_db, give_up_at) for receiver in plan.receivers)
        return await self._write(record, record.moved(NipsState.CONFIRMED))

    async def _confirm(self, record: NipsRecord) -> NipsRecord:
        plan, persist_id = _plan_of(record), record.persist_id or ""
        await self._turns.take(self._known(plan))
        give_up_at = self._world.clock.tick_s() + self._world.timings.forward_limit_s
        try:
            await self._on_all(
                plan, lambda agent, wanted: self._confirm_one(agent, record.uid, wanted, persist_id, give_up_at)
            )
        except GeysersError as error:
            log.error("confirmation given up: all is released", name=self._name, error=error.message)
            return await self._fail(record, error)
        for device in sorted(plan.devices):
            await self._agent(device).unlock()
        return await self._write(record, record.moved(NipsState.ACTIVE, persist_id=None))

    async def _confirm_one(
        self, agent: NodeAgent, uid: str, wanted: SliceConfiguration, persist_id: str, give_up_at: float
    ) -> None:
        while True:
            try:
                await agent.confirm(uid, wanted, persist_id)
            except GeysersError as error:
                if self._world.clock.tick_s() > give_up_at:
                    raise
                log.warning("not confirmed yet", name=self._name, device=agent.name, error=error.message)
            else:
                return
            await self._world.clock.sleep_s(self._world.timings.forward_retry_s)

    async def _clear(self, record: NipsRecord) -> NipsRecord:
        if record.plan is not None:
            plan = record.plan
            await self._on_all(plan, lambda agent, wanted: self._clear_one(agent, record, wanted))
            await self._world.it_part.clear(plan)
        failed = bool(record.failure_kind)
        after = record.moved(NipsState.FAILED if failed else NipsState.RELEASED, persist_id=None)
        if record.nips.server is not None:
            after = replace(after, nips=replace(after.nips, server=None))
        # Bookings wait for a computation that is under way: it would be stale otherwise.
        async with self._world.planner.booking_turn:
            return await self._write(
                record, after, also=lambda connection: free(connection, self._world.tables, record.uid)
            )

    async def _clear_one(self, agent: NodeAgent, record: NipsRecord, wanted: SliceConfiguration) -> None:
        """Try until the device is seen clear, or is gone with the whole infrastructure; others may have it between."""
        while True:
            try:
                await self._turns.take([agent.name])
                await agent.withdraw(record.uid, wanted, record.persist_id)
            except GeysersError as error:
                log.warning("service not off the device yet", device=agent.name, uid=record.uid, error=error.message)
            else:
                return
            finally:
                self._turns.give_back(agent.name)
            if await self._world.it_part.infrastructure_is_gone():
                return
            await self._world.clock.sleep_s(self._world.timings.clear_retry_s)

    async def _see_light(self, receiver: Receiver, required_osnr_0p1nm_db: float, give_up_at: float) -> None:
        """Poll one receiver until it says good and reports at least the mode's required OSNR."""
        agent = self._agent(receiver.device)
        where = f"receiver {receiver.network_port} of {receiver.device}"
        while True:
            seen: GeysersError
            try:
                reading = await agent.reception(receiver.network_port)
            except (DeviceUnreachable, DeviceInDoubt) as error:
                seen = error
            else:
                if reading is None or reading.gsnr_0p1nm_db is None:
                    seen = DeviceRejected(f"{where} sees no signal: the lightpath stayed dark", device=receiver.device)
                elif reading.signal_state == "good" and reading.gsnr_0p1nm_db >= required_osnr_0p1nm_db:
                    return
                else:
                    seen = GsnrBelowMargin(
                        f"{where} reports {reading.signal_state} with GSNR {reading.gsnr_0p1nm_db:.2f} dB; "
                        f"the mode needs {required_osnr_0p1nm_db:.2f} dB",
                        device=receiver.device,
                    )
            if self._world.clock.tick_s() > give_up_at:
                raise seen
            await self._world.clock.sleep_s(self._world.timings.light_poll_s)

    async def _on_all(self, plan: Plan, step: Callable[[NodeAgent, SliceConfiguration], Awaitable[None]]) -> None:
        """Run one step on every device at once, in order of their names where order matters."""
        await _all([step(self._agent(device), plan.devices[device]) for device in sorted(plan.devices)])

    def _agent(self, device: str) -> NodeAgent:
        agent = self._world.agents.get(device)
        if agent is None:
            raise WrongState(f"device {device} is no longer part of the infrastructure", device=device)
        return agent

    def _known(self, plan: Plan) -> list[str]:
        return [self._agent(device).name for device in plan.devices]

    def _look(self, connection: Connection) -> NipsRecord | None:
        """The row as it is; who asked for an end that was reached before is told of it."""
        record = self._world.records.find(connection, self._name)
        if record is not None and record.state in AT_REST:
            self._tell(connection, record)
        return record

    async def _fail(self, record: NipsRecord, error: GeysersError) -> NipsRecord:
        """Nothing was booked: FAILED at once; else RELEASING, with the reason kept."""
        after = record.failing(error)
        return await self._write(record, after if record.plan else after.moved(NipsState.FAILED))

    async def _write(
        self, before: NipsRecord, after: NipsRecord, also: Callable[[Connection], None] | None = None
    ) -> NipsRecord:
        def work(connection: Connection) -> NipsRecord:
            if also is not None:
                also(connection)
            self._change(connection, before, after)
            return after

        return await self._world.store.run(work)

    def _change(self, connection: Connection, before: NipsRecord, after: NipsRecord) -> None:
        """Write the next state and tell the observer, in one transaction."""
        self._world.records.change(connection, before, after)
        self._tell(connection, after)

    def _tell(self, connection: Connection, after: NipsRecord) -> None:
        """Tell the observer where the service stands."""
        observer = self._world.observer
        if observer is None:
            return
        if after.state is NipsState.FAILED:
            observer.ended(connection, after.name, after.error)
        elif after.state in (NipsState.ACTIVE, NipsState.RELEASED):
            observer.ended(connection, after.name, after.nips)
        else:
            observer.changed(connection, after.name, after.nips)


def _plan_of(record: NipsRecord) -> Plan:
    if record.plan is None:
        raise WrongState(f"{record.name} is {record.state.value} without a plan", name=record.name)
    return record.plan


async def _acquired(turn: asyncio.Lock, clock: Clock, timeout_s: float) -> bool:
    """Take a lock within a time of `clock`; False when it was not to be had."""
    acquiring = asyncio.ensure_future(turn.acquire())
    timing = asyncio.ensure_future(clock.sleep_s(timeout_s))
    try:
        await asyncio.wait((acquiring, timing), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        if acquiring.done() and not acquiring.cancelled():
            turn.release()
        raise
    finally:
        acquiring.cancel()
        timing.cancel()
    return acquiring.done() and not acquiring.cancelled()


async def _all(steps: Iterable[Awaitable[None]]) -> None:
    """Wait for all, then raise the first refusal; what is no domain error comes first.

    Not a TaskGroup: it would cancel the others in the middle of a request, and leave them in doubt for nothing.
    """
    results = await asyncio.gather(*steps, return_exceptions=True)
    refusals = [result for result in results if isinstance(result, BaseException)]
    for refusal in sorted(refusals, key=lambda error: isinstance(error, GeysersError)):
        raise refusal
