"""The site as one HTTP server inside the emulator's event loop."""

import asyncio
import contextlib
import json
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from emulator.it_site import identity, keystone
from emulator.it_site.api import Caller, Site
from emulator.it_site.cinder import Cinder
from emulator.it_site.faults import ApiError, fault_response
from emulator.it_site.glance import Glance
from emulator.it_site.keystone import Keystone
from emulator.it_site.model import Flavor, Host, ItSite, Project, Server, User, Volume
from emulator.it_site.neutron import Neutron
from emulator.it_site.nova import Nova
from emulator.it_site.power import Power
from emulator.it_site.state import SiteState
from emulator.tls import TlsFiles

ADMIN_FILE = "admin.json"
STATE_FILE = "it_site.sqlite3"
PORT_FILE = "port"
_START_FLAVORS = (
    Flavor("1", "m1.small", 1, 2048, 20), Flavor("2", "m1.medium", 2, 4096, 40), Flavor("3", "m1.large", 4, 8192, 80),
)  # fmt: skip


class _EmbeddedServer(uvicorn.Server):
    """uvicorn without its signal handlers: the process that embeds it owns SIGINT and SIGTERM."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class ItSiteHandle:
    """A running site; `url` is the base URL of its Keystone."""

    def __init__(self, url: str, admin_file: Path, server: uvicorn.Server, state: SiteState) -> None:
        self.url = url
        self.admin_file = admin_file
        self._server = server
        self._state = state
        self._runner: asyncio.Task[None] | None = None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self._runner = asyncio.get_running_loop().create_task(work, name=f"it-site {self.url}")

    async def close(self) -> None:
        """Stop serving; unfinished builds go on at the next start."""
        self._server.should_exit = True
        if self._runner is not None:
            try:
                await self._runner
            finally:
                self._runner = None
                self._state.close()


def _bind(host: str, port: int, port_file: Path) -> socket.socket:
    """Listen on `port`; with port 0, on the port of the last start if it is still free."""
    remembered = int(port_file.read_text()) if port == 0 and port_file.exists() else 0
    listener: socket.socket | None = None
    if remembered:
        with contextlib.suppress(OSError):
            listener = socket.create_server((host, remembered), backlog=128)
    listener = listener or socket.create_server((host, port), backlog=128)
    # Head and body of an answer are two writes: with Nagle each one costs a client's delayed ACK of 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port_file.write_text(str(listener.getsockname()[1]))
    return listener


def _hosts(site: ItSite, stable_id: Callable[..., str]) -> list[Host]:
    return [
        Host(number, f"{site.name}-server-{number}", stable_id("host", str(number)), server.vcpus,
             server.memory_gib * 1024, server.idle_w, server.max_w)
        for number, server in enumerate(site.servers, start=1)
    ]  # fmt: skip


def _write_private(path: Path, content: str) -> None:
    """Replace `path` atomically by a file that only its owner reads."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _ensure_admin(site: Site, admin_file: Path, tls: TlsFiles | None) -> None:
    """The administrator with a generated password, written where only the owner of the process can read it."""
    known = json.loads(admin_file.read_text()) if admin_file.exists() else {}
    password = known.get("password") or secrets.token_urlsafe(24)
    _write_private(admin_file, json.dumps({
        "auth_url": f"{site.base_url}{keystone.PREFIX}/v3", "username": "admin", "password": password,
        "project_name": "admin", "user_domain_name": identity.DOMAIN_NAME,
        "project_domain_name": identity.DOMAIN_NAME, "region_name": site.region,
        **({} if tls is None else {"cacert": str(tls.ca_certificate_file)}),
    }, indent=2))  # fmt: skip
    user_id, project_id = site.stable_id("user", "admin"), site.stable_id("project", "admin").replace("-", "")
    user = site.state.get(User, user_id)
    fresh = site.state.get(Project, project_id) is None
    with site.state.transaction() as transaction:
        if user is None or identity.hash_password(password, user.password_salt) != user.password_hash:
            transaction.put(identity.make_user(user_id, "admin", password))
        if fresh:
            transaction.put(Project(project_id, "admin", "Administration of the site"))
            transaction.put(identity.grant(site, project_id, user_id, identity.role_id(site, "admin")))
            for flavor in _START_FLAVORS:
                transaction.put(flavor)


def _application(services: list[Any]) -> Starlette:
    routes = cast("list[BaseRoute]", [route for service in services for route in service.routes])
    prefixes = {keystone.PREFIX: "identity", "/compute": "compute", "/volume": "block-storage", "/network": "network"}

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        service = next((kind for prefix, kind in prefixes.items() if request.url.path.startswith(prefix)), "identity")
        fault = ApiError(status, f"{request.method} {request.url.path} is not served here.", "HTTPNotFound")
        return fault_response(service, fault)

    return Starlette(routes=routes, exception_handlers={404: refused, 405: refused})


async def start_it_site(
    site: ItSite,
    state_dir: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    build_s: float = 0.2,
    token_lifetime_s: int = 3600,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    tls: TlsFiles | None = None,
) -> ItSiteHandle:
    """Serve `site` on `host:port`; its state lives in `state_dir/<site name>`, credentials in `admin.json` there.

    tls : HTTPS with this identity; None, for tests, is plain HTTP.

    port : 0 takes the port of the last start, or a free one. build_s : seconds that a server or volume takes to build.
    """
    directory = state_dir / site.name
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = _bind(host, port, directory / PORT_FILE)
    base_url = f"{'http' if tls is None else 'https'}://{host}:{listener.getsockname()[1]}"
    state = SiteState(directory / STATE_FILE)
    builds: asyncio.Queue[Awaitable[None]] = asyncio.Queue()
    work = Site(site.name, site.clli, site.pue, site.storage_gib, (), state, now, token_lifetime_s, build_s, base_url,
                builds.put_nowait)  # fmt: skip
    work.hosts = _hosts(site, work.stable_id)
    _ensure_admin(work, directory / ADMIN_FILE, tls)

    def authenticate(request: Request) -> Caller:
        return identity.caller_of(work, request.headers.get("X-Auth-Token"))

    nova, cinder = Nova(work, authenticate), Cinder(work, authenticate)
    services = [Keystone(work, authenticate), nova, cinder, Glance(work, authenticate), Neutron(work, authenticate),
                Power(work, authenticate)]  # fmt: skip
    config = uvicorn.Config(
        _application(services), lifespan="off", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=2, timeout_keep_alive=30,
        ssl_certfile=None if tls is None else tls.certificate_file,
        ssl_keyfile=None if tls is None else tls.private_key_file,
    )  # fmt: skip
    server = _EmbeddedServer(config)
    for unfinished in state.list(Server, lambda s: s.status == "BUILD"):
        builds.put_nowait(nova.build(unfinished.id))
    for growing in state.list(Volume, lambda v: v.status == "creating"):
        builds.put_nowait(cinder.build(growing.id))
    handle = ItSiteHandle(f"{base_url}{keystone.PREFIX}/v3", directory / ADMIN_FILE, server, state)
    handle.run(_serve(server, listener, builds))
    return handle


async def _serve(server: uvicorn.Server, listener: socket.socket, builds: asyncio.Queue[Awaitable[None]]) -> None:
    """Serve until told to stop; builds run beside the requests and are dropped at the end."""

    async def build(step: Awaitable[None]) -> None:
        await step

    async def builder() -> None:
        async with asyncio.TaskGroup() as running:
            while True:
                running.create_task(build(await builds.get()))

    async with asyncio.TaskGroup() as group:
        worker = group.create_task(builder())
        await server.serve(sockets=[listener])
        worker.cancel()
    while not builds.empty():
        step = builds.get_nowait()
        if asyncio.iscoroutine(step):
            step.close()
