"""Everything that an audit looks at, as read at one time; plain facts, no judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.domain.infrastructure import VirtualInfrastructure
from controller.domain.media import Reception, SliceConfiguration
from controller.domain.nips import Nips
from controller.domain.reservation import Reservation
from controller.openroadm.facts import DeviceFacts


@dataclass(frozen=True, slots=True)
class DeviceObservation:
    """One physical device, read from itself."""

    facts: DeviceFacts
    configuration: SliceConfiguration
    """What is in service, and is what its names say."""
    receptions: tuple[Reception, ...]
    running: bytes
    """The running configuration as canonical XML."""
    strays: Mapping[str, str] = field(default_factory=dict)
    """Interfaces and connections that nothing in `configuration` explains, with what each is."""


@dataclass(frozen=True, slots=True)
class SiteServerObservation:
    """A virtual machine as its data centre lists it."""

    project: str
    mark: str
    instance_uuid: str
    vcpu_count: int
    memory_gib: int
    volume_gib: int
    volume_uuids: tuple[str, ...] = ()
    """Of the volumes attached to it."""


@dataclass(frozen=True, slots=True)
class SiteObservation:
    """One data centre, read from itself."""

    servers: tuple[SiteServerObservation, ...]
    inventory: Mapping[str, tuple[str, ...]]
    """Names and ids of all projects, flavours, servers, volumes and users."""
    vcpu_count: int
    memory_gib: int
    storage_gib: int
    facility_power_w: float


@dataclass(frozen=True, slots=True)
class SteeringObservation:
    """One steering as an edge switch carries it."""

    clli: str
    client_port: str
    vlan_id: int


@dataclass(frozen=True, slots=True)
class OperatorObservation:
    """What one operator sees of its own."""

    infrastructures: tuple[VirtualInfrastructure, ...] = ()
    services: tuple[Nips, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """All of it."""

    devices: Mapping[str, DeviceObservation]
    sites: Mapping[str, SiteObservation]
    steerings: tuple[SteeringObservation, ...]
    reservations: Mapping[str, tuple[Reservation, ...]]
    """By PIP."""
    operators: Mapping[str, OperatorObservation]
    flow_counts: Mapping[str, int] = field(default_factory=dict)
    """Flows of each edge switch, by CLLI, whoever made them; a steering is two."""

    @property
    def device_power_w(self) -> float:
        return sum(device.facts.power_w for device in self.devices.values())

    @property
    def site_power_w(self) -> float:
        return sum(site.facility_power_w for site in self.sites.values())
