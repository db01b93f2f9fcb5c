"""Hop 3 of 8: the traffic engineering database as an immutable snapshot with a generation number.

The NCP (hop 2) derives one from its virtual nodes, the PCE reads it, signalling (hop 4) re-checks the generation
when it books. A change makes a new snapshot which shares everything that did not change.

Links are directed: a fibre pair between A and Z is two `TedLink`. Noise adds up along a route, because every ROADM
restores the same power spectral density; as that includes the noise so far, 1 + r = Π (1 + r_link), to first order the
sum of the links' noise-to-signal ratios.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from controller.domain.checks import finite, not_negative
from controller.domain.errors import InvalidRequest
from controller.domain.qot import LinkQot, OperationalMode
from controller.domain.spectrum import FULL, WORDS, FrequencySlot, Words, with_slots

FULL_BAND = FrequencySlot.from_granules(0, 768)


@dataclass(frozen=True, slots=True)
class TedLink:
    """A directed TE link (RFC 3630) between two nodes, with the band of spectrum that its owner may use."""

    name: str
    a: str
    z: str
    band: FrequencySlot
    occupied: Words  # 12 uint64 words, bit g%64 of word g//64 = granule g in use; outside `band` counts as in use
    qot: LinkQot
    power_w: float = 0.0  # amplifiers of the line, drawn while any channel is lit
    srlgs: frozenset[str] = frozenset()
    cost: float = 0.0  # lease price per lightpath, 0 when unknown

    def __post_init__(self) -> None:
        object.__setattr__(self, "occupied", tuple(int(word) for word in self.occupied))
        if len(self.occupied) != WORDS:
            raise InvalidRequest(
                f"link {self.name}: occupied has {len(self.occupied)} words; give {WORDS} of 64 granules",
                field="occupied",
                link=self.name,
            )
        not_negative(f"link {self.name}", "power_w", self.power_w)
        if self.a == self.z:
            raise InvalidRequest(f"link {self.name} joins {self.a} to itself: remove it", field="z", link=self.name)

    @property
    def is_lit(self) -> bool:
        """Whether a channel is lit inside the band, so that the line's amplifiers are awake already."""
        return any(used & inside for used, inside in zip(self.occupied, band_words(self.band), strict=True))


@dataclass(frozen=True, slots=True)
class TedTransponder:
    """A line port of a transponder that a lightpath may end on."""

    port: str
    modes: tuple[OperationalMode, ...]
    free: bool


@dataclass(frozen=True, slots=True)
class TedNode:
    """A ROADM with its transponders."""

    name: str
    add_drop_osnr_0p1nm_db: float
    transponders: tuple[TedTransponder, ...] = ()
    express_power_w: float = 0.0  # per lightpath that passes
    add_drop_power_w: float = 0.0  # per lightpath that ends
    cost: float = 0.0

    def __post_init__(self) -> None:
        if self.add_drop_osnr_0p1nm_db != float("inf"):
            finite(f"node {self.name}", "add_drop_osnr_0p1nm_db", self.add_drop_osnr_0p1nm_db)
        not_negative(f"node {self.name}", "express_power_w", self.express_power_w)
        not_negative(f"node {self.name}", "add_drop_power_w", self.add_drop_power_w)


@dataclass(frozen=True, slots=True)
class TedItSite:
    """A data centre and what is left in it; `active` = at least one server is awake."""

    name: str
    node: str
    vcpu_free: float
    memory_free_gib: float
    storage_free_gib: float
    idle_w: float  # of the server that must be woken for a first virtual machine
    per_vcpu_w: float
    pue: float
    active: bool
    carbon_g_per_kwh: float
    cost_per_vcpu: float = 0.0

    def __post_init__(self) -> None:
        names = ("vcpu_free", "memory_free_gib", "storage_free_gib", "idle_w", "per_vcpu_w", "carbon_g_per_kwh")
        for name in names:
            not_negative(f"IT site {self.name}", name, getattr(self, name))
        if not 1.0 <= self.pue < float("inf"):
            raise InvalidRequest(
                f"IT site {self.name}: pue={self.pue}; a power usage effectiveness is at least 1",
                field="pue",
                site=self.name,
            )


@dataclass(frozen=True)
class TedSnapshot:
    """Everything the PCE knows at one generation; never changed, only succeeded."""

    generation: int
    nodes: Mapping[str, TedNode]
    links: Mapping[str, TedLink]
    sites: Mapping[str, TedItSite] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in ("nodes", "links", "sites"):
            given: Any = getattr(self, kind)
            if not isinstance(given, Mapping):
                given = _by_name(kind, given)
            object.__setattr__(self, kind, given)
        for link in self.links.values():
            for end in (link.a, link.z):
                if end not in self.nodes:
                    raise InvalidRequest(
                        f"link {link.name} ends on {end}, which is no node of the snapshot: add the node",
                        field="links",
                        link=link.name,
                    )
        for site in self.sites.values():
            if site.node not in self.nodes:
                raise InvalidRequest(
                    f"IT site {site.name} stands at {site.node}, which is no node of the snapshot",
                    field="sites",
                    site=site.name,
                )

    @classmethod
    def of(
        cls, generation: int, nodes: Iterable[TedNode], links: Iterable[TedLink], sites: Iterable[TedItSite] = ()
    ) -> TedSnapshot:
        """Snapshot of plain sequences; names must be unique within each."""
        return cls(generation, _by_name("nodes", nodes), _by_name("links", links), _by_name("sites", sites))

    def with_occupied(
        self, link_names: Iterable[str], slot: FrequencySlot, *, generation: int | None = None
    ) -> TedSnapshot:
        """Derive the next snapshot, in which `slot` is in use on the named directed links."""
        links = dict(self.links)
        for name in link_names:
            link = links[name]
            links[name] = replace(link, occupied=with_slots(link.occupied, [slot]))
        return self._next(generation, links=links)

    def with_links(self, changed: Iterable[TedLink], *, generation: int | None = None) -> TedSnapshot:
        """Derive the next snapshot, in which links of the same names are replaced (or added)."""
        return self._next(generation, links={**self.links, **_by_name("links", changed)})

    def with_nodes(self, changed: Iterable[TedNode], *, generation: int | None = None) -> TedSnapshot:
        """Derive the next snapshot, in which nodes of the same names are replaced (or added)."""
        return self._next(generation, nodes={**self.nodes, **_by_name("nodes", changed)})

    def with_sites(self, changed: Iterable[TedItSite], *, generation: int | None = None) -> TedSnapshot:
        """Derive the next snapshot, in which IT sites of the same names are replaced (or added)."""
        return self._next(generation, sites={**self.sites, **_by_name("sites", changed)})

    def without_links(self, names: Iterable[str], *, generation: int | None = None) -> TedSnapshot:
        """Derive the next snapshot, in which the named links have failed or were withdrawn."""
        gone = set(names)
        return self._next(generation, links={name: link for name, link in self.links.items() if name not in gone})

    def with_transponders(
        self, ports: Mapping[str, Iterable[str]], *, free: bool, generation: int | None = None
    ) -> TedSnapshot:
        """Derive the next snapshot, in which the named ports (per node) are free or taken."""
        changed = []
        for node_name, node_ports in ports.items():
            node, chosen = self.nodes[node_name], set(node_ports)
            shelf = tuple(replace(t, free=free) if t.port in chosen else t for t in node.transponders)
            changed.append(replace(node, transponders=shelf))
        return self.with_nodes(changed, generation=generation)

    def _next(self, generation: int | None, **parts: Any) -> TedSnapshot:
        return replace(self, generation=self.generation + 1 if generation is None else generation, **parts)

    @cached_property
    def links_between(self) -> Mapping[tuple[str, str], tuple[TedLink, ...]]:
        """Parallel directed links by (a, z), in order of name."""
        found: dict[tuple[str, str], list[TedLink]] = {}
        for name in sorted(self.links):
            link = self.links[name]
            found.setdefault((link.a, link.z), []).append(link)
        return {ends: tuple(links) for ends, links in found.items()}


def band_words(band: FrequencySlot) -> Words:
    """Words with the granules of `band` set."""
    return with_slots((0,) * WORDS, [band])


def all_occupied() -> Words:
    """Words of a link on which nothing may be lit."""
    return FULL


def _by_name(kind: str, things: Iterable[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for thing in things:
        if thing.name in named:
            raise InvalidRequest(f"{thing.name} appears twice among {kind}: names are unique", field=kind)
        named[thing.name] = thing
    return named
