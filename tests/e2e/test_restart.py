"""What a crash between asking and telling leaves open is closed by the process that starts again."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from geysers.nips.v1 import nips_pb2
from geysers.vi.v1 import vi_pb2
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy import MetaData

from controller.api.convert import nips as convert_nips
from controller.api.convert import vi as convert_vi
from controller.api.operations import Operations, operations_table
from controller.api.operator_client import NipsClient
from controller.audit.invariants import violations
from controller.audit.reading import observe
from controller.demo.wishes import ALPHA, BETA, anycast_demand
from controller.domain.errors import GeysersError
from controller.domain.identity import Identity
from controller.domain.spectrum import FrequencySlot
from controller.store.sqlite import SqliteStore
from tests.e2e.wire import GET_OPERATION, Answer, Order, World, call, outcome_of, until, wanted_ring

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180), pytest.mark.slow]

VI = vi_pb2.DESCRIPTOR.services_by_name["VirtualInfrastructureService"].methods_by_name
NIPS = nips_pb2.DESCRIPTOR.services_by_name["NipsService"].methods_by_name
FREE_BAND = FrequencySlot(200, 20)
DEADLINE_S = 60.0


async def test_release_of_an_ended_service_is_told_after_a_crash(world: World) -> None:
    name, alpha, target = "vios/alpha/nips/short", world.operator(ALPHA), world.stack.target("ncp-alpha")
    demand = convert_nips.demand_to(anycast_demand(name))
    demand.vlan_id = 302
    set_up = nips_pb2.CreateNipsRequest(parent="vios/alpha", nips_id="short", nips=demand, request_id=str(uuid.uuid4()))
    await _carried_out(Order(target, alpha, NIPS["CreateNips"], set_up))
    release = nips_pb2.DeleteNipsRequest(name=name, request_id=str(uuid.uuid4()))
    await _carried_out(Order(target, alpha, NIPS["DeleteNips"], release))
    store_file = world.stack.state_dir / "ncp-alpha-blue" / "ncp.sqlite3"
    metadata = nips_pb2.NipsOperationMetadata(name=name, state=nips_pb2.NIPS_STATE_RELEASED)
    done = await _told_after_a_crash(world, "ncp-alpha", store_file, alpha.identity, name, metadata)
    ended = nips_pb2.Nips()
    assert done.response.Unpack(ended)
    assert (ended.name, ended.state) == (name, nips_pb2.NIPS_STATE_RELEASED)


async def test_release_of_an_ended_infrastructure_is_told_after_a_crash(world: World) -> None:
    beta, target = world.operator(BETA), world.stack.target("vip")
    wanted = wanted_ring(world.stack, BETA, "green", FREE_BAND)
    # All transponders of some places are let.
    wanted = replace(wanted, nodes=tuple(replace(node, transponder_count=0) for node in wanted.nodes))
    set_up = vi_pb2.CreateVirtualInfrastructureRequest(
        parent="vios/beta",
        virtual_infrastructure_id="green",
        virtual_infrastructure=convert_vi.infrastructure_to(wanted),
        request_id=str(uuid.uuid4()),
    )
    await _carried_out(Order(target, beta, VI["CreateVirtualInfrastructure"], set_up))
    release = vi_pb2.DeleteVirtualInfrastructureRequest(name=wanted.name, request_id=str(uuid.uuid4()))
    await _carried_out(Order(target, beta, VI["DeleteVirtualInfrastructure"], release))
    store_file = world.stack.state_dir / "vip-broker" / "vip.sqlite3"
    metadata = vi_pb2.VirtualInfrastructureOperationMetadata(name=wanted.name)
    done = await _told_after_a_crash(world, "vip", store_file, beta.identity, wanted.name, metadata)
    ended = vi_pb2.VirtualInfrastructure()
    assert done.response.Unpack(ended)
    assert (ended.name, ended.state) == (wanted.name, vi_pb2.VIRTUAL_INFRASTRUCTURE_STATE_DECOMMISSIONED)


async def _carried_out(order: Order) -> None:
    assert outcome_of(await order.run()) is None


async def _told_after_a_crash(
    world: World, process: str, store_file: Path, owner: Identity, target: str, metadata: Message
) -> operations_pb2.Operation:
    """Kill `process` where it has admitted a release of what has ended, and not told of the end; start it again."""
    request_id = str(uuid.uuid4())
    await world.stack.kill(process)
    tables = MetaData()
    operations = Operations(operations_table(tables))
    store = await SqliteStore.open(store_file, tables)

    def admit(connection: Any) -> None:
        operations.add(
            connection, owner=owner, request_id=request_id, digest="0" * 64, target=target, metadata=metadata,
            now=datetime.now(UTC),
        )  # fmt: skip

    await store.run(admit)
    await store.close()
    await world.stack.restart(process)
    done = await _done(world, process, owner.name, request_id)
    await _as_before(world)
    return done


async def _done(world: World, process: str, vio: str, request_id: str) -> operations_pb2.Operation:
    request = operations_pb2.GetOperationRequest(name=f"operations/{request_id}")
    answers: list[Answer] = []

    async def done() -> bool:
        answers[:] = [await call(world.stack.target(process), world.operator(vio), GET_OPERATION, request)]
        return answers[0].error is None and answers[0].message.done

    await until(done, lambda: f"still open: {answers}", DEADLINE_S)
    return answers[0].message


async def _as_before(world: World) -> None:
    """Both controllers see all of their nodes again, and the invariants hold: the next test finds what it expects."""

    async def holds() -> bool:
        return not violations(await observe(world.stack.access))

    for vio in (ALPHA, BETA):
        await until(lambda vio=vio: _sees_all(world, vio), lambda vio=vio: f"{vio} misses nodes", DEADLINE_S)
    await until(holds, lambda: "invariants are broken", DEADLINE_S)


async def _sees_all(world: World, vio: str) -> bool:
    ncp = NipsClient(world.stack.target(f"ncp-{vio}"), world.operator(vio))
    try:
        return not (await ncp.topology()).problems
    except GeysersError:
        return False
    finally:
        await ncp.close()
