"""Options that many commands share."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.domain.errors import InvalidRequest, NotAuthenticated
from controller.domain.identity import Identity, Role
from controller.ports.rng import SystemRng

if TYPE_CHECKING:
    # The cryptography behind it is loaded only by commands that need it.
    from controller.security.pki import Credentials

DEFAULT_DOMAIN = "demo"
LOG_LEVELS = ("debug", "info", "warning", "error")


def _checked_level(level: str) -> str:
    if level.lower() not in LOG_LEVELS:
        raise typer.BadParameter(f"{level!r}: use one of {', '.join(LOG_LEVELS)}")
    return level


class Output(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


StateDir = Annotated[
    Path, typer.Option(envvar="GEYSERS_STATE_DIR", help="Where state, logs and the development PKI are kept.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for programs.")]
ReadyFile = Annotated[Path | None, typer.Option(help="Gets the addresses as JSON once all listen.")]
ExitWithStdin = Annotated[
    bool, typer.Option("--exit-with-stdin", help="Stop when standard input closes: when the parent ends.")
]
Host = Annotated[str, typer.Option(envvar="GEYSERS_HOST", help="Address to listen on.")]
LogLevel = Annotated[
    str,
    typer.Option(envvar="GEYSERS_LOG_LEVEL", help="debug, info, warning or error.", callback=_checked_level),
]
NetworkOption = Annotated[Path | None, typer.Option(help="GNPy network JSON (default: the bundled europe14).")]
EquipmentOption = Annotated[Path | None, typer.Option(help="GNPy equipment library JSON.")]
VioOption = Annotated[str, typer.Option(envvar="GEYSERS_VIO", help="Name of the operator that asks.")]
VipTarget = Annotated[str, typer.Option("--vip", envvar="GEYSERS_VIP", help="host:port of the VIP.")]
NcpTarget = Annotated[str, typer.Option("--ncp", envvar="GEYSERS_NCP", help="host:port of the operator's NCP.")]

PipTarget = Annotated[str, typer.Option("--pip", envvar="GEYSERS_PIP", help="host:port of the PIP.")]
RequestIdOption = Annotated[
    str | None, typer.Option(metavar="UUID4", help="Repeats with the same id are one request; made when not given.")
]
DeadlineOption = Annotated[float, typer.Option(min=0, help="How long to wait for the end, in s.")]

DEFAULT_STATE_DIR = Path(".geysers")
DEFAULT_VIP = "127.0.0.1:50051"
DEFAULT_NCP = "127.0.0.1:50071"
DEFAULT_PIP = "127.0.0.1:50061"


def credentials(state_dir: Path, role: Role, name: str) -> Credentials:
    """Credentials of a party from the development CA under `state_dir`, made when absent."""
    from controller.security.pki import DevelopmentCa

    return DevelopmentCa(state_dir / "pki", DEFAULT_DOMAIN).issue(Identity(DEFAULT_DOMAIN, role, checked_name(name)))


def caller_credentials(state_dir: Path, role: Role, name: str) -> Credentials:
    """As `credentials`, for commands that call a running system: its CA must exist, or nobody would trust them."""
    checked_name(name)
    if not (state_dir / "pki" / "ca.crt").exists():
        raise InvalidRequest(
            f"no development PKI under {state_dir}: give the state directory of the running system with --state-dir "
            "or GEYSERS_STATE_DIR (`geysers demo` keeps its own in .geysers/demo)",
            field="state_dir",
            value=str(state_dir),
        )
    return credentials(state_dir, role, name)


def checked_name(name: str) -> str:
    """Refuse a party's name that no certificate may carry."""
    try:
        Identity.parse(f"geysers://{DEFAULT_DOMAIN}/{Role.VIO}/{name}")
    except NotAuthenticated as error:
        raise InvalidRequest(
            f"{name!r} is no name of a party: use 1 to 63 of a-z, 0-9 and '-', a letter first", field="name", value=name
        ) from error
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


def resource_name(name: str, vio: str, collection: str) -> str:
    """Resource name of an operator's thing; `name` may be one already, or only its last part."""
    return name if "/" in name else f"vios/{vio}/{collection}/{name}"


def fresh_request_id() -> str:
    """A UUID4 for one intention (AIP-155)."""
    return SystemRng().uuid()


def read_text(file: Path) -> str:
    """Text of a file, or of standard input for `-`. Raises: InvalidRequest."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{file}: {error.strerror}: give a readable file", field="file") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{file}: is no UTF-8 text: {error.reason}", field="file") from error
