"""The driver of one data centre, over openstacksdk.

    part of a reservation = one project  `geysers-<reservation>-<part>`, quotas = the share
    demand in a part      = one flavour  `<project name>-<vCPUs>-<GiB>`
    server of a part      = one server and at most one volume, both with the metadata `geysers` = server_id

openstacksdk blocks, so each site has one thread; what takes long is waited for in the event loop. A step looks for what
it would make before it makes it, so that a sequence cut anywhere is completed, or undone, by running it again. Only
what lies in projects and flavours of these names is ever removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openstack
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceRejected,
    DeviceUnreachable,
    GeysersError,
    NotAuthenticated,
    ResourceExhausted,
)
from controller.domain.it import ItResourceState, Server
from controller.domain.reservation import ItPart
from controller.ports.clock import Clock

T = TypeVar("T")
MARK = "geysers"
IMAGE_NAME = "geysers-minimal"
ADMIN_ROLE = "admin"
LEAST_PAUSE_S, MOST_PAUSE_S = 0.05, 1.0
_SHORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,38}")
_STATES = {"ACTIVE": ItResourceState.ACTIVE, "ERROR": ItResourceState.ERROR}


@dataclass(frozen=True, slots=True)
class ItSiteFacts:
    """What a site says of itself; powers are means over its physical servers."""

    vcpu_count: int
    memory_gib: int
    storage_gib: int
    vcpus_used: int
    server_idle_w: float
    vcpu_w: float
    pue: float
    facility_power_w: float
    awake: bool


@dataclass(frozen=True, slots=True)
class SiteServer:
    """A server as the site has it."""

    server_id: str
    instance_uuid: str
    volume_uuid: str
    state: ItResourceState
    fault: str


class OpenStackDriver:
    """One data centre; `credentials_file` holds the arguments of openstack.connect as JSON.

    The administrator's password goes only where a certificate was checked; `allow_plain_text` is for tests. Calls about
    one part are made one after the other: the caller sees to it.
    """

    def __init__(
        self,
        site_id: str,
        credentials_file: Path,
        clock: Clock,
        *,
        timeout_s: float = 10.0,
        build_s: float = 120.0,
        allow_plain_text: bool = False,
    ) -> None:
        self.site_id = site_id
        self._credentials_file = credentials_file
        self._clock = clock
        self._timeout_s = timeout_s
        self._build_s = build_s
        self._allow_plain_text = allow_plain_text
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"site-{site_id}")
        self._admin_connection: Any = None
        self._tenants: dict[str, Any] = {}
        self._ready: set[str] = set()

    async def close(self) -> None:
        """Close the connections; the site keeps everything."""
        await self._run("close", self._close, changes=False)
        self._thread.shutdown(wait=False)

    async def facts(self) -> ItSiteFacts:
        """Capacity and power of the site now. Raises DeviceUnreachable, NotAuthenticated, DeviceRejected."""
        return await self._run("read the site", self._facts, changes=False)

    async def create_server(self, reservation_id: str, part: ItPart, server: Server) -> Server:
        """Make a server with its volume attached, or complete what an earlier call began.

        Raises ResourceExhausted when the site cannot hold it: then nothing is left of it.
        """
        project = project_name(reservation_id, part.part_id)
        await self._reach()
        await self._run("make the project", lambda: self._ensure_project(project, part))
        flavour = await self._run("make the flavour", lambda: self._ensure_flavour(project, server))
        try:
            await self._run("make the server", lambda: self._ensure_server(project, server, flavour))
            await self._run("make the volume", lambda: self._ensure_volume(project, server))
            await self._until(lambda: self._volume_is_built(project, server.server_id), server.server_id)
            await self._until(lambda: self._server_is_built(project, server.server_id), server.server_id)
            await self._run("attach the volume", lambda: self._attach(project, server.server_id))
        except ResourceExhausted:
            await self._remove_server(project, server.server_id)
            raise
        found = await self._run("read the server", lambda: self._list(project), changes=False)
        made = found.get(server.server_id)
        if made is None:
            raise DeviceInDoubt(f"{self.site_id}: server {server.server_id!r} was made and is not listed: ask again")
        return Server(
            server.server_id, server.vcpu_count, server.memory_gib, server.volume_gib,
            made.state, made.instance_uuid, made.volume_uuid, made.fault,
        )  # fmt: skip

    async def list_servers(self, reservation_id: str, part_id: str) -> Mapping[str, SiteServer]:
        """Servers of one part by server_id."""
        project = project_name(reservation_id, part_id)
        return await self._run("list the servers", lambda: self._list(project), changes=False)

    async def delete_server(self, reservation_id: str, part_id: str, server_id: str) -> None:
        """Remove a server, its volume, and its flavour when no server of the part has it."""
        await self._reach()
        await self._remove_server(project_name(reservation_id, part_id), server_id)

    async def remove_part(self, reservation_id: str, part_id: str) -> None:
        """Remove all that a part ever made: servers, volumes, flavours, project."""
        project = project_name(reservation_id, part_id)
        await self._reach()
        await self._run("remove the servers", lambda: self._delete_servers(project, None))
        await self._until(lambda: self._servers_are_gone(project, None), project)
        await self._run("remove the volumes", lambda: self._delete_volumes(project, None))
        await self._until(lambda: self._volumes_are_gone(project, None), project)
        await self._run("remove the project", lambda: self._delete_project(project))

    async def _reach(self) -> None:
        """Ask the site anything before a sequence of changes: DeviceUnreachable here means that nothing was changed."""
        await self._run(
            "reach the site", lambda: next(iter(self._admin.identity.roles(name=ADMIN_ROLE)), None), changes=False
        )

    async def _remove_server(self, project: str, server_id: str) -> None:
        await self._run("remove the server", lambda: self._delete_servers(project, server_id))
        await self._until(lambda: self._servers_are_gone(project, server_id), server_id)
        await self._run("remove the volume", lambda: self._delete_volumes(project, server_id))
        await self._until(lambda: self._volumes_are_gone(project, server_id), server_id)
        await self._run("remove the flavour", lambda: self._delete_flavours(project, unused_only=True))

    async def _until(self, is_reached: Callable[[], bool], what: str) -> None:
        """Ask the site again until it says yes; DeviceInDoubt when it takes longer than `build_s`."""
        end_tick_s = self._clock.tick_s() + self._build_s
        pause_s = LEAST_PAUSE_S
        while not await self._run("wait", is_reached, changes=False):
            if self._clock.tick_s() + pause_s > end_tick_s:
                raise DeviceInDoubt(f"{self.site_id}: {what} is still on its way after {self._build_s:g} s: ask again")
            await self._clock.sleep_s(pause_s)
            pause_s = min(1.5 * pause_s, MOST_PAUSE_S)

    async def _run(self, step: str, work: Callable[[], T], *, changes: bool = True) -> T:
        """Run one step in the site's thread, errors translated."""

        def translated() -> T:
            try:
                return work()
            except (sdk_errors.SDKException, keystone_errors.ClientException) as error:
                raise self._error(step, error, changes=changes) from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, translated)

    def _error(self, step: str, error: Exception, *, changes: bool) -> GeysersError:
        where = f"site {self.site_id}: {step}"
        if isinstance(error, keystone_errors.Unauthorized):
            # A project removed behind our back takes its tokens along: look for it anew next time.
            self._forget_tenants()
            return NotAuthenticated(f"{where}: the site does not accept {self._credentials_file.name}: renew it")
        if isinstance(error, sdk_errors.HttpException) and error.status_code is not None:
            if error.status_code == 413 or (error.status_code == 403 and "uota" in str(error)):
                return ResourceExhausted(f"{where}: {error}")
            if error.status_code < 500:
                return DeviceRejected(f"{where}: {error}")
        if changes and not isinstance(error, keystone_errors.CatalogException):
            return DeviceInDoubt(f"{where}: no clear answer: read back ({error})")
        return DeviceUnreachable(f"{where}: {error}")

    # -- below: steps that run in the site's thread -----------------------------------------------------------------

    @property
    def _admin(self) -> Any:
        if self._admin_connection is None:
            self._admin_connection = self._connect()
        return self._admin_connection

    def _connect(self, **scope: str) -> Any:
        try:
            settings = json.loads(self._credentials_file.read_text())
        except (OSError, ValueError) as error:
            raise NotAuthenticated(
                f"site {self.site_id}: {self._credentials_file} is not readable as JSON: {error}"
            ) from error
        self._check_settings(settings)
        settings |= {"load_yaml_config": False, "load_envvars": False, "api_timeout": self._timeout_s}
        return openstack.connect(**settings | scope)

    def _check_settings(self, settings: Any) -> None:
        """Refuse what would send the password to whoever answers."""
        where = f"site {self.site_id}: {self._credentials_file}"
        if not isinstance(settings, dict):
            raise NotAuthenticated(f"{where} must be an object with the arguments of openstack.connect")
        if self._allow_plain_text:
            return
        nested = settings.get("auth")
        urls = [settings.get("auth_url"), nested.get("auth_url") if isinstance(nested, dict) else None]
        given = [url for url in urls if url is not None]
        if not given or not all(isinstance(url, str) and urlsplit(url).scheme == "https" for url in given):
            raise NotAuthenticated(f"{where}: auth_url: use an https:// address")
        if settings.get("verify", True) is not True or settings.get("insecure", False) is not False:
            raise NotAuthenticated(
                f"{where}: the site's certificate would not be checked: remove verify and insecure, name its "
                "authority as cacert"
            )

    def _tenant(self, name: str) -> Any:
        """Connection scoped to a part's project, in which the administrator gets a role first; None without project."""
        if name not in self._tenants:
            identity = self._admin.identity
            project = self._project(name)
            if project is None:
                return None
            role = next(iter(identity.roles(name=ADMIN_ROLE)), None)
            if role is None:
                raise DeviceRejected(f"site {self.site_id}: no role {ADMIN_ROLE!r}: make it, and give it to our user")
            identity.assign_project_role_to_user(project, self._admin.current_user_id, role)
            self._tenants[name] = self._connect(project_name=name)
        return self._tenants[name]

    def _forget_tenants(self) -> None:
        for connection in self._tenants.values():
            connection.close()
        self._tenants.clear()
        self._ready.clear()

    def _close(self) -> None:
        self._forget_tenants()
        if self._admin_connection is not None:
            self._admin_connection.close()
            self._admin_connection = None

    def _facts(self) -> ItSiteFacts:
        totals = self._admin.compute.get("/os-hypervisors/statistics")
        sdk_errors.raise_from_response(totals)
        statistics = totals.json()["hypervisor_statistics"]
        pools = [pool.capabilities for pool in self._admin.block_storage.backend_pools()]
        answer = self._admin.session.get("/", endpoint_filter={"service_type": "geysers-power"})
        power = answer.json()["power"]
        machines = power["servers"]
        vcpu_w = [(m["max_power_w"] - m["idle_power_w"]) / m["vcpus"] for m in machines]
        return ItSiteFacts(
            vcpu_count=int(statistics["vcpus"]),
            memory_gib=int(statistics["memory_mb"]) // 1024,
            storage_gib=sum(int(pool["total_capacity_gb"]) for pool in pools),
            vcpus_used=int(statistics["vcpus_used"]),
            server_idle_w=sum(m["idle_power_w"] for m in machines) / max(1, len(machines)),
            vcpu_w=sum(vcpu_w) / max(1, len(vcpu_w)),
            pue=float(power["pue"]),
            facility_power_w=float(power["facility_power_w"]),
            awake=any(m["state"] == "active" for m in machines),
        )

    def _project(self, name: str) -> Any:
        return next(iter(self._admin.identity.projects(name=name)), None)

    def _ensure_project(self, name: str, part: ItPart) -> None:
        if name in self._ready:
            return
        project = self._project(name)
        if project is None:
            project = self._admin.identity.create_project(name=name, description="A share leased through GEYSERS")
        # A server has at least one vCPU, so no more than vcpu_count servers and volumes fit into the share.
        self._admin.compute.update_quota_set(
            project.id, cores=part.vcpu_count, ram=part.memory_gib * 1024, instances=part.vcpu_count
        )
        self._admin.block_storage.update_quota_set(project.id, gigabytes=part.storage_gib, volumes=part.vcpu_count)
        self._tenant(name)
        self._ready.add(name)

    def _ensure_flavour(self, project: str, server: Server) -> str:
        name = flavour_name(project, server)
        # The name tells the demand, so a flavour that is there already is the one that is wanted.
        with contextlib.suppress(sdk_errors.ConflictException):
            self._admin.compute.create_flavor(
                name=name, id=name, vcpus=server.vcpu_count, ram=server.memory_gib * 1024, disk=0
            )
        return name

    def _servers(self, project: str, server_id: str | None) -> list[Any]:
        """Servers of a part with this mark, or all; the first is the one that counts."""
        tenant = self._tenant(project)
        listed = [] if tenant is None else sorted(tenant.compute.servers(), key=lambda s: str(s.id))
        return [s for s in listed if server_id is None or s.metadata.get(MARK) == server_id]

    def _volumes(self, project: str, server_id: str | None) -> list[Any]:
        tenant = self._tenant(project)
        listed = [] if tenant is None else sorted(tenant.block_storage.volumes(), key=lambda v: str(v.id))
        return [v for v in listed if server_id is None or v.metadata.get(MARK) == server_id]

    def _ensure_server(self, project: str, server: Server, flavour: str) -> None:
        found = self._servers(project, server.server_id)
        for extra in found[1:]:
            # A request thought lost arrived after its repetition.
            self._tenants[project].compute.delete_server(extra, ignore_missing=True)
        if found:
            return
        compute = self._tenants[project].compute
        image = next(iter(self._admin.image.images(name=IMAGE_NAME)), None)
        if image is None:
            raise DeviceRejected(f"site {self.site_id}: no image {IMAGE_NAME!r}: upload it")
        compute.create_server(
            name=server.server_id, flavor_id=flavour, image_id=image.id, networks="none",
            metadata={MARK: server.server_id},
        )  # fmt: skip

    def _ensure_volume(self, project: str, server: Server) -> None:
        if server.volume_gib and not self._volumes(project, server.server_id):
            self._tenants[project].block_storage.create_volume(
                size=server.volume_gib, name=server.server_id, metadata={MARK: server.server_id}
            )

    def _server_is_built(self, project: str, server_id: str) -> bool:
        server = next(iter(self._servers(project, server_id)), None)
        if server is None:
            raise DeviceInDoubt(f"site {self.site_id}: server {server_id!r} vanished while it was built: ask again")
        if server.status == "ERROR":
            raise ResourceExhausted(f"site {self.site_id}: {_fault(server) or 'the server could not be built'}")
        return bool(server.status == "ACTIVE")

    def _volume_is_built(self, project: str, server_id: str) -> bool:
        volumes = self._volumes(project, server_id)
        if any(volume.status == "error" for volume in volumes):
            raise ResourceExhausted(
                f"site {self.site_id}: the volume of {server_id!r} could not be built: ask for less"
            )
        return all(volume.status in ("available", "in-use") for volume in volumes)

    def _attach(self, project: str, server_id: str) -> None:
        server = self._servers(project, server_id)[0]
        compute = self._tenants[project].compute
        attached = {attachment.volume_id for attachment in compute.volume_attachments(server)}
        for volume in self._volumes(project, server_id)[:1]:
            if volume.id not in attached:
                compute.create_volume_attachment(server, volume)

    def _list(self, project: str) -> dict[str, SiteServer]:
        volumes = {volume.metadata.get(MARK): str(volume.id) for volume in reversed(self._volumes(project, None))}
        return {
            server_id: SiteServer(
                server_id,
                str(server.id),
                volumes.get(server_id, ""),
                _STATES.get(server.status, ItResourceState.BUILDING),
                _fault(server),
            )
            for server in reversed(self._servers(project, None))
            if (server_id := server.metadata.get(MARK)) is not None
        }

    def _delete_servers(self, project: str, server_id: str | None) -> None:
        for server in self._servers(project, server_id):
            self._tenants[project].compute.delete_server(server, ignore_missing=True)

    def _servers_are_gone(self, project: str, server_id: str | None) -> bool:
        return not self._servers(project, server_id)

    def _delete_volumes(self, project: str, server_id: str | None) -> None:
        for volume in self._volumes(project, server_id):
            if volume.status in ("available", "error"):
                self._tenants[project].block_storage.delete_volume(volume, ignore_missing=True)

    def _volumes_are_gone(self, project: str, server_id: str | None) -> bool:
        # A volume is let go by its server, or finishes being made, some time after we asked: ask for it again.
        self._delete_volumes(project, server_id)
        return not self._volumes(project, server_id)

    def _delete_flavours(self, project: str, *, unused_only: bool) -> None:
        in_use = {
            server.flavor.get("original_name") or server.flavor.get("id") for server in self._servers(project, None)
        }
        # Exactly this part's: the name of one part may begin with the name of another.
        ours = re.compile(re.escape(project) + r"-\d+-\d+")
        for flavour in list(self._admin.compute.flavors()):
            if ours.fullmatch(flavour.name) and not (unused_only and flavour.name in in_use):
                self._admin.compute.delete_flavor(flavour, ignore_missing=True)

    def _delete_project(self, project: str) -> None:
        self._delete_flavours(project, unused_only=False)
        self._ready.discard(project)
        connection = self._tenants.pop(project, None)
        if connection is not None:
            connection.close()
        found = self._project(project)
        if found is not None:
            self._admin.delete_compute_quotas(found.id)
            self._admin.delete_volume_quotas(found.id)
            self._admin.identity.delete_project(found, ignore_missing=True)


def project_name(reservation_id: str, part_id: str) -> str:
    """Name of the project that one IT part becomes; at most 64 characters, as Keystone takes them."""
    if not _SHORT_NAME.fullmatch(part_id):
        part_id = hashlib.sha256(part_id.encode()).hexdigest()[:32]
    return f"{MARK}-{reservation_id}-{part_id}"


def flavour_name(project: str, server: Server) -> str:
    """Name and id of the flavour for a demand within a part."""
    return f"{project}-{server.vcpu_count}-{server.memory_gib}"


def _fault(server: Any) -> str:
    # Nova's documents have it only for a server in ERROR.
    return str((server.fault or {}).get("message", "")) if server.status == "ERROR" else ""
