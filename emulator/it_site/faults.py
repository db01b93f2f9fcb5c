"""Refusals, in the body each OpenStack service wraps them in."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 409: "Conflict", 413: "Request Entity Too Large", 500: "Internal Server Error",
}  # fmt: skip
_COMPUTE_KINDS = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    406: "notAcceptable", 409: "conflictingRequest", 413: "overLimit", 500: "computeFault",
}  # fmt: skip


class ApiError(Exception):
    """A request that is refused with an HTTP status; `kind` is the exception name that Neutron shows."""

    def __init__(self, status: int, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind


def not_found(what: str, identifier: str) -> ApiError:
    """Refuse with 404, also for what belongs to another project."""
    return ApiError(404, f"{what} {identifier} could not be found.", f"{what.replace(' ', '')}NotFound")


def fault_body(service: str, fault: ApiError) -> Mapping[str, Any]:
    """The JSON body of `fault` as `service` (its catalogue type) writes it."""
    if service in {"compute", "block-storage"}:
        kind = _COMPUTE_KINDS.get(fault.status, "computeFault")
        detail: dict[str, Any] = {"code": fault.status, "message": fault.message}
        if fault.status == 413:
            detail["retryAfter"] = "0"
        return {kind: detail}
    if service == "network":
        return {"NeutronError": {"type": fault.kind or "HTTPError", "message": fault.message, "detail": ""}}
    title = _TITLES.get(fault.status, "Error")
    return {"error": {"code": fault.status, "title": title, "message": fault.message}}


def fault_response(service: str, fault: ApiError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer with `fault` in the dialect of `service`."""
    return JSONResponse(fault_body(service, fault), status_code=fault.status, headers=dict(headers or {}))
