"""Mutual TLS, identity, roles, repeatable operations: over a real socket."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from geysers.nips.v1 import nips_pb2, nips_pb2_grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from sqlalchemy import MetaData

from controller.api.operations import Operations, OperationsServicer, check_request_id, operations_table
from controller.api.server import ApiServer, caller
from controller.api.status import from_rpc_error
from controller.domain import errors
from controller.domain.identity import Identity, Role
from controller.ports.rng import SystemRng
from controller.security.grpc_tls import secure_channel
from controller.security.pki import DevelopmentCa
from controller.store.sqlite import SqliteStore

ALPHA = Identity("demo", Role.VIO, "alpha")
BETA = Identity("demo", Role.VIO, "beta")
VIP = Identity("demo", Role.VIP, "vip")


class _Topology(nips_pb2_grpc.TopologyServiceServicer):
    async def GetTopology(self, request, context):  # noqa: N802
        if request.parent == "bug":
            raise KeyError("secret inside")
        if request.parent != f"vios/{caller().name}":
            raise errors.NotFound(f"{request.parent} not found", parent=request.parent)
        return nips_pb2.GetTopologyResponse(generation=7)


@pytest.fixture
async def served(tmp_path: Path):
    ca = DevelopmentCa(tmp_path / "pki")
    server = ApiServer(ca.issue(ALPHA), "127.0.0.1", 0, SystemRng())
    server.allow("geysers.nips.v1.TopologyService", [Role.VIO])
    server.allow("google.longrunning.Operations", [Role.VIO])
    nips_pb2_grpc.add_TopologyServiceServicer_to_server(_Topology(), server.grpc_server)
    metadata = MetaData()
    operations = Operations(operations_table(metadata))
    store = await SqliteStore.open(tmp_path / "store.sqlite", metadata)
    operations_pb2_grpc.add_OperationsServicer_to_server(
        OperationsServicer(operations, store, caller), server.grpc_server
    )
    await server.start()
    await server.set_serving(serving=True)
    yield ca, server, operations, store
    await server.stop(0)
    await store.close()


async def _topology(ca: DevelopmentCa, server: ApiServer, who: Identity, parent: str):
    async with secure_channel(f"127.0.0.1:{server.port}", ca.issue(who)) as channel:
        stub = nips_pb2_grpc.TopologyServiceStub(channel)
        try:
            return await stub.GetTopology(nips_pb2.GetTopologyRequest(parent=parent), timeout=5)
        except grpc.aio.AioRpcError as error:
            return error


async def test_own_is_answered_and_other_is_not_found(served) -> None:
    ca, server, _, _ = served
    assert (await _topology(ca, server, ALPHA, "vios/alpha")).generation == 7
    refused = await _topology(ca, server, BETA, "vios/alpha")
    assert refused.code() == grpc.StatusCode.NOT_FOUND
    assert from_rpc_error(refused).fields == {"parent": "vios/alpha"}


async def test_role_without_right_is_refused(served) -> None:
    ca, server, _, _ = served
    assert (await _topology(ca, server, VIP, "vios/vip")).code() == grpc.StatusCode.PERMISSION_DENIED


async def test_bug_leaks_nothing(served) -> None:
    ca, server, _, _ = served
    refused = await _topology(ca, server, ALPHA, "bug")
    assert refused.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in refused.details()


async def test_bytes_that_are_no_message_are_the_callers_fault(served) -> None:
    ca, server, _, _ = served
    async with secure_channel(f"127.0.0.1:{server.port}", ca.issue(ALPHA)) as channel:
        call = channel.unary_unary("/geysers.nips.v1.TopologyService/GetTopology")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"\xff\xff\xff", timeout=5)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "GetTopology" in refused.value.details()


async def test_other_authority_cannot_connect(served, tmp_path: Path) -> None:
    _, server, _, _ = served
    stranger = DevelopmentCa(tmp_path / "stranger")
    refused = await _topology(stranger, server, ALPHA, "vios/alpha")
    assert refused.code() == grpc.StatusCode.UNAVAILABLE


async def test_plain_text_is_refused(served) -> None:
    _, server, _, _ = served
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = nips_pb2_grpc.TopologyServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetTopology(nips_pb2.GetTopologyRequest(parent="vios/alpha"), timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_tls_without_client_certificate_is_refused(served, tmp_path: Path) -> None:
    ca, server, _, _ = served
    trust = ca.issue(ALPHA).ca_certificate_file.read_bytes()
    async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", grpc.ssl_channel_credentials(trust)) as channel:
        stub = nips_pb2_grpc.TopologyServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetTopology(nips_pb2.GetTopologyRequest(parent="vios/alpha"), timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert ssl.OPENSSL_VERSION


async def test_repeat_returns_first_operation_and_other_caller_sees_none(served) -> None:
    ca, server, operations, store = served
    request_id = check_request_id(SystemRng().uuid())
    meta = nips_pb2.NipsOperationMetadata(name="vios/alpha/nips/n1")

    def add(connection):
        repeat = operations.find_repeat(connection, ALPHA, request_id, "d1")
        return repeat or operations.add(
            connection,
            owner=ALPHA,
            request_id=request_id,
            digest="d1",
            target=meta.name,
            metadata=meta,
            now=datetime.now(UTC),
        )

    first, second = await store.run(add), await store.run(add)
    assert first == second
    with pytest.raises(errors.InvalidRequest, match="different request"):
        await store.run(lambda connection: operations.find_repeat(connection, ALPHA, request_id, "d2"))
    await store.run(lambda connection: operations.finish(connection, meta.name, errors.NoPath("no way", source="a")))
    async with secure_channel(f"127.0.0.1:{server.port}", ca.issue(ALPHA)) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        found = await stub.GetOperation(operations_pb2.GetOperationRequest(name=first.name))
        assert found.done
        assert found.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    async with secure_channel(f"127.0.0.1:{server.port}", ca.issue(BETA)) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetOperation(operations_pb2.GetOperationRequest(name=first.name))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_failed_transaction_leaves_nothing(served) -> None:
    _, _, operations, store = served
    meta = nips_pb2.NipsOperationMetadata(name="vios/alpha/nips/n2")

    def half(connection):
        operations.add(
            connection, owner=ALPHA, request_id="r", digest="d", target=meta.name, metadata=meta, now=datetime.now(UTC)
        )
        raise errors.StaleGeneration("moved")

    with pytest.raises(errors.StaleGeneration):
        await store.run(half)
    assert await store.run(lambda connection: operations.find_repeat(connection, ALPHA, "r", "d")) is None


@pytest.mark.parametrize("text", ["", "not-a-uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"])
def test_request_id_must_be_uuid4(text: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="UUID4"):
        check_request_id(text)


async def test_what_nobody_was_given_a_right_to_is_not_served(tmp_path: Path) -> None:
    ca = DevelopmentCa(tmp_path / "pki")
    server = ApiServer(ca.issue(ALPHA), "127.0.0.1", 0, SystemRng())
    nips_pb2_grpc.add_TopologyServiceServicer_to_server(_Topology(), server.grpc_server)
    await server.start()
    assert (await _topology(ca, server, ALPHA, "vios/alpha")).code() == grpc.StatusCode.UNIMPLEMENTED
    await server.stop(0)


async def test_refusal_of_a_long_name_is_still_that_refusal(served) -> None:
    ca, server, _, _ = served
    refused = await _topology(ca, server, ALPHA, "vios/" + "x" * 20_000)
    assert refused.code() == grpc.StatusCode.NOT_FOUND
    assert isinstance(from_rpc_error(refused), errors.NotFound)


class _Breaking(nips_pb2_grpc.TopologyServiceServicer):
    """Takes effect, then the connection breaks before the answer."""

    def __init__(self) -> None:
        self.server: ApiServer | None = None
        self.effects = 0

    async def GetTopology(self, request, context):  # noqa: N802
        self.effects += 1
        assert self.server is not None
        await self.server.grpc_server.stop(0)
        return nips_pb2.GetTopologyResponse()


async def test_broken_call_is_in_doubt_and_an_absent_server_is_not(tmp_path: Path) -> None:
    ca = DevelopmentCa(tmp_path / "pki")
    server = ApiServer(ca.issue(ALPHA), "127.0.0.1", 0, SystemRng())
    server.allow("geysers.nips.v1.TopologyService", [Role.VIO])
    servicer = _Breaking()
    servicer.server = server
    nips_pb2_grpc.add_TopologyServiceServicer_to_server(servicer, server.grpc_server)
    await server.start()
    broken = await _topology(ca, server, ALPHA, "vios/alpha")
    assert (servicer.effects, type(from_rpc_error(broken))) == (1, errors.DeviceInDoubt)
    absent = await _topology(ca, server, ALPHA, "vios/alpha")
    assert type(from_rpc_error(absent)) is errors.DeviceUnreachable


async def test_client_takes_no_other_party_for_the_one_it_expects(served) -> None:
    ca, server, _, _ = served
    target, own = f"127.0.0.1:{server.port}", ca.issue(VIP)
    for expected, reached in ((ALPHA, True), (Role.VIO, True), (BETA, False), (Role.VIP, False), (VIP, False)):
        async with secure_channel(target, own, expected) as channel:
            stub = nips_pb2_grpc.TopologyServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetTopology(nips_pb2.GetTopologyRequest(parent="vios/alpha"), timeout=5)
        assert (caught.value.code() == grpc.StatusCode.PERMISSION_DENIED) == reached, expected
