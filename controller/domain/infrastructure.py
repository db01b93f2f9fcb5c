"""A virtual infrastructure (VI): virtual ROADMs, bands on virtual links, shares of IT sites."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from controller.domain.offers import Location
from controller.domain.qot import LinkQot, OperationalMode
from controller.domain.spectrum import FrequencySlot


class VirtualInfrastructureState(Enum):
    """Life of a VI."""

    REQUESTED = "REQUESTED"
    RESERVED = "RESERVED"
    DEPLOYING = "DEPLOYING"
    ACTIVE = "ACTIVE"
    DECOMMISSIONING = "DECOMMISSIONING"
    DECOMMISSIONED = "DECOMMISSIONED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class NetconfAddress:
    """A NETCONF over SSH endpoint as its user must know it."""

    host: str
    port: int
    host_public_key: str
    username: str


@dataclass(frozen=True, slots=True)
class VirtualNode:
    """A virtual ROADM, partitioned from one physical node; what the VIP fills in has defaults here."""

    node_id: str
    clli: str
    transponder_count: int
    roadm: NetconfAddress | None = None
    transponder: NetconfAddress | None = None
    location: Location | None = None
    add_drop_osnr_0p1nm_db: float = 0.0
    modes: tuple[OperationalMode, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualLink:
    """A band of spectrum between two virtual nodes, both directions."""

    link_id: str
    a_node_id: str
    z_node_id: str
    band: FrequencySlot
    a_to_z_qot: LinkQot | None = None
    z_to_a_qot: LinkQot | None = None
    a_port: str = ""
    z_port: str = ""
    power_w: float = 0.0


@dataclass(frozen=True, slots=True)
class VirtualItSite:
    """A share of a data centre, attached to a virtual node."""

    it_site_id: str
    clli: str
    node_id: str
    vcpu_count: int
    memory_gib: int
    storage_gib: int
    server_idle_w: float = 0.0
    vcpu_w: float = 0.0
    pue: float = 1.0
    carbon_g_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class VirtualInfrastructure:
    """A VI as asked for (`state` None) or as it stands; `name` is vios/{vio}/virtualInfrastructures/{vi}."""

    name: str
    nodes: tuple[VirtualNode, ...]
    links: tuple[VirtualLink, ...]
    it_sites: tuple[VirtualItSite, ...]
    ssh_public_key: str
    state: VirtualInfrastructureState | None = None
    gri: str = ""
    create_time: datetime | None = None
