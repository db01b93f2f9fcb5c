"""NETCONF clients that share nothing with ours, and one network that they all talk to.

ncclient         the client of our own device sessions, for comparison
netconf-client   another Python client
OpenSSH          the ssh program; RFC 6242 framing is written out here
yangcli          yuma123: C, libssh2, its own YANG compiler, which it feeds with <get-schema>
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from lxml import etree
from netconf_client.connect import connect_ssh
from netconf_client.ncclient import Manager

from controller.api.operator_client import InfrastructureClient
from controller.demo.stack import PIPS, Stack
from controller.demo.wishes import ALPHA, ALPHA_BAND, ALPHA_VI, ring
from controller.domain.identity import Role
from controller.netconf.client import NcclientSession
from controller.ports.device_session import DeviceAddress

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
BASE_1_1 = "urn:ietf:params:netconf:base:1.1"
DEVICE = "http://org/openroadm/device"
ENERGY = "urn:geysers:yang:device-energy"
LEASE = "urn:geysers:yang:lease"
ROOT = f"{{{DEVICE}}}org-openroadm-device"
TIMEOUT_S = 30.0
END_OF_MESSAGE = b"]]>]]>"
SchemaPath = tuple[str, ...]


@dataclass(frozen=True)
class RunningNetwork:
    """A network with one virtual infrastructure; ROADMs by the place where they stand."""

    physical: dict[str, DeviceAddress]
    virtual: dict[str, DeviceAddress]

    def pair(self, clli: str) -> dict[str, DeviceAddress]:
        return {"physical": self.physical[clli], "virtual": self.virtual[clli]}


@contextmanager
def running_network(state_dir: Path) -> Iterator[RunningNetwork]:
    """All processes, and the demo's ring as a virtual infrastructure; stopped at the end whatever happens."""
    stack = Stack(state_dir)
    with asyncio.Runner() as runner:
        try:
            yield runner.run(_start(stack))
        finally:
            runner.run(stack.close())


async def _start(stack: Stack) -> RunningNetwork:
    ready = await stack.start_emulator()
    await stack.start_parties()
    operator = stack.operator(ALPHA)
    client = InfrastructureClient(stack.target("vip"), operator)
    try:
        wish = ring(ALPHA_BAND, operator.ssh_public_key)
        made = await client.create(ALPHA_VI, wish, str(uuid.uuid4()))
    finally:
        await client.close()
    owners = {pip: stack.authority.issue(stack.authority.identity(Role.PIP, pip)) for pip in PIPS}
    physical = {
        entry["clli"]: DeviceAddress(
            entry["host"],
            entry["port"],
            f"pip-{entry['provider']}",
            owners[entry["provider"]].ssh_private_key_file,
            entry["host_public_key"],
        )
        for entry in ready["devices"]
        if entry["kind"] == "rdm"
    }
    virtual = {
        node.clli: DeviceAddress(
            node.roadm.host,
            node.roadm.port,
            node.roadm.username,
            operator.ssh_private_key_file,
            node.roadm.host_public_key,
        )
        for node in made.nodes
        if node.roadm is not None
    }
    return RunningNetwork(physical, virtual)


def read_with_ncclient(address: DeviceAddress, _: Path) -> etree._Element:
    async def read() -> etree._Element:
        session = NcclientSession(address)
        await session.connect()
        try:
            return await session.get()
        finally:
            await session.close()

    return _device(asyncio.run(read()))


def read_with_netconf_client(address: DeviceAddress, _: Path) -> etree._Element:
    with netconf_client(address) as manager:
        return _device(etree.fromstring(manager.get().data_xml))


@contextmanager
def netconf_client(address: DeviceAddress) -> Iterator[Manager]:
    """A session of the Python package netconf-client."""
    session = connect_ssh(
        host=address.host,
        port=address.port,
        username=address.username,
        key_filename=str(address.private_key_file),
        initial_timeout=TIMEOUT_S,
        general_timeout=TIMEOUT_S,
        hostkey_b64=address.host_public_key.split()[1],
    )
    with Manager(session, timeout=TIMEOUT_S) as manager:
        yield manager


def read_with_openssh(address: DeviceAddress, folder: Path) -> etree._Element:
    return _device(openssh(address, folder, ["<get/>"])[0])


def openssh(address: DeviceAddress, folder: Path, operations: list[str]) -> list[etree._Element]:
    """Replies to some operations, all sent at once over `ssh -s … netconf`, before one that closes the session."""
    known_hosts = folder / f"known_hosts_{address.port}"
    known_hosts.write_text(f"[{address.host}]:{address.port} {address.host_public_key}\n")
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
    }
    command = ["ssh", "-F", "none", "-i", str(address.private_key_file), "-p", str(address.port)]
    command += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    command += ["-l", address.username, address.host, "-s", "netconf"]
    hello = f'<hello xmlns="{BASE}"><capabilities><capability>{BASE_1_1}</capability></capabilities></hello>'
    sent = hello.encode() + END_OF_MESSAGE
    for number, operation in enumerate([*operations, "<close-session/>"], start=1):
        rpc = f'<rpc xmlns="{BASE}" message-id="{number}">{operation}</rpc>'.encode()
        # Two chunks a message: a server that takes a chunk for a message does not pass.
        sent += b"\n#%d\n%b\n#%d\n%b\n##\n" % (7, rpc[:7], len(rpc) - 7, rpc[7:])
    done = subprocess.run(command, input=sent, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    greeting, _, rest = done.stdout.partition(END_OF_MESSAGE)
    assert etree.fromstring(greeting).find(f"{{{BASE}}}session-id") is not None
    replies = [etree.fromstring(message) for message in _unchunk(rest)]
    assert [reply.get("message-id") for reply in replies] == [str(n) for n in range(1, len(operations) + 2)]
    return replies[:-1]


def _unchunk(data: bytes) -> Iterator[bytes]:
    """Messages of a whole RFC 6242 §4.2 stream."""
    message, position = b"", 0
    while position < len(data):
        header = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|#)\n").match(data, position)
        assert header is not None, f"no chunk at {position}: {data[position : position + 20]!r}"
        position = header.end()
        if header[1] is None:
            yield message
            message = b""
        else:
            message += data[position : position + int(header[1])]
            position += int(header[1])
    assert not message, "the last message has no end"


def read_with_yangcli(address: DeviceAddress, folder: Path) -> etree._Element:
    return _device(yangcli(address, folder, "get")[0])


def yangcli(address: DeviceAddress, folder: Path, command: str) -> tuple[etree._Element, str]:
    """The reply to one yangcli command, and all that yangcli printed."""
    arguments = {
        "server": address.host,
        "ncport": str(address.port),
        "user": address.username,
        # Never asked for: our servers take keys only. Without it, yangcli prompts.
        "password": "none",
        "private-key": str(address.private_key_file),
        "public-key": f"{address.private_key_file}.pub",
        "display-mode": "xml",
        "run-command": command,
    }
    # It keeps history and fetched modules under its home.
    done = subprocess.run(
        ["yangcli", "--batch-mode", *(f"--{name}={value}" for name, value in arguments.items())],
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    printed = done.stdout.decode()
    reply = re.search(r"<rpc-reply.*</rpc-reply>", printed, re.DOTALL)
    assert done.returncode == 0, printed
    assert reply is not None, printed
    return etree.fromstring(reply[0]), printed


def _device(reply: etree._Element) -> etree._Element:
    found = reply if reply.tag == ROOT else reply.find(f".//{ROOT}")
    assert found is not None, etree.tostring(reply)[:500]
    return found


def shape(device: etree._Element) -> set[SchemaPath]:
    """Schema paths that occur in a tree: neither how often nor with what values."""
    return {path for path, _ in contents(device)}


def contents(device: etree._Element) -> list[tuple[SchemaPath, str]]:
    """Every node with its canonical value, in document order."""

    def walk(element: etree._Element, above: SchemaPath) -> Iterator[tuple[SchemaPath, str]]:
        path = (*above, str(element.tag))
        yield path, _canonical(element)
        for child in element.iterchildren("*"):
            yield from walk(child, path)

    return list(walk(device, ()))


def _canonical(leaf: etree._Element) -> str:
    """A value as RFC 7950 §9 has it: an identity with its namespace, a decimal without trailing zeros."""
    text = (leaf.text or "").strip()
    prefix, colon, local = text.partition(":")
    if colon and prefix in leaf.nsmap:
        return f"{{{leaf.nsmap[prefix]}}}{local}"
    if re.fullmatch(r"-?[0-9]+\.[0-9]+", text):
        try:
            return format(Decimal(text).normalize(), "f")
        except InvalidOperation:
            return text
    return text


def assert_same_tree(physical: etree._Element, virtual: etree._Element) -> None:
    """Both show one tree: all of OpenROADM alike, and of our two extensions what each side has reason to tell.

    A virtual degree shows the spectrum leased to it. A physical circuit pack shows its own power: a virtual one has
    no meter, and what the whole virtual device is charged with is in its info/power-w, as a physical device's is.
    """
    seen, shown = shape(physical), shape(virtual)
    assert {path[-1] for path in shown - seen} == {
        f"{{{LEASE}}}{name}" for name in ("leased-spectrum", "min-freq", "max-freq")
    }
    assert {path[-1] for path in seen - shown} == {
        f"{{{ENERGY}}}{name}" for name in ("power-w", "max-power-w", "power-state")
    }
    assert all(path[1] == f"{{{DEVICE}}}circuit-packs" for path in seen - shown)
    assert (ROOT, f"{{{DEVICE}}}info", f"{{{ENERGY}}}power-w") in seen & shown
