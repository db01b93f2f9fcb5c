"""From demand to booking: an immutable snapshot to the PCE (hop 3), and its answer into rows, or once more.

The PCE computes without a lock; the booking transaction re-checks the generation that it computed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Connection

from controller.domain.errors import DeviceUnreachable, GeysersError, StaleGeneration
from controller.domain.infrastructure import VirtualInfrastructure
from controller.domain.it import Server
from controller.domain.nips import NipsAnswer, NipsDemand, NipsState
from controller.ncp.bookings import Bookings, ItUse, book, next_generation, read_bookings
from controller.ncp.lightpath import build_plan, nips_answer, path_request, roadm_key, shelf_key
from controller.ncp.node_agent import NodeAgent
from controller.ncp.records import NipsRecord
from controller.ncp.schema import NcpTables
from controller.ncp.ted import NodeFacts, TopologyProblem, build_snapshot, foreign_use
from controller.openroadm.facts import DeviceFacts
from controller.ports.broker import Broker
from controller.ports.path_computer import PathComputer
from controller.ports.store import Store
from pce.request import Candidate
from pce.ted_snapshot import TedSnapshot

log = structlog.get_logger()
COMPUTATIONS = 5
"""How often a path is computed before a moving topology counts as a refusal."""


@dataclass(frozen=True, slots=True)
class View:
    """One reading of the whole infrastructure."""

    snapshot: TedSnapshot
    problems: tuple[TopologyProblem, ...]
    facts: Mapping[str, NodeFacts]
    bookings: Bookings
    servers: Mapping[str, tuple[Server, ...]]


class NipsPlanner:
    """Plans services of one virtual infrastructure."""

    def __init__(
        self,
        store: Store,
        tables: NcpTables,
        broker: Broker,
        computer: PathComputer,
        agents: Mapping[str, NodeAgent],
    ) -> None:
        self.infrastructure: VirtualInfrastructure | None = None
        self._store = store
        self._tables = tables
        self._broker = broker
        self._computer = computer
        self._agents = agents
        self._seen: object = None
        self.booking_turn = asyncio.Lock()

    async def view(self, *, with_servers: bool) -> View:
        """Read everything now; without servers, IT sites are left out."""
        infrastructure = self._known_infrastructure()
        servers = await self._read_servers(infrastructure) if with_servers else {}
        facts = {
            node.node_id: NodeFacts(self._facts(roadm_key(node.node_id)), self._facts(shelf_key(node.node_id)))
            for node in infrastructure.nodes
        }
        seen = (infrastructure, {node: _lasting(entry) for node, entry in facts.items()})

        def read(connection: Connection) -> Bookings:
            # Bookings move the generation where they are written; what devices say moves it here.
            if seen != self._seen:
                next_generation(connection, self._tables)
            return read_bookings(connection, self._tables)

        bookings = await self._store.run(read)
        self._seen = seen
        snapshot, problems = build_snapshot(bookings.generation, infrastructure, facts, bookings, servers)
        return View(snapshot, problems, facts, bookings, servers)

    async def compute(self, demand: NipsDemand) -> tuple[NipsAnswer, Candidate, View]:
        """The best answer now; raises what the PCE raises."""
        view = await self.view(with_servers=demand.machine is not None)
        for site in () if demand.machine is None else demand.machine.candidate_it_site_ids:
            if site not in view.snapshot.sites:
                raise DeviceUnreachable(
                    f"IT site {site} cannot be read from the VIP now: ask again later", it_site=site
                )
        answer = await self._computer.compute(view.snapshot, path_request(demand))
        return nips_answer(answer), answer.best, view

    async def book(self, record: NipsRecord, write: Callable[[Connection, NipsRecord, NipsRecord], None]) -> NipsRecord:
        """Compute and book; returns the BOOKED record, written by `write` in the booking transaction.

        Raises what the PCE raises, or StaleGeneration when the topology moved under every computation.
        """
        # Services of this process take turns, else many at once would make each other's computation stale.
        async with self.booking_turn:
            for attempt in range(1, COMPUTATIONS + 1):
                answer, candidate, view = await self.compute(record.nips.demand)
                try:
                    return await self._store.run(self._booking(record, answer, candidate, view, write))
                except StaleGeneration as error:
                    log.info("computed on a stale topology", name=record.name, attempt=attempt, error=error.message)
        raise StaleGeneration(
            f"the topology moved during each of {COMPUTATIONS} computations: ask again", name=record.name
        )

    def _booking(
        self,
        record: NipsRecord,
        answer: NipsAnswer,
        candidate: Candidate,
        view: View,
        write: Callable[[Connection, NipsRecord, NipsRecord], None],
    ) -> Callable[[Connection], NipsRecord]:
        infrastructure = self._known_infrastructure()
        plan = build_plan(record.uid, record.nips.demand, candidate, infrastructure, view.facts)
        site = next((site for site in infrastructure.it_sites if site.it_site_id == plan.it_site_id), None)
        foreign = ItUse()
        if site is not None:
            booked = view.bookings.servers.get(site.it_site_id, ())
            foreign = foreign_use(booked, view.servers.get(site.it_site_id, ()))

        def work(connection: Connection) -> NipsRecord:
            generation = book(
                connection,
                self._tables,
                uid=record.uid,
                plan=plan,
                generation=view.snapshot.generation,
                site=site,
                foreign=foreign,
            )
            nips = replace(record.nips, answer=answer, state=NipsState.BOOKED)
            after = replace(record, nips=nips, plan=plan, generation=generation)
            write(connection, record, after)
            return after

        return work

    async def _read_servers(self, infrastructure: VirtualInfrastructure) -> dict[str, tuple[Server, ...]]:
        sites = [site.it_site_id for site in infrastructure.it_sites]
        readings: list[Any] = await asyncio.gather(
            *(self._broker.list_servers(infrastructure.name, site) for site in sites), return_exceptions=True
        )
        servers = {}
        for site, reading in zip(sites, readings, strict=True):
            if isinstance(reading, GeysersError):
                log.warning("IT site not readable", it_site=site, error=reading.message)
            elif isinstance(reading, BaseException):
                raise reading
            else:
                servers[site] = reading.servers
        return servers

    def _facts(self, device: str) -> DeviceFacts | None:
        agent = self._agents.get(device)
        return None if agent is None else agent.facts

    def _known_infrastructure(self) -> VirtualInfrastructure:
        if self.infrastructure is None:
            raise StaleGeneration("the controller has not read its infrastructure yet: ask again")
        return self.infrastructure


def _lasting(facts: NodeFacts) -> NodeFacts:
    """The facts without what the light itself changes."""
    return NodeFacts(
        None if facts.roadm is None else replace(facts.roadm, power_w=0.0),
        None if facts.shelf is None else replace(facts.shelf, power_w=0.0),
    )
