"""Nova 2.1: flavours, servers from BUILD to ACTIVE or ERROR, volume attachments, hypervisors, limits, quotas."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulator.it_site import neutron, scheduler
from emulator.it_site.api import Call, Service, Site, json_response, new_id, page, part, string_map, text, whole
from emulator.it_site.faults import ApiError, not_found
from emulator.it_site.glance import image_id
from emulator.it_site.model import Attachment, Flavor, Host, Network, Port, Server, Volume
from emulator.it_site.quotas import NOVA_DEFAULTS, QuotaBook

PREFIX = "/compute"
LOWEST, HIGHEST = (2, 1), (2, 72)


class Nova(Service):
    """The compute service of one site."""

    def __init__(self, site: Site, authenticate: Any) -> None:
        super().__init__("compute", PREFIX, authenticate)
        self._site = site
        self._state = site.state
        self._quotas = QuotaBook(site, "nova", NOVA_DEFAULTS)
        for path in ("", "/", "/v2.1", "/v2.1/"):
            self.add_open("GET", path, self._versions)
        self._quotas.serve(self, "/v2.1", self._used)
        self._add_flavors()
        self._add_servers()
        for path in ("/v2.1/os-hypervisors", "/v2.1/os-hypervisors/detail"):
            self.add("GET", path, self._list_hypervisors, admin=True)
        self.add("GET", "/v2.1/os-hypervisors/statistics", self._statistics, admin=True)
        self.add("GET", "/v2.1/os-hypervisors/{hypervisor_id}", self._show_hypervisor, admin=True)
        self.add("GET", "/v2.1/limits", self._limits)
        self.add("GET", "/v2.1/os-availability-zone", self._zones)

    def _add_flavors(self) -> None:
        self.add("POST", "/v2.1/flavors", self._create_flavor, admin=True)
        for path in ("/v2.1/flavors", "/v2.1/flavors/detail"):
            self.add("GET", path, self._list_flavors)
        self.add("GET", "/v2.1/flavors/{flavor_id}", self._show_flavor)
        self.add("DELETE", "/v2.1/flavors/{flavor_id}", self._delete_flavor, admin=True)
        self.add("GET", "/v2.1/flavors/{flavor_id}/os-extra_specs", self._extra_specs)

    def _add_servers(self) -> None:
        self.add("POST", "/v2.1/servers", self._create_server)
        for path in ("/v2.1/servers", "/v2.1/servers/detail"):
            self.add("GET", path, self._list_servers)
        one = "/v2.1/servers/{server_id}"
        self.add("GET", one, self._show_server)
        self.add("DELETE", one, self._delete_server)
        self.add("GET", one + "/metadata", self._show_metadata)
        self.add("GET", one + "/os-interface", self._interfaces)
        self.add("GET", one + "/os-security-groups", self._security_groups)
        self.add("POST", one + "/os-volume_attachments", self._attach)
        self.add("GET", one + "/os-volume_attachments", self._list_attachments)
        self.add("GET", one + "/os-volume_attachments/{volume_id}", self._show_attachment)
        self.add("DELETE", one + "/os-volume_attachments/{volume_id}", self._detach)

    async def _versions(self, request: Request) -> Response:
        document = {
            "id": "v2.1", "status": "CURRENT", "min_version": "2.1", "version": f"{HIGHEST[0]}.{HIGHEST[1]}",
            "updated": "2013-07-23T11:33:21Z",
            "links": [{"rel": "self", "href": f"{self._site.base_url}{PREFIX}/v2.1/"}],
        }  # fmt: skip
        if "v2.1" in request.url.path:
            return json_response({"version": document})
        return json_response({"versions": [document]})

    # -- flavours -----------------------------------------------------------------------------------------------

    def _flavor_document(self, flavor: Flavor) -> dict[str, Any]:
        return {
            "id": flavor.id, "name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram_mib,
            "disk": flavor.disk_gib, "swap": "", "rxtx_factor": 1.0, "description": flavor.description,
            "OS-FLV-EXT-DATA:ephemeral": 0, "OS-FLV-DISABLED:disabled": False,
            "os-flavor-access:is_public": flavor.is_public, "extra_specs": {}, "links": [],
        }  # fmt: skip

    def _flavor(self, flavor_id: str) -> Flavor:
        flavor = self._state.get(Flavor, flavor_id)
        if flavor is None:
            raise not_found("Flavor", flavor_id)
        return flavor

    async def _create_flavor(self, call: Call) -> Response:
        asked = part(call.body, "flavor")
        identifier = asked.get("id") or "auto"
        flavor = Flavor(
            new_id() if identifier == "auto" else text({"id": str(identifier)}, "id"), text(asked, "name"),
            whole(asked, "vcpus", least=1, most=1 << 20), whole(asked, "ram", least=1, most=1 << 30),
            whole(asked, "disk", least=0, most=1 << 30, default=0),
            asked.get("os-flavor-access:is_public", True) is not False,
        )  # fmt: skip
        if self._state.get(Flavor, flavor.id):
            raise ApiError(409, f"Flavor with ID {flavor.id} already exists.")
        if self._state.list(Flavor, lambda f: f.name == flavor.name):
            raise ApiError(409, f"Flavor with name {flavor.name} already exists.")
        with self._state.transaction() as transaction:
            transaction.put(flavor)
        return json_response({"flavor": self._flavor_document(flavor)})

    async def _list_flavors(self, call: Call) -> Response:
        flavors = page(call, self._state.list(Flavor), lambda f: f.id)
        return json_response({"flavors": [self._flavor_document(flavor) for flavor in flavors]})

    async def _show_flavor(self, call: Call) -> Response:
        return json_response({"flavor": self._flavor_document(self._flavor(call.path["flavor_id"]))})

    async def _extra_specs(self, call: Call) -> Response:
        self._flavor(call.path["flavor_id"])
        return json_response({"extra_specs": {}})

    async def _delete_flavor(self, call: Call) -> Response:
        flavor = self._flavor(call.path["flavor_id"])
        with self._state.transaction() as transaction:
            transaction.delete(flavor)
        return Response(status_code=202)

    # -- servers ------------------------------------------------------------------------------------------------

    def _used(self, project_id: str) -> Mapping[str, int]:
        servers = self._state.list(Server, lambda s: s.project_id == project_id)
        return {
            "instances": len(servers), "cores": sum(s.vcpus for s in servers), "ram": sum(s.ram_mib for s in servers),
        }  # fmt: skip

    def _server(self, call: Call) -> Server:
        server = self._state.get(Server, call.path["server_id"])
        if server is None or not call.caller.owns(server.project_id):
            raise ApiError(404, f"Instance {call.path['server_id']} could not be found.")
        return server

    def _server_document(self, server: Server, call: Call) -> dict[str, Any]:
        attached = self._state.list(Attachment, lambda a: a.server_id == server.id)
        modern = call.microversion("compute", LOWEST, HIGHEST) >= (2, 47)
        flavor = {**server.flavor, "ephemeral": 0, "swap": 0, "extra_specs": {}}
        flavor_id = flavor.pop("id")
        document: dict[str, Any] = {
            "id": server.id, "name": server.name, "status": server.status, "tenant_id": server.project_id,
            "user_id": server.user_id, "created": server.created, "updated": server.updated,
            "metadata": dict(server.metadata), "addresses": neutron.addresses(self._site, server),
            "image": {"id": server.image_id, "links": []} if server.image_id else "",
            "flavor": flavor if modern else {"id": flavor_id, "links": []},
            "hostId": self._site.stable_id("host-of", server.project_id, server.host) if server.host else "",
            "OS-EXT-STS:vm_state": {"BUILD": "building", "ACTIVE": "active"}.get(server.status, "error"),
            "OS-EXT-STS:task_state": "spawning" if server.status == "BUILD" else None,
            "OS-EXT-STS:power_state": 1 if server.status == "ACTIVE" else 0,
            "OS-EXT-AZ:availability_zone": self._site.region if server.host else "", "OS-DCF:diskConfig": "MANUAL",
            "progress": 100 if server.status == "ACTIVE" else 0, "config_drive": "", "key_name": server.key_name,
            "accessIPv4": "", "accessIPv6": "", "security_groups": [], "links": [], "tags": [],
            "os-extended-volumes:volumes_attached": [
                {"id": a.id, "delete_on_termination": a.delete_on_termination} for a in attached
            ],
        }  # fmt: skip
        if call.caller.is_admin:
            document["OS-EXT-SRV-ATTR:host"] = server.host
            document["OS-EXT-SRV-ATTR:hypervisor_hostname"] = server.host
        if server.fault is not None:
            document["fault"] = dict(server.fault)
        return document

    async def _create_server(self, call: Call) -> Response:
        asked = part(call.body, "server")
        project_id = call.caller.project_id
        flavor = self._flavor(text(asked, "flavorRef"))
        image = asked.get("imageRef") or None
        if image is not None and image != image_id(self._site):
            raise ApiError(400, f"Can not find requested image: {image}.")
        if whole(asked, "min_count", least=1, most=1000, default=1) != 1:
            raise ApiError(400, "Invalid input for field/attribute min_count: servers are made one at a time here.")
        boot_volumes = self._boot_volumes(asked, call)
        if image is None and not boot_volumes:
            raise ApiError(400, "Invalid imageRef provided: give an image or a bootable volume.")
        server = Server(
            new_id(), text(asked, "name"), project_id, call.caller.token.user_id,
            {"id": flavor.id, "original_name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram_mib,
             "disk": flavor.disk_gib},
            image, "BUILD", self._site.timestamp(), self._site.timestamp(),
            metadata=string_map(asked, "metadata"), network_ids=self._networks(asked, call),
            boot_volumes=boot_volumes, key_name=asked.get("key_name"),
        )  # fmt: skip
        self._check_quota(server)
        with self._state.transaction() as transaction:
            transaction.put(server)
        self._site.spawn(self.build(server.id))
        return json_response({"server": {"id": server.id, "links": [], "OS-DCF:diskConfig": "MANUAL"}}, 202)

    def _check_quota(self, server: Server) -> None:
        used = self._used(server.project_id)
        limits = self._quotas.limits(server.project_id)
        wanted = {"instances": 1, "cores": server.vcpus, "ram": server.ram_mib}
        over = [key for key in wanted if 0 <= limits[key] < used[key] + wanted[key]]
        if over:
            names = ", ".join(over)
            asked = ", ".join(str(wanted[key]) for key in over)
            sold = ", ".join(f"{used[key]} of {limits[key]} {key}" for key in over)
            raise ApiError(403, f"Quota exceeded for {names}: Requested {asked}, but already used {sold}")

    def _boot_volumes(self, asked: Mapping[str, Any], call: Call) -> tuple[tuple[str, bool], ...]:
        wanted = []
        mappings = asked.get("block_device_mapping_v2") or []
        if not isinstance(mappings, list):
            raise ApiError(400, "Invalid input for field/attribute block_device_mapping_v2: give a list.")
        for mapping in mappings:
            if not isinstance(mapping, dict):
                raise ApiError(400, "Block Device Mapping is Invalid: each entry is an object.")
            if mapping.get("destination_type") == "local":
                continue
            if mapping.get("source_type") != "volume":
                raise ApiError(400, "Block Device Mapping is Invalid: only existing volumes can be attached at boot.")
            volume = self._free_volume(text(mapping, "uuid"), call)
            wanted.append((volume.id, mapping.get("delete_on_termination") is True))
        return tuple(wanted)

    def _networks(self, asked: Mapping[str, Any], call: Call) -> tuple[str, ...]:
        given = asked.get("networks", "auto")
        if given == "none":
            return ()
        mine = self._state.list(Network, lambda n: n.project_id == call.caller.project_id)
        if given == "auto":
            if len(mine) > 1:
                raise ApiError(409, "Multiple possible networks found, use a Network ID to be more specific.")
            return tuple(n.id for n in mine)
        if not isinstance(given, list):
            raise ApiError(400, "Invalid input for field/attribute networks: give a list, 'auto' or 'none'.")
        ids = [text(entry, "uuid") for entry in given if isinstance(entry, dict)]
        for network_id in ids:
            network = self._state.get(Network, network_id)
            if network is None or not (call.caller.owns(network.project_id) or network.shared):
                raise ApiError(400, f"Network {network_id} could not be found.")
        return tuple(ids)

    async def build(self, server_id: str) -> None:
        """Bring a server from BUILD to ACTIVE, or to ERROR when no physical server can hold it."""
        await asyncio.sleep(self._site.build_s)
        server = self._state.get(Server, server_id)
        if server is None or server.status != "BUILD":
            return
        uses = scheduler.use_by_host(self._state.list(Server))
        host = scheduler.place(self._site.hosts, uses, server.vcpus, server.ram_mib)
        now = self._site.timestamp()
        with self._state.transaction() as transaction:
            if host is None:
                reason = "No valid host was found. There are not enough hosts available."
                fault = {"code": 500, "created": now, "message": reason, "details": reason}
                transaction.put(replace(server, status="ERROR", updated=now, fault=fault))
                return
            transaction.put(replace(server, status="ACTIVE", updated=now, host=host.name))
            for port in neutron.make_ports(self._site, server):
                transaction.put(port)
            for index, (volume_id, delete) in enumerate(server.boot_volumes):
                volume = self._state.get(Volume, volume_id)
                if volume is not None and volume.status == "available":
                    device = f"/dev/vd{chr(ord('b') + index)}"
                    transaction.put(replace(volume, status="in-use", updated=now))
                    transaction.put(Attachment(volume.id, new_id(), server.id, device, now, delete))

    async def _list_servers(self, call: Call) -> Response:
        everyone = call.query.get("all_tenants", "0").lower() in {"1", "true", ""}
        if everyone and not call.caller.is_admin:
            raise ApiError(403, "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.")
        name, status = call.query.get("name"), call.query.get("status")
        try:
            pattern = re.compile(name) if name and len(name) <= 255 else None
        except re.error as error:
            raise ApiError(400, f"Invalid regular expression in name: {error}.") from error
        own = call.caller.token.project_id
        servers = self._state.list(
            Server,
            lambda s: (
                (everyone or s.project_id == own)
                and (pattern is None or pattern.search(s.name) is not None)
                and (status is None or s.status == status.upper())
            ),
        )
        documents = [self._server_document(s, call) for s in page(call, servers, lambda s: s.id)]
        if call.request.url.path.endswith("/detail"):
            return json_response({"servers": documents})
        return json_response({"servers": [{key: d[key] for key in ("id", "name", "links")} for d in documents]})

    async def _show_server(self, call: Call) -> Response:
        return json_response({"server": self._server_document(self._server(call), call)})

    async def _show_metadata(self, call: Call) -> Response:
        return json_response({"metadata": dict(self._server(call).metadata)})

    async def _interfaces(self, call: Call) -> Response:
        server = self._server(call)
        ports = self._state.list(Port, lambda p: p.device_id == server.id)
        return json_response({"interfaceAttachments": [
            {"port_id": p.id, "net_id": p.network_id, "mac_addr": p.mac_address, "port_state": "ACTIVE",
             "fixed_ips": [dict(ip) for ip in p.fixed_ips]} for p in ports
        ]})  # fmt: skip

    async def _security_groups(self, call: Call) -> Response:
        self._server(call)
        return json_response({"security_groups": []})

    async def _delete_server(self, call: Call) -> Response:
        server, now = self._server(call), self._site.timestamp()
        with self._state.transaction() as transaction:
            transaction.delete(server)
            for port in self._state.list(Port, lambda p: p.device_id == server.id):
                transaction.delete(port)
            for attachment in self._state.list(Attachment, lambda a: a.server_id == server.id):
                transaction.delete(attachment)
                volume = self._state.get(Volume, attachment.id)
                if volume is not None and attachment.delete_on_termination:
                    transaction.delete(volume)
                elif volume is not None:
                    transaction.put(replace(volume, status="available", updated=now))
        return Response(status_code=204)

    # -- attachments --------------------------------------------------------------------------------------------

    def _free_volume(self, volume_id: str, call: Call) -> Volume:
        volume = self._state.get(Volume, volume_id)
        if volume is None or not call.caller.owns(volume.project_id):
            raise not_found("Volume", volume_id)
        if volume.status != "available":
            raise ApiError(400, f"Invalid volume: volume {volume.id} must be 'available', it is {volume.status}.")
        return volume

    def _attachment_document(self, attachment: Attachment) -> dict[str, Any]:
        return {
            "id": attachment.id, "volumeId": attachment.id, "serverId": attachment.server_id,
            "device": attachment.device, "tag": None,
        }  # fmt: skip

    async def _attach(self, call: Call) -> Response:
        server, asked = self._server(call), part(call.body, "volumeAttachment")
        if server.status != "ACTIVE":
            raise ApiError(409, f"Cannot 'attach_volume' instance {server.id} while it is in {server.status}.")
        volume = self._free_volume(text(asked, "volumeId"), call)
        if volume.project_id != server.project_id:
            raise not_found("Volume", volume.id)
        taken = {a.device for a in self._state.list(Attachment, lambda a: a.server_id == server.id)}
        free = [f"/dev/vd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz" if f"/dev/vd{letter}" not in taken]
        if not free:
            raise ApiError(403, "Maximum number of volumes allowed (25) is attached to the instance.")
        attachment = Attachment(volume.id, new_id(), server.id, free[0], self._site.timestamp())
        with self._state.transaction() as transaction:
            transaction.put(attachment)
            transaction.put(replace(volume, status="in-use", updated=self._site.timestamp()))
        return json_response({"volumeAttachment": self._attachment_document(attachment)})

    def _attachment(self, call: Call) -> Attachment:
        server = self._server(call)
        attachment = self._state.get(Attachment, call.path["volume_id"])
        if attachment is None or attachment.server_id != server.id:
            raise ApiError(404, f"volume_id not found: {call.path['volume_id']}")
        return attachment

    async def _list_attachments(self, call: Call) -> Response:
        server = self._server(call)
        attached = self._state.list(Attachment, lambda a: a.server_id == server.id)
        return json_response({"volumeAttachments": [self._attachment_document(a) for a in attached]})

    async def _show_attachment(self, call: Call) -> Response:
        return json_response({"volumeAttachment": self._attachment_document(self._attachment(call))})

    async def _detach(self, call: Call) -> Response:
        attachment = self._attachment(call)
        volume = self._state.get(Volume, attachment.id)
        with self._state.transaction() as transaction:
            transaction.delete(attachment)
            if volume is not None:
                transaction.put(replace(volume, status="available", updated=self._site.timestamp()))
        return Response(status_code=202)

    # -- capacity -----------------------------------------------------------------------------------------------

    def _hypervisor_document(self, host: Host, call: Call) -> dict[str, Any]:
        use = scheduler.use_by_host(self._state.list(Server)).get(host.name, scheduler.HostUse())
        modern = call.microversion("compute", LOWEST, HIGHEST) >= (2, 53)
        return {
            "id": host.uuid if modern else host.number, "hypervisor_hostname": host.name, "state": "up",
            "status": "enabled", "hypervisor_type": "QEMU", "hypervisor_version": 8002002, "host_ip": "127.0.0.1",
            "vcpus": host.vcpus, "vcpus_used": use.vcpus, "memory_mb": host.memory_mib,
            "memory_mb_used": use.memory_mib, "free_ram_mb": host.memory_mib - use.memory_mib,
            "running_vms": use.machines, "current_workload": 0, "local_gb": 0, "local_gb_used": 0, "free_disk_gb": 0,
            "disk_available_least": 0, "cpu_info": {},
            "service": {"id": host.uuid if modern else host.number, "host": host.name, "disabled_reason": None},
        }  # fmt: skip

    async def _list_hypervisors(self, call: Call) -> Response:
        return json_response({"hypervisors": [self._hypervisor_document(h, call) for h in self._site.hosts]})

    async def _show_hypervisor(self, call: Call) -> Response:
        wanted = call.path["hypervisor_id"]
        for host in self._site.hosts:
            if wanted in {host.uuid, str(host.number)}:
                return json_response({"hypervisor": self._hypervisor_document(host, call)})
        raise not_found("Hypervisor", wanted)

    async def _statistics(self, call: Call) -> Response:
        documents = [self._hypervisor_document(host, call) for host in self._site.hosts]
        keys = ("vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "running_vms", "current_workload",
                "local_gb", "local_gb_used", "free_disk_gb", "disk_available_least")  # fmt: skip
        totals = {key: sum(document[key] for document in documents) for key in keys}
        return json_response({"hypervisor_statistics": {"count": len(documents), **totals}})

    async def _limits(self, call: Call) -> Response:
        project_id = call.query.get("tenant_id", call.caller.project_id)
        if not call.caller.owns(project_id):
            raise ApiError(403, "Policy doesn't allow os_compute_api:limits:other_project to be performed.")
        limits, used = self._quotas.limits(project_id), self._used(project_id)
        absolute = {
            "maxTotalInstances": limits["instances"], "maxTotalCores": limits["cores"],
            "maxTotalRAMSize": limits["ram"], "maxTotalKeypairs": limits["key_pairs"],
            "maxServerMeta": limits["metadata_items"], "maxServerGroups": limits["server_groups"],
            "maxServerGroupMembers": limits["server_group_members"], "totalServerGroupsUsed": 0,
            "totalInstancesUsed": used["instances"], "totalCoresUsed": used["cores"], "totalRAMUsed": used["ram"],
        }  # fmt: skip
        return json_response({"limits": {"rate": [], "absolute": absolute}})

    async def _zones(self, call: Call) -> Response:
        zone = {"zoneName": self._site.region, "zoneState": {"available": True}, "hosts": None}
        return json_response({"availabilityZoneInfo": [zone]})
