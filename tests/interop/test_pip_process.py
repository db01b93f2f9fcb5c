"""The provider's process: when it begins to answer, and what it leaves behind when it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import asyncssh
import grpc
import pytest
from geysers.pip.v1 import pip_pb2

from controller.api.provider_client import GrpcProvider
from controller.app import pip as pip_process
from controller.app.pip import PipProcess, PipSettings
from controller.app.plant_figures import figures_from_json, figures_to_json, plant_figures, plant_figures_apart
from controller.domain.errors import DeviceUnreachable, InvalidRequest
from controller.domain.identity import Role
from controller.domain.it import Steering
from controller.domain.reservation import NodePart, Reservation
from controller.pip.inventory import PlantFigures
from controller.security.pki import DevelopmentCa
from emulator.app import BUNDLED
from emulator.openflow import start_edge_switch
from emulator.tls import TlsFiles
from tests.interop.pip_network import until

NETWORK, EQUIPMENT = BUNDLED / "network.json", BUNDLED / "equipment.json"
REQUEST_ID = "11111111-1111-4111-8111-111111111111"


def device_entry(port: int) -> dict[str, object]:
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    return {
        "name": "ROADM-AMS", "kind": "rdm", "provider": "north", "host": "127.0.0.1", "port": port,
        "host_public_key": key,
    }  # fmt: skip


class SilentDevice:
    """A host that takes connections and says nothing."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.server: asyncio.Server

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def _accept(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)

    async def go(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.close()


def settings_in(tmp_path: Path, addresses: dict[str, object]) -> tuple[PipSettings, DevelopmentCa]:
    authority = DevelopmentCa(tmp_path / "pki")
    file = tmp_path / "addresses.json"
    file.write_text(json.dumps(addresses))
    credentials = authority.issue(authority.identity(Role.PIP, "north"))
    return PipSettings("north", credentials, tmp_path / "pip", file, NETWORK, EQUIPMENT), authority


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_figures(*_: object) -> PlantFigures:
        return PlantFigures()

    monkeypatch.setattr(pip_process, "plant_figures_apart", no_figures)


@pytest.mark.usefixtures("without_figures")
async def test_nothing_is_answered_before_the_equipment_was_asked(tmp_path: Path) -> None:
    device = SilentDevice()
    port = await device.start()
    settings, authority = settings_in(tmp_path, {"devices": [device_entry(port)]})
    process = PipProcess(settings)
    starting = asyncio.ensure_future(process.start())
    await until(lambda: device.writers)
    broker = authority.issue(authority.identity(Role.VIP, "broker"))
    asked = Reservation("g", (NodePart("n", "pips/north/nodes/ROADM-AMS", (), 0),))
    client = GrpcProvider("north", process.ready["grpc"], broker)
    try:
        answer = asyncio.ensure_future(client.create_reservation(asked, 60.0, REQUEST_ID))
        done, _ = await asyncio.wait([answer, starting], timeout=0.2)
        assert not done, "it answered while it was still looking"
        await device.go()
        await starting
        with pytest.raises(DeviceUnreachable, match="ROADM-AMS has not answered yet"):
            await answer
    finally:
        await client.close()
        await process.close()


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("seconds", [10**15, -(10**15), 3601, 0])
async def test_a_hold_time_beyond_all_bounds_is_an_invalid_argument(tmp_path: Path, seconds: int) -> None:
    settings, authority = settings_in(tmp_path, {"devices": [device_entry(1)]})
    process = PipProcess(settings)
    await process.start()
    client = GrpcProvider("north", process.ready["grpc"], authority.issue(authority.identity(Role.VIP, "broker")))
    request = pip_pb2.CreateReservationRequest(request_id=REQUEST_ID)
    request.reservation.gri = "g"
    request.hold_time.seconds = seconds
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client._market.CreateReservation(request, timeout=30)
    finally:
        await client.close()
        await process.close()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "at most 3600 s" in (caught.value.details() or "")


@pytest.mark.usefixtures("without_figures")
async def test_edge_switches_are_reached_from_a_state_directory_of_any_length(tmp_path: Path) -> None:
    authority = DevelopmentCa(tmp_path / "pki")
    own = authority.issue(authority.identity(Role.EMULATOR, "emulator"))
    files = TlsFiles(own.certificate_file, own.private_key_file, own.ca_certificate_file)
    switch = await start_edge_switch("edge-ams", "AMS", ["C1"], tmp_path / "edge", tls=files, owner="north")
    entry = {"provider": "north", "host": "127.0.0.1", "port": switch.port}
    settings, _ = settings_in(tmp_path, {"devices": [device_entry(1)], "edge_switches": [entry]})
    process = PipProcess(replace(settings, state_dir=tmp_path / ("a" * 100)))
    try:
        await process.start()
        assert process._provider is not None
        assert process._provider._edge is not None
        assert await process._provider._edge.present("r", "AMS", [Steering("s", "C1", 301)]) == ()
    finally:
        await process.close()
        await switch.close()


def running_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def computes(pid: int) -> bool:
    try:
        return "numba" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_provider_killed_while_it_computes_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "addresses.json").write_text(json.dumps({"devices": [device_entry(1)]}))
    options = {
        "--name": "north", "--state-dir": str(tmp_path), "--port": "0", "--network": str(NETWORK),
        "--addresses": str(tmp_path / "addresses.json"), "--equipment": str(EQUIPMENT),
    }  # fmt: skip
    provider = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller", "pip", "serve", *(word for option in options.items() for word in option),
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    children: list[int] = []
    try:
        await until(lambda: any(computes(child) for child in running_children(provider.pid)))
        children = running_children(provider.pid)
        os.kill(provider.pid, signal.SIGKILL)
        await provider.wait()
        await until(lambda: not any(is_running(child) for child in children))
    finally:
        if provider.returncode is None:
            provider.kill()
            await provider.wait()
        for child in filter(is_running, children):
            os.kill(child, signal.SIGKILL)


async def test_figures_come_back_from_their_process_as_they_were_computed() -> None:
    apart = await plant_figures_apart(NETWORK, EQUIPMENT, ["ROADM-AMS"])
    assert apart == plant_figures(NETWORK, EQUIPMENT, ["ROADM-AMS"])
    assert {ends[0] for ends in apart.lines} == set(apart.add_drop_osnr_0p1nm_db) == {"ROADM-AMS"}
    assert figures_from_json(json.loads(json.dumps(figures_to_json(apart)))) == apart


async def test_records_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text("[]")
    with pytest.raises(InvalidRequest, match=r"network\.json"):
        await plant_figures_apart(tmp_path / "network.json", EQUIPMENT, ["ROADM-AMS"])
