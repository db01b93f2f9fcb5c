"""A service written to its row and read back is the same service."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import MetaData, create_engine

from controller.domain.errors import GsnrBelowMargin, StaleGeneration
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
from controller.ncp.records import NipsRecord, Plan, Receiver, Records
from controller.ncp.schema import define_tables

METADATA = MetaData()
TABLES = define_tables(METADATA)
ENGINE = create_engine("sqlite://")
METADATA.create_all(ENGINE)
TIME = datetime(2026, 11, 25, 12, 30, 15, 250_000, tzinfo=UTC)

names = st.text(min_size=1, max_size=12)
slots = st.builds(FrequencySlot, n=st.integers(-200, 400), m=st.integers(1, 20))
widths = st.floats(1, 200)
servers = st.builds(
    Server, names, st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.none() | st.sampled_from(ItResourceState)
)
configurations = st.builds(
    SliceConfiguration,
    st.frozensets(st.builds(CrossConnect, names, names, names, slots, widths), max_size=3),
    st.frozensets(st.builds(LineSetting, names, slots, names, widths), max_size=2),
)
plans = st.builds(
    Plan,
    devices=st.dictionaries(names, configurations, max_size=3),
    receivers=st.lists(st.builds(Receiver, names, names), max_size=2).map(tuple),
    required_osnr_0p1nm_db=widths,
    slot=slots,
    directed_links=st.lists(names, max_size=3).map(tuple),
    transponders=st.lists(st.tuples(names, names), max_size=2).map(tuple),
    steerings=st.lists(st.tuples(names, st.builds(Steering, names, names, st.integers(1, 4094))), max_size=2).map(
        tuple
    ),
    it_site_id=names,
    server=st.none() | servers,
)
demands = st.builds(
    NipsDemand,
    name=names,
    source_node_id=names,
    bit_rate_gbps=widths,
    destination_node_id=names,
    machine=st.none()
    | st.builds(MachineDemand, st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.lists(names).map(tuple)),
    objective=st.sampled_from(NipsObjective),
    vlan_id=st.integers(1, 4094),
)
answers = st.builds(
    NipsAnswer,
    path=st.lists(names, max_size=4).map(tuple),
    frequency_slot=slots,
    mode_id=names,
    refusals=st.lists(st.builds(WeighedRefusal, names, names, widths, names, names), max_size=2).map(tuple),
    it_site_id=names,
    **dict.fromkeys(("gsnr_0p1nm_db", "worst_case_gsnr_0p1nm_db", "margin_db", "power_w", "latency_ms"), widths),
)


@given(demands, st.sampled_from(NipsState), st.none() | answers, st.none() | servers, st.none() | plans)
def test_row_round_trip(demand, state, answer, server, plan) -> None:
    record = NipsRecord("uid", "geysers://demo/vio/alpha", Nips(demand, state, TIME, answer, server), plan, "p", "", 7)
    with ENGINE.connect() as connection:
        Records(TABLES).add(connection, record)
        assert Records(TABLES).find(connection, demand.name) == record
        connection.rollback()


def test_change_of_a_row_that_moved_on_is_refused() -> None:
    record = NipsRecord("uid", "me", Nips(NipsDemand("n", "a", 1.0, "z", vlan_id=1), NipsState.ADMITTED, TIME))
    with ENGINE.connect() as connection:
        records = Records(TABLES)
        records.add(connection, record)
        records.change(connection, record, record.moved(NipsState.BOOKED))
        with pytest.raises(StaleGeneration):
            records.change(connection, record, record.moved(NipsState.FAILED))
        assert records.find(connection, "n").state is NipsState.BOOKED
        assert [entry.name for entry in records.unfinished(connection)] == ["n"]
        connection.rollback()


def test_failure_keeps_its_kind() -> None:
    record = NipsRecord("uid", "me", Nips(NipsDemand("n", "a", 1.0, "z", vlan_id=1), NipsState.ADMITTED, TIME))
    error = record.failing(GsnrBelowMargin("23.9 dB is too low")).error
    assert isinstance(error, GsnrBelowMargin)
    assert error.message == "23.9 dB is too low"
