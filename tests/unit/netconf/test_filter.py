"""A subtree filter costs what it may cost, and no more."""

from pathlib import Path

import pytest
from lxml import etree

from controller.netconf.device import RpcError
from controller.netconf.filter import subtree
from controller.netconf.yang_engine import YangEngine

NS = "urn:geysers:yang:test-box"


@pytest.fixture(scope="module")
def engine() -> YangEngine:
    return YangEngine([Path(__file__).parents[2] / "data" / "yang"], ["test-box"])


def slots(root: str, count: int, rest: str) -> etree._Element:
    entries = "".join(f"<slot><number>{i}</number>{rest}</slot>" for i in range(count))
    return etree.fromstring(f'<{root}><box xmlns="{NS}">{entries}</box></{root}>')


def test_a_hundred_channels_of_a_hundred_are_selected(engine) -> None:
    data = slots("data", 100, "<address>192.0.2.1</address><kind>wide</kind>")
    found = subtree(data, slots("filter", 100, "<kind/>"), engine.roots)
    assert len(list(found.iter(f"{{{NS}}}kind"))) == 100
    assert not list(found.iter(f"{{{NS}}}address"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("rest", ["<kind/>", ""])
def test_a_filter_that_would_take_minutes_is_too_big(engine, rest) -> None:
    data = slots("data", 5000, "<kind>wide</kind>")
    with pytest.raises(RpcError, match="ask for less") as caught:
        subtree(data, slots("filter", 10_000, rest), engine.roots)
    assert caught.value.tag == "too-big"


@pytest.mark.timeout(60)
def test_so_is_one_entry_with_very_many_questions(engine) -> None:
    data = slots("data", 5000, "<kind>wide</kind>")
    with pytest.raises(RpcError, match="ask for less"):
        subtree(data, slots("filter", 1, "<kind><x/></kind>" * 10_000), engine.roots)
