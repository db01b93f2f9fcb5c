"""A virtual device's datastores and the wishes of its physical devices are one: both are written, or neither is."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, delete, insert, select

from controller.domain.errors import WrongState
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.licl.mapping import DeviceShare
from controller.licl.schema import define_tables
from controller.licl.sync import SliceSync
from controller.licl.virtual_node import VirtualStorage
from controller.netconf.device import StoredDatastores
from controller.ports.clock import SystemClock
from controller.store.sqlite import SqliteStore

VI = "vios/alpha/virtualInfrastructures/blue"
SHARE = DeviceShare("north", "pips/north/reservations/r1", "ROADM-AMS")
WISH = SliceConfiguration(frozenset({CrossConnect("x", "A", "B", FrequencySlot(0, 4), 40.0)}))
STORED = StoredDatastores(b"<data/>", b"<data/>", "p")


class OneWish:
    """A virtual device that asks the same of its physical one whatever it holds."""

    name = "vnode-blue-a"

    def wishes(self, running):
        return {SHARE: WISH}


class World:
    def __init__(self, store: SqliteStore, tables) -> None:
        self.store, self.tables = store, tables
        self.sync = SliceSync(store, tables, {}, SystemClock())

    async def appear(self, host_private_key: str) -> VirtualStorage:
        """What `VirtualNodes` writes of a device before it serves it."""
        row = {
            "infrastructure": VI,
            "device_id": OneWish.name,
            "port": 0,
            "opened": False,
            "host_private_key": host_private_key,
        }
        await self.store.run(lambda connection: connection.execute(insert(self.tables.virtual_devices).values(**row)))
        return VirtualStorage(self.store, self.tables, VI, OneWish(), self.sync, host_private_key)

    async def vanish(self) -> None:
        await self.store.run(lambda connection: connection.execute(delete(self.tables.virtual_devices)))
        await self.store.run(lambda connection: self.sync.remove(connection, [SHARE.reservation]))

    async def slices(self) -> list[str]:
        query = select(self.tables.slices.c.device)
        return await self.store.run(lambda connection: list(connection.scalars(query)))


@pytest.fixture
async def world(tmp_path):
    metadata = MetaData()
    tables = define_tables(metadata)
    store = await SqliteStore.open(tmp_path / "vip.sqlite", metadata)
    yield World(store, tables)
    await store.close()


async def test_what_is_saved_is_loaded_and_its_wishes_wait_to_be_carried_out(world) -> None:
    storage = await world.appear("key-1")
    assert await storage.load() is None
    await storage.save(STORED)
    assert await storage.load() == STORED
    assert await world.sync.pending() == (SHARE,)


async def test_saving_a_device_that_was_withdrawn_leaves_no_wish_behind(world) -> None:
    storage = await world.appear("key-1")
    await storage.save(STORED)
    await world.vanish()
    with pytest.raises(WrongState, match="vnode-blue-a is no longer served"):
        await storage.save(STORED)
    assert await world.slices() == []


async def test_straggler_of_a_withdrawn_device_does_not_write_into_its_successor(world) -> None:
    straggler = await world.appear("key-1")
    await world.vanish()
    successor = await world.appear("key-2")
    with pytest.raises(WrongState):
        await straggler.save(STORED)
    assert await successor.load() is None
    assert await world.slices() == []
