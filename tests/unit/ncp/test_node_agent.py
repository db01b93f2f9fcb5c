"""One agent against a device played by hand: doubt, locks, and a session that dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from controller.domain.errors import DeviceInDoubt, DeviceLocked, DeviceRejected, DeviceUnreachable, GeysersError
from controller.domain.infrastructure import NetconfAddress
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.ncp.node_agent import AgentTimings, NodeAgent
from controller.openroadm.namespaces import DEVICE
from controller.ports.clock import SystemClock
from controller.ports.rng import SeededRng

UID = "0b5c1e1c-7a3e-4a43-9d6c-6f2f6f0f2a11"
SLOT = FrequencySlot(n=0, m=7)
WANTED = SliceConfiguration(frozenset({CrossConnect(f"{UID}/f", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", SLOT, 63.1)}))
TIMINGS = AgentTimings(0.05, 0.001, 0.01, 1.0, 0.2, 0.001)
ADDRESS = NetconfAddress("127.0.0.1", 830, "key", "alpha")
START = f"""<data><org-openroadm-device xmlns="{DEVICE}">
  <info><node-id>roadm</node-id><node-type>rdm</node-type></info>
  <circuit-packs><circuit-pack-name>1/0</circuit-pack-name><ports><port-name>L1</port-name>
    <logical-connection-point>DEG1-TTP-TXRX</logical-connection-point></ports></circuit-packs>
  <circuit-packs><circuit-pack-name>SRG1/0</circuit-pack-name><ports><port-name>C1</port-name>
    <port-qual>roadm-external</port-qual>
    <logical-connection-point>SRG1-PP1-TXRX</logical-connection-point></ports></circuit-packs>
  <degree><degree-number>1</degree-number><connection-ports><circuit-pack-name>1/0</circuit-pack-name>
    <port-name>L1</port-name></connection-ports></degree>
  <shared-risk-group><srg-number>1</srg-number><circuit-packs><circuit-pack-name>SRG1/0</circuit-pack-name>
    </circuit-packs></shared-risk-group>
</org-openroadm-device></data>"""


class Device:
    """Running, candidate and lock of a device; `answer` decides what becomes of each operation."""

    def __init__(self) -> None:
        self.running = etree.fromstring(START)
        self.candidate: etree._Element | None = None
        self.pending: tuple[str, etree._Element] | None = None
        self.locked_by: Any = None
        self.log: list[str] = []
        self.answer: Callable[[str], str] = lambda _name: "ok"
        self.sessions = 0

    def session(self, _address: NetconfAddress) -> Session:
        return Session(self)


class Session:
    """A DeviceSession; `lost` = carried out but not answered, `cut` = not carried out and not answered."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.dead = False

    capabilities: frozenset[str] = frozenset()

    async def connect(self) -> None:
        if self.device.answer("connect") != "ok":
            raise DeviceUnreachable("no route")
        self.device.sessions += 1

    async def close(self) -> None:
        self._die()

    def _die(self) -> None:
        self.dead = True
        if self.device.locked_by is self:
            self.device.locked_by = None
            self.device.candidate = None

    async def _do(self, name: str, effect: Callable[[], Any] = lambda: None) -> Any:
        await asyncio.sleep(0)
        if self.dead:
            raise DeviceUnreachable("no session")
        self.device.log.append(name)
        verdict = self.device.answer(name)
        result = None if verdict == "cut" else effect()
        if verdict in ("cut", "lost"):
            self._die()
            raise DeviceInDoubt(f"did not answer {name}")
        if verdict not in ("ok", "lost"):
            raise DeviceRejected(verdict)
        return result

    async def get(self, subtree: Any = None) -> etree._Element:
        return await self._do("get", lambda: etree.fromstring(etree.tostring(self.device.running)))

    async def get_config(self, source: str = "running", subtree: Any = None) -> etree._Element:
        return await self._do("get-config", lambda: etree.fromstring(etree.tostring(self.device.running)))

    async def edit_config(self, config: Any, target: str = "candidate", default_operation: str = "merge") -> None:
        def effect() -> None:
            device = self.device
            device.candidate = etree.fromstring(etree.tostring(device.running))
            root = device.candidate[0]
            for entry in config[0]:
                name = entry[0].text
                for old in [child for child in root if child.tag == entry.tag and child[0].text == name]:
                    root.remove(old)
                if not any(key.endswith("operation") for key in entry.attrib):
                    root.append(etree.fromstring(etree.tostring(entry)))

        await self._do("edit-config", effect)

    async def validate(self, source: str = "candidate") -> None:
        await self._do("validate")

    async def commit(self, *, confirmed=False, timeout_s=None, persist=None, persist_id=None) -> None:
        device = self.device
        if (device.pending[0] if device.pending else None) != persist_id:
            device.log.append("commit refused")
            raise DeviceRejected("invalid-value")

        def effect() -> None:
            device.pending = (persist, device.running) if confirmed else None
            if device.candidate is not None:
                device.running, device.candidate = device.candidate, None

        await self._do("commit confirmed" if confirmed else "commit", effect)

    async def cancel_commit(self, persist_id: str | None = None) -> None:
        device = self.device
        if device.pending is None or device.pending[0] != persist_id:
            raise DeviceRejected("nothing pending")

        def effect() -> None:
            device.running, device.pending = device.pending[1], None

        await self._do("cancel-commit", effect)

    async def discard_changes(self) -> None:
        if self.device.locked_by not in (None, self):
            raise DeviceLocked("in-use")
        await self._do("discard-changes", lambda: setattr(self.device, "candidate", None))

    async def lock(self, target: str) -> None:
        if self.device.locked_by is not None or self.device.candidate is not None:
            raise DeviceLocked("lock-denied")
        await self._do("lock", lambda: setattr(self.device, "locked_by", self))

    async def unlock(self, target: str) -> None:
        await self._do("unlock", lambda: setattr(self.device, "locked_by", None))

    async def rpc(self, operation: etree._Element) -> etree._Element:
        raise NotImplementedError


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
async def agent(device: Device):
    agent = NodeAgent("roadm", ADDRESS, device.session, SystemClock(), SeededRng(1), TIMINGS)
    task = asyncio.ensure_future(agent.run())
    await agent.tried.wait()
    yield agent
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await agent.close()


def _once(device: Device, name: str, verdict: str) -> None:
    """The next operation called `name` ends in `verdict`."""
    left = [name]

    def answer(operation: str) -> str:
        if operation in left:
            left.remove(operation)
            return verdict
        return "ok"

    device.answer = answer


def _carried(device: Device) -> int:
    return len(device.running[0].findall(f"{{{DEVICE}}}roadm-connections"))


@pytest.mark.parametrize("step", ["lock", "get-config", "edit-config", "validate"])
@pytest.mark.parametrize("verdict", ["lost", "cut"])
async def test_doubt_while_staging_is_taken_up_on_a_new_session(device, agent, step, verdict) -> None:
    _once(device, step, verdict)
    await agent.stage(UID, WANTED)
    assert device.sessions == 2
    assert device.candidate is not None
    assert _carried(device) == 0


@pytest.mark.parametrize(("verdict", "commits"), [("lost", 1), ("cut", 2)])
async def test_doubtful_commit_is_read_back_and_only_repeated_when_it_did_nothing(
    device, agent, verdict, commits
) -> None:
    await agent.stage(UID, WANTED)
    _once(device, "commit confirmed", verdict)
    await agent.commit_confirmed(UID, WANTED, "p1", 60)
    assert device.log.count("commit confirmed") == commits
    assert (_carried(device), device.pending[0]) == (1, "p1")
    assert device.locked_by is not None


@pytest.mark.parametrize("verdict", ["lost", "cut"])
async def test_doubtful_confirmation_ends_certain_when_repeated(device, agent, verdict) -> None:
    await agent.stage(UID, WANTED)
    await agent.commit_confirmed(UID, WANTED, "p1", 60)
    _once(device, "commit", verdict)
    with pytest.raises(DeviceInDoubt):
        await agent.confirm(UID, WANTED, "p1")
    await agent.confirm(UID, WANTED, "p1")
    assert (_carried(device), device.pending) == (1, None)


async def test_confirmation_of_what_the_device_reverted_applies_it_again(device, agent) -> None:
    await agent.stage(UID, WANTED)
    await agent.commit_confirmed(UID, WANTED, "p1", 60)
    device.running, device.pending = device.pending[1], None
    await agent.confirm(UID, WANTED, "p1")
    assert (_carried(device), device.pending) == (1, None)


async def _withdraw_until_gone(agent, persist_id) -> None:
    """As the saga does it."""
    for _ in range(5):
        try:
            await agent.withdraw(UID, WANTED, persist_id)
        except GeysersError:
            continue
        return
    pytest.fail("five attempts did not take the service off the device")


@pytest.mark.parametrize("step", ["lock", "discard-changes", "cancel-commit", "get-config", "unlock"])
@pytest.mark.parametrize("verdict", ["lost", "cut", "the device is busy"])
async def test_withdrawal_of_a_pending_commit_tried_again_ends_with_it_gone(device, agent, step, verdict) -> None:
    before = etree.tostring(device.running, method="c14n")
    await agent.stage(UID, WANTED)
    await agent.commit_confirmed(UID, WANTED, "p1", 60)
    _once(device, step, verdict)
    await _withdraw_until_gone(agent, "p1")
    assert etree.tostring(device.running, method="c14n") == before
    assert (device.pending, device.locked_by) == (None, None)


@pytest.mark.parametrize("step", ["edit-config", "validate", "commit"])
@pytest.mark.parametrize("verdict", ["lost", "cut", "the device is busy"])
async def test_withdrawal_of_what_is_in_service(device, agent, step, verdict) -> None:
    await agent.stage(UID, WANTED)
    await agent.commit_confirmed(UID, WANTED, "p1", 60)
    await agent.confirm(UID, WANTED, "p1")
    await agent.unlock()
    _once(device, step, verdict)
    await _withdraw_until_gone(agent, None)
    assert (_carried(device), device.locked_by) == (0, None)


async def test_lock_of_another_session_is_waited_for_then_reported(device, agent) -> None:
    device.locked_by = "somebody"
    with pytest.raises(DeviceLocked):
        await agent.stage(UID, WANTED)
    assert "edit-config" not in device.log
    device.locked_by = None
    await agent.stage(UID, WANTED)


async def test_dead_session_is_noticed_by_the_keep_alive_and_replaced(device, agent) -> None:
    _once(device, "get", "cut")
    async with asyncio.timeout(5):
        while device.sessions < 2:  # noqa: ASYNC110 - the device played here has no event to wait for
            await asyncio.sleep(0.001)
    await agent.ready()
    assert agent.facts.node_id == "roadm"


async def test_nonsense_from_a_device_does_not_end_its_agent(device, agent) -> None:
    good, device.running = device.running, etree.fromstring("<data><org-openroadm-device xmlns='x'/></data>")
    _once(device, "get", "cut")
    async with asyncio.timeout(5):
        while "info" not in agent.problem:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
    assert agent.facts is None
    device.running = good
    await agent.ready()
    assert agent.facts.node_id == "roadm"


async def test_unreachable_device_is_reported_to_who_waits(device) -> None:
    device.answer = lambda _name: "cut"
    timings = AgentTimings(0.05, 0.001, 0.01, 0.02, 0.2, 0.001)
    agent = NodeAgent("roadm", ADDRESS, device.session, SystemClock(), SeededRng(1), timings)
    task = asyncio.ensure_future(agent.run())
    with pytest.raises(DeviceUnreachable, match="roadm: no route"):
        await agent.stage(UID, WANTED)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
