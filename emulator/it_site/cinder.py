"""Cinder v3: volumes in one storage pool, quotas, limits and the pool's free space."""

import ast
import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulator.it_site.api import Call, Service, Site, json_response, new_id, page, part, string_map, text, whole
from emulator.it_site.faults import ApiError, not_found
from emulator.it_site.glance import image_id
from emulator.it_site.model import Attachment, Volume
from emulator.it_site.quotas import CINDER_DEFAULTS, QuotaBook

PREFIX = "/volume"
_IN_POOL = frozenset({"available", "in-use"})


class Cinder(Service):
    """The block storage service of one site."""

    def __init__(self, site: Site, authenticate: Any) -> None:
        super().__init__("block-storage", PREFIX, authenticate)
        self._site = site
        self._state = site.state
        self._quotas = QuotaBook(site, "cinder", CINDER_DEFAULTS)
        for path in ("", "/", "/v3", "/v3/"):
            self.add_open("GET", path, self._versions)
        self._quotas.serve(self, "/v3", self._used)
        self.add("POST", "/v3/volumes", self._create)
        for path in ("/v3/volumes", "/v3/volumes/detail"):
            self.add("GET", path, self._list)
        self.add("GET", "/v3/volumes/{volume_id}", self._show)
        self.add("DELETE", "/v3/volumes/{volume_id}", self._delete)
        self.add("GET", "/v3/limits", self._limits)
        self.add("GET", "/v3/scheduler-stats/get_pools", self._pools, admin=True)

    async def _versions(self, request: Request) -> Response:
        document = {
            "id": "v3.0", "status": "CURRENT", "min_version": "3.0", "version": "3.60",
            "updated": "2020-01-01T00:00:00Z",
            "links": [{"rel": "self", "href": f"{self._site.base_url}{PREFIX}/v3/"}],
        }  # fmt: skip
        return json_response({"versions": [document]}, 200 if "v3" in request.url.path else 300)

    def _used(self, project_id: str) -> Mapping[str, int]:
        volumes = self._state.list(Volume, lambda v: v.project_id == project_id)
        return {"volumes": len(volumes), "gigabytes": sum(v.size_gib for v in volumes)}

    def _free_gib(self) -> int:
        volumes = self._state.list(Volume, lambda v: v.status in _IN_POOL)
        return self._site.storage_gib - sum(v.size_gib for v in volumes)

    def _document(self, volume: Volume) -> dict[str, Any]:
        attachment = self._state.get(Attachment, volume.id)
        attachments = []
        if attachment is not None:
            attachments.append({
                "id": volume.id, "attachment_id": attachment.attachment_id, "volume_id": volume.id,
                "server_id": attachment.server_id, "device": attachment.device, "host_name": None,
                "attached_at": attachment.attached_at,
            })  # fmt: skip
        return {
            "id": volume.id, "name": volume.name, "description": volume.description, "size": volume.size_gib,
            "status": volume.status, "created_at": volume.created, "updated_at": volume.updated,
            "metadata": dict(volume.metadata), "attachments": attachments, "user_id": volume.user_id,
            "os-vol-tenant-attr:tenant_id": volume.project_id, "volume_type": "pool",
            "bootable": "true" if volume.bootable else "false", "encrypted": False, "multiattach": False,
            "availability_zone": self._site.region, "snapshot_id": None, "source_volid": None,
            "replication_status": None, "consistencygroup_id": None, "links": [],
        }  # fmt: skip

    def _volume(self, call: Call) -> Volume:
        volume = self._state.get(Volume, call.path["volume_id"])
        if volume is None or not call.caller.owns(volume.project_id):
            raise not_found("Volume", call.path["volume_id"])
        return volume

    async def _create(self, call: Call) -> Response:
        asked = part(call.body, "volume")
        project_id, size = call.caller.project_id, whole(asked, "size", least=1, most=1 << 30)
        image = asked.get("imageRef") or None
        if image is not None and image != image_id(self._site):
            raise ApiError(400, f"Invalid image identifier or unable to access requested image {image}.")
        self._check_quota(project_id, size)
        now = self._site.timestamp()
        volume = Volume(
            new_id(), text(asked, "name", "") if asked.get("name") else None, project_id,
            call.caller.token.user_id, size, "creating", now, now,
            text(asked, "description", "") if asked.get("description") else None,
            string_map(asked, "metadata"), image, image is not None,
        )  # fmt: skip
        with self._state.transaction() as transaction:
            transaction.put(volume)
        self._site.spawn(self.build(volume.id))
        return json_response({"volume": self._document(volume)}, 202)

    def _check_quota(self, project_id: str, size_gib: int) -> None:
        used, limits = self._used(project_id), self._quotas.limits(project_id)
        if 0 <= limits["per_volume_gigabytes"] < size_gib:
            raise ApiError(
                413, f"VolumeSizeExceedsLimit: Requested volume size {size_gib} is larger than maximum allowed "
                f"limit {limits['per_volume_gigabytes']}.",
            )  # fmt: skip
        if 0 <= limits["gigabytes"] < used["gigabytes"] + size_gib:
            raise ApiError(
                413, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. "
                f"Requested {size_gib}G, quota is {limits['gigabytes']}G and {used['gigabytes']}G has been consumed.",
            )  # fmt: skip
        if 0 <= limits["volumes"] < used["volumes"] + 1:
            raise ApiError(
                413, f"VolumeLimitExceeded: Maximum number of volumes allowed ({limits['volumes']}) exceeded for "
                "quota 'volumes'.",
            )  # fmt: skip

    async def build(self, volume_id: str) -> None:
        """Bring a volume from creating to available, or to error when the pool has no room."""
        await asyncio.sleep(self._site.build_s)
        volume = self._state.get(Volume, volume_id)
        if volume is None or volume.status != "creating":
            return
        status = "available" if self._free_gib() >= volume.size_gib else "error"
        with self._state.transaction() as transaction:
            transaction.put(replace(volume, status=status, updated=self._site.timestamp()))

    async def _list(self, call: Call) -> Response:
        query = call.query
        everyone = call.caller.is_admin and query.get("all_tenants", "0").lower() in {"1", "true"}
        own, name, status = call.caller.token.project_id, query.get("name"), query.get("status")
        metadata = self._metadata_filter(query.get("metadata"))
        volumes = self._state.list(
            Volume,
            lambda v: (
                (everyone or v.project_id == own)
                and (name is None or v.name == name)
                and (status is None or v.status == status)
                and metadata.items() <= dict(v.metadata).items()
            ),
        )
        return json_response({"volumes": [self._document(v) for v in page(call, volumes, lambda v: v.id)]})

    def _metadata_filter(self, given: str | None) -> dict[str, str]:
        if given is None:
            return {}
        try:
            wanted = ast.literal_eval(given)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise ApiError(400, "Invalid filter metadata: write {'key': 'value'}.") from error
        if not isinstance(wanted, dict):
            raise ApiError(400, "Invalid filter metadata: write {'key': 'value'}.")
        return {str(key): str(value) for key, value in wanted.items()}

    async def _show(self, call: Call) -> Response:
        return json_response({"volume": self._document(self._volume(call))})

    async def _delete(self, call: Call) -> Response:
        volume = self._volume(call)
        if volume.status not in {"available", "error"}:
            raise ApiError(
                400, f"Invalid volume: Volume status must be available or error, but it is: {volume.status}."
            )
        with self._state.transaction() as transaction:
            transaction.delete(volume)
        return Response(status_code=202)

    async def _limits(self, call: Call) -> Response:
        project_id = call.caller.project_id
        limits, used = self._quotas.limits(project_id), self._used(project_id)
        absolute = {
            "maxTotalVolumes": limits["volumes"], "maxTotalVolumeGigabytes": limits["gigabytes"],
            "maxTotalSnapshots": limits["snapshots"], "maxTotalBackups": limits["backups"],
            "maxTotalBackupGigabytes": limits["backup_gigabytes"], "totalVolumesUsed": used["volumes"],
            "totalGigabytesUsed": used["gigabytes"], "totalSnapshotsUsed": 0, "totalBackupsUsed": 0,
            "totalBackupGigabytesUsed": 0,
        }  # fmt: skip
        return json_response({"limits": {"rate": [], "absolute": absolute}})

    async def _pools(self, call: Call) -> Response:
        capabilities = {
            "total_capacity_gb": self._site.storage_gib, "free_capacity_gb": self._free_gib(),
            "allocated_capacity_gb": self._site.storage_gib - self._free_gib(), "storage_protocol": "emulated",
            "volume_backend_name": "pool", "driver_version": "1.0", "reserved_percentage": 0, "vendor_name": "geysers",
        }  # fmt: skip
        return json_response({"pools": [{"name": f"{self._site.name}@pool#pool", "capabilities": capabilities}]})
