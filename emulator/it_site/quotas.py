"""Quota sets per project, as Nova and Cinder share them."""

from collections.abc import Callable, Mapping

from starlette.responses import Response

from emulator.it_site.api import Call, Service, Site, json_response, part, whole
from emulator.it_site.faults import ApiError
from emulator.it_site.model import Quota

NOVA_DEFAULTS = {
    "instances": 10, "cores": 20, "ram": 51200, "key_pairs": 100, "metadata_items": 128, "server_groups": 10,
    "server_group_members": 10,
}  # fmt: skip
CINDER_DEFAULTS = {
    "volumes": 10, "gigabytes": 1000, "snapshots": 10, "backups": 10, "backup_gigabytes": 1000, "groups": 10,
    "per_volume_gigabytes": -1,
}  # fmt: skip
Usage = Callable[[str], Mapping[str, int]]


class QuotaBook:
    """The limits of every project for one service; a project without a record has the defaults."""

    def __init__(self, site: Site, service: str, defaults: Mapping[str, int]) -> None:
        self._site = site
        self._service = service
        self._defaults = defaults
        self._used: Usage = lambda project_id: {}

    def limits(self, project_id: str) -> dict[str, int]:
        quota = self._site.state.get(Quota, f"{self._service}:{project_id}")
        return {**self._defaults, **(quota.limits if quota else {})}

    def serve(self, service: Service, base: str, used: Usage) -> None:
        """Answer `os-quota-sets` below `base`."""
        self._used = used
        path = base + "/os-quota-sets/{project_id}"
        service.add("GET", path, self._show)
        service.add("GET", path + "/detail", self._show_detail)
        service.add("GET", path + "/defaults", self._show_defaults)
        service.add("PUT", path, self._update, admin=True)
        service.add("DELETE", path, self._reset, admin=True)

    def _project(self, call: Call) -> str:
        project_id = call.path["project_id"]
        if not call.caller.owns(project_id):
            raise ApiError(403, "Policy doesn't allow the quotas of another project to be read.")
        return project_id

    def _detail(self, project_id: str) -> dict[str, Mapping[str, int]]:
        used = self._used(project_id)
        return {
            key: {"limit": limit, "in_use": used.get(key, 0), "reserved": 0}
            for key, limit in self.limits(project_id).items()
        }

    async def _show(self, call: Call) -> Response:
        project_id = self._project(call)
        if call.query.get("usage", "").lower() == "true":
            return json_response({"quota_set": {"id": project_id, **self._detail(project_id)}})
        return json_response({"quota_set": {"id": project_id, **self.limits(project_id)}})

    async def _show_detail(self, call: Call) -> Response:
        project_id = self._project(call)
        return json_response({"quota_set": {"id": project_id, **self._detail(project_id)}})

    async def _show_defaults(self, call: Call) -> Response:
        return json_response({"quota_set": {"id": call.path["project_id"], **self._defaults}})

    async def _update(self, call: Call) -> Response:
        project_id, asked = self._project(call), dict(part(call.body, "quota_set"))
        force = asked.pop("force", False) is True
        limits, used = self.limits(project_id), self._used(project_id)
        for key in asked:
            if key not in self._defaults:
                raise ApiError(400, f"Invalid input for field/attribute quota_set.{key}: no such quota.")
            limits[key] = whole(asked, key, least=-1, most=(1 << 31) - 1)
            if not force and 0 <= limits[key] < used.get(key, 0):
                raise ApiError(
                    400, f"Quota limit {limits[key]} for {key} must be at least the {used[key]} already used."
                )
        with self._site.state.transaction() as transaction:
            transaction.put(Quota(f"{self._service}:{project_id}", limits))
        return json_response({"quota_set": limits})

    async def _reset(self, call: Call) -> Response:
        quota = self._site.state.get(Quota, f"{self._service}:{self._project(call)}")
        if quota is not None:
            with self._site.state.transaction() as transaction:
                transaction.delete(quota)
        return Response(status_code=202 if self._service == "nova" else 200)
