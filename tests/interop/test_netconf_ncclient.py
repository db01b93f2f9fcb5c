"""Our server, driven by ncclient over SSH."""

import asyncio

import asyncssh
import pytest
from lxml import etree

from controller.domain.errors import DeviceLocked, DeviceRejected, DeviceUnreachable, NotAuthenticated
from controller.netconf.client import NcclientSession
from controller.netconf.device import FileStorage
from controller.netconf.server import NetconfServer
from controller.ports.device_session import DeviceAddress
from controller.security.pki import make_ssh_key

NS = "urn:geysers:yang:test-box"


def box(inner: str) -> list[etree._Element]:
    return [
        etree.fromstring(
            f'<box xmlns="{NS}" xmlns:tb="{NS}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">{inner}</box>'
        )
    ]


def slot(number: int, rest: str = "", operation: str = "merge") -> list[etree._Element]:
    return box(f'<slot nc:operation="{operation}"><number>{number}</number>{rest}</slot>')


async def until(condition) -> None:
    """Wait for what another task brings about."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the server gives no event for it
            await asyncio.sleep(0.01)


@pytest.fixture
async def session(served):
    session = served.session()
    await session.connect()
    yield session
    await session.close()


async def test_hello_names_every_module(session) -> None:
    assert f"{NS}?module=test-box&revision=2026-01-01" in session.capabilities
    assert "urn:ietf:params:netconf:base:1.1" in session.capabilities


async def test_edit_commit_and_read_back(session, served) -> None:
    await session.edit_config(slot(3, "<kind>tb:wide</kind>"))
    assert "slot" not in served.running()
    await session.commit()
    data = await session.get()
    assert data.findtext(f"{{{NS}}}box/{{{NS}}}slot/{{{NS}}}load-percent") == "7"
    config = await session.get_config()
    assert config.find(f"{{{NS}}}box/{{{NS}}}slot/{{{NS}}}load-percent") is None
    assert len(served.box.applied) == 2


async def test_subtree_filter_selects_one_entry(session) -> None:
    await session.edit_config(slot(1) + slot(2, "<address>192.0.2.2</address>"), "running")
    chosen = etree.fromstring(f'<box xmlns="{NS}"><slot><number>2</number><address/></slot></box>')
    data = await session.get(chosen)
    assert [entry.text for entry in data.iter(f"{{{NS}}}number")] == ["2"]
    assert data.find(f"{{{NS}}}box/{{{NS}}}label") is None
    assert data.findtext(f"{{{NS}}}box/{{{NS}}}slot/{{{NS}}}address") == "192.0.2.2"


@pytest.mark.parametrize(
    ("config", "tag"),
    [
        (box("<nonsense/>"), "unknown-element"),
        ([etree.fromstring('<x xmlns="urn:nobody"/>')], "unknown-namespace"),
        (box("<slot/>"), "missing-element"),
        (slot(4, operation="delete"), "data-missing"),
        (slot(4, operation="shred"), "bad-attribute"),
        (box('<label nc:operation="create">two</label>'), "data-exists"),
        (slot(4, "<load-percent>9</load-percent>"), "invalid-value"),
    ],
)
async def test_wrong_edit_names_the_fault_and_changes_nothing(session, served, config, tag) -> None:
    before = served.running()
    with pytest.raises(DeviceRejected) as caught:
        await session.edit_config(config, "running")
    assert caught.value.rpc_errors[0].tag == tag
    assert served.running() == before


@pytest.mark.parametrize(
    ("inner", "part"),
    [
        ("<slot><number>1</number><peer>9</peer></slot>", "leafref"),
        ("<slot><number>99</number></slot>", "range"),
        ("<slot><number>1</number><peer>1</peer></slot>", "own peer"),
        ('<label nc:operation="remove"/>', "andatory"),
        (
            "<slot><number>1</number><address>1.2.3.4</address></slot><slot><number>2</number><address>1.2.3.4</address></slot>",
            "nique",
        ),
    ],
)
async def test_yang_is_enforced_at_commit(session, served, inner, part) -> None:
    before = served.running()
    await session.edit_config(box(inner))
    with pytest.raises(DeviceRejected, match=part):
        await session.commit()
    assert served.running() == before
    await session.discard_changes()


async def test_choosing_another_case_drops_the_first(session, served) -> None:
    await session.edit_config(box("<voltage>48</voltage>"), "running")
    await session.edit_config(box("<charge-percent>80</charge-percent>"), "running")
    assert "voltage" not in served.running()


async def test_policy_of_the_device_refuses(session, served) -> None:
    await session.edit_config(box("<label>taboo</label>"))
    with pytest.raises(DeviceRejected) as caught:
        await session.commit()
    assert caught.value.rpc_errors[0].tag == "access-denied"
    assert "taboo" not in served.running()


async def test_device_that_fails_keeps_its_old_configuration(session, served) -> None:
    served.box.broken = True
    await session.edit_config(box("<label>two</label>"))
    with pytest.raises(DeviceRejected, match="stuck"):
        await session.commit()
    assert "<label>one</label>" in served.running()
    assert b"<label>one</label>" in (await FileStorage(served.storage_file).load()).running


async def test_locks_keep_others_out_and_go_with_the_session(session, served) -> None:
    other = served.session()
    await other.connect()
    await other.lock("candidate")
    with pytest.raises(DeviceLocked):
        await session.lock("candidate")
    with pytest.raises(DeviceLocked):
        await session.edit_config(slot(1))
    await other.edit_config(slot(1))
    await other.close()
    await until(lambda: not served.endpoint.find(2))
    await session.lock("candidate")
    await session.commit()
    assert "slot" not in served.running()


async def test_confirmed_commit_reverts_on_timeout(session, served) -> None:
    await session.edit_config(box("<label>two</label>"))
    await session.commit(confirmed=True, timeout_s=1)
    assert "<label>two</label>" in served.running()
    await until(lambda: "<label>two</label>" not in served.running())
    assert served.box.applied[-1].count(b"<label>one</label>") == 1


async def test_confirmed_commit_reverts_when_the_session_is_lost(session, served) -> None:
    await session.edit_config(box("<label>two</label>"))
    await session.commit(confirmed=True, timeout_s=60)
    await session.close()
    await until(lambda: "<label>two</label>" not in served.running())


async def test_persistent_confirmed_commit_outlives_the_session(session, served) -> None:
    await session.edit_config(box("<label>two</label>"))
    await session.commit(confirmed=True, timeout_s=60, persist="batch-1")
    await session.close()
    later = served.session()
    await later.connect()
    with pytest.raises(DeviceRejected):
        await later.commit(persist_id="batch-2")
    with pytest.raises(DeviceRejected):
        await later.commit()
    await later.commit(persist_id="batch-1")
    assert (await FileStorage(served.storage_file).load()).rollback is None
    assert "<label>two</label>" in served.running()
    await later.close()


async def test_cancel_commit_reverts_to_the_first_state(session, served) -> None:
    await session.edit_config(box("<label>two</label>"))
    await session.commit(confirmed=True, timeout_s=60, persist="b")
    await session.edit_config(box("<label>three</label>"))
    await session.commit(confirmed=True, timeout_s=60, persist="b", persist_id="b")
    await session.cancel_commit("b")
    assert "<label>one</label>" in served.running()


async def test_restart_reverts_an_unconfirmed_commit(session, served) -> None:
    await session.edit_config(box("<label>two</label>"))
    await session.commit(confirmed=True, timeout_s=60, persist="b")
    again = NetconfServer()
    endpoint = await again.add_endpoint(
        served.box,
        FileStorage(served.storage_file),
        etree.Element("data"),
        host="127.0.0.1",
        port=0,
        host_key=asyncssh.generate_private_key("ssh-ed25519"),
        users={},
    )
    assert b"<label>one</label>" in etree.tostring(endpoint.running())
    await again.close()


async def test_schema_is_served(session) -> None:
    operation = etree.fromstring(
        '<get-schema xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring">'
        "<identifier>test-box</identifier></get-schema>"
    )
    reply = await session.rpc(operation)
    assert "module test-box" in "".join(reply.itertext())


async def test_rpc_without_implementation_says_so(session) -> None:
    with pytest.raises(DeviceRejected) as caught:
        await session.rpc(etree.fromstring(f'<blink xmlns="{NS}"/>'))
    assert caught.value.rpc_errors[0].tag == "operation-not-supported"


async def test_stranger_key_is_refused(served, tmp_path) -> None:
    make_ssh_key(tmp_path / "id_mallory", "mallory")
    known = served.address
    for username in ("alice", "mallory"):
        address = DeviceAddress(known.host, known.port, username, tmp_path / "id_mallory", known.host_public_key)
        stranger = NcclientSession(address)
        with pytest.raises((NotAuthenticated, DeviceUnreachable)):
            await stranger.connect()
        await stranger.close()


async def test_unknown_host_key_is_refused(served, tmp_path) -> None:
    make_ssh_key(tmp_path / "other_host", "other")
    known = served.address
    wrong = DeviceAddress(
        known.host, known.port, "alice", known.private_key_file, (tmp_path / "other_host.pub").read_text()
    )
    session = NcclientSession(wrong)
    with pytest.raises(DeviceUnreachable):
        await session.connect()
    await session.close()
