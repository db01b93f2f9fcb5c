"""Domain errors to gRPC status, and back: the one table of wire codes.

A status carries google.rpc.ErrorInfo: `reason` is the error's class name in capitals, `metadata` its fields, so that
the other side raises the same domain error again.
"""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from controller.domain import errors

DOMAIN = "geysers"
STATUS_DETAILS_KEY = "grpc-status-details-bin"

CODES: dict[type[errors.GeysersError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotAuthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.StaleGeneration: grpc.StatusCode.ABORTED,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.NoPath: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.SpectrumBlocked: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.GsnrBelowMargin: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.WrongState: grpc.StatusCode.FAILED_PRECONDITION,
    errors.DeviceUnreachable: grpc.StatusCode.UNAVAILABLE,
    errors.DeviceLocked: grpc.StatusCode.UNAVAILABLE,
    errors.DeviceRejected: grpc.StatusCode.FAILED_PRECONDITION,
    # In doubt travels as DEADLINE_EXCEEDED: the caller must read back, not conclude.
    errors.DeviceInDoubt: grpc.StatusCode.DEADLINE_EXCEEDED,
}


def _reason(kind: type[errors.GeysersError]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper()


_BY_REASON = {_reason(kind): kind for kind in CODES}


def to_status(error: errors.GeysersError) -> status_pb2.Status:
    """google.rpc.Status of a domain error (AIP-193)."""
    info = error_details_pb2.ErrorInfo(
        reason=_reason(type(error)),
        domain=DOMAIN,
        metadata={key: str(value) for key, value in error.fields.items() if value is not None},
    )
    detail = any_pb2.Any()
    detail.Pack(info)
    return status_pb2.Status(code=CODES[type(error)].value[0], message=error.message, details=[detail])


def from_status(status: status_pb2.Status) -> errors.GeysersError:
    """Domain error of a google.rpc.Status; an unknown one becomes WrongState with its text kept."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in _BY_REASON:
            return _BY_REASON[info.reason](status.message, **dict(info.metadata))
    return errors.WrongState(status.message or f"remote error with code {status.code}")


def from_rpc_error(error: grpc.aio.AioRpcError) -> errors.GeysersError:
    """Domain error of a failed call.

    UNAVAILABLE and DEADLINE_EXCEEDED without our details mean the transport failed: a mutating call may have taken
    effect, so both are in doubt unless the channel never connected.
    """
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    text = f"{error.code().name}: {error.details()}"
    if error.code() == grpc.StatusCode.UNAVAILABLE:
        return errors.DeviceUnreachable(text)
    if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return errors.DeviceInDoubt(text)
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        return errors.NotAuthenticated(text)
    return errors.WrongState(text)
