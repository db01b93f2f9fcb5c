"""Level-triggered synchronisation: rows first, generations that only grow, and no provider that holds up another."""

import asyncio

import pytest
from sqlalchemy import MetaData, create_engine, select

from controller.domain.errors import DeviceUnreachable, NotFound
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.licl.mapping import DeviceShare
from controller.licl.schema import define_tables
from controller.licl.sync import SliceSync, SyncTimes
from controller.ports.clock import SystemClock

TIMES = SyncTimes(apply_s=0.2, reading_s=0.1, first_retry_s=0.01, longest_retry_s=0.04)
SHARE = DeviceShare("north", "pips/north/reservations/r1", "ROADM-AMS")
OTHER = DeviceShare("south", "pips/south/reservations/r1", "ROADM-PAR")


def wish(n: int) -> SliceConfiguration:
    return SliceConfiguration(frozenset({CrossConnect("x", "A", "B", FrequencySlot(n, 4), 40.0)}))


class MemoryStore:
    """A store in memory; one transaction at a time."""

    def __init__(self, metadata: MetaData) -> None:
        self._engine = create_engine("sqlite://")
        metadata.create_all(self._engine)

    async def run(self, work):
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        self._engine.dispose()


class Recorder:
    """A provider that keeps what it was sent, and can be told to fail or hang."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, SliceConfiguration]] = []
        self.error: Exception | None = None
        self.hang = False

    async def apply_slice(self, reservation, device, generation, desired) -> None:
        if self.hang:
            await asyncio.Event().wait()
        self.sent.append((device, generation, desired))
        if self.error is not None:
            raise self.error

    async def get_slice(self, reservation, device):
        await asyncio.Event().wait()


@pytest.fixture
async def world():
    metadata = MetaData()
    tables = define_tables(metadata)
    store = MemoryStore(metadata)
    providers = {"north": Recorder(), "south": Recorder()}
    sync = SliceSync(store, tables, providers, SystemClock(), TIMES)
    yield sync, store, providers, tables
    await sync.stop()
    await store.close()


async def put(world, share: DeviceShare, desired: SliceConfiguration) -> None:
    sync, store, _, _ = world
    await store.run(lambda connection: sync.write(connection, share, desired))


async def settled(sync: SliceSync) -> None:
    async with asyncio.timeout(5):
        while await sync.pending():  # noqa: ASYNC110 - the loop gives no event for it
            await asyncio.sleep(0.005)


async def test_wish_is_stored_before_it_is_sent_and_sent_once(world) -> None:
    sync, _, providers, _ = world
    await put(world, SHARE, wish(0))
    assert await sync.pending() == (SHARE,)
    await sync.push((SHARE,))
    await sync.push((SHARE,))
    assert providers["north"].sent == [("ROADM-AMS", 1, wish(0))]
    assert await sync.pending() == ()


async def test_same_wish_is_no_new_generation_and_an_empty_first_one_needs_no_message(world) -> None:
    sync, store, _, tables = world
    await put(world, SHARE, SliceConfiguration())
    assert await sync.pending() == ()
    for desired in (wish(0), wish(0), wish(8), SliceConfiguration()):
        await put(world, SHARE, desired)
    (generation,) = await store.run(lambda connection: connection.scalars(select(tables.slices.c.generation)).all())
    assert generation == 3


async def test_loop_repeats_what_failed_until_it_is_applied(world) -> None:
    sync, _, providers, _ = world
    await sync.start()
    providers["north"].error = DeviceUnreachable("down")
    await put(world, SHARE, wish(0))
    with pytest.raises(DeviceUnreachable):
        await sync.push((SHARE,))
    async with asyncio.timeout(5):
        while len(providers["north"].sent) < 4:  # noqa: ASYNC110 - waits for the loop
            await asyncio.sleep(0.005)
    providers["north"].error = None
    await settled(sync)
    assert {entry[1] for entry in providers["north"].sent} == {1}


async def test_rows_of_an_earlier_process_are_carried_out(world) -> None:
    sync, _, providers, _ = world
    await put(world, SHARE, wish(0))
    await sync.start()
    await settled(sync)
    assert providers["north"].sent == [("ROADM-AMS", 1, wish(0))]


async def test_provider_that_hangs_holds_up_no_other(world) -> None:
    sync, _, providers, _ = world
    providers["north"].hang = True
    await put(world, SHARE, wish(0))
    await put(world, OTHER, wish(0))
    await sync.start()
    async with asyncio.timeout(0.15):
        while not providers["south"].sent:  # noqa: ASYNC110 - waits for the loop
            await asyncio.sleep(0.005)
    providers["north"].hang = False
    await settled(sync)


async def test_removed_reservation_is_sent_nothing_more(world) -> None:
    sync, store, providers, _ = world
    providers["north"].error = NotFound("reservation is gone")
    await put(world, SHARE, wish(0))
    await sync.start()
    async with asyncio.timeout(5):
        while not providers["north"].sent:  # noqa: ASYNC110 - waits for the loop
            await asyncio.sleep(0.005)
    await store.run(lambda connection: sync.remove(connection, [SHARE.reservation]))
    assert await sync.pending() == ()
    await sync.push((SHARE,))


async def test_reading_has_a_deadline(world) -> None:
    assert await world[0].reading(SHARE) is None
