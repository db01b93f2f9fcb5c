"""The books of what tenants put into their reservations: servers and steerings. All inside the caller's transaction.

A row is written before the site or switch is asked, and goes after the thing is seen gone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from controller.domain.errors import AlreadyExists, InvalidRequest, NotFound, ResourceExhausted, WrongState
from controller.domain.it import Server, Steering
from controller.domain.reservation import ItPart, NodePart
from controller.pip.admission import check_name
from controller.pip.records import HeldReservation
from controller.pip.schema import Tables

WANTED, REMOVING = "WANTED", "REMOVING"


@dataclass(frozen=True, slots=True)
class SteeringRow:
    """A steering with where it is, and whether it is on its way out."""

    reservation_id: str
    clli: str
    steering: Steering
    removing: bool


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A server within all reservations."""

    reservation_id: str
    part_id: str
    server_id: str


def it_part(held: HeldReservation, part_id: str) -> ItPart:
    """The IT part of a reservation; NotFound."""
    for part in held.reservation.it_parts:
        if part.part_id == part_id:
            return part
    raise NotFound(f"IT part {part_id!r} not found in {held.reservation.name}", part_id=part_id)


def node_part(held: HeldReservation, part_id: str) -> NodePart:
    """The node part of a reservation; NotFound."""
    for part in held.reservation.node_parts:
        if part.part_id == part_id:
            return part
    raise NotFound(f"node part {part_id!r} not found in {held.reservation.name}", part_id=part_id)


class Demands:
    """Servers and steerings of all reservations."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # -- servers ----------------------------------------------------------------------------------------------------

    def want_server(self, connection: Connection, held: HeldReservation, part_id: str, server: Server) -> ItPart:
        """Write a server down; a repeat changes nothing. ResourceExhausted when the part has no room for it."""
        part = it_part(held, part_id)
        check_name("server_id", server.server_id)
        for field, least in (("vcpu_count", 1), ("memory_gib", 1), ("volume_gib", 0)):
            value = getattr(server, field)
            if not least <= value < 1 << 31:
                raise InvalidRequest(
                    f"server {server.server_id!r}: {field} {value}: use {least} or more", field=field, value=value
                )
        table = self._tables.servers
        key = ServerKey(held.reservation_id, part_id, server.server_id)
        row = connection.execute(select(table).where(*self._at(key))).mappings().first()
        if row is not None:
            self._check_repeat(row, server)
            return part
        self._check_room(connection, key, part, server)
        connection.execute(
            insert(table).values(
                **asdict(key), vcpu_count=server.vcpu_count, memory_gib=server.memory_gib,
                volume_gib=server.volume_gib, state=WANTED,
            )
        )  # fmt: skip
        return part

    def unwant_server(self, connection: Connection, key: ServerKey) -> bool:
        """Mark a server as on its way out; False when there is none."""
        table = self._tables.servers
        return connection.execute(update(table).where(*self._at(key)).values(state=REMOVING)).rowcount == 1

    def forget_server(self, connection: Connection, key: ServerKey) -> None:
        """The site has nothing of it any more."""
        connection.execute(delete(self._tables.servers).where(*self._at(key)))

    def servers(self, connection: Connection, reservation_id: str, part_id: str) -> tuple[Server, ...]:
        """What is wanted in a part."""
        table = self._tables.servers
        query = select(table).where(
            table.c.reservation_id == reservation_id, table.c.part_id == part_id, table.c.state == WANTED
        ).order_by(table.c.server_id)  # fmt: skip
        return tuple(
            Server(row["server_id"], row["vcpu_count"], row["memory_gib"], row["volume_gib"])
            for row in connection.execute(query).mappings()
        )

    def servers_removing(self, connection: Connection) -> list[ServerKey]:
        """Servers whose removal has begun."""
        table = self._tables.servers
        columns = table.c.reservation_id, table.c.part_id, table.c.server_id
        return [ServerKey(*row) for row in connection.execute(select(*columns).where(table.c.state == REMOVING))]

    # -- steerings --------------------------------------------------------------------------------------------------

    def want_steering(self, connection: Connection, held: HeldReservation, part_id: str, steering: Steering) -> bool:
        """Write a steering down; False for a repeat, which changes nothing."""
        part = node_part(held, part_id)
        check_name("steering_id", steering.steering_id)
        if steering.client_port not in {offer.client_port for offer in part.transponders}:
            raise NotFound(
                f"port {steering.client_port!r} not found in part {part_id!r} of {held.reservation.name}",
                port=steering.client_port,
            )
        clli = held.cllis[part.node.rpartition("/")[2]]
        known = self._steering(connection, held.reservation_id, steering.steering_id)
        if known is not None:
            if known.removing:
                raise WrongState(f"steering {steering.steering_id!r} is being removed: repeat later")
            if (known.steering, known.clli) != (steering, clli):
                raise AlreadyExists(f"steering {steering.steering_id!r} is something else: choose another id")
            return False
        try:
            connection.execute(
                insert(self._tables.steerings).values(
                    reservation_id=held.reservation_id, part_id=part_id, clli=clli, state=WANTED, **asdict(steering)
                )
            )
        except IntegrityError as error:
            raise AlreadyExists(
                f"VLAN {steering.vlan_id} or port {steering.client_port!r} at {clli} is steered already: take another",
                vlan_id=steering.vlan_id,
                port=steering.client_port,
            ) from error
        return True

    def unwant_steering(
        self, connection: Connection, held: HeldReservation, part_id: str, steering_id: str
    ) -> SteeringRow | None:
        """Mark a steering as on its way out; None when there is none."""
        node_part(held, part_id)
        table = self._tables.steerings
        where = table.c.reservation_id == held.reservation_id, table.c.steering_id == steering_id
        connection.execute(update(table).where(*where, table.c.part_id == part_id).values(state=REMOVING))
        known = self._steering(connection, held.reservation_id, steering_id)
        return known if known is not None and known.removing else None

    def forget_steering(self, connection: Connection, reservation_id: str, steering_id: str) -> None:
        """The switch has nothing of it any more."""
        table = self._tables.steerings
        connection.execute(
            delete(table).where(table.c.reservation_id == reservation_id, table.c.steering_id == steering_id)
        )

    def steerings(self, connection: Connection, reservation_id: str = "", part_id: str = "") -> tuple[SteeringRow, ...]:
        """Steerings, all or of one reservation or part."""
        table = self._tables.steerings
        query = select(table).order_by(table.c.reservation_id, table.c.steering_id)
        if reservation_id:
            query = query.where(table.c.reservation_id == reservation_id)
        if part_id:
            query = query.where(table.c.part_id == part_id)
        return tuple(_steering_row(row) for row in connection.execute(query).mappings())

    # -- below ------------------------------------------------------------------------------------------------------

    def _at(self, key: ServerKey) -> tuple[Any, ...]:
        table = self._tables.servers
        return tuple(table.c[field] == value for field, value in asdict(key).items())

    def _check_repeat(self, row: Any, server: Server) -> None:
        known = Server(row["server_id"], row["vcpu_count"], row["memory_gib"], row["volume_gib"])
        if not known.same_demand(server):
            raise AlreadyExists(f"server {server.server_id!r} has another demand: choose another id")
        if row["state"] == REMOVING:
            raise WrongState(f"server {server.server_id!r} is being removed: repeat later")

    def _check_room(self, connection: Connection, key: ServerKey, part: ItPart, server: Server) -> None:
        table = self._tables.servers
        sums = [func.coalesce(func.sum(table.c[name]), 0) for name in ("vcpu_count", "memory_gib", "volume_gib")]
        used = connection.execute(
            select(*sums).where(table.c.reservation_id == key.reservation_id, table.c.part_id == key.part_id)
        ).one()
        for field, mine, capacity, sold in (
            ("vcpu_count", server.vcpu_count, part.vcpu_count, used[0]),
            ("memory_gib", server.memory_gib, part.memory_gib, used[1]),
            ("volume_gib", server.volume_gib, part.storage_gib, used[2]),
        ):
            if sold + mine > capacity:
                raise ResourceExhausted(
                    f"part {key.part_id!r} has {field}={capacity - sold} left, not {mine}: remove a server or ask for "
                    f"less",
                    field=field,
                    part_id=key.part_id,
                )

    def _steering(self, connection: Connection, reservation_id: str, steering_id: str) -> SteeringRow | None:
        found = self.steerings(connection, reservation_id)
        return next((row for row in found if row.steering.steering_id == steering_id), None)


def _steering_row(row: Any) -> SteeringRow:
    steering = Steering(row["steering_id"], row["client_port"], row["vlan_id"])
    return SteeringRow(row["reservation_id"], row["clli"], steering, row["state"] == REMOVING)
