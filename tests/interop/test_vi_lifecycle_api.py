"""Operations of geysers.vi.v1 over a real gRPC server: how creations and releases of one VI end."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
from geysers.type.v1 import optical_pb2
from geysers.vi.v1 import vi_pb2, vi_pb2_grpc
from google.longrunning import operations_pb2, operations_pb2_grpc

from controller.api.convert import vi as convert
from controller.api.infrastructure import serve_infrastructure
from controller.api.server import ApiServer
from controller.api.status import from_rpc_error, from_status
from controller.domain.errors import NotFound, WrongState
from controller.domain.identity import Identity, Role
from controller.netconf.openroadm_models import openroadm_engine
from controller.ports.clock import SystemClock
from controller.ports.rng import SystemRng
from controller.security.grpc_tls import secure_channel
from controller.security.pki import DevelopmentCa
from tests.licl_provider import two_pips
from tests.licl_vip import ALPHA, BETA, State, Vip, request, ssh_key, until

NAME = "vios/alpha/virtualInfrastructures/blue"
DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def engine():
    return openroadm_engine()


class Api:
    """Alpha's side of the API of one VIP, and Beta's of its virtual IT."""

    def __init__(self, vip: Vip, providers, key: str, channel, betas_channel) -> None:
        self.vip, self.providers, self._key = vip, providers, key
        self.betas_it = vi_pb2_grpc.VirtualItServiceStub(betas_channel)
        self._service = vi_pb2_grpc.VirtualInfrastructureServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)

    async def create(self) -> operations_pb2.Operation:
        return await self._service.CreateVirtualInfrastructure(
            vi_pb2.CreateVirtualInfrastructureRequest(
                parent="vios/alpha",
                virtual_infrastructure_id="blue",
                virtual_infrastructure=convert.infrastructure_to(request(self._key)),
                request_id=str(uuid.uuid4()),
            ),
            timeout=DEADLINE_S,
        )

    async def delete(self) -> operations_pb2.Operation:
        return await self._service.DeleteVirtualInfrastructure(
            vi_pb2.DeleteVirtualInfrastructureRequest(name=NAME, request_id=str(uuid.uuid4())), timeout=DEADLINE_S
        )

    async def look(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        return await self._operations.GetOperation(
            operations_pb2.GetOperationRequest(name=operation.name), timeout=DEADLINE_S
        )


@pytest.fixture
async def api(tmp_path, engine):
    providers = two_pips()
    vip = await Vip(tmp_path, providers, engine).start()
    authority = DevelopmentCa(tmp_path / "pki")
    server = ApiServer(authority.issue(Identity("demo", Role.VIP, "broker")), "127.0.0.1", 0, SystemRng())
    serve_infrastructure(server, vip.lifecycle, vip.it, vip.operations, vip.store, SystemClock())
    await server.start()
    target = f"127.0.0.1:{server.port}"
    async with (
        secure_channel(target, authority.issue(ALPHA)) as channel,
        secure_channel(target, authority.issue(BETA)) as betas_channel,
    ):
        yield Api(vip, providers, ssh_key(tmp_path, "alpha")[1], channel, betas_channel)
    await server.stop(0)
    await vip.stop()


def state_in(operation: operations_pb2.Operation) -> State:
    """State of the VI that a successful operation answered with."""
    answer = vi_pb2.VirtualInfrastructure()
    assert operation.response.Unpack(answer), operation
    return convert.infrastructure_from(answer, NAME).state


async def test_creation_and_release_end_with_the_vi_as_it_then_stands(api) -> None:
    creation = await api.create()
    await api.vip.until(ALPHA, NAME, State.ACTIVE)
    assert state_in(await api.look(creation)) is State.ACTIVE
    release = await api.delete()
    await api.vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    assert state_in(await api.look(release)) is State.DECOMMISSIONED
    assert state_in(await api.look(creation)) is State.ACTIVE


async def test_creation_of_what_is_released_meanwhile_is_no_success(api) -> None:
    gate = asyncio.Event()
    api.providers["north"].before = lambda method: gate if method == "create_reservation" else None
    creation = await api.create()
    await until(lambda: "create_reservation" in api.providers["north"].calls)
    releases = [await api.delete()]
    ended = await api.look(creation)
    assert ended.done
    error = from_status(ended.error)
    assert isinstance(error, WrongState)
    assert error.message == f"{NAME} was released before it was ACTIVE"
    # Whoever releases it again is no creation, and ends as the first release does.
    releases.append(await api.delete())
    assert not any([(await api.look(release)).done for release in releases])
    gate.set()
    await api.vip.until(ALPHA, NAME, State.DECOMMISSIONED)
    assert [state_in(await api.look(release)) for release in releases] == [State.DECOMMISSIONED] * 2
    assert await api.look(creation) == ended


CALLS_OF_VIRTUAL_IT = {
    "CreateServer": lambda vi: vi_pb2.CreateServerRequest(
        parent=f"{vi}/itSites/dc", server=optical_pb2.Server(server_id="m", vcpu_count=1, memory_gib=1)
    ),
    "ListServers": lambda vi: vi_pb2.ListServersRequest(parent=f"{vi}/itSites/dc"),
    "DeleteServer": lambda vi: vi_pb2.DeleteServerRequest(name=f"{vi}/itSites/dc/servers/m"),
    "PutSteering": lambda vi: vi_pb2.PutSteeringRequest(
        parent=f"{vi}/nodes/a", steering=vi_pb2.Steering(steering_id="s", client_port="XPDR1-CLIENT1", vlan_id=100)
    ),
    "DeleteSteering": lambda vi: vi_pb2.DeleteSteeringRequest(name=f"{vi}/nodes/a/steerings/s"),
    "ListSteerings": lambda vi: vi_pb2.ListSteeringsRequest(parent=f"{vi}/nodes/a"),
}


@pytest.mark.parametrize("call", list(CALLS_OF_VIRTUAL_IT))
async def test_part_of_anothers_vi_is_refused_like_one_of_a_vi_that_is_not_there(api, call) -> None:
    await api.create()
    await api.vip.until(ALPHA, NAME, State.ACTIVE)
    told = []
    for owner in ("alpha", "beta"):
        asked = CALLS_OF_VIRTUAL_IT[call](f"vios/{owner}/virtualInfrastructures/blue")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(api.betas_it, call)(asked, timeout=DEADLINE_S)
        error = from_rpc_error(caught.value)
        assert isinstance(error, NotFound)
        told.append((error.message.replace(owner, "VIO"), str(error.fields).replace(owner, "VIO")))
    assert told[0] == told[1]
