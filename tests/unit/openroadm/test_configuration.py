"""Cross-connects to OpenROADM configuration and back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.openroadm.configuration import (
    edit_elements,
    named_configuration,
    read_configuration,
    read_receptions,
    sound_configuration,
    stray_parts,
    unsound_interfaces,
)
from controller.openroadm.facts import (
    AddDropFacts,
    DegreeFacts,
    DeviceFacts,
    LineFacts,
    ModeFacts,
    PortRef,
    parse_device,
)
from controller.openroadm.namespaces import MC, NETCONF, NMC, OCH, XPDR, number, tag, text

MODE = ModeFacts("400G", 400.0, 63.1, 75.0, 24.0, 36.0)
FACTS = DeviceFacts(
    node_id="ROADM-X",
    node_type="rdm",
    clli="X",
    latitude_deg=0.0,
    longitude_deg=0.0,
    degrees=tuple(DegreeFacts(i, f"DEG{i}-TTP-TXRX", PortRef(f"{i}/0", "L1"), f"ETH-DEG{i}") for i in (1, 2, 3)),
    add_drop_ports=tuple(AddDropFacts(f"SRG1-PP{i}-TXRX", PortRef("SRG1/0", f"C{i}"), 1) for i in (1, 2)),
    lines=(LineFacts("XPDR1-NETWORK1", PortRef("n", "1"), "XPDR1-CLIENT1", PortRef("c", "C1"), (MODE,), 20.0),),
    neighbours=(),
    external_links=(),
    power_w=0.0,
)
PORTS = ["DEG1-TTP-TXRX", "DEG2-TTP-TXRX", "DEG3-TTP-TXRX", "SRG1-PP1-TXRX", "SRG1-PP2-TXRX"]


@st.composite
def configurations(draw: st.DrawFn) -> SliceConfiguration:
    """Configurations in which each source port and slot feeds one destination."""
    crosses = set()
    used: set[tuple[str, FrequencySlot]] = set()
    for _ in range(draw(st.integers(0, 6))):
        source, destination = draw(st.permutations(PORTS))[:2]
        slot = FrequencySlot.from_granules(first := 12 * draw(st.integers(0, 20)), first + 12)
        if (source, slot) in used:
            continue
        used.add((source, slot))
        crosses.add(CrossConnect(f"nips-{len(used)}", source, destination, slot, 63.1))
    lines = {LineSetting("XPDR1-NETWORK1", FrequencySlot(0, 6), "400G", -1.5)} if draw(st.booleans()) else set()
    return SliceConfiguration(frozenset(crosses), frozenset(lines))


def _apply(running: etree._Element, edit: etree._Element) -> None:
    """A plain reading of edit-config merge and remove over the lists that we write."""
    keys = {"interface": "name", "roadm-connections": "connection-name"}
    for entry in edit:
        name = etree.QName(entry).localname
        key = text(entry, keys[name])
        old = next((found for found in running.findall(tag(name)) if text(found, keys[name]) == key), None)
        if entry.get(f"{{{NETCONF}}}operation") == "remove":
            running.remove(old)
        elif old is None:
            running.append(entry)
        else:
            for child in entry:
                for stale in old.findall(child.tag):
                    old.remove(stale)
                old.append(child)


@given(configurations(), configurations())
def test_edits_lead_from_any_configuration_to_any_other(first: SliceConfiguration, second: SliceConfiguration) -> None:
    running = etree.Element("{http://org/openroadm/device}org-openroadm-device")
    for current, desired in ((SliceConfiguration(), first), (first, second), (second, SliceConfiguration())):
        for edit in edit_elements(FACTS, current, desired):
            _apply(running, edit)
        assert read_configuration(running, FACTS) == desired
    assert len(running) == 0


def test_equal_configurations_need_no_edit() -> None:
    assert edit_elements(FACTS, SliceConfiguration(), SliceConfiguration()) == []


def test_media_channel_is_written_as_openroadm_wants_it() -> None:
    slot = FrequencySlot.from_openroadm_name("713:720")
    wanted = SliceConfiguration(frozenset({CrossConnect("n1", "SRG1-PP1-TXRX", "DEG1-TTP-TXRX", slot, 40.0)}))
    (root,) = edit_elements(FACTS, SliceConfiguration(), wanted)
    by_name = {text(entry, "name"): entry for entry in root.findall(tag("interface"))}
    assert list(by_name) == ["DEG1-TTP-TXRX-mc-713:720", "SRG1-PP1-TXRX-nmc-713:720", "DEG1-TTP-TXRX-nmc-713:720"]
    window = by_name["DEG1-TTP-TXRX-mc-713:720"].find(tag("mc-ttp", MC))
    assert (number(window, "min-freq", 0, MC), number(window, "max-freq", 0, MC)) == (195.775, 195.825)
    signal = by_name["DEG1-TTP-TXRX-nmc-713:720"].find(tag("nmc-ctp", NMC))
    assert (text(signal, "frequency", namespace=NMC), text(signal, "width", namespace=NMC)) == ("195.8", "40")
    connection = root.find(tag("roadm-connections"))
    assert text(connection, "connection-name") == "SRG1-PP1-TXRX-DEG1-TTP-TXRX-713:720"
    assert text(connection, "opticalControlMode") == "power"


def test_400g_needs_our_rate_identity() -> None:
    wanted = SliceConfiguration(
        line_settings=frozenset({LineSetting("XPDR1-NETWORK1", FrequencySlot(0, 6), "400G", -1.5)})
    )
    (root,) = edit_elements(FACTS, SliceConfiguration(), wanted)
    och = root.find(f"{tag('interface')}/{tag('och', OCH)}")
    rate = text(och, "rate", namespace=OCH)
    assert rate == "gxp:R400G"
    assert och.nsmap["gxp"] == XPDR


def test_receiver_without_signal_has_no_gsnr() -> None:
    xml = f"""<org-openroadm-device xmlns="http://org/openroadm/device"><interface><name>XPDR1-NETWORK1-279:290</name>
    <och xmlns="{OCH}"><receiver xmlns="{XPDR}"><input-power-dbm>-40.0</input-power-dbm>
    <signal-state>no-signal</signal-state></receiver></och></interface></org-openroadm-device>"""
    (reception,) = read_receptions(etree.fromstring(xml), FACTS)
    assert (reception.gsnr_0p1nm_db, reception.signal_state) == (None, "no-signal")


def test_facts_are_read_from_names_that_nobody_assumed() -> None:
    xml = """<org-openroadm-device xmlns="http://org/openroadm/device">
    <info><node-id>R1</node-id><node-type>rdm</node-type><clli>AMS</clli></info>
    <circuit-packs><circuit-pack-name>west</circuit-pack-name><ports><port-name>line</port-name>
      <port-qual>roadm-external</port-qual><logical-connection-point>DEG7-TTP-TXRX</logical-connection-point></ports>
    </circuit-packs>
    <circuit-packs><circuit-pack-name>west-osc</circuit-pack-name></circuit-packs>
    <circuit-packs><circuit-pack-name>add</circuit-pack-name><ports><port-name>a1</port-name>
      <port-qual>roadm-external</port-qual><logical-connection-point>SRG2-PP1-TXRX</logical-connection-point></ports>
    </circuit-packs>
    <interface><name>osc7</name><type xmlns:oi="http://org/openroadm/interfaces">oi:ethernetCsmacd</type>
      <supporting-circuit-pack-name>west-osc</supporting-circuit-pack-name></interface>
    <degree><degree-number>7</degree-number><circuit-packs><index>1</index><circuit-pack-name>west</circuit-pack-name>
      </circuit-packs><circuit-packs><index>2</index><circuit-pack-name>west-osc</circuit-pack-name></circuit-packs>
      <connection-ports><index>1</index><circuit-pack-name>west</circuit-pack-name><port-name>line</port-name>
      </connection-ports></degree>
    <shared-risk-group><srg-number>2</srg-number><circuit-packs><index>1</index>
      <circuit-pack-name>add</circuit-pack-name></circuit-packs></shared-risk-group>
    <external-link><external-link-name>p</external-link-name><source><node-id>R1</node-id>
      <circuit-pack-name>add</circuit-pack-name><port-name>a1</port-name></source><destination><node-id>X1</node-id>
      <circuit-pack-name>n</circuit-pack-name><port-name>1</port-name></destination></external-link>
    <protocols><lldp xmlns="http://org/openroadm/lldp"><nbr-list><if-name><ifName>osc7</ifName>
      <remoteSysName>R2</remoteSysName><remotePortId>osc1</remotePortId></if-name></nbr-list></lldp></protocols>
    </org-openroadm-device>"""
    facts = parse_device(etree.fromstring(xml))
    assert facts.degrees == (DegreeFacts(7, "DEG7-TTP-TXRX", PortRef("west", "line"), "osc7"),)
    assert facts.add_drop_ports == (AddDropFacts("SRG2-PP1-TXRX", PortRef("add", "a1"), 2),)
    assert facts.neighbours[0].remote_node == "R2"
    assert facts.external_links[0].remote == PortRef("n", "1")


def test_names_that_somebody_else_gave_are_left_out_and_do_not_hide_ours() -> None:
    slot = FrequencySlot(0, 6)
    ours = CrossConnect("n1", "DEG1-TTP-TXRX", "DEG2-TTP-TXRX", slot, 63.1)
    (root,) = edit_elements(FACTS, SliceConfiguration(), SliceConfiguration(frozenset({ours})))
    foreign = f"""<x xmlns="http://org/openroadm/device">
    <interface><name>test bench</name></interface><interface><name>other end</name></interface>
    <interface><name>XPDR1-NETWORK1-lamp</name><och xmlns="{OCH}"/></interface>
    <roadm-connections><connection-name>by hand</connection-name><source><src-if>test bench</src-if></source>
    <destination><dst-if>other end</dst-if></destination></roadm-connections></x>"""
    root.extend(etree.fromstring(foreign))
    assert read_configuration(root, FACTS) == SliceConfiguration(frozenset({ours}))


LIT = SliceConfiguration(
    frozenset({CrossConnect("x", "SRG1-PP1-TXRX", "DEG2-TTP-TXRX", FrequencySlot(0, 6), 63.1)}),
    frozenset({LineSetting("XPDR1-NETWORK1", FrequencySlot(0, 6), "400G", 0.0)}),
)
DARK = SliceConfiguration()


@pytest.mark.parametrize(
    ("leaf", "value", "believed", "sound"),
    [
        (tag("frequency", NMC), "193.6", replace(LIT, cross_connects=frozenset()), None),
        (tag("frequency", OCH), "193.6", replace(LIT, line_settings=frozenset()), None),
        (tag("min-freq", MC), "192.5", replace(LIT, cross_connects=frozenset()), None),
        (tag("max-freq", MC), "195.9", replace(LIT, cross_connects=frozenset()), None),
        (tag("supporting-port"), "elsewhere", DARK, None),
        (tag("supporting-interface"), "OMS-elsewhere", replace(LIT, cross_connects=frozenset()), None),
        (tag("administrative-state"), "outOfService", LIT, DARK),
    ],
)
def test_a_name_is_not_believed(
    leaf: str, value: str, believed: SliceConfiguration, sound: SliceConfiguration | None
) -> None:
    (root,) = edit_elements(FACTS, DARK, LIT)
    assert (read_configuration(root, FACTS), sound_configuration(root, FACTS)) == (LIT, LIT)
    assert (unsound_interfaces(root, FACTS), stray_parts(root, FACTS)) == ({}, {})
    for found in root.iter(leaf):
        found.text = value
    assert read_configuration(root, FACTS) == believed
    assert sound_configuration(root, FACTS) == (believed if sound is None else sound)
    assert named_configuration(root, FACTS) == LIT
    strays = stray_parts(root, FACTS)
    assert strays.keys() >= unsound_interfaces(root, FACTS).keys() > set()


def test_ends_of_two_widths_are_no_cross_connect() -> None:
    (root,) = edit_elements(FACTS, DARK, LIT)
    next(root.iter(tag("width", NMC))).text = "50"
    assert read_configuration(root, FACTS) == replace(LIT, cross_connects=frozenset())


def test_a_lone_media_channel_and_a_hand_made_connection_are_strays() -> None:
    (root,) = edit_elements(FACTS, DARK, replace(LIT, line_settings=frozenset()))
    connection = root.find(tag("roadm-connections"))
    root.remove(connection)
    own = "DEG2-TTP-TXRX-nmc-279:290"
    foreign = f"""<x xmlns="http://org/openroadm/device"><interface><name>OMS-DEG2-TTP-TXRX</name>
    <type>oi:openROADMOpticalMultiplex</type></interface>
    <roadm-connections><connection-name>by hand</connection-name><source><src-if>{own}</src-if></source>
    <destination><dst-if>a lamp</dst-if></destination></roadm-connections></x>"""
    root.extend(etree.fromstring(foreign))
    mc, nmc_in, nmc_out = "DEG2-TTP-TXRX-mc-279:290", "SRG1-PP1-TXRX-nmc-279:290", own
    assert stray_parts(root, FACTS).keys() == {mc, nmc_in, nmc_out, "by hand"}
