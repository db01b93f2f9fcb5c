"""NETCONF server: sessions, reads and commits per second, and memory per endpoint, beside netconfd in the same run.

    python benchmarks/netconf_sessions.py [--seconds 6] [--rounds 3] [--endpoints 100]

One client for all: ncclient, one session at a time, over SSH with ed25519 keys on the loopback. `small_model` is one
leaf of ietf-system on ours and on netconfd (Debian: yuma123, behind OpenSSH's sshd): get-config of it, and edit-config
of the candidate with a commit; `ours_to_netconfd` are the ratios, above 1 where we do more. Both keep what is committed
in a file; ours waits until the file is on disk. `roadm` is ours with a ROADM of four degrees: get of all, and an edit
that sets up or takes down a channel, with its commit. `memory` is of a process with many such ROADMs, beside one with
one, then with one session on each. Without netconfd and sshd their part is null.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import structlog
from lxml import etree

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from controller.domain.errors import DeviceUnreachable, NotAuthenticated  # noqa: E402  the repository need not be installed
from controller.domain.media import CrossConnect, SliceConfiguration  # noqa: E402
from controller.domain.spectrum import FrequencySlot  # noqa: E402
from controller.netconf.client import NcclientSession  # noqa: E402
from controller.netconf.device import FileStorage, SessionInfo  # noqa: E402
from controller.netconf.openroadm_models import openroadm_engine  # noqa: E402
from controller.netconf.server import Limits, NetconfServer  # noqa: E402
from controller.netconf.yang_engine import YangEngine  # noqa: E402
from controller.openroadm.configuration import edit_elements  # noqa: E402
from controller.openroadm.device_config import Degree, RoadmDescription, Site  # noqa: E402
from controller.openroadm.device_state import with_roadm_state  # noqa: E402
from controller.openroadm.facts import parse_device  # noqa: E402
from controller.ports.device_session import DeviceAddress  # noqa: E402
from controller.security.pki import make_ssh_key  # noqa: E402

SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system"
SBIN = "/usr/sbin:/sbin"
ROADM = RoadmDescription(
    "ROADM-A", Site("AAA", 0.0, 0.0), tuple(Degree(neighbour=(f"ROADM-{peer}", 1)) for peer in "BCDE"), 8, "SHELF-A"
)
START_S = 20.0
Turn = Callable[[NcclientSession, int], Awaitable[object]]


@dataclass
class Plain:
    """A device that does what it is told and keeps no books."""

    name: str
    engine: YangEngine
    roadm: RoadmDescription | None

    async def operational(self, running: etree._Element) -> etree._Element:
        if self.roadm is not None:
            return with_roadm_state(running, self.roadm, 500.0)
        return etree.fromstring(etree.tostring(running))

    async def check(self, before: etree._Element, after: etree._Element, session: SessionInfo) -> None:
        return

    async def apply(self, before: etree._Element, after: etree._Element) -> None:
        return

    async def rpc(self, operation: etree._Element, session: SessionInfo) -> Sequence[etree._Element] | None:
        return None


async def serve(model: str, count: int, folder: Path) -> None:
    """The server process: says where it listens, and goes when standard input ends."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    roadm = ROADM if model == "roadm" else None
    engine = openroadm_engine() if roadm else YangEngine([], ["ietf-system"])
    users = {getpass.getuser(): [asyncssh.read_public_key(folder / "user.pub")]}
    server = NetconfServer(limits=Limits())
    ports = []
    for number in range(count):
        endpoint = await server.add_endpoint(
            Plain(f"{model}-{number}", engine, roadm),
            FileStorage(folder / f"{model}-{number}.xml"),
            roadm.configuration() if roadm else etree.Element("data"),
            host="127.0.0.1",
            port=0,
            host_key=asyncssh.read_private_key(folder / "host"),
            users=users,
        )
        ports.append(endpoint.port)
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()


@contextlib.asynccontextmanager
async def ours(model: str, count: int, folder: Path) -> AsyncIterator[tuple[list[DeviceAddress], int]]:
    """Addresses of our server's endpoints, and its process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", model, str(count), str(folder), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ports = json.loads(await process.stdout.readline())
        yield [address(folder, port) for port in ports], process.pid
    finally:
        process.stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def netconfd(folder: Path) -> AsyncIterator[DeviceAddress]:
    """Address of netconfd behind sshd, both with their files in `folder`."""
    port, names = _free_port(), folder / "ncx.sock"
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    folder.joinpath("sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        f'Subsystem netconf "{_program("netconf-subsystem")} --ncxserver-sockname={port}@{names}"\n'
    )
    commands = [
        [_program("netconfd"), "--module=ietf-system", "--modpath=/usr/share/yuma/modules", "--target=candidate",
         f"--superuser={getpass.getuser()}", f"--ncxserver-sockname={names}", f"--port={port}", "--log-level=error",
         f"--startup={folder}/startup-cfg.xml"],
        [_program("sshd"), "-D", "-e", "-f", f"{folder}/sshd_config"],
    ]  # fmt: skip
    folder.joinpath("startup-cfg.xml").write_text('<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>')
    processes = []
    try:
        with (folder / "netconfd.log").open("wb") as log:
            for command in commands:
                processes.append(
                    await asyncio.create_subprocess_exec(
                        *command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        env=os.environ | {"HOME": str(folder)},
                    )
                )
        peer = address(folder, port)
        await _until_open(peer, folder / "netconfd.log")
        yield peer
    finally:
        for process in processes:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def address(folder: Path, port: int) -> DeviceAddress:
    """Where a server on the loopback listens, with the keys of this run."""
    return DeviceAddress("127.0.0.1", port, getpass.getuser(), folder / "user", (folder / "host.pub").read_text())


async def sessions_per_second(peer: DeviceAddress, seconds: float) -> float:
    """Sessions set up to the end of <hello> and closed."""
    done, began_s = 0, time.perf_counter()
    while time.perf_counter() - began_s < seconds:
        session = NcclientSession(peer)
        await session.connect()
        await session.close()
        done += 1
    return done / (time.perf_counter() - began_s)


async def turns(peer: DeviceAddress, seconds: float, turn: Turn) -> dict[str, float]:
    """How often per second `turn` is done on one session, and its median in milliseconds."""
    session = NcclientSession(peer)
    await session.connect()
    took_s: list[float] = []
    try:
        await turn(session, 0)
        began_s = time.perf_counter()
        while time.perf_counter() - began_s < seconds:
            turn_s = time.perf_counter()
            await turn(session, len(took_s) + 1)
            took_s.append(time.perf_counter() - turn_s)
    finally:
        await session.close()
    return {"per_second": round(len(took_s) / sum(took_s), 1), "median_ms": round(statistics.median(took_s) * 1e3, 2)}


async def small_model(peer: DeviceAddress, seconds: float) -> dict[str, Any]:
    """Sessions, reads and commits of one leaf."""

    async def read(session: NcclientSession, _: int) -> None:
        await session.get_config(subtree=etree.Element(f"{{{SYSTEM}}}system"))

    async def write(session: NcclientSession, number: int) -> None:
        system = etree.Element(f"{{{SYSTEM}}}system")
        etree.SubElement(system, f"{{{SYSTEM}}}location").text = f"room {number}"
        await session.edit_config([system])
        await session.commit()

    return {
        "sessions": {"per_second": round(await sessions_per_second(peer, seconds), 1)},
        "edit_and_commit": await turns(peer, seconds, write),
        "get_config": await turns(peer, seconds, read),
    }


async def roadm(peer: DeviceAddress, seconds: float) -> dict[str, Any]:
    """Reads of a whole ROADM, and commits of one channel up or down."""
    session = NcclientSession(peer)
    await session.connect()
    read_once = await session.get()
    await session.close()
    facts = parse_device(read_once)
    ports = [degree.connection_point for degree in facts.degrees[:2]]
    dark = SliceConfiguration()
    lit = SliceConfiguration(frozenset({CrossConnect("bench", ports[0], ports[1], FrequencySlot(n=0, m=8), 63.1)}))

    async def write(session: NcclientSession, number: int) -> None:
        await session.edit_config(edit_elements(facts, *((lit, dark) if number % 2 else (dark, lit))))
        await session.commit()

    async def read(session: NcclientSession, _: int) -> None:
        await session.get()

    return {
        "get_kb": round(len(etree.tostring(read_once)) / 1e3, 1),
        "get": await turns(peer, seconds, read),
        "edit_and_commit": await turns(peer, seconds, write),
    }


async def memory(count: int, folder: Path) -> dict[str, Any]:
    """Resident kB of a process per endpoint, and per session on it, both beyond the first."""
    async with ours("roadm", 1, folder) as (_, pid):
        one_kb = _resident_kb(pid)
    async with ours("roadm", count, folder) as (peers, pid):
        many_kb = _resident_kb(pid)
        sessions = [NcclientSession(peer) for peer in peers]
        for session in sessions:
            await session.connect()
        full_kb = _resident_kb(pid)
        for session in sessions:
            await session.close()
    return {
        "endpoints": count,
        "process_mb": round(many_kb / 1e3, 1),
        "endpoint_kb": round((many_kb - one_kb) / max(1, count - 1), 1),
        "session_kb": round((full_kb - many_kb) / count, 1),
    }


async def beside(seconds: float, rounds: int, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rounds of ours and of netconfd in turn, so that both meet the same machine; no netconfd, no rounds of it."""
    own, other = [], []
    async with contextlib.AsyncExitStack() as running:
        peers, _ = await running.enter_async_context(ours("system", 1, folder))
        peer = None
        if all(_program(program) for program in ("netconfd", "netconf-subsystem", "sshd")):
            peer = await running.enter_async_context(netconfd(folder))
        for _ in range(rounds):
            own.append(await small_model(peers[0], seconds / rounds))
            if peer is not None:
                other.append(await small_model(peer, seconds / rounds))
    return own, other


def middle(rounds: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Medians over rounds, figure by figure."""
    if not rounds:
        return None
    return {
        what: {name: statistics.median(one[what][name] for one in rounds) for name in figures}
        for what, figures in rounds[0].items()
    }


def ratios(own: list[dict[str, Any]], other: list[dict[str, Any]]) -> dict[str, float] | None:
    """Median over rounds of how many times more often a second we do a thing."""
    if not other:
        return None
    return {
        what: round(
            statistics.median(a[what]["per_second"] / b[what]["per_second"] for a, b in zip(own, other, strict=True)), 2
        )
        for what in own[0]
    }


async def measure(seconds: float, rounds: int, endpoints: int) -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for key in ("host", "user"):
            make_ssh_key(folder / key, key)
        own, other = await beside(seconds, rounds, folder)
        async with ours("roadm", 1, folder) as (peers, _):
            device = await roadm(peers[0], seconds)
        held = await memory(endpoints, folder)
    return {
        "benchmark": "netconf_sessions",
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
        "small_model": {
            "ours": middle(own),
            "netconfd": middle(other),
            "ours_to_netconfd": ratios(own, other),
        },
        "roadm": device,
        "memory": held,
    }


async def _until_open(peer: DeviceAddress, log: Path) -> None:
    end_s = time.perf_counter() + START_S
    while True:
        session = NcclientSession(peer)
        try:
            await session.connect()
        except (DeviceUnreachable, NotAuthenticated) as error:
            if time.perf_counter() > end_s:
                sys.exit(f"netconfd does not answer: {error}\n{_end_of(log)}")
            await asyncio.sleep(0.2)
        else:
            return
        finally:
            await session.close()


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each figure is measured (default 6)")
    parser.add_argument("--rounds", type=int, default=3, help="turns that the seconds are split into (default 3)")
    parser.add_argument("--endpoints", type=int, default=100, help="endpoints of the memory figure (default 100)")
    parser.add_argument("--serve", nargs=3, metavar=("MODEL", "COUNT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        model, count, folder = options.serve
        asyncio.run(serve(model, int(count), Path(folder)))
    else:
        print(json.dumps(asyncio.run(measure(options.seconds, options.rounds, options.endpoints)), indent=2))


if __name__ == "__main__":
    main()
