"""`geysers emulator up`, `pip serve`, `vip serve`, `ncp serve`: the processes of the system."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Annotated

import typer

from controller.app.process import Process, configure_logs, run_until_stopped
from controller.cli.errors import new_app
from controller.cli.options import (
    DEFAULT_STATE_DIR,
    DEFAULT_VIP,
    EquipmentOption,
    ExitWithStdin,
    Host,
    LogLevel,
    NetworkOption,
    ReadyFile,
    StateDir,
    VioOption,
    VipTarget,
    checked_name,
    credentials,
    pairs,
)
from controller.domain.errors import InvalidRequest
from controller.domain.identity import Role


def _checked_period(period_s: float) -> float:
    if not (math.isfinite(period_s) and period_s > 0):
        raise typer.BadParameter(f"{period_s}: use a number of seconds above 0")
    return period_s


emulator_app = new_app("Stand in for hardware.")
pip_app = new_app("A physical infrastructure provider.")
vip_app = new_app("The broker.")
ncp_app = new_app("An operator's controller.")


@emulator_app.command("up")
def emulator_up(
    network: NetworkOption = None,
    equipment: EquipmentOption = None,
    it_sites: Annotated[Path | None, typer.Option(help="Data centres JSON.")] = None,
    netconf_base_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the first device; 0 for free ports.")
    ] = 18300,
    user: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[@PROVIDER]=KEYFILE.pub", help="Who may log in to devices; may be repeated."),
    ] = None,
    yang_dir: Annotated[Path | None, typer.Option(help="Published OpenROADM modules to serve.")] = None,
    ready_file: ReadyFile = None,
    exit_with_stdin: ExitWithStdin = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    host: Host = "127.0.0.1",
    log_level: LogLevel = "info",
) -> None:
    """Serve every device, data centre and edge switch of a network until SIGINT or SIGTERM."""
    from emulator.app import Emulator, EmulatorSettings
    from emulator.tls import TlsFiles

    configure_logs(log_level)
    own = credentials(state_dir, Role.EMULATOR, "emulator")
    bundled = EmulatorSettings(state_dir=state_dir)
    settings = EmulatorSettings(
        state_dir=state_dir / "emulator",
        network=network or bundled.network,
        equipment=equipment or bundled.equipment,
        it_sites=it_sites or (bundled.it_sites if network is None else None),
        host=host,
        netconf_base_port=netconf_base_port,
        users=tuple(_device_user(name, Path(file)) for name, file in _users(user or [])),
        yang_dir=yang_dir,
        tls=TlsFiles(own.certificate_file, own.private_key_file, own.ca_certificate_file),
    )
    _run(Emulator(settings), ready_file, exit_with_stdin=exit_with_stdin)


@pip_app.command("serve")
def pip_serve(
    name: Annotated[str, typer.Option(help="The provider's name, as in the address file.")],
    addresses: Annotated[Path, typer.Option(help="Devices, data centres and edge switches: an emulator's ready file.")],
    network: Annotated[Path, typer.Option(help="The provider's plant records: GNPy network JSON.")],
    equipment: Annotated[Path, typer.Option(help="Their GNPy equipment library JSON.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC port; 0 for a free one.")] = 50061,
    upkeep_period_s: Annotated[
        float, typer.Option(help="Drift is found within this time.", callback=_checked_period)
    ] = 30.0,
    ready_file: ReadyFile = None,
    exit_with_stdin: ExitWithStdin = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    host: Host = "127.0.0.1",
    log_level: LogLevel = "info",
) -> None:
    """Discover the provider's equipment and offer it (geysers.pip.v1)."""
    from controller.app.pip import PipProcess, PipSettings

    configure_logs(log_level)
    settings = PipSettings(
        name=checked_name(name),
        credentials=credentials(state_dir, Role.PIP, name),
        state_dir=state_dir / f"pip-{name}",
        addresses_file=addresses,
        network=network,
        equipment=equipment,
        host=host,
        port=port,
        upkeep_period_s=upkeep_period_s,
    )
    _run(PipProcess(settings), ready_file, exit_with_stdin=exit_with_stdin)


@vip_app.command("serve")
def vip_serve(
    pip: Annotated[list[str], typer.Option(metavar="NAME=HOST:PORT", help="A PIP to deal with; may be repeated.")],
    name: Annotated[str, typer.Option(help="The broker's name.")] = "broker",
    port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC port; 0 for a free one.")] = 50051,
    netconf_base_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the first virtual node; 0 for free ports.")
    ] = 18830,
    ready_file: ReadyFile = None,
    exit_with_stdin: ExitWithStdin = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    host: Host = "127.0.0.1",
    log_level: LogLevel = "info",
) -> None:
    """Compose virtual infrastructures of what PIPs offer and serve their nodes (geysers.vi.v1, NETCONF)."""
    from controller.app.vip import VipProcess, VipSettings

    configure_logs(log_level)
    settings = VipSettings(
        credentials=credentials(state_dir, Role.VIP, name),
        state_dir=state_dir / f"vip-{name}",
        pips=pairs(pip, "--pip", "NAME=HOST:PORT, e.g. north=127.0.0.1:50061"),
        host=host,
        port=port,
        netconf_base_port=netconf_base_port,
    )
    _run(VipProcess(settings), ready_file, exit_with_stdin=exit_with_stdin)


@ncp_app.command("serve")
def ncp_serve(
    vi: Annotated[str, typer.Option(help="Id of the operator's virtual infrastructure.")],
    vio: VioOption,
    vip: VipTarget = DEFAULT_VIP,
    port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC port; 0 for a free one.")] = 50071,
    ready_file: ReadyFile = None,
    exit_with_stdin: ExitWithStdin = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    host: Host = "127.0.0.1",
    log_level: LogLevel = "info",
) -> None:
    """Control one virtual infrastructure and sell services on it (geysers.nips.v1)."""
    from controller.app.ncp import NcpProcess, NcpSettings

    configure_logs(log_level)
    settings = NcpSettings(
        credentials=credentials(state_dir, Role.VIO, vio),
        state_dir=state_dir / f"ncp-{vio}-{vi}",
        infrastructure_id=vi,
        vip=vip,
        host=host,
        port=port,
    )
    _run(NcpProcess(settings), ready_file, exit_with_stdin=exit_with_stdin)


def _run(process: Process, ready_file: Path | None, *, exit_with_stdin: bool) -> None:
    asyncio.run(run_until_stopped(process, ready_file, exit_with_stdin=exit_with_stdin))


def _users(entries: list[str]) -> list[tuple[str, str]]:
    found = []
    for entry in entries:
        name, _, file = entry.partition("=")
        if not (name and file):
            raise InvalidRequest(
                f"--user {entry!r}: write NAME=KEYFILE.pub or NAME@PROVIDER=KEYFILE.pub", field="user", value=entry
            )
        found.append((name, file))
    return found


def _device_user(name: str, file: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202 - emulator is imported late
    import asyncssh

    from emulator.app import DeviceUser

    user, _, provider = name.partition("@")
    if not user:
        raise InvalidRequest(f"--user {name}={file}: write NAME=KEYFILE.pub or NAME@PROVIDER=KEYFILE.pub", field="user")
    try:
        asyncssh.read_public_key(file)
    except (OSError, asyncssh.KeyImportError) as error:
        raise InvalidRequest(f"--user {name}={file}: no OpenSSH public key there: {error}", field="user") from error
    return DeviceUser(user, file, provider or None)
