"""Life of a VI over two PIPs: made whole, or undone whole, whatever fails and wherever the process dies."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from controller.domain.errors import (
    AlreadyExists,
    DeviceInDoubt,
    DeviceRejected,
    DeviceUnreachable,
    GeysersError,
    InvalidRequest,
    NotFound,
    NotPermitted,
    ResourceExhausted,
    SpectrumBlocked,
    WrongState,
)
from controller.domain.it import ItResourceState, Server, Steering
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.reservation import ReservationState
from controller.domain.spectrum import FrequencySlot
from controller.netconf.openroadm_models import openroadm_engine
from controller.openroadm.configuration import edit_elements
from controller.openroadm.facts import parse_device
from tests.licl_provider import failing, two_pips
from tests.licl_vip import ALPHA, BETA, State, Vip, request, session_to, ssh_key, until

NAME = "vios/alpha/virtualInfrastructures/blue"


@pytest.fixture(scope="module")
def engine():
    return openroadm_engine()


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> str:
    return ssh_key(tmp_path_factory.mktemp("key"), "alpha")[1]


@pytest.fixture
def providers():
    return two_pips()


@pytest.fixture
async def vip(tmp_path, providers, engine):
    vip = await Vip(tmp_path, providers, engine).start()
    yield vip
    await vip.stop()


def held(providers) -> int:
    return sum(len(provider.held) for provider in providers.values())


async def test_vi_is_made_over_two_providers_and_taken_down(vip, providers, key) -> None:
    empty = {name: await provider.list_offers() for name, provider in providers.items()}
    await vip.create(ALPHA, request(key))
    found = await vip.until(ALPHA, NAME, State.ACTIVE)
    assert found.gri.startswith("geysers://demo/vip/broker/gri/")
    assert {r.gri for provider in providers.values() for r in provider.held} == {found.gri}
    assert {r.state for provider in providers.values() for r in provider.held} == {ReservationState.ACTIVE}
    a, lon, par = found.nodes
    ports = {node.roadm.port for node in found.nodes} | {node.transponder.port for node in found.nodes}
    assert len(ports) == 6
    assert a.roadm.username == "alpha"
    assert a.location.city == "Ams"
    assert [mode.mode_id for mode in par.modes] == ["400G", "100G"]
    assert [(link.a_port, link.z_port) for link in found.links] == [
        ("DEG1-TTP-TXRX", "DEG1-TTP-TXRX"),
        ("DEG2-TTP-TXRX", "DEG1-TTP-TXRX"),
    ]
    assert found.links[0].a_to_z_qot is not None
    assert found.it_sites[0].server_idle_w == 112.0
    assert [state.value for _, state in vip.witness.changes] == ["REQUESTED", "RESERVED", "DEPLOYING", "ACTIVE"]
    assert vip.witness.ends == [(NAME, found)]

    await vip.release(ALPHA, NAME)
    gone = await vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    assert held(providers) == 0
    assert {name: await provider.list_offers() for name, provider in providers.items()} == empty
    assert gone.nodes[0].roadm is None
    assert gone.gri == found.gri
    assert vip.witness.ends[-1] == (NAME, gone)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(lon.roadm.host, lon.roadm.port)


async def test_taking_down_clears_the_devices_first(vip, providers, key, tmp_path) -> None:
    own_key_file, own_key = ssh_key(tmp_path, "own")
    await vip.create(ALPHA, request(own_key))
    found = await vip.until(ALPHA, NAME, State.ACTIVE)
    session = session_to(found.nodes[0].roadm, own_key_file)
    await session.connect()
    facts = parse_device(await session.get())
    cross = CrossConnect("x", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", FrequencySlot(0, 7), 63.1)
    await session.edit_config(edit_elements(facts, SliceConfiguration(), SliceConfiguration(frozenset({cross}))))
    await session.commit()
    assert providers["north"].carried("ROADM-AMS").cross_connects
    await vip.release(ALPHA, NAME)
    await vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    assert providers["north"].carried("ROADM-AMS") == SliceConfiguration()
    with pytest.raises((DeviceUnreachable, DeviceInDoubt)):
        await session.get()
    await session.close()


async def test_releasing_again_and_after_the_end_changes_nothing(vip, providers, key) -> None:
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.ACTIVE)
    await vip.release(ALPHA, NAME)
    await vip.release(ALPHA, NAME)
    await vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    seen = len(vip.witness.ends)
    await vip.release(ALPHA, NAME)
    async with asyncio.timeout(5):
        # Whoever asked for it waits for an end, so it is told again.
        while len(vip.witness.ends) == seen:  # noqa: ASYNC110 - the actor gives no event for it
            await asyncio.sleep(0.01)
    assert (await vip.lifecycle.get(ALPHA, NAME)).state is State.DECOMMISSIONED


async def test_name_in_use_is_taken_and_free_again_after_the_end(vip, providers, key) -> None:
    await vip.create(ALPHA, request(key))
    with pytest.raises(AlreadyExists):
        await vip.create(ALPHA, request(key))
    first = await vip.until(ALPHA, NAME, State.ACTIVE)
    with pytest.raises(AlreadyExists):
        await vip.create(ALPHA, request(key))
    await vip.release(ALPHA, NAME)
    await vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    await vip.create(ALPHA, request(key))
    assert (await vip.until(ALPHA, NAME, State.ACTIVE)).gri != first.gri


async def test_two_operators_may_use_one_id_and_see_only_their_own(vip, providers, key) -> None:
    theirs = request(key, vio="beta", band=FrequencySlot(100, 20))
    await vip.create(ALPHA, request(key))
    await vip.create(BETA, theirs)
    await vip.until(ALPHA, NAME, State.ACTIVE)
    await vip.until(BETA, theirs.name, State.ACTIVE)
    assert [found.name for found in await vip.lifecycle.list(ALPHA)] == [NAME]
    texts = set()
    for name in (NAME, NAME.replace("blue", "none")):
        for call in (vip.lifecycle.get(BETA, name), vip.release(BETA, name), vip.it.list_servers(BETA, name, "dc")):
            with pytest.raises(NotFound) as caught:
                await call
            texts.add(caught.value.message.replace(name, "NAME"))
    assert texts == {"NAME not found", "NAME/itSites/dc not found"}
    with pytest.raises(NotPermitted):
        await vip.create(BETA, request(key, vi_id="green"))


async def test_check_holds_nothing_and_says_what_stands_against_it(vip, providers, key) -> None:
    await vip.lifecycle.check(ALPHA, request(key))
    assert held(providers) == 0
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.ACTIVE)
    with pytest.raises(SpectrumBlocked):
        await vip.lifecycle.check(BETA, request(key, vio="beta"))
    with pytest.raises(InvalidRequest):
        await vip.lifecycle.check(BETA, replace(request(key, vio="beta"), ssh_public_key="x"))


async def test_unreachable_provider_is_not_mistaken_for_a_missing_place(vip, providers, key) -> None:
    providers["south"].before = failing("list_offers", DeviceUnreachable("down"))
    with pytest.raises(DeviceUnreachable, match="does not answer"):
        await vip.lifecycle.check(ALPHA, request(key))


FAILURES = [
    SpectrumBlocked("ROADM-AMS: vip/other has it"),
    ResourceExhausted("XPDR-AMS is gone"),
    DeviceRejected("ROADM-AMS said no"),
    DeviceUnreachable("ROADM-AMS is down"),
    DeviceInDoubt("ROADM-AMS did not answer"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["create_reservation", "activate_reservation"])
@pytest.mark.parametrize("pip", ["north", "south"])
async def test_failure_at_any_provider_leaves_nothing_held(vip, providers, key, pip, method, when, error) -> None:
    setattr(providers[pip], when, failing(method, error))
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.FAILED)
    assert held(providers) == 0
    (name, reason) = vip.witness.ends[-1]
    assert name == NAME
    assert isinstance(reason, GeysersError)
    assert "AMS" not in reason.message
    if not isinstance(error, DeviceRejected):
        assert type(reason) is type(error)


async def test_lost_answer_is_asked_for_again_under_the_same_request(vip, providers, key) -> None:
    """A provider that did it and whose first answer was lost: one effect, and the VI comes up."""
    for provider in providers.values():
        lost = {"create_reservation", "activate_reservation"}

        def once(method: str, lost=lost):
            if method in lost:
                lost.remove(method)
                return DeviceInDoubt("no answer")
            return None

        provider.after = once
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.ACTIVE)
    assert held(providers) == 2


async def test_provider_that_hangs_is_given_up_and_released_once_it_is_back(vip, providers, key) -> None:
    providers["south"].before = lambda method: None if method == "list_offers" else asyncio.Event()
    await vip.create(ALPHA, request(key))
    async with asyncio.timeout(10):
        while "list_reservations" not in providers["south"].calls:  # noqa: ASYNC110 - waits for another task
            await asyncio.sleep(0.01)
    # It may hold our parts for all we know, so the end must wait for it.
    assert (await vip.lifecycle.get(ALPHA, NAME)).state is State.REQUESTED
    providers["south"].before = lambda method: None
    await vip.until(ALPHA, NAME, State.FAILED)
    assert held(providers) == 0


async def test_release_is_repeated_until_every_provider_confirmed(vip, providers, key) -> None:
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.ACTIVE)
    providers["south"].before = failing("delete_reservation", DeviceRejected("not now"))
    await vip.release(ALPHA, NAME)
    async with asyncio.timeout(5):
        while providers["south"].calls.count("delete_reservation") < 5:  # noqa: ASYNC110 - waits for another task
            await asyncio.sleep(0.01)
    assert (await vip.lifecycle.get(ALPHA, NAME)).state is State.DECOMMISSIONING
    assert len(providers["south"].held) == 1
    assert providers["north"].held == ()
    providers["south"].before = lambda method: None
    await vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    assert held(providers) == 0


async def test_owner_may_give_up_while_it_is_being_made(vip, providers, key) -> None:
    providers["south"].before = failing("activate_reservation", DeviceUnreachable("down"))
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.RESERVED, State.FAILED)
    await vip.release(ALPHA, NAME)
    await vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    assert held(providers) == 0


async def test_provider_that_assigns_too_little_fails_the_vi(vip, providers, key) -> None:
    north = providers["north"]
    create = north._create

    def short(wanted):
        full = create(wanted)
        part = replace(full.node_parts[0], transponders=full.node_parts[0].transponders[:1])
        return replace(full, node_parts=(part, *full.node_parts[1:]))

    north._create = short
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.FAILED)
    assert "1 of 2 transponders" in vip.witness.ends[-1][1].message
    assert held(providers) == 0


async def _count_steps(folder, engine, key) -> int:
    """How many calls to providers one set-up takes."""
    providers = two_pips()
    vip = await Vip(folder, providers, engine).start()
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.ACTIVE)
    await vip.stop()
    return sum(len(provider.calls) for provider in providers.values())


def _hang_at(providers, position: int, when: str) -> asyncio.Event:
    """Let the call number `position` hang before or after its effect; the event says that it got there."""
    reached = asyncio.Event()
    count = 0

    def hook(method: str):
        nonlocal count
        count += 1
        if count == position:
            reached.set()
            return asyncio.Event()
        return None

    for provider in providers.values():
        setattr(provider, when, hook)
    return reached


async def test_crash_at_every_call_of_a_set_up_ends_active_or_undone(tmp_path, engine, key) -> None:
    total = await _count_steps(tmp_path / "count", engine, key)
    assert total >= 6
    for when in ("before", "after"):
        for position in range(1, total + 1):
            providers = two_pips()
            folder = tmp_path / f"{when}-{position}"
            vip = await Vip(folder, providers, engine).start()
            reached = _hang_at(providers, position, when)
            await vip.create(ALPHA, request(key))
            async with asyncio.timeout(5):
                await reached.wait()
            await vip.stop()
            for provider in providers.values():
                provider.before = provider.after = lambda method: None
            again = await Vip(folder, providers, engine, seed=2).start()
            found = await again.until(ALPHA, NAME, State.ACTIVE, State.FAILED)
            assert found.state is State.ACTIVE, (when, position)
            assert held(providers) == 2
            assert again.witness.ends[-1] == (NAME, found)
            await again.stop()


class HangingStore:
    """The store of a process that dies around transaction number `position`: before it, or after it and untold."""

    def __init__(self, store, position: int, when: str) -> None:
        self._store, self._position, self._when = store, position, when
        self.count = 0
        self.reached = asyncio.Event()

    async def run(self, work):
        self.count += 1
        mine = self.count
        if mine >= self._position and self._when == "before":
            await self._die()
        result = await self._store.run(work)
        if mine >= self._position:
            await self._die()
        return result

    async def close(self) -> None:
        await self._store.close()

    async def _die(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


async def test_crash_at_every_transaction_of_a_set_up_and_release_leaves_nothing_behind(tmp_path, engine, key) -> None:
    """The store dies before, or after and untold, at one transaction after the other until a whole life fits in."""
    for when, first in (("before", 2), ("after", 3)):
        for position in range(first, 200, 2):
            providers = two_pips()
            folder = tmp_path / f"{when}-{position}"
            vip = Vip(folder, providers, engine)
            store = HangingStore(None, position, when)
            vip.wrap = lambda real, store=store: _wrapped(store, real)
            await vip.start()
            whole = asyncio.create_task(_whole_life(vip, key))
            dying = asyncio.create_task(store.reached.wait())
            await asyncio.wait((whole, dying), return_when=asyncio.FIRST_COMPLETED)
            survived = whole.done()
            whole.cancel()
            dying.cancel()
            await asyncio.gather(whole, dying, return_exceptions=True)
            await vip.stop()
            again = await Vip(folder, providers, engine, seed=2).start()
            try:
                found = await again.until(ALPHA, NAME, State.ACTIVE, State.DECOMMISSIONED)
            except NotFound:
                # It died before the VI was admitted.
                assert held(providers) == 0
            else:
                assert held(providers) == (2 if found.state is State.ACTIVE else 0)
                await again.release(ALPHA, NAME)
                await again.until(ALPHA, NAME, State.DECOMMISSIONED)
                assert held(providers) == 0
            await again.stop()
            if survived:
                break
        else:
            pytest.fail("more transactions than expected")


def _wrapped(store: HangingStore, real) -> HangingStore:
    store._store = real
    return store


async def _whole_life(vip: Vip, key: str) -> None:
    """Made and taken down, watched through the observer so that watching takes no transaction."""
    await vip.create(ALPHA, request(key))
    await until(lambda: len(vip.witness.ends) == 1)
    await vip.release(ALPHA, NAME)
    await until(lambda: len(vip.witness.ends) == 2)


class FullStore:
    """A store whose disk is full for the next `faults` transactions."""

    def __init__(self, store) -> None:
        self._store = store
        self.faults = 0

    async def run(self, work):
        if self.faults:
            self.faults -= 1
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return await self._store.run(work)

    async def close(self) -> None:
        await self._store.close()


@pytest.mark.parametrize("faults", [1, 2, 5])
async def test_disk_that_was_full_for_a_while_strands_no_vi(tmp_path, engine, providers, key, faults) -> None:
    """The step fails on it, and so may the record of its failure."""
    vip = Vip(tmp_path, providers, engine)
    vip.wrap = FullStore
    await vip.start()
    gate = asyncio.Event()
    providers["north"].before = lambda method: gate if method == "create_reservation" else None
    await vip.create(ALPHA, request(key))
    await until(lambda: "create_reservation" in providers["north"].calls)
    vip.store.faults = faults
    with capture_logs() as logs:
        gate.set()
        await until(lambda: bool(vip.witness.ends))
    told = [entry["event"] for entry in logs if entry["log_level"] == "error"]
    # Step and record take turns to fail.
    assert (
        told
        == ["bug in a step", "failure not recorded", "bug in a step", "failure not recorded", "bug in a step"][:faults]
    )
    found = await vip.until(ALPHA, NAME, State.ACTIVE, State.FAILED)
    assert held(providers) == (2 if found.state is State.ACTIVE else 0)
    await vip.stop()


async def test_actor_that_died_is_followed_by_another(vip, providers, key) -> None:
    gate = asyncio.Event()
    providers["north"].before = lambda method: gate if method == "create_reservation" else None
    await vip.create(ALPHA, request(key))
    await until(lambda: "create_reservation" in providers["north"].calls)
    (actor,) = (task for task in asyncio.all_tasks() if task.get_name() == f"vi {NAME}")
    actor.cancel()
    await asyncio.gather(actor, return_exceptions=True)
    gate.set()
    vip.lifecycle.wake(NAME)
    await vip.until(ALPHA, NAME, State.ACTIVE)


async def test_crash_at_every_call_of_a_release_ends_with_nothing_held(tmp_path, engine, key) -> None:
    for when in ("before", "after"):
        for position in range(1, 7):
            providers = two_pips()
            folder = tmp_path / f"{when}-{position}"
            vip = await Vip(folder, providers, engine).start()
            await vip.create(ALPHA, request(key))
            await vip.until(ALPHA, NAME, State.ACTIVE)
            reached = _hang_at(providers, position, when)
            await vip.release(ALPHA, NAME)
            async with asyncio.timeout(5):
                await reached.wait()
            await vip.stop()
            for provider in providers.values():
                provider.before = provider.after = lambda method: None
            again = await Vip(folder, providers, engine, seed=2).start()
            await again.until(ALPHA, NAME, State.DECOMMISSIONED)
            assert held(providers) == 0
            await again.stop()


async def test_crash_while_undoing_goes_on_undoing(tmp_path, engine, key) -> None:
    providers = two_pips()
    vip = await Vip(tmp_path, providers, engine).start()
    providers["south"].before = failing("activate_reservation", ResourceExhausted("no"))
    hanging = asyncio.Event()
    providers["north"].before = lambda method: hanging if method == "delete_reservation" else None
    await vip.create(ALPHA, request(key))
    async with asyncio.timeout(5):
        while "delete_reservation" not in providers["north"].calls:  # noqa: ASYNC110 - waits for another task
            await asyncio.sleep(0.01)
    await vip.stop()
    providers["north"].before = providers["south"].before = lambda method: None
    again = await Vip(tmp_path, providers, engine, seed=2).start()
    await again.until(ALPHA, NAME, State.FAILED)
    assert held(providers) == 0
    assert isinstance(again.witness.ends[-1][1], ResourceExhausted)
    await again.stop()


async def test_servers_keep_to_the_share_of_the_vi(vip, providers, key) -> None:
    await vip.create(ALPHA, request(key))
    with pytest.raises(WrongState):
        await vip.it.list_servers(ALPHA, NAME, "dc")
    await vip.until(ALPHA, NAME, State.ACTIVE)
    made = await vip.it.create_server(ALPHA, NAME, "dc", Server("vm1", 6, 16, 50))
    assert made.instance_uuid == "i-vm1"
    assert await vip.it.create_server(ALPHA, NAME, "dc", Server("vm1", 6, 16, 50)) == made
    with pytest.raises(AlreadyExists):
        await vip.it.create_server(ALPHA, NAME, "dc", Server("vm1", 5, 16, 50))
    for server, field in (
        (Server("vm2", 3, 1, 0), "vcpu_count"),
        (Server("vm2", 1, 17, 0), "memory_gib"),
        (Server("vm2", 1, 1, 51), "volume_gib"),
    ):
        with pytest.raises(ResourceExhausted, match=field):
            await vip.it.create_server(ALPHA, NAME, "dc", server)
    with pytest.raises(InvalidRequest):
        await vip.it.create_server(ALPHA, NAME, "dc", Server("vm2", 0, 1, 0))
    both = await asyncio.gather(
        *(vip.it.create_server(ALPHA, NAME, "dc", Server(name, 2, 1)) for name in ("vm2", "vm3")),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in both) == ["ResourceExhausted", "Server"]
    power = await vip.it.list_servers(ALPHA, NAME, "dc")
    assert (len(power.servers), power.power_w) == (2, 224.0)
    for server in power.servers:
        await vip.it.delete_server(ALPHA, NAME, "dc", server.server_id)
    assert (await vip.it.list_servers(ALPHA, NAME, "dc")).servers == ()
    with pytest.raises(NotFound):
        await vip.it.list_servers(ALPHA, NAME, "other")


async def test_steering_speaks_the_operators_ports(vip, providers, key) -> None:
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.ACTIVE)
    theirs = request(key, vio="beta", band=FrequencySlot(100, 20))
    await vip.create(BETA, theirs)
    await vip.until(BETA, theirs.name, State.ACTIVE)
    # Alpha has the first two transponders at AMS, so beta's first is the third there.
    wanted = Steering("s1", "XPDR1-CLIENT1", 100)
    for owner, name in ((ALPHA, NAME), (BETA, theirs.name)):
        await vip.it.put_steering(owner, name, "a", wanted)
        assert await vip.it.list_steerings(owner, name, "a") == (wanted,)
    north = providers["north"]
    physical = [await north.list_steerings(reservation.name, "a") for reservation in north.held]
    assert [[(entry.client_port, entry.vlan_id) for entry in own] for own in physical] == [
        [("XPDR1-CLIENT1", 100)],
        [("XPDR1-CLIENT3", 100)],
    ]
    # One id may be used at each node; they meet in one reservation.
    south = replace(wanted, vlan_id=200)
    await vip.it.put_steering(ALPHA, NAME, "p", south)
    assert await vip.it.list_steerings(ALPHA, NAME, "p") == (south,)
    for node_id, port in (("a", "XPDR1-CLIENT3"), ("x", "XPDR1-CLIENT1")):
        with pytest.raises(NotFound):
            await vip.it.put_steering(ALPHA, NAME, node_id, Steering("s2", port, 100))
    with pytest.raises(InvalidRequest, match="steering_id"):
        await vip.it.put_steering(ALPHA, NAME, "a", Steering("a/b", "XPDR1-CLIENT1", 100))
    # LON's two transponders stand on two shelves that both call their port XPDR1-CLIENT1.
    with pytest.raises(WrongState, match="cannot tell"):
        await vip.it.put_steering(ALPHA, NAME, "l", wanted)
    await vip.it.delete_steering(ALPHA, NAME, "a", "s1")
    assert await vip.it.list_steerings(ALPHA, NAME, "a") == ()
    assert await vip.it.list_steerings(BETA, theirs.name, "a") == (wanted,)


async def test_refusals_of_a_data_centre_name_nothing_physical(vip, providers, key) -> None:
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.ACTIVE)
    for error in (DeviceInDoubt("DC-AMS"), DeviceUnreachable("DC-AMS"), ResourceExhausted("DC-AMS")):
        providers["north"].before = failing("create_server", error)
        with pytest.raises(type(error)) as caught:
            await vip.it.create_server(ALPHA, NAME, "dc", Server("vm1", 1, 1))
        assert "DC-AMS" not in caught.value.message


async def test_fault_of_a_server_is_told_in_our_words(vip, providers, key) -> None:
    words = "Build of instance on host cmp-7.ams.north.example failed: project r1 over quota of vio-beta"
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, NAME, State.ACTIVE)
    north = providers["north"]
    make, tell = north.create_server, north.list_servers

    def broken(server: Server) -> Server:
        return replace(server, state=ItResourceState.ERROR, fault=words)

    async def make_broken(reservation, part_id, server):
        return broken(await make(reservation, part_id, server))

    async def tell_broken(reservation, part_id):
        found = await tell(reservation, part_id)
        return replace(found, servers=tuple(broken(server) for server in found.servers))

    north.create_server, north.list_servers = make_broken, tell_broken
    with capture_logs() as logs:
        made = await vip.it.create_server(ALPHA, NAME, "dc", Server("vm1", 1, 1))
    assert made == replace(
        made, state=ItResourceState.ERROR, fault="the data centre could not provide this server: delete it, ask again"
    )
    assert (await vip.it.list_servers(ALPHA, NAME, "dc")).servers == (made,)
    # What the provider said is kept for whoever looks into it.
    assert words in {entry.get("fault") for entry in logs}
    north.create_server, north.list_servers = make, tell
    (sound,) = (await vip.it.list_servers(ALPHA, NAME, "dc")).servers
    assert sound.fault == ""
