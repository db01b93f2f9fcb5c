"""The address file: where a provider's devices, data centres and edge switches are. JSON as the emulator's ready file.

Every entry is checked before anything is contacted, and what is wrong is named with entry, field and mend.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from controller.domain.errors import InvalidRequest
from controller.domain.offers import Location
from controller.pip.stock import ItSiteSettings
from controller.ports.device_session import DeviceAddress

T = TypeVar("T")
MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the file holds of one provider; edge switches as (host, port)."""

    devices: Mapping[str, DeviceAddress]
    it_sites: tuple[ItSiteSettings, ...]
    edge_switches: tuple[tuple[str, int], ...]


def read_equipment(file: Path, provider: str, username: str, private_key_file: Path) -> Equipment:
    """Entries of `file` that belong to `provider`; `username` and `private_key_file` open its devices.

    Raises InvalidRequest.
    """
    content = _read(file)

    def device(entry: _Entry) -> tuple[str, DeviceAddress]:
        name = entry.text("name")
        key = entry.host_public_key("host_public_key")
        return name, DeviceAddress(entry.text("host"), entry.port("port"), username, private_key_file, key)

    def it_site(entry: _Entry) -> tuple[str, ItSiteSettings]:
        name = entry.text("name")
        location = Location(clli=entry.text("clli"), country_code=entry.text("country_code", ""))
        carbon_g_per_kwh = entry.not_negative("carbon_g_per_kwh", 0.0)
        return name, ItSiteSettings(name, location, Path(entry.text("admin_file")), carbon_g_per_kwh)

    def edge_switch(entry: _Entry) -> tuple[str, tuple[str, int]]:
        address = entry.text("host"), entry.port("port")
        return f"{address[0]}:{address[1]}", address

    found = Equipment(
        devices=_own(file, content, "devices", provider, device),
        it_sites=tuple(_own(file, content, "it_sites", provider, it_site).values()),
        edge_switches=tuple(_own(file, content, "edge_switches", provider, edge_switch).values()),
    )
    if not found.devices:
        raise InvalidRequest(
            f'{file}: no device has "provider": {provider!r}: name a provider of that file', field="provider"
        )
    return found


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the file, read field by field."""

    where: str
    values: Mapping[str, Any]

    def text(self, field: str, default: str | None = None) -> str:
        """A text of printable characters; missing or empty only when there is a default."""
        value = self.values.get(field, default)
        if not isinstance(value, str) or not value.isprintable() or not (value or default is not None):
            raise self.wrong(field, "write a text of printable characters")
        return value

    def port(self, field: str) -> int:
        value = self.values.get(field)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_PORT:
            raise self.wrong(field, f"write a whole number from 1 to {MAX_PORT}")
        return value

    def not_negative(self, field: str, default: float) -> float:
        value = self.values.get(field, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value or not math.isfinite(value):
            raise self.wrong(field, "write a number, 0 or more")
        return float(value)

    def host_public_key(self, field: str) -> str:
        """A public key, in OpenSSH's one-line form whatever form it had."""
        value = self.values.get(field)
        try:
            key = asyncssh.import_public_key(value if isinstance(value, str) else "")
        except asyncssh.KeyImportError as error:
            raise self.wrong(field, 'write the device\'s key as "ssh-ed25519 AAAA…"') from error
        return key.export_public_key("openssh").decode().strip()

    def wrong(self, field: str, mend: str) -> InvalidRequest:
        is_there = f"is {self.values[field]!r}"[:80] if field in self.values else "is missing"
        return InvalidRequest(f"{self.where}: {field} {is_there}: {mend}", field=field)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"{file}: cannot be read: {error.strerror}", field="addresses") from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{file}: is not JSON: {error}", field="addresses") from error
    if not isinstance(content, dict):
        raise InvalidRequest(f"{file}: must be an object with devices, it_sites, edge_switches", field="addresses")
    return content


def _own(
    file: Path,
    content: Mapping[str, Any],
    kind: str,
    provider: str,
    read: Callable[[_Entry], tuple[str, T]],
) -> dict[str, T]:
    """The provider's entries of one kind by name, each name once."""
    entries = content.get(kind, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidRequest(f"{file}: {kind!r} must be a list of objects", field=kind)
    own: dict[str, T] = {}
    for number, values in enumerate(entries):
        if values.get("provider") != provider:
            continue
        entry = _Entry(f"{file}: {kind}[{number}]", values)
        name, found = read(entry)
        if name in own:
            raise InvalidRequest(f"{entry.where}: {name!r} is there twice: keep one", field=kind)
        own[name] = found
    return own
