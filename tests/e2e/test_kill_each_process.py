"""R1c: each process of the running system is killed in the middle of its work, at random, and started again.

Every operation must end, with its thing whole or with nothing left of it; a repeat is answered with the first
operation; the invariants hold. At the end all is given back and the hardware is as it was, byte for byte.

`GEYSERS_SCALE` (default 1) multiplies the kills, `GEYSERS_SEED` draws other moments.
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
from geysers.nips.v1 import nips_pb2
from geysers.vi.v1 import vi_pb2
from google.longrunning import operations_pb2

from controller.api.convert import nips as convert_nips
from controller.api.convert import vi as convert_vi
from controller.api.operator_client import NipsClient
from controller.audit.invariants import violations
from controller.audit.observation import Observation
from controller.audit.reading import observe
from controller.demo.stack import Stack
from controller.demo.wishes import ALPHA, ALPHA_VI, BETA, BETA_BAND, BETA_VI, anycast_demand
from controller.domain.errors import GeysersError
from controller.ports.rng import SeededRng
from tests.e2e.wire import Order, outcome_of, running_stack, until, wanted_ring

SCALE = int(os.environ.get("GEYSERS_SCALE", "1"))
SEED = int(os.environ.get("GEYSERS_SEED", "20261124"))
VI_SERVICE = vi_pb2.DESCRIPTOR.services_by_name["VirtualInfrastructureService"].methods_by_name
NIPS_SERVICE = nips_pb2.DESCRIPTOR.services_by_name["NipsService"].methods_by_name
SERVICE = f"vios/{ALPHA}/nips/backup"
SET_UP_VI, SET_UP_NIPS, RELEASE_NIPS, RELEASE_VI = "VI set-up", "NIPS set-up", "NIPS release", "VI release"
KINDS = (SET_UP_VI, SET_UP_NIPS, RELEASE_NIPS, RELEASE_VI)
VICTIMS = ("emulator", "pip-north", "pip-south", "vip", "ncp-alpha")
ALWAYS = frozenset({"spectrum", "holdings", "shares"})
"""Invariants that no moment in between may break either."""
AT_REST_S = 90.0
RECOVERY_P99_S = 30.0


@dataclass(slots=True)
class Figures:
    """What is printed."""

    kills: int = 0
    mid_saga: int = 0
    recovery_s: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    @property
    def recovery_p99_s(self) -> float:
        return sorted(self.recovery_s)[max(0, math.ceil(0.99 * len(self.recovery_s)) - 1)]

    def line(self) -> str:
        return (
            f"FIGURE R1c.kills={self.kills} mid_saga={self.mid_saga} violations=0 "
            f"recovery_p99_s={self.recovery_p99_s:.1f} "
            f"recovery_median_s={statistics.median(self.recovery_s):.1f} seed={SEED} scale={SCALE} "
            f"ends={dict(sorted(self.ends.items()))}"
        )


@dataclass(slots=True)
class Bench:
    """One stack, alpha's standing infrastructure on it, and the four kinds of work that are cut off."""

    stack: Stack
    moments: SeededRng
    ids: SeededRng
    standing: dict[str, bool] = field(default_factory=lambda: {"vi": False, "nips": False})

    def order(self, kind: str) -> Order:
        """A fresh order of this kind."""
        vip, ncp = self.stack.target("vip"), self.stack.target(f"ncp-{ALPHA}")
        alpha, beta = self.stack.operator(ALPHA), self.stack.operator(BETA)
        red = wanted_ring(self.stack, BETA, BETA_VI, BETA_BAND)
        request_id = self.ids.uuid()
        if kind == SET_UP_VI:
            return Order(vip, beta, VI_SERVICE["CreateVirtualInfrastructure"], create_vi(red, request_id))
        if kind == RELEASE_VI:
            request = vi_pb2.DeleteVirtualInfrastructureRequest(name=red.name, request_id=request_id)
            return Order(vip, beta, VI_SERVICE["DeleteVirtualInfrastructure"], request)
        if kind == SET_UP_NIPS:
            demand = convert_nips.demand_to(anycast_demand(SERVICE))
            wanted = nips_pb2.CreateNipsRequest(
                parent=f"vios/{ALPHA}", nips_id=SERVICE.rpartition("/")[2], nips=demand, request_id=request_id
            )
            return Order(ncp, alpha, NIPS_SERVICE["CreateNips"], wanted)
        return Order(
            ncp, alpha, NIPS_SERVICE["DeleteNips"], nips_pb2.DeleteNipsRequest(name=SERVICE, request_id=request_id)
        )

    async def prepare(self, kind: str) -> None:
        """Make what `kind` begins from: nothing for a set-up, the thing for a release."""
        thing, wanted = ("vi" if kind in (SET_UP_VI, RELEASE_VI) else "nips"), kind in (RELEASE_NIPS, RELEASE_VI)
        if self.standing[thing] is not wanted:
            opposite = {
                SET_UP_VI: RELEASE_VI, RELEASE_VI: SET_UP_VI, SET_UP_NIPS: RELEASE_NIPS, RELEASE_NIPS: SET_UP_NIPS,
            }  # fmt: skip
            await self.undisturbed(opposite[kind])

    async def undisturbed(self, kind: str) -> float:
        """Do `kind` without a fault; how long it took."""
        began_s = time.monotonic()
        failure = outcome_of(await self.order(kind).run())
        assert failure is None, f"{kind}: {failure}"
        self.note(kind, succeeded=True)
        return time.monotonic() - began_s

    def note(self, kind: str, *, succeeded: bool) -> None:
        """Remember what stands now."""
        thing = "vi" if kind in (SET_UP_VI, RELEASE_VI) else "nips"
        if kind in (SET_UP_VI, SET_UP_NIPS):
            self.standing[thing] = succeeded
        elif succeeded:
            self.standing[thing] = False


def create_vi(wanted, request_id: str) -> vi_pb2.CreateVirtualInfrastructureRequest:
    parent, _, vi_id = wanted.name.rpartition("/")
    return vi_pb2.CreateVirtualInfrastructureRequest(
        parent=parent.rpartition("/")[0],
        virtual_infrastructure_id=vi_id,
        virtual_infrastructure=convert_vi.infrastructure_to(wanted),
        request_id=request_id,
    )


@pytest.mark.slow
@pytest.mark.timeout(600 + 400 * SCALE)
async def test_kill_each_process_in_the_middle_of_its_work() -> None:
    print(f"seed {SEED}, scale {SCALE}")  # noqa: T201 - for whoever replays a failure
    async with running_stack() as stack:
        bench = Bench(stack, SeededRng(SEED), SeededRng(SEED + 1))
        first = await observe(stack.access)
        blue = wanted_ring(stack)
        made = Order(
            stack.target("vip"), stack.operator(ALPHA), VI_SERVICE["CreateVirtualInfrastructure"],
            create_vi(blue, bench.ids.uuid()),
        )  # fmt: skip
        assert outcome_of(await made.run()) is None
        await stack.start_ncp(ALPHA, ALPHA_VI)
        stack.operator(BETA)
        durations_s = {kind: await bench.undisturbed(kind) for kind in KINDS}
        print({kind: round(duration_s, 2) for kind, duration_s in durations_s.items()})  # noqa: T201
        figures = Figures()
        for _ in range(SCALE):
            for victim in VICTIMS:
                for kind in KINDS if victim != "ncp-alpha" else (SET_UP_NIPS, RELEASE_NIPS):
                    await bench.prepare(kind)
                    await _cut_off(bench, victim, kind, durations_s[kind], figures)
        await _give_all_back(bench, blue.name)
        last = await observe(stack.access)
        assert violations(last) == []
        _assert_as_at_first(first, last)
    print(figures.line())  # noqa: T201 - figures are printed
    assert figures.mid_saga >= 0.4 * figures.kills
    assert figures.recovery_p99_s <= RECOVERY_P99_S


async def _cut_off(bench: Bench, victim: str, kind: str, duration_s: float, figures: Figures) -> None:
    """Kill `victim` during `kind`, start it again, and see all come to rest."""
    moment_s = bench.moments.uniform(0.0, duration_s)
    label = f"{victim} killed {moment_s:.3f} s into a {kind}"
    order = bench.order(kind)
    running = asyncio.ensure_future(order.run())
    try:
        await asyncio.sleep(moment_s)
        await bench.stack.kill(victim)
        killed_s = time.monotonic()
        figures.kills += 1
        figures.mid_saga += order.admitted.is_set() and not order.ended.is_set()
        await bench.stack.restart(victim)
        failure, operation = await _end_of(running, label)
        if operation is not None:
            again = await order.admit()
            assert again.SerializeToString() == operation.SerializeToString(), f"{label}: a repeat is answered anew"
        await _until_at_rest(bench.stack, label, killed_s)
    finally:
        running.cancel()
    figures.recovery_s.append(time.monotonic() - killed_s)
    end = f"{kind} " + ("done" if failure is None else "undone" if operation is not None else "refused")
    print(f"{label}: {end}, at rest after {figures.recovery_s[-1]:.1f} s", flush=True)  # noqa: T201
    figures.ends[end] += 1
    assert failure is None or kind in (SET_UP_VI, SET_UP_NIPS), f"{label}: a release failed: {failure}"
    bench.note(kind, succeeded=failure is None)
    if not bench.standing["nips"]:
        await _until_nothing_is_booked(bench.stack, label)


async def _end_of(
    running: asyncio.Future[operations_pb2.Operation], label: str
) -> tuple[GeysersError | None, operations_pb2.Operation | None]:
    """Outcome and operation of an order; no operation when it was refused before anything was written."""
    try:
        async with asyncio.timeout(AT_REST_S):
            operation = await running
    except TimeoutError:
        raise AssertionError(f"{label}: the operation did not end within {AT_REST_S:g} s") from None
    except GeysersError as refused:
        return refused, None
    return outcome_of(operation), operation


async def _until_at_rest(stack: Stack, label: str, since_s: float) -> None:
    """Poll the audit until it finds nothing; what may never happen must not be seen on the way either."""
    seen: list[str] = []

    async def holds() -> bool:
        seen.clear()
        try:
            found = violations(await observe(stack.access))
        except GeysersError as error:
            seen.append(f"not readable yet: {error.message}")
            return False
        grave = [entry for entry in found if entry.invariant in ALWAYS]
        assert not grave, f"{label}: {grave}"
        seen.extend(f"{entry.invariant} {entry.subject}: {entry.message}" for entry in found)
        return not found

    await until(holds, lambda: f"{label}: {seen}", AT_REST_S - (time.monotonic() - since_s))


async def _until_nothing_is_booked(stack: Stack, label: str) -> None:
    """The controller's books are empty, and it sees its whole topology."""
    told: list[str] = []

    async def free() -> bool:
        ncp = NipsClient(stack.target(f"ncp-{ALPHA}"), stack.operator(ALPHA))
        try:
            topology = await ncp.topology()
        except GeysersError as error:
            told[:] = [error.message]
            return False
        finally:
            await ncp.close()
        told[:] = [problem.message for problem in topology.problems]
        told.extend(link.name for link in topology.links if link.used_slots)
        told.extend(node.node_id for node in topology.nodes if node.used_transponder_count)
        return not told

    await until(free, lambda: f"{label}: booked or out of sight: {told}", AT_REST_S)


async def _give_all_back(bench: Bench, blue: str) -> None:
    for kind, thing in ((RELEASE_NIPS, "nips"), (RELEASE_VI, "vi")):
        if bench.standing[thing]:
            await bench.undisturbed(kind)
    await bench.stack.stop_ncp(ALPHA)
    request = vi_pb2.DeleteVirtualInfrastructureRequest(name=blue, request_id=bench.ids.uuid())
    order = Order(
        bench.stack.target("vip"), bench.stack.operator(ALPHA), VI_SERVICE["DeleteVirtualInfrastructure"], request
    )
    assert outcome_of(await order.run()) is None


def _assert_as_at_first(first: Observation, last: Observation) -> None:
    for name, device in last.devices.items():
        assert device.running == first.devices[name].running, f"{name} is not as it was"
    for name, site in last.sites.items():
        assert site.inventory == first.sites[name].inventory, f"{name} is not as it was"
    assert last.steerings == first.steerings
    assert not any(last.reservations.values())
