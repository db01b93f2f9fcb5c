"""Services set up and released on emulated devices: real datastores, real light; also over NETCONF and SSH."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from lxml import etree

from controller.api.status import to_status
from controller.domain.errors import (
    DeviceRejected,
    DeviceUnreachable,
    GsnrBelowMargin,
    NotFound,
    ResourceExhausted,
    StaleGeneration,
    WrongState,
)
from controller.domain.infrastructure import VirtualInfrastructureState
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.nips import NipsState
from controller.domain.spectrum import FrequencySlot
from controller.ncp.bookings import next_generation
from controller.ncp.node_agent import AgentTimings, ssh_sessions
from controller.ncp.signalling import SagaTimings
from controller.netconf.device import RpcError, SessionInfo
from controller.netconf.openroadm_models import openroadm_engine
from controller.netconf.yang_engine import YangEngine
from controller.openroadm.configuration import edit_elements, read_configuration
from controller.openroadm.facts import parse_device
from controller.security.pki import make_ssh_key
from tests.interop.ncp_testbed import (
    ALPHA,
    BAND,
    BETA,
    DEADLINE_S,
    MACHINE,
    Testbed,
    demand,
)

NAME = "vios/alpha/nips/first"


@pytest.fixture(scope="module")
def engine() -> YangEngine:
    return openroadm_engine()


@pytest.fixture
async def bed(tmp_path: Path, engine: YangEngine):
    bed = Testbed(tmp_path, engine)
    await bed.open_local()
    yield bed
    await bed.close()


@pytest.fixture
async def ncp(bed: Testbed):
    calls = await bed.controller()
    yield calls
    await calls.close()


@pytest.fixture
async def ssh(tmp_path: Path, engine: YangEngine):
    make_ssh_key(tmp_path / "id_alpha", "alpha")
    bed = Testbed(tmp_path, engine, ("AMS", "LON", "PAR"))
    await bed.open_ssh(tmp_path / "id_alpha")
    yield bed, ssh_sessions(tmp_path / "id_alpha", 5.0)
    await bed.close()


async def _configurations(bed: Testbed) -> dict[str, SliceConfiguration]:
    found = {}
    for name, device in bed.devices.items():
        running = bed.datastores[name].running
        found[name] = read_configuration(running, parse_device(await device.operational(running)))
    return found


async def test_lightpath_and_machine_over_netconf_and_without_a_trace(ssh) -> None:
    bed, open_session = ssh
    calls = await bed.controller(open_session)
    try:
        await bed.admit(calls, demand(machine=MACHINE))
        nips = await bed.at_rest(calls, NAME)
        assert (nips.state, nips.failure) == (NipsState.ACTIVE, "")
        measured = (await calls.get(ALPHA, NAME)).measured_gsnr_0p1nm_db
        seen = [reception.gsnr_0p1nm_db for entries in bed.light.state.receptions.values() for reception in entries]
        assert len(seen) == 2
        assert measured == pytest.approx(min(seen), abs=1e-3)
        assert nips.answer.power_w == pytest.approx(52.0)
        assert [key[0] for key in bed.broker.steerings] == ["ams", "par"]
        assert {steering.client_port for steering in bed.broker.steerings.values()} == {"XPDR1-CLIENT1"}
        assert nips.server.instance_uuid
        await bed.release(calls, NAME)
        assert (await bed.at_rest(calls, NAME, (NipsState.RELEASED,))).server is None
        await bed.assert_clear()
    finally:
        await calls.close()


async def test_edit_is_on_every_device_in_both_directions(bed: Testbed, ncp) -> None:
    await bed.admit(ncp, demand())
    nips = await bed.at_rest(ncp, NAME)
    assert nips.state is NipsState.ACTIVE, nips.failure
    configurations = await _configurations(bed)
    slot = nips.answer.frequency_slot
    assert BAND.contains(slot)
    on_route = [f"ROADM-{node.upper()}" for node in nips.answer.path]
    assert len(on_route) == 3
    for roadm in on_route:
        pairs = {(cross.source_port, cross.destination_port) for cross in configurations[roadm].cross_connects}
        assert len(pairs) == 2
        assert pairs == {(target, source) for source, target in pairs}
        assert {cross.slot for cross in configurations[roadm].cross_connects} == {slot}
        assert all(len(cross.cross_connect_id) <= 45 for cross in configurations[roadm].cross_connects)
    lit = {name for name, found in configurations.items() if found != SliceConfiguration()}
    assert lit == {*on_route, "XPDR-AMS", "XPDR-PAR"}
    states = [state for _, state in bed.watcher.states]
    assert states == [NipsState.BOOKED, NipsState.STAGED, NipsState.COMMITTED_PENDING, NipsState.CONFIRMED]
    assert bed.watcher.outcomes[NAME][0].state is NipsState.ACTIVE


async def test_release_twice_and_name_taken_again(bed: Testbed, ncp) -> None:
    await bed.admit(ncp, demand())
    await bed.at_rest(ncp, NAME)
    assert (await bed.release(ncp, NAME)).state is NipsState.RELEASING
    await bed.release(ncp, NAME)
    await bed.at_rest(ncp, NAME, (NipsState.RELEASED,))
    told = len(bed.watcher.outcomes[NAME])
    assert (await bed.release(ncp, NAME)).state is NipsState.RELEASED
    # Whoever asked after the end is told of it too.
    await _until(lambda: len(bed.watcher.outcomes[NAME]) > told)
    assert bed.watcher.outcomes[NAME][-1].state is NipsState.RELEASED
    await bed.assert_clear()
    await bed.admit(ncp, demand())
    assert (await bed.at_rest(ncp, NAME, (NipsState.ACTIVE,))).failure == ""


async def test_release_is_refused_while_it_is_set_up_and_to_strangers(bed: Testbed, ncp) -> None:
    await bed.store.run(lambda connection: ncp.admit(connection, ALPHA, demand()))
    with pytest.raises(WrongState, match="ADMITTED"):
        await bed.store.run(lambda connection: ncp.admit_release(connection, ALPHA, NAME))
    messages = []
    for name in (NAME, "vios/alpha/nips/absent"):
        with pytest.raises(NotFound) as refused:
            await bed.store.run(lambda connection, name=name: ncp.admit_release(connection, BETA, name))
        messages.append(refused.value.message.replace(name, "…"))
    assert messages[0] == messages[1]
    with pytest.raises(NotFound):
        await ncp.get(BETA, NAME)
    assert await ncp.list(BETA) == ()


HOPS = ["ROADM-AMS", "ROADM-BRU", "ROADM-PAR", "XPDR-AMS", "XPDR-PAR"]


@pytest.mark.parametrize("device", HOPS)
async def test_commit_refused_on_one_device_undoes_all(bed: Testbed, ncp, device: str) -> None:
    bed.devices[device].refuse_apply = "the lamp is stuck"
    await bed.admit(ncp, demand(machine=MACHINE))
    nips = await bed.at_rest(ncp, NAME)
    assert nips.state is NipsState.FAILED
    assert "the lamp is stuck" in nips.failure
    assert isinstance(bed.watcher.outcomes[NAME][0], DeviceRejected)
    await bed.assert_clear()


async def test_refused_server_leaves_the_devices_alone(bed: Testbed, ncp) -> None:
    bed.broker.refuse_server = ResourceExhausted("quota of 8 vCPU is used up: ask for less")
    bed.rpc_log.clear()
    await bed.admit(ncp, demand(machine=MACHINE))
    nips = await bed.at_rest(ncp, NAME)
    assert (nips.state, nips.failure) == (NipsState.FAILED, "quota of 8 vCPU is used up: ask for less")
    assert not {name for _, name in bed.rpc_log} & {"edit-config", "validate"}
    await bed.assert_clear()


async def test_failed_service_can_be_released(bed: Testbed, ncp) -> None:
    bed.devices["ROADM-BRU"].refuse_apply = "the lamp is stuck"
    await bed.admit(ncp, demand(machine=MACHINE))
    assert (await bed.at_rest(ncp, NAME)).state is NipsState.FAILED
    await bed.release(ncp, NAME)
    assert (await bed.at_rest(ncp, NAME, (NipsState.RELEASED,))).failure
    assert bed.watcher.outcomes[NAME][-1].state is NipsState.RELEASED
    await bed.assert_clear()


async def test_server_in_error_and_refused_steering_undo_all(bed: Testbed, ncp) -> None:
    bed.broker.server_ends_in_error = True
    await bed.admit(ncp, demand(machine=MACHINE))
    assert "no host" in (await bed.at_rest(ncp, NAME)).failure
    await bed.assert_clear()
    bed.broker.server_ends_in_error = False
    bed.broker.refuse_steering = ResourceExhausted("VLAN 100 is taken on XPDR1-CLIENT1: choose another")
    await bed.admit(ncp, demand(machine=MACHINE))
    assert "VLAN 100" in (await bed.at_rest(ncp, NAME, (NipsState.FAILED,))).failure
    await bed.assert_clear()


async def test_dark_receiver_undoes_all(bed: Testbed, ncp, monkeypatch: pytest.MonkeyPatch) -> None:
    # The transit ROADM accepts the configuration, but its switch does not move.
    transit = bed.devices["ROADM-BRU"]
    monkeypatch.setattr(transit, "apply", lambda before, after: asyncio.sleep(0))
    await bed.admit(ncp, demand())
    nips = await bed.at_rest(ncp, NAME)
    assert nips.state is NipsState.FAILED
    assert "sees no signal" in nips.failure
    await bed.assert_clear()


async def test_degraded_receiver_undoes_all(bed: Testbed, ncp, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = bed.devices["XPDR-PAR"]
    operational = shelf.operational

    async def noisy(running: etree._Element) -> etree._Element:
        data = await operational(running)
        for gsnr in data.iter("{urn:geysers:yang:openroadm-xpdr}gsnr-0p1nm-db"):
            gsnr.text = "23.9000"
        return data

    monkeypatch.setattr(shelf, "operational", noisy)
    await bed.admit(ncp, demand())
    nips = await bed.at_rest(ncp, NAME)
    assert "23.90 dB" in nips.failure
    assert "24.00 dB" in nips.failure
    assert isinstance(bed.watcher.outcomes[NAME][0], GsnrBelowMargin)
    await bed.assert_clear()


async def test_crossing_routes_at_once_get_disjoint_slots(bed: Testbed, ncp) -> None:
    wanted = [demand("one", "ams", "par"), demand("two", "bru", "par"), demand("three", "par", "ams", vlan_id=7)]
    await asyncio.gather(*(bed.admit(ncp, entry) for entry in wanted))
    done = [await bed.at_rest(ncp, entry.name) for entry in wanted]
    assert [nips.failure for nips in done] == ["", "", ""]
    slots = [nips.answer.frequency_slot for nips in done]
    assert not any(a.overlaps(b) for i, a in enumerate(slots) for b in slots[:i])
    for entry in wanted:
        await bed.release(ncp, entry.name)
    for entry in wanted:
        await bed.at_rest(ncp, entry.name, (NipsState.RELEASED,))
    await bed.assert_clear()


async def test_last_transponder_goes_to_exactly_one(bed: Testbed, ncp) -> None:
    names = [f"n{index}" for index in range(5)]
    await asyncio.gather(*(bed.admit(ncp, demand(name, "ams", "bru")) for name in names))
    done = [await bed.at_rest(ncp, f"vios/alpha/nips/{name}") for name in names]
    assert sorted(nips.state.value for nips in done) == ["ACTIVE"] * 4 + ["FAILED"]
    (loser,) = [nips for nips in done if nips.state is NipsState.FAILED]
    assert isinstance(bed.watcher.outcomes[loser.demand.name][0], ResourceExhausted)


async def test_last_it_share_goes_to_exactly_one(bed: Testbed, ncp) -> None:
    names = ["m0", "m1", "m2"]
    await asyncio.gather(*(bed.admit(ncp, demand(name, "ams", "", machine=MACHINE)) for name in names))
    done = [await bed.at_rest(ncp, f"vios/alpha/nips/{name}") for name in names]
    assert sorted(nips.state.value for nips in done) == ["ACTIVE", "ACTIVE", "FAILED"]
    assert sum(server.vcpu_count for server in bed.broker.servers.values()) == 8


@pytest.mark.parametrize(("conflicts", "state"), [(4, NipsState.ACTIVE), (5, NipsState.FAILED)])
async def test_generation_conflict_leads_to_recomputation(bed: Testbed, ncp, conflicts: int, state: NipsState) -> None:
    left = [conflicts]

    async def another_writer() -> None:
        if left[0]:
            left[0] -= 1
            await bed.store.run(lambda connection: next_generation(connection, bed.tables))

    bed.computer.before_answer = another_writer
    await bed.admit(ncp, demand())
    nips = await bed.at_rest(ncp, NAME)
    assert nips.state is state
    assert len(bed.computer.requests) == 5
    generations = [snapshot.generation for snapshot, _ in bed.computer.requests]
    assert generations == sorted(set(generations))
    if state is NipsState.FAILED:
        assert isinstance(bed.watcher.outcomes[NAME][0], StaleGeneration)
        await bed.assert_clear()


async def test_validate_books_nothing(bed: Testbed, ncp) -> None:
    nips = await ncp.validate(ALPHA, demand())
    assert nips.answer.path == ("ams", "bru", "par")
    assert await bed.booked() == 0
    with pytest.raises(NotFound):
        await ncp.get(ALPHA, NAME)


async def test_what_is_not_ours_is_neither_adopted_nor_removed(bed: Testbed, ncp) -> None:
    """A cross-connect that somebody else put where ours would go: refused, and still there afterwards."""
    await bed.admit(ncp, demand())
    first = await bed.at_rest(ncp, NAME)
    wanted = (await _configurations(bed))["ROADM-BRU"]
    await bed.release(ncp, NAME)
    await bed.at_rest(ncp, NAME, (NipsState.RELEASED,))
    foreign = SliceConfiguration(
        frozenset(
            CrossConnect("by-hand", cross.source_port, cross.destination_port, cross.slot, cross.signal_width_ghz)
            for cross in wanted.cross_connects
        )
    )
    session = bed.local_sessions(bed.broker.plan)(bed.addresses["ROADM-BRU"])
    await session.connect()
    await session.edit_config(edit_elements(parse_device(await session.get()), SliceConfiguration(), foreign))
    await session.commit()
    await session.close()
    here = bed.running()["ROADM-BRU"]
    await bed.admit(ncp, demand())
    nips = await bed.at_rest(ncp, NAME, (NipsState.FAILED,))
    assert "not ours" in nips.failure
    assert first.answer.frequency_slot.openroadm_name in nips.failure
    assert bed.running()["ROADM-BRU"] == here
    assert {name: text for name, text in bed.running().items() if name != "ROADM-BRU"} == {
        name: text for name, text in bed.before.items() if name != "ROADM-BRU"
    }
    assert await bed.booked() == 0


async def test_leftover_candidate_of_somebody_is_not_committed(bed: Testbed, ncp) -> None:
    session = bed.local_sessions(bed.broker.plan)(bed.addresses["ROADM-BRU"])
    await session.connect()
    facts = parse_device(await session.get())
    stray = CrossConnect("stray", "SRG1-PP8-TXRX", "DEG1-TTP-TXRX", FrequencySlot(n=100, m=7), 63.1)
    await session.edit_config(edit_elements(facts, SliceConfiguration(), SliceConfiguration(frozenset({stray}))))
    await session.close()
    await bed.admit(ncp, demand())
    assert (await bed.at_rest(ncp, NAME)).state is NipsState.ACTIVE
    await bed.release(ncp, NAME)
    await bed.at_rest(ncp, NAME, (NipsState.RELEASED,))
    await bed.assert_clear()


async def test_answer_lost_after_the_commit_is_read_back(ssh) -> None:
    """The device carries a confirmed commit out, later than we wait: in doubt, read back, and the set-up goes on."""
    bed, _ = ssh
    calls = await bed.controller(ssh_sessions(bed.folder / "id_alpha", 0.5))
    try:
        bed.devices["ROADM-LON"].apply_delay_s = 1.5
        await bed.admit(calls, demand())
        nips = await bed.at_rest(calls, NAME)
        assert (nips.state, nips.failure) == (NipsState.ACTIVE, "")
        assert nips.answer.path == ("ams", "lon", "par")
        assert bed.datastores["ROADM-LON"]._pending is None
        await bed.release(calls, NAME)
        await bed.at_rest(calls, NAME, (NipsState.RELEASED,))
        await bed.assert_clear()
    finally:
        await calls.close()


async def test_device_that_goes_away_is_noticed_and_comes_back(ssh) -> None:
    bed, open_session = ssh
    calls = await bed.controller(open_session)
    try:
        await bed.admit(calls, demand())
        assert (await bed.at_rest(calls, NAME)).state is NipsState.ACTIVE
        endpoint = bed.endpoints["ROADM-LON"]
        first = endpoint.all()[0].info.session_id
        endpoint.all()[0].closing.set()
        await _until(lambda: any(session.info.session_id > first for session in endpoint.all()))
        await _until(lambda: not _unreachable(calls))
        await bed.release(calls, NAME)
        await bed.at_rest(calls, NAME, (NipsState.RELEASED,))
        await bed.assert_clear()
    finally:
        await calls.close()


def _unreachable(calls) -> list[str]:
    return [name for name, agent in calls._world.agents.items() if agent.facts is None]


async def _until(condition) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def test_unreachable_device_stops_only_what_needs_it(bed: Testbed) -> None:
    sessions = bed.local_sessions(bed.broker.plan)

    def open_session(address):
        session = sessions(address)
        if address.host == "ROADM-BRU":

            async def refuse() -> None:
                raise DeviceUnreachable("127.0.0.1:1 is not reachable over NETCONF/SSH")

            session.connect = refuse
        return session

    calls = await bed.controller(open_session)
    try:
        await bed.admit(calls, demand())
        nips = await bed.at_rest(calls, NAME)
        assert (nips.state, nips.answer.path) == (NipsState.ACTIVE, ("ams", "lon", "par"))
        snapshot, problems = await calls.topology(ALPHA)
        assert {name.split(".")[0] for name in snapshot.links} == {"ams-lon", "lon-par"}
        assert {problem.subject for problem in problems} == {
            "nodes/bru",
            "links/ams-bru",
            "links/bru-par",
            "links/lon-bru",
        }
        await bed.admit(calls, demand("second", "bru", "par"))
        assert (await bed.at_rest(calls, "vios/alpha/nips/second")).state is NipsState.FAILED
    finally:
        await calls.close()


async def test_bookings_stay_until_the_last_device_is_seen_clear(bed: Testbed) -> None:
    away = asyncio.Event()
    sessions = bed.local_sessions(bed.broker.plan)

    def open_session(address):
        session = sessions(address)
        if address.host == "ROADM-BRU":
            rpc = session.rpc

            async def cut(operation):
                if away.is_set():
                    raise DeviceUnreachable("127.0.0.1:1 is not reachable over NETCONF/SSH")
                return await rpc(operation)

            session.rpc = cut
        return session

    calls = await bed.controller(open_session)
    try:
        await bed.admit(calls, demand(machine=MACHINE))
        await bed.at_rest(calls, NAME)
        booked = await bed.booked()
        away.set()
        await bed.release(calls, NAME)
        others = [name for name in bed.before if name != "ROADM-BRU"]
        await _until(lambda: all(bed.running()[name] == bed.before[name] for name in others))
        assert await bed.booked() == booked
        assert (await calls.get(ALPHA, NAME)).state is NipsState.RELEASING
        # What is clear serves others meanwhile.
        await bed.admit(calls, demand("second", "ams", "par", vlan_id=9))
        assert (await bed.at_rest(calls, "vios/alpha/nips/second")).answer.path == ("ams", "lon", "par")
        away.clear()
        await bed.at_rest(calls, NAME, (NipsState.RELEASED,))
        await bed.release(calls, "vios/alpha/nips/second")
        await bed.at_rest(calls, "vios/alpha/nips/second", (NipsState.RELEASED,))
        await bed.assert_clear()
    finally:
        await calls.close()


async def test_device_that_never_confirms_leads_to_release_of_all(bed: Testbed, monkeypatch) -> None:
    transit = bed.devices["ROADM-BRU"]
    apply = transit.apply

    async def stuck(before: etree._Element, after: etree._Element) -> None:
        if before is after:
            raise RpcError("operation-failed", "the flash is full")
        await apply(before, after)

    monkeypatch.setattr(transit, "apply", stuck)
    calls = await bed.controller(saga_timings=SagaTimings(60, 2.0, 0.02, 0.3, 0.02))
    try:
        await bed.admit(calls, demand())
        nips = await bed.at_rest(calls, NAME)
        assert nips.state is NipsState.FAILED
        assert NipsState.CONFIRMED in [state for _, state in bed.watcher.states]
        await bed.assert_clear()
    finally:
        await calls.close()


async def test_fault_of_ours_ends_the_set_up_and_its_operation(bed: Testbed) -> None:
    """The operation carries an INTERNAL status, and nothing stays booked."""
    observed: list[status_pb2.Status] = []

    class Watcher:
        def changed(self, connection, name, thing) -> None: ...

        def ended(self, connection, name, outcome) -> None:
            observed.append(to_status(outcome))

    bed.watcher = Watcher()
    calls = await bed.controller()

    async def fault(plan):
        raise KeyError("secret inside")

    calls._world.it_part.make_server = fault
    await bed.admit(calls, demand(machine=MACHINE))
    assert (await bed.at_rest(calls, NAME)).state is NipsState.FAILED
    assert [(entry.code, "secret" in entry.message) for entry in observed] == [
        (grpc.StatusCode.INTERNAL.value[0], False)
    ]
    assert await bed.booked() == 0
    await calls.close()


async def test_device_that_cannot_be_cleared_holds_nobody_up_for_ever(bed: Testbed) -> None:
    """Another session keeps the candidate of LON: the release goes on, and whoever needs LON ends by a deadline."""
    calls = await bed.controller(
        saga_timings=SagaTimings(60, 2.0, 0.02, 10.0, 0.02, turn_timeout_s=0.5),
        agent_timings=AgentTimings(0.2, 0.02, 0.1, 5.0, 0.3, 0.02),
    )
    await bed.admit(calls, demand("first", "ams", "lon"))
    await bed.at_rest(calls, NAME)
    stranger = SessionInfo(9999, "alpha", "other")
    await bed.datastores["ROADM-LON"].lock(stranger, "candidate")
    await bed.release(calls, NAME)
    await bed.admit(calls, demand("third", "lon", "par"))
    assert (await bed.at_rest(calls, "vios/alpha/nips/third")).state is NipsState.FAILED
    await bed.datastores["ROADM-LON"].unlock(stranger, "candidate")
    assert (await bed.at_rest(calls, NAME, (NipsState.RELEASED,))).state is NipsState.RELEASED
    await calls.close()


async def test_release_ends_when_the_infrastructure_is_gone(bed: Testbed, ncp) -> None:
    await bed.admit(ncp, demand(machine=MACHINE))
    await bed.at_rest(ncp, NAME)
    standing = bed.broker.infrastructure
    bed.broker.infrastructure = replace(standing, state=VirtualInfrastructureState.DECOMMISSIONED)

    async def over(*_arguments):
        raise WrongState("virtual infrastructure is DECOMMISSIONED: it must be ACTIVE for this")

    for name in ("delete_steering", "list_steerings", "delete_server", "list_servers"):
        setattr(bed.broker, name, over)
    await bed.release(ncp, NAME)
    assert (await bed.at_rest(ncp, NAME, (NipsState.RELEASED,))).state is NipsState.RELEASED
