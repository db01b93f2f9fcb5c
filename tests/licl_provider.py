"""A PIP in memory behind the Provider port: holds bands, transponders and IT capacity, remembers slices and servers.

It honours what the port promises (all or nothing, repeatable requests, generations that only grow) and can be told to
fail, to hang, or to answer late at any call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from controller.domain.errors import (
    AlreadyExists,
    GeysersError,
    InvalidRequest,
    NotFound,
    ResourceExhausted,
    SpectrumBlocked,
    StaleGeneration,
    WrongState,
)
from controller.domain.it import ItResourceState, Server, SitePower, Steering
from controller.domain.media import Reception, SliceConfiguration
from controller.domain.offers import (
    Catalogue,
    ItSiteOffer,
    LinkOffer,
    Location,
    NodeOffer,
    TransponderOffer,
)
from controller.domain.qot import LinkQot, OperationalMode, QotSample
from controller.domain.reservation import LinkPart, Reservation, ReservationState, SliceReading
from controller.domain.spectrum import FrequencySlot

MODE_400 = OperationalMode("400G", 400.0, 63.1, 87.5, 24.0, 36.0, 22.0)
MODE_100 = OperationalMode("100G", 100.0, 31.57, 50.0, 12.0, 36.0, 22.0)
QOT = LinkQot((QotSample(193.7, 1e-3, 1e-4, 2e-4),), 80.0, 0.4, 1300.0, 0.2)


def place(clli: str) -> Location:
    return Location(clli, clli.title(), "EU", 50.0, 5.0)


def node_offer(pip: str, clli: str, degrees: int, transponders: int, *, shelves: int = 1) -> NodeOffer:
    """A ROADM at `clli` with transponders spread over `shelves` devices in turn."""
    offers = []
    for number in range(transponders):
        shelf, line = number % shelves, number // shelves + 1
        device = f"XPDR-{clli}" if shelves == 1 else f"XPDR-{clli}-{shelf + 1}"
        offers.append(
            TransponderOffer(
                device,
                f"XPDR1-NETWORK{line}",
                f"XPDR1-CLIENT{line}",
                f"SRG1-PP{number + 1}-TXRX",
                (MODE_400, MODE_100),
            )
        )
    ports = tuple(f"DEG{i}-TTP-TXRX" for i in range(1, degrees + 1))
    return NodeOffer(pip, f"ROADM-{clli}", place(clli), ports, tuple(offers), 33.0, 300.0)


def link_offers(a: tuple[str, str, int], z: tuple[str, str, int]) -> tuple[LinkOffer, LinkOffer]:
    """Both directions of a fibre pair between (pip, CLLI, degree) and (pip, CLLI, degree)."""

    def one(head: tuple[str, str, int], tail: tuple[str, str, int]) -> LinkOffer:
        return LinkOffer(
            pip=head[0],
            link_id=f"ROADM-{head[1]}.DEG{head[2]}-TTP-TXRX",
            source_node=f"ROADM-{head[1]}",
            source_port=f"DEG{head[2]}-TTP-TXRX",
            destination_node=f"ROADM-{tail[1]}",
            # A provider does not know the degrees of another's ROADM.
            destination_port=f"DEG{tail[2]}-TTP-TXRX" if head[0] == tail[0] else "",
            inter_domain=head[0] != tail[0],
            held_bands=(),
            qot=QOT,
            power_w=10.0,
        )

    return one(a, z), one(z, a)


def it_offer(pip: str, clli: str, vcpu: int = 64, memory: int = 256, storage: int = 1000) -> ItSiteOffer:
    return ItSiteOffer(pip, f"DC-{clli}", place(clli), vcpu, memory, storage, 112.0, 4.0, 1.2, 300.0, awake=True)


def two_pips() -> dict[str, MemoryProvider]:
    """North has AMS and LON, south has PAR and MIL; a triangle AMS-LON-PAR, MIL behind PAR, data centres AMS, MIL."""
    ams_lon = link_offers(("north", "AMS", 3), ("north", "LON", 1))
    lon_par = link_offers(("north", "LON", 2), ("south", "PAR", 4))
    ams_par = link_offers(("north", "AMS", 1), ("south", "PAR", 2))
    par_mil = link_offers(("south", "PAR", 1), ("south", "MIL", 1))
    north = Catalogue(
        (node_offer("north", "AMS", 3, 4), node_offer("north", "LON", 2, 4, shelves=2)),
        (*ams_lon, lon_par[0], ams_par[0]),
        (it_offer("north", "AMS"),),
    )
    south = Catalogue(
        (node_offer("south", "PAR", 4, 4), node_offer("south", "MIL", 1, 4)),
        (lon_par[1], ams_par[1], *par_mil),
        (it_offer("south", "MIL"),),
    )
    return {"north": MemoryProvider("north", north), "south": MemoryProvider("south", south)}


@dataclass
class _Share:
    generation: int = 0
    carried: SliceConfiguration = field(default_factory=SliceConfiguration)


class MemoryProvider:
    """One PIP. `before` and `after` are hooks called with the method's name, around each effect."""

    def __init__(self, name: str, catalogue: Catalogue) -> None:
        self.name = name
        self._catalogue = catalogue
        self._reservations: dict[str, Reservation] = {}
        self._replies: dict[str, tuple[object, object]] = {}
        self._shares: dict[tuple[str, str], _Share] = {}
        self._servers: dict[tuple[str, str], dict[str, Server]] = {}
        self._steerings: dict[tuple[str, str], dict[str, Steering]] = {}
        self._count = 0
        self.calls: list[str] = []
        self.receptions: dict[tuple[str, str], Reception] = {}
        """By (device, network port)."""
        self.before: Callable[[str], BaseException | asyncio.Event | None] = lambda method: None
        self.after: Callable[[str], BaseException | asyncio.Event | None] = lambda method: None

    # What a test looks at.

    @property
    def held(self) -> tuple[Reservation, ...]:
        return tuple(self._reservations.values())

    def carried(self, device: str) -> SliceConfiguration:
        """All that a device carries, of whomever."""
        crosses, lines = set(), set()
        for (_, where), share in self._shares.items():
            if where == device:
                crosses |= share.carried.cross_connects
                lines |= share.carried.line_settings
        return SliceConfiguration(frozenset(crosses), frozenset(lines))

    def hold(self, link_id: str, band: FrequencySlot) -> None:
        """Somebody else takes a band."""
        self._reservations[f"pips/{self.name}/reservations/other-{len(self._reservations)}"] = Reservation(
            "geysers://elsewhere/vip/x/gri/y",
            link_parts=(LinkPart("other", f"pips/{self.name}/links/{link_id}", band),),
        )

    # The port.

    async def list_offers(self) -> Catalogue:
        async with self._around("list_offers"):
            taken = {(t.device, t.network_port) for r in self.held for p in r.node_parts for t in p.transponders}
            nodes = tuple(
                replace(
                    node,
                    transponders=tuple(
                        replace(t, available=(t.device, t.network_port) not in taken) for t in node.transponders
                    ),
                )
                for node in self._catalogue.nodes
            )
            links = tuple(replace(link, held_bands=self._bands(link.name)) for link in self._catalogue.links)
            sites = []
            for site in self._catalogue.it_sites:
                parts = [p for r in self.held for p in r.it_parts if p.it_site == site.name]
                sites.append(
                    replace(
                        site,
                        vcpu_count=site.vcpu_count - sum(p.vcpu_count for p in parts),
                        memory_gib=site.memory_gib - sum(p.memory_gib for p in parts),
                        storage_gib=site.storage_gib - sum(p.storage_gib for p in parts),
                    )
                )
            return Catalogue(nodes, links, tuple(sites))

    async def create_reservation(self, wanted: Reservation, hold_time_s: float, request_id: str) -> Reservation:
        async with self._around("create_reservation"):
            return self._once(request_id, wanted, lambda: self._create(wanted))

    async def list_reservations(self, gri: str = "") -> tuple[Reservation, ...]:
        async with self._around("list_reservations"):
            return tuple(held for held in self.held if gri in ("", held.gri))

    async def activate_reservation(self, name: str, request_id: str) -> Reservation:
        async with self._around("activate_reservation"):
            return self._once(request_id, name, lambda: self._activate(name))

    async def delete_reservation(self, name: str, request_id: str) -> None:
        async with self._around("delete_reservation"):
            self._once(request_id, name, lambda: self._delete(name))

    async def apply_slice(self, reservation: str, device: str, generation: int, desired: SliceConfiguration) -> None:
        async with self._around("apply_slice"):
            share = self._share(reservation, device)
            if generation < share.generation:
                raise StaleGeneration(f"{device} carries generation {share.generation}", generation=share.generation)
            share.generation, share.carried = generation, desired

    async def get_slice(self, reservation: str, device: str) -> SliceReading:
        async with self._around("get_slice"):
            share = self._share(reservation, device)
            seen = tuple(
                self.receptions.get((device, line.network_port), Reception(line.network_port, -99.0, None, "no-signal"))
                for line in share.carried.line_settings
            )
            return SliceReading(share.carried, seen, 100.0)

    async def create_server(self, reservation: str, part_id: str, server: Server) -> Server:
        async with self._around("create_server"):
            own = self._it_part(reservation, part_id)
            first = own.setdefault(
                server.server_id,
                replace(server, state=ItResourceState.ACTIVE, instance_uuid=f"i-{server.server_id}"),
            )
            if not first.same_demand(server):
                raise AlreadyExists(f"{reservation} {part_id} has {server.server_id} already")
            return first

    async def list_servers(self, reservation: str, part_id: str) -> SitePower:
        async with self._around("list_servers"):
            own = self._it_part(reservation, part_id)
            return SitePower(tuple(own.values()), 112.0 * len(own))

    async def delete_server(self, reservation: str, part_id: str, server_id: str) -> None:
        async with self._around("delete_server"):
            self._it_part(reservation, part_id).pop(server_id, None)

    async def put_steering(self, reservation: str, part_id: str, steering: Steering) -> None:
        async with self._around("put_steering"):
            part = next(p for p in self._active(reservation).node_parts if p.part_id == part_id)
            if steering.client_port not in {t.client_port for t in part.transponders}:
                raise NotFound(f"{part.node} has no client port {steering.client_port}")
            self._steerings.setdefault((reservation, part_id), {})[steering.steering_id] = steering

    async def delete_steering(self, reservation: str, part_id: str, steering_id: str) -> None:
        async with self._around("delete_steering"):
            self._active(reservation)
            self._steerings.get((reservation, part_id), {}).pop(steering_id, None)

    async def list_steerings(self, reservation: str, part_id: str) -> tuple[Steering, ...]:
        async with self._around("list_steerings"):
            self._active(reservation)
            return tuple(self._steerings.get((reservation, part_id), {}).values())

    # Inside.

    def _around(self, method: str) -> _Around:
        return _Around(self, method)

    def _once(self, request_id: str, body: object, work: Callable[[], object]):
        if request_id not in self._replies:
            self._replies[request_id] = (body, work())
        first_body, answer = self._replies[request_id]
        if first_body != body:
            raise InvalidRequest(f"request_id {request_id} was used for a different request", field="request_id")
        return answer

    def _create(self, wanted: Reservation) -> Reservation:
        parts = []
        taken = {(t.device, t.network_port) for r in self.held for p in r.node_parts for t in p.transponders}
        nodes = {node.name: node for node in self._catalogue.nodes}
        for part in wanted.node_parts:
            free = [t for t in nodes[part.node].transponders if (t.device, t.network_port) not in taken]
            if len(free) < part.transponder_count:
                raise ResourceExhausted(f"{part.node} has {len(free)} transponders left")
            given = tuple(free[: part.transponder_count])
            taken |= {(t.device, t.network_port) for t in given}
            parts.append(replace(part, transponders=given))
        for link in wanted.link_parts:
            if any(band.overlaps(link.band) for band in self._bands(link.link)):
                raise SpectrumBlocked(f"{link.link}: held by vip/other")
        self._count += 1
        held = replace(wanted, name=f"pips/{self.name}/reservations/r{self._count}", node_parts=tuple(parts))
        self._reservations[held.name] = held
        return held

    def _activate(self, name: str) -> Reservation:
        if name not in self._reservations:
            raise NotFound(f"{name} not found")
        self._reservations[name] = replace(self._reservations[name], state=ReservationState.ACTIVE)
        return self._reservations[name]

    def _delete(self, name: str) -> None:
        self._reservations.pop(name, None)
        for store in (self._shares, self._servers, self._steerings):
            for key in [key for key in store if key[0] == name]:
                del store[key]

    def _active(self, name: str) -> Reservation:
        held = self._reservations.get(name)
        if held is None:
            raise NotFound(f"{name} not found")
        if held.state is not ReservationState.ACTIVE:
            raise WrongState(f"{name} is {held.state.value}")
        return held

    def _share(self, reservation: str, device: str) -> _Share:
        held = self._active(reservation)
        own = {p.node.rpartition("/")[2] for p in held.node_parts}
        own |= {t.device for p in held.node_parts for t in p.transponders}
        if device not in own:
            raise NotFound(f"{reservation} has nothing in {device}")
        return self._shares.setdefault((reservation, device), _Share())

    def _it_part(self, reservation: str, part_id: str) -> dict[str, Server]:
        held = self._active(reservation)
        if part_id not in {part.part_id for part in held.it_parts}:
            raise NotFound(f"{reservation} has no IT part {part_id}")
        return self._servers.setdefault((reservation, part_id), {})

    def _bands(self, link_name: str) -> tuple[FrequencySlot, ...]:
        return tuple(part.band for held in self.held for part in held.link_parts if part.link == link_name)


class _Around:
    """Runs the hooks of a provider before and after an effect."""

    def __init__(self, provider: MemoryProvider, method: str) -> None:
        self._provider = provider
        self._method = method

    async def __aenter__(self) -> None:
        self._provider.calls.append(self._method)
        await _obey(self._provider.before(self._method))

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            await _obey(self._provider.after(self._method))


async def _obey(order: BaseException | asyncio.Event | None) -> None:
    if isinstance(order, BaseException):
        raise order
    if order is not None:
        await order.wait()


def failing(methods: str | set[str], error: GeysersError) -> Callable[[str], BaseException | None]:
    """A hook that fails at the named methods."""
    names = {methods} if isinstance(methods, str) else methods
    return lambda method: error if method in names else None
