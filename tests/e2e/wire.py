"""The system seen from its sockets: any RPC by its descriptor, the raw answer, and orders that outlive a crash."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from controller.api.status import from_rpc_error, from_status
from controller.demo.stack import Stack
from controller.demo.wishes import ALPHA, ALPHA_BAND, ALPHA_VI, ring
from controller.domain.errors import DeviceInDoubt, DeviceUnreachable, GeysersError
from controller.domain.infrastructure import VirtualInfrastructure
from controller.security.grpc_tls import secure_channel
from controller.security.pki import Credentials

GET_OPERATION = operations_pb2.DESCRIPTOR.services_by_name["Operations"].methods_by_name["GetOperation"]
CALL_S = 20.0
POLL_S = 0.1


@contextlib.contextmanager
def short_state_dir() -> Iterator[Path]:
    """A directory whose Unix sockets stay below the 107 bytes of a socket's name, wherever pytest keeps its own."""
    folder = Path(tempfile.mkdtemp(prefix="gy-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def running_stack() -> AsyncIterator[Stack]:
    """Emulator, providers and broker; all is stopped and removed at the end."""
    with short_state_dir() as folder:
        stack = Stack(folder)
        try:
            await stack.start_emulator()
            await stack.start_parties()
            yield stack
        finally:
            await stack.close()


def wanted_ring(stack: Stack, vio: str = ALPHA, vi_id: str = ALPHA_VI, band: Any = ALPHA_BAND) -> VirtualInfrastructure:
    """The demo's ring of five nodes for an operator."""
    made = ring(band, stack.operator(vio).ssh_public_key)
    return VirtualInfrastructure(
        f"vios/{vio}/virtualInfrastructures/{vi_id}", made.nodes, made.links, made.it_sites, made.ssh_public_key
    )


@dataclass(frozen=True, slots=True)
class World:
    """Two operators on one substrate; alpha has a service running."""

    stack: Stack
    blue: VirtualInfrastructure
    red: VirtualInfrastructure
    service: str

    def operator(self, vio: str) -> Credentials:
        return self.stack.operator(vio)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of one call."""

    code: grpc.StatusCode
    text: str = ""
    error: GeysersError | None = None
    message: Any = None

    def masked(self, *names: str) -> tuple[str, str, str, dict[str, str]]:
        """Code, text, kind and fields of a refusal, with the names that were asked for masked."""
        fields = {} if self.error is None else {key: str(value) for key, value in self.error.fields.items()}

        def mask(text: str) -> str:
            for name in sorted(names, key=len, reverse=True):
                text = text.replace(name, "…")
            return text

        masked = {key: mask(value) for key, value in fields.items()}
        return self.code.name, mask(self.text), type(self.error).__name__, masked


async def call(target: str, credentials: Credentials, method: MethodDescriptor, request: Message) -> Answer:
    """One call on a channel of its own, so that no back-off of an earlier failure is in the way."""
    async with secure_channel(target, credentials) as channel:
        stub = channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            return Answer(grpc.StatusCode.OK, message=await stub(request, timeout=CALL_S))
        except grpc.aio.AioRpcError as error:
            return Answer(error.code(), error.details() or "", from_rpc_error(error))


@dataclass(slots=True)
class Order:
    """A mutating call under one request_id, sent again until it is answered, and followed to its end."""

    target: str
    credentials: Credentials
    method: MethodDescriptor
    request: Any
    admitted: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def admit(self) -> operations_pb2.Operation:
        """The operation; raises what refused it. Not reaching the server says nothing, so it is asked again."""
        while True:
            answer = await call(self.target, self.credentials, self.method, self.request)
            if answer.error is None:
                self.admitted.set()
                return answer.message
            if not isinstance(answer.error, DeviceUnreachable | DeviceInDoubt):
                raise answer.error
            await asyncio.sleep(POLL_S)

    async def run(self) -> operations_pb2.Operation:
        """The operation once it is done."""
        operation = await self.admit()
        while not operation.done:
            await asyncio.sleep(POLL_S)
            request = operations_pb2.GetOperationRequest(name=operation.name)
            answer = await call(self.target, self.credentials, GET_OPERATION, request)
            if answer.error is None:
                operation = answer.message
            elif not isinstance(answer.error, DeviceUnreachable | DeviceInDoubt):
                # An operation that was acknowledged must never be forgotten.
                raise AssertionError(f"{operation.name}: {answer}") from answer.error
        self.ended.set()
        return operation


def outcome_of(operation: operations_pb2.Operation) -> GeysersError | None:
    """The error that a done operation ended with."""
    return from_status(operation.error) if operation.HasField("error") else None


async def until(condition: Callable[[], Awaitable[bool]], why: Callable[[], str], limit_s: float) -> None:
    """Wait until `condition` holds; `why` says what is amiss when it does not in time."""
    end_s = time.monotonic() + limit_s
    while not await condition():
        assert time.monotonic() < end_s, why()
        await asyncio.sleep(0.2)
