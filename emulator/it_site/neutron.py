"""Neutron v2.0: networks on VLANs of the site's LAN, subnets, the ports of servers."""

import ipaddress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulator.it_site.api import Call, Service, Site, json_response, new_id, part, text, whole
from emulator.it_site.faults import ApiError, not_found
from emulator.it_site.model import Network, Port, Server, Subnet

PREFIX = "/network"
PHYSICAL_NETWORK = "lan"


def addresses(site: Site, server: Server) -> dict[str, list[dict[str, Any]]]:
    """The addresses of a server per network name, as Nova shows them."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for port in site.state.list(Port, lambda p: p.device_id == server.id):
        network = site.state.get(Network, port.network_id)
        for fixed in port.fixed_ips:
            version = ipaddress.ip_address(fixed["ip_address"]).version
            shown.setdefault(network.name if network else port.network_id, []).append({
                "addr": fixed["ip_address"], "version": version, "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": port.mac_address,
            })  # fmt: skip
    return shown


def _free_address(site: Site, subnet: Subnet, taken: set[str]) -> dict[str, str] | None:
    used = {ip["ip_address"] for p in site.state.list(Port) for ip in p.fixed_ips if ip["subnet_id"] == subnet.id}
    for address in ipaddress.ip_network(subnet.cidr).hosts():
        if str(address) not in used | taken and str(address) != subnet.gateway_ip:
            return {"subnet_id": subnet.id, "ip_address": str(address)}
    return None


def make_ports(site: Site, server: Server) -> list[Port]:
    """One port per network that the server asked for and that still exists."""
    ports: list[Port] = []
    taken: set[str] = set()
    for network_id in server.network_ids:
        if site.state.get(Network, network_id) is None:
            continue
        port_id = new_id()
        fixed = []
        for subnet in site.state.list(Subnet, lambda s, wanted=network_id: s.network_id == wanted)[:1]:  # type: ignore[misc]
            address = _free_address(site, subnet, taken)
            if address is not None:
                fixed.append(address)
                taken.add(address["ip_address"])
        mac = "fa:16:3e:" + ":".join(port_id[index : index + 2] for index in (0, 2, 4))
        ports.append(Port(port_id, "", network_id, server.project_id, server.id, mac, tuple(fixed)))
    return ports


class Neutron(Service):
    """The network service of one site."""

    def __init__(self, site: Site, authenticate: Any) -> None:
        super().__init__("network", PREFIX, authenticate)
        self._site = site
        self._state = site.state
        for path in ("", "/", "/v2.0", "/v2.0/"):
            self.add_open("GET", path, self._versions)
        self.add("POST", "/v2.0/networks", self._create_network)
        self.add("GET", "/v2.0/networks", self._list_networks)
        self.add("GET", "/v2.0/networks/{network_id}", self._show_network)
        self.add("DELETE", "/v2.0/networks/{network_id}", self._delete_network)
        self.add("POST", "/v2.0/subnets", self._create_subnet)
        self.add("GET", "/v2.0/subnets", self._list_subnets)
        self.add("DELETE", "/v2.0/subnets/{subnet_id}", self._delete_subnet)
        self.add("GET", "/v2.0/ports", self._list_ports)
        for name in ("floatingips", "routers", "security-groups", "extensions"):
            self.add("GET", f"/v2.0/{name}", self._nothing(name.replace("-", "_")))

    async def _versions(self, request: Request) -> Response:
        links = [{"rel": "self", "href": f"{self._site.base_url}{PREFIX}/v2.0/"}]
        return json_response({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]})

    def _nothing(self, name: str) -> Any:
        async def empty(call: Call) -> Response:
            return json_response({name: []})

        return empty

    def _network_document(self, network: Network, call: Call) -> dict[str, Any]:
        document = {
            "id": network.id, "name": network.name, "status": "ACTIVE", "admin_state_up": True,
            "shared": network.shared, "project_id": network.project_id, "tenant_id": network.project_id,
            "description": network.description, "created_at": network.created, "mtu": 1500, "router:external": False,
            "subnets": [s.id for s in self._state.list(Subnet, lambda s: s.network_id == network.id)], "tags": [],
        }  # fmt: skip
        if call.caller.is_admin:
            document |= {
                "provider:network_type": "vlan", "provider:physical_network": PHYSICAL_NETWORK,
                "provider:segmentation_id": network.vlan_id,
            }  # fmt: skip
        return document

    def _network(self, network_id: str, call: Call) -> Network:
        network = self._state.get(Network, network_id)
        if network is None or not (call.caller.owns(network.project_id) or network.shared):
            raise not_found("Network", network_id)
        return network

    async def _create_network(self, call: Call) -> Response:
        asked = part(call.body, "network")
        taken = {n.vlan_id for n in self._state.list(Network)}
        if "provider:segmentation_id" in asked:
            if not call.caller.is_admin:
                raise ApiError(403, "Only an admin may choose provider:segmentation_id.", "PolicyNotAuthorized")
            vlan_id = whole(asked, "provider:segmentation_id", least=1, most=4094)
            if vlan_id in taken:
                raise ApiError(409, f"Unable to create the network. The VLAN {vlan_id} is in use.", "VlanIdInUse")
        else:
            free = [vlan for vlan in range(1000, 4095) if vlan not in taken]
            if not free:
                raise ApiError(409, "Unable to create the network. No VLAN is left.", "NoNetworkAvailable")
            vlan_id = free[0]
        network = Network(
            new_id(), text(asked, "name", ""), call.caller.project_id, vlan_id, self._site.timestamp(),
            asked.get("shared") is True and call.caller.is_admin, text(asked, "description", ""),
        )  # fmt: skip
        with self._state.transaction() as transaction:
            transaction.put(network)
        return json_response({"network": self._network_document(network, call)}, 201)

    async def _list_networks(self, call: Call) -> Response:
        query = call.query
        networks = self._state.list(
            Network,
            lambda n: (
                (call.caller.owns(n.project_id) or n.shared)
                and n.name == query.get("name", n.name)
                and n.id == query.get("id", n.id)
                and n.project_id == query.get("project_id", n.project_id)
                and query.get("router:external", "false").lower() != "true"
            ),
        )
        return json_response({"networks": [self._network_document(n, call) for n in networks]})

    async def _show_network(self, call: Call) -> Response:
        return json_response({"network": self._network_document(self._network(call.path["network_id"], call), call)})

    async def _delete_network(self, call: Call) -> Response:
        network = self._network(call.path["network_id"], call)
        if not call.caller.owns(network.project_id):
            raise not_found("Network", network.id)
        if self._state.list(Port, lambda p: p.network_id == network.id):
            raise ApiError(409, f"Unable to complete operation on network {network.id}: ports are still in use.",
                           "NetworkInUse")  # fmt: skip
        with self._state.transaction() as transaction:
            transaction.delete(network)
            for subnet in self._state.list(Subnet, lambda s: s.network_id == network.id):
                transaction.delete(subnet)
        return Response(status_code=204)

    def _subnet_document(self, subnet: Subnet) -> dict[str, Any]:
        return {
            "id": subnet.id, "name": subnet.name, "network_id": subnet.network_id, "cidr": subnet.cidr,
            "ip_version": ipaddress.ip_network(subnet.cidr).version, "gateway_ip": subnet.gateway_ip,
            "enable_dhcp": subnet.enable_dhcp, "project_id": subnet.project_id, "tenant_id": subnet.project_id,
            "allocation_pools": [], "dns_nameservers": [], "host_routes": [], "tags": [],
        }  # fmt: skip

    async def _create_subnet(self, call: Call) -> Response:
        asked = part(call.body, "subnet")
        network = self._network(text(asked, "network_id"), call)
        if not call.caller.owns(network.project_id):
            raise not_found("Network", network.id)
        try:
            cidr = ipaddress.ip_network(text(asked, "cidr"))
        except ValueError as error:
            raise ApiError(400, f"Invalid input for cidr: {error}.", "InvalidInput") from error
        if cidr.num_addresses < 4:
            raise ApiError(400, "Invalid input for cidr: a subnet holds at least 4 addresses.", "InvalidInput")
        gateway = asked.get("gateway_ip", str(cidr.network_address + 1))
        subnet = Subnet(
            new_id(), text(asked, "name", ""), network.id, network.project_id, str(cidr), gateway,
            asked.get("enable_dhcp") is not False,
        )  # fmt: skip
        with self._state.transaction() as transaction:
            transaction.put(subnet)
        return json_response({"subnet": self._subnet_document(subnet)}, 201)

    async def _list_subnets(self, call: Call) -> Response:
        wanted = call.query.get("network_id")
        subnets = self._state.list(
            Subnet, lambda s: call.caller.owns(s.project_id) and (wanted is None or s.network_id == wanted)
        )
        return json_response({"subnets": [self._subnet_document(s) for s in subnets]})

    async def _delete_subnet(self, call: Call) -> Response:
        subnet = self._state.get(Subnet, call.path["subnet_id"])
        if subnet is None or not call.caller.owns(subnet.project_id):
            raise not_found("Subnet", call.path["subnet_id"])
        with self._state.transaction() as transaction:
            transaction.delete(subnet)
        return Response(status_code=204)

    async def _list_ports(self, call: Call) -> Response:
        query = call.query
        ports = self._state.list(
            Port,
            lambda p: (
                call.caller.owns(p.project_id)
                and p.device_id == query.get("device_id", p.device_id)
                and p.network_id == query.get("network_id", p.network_id)
            ),
        )
        return json_response({"ports": [{
            "id": p.id, "name": p.name, "network_id": p.network_id, "project_id": p.project_id, "status": "ACTIVE",
            "device_id": p.device_id, "device_owner": "compute:nova", "mac_address": p.mac_address,
            "fixed_ips": [dict(ip) for ip in p.fixed_ips], "admin_state_up": True, "security_groups": [],
        } for p in ports]})  # fmt: skip
