"""What services have taken of the infrastructure: spectrum, transponders, IT shares; all in one transaction or none.

Every function runs inside the caller's transaction. The generation of the TED rises with each change, and a booking
names the generation that it was computed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from controller.domain.errors import StaleGeneration
from controller.domain.infrastructure import VirtualItSite
from controller.domain.it import Server
from controller.ncp.records import Plan
from controller.ncp.schema import NcpTables


@dataclass(frozen=True, slots=True)
class Bookings:
    """Everything booked at one generation."""

    generation: int
    granules: Mapping[str, frozenset[int]]
    """Per directed link."""
    transponders: frozenset[tuple[str, str]]
    """(node, network port)."""
    servers: Mapping[str, tuple[Server, ...]]
    """Per IT site, as asked for."""


@dataclass(frozen=True, slots=True)
class ItUse:
    """Capacity in use at one IT site."""

    vcpu_count: int = 0
    memory_gib: int = 0
    storage_gib: int = 0


def read_bookings(connection: Connection, tables: NcpTables) -> Bookings:
    """All bookings with the generation that they belong to."""
    granules: dict[str, set[int]] = {}
    for link, granule in connection.execute(select(tables.spectrum.c.link, tables.spectrum.c.granule)):
        granules.setdefault(link, set()).add(granule)
    ports = connection.execute(select(tables.transponders.c.node, tables.transponders.c.port))
    servers: dict[str, list[Server]] = {}
    for row in connection.execute(select(tables.it_shares)).mappings():
        server = Server(row["uid"], row["vcpu_count"], row["memory_gib"], row["volume_gib"])
        servers.setdefault(row["it_site"], []).append(server)
    return Bookings(
        generation=read_generation(connection, tables),
        granules={link: frozenset(used) for link, used in granules.items()},
        transponders=frozenset((node, port) for node, port in ports),
        servers={site: tuple(booked) for site, booked in servers.items()},
    )


def read_generation(connection: Connection, tables: NcpTables) -> int:
    """Generation of the TED; 0 before anything happened."""
    return connection.execute(select(tables.ted.c.generation)).scalar() or 0


def next_generation(connection: Connection, tables: NcpTables) -> int:
    """Say that the TED changed."""
    generation = read_generation(connection, tables) + 1
    if generation == 1:
        connection.execute(insert(tables.ted).values(row=1, generation=generation))
    else:
        connection.execute(update(tables.ted).values(generation=generation))
    return generation


def book(
    connection: Connection,
    tables: NcpTables,
    *,
    uid: str,
    plan: Plan,
    generation: int,
    site: VirtualItSite | None = None,
    foreign: ItUse | None = None,
) -> int:
    """Take all that `plan` needs, or nothing; returns the new generation.

    `foreign` is what stands at `site` without a booking of ours. Raises StaleGeneration when the TED moved on from
    `generation`, or when a resource is taken: compute again.
    """
    now = read_generation(connection, tables)
    if now != generation:
        raise StaleGeneration(
            f"the topology moved from generation {generation} to {now}: compute again", generation=generation
        )
    spectrum = [
        {"link": link, "granule": granule, "uid": uid} for link in plan.directed_links for granule in plan.slot.granules
    ]
    ports = [{"node": node, "port": port, "uid": uid} for node, port in plan.transponders]
    try:
        connection.execute(insert(tables.spectrum), spectrum)
        connection.execute(insert(tables.transponders), ports)
    except IntegrityError as error:
        raise StaleGeneration("spectrum or a transponder of this route was just taken: compute again") from error
    if plan.server is not None and site is not None:
        _book_share(connection, tables, uid, plan.server, site, foreign or ItUse())
    return next_generation(connection, tables)


def free(connection: Connection, tables: NcpTables, uid: str) -> None:
    """Give back all that `uid` has booked."""
    for table in (tables.spectrum, tables.transponders, tables.it_shares):
        connection.execute(delete(table).where(table.c.uid == uid))
    next_generation(connection, tables)


def _book_share(
    connection: Connection, tables: NcpTables, uid: str, server: Server, site: VirtualItSite, foreign: ItUse
) -> None:
    shares = tables.it_shares
    columns = (shares.c.vcpu_count, shares.c.memory_gib, shares.c.volume_gib)
    query = select(*(func.coalesce(func.sum(column), 0) for column in columns)).where(
        shares.c.it_site == site.it_site_id
    )
    booked = connection.execute(query).one()
    wanted = (server.vcpu_count, server.memory_gib, server.volume_gib)
    others = (foreign.vcpu_count, foreign.memory_gib, foreign.storage_gib)
    limits = (site.vcpu_count, site.memory_gib, site.storage_gib)
    if any(sum(parts) > limit for *parts, limit in zip(booked, wanted, others, limits, strict=True)):
        raise StaleGeneration(f"IT site {site.it_site_id} has not enough left: compute again", it_site=site.it_site_id)
    connection.execute(
        insert(shares).values(
            uid=uid,
            it_site=site.it_site_id,
            vcpu_count=server.vcpu_count,
            memory_gib=server.memory_gib,
            volume_gib=server.volume_gib,
        )
    )
