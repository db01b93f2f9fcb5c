"""All parties as processes of their own on this machine: started, killed, started again, stopped.

    emulator ─▶ PIP north, PIP south ─▶ VIP broker ─▶ one NCP per operator

Each has its own certificate, SSH key, store file and log; they meet only on loopback sockets. Ports are chosen once,
so that a process that starts again is found where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from controller.audit.reading import Access
from controller.domain.errors import DeviceUnreachable
from controller.domain.identity import Role
from controller.ports.clock import Clock, SystemClock
from controller.ports.rng import SystemRng
from controller.security.pki import Credentials, DevelopmentCa

PIPS = ("north", "south")
BROKER = "broker"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02
LOG_LINES_SHOWN = 5
CHOSEN_PORTS = (20000, 32000)
"""Linux takes ephemeral ports from 32768 up (ip_local_port_range)."""
_BUNDLED = resources.files("emulator") / "networks" / "europe14"
PLANT_RECORDS = ("--network", str(_BUNDLED / "network.json"), "--equipment", str(_BUNDLED / "equipment.json"))
STANDARD_PORTS = {"emulator": 18300, "pip-north": 50061, "pip-south": 50062, "vip": 50051, "virtual-nodes": 18830}
STANDARD_NCP_PORT = 50071


@dataclass(slots=True)
class _Member:
    """One process: how to start it, and what runs now."""

    arguments: list[str]
    ready_file: Path
    log_file: Path
    process: asyncio.subprocess.Process | None = None
    peak_rss_bytes: int = 0


@dataclass(slots=True)
class Stack:
    """The processes of one demo or end-to-end test, under one state directory."""

    state_dir: Path
    standard_ports: bool = False
    """Use the documented ports when all of them are free; else any free ones."""
    extra_arguments: Mapping[str, Sequence[str]] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    _members: dict[str, _Member] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)
    _ncps: dict[str, str] = field(default_factory=dict)
    _operators: list[str] = field(default_factory=list)

    @property
    def authority(self) -> DevelopmentCa:
        return DevelopmentCa(self.state_dir / "pki")

    @property
    def names(self) -> tuple[str, ...]:
        """Processes that were started, in order."""
        return tuple(self._members)

    def target(self, name: str) -> str:
        """host:port of a process's gRPC."""
        return f"127.0.0.1:{self._ports[name]}"

    def operator(self, vio: str) -> Credentials:
        """Credentials of an operator; from now on an audit looks at it too."""
        if vio not in self._operators:
            self._operators.append(vio)
        return self.authority.issue(self.authority.identity(Role.VIO, vio))

    @property
    def access(self) -> Access:
        """For the audit."""
        return Access(
            authority=self.authority,
            addresses_file=self.state_dir / "emulator.json",
            pips={pip: self.target(f"pip-{pip}") for pip in PIPS},
            vip=self.target("vip"),
            ncps=dict(self._ncps),
            operators=tuple(self._operators),
            broker=BROKER,
        )

    async def start_emulator(self) -> Mapping[str, Any]:
        """Hardware; returns the ready file."""
        self._choose_ports()
        users = []
        for pip in PIPS:
            credentials = self.authority.issue(self.authority.identity(Role.PIP, pip))
            users += ["--user", f"pip-{pip}@{pip}={credentials.ssh_private_key_file.with_suffix('.pub')}"]
        # A base port of 0 lets each device choose once and keep its port.
        base_port = str(self._ports["emulator"])
        return await self._start("emulator", ["emulator", "up", "--netconf-base-port", base_port, *users])

    async def start_parties(self) -> None:
        """Providers and broker, side by side."""
        addresses = str(self.state_dir / "emulator.json")
        starts = []
        pip_options = []
        for pip in PIPS:
            port = str(self._ports[f"pip-{pip}"])
            pip_options += ["--pip", f"{pip}={self.target(f'pip-{pip}')}"]
            arguments = ["pip", "serve", "--name", pip, "--addresses", addresses, "--port", port, *PLANT_RECORDS]
            starts.append(self._start(f"pip-{pip}", arguments))
        virtual_nodes = str(self._ports["virtual-nodes"])
        arguments = ["vip", "serve", "--name", BROKER, "--port", str(self._ports["vip"]), *pip_options]
        starts.append(self._start("vip", [*arguments, "--netconf-base-port", virtual_nodes]))
        for outcome in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def start_ncp(self, vio: str, infrastructure_id: str) -> str:
        """An operator's controller over its VI; returns host:port of its gRPC."""
        name = f"ncp-{vio}"
        if name not in self._ports:
            standard = STANDARD_NCP_PORT + len(self._ncps)
            self._ports[name] = (
                standard if self.standard_ports and _is_free(standard) else _free_port(self._ports.values())
            )
        arguments = ["ncp", "serve", "--vio", vio, "--vi", infrastructure_id, "--vip", self.target("vip")]
        await self._start(name, [*arguments, "--port", str(self._ports[name])])
        self._ncps[vio] = self.target(name)
        return self.target(name)

    async def kill(self, name: str) -> None:
        """SIGKILL: no clean-up of any kind."""
        member = self._members[name]
        if member.process is not None and member.process.returncode is None:
            self._measure(member)
            member.process.kill()
            await member.process.wait()

    async def restart(self, name: str) -> None:
        """Start a process that ended, at the same place, on the state that it left."""
        await self._launch(name, self._members[name])

    async def stop(self, name: str) -> int:
        """SIGTERM, and SIGKILL when that is not heard; returns the exit status."""
        member = self._members[name]
        process = member.process
        if process is None:
            return 0
        if process.returncode is None:
            self._measure(member)
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        return process.returncode or 0

    async def stop_ncp(self, vio: str) -> None:
        """Stop an operator's controller for good."""
        await self.stop(f"ncp-{vio}")
        self._ncps.pop(vio, None)

    async def close(self) -> None:
        """Stop everything, last started first."""
        for name in reversed(self.names):
            await self.stop(name)

    def peak_memory_bytes(self) -> int:
        """Sum over all processes, this one and children included, of the most memory that each has ever held."""
        for member in self._members.values():
            self._measure(member)
        return _own_peak_rss_bytes(os.getpid()) + sum(member.peak_rss_bytes for member in self._members.values())

    def _choose_ports(self) -> None:
        standard = self.standard_ports and all(_is_free(port) for port in STANDARD_PORTS.values())
        for name, port in STANDARD_PORTS.items():
            any_port = 0 if name in ("emulator", "virtual-nodes") else _free_port(self._ports.values())
            self._ports[name] = port if standard else any_port

    async def _start(self, name: str, arguments: list[str]) -> Mapping[str, Any]:
        logs = self.state_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        ready_file = self.state_dir / f"{name}.json"
        options = ["--state-dir", str(self.state_dir), "--ready-file", str(ready_file), "--exit-with-stdin"]
        member = _Member([*arguments, *options, *self.extra_arguments.get(name, ())], ready_file, logs / f"{name}.log")
        self._members[name] = member
        return await self._launch(name, member)

    async def _launch(self, name: str, member: _Member) -> Mapping[str, Any]:
        member.ready_file.unlink(missing_ok=True)
        with member.log_file.open("ab") as log:
            member.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "controller", *member.arguments, stdin=asyncio.subprocess.PIPE,
                stdout=log, stderr=log,
            )  # fmt: skip
        end_tick_s = self.clock.tick_s() + START_TIMEOUT_S
        while not member.ready_file.exists():
            if member.process.returncode is not None or self.clock.tick_s() > end_tick_s:
                raise DeviceUnreachable(
                    f"{name} did not start; the end of {member.log_file}:\n{_tail(member.log_file)}"
                )
            await self.clock.sleep_s(POLL_S)
        ready: dict[str, Any] = json.loads(member.ready_file.read_text())
        return ready

    def _measure(self, member: _Member) -> None:
        if member.process is not None and member.process.returncode is None:
            member.peak_rss_bytes = max(member.peak_rss_bytes, _peak_rss_bytes(member.process.pid))


def _peak_rss_bytes(pid: int) -> int:
    """Peak of a process and of its descendants."""
    total = _own_peak_rss_bytes(pid)
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += _peak_rss_bytes(int(child))
    return total


def _own_peak_rss_bytes(pid: int) -> int:
    """VmHWM of proc(5); 0 for a process that is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _tail(log_file: Path) -> str:
    return "\n".join(log_file.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _free_port(taken: Collection[int]) -> int:
    """A free port below those that the system itself hands out, so that nobody is given it before its owner listens."""
    while True:
        port = int(SystemRng().uniform(*CHOSEN_PORTS))
        if port not in taken and _is_free(port):
            return port
