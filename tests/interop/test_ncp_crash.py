"""The controller dies at every step of a set-up, of a release, and of the recovery: all or nothing, every time.

Steps are durable writes, NETCONF operations and calls to the broker, each before it is sent and after it is answered.
A crash stops every task where it stands and drops the sessions; a new controller starts on the same store.
`GEYSERS_SCALE` (default 1) multiplies how many pairs (crash, crash during recovery) are sampled.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.domain.nips import Nips, NipsState
from controller.ncp.call import Calls
from controller.ncp.node_agent import ssh_sessions
from controller.netconf.device import SessionInfo
from controller.netconf.openroadm_models import openroadm_engine
from controller.netconf.yang_engine import YangEngine
from controller.ports.rng import SeededRng
from controller.security.pki import make_ssh_key
from tests.interop.ncp_testbed import ALPHA, MACHINE, CrashPlan, Testbed, Watcher, demand

NAME = "vios/alpha/nips/first"
SCALE = int(os.environ.get("GEYSERS_SCALE", "1"))
PARTS = 4
SETTLED = (NipsState.ACTIVE, NipsState.FAILED)


@pytest.fixture(scope="module")
def engine() -> YangEngine:
    return openroadm_engine()


@pytest.fixture
async def bed(tmp_path: Path, engine: YangEngine):
    bed = Testbed(tmp_path, engine, ("AMS", "LON", "PAR"))
    await bed.open_local()
    yield bed
    await bed.close()


async def _set_up_until_crash(bed: Testbed, at: int) -> CrashPlan:
    """Admit one service on a controller that dies at step `at` (0: never) after its start."""
    plan = CrashPlan()
    calls = await bed.controller(plan=plan)
    plan.count, plan.at = 0, at
    plan.labels.clear()
    await bed.admit(calls, demand(machine=MACHINE))
    if at:
        await plan.reached.wait()
    else:
        await bed.at_rest(calls, NAME, SETTLED)
    await calls.close()
    return plan


async def _recover(bed: Testbed, states: tuple[NipsState, ...]) -> tuple[Calls, Nips]:
    """A new controller on what the crash left."""
    calls = await bed.controller()
    return calls, await bed.at_rest(calls, NAME, states)


async def _assert_all_or_nothing(bed: Testbed, calls: Calls, nips: Nips) -> None:
    if nips.state is NipsState.ACTIVE:
        assert (await calls.get(ALPHA, NAME)).measured_gsnr_0p1nm_db > 24.0
        assert all(datastores._pending is None for datastores in bed.datastores.values())
        assert len(bed.broker.servers) == 1
        assert len(bed.broker.steerings) == 2
        await bed.release(calls, NAME)
        await bed.at_rest(calls, NAME, (NipsState.RELEASED,))
    else:
        assert "restarted" in nips.failure
    await bed.assert_clear()


@pytest.mark.parametrize("part", range(PARTS))
async def test_crash_at_every_step_of_a_set_up(bed: Testbed, part: int) -> None:
    plan = await _set_up_until_crash(bed, 0)
    steps = plan.count
    assert steps > 80
    calls, nips = await _recover(bed, SETTLED)
    await _assert_all_or_nothing(bed, calls, nips)
    await calls.close()
    ends = set()
    for at in range(1 + part, steps + 1, PARTS):
        crashed = await _set_up_until_crash(bed, at)
        calls, nips = await _recover(bed, SETTLED)
        ends.add(nips.state)
        try:
            await _assert_all_or_nothing(bed, calls, nips)
        except AssertionError as error:
            raise AssertionError(f"crash at step {at}, {crashed.labels[-1]}") from error
        await calls.close()
    assert ends == set(SETTLED)


@pytest.mark.parametrize("part", range(PARTS))
async def test_crash_at_every_step_of_a_release(bed: Testbed, part: int) -> None:
    steps = 10**9
    at = 1 + part
    while at <= steps:
        await _set_up_until_crash(bed, 0)
        plan = CrashPlan()
        calls = await bed.controller(plan=plan)
        plan.count, plan.at = 0, at
        await bed.release(calls, NAME)
        if not await _ends_or_dies(bed, calls, plan, (NipsState.RELEASED,)):
            steps = plan.count
        await calls.close()
        calls, _ = await _recover(bed, (NipsState.RELEASED,))
        await bed.assert_clear()
        await calls.close()
        at += PARTS
    assert steps > 40


async def test_crash_during_the_recovery_from_a_crash(bed: Testbed) -> None:
    steps = (await _set_up_until_crash(bed, 0)).count
    calls, nips = await _recover(bed, SETTLED)
    await _assert_all_or_nothing(bed, calls, nips)
    await calls.close()
    choice = SeededRng(7)
    for _ in range(30 * SCALE):
        first, second = round(choice.uniform(steps // 3, steps)), round(choice.uniform(1, 60))
        await _set_up_until_crash(bed, first)
        plan = CrashPlan(at=second)
        calls = await bed.controller(plan=plan)
        await _ends_or_dies(bed, calls, plan, SETTLED)
        await calls.close()
        calls, nips = await _recover(bed, SETTLED)
        try:
            await _assert_all_or_nothing(bed, calls, nips)
        except AssertionError as error:
            raise AssertionError(f"crash at {first}, then at {second} of the recovery") from error
        await calls.close()


@dataclass
class CrashInState(CrashPlan):
    """Dies as soon as one state is durable."""

    watcher: Watcher | None = None
    state: NipsState = NipsState.BOOKED

    async def point(self, label: str) -> None:
        if self.watcher and self.watcher.states and self.watcher.states[-1][1] is self.state:
            self.at = 1
        await super().point(label)


@pytest.mark.parametrize(
    "state", [NipsState.BOOKED, NipsState.STAGED, NipsState.COMMITTED_PENDING, NipsState.CONFIRMED, NipsState.RELEASING]
)
async def test_crash_in_every_durable_state_over_netconf(tmp_path: Path, engine: YangEngine, state: NipsState) -> None:
    make_ssh_key(tmp_path / "id_alpha", "alpha")
    bed = Testbed(tmp_path, engine, ("AMS", "LON", "PAR"))
    await bed.open_ssh(tmp_path / "id_alpha")
    open_session = ssh_sessions(tmp_path / "id_alpha", 5.0)
    plan = CrashInState(watcher=bed.watcher, state=state)
    try:
        calls = await bed.controller(open_session, plan)
        await bed.admit(calls, demand(machine=MACHINE))
        if state is NipsState.RELEASING:
            await bed.at_rest(calls, NAME, SETTLED)
            await bed.release(calls, NAME)
        await plan.reached.wait()
        await calls.close()
        calls = await bed.controller(open_session)
        nips = await bed.at_rest(calls, NAME)
        wanted = {NipsState.CONFIRMED: NipsState.ACTIVE, NipsState.RELEASING: NipsState.RELEASED}
        assert nips.state is wanted.get(state, NipsState.FAILED)
        if nips.state is not NipsState.RELEASED:
            await _assert_all_or_nothing(bed, calls, nips)
        await bed.assert_clear()
        await calls.close()
    finally:
        await bed.close()


async def _ends_or_dies(bed: Testbed, calls: Calls, plan: CrashPlan, states: tuple[NipsState, ...]) -> bool:
    """Wait until the service is at rest, or the controller dies; True when it died."""
    resting = asyncio.ensure_future(bed.at_rest(calls, NAME, states))
    dying = asyncio.ensure_future(plan.reached.wait())
    await asyncio.wait((resting, dying), return_when=asyncio.FIRST_COMPLETED)
    resting.cancel()
    dying.cancel()
    await asyncio.gather(resting, dying, return_exceptions=True)
    return plan.reached.is_set()


async def test_device_that_reverted_before_the_confirmation_gets_it_again(bed: Testbed) -> None:
    plan = CrashInState(watcher=bed.watcher, state=NipsState.CONFIRMED)
    calls = await bed.controller(plan=plan)
    await bed.admit(calls, demand(machine=MACHINE))
    await plan.reached.wait()
    await calls.close()
    (persist_id,) = {datastores._pending.persist_id for datastores in bed.datastores.values() if datastores._pending}
    # As the device's own timer would: nobody confirmed.
    await bed.datastores["ROADM-LON"].cancel_commit(SessionInfo(99, "alpha", "local"), persist_id)
    calls, nips = await _recover(bed, SETTLED)
    assert nips.state is NipsState.ACTIVE
    await _assert_all_or_nothing(bed, calls, nips)
    await calls.close()


async def test_devices_with_a_pending_commit_are_taken_before_anybody_else_gets_a_turn(bed: Testbed) -> None:
    plan = CrashInState(watcher=bed.watcher, state=NipsState.COMMITTED_PENDING)
    calls = await bed.controller(plan=plan)
    await bed.admit(calls, demand(machine=MACHINE))
    await plan.reached.wait()
    await calls.close()
    # Stands still at the first read of the recovering saga: start() itself makes one write, before and after.
    calls = await bed.controller(bed.local_sessions(CrashPlan()), CrashPlan(at=3))
    held = {name for name, agent in calls._world.agents.items() if agent.turn.locked()}
    assert held == {"ams", "lon", "par", "ams/xpdr", "par/xpdr"}
    await calls.close()
    calls, nips = await _recover(bed, SETTLED)
    await _assert_all_or_nothing(bed, calls, nips)
    await calls.close()
