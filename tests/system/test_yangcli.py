"""yangcli of Debian: another SSH library, another XML reader and another YANG compiler, all written in C."""

from __future__ import annotations

import re

import pytest

from tests.netconf_clients import (
    RunningNetwork,
    assert_same_tree,
    contents,
    read_with_ncclient,
    read_with_yangcli,
    running_network,
    yangcli,
)

pytestmark = pytest.mark.system
CLLI = "BER"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with running_network(tmp_path_factory.mktemp("network")) as network:
        yield network


def test_physical_and_virtual_roadm_show_one_tree(network: RunningNetwork, tmp_path) -> None:
    pair = network.pair(CLLI)
    assert_same_tree(read_with_yangcli(pair["physical"], tmp_path), read_with_yangcli(pair["virtual"], tmp_path))


@pytest.mark.parametrize("kind", ["physical", "virtual"])
def test_yangcli_reads_what_ncclient_reads(network: RunningNetwork, kind, tmp_path) -> None:
    address = network.pair(CLLI)[kind]
    assert contents(read_with_yangcli(address, tmp_path)) == contents(read_with_ncclient(address, tmp_path))


@pytest.mark.parametrize("kind", ["physical", "virtual"])
def test_yangcli_compiles_every_module_that_is_served(network: RunningNetwork, kind, tmp_path) -> None:
    reply, printed = yangcli(network.pair(CLLI)[kind], tmp_path, "get")
    assert not re.findall(r"(?im)^(?:error|warning)\b.*|.*\binvalid reply\b.*|.*autoload disabled.*", printed)
    # What no module of a loaded namespace explains, yangcli shows under this name.
    assert "INVALID" not in {uri for element in reply.iter("*") for uri in element.nsmap.values()}
    # One <get-schema> for each of our modules came before the <get>.
    assert int(re.search(r"RPC Data Reply (\d+)", printed)[1]) > 10
