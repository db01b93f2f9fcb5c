"""Steering at the edge switches: the provider's own names in front of the OpenFlow agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from controller.domain.it import Steering
from controller.openflow.steering import Steering as SwitchSteering
from controller.openflow.steering import steering_cookie


class Agent(Protocol):
    """The commands of controller.openflow.client.OpenFlowAgent that are used here."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def put_steering(self, steering_id: str, clli: str, client_port: str, vlan_id: int) -> SwitchSteering: ...

    async def delete_steering(self, steering_id: str, clli: str) -> None: ...

    async def list_steering(self, clli: str) -> list[SwitchSteering]: ...


class EdgeSwitchDriver:
    """All edge switches of the provider; a switch is found by the location key (CLLI) of its building."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def start(self) -> None:
        await self._agent.start()

    async def close(self) -> None:
        await self._agent.close()

    async def put(self, reservation_id: str, clli: str, steering: Steering) -> None:
        """Join the VLAN to the client port; once more changes nothing. AlreadyExists when somebody else steers it."""
        name = _name(reservation_id, steering.steering_id)
        await self._agent.put_steering(name, clli, steering.client_port, steering.vlan_id)

    async def delete(self, reservation_id: str, clli: str, steering_id: str) -> None:
        """Take a steering away; one that is not there is gone already."""
        await self._agent.delete_steering(_name(reservation_id, steering_id), clli)

    async def present(self, reservation_id: str, clli: str, steerings: Sequence[Steering]) -> tuple[Steering, ...]:
        """Those of `steerings` that the switch carries now."""
        if not steerings:
            return ()
        carried = {(flow.cookie, flow.client_port, flow.vlan_id) for flow in await self._agent.list_steering(clli)}
        return tuple(
            steering
            for steering in steerings
            if (steering_cookie(_name(reservation_id, steering.steering_id)), steering.client_port, steering.vlan_id)
            in carried
        )


def _name(reservation_id: str, steering_id: str) -> str:
    """The steering's name at the switches, unique among all reservations."""
    return f"{reservation_id}/{steering_id}"
