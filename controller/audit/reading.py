"""Reads an observation: devices over NETCONF, data centres over REST, switches over OpenFlow, parties over gRPC.

An audit sees with every party's eyes, so it needs every party's credentials: it is for the demo, for tests, and for
whoever runs all parties on one machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openstack
from lxml import etree

from controller.api.operator_client import InfrastructureClient, NipsClient
from controller.api.provider_client import GrpcProvider
from controller.audit.observation import (
    DeviceObservation,
    Observation,
    OperatorObservation,
    SiteObservation,
    SiteServerObservation,
    SteeringObservation,
)
from controller.domain.identity import Role
from controller.netconf.client import NcclientSession
from controller.openflow.client import OpenFlowAgent
from controller.openroadm.configuration import read_receptions, sound_configuration, stray_parts
from controller.openroadm.facts import parse_device
from controller.ports.clock import SystemClock
from controller.ports.device_session import DeviceAddress
from controller.security.pki import Credentials, DevelopmentCa

SESSIONS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Access:
    """Where everybody is, and the authority that vouches for all."""

    authority: DevelopmentCa
    addresses_file: Path
    """The emulator's ready file."""
    pips: Mapping[str, str]
    vip: str
    ncps: Mapping[str, str]
    """host:port of each running NCP, by operator."""
    operators: Sequence[str]
    broker: str = "broker"

    def addresses(self, kind: str) -> list[dict[str, Any]]:
        """Entries of the ready file."""
        entries: list[dict[str, Any]] = json.loads(self.addresses_file.read_text())[kind]
        return entries

    def provider(self, name: str) -> Credentials:
        return self.authority.issue(self.authority.identity(Role.PIP, name))

    def device(self, entry: Mapping[str, Any]) -> DeviceAddress:
        """Address of a device with its provider's key."""
        provider = str(entry["provider"])
        return DeviceAddress(
            host=str(entry["host"]),
            port=int(entry["port"]),
            username=f"pip-{provider}",
            private_key_file=self.provider(provider).ssh_private_key_file,
            host_public_key=str(entry["host_public_key"]),
        )


async def observe(access: Access) -> Observation:
    """Everything, read now."""
    devices, sites, (steerings, flow_counts), reservations, operators = await asyncio.gather(
        read_devices(access),
        read_sites(access),
        read_steerings(access),
        _read_reservations(access),
        _read_operators(access),
    )
    return Observation(devices, sites, steerings, reservations, operators, flow_counts)


async def read_devices(access: Access) -> dict[str, DeviceObservation]:
    """All physical devices, each over a session of its own."""
    entries = await asyncio.to_thread(access.addresses, "devices")
    turns = asyncio.Semaphore(SESSIONS_AT_ONCE)

    async def one(entry: Mapping[str, Any]) -> DeviceObservation:
        async with turns:
            session = NcclientSession(access.device(entry))
            try:
                await session.connect()
                running, state = await session.get_config(), await session.get()
            finally:
                await session.close()
        facts = parse_device(state)
        return DeviceObservation(
            facts,
            sound_configuration(running, facts),
            read_receptions(state, facts),
            etree.tostring(running, method="c14n"),
            stray_parts(running, facts),
        )

    found = await asyncio.gather(*(one(entry) for entry in entries))
    return {str(entry["name"]): device for entry, device in zip(entries, found, strict=True)}


async def read_sites(access: Access) -> dict[str, SiteObservation]:
    """All data centres, as their administrators see them."""
    entries = await asyncio.to_thread(access.addresses, "it_sites")
    found = await asyncio.gather(*(asyncio.to_thread(_read_site, Path(entry["admin_file"])) for entry in entries))
    return {str(entry["name"]): site for entry, site in zip(entries, found, strict=True)}


def _read_site(admin_file: Path) -> SiteObservation:
    connection: Any = openstack.connection.Connection(**json.loads(admin_file.read_text()))
    try:
        servers = list(connection.compute.servers(details=True, all_projects=True))
        volumes = {volume.id: volume for volume in connection.block_storage.volumes(details=True, all_projects=True)}
        hypervisors = list(connection.compute.hypervisors(details=True))
        pools = list(connection.block_storage.backend_pools())
        power = connection.session.get(
            "/", endpoint_filter={"service_type": "geysers-power"}, authenticated=True
        ).json()["power"]
        inventory = {
            "projects": tuple(sorted(f"{entry.id} {entry.name}" for entry in connection.identity.projects())),
            "users": tuple(sorted(f"{entry.id} {entry.name}" for entry in connection.identity.users())),
            "flavours": tuple(sorted(f"{entry.id} {entry.name}" for entry in connection.compute.flavors())),
            "servers": tuple(sorted(str(entry.id) for entry in servers)),
            "volumes": tuple(sorted(str(identifier) for identifier in volumes)),
        }
        return SiteObservation(
            servers=tuple(_server(entry, volumes) for entry in servers),
            inventory=inventory,
            vcpu_count=sum(int(entry.vcpus) for entry in hypervisors),
            memory_gib=sum(int(entry.memory_size) for entry in hypervisors) // 1024,
            storage_gib=int(sum(float(pool.capabilities["total_capacity_gb"]) for pool in pools)),
            facility_power_w=float(power["facility_power_w"]),
        )
    finally:
        connection.close()


def _server(entry: Any, volumes: Mapping[str, Any]) -> SiteServerObservation:
    attached = [volumes[volume.id] for volume in entry.attached_volumes or () if volume.id in volumes]
    return SiteServerObservation(
        project=str(entry.project_id),
        mark=str((entry.metadata or {}).get("geysers", "")),
        instance_uuid=str(entry.id),
        vcpu_count=int(entry.flavor.vcpus or 0),
        memory_gib=int(entry.flavor.ram or 0) // 1024,
        volume_gib=sum(int(volume.size) for volume in attached),
        volume_uuids=tuple(sorted(str(volume.id) for volume in attached)),
    )


async def read_steerings(access: Access) -> tuple[tuple[SteeringObservation, ...], dict[str, int]]:
    """What the edge switches carry, over a controller connection of our own, and how many flows each has in all."""
    entries = await asyncio.to_thread(access.addresses, "edge_switches")
    found: list[SteeringObservation] = []
    flow_counts: dict[str, int] = {}
    for provider in sorted({str(entry["provider"]) for entry in entries}):
        own = [entry for entry in entries if entry["provider"] == provider]
        switches = [(str(entry["host"]), int(entry["port"])) for entry in own]
        async with OpenFlowAgent(switches, SystemClock(), credentials=access.provider(provider)) as agent:
            for entry in own:
                clli = str(entry["clli"])
                for steering in await agent.list_steering(clli):
                    found.append(SteeringObservation(clli, steering.client_port, steering.vlan_id))
                flow_counts[clli] = await agent.count_flows(clli)
    return tuple(found), flow_counts


async def _read_reservations(access: Access) -> dict[str, Any]:
    credentials = access.authority.issue(access.authority.identity(Role.VIP, access.broker))
    found = {}
    for name, target in access.pips.items():
        provider = GrpcProvider(name, target, credentials)
        try:
            found[name] = await provider.list_reservations()
        finally:
            await provider.close()
    return found


async def _read_operators(access: Access) -> dict[str, OperatorObservation]:
    found = {}
    for vio in access.operators:
        credentials = access.authority.issue(access.authority.identity(Role.VIO, vio))
        vip = InfrastructureClient(access.vip, credentials)
        try:
            infrastructures = await vip.list()
        finally:
            await vip.close()
        services = await _services(access.ncps[vio], credentials) if vio in access.ncps else ()
        found[vio] = OperatorObservation(infrastructures, services)
    return found


async def _services(target: str, credentials: Credentials) -> tuple[Any, ...]:
    ncp = NipsClient(target, credentials)
    try:
        # One by one, because only a single read measures.
        return tuple([await ncp.get(service.demand.name) for service in await ncp.list()])
    finally:
        await ncp.close()
