"""Life of virtual infrastructures: from a request to a running VI and back to nothing, across several PIPs.

One actor task per VI that has work to do; every state is durable before the effect that follows it, every call to a PIP
carries a request id that was stored first, and `start` re-drives whatever a crash left unfinished.

    admit ─▶ REQUESTED   plan on the PIPs' offers, then hold the parts at every PIP under one GRI
             RESERVED    activate at every PIP
             DEPLOYING   start the virtual nodes
             ACTIVE ─▶ admit_release ─▶ DECOMMISSIONING   stop the nodes, give back at every PIP ─▶ DECOMMISSIONED

Any failure before ACTIVE is stored first; then everything is given back, at each PIP until it confirmed, and the VI
ends FAILED with the reason kept. A PIP that was asked and did not answer is asked again a few times under the same
request id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceLocked,
    DeviceUnreachable,
    GeysersError,
    NotPermitted,
    WrongState,
)
from controller.domain.identity import Identity
from controller.domain.infrastructure import VirtualInfrastructure
from controller.licl.mapping import map_nodes, with_ports
from controller.licl.nodes import Deployment, NodeAddresses, VirtualNodes
from controller.licl.planner import Blueprint, describe
from controller.licl.request import split_name, validate
from controller.ports.clock import Clock, wait_for
from controller.ports.observer import Observer
from controller.ports.rng import Rng
from controller.ports.store import Store
from controller.sml.market import Market
from controller.sml.registry import ENDED, ProviderStep, Record, Registry, State
from controller.sml.schema import SmlTables

log = structlog.get_logger()
_TRANSIENT = (DeviceUnreachable, DeviceInDoubt, DeviceLocked)


@dataclass(frozen=True, slots=True)
class LifecycleTimes:
    """How often a step is tried, and how long to wait in between."""

    set_up_tries: int = 5
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0


class Lifecycle:
    """All VIs of one VIP."""

    def __init__(
        self,
        identity: Identity,
        store: Store,
        tables: SmlTables,
        market: Market,
        nodes: VirtualNodes,
        clock: Clock,
        rng: Rng,
        times: LifecycleTimes | None = None,
    ) -> None:
        self._identity = identity
        self._store = store
        self._registry = Registry(tables, rng)
        self._market = market
        self._nodes = nodes
        self._clock = clock
        self._rng = rng
        self._times = times or LifecycleTimes()
        self._actors: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}

    @property
    def observer(self) -> Observer[VirtualInfrastructure] | None:
        """Who hears of every change of state, inside its transaction."""
        return self._registry.observer

    @observer.setter
    def observer(self, observer: Observer[VirtualInfrastructure] | None) -> None:
        self._registry.observer = observer

    async def start(self) -> None:
        """Go on with all VIs that a stop or a crash left unfinished, and serve the active ones again."""
        for name in await self._store.run(self._registry.unfinished):
            self.wake(name)

    async def stop(self) -> None:
        """Stop all actors; the store knows where each was."""
        actors, self._actors = self._actors, {}
        for actor in actors.values():
            actor.cancel()
        await asyncio.gather(*actors.values(), return_exceptions=True)

    async def check(self, owner: Identity, wanted: VirtualInfrastructure) -> None:
        """Raise what stands against `wanted` as things are now; holds nothing."""
        self._check_owner(owner, wanted)
        validate(wanted)
        # First, or an operator who orders twice would hear that its own parts are in the way.
        await self._store.run(lambda connection: self._registry.check_free(connection, wanted.name))
        await self._market.plan(wanted)

    def admit(self, connection: Connection, owner: Identity, wanted: VirtualInfrastructure) -> VirtualInfrastructure:
        """Write a VI in state REQUESTED, its GRI made; AlreadyExists while the name is in use."""
        self._check_owner(owner, wanted)
        validate(wanted)
        gri = f"geysers://{self._identity.domain}/vip/{self._identity.name}/gri/{self._rng.uuid()}"
        return self._registry.add(connection, owner, _as_asked(wanted), gri, self._clock.now())

    def admit_release(self, connection: Connection, owner: Identity, name: str) -> VirtualInfrastructure:
        """Write that a VI is to be taken down; again changes nothing. NotFound when it is not the owner's."""
        record = self._registry.find(connection, name, owner)
        if record.state is State.FAILED:
            return self._registry.move(connection, name, State.DECOMMISSIONED)
        if record.state in (State.DECOMMISSIONING, State.DECOMMISSIONED):
            return record.described
        return self._registry.move(connection, name, State.DECOMMISSIONING)

    async def get(self, owner: Identity, name: str) -> VirtualInfrastructure:
        """One VI as it stands; NotFound when it is not the owner's."""
        record = await self._store.run(lambda connection: self._registry.find(connection, name, owner))
        return record.described

    async def list(self, owner: Identity) -> tuple[VirtualInfrastructure, ...]:
        """All VIs of an owner, by name."""

        def work(connection: Connection) -> tuple[VirtualInfrastructure, ...]:
            names = self._registry.names(connection, owner)
            return tuple(self._registry.find(connection, name).described for name in names)

        return await self._store.run(work)

    def wake(self, name: str) -> None:
        """See to a VI now; to be called once its transaction is committed."""
        self._wakes.setdefault(name, asyncio.Event()).set()
        current = self._actors.get(name)
        if current is None or current.done():
            actor = asyncio.get_running_loop().create_task(self._act(name), name=f"vi {name}")
            self._actors[name] = actor

    async def _act(self, name: str) -> None:
        """The actor of one VI: drives it step by step until nothing is left to do."""
        woken = self._wakes[name]
        failures = 0
        while True:
            woken.clear()
            settled = False
            try:
                settled = await self._step(name)
                failures = 0
            except GeysersError as error:
                failures += 1
                log.warning("step failed", vi=name, kind=type(error).__name__, error=error.message, failures=failures)
                await self._consider(name, error, failures)
            except Exception:
                failures += 1
                log.exception("bug in a step", vi=name, failures=failures)
                await self._consider(name, WrongState(f"{name}: internal error"), failures)
            if settled and not woken.is_set():
                # No await between the question and the farewell: a wake after this starts a new actor.
                del self._actors[name], self._wakes[name]
                return
            if failures:
                await self._back_off(woken, failures)

    async def _consider(self, name: str, error: GeysersError, failures: int) -> None:
        """Decide whether a failed step of a set-up is the end of it; giving back is never given up."""
        if isinstance(error, _TRANSIENT) and failures < self._times.set_up_tries:
            return
        try:
            await self._store.run(lambda connection: self._registry.keep_failure(connection, name, error))
        except GeysersError as unknown:
            log.error("vi vanished", vi=name, error=unknown.message)
        except Exception:
            # A store that is full or locked, most likely. The step is tried again, and so is this when it fails again.
            log.exception("failure not recorded", vi=name)

    async def _step(self, name: str) -> bool:
        """One step of a VI; True when nothing is left to do."""
        record = await self._store.run(lambda connection: self._registry.find(connection, name))
        if record.state in ENDED:
            # Somebody asked again after the end, and waits to hear of it.
            await self._store.run(lambda connection: self._registry.announce(connection, name))
            return True
        if record.state is State.ACTIVE:
            await self._deploy(record)
            await self._store.run(lambda connection: self._registry.announce(connection, name))
            return True
        if record.state is State.DECOMMISSIONING:
            await self._give_back(record, State.DECOMMISSIONED)
            return True
        if record.failure is not None:
            await self._give_back(record, State.FAILED)
            return True
        if record.state is State.DEPLOYING:
            await self._bring_up(record)
            return True
        if record.state is State.RESERVED:
            await self._activate(record)
        else:
            await self._reserve(record)
        return False

    async def _reserve(self, record: Record) -> None:
        if record.blueprint is None:
            blueprint = await self._market.plan(record.wanted)
            described = describe(record.described, blueprint)
            await self._store.run(
                lambda connection: self._registry.keep_plan(connection, record.name, blueprint, described)
            )
            return
        for step in record.steps:
            if step.reservation is None:
                await self._reserve_at(record, record.blueprint, step)
        await self._store.run(lambda connection: self._registry.move(connection, record.name, State.RESERVED))

    async def _reserve_at(self, record: Record, blueprint: Blueprint, step: ProviderStep) -> None:
        wanted = replace(blueprint.reservations[step.provider], gri=record.gri)
        held = await self._market.reserve(step.provider, wanted, step.create_request_id)
        await self._store.run(
            lambda connection: self._registry.keep_reservation(connection, record.name, step.provider, held)
        )

    async def _activate(self, record: Record) -> None:
        # Before anything is made usable: do the answers give each node what it needs?
        mappings = map_nodes(record.wanted, _planned(record), record.reservations)
        described = with_ports(record.described, mappings)
        for step in record.steps:
            if not step.active:
                await self._activate_at(record, step)
        await self._store.run(
            lambda connection: self._registry.move(connection, record.name, State.DEPLOYING, described)
        )

    async def _activate_at(self, record: Record, step: ProviderStep) -> None:
        reservation = record.reservations[step.provider].name
        await self._market.activate(step.provider, reservation, step.activate_request_id)
        await self._store.run(lambda connection: self._registry.keep_active(connection, record.name, step.provider))

    async def _bring_up(self, record: Record) -> None:
        addresses = await self._deploy(record)
        nodes = tuple(
            replace(node, roadm=addresses[node.node_id].roadm, transponder=addresses[node.node_id].shelf)
            for node in record.described.nodes
        )
        described = replace(record.described, nodes=nodes)
        await self._store.run(lambda connection: self._registry.move(connection, record.name, State.ACTIVE, described))

    async def _deploy(self, record: Record) -> Mapping[str, NodeAddresses]:
        vio, _ = split_name(record.name)
        mappings = map_nodes(record.wanted, _planned(record), record.reservations)
        return await self._nodes.deploy(Deployment(record.name, vio, record.wanted.ssh_public_key, mappings))

    async def _give_back(self, record: Record, target: State) -> None:
        """Rights first: the operator is cut off before the parts return to their providers."""
        await self._nodes.withdraw(record.name, [held.name for held in record.reservations.values()])
        outcomes = await asyncio.gather(
            *(self._release_at(record, step) for step in record.steps if not step.released), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        await self._store.run(lambda connection: self._registry.move(connection, record.name, target))

    async def _release_at(self, record: Record, step: ProviderStep) -> None:
        await self._market.release(step.provider, record.gri, step.delete_request_id)
        await self._store.run(lambda connection: self._registry.keep_released(connection, record.name, step.provider))

    async def _back_off(self, woken: asyncio.Event, failures: int) -> None:
        """Wait before the next try, longer each time; a wake ends the wait."""
        wait_s = min(self._times.first_retry_s * 2 ** min(failures - 1, 16), self._times.longest_retry_s)
        wait_s *= self._rng.uniform(0.8, 1.2)
        await wait_for(self._clock, woken, wait_s)

    def _check_owner(self, owner: Identity, wanted: VirtualInfrastructure) -> None:
        vio, _ = split_name(wanted.name)
        if vio != owner.name:
            raise NotPermitted(f"{wanted.name!r}: make your virtual infrastructures under vios/{owner.name}")


def _planned(record: Record) -> Blueprint:
    if record.blueprint is None:
        raise WrongState(f"virtual infrastructure {record.name!r} has no plan yet", name=record.name)
    return record.blueprint


def _as_asked(wanted: VirtualInfrastructure) -> VirtualInfrastructure:
    """Without what is only ours to fill in."""
    nodes = tuple(
        replace(node, roadm=None, transponder=None, location=None, add_drop_osnr_0p1nm_db=0.0, modes=())
        for node in wanted.nodes
    )
    links = tuple(
        replace(link, a_to_z_qot=None, z_to_a_qot=None, a_port="", z_port="", power_w=0.0) for link in wanted.links
    )
    it_sites = tuple(
        replace(site, server_idle_w=0.0, vcpu_w=0.0, pue=1.0, carbon_g_per_kwh=0.0) for site in wanted.it_sites
    )
    return replace(wanted, nodes=nodes, links=links, it_sites=it_sites, state=None, gri="", create_time=None)
