"""Resource names (AIP-122) in requests: taken apart, and refused alike whether foreign, absent or malformed."""

from __future__ import annotations

import re

from controller.domain.errors import InvalidRequest, NotFound
from controller.domain.identity import Identity

_ID = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")


def check_id(value: str, field: str) -> str:
    """Check the last part of a new resource's name."""
    if not _ID.fullmatch(value):
        raise InvalidRequest(
            f"{field} {value!r}: use 1 to 32 of a-z, 0-9 and '-', a letter first, no '-' last", field=field, value=value
        )
    return value


def check_parent(parent: str, owner: Identity) -> str:
    """Check that `parent` is vios/{vio} of the caller."""
    if parent != f"vios/{owner.name}":
        raise NotFound(f"{parent} not found", name=parent)
    return parent


def split(name: str, owner: Identity, *collections: str) -> tuple[str, ...]:
    """Ids in `vios/{caller}/<collection>/<id>/…`; any other name is not found."""
    parts = name.split("/")
    expected = ["vios", *collections]
    if len(parts) != 2 * len(expected) or parts[0::2] != expected or parts[1] != owner.name or not all(parts):
        raise NotFound(f"{name} not found", name=name)
    return tuple(parts[3::2])
