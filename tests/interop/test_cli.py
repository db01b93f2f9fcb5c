"""The everyday commands against all parties as processes of their own: what works, what is refused, and no trace of it.

One system serves the whole module: alpha's VI `blue` with its controller. Tests that order more use other bands, and
leave everything as they found it.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from controller.demo.stack import Stack
from controller.ports.rng import SystemRng
from tests.cli import geysers, subprocess_geysers

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "vi-ring5.json"
PAIR = {
    "nodes": [
        {"node_id": "ams", "clli": "AMS", "transponder_count": 1},
        {"node_id": "bru", "clli": "BRU", "transponder_count": 1},
    ],
    "links": [{"link_id": "ams-bru", "a_node_id": "ams", "z_node_id": "bru", "band": {"n": 100, "m": 20}}],
    "it_sites": [
        {"it_site_id": "it", "clli": "AMS", "node_id": "ams", "vcpu_count": 4, "memory_gib": 8, "storage_gib": 10}
    ],
}
SERVICE = ("nips", "create", "--id", "n9", "--source", "vie", "--bit-rate-gbps", "400", "--vlan", "309")
TO_BER = (*SERVICE, "--destination", "ber")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory):
    running = Stack(tmp_path_factory.mktemp("cli"))
    await running.start_emulator()
    await running.start_parties()
    try:
        yield running
    finally:
        await running.close()


@pytest.fixture(scope="module")
def environment(stack: Stack) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEYSERS_STATE_DIR", str(stack.state_dir))
        patch.setenv("GEYSERS_VIO", "alpha")
        patch.setenv("GEYSERS_VIP", stack.target("vip"))
        patch.setenv("GEYSERS_PIP", stack.target("pip-north"))
        yield patch


@pytest.fixture(scope="module")
def blue(environment: pytest.MonkeyPatch) -> str:
    """The VI of the example, in operation."""
    ordered = geysers("vi", "create", str(EXAMPLE), "--id", "blue")
    assert ordered.code == 0, ordered
    return "blue"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ncp(stack: Stack, blue: str) -> str:
    return await stack.start_ncp("alpha", blue)


@pytest.fixture(scope="module")
def system(stack: Stack, environment: pytest.MonkeyPatch, ncp: str) -> Stack:
    """All parties, and alpha's own controller over its VI."""
    environment.setenv("GEYSERS_NCP", ncp)
    return stack


def done(*arguments: str, stdin: str = "") -> Any:
    """The JSON of a command that succeeds."""
    outcome = geysers(*arguments, "-o", "json", stdin=stdin)
    assert outcome.code == 0, outcome
    assert outcome.err == ""
    return outcome.document


def shown(*arguments: str, stdin: str = "") -> str:
    """What a person sees at 80 columns."""
    outcome = geysers(*arguments, stdin=stdin)
    assert outcome.code == 0, outcome
    assert max((len(line) for line in outcome.out.splitlines()), default=0) <= 80
    return outcome.out


def everything(stack: Stack) -> dict[str, Any]:
    """All that the commands show, less what is kept of things that ended."""
    infrastructures = done("vi", "list")["virtual_infrastructures"]
    services = done("nips", "list")["nips"]
    topology = done("topology", "show")
    # Its generation counts bookings; it never goes back.
    del topology["generation"]
    return {
        "infrastructures": [entry for entry in infrastructures if entry["state"] not in ("DECOMMISSIONED", "FAILED")],
        "services": [entry for entry in services if entry["state"] not in ("RELEASED", "FAILED")],
        "topology": topology,
        "pips": {
            pip: [done("pip", question, "--pip", stack.target(f"pip-{pip}")) for question in ("offers", "reservations")]
            for pip in ("north", "south")
        },
    }


@pytest.fixture(scope="module")
def at_first(system: Stack) -> dict[str, Any]:
    return everything(system)


@pytest.fixture
def nothing_changes(system: Stack, at_first: dict[str, Any]) -> Iterator[None]:
    """After the test all is as it was before any."""
    yield
    assert everything(system) == at_first


@pytest.mark.usefixtures("nothing_changes")
def test_life_of_an_infrastructure(system: Stack) -> None:
    text = json.dumps(PAIR)
    checked = done("vi", "create", "-", "--id", "pair", "--validate-only", stdin=text)
    assert checked["name"] == "vios/alpha/virtualInfrastructures/pair"
    geysers("vi", "get", "pair").refused(2, "vios/alpha/virtualInfrastructures/pair not found")

    made = done("vi", "create", "-", "--id", "pair", stdin=text)
    assert made["state"] == "ACTIVE"
    assert made["ssh_public_key"] == (system.state_dir / "pki/vio-alpha/id_ed25519.pub").read_text().strip()
    assert done("vi", "get", "pair") == made
    assert done("vi", "get", "vios/alpha/virtualInfrastructures/pair") == made
    assert made in done("vi", "list")["virtual_infrastructures"]
    seen = shown("vi", "get", "pair")
    for node in made["nodes"]:
        assert f"127.0.0.1:{node['roadm']['port']}" in seen
        assert f"127.0.0.1:{node['transponder']['port']}" in seen
    assert re.search(r"pair +│ ACTIVE +│ 2 +│ 1 +│ 1 ", shown("vi", "list"))
    held = done("pip", "reservations", "--gri", made["gri"])["reservations"]
    assert [part["band"] for part in held[0]["link_parts"]] == [{"n": 100, "m": 20}] * 2
    assert made["gri"][:50] in shown("pip", "reservations")
    assert "n=100 m=20" in shown("pip", "offers")

    # What `get` prints can be ordered again: under a taken name, it is the name that is refused.
    geysers("vi", "create", "-", "--id", "pair", stdin=json.dumps(made)).refused(2, "exists already", "choose another")
    geysers("vi", "create", "-", "--id", "again", stdin=json.dumps(made)).refused(
        1, "links[0].band (n=100, m=20)", "choose another band"
    )
    assert done("vi", "delete", "pair")["state"] == "DECOMMISSIONED"
    assert done("vi", "delete", "pair")["state"] == "DECOMMISSIONED"
    assert "DECOMMISSIONED" in shown("vi", "get", "pair")


@pytest.mark.usefixtures("nothing_changes")
def test_life_of_a_service_with_a_machine(system: Stack) -> None:
    asked = ("nips", "create", "--id", "n1", "--source", "vie", "--bit-rate-gbps", "400", "--vlan", "301")
    machine = ("--vcpu", "4", "--memory-gib", "8", "--volume-gib", "50", "--site", "it-ber", "--site", "it-zrh")
    computed = done(*asked, *machine, "--validate-only")
    geysers("nips", "get", "n1").refused(2, "vios/alpha/nips/n1")

    made = done(*asked, *machine)
    assert made["state"] == "ACTIVE"
    assert made["it_demand"]["candidate_it_site_ids"] == ["it-ber", "it-zrh"]
    assert (made["path"], made["frequency_slot"]) == (computed["path"], computed["frequency_slot"])
    assert made["measured_gsnr_0p1nm_db"] == pytest.approx(made["gsnr_0p1nm_db"], abs=1.0)
    assert made["server"]["state"] == "ACTIVE"
    assert done("nips", "get", "n1") == done("nips", "get", "vios/alpha/nips/n1") == made
    seen = shown("nips", "get", "n1")
    assert made["server"]["instance_uuid"] in seen
    assert " → ".join(made["path"]) in seen
    assert f"{made['measured_gsnr_0p1nm_db']:.2f} dB" in seen
    assert "n1 │ ACTIVE" in shown("nips", "list")

    topology = done("topology", "show")
    lit = {(link["source_node_id"], link["destination_node_id"]) for link in topology["links"] if link["used_slots"]}
    hops = set(zip(made["path"], made["path"][1:], strict=False))
    assert lit == hops | {(z, a) for a, z in hops}
    slot = made["frequency_slot"]
    assert f"n={slot['n']} m={slot['m']}" in shown("topology", "show")
    left = {site["it_site_id"]: site["vcpu_count"] for site in topology["it_sites"]}
    assert left.pop(made["it_site_id"]) == 12
    assert list(left.values()) == [16]

    geysers(*asked, "--destination", "ber").refused(2, "n1", "exists")
    assert done("nips", "delete", "n1")["state"] == "RELEASED"
    assert "RELEASED" in shown("nips", "get", "n1")


@pytest.mark.usefixtures("nothing_changes")
def test_the_same_request_id_is_one_request() -> None:
    request = SystemRng().uuid()
    first = done(*TO_BER, "--request-id", request)
    assert done(*TO_BER, "--request-id", request) == first
    geysers(*TO_BER, "--min-margin-db", "1", "--request-id", request).refused(2, "request_id")
    release = SystemRng().uuid()
    assert done("nips", "delete", "n9", "--request-id", release)["state"] == "RELEASED"
    assert done("nips", "delete", "n9", "--request-id", release)["state"] == "RELEASED"


@pytest.mark.usefixtures("nothing_changes")
def test_a_wait_that_is_too_short_is_in_doubt_and_says_how_to_go_on() -> None:
    ordering = ("vi", "create", "-", "--id", "slow")
    outcome = geysers(*ordering, "--deadline-s", "0", stdin=json.dumps(PAIR))
    outcome.refused(1, "is not done after 0 s", "`geysers vi get slow --vio alpha`", "--request-id")
    found = re.search(r"--request-id (\S+)", outcome.err)
    assert found is not None
    assert done(*ordering, "--request-id", found[1], stdin=json.dumps(PAIR))["state"] == "ACTIVE"
    assert done("vi", "delete", "slow")["state"] == "DECOMMISSIONED"


def changed(**parts: Any) -> str:
    return json.dumps(PAIR | parts)


LINK = PAIR["links"][0]
SITE = PAIR["it_sites"][0]


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize(
    ("text", "code", "fragments"),
    [
        ("{", 2, ("standard input: is not JSON", "line 1 column 2")),
        (changed(knots=[]), 2, ("standard input: knots: no such field",)),
        (changed(links=[LINK | {"band": {"n": "x", "m": 20}}]), 2, ('links[0].band.n: "x" does not fit',)),
        (changed(links=[LINK | {"z_node_id": "par"}]), 2, ("links[0].z_node_id='par'", "name one of the nodes: ams")),
        (changed(links=[LINK | {"band": {"n": 480, "m": 20}}]), 2, ("links[0].band", "leaves the C band")),
        (changed(nodes=[]), 2, ("nodes=[]", "ask for at least one virtual node")),
        (changed(nodes=[*PAIR["nodes"], {"node_id": "x", "clli": "XXX"}]), 2, ("nodes[2].clli='XXX'", "offer")),
        (changed(ssh_public_key="secret"), 2, ("ssh_public_key", "OpenSSH")),
        (changed(it_sites=[SITE | {"vcpu_count": 5000}]), 1, ("it_sites[0]",)),
        (EXAMPLE.read_text(), 1, ("links[0].band (n=0, m=40)", "choose another band")),
    ],
)
def test_an_infrastructure_that_cannot_be_is_refused(text: str, code: int, fragments: tuple[str, ...]) -> None:
    for option in ((), ("--validate-only",)):
        outcome = geysers("vi", "create", "-", "--id", "bad", *option, stdin=text)
        outcome.refused(code, *fragments)
        assert outcome.out == ""


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize(
    ("arguments", "code", "fragments"),
    [
        ((*SERVICE, "--destination", "par"), 2, ("'par'", "use one of ber, fra, muc, vie, zrh")),
        ((*TO_BER, "--source", "par"), 2, ("'par'", "use one of ber, fra, muc, vie, zrh")),
        ((*TO_BER, "--bit-rate-gbps", "4000"), 2, ("bit_rate_gbps=4000", "100, 200, 300, 400")),
        ((*TO_BER, "--min-margin-db", "9"), 1, ("min_margin_db=9",)),
        ((*SERVICE, "--destination", "fra"), 1, ("fra",)),
        ((*SERVICE, "--vcpu", "400", "--memory-gib", "8"), 1, ("vCPU",)),
        ((*SERVICE, "--vcpu", "4", "--memory-gib", "8", "--site", "dc"), 2, ("'dc'", "use one of it-ber, it-zrh")),
        ((*TO_BER, "--id", "No"), 2, ("nips_id 'No'",)),
        ((*TO_BER, "--request-id", "7"), 2, ("request_id '7' is no UUID4",)),
        (("nips", "get", "none"), 2, ("vios/alpha/nips/none",)),
        (("nips", "delete", "none"), 2, ("vios/alpha/nips/none",)),
        (("nips", "get", "vios/beta/nips/n1"), 2, ("vios/beta/nips/n1 not found",)),
        (("nips", "list", "--vio", "beta"), 1, ("no NCP answers at", "Verification", "--ncp")),
        (("vi", "get", "none"), 2, ("virtualInfrastructures/none not found",)),
        (("vi", "get", "blue", "--vio", "beta"), 2, ("vios/beta/virtualInfrastructures/blue not found",)),
        (("vi", "get", "vios/alpha/virtualInfrastructures/blue", "--vio", "beta"), 2, ("blue not found",)),
        (("vi", "delete", "none"), 2, ("virtualInfrastructures/none not found",)),
        (("pip", "offers", "--as", "No"), 2, ("is no name of a party",)),
    ],
)
def test_what_does_not_exist_or_does_not_fit_is_refused(
    arguments: tuple[str, ...], code: int, fragments: tuple[str, ...]
) -> None:
    outcome = geysers(*arguments)
    outcome.refused(code, *fragments)
    assert outcome.out == ""


def test_lists_of_nothing_say_so(system: Stack) -> None:
    assert shown("vi", "list", "--vio", "gamma") == "Virtual infrastructures of gamma: none\n"
    assert shown("pip", "reservations", "--as", "other") == "Reservations of other: none\n"
    assert done("vi", "list", "--vio", "gamma") == {"virtual_infrastructures": []}


def test_an_address_where_nobody_or_somebody_else_listens(system: Stack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"127.0.0.1:{listener.getsockname()[1]}"
    absent = f"answers at {nobody} (Connection refused): start it with"
    geysers("vi", "list", "--vip", nobody).refused(1, absent, "`geysers vip serve`", "--vip")
    geysers("topology", "show", "--ncp", nobody).refused(1, absent, "`geysers ncp serve --vio alpha --vi VI`", "--ncp")
    geysers("pip", "offers", "--pip", nobody).refused(1, absent, "`geysers pip serve`", "--pip")
    geysers("nips", "list", "--ncp", system.target("vip")).refused(1, "no NCP answers at", "Verification", "--ncp")
    subprocess_geysers("vi", "list", "--vip", nobody).refused(1, absent)


def test_a_foreign_authority_is_told_from_an_absent_server(system: Stack, tmp_path: Path) -> None:
    Stack(tmp_path).operator("alpha")
    outcome = subprocess_geysers("vi", "list", "--state-dir", str(tmp_path))
    outcome.refused(1, "certificate of another authority")
    assert len(outcome.err.splitlines()) == 1


def test_ctrl_c_ends_with_130_and_no_traceback(system: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        started = subprocess.Popen(
            [sys.executable, "-m", "controller", "vi", "list", "--vip", f"127.0.0.1:{silent.getsockname()[1]}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # A job that a shell runs in the background ignores SIGINT, and what it starts inherits that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        connection, _ = silent.accept()
        with connection:
            # Its first bytes say that the client is past connecting, and waits.
            assert connection.recv(1)
            started.send_signal(signal.SIGINT)
            out, err = started.communicate(timeout=30)
    assert (started.returncode, out) == (130, ""), err
    assert "Traceback" not in err
