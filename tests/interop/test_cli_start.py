"""Processes that cannot be as they are told: they say so in one message, and nothing starts."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from emulator.app import BUNDLED
from tests.cli import subprocess_geysers

PIP = ("pip", "serve", "--name", "north", "--addresses", "/nowhere.json")
RECORDS = ("--network", "network.json", "--equipment", "equipment.json")


@pytest.mark.parametrize(("variety", "complaint"), [(None, "type_variety"), ("booster_99", "booster_99")])
def test_hardware_of_a_network_with_a_missing_amplifier_type_does_not_start(
    tmp_path: Path, variety: str | None, complaint: str
) -> None:
    document = json.loads((BUNDLED / "network.json").read_text())
    next(entry for entry in document["elements"] if entry["uid"] == "booster-AMS-LON")["type_variety"] = variety
    file = tmp_path / "network.json"
    file.write_text(json.dumps(document))
    ready_file = tmp_path / "ready.json"
    options = ("--netconf-base-port", "0", "--state-dir", str(tmp_path / "state"), "--ready-file", str(ready_file))
    outcome = subprocess_geysers("emulator", "up", "--network", str(file), *options)
    outcome.refused(2, "booster-AMS-LON", complaint)
    assert not ready_file.exists()
    assert not (tmp_path / "state" / "emulator").exists()


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("vip", "serve", "--pip", "north"), "--pip 'north': write NAME=HOST:PORT"),
        (("vip", "serve", "--pip", "north=127.0.0.1:1", "--port", "99999"), "'--port'"),
        (("emulator", "up", "--user", "north"), "--user 'north': write NAME=KEYFILE.pub"),
        (("emulator", "up", "--user", "north=/nowhere.pub"), "no OpenSSH public key there"),
        ((*PIP, *RECORDS), "/nowhere.json: cannot be read"),
        (PIP, "Missing option '--network'"),
        ((*PIP, "--network", "network.json"), "Missing option '--equipment'"),
        *(((*PIP, *RECORDS, "--upkeep-period-s", text), "'--upkeep-period-s'") for text in ("nan", "0")),
        (("ncp", "serve", "--vio", "alpha", "--vi", "No", "--port", "0"), "names no infrastructure"),
    ],
)
def test_a_process_that_cannot_be_as_told_does_not_start(
    tmp_path: Path, arguments: tuple[str, ...], fragment: str
) -> None:
    subprocess_geysers(*arguments, "--state-dir", str(tmp_path)).refused(2, fragment)


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        arguments = ("vip", "serve", "--pip", "north=127.0.0.1:1", "--port", port, "--state-dir", str(tmp_path))
        outcome = subprocess_geysers(*arguments)
    outcome.refused(1, f"cannot listen on 127.0.0.1:{port}")
