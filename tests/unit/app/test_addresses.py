"""The address file: what is wrong in it is named, whatever it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from controller.app.addresses import read_equipment
from controller.domain.errors import InvalidRequest

KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key()
DEVICE = {"provider": "north", "name": "R", "host": "h", "port": 830, "host_public_key": KEY.decode()}
SITE = {"provider": "north", "name": "dc", "clli": "AMS", "admin_file": "/admin.json"}
SWITCH = {"provider": "north", "host": "h", "port": 6653}
MISSING = object()


def read(folder: Path, text: str) -> Any:
    file = folder / "addresses.json"
    file.write_text(text)
    return read_equipment(file, "north", "pip-north", folder / "key")


def document(kind: str = "devices", **changes: Any) -> str:
    content = {"devices": dict(DEVICE), "it_sites": dict(SITE), "edge_switches": dict(SWITCH)}
    for field, value in changes.items():
        if value is MISSING:
            del content[kind][field]
        else:
            content[kind][field] = value
    return json.dumps({name: [entry] for name, entry in content.items()})


def test_own_entries_are_read_and_others_are_left_alone(tmp_path: Path) -> None:
    content = json.loads(document())
    content["devices"].append({"provider": "south"})
    found = read(tmp_path, json.dumps(content))
    assert list(found.devices) == ["R"]
    address = found.devices["R"]
    assert (address.host, address.port, address.username) == ("h", 830, "pip-north")
    assert address.host_public_key.split()[:2] == KEY.decode().split()[:2]
    (site,) = found.it_sites
    assert (site.site_id, site.location.clli, site.carbon_g_per_kwh) == ("dc", "AMS", 0.0)
    assert found.edge_switches == (("h", 6653),)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        *(("devices", field, MISSING) for field in ("name", "host", "port", "host_public_key")),
        *(("devices", "name", value) for value in ([1], "", "a\nb", None, {})),
        *(("devices", "port", value) for value in (None, float("inf"), float("nan"), 830.0, "830", True, 0, 65536)),
        *(("devices", "host", value) for value in (7, "", None)),
        *(("devices", "host_public_key", value) for value in ("ssh-ed25519 AAAA", "ssh-ed25519 ###", "", 5, None)),
        *(("it_sites", field, MISSING) for field in ("name", "clli", "admin_file")),
        *(("it_sites", "admin_file", value) for value in (5, "", None, [])),
        *(("it_sites", "carbon_g_per_kwh", value) for value in ("much", None, -1, float("nan"), float("inf"))),
        ("it_sites", "country_code", 49),
        *(("edge_switches", field, MISSING) for field in ("host", "port")),
        ("edge_switches", "port", "x"),
    ],
)
def test_what_is_wrong_is_named_by_entry_and_field(tmp_path: Path, kind: str, field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(tmp_path, document(kind, **{field: value}))
    assert f"{kind}[0]: {field} is " in caught.value.message
    assert caught.value.fields == {"field": field}


@pytest.mark.parametrize(
    "text",
    ["", "[1", "[]", "7", "[" * 100_000, '{"devices": 5}', '{"devices": [5]}', '{"devices": {}}', "{}"],
)
def test_what_is_no_address_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"addresses\.json"):
        read(tmp_path, text)


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'R' is there twice"):
        read(tmp_path, json.dumps({"devices": [DEVICE, DEVICE]}))


def test_what_is_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("binary", "absent", "."):
        with pytest.raises(InvalidRequest):
            read_equipment(tmp_path / name, "north", "u", tmp_path / "key")
