"""The durable record of every VI: rows, and the transitions that are legal between its states.

All methods run inside the caller's transaction. The observer hears of each change of state in the same transaction.

    REQUESTED → RESERVED → DEPLOYING → ACTIVE → DECOMMISSIONING → DECOMMISSIONED
        └──────────┴───────────┴──▶ FAILED (nothing held)  ──────────────┘
    and from each state before ACTIVE to DECOMMISSIONING, when the owner gives up first
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, update

from controller.domain import errors
from controller.domain.errors import AlreadyExists, GeysersError, NotFound, WrongState
from controller.domain.identity import Identity
from controller.domain.infrastructure import VirtualInfrastructure, VirtualInfrastructureState
from controller.domain.reservation import Reservation
from controller.licl.planner import Blueprint
from controller.licl.records import dump, load
from controller.ports.observer import Observer
from controller.ports.rng import Rng
from controller.sml.schema import SmlTables

State = VirtualInfrastructureState
LEGAL: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.RESERVED, State.FAILED, State.DECOMMISSIONING}),
    State.RESERVED: frozenset({State.DEPLOYING, State.FAILED, State.DECOMMISSIONING}),
    State.DEPLOYING: frozenset({State.ACTIVE, State.FAILED, State.DECOMMISSIONING}),
    State.ACTIVE: frozenset({State.DECOMMISSIONING}),
    State.DECOMMISSIONING: frozenset({State.DECOMMISSIONED}),
    State.FAILED: frozenset({State.DECOMMISSIONED}),
    State.DECOMMISSIONED: frozenset(),
}
ENDED = frozenset({State.FAILED, State.DECOMMISSIONED})
SETTING_UP = frozenset({State.REQUESTED, State.RESERVED, State.DEPLOYING})


@dataclass(frozen=True, slots=True)
class ProviderStep:
    """What one PIP was asked for a VI, and how far that got."""

    provider: str
    create_request_id: str
    activate_request_id: str
    delete_request_id: str
    reservation: Reservation | None
    active: bool
    released: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A VI as stored."""

    name: str
    owner: str
    state: State
    gri: str
    wanted: VirtualInfrastructure
    described: VirtualInfrastructure
    blueprint: Blueprint | None
    failure: GeysersError | None
    steps: tuple[ProviderStep, ...]

    @property
    def reservations(self) -> dict[str, Reservation]:
        """What the PIPs hold, by PIP."""
        return {step.provider: step.reservation for step in self.steps if step.reservation is not None}


class Registry:
    """Rows of the VIP's virtual infrastructures."""

    def __init__(self, tables: SmlTables, rng: Rng) -> None:
        self._table = tables.infrastructures
        self._steps = tables.provider_steps
        self._rng = rng
        self.observer: Observer[VirtualInfrastructure] | None = None

    def add(
        self, connection: Connection, owner: Identity, wanted: VirtualInfrastructure, gri: str, now: datetime
    ) -> VirtualInfrastructure:
        """Write a new VI in state REQUESTED; the name of one that ended may be used again."""
        self.check_free(connection, wanted.name)
        connection.execute(delete(self._table).where(self._table.c.name == wanted.name))
        described = replace(wanted, state=State.REQUESTED, gri=gri, create_time=now)
        connection.execute(
            insert(self._table).values(
                name=wanted.name,
                owner=owner.uri,
                state=State.REQUESTED.value,
                gri=gri,
                create_time=now.astimezone(UTC).replace(tzinfo=None),
                wanted=dump(wanted),
                described=dump(described),
            )
        )
        if self.observer is not None:
            self.observer.changed(connection, wanted.name, described)
        return described

    def check_free(self, connection: Connection, name: str) -> None:
        """AlreadyExists while a VI of this name is there and has not ended."""
        state = connection.execute(select(self._table.c.state).where(self._table.c.name == name)).scalar()
        if state is not None and State(state) not in ENDED:
            raise AlreadyExists(
                f"virtual infrastructure {name!r} exists already: choose another id or delete it first", name=name
            )

    def find(self, connection: Connection, name: str, owner: Identity | None = None) -> Record:
        """One VI; another owner's looks like none."""
        query = select(self._table).where(self._table.c.name == name)
        if owner is not None:
            query = query.where(self._table.c.owner == owner.uri)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"{name} not found", name=name)
        steps = connection.execute(
            select(self._steps).where(self._steps.c.infrastructure == name).order_by(self._steps.c.provider)
        ).mappings()
        kind = row["failure_kind"]
        return Record(
            name=name,
            owner=row["owner"],
            state=State(row["state"]),
            gri=row["gri"],
            wanted=load(VirtualInfrastructure, row["wanted"]),
            described=load(VirtualInfrastructure, row["described"]),
            blueprint=None if row["blueprint"] is None else load(Blueprint, row["blueprint"]),
            failure=None if kind is None else _failure(kind, row["failure_message"]),
            steps=tuple(
                ProviderStep(
                    provider=step["provider"],
                    create_request_id=step["create_request_id"],
                    activate_request_id=step["activate_request_id"],
                    delete_request_id=step["delete_request_id"],
                    reservation=None if step["reservation"] is None else load(Reservation, step["reservation"]),
                    active=bool(step["active"]),
                    released=bool(step["released"]),
                )
                for step in steps
            ),
        )

    def names(self, connection: Connection, owner: Identity | None = None) -> tuple[str, ...]:
        """Names of all VIs, or of one owner's."""
        query = select(self._table.c.name).order_by(self._table.c.name)
        if owner is not None:
            query = query.where(self._table.c.owner == owner.uri)
        return tuple(connection.scalars(query))

    def unfinished(self, connection: Connection) -> tuple[str, ...]:
        """VIs that something must be done for after a restart: all but those that ended."""
        query = select(self._table.c.name).where(self._table.c.state.not_in([state.value for state in ENDED]))
        return tuple(connection.scalars(query.order_by(self._table.c.name)))

    def keep_plan(
        self, connection: Connection, name: str, blueprint: Blueprint, described: VirtualInfrastructure
    ) -> None:
        """Store the blueprint, and a fresh request id for every call that it will take."""
        self._expect(connection, name, State.REQUESTED)
        self._describe(connection, name, described)
        connection.execute(update(self._table).where(self._table.c.name == name).values(blueprint=dump(blueprint)))
        for provider in blueprint.reservations:
            connection.execute(
                insert(self._steps).values(
                    infrastructure=name,
                    provider=provider,
                    create_request_id=self._rng.uuid(),
                    activate_request_id=self._rng.uuid(),
                    delete_request_id=self._rng.uuid(),
                    active=False,
                    released=False,
                )
            )

    def keep_reservation(self, connection: Connection, name: str, provider: str, held: Reservation) -> None:
        """Store what a PIP answered that it holds."""
        self._update_step(connection, name, provider, reservation=dump(held))

    def keep_active(self, connection: Connection, name: str, provider: str) -> None:
        """A PIP's reservation is usable."""
        self._update_step(connection, name, provider, active=True)

    def keep_released(self, connection: Connection, name: str, provider: str) -> None:
        """A PIP confirmed that it holds nothing for this VI."""
        self._update_step(connection, name, provider, released=True)

    def keep_failure(self, connection: Connection, name: str, error: GeysersError) -> None:
        """Why the set-up cannot succeed: from now on it is being undone."""
        record = self.find(connection, name)
        if record.state in SETTING_UP and record.failure is None:
            connection.execute(
                update(self._table)
                .where(self._table.c.name == name)
                .values(failure_kind=type(error).__name__, failure_message=error.message)
            )

    def move(
        self, connection: Connection, name: str, target: State, described: VirtualInfrastructure | None = None
    ) -> VirtualInfrastructure:
        """Move to `target`, with a new description when one is given; an illegal move is WrongState."""
        record = self.find(connection, name)
        if target not in LEGAL[record.state]:
            raise WrongState(
                f"virtual infrastructure {name!r} is {record.state.value} and cannot become {target.value}",
                name=name,
                state=record.state.value,
            )
        connection.execute(update(self._table).where(self._table.c.name == name).values(state=target.value))
        thing = replace(described or record.described, state=target)
        if target in ENDED:
            thing = without_addresses(thing)
        self._describe(connection, name, thing)
        if self.observer is not None:
            self.observer.changed(connection, name, thing)
        self.announce(connection, name)
        return thing

    def announce(self, connection: Connection, name: str) -> None:
        """Tell the observer about a VI whose work is over."""
        record = self.find(connection, name)
        if self.observer is None:
            return
        if record.state is State.FAILED:
            self.observer.ended(connection, name, record.failure or WrongState(f"{name} failed", name=name))
        elif record.state in (State.ACTIVE, State.DECOMMISSIONED):
            self.observer.ended(connection, name, record.described)

    def _expect(self, connection: Connection, name: str, state: State) -> None:
        record = self.find(connection, name)
        if record.state is not state or record.failure is not None:
            raise WrongState(f"virtual infrastructure {name!r} is {record.state.value} by now", name=name)

    def _describe(self, connection: Connection, name: str, described: VirtualInfrastructure) -> None:
        connection.execute(update(self._table).where(self._table.c.name == name).values(described=dump(described)))

    def _update_step(self, connection: Connection, name: str, provider: str, **values: object) -> None:
        connection.execute(
            update(self._steps)
            .where(self._steps.c.infrastructure == name, self._steps.c.provider == provider)
            .values(**values)
        )


def without_addresses(thing: VirtualInfrastructure) -> VirtualInfrastructure:
    """The record of a VI whose virtual nodes are no more."""
    return replace(thing, nodes=tuple(replace(node, roadm=None, transponder=None) for node in thing.nodes))


def _failure(kind: str, message: str) -> GeysersError:
    cls = getattr(errors, kind, WrongState)
    error: GeysersError = cls(message)
    return error
