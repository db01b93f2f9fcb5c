"""Who speaks: the identity that a certificate carries as its SAN URI.

`geysers://<domain>/<role>/<name>`, for instance `geysers://demo/vio/alpha`. Roles: pip, vip, vio, emulator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from controller.domain.errors import NotAuthenticated

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Role(StrEnum):
    """The parties of GEYSERS (GEY-003)."""

    PIP = "pip"
    VIP = "vip"
    VIO = "vio"
    EMULATOR = "emulator"


@dataclass(frozen=True, slots=True)
class Identity:
    """One party: its administrative domain, role and name."""

    domain: str
    role: Role
    name: str

    @property
    def uri(self) -> str:
        return f"geysers://{self.domain}/{self.role}/{self.name}"

    @property
    def server_name(self) -> str:
        """The DNS name in its certificate by which a client knows this very party (RFC 6125)."""
        return f"{self.name}.{role_server_name(self.domain, self.role)}"

    @classmethod
    def parse(cls, uri: str) -> Identity:
        parts = urlsplit(uri)
        role, _, name = parts.path.removeprefix("/").partition("/")
        if (
            parts.scheme != "geysers"
            or not _NAME.fullmatch(parts.netloc)
            or not _NAME.fullmatch(name)
            or role not in set(Role)
            or parts.query
            or parts.fragment
        ):
            raise NotAuthenticated(f"{uri!r} is no identity: expected geysers://<domain>/<role>/<name>")
        return cls(domain=parts.netloc, role=Role(role), name=name)


def role_server_name(domain: str, role: Role) -> str:
    """The DNS name in the certificates of all parties of one role."""
    return f"{role}.{any_server_name(domain)}"


def any_server_name(domain: str) -> str:
    """The DNS name in the certificates of all parties."""
    return f"{domain}.geysers"
