"""Our server, driven by netconf-client, which shares no code with ncclient."""

import asyncio

import pytest
from lxml import etree
from netconf_client.connect import connect_ssh
from netconf_client.error import RpcError
from netconf_client.ncclient import Manager

NS = "urn:geysers:yang:test-box"
EDIT = f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><box xmlns="{NS}"><label>{{}}</label></box></config>'


def _story(port: int, key_file: str) -> tuple[bytes, str]:
    session = connect_ssh(host="127.0.0.1", port=port, username="alice", key_filename=key_file)
    with Manager(session, timeout=5) as manager:
        manager.lock("candidate")
        manager.edit_config(EDIT.format("two"), target="candidate")
        manager.commit(confirmed=True, confirm_timeout=60)
        manager.commit()
        manager.unlock("candidate")
        with pytest.raises(RpcError) as caught:
            manager.edit_config(EDIT.format("much too long"), target="running")
        return manager.get_config(source="running").data_xml, str(caught.value)


async def test_story(served) -> None:
    config, refusal = await asyncio.to_thread(_story, served.address.port, str(served.address.private_key_file))
    assert etree.fromstring(config).findtext(f".//{{{NS}}}label") == "two"
    assert "length" in refusal
