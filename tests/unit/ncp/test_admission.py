"""What is admitted, and what the refusal of the rest says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, MetaData, create_engine

from controller.domain.errors import AlreadyExists, GeysersError, InvalidRequest, NotFound, NotPermitted
from controller.domain.identity import Identity
from controller.domain.nips import MachineDemand, NipsDemand, NipsState
from controller.ncp.call import Calls
from controller.ncp.records import Records
from controller.ncp.schema import define_tables
from controller.ports.clock import SystemClock
from controller.ports.rng import SeededRng
from tests.unit.ncp.two_nodes import INFRASTRUCTURE

ALPHA = Identity.parse("geysers://demo/vio/alpha")
DEMAND = NipsDemand("vios/alpha/nips/first", "a", 400.0, "z", vlan_id=9)
METADATA = MetaData()
TABLES = define_tables(METADATA)


@pytest.fixture
def db() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def calls() -> Calls:
    unused = None
    calls = Calls(
        infrastructure=INFRASTRUCTURE.name,
        store=unused,
        tables=TABLES,
        broker=unused,
        path_computer=unused,
        open_session=unused,
        clock=SystemClock(),
        rng=SeededRng(1),
    )
    calls._world.planner.infrastructure = INFRASTRUCTURE
    return calls


def test_admitted_service_is_a_row(calls: Calls, db: Connection) -> None:
    assert calls.admit(db, ALPHA, DEMAND).state is NipsState.ADMITTED
    record = Records(TABLES).find(db, DEMAND.name)
    assert (record.nips.demand, record.owner, len(record.uid)) == (DEMAND, ALPHA.uri, 36)
    with pytest.raises(AlreadyExists, match="ADMITTED"):
        calls.admit(db, ALPHA, DEMAND)


def test_name_of_an_ended_service_is_free_again(calls: Calls, db: Connection) -> None:
    calls.admit(db, ALPHA, DEMAND)
    records = Records(TABLES)
    first = records.find(db, DEMAND.name)
    records.change(db, first, first.moved(NipsState.FAILED))
    calls.admit(db, ALPHA, DEMAND)
    assert records.find(db, DEMAND.name).uid != first.uid


MACHINE = MachineDemand(1, 1, 0)


@pytest.mark.parametrize(
    ("changes", "kind", "field", "mend"),
    [
        ({"source_node_id": "x"}, NotFound, "nips.source_node_id", "use one of a, z"),
        ({"destination_node_id": "x"}, NotFound, "nips.destination_node_id", "use one of a, z"),
        ({"destination_node_id": "a"}, InvalidRequest, "nips.destination_node_id", "name another node"),
        (
            {"machine": replace(MACHINE, candidate_it_site_ids=("it", "dc"))},
            NotFound,
            "nips.it_demand.candidate_it_site_ids",
            "use one of it",
        ),
        ({"name": "vios/alpha/nips/UPPER"}, InvalidRequest, "nips.name", "write vios/VIO/nips/NIPS"),
        ({"name": "vios/alpha/nips/../x"}, InvalidRequest, "nips.name", "write vios/VIO/nips/NIPS"),
    ],
)
def test_refusal_names_field_value_and_mend(
    calls: Calls, db: Connection, changes: dict[str, object], kind: type[GeysersError], field: str, mend: str
) -> None:
    with pytest.raises(kind) as refused:
        calls.admit(db, ALPHA, replace(DEMAND, **changes))
    assert type(refused.value) is kind
    assert refused.value.fields["field"] == field
    assert str(refused.value.fields["value"]) in refused.value.message
    assert mend in refused.value.message


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("geysers://demo/vio/beta", "vios/alpha/nips/first"),
        ("geysers://demo/vio/beta", "vios/beta/nips/first"),
        ("geysers://demo/vio/alpha", "vios/beta/nips/first"),
    ],
)
def test_another_operator_is_not_served(calls: Calls, db: Connection, owner: str, name: str) -> None:
    with pytest.raises(NotPermitted):
        calls.admit(db, Identity.parse(owner), replace(DEMAND, name=name))


def test_infrastructure_must_be_named_in_full() -> None:
    with pytest.raises(InvalidRequest, match="vios/VIO/virtualInfrastructures/VI"):
        Calls(
            infrastructure="one",
            store=None,
            tables=TABLES,
            broker=None,
            path_computer=None,
            open_session=None,
            clock=SystemClock(),
            rng=SeededRng(1),
        )
