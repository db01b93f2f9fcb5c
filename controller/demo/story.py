"""The demo's story in eight steps; every figure in it is read back from the running system.

1 hardware   2 discovery   3 virtual infrastructure   4 controller   5 service   6 proof   7 second operator   8 release
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from controller.api.operator_client import InfrastructureClient, NipsClient
from controller.api.provider_client import GrpcProvider
from controller.audit.invariants import Violation, violations
from controller.audit.observation import Observation
from controller.audit.reading import observe
from controller.demo.stack import BROKER, PIPS, Stack
from controller.demo.wishes import (
    ALPHA,
    ALPHA_BAND,
    ALPHA_VI,
    BETA,
    BETA_BAND,
    BETA_VI,
    anycast_demand,
    ring,
)
from controller.domain.errors import GeysersError, WrongState
from controller.domain.identity import Role
from controller.domain.infrastructure import NetconfAddress, VirtualInfrastructure
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.nips import Nips, NipsAnswer
from controller.domain.spectrum import FrequencySlot
from controller.netconf.client import NcclientSession
from controller.openroadm.configuration import edit_elements
from controller.openroadm.facts import DeviceFacts, parse_device
from controller.ports.clock import Clock
from controller.ports.device_session import DeviceAddress
from controller.ports.rng import Rng
from controller.security.pki import Credentials

Facts = dict[str, Any]
GSNR_TOLERANCE_DB = 1.0
NOBODYS_VI = "vios/nobody/virtualInfrastructures/nothing"
NOBODYS_SERVICE = "vios/nobody/nips/nothing"


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step as it went."""

    step: int
    title: str
    seconds: float
    facts: Facts


@dataclass(slots=True)
class Story:
    """The story on one stack; `tell` goes through it, `tidy_up` stops what was started."""

    stack: Stack
    clock: Clock
    rng: Rng
    reports: list[StepReport] = field(default_factory=list)
    first: Observation | None = None
    infrastructure: VirtualInfrastructure | None = None
    service: Nips | None = None
    audit: list[Violation] = field(default_factory=list)

    @property
    def steps(self) -> tuple[tuple[str, Callable[[], Awaitable[Facts]]], ...]:
        """Titles and what they do, in order."""
        return (
            ("emulated hardware comes up", self.start_hardware),
            ("two providers discover their devices and offer them", self.discover),
            ("the broker composes a virtual infrastructure over both", self.compose),
            ("the operator's own controller is deployed", self.deploy),
            ("a lightpath with a machine at its end, chosen together", self.serve),
            ("devices, light and power as they are", self.prove),
            ("a second operator sees nothing of the first", self.isolate),
            ("release: everything as it was", self.release),
        )

    async def tell(self, told: Callable[[StepReport], None]) -> None:
        """All steps; `told` hears of each when it is over. Raises what goes wrong."""
        for number, (title, work) in enumerate(self.steps, start=1):
            began_s = self.clock.tick_s()
            facts = await work()
            report = StepReport(number, title, round(self.clock.tick_s() - began_s, 3), facts)
            self.reports.append(report)
            told(report)

    async def start_hardware(self) -> Facts:
        ready = await self.stack.start_emulator()
        kinds = [entry["kind"] for entry in ready["devices"]]
        return {
            "roadms": kinds.count("rdm"),
            "transponder_shelves": kinds.count("xpdr"),
            "it_sites": [entry["name"] for entry in ready["it_sites"]],
            "edge_switches": len(ready["edge_switches"]),
        }

    async def discover(self) -> Facts:
        await self.stack.start_parties()
        broker = self.stack.authority.issue(self.stack.authority.identity(Role.VIP, BROKER))
        facts: Facts = {}
        for pip in PIPS:
            provider = GrpcProvider(pip, self.stack.target(f"pip-{pip}"), broker)
            try:
                offers = await provider.list_offers()
            finally:
                await provider.close()
            facts[pip] = {
                "nodes": len(offers.nodes),
                "degrees": sum(len(node.degree_ports) for node in offers.nodes),
                "transponders": sum(len(node.transponders) for node in offers.nodes),
                "links": len(offers.links),
                "inter_domain_links": sum(1 for link in offers.links if link.inter_domain),
                "it_sites": [site.site_id for site in offers.it_sites],
            }
        self.first = await observe(self.stack.access)
        return facts

    async def compose(self) -> Facts:
        operator = self.stack.operator(ALPHA)
        async with _closing(InfrastructureClient(self.stack.target("vip"), operator)) as vip:
            self.infrastructure = made = await vip.create(
                ALPHA_VI, ring(ALPHA_BAND, operator.ssh_public_key), self.rng.uuid()
            )
        shown = await asyncio.gather(
            *(_read_device(node.roadm, operator) for node in made.nodes if node.roadm is not None)
        )
        reservations = (await observe(self.stack.access)).reservations
        return {
            "name": made.name,
            "state": None if made.state is None else made.state.value,
            "gri": made.gri,
            "held_by": sorted(pip for pip, held in reservations.items() if any(r.gri == made.gri for r in held)),
            "virtual_roadms": {
                node.node_id: f"{node.clli} {node.roadm.host}:{node.roadm.port}"
                for node in made.nodes
                if node.roadm is not None
            },
            "degrees": {facts.node_id: len(facts.degrees) for facts in shown},
            "band": _slot(next(d.leased_band for facts in shown for d in facts.degrees)),
            "links": [link.link_id for link in made.links],
            "it_sites": [site.it_site_id for site in made.it_sites],
        }

    async def deploy(self) -> Facts:
        await self.stack.start_ncp(ALPHA, ALPHA_VI)
        async with _closing(self._ncp(ALPHA)) as ncp:
            topology = await ncp.topology()
        if topology.problems:
            raise WrongState(f"the topology has problems: {topology.problems[0].message}")
        return {
            "nodes": [node.node_id for node in topology.nodes],
            "directed_links": len(topology.links),
            "it_sites": {
                site.it_site_id: f"{site.vcpu_count} vCPU, {site.memory_gib} GiB, {site.storage_gib} GiB volumes"
                for site in topology.it_sites
            },
        }

    async def serve(self) -> Facts:
        async with _closing(self._ncp(ALPHA)) as ncp:
            demand = anycast_demand(ncp.name_of("backup"))
            await ncp.create(demand, self.rng.uuid())
            self.service = service = await ncp.get(demand.name)
        answer = _answer(service)
        return {
            "name": service.demand.name,
            "state": service.state.value,
            "path": list(answer.path),
            "frequency_slot": _slot(answer.frequency_slot),
            "mode": answer.mode_id,
            "it_site": answer.it_site_id,
            "vm": None if service.server is None else service.server.instance_uuid,
            "volume": None if service.server is None else service.server.volume_uuid,
            "latency_ms": round(answer.latency_ms, 3),
            "refused": [refusal.message for refusal in answer.refusals],
        }

    async def prove(self) -> Facts:
        now = await observe(self.stack.access)
        self._hold(now)
        answer = _answer(self.service)
        measured = [
            reception.gsnr_0p1nm_db
            for device in now.devices.values()
            for reception in device.receptions
            if reception.gsnr_0p1nm_db is not None
        ]
        difference_db = abs(min(measured) - answer.gsnr_0p1nm_db)
        if difference_db > GSNR_TOLERANCE_DB:
            raise WrongState(
                f"the receivers measure {min(measured):.2f} dB, the PCE said {answer.gsnr_0p1nm_db:.2f} dB"
            )
        before = self._first()
        return {
            "cross_connects": {
                name: sorted(cross.connection_name for cross in device.configuration.cross_connects)
                for name, device in now.devices.items()
                if device.configuration.cross_connects
            },
            "gsnr_0p1nm_db": {
                "computed": round(answer.gsnr_0p1nm_db, 3),
                "measured": round(min(measured), 3),
                "difference": round(difference_db, 3),
                "worst_case": round(answer.worst_case_gsnr_0p1nm_db, 3),
                "margin": round(answer.margin_db, 3),
            },
            "power_w": {
                "devices_before": round(before.device_power_w, 1),
                "devices_now": round(now.device_power_w, 1),
                "it_sites_before": round(before.site_power_w, 1),
                "it_sites_now": round(now.site_power_w, 1),
                "computed_for_the_service": round(answer.power_w, 1),
            },
            "steerings": [f"{entry.clli} VLAN {entry.vlan_id} ⇄ {entry.client_port}" for entry in now.steerings],
        }

    async def isolate(self) -> Facts:
        operator = self.stack.operator(BETA)
        async with _closing(InfrastructureClient(self.stack.target("vip"), operator)) as vip:
            taken = await _refusal(vip.create(BETA_VI, ring(ALPHA_BAND, operator.ssh_public_key), self.rng.uuid()))
            theirs = await _refusal(vip.get(_made(self.infrastructure).name), _made(self.infrastructure).name)
            nobodys = await _refusal(vip.get(NOBODYS_VI), NOBODYS_VI)
            own = await vip.create(BETA_VI, ring(BETA_BAND, operator.ssh_public_key), self.rng.uuid())
        slot = _answer(self.service).frequency_slot
        outside = FrequencySlot(n=BETA_BAND.n + 2 * BETA_BAND.m + slot.m, m=slot.m)
        address = next(node.roadm for node in own.nodes if node.node_id == _answer(self.service).path[0])
        slots = [await _refused_edit(address, operator, wanted) for wanted in (slot, outside)]
        await self.stack.start_ncp(BETA, BETA_VI)
        async with _closing(self._ncp(BETA)) as ncp:
            service = await _refusal(ncp.get(_answer_name(self.service)), _answer_name(self.service))
            absent = await _refusal(ncp.get(NOBODYS_SERVICE), NOBODYS_SERVICE)
        _same("another's infrastructure and none", theirs, nobodys)
        _same("another's service and none", service, absent)
        _same("another's slot and a slot of nobody", *slots)
        self._hold(await observe(self.stack.access))
        await self._give_back(BETA, BETA_VI)
        return {
            "asked for its band": taken["message"],
            "asked for its infrastructure": theirs["message"],
            "asked for one that does not exist": nobodys["message"],
            "lit its slot": slots[0]["message"],
            "lit a slot of nobody": slots[1]["message"],
            "asked for its service": service["message"],
            "asked for one that is not there": absent["message"],
        }

    async def release(self) -> Facts:
        async with _closing(self._ncp(ALPHA)) as ncp:
            ended = await ncp.delete(_answer_name(self.service), self.rng.uuid())
        await self._give_back(ALPHA, ALPHA_VI)
        now = await observe(self.stack.access)
        before = self._first()
        self._hold(now)
        changed = [name for name, device in now.devices.items() if device.running != before.devices[name].running]
        changed += [name for name, site in now.sites.items() if site.inventory != before.sites[name].inventory]
        if changed or now.steerings != before.steerings or any(now.reservations.values()):
            raise WrongState(f"not as before: {', '.join(changed) or 'steerings or reservations'}")
        return {
            "service": ended.state.value,
            "devices_as_before": len(now.devices),
            "it_sites_as_before": len(now.sites),
            "audit": "no violation",
        }

    def document(self, seconds: float) -> Facts:
        """The demo's JSON document, or as much of it as was told."""
        answer = None if self.service is None else self.service.answer
        document: Facts = {
            "ok": len(self.reports) == len(self.steps) and not self.audit,
            "seconds": round(seconds, 2),
            "peak_memory_mb": round(self.stack.peak_memory_bytes() / 1e6, 1),
            "steps": [{"step": r.step, "title": r.title, "seconds": r.seconds, "facts": r.facts} for r in self.reports],
            "audit": [{"invariant": v.invariant, "subject": v.subject, "message": v.message} for v in self.audit],
        }
        if self.infrastructure is not None:
            made = self.infrastructure
            document["vi"] = {"name": made.name, "gri": made.gri, "nodes": [node.node_id for node in made.nodes]}
            physical = 0 if self.first is None else len(self.first.devices)
            virtual = sum(1 + (node.transponder is not None) for node in made.nodes)
            document["devices"] = {"physical": physical, "virtual": virtual}
        if self.service is not None and answer is not None:
            document["nips"] = {
                "path": list(answer.path),
                "frequency_slot": {"n": answer.frequency_slot.n, "m": answer.frequency_slot.m},
                "mode": answer.mode_id,
                "gsnr_0p1nm_db": answer.gsnr_0p1nm_db,
                "measured_gsnr_0p1nm_db": self.service.measured_gsnr_0p1nm_db,
                "margin_db": answer.margin_db,
                "power_w": answer.power_w,
                "it_site": answer.it_site_id,
                "vm_ids": [] if self.service.server is None else [self.service.server.instance_uuid],
            }
        return document

    async def _give_back(self, vio: str, vi_id: str) -> None:
        await self.stack.stop_ncp(vio)
        async with _closing(InfrastructureClient(self.stack.target("vip"), self.stack.operator(vio))) as vip:
            await vip.delete(f"vios/{vio}/virtualInfrastructures/{vi_id}", self.rng.uuid())

    def _ncp(self, vio: str) -> NipsClient:
        return NipsClient(self.stack.target(f"ncp-{vio}"), self.stack.operator(vio))

    def _first(self) -> Observation:
        if self.first is None:
            raise WrongState("nothing was observed before: tell the story from its beginning")
        return self.first

    def _hold(self, seen: Observation) -> None:
        """End the story when an invariant is broken."""
        self.audit = violations(seen)
        if self.audit:
            worst = self.audit[0]
            raise WrongState(f"the audit found {len(self.audit)} violations, first {worst.subject}: {worst.message}")


class _closing:  # noqa: N801 - reads as a verb, like contextlib.closing
    """`async with _closing(client) as client`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def __aenter__(self) -> Any:
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


async def _refusal(call: Awaitable[Any], asked: str = "") -> dict[str, str]:
    """Kind and words of a refusal, with the name that was asked for masked."""
    try:
        await call
    except GeysersError as error:
        message = error.message.replace(asked, "…") if asked else error.message
        return {"kind": type(error).__name__, "message": message}
    raise WrongState("the second operator was let in")


async def _refused_edit(address: NetconfAddress | None, operator: Credentials, slot: FrequencySlot) -> dict[str, str]:
    """Try to light `slot` through a virtual ROADM, from its first degree to its second."""
    session = NcclientSession(_address(address, operator))
    try:
        await session.connect()
        facts = parse_device(await session.get())
        ports = [degree.connection_point for degree in facts.degrees[:2]]
        wanted = SliceConfiguration(frozenset({CrossConnect("trespass", ports[0], ports[1], slot, 63.1)}))

        async def edit() -> None:
            await session.edit_config(edit_elements(facts, SliceConfiguration(), wanted))
            await session.commit()

        refused = await _refusal(edit(), slot.openroadm_name)
        await session.discard_changes()
        return refused
    finally:
        await session.close()


async def _read_device(address: NetconfAddress, operator: Credentials) -> DeviceFacts:
    session = NcclientSession(_address(address, operator))
    try:
        await session.connect()
        return parse_device(await session.get())
    finally:
        await session.close()


def _address(address: NetconfAddress | None, operator: Credentials) -> DeviceAddress:
    if address is None:
        raise WrongState("the virtual node has no address: is its infrastructure ACTIVE?")
    return DeviceAddress(
        address.host, address.port, address.username, operator.ssh_private_key_file, address.host_public_key
    )


def _made(infrastructure: VirtualInfrastructure | None) -> VirtualInfrastructure:
    if infrastructure is None:
        raise WrongState("no infrastructure was made: tell the story from its beginning")
    return infrastructure


def _answer(service: Nips | None) -> NipsAnswer:
    if service is None or service.answer is None:
        raise WrongState("no service was set up: tell the story from its beginning")
    return service.answer


def _answer_name(service: Nips | None) -> str:
    if service is None:
        raise WrongState("no service was set up: tell the story from its beginning")
    return service.demand.name


def _same(what: str, one: dict[str, str], other: dict[str, str]) -> None:
    if one != other:
        raise WrongState(f"{what} are told apart: {one['message']!r} and {other['message']!r}")


def _slot(slot: FrequencySlot | None) -> dict[str, int] | None:
    return None if slot is None else {"n": slot.n, "m": slot.m}
