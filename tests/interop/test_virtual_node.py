"""Virtual nodes driven by ncclient: the dialect of a real ROADM, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from lxml import etree

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceRejected,
    DeviceUnreachable,
    NotAuthenticated,
    ResourceExhausted,
)
from controller.domain.media import CrossConnect, LineSetting, Reception, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.licl.virtual_node import VirtualStorage
from controller.netconf.openroadm_models import openroadm_engine
from controller.openroadm.configuration import edit_elements, read_configuration, read_receptions
from controller.openroadm.facts import parse_device
from tests.licl_provider import failing, two_pips
from tests.licl_vip import ALPHA, BAND, BETA, State, Vip, request, session_to, ssh_key, until

SLOT = FrequencySlot(0, 7)
NOTHING = SliceConfiguration()
ADD = CrossConnect("nips-1", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", SLOT, 63.1)
DROP = CrossConnect("nips-1r", "DEG1-TTP-TXRX", "SRG1-PP1-TXRX", SLOT, 63.1)
PATH = SliceConfiguration(frozenset({ADD, DROP}))
NS = "http://org/openroadm/device"


@pytest.fixture(scope="module")
def engine():
    return openroadm_engine()


class Scene:
    """One VI of alpha's in operation over two PIPs."""

    def __init__(self, vip: Vip, providers, key_file, folder) -> None:
        self.vip, self.providers, self.key_file, self.folder = vip, providers, key_file, folder
        self.sessions = []

    async def node(self, node_id: str, owner=ALPHA, vi: str = "vios/alpha/virtualInfrastructures/blue"):
        found = await self.vip.lifecycle.get(owner, vi)
        return next(node for node in found.nodes if node.node_id == node_id)

    async def open(self, node_id: str, *, shelf: bool = False):
        node = await self.node(node_id)
        session = session_to(node.transponder if shelf else node.roadm, self.key_file)
        await session.connect()
        self.sessions.append(session)
        return session


@pytest.fixture
async def scene(tmp_path, engine):
    providers = two_pips()
    vip = await Vip(tmp_path, providers, engine).start()
    key_file, key = ssh_key(tmp_path, "alpha")
    await vip.create(ALPHA, request(key))
    await vip.until(ALPHA, "vios/alpha/virtualInfrastructures/blue", State.ACTIVE)
    scene = Scene(vip, providers, key_file, tmp_path)
    yield scene
    for session in scene.sessions:
        await session.close()
    await scene.vip.stop()


async def edit(session, desired: SliceConfiguration, current: SliceConfiguration = NOTHING) -> None:
    facts = parse_device(await session.get())
    await session.edit_config(edit_elements(facts, current, desired))


def ams(scene) -> SliceConfiguration:
    return scene.providers["north"].carried("ROADM-AMS")


def raw(xml: str) -> list[etree._Element]:
    return [
        etree.fromstring(
            f'<org-openroadm-device xmlns="{NS}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" '
            f'xmlns:oi="http://org/openroadm/interfaces">{xml}</org-openroadm-device>'
        )
    ]


async def test_virtual_roadm_looks_like_a_real_one_and_tells_nothing_physical(scene, engine) -> None:
    session = await scene.open("l")
    data = await session.get()
    facts = parse_device(data)
    assert (facts.node_id, facts.clli, facts.power_w) == ("vnode-blue-l", "LON", 100.0)
    assert [degree.leased_band for degree in facts.degrees] == [BAND, BAND]
    assert [(n.remote_node, n.remote_interface) for n in facts.neighbours] == [
        ("vnode-blue-a", "ETH-DEG1"),
        ("vnode-blue-p", "ETH-DEG1"),
    ]
    shelf = parse_device(await (await scene.open("l", shelf=True)).get())
    assert {link.remote_node for link in facts.external_links} == {shelf.node_id}
    assert [mode.mode_id for mode in shelf.lines[0].modes] == ["400G", "100G"]
    text = etree.tostring(data).decode()
    assert not [name for name in ("ROADM-LON", "XPDR-LON", "north", "pips/") if name in text]
    for child in [child for child in data if child.tag != f"{{{NS}}}org-openroadm-device"]:
        data.remove(child)
    engine.validate_operational(data)


async def test_lightpath_reaches_the_physical_ports_and_leaves_no_trace(scene) -> None:
    session = await scene.open("a")
    before = etree.tostring(await session.get_config())
    await session.lock("candidate")
    await edit(session, PATH)
    await session.validate()
    assert ams(scene) == NOTHING
    await session.commit(confirmed=True, timeout_s=60, persist="nips-1")
    # Virtual degree 1 of the node is physical degree 3 of ROADM-AMS.
    assert {(c.source_port, c.destination_port, c.slot) for c in ams(scene).cross_connects} == {
        ("SRG1-PP1-TXRX", "DEG3-TTP-TXRX", SLOT),
        ("DEG3-TTP-TXRX", "SRG1-PP1-TXRX", SLOT),
    }
    assert all(len(cross.cross_connect_id) == 12 for cross in ams(scene).cross_connects)
    await session.commit(persist_id="nips-1")
    await session.unlock("candidate")
    facts = parse_device(await session.get())
    assert read_configuration(await session.get_config(), facts) == PATH
    await edit(session, NOTHING, PATH)
    await session.commit()
    assert ams(scene) == NOTHING
    assert etree.tostring(await session.get_config()) == before


async def test_transponders_of_several_shelves_look_like_one(scene) -> None:
    session = await scene.open("l", shelf=True)
    lines = frozenset(LineSetting(f"XPDR1-NETWORK{i}", SLOT, "400G", -1.0) for i in (1, 2))
    await edit(session, SliceConfiguration(line_settings=lines))
    await session.commit()
    north = scene.providers["north"]
    for device in ("XPDR-LON-1", "XPDR-LON-2"):
        assert {s.network_port for s in north.carried(device).line_settings} == {"XPDR1-NETWORK1"}
    north.receptions["XPDR-LON-2", "XPDR1-NETWORK1"] = Reception("XPDR1-NETWORK1", -11.0, 26.5, "good")
    data = await session.get()
    facts = parse_device(data)
    seen = {reception.network_port: reception for reception in read_receptions(data, facts)}
    assert seen["XPDR1-NETWORK2"] == Reception("XPDR1-NETWORK2", -11.0, 26.5, "good")
    assert seen["XPDR1-NETWORK1"].signal_state == "no-signal"
    assert facts.power_w == 200.0


async def test_get_answers_while_the_provider_is_away(scene) -> None:
    session = await scene.open("l", shelf=True)
    lines = frozenset({LineSetting("XPDR1-NETWORK1", SLOT, "400G", -1.0)})
    await edit(session, SliceConfiguration(line_settings=lines))
    await session.commit()
    for order in (DeviceUnreachable("gone"), asyncio.Event()):
        scene.providers["north"].before = lambda method, order=order: order if method == "get_slice" else None
        data = await session.get()
        facts = parse_device(data)
        assert read_configuration(data, facts).line_settings == lines
        assert read_receptions(data, facts) == ()
        assert facts.power_w == 0.0


async def test_channel_out_of_service_is_not_lit(scene) -> None:
    session = await scene.open("a", shelf=True)
    await edit(session, SliceConfiguration(line_settings=frozenset({LineSetting("XPDR1-NETWORK1", SLOT, "400G", 0)})))
    await session.commit()
    assert scene.providers["north"].carried("XPDR-AMS").line_settings
    name = f"XPDR1-NETWORK1-{SLOT.openroadm_name}"
    await session.edit_config(
        raw(f"<interface><name>{name}</name><administrative-state>outOfService</administrative-state></interface>")
    )
    await session.commit()
    assert not scene.providers["north"].carried("XPDR-AMS").line_settings


OUTSIDE = "this spectrum is not leased to you"
ABOVE = FrequencySlot(BAND.n + BAND.m + 6, 6)


@pytest.mark.parametrize(
    ("crosses", "tag", "words"),
    [
        ([replace(ADD, slot=FrequencySlot(BAND.m, 1))], "resource-denied", OUTSIDE),
        ([replace(ADD, slot=ABOVE)], "resource-denied", OUTSIDE),
        ([ADD, replace(ADD, source_port="SRG1-PP2-TXRX", slot=FrequencySlot(7, 7))], "resource-denied", "overlaps"),
        (
            [ADD, replace(ADD, destination_port="DEG2-TTP-TXRX", slot=FrequencySlot(7, 7))],
            "resource-denied",
            "overlaps SRG1-PP1-TXRX-nmc",
        ),
        ([ADD, replace(ADD, source_port="SRG1-PP2-TXRX")], "resource-denied", "is the destination of"),
        ([replace(ADD, destination_port="SRG1-PP2-TXRX")], "invalid-value", "join a degree"),
        ([replace(ADD, signal_width_ghz=100.0)], "invalid-value", "width 100 GHz"),
        ([replace(ADD, signal_width_ghz=0.0)], "invalid-value", "width 0 GHz"),
    ],
)
async def test_channels_beyond_the_lease_are_refused_and_change_nothing(scene, crosses, tag, words) -> None:
    session = await scene.open("l")
    before = etree.tostring(await session.get_config())
    await edit(session, SliceConfiguration(frozenset(crosses)))
    for act in (session.validate, session.commit):
        with pytest.raises(DeviceRejected, match=words) as caught:
            await act()
        assert caught.value.rpc_errors[0].tag == tag
        assert caught.value.rpc_errors[0].path.startswith("/org-openroadm-device/")
    assert etree.tostring(await session.get_config()) == before
    assert scene.providers["north"].carried("ROADM-LON") == NOTHING


async def test_held_and_impossible_spectrum_are_refused_in_the_same_words(scene) -> None:
    """A band of another tenant, one that is nobody's, and one beyond the C band."""
    _, beta_key = ssh_key(scene.folder, "beta")
    other = request(beta_key, vio="beta", vi_id="red", band=FrequencySlot(100, 40))
    await scene.vip.create(BETA, other)
    await scene.vip.until(BETA, other.name, State.ACTIVE)
    session = await scene.open("a")
    told = set()
    for low, high, slot in (
        ("193.725", "193.8", FrequencySlot(106, 6).openroadm_name),
        ("194.35", "194.425", FrequencySlot(206, 6).openroadm_name),
        ("196.1", "196.175", "765:776"),
    ):
        name = f"DEG1-TTP-TXRX-mc-{slot}"
        await session.edit_config(
            raw(
                f"<interface><name>{name}</name><type>oi:mediaChannelTrailTerminationPoint</type>"
                "<administrative-state>inService</administrative-state>"
                "<supporting-circuit-pack-name>1/0</supporting-circuit-pack-name><supporting-port>L1</supporting-port>"
                "<supporting-interface>OMS-DEG1-TTP-TXRX</supporting-interface>"
                '<mc-ttp xmlns="http://org/openroadm/media-channel-interfaces">'
                f"<min-freq>{low}</min-freq><max-freq>{high}</max-freq></mc-ttp></interface>"
            )
        )
        with pytest.raises(DeviceRejected) as caught:
            await session.validate()
        error = caught.value.rpc_errors[0]
        told.add((error.tag, error.app_tag, error.message.replace(name, "NAME")))
        await session.discard_changes()
    assert len(told) == 1
    assert OUTSIDE in next(iter(told))[2]


MC = "<mc-ttp xmlns='http://org/openroadm/media-channel-interfaces'>{}</mc-ttp>"
NMC = "<nmc-ctp xmlns='http://org/openroadm/network-media-channel-interfaces'>{}</nmc-ctp>"


def interface(name: str, kind: str, inner: str, pack: str = "1/0", port: str = "L1", below: str = "") -> str:
    supporting = f"<supporting-interface>{below}</supporting-interface>" if below else ""
    return (
        f"<interface><name>{name}</name><type>oi:{kind}</type><administrative-state>inService</administrative-state>"
        f"{supporting}<supporting-circuit-pack-name>{pack}</supporting-circuit-pack-name>"
        f"<supporting-port>{port}</supporting-port>{inner}</interface>"
    )


MC_KIND, NMC_KIND = "mediaChannelTrailTerminationPoint", "networkMediaChannelConnectionTerminationPoint"
OMS = "OMS-DEG1-TTP-TXRX"
EDGES = "<min-freq>193.05625</min-freq><max-freq>193.14375</max-freq>"
NAME = SLOT.openroadm_name


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (interface("mine", MC_KIND, MC.format(EDGES), below=OMS), "is called <degree port>-mc-<slot>"),
        (interface(f"DEG9-TTP-TXRX-mc-{NAME}", MC_KIND, MC.format(EDGES), below=OMS), "is called"),
        (interface(f"DEG1-TTP-TXRX-mc-{NAME}", MC_KIND, MC.format(EDGES)), "supporting-interface must be OMS"),
        (interface("DEG1-TTP-TXRX-mc-1:2", MC_KIND, MC.format(EDGES), below=OMS), f"call it .*-mc-{NAME}"),
        (interface(f"DEG1-TTP-TXRX-mc-{NAME}", MC_KIND, "", below=OMS), "min-freq is missing"),
        (
            interface(
                f"DEG1-TTP-TXRX-mc-{NAME}",
                MC_KIND,
                MC.format("<min-freq>193.05</min-freq><max-freq>193.14</max-freq>"),
                below=OMS,
            ),
            "6.25 GHz grid",
        ),
        (
            interface(
                f"DEG1-TTP-TXRX-mc-{NAME}", MC_KIND, MC.format(EDGES), port="ETH", pack="1/0/ETH-PLUG", below=OMS
            ),
            "by its name: 1/0 L1",
        ),
        (
            interface(
                f"SRG1-PP1-TXRX-nmc-{NAME}",
                NMC_KIND,
                NMC.format("<frequency>193.2</frequency><width>60</width>"),
                "SRG1/0",
                "C1",
            ),
            "centre of slot",
        ),
        (
            interface(
                "SRG1-PP1-TXRX-nmc-huge",
                NMC_KIND,
                NMC.format("<frequency>193.1</frequency><width>60</width>"),
                "SRG1/0",
                "C1",
            ),
            "FIRST:LAST",
        ),
        (
            interface(
                f"SRG1-PP1-TXRX-nmc-{NAME}", NMC_KIND, NMC.format("<frequency>193.1</frequency>"), "SRG1/0", "C1"
            ),
            "width is missing",
        ),
        (
            interface(
                f"DEG1-TTP-TXRX-nmc-{NAME}",
                NMC_KIND,
                NMC.format("<frequency>193.1</frequency><width>60</width>"),
                below=OMS,
            ),
            "supporting-interface must be DEG1-TTP-TXRX-mc",
        ),
        (
            interface(
                f"SRG1-PP1-TXRX-nmc-{NAME}",
                NMC_KIND,
                NMC.format("<frequency>193.1</frequency><width>60</width>"),
                "SRG1/0",
                "C1",
                OMS,
            ),
            "leave supporting-interface out",
        ),
        (interface(f"XPDR1-NETWORK1-{NAME}", "opticalChannel", ""), "none on this device"),
        (
            f"<roadm-connections><connection-name>x</connection-name><source><src-if>{OMS}</src-if></source>"
            f"<destination><dst-if>{OMS}</dst-if></destination></roadm-connections>",
            "is no network media channel of yours",
        ),
    ],
)
async def test_what_the_dialect_cannot_express_is_refused_with_the_mend(scene, xml, words) -> None:
    session = await scene.open("a")
    await session.edit_config(raw(xml))
    with pytest.raises(DeviceRejected, match=words) as caught:
        await session.commit()
    assert caught.value.rpc_errors[0].tag == "invalid-value"
    assert ams(scene) == NOTHING


async def test_both_ends_of_a_connection_carry_one_width(scene) -> None:
    session = await scene.open("a")
    await edit(session, PATH)
    narrow = NMC.format("<width>50</width>")
    await session.edit_config(raw(f"<interface><name>SRG1-PP1-TXRX-nmc-{NAME}</name>{narrow}</interface>"))
    with pytest.raises(DeviceRejected, match="give both ends one width"):
        await session.commit()


@pytest.mark.parametrize(
    ("xml", "path"),
    [
        ("<info><clli>ELSEWHERE</clli></info>", "/org-openroadm-device/info"),
        (
            "<circuit-packs><circuit-pack-name>1/0</circuit-pack-name><slot>9</slot></circuit-packs>",
            "/org-openroadm-device/circuit-packs[circuit-pack-name='1/0']",
        ),
        (
            "<degree nc:operation='delete'><degree-number>1</degree-number></degree>",
            "/org-openroadm-device/degree[degree-number='1']",
        ),
        (
            "<interface><name>OTS-DEG1-TTP-TXRX</name><administrative-state>outOfService</administrative-state>"
            "</interface>",
            "/org-openroadm-device/interface[name='OTS-DEG1-TTP-TXRX']",
        ),
        (
            interface("ETH-MINE", "ethernetCsmacd", ""),
            "/org-openroadm-device/interface[name='ETH-MINE']",
        ),
        (
            "<external-link nc:operation='delete'><external-link-name>SRG1/0-C1</external-link-name></external-link>",
            "/org-openroadm-device/external-link[external-link-name='SRG1/0-C1']",
        ),
        (
            "<protocols><lldp xmlns='http://org/openroadm/lldp'><global-config><adminStatus>disable</adminStatus>"
            "</global-config></lldp></protocols>",
            "/org-openroadm-device/protocols",
        ),
    ],
)
async def test_inventory_is_not_the_tenants_to_edit(scene, xml, path) -> None:
    session = await scene.open("a")
    before = etree.tostring(await session.get_config())
    await session.edit_config(raw(xml))
    with pytest.raises(DeviceRejected, match="may edit only its own") as caught:
        await session.commit()
    assert (caught.value.rpc_errors[0].tag, caught.value.rpc_errors[0].path) == ("access-denied", path)
    assert etree.tostring(await session.get_config()) == before


async def test_whole_device_cannot_be_replaced_by_nothing(scene) -> None:
    session = await scene.open("a")
    (nothing,) = raw("")
    nothing.set("{urn:ietf:params:xml:ns:netconf:base:1.0}operation", "delete")
    await session.edit_config([nothing])
    with pytest.raises(DeviceRejected) as caught:
        await session.commit()
    assert caught.value.rpc_errors[0].tag in ("access-denied", "operation-failed")
    await session.discard_changes()
    assert parse_device(await session.get()).node_id == "vnode-blue-a"


async def test_restating_what_is_there_is_no_change(scene) -> None:
    session = await scene.open("a")
    config = await session.get_config()
    await session.edit_config(list(config), default_operation="replace")
    await session.commit()
    assert parse_device(await session.get()).node_id == "vnode-blue-a"


@pytest.mark.parametrize(
    ("line", "tag", "words"),
    [
        (LineSetting("XPDR1-NETWORK1", SLOT, "warp-9", 0.0), "invalid-value", "use one of 100G, 400G"),
        (LineSetting("XPDR1-NETWORK1", FrequencySlot(0, 6), "400G", 0.0), "invalid-value", "needs 87.5 GHz"),
        (LineSetting("XPDR1-NETWORK1", FrequencySlot(120, 7), "400G", 0.0), "resource-denied", OUTSIDE),
        (LineSetting("XPDR1-NETWORK1", SLOT, "400G", 90000.0), "invalid-value", "transmit-power 90000 dBm: use -30 to"),
        (LineSetting("XPDR1-NETWORK1", SLOT, "400G", 10.01), "invalid-value", "transmit-power 10.01 dBm"),
        (LineSetting("XPDR1-NETWORK1", SLOT, "400G", -30.01), "invalid-value", "transmit-power -30.01 dBm"),
    ],
)
async def test_optical_channel_keeps_to_mode_lease_and_launch_power(scene, line, tag, words) -> None:
    session = await scene.open("a", shelf=True)
    await edit(session, SliceConfiguration(line_settings=frozenset({line})))
    with pytest.raises(DeviceRejected, match=words) as caught:
        await session.commit()
    assert caught.value.rpc_errors[0].tag == tag
    assert scene.providers["north"].carried("XPDR-AMS") == NOTHING


async def test_one_optical_channel_per_line_port(scene) -> None:
    session = await scene.open("a", shelf=True)
    both = {LineSetting("XPDR1-NETWORK1", FrequencySlot(n, 7), "400G", 0.0) for n in (0, 20)}
    await edit(session, SliceConfiguration(line_settings=frozenset(both)))
    with pytest.raises(DeviceRejected, match=r"carries .* already"):
        await session.commit()


@pytest.mark.parametrize(
    ("error", "tag", "app_tag"),
    [
        (ResourceExhausted("ROADM-AMS is full"), "resource-denied", None),
        (DeviceRejected("ROADM-AMS refused: other tenant"), "operation-failed", None),
        (DeviceUnreachable("ROADM-AMS is down"), "operation-failed", "unreachable"),
        (DeviceInDoubt("ROADM-AMS did not answer"), "operation-failed", "in-doubt"),
    ],
)
async def test_refusal_from_below_puts_the_old_state_back_and_names_nothing(scene, error, tag, app_tag) -> None:
    session = await scene.open("a")
    await edit(session, PATH)
    await session.commit()
    before = etree.tostring(await session.get_config())
    carried = ams(scene)
    await edit(session, NOTHING, PATH)
    # The effect takes place and the answer is lost: the worst case for an unreachable or doubtful provider.
    scene.providers["north"].after = failing("apply_slice", error)
    with pytest.raises(DeviceRejected) as caught:
        await session.commit()
    told = caught.value.rpc_errors[0]
    assert (told.tag, told.app_tag) == (tag, app_tag)
    assert "ROADM-AMS" not in told.message
    assert etree.tostring(await session.get_config()) == before
    scene.providers["north"].after = lambda method: None
    await until(lambda: ams(scene) == carried)
    assert await _settled(scene)


async def _settled(scene) -> bool:
    async with asyncio.timeout(5):
        while await scene.vip.sync.pending():  # noqa: ASYNC110 - the loop gives no event for it
            await asyncio.sleep(0.01)
    return True


async def test_failure_at_the_second_shelf_undoes_the_first(scene) -> None:
    session = await scene.open("l", shelf=True)
    north = scene.providers["north"]
    lines = frozenset(LineSetting(f"XPDR1-NETWORK{i}", SLOT, "400G", -1.0) for i in (1, 2))
    await edit(session, SliceConfiguration(line_settings=lines))
    seen = []

    def second_fails(method: str):
        if method == "apply_slice":
            seen.append(method)
            if len(seen) == 2:
                return DeviceRejected("no")
        return None

    north.before = second_fails
    with pytest.raises(DeviceRejected):
        await session.commit()
    await until(lambda: north.carried("XPDR-LON-1") == NOTHING)
    assert north.carried("XPDR-LON-2") == NOTHING
    assert await _settled(scene)


async def test_confirmed_commit_that_times_out_reverts_at_the_provider(scene) -> None:
    session = await scene.open("a")
    await edit(session, PATH)
    await session.commit(confirmed=True, timeout_s=1)
    assert ams(scene).cross_connects
    await until(lambda: ams(scene) == NOTHING)
    assert read_configuration(await session.get_config(), parse_device(await session.get())) == NOTHING


async def test_revert_while_the_provider_is_away_is_carried_out_later(scene) -> None:
    session = await scene.open("a")
    await edit(session, PATH)
    await session.commit(confirmed=True, timeout_s=60, persist="p")
    scene.providers["north"].before = failing("apply_slice", DeviceUnreachable("gone"))
    await session.cancel_commit("p")
    assert read_configuration(await session.get_config(), parse_device(await session.get())) == NOTHING
    assert ams(scene).cross_connects
    scene.providers["north"].before = lambda method: None
    await until(lambda: ams(scene) == NOTHING)


async def test_cancelled_commit_is_undone_at_once(scene) -> None:
    session = await scene.open("a")
    await edit(session, PATH)
    await session.commit(confirmed=True, timeout_s=60, persist="p")
    await session.cancel_commit("p")
    assert ams(scene) == NOTHING


async def test_pending_commit_of_one_tenant_holds_up_no_other(scene) -> None:
    _, beta_key = ssh_key(scene.folder, "beta")
    other = request(beta_key, vio="beta", vi_id="red", band=FrequencySlot(100, 40))
    await scene.vip.create(BETA, other)
    found = await scene.vip.until(BETA, other.name, State.ACTIVE)
    mine = await scene.open("a")
    await edit(mine, PATH)
    await mine.commit(confirmed=True, timeout_s=60, persist="p")
    theirs = session_to(found.nodes[0].roadm, scene.folder / "id_beta")
    await theirs.connect()
    scene.sessions.append(theirs)
    slot = FrequencySlot(100, 7)
    await edit(theirs, SliceConfiguration(frozenset({replace(ADD, slot=slot)})))
    await theirs.commit()
    assert {cross.slot for cross in ams(scene).cross_connects} == {SLOT, slot}
    await mine.cancel_commit("p")
    assert {cross.slot for cross in ams(scene).cross_connects} == {slot}


async def test_restart_keeps_address_host_key_and_running(scene, engine) -> None:
    session = await scene.open("a")
    await edit(session, PATH)
    await session.commit()
    before = etree.tostring(await session.get_config())
    node = await scene.node("a")
    await session.close()
    await scene.vip.stop()
    scene.vip = await Vip(scene.folder, scene.providers, engine).start()
    again = session_to(node.roadm, scene.key_file)
    async with asyncio.timeout(10):
        while True:
            try:
                await again.connect()
                break
            except DeviceUnreachable:
                await asyncio.sleep(0.02)
    scene.sessions.append(again)
    assert etree.tostring(await again.get_config()) == before
    assert await scene.node("a") == node
    assert {cross.slot for cross in ams(scene).cross_connects} == {SLOT}


async def test_restart_reverts_an_unconfirmed_commit_at_the_provider_too(scene, engine) -> None:
    session = await scene.open("a")
    await edit(session, PATH)
    await session.commit(confirmed=True, timeout_s=600, persist="p")
    assert ams(scene).cross_connects
    await session.close()
    await scene.vip.stop()
    assert ams(scene).cross_connects
    scene.vip = await Vip(scene.folder, scene.providers, engine).start()
    await until(lambda: ams(scene) == NOTHING)


async def test_restart_carries_out_what_was_stored_before_the_crash(scene, engine) -> None:
    """Killed between the commit's transaction and the provider's answer."""
    session = await scene.open("a")
    await edit(session, PATH)
    scene.providers["north"].before = lambda method: asyncio.Event() if method == "apply_slice" else None
    hanging = asyncio.create_task(session.commit())
    await until(lambda: "apply_slice" in scene.providers["north"].calls)
    # The process dies: nothing of it runs on, and its store is closed as it stands.
    await scene.vip.sync.stop()
    await scene.vip.lifecycle.stop()
    await scene.vip.store.close()
    dead = scene.vip
    scene.providers["north"].before = lambda method: None
    assert ams(scene) == NOTHING
    await session.close()
    await asyncio.gather(hanging, return_exceptions=True)
    await dead.server.close()
    scene.vip = await Vip(scene.folder, scene.providers, engine).start()
    await until(lambda: len(ams(scene).cross_connects) == 2)


async def test_withdrawing_during_a_commit_leaves_no_wish_behind(scene, monkeypatch) -> None:
    ended = []
    save = VirtualStorage.save

    async def watched(storage, stored):
        try:
            await save(storage, stored)
        finally:
            ended.append(stored)

    session = await scene.open("a")
    await edit(session, PATH)
    await session.commit()
    await edit(session, NOTHING, PATH)
    monkeypatch.setattr(VirtualStorage, "save", watched)
    scene.providers["north"].calls.clear()
    gate = asyncio.Event()
    scene.providers["north"].before = lambda method: gate if method == "apply_slice" else None
    committing = asyncio.create_task(session.commit())
    await until(lambda: "apply_slice" in scene.providers["north"].calls)
    name = "vios/alpha/virtualInfrastructures/blue"
    await scene.vip.release(ALPHA, name)
    await scene.vip.until(ALPHA, name, State.DECOMMISSIONED)
    gate.set()
    # The commit itself, and putting the old configuration back after the provider knows of no reservation.
    await until(lambda: len(ended) == 2)
    await asyncio.gather(committing, return_exceptions=True)
    assert await scene.vip.sync.pending() == ()


@pytest.mark.parametrize("username", ["alpha", "beta", "root"])
async def test_another_key_cannot_log_in(scene, username) -> None:
    stranger, _ = ssh_key(scene.folder, "stranger")
    node = await scene.node("a")
    session = session_to(node.roadm, stranger, username)
    with pytest.raises((NotAuthenticated, DeviceUnreachable)):
        await session.connect()
    await session.close()


async def test_own_key_under_another_name_cannot_log_in(scene) -> None:
    session = session_to((await scene.node("a")).roadm, scene.key_file, "beta")
    with pytest.raises((NotAuthenticated, DeviceUnreachable)):
        await session.connect()
    await session.close()


async def test_younger_generation_at_the_provider_is_overtaken(scene) -> None:
    """Our store was restored from a backup and remembers less than the provider."""
    session = await scene.open("a")
    north = scene.providers["north"]
    held = next(r for r in north.held if any(p.node.endswith("ROADM-AMS") for p in r.node_parts))
    await north.apply_slice(held.name, "ROADM-AMS", 41, NOTHING)
    await edit(session, PATH)
    with pytest.raises(DeviceRejected):
        await session.commit()
    assert await _settled(scene)
    await session.commit()
    assert len(ams(scene).cross_connects) == 2
