"""A service as it is kept: the row of the `nips` table as a typed record, and the plan that it carries out.

The plan is written in the transaction that books it, so that whoever takes over after a crash needs neither the PCE
nor the devices to know what may have been touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from controller.domain import errors
from controller.domain.errors import GeysersError, StaleGeneration
from controller.domain.it import ItResourceState, Server, Steering
from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.nips import (
    MachineDemand,
    Nips,
    NipsAnswer,
    NipsDemand,
    NipsObjective,
    NipsState,
    WeighedRefusal,
)
from controller.domain.spectrum import FrequencySlot
from controller.ncp.schema import NcpTables

TERMINAL = frozenset({NipsState.RELEASED, NipsState.FAILED})
AT_REST = TERMINAL | {NipsState.ACTIVE}


@dataclass(frozen=True, slots=True)
class Receiver:
    """A line port whose light decides whether the service works."""

    device: str
    network_port: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a service takes, by the names of this controller's devices, links and sites."""

    devices: Mapping[str, SliceConfiguration]
    receivers: tuple[Receiver, ...]
    required_osnr_0p1nm_db: float
    slot: FrequencySlot
    directed_links: tuple[str, ...]
    transponders: tuple[tuple[str, str], ...]
    """(node, network port)."""
    steerings: tuple[tuple[str, Steering], ...]
    """(node, steering)."""
    it_site_id: str = ""
    server: Server | None = None


@dataclass(frozen=True, slots=True)
class NipsRecord:
    """One row. `uid` marks everything that the service owns outside this process."""

    uid: str
    owner: str
    nips: Nips
    plan: Plan | None = None
    persist_id: str | None = None
    """While set, devices may hold a confirmed commit under this persist-id."""
    failure_kind: str = ""
    generation: int = 0

    @property
    def name(self) -> str:
        return self.nips.demand.name

    @property
    def state(self) -> NipsState:
        return self.nips.state

    def moved(self, state: NipsState, **changes: Any) -> NipsRecord:
        """The record in `state`, with `changes` to it."""
        return replace(self, nips=replace(self.nips, state=state), **changes)

    def failing(self, error: GeysersError) -> NipsRecord:
        """The record on its way to FAILED because of `error`."""
        nips = replace(self.nips, state=NipsState.RELEASING, failure=error.message)
        return replace(self, nips=nips, failure_kind=type(error).__name__)

    @property
    def error(self) -> GeysersError:
        """Why it failed, as raised then."""
        kind = getattr(errors, self.failure_kind, GeysersError)
        error: GeysersError = kind(self.nips.failure)
        return error


@dataclass(frozen=True, slots=True)
class Records:
    """Reads and writes rows inside the caller's transaction."""

    tables: NcpTables

    def find(self, connection: Connection, name: str) -> NipsRecord | None:
        table = self.tables.nips
        row = connection.execute(select(table).where(table.c.name == name)).mappings().first()
        return None if row is None else _from_row(row)

    def of_owner(self, connection: Connection, owner: str) -> list[NipsRecord]:
        table = self.tables.nips
        query = select(table).where(table.c.owner == owner).order_by(table.c.name)
        return [_from_row(row) for row in connection.execute(query).mappings()]

    def unfinished(self, connection: Connection) -> list[NipsRecord]:
        """Every row that somebody must carry on with, whoever wrote it."""
        table = self.tables.nips
        query = select(table).where(table.c.state.not_in([state.value for state in AT_REST])).order_by(table.c.name)
        return [_from_row(row) for row in connection.execute(query).mappings()]

    def add(self, connection: Connection, record: NipsRecord) -> None:
        """Write a new row; the row of an ended service of the same name gives way."""
        table = self.tables.nips
        ended = [state.value for state in TERMINAL]
        connection.execute(delete(table).where(table.c.name == record.name, table.c.state.in_(ended)))
        connection.execute(insert(table).values(**_to_row(record)))

    def change(self, connection: Connection, before: NipsRecord, after: NipsRecord) -> None:
        """Write `after`; raises StaleGeneration when the row is not as `before` any more."""
        table = self.tables.nips
        here = (table.c.name == before.name, table.c.uid == before.uid, table.c.state == before.state.value)
        if connection.execute(update(table).where(*here).values(**_to_row(after))).rowcount != 1:
            raise StaleGeneration(f"{before.name} is no longer {before.state.value}: read it again", name=before.name)


def _to_row(record: NipsRecord) -> dict[str, Any]:
    nips = record.nips
    return {
        "name": record.name,
        "uid": record.uid,
        "owner": record.owner,
        "demand": json.dumps({**asdict(nips.demand), "objective": nips.demand.objective.value}),
        "state": nips.state.value,
        "answer": None if nips.answer is None else json.dumps(asdict(nips.answer)),
        "plan": None if record.plan is None else json.dumps(_plan_to_json(record.plan)),
        "persist_id": record.persist_id,
        "server": None if nips.server is None else json.dumps(_server_to_json(nips.server)),
        "failure": nips.failure,
        "failure_kind": record.failure_kind,
        "create_time": nips.create_time.astimezone(UTC).replace(tzinfo=None),
        "generation": record.generation,
    }


def _from_row(row: Any) -> NipsRecord:
    answer = json.loads(row["answer"]) if row["answer"] else None
    return NipsRecord(
        uid=row["uid"],
        owner=row["owner"],
        nips=Nips(
            demand=_demand_from_json(json.loads(row["demand"])),
            state=NipsState(row["state"]),
            create_time=row["create_time"].replace(tzinfo=UTC),
            answer=None if answer is None else _answer_from_json(answer),
            server=_server_from_json(json.loads(row["server"])) if row["server"] else None,
            failure=row["failure"],
        ),
        plan=_plan_from_json(json.loads(row["plan"])) if row["plan"] else None,
        persist_id=row["persist_id"],
        failure_kind=row["failure_kind"],
        generation=row["generation"],
    )


def _demand_from_json(given: dict[str, Any]) -> NipsDemand:
    machine = given["machine"]
    if machine is not None:
        machine = MachineDemand(**{**machine, "candidate_it_site_ids": tuple(machine["candidate_it_site_ids"])})
    return NipsDemand(**{**given, "machine": machine, "objective": NipsObjective(given["objective"])})


def _answer_from_json(given: dict[str, Any]) -> NipsAnswer:
    return NipsAnswer(
        **{
            **given,
            "path": tuple(given["path"]),
            "frequency_slot": FrequencySlot(**given["frequency_slot"]),
            "refusals": tuple(WeighedRefusal(**entry) for entry in given["refusals"]),
        }
    )


def _server_to_json(server: Server) -> dict[str, Any]:
    return {**asdict(server), "state": None if server.state is None else server.state.value}


def _server_from_json(given: dict[str, Any]) -> Server:
    return Server(**{**given, "state": None if given["state"] is None else ItResourceState(given["state"])})


def _plan_to_json(plan: Plan) -> dict[str, Any]:
    return {
        "devices": {
            device: {
                "cross_connects": [asdict(cross) for cross in _sorted(wanted.cross_connects)],
                "line_settings": [asdict(line) for line in _sorted(wanted.line_settings)],
            }
            for device, wanted in plan.devices.items()
        },
        "receivers": [asdict(receiver) for receiver in plan.receivers],
        "required_osnr_0p1nm_db": plan.required_osnr_0p1nm_db,
        "slot": asdict(plan.slot),
        "directed_links": plan.directed_links,
        "transponders": plan.transponders,
        "steerings": [[node, asdict(steering)] for node, steering in plan.steerings],
        "it_site_id": plan.it_site_id,
        "server": None if plan.server is None else _server_to_json(plan.server),
    }


def _plan_from_json(given: dict[str, Any]) -> Plan:
    return Plan(
        devices={
            device: SliceConfiguration(
                frozenset(CrossConnect(**_with_slot(entry)) for entry in wanted["cross_connects"]),
                frozenset(LineSetting(**_with_slot(entry)) for entry in wanted["line_settings"]),
            )
            for device, wanted in given["devices"].items()
        },
        receivers=tuple(Receiver(**entry) for entry in given["receivers"]),
        required_osnr_0p1nm_db=given["required_osnr_0p1nm_db"],
        slot=FrequencySlot(**given["slot"]),
        directed_links=tuple(given["directed_links"]),
        transponders=tuple((node, port) for node, port in given["transponders"]),
        steerings=tuple((node, Steering(**steering)) for node, steering in given["steerings"]),
        it_site_id=given["it_site_id"],
        server=None if given["server"] is None else _server_from_json(given["server"]),
    )


def _with_slot(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "slot": FrequencySlot(**entry["slot"])}


def _sorted(things: frozenset[Any]) -> list[Any]:
    return sorted(things, key=repr)
