"""Tables of the service management layer: virtual infrastructures, and what each PIP was asked for them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, MetaData, String, Table, Text


@dataclass(frozen=True, slots=True)
class SmlTables:
    """The tables of one process."""

    infrastructures: Table
    provider_steps: Table
    steerings: Table


def define_tables(metadata: MetaData) -> SmlTables:
    """Add the SML's tables to a process's schema."""
    infrastructures = Table(
        "virtual_infrastructures",
        metadata,
        Column("name", String, primary_key=True),
        Column("owner", String, nullable=False, index=True),
        Column("state", String, nullable=False),
        Column("gri", String, nullable=False, unique=True),
        Column("create_time", DateTime, nullable=False),
        # JSON of controller.domain.infrastructure: as asked for, and with what is known by now.
        Column("wanted", Text, nullable=False),
        Column("described", Text, nullable=False),
        # JSON of controller.licl.planner.Blueprint, once planned.
        Column("blueprint", Text),
        # Kind and message of the error that ended the set-up; present while it is being undone.
        Column("failure_kind", String),
        Column("failure_message", Text),
    )
    provider_steps = Table(
        "provider_steps",
        metadata,
        Column("infrastructure", ForeignKey("virtual_infrastructures.name", ondelete="CASCADE"), primary_key=True),
        Column("provider", String, primary_key=True),
        # One UUID4 per call, stored before it is made, so that a repeat after a crash is the same request.
        Column("create_request_id", String, nullable=False),
        Column("activate_request_id", String, nullable=False),
        Column("delete_request_id", String, nullable=False),
        # JSON of what the PIP holds; empty until it answered.
        Column("reservation", Text),
        Column("active", Boolean, nullable=False),
        Column("released", Boolean, nullable=False),
    )
    steerings = Table(
        "virtual_steerings",
        metadata,
        Column("infrastructure", ForeignKey("virtual_infrastructures.name", ondelete="CASCADE"), primary_key=True),
        Column("node_id", String, primary_key=True),
        Column("steering_id", String, primary_key=True),
        # The PIP's name for it: unique within a reservation, where several nodes of the VI may be.
        Column("physical_id", String, nullable=False),
    )
    return SmlTables(infrastructures, provider_steps, steerings)
