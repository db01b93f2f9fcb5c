"""No wake-up is lost: callers that hang up, rows that change while a controller starts, crashes before the telling."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from geysers.nips.v1 import nips_pb2
from sqlalchemy import MetaData

from controller.api.operations import Operations, admit, operations_table
from controller.domain.errors import NotFound
from controller.domain.nips import NipsState
from controller.ncp.call import Calls
from controller.netconf.openroadm_models import openroadm_engine
from controller.netconf.yang_engine import YangEngine
from controller.store.sqlite import SqliteStore
from tests.interop.ncp_testbed import ALPHA, Testbed, demand

NAME = "vios/alpha/nips/first"
REQUEST_ID = "5b0f2f5e-7f57-4b7a-8d0c-1d0c1a2b3c4d"


@pytest.fixture(scope="module")
def engine() -> YangEngine:
    return openroadm_engine()


@pytest.fixture
async def bed(tmp_path: Path, engine: YangEngine):
    bed = Testbed(tmp_path, engine, ("AMS", "LON", "PAR"))
    await bed.open_local()
    yield bed
    await bed.close()


@pytest.fixture
async def opened(tmp_path: Path):
    metadata = MetaData()
    operations = Operations(operations_table(metadata))
    store = await SqliteStore.open(tmp_path / "operations.sqlite", metadata)
    yield operations, store
    await store.close()


def _open_operation(operations: Operations, request_id: str = REQUEST_ID, target: str = NAME):
    """A transaction that leaves an operation about `target`, as a call that admits does."""
    return lambda connection: operations.add(
        connection,
        owner=ALPHA,
        request_id=request_id,
        digest="0" * 64,
        target=target,
        metadata=nips_pb2.NipsOperationMetadata(name=target),
        now=datetime.now(UTC),
    )


async def test_caller_that_hangs_up_does_not_take_the_wake_up_with_it(opened) -> None:
    operations, store = opened
    woken = asyncio.Event()
    call = asyncio.ensure_future(admit(store, _open_operation(operations), woken.set))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(5):
        await woken.wait()
    assert await store.run(operations.open_targets) == (NAME,)


async def test_refused_call_wakes_nobody(opened) -> None:
    _, store = opened

    def refuse(_connection):
        raise NotFound("no such service")

    woken = asyncio.Event()
    with pytest.raises(NotFound):
        await admit(store, refuse, woken.set)
    assert not woken.is_set()


async def test_open_targets_are_those_of_unfinished_operations(opened) -> None:
    operations, store = opened
    await store.run(_open_operation(operations))
    await store.run(_open_operation(operations, "0d2f60f5-53a5-4f6c-9a39-30b0f6b4a1c2"))
    await store.run(_open_operation(operations, "7c1d1f2e-0c51-4a53-8a64-2f2d6f0d9c11", "vios/alpha/nips/other"))
    assert await store.run(operations.open_targets) == (NAME, "vios/alpha/nips/other")
    await store.run(lambda connection: operations.finish(connection, NAME, NotFound("gone")))
    assert await store.run(operations.open_targets) == ("vios/alpha/nips/other",)


async def test_release_admitted_while_the_controller_starts_is_carried_out(
    bed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = await bed.controller()
    await bed.admit(calls, demand())
    await bed.at_rest(calls, NAME, (NipsState.ACTIVE,))
    await calls.close()
    turns = Calls._turns_of_pending

    async def release_meanwhile(calls: Calls, unfinished):
        # The API listens before the nodes are logged in to: a release may come after the rows were read.
        assert not unfinished
        await bed.release(calls, NAME)
        return await turns(calls, unfinished)

    monkeypatch.setattr(Calls, "_turns_of_pending", release_meanwhile)
    calls = await bed.controller()
    await bed.at_rest(calls, NAME, (NipsState.RELEASED,))
    await calls.close()
    await bed.assert_clear()
