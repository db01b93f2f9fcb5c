"""Hop 1 of 8: the gRPC server that every process opens to its north.

Mutual TLS, the caller's identity checked against the roles allowed for the service, domain errors turned into status,
everything else into INTERNAL with a correlation id and no text. Health and reflection are always there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from controller.api.status import STATUS_DETAILS_KEY, code_of, short_message, to_status
from controller.domain.errors import GeysersError, InvalidRequest, NotPermitted, WrongState
from controller.domain.identity import Identity, Role
from controller.ports.rng import Rng
from controller.security.grpc_tls import SERVER_OPTIONS, peer_identity, server_credentials
from controller.security.pki import Credentials

log = structlog.get_logger()
OPEN_SERVICES = frozenset({health.SERVICE_NAME, reflection.SERVICE_NAME})
"""Served to every party that this authority vouches for."""
_caller: ContextVar[Identity] = ContextVar("caller")


def caller() -> Identity:
    """Identity of the party whose call is being served."""
    return _caller.get()


@dataclass(frozen=True, slots=True)
class _Right:
    """Who may call a service: these roles, or of them only this one party."""

    roles: frozenset[Role]
    only: Identity | None


def _check_right(right: _Right, identity: Identity, method: str) -> None:
    if identity.role not in right.roles or right.only not in (None, identity):
        raise NotPermitted(f"{identity.uri} may not call {method}", method=method)


def _read(deserializer: Callable[[bytes], Any] | None, received: bytes, method: str) -> Any:
    """The request message; gRPC's own answer to bytes that are none would be INTERNAL, as if the fault were ours."""
    try:
        return received if deserializer is None else deserializer(received)
    except DecodeError as error:
        raise InvalidRequest(
            f"{method}: the request's {len(received)} bytes are no protobuf message of its type: "
            "send one made from our .proto files",
            method=method,
        ) from error


class _Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    def __init__(self, rights: Mapping[str, _Right], rng: Rng) -> None:
        self._rights = rights
        self._rng = rng

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        service = method.split("/")[1]
        if handler is None or service in OPEN_SERVICES:
            return handler
        if handler.unary_unary is None or service not in self._rights:
            # Fail closed: what nobody was given a right to, and what is not guarded below, is not served.
            log.error("no right to this method was ever given", method=method)
            return None
        inner = handler.unary_unary

        async def guarded(received: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                identity = peer_identity(context.auth_context())
                _check_right(self._rights[service], identity, method)
                request = _read(handler.request_deserializer, received, method)
                token = _caller.set(identity)
                try:
                    return await inner(request, context)
                finally:
                    _caller.reset(token)
            except GeysersError as error:
                status = to_status(error)
                log.info("refused", method=method, reason=type(error).__name__, message=short_message(error))
                context.set_trailing_metadata(((STATUS_DETAILS_KEY, status.SerializeToString()),))
                await context.abort(code_of(error), short_message(error))
            except (grpc.aio.AbortError, grpc.RpcError):
                raise
            except Exception:
                correlation_id = self._rng.uuid()
                log.exception("bug", method=method, correlation_id=correlation_id)
                await context.abort(grpc.StatusCode.INTERNAL, f"internal error; quote {correlation_id}")

        return grpc.unary_unary_rpc_method_handler(
            guarded,
            response_serializer=handler.response_serializer,
        )


class ApiServer:
    """A gRPC server; services are added, then it is started."""

    def __init__(self, credentials: Credentials, host: str, port: int, rng: Rng) -> None:
        self._rights: dict[str, _Right] = {}
        self._server = grpc.aio.server(interceptors=[_Guard(self._rights, rng)], options=SERVER_OPTIONS)
        self._health: Any = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._names = [health.SERVICE_NAME, reflection.SERVICE_NAME]
        self.host = host
        try:
            self.port = self._server.add_secure_port(f"{host}:{port}", server_credentials(credentials))
        except RuntimeError as error:
            raise WrongState(
                f"cannot listen on {host}:{port}: free the port or choose another (0 for any), and an address of "
                "this machine",
                host=host,
                port=port,
            ) from error

    @property
    def grpc_server(self) -> grpc.aio.Server:
        """The server to hand to generated `add_…_to_server` functions."""
        return self._server

    def allow(self, service: str, roles: Sequence[Role], only: Identity | None = None) -> None:
        """Say which roles may call `service` (its full proto name), or which one party alone."""
        self._rights[service] = _Right(frozenset(roles), only)
        self._names.append(service)

    async def start(self) -> None:
        reflection.enable_server_reflection(self._names, self._server)
        await self._server.start()

    async def set_serving(self, *, serving: bool) -> None:
        """Say in the health service whether requests are welcome."""
        state = health_pb2.HealthCheckResponse
        status = state.SERVING if serving else state.NOT_SERVING
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def stop(self, grace_s: float = 2.0) -> None:
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
