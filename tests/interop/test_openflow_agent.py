"""The agent (os-ken, own process) steers a live edge switch over real sockets."""

import asyncio
import gc
import json
import os
import signal
import socket
import sys
import warnings

import pytest

from controller.domain.errors import AlreadyExists, DeviceInDoubt, DeviceUnreachable, InvalidRequest, NotFound
from controller.domain.identity import Identity, Role
from controller.openflow.client import OpenFlowAgent
from controller.openflow.steering import PRIORITY, steering_cookie
from controller.ports.clock import SystemClock
from controller.security.pki import Credentials, DevelopmentCa
from emulator.openflow import start_edge_switch
from emulator.openflow.codec import FlowCommand, FlowMod, Match
from emulator.tls import TlsFiles
from tests.interop.pip_network import until

CLIENTS = ["XPDR1-CLIENT1", "XPDR1-CLIENT2"]


@pytest.fixture
async def switch(tmp_path):
    handle = await start_edge_switch("EDGE-AMS", "AMS", CLIENTS, tmp_path / "state")
    yield handle
    await handle.close()


@pytest.fixture
async def agent(switch, tmp_path):
    async with OpenFlowAgent([("127.0.0.1", switch.port)], SystemClock()) as running:
        yield running


async def test_a_vlan_reaches_the_lightpath_and_comes_back(switch, agent):
    put = await agent.put_steering("nips-1", "AMS", "XPDR1-CLIENT2", 301)
    assert put.cookie == steering_cookie("nips-1")
    assert switch.table.forward(100, 301) == [(2, None)]
    assert switch.table.forward(2, None) == [(100, 301)]
    assert switch.table.forward(100, 302) == []
    assert await agent.put_steering("nips-1", "AMS", "XPDR1-CLIENT2", 301) == put
    assert await agent.list_steering("AMS") == [put]
    (found,) = await agent.list_switches()
    assert (found.clli, found.ports) == ("AMS", {"XPDR1-CLIENT1": 1, "XPDR1-CLIENT2": 2, "LAN": 100})
    await agent.delete_steering("nips-1", "AMS")
    await agent.delete_steering("nips-1", "AMS")
    assert await agent.list_steering("AMS") == []
    assert len(switch.table) == 0


async def test_refusals_change_nothing(switch, agent):
    tagged = await agent.put_steering("a", "AMS", "XPDR1-CLIENT1", 10, tagged=True)
    assert switch.table.forward(1, 10) == [(100, 10)]
    with pytest.raises(AlreadyExists):
        await agent.put_steering("b", "AMS", "XPDR1-CLIENT2", 10)
    with pytest.raises(NotFound):
        await agent.put_steering("b", "AMS", "XPDR9", 11)
    with pytest.raises(NotFound):
        await agent.put_steering("b", "LON", "XPDR1-CLIENT1", 11)
    with pytest.raises(InvalidRequest):
        await agent.put_steering("b", "AMS", "XPDR1-CLIENT2", 4095)
    assert await agent.list_steering("AMS") == [tagged]


async def test_a_killed_agent_is_replaced_and_works(switch, agent):
    put = await agent.put_steering("nips-1", "AMS", "XPDR1-CLIENT1", 301)
    killed = agent.pid
    os.kill(killed, signal.SIGKILL)
    try:
        assert await agent.list_steering("AMS") == [put]
    except DeviceUnreachable:
        assert await agent.list_steering("AMS") == [put]
    assert agent.pid != killed


async def test_a_switch_that_restarts_keeps_its_flows_and_is_found_again(tmp_path):
    handle = await start_edge_switch("EDGE-AMS", "AMS", CLIENTS, tmp_path / "state")
    async with OpenFlowAgent([("127.0.0.1", handle.port)], SystemClock()) as agent:
        put = await agent.put_steering("nips-1", "AMS", "XPDR1-CLIENT1", 301)
        await handle.close()
        handle = await start_edge_switch("EDGE-AMS", "AMS", CLIENTS, tmp_path / "state")
        try:
            assert await agent.list_steering("AMS") == [put]
        except DeviceUnreachable:
            assert await agent.list_steering("AMS") == [put]
    await handle.close()


async def test_an_absent_switch_is_unreachable(tmp_path):
    async with OpenFlowAgent([("127.0.0.1", 1)], SystemClock(), deadline_s=3.0) as agent:
        with pytest.raises(DeviceUnreachable):
            await agent.put_steering("nips-1", "AMS", "XPDR1-CLIENT1", 301)


def _tls(ca: DevelopmentCa, identity: Identity) -> tuple[TlsFiles, Credentials]:
    mine = ca.issue(identity)
    return TlsFiles(mine.certificate_file, mine.private_key_file, mine.ca_certificate_file), mine


async def test_over_mutual_tls_only_a_controller_of_the_switch_owner_steers(tmp_path):
    ca = DevelopmentCa(tmp_path / "pki")
    files, _ = _tls(ca, Identity("demo", Role.EMULATOR, "emulator"))
    handle = await start_edge_switch("EDGE-AMS", "AMS", CLIENTS, tmp_path / "state", tls=files, owner="north")
    target = [("127.0.0.1", handle.port)]
    pip = ca.issue(Identity("demo", Role.PIP, "north"))
    stranger = DevelopmentCa(tmp_path / "other").issue(Identity("demo", Role.PIP, "north"))
    async with OpenFlowAgent(target, SystemClock(), credentials=pip) as agent:
        put = await agent.put_steering("nips-1", "AMS", "XPDR1-CLIENT1", 301)
        assert await agent.list_steering("AMS") == [put]
    others = [
        stranger,
        *(ca.issue(ca.identity(role, name)) for role, name in ((Role.PIP, "south"), (Role.VIO, "north"))),
    ]
    for other in others:
        async with OpenFlowAgent(target, SystemClock(), credentials=other, deadline_s=3.0) as agent:
            with pytest.raises(DeviceUnreachable):
                await agent.list_steering("AMS")
    async with OpenFlowAgent(target, SystemClock(), deadline_s=3.0) as agent:
        with pytest.raises(DeviceUnreachable):
            await agent.list_steering("AMS")
    await handle.close()
    # Handshakes that broke off leave their transports to the collector, which says so; let it say it here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def test_a_steering_refused_in_part_leaves_nothing_at_the_switch(switch, agent):
    foreign = FlowMod(4711, 0, 0, FlowCommand.ADD, 0, 0, PRIORITY, 0, 0, 0, Match(None, 0), ())
    switch.table.apply(foreign)
    with pytest.raises(AlreadyExists):
        # The flow from the LAN fits; the one to it overlaps with what somebody else put there.
        await agent.put_steering("alice", "AMS", "XPDR1-CLIENT1", 301)
    assert [flow.cookie for flow in switch.table.select(Match())] == [4711]
    assert (await agent.count_flows("AMS"), await agent.list_steering("AMS")) == (1, [])
    await agent.put_steering("bob", "AMS", "XPDR1-CLIENT2", 301, tagged=True)
    assert switch.table.forward(100, 301) == [(2, 301)]


async def test_a_read_that_the_agent_doubts_is_only_unreachable(agent, monkeypatch):
    """The switch may go while it is read; whoever reads has nothing to be in doubt about."""
    await agent.list_switches()
    write = agent._writer.write

    def answer_with_doubt(data: bytes) -> None:
        number = json.loads(data)["id"]
        doubt = {"id": number, "ok": False, "error": "DeviceInDoubt", "message": "the switch went"}
        agent._waiting[number].set_result(doubt)

    monkeypatch.setattr(agent._writer, "write", answer_with_doubt)
    with pytest.raises(DeviceUnreachable):
        await agent.list_steering("AMS")
    with pytest.raises(DeviceInDoubt):
        await agent.delete_steering("nips-1", "AMS")
    monkeypatch.setattr(agent._writer, "write", write)


class HurriedClock(SystemClock):
    """A clock whose pauses are only counted."""

    def __init__(self) -> None:
        self.pauses_s: list[float] = []

    async def sleep_s(self, duration_s: float) -> None:
        self.pauses_s.append(duration_s)
        await super().sleep_s(0.0)


async def test_an_agent_that_does_not_start_is_tried_ever_more_seldom_and_said_so(capsys):
    clock = HurriedClock()
    async with OpenFlowAgent([("127.0.0.1", "no port")], clock):
        await until(lambda: len(clock.pauses_s) >= 3)
    assert clock.pauses_s[:3] == sorted(set(clock.pauses_s[:3]))
    assert "the OpenFlow agent ended" in capsys.readouterr().out


async def test_the_agent_ends_with_its_parent(tmp_path):
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "controller.openflow.agent", "--descriptor", str(theirs.fileno())]
    environment = {**os.environ, "OSKEN_HUB_TYPE": "native"}
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, pass_fds=[theirs.fileno()]
        )
    async with asyncio.timeout(30):
        assert await process.wait() == 0
