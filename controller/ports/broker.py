"""The broker (VIP) as an operator's controller sees it (NCP to LICL, interface CCI of GEYSERS), as a port."""

from typing import Protocol

from controller.domain.infrastructure import VirtualInfrastructure
from controller.domain.it import Server, SitePower, Steering


class Broker(Protocol):
    """The VIP. Names are vios/{vio}/virtualInfrastructures/{vi}. Every call can be repeated."""

    async def get_infrastructure(self, name: str) -> VirtualInfrastructure: ...

    async def create_server(self, infrastructure: str, it_site_id: str, server: Server) -> Server: ...

    async def list_servers(self, infrastructure: str, it_site_id: str) -> SitePower: ...

    async def delete_server(self, infrastructure: str, it_site_id: str, server_id: str) -> None: ...

    async def put_steering(self, infrastructure: str, node_id: str, steering: Steering) -> None: ...

    async def delete_steering(self, infrastructure: str, node_id: str, steering_id: str) -> None: ...

    async def list_steerings(self, infrastructure: str, node_id: str) -> tuple[Steering, ...]: ...
