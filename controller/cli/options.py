"""Options that many commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controller.domain.errors import InvalidRequest
from controller.domain.identity import Identity, Role
from controller.security.pki import Credentials, DevelopmentCa

DEFAULT_DOMAIN = "demo"


class Output(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


StateDir = Annotated[
    Path, typer.Option(envvar="GEYSERS_STATE_DIR", help="Where state, logs and the development PKI are kept.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for programs.")]
ReadyFile = Annotated[Path | None, typer.Option(help="Gets the addresses as JSON once all listen.")]
Host = Annotated[str, typer.Option(envvar="GEYSERS_HOST", help="Address to listen on.")]
LogLevel = Annotated[str, typer.Option(envvar="GEYSERS_LOG_LEVEL", help="debug, info, warning or error.")]
NetworkOption = Annotated[Path | None, typer.Option(help="GNPy network JSON (default: the bundled europe14).")]
EquipmentOption = Annotated[Path | None, typer.Option(help="GNPy equipment library JSON.")]
VioOption = Annotated[str, typer.Option(envvar="GEYSERS_VIO", help="Name of the operator that asks.")]
VipTarget = Annotated[str, typer.Option("--vip", envvar="GEYSERS_VIP", help="host:port of the VIP.")]
NcpTarget = Annotated[str, typer.Option("--ncp", envvar="GEYSERS_NCP", help="host:port of the operator's NCP.")]

DEFAULT_STATE_DIR = Path(".geysers")
DEFAULT_VIP = "127.0.0.1:50051"
DEFAULT_NCP = "127.0.0.1:50071"


def credentials(state_dir: Path, role: Role, name: str) -> Credentials:
    """Credentials of a party from the development CA under `state_dir`, made when absent."""
    return DevelopmentCa(state_dir / "pki", DEFAULT_DOMAIN).issue(Identity(DEFAULT_DOMAIN, role, checked_name(name)))


def checked_name(name: str) -> str:
    """Refuse a party's name that no certificate may carry."""
    Identity.parse(f"geysers://{DEFAULT_DOMAIN}/vio/{name}")
    return name


def pairs(entries: list[str], option: str, form: str) -> dict[str, str]:
    """Read repeated NAME=VALUE options."""
    found = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not (equals and name and value):
            raise InvalidRequest(f"{option} {entry!r}: write {form}", field=option, value=entry)
        found[name] = value
    return found
