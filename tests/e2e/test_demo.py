"""The demo as a newcomer runs it: one command, a JSON document, and nothing left running."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.e2e.wire import short_state_dir

DEMO_S = 150


def _run_demo(state_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "controller", "demo", "--once", "-o", "json", "--state-dir", str(state_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEMO_S, check=False)


@pytest.mark.slow
@pytest.mark.timeout(DEMO_S + 30)
def test_story_is_told_whole_and_leaves_nothing_running() -> None:
    with short_state_dir() as folder:
        finished = _run_demo(folder)
        commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        left = [command for command in commands if str(folder) in command]
        lock_is_the_demos = (folder / "demo.lock").exists()
        addresses = _addresses(folder / "demo")
    listening = [address for address in addresses if _answers(*address)]
    assert finished.returncode == 0, finished.stderr
    told = json.loads(finished.stdout)
    sys.stdout.write(f"FIGURE demo.seconds={told['seconds']} demo.peak_memory_mb={told['peak_memory_mb']}\n")
    assert told["ok"] is True
    assert [step["step"] for step in told["steps"]] == list(range(1, 9))
    assert told["audit"] == []
    assert told["seconds"] > 0
    assert told["peak_memory_mb"] > 0
    assert (left, lock_is_the_demos) == ([], True)
    # 28 devices, 3 data centres, 3 parties and 2 controllers at least.
    assert len(addresses) >= 36
    assert listening == []
    _check_hardware_and_infrastructure(told)
    _check_service(told)


def _addresses(state_dir: Path) -> set[tuple[str, int]]:
    """Where the demo's processes listened, by their ready files."""
    found = set()
    for file in state_dir.glob("*.json"):
        ready = json.loads(file.read_text())
        if "grpc" in ready:
            host, _, port = ready["grpc"].rpartition(":")
            found.add((host, int(port)))
        for entry in [*ready.get("devices", ()), *ready.get("edge_switches", ())]:
            found.add((entry["host"], entry["port"]))
        for site in ready.get("it_sites", ()):
            url = urlsplit(site["url"])
            found.add((url.hostname, url.port))
    return found


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _check_hardware_and_infrastructure(told: dict) -> None:
    facts = {step["step"]: step["facts"] for step in told["steps"]}
    assert (facts[1]["roadms"], facts[1]["transponder_shelves"], len(facts[1]["it_sites"])) == (14, 14, 3)
    assert {pip: facts[2][pip]["nodes"] for pip in ("north", "south")} == {"north": 7, "south": 7}
    assert len(told["vi"]["nodes"]) == 5
    assert len(facts[3]["links"]) == 6
    assert len(facts[3]["it_sites"]) == 2
    assert facts[3]["held_by"] == ["north", "south"]
    assert told["vi"]["gri"].startswith("geysers://")
    assert told["devices"] == {"physical": 28, "virtual": 10}
    assert facts[4]["directed_links"] == 12
    assert facts[8]["devices_as_before"] == 28


def _check_service(told: dict) -> None:
    service = told["nips"]
    assert len(service["path"]) >= 2
    assert service["mode"].startswith("OR-W-400G")
    assert abs(service["gsnr_0p1nm_db"] - service["measured_gsnr_0p1nm_db"]) <= 1.0
    assert service["margin_db"] >= 0
    assert service["power_w"] > 0
    assert service["it_site"] in ("it-ber", "it-zrh")
    assert len(service["vm_ids"]) == 1
    crosses = told["steps"][5]["facts"]["cross_connects"]
    assert len(crosses) == len(service["path"])
    power_w = told["steps"][5]["facts"]["power_w"]
    assert power_w["devices_before"] < power_w["devices_now"]
    assert power_w["it_sites_before"] < power_w["it_sites_now"]


def test_second_demo_in_one_directory_is_refused() -> None:
    with short_state_dir() as folder, (folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = _run_demo(folder)
    assert finished.returncode == 1
    assert "another demo runs in" in finished.stderr
