"""What one operator may see and touch of another, of providers and of hardware: nothing, in the words of nothing.

Over the sockets of a running system, with valid certificates and keys of the wrong party.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

import grpc
import pytest
from geysers.nips.v1 import nips_pb2
from geysers.pip.v1 import pip_pb2
from geysers.type.v1 import optical_pb2
from geysers.vi.v1 import vi_pb2
from google.longrunning import operations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from lxml import etree

from controller.api.convert import nips as convert_nips
from controller.audit.reading import observe
from controller.demo.wishes import ALPHA, ALPHA_BAND, BETA, BETA_BAND, anycast_demand
from controller.domain.errors import DeviceRejected, NotAuthenticated
from controller.domain.identity import Role
from controller.domain.infrastructure import NetconfAddress
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.spectrum import FrequencySlot
from controller.netconf.client import NcclientSession
from controller.openroadm.configuration import edit_elements
from controller.openroadm.facts import parse_device
from controller.ports.device_session import DeviceAddress
from controller.security.pki import Credentials
from tests.e2e.wire import World, call

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


def _methods(module, service: str) -> dict[str, MethodDescriptor]:
    return dict(module.DESCRIPTOR.services_by_name[service].methods_by_name)


VI = _methods(vi_pb2, "VirtualInfrastructureService")
IT = _methods(vi_pb2, "VirtualItService")
NIPS = _methods(nips_pb2, "NipsService")
TOPOLOGY = _methods(nips_pb2, "TopologyService")
SERVER = optical_pb2.Server(server_id="theft", vcpu_count=1, memory_gib=1)
STEERING = vi_pb2.Steering(steering_id="theft", client_port="XPDR1-CLIENT1", vlan_id=77)


def _named(vi: str) -> list[tuple[MethodDescriptor, Message]]:
    """Every call of geysers.vi.v1 that takes a name, about the infrastructure `vi`."""
    request_id = str(uuid.uuid4())
    return [
        (VI["GetVirtualInfrastructure"], vi_pb2.GetVirtualInfrastructureRequest(name=vi)),
        (VI["DeleteVirtualInfrastructure"], vi_pb2.DeleteVirtualInfrastructureRequest(name=vi, request_id=request_id)),
        (IT["CreateServer"], vi_pb2.CreateServerRequest(parent=f"{vi}/itSites/it-ber", server=SERVER)),
        (IT["ListServers"], vi_pb2.ListServersRequest(parent=f"{vi}/itSites/it-ber")),
        (IT["DeleteServer"], vi_pb2.DeleteServerRequest(name=f"{vi}/itSites/it-ber/servers/vm")),
        (IT["PutSteering"], vi_pb2.PutSteeringRequest(parent=f"{vi}/nodes/ber", steering=STEERING)),
        (IT["DeleteSteering"], vi_pb2.DeleteSteeringRequest(name=f"{vi}/nodes/ber/steerings/s")),
        (IT["ListSteerings"], vi_pb2.ListSteeringsRequest(parent=f"{vi}/nodes/ber")),
    ]


async def test_every_rpc_of_the_virtual_infrastructures_has_its_row() -> None:
    asked = {method.full_name for method, _ in _named("vios/alpha/virtualInfrastructures/blue")}
    by_parent = {VI[name].full_name for name in ("ListVirtualInfrastructures", "CreateVirtualInfrastructure")}
    served = {method.full_name for methods in (VI, IT) for method in methods.values()}
    assert asked | by_parent == served


async def test_every_named_call_answers_for_anothers_as_for_nobodys(world: World) -> None:
    beta, target = world.operator(BETA), world.stack.target("vip")
    for owner_of_nothing in ("vios/alpha/virtualInfrastructures/nothing", "vios/nobody/virtualInfrastructures/nothing"):
        for (method, theirs), (_, nobodys) in zip(_named(world.blue.name), _named(owner_of_nothing), strict=True):
            answers = [
                (await call(target, beta, method, request)).masked(name)
                for request, name in ((theirs, world.blue.name), (nobodys, owner_of_nothing))
            ]
            assert answers[0] == answers[1], method.name
            assert answers[0][0] == "NOT_FOUND", method.name


async def test_lists_and_creations_of_another_are_not_there(world: World) -> None:
    beta, target = world.operator(BETA), world.stack.target("vip")
    for vio in (ALPHA, "nobody"):
        listed = vi_pb2.ListVirtualInfrastructuresRequest(parent=f"vios/{vio}")
        assert (await call(target, beta, VI["ListVirtualInfrastructures"], listed)).code is grpc.StatusCode.NOT_FOUND
        wanted = vi_pb2.CreateVirtualInfrastructureRequest(
            parent=f"vios/{vio}", virtual_infrastructure_id="theft", request_id=str(uuid.uuid4())
        )
        assert (await call(target, beta, VI["CreateVirtualInfrastructure"], wanted)).code is grpc.StatusCode.NOT_FOUND
    own = await call(
        target, beta, VI["ListVirtualInfrastructures"], vi_pb2.ListVirtualInfrastructuresRequest(parent="vios/beta")
    )
    names = [entry.name for entry in own.message.virtual_infrastructures]
    assert world.red.name in names
    assert all(name.startswith("vios/beta/") for name in names), names


async def test_another_operators_controller_serves_nobody_else(world: World) -> None:
    request_id = str(uuid.uuid4())
    demand = convert_nips.demand_to(anycast_demand("vios/alpha/nips/theft"))
    named = [
        (NIPS["GetNips"], nips_pb2.GetNipsRequest(name=world.service)),
        (NIPS["DeleteNips"], nips_pb2.DeleteNipsRequest(name=world.service, request_id=request_id)),
    ]
    by_parent = [
        (NIPS["ListNips"], nips_pb2.ListNipsRequest(parent="vios/alpha")),
        (NIPS["CreateNips"], nips_pb2.CreateNipsRequest(
            parent="vios/alpha", nips_id="theft", nips=demand, request_id=request_id
        )),
        (TOPOLOGY["GetTopology"], nips_pb2.GetTopologyRequest(parent="vios/alpha")),
    ]  # fmt: skip
    requests = [*named, *by_parent]
    served = {method.full_name for methods in (NIPS, TOPOLOGY) for method in methods.values()}
    assert {method.full_name for method, _ in requests} == served
    for method, request in requests:
        refused = await call(world.stack.target("ncp-alpha"), world.operator(BETA), method, request)
        assert refused.code is grpc.StatusCode.PERMISSION_DENIED, method.name
    own = world.stack.target("ncp-beta")
    nothing, nobody = "vios/beta/nips/nothing", "vios/nobody"
    for (method, request), field, theirs, nobodys in [
        *((entry, "name", world.service, nothing) for entry in named),
        *((entry, "parent", "vios/alpha", nobody) for entry in by_parent),
    ]:
        absent = type(request)()
        absent.CopyFrom(request)
        setattr(absent, field, nobodys)
        asked = await call(own, world.operator(BETA), method, request)
        answered = await call(own, world.operator(BETA), method, absent)
        assert asked.masked(theirs) == answered.masked(nobodys), method.name
        assert asked.code is grpc.StatusCode.NOT_FOUND, method.name


async def test_operations_of_another_are_not_there(world: World) -> None:
    get = operations_pb2.DESCRIPTOR.services_by_name["Operations"].methods_by_name["GetOperation"]
    request_id = str(uuid.uuid4())
    deletion = nips_pb2.DeleteNipsRequest(name="vios/alpha/nips/nothing", request_id=request_id)
    await call(world.stack.target("ncp-alpha"), world.operator(ALPHA), NIPS["DeleteNips"], deletion)
    for target in ("vip", "ncp-beta"):
        found = await call(
            world.stack.target(target),
            world.operator(BETA),
            get,
            operations_pb2.GetOperationRequest(name=f"operations/{request_id}"),
        )
        assert found.code is grpc.StatusCode.NOT_FOUND


SERVICES = {
    "pip-north": (pip_pb2, ("ProviderService", "SliceService", "ItService"), Role.VIP),
    "vip": (vi_pb2, ("VirtualInfrastructureService", "VirtualItService"), Role.VIO),
    "ncp-alpha": (nips_pb2, ("NipsService", "TopologyService"), Role.VIO),
}


@pytest.mark.parametrize("target", SERVICES)
async def test_a_role_opens_only_its_own_services(world: World, target: str) -> None:
    authority = world.stack.authority
    module, services, allowed = SERVICES[target]
    assert set(services) == set(module.DESCRIPTOR.services_by_name), "a service nobody asked about"
    methods = [method for service in services for method in _methods(module, service).values()]
    if allowed is Role.VIO:
        methods += _methods(operations_pb2, "Operations").values()
    for method in methods:
        for role in set(Role) - {allowed}:
            stranger = authority.issue(authority.identity(role, ALPHA))
            request = GetMessageClass(method.input_type)()
            refused = await call(world.stack.target(target), stranger, method, request)
            # What Operations offers beyond GetOperation is not served to anybody.
            expected = {grpc.StatusCode.PERMISSION_DENIED}
            if method.containing_service.name == "Operations" and method.name != "GetOperation":
                expected.add(grpc.StatusCode.UNIMPLEMENTED)
            assert refused.code in expected, (method.full_name, role)


async def _cannot_log_in(address: DeviceAddress) -> None:
    session = NcclientSession(address)
    try:
        with pytest.raises(NotAuthenticated):
            await session.connect()
    finally:
        await session.close()


def _virtual(address: NetconfAddress, key: Credentials, username: str | None = None) -> DeviceAddress:
    return DeviceAddress(
        address.host, address.port, username or address.username, key.ssh_private_key_file, address.host_public_key
    )


async def test_a_key_opens_only_its_owners_devices(world: World) -> None:
    beta, roadm = world.operator(BETA), world.blue.nodes[0].roadm
    assert roadm is not None
    for username in (ALPHA, BETA, "root"):
        await _cannot_log_in(_virtual(roadm, beta, username))
    devices = world.stack.access.addresses("devices")
    physical = {provider: next(d for d in devices if d["provider"] == provider) for provider in ("north", "south")}
    for entry in physical.values():
        mine = replace(world.stack.access.device(entry), private_key_file=beta.ssh_private_key_file)
        await _cannot_log_in(mine)
        await _cannot_log_in(replace(mine, username=BETA))
    south = world.stack.access.provider("south").ssh_private_key_file
    for username in ("pip-north", "pip-south"):
        address = world.stack.access.device(physical["north"])
        await _cannot_log_in(replace(address, username=username, private_key_file=south))


async def test_light_outside_the_slice_is_refused_and_changes_nothing(world: World) -> None:
    beta = world.operator(BETA)
    before = {name: device.running for name, device in (await observe(world.stack.access)).devices.items()}
    node = next(node for node in world.red.nodes if node.node_id == "ber")
    assert node.roadm is not None
    session = NcclientSession(_virtual(node.roadm, beta))
    await session.connect()
    facts = parse_device(await session.get())
    running = etree.tostring(await session.get_config(), method="c14n")
    ports = [degree.connection_point for degree in facts.degrees[:2]]
    words = set()
    # The first: lit by alpha; the second: leased to nobody; the third: half in, half out of beta's own band.
    for slot in (FrequencySlot(ALPHA_BAND.n, 7), FrequencySlot(300, 7), FrequencySlot(BETA_BAND.n + BETA_BAND.m, 7)):
        wanted = SliceConfiguration(frozenset({CrossConnect("theft", ports[0], ports[1], slot, 63.1)}))
        await session.edit_config(edit_elements(facts, SliceConfiguration(), wanted))
        with pytest.raises(DeviceRejected) as refused:
            await session.commit()
        (error,) = refused.value.rpc_errors
        words.add((error.tag, error.message.replace(slot.openroadm_name, "…")))
        await session.discard_changes()
    assert len(words) == 1, words
    assert etree.tostring(await session.get_config(), method="c14n") == running
    await session.close()
    after = {name: device.running for name, device in (await observe(world.stack.access)).devices.items()}
    assert after == before
