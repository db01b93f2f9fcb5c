"""Who holds what: the provider's books. Everything here runs inside the caller's transaction.

A reservation of another owner looks like none. What is released stays booked until devices and sites are seen clear.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from controller.domain.errors import (
    NotFound,
    ResourceExhausted,
    SpectrumBlocked,
    StaleGeneration,
    WrongState,
)
from controller.domain.identity import Identity
from controller.domain.media import SliceConfiguration
from controller.domain.offers import Catalogue, TransponderOffer
from controller.domain.reservation import NodePart, Reservation, ReservationState
from controller.domain.spectrum import FrequencySlot
from controller.pip.admission import check_hold, check_parts
from controller.pip.demands import REMOVING
from controller.pip.records import HeldReservation, held_reservation, parts_to_json, slice_from_json, slice_to_json
from controller.pip.schema import Tables


@dataclass(frozen=True, slots=True)
class DesiredSlice:
    """What one device is to carry of one reservation."""

    reservation_id: str
    device: str
    generation: int
    desired: SliceConfiguration


class Ledger:
    """The books of one provider."""

    def __init__(self, pip: str, tables: Tables) -> None:
        self._prefix = f"pips/{pip}/reservations/"
        self._tables = tables

    # -- reservations -----------------------------------------------------------------------------------------------

    def reserve(
        self,
        connection: Connection,
        catalogue: Catalogue,
        owner: Identity,
        wanted: Reservation,
        hold_time_s: float,
        reservation_id: str,
        now: datetime,
    ) -> Reservation:
        """Hold all parts or none; `catalogue` is what is on offer when nobody holds anything."""
        check_hold(wanted.gri, hold_time_s, reservation_id)
        check_parts(wanted, catalogue)
        self.drop_lapsed(connection, now)
        links = {link.name: link for link in catalogue.links}
        cllis = {node.name: node.location.clli for node in catalogue.nodes}
        expires = now + timedelta(seconds=hold_time_s)
        # The row comes first: what is held refers to it.
        connection.execute(
            insert(self._tables.reservations).values(
                reservation_id=reservation_id, owner=owner.uri, gri=wanted.gri, state=ReservationState.HELD.value,
                hold_expire_time=_stored(expires), parts={},
            )
        )  # fmt: skip
        held = replace(
            wanted,
            node_parts=tuple(self._assign(connection, catalogue, reservation_id, part) for part in wanted.node_parts),
            name=self._prefix + reservation_id,
            state=ReservationState.HELD,
            hold_expire_time=expires,
        )
        self._hold_bands(connection, held, reservation_id)
        self._hold_shares(connection, catalogue, held, reservation_id)
        heads = {part.link: (links[part.link].source_node, links[part.link].source_port) for part in held.link_parts}
        tails = {
            part.link: (links[part.link].destination_node, links[part.link].destination_port)
            for part in held.link_parts
        }
        places = {part.node.rpartition("/")[2]: cllis[part.node] for part in held.node_parts}
        connection.execute(
            update(self._tables.reservations)
            .where(self._tables.reservations.c.reservation_id == reservation_id)
            .values(parts=parts_to_json(held, heads, tails, places))
        )
        return held

    def find(self, connection: Connection, owner: Identity, name: str) -> HeldReservation:
        """The caller's reservation of this name; NotFound for all else."""
        table = self._tables.reservations
        found = self._one(connection, table.c.owner == owner.uri, table.c.reservation_id == self._id_of(name))
        if found is None:
            raise NotFound(f"reservation {name!r} not found", name=name)
        return found

    def find_active(self, connection: Connection, owner: Identity, name: str) -> HeldReservation:
        """The same, and WrongState unless it is active."""
        found = self.find(connection, owner, name)
        if found.reservation.state is not ReservationState.ACTIVE:
            raise WrongState(f"reservation {name} is {found.reservation.state.value}: activate it first", name=name)
        return found

    def by_id(self, connection: Connection, reservation_id: str) -> HeldReservation | None:
        """A reservation whoever owns it, for the provider's own work."""
        return self._one(connection, self._tables.reservations.c.reservation_id == reservation_id)

    def list_owned(self, connection: Connection, owner: Identity, gri: str) -> tuple[Reservation, ...]:
        """The owner's reservations, all or of one GRI."""
        table = self._tables.reservations
        query = select(table).where(table.c.owner == owner.uri).order_by(table.c.reservation_id)
        if gri:
            query = query.where(table.c.gri == gri)
        rows = connection.execute(query).mappings()
        return tuple(held_reservation(row, self._prefix + row["reservation_id"]).reservation for row in rows)

    def activate(self, connection: Connection, owner: Identity, name: str, now: datetime) -> Reservation:
        """HELD to ACTIVE; again changes nothing."""
        self.drop_lapsed(connection, now)
        found = self.find(connection, owner, name)
        if found.reservation.state is ReservationState.RELEASING:
            raise WrongState(f"reservation {name} is being released: make a new one", name=name)
        self._set_state(connection, found.reservation_id, ReservationState.ACTIVE)
        return replace(found.reservation, state=ReservationState.ACTIVE, hold_expire_time=None)

    def begin_release(self, connection: Connection, owner: Identity, name: str) -> str | None:
        """Make a reservation RELEASING and want nothing more of the devices; returns its id, None when it is gone.

        A reservation that is only held has touched nothing, so it goes at once.
        """
        try:
            found = self.find(connection, owner, name)
        except NotFound:
            return None
        if found.reservation.state is ReservationState.HELD:
            self.forget(connection, found.reservation_id)
            return None
        self._set_state(connection, found.reservation_id, ReservationState.RELEASING)
        steerings = self._tables.steerings
        connection.execute(
            update(steerings).where(steerings.c.reservation_id == found.reservation_id).values(state=REMOVING)
        )
        return found.reservation_id

    def releasing(self, connection: Connection) -> list[str]:
        """Reservations whose release has begun."""
        table = self._tables.reservations
        query = select(table.c.reservation_id).where(table.c.state == ReservationState.RELEASING.value)
        return [str(value) for value in connection.execute(query).scalars()]

    def forget(self, connection: Connection, reservation_id: str) -> None:
        """Return all parts to the pool."""
        tables = self._tables
        for table in (
            tables.granules, tables.transponders, tables.it_shares, tables.slices, tables.servers, tables.steerings,
            tables.reservations,
        ):  # fmt: skip
            connection.execute(delete(table).where(table.c.reservation_id == reservation_id))

    def drop_lapsed(self, connection: Connection, now: datetime) -> datetime | None:
        """Forget held reservations whose time is over; returns when the next one lapses."""
        table = self._tables.reservations
        held = table.c.state == ReservationState.HELD.value
        lapsed = select(table.c.reservation_id).where(held, table.c.hold_expire_time <= _stored(now))
        for reservation_id in list(connection.execute(lapsed).scalars()):
            self.forget(connection, reservation_id)
        earliest: datetime | None = connection.execute(select(func.min(table.c.hold_expire_time)).where(held)).scalar()
        return None if earliest is None else earliest.replace(tzinfo=UTC)

    # -- what is left -----------------------------------------------------------------------------------------------

    def remaining(self, connection: Connection, catalogue: Catalogue) -> Catalogue:
        """`catalogue` with what is held marked or taken off."""
        bands: dict[str, list[FrequencySlot]] = {}
        granules = self._tables.granules
        query = select(
            granules.c.link, func.min(granules.c.granule), func.max(granules.c.granule)
        ).group_by(granules.c.link, granules.c.reservation_id, granules.c.part_id)  # fmt: skip
        for link, first, last in connection.execute(query):
            bands.setdefault(link, []).append(FrequencySlot.from_granules(first, last + 1))
        taken = self._held_transponders(connection)
        sold = self._sold(connection)
        return Catalogue(
            nodes=tuple(
                replace(node, transponders=tuple(
                    replace(t, available=(t.device, t.network_port) not in taken) for t in node.transponders
                )) for node in catalogue.nodes
            ),
            links=tuple(replace(link, held_bands=tuple(sorted(bands.get(link.name, ())))) for link in catalogue.links),
            it_sites=tuple(
                replace(site, **{field: max(0, getattr(site, field) - sold.get(site.name, {}).get(field, 0))
                                 for field in _SHARE_FIELDS})
                for site in catalogue.it_sites
            ),
        )  # fmt: skip

    # -- slices -----------------------------------------------------------------------------------------------------

    def want_slice(
        self, connection: Connection, held: HeldReservation, device: str, generation: int, desired: SliceConfiguration
    ) -> None:
        """Write down what is wanted of a device; StaleGeneration when something younger is."""
        table = self._tables.slices
        row = table.c.reservation_id == held.reservation_id, table.c.device == device
        known = connection.execute(select(table).where(*row)).mappings().first()
        document = slice_to_json(desired)
        if known is None:
            connection.execute(
                insert(table).values(
                    reservation_id=held.reservation_id, device=device, generation=generation, desired=document
                )
            )
            return
        if known["generation"] > generation:
            raise StaleGeneration(
                f"generation {generation} of {device}: {known['generation']} was applied before: read it back and "
                f"use a younger one",
                device=device,
                generation=known["generation"],
            )
        if known["generation"] == generation and known["desired"] != document:
            raise StaleGeneration(
                f"generation {generation} of {device} was something else: use a younger one",
                device=device,
                generation=generation,
            )
        connection.execute(update(table).where(*row).values(generation=generation, desired=document))

    def wanted_slice(self, connection: Connection, reservation_id: str, device: str) -> SliceConfiguration | None:
        """What a device is to carry now of a reservation: nothing once it is being released; None if never asked."""
        slices, reservations = self._tables.slices, self._tables.reservations
        query = (
            select(slices.c.desired, reservations.c.state)
            .join(reservations, reservations.c.reservation_id == slices.c.reservation_id)
            .where(slices.c.reservation_id == reservation_id, slices.c.device == device)
        )
        row = connection.execute(query).first()
        if row is None:
            return None
        return SliceConfiguration() if row[1] != ReservationState.ACTIVE.value else slice_from_json(row[0])

    def devices_touched(self, connection: Connection, reservation_id: str) -> list[str]:
        """Devices of which a reservation ever wanted something, in locking order."""
        table = self._tables.slices
        query = select(table.c.device).where(table.c.reservation_id == reservation_id).order_by(table.c.device)
        return [str(value) for value in connection.execute(query).scalars()]

    def reservations_at(self, connection: Connection, device: str) -> list[str]:
        """Reservations that want something of a device, or wanted."""
        table = self._tables.slices
        query = select(table.c.reservation_id).where(table.c.device == device).order_by(table.c.reservation_id)
        return [str(value) for value in connection.execute(query).scalars()]

    # -- below: parts -----------------------------------------------------------------------------------------------

    def _assign(self, connection: Connection, catalogue: Catalogue, reservation_id: str, part: NodePart) -> NodePart:
        taken = self._held_transponders(connection)
        node = next(offer for offer in catalogue.nodes if offer.name == part.node)
        free = [offer for offer in node.transponders if (offer.device, offer.network_port) not in taken]
        if len(free) < part.transponder_count:
            raise ResourceExhausted(
                f"{part.node} has {len(free)} transponders left, not {part.transponder_count}: ask for less",
                part_id=part.part_id,
                node=part.node,
            )
        chosen: tuple[TransponderOffer, ...] = tuple(free[: part.transponder_count])
        for offer in chosen:
            connection.execute(
                insert(self._tables.transponders).values(
                    device=offer.device, network_port=offer.network_port, reservation_id=reservation_id
                )
            )
        return replace(part, transponders=tuple(replace(offer, available=False) for offer in chosen))

    def _hold_bands(self, connection: Connection, held: Reservation, reservation_id: str) -> None:
        for part in held.link_parts:
            rows = [
                {"link": part.link, "granule": granule, "reservation_id": reservation_id, "part_id": part.part_id}
                for granule in part.band.granules
            ]
            try:
                connection.execute(insert(self._tables.granules), rows)
            except IntegrityError as error:
                raise SpectrumBlocked(
                    f"link {part.link}: n={part.band.n}, m={part.band.m} is held in part: choose a free band",
                    link=part.link,
                    n=part.band.n,
                    m=part.band.m,
                ) from error

    def _hold_shares(
        self, connection: Connection, catalogue: Catalogue, held: Reservation, reservation_id: str
    ) -> None:
        sites = {site.name: site for site in catalogue.it_sites}
        for part in held.it_parts:
            connection.execute(insert(self._tables.it_shares).values(reservation_id=reservation_id, **asdict(part)))
            sold = self._sold(connection)[part.it_site]
            for field in _SHARE_FIELDS:
                capacity = getattr(sites[part.it_site], field)
                if sold[field] > capacity:
                    left = capacity - sold[field] + getattr(part, field)
                    raise ResourceExhausted(
                        f"{part.it_site} has {field}={left} left, not {getattr(part, field)}: ask for less",
                        part_id=part.part_id,
                        it_site=part.it_site,
                        field=field,
                    )

    def _held_transponders(self, connection: Connection) -> set[tuple[str, str]]:
        table = self._tables.transponders
        return {(device, port) for device, port in connection.execute(select(table.c.device, table.c.network_port))}

    def _sold(self, connection: Connection) -> dict[str, dict[str, int]]:
        table = self._tables.it_shares
        sums = [func.sum(table.c[field]) for field in _SHARE_FIELDS]
        rows = connection.execute(select(table.c.it_site, *sums).group_by(table.c.it_site))
        return {row[0]: dict(zip(_SHARE_FIELDS, map(int, row[1:]), strict=True)) for row in rows}

    def _set_state(self, connection: Connection, reservation_id: str, state: ReservationState) -> None:
        table = self._tables.reservations
        connection.execute(
            update(table).where(table.c.reservation_id == reservation_id).values(
                state=state.value, hold_expire_time=None
            )
        )  # fmt: skip

    def _one(self, connection: Connection, *where: Any) -> HeldReservation | None:
        row = connection.execute(select(self._tables.reservations).where(*where)).mappings().first()
        return None if row is None else held_reservation(row, self._prefix + row["reservation_id"])

    def _id_of(self, name: str) -> str:
        return name.removeprefix(self._prefix) if name.startswith(self._prefix) else ""


_SHARE_FIELDS = ("vcpu_count", "memory_gib", "storage_gib")


def _stored(time: datetime) -> datetime:
    """SQLite keeps no time zone: all times in the store are UTC."""
    return time.astimezone(UTC).replace(tzinfo=None)
