"""<edit-config> on a tree: what it makes, and that its cost grows with its size and no faster."""

from pathlib import Path

import pytest
from lxml import etree

from controller.netconf.device import RpcError
from controller.netconf.edit import apply_edit
from controller.netconf.framing import FramingError
from controller.netconf.session import parse
from controller.netconf.yang_engine import YangEngine

NS = "urn:geysers:yang:test-box"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG = "urn:ietf:params:xml:ns:yang:1"
MANY = 12_000


@pytest.fixture(scope="module")
def engine() -> YangEngine:
    return YangEngine([Path(__file__).parents[2] / "data" / "yang"], ["test-box"])


def config(inner: str) -> list[etree._Element]:
    return [etree.fromstring(f'<box xmlns="{NS}" xmlns:nc="{BASE}" xmlns:yang="{YANG}" xmlns:b="{NS}">{inner}</box>')]


def tree(inner: str) -> etree._Element:
    return etree.fromstring(f'<data><box xmlns="{NS}">{inner}</box></data>')


def texts(data: etree._Element, name: str) -> list[str | None]:
    return [found.text for found in data.iter(f"{{{NS}}}{name}")]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("before", "inner", "name", "left"),
    [
        ("", "".join(f"<slot><number>{i}</number></slot>" for i in range(MANY)), "number", MANY),
        ("", "".join(f"<tag>{i}</tag>" for i in range(MANY)), "tag", MANY),
        ("", "".join(f'<tag yang:insert="first">{i}</tag>' for i in range(MANY)), "tag", MANY),
        (
            "",
            "<tag>0</tag>"
            + "".join(f'<tag yang:insert="before" yang:value="{i}">{i + 1}</tag>' for i in range(MANY - 1)),
            "tag",
            MANY,
        ),
        (
            "".join(f"<slot><number>{i}</number></slot>" for i in range(MANY)),
            "".join(f'<slot nc:operation="delete"><number>{i}</number></slot>' for i in reversed(range(MANY))),
            "number",
            0,
        ),
        (
            "".join(f"<tag>{i}</tag>" for i in range(MANY)),
            '<lamp nc:operation="remove"/><lamp/><voltage>1</voltage><charge-percent>1</charge-percent>' * (MANY // 4),
            "tag",
            MANY,
        ),
        ("", f"<label>{'a' * 60 * MANY}</label>", "label", 1),
    ],
    ids=["list", "leaf-list", "first", "before", "delete", "cases", "word"],
)
def test_the_cost_of_an_edit_grows_with_its_size_and_no_faster(engine, before, inner, name, left) -> None:
    assert len(texts(apply_edit(engine, tree(before), config(inner)), name)) == left


def test_entries_go_where_the_edit_puts_them(engine) -> None:
    steps = (
        ("<tag>b</tag><tag>d</tag>", "bd"),
        ('<tag yang:insert="first">a</tag><tag yang:insert="last">e</tag>', "abde"),
        ('<tag yang:insert="after" yang:value="b">c</tag>', "abcde"),
        ('<tag yang:insert="before" yang:value="a">e</tag>', "eabcd"),
        ('<tag nc:operation="delete">d</tag><tag>f</tag>', "eabcf"),
        ('<tag nc:operation="delete">e</tag><tag yang:insert="first">g</tag>', "gabcf"),
        ('<tag nc:operation="replace">a</tag>', "gabcf"),
    )
    data = tree("")
    for inner, order in steps:
        data = apply_edit(engine, data, config(inner))
        assert "".join(str(text) for text in texts(data, "tag")) == order
    whole = apply_edit(engine, tree(""), config("".join(inner for inner, _ in steps)))
    assert texts(whole, "tag") == texts(data, "tag")
    with pytest.raises(RpcError, match="no such entry"):
        apply_edit(engine, data, config('<tag yang:insert="after" yang:value="z">y</tag>'))


def test_entries_of_one_list_stay_together(engine) -> None:
    data = apply_edit(
        engine, tree(""), config("<slot><number>1</number></slot><label>x</label><slot><number>2</number></slot>")
    )
    assert [etree.QName(child).localname for child in data[0]] == ["slot", "slot", "label"]


def test_one_edit_sees_what_it_has_done_already(engine) -> None:
    twice = config('<slot><number>1</number></slot><slot nc:operation="create"><number>1</number></slot>')
    with pytest.raises(RpcError, match="exists already"):
        apply_edit(engine, tree(""), twice)
    again = config(
        '<slot nc:operation="delete"><number>1</number></slot>'
        '<slot nc:operation="create"><number>1</number><kind>b:wide</kind></slot>'
        "<slot><number>1</number><address>192.0.2.1</address></slot><voltage>1</voltage><charge-percent>2</charge-percent>"
    )
    data = apply_edit(engine, tree("<slot><number>1</number></slot><voltage>9</voltage>"), again)
    assert (texts(data, "kind"), texts(data, "address")) == (["wide"], ["192.0.2.1"])
    assert (texts(data, "voltage"), texts(data, "charge-percent")) == ([], ["2"])


@pytest.mark.parametrize(
    "message",
    [
        f"<rpc xmlns='{BASE}' " + " ".join(f'xmlns:p{i}="u:{i}"' for i in range(1000)) + "/>",
        "".join(f"<a xmlns:p{i}='u:{i}' xmlns:q{i}='v:{i}'>" for i in range(200)) + "</a>" * 200,
        "<rpc " + " ".join(f'a{i}=""' for i in range(1000)) + "/>",
    ],
    ids=["one element", "nested", "attributes"],
)
def test_a_message_with_a_thousand_namespaces_is_refused(message) -> None:
    with pytest.raises(FramingError, match="more than"):
        parse(message.encode())


def test_many_short_lived_namespaces_are_no_fault() -> None:
    assert len(parse(("<a>" + "<b xmlns:p='u:1'/>" * 1000 + "</a>").encode())) == 1000
