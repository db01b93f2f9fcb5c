"""Clients that others wrote find one device model on a physical and on a virtual ROADM, and configure both alike."""

from __future__ import annotations

import shutil

import pytest
from lxml import etree
from netconf_client.error import RpcError

from controller.demo.wishes import ALPHA_BAND
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.openroadm.configuration import edit_elements
from controller.openroadm.facts import DeviceFacts, parse_device
from tests.netconf_clients import (
    BASE,
    DEVICE,
    RunningNetwork,
    assert_same_tree,
    contents,
    netconf_client,
    openssh,
    read_with_ncclient,
    read_with_netconf_client,
    read_with_openssh,
    running_network,
    shape,
)

CLLI = "BER"
SLOT = FrequencySlot(n=ALPHA_BAND.n, m=8)
NO_CHANNEL = SliceConfiguration()
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client here")
READERS = [
    pytest.param(read_with_netconf_client, id="netconf-client"),
    pytest.param(read_with_openssh, id="openssh", marks=needs_ssh),
]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with running_network(tmp_path_factory.mktemp("network")) as network:
        yield network


@pytest.mark.parametrize("read", READERS)
def test_physical_and_virtual_roadm_show_one_tree(network: RunningNetwork, read, tmp_path) -> None:
    pair = network.pair(CLLI)
    assert_same_tree(read(pair["physical"], tmp_path), read(pair["virtual"], tmp_path))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", ["physical", "virtual"])
def test_every_client_reads_the_same(network: RunningNetwork, kind, read, tmp_path) -> None:
    address = network.pair(CLLI)[kind]
    assert contents(read(address, tmp_path)) == contents(read_with_ncclient(address, tmp_path))


@needs_ssh
def test_channel_of_one_client_is_lit_below_and_cleared_by_another(network: RunningNetwork, tmp_path) -> None:
    pair = network.pair(CLLI)
    dark = {kind: read_with_openssh(address, tmp_path) for kind, address in pair.items()}
    facts = _facts(dark["virtual"])
    wanted = _express(facts, SLOT)
    with netconf_client(pair["virtual"]) as manager:
        manager.lock("candidate")
        manager.edit_config(_config(facts, NO_CHANNEL, wanted), target="candidate")
        manager.validate("candidate")
        manager.commit(confirmed=True, confirm_timeout=60)
        manager.commit()
        manager.unlock("candidate")
    lit = {kind: read_with_openssh(address, tmp_path) for kind, address in pair.items()}
    for device in lit.values():
        names = [entry.text for entry in device.iter(f"{{{DEVICE}}}connection-name")]
        assert len(names) == 1
        assert names[0].endswith(SLOT.openroadm_name)
    assert_same_tree(lit["physical"], lit["virtual"])
    assert shape(lit["virtual"]) > shape(dark["virtual"])

    edit = f"<edit-config><target><candidate/></target>{_config(facts, wanted, NO_CHANNEL)}</edit-config>"
    for reply in openssh(pair["virtual"], tmp_path, [edit, "<commit/>"]):
        assert reply.find(f"{{{BASE}}}ok") is not None, etree.tostring(reply)
    for kind, address in pair.items():
        assert contents(read_with_netconf_client(address, tmp_path)) == contents(dark[kind])


def test_another_client_is_told_why_its_edit_is_refused(network: RunningNetwork, tmp_path) -> None:
    address = network.virtual[CLLI]
    before = read_with_netconf_client(address, tmp_path)
    facts = _facts(before)
    outside = FrequencySlot(n=ALPHA_BAND.n + 2 * ALPHA_BAND.m, m=SLOT.m)
    trespass = _config(facts, NO_CHANNEL, _express(facts, outside))
    with netconf_client(address) as manager, pytest.raises(RpcError) as refused:
        manager.edit_config(trespass, target="running")
    assert refused.value.tag == "resource-denied"
    assert outside.openroadm_name in refused.value.message
    assert contents(read_with_netconf_client(address, tmp_path)) == contents(before)


def _facts(device: etree._Element) -> DeviceFacts:
    data = etree.Element(f"{{{BASE}}}data")
    data.append(etree.fromstring(etree.tostring(device)))
    return parse_device(data)


def _express(facts: DeviceFacts, slot: FrequencySlot) -> SliceConfiguration:
    """One channel from the first degree to the second."""
    ports = [degree.connection_point for degree in facts.degrees[:2]]
    return SliceConfiguration(frozenset({CrossConnect("express", ports[0], ports[1], slot, 63.1)}))


def _config(facts: DeviceFacts, current: SliceConfiguration, desired: SliceConfiguration) -> str:
    inner = "".join(etree.tostring(element).decode() for element in edit_elements(facts, current, desired))
    return f'<config xmlns="{BASE}">{inner}</config>'
