"""Requests, edits and files that cannot be honoured: each is refused with its own code, in words that say what, where
and how to mend it, and nothing changes anywhere.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from geysers.nips.v1 import nips_pb2
from geysers.type.v1 import optical_pb2
from geysers.vi.v1 import vi_pb2
from google.protobuf.descriptor import MethodDescriptor
from lxml import etree

from controller.api.convert import nips as convert_nips
from controller.api.convert import vi as convert_vi
from controller.audit.reading import observe
from controller.demo.wishes import ALPHA, ALPHA_BAND, BETA, BETA_BAND, anycast_demand
from controller.domain.errors import DeviceRejected
from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.netconf.client import NcclientSession
from controller.openroadm.configuration import edit_elements
from controller.openroadm.facts import DeviceFacts, parse_device
from controller.ports.device_session import DeviceAddress
from emulator.app import BUNDLED
from tests.cli import subprocess_geysers
from tests.e2e.wire import World, call, wanted_ring

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
EXHAUSTED, EXISTS = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ALREADY_EXISTS
NIPS = nips_pb2.DESCRIPTOR.services_by_name["NipsService"].methods_by_name
VI = vi_pb2.DESCRIPTOR.services_by_name["VirtualInfrastructureService"].methods_by_name
IT = vi_pb2.DESCRIPTOR.services_by_name["VirtualItService"].methods_by_name
FREE_BAND = FrequencySlot(200, 20)


@dataclass(frozen=True)
class Case:
    """One bad request: what is wrong in it, and what the refusal must be."""

    fault: str
    request: Any
    code: grpc.StatusCode
    says: tuple[str, ...]
    """Field and value at fault, and the mend: pieces of the message."""


async def _everything(world: World) -> Mapping[str, Any]:
    """All that a refused request must leave alone: configurations, inventories, leases, services; no readings."""
    seen = await observe(world.stack.access)
    return {
        "running": {name: device.running for name, device in seen.devices.items()},
        "inventories": {name: site.inventory for name, site in seen.sites.items()},
        "steerings": seen.steerings,
        "reservations": seen.reservations,
        "infrastructures": {vio: operator.infrastructures for vio, operator in seen.operators.items()},
        "services": {
            vio: [(entry.demand, entry.state, entry.answer, entry.server) for entry in operator.services]
            for vio, operator in seen.operators.items()
        },
    }


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def unchanged(world: World):
    """Nothing is different after the test."""
    before = await _everything(world)
    yield
    after = await _everything(world)
    assert [part for part in before if before[part] != after[part]] == []


async def _check(world: World, target: str, vio: str, method: MethodDescriptor, cases: list[Case]) -> None:
    wrong = []
    for case in cases:
        answer = await call(world.stack.target(target), world.operator(vio), method, case.request)
        missing = [piece for piece in case.says if piece not in answer.text]
        if answer.code is not case.code or missing:
            wrong.append(
                f"{case.fault}: {answer.code.name} instead of {case.code.name}, lacks {missing}: {answer.text}"
            )
    assert not wrong, "\n".join(wrong)


def _service(change: Callable[[Any], Any] | None = None, **changes: Any) -> nips_pb2.CreateNipsRequest:
    """A good request for a service of alpha's, with something changed in its demand or around it."""
    around = {key: changes.pop(key) for key in ("parent", "nips_id", "request_id") if key in changes}
    demand = convert_nips.demand_to(anycast_demand("vios/alpha/nips/bad"))
    for field, value in changes.items():
        setattr(demand, field, value)
    if change is not None:
        change(demand)
    usual = {"parent": "vios/alpha", "nips_id": "bad", "request_id": str(uuid.uuid4())}
    return nips_pb2.CreateNipsRequest(nips=demand, **(usual | around))


def _without(request: Any, field: str) -> Any:
    request.ClearField(field)
    return request


def _machine(**demand: Any) -> Callable[[Any], None]:
    return lambda nips: nips.it_demand.MergeFrom(nips_pb2.ItDemand(**demand))


async def test_services_that_cannot_be(world: World) -> None:
    def bad(fault: str, request: nips_pb2.CreateNipsRequest, *says: str, code: grpc.StatusCode = INVALID) -> Case:
        return Case(fault, request, code, says)

    v1 = str(uuid.uuid1())
    nowhere, no_site = _service(destination_node_id="rom"), _service(_machine(candidate_it_site_ids=["it-rom"]))
    neither, half = (
        _service(lambda nips: nips.ClearField("it_demand")),
        _service(lambda nips: nips.it_demand.ClearField("vcpu_count")),
    )
    cases = [
        bad("unknown node", _service(source_node_id="rom"), "source_node_id 'rom'", "use one of ber", code=NOT_FOUND),
        bad("unknown destination", nowhere, "destination_node_id 'rom'", "use one of ber", code=NOT_FOUND),
        bad("unknown site", no_site, "candidate_it_site_ids 'it-rom'", "use one of it-ber", code=NOT_FOUND),
        bad("no source", _service(source_node_id=""), "nips.source_node_id is empty", "name a virtual node"),
        bad("neither end nor machine", neither, "nips.destination_node_id", "nips.it_demand"),
        bad("to itself", _service(destination_node_id="vie"), "nips.destination_node_id 'vie'", "another"),
        bad("no such rate", _service(bit_rate_gbps=1e6), "bit_rate_gbps=1e+06", "the rates that exist are 100"),
        bad("margin of 40 dB", _service(min_margin_db=40.0), "min_margin_db=40", code=EXHAUSTED),
        bad("objective", _service(objective=99), "nips.objective 99", "use one of NET_POWER"),
        bad("half a machine", half, "1 vCPU"),
        bad("machine of 1000 vCPU", _service(_machine(vcpu_count=1000)), "1000", "vCPU", code=EXHAUSTED),
        bad("no service in it", _without(_service(), "nips"), "nips is missing", "required"),
        bad("name taken", _service(nips_id="backup"), "vios/alpha/nips/backup", "choose another nips_id", code=EXISTS),
    ]
    for rate in (0.0, -1.0, float("nan"), float("inf")):
        cases.append(bad(f"rate {rate}", _service(bit_rate_gbps=rate), f"nips.bit_rate_gbps {rate}", "finite"))
    for margin in (-1e308, 1e308, -1.0, float("nan"), float("inf")):
        cases.append(bad(f"margin {margin:g}", _service(min_margin_db=margin), "nips.min_margin_db", "usually 0 to 3"))
    for vlan in (0, 5000, 4095):
        cases.append(bad(f"VLAN {vlan}", _service(vlan_id=vlan), f"nips.vlan_id {vlan}", "use 1 to 4094"))
    for text in ("", "1", "not-a-uuid", v1, str(uuid.uuid4()) + "0"):
        cases.append(bad(f"request id {text!r}", _service(request_id=text), f"request_id {text!r} is no UUID4", "send"))
    for text in ("", "UPPER", "a/b", "../x", "x" * 33, "9lives", "ends-"):
        cases.append(bad(f"id {text!r}", _service(nips_id=text), f"nips_id {text!r}", "use 1 to 32 of a-z"))
    await _check(world, "ncp-alpha", ALPHA, NIPS["CreateNips"], cases)


async def test_questions_about_services_that_cannot_be(world: World) -> None:
    nothing = "vios/alpha/nips/nothing"
    releases = [
        Case("no id", nips_pb2.DeleteNipsRequest(name=world.service), INVALID, ("request_id ''", "UUID4")),
        Case(
            "no such service",
            nips_pb2.DeleteNipsRequest(name=nothing, request_id=str(uuid.uuid4())),
            NOT_FOUND,
            (nothing, "not found"),
        ),
    ]
    await _check(world, "ncp-alpha", ALPHA, NIPS["DeleteNips"], releases)
    junk, negative = nips_pb2.ListNipsRequest(parent="vios/alpha"), nips_pb2.ListNipsRequest(parent="vios/alpha")
    junk.page_token, negative.page_size = "?", -1
    pages = [
        Case("token", junk, INVALID, ("page_token '?'", "send")),
        Case("size", negative, INVALID, ("page_size -1", "use 0 to")),
    ]
    await _check(world, "ncp-alpha", ALPHA, NIPS["ListNips"], pages)


def _infrastructure(
    world: World,
    change: Callable[[Any], Any] | None = None,
    band: FrequencySlot = FREE_BAND,
    **around: Any,
) -> vi_pb2.CreateVirtualInfrastructureRequest:
    """A good request for a third infrastructure, beta's, with something changed in it or around it."""
    wanted = convert_vi.infrastructure_to(wanted_ring(world.stack, BETA, "bad", band))
    for node in wanted.nodes:
        # All transponders of some places are let.
        node.transponder_count = 0
    if change is not None:
        change(wanted)
    usual = {"parent": "vios/beta", "virtual_infrastructure_id": "bad", "request_id": str(uuid.uuid4())}
    return vi_pb2.CreateVirtualInfrastructureRequest(virtual_infrastructure=wanted, **(usual | around))


def _set(path: str, index: int, field: str, value: Any) -> Callable[[Any], None]:
    return lambda wanted: setattr(getattr(wanted, path)[index], field, value)


async def test_infrastructures_that_cannot_be(world: World) -> None:
    root = "virtual_infrastructure"
    half_over = FrequencySlot(ALPHA_BAND.n + ALPHA_BAND.m, 10)

    def band(n: int, m: int) -> Callable[[Any], None]:
        return lambda wanted: wanted.links[0].band.CopyFrom(optical_pb2.FrequencySlot(n=n, m=m))

    def bad(fault: str, change: Callable[[Any], Any], *says: str, code: grpc.StatusCode = INVALID) -> Case:
        return Case(fault, _infrastructure(world, change), code, says)

    def around(fault: str, code: grpc.StatusCode, *says: str, **fields: Any) -> Case:
        return Case(fault, _infrastructure(world, **fields), code, says)

    def no_key(wanted: Any) -> None:
        wanted.ssh_public_key = "ssh-ed25519 AAAA"

    cases = [
        around("alpha's band", EXHAUSTED, f"{root}.links[0].band", "choose another band", band=ALPHA_BAND),
        around("half in alpha's band", EXHAUSTED, f"{root}.links[0].band", "choose another band", band=half_over),
        around("its own band again", EXHAUSTED, f"{root}.links[0].band", "choose another band", band=BETA_BAND),
        bad("place of a site", _set("nodes", 0, "clli", "ROM"), f"{root}.it_sites[0].clli", "ROM"),
        bad(
            "unknown place",
            _set("nodes", 2, "clli", "ROM"),
            f"{root}.nodes[2].clli='ROM'",
            "choose a place",
            code=NOT_FOUND,
        ),
        bad("no place", _set("nodes", 2, "clli", ""), f"{root}.nodes[2].clli=''", "name the place"),
        bad("node id", _set("nodes", 0, "node_id", "a b"), f"{root}.nodes[0].node_id='a b'", "use 1 to 32"),
        bad("node id twice", _set("nodes", 1, "node_id", "ber"), f"{root}.nodes[1].node_id='ber'", "its own"),
        bad("link to nowhere", _set("links", 0, "a_node_id", "x"), f"{root}.links[0].a_node_id='x'", "name one"),
        bad("link to itself", _set("links", 0, "z_node_id", "ber"), f"{root}.links[0].z_node_id", "different"),
        bad("no width", band(0, 0), f"{root}.links[0].band", "m=0", "use m ≥ 1"),
        bad("out of the C band", band(2_000_000_000, 4), f"{root}.links[0].band", "n=2000000000", "choose"),
        bad("no band", lambda wanted: wanted.links[0].ClearField("band"), f"{root}.links[0].band"),
        bad(
            "too many vCPU",
            _set("it_sites", 0, "vcpu_count", 10**6),
            f"{root}.it_sites[0].vcpu_count=10",
            "ask for less",
            code=EXHAUSTED,
        ),
        bad("no vCPU", _set("it_sites", 0, "vcpu_count", 0), f"{root}.it_sites[0].vcpu_count=0", "ask for 1"),
        bad("transponders", _set("nodes", 0, "transponder_count", 99), "transponders", code=EXHAUSTED),
        bad("no nodes", lambda wanted: wanted.ClearField("nodes"), f"{root}.nodes=[]", "ask for at least one"),
        bad("key", no_key, f"{root}.ssh_public_key", "paste"),
        Case("nothing in it", _without(_infrastructure(world), root), INVALID, (f"{root} is missing", "required")),
        around("id", INVALID, "virtual_infrastructure_id 'Bad_1'", "use 1 to 32", virtual_infrastructure_id="Bad_1"),
        around("request id", INVALID, "request_id '7' is no UUID4", "send a fresh", request_id="7"),
        around("name taken", EXISTS, "virtualInfrastructures/red", "choose another", virtual_infrastructure_id="red"),
    ]
    await _check(world, "vip", BETA, VI["CreateVirtualInfrastructure"], cases)


async def test_servers_and_steerings_that_cannot_be(world: World) -> None:
    site, node = f"{world.red.name}/itSites/it-ber", f"{world.red.name}/nodes/ber"

    def server(**fields: Any) -> vi_pb2.CreateServerRequest:
        usual = {"server_id": "s", "vcpu_count": 1, "memory_gib": 1}
        return vi_pb2.CreateServerRequest(parent=site, server=optical_pb2.Server(**(usual | fields)))

    def steering(**fields: Any) -> vi_pb2.PutSteeringRequest:
        usual = {"steering_id": "s", "client_port": "XPDR1-CLIENT1", "vlan_id": 9}
        return vi_pb2.PutSteeringRequest(parent=node, steering=vi_pb2.Steering(**(usual | fields)))

    servers = [
        Case("nothing in it", vi_pb2.CreateServerRequest(parent=site), INVALID, ("server is missing", "required")),
        Case("id", server(server_id="../x"), INVALID, ("server.server_id", "../x", "use")),
        Case("no vCPU", server(vcpu_count=0), INVALID, ("vcpu_count", "1")),
        Case(
            "beyond the share", server(vcpu_count=17), EXHAUSTED, ("server.vcpu_count=17", "16 of 16", "ask for less")
        ),
    ]
    await _check(world, "vip", BETA, IT["CreateServer"], servers)
    steerings = [
        Case("nothing in it", vi_pb2.PutSteeringRequest(parent=node), INVALID, ("steering is missing", "required")),
        Case("VLAN 5000", steering(vlan_id=5000), INVALID, ("vlan_id 5000", "use 1 to 4094")),
        Case("no such port", steering(client_port="XPDR9-CLIENT1"), NOT_FOUND, ("XPDR9-CLIENT1",)),
        Case("id", steering(steering_id=""), INVALID, ("steering.steering_id", "use")),
    ]
    await _check(world, "vip", BETA, IT["PutSteering"], steerings)


DEVICE = "http://org/openroadm/device"


def _raw(content: str) -> list[etree._Element]:
    return [etree.fromstring(f'<org-openroadm-device xmlns="{DEVICE}">{content}</org-openroadm-device>')]


def _channel(slot: FrequencySlot) -> Callable[[DeviceFacts], list[etree._Element]]:
    def edits(facts: DeviceFacts) -> list[etree._Element]:
        ports = [degree.connection_point for degree in facts.degrees[:2]]
        cross = CrossConnect("bad", ports[0], ports[1], slot, 63.1)
        return edit_elements(facts, SliceConfiguration(), SliceConfiguration(frozenset({cross})))

    return edits


def _off_grid(facts: DeviceFacts) -> list[etree._Element]:
    edits = _channel(FrequencySlot(BETA_BAND.n, 7))(facts)
    for edit in edits:
        for leaf in edit.iter("{*}min-freq"):
            leaf.text = "193.7123"
    return edits


def _unlike_its_name(facts: DeviceFacts) -> list[etree._Element]:
    """The window of another slot of the operator's own."""
    low, high = FrequencySlot(BETA_BAND.n + 20, 7), FrequencySlot(BETA_BAND.n + 20, 7)
    edits = _channel(FrequencySlot(BETA_BAND.n, 7))(facts)
    for edit in edits:
        for leaf in edit.iter("{*}min-freq"):
            leaf.text = f"{low.lower_hz / 1e12:.6f}"
        for leaf in edit.iter("{*}max-freq"):
            leaf.text = f"{high.upper_hz / 1e12:.6f}"
    return edits


NETCONF_CASES: tuple[tuple[str, Callable[[DeviceFacts], list[etree._Element]], str, tuple[str, ...]], ...] = (
    ("alpha's slot", _channel(FrequencySlot(ALPHA_BAND.n, 7)), "resource-denied", ("not leased", "leased-spectrum")),
    ("a slot of nobody", _channel(FrequencySlot(300, 7)), "resource-denied", ("not leased", "leased-spectrum")),
    ("off the grid", _off_grid, "invalid-value", ("193.712300", "6.25 GHz")),
    ("a window unlike its name", _unlike_its_name, "invalid-value", ("mc-",)),
    ("half an interface", lambda _: _raw("<interface><name>x</name></interface>"), "operation-failed", ("type",)),
    (
        "a name of no length",
        lambda _: _raw("<info><node-id>x</node-id></info>"),
        "invalid-value",
        ("length", "node-id"),
    ),
    ("the device's facts", lambda _: _raw("<info><node-id>vnode-mine</node-id></info>"), "access-denied", ("info",)),
    ("an element of no model", lambda _: _raw("<cheese>blue</cheese>"), "unknown-element", ("cheese",)),
)


@pytest.mark.parametrize(("fault", "edits", "tag", "says"), NETCONF_CASES, ids=[case[0] for case in NETCONF_CASES])
async def test_edits_that_cannot_be(world: World, fault: str, edits, tag: str, says: tuple[str, ...]) -> None:
    node = next(node for node in world.red.nodes if node.node_id == "ber")
    async with _session(world, node.roadm) as (session, facts):
        with pytest.raises(DeviceRejected) as refused:
            await _light(session, edits(facts))
    _assert_rpc_error(refused.value, tag, says)


async def test_light_that_cannot_be(world: World) -> None:
    node = next(node for node in world.red.nodes if node.node_id == "ber")
    own, narrow, alphas = (FrequencySlot(n, m) for n, m in ((BETA_BAND.n, 7), (BETA_BAND.n, 1), (ALPHA_BAND.n, 7)))
    async with _session(world, node.transponder) as (session, facts):
        port, mode_id = facts.lines[0].network_port, facts.lines[0].modes[-1].mode_id
        for setting, tag, says in (
            (LineSetting(port, own, "OR-W-9000G", 0.0), "invalid-value", ("OR-W-9000G", "use one of")),
            (LineSetting(port, narrow, mode_id, 0.0), "invalid-value", ("needs",)),
            (LineSetting(port, alphas, mode_id, 0.0), "resource-denied", ("not leased", "leased-spectrum")),
            (LineSetting(port, own, mode_id, 99.0), "invalid-value", ("99",)),
        ):
            wanted = SliceConfiguration(line_settings=frozenset({setting}))
            with pytest.raises(DeviceRejected) as refused:
                await _light(session, edit_elements(facts, SliceConfiguration(), wanted))
            _assert_rpc_error(refused.value, tag, says)
            await session.discard_changes()


async def _light(session: NcclientSession, edits: list[etree._Element]) -> None:
    await session.edit_config(edits)
    await session.validate()
    await session.commit()


def _assert_rpc_error(refused: DeviceRejected, tag: str, says: tuple[str, ...]) -> None:
    (error,) = refused.rpc_errors
    assert error.tag == tag, refused.message
    assert error.message
    assert [piece for piece in says if piece not in f"{error.message} {error.path}"] == [], refused.message


class _session:  # noqa: N801 - reads as a verb
    """A session of beta's to one of its virtual devices, candidate locked and left clean."""

    def __init__(self, world: World, address: Any) -> None:
        operator = world.operator(BETA)
        self._session = NcclientSession(
            DeviceAddress(
                address.host, address.port, address.username, operator.ssh_private_key_file, address.host_public_key
            )
        )

    async def __aenter__(self) -> tuple[NcclientSession, DeviceFacts]:
        await self._session.connect()
        return self._session, parse_device(await self._session.get())

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._session.discard_changes()
        finally:
            await self._session.close()


@pytest.mark.parametrize(("variety", "says"), [(None, "type_variety"), ("booster_99", "booster_99")])
async def test_provider_with_an_amplifier_type_that_is_not_there(
    world: World, tmp_path: Path, variety: str | None, says: str
) -> None:
    document = json.loads((BUNDLED / "network.json").read_text())
    next(entry for entry in document["elements"] if entry["uid"] == "booster-AMS-LON")["type_variety"] = variety
    network, ready_file = tmp_path / "network.json", tmp_path / "ready.json"
    network.write_text(json.dumps(document))
    addresses = world.stack.state_dir / "emulator.json"
    arguments = {
        "--name": "north", "--addresses": str(addresses), "--network": str(network), "--port": "0",
        "--equipment": str(BUNDLED / "equipment.json"), "--ready-file": str(ready_file), "--state-dir": str(tmp_path),
    }  # fmt: skip
    words = [word for option in arguments.items() for word in option]
    outcome = await asyncio.to_thread(subprocess_geysers, "pip", "serve", *words)
    outcome.refused(2, "booster-AMS-LON", says)
    assert not ready_file.exists()
