"""Network and IT provisioning services (NIPS): what a client asks for and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from controller.domain.errors import InvalidRequest
from controller.domain.it import Server
from controller.domain.spectrum import FrequencySlot

MARGIN_LIMIT_DB = 100.0


class NipsState(Enum):
    """The saga's states, each durable before its effect."""

    ADMITTED = "ADMITTED"
    BOOKED = "BOOKED"
    STAGED = "STAGED"
    COMMITTED_PENDING = "COMMITTED_PENDING"
    CONFIRMED = "CONFIRMED"
    ACTIVE = "ACTIVE"
    RELEASING = "RELEASING"
    RELEASED = "RELEASED"
    FAILED = "FAILED"


class NipsObjective(Enum):
    """What is minimised; names as in the GEYSERS routing metrics."""

    NET_POWER = "NET_POWER"
    IT_POWER = "IT_POWER"
    NET_IT_POWER = "NET_IT_POWER"
    LATENCY = "LATENCY"


@dataclass(frozen=True, slots=True)
class MachineDemand:
    """The machine wanted at the far end; no candidate means any IT site (full anycast)."""

    vcpu_count: int
    memory_gib: int
    volume_gib: int
    candidate_it_site_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NipsDemand:
    """One service as asked for; either a destination node, or a machine whose site decides it, or both."""

    name: str
    """vios/{vio}/nips/{nips}."""
    source_node_id: str
    bit_rate_gbps: float
    destination_node_id: str = ""
    machine: MachineDemand | None = None
    objective: NipsObjective = NipsObjective.NET_IT_POWER
    min_margin_db: float = 0.0
    vlan_id: int = 0

    def __post_init__(self) -> None:
        if not self.source_node_id:
            raise InvalidRequest("nips.source_node_id is empty: name a virtual node", field="nips.source_node_id")
        if not self.destination_node_id and self.machine is None:
            raise InvalidRequest(
                "neither nips.destination_node_id nor nips.it_demand: name the other end or ask for a machine",
                field="nips.destination_node_id",
            )
        if not 0 < self.bit_rate_gbps < float("inf"):
            raise InvalidRequest(
                f"nips.bit_rate_gbps {self.bit_rate_gbps}: ask for a finite rate above 0",
                field="nips.bit_rate_gbps",
                value=self.bit_rate_gbps,
            )
        if not 1 <= self.vlan_id <= 4094:
            raise InvalidRequest(
                f"nips.vlan_id {self.vlan_id}: use 1 to 4094 (IEEE 802.1Q)", field="nips.vlan_id", value=self.vlan_id
            )
        if not 0 <= self.min_margin_db < MARGIN_LIMIT_DB:
            # Below 0 it would admit what the mode's threshold forbids.
            raise InvalidRequest(
                f"nips.min_margin_db {self.min_margin_db}: give at least 0 and less than {MARGIN_LIMIT_DB:g} dB, "
                "usually 0 to 3",
                field="nips.min_margin_db",
                value=self.min_margin_db,
            )
        if self.machine is not None and not (self.machine.vcpu_count > 0 and self.machine.memory_gib > 0):
            raise InvalidRequest("nips.it_demand: ask for at least 1 vCPU and 1 GiB of memory", field="nips.it_demand")


@dataclass(frozen=True, slots=True)
class WeighedRefusal:
    """One choice that was weighed, and the first constraint that refused it."""

    subject: str
    constraint: str
    shortfall: float
    unit: str
    message: str


@dataclass(frozen=True, slots=True)
class NipsAnswer:
    """What the PCE chose."""

    path: tuple[str, ...]
    frequency_slot: FrequencySlot
    mode_id: str
    gsnr_0p1nm_db: float
    worst_case_gsnr_0p1nm_db: float
    margin_db: float
    power_w: float
    latency_ms: float
    it_site_id: str = ""
    refusals: tuple[WeighedRefusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Nips:
    """A service as it stands."""

    demand: NipsDemand
    state: NipsState
    create_time: datetime
    answer: NipsAnswer | None = None
    server: Server | None = None
    measured_gsnr_0p1nm_db: float | None = None
    failure: str = ""
