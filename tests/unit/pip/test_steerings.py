"""Steerings: the books and the switch agree also when the switch refuses, and one tenant's fault is not another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from controller.domain.errors import AlreadyExists, DeviceInDoubt, DeviceRejected, GeysersError, InvalidRequest
from controller.domain.it import Steering
from controller.domain.reservation import NodePart, Reservation
from controller.pip.demands import Demands
from controller.pip.drivers.edge_switch import EdgeSwitchDriver
from controller.pip.steerings import SteeringWork
from tests.unit.pip.test_ledger import NODES, NOW, OWNERS, Books

ALPHA, BETA = OWNERS


class Switches:
    """Edge switches that refuse or go silent as they are told; `carried` is what they have."""

    def __init__(self) -> None:
        self.carried: dict[tuple[str, str], Steering] = {}
        self.puts: dict[str, GeysersError] = {}
        self.deletes: dict[str, GeysersError] = {}

    async def put(self, reservation_id: str, clli: str, steering: Steering) -> None:
        if steering.steering_id in self.puts:
            raise self.puts[steering.steering_id]
        self.carried[reservation_id, steering.steering_id] = steering

    async def delete(self, reservation_id: str, clli: str, steering_id: str) -> None:
        if steering_id in self.deletes:
            raise self.deletes[steering_id]
        self.carried.pop((reservation_id, steering_id), None)

    async def present(self, reservation_id: str, clli: str, steerings: Sequence[Steering]) -> tuple[Steering, ...]:
        return tuple(one for one in steerings if self.carried.get((reservation_id, one.steering_id)) == one)


class Bench:
    """Two tenants at one switch."""

    def __init__(self) -> None:
        self.books, self.switches = Books(), Switches()
        self.demands = Demands(self.books.tables)
        self.work = SteeringWork(
            self, self.books.ledger, self.demands, cast(EdgeSwitchDriver, self.switches)
        )  # fmt: skip
        self.names = []
        for owner in OWNERS:
            held = self.books.reserve(owner, Reservation("gri:1", (NodePart("n", NODES[0], (), 1),)))
            self.books.call("activate", owner, held.name, NOW)
            self.names.append(held.name)

    async def run(self, work: Callable[[Any], Any]) -> Any:
        """The Store port, in memory."""
        with self.books.engine.begin() as connection:
            return work(connection)

    async def rows(self) -> list[tuple[str, bool]]:
        return [(row.steering.steering_id, row.removing) for row in await self.run(self.demands.steerings)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


ALICE, BOB = Steering("alice", "CLIENT0", 301), Steering("bob", "CLIENT1", 301)


async def test_a_refused_steering_is_booked_until_the_switch_has_nothing_of_it(bench: Bench) -> None:
    bench.switches.puts["alice"] = DeviceRejected("table full")
    bench.switches.deletes["alice"] = DeviceInDoubt("no answer")
    with pytest.raises(DeviceRejected):
        await bench.work.put(ALPHA, bench.names[0], "n", ALICE)
    assert await bench.rows() == [("alice", True)]
    with pytest.raises(AlreadyExists):
        await bench.work.put(BETA, bench.names[1], "n", BOB)
    del bench.switches.deletes["alice"]
    await bench.work.settle()
    assert await bench.rows() == []
    await bench.work.put(BETA, bench.names[1], "n", BOB)
    assert await bench.rows() == [("bob", False)]


@pytest.mark.parametrize("refusal", [AlreadyExists("steered"), DeviceRejected("no"), InvalidRequest("no VLAN")])
async def test_a_refused_steering_is_forgotten(bench: Bench, refusal: GeysersError) -> None:
    bench.switches.puts["alice"] = refusal
    with pytest.raises(type(refusal)):
        await bench.work.put(ALPHA, bench.names[0], "n", ALICE)
    assert await bench.rows() == []


@pytest.mark.parametrize("refusal", [AlreadyExists("steered"), DeviceRejected("no"), InvalidRequest("no VLAN")])
async def test_a_refused_repeat_leaves_the_steering_that_was_there(bench: Bench, refusal: GeysersError) -> None:
    await bench.work.put(ALPHA, bench.names[0], "n", ALICE)
    bench.switches.puts["alice"] = refusal
    with pytest.raises(type(refusal)):
        await bench.work.put(ALPHA, bench.names[0], "n", ALICE)
    assert await bench.rows() == [("alice", False)]


async def test_one_refused_row_does_not_keep_the_others_from_being_restored(bench: Bench) -> None:
    other = Steering("bob", "CLIENT1", 302)
    await bench.work.put(ALPHA, bench.names[0], "n", ALICE)
    await bench.work.put(BETA, bench.names[1], "n", other)
    bench.switches.carried.clear()
    bench.switches.puts["alice"] = DeviceRejected("table full")
    with pytest.raises(DeviceRejected, match="table full"):
        await bench.work.settle()
    assert list(bench.switches.carried.values()) == [other]
