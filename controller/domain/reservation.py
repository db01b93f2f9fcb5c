"""Parts of a PIP's infrastructure held together under one Global Reservation Identifier (GRI)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from controller.domain.media import Reception, SliceConfiguration
from controller.domain.offers import TransponderOffer
from controller.domain.spectrum import FrequencySlot


class ReservationState(Enum):
    """Life of a reservation; a released one is gone."""

    HELD = "HELD"
    ACTIVE = "ACTIVE"
    RELEASING = "RELEASING"


@dataclass(frozen=True, slots=True)
class NodePart:
    """A share of a ROADM: some degree ports, and transponders that the PIP assigns."""

    part_id: str
    node: str
    """The offer's resource name, pips/{pip}/nodes/{node}."""
    degree_ports: tuple[str, ...]
    transponder_count: int
    transponders: tuple[TransponderOffer, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkPart:
    """A band of spectrum on one direction of a fibre pair."""

    part_id: str
    link: str
    band: FrequencySlot


@dataclass(frozen=True, slots=True)
class ItPart:
    """A share of an IT site."""

    part_id: str
    it_site: str
    vcpu_count: int
    memory_gib: int
    storage_gib: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """All parts that one PIP holds for one GRI; `name` is empty in a request."""

    gri: str
    node_parts: tuple[NodePart, ...] = ()
    link_parts: tuple[LinkPart, ...] = ()
    it_parts: tuple[ItPart, ...] = ()
    name: str = ""
    state: ReservationState = ReservationState.HELD
    hold_expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class SliceReading:
    """What a device carries of one reservation, read from the device now."""

    actual: SliceConfiguration
    receptions: tuple[Reception, ...] = ()
    power_w: float = 0.0
