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
    # The root itself stands for a fault of ours that ended somebody's operation.
    errors.GeysersError: grpc.StatusCode.INTERNAL,
}
# A status travels in HTTP/2 trailers, of which peers accept about 8 kB, and gRPC writes its message there twice.
MESSAGE_CHARACTERS = 1024
FIELD_CHARACTERS = 256
FIELDS = 16
_RESERVED_FIELDS = frozenset({"message", "rpc_errors"})
# gRPC has one code for "no connection" and "the connection broke"; only these words of its core tell them apart.
_NEVER_CONNECTED = "failed to connect to all addresses"
_IN_DOUBT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


def _reason(kind: type[errors.GeysersError]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper()


_BY_REASON = {_reason(kind): kind for kind in CODES}


def to_status(error: errors.GeysersError) -> status_pb2.Status:
    """google.rpc.Status of a domain error (AIP-193)."""
    fields = [(key, str(value)) for key, value in error.fields.items() if value is not None]
    info = error_details_pb2.ErrorInfo(
        reason=_reason(_kind(error)),
        domain=DOMAIN,
        metadata={key: shortened(value, FIELD_CHARACTERS) for key, value in fields[:FIELDS]},
    )
    detail = any_pb2.Any()
    detail.Pack(info)
    return status_pb2.Status(code=code_of(error).value[0], message=short_message(error), details=[detail])


def code_of(error: errors.GeysersError) -> grpc.StatusCode:
    """Status code of a domain error, a new subclass counting as its nearest known ancestor."""
    return CODES[_kind(error)]


def short_message(error: errors.GeysersError) -> str:
    """The error's message, short enough to travel."""
    return shortened(error.message, MESSAGE_CHARACTERS)


def shortened(text: str, characters: int) -> str:
    """`text`, or its beginning and an ellipsis."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _kind(error: errors.GeysersError) -> type[errors.GeysersError]:
    return next(kind for kind in type(error).__mro__ if kind in CODES)


def from_status(status: status_pb2.Status) -> errors.GeysersError:
    """Domain error of a google.rpc.Status; an unknown one becomes WrongState with its text kept."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in _BY_REASON:
            fields = {key: value for key, value in info.metadata.items() if key not in _RESERVED_FIELDS}
            return _BY_REASON[info.reason](status.message, **fields)
    return errors.WrongState(status.message or f"remote error with code {status.code}")


def from_rpc_error(error: grpc.aio.AioRpcError) -> errors.GeysersError:
    """Domain error of a failed call.

    Without our details the far side's own code said nothing. DeviceUnreachable only when no connection was ever made;
    any other broken call may have taken effect, and is in doubt.
    """
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    text = shortened(f"{error.code().name}: {error.details()}", MESSAGE_CHARACTERS)
    if error.code() == grpc.StatusCode.UNAVAILABLE and _NEVER_CONNECTED in (error.details() or ""):
        return errors.DeviceUnreachable(text)
    if error.code() in _IN_DOUBT:
        return errors.DeviceInDoubt(text)
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        return errors.NotAuthenticated(text)
    if error.code() == grpc.StatusCode.PERMISSION_DENIED:
        return errors.NotPermitted(text)
    return errors.WrongState(text)
