"""Wrong command lines end in one message and status 2; help ends in 0; nothing heavy is loaded for either."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import geysers

SERVICE = ("nips", "create", "--id", "n1", "--vio", "alpha", "--source", "vie", "--bit-rate-gbps", "400")
HEAVY = ("grpc", "numba", "asyncssh", "openstack", "pyang", "cryptography", "networkx", "google.protobuf")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("vi",),
        ("vi", "create"),
        ("vi", "get"),
        ("vi", "list"),
        ("vi", "delete"),
        ("nips", "create"),
        ("nips", "get"),
        ("topology", "show"),
        ("pip", "offers"),
        ("pip", "reservations"),
        ("pce", "path"),
        ("emulator", "up"),
        ("demo",),
    ],
)
def test_help_is_there_for_every_command(arguments: tuple[str, ...]) -> None:
    outcome = geysers(*arguments, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: geysers {' '.join(arguments)}".rstrip())
    assert max(len(line) for line in outcome.out.splitlines()) <= 80


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("nope",), "No such command 'nope'"),
        (("vi", "nope"), "No such command 'nope'"),
        (("vi", "list", "--vio", "alpha", "--nope"), "No such option: --nope"),
        (("vi", "create", "--id", "blue", "--vio", "alpha"), "FILE"),
        (("vi", "create", "x.json", "--vio", "alpha"), "Missing option '--id'"),
        (("vi", "list", "--vio", "alpha", "-o", "xml"), "'--output'"),
        (("nips", "create", "--id", "n1"), "Missing option"),
        ((*SERVICE, "--vlan", "x"), "'--vlan'"),
        ((*SERVICE, "--vlan", "301", "--objective", "BEAUTY"), "'--objective'"),
        ((*SERVICE, "--vlan", "301", "--deadline-s", "-1"), "'--deadline-s'"),
        (("emulator", "up", "--log-level", "loud"), "use one of debug, info, warning, error"),
    ],
)
def test_wrong_command_line_ends_in_one_message_and_status_2(arguments: tuple[str, ...], fragment: str) -> None:
    outcome = geysers(*arguments)
    outcome.refused(2, fragment)
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (("--vlan", "301"), "name the other end or ask for a machine"),
        (("--vlan", "5000", "--destination", "ber"), "nips.vlan_id 5000: use 1 to 4094"),
        (("--vlan", "301", "--site", "it-ber"), "add --vcpu and --memory-gib"),
        (("--vlan", "301", "--volume-gib", "5", "--destination", "ber"), "add --vcpu and --memory-gib"),
        (("--vlan", "301", "--vcpu", "4"), "--memory-gib is missing"),
        (("--vlan", "301", "--memory-gib", "4"), "--vcpu is missing"),
        (("--vlan", "301", "--vcpu", "0", "--memory-gib", "4"), "--vcpu 0: ask for 1 or more"),
        (("--vlan", "301", "--vcpu", "4", "--memory-gib", "4", "--volume-gib", "-1"), "--volume-gib -1"),
        (("--vlan", "301", "--destination", "ber", "--bit-rate-gbps", "nan"), "ask for a finite rate above 0"),
    ],
)
def test_a_service_that_contradicts_itself_is_refused_before_anybody_is_asked(
    tmp_path: Path, options: tuple[str, ...], fragment: str
) -> None:
    geysers(*SERVICE, *options, "--state-dir", str(tmp_path)).refused(2, fragment)


def test_a_party_without_pki_is_told_about_the_state_directory_and_none_is_made(tmp_path: Path) -> None:
    for arguments in (("vi", "list", "--vio", "alpha"), ("topology", "show", "--vio", "alpha"), ("pip", "offers")):
        geysers(*arguments, "--state-dir", str(tmp_path / "none")).refused(2, "none", "--state-dir")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["Alpha", "al/pha", "", "-a", "a" * 64])
def test_a_name_that_no_certificate_may_carry_is_refused(tmp_path: Path, name: str) -> None:
    geysers("vi", "list", f"--vio={name}", "--state-dir", str(tmp_path)).refused(2, "is no name of a party")


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, controller.cli.main\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
