"""Running, candidate and the confirmed commit, when storage, the device or the process fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from controller.netconf.datastore import Datastores
from controller.netconf.device import RpcError, SessionInfo, StoredDatastores
from controller.netconf.yang_engine import YangEngine

NS = "urn:geysers:yang:test-box"
ALICE, BOB = SessionInfo(1, "alice", "there:1"), SessionInfo(2, "bob", "there:2")


@pytest.fixture(scope="module")
def engine() -> YangEngine:
    return YangEngine([Path(__file__).parents[2] / "data" / "yang"], ["test-box"])


class Device:
    name = "box"

    def __init__(self, engine: YangEngine) -> None:
        self.engine = engine
        self.carried_out: list[str | None] = []
        self.refuses = False
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def check(self, before: etree._Element, after: etree._Element, session: SessionInfo) -> None: ...

    async def apply(self, before: etree._Element, after: etree._Element) -> None:
        await self.may_go_on.wait()
        if self.refuses:
            raise RpcError("operation-failed", "the lamp is stuck")
        self.carried_out.append(label(after))


class Storage:
    def __init__(self) -> None:
        self.stored: StoredDatastores | None = None
        self.faults: list[bool] = []
        """For each of the next saves, whether it fails."""

    async def load(self) -> StoredDatastores | None:
        return self.stored

    async def save(self, stored: StoredDatastores) -> None:
        if self.faults and self.faults.pop(0):
            raise OSError("no space left on device")
        self.stored = stored

    @property
    def label(self) -> str | None:
        return None if self.stored is None else label(etree.fromstring(self.stored.running))


class ManualClock:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._now_s, UTC)

    def tick_s(self) -> float:
        return self._now_s

    async def sleep_s(self, duration_s: float) -> None:
        awake = asyncio.Event()
        self._sleepers.append((self._now_s + duration_s, awake))
        await awake.wait()

    async def pass_s(self, duration_s: float) -> None:
        await settled()
        self._now_s += duration_s
        for until_s, awake in self._sleepers:
            if until_s <= self._now_s:
                awake.set()
        await settled()


class Bench:
    def __init__(self, engine: YangEngine) -> None:
        self.device, self.storage, self.clock = Device(engine), Storage(), ManualClock()
        self.stores = Datastores(self.device, self.storage, self.clock)

    async def restarted(self) -> Datastores:
        """The same device and storage in another process."""
        again = Datastores(self.device, self.storage, self.clock)
        await again.open(etree.Element("data"))
        return again

    async def edit(self, text: str, target: str = "candidate", session: SessionInfo = ALICE) -> None:
        await self.stores.edit(session, target, list(box(text)), "merge")

    @property
    def running(self) -> str | None:
        return label(self.stores.running)


@pytest.fixture
async def bench(engine: YangEngine) -> AsyncIterator[Bench]:
    bench = Bench(engine)
    await bench.stores.open(box("old"))
    yield bench
    await bench.stores.close()


def box(text: str) -> etree._Element:
    return etree.fromstring(f'<data><box xmlns="{NS}"><label>{text}</label></box></data>')


def label(data: etree._Element) -> str | None:
    return data.findtext(f"{{{NS}}}box/{{{NS}}}label")


async def settled() -> None:
    """Let every task run as far as it can without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_an_edit_of_running_keeps_what_a_pending_commit_reverts_to(bench) -> None:
    await bench.edit("new")
    await bench.stores.commit(ALICE, confirmed=True, persist="p")
    await bench.edit("third", "running", BOB)
    assert label((await bench.restarted()).running) == "old"


async def test_so_does_a_copy_onto_running(bench) -> None:
    await bench.edit("new")
    await bench.stores.commit(ALICE, confirmed=True, persist="p")
    await bench.stores.replace(BOB, "running", box("third"))
    assert bench.storage.stored.persist_id == "p"
    assert label((await bench.restarted()).running) == "old"


async def test_so_does_the_device_itself(bench) -> None:
    await bench.edit("new")
    await bench.stores.commit(ALICE, confirmed=True, persist="p")
    await bench.stores.override_running(box("third"))
    assert label((await bench.restarted()).running) == "old"


async def test_so_does_a_refused_commit(bench) -> None:
    await bench.edit("new")
    await bench.stores.commit(ALICE, confirmed=True, persist="p")
    bench.device.refuses = True
    await bench.edit("third")
    with pytest.raises(RpcError, match="stuck"):
        await bench.stores.commit(ALICE, confirmed=False, persist_id="p")
    assert (bench.running, bench.storage.label) == ("new", "new")
    bench.device.refuses = False
    assert label((await bench.restarted()).running) == "old"


async def test_a_confirmed_commit_holds_after_a_restart(bench) -> None:
    await bench.edit("new")
    await bench.stores.commit(ALICE, confirmed=True, persist="p")
    await bench.stores.commit(BOB, confirmed=False, persist_id="p")
    assert label((await bench.restarted()).running) == "new"
    await bench.clock.pass_s(10_000)
    assert bench.running == "new"


async def test_a_commit_that_cannot_be_stored_changes_nothing(bench) -> None:
    await bench.edit("new")
    bench.storage.faults = [True]
    with pytest.raises(OSError, match="no space"):
        await bench.stores.commit(ALICE, confirmed=False)
    assert (bench.running, bench.storage.label) == ("old", "old")
    assert bench.device.carried_out == ["old"]
    assert label(bench.stores.source("candidate")) == "new"


async def test_nor_does_any_other_change_of_running(bench) -> None:
    bench.storage.faults = [True, True, True]
    with pytest.raises(OSError, match="no space"):
        await bench.edit("new", "running")
    with pytest.raises(OSError, match="no space"):
        await bench.stores.replace(ALICE, "running", box("new"))
    with pytest.raises(OSError, match="no space"):
        await bench.stores.override_running(box("new"))
    assert (bench.running, bench.storage.label) == ("old", "old")


async def test_a_confirmation_that_cannot_be_stored_leaves_the_commit_pending(bench) -> None:
    await bench.edit("new")
    await bench.stores.commit(ALICE, confirmed=True, timeout_s=60)
    bench.storage.faults = [True]
    with pytest.raises(OSError, match="no space"):
        await bench.stores.commit(ALICE, confirmed=False)
    await bench.clock.pass_s(60)
    assert (bench.running, bench.storage.label, bench.device.carried_out[-1]) == ("old", "old", "old")


@pytest.mark.parametrize("persist", [None, "p"])
async def test_a_revert_that_cannot_be_stored_is_tried_again(bench, persist) -> None:
    await bench.edit("new")
    await bench.stores.commit(ALICE, confirmed=True, persist=persist, timeout_s=60)
    bench.storage.faults = [True, True, True]
    if persist is None:
        await bench.stores.session_closed(ALICE.session_id)
    else:
        await bench.clock.pass_s(60)
    assert (bench.running, bench.storage.label, bench.device.carried_out[-1]) == ("new", "new", "new")
    assert bench.storage.stored.rollback is not None
    for _ in range(3):
        await bench.clock.pass_s(5)
    assert (bench.running, bench.storage.label, bench.device.carried_out[-1]) == ("old", "old", "old")
    assert bench.storage.stored.rollback is None
    await bench.edit("next")
    await bench.stores.commit(BOB, confirmed=False)
    assert bench.running == "next"


async def test_a_cancel_that_cannot_be_stored_fails_and_can_be_asked_for_again(bench) -> None:
    await bench.edit("new")
    await bench.stores.commit(ALICE, confirmed=True)
    bench.storage.faults = [True]
    with pytest.raises(OSError, match="no space"):
        await bench.stores.cancel_commit(ALICE, None)
    assert bench.running == "new"
    await bench.stores.cancel_commit(ALICE, None)
    assert (bench.running, bench.storage.label, bench.device.carried_out[-1]) == ("old", "old", "old")


async def test_storage_follows_a_refused_commit_however_long_it_fails(bench) -> None:
    await bench.edit("new")
    bench.device.refuses = True
    bench.storage.faults = [False, True, True]
    with pytest.raises(RpcError, match="stuck"):
        await bench.stores.commit(ALICE, confirmed=False)
    assert (bench.running, bench.storage.label) == ("old", "new")
    await bench.clock.pass_s(1)
    await bench.clock.pass_s(5)
    assert (bench.running, bench.storage.label) == ("old", "old")
    bench.device.refuses = False
    assert label((await bench.restarted()).running) == "old"


@pytest.mark.parametrize(
    ("content", "tag", "app_tag"),
    [
        ("<label>much too long</label>", "invalid-value", None),
        ("<label>l</label><slot><number>99</number></slot>", "invalid-value", None),
        ("<label>l</label><slot><number>1</number><kind>tall</kind></slot>", "invalid-value", None),
        ("<tag>t</tag>", "operation-failed", None),
        (
            "<label>l</label><slot><number>1</number><peer>1</peer></slot>",
            "operation-failed",
            "no-self-peer",
        ),
        ("<label>l</label><slot><number>1</number><peer>2</peer></slot>", "data-missing", "instance-required"),
    ],
)
async def test_breach_of_the_model_is_told_by_its_kind(
    bench: Bench, content: str, tag: str, app_tag: str | None
) -> None:
    whole = etree.fromstring(f'<data><box xmlns="{NS}">{content}</box></data>')
    with pytest.raises(RpcError) as refused:
        await bench.stores.validate(ALICE, whole)
    assert (refused.value.tag, refused.value.app_tag) == (tag, app_tag)
    assert refused.value.path.startswith("/test-box:box")
    assert bench.running == "old"
