"""Tables of an operator's controller: services, what they have booked, and the generation of the TED."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, Text, UniqueConstraint


@dataclass(frozen=True, slots=True)
class NcpTables:
    """The tables that `define_tables` added to a schema."""

    nips: Table
    ted: Table
    spectrum: Table
    transponders: Table
    it_shares: Table


def define_tables(metadata: MetaData) -> NcpTables:
    """Add the controller's tables to `metadata`; an exclusive resource is a UNIQUE row (ADR 4)."""
    return NcpTables(
        nips=Table(
            "nips",
            metadata,
            Column("name", String, primary_key=True),
            Column("uid", String, nullable=False, unique=True),
            Column("owner", String, nullable=False),
            Column("demand", Text, nullable=False),
            Column("state", String, nullable=False),
            Column("answer", Text),
            Column("plan", Text),
            Column("persist_id", String),
            Column("server", Text),
            Column("failure", Text, nullable=False, default=""),
            Column("failure_kind", String, nullable=False, default=""),
            Column("create_time", DateTime, nullable=False),
            Column("generation", Integer, nullable=False, default=0),
        ),
        ted=Table(
            "ted",
            metadata,
            Column("row", Integer, primary_key=True),
            Column("generation", Integer, nullable=False),
        ),
        spectrum=Table(
            "spectrum_bookings",
            metadata,
            Column("link", String, nullable=False),
            Column("granule", Integer, nullable=False),
            Column("uid", String, nullable=False, index=True),
            UniqueConstraint("link", "granule"),
        ),
        transponders=Table(
            "transponder_bookings",
            metadata,
            Column("node", String, nullable=False),
            Column("port", String, nullable=False),
            Column("uid", String, nullable=False, index=True),
            UniqueConstraint("node", "port"),
        ),
        it_shares=Table(
            "it_share_bookings",
            metadata,
            Column("uid", String, primary_key=True),
            Column("it_site", String, nullable=False, index=True),
            Column("vcpu_count", Integer, nullable=False),
            Column("memory_gib", Integer, nullable=False),
            Column("volume_gib", Integer, nullable=False),
        ),
    )
