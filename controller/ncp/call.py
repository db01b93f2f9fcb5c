"""Hop 2 of 8: admission. A call becomes a durable row; an actor per service (hop 4) carries it on.

    start() ─▶ one NodeAgent task per virtual device
            └▶ one Saga task per unfinished row ◀── wake(name)

The caller (hop 1, controller/api) admits inside its own transaction, together with its operation, and wakes after.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import Connection

from controller.domain.errors import (
    AlreadyExists,
    DeviceInDoubt,
    DeviceUnreachable,
    GeysersError,
    InvalidRequest,
    NotFound,
    NotPermitted,
    WrongState,
)
from controller.domain.identity import Identity
from controller.domain.infrastructure import NetconfAddress, VirtualInfrastructure, VirtualInfrastructureState
from controller.domain.nips import Nips, NipsDemand, NipsState
from controller.ncp.it_part import ItPart, ItTimings
from controller.ncp.lightpath import roadm_key, shelf_key
from controller.ncp.node_agent import AgentTimings, NodeAgent, SessionFactory
from controller.ncp.planner import NipsPlanner
from controller.ncp.records import TERMINAL, NipsRecord, Records
from controller.ncp.schema import NcpTables
from controller.ncp.signalling import DeviceTurns, Saga, SagaTimings, World
from controller.ncp.ted import TopologyProblem
from controller.ports.broker import Broker
from controller.ports.clock import Clock
from controller.ports.observer import Observer
from controller.ports.path_computer import PathComputer
from controller.ports.rng import Rng
from controller.ports.store import Store
from pce.ted_snapshot import TedSnapshot

log = structlog.get_logger()
_NAME = re.compile(r"vios/([a-z][a-z0-9-]{0,62})/nips/([a-z][a-z0-9-]{0,62})")
_INFRASTRUCTURE = re.compile(r"vios/([a-z][a-z0-9-]{0,62})/virtualInfrastructures/[a-z][a-z0-9-]{0,62}")
RETRY_S = 2.0


class Calls:
    """The services of one operator on its virtual infrastructure."""

    def __init__(
        self,
        *,
        infrastructure: str,
        store: Store,
        tables: NcpTables,
        broker: Broker,
        path_computer: PathComputer,
        open_session: SessionFactory,
        clock: Clock,
        rng: Rng,
        saga_timings: SagaTimings | None = None,
        agent_timings: AgentTimings | None = None,
        it_timings: ItTimings | None = None,
    ) -> None:
        match = _INFRASTRUCTURE.fullmatch(infrastructure)
        if match is None:
            raise InvalidRequest(
                f"{infrastructure!r} names no infrastructure: write vios/VIO/virtualInfrastructures/VI",
                field="infrastructure",
                value=infrastructure,
            )
        self._name = infrastructure
        self._vio = match[1]
        self._store = store
        self._broker = broker
        self._clock = clock
        self._rng = rng
        self._open_session = open_session
        self._agent_timings = agent_timings or AgentTimings()
        agents: dict[str, NodeAgent] = {}
        self._world = World(
            store=store,
            tables=tables,
            planner=NipsPlanner(store, tables, broker, path_computer, agents),
            it_part=ItPart(broker, infrastructure, clock, it_timings),
            clock=clock,
            rng=rng,
            timings=saga_timings or SagaTimings(),
            agents=agents,
        )
        self._records = Records(tables)
        self._tasks: set[asyncio.Task[None]] = set()
        self._actors: dict[str, asyncio.Task[None]] = {}
        self._woken: set[str] = set()
        self._started = False

    @property
    def observer(self) -> Observer[Nips] | None:
        """Told of every state change, inside its transaction."""
        return self._world.observer

    @observer.setter
    def observer(self, observer: Observer[Nips] | None) -> None:
        self._world.observer = observer

    async def start(self) -> None:
        """Read the infrastructure, log in to its nodes, and carry on with every unfinished service.

        Waits for the broker as long as it takes, but for each node only until its first attempt is over. Raises
        NotFound or WrongState when there is no active infrastructure of this name.
        """
        infrastructure = await self._read_infrastructure()
        self._world.planner.infrastructure = infrastructure
        for device, address in _devices(infrastructure).items():
            agent = NodeAgent(device, address, self._open_session, self._clock, self._rng, self._agent_timings)
            self._world.agents[device] = agent
            self._spawn(agent.run(), f"agent {device}")
        await asyncio.gather(*(agent.tried.wait() for agent in self._world.agents.values()))
        unfinished = await self._store.run(self._records.unfinished)
        turns = await self._turns_of_pending(unfinished)
        self._started = True
        early, self._woken = self._woken, set()
        for record in unfinished:
            self._act(record.name, turns[record.name])
        # Rows that changed while we were starting, perhaps after `unfinished` was read.
        for name in sorted(early):
            self._act(name)

    async def _turns_of_pending(self, unfinished: Sequence[NipsRecord]) -> dict[str, DeviceTurns]:
        """Turns at devices that may hold a confirmed commit (rows with a persist-id), before anybody else has one.

        A saga before or in confirmation held all its devices; one that is being undone may have given some back.
        """
        world = self._world
        turns = {
            record.name: DeviceTurns(world.agents, world.clock, world.timings.turn_timeout_s) for record in unfinished
        }
        owing = [record for record in unfinished if record.persist_id is not None and record.plan is not None]
        for record in sorted(owing, key=lambda record: record.state is NipsState.RELEASING):
            await turns[record.name].take_free(record.plan.devices if record.plan else ())
        return turns

    async def close(self) -> None:
        """Stop where everything stands; the next start carries on."""
        self._started = False
        tasks = [*self._actors.values(), *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(agent.close() for agent in self._world.agents.values()))

    def admit(self, connection: Connection, owner: Identity, demand: NipsDemand) -> Nips:
        """Write the row of a new service; call `wake` once the transaction is over.

        Raises AlreadyExists, InvalidRequest, NotPermitted, and NotFound for an unknown node or IT site.
        """
        self._check(owner, demand)
        existing = self._records.find(connection, demand.name)
        if existing is not None and existing.state not in TERMINAL:
            raise AlreadyExists(
                f"{demand.name} exists already and is {existing.state.value}: choose another nips_id", name=demand.name
            )
        nips = Nips(demand, NipsState.ADMITTED, self._clock.now())
        self._records.add(connection, NipsRecord(self._rng.uuid(), owner.uri, nips))
        return nips

    async def validate(self, owner: Identity, demand: NipsDemand) -> Nips:
        """What the service would get now; nothing is written. Raises what `admit` and the PCE raise."""
        self._check(owner, demand)
        answer, _, _ = await self._world.planner.compute(demand)
        return Nips(demand, NipsState.ADMITTED, self._clock.now(), answer=answer)

    def admit_release(self, connection: Connection, owner: Identity, name: str) -> Nips:
        """Mark a service for release; call `wake` once the transaction is over.

        A service that is being released or is released is answered as it is; one that FAILED, and so has nothing left,
        becomes RELEASED. Raises NotFound, and WrongState while it is being set up or undone.
        """
        record = self._own(self._records.find(connection, name), owner, name)
        if record.state is NipsState.RELEASED or (record.state is NipsState.RELEASING and not record.failure_kind):
            return record.nips
        if record.state not in (NipsState.ACTIVE, NipsState.FAILED):
            raise WrongState(f"{name} is {record.state.value}: release it once it is ACTIVE", name=name)
        after = record.moved(NipsState.RELEASING, failure_kind="")
        self._records.change(connection, record, after)
        if self.observer is not None:
            self.observer.changed(connection, name, after.nips)
        return after.nips

    def wake(self, name: str) -> None:
        """Somebody changed the row of `name`: look at it, or once started if that is still to come."""
        if self._started:
            self._act(name)
        else:
            self._woken.add(name)

    async def get(self, owner: Identity, name: str) -> Nips:
        """One service of the caller's; an active one with the GSNR that its receivers report now."""
        record = self._own(await self._store.run(lambda connection: self._records.find(connection, name)), owner, name)
        if record.state is not NipsState.ACTIVE:
            return record.nips
        return replace(record.nips, measured_gsnr_0p1nm_db=await self._measure(record))

    async def list(self, owner: Identity) -> tuple[Nips, ...]:
        """All services of the caller's, in order of name."""
        records = await self._store.run(lambda connection: self._records.of_owner(connection, owner.uri))
        return tuple(record.nips for record in records)

    async def topology(self, owner: Identity) -> tuple[TedSnapshot, tuple[TopologyProblem, ...]]:
        """The TED now, and what had to be left out of it."""
        self._check_vio(owner, owner.name)
        view = await self._world.planner.view(with_servers=True)
        return view.snapshot, view.problems

    def _check(self, owner: Identity, demand: NipsDemand) -> None:
        match = _NAME.fullmatch(demand.name)
        if match is None:
            raise InvalidRequest(
                f"nips.name {demand.name!r}: write vios/VIO/nips/NIPS in lower case letters, digits and hyphens",
                field="nips.name",
                value=demand.name,
            )
        self._check_vio(owner, match[1])
        infrastructure = self._known_infrastructure()
        nodes = [node.node_id for node in infrastructure.nodes]
        sites = [site.it_site_id for site in infrastructure.it_sites]
        _check_known("nips.source_node_id", demand.source_node_id, nodes)
        if demand.destination_node_id:
            _check_known("nips.destination_node_id", demand.destination_node_id, nodes)
        if demand.destination_node_id == demand.source_node_id:
            raise InvalidRequest(
                f"nips.destination_node_id {demand.destination_node_id!r} is the source: name another node",
                field="nips.destination_node_id",
                value=demand.destination_node_id,
            )
        for site in () if demand.machine is None else demand.machine.candidate_it_site_ids:
            _check_known("nips.it_demand.candidate_it_site_ids", site, sites)

    def _check_vio(self, owner: Identity, vio: str) -> None:
        if not owner.name == vio == self._vio:
            raise NotPermitted(f"vios/{vio} is not served here to {owner.uri}: call your own controller", vio=vio)

    async def _measure(self, record: NipsRecord) -> float | None:
        """The lower GSNR of both ends in dB; None when an end cannot be read or sees no light."""
        if record.plan is None:
            return None
        readings: list[float] = []
        for receiver in record.plan.receivers:
            agent = self._world.agents.get(receiver.device)
            try:
                reading = None if agent is None else await agent.reception(receiver.network_port)
            except GeysersError as error:
                log.warning("receiver not readable", device=receiver.device, error=error.message)
                return None
            if reading is None or reading.gsnr_0p1nm_db is None:
                return None
            readings.append(reading.gsnr_0p1nm_db)
        return min(readings, default=None)

    def _own(self, record: NipsRecord | None, owner: Identity, name: str) -> NipsRecord:
        if record is None or record.owner != owner.uri:
            # In the words of hop 1 for a name that is not the caller's: absent and another's look the same.
            raise NotFound(f"{name} not found", name=name)
        return record

    async def _read_infrastructure(self) -> VirtualInfrastructure:
        while True:
            try:
                infrastructure = await self._broker.get_infrastructure(self._name)
            except (DeviceUnreachable, DeviceInDoubt) as error:
                log.warning("the broker does not answer yet", infrastructure=self._name, error=error.message)
                await self._clock.sleep_s(RETRY_S)
                continue
            if infrastructure.state not in (None, VirtualInfrastructureState.ACTIVE):
                raise WrongState(
                    f"{self._name} is {infrastructure.state.value}: start the controller once it is ACTIVE",
                    name=self._name,
                )
            return infrastructure

    def _known_infrastructure(self) -> VirtualInfrastructure:
        infrastructure = self._world.planner.infrastructure
        if infrastructure is None:
            raise WrongState("the controller has not read its infrastructure yet: ask again later")
        return infrastructure

    def _act(self, name: str, turns: DeviceTurns | None = None) -> None:
        if name in self._actors:
            self._woken.add(name)
            return
        self._actors[name] = asyncio.get_running_loop().create_task(self._carry(name, turns), name=name)

    async def _carry(self, name: str, turns: DeviceTurns | None) -> None:
        """One service's actor: run its saga, again when it was woken meanwhile."""
        while True:
            self._woken.discard(name)
            try:
                await Saga(self._world, name, turns).run()
            except Exception as error:
                # A bug, or a refusal in a state that only goes on: what a restart would do is right here too.
                log.exception("saga interrupted", name=name, error=str(error))
                self._woken.add(name)
                await self._clock.sleep_s(RETRY_S)
            turns = None
            if name not in self._woken:
                break
        self._actors.pop(name, None)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(_report)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("task ended by a bug", task=task.get_name(), exc_info=task.exception())


def _devices(infrastructure: VirtualInfrastructure) -> dict[str, NetconfAddress]:
    devices = {}
    for node in infrastructure.nodes:
        if node.roadm is not None:
            devices[roadm_key(node.node_id)] = node.roadm
        if node.transponder is not None:
            devices[shelf_key(node.node_id)] = node.transponder
    return devices


def _check_known(field: str, value: str, known: list[str]) -> None:
    if value not in known:
        names = ", ".join(sorted(known)) or "none"
        raise NotFound(f"{field} {value!r} is not in this infrastructure: use one of {names}", field=field, value=value)
