"""What the services share: the request context, checked JSON bodies, listings with filters, routes."""

import json
import logging
import re
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.it_site.faults import ApiError, fault_response
from emulator.it_site.model import Host, Token
from emulator.it_site.state import SiteState

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20
MAX_NAME_CHARACTERS = 255
_NAME_SPACE = uuid.UUID("5a1f6a0c-2d0b-5b7a-9a35-0d2c54a7b9e1")
ItemT = TypeVar("ItemT")


@dataclass
class Site:
    """One data centre at work: what it is made of, what it remembers, and where it answers."""

    name: str
    region: str
    pue: float
    storage_gib: int
    hosts: Sequence[Host]
    state: SiteState
    now: Callable[[], datetime]
    token_lifetime_s: int
    build_s: float
    base_url: str
    spawn: Callable[[Awaitable[None]], None]

    def stable_id(self, *parts: str) -> str:
        """An id that is the same at every start: for hosts, roles, the image, the domain."""
        return str(uuid.uuid5(_NAME_SPACE, "/".join((self.name, *parts))))

    def timestamp(self) -> str:
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Caller:
    """Who asks: a validated token and whether it carries the admin role."""

    token: Token
    is_admin: bool

    @property
    def project_id(self) -> str:
        if self.token.project_id is None:
            raise ApiError(403, "The token has no project: authenticate with a project scope.")
        return self.token.project_id

    def owns(self, project_id: str) -> bool:
        return self.is_admin or self.token.project_id == project_id


@dataclass(frozen=True)
class Call:
    """One authenticated request with its JSON body."""

    request: Request
    caller: Caller
    body: Mapping[str, Any]

    @property
    def path(self) -> Mapping[str, str]:
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    def microversion(self, service: str, default: tuple[int, int], highest: tuple[int, int]) -> tuple[int, int]:
        """The API microversion asked for (header `OpenStack-API-Version: compute 2.53`)."""
        text = self.request.headers.get("OpenStack-API-Version", "")
        for part in text.split(","):
            words = part.split()
            if len(words) != 2 or words[0] != service:
                continue
            if words[1] == "latest":
                return highest
            if not re.fullmatch(r"\d{1,3}\.\d{1,4}", words[1]):
                raise ApiError(400, f"API version {words[1]!r} is malformed: write MAJOR.MINOR.")
            major, minor = words[1].split(".")
            asked = (int(major), int(minor))
            if not default <= asked <= highest:
                raise ApiError(406, f"Version {words[1]} is not supported. Minimum is {default}, maximum {highest}.")
            return asked
        return default


Handler = Callable[[Call], Awaitable[Response]]
Authenticator = Callable[[Request], Caller]


def new_id() -> str:
    """Make a random UUID."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


async def read_body(request: Request) -> Mapping[str, Any]:
    """The JSON object of the request; an absent body is an empty one."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise ApiError(413, f"Request is larger than {MAX_BODY_BYTES} bytes.")
        chunks.append(chunk)
    raw = b"".join(chunks)
    if not raw:
        return {}
    try:
        body = json.loads(raw)
        # A lone surrogate or a NaN can be read but not written back: refuse it here, not at the answer.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "Malformed request body: send one JSON object.") from error
    if not isinstance(body, dict):
        raise ApiError(400, "Malformed request body: send one JSON object.")
    return body


def part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object under `name`, or a 400 that names it."""
    value = body.get(name)
    if not isinstance(value, dict):
        raise ApiError(400, f"Invalid input for field/attribute {name}: an object is required.")
    return value


def text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """The string under `name`; required unless a default is given."""
    value = body.get(name, default)
    if not isinstance(value, str) or len(value) > MAX_NAME_CHARACTERS or (default is None and not value.strip()):
        raise ApiError(
            400, f"Invalid input for field/attribute {name}: give a string of 1 to {MAX_NAME_CHARACTERS} characters."
        )
    return value


def whole(body: Mapping[str, Any], name: str, *, least: int, most: int, default: int | None = None) -> int:
    """The whole number under `name`, also when it comes as a string, as Nova accepts it."""
    value = body.get(name, default)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,12}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ApiError(400, f"Invalid input for field/attribute {name}: give a whole number from {least} to {most}.")
    return value


def string_map(body: Mapping[str, Any], name: str) -> dict[str, str]:
    """The metadata under `name`: at most 128 strings by strings."""
    value = body.get(name) or {}
    if not isinstance(value, dict) or len(value) > 128:
        raise ApiError(400, f"Invalid input for field/attribute {name}: give an object of at most 128 strings.")
    for key, item in value.items():
        if not isinstance(item, str) or len(item) > MAX_NAME_CHARACTERS or len(key) > MAX_NAME_CHARACTERS:
            raise ApiError(400, f"Invalid input for field/attribute {name}.{key}: give a string of ≤ 255 characters.")
    return dict(value)


def page(call: Call, items: Sequence[ItemT], identify: Callable[[ItemT], str], most: int = 1000) -> list[ItemT]:
    """The page that `limit` and `marker` of the query ask for."""
    query = call.query
    start = 0
    if "marker" in query:
        positions = [index for index, item in enumerate(items) if identify(item) == query["marker"]]
        if not positions:
            raise ApiError(400, f"marker [{query['marker']}] not found")
        start = positions[0] + 1
    limit = whole(query, "limit", least=0, most=1_000_000_000, default=most)
    return list(items[start : start + min(limit or most, most)])


def json_response(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


class Service:
    """Routes of one service below its path; every handler runs authenticated and answers in its fault dialect."""

    def __init__(self, service_type: str, prefix: str, authenticate: Authenticator) -> None:
        self.service_type = service_type
        self._prefix = prefix
        self._authenticate = authenticate
        self.routes: list[Route] = []

    def add(self, method: str, path: str, handler: Handler, *, admin: bool = False) -> None:
        """Serve `method path` with `handler`; `admin` refuses callers without the admin role."""

        async def checked(request: Request) -> Call:
            caller = self._authenticate(request)
            if admin and not caller.is_admin:
                raise ApiError(403, "Policy doesn't allow this request to be performed: the admin role is required.")
            return Call(request, caller, await read_body(request))

        async def endpoint(request: Request) -> Response:
            return await self.guarded(request, lambda: checked(request), handler)

        self.routes.append(Route(self._prefix + path, endpoint, methods=[method]))

    def add_open(self, method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> None:
        """Serve `method path` without a token: version documents and authentication itself."""

        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request)
            except ApiError as fault:
                return fault_response(self.service_type, fault)

        self.routes.append(Route(self._prefix + path, endpoint, methods=[method]))

    async def guarded(self, request: Request, enter: Callable[[], Awaitable[Call]], handler: Handler) -> Response:
        request_id = f"req-{new_id()}"
        headers = {"x-openstack-request-id": request_id}
        try:
            response = await handler(await enter())
        except ApiError as fault:
            if fault.status == 401:
                headers["WWW-Authenticate"] = f'Keystone uri="{request.base_url}identity"'
            return fault_response(self.service_type, fault, headers)
        except Exception:
            log.exception("%s %s failed (%s)", request.method, request.url.path, request_id)
            unexpected = ApiError(500, f"Unexpected error; the site's log has it under {request_id}.")
            return fault_response(self.service_type, unexpected, headers)
        response.headers.update(headers)
        return response
