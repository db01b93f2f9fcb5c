"""Glance v2: the one image that the site brings along."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulator.it_site.api import Call, Service, Site, json_response
from emulator.it_site.faults import not_found

PREFIX = "/image"
IMAGE_NAME = "geysers-minimal"


def image_id(site: Site) -> str:
    """Name the bundled image by its id."""
    return site.stable_id("image", IMAGE_NAME)


class Glance(Service):
    """The image service of one site."""

    def __init__(self, site: Site, authenticate: Any) -> None:
        super().__init__("image", PREFIX, authenticate)
        self._site = site
        for path in ("", "/"):
            self.add_open("GET", path, self._versions)
        self.add("GET", "/v2/images", self._list)
        self.add("GET", "/v2/images/{image_id}", self._show)

    async def _versions(self, request: Request) -> Response:
        links = [{"rel": "self", "href": f"{self._site.base_url}{PREFIX}/v2/"}]
        return json_response({"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]}, 300)

    def _document(self) -> dict[str, Any]:
        identifier = image_id(self._site)
        return {
            "id": identifier, "name": IMAGE_NAME, "status": "active", "visibility": "public", "protected": True,
            "disk_format": "qcow2", "container_format": "bare", "min_disk": 1, "min_ram": 64, "size": 16_777_216,
            "virtual_size": 67_108_864, "checksum": None, "os_hidden": False, "tags": [], "owner": None,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            "self": f"/v2/images/{identifier}", "file": f"/v2/images/{identifier}/file", "schema": "/v2/schemas/image",
        }  # fmt: skip

    async def _list(self, call: Call) -> Response:
        document, query = self._document(), call.query
        shown = query.get("name", IMAGE_NAME) == IMAGE_NAME and query.get("os_hidden", "false").lower() != "true"
        shown = shown and "marker" not in query
        images = [document] if shown else []
        return json_response({"images": images, "schema": "/v2/schemas/images", "first": "/v2/images"})

    async def _show(self, call: Call) -> Response:
        if call.path["image_id"] != image_id(self._site):
            raise not_found("Image", call.path["image_id"])
        return json_response(self._document())
