"""A NETCONF endpoint with a small box behind it, and keys to log in with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from controller.netconf.client import NcclientSession
from controller.netconf.device import FileStorage, RpcError, SessionInfo
from controller.netconf.server import Endpoint, Limits, NetconfServer
from controller.netconf.yang_engine import YangEngine
from controller.ports.device_session import DeviceAddress
from controller.security.pki import make_ssh_key

NS = "urn:geysers:yang:test-box"
YANG = Path(__file__).parents[1] / "data" / "yang"
START = f'<data><box xmlns="{NS}"><label>one</label></box></data>'


@dataclass
class Box:
    """A device that remembers what it was told, and can be told to refuse."""

    engine: YangEngine
    name: str = "box"
    applied: list[bytes] = field(default_factory=list)
    broken: bool = False

    async def operational(self, running: etree._Element) -> etree._Element:
        data = etree.fromstring(etree.tostring(running))
        for slot in data.iter(f"{{{NS}}}slot"):
            etree.SubElement(slot, f"{{{NS}}}load-percent").text = "7"
        return data

    async def check(self, before: etree._Element, after: etree._Element, session: SessionInfo) -> None:
        if after.findtext(f"{{{NS}}}box/{{{NS}}}label") == "taboo":
            raise RpcError("access-denied", "label 'taboo' is not yours: choose another", path="/box/label")

    async def apply(self, before: etree._Element, after: etree._Element) -> None:
        if self.broken:
            raise RpcError("operation-failed", "the lamp is stuck")
        self.applied.append(etree.tostring(after))

    async def rpc(self, operation: etree._Element, session: SessionInfo):
        return None


@dataclass
class Served:
    box: Box
    endpoint: Endpoint
    address: DeviceAddress
    storage_file: Path
    server: NetconfServer

    def session(self) -> NcclientSession:
        return NcclientSession(self.address)

    def running(self) -> str:
        return etree.tostring(self.endpoint.running()).decode()


@pytest.fixture(scope="session")
def box_engine() -> YangEngine:
    return YangEngine([YANG], ["test-box"])


@pytest.fixture
def limits() -> Limits:
    """A module that tests limits has its own."""
    return Limits()


@pytest.fixture
async def served(tmp_path: Path, box_engine: YangEngine, limits: Limits):
    make_ssh_key(tmp_path / "id_alice", "alice")
    make_ssh_key(tmp_path / "host", "host")
    server = NetconfServer(limits=limits)
    box = Box(box_engine)
    endpoint = await server.add_endpoint(
        box,
        FileStorage(tmp_path / "box.xml"),
        etree.fromstring(START),
        host="127.0.0.1",
        port=0,
        host_key=asyncssh.read_private_key(tmp_path / "host"),
        users={"alice": [asyncssh.read_public_key(tmp_path / "id_alice.pub")]},
    )
    address = DeviceAddress(
        "127.0.0.1", endpoint.port, "alice", tmp_path / "id_alice", endpoint.host_public_key, timeout_s=5
    )
    yield Served(box, endpoint, address, tmp_path / "box.xml", server)
    await server.close()
