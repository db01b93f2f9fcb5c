"""What all our gRPC clients share: a deadline on every call, and the far side's domain errors raised again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from controller.api.status import from_rpc_error
from controller.domain.errors import DeviceInDoubt, DeviceUnreachable, WrongState

ResponseT = TypeVar("ResponseT", bound=Message)


async def call(method: Callable[..., Any], request: Message, kind: type[ResponseT], timeout_s: float) -> ResponseT:
    """Call a unary RPC; raises the domain error that the answer, or its absence, means."""
    try:
        response = await method(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    if not isinstance(response, kind):
        raise TypeError(f"{kind.__name__} expected, {type(response).__name__} came")
    return response


async def check_serving(channel: grpc.aio.Channel, service: str, timeout_s: float) -> None:
    """Ask the far side's health service about `service`, its full proto name.

    Raises: DeviceUnreachable when nobody answers, or somebody else, or it is not ready yet.
    """
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        health = await call(
            health_pb2_grpc.HealthStub(channel).Check, request, health_pb2.HealthCheckResponse, timeout_s
        )
    except DeviceInDoubt as error:
        raise DeviceUnreachable(f"no answer within {timeout_s:g} s") from error
    except WrongState as error:
        raise DeviceUnreachable(f"what answers does not serve {service}") from error
    if health.status != health_pb2.HealthCheckResponse.SERVING:
        raise DeviceUnreachable("it is there, but starting or stopping")
