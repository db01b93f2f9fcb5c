"""Reservations and slices as JSON in the store, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.offers import TransponderOffer
from controller.domain.qot import OperationalMode
from controller.domain.reservation import ItPart, LinkPart, NodePart, Reservation, ReservationState
from controller.domain.spectrum import FrequencySlot


@dataclass(frozen=True, slots=True)
class HeldReservation:
    """A reservation as the store has it.

    `heads` maps the resource name of each held link to (node, degree port) where its light leaves, `tails` to where it
    arrives, with port '' at another provider's node; `cllis` maps each node to its location key. All are kept with the
    reservation, so that a device that is down changes nothing here.
    """

    reservation_id: str
    owner_uri: str
    reservation: Reservation
    heads: Mapping[str, tuple[str, str]]
    tails: Mapping[str, tuple[str, str]]
    cllis: Mapping[str, str]


def parts_to_json(
    reservation: Reservation,
    heads: Mapping[str, tuple[str, str]],
    tails: Mapping[str, tuple[str, str]],
    cllis: Mapping[str, str],
) -> dict[str, Any]:
    """The parts of a reservation with what `HeldReservation` adds."""
    return {
        "node_parts": [asdict(part) for part in reservation.node_parts],
        "link_parts": [asdict(part) for part in reservation.link_parts],
        "it_parts": [asdict(part) for part in reservation.it_parts],
        "heads": {link: list(head) for link, head in heads.items()},
        "tails": {link: list(tail) for link, tail in tails.items()},
        "cllis": dict(cllis),
    }


def held_reservation(row: Mapping[Any, Any], name: str) -> HeldReservation:
    """A row of the reservations table under its resource name."""
    parts = row["parts"]
    expires: datetime | None = row["hold_expire_time"]
    reservation = Reservation(
        gri=row["gri"],
        node_parts=tuple(_node_part(part) for part in parts["node_parts"]),
        link_parts=tuple(
            LinkPart(part["part_id"], part["link"], FrequencySlot(**part["band"])) for part in parts["link_parts"]
        ),
        it_parts=tuple(ItPart(**part) for part in parts["it_parts"]),
        name=name,
        state=ReservationState(row["state"]),
        hold_expire_time=None if expires is None else expires.replace(tzinfo=UTC),
    )
    heads = {link: (node, port) for link, (node, port) in parts["heads"].items()}
    # Reservations of older stores have no tails: there the outgoing band counts for both directions, as it did.
    tails = {link: (node, port) for link, (node, port) in parts.get("tails", {}).items()}
    return HeldReservation(row["reservation_id"], row["owner"], reservation, heads, tails, parts["cllis"])


def slice_to_json(configuration: SliceConfiguration) -> dict[str, Any]:
    """A slice in a fixed order, so that equal slices are equal texts."""
    crosses = sorted(configuration.cross_connects, key=lambda cross: cross.cross_connect_id)
    lines = sorted(configuration.line_settings, key=lambda line: line.network_port)
    return {
        "cross_connects": [asdict(cross) for cross in crosses],
        "line_settings": [asdict(line) for line in lines],
    }


def slice_from_json(document: Mapping[str, Any]) -> SliceConfiguration:
    """The inverse of `slice_to_json`."""
    return SliceConfiguration(
        cross_connects=frozenset(
            CrossConnect(**{**entry, "slot": FrequencySlot(**entry["slot"])}) for entry in document["cross_connects"]
        ),
        line_settings=frozenset(
            LineSetting(**{**entry, "slot": FrequencySlot(**entry["slot"])}) for entry in document["line_settings"]
        ),
    )


def _node_part(part: Mapping[str, Any]) -> NodePart:
    return NodePart(
        part_id=part["part_id"],
        node=part["node"],
        degree_ports=tuple(part["degree_ports"]),
        transponder_count=part["transponder_count"],
        transponders=_transponders(part["transponders"]),
    )


def _transponders(entries: Sequence[Mapping[str, Any]]) -> tuple[TransponderOffer, ...]:
    return tuple(
        TransponderOffer(**{**entry, "modes": tuple(OperationalMode(**mode) for mode in entry["modes"])})
        for entry in entries
    )
