"""`python -m emulator up`: stand in for the hardware of a network until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from emulator.app import Emulator, EmulatorSettings, write_atomically
from emulator.plant import InvalidNetworkError


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 after a clean stop, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
        return asyncio.run(_serve(settings, options.ready_file))
    except InvalidNetworkError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


async def _serve(settings: EmulatorSettings, ready_file: Path | None) -> int:
    emulator = Emulator(settings)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await emulator.start()
    try:
        if ready_file is not None:
            write_atomically(ready_file, json.dumps(emulator.ready))
        await stop.wait()
    finally:
        await emulator.close()
    return 0


def _settings(options: argparse.Namespace) -> EmulatorSettings:
    users: dict[str, list[Path]] = {}
    for entry in options.user:
        name, equals, file = entry.partition("=")
        if not equals or not name:
            raise InvalidNetworkError(f"--user {entry!r}: write NAME=KEYFILE.pub")
        try:
            asyncssh.read_public_key(file)
        except (OSError, asyncssh.KeyImportError) as error:
            raise InvalidNetworkError(f"--user {entry!r}: {file} is no OpenSSH public key: {error}") from error
        users.setdefault(name, []).append(Path(file))
    bundled = EmulatorSettings(state_dir=options.state_dir)
    return EmulatorSettings(
        state_dir=options.state_dir,
        network=options.network or bundled.network,
        equipment=options.equipment or bundled.equipment,
        it_sites=options.it_sites or (bundled.it_sites if options.network is None else None),
        netconf_base_port=options.netconf_base_port,
        users=users,
        yang_dir=options.yang_dir,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emulator", description=__doc__)
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="start, and run until SIGINT or SIGTERM")
    up.add_argument("--network", type=Path, help="GNPy topology JSON (default: the bundled europe14)")
    up.add_argument("--equipment", type=Path, help="GNPy equipment library JSON")
    up.add_argument("--it-sites", type=Path, help="data centres JSON")
    up.add_argument("--state-dir", type=Path, default=Path(".geysers/emulator"), help="where state is kept")
    up.add_argument("--netconf-base-port", type=int, default=18300, help="port of the first device; 0 for free ports")
    up.add_argument("--user", action="append", default=[], metavar="NAME=KEYFILE.pub", help="may be repeated")
    up.add_argument("--yang-dir", type=Path, help="published OpenROADM modules to serve in place of the subset")
    up.add_argument("--ready-file", type=Path, help="JSON with every address, written once all listen")
    return parser


if __name__ == "__main__":
    sys.exit(main())
