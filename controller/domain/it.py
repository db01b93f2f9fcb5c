"""IT resources and client steering, as every interface of the system names them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from controller.domain.errors import InvalidRequest


class ItResourceState(Enum):
    """State of a server in the terms of the OpenStack compute API."""

    BUILDING = "BUILDING"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Server:
    """A virtual machine and the volume attached to it; `server_id` is the requester's, unique within an IT part."""

    server_id: str
    vcpu_count: int
    memory_gib: int
    volume_gib: int = 0
    state: ItResourceState | None = None
    instance_uuid: str = ""
    volume_uuid: str = ""
    fault: str = ""

    def same_demand(self, other: Server) -> bool:
        """True when both ask for the same, whatever became of them."""
        mine = (self.server_id, self.vcpu_count, self.memory_gib, self.volume_gib)
        return mine == (other.server_id, other.vcpu_count, other.memory_gib, other.volume_gib)


@dataclass(frozen=True, slots=True)
class SitePower:
    """Servers of an IT part and what the site draws for them now, PUE included."""

    servers: tuple[Server, ...]
    power_w: float


@dataclass(frozen=True, slots=True)
class Steering:
    """A client VLAN joined to the client port of a transponder."""

    steering_id: str
    client_port: str
    vlan_id: int

    def __post_init__(self) -> None:
        if not 1 <= self.vlan_id <= 4094:
            raise InvalidRequest(
                f"vlan_id {self.vlan_id}: use 1 to 4094 (IEEE 802.1Q)", field="vlan_id", value=self.vlan_id
            )
