"""A provider over emulated devices: discovery, slices of two tenants, restarts, outages, release without a trace."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    InvalidRequest,
    NotFound,
    StaleGeneration,
    WrongState,
)
from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.reservation import LinkPart, NodePart, Reservation, ReservationState
from controller.domain.spectrum import FrequencySlot
from controller.netconf.client import NcclientSession
from controller.netconf.device import FileStorage
from controller.netconf.openroadm_models import openroadm_engine
from controller.netconf.yang_engine import YangEngine
from controller.openroadm.configuration import edit_elements, read_configuration
from controller.openroadm.facts import parse_device
from controller.openroadm.namespaces import DEVICE, MC, NETCONF, NMC, OCH, ROOT, tag, text
from controller.pip.provider import PhysicalProvider, ProviderSettings
from controller.ports.device_session import DeviceAddress
from tests.interop.pip_network import ALPHA, BETA, MODE, Bench, Network, corridor, until

ROUTE = ["ROADM-AMS", "ROADM-LON", "ROADM-PAR"]
NAMES = [*ROUTE, "XPDR-AMS", "XPDR-PAR"]
LOW, HIGH = FrequencySlot(n=-100, m=28), FrequencySlot(n=100, m=28)


@pytest.fixture(scope="module")
def engine() -> YangEngine:
    return openroadm_engine()


@pytest.fixture
async def network(tmp_path: Path, engine: YangEngine):
    built = Network(NAMES, tmp_path, engine)
    await built.start_all()
    yield built
    await built.close()


@pytest.fixture
async def bench(network: Network, tmp_path: Path):
    settings = ProviderSettings("west", network.addresses, network.figures(), upkeep_period_s=0.5)
    built = Bench(tmp_path, settings)
    await built.start()
    yield built
    await built.stop()


def lightpath(held: Reservation, route: list[str], slot: FrequencySlot, links: dict) -> dict[str, SliceConfiguration]:
    """What a lightpath over the whole route asks of each device of a leased corridor."""
    parts = {part.node.rpartition("/")[2]: part for part in held.node_parts}
    wanted: dict[str, SliceConfiguration] = {}
    for position, node in enumerate(route):
        ends = []
        for neighbour in (position - 1, position + 1):
            if 0 <= neighbour < len(route):
                ends.append(links[node, route[neighbour]])
            else:
                transponder = parts[node].transponders[0]
                ends.append(transponder.add_drop_port)
                line = LineSetting(transponder.network_port, slot, MODE, 0.0)
                wanted[transponder.device] = SliceConfiguration(line_settings=frozenset({line}))
        crosses = {
            CrossConnect("lsp/0", ends[0], ends[1], slot, 63.1),
            CrossConnect("lsp/1", ends[1], ends[0], slot, 63.1),
        }
        wanted[node] = SliceConfiguration(frozenset(crosses))
    return wanted


async def ports_of(provider: PhysicalProvider) -> dict[tuple[str, str], str]:
    catalogue = await provider.catalogue()
    return {(link.source_node, link.destination_node): link.source_port for link in catalogue.links}


async def light(bench: Bench, owner, band: FrequencySlot, generation: int = 1):
    """Lease a corridor and light a lightpath in the middle of its band; (reservation, slices)."""
    provider = bench.provider
    wanted = await corridor(provider, ROUTE, band, {"ROADM-AMS": 1, "ROADM-PAR": 1})
    held = await bench.lease(owner, wanted)
    slices = lightpath(held, ROUTE, FrequencySlot(band.n, 7), await ports_of(provider))
    await asyncio.gather(
        *(provider.apply_slice(owner, held.name, device, generation, desired) for device, desired in slices.items())
    )
    return held, slices


async def test_discovery_equals_the_plant(bench: Bench, network: Network) -> None:
    catalogue = await bench.provider.catalogue()
    assert [node.node_id for node in catalogue.nodes] == ROUTE
    for node in catalogue.nodes:
        site = network.plant.roadms[node.node_id]
        assert len(node.degree_ports) == len(site.degrees)
        assert (node.location.clli, node.location.latitude_deg) == (site.clli, site.latitude_deg)
        assert node.add_drop_osnr_0p1nm_db == site.add_drop_osnr_0p1nm_db
        assert node.power_w == 150 + 100 + 85 * len(site.degrees)
    ams, lon, par = catalogue.nodes
    assert [(t.device, t.network_port, t.client_port, t.add_drop_port) for t in ams.transponders] == [
        ("XPDR-AMS", f"XPDR1-NETWORK{i}", f"XPDR1-CLIENT{i}", f"SRG1-PP{i}-TXRX") for i in range(1, 5)
    ]
    assert {mode.mode_id for mode in par.transponders[0].modes} == {mode.mode_id for mode in network.plant.modes}
    assert lon.transponders == ()
    found = {(link.source_node, link.destination_node) for link in catalogue.links}
    assert found == {ends for ends in network.plant.lines if ends[0] in ROUTE}
    for link in catalogue.links:
        ours = link.destination_node in ROUTE
        assert link.inter_domain is not ours
        near, far = network.plant.roadms[link.source_node], network.plant.roadms[link.destination_node]
        assert link.source_port == f"DEG{near.degree_to(far.name)}-TTP-TXRX"
        assert link.destination_port == (f"DEG{far.degree_to(near.name)}-TTP-TXRX" if ours else "")


async def test_two_tenants_share_roadms_and_one_leaves_the_other_untouched(bench: Bench, network: Network) -> None:
    provider = bench.provider
    start = network.configurations()
    alpha, _ = await light(bench, ALPHA, LOW)
    only_alpha = network.configurations()
    beta, wanted = await light(bench, BETA, HIGH)
    for device, desired in wanted.items():
        reading = await provider.get_slice(BETA, beta.name, device)
        assert reading.actual == desired
    shelf = await provider.get_slice(BETA, beta.name, "XPDR-PAR")
    (reception,) = shelf.receptions
    assert reception.signal_state == "good"
    assert shelf.power_w == 22.0
    middle = await provider.get_slice(BETA, beta.name, "ROADM-LON")
    degrees = len(network.plant.roadms["ROADM-LON"].degrees)
    assert middle.power_w == pytest.approx((250 + 85 * degrees) / degrees * 2 * 56 / 768)
    offers = await provider.catalogue()
    inner = [link for link in offers.links if {link.source_node, link.destination_node} <= set(ROUTE[:2])]
    assert [link.held_bands for link in inner] == [(LOW, HIGH)] * 2
    await provider.release(BETA, beta.name)
    assert network.configurations() == only_alpha
    await provider.release(ALPHA, alpha.name)
    assert network.configurations() == start
    assert not network.light.state.receptions
    await provider.release(ALPHA, alpha.name)
    with pytest.raises(NotFound):
        await provider.get_reservation(ALPHA, alpha.name)
    assert all(not link.held_bands for link in (await provider.catalogue()).links)


async def test_what_is_not_the_tenants_is_refused_and_changes_nothing(bench: Bench, network: Network) -> None:
    provider = bench.provider
    alpha, wanted = await light(bench, ALPHA, LOW)
    before = network.configurations()
    beta = await bench.lease(BETA, await corridor(provider, ROUTE[:2], HIGH, {}))
    ports = await ports_of(provider)
    towards_ams, towards_par = ports["ROADM-LON", "ROADM-AMS"], ports["ROADM-LON", "ROADM-PAR"]
    add_drop = alpha.node_parts[0].transponders[0].add_drop_port
    mine = FrequencySlot(HIGH.n, 7)

    async def refused(device: str, cross: CrossConnect, kind: type[Exception] = NotFound) -> str:
        with pytest.raises(kind) as caught:
            await provider.apply_slice(BETA, beta.name, device, 1, SliceConfiguration(frozenset({cross})))
        return str(caught.value)

    # Another's degree, another's spectrum, another's transponder, a device outside, a port that does not exist.
    not_mine = await refused("ROADM-LON", CrossConnect("x", towards_ams, towards_par, mine, 63.1))
    absent = await refused("ROADM-LON", CrossConnect("x", towards_ams, "DEG9-TTP-TXRX", mine, 63.1))
    assert not_mine.replace(towards_par, "P") == absent.replace("DEG9-TTP-TXRX", "P")
    await refused("ROADM-AMS", CrossConnect("x", ports["ROADM-AMS", "ROADM-LON"], add_drop, mine, 63.1))
    await refused("ROADM-PAR", CrossConnect("x", "DEG1-TTP-TXRX", "DEG2-TTP-TXRX", mine, 63.1))
    await refused("ROADM-XXX", CrossConnect("x", "DEG1-TTP-TXRX", "DEG2-TTP-TXRX", mine, 63.1))
    with pytest.raises(NotFound):
        await provider.apply_slice(BETA, beta.name, "XPDR-AMS", 1, wanted["XPDR-AMS"])
    with pytest.raises(NotFound):
        await provider.apply_slice(BETA, alpha.name, "ROADM-LON", 9, SliceConfiguration())
    for owner, name in ((BETA, alpha.name), (BETA, "pips/west/reservations/0000000000000000")):
        with pytest.raises(NotFound, match="not found"):
            await provider.get_slice(owner, name, "ROADM-LON")
    await provider.release(BETA, alpha.name)
    own = {cross for cross in wanted["ROADM-LON"].cross_connects}
    edge = FrequencySlot(LOW.n + LOW.m, 7)
    with pytest.raises(NotFound, match="slot"):
        await provider.apply_slice(
            ALPHA, alpha.name, "ROADM-LON", 2, SliceConfiguration(frozenset(replace(c, slot=edge) for c in own))
        )
    line = next(iter(wanted["XPDR-AMS"].line_settings))
    bad = SliceConfiguration(line_settings=frozenset({replace(line, mode_id="warp-9")}))
    with pytest.raises(InvalidRequest, match="use one of"):
        await provider.apply_slice(ALPHA, alpha.name, "XPDR-AMS", 2, bad)
    assert network.configurations() == before


async def test_generations_and_repeats(bench: Bench, network: Network) -> None:
    provider = bench.provider
    held, wanted = await light(bench, ALPHA, LOW, generation=5)
    commits = []
    apply = network.devices["ROADM-LON"].apply

    async def counted(before, after):
        commits.append(after)
        await apply(before, after)

    network.devices["ROADM-LON"].apply = counted
    await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 5, wanted["ROADM-LON"])
    assert commits == []
    with pytest.raises(StaleGeneration):
        await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 4, SliceConfiguration())
    with pytest.raises(StaleGeneration):
        await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 5, SliceConfiguration())
    wider = frozenset(replace(cross, signal_width_ghz=70.0) for cross in wanted["ROADM-LON"].cross_connects)
    await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 6, SliceConfiguration(wider))
    assert (await provider.get_slice(ALPHA, held.name, "ROADM-LON")).actual.cross_connects == wider
    # The old width never went dark on its way to the new one: one state, applied by the commit and its confirmation.
    assert len({etree.tostring(after) for after in commits}) == 1


async def test_held_is_not_usable_and_lapses_also_over_a_restart(bench: Bench) -> None:
    provider = bench.provider
    wanted = await corridor(provider, ROUTE, LOW, {"ROADM-AMS": 1})
    held = await bench.reserve(ALPHA, wanted, hold_time_s=0.6)
    assert held.hold_expire_time is not None
    with pytest.raises(WrongState):
        await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 1, SliceConfiguration())
    await bench.stop()
    provider = await bench.start()

    async def is_free() -> bool:
        offers = await provider.catalogue()
        return all(not link.held_bands for link in offers.links) and all(
            t.available for node in offers.nodes for t in node.transponders
        )

    await until(is_free)
    with pytest.raises(NotFound):
        await provider.activate(ALPHA, held.name)


async def test_a_device_that_is_down_joins_when_it_comes(tmp_path: Path, engine: YangEngine) -> None:
    network = Network(NAMES, tmp_path, engine)
    await network.start_all()
    await network.stop("ROADM-LON")
    bench = Bench(tmp_path, ProviderSettings("west", network.addresses, network.figures(), upkeep_period_s=0.5))
    try:
        provider = await bench.start()
        first = await provider.catalogue()
        assert [node.node_id for node in first.nodes] == ["ROADM-AMS", "ROADM-PAR"]
        assert not [link for link in first.links if link.destination_node == "ROADM-LON"]
        await network.start("ROADM-LON")

        async def has_joined() -> bool:
            offers = await provider.catalogue()
            return [node.node_id for node in offers.nodes] == ROUTE and any(
                link.destination_node == "ROADM-LON" for link in offers.links
            )

        await until(has_joined)
    finally:
        await bench.stop()
        await network.close()


async def test_miswired_fibres_are_reported_and_not_offered(tmp_path: Path, engine: YangEngine, capsys) -> None:
    network = Network(ROUTE, tmp_path, engine)
    lldp = network.lldp["ROADM-LON"]
    swapped = {name: there for name, there in lldp.items()}
    (a, b) = [name for name, (node, _) in lldp.items() if node in ("ROADM-AMS", "ROADM-PAR")]
    swapped[a], swapped[b] = lldp[b], lldp[a]
    network.lldp["ROADM-LON"] = swapped
    await network.start_all()
    bench = Bench(tmp_path, ProviderSettings("west", network.addresses, network.figures()))
    try:
        provider = await bench.start()
        links = (await provider.catalogue()).links
        assert not [
            link
            for link in links
            if {"ROADM-LON"} & {link.source_node, link.destination_node} and not link.inter_domain
        ]
        assert "mis-wired" in capsys.readouterr().out
    finally:
        await bench.stop()
        await network.close()


async def test_restart_in_the_middle_carries_out_what_was_promised(bench: Bench, network: Network) -> None:
    provider = bench.provider
    start = network.configurations()
    held, _ = await light(bench, ALPHA, LOW)
    lit = network.configurations()
    await network.stop("ROADM-LON")
    with pytest.raises((DeviceUnreachable, DeviceInDoubt)):
        await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 2, SliceConfiguration())
    await bench.stop()
    await network.start("ROADM-LON")
    assert network.configurations() == lit
    provider = await bench.start()
    await until(lambda: network.configuration("ROADM-LON") == start["ROADM-LON"])
    await network.stop("XPDR-PAR")
    with pytest.raises((DeviceUnreachable, DeviceInDoubt)):
        await provider.release(ALPHA, held.name)
    assert (await provider.get_reservation(ALPHA, held.name)).state is ReservationState.RELEASING
    assert any(link.held_bands for link in (await provider.catalogue()).links)
    await bench.stop()
    await network.start("XPDR-PAR")
    provider = await bench.start()

    async def is_gone() -> bool:
        return not await provider.list_reservations(ALPHA)

    await until(is_gone)
    assert network.configurations() == start


class Fault:
    """Cuts the sessions to one device at its n-th request: before it is sent, or after it was done and not answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.left: int | None = None
        self.after = False

    def strikes(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left == 0


class FaultySession(NcclientSession):
    fault: Fault

    async def rpc(self, operation: etree._Element) -> etree._Element:
        struck = self.address.port == self.fault.port and self.fault.strikes()
        if struck and not self.fault.after:
            self._disconnect()
        reply = await super().rpc(operation)
        if struck:
            self._disconnect()
            raise DeviceInDoubt("the answer was lost")
        return reply


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fresh", [False, True], ids=["standing", "fresh"])
async def test_a_session_cut_at_any_request_ends_as_wanted(
    tmp_path: Path, network: Network, after: bool, fresh: bool
) -> None:
    fault = Fault(network.addresses["ROADM-LON"].port)

    def open_session(address: DeviceAddress) -> FaultySession:
        session = FaultySession(address)
        session.fault = fault
        return session

    settings = ProviderSettings("west", network.addresses, network.figures(), upkeep_period_s=600.0)
    bench = Bench(tmp_path, settings, open_session=open_session)
    provider = await bench.start()
    dark = network.configuration("ROADM-LON")
    held, wanted = await light(bench, ALPHA, LOW)
    lit = network.configuration("ROADM-LON")
    struck = 0
    for number in range(1, 30):
        desired = wanted["ROADM-LON"] if number % 2 == 0 else SliceConfiguration()
        if fresh:
            await provider._devices.drivers["ROADM-LON"]._drop_session()
        fault.left, fault.after = number, after
        await provider.apply_slice(ALPHA, held.name, "ROADM-LON", number + 1, desired)
        assert network.configuration("ROADM-LON") == (lit if number % 2 == 0 else dark)
        stored = await FileStorage(network.storage_file("ROADM-LON")).load()
        assert stored.rollback is None, f"request {number}: a pending commit would undo the change"
        if fault.left > 0:
            break
        struck += 1
    fault.left = None
    assert 9 <= struck < 25
    await bench.stop()


async def test_a_device_killed_after_its_commit_ends_as_wanted(bench: Bench, network: Network) -> None:
    provider = bench.provider
    dark = network.configuration("ROADM-LON")
    held, _ = await light(bench, ALPHA, LOW)
    lit = network.configuration("ROADM-LON")
    device = network.devices["ROADM-LON"]
    committed, apply = asyncio.Event(), device.apply

    async def apply_and_tell(before: etree._Element, after: etree._Element) -> None:
        await apply(before, after)
        committed.set()

    device.apply = apply_and_tell
    change = asyncio.create_task(provider.apply_slice(ALPHA, held.name, "ROADM-LON", 2, SliceConfiguration()))
    await committed.wait()
    await network.stop("ROADM-LON")
    await network.start("ROADM-LON")
    assert network.configuration("ROADM-LON") in (lit, dark)
    outcome = (await asyncio.gather(change, return_exceptions=True))[0]
    assert outcome is None or isinstance(outcome, DeviceInDoubt | DeviceUnreachable)
    await until(lambda: network.configuration("ROADM-LON") == dark)


async def commit_by_hand(session: NcclientSession) -> None:
    """Commit beside the provider, whose upkeep holds the locks now and then."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await session.commit()
            except DeviceLocked:
                await asyncio.sleep(0.02)


async def test_drift_is_repaired_and_what_is_not_ours_stays(bench: Bench, network: Network) -> None:
    port = network.addresses["ROADM-LON"]
    session = NcclientSession(port)
    await session.connect()
    facts = parse_device(await session.get())
    degrees = [degree.connection_point for degree in facts.degrees]
    by_hand = CrossConnect("set by hand", degrees[0], degrees[1], FrequencySlot(300, 7), 63.1)
    await session.edit_config(edit_elements(facts, SliceConfiguration(), SliceConfiguration(frozenset({by_hand}))))
    await commit_by_hand(session)
    start = network.configuration("ROADM-LON")
    held, _ = await light(bench, ALPHA, LOW)
    lit = network.configuration("ROADM-LON")
    running = etree.fromstring(etree.tostring(network.endpoints["ROADM-LON"].running()))
    connections = running.iter("{http://org/openroadm/device}roadm-connections")
    ours = [text(entry, "connection-name") for entry in connections]
    ours.remove(by_hand.connection_name)
    assert len(ours) == 2
    root = etree.Element(ROOT, nsmap={None: DEVICE})
    for name in ours:
        entry = etree.SubElement(root, tag("roadm-connections"))
        entry.set(f"{{{NETCONF}}}operation", "remove")
        etree.SubElement(entry, tag("connection-name")).text = name
    await session.edit_config([root])
    await commit_by_hand(session)
    await session.close()
    assert network.configuration("ROADM-LON") != lit
    await until(lambda: network.configuration("ROADM-LON") == lit)
    await bench.provider.release(ALPHA, held.name)
    assert network.configuration("ROADM-LON") == start


async def behind_the_back(network: Network, name: str, values: dict[str, str]) -> None:
    """Somebody rewrites leaves of a device's provisioned interfaces, by their tags; the names stay."""
    data = etree.fromstring(etree.tostring(network.endpoints[name].running()))
    changed = 0
    for entry in data.iter(tag("interface")):
        if text(entry, "type").endswith(("TerminationPoint", "opticalChannel")):
            for leaf, value in values.items():
                for found in entry.iter(leaf):
                    found.text, changed = value, changed + 1
    assert changed, "nothing to rewrite: the test would prove nothing"
    await network.endpoints[name].datastores.override_running(data)


@pytest.mark.parametrize(
    ("device", "values"),
    [
        ("ROADM-LON", {tag("frequency", NMC): "193.6"}),
        ("ROADM-LON", {tag("min-freq", MC): "191.4", tag("max-freq", MC): "193.9"}),
        ("ROADM-LON", {tag("administrative-state"): "outOfService"}),
        ("ROADM-AMS", {tag("width", NMC): "50"}),
        ("XPDR-AMS", {tag("frequency", OCH): "193.6"}),
        ("XPDR-AMS", {tag("administrative-state"): "outOfService"}),
    ],
    ids=["retuned channel", "widened window", "dark channel", "narrowed channel", "retuned laser", "dark laser"],
)
async def test_what_only_bears_the_right_name_is_repaired(
    bench: Bench, network: Network, device: str, values: dict[str, str]
) -> None:
    held, _ = await light(bench, ALPHA, LOW)
    lit = network.configurations()
    await behind_the_back(network, device, values)
    assert network.configurations() != lit
    await until(lambda: network.configurations() == lit)
    await bench.provider.release(ALPHA, held.name)


async def test_what_only_bears_the_right_name_goes_with_the_release(bench: Bench, network: Network) -> None:
    start = network.configurations()
    held, _ = await light(bench, ALPHA, LOW)
    for name in ("ROADM-LON", "XPDR-PAR"):
        await behind_the_back(network, name, {tag("frequency", NMC): "193.6", tag("frequency", OCH): "193.6"})
    await bench.provider.release(ALPHA, held.name)
    assert network.configurations() == start


async def test_a_connection_that_somebody_renamed_is_given_its_name_again(bench: Bench, network: Network) -> None:
    held, _ = await light(bench, ALPHA, LOW)
    lit = network.configurations()
    data = etree.fromstring(etree.tostring(network.endpoints["ROADM-LON"].running()))
    next(data.iter(tag("connection-name"))).text = "by hand"
    await network.endpoints["ROADM-LON"].datastores.override_running(data)
    await until(lambda: network.configurations() == lit)
    await bench.provider.release(ALPHA, held.name)


async def test_the_device_refuses_one_of_two_and_the_other_is_carried_out(bench: Bench, network: Network) -> None:
    """Two tenants' changes share a cycle; a foreign object in the way of one does not stop the other."""
    provider = bench.provider
    ports = await ports_of(provider)
    ends = ports["ROADM-LON", "ROADM-AMS"], ports["ROADM-LON", "ROADM-PAR"]
    session = NcclientSession(network.addresses["ROADM-LON"])
    await session.connect()
    facts = parse_device(await session.get())
    by_hand = CrossConnect("set by hand", *ends, FrequencySlot(LOW.n + 2, 7), 63.1)
    await session.edit_config(edit_elements(facts, SliceConfiguration(), SliceConfiguration(frozenset({by_hand}))))
    await session.commit()
    await session.close()
    leases = [
        await bench.lease(owner, await corridor(provider, ROUTE, band, {}))
        for owner, band in ((ALPHA, LOW), (BETA, HIGH))
    ]
    cross = CrossConnect("x", *ends, FrequencySlot(LOW.n, 7), 63.1)
    slices = [SliceConfiguration(frozenset({replace(cross, slot=FrequencySlot(band.n, 7))})) for band in (LOW, HIGH)]
    outcomes = await asyncio.gather(
        *(
            provider.apply_slice(owner, held.name, "ROADM-LON", 1, desired)
            for owner, held, desired in zip((ALPHA, BETA), leases, slices, strict=True)
        ),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], DeviceRejected)
    assert outcomes[1] is None
    assert (await provider.get_slice(ALPHA, leases[0].name, "ROADM-LON")).actual == SliceConfiguration()
    assert (await provider.get_slice(BETA, leases[1].name, "ROADM-LON")).actual == slices[1]


async def test_interfaces_left_without_their_connection_go_with_the_release(bench: Bench, network: Network) -> None:
    start = network.configurations()
    held, _ = await light(bench, ALPHA, LOW)
    for name in ("ROADM-LON", "ROADM-AMS"):
        data = etree.fromstring(etree.tostring(network.endpoints[name].running()))
        for entry in list(data.iter("{http://org/openroadm/device}roadm-connections")):
            entry.getparent().remove(entry)
        await network.endpoints[name].datastores.override_running(data)
    await bench.provider.release(ALPHA, held.name)
    assert network.configurations() == start


async def test_a_lock_held_by_somebody_else_is_waited_for(bench: Bench, network: Network) -> None:
    provider = bench.provider
    held, _ = await light(bench, ALPHA, LOW)
    session = NcclientSession(network.addresses["ROADM-LON"])
    await session.connect()
    await session.lock("candidate")
    change = asyncio.create_task(provider.apply_slice(ALPHA, held.name, "ROADM-LON", 2, SliceConfiguration()))
    await asyncio.sleep(0.3)
    assert not change.done()
    await session.unlock("candidate")
    await change
    await session.close()
    assert (await provider.get_slice(ALPHA, held.name, "ROADM-LON")).actual == SliceConfiguration()


async def test_a_commit_that_a_former_life_left_unconfirmed_is_waited_out(bench: Bench, network: Network) -> None:
    provider = bench.provider
    dark = network.configuration("ROADM-LON")
    held, wanted = await light(bench, ALPHA, LOW)
    lit = network.configuration("ROADM-LON")
    session = NcclientSession(network.addresses["ROADM-LON"])
    await session.connect()
    facts = parse_device(await session.get())
    current = read_configuration(await session.get_config(), facts)
    await session.edit_config(edit_elements(facts, current, SliceConfiguration()))
    await session.commit(confirmed=True, timeout_s=2, persist="former life")
    await session.close()
    assert network.configuration("ROADM-LON") == dark
    await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 2, wanted["ROADM-LON"])
    assert network.configuration("ROADM-LON") == lit
    stored = await FileStorage(network.storage_file("ROADM-LON")).load()
    assert stored.rollback is None


class DyingSession(NcclientSession):
    """A session of a provider that is killed after its confirmed commit: the confirmation is never sent."""

    died: asyncio.Event | None = None

    async def commit(self, **options: object) -> None:
        if options.get("persist_id") and DyingSession.died is not None:
            DyingSession.died.set()
            await asyncio.Event().wait()
        await super().commit(**options)


async def killed_while_pending(bench: Bench, work) -> PhysicalProvider:
    """Begin `work`, die before its confirmation, start again."""
    DyingSession.died = asyncio.Event()
    doing = asyncio.ensure_future(work)
    await DyingSession.died.wait()
    await bench.stop()
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    DyingSession.died = None
    return await bench.start()


@pytest.fixture
async def mortal(network: Network, tmp_path: Path):
    settings = ProviderSettings("west", network.addresses, network.figures(), upkeep_period_s=600.0)
    built = Bench(tmp_path, settings, open_session=DyingSession)
    await built.start()
    yield built
    DyingSession.died = None
    await built.stop()


async def pending_at(network: Network, name: str) -> bool:
    stored = await FileStorage(network.storage_file(name)).load()
    assert stored is not None
    return stored.rollback is not None


async def test_what_a_killed_provider_left_unconfirmed_is_not_taken_for_done(mortal: Bench, network: Network) -> None:
    provider = mortal.provider
    held = await mortal.lease(ALPHA, await corridor(provider, ROUTE, LOW, {}))
    ports = await ports_of(provider)
    a, z = ports["ROADM-LON", "ROADM-AMS"], ports["ROADM-LON", "ROADM-PAR"]
    slot = FrequencySlot(LOW.n, 7)
    desired = SliceConfiguration(
        frozenset({CrossConnect("x/0", a, z, slot, 63.1), CrossConnect("x/1", z, a, slot, 63.1)})
    )
    provider = await killed_while_pending(mortal, provider.apply_slice(ALPHA, held.name, "ROADM-LON", 1, desired))
    await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 1, desired)
    assert (await provider.get_slice(ALPHA, held.name, "ROADM-LON")).actual == desired
    assert not await pending_at(network, "ROADM-LON"), "the device would undo what was acknowledged"


async def test_a_release_cut_off_by_a_kill_is_not_done_while_the_device_may_undo_it(
    mortal: Bench, network: Network
) -> None:
    provider = mortal.provider
    dark = network.configuration("ROADM-LON")
    held, _ = await light(mortal, ALPHA, LOW)
    provider = await killed_while_pending(mortal, provider.release(ALPHA, held.name))
    await provider.release(ALPHA, held.name)
    assert await provider.list_reservations(ALPHA) == ()
    for name in NAMES:
        assert not await pending_at(network, name), f"{name} would bring back what was released"
    assert network.configuration("ROADM-LON") == dark


async def test_what_others_have_not_confirmed_is_not_taken_for_settled(bench: Bench, network: Network) -> None:
    provider = bench.provider
    dark = network.configuration("ROADM-LON")
    held, _ = await light(bench, ALPHA, LOW)
    session = NcclientSession(network.addresses["ROADM-LON"])
    await session.connect()
    facts = parse_device(await session.get())
    current = read_configuration(await session.get_config(), facts)
    await session.edit_config(edit_elements(facts, current, SliceConfiguration()))
    await session.commit(confirmed=True, timeout_s=1, persist="somebody else")
    await session.close()
    assert network.configuration("ROADM-LON") == dark
    await provider.apply_slice(ALPHA, held.name, "ROADM-LON", 2, SliceConfiguration())
    assert not await pending_at(network, "ROADM-LON")
    assert network.configuration("ROADM-LON") == dark


async def test_who_leases_one_direction_of_a_fibre_pair_does_not_receive_on_the_other(bench: Bench) -> None:
    provider = bench.provider
    catalogue = await provider.catalogue()
    there, back = [
        next(link for link in catalogue.links if (link.source_node, link.destination_node) == ends)
        for ends in (("ROADM-AMS", "ROADM-LON"), ("ROADM-LON", "ROADM-AMS"))
    ]
    nodes = {node.node_id: node.name for node in catalogue.nodes}
    alpha = await bench.lease(
        ALPHA,
        Reservation(
            "g1", (NodePart("n", nodes["ROADM-AMS"], (there.source_port,), 1),), (LinkPart("l", there.name, LOW),)
        ),
    )
    await bench.lease(
        BETA,
        Reservation(
            "g2", (NodePart("n", nodes["ROADM-LON"], (back.source_port,), 0),), (LinkPart("l", back.name, LOW),)
        ),
    )
    slot, inner = FrequencySlot(LOW.n, 7), alpha.node_parts[0].transponders[0].add_drop_port
    sending = CrossConnect("out", inner, there.source_port, slot, 63.1)
    receiving = CrossConnect("in", there.source_port, inner, slot, 63.1)
    with pytest.raises(NotFound, match="slot"):
        await provider.apply_slice(ALPHA, alpha.name, "ROADM-AMS", 1, SliceConfiguration(frozenset({receiving})))
    await provider.apply_slice(ALPHA, alpha.name, "ROADM-AMS", 1, SliceConfiguration(frozenset({sending})))
