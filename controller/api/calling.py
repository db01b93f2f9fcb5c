"""What all our gRPC clients share: a deadline on every call, and the far side's domain errors raised again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from controller.api.status import from_rpc_error

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
