"""What a PIP offers to a VIP: ROADMs with their transponders, fibres by direction, IT sites."""

from __future__ import annotations

from dataclasses import dataclass

from controller.domain.qot import LinkQot, OperationalMode
from controller.domain.spectrum import FrequencySlot


@dataclass(frozen=True, slots=True)
class Location:
    """Where a thing stands; things with one CLLI share a building."""

    clli: str
    city: str = ""
    country_code: str = ""
    latitude_deg: float = 0.0
    longitude_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class TransponderOffer:
    """A transponder with the add/drop port it is patched to."""

    device: str
    network_port: str
    client_port: str
    add_drop_port: str
    modes: tuple[OperationalMode, ...]
    available: bool = True


@dataclass(frozen=True, slots=True)
class NodeOffer:
    """A ROADM on offer; `node_id` is the device's own identifier, e.g. ROADM-AMS."""

    pip: str
    node_id: str
    location: Location
    degree_ports: tuple[str, ...]
    transponders: tuple[TransponderOffer, ...]
    add_drop_osnr_0p1nm_db: float
    power_w: float

    @property
    def name(self) -> str:
        return f"pips/{self.pip}/nodes/{self.node_id}"


@dataclass(frozen=True, slots=True)
class LinkOffer:
    """One direction of a fibre pair between two degrees; the head is always the offering PIP's."""

    pip: str
    link_id: str
    source_node: str
    source_port: str
    destination_node: str
    destination_port: str
    inter_domain: bool
    held_bands: tuple[FrequencySlot, ...]
    qot: LinkQot
    power_w: float

    @property
    def name(self) -> str:
        return f"pips/{self.pip}/links/{self.link_id}"


@dataclass(frozen=True, slots=True)
class ItSiteOffer:
    """A data centre on offer, and what is left of it."""

    pip: str
    site_id: str
    location: Location
    vcpu_count: int
    memory_gib: int
    storage_gib: int
    server_idle_w: float
    vcpu_w: float
    pue: float
    carbon_g_per_kwh: float
    awake: bool

    @property
    def name(self) -> str:
        return f"pips/{self.pip}/itSites/{self.site_id}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that one PIP offers now."""

    nodes: tuple[NodeOffer, ...] = ()
    links: tuple[LinkOffer, ...] = ()
    it_sites: tuple[ItSiteOffer, ...] = ()
