"""Power extension (catalogue type `geysers-power`): watts of every physical server, from what is sold of it."""

from typing import Any

from starlette.responses import Response

from emulator.it_site import scheduler
from emulator.it_site.api import Call, Service, Site, json_response
from emulator.it_site.model import Host, Server

PREFIX = "/power"


class Power(Service):
    """The power meter of one site."""

    def __init__(self, site: Site, authenticate: Any) -> None:
        super().__init__("geysers-power", PREFIX, authenticate)
        self._site = site
        for path in ("", "/"):
            self.add("GET", path, self._show, admin=True)

    def _server(self, host: Host, use: scheduler.HostUse) -> dict[str, Any]:
        return {
            "hostname": host.name, "hypervisor_id": host.uuid, "state": "active" if use.machines else "asleep",
            "vcpus": host.vcpus, "vcpus_used": use.vcpus, "utilisation": use.vcpus / host.vcpus,
            "power_w": scheduler.power_w(host, use), "idle_power_w": host.idle_w, "max_power_w": host.max_w,
        }  # fmt: skip

    async def _show(self, call: Call) -> Response:
        uses = scheduler.use_by_host(self._site.state.list(Server))
        servers = [self._server(host, uses.get(host.name, scheduler.HostUse())) for host in self._site.hosts]
        it_power_w = sum(server["power_w"] for server in servers)
        return json_response({"power": {
            "site": self._site.name, "region": self._site.region, "pue": self._site.pue, "it_power_w": it_power_w,
            "facility_power_w": it_power_w * self._site.pue, "servers": servers,
        }})  # fmt: skip
