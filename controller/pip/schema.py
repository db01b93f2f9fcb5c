"""What a PIP keeps: reservations, what they hold, and what they want of devices, sites and switches.

What can be held by one only is a row under a primary key, so that a second holder fails in the database and not in a
check before it (ADR 4).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one PIP."""

    reservations: Table
    granules: Table
    transponders: Table
    it_shares: Table
    slices: Table
    servers: Table
    steerings: Table


def define_tables(metadata: MetaData) -> Tables:
    """Add the PIP's tables to `metadata`."""
    reservations = Table(
        "reservations",
        metadata,
        Column("reservation_id", String, primary_key=True),
        Column("owner", String, nullable=False, index=True),
        Column("gri", String, nullable=False),
        Column("state", String, nullable=False),
        Column("hold_expire_time", DateTime),
        Column("parts", JSON, nullable=False),
    )
    return Tables(
        reservations=reservations,
        granules=Table(
            "held_granules",
            metadata,
            Column("link", String, primary_key=True),
            Column("granule", Integer, primary_key=True),
            _holder(index=True),
            Column("part_id", String, nullable=False),
            sqlite_with_rowid=False,
        ),
        transponders=Table(
            "held_transponders",
            metadata,
            Column("device", String, primary_key=True),
            Column("network_port", String, primary_key=True),
            _holder(index=True),
        ),
        it_shares=Table(
            "it_shares",
            metadata,
            _holder(primary_key=True),
            Column("part_id", String, primary_key=True),
            Column("it_site", String, nullable=False, index=True),
            Column("vcpu_count", Integer, nullable=False),
            Column("memory_gib", Integer, nullable=False),
            Column("storage_gib", Integer, nullable=False),
        ),
        slices=Table(
            "desired_slices",
            metadata,
            _holder(primary_key=True),
            Column("device", String, primary_key=True),
            Column("generation", BigInteger, nullable=False),
            Column("desired", JSON, nullable=False),
        ),
        servers=_servers(metadata),
        steerings=_steerings(metadata),
    )


def _servers(metadata: MetaData) -> Table:
    return Table(
        "servers",
        metadata,
        _holder(primary_key=True),
        Column("part_id", String, primary_key=True),
        Column("server_id", String, primary_key=True),
        Column("vcpu_count", Integer, nullable=False),
        Column("memory_gib", Integer, nullable=False),
        Column("volume_gib", Integer, nullable=False),
        Column("state", String, nullable=False),
    )


def _steerings(metadata: MetaData) -> Table:
    return Table(
        "steerings",
        metadata,
        _holder(primary_key=True),
        Column("steering_id", String, primary_key=True),
        Column("part_id", String, nullable=False),
        Column("clli", String, nullable=False),
        Column("client_port", String, nullable=False),
        Column("vlan_id", Integer, nullable=False),
        Column("state", String, nullable=False),
        # A switch has one LAN port: a VLAN of it leads to one client port, and a client port to one VLAN.
        UniqueConstraint("clli", "vlan_id"),
        UniqueConstraint("clli", "client_port"),
    )


def _holder(*, primary_key: bool = False, index: bool = False) -> Column[str]:
    return Column(
        "reservation_id",
        String,
        ForeignKey("reservations.reservation_id"),
        primary_key=primary_key,
        index=index or None,
        nullable=False,
    )
