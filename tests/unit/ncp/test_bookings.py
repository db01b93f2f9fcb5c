"""Bookings on a real SQLite schema in memory: all or nothing, and never twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, MetaData, create_engine

from controller.domain.errors import StaleGeneration
from controller.domain.infrastructure import VirtualItSite
from controller.domain.it import Server
from controller.domain.spectrum import FrequencySlot
from controller.ncp.bookings import ItUse, book, free, next_generation, read_bookings
from controller.ncp.records import Plan
from controller.ncp.schema import NcpTables, define_tables

SITE = VirtualItSite("it", "Z", "z", 8, 32, 100)
PLAN = Plan({}, (), 24.0, FrequencySlot(n=0, m=7), ("l.az", "l.za"), (("a", "p1"), ("z", "p1")), ())


@pytest.fixture
def db() -> Iterator[tuple[Connection, NcpTables]]:
    metadata = MetaData()
    tables = define_tables(metadata)
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection, tables
    engine.dispose()


def _book(db, plan: Plan, uid: str, **changes) -> int:
    connection, tables = db
    generation = read_bookings(connection, tables).generation
    with connection.begin_nested():
        return book(connection, tables, uid=uid, plan=plan, **({"generation": generation} | changes))


def test_booking_takes_both_directions_and_freeing_gives_all_back(db) -> None:
    assert _book(db, replace(PLAN, it_site_id="it", server=Server("u1", 4, 8, 20)), "u1", site=SITE) == 1
    taken = read_bookings(*db)
    assert taken.granules == {link: frozenset(PLAN.slot.granules) for link in ("l.az", "l.za")}
    assert taken.transponders == {("a", "p1"), ("z", "p1")}
    assert taken.servers == {"it": (Server("u1", 4, 8, 20),)}
    free(*db, "u1")
    left = read_bookings(*db)
    assert (left.generation, left.granules, left.transponders, left.servers) == (2, {}, frozenset(), {})


def test_generation_is_checked(db) -> None:
    next_generation(*db)
    with pytest.raises(StaleGeneration, match="generation 0 to 1"):
        _book(db, PLAN, "u1", generation=0)
    assert read_bookings(*db).granules == {}


@pytest.mark.parametrize(
    "second",
    [
        replace(PLAN, transponders=(("a", "p2"), ("z", "p2")), directed_links=("l.za",)),
        replace(PLAN, slot=FrequencySlot(n=13, m=7), transponders=(("a", "p2"), ("z", "p2"))),
        replace(PLAN, slot=FrequencySlot(n=50, m=7), transponders=(("a", "p2"), ("z", "p1"))),
    ],
)
def test_nothing_is_taken_twice_and_a_refused_booking_takes_nothing(db, second: Plan) -> None:
    _book(db, PLAN, "u1")
    before = read_bookings(*db)
    with pytest.raises(StaleGeneration, match="just taken"):
        _book(db, second, "u2")
    assert read_bookings(*db) == before


def test_neighbouring_slot_is_free(db) -> None:
    _book(db, PLAN, "u1")
    _book(db, replace(PLAN, slot=FrequencySlot(n=14, m=7), transponders=(("a", "p2"),)), "u2")
    assert len(read_bookings(*db).granules["l.az"]) == 28


@pytest.mark.parametrize(("foreign_vcpu", "fits"), [(2, True), (3, False)])
def test_it_shares_add_up_with_what_stands_there_already(db, foreign_vcpu: int, fits: bool) -> None:
    _book(db, replace(PLAN, it_site_id="it", server=Server("u1", 4, 8, 20)), "u1", site=SITE)
    second = replace(
        PLAN, transponders=(("a", "p2"),), directed_links=("m.az",), it_site_id="it", server=Server("u2", 2, 8, 20)
    )
    wanted = {"site": SITE, "foreign": ItUse(foreign_vcpu, 0, 0)}
    if fits:
        _book(db, second, "u2", **wanted)
        assert len(read_bookings(*db).servers["it"]) == 2
    else:
        with pytest.raises(StaleGeneration, match="not enough left"):
            _book(db, second, "u2", **wanted)
        assert read_bookings(*db).servers["it"] == (Server("u1", 4, 8, 20),)
