"""The records of one data centre, and what the plant must tell about it.

Memory of flavours is in MiB and disk in GiB, as in the Nova API; times are ISO 8601 UTC strings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class PhysicalServer(Protocol):
    """A physical server of the plant: capacity and the two ends of its power line."""

    @property
    def vcpus(self) -> int: ...

    @property
    def memory_gib(self) -> int: ...

    @property
    def idle_w(self) -> float: ...

    @property
    def max_w(self) -> float: ...


class ItSite(Protocol):
    """A data centre of the plant, as far as this package needs it."""

    @property
    def name(self) -> str: ...

    @property
    def clli(self) -> str: ...

    @property
    def servers(self) -> Sequence[PhysicalServer]: ...

    @property
    def storage_gib(self) -> int: ...

    @property
    def pue(self) -> float: ...


@dataclass(frozen=True)
class Host:
    """A physical server under the name and id that the APIs show."""

    number: int
    name: str
    uuid: str
    vcpus: int
    memory_mib: int
    idle_w: float
    max_w: float


@dataclass(frozen=True)
class Project:
    """A Keystone project: the owner of servers, volumes and networks."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True)
class User:
    """A Keystone user; the password is kept as salted scrypt, never in clear."""

    id: str
    name: str
    password_salt: str
    password_hash: str
    enabled: bool = True


@dataclass(frozen=True)
class RoleGrant:
    """A role of a user on a project; the id joins the three ids."""

    id: str
    project_id: str
    user_id: str
    role_id: str


@dataclass(frozen=True)
class Token:
    """An issued token, found by the SHA-256 of its text, so that the file discloses no token."""

    id: str
    user_id: str
    project_id: str | None
    role_names: tuple[str, ...]
    issued_at: str
    expires_at: str


@dataclass(frozen=True)
class Quota:
    """Limits of one project; -1 is unlimited. The id is the project's."""

    id: str
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Flavor:
    """A size of server."""

    id: str
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    is_public: bool = True
    description: str | None = None


@dataclass(frozen=True)
class Server:
    """A virtual machine; `host` is the physical server once the scheduler has chosen it."""

    id: str
    name: str
    project_id: str
    user_id: str
    flavor: Mapping[str, Any]
    image_id: str | None
    status: str
    created: str
    updated: str
    host: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    network_ids: tuple[str, ...] = ()
    boot_volumes: tuple[tuple[str, bool], ...] = ()
    key_name: str | None = None
    fault: Mapping[str, Any] | None = None

    @property
    def vcpus(self) -> int:
        return int(self.flavor["vcpus"])

    @property
    def ram_mib(self) -> int:
        return int(self.flavor["ram"])


@dataclass(frozen=True)
class Volume:
    """A block volume in the storage pool of the site."""

    id: str
    name: str | None
    project_id: str
    user_id: str
    size_gib: int
    status: str
    created: str
    updated: str
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    image_id: str | None = None
    bootable: bool = False


@dataclass(frozen=True)
class Attachment:
    """A volume on a server; the id is the volume's, since a volume is on one server at most."""

    id: str
    attachment_id: str
    server_id: str
    device: str
    attached_at: str
    delete_on_termination: bool = False


@dataclass(frozen=True)
class Network:
    """A tenant network, carried on one VLAN of the site's LAN."""

    id: str
    name: str
    project_id: str
    vlan_id: int
    created: str
    shared: bool = False
    description: str = ""


@dataclass(frozen=True)
class Subnet:
    """An address range of a network."""

    id: str
    name: str
    network_id: str
    project_id: str
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool = True


@dataclass(frozen=True)
class Port:
    """A port of a server on a network."""

    id: str
    name: str
    network_id: str
    project_id: str
    device_id: str
    mac_address: str
    fixed_ips: tuple[Mapping[str, str], ...] = ()


Record = Project | User | RoleGrant | Token | Quota | Flavor | Server | Volume | Attachment | Network | Subnet | Port
