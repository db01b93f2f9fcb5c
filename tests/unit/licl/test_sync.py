"""Level-triggered synchronisation: rows first, generations that only grow, and no provider that holds up another."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import MetaData, create_engine, select

from controller.domain.errors import DeviceUnreachable, NotFound
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.licl.mapping import DeviceShare
from controller.licl.schema import define_tables
from controller.licl.sync import TRIES_PER_PROVIDER, SliceSync, SyncTimes
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
        self.hanging_devices: set[str] = set()
        self.hung: list[str] = []

    async def apply_slice(self, reservation, device, generation, desired) -> None:
        if self.hang or device in self.hanging_devices:
            self.hung.append(device)
            await asyncio.Event().wait()
        self.sent.append((device, generation, desired))
        if self.error is not None:
            raise self.error

    async def get_slice(self, reservation, device):
        await asyncio.Event().wait()


@pytest.fixture
def times() -> SyncTimes:
    return TIMES


@pytest.fixture
async def world(times):
    metadata = MetaData()
    tables = define_tables(metadata)
    store = MemoryStore(metadata)
    providers = {"north": Recorder(), "south": Recorder()}
    sync = SliceSync(store, tables, providers, SystemClock(), times)
    yield sync, store, providers, tables
    await sync.stop()
    await store.close()


async def put(world, share: DeviceShare, desired: SliceConfiguration) -> None:
    sync, store, _, _ = world
    await store.run(lambda connection: sync.write(connection, share, desired))


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - waits for the loop
            await asyncio.sleep(0.005)


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


@pytest.mark.parametrize("times", [replace(TIMES, apply_s=3600.0)])
async def test_wish_that_comes_while_another_provider_hangs_does_not_wait_for_it(world) -> None:
    sync, _, providers, _ = world
    providers["north"].hang = True
    await put(world, SHARE, wish(0))
    await sync.start()
    await until(lambda: providers["north"].hung)
    await put(world, OTHER, wish(0))
    sync.written((OTHER,), now=True)
    await until(lambda: providers["south"].sent)


@pytest.mark.parametrize("times", [replace(TIMES, apply_s=3600.0)])
async def test_share_that_hangs_holds_up_no_other_of_its_provider(world) -> None:
    sync, _, providers, _ = world
    north = providers["north"]
    north.hanging_devices = {SHARE.device}
    healthy = replace(SHARE, device="ROADM-LON")
    await put(world, SHARE, wish(0))
    await put(world, healthy, wish(0))
    await sync.start()
    await until(lambda: north.sent)
    await put(world, healthy, wish(8))
    sync.written((healthy,), now=True)
    await until(lambda: len(north.sent) == 2)
    assert north.hung == [SHARE.device]
    assert await sync.pending() == (SHARE,)


async def test_provider_that_hangs_is_asked_a_few_shares_at_a_time_and_all_in_the_end(world) -> None:
    sync, _, providers, _ = world
    north = providers["north"]
    shares = [replace(SHARE, device=f"ROADM-{number:02}") for number in range(3 * TRIES_PER_PROVIDER)]
    for share in shares:
        await put(world, share, wish(0))
    north.hang = True
    await sync.start()
    await until(lambda: len(north.hung) >= TRIES_PER_PROVIDER)
    await asyncio.sleep(0)
    assert sorted(north.hung) == [share.device for share in shares[:TRIES_PER_PROVIDER]]
    # Those that timed out stand behind those that were not asked yet.
    await until(lambda: len(north.hung) >= len(shares))
    assert set(north.hung[: len(shares)]) == {share.device for share in shares}
    north.hang = False
    await settled(sync)


@pytest.mark.parametrize("times", [replace(TIMES, apply_s=3600.0)])
async def test_push_that_was_cut_off_is_taken_up_by_the_loop(world) -> None:
    sync, _, providers, _ = world
    north = providers["north"]
    north.hang = True
    await put(world, SHARE, wish(0))
    pushing = asyncio.create_task(sync.push((SHARE,)))
    await until(lambda: north.hung)
    await sync.start()
    sync.written((SHARE,), now=True)
    # A look at what is pending while the push has its turn at the share: nothing to do yet.
    await put(world, OTHER, wish(0))
    sync.written((OTHER,), now=True)
    await until(lambda: providers["south"].sent)
    assert len(north.hung) == 1
    north.hang = False
    pushing.cancel()
    await settled(sync)
    assert north.sent == [(SHARE.device, 1, wish(0))]


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
