"""Tables of the upper LICL: virtual devices with their datastores, and what each physical device is to carry."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, String, Table, Text


@dataclass(frozen=True, slots=True)
class LiclTables:
    """The tables of one process."""

    virtual_devices: Table
    slices: Table


def define_tables(metadata: MetaData) -> LiclTables:
    """Add the LICL's tables to a process's schema."""
    virtual_devices = Table(
        "virtual_devices",
        metadata,
        Column("infrastructure", String, primary_key=True),
        Column("device_id", String, primary_key=True),
        # 0 until `opened`; afterwards fixed, so that a restart comes back at the same address.
        Column("port", Integer, nullable=False),
        Column("opened", Boolean, nullable=False),
        Column("host_private_key", Text, nullable=False),
        # Datastores as in RFC 6241; running is empty until the device was first opened.
        Column("running", LargeBinary),
        Column("rollback", LargeBinary),
        Column("persist_id", String),
    )
    slices = Table(
        "slices",
        metadata,
        Column("provider", String, primary_key=True),
        Column("reservation", String, primary_key=True),
        Column("device", String, primary_key=True),
        Column("generation", Integer, nullable=False),
        Column("desired", Text, nullable=False),
        # The last generation that the PIP said it carries; below `generation` there is work to do.
        Column("applied_generation", Integer, nullable=False),
    )
    return LiclTables(virtual_devices, slices)
