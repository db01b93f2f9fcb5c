"""Hop 3 of 8: what the PCE is asked and what it answers.

A target is fixed (`targets`), or an IT site chosen among candidates (`it_demand`, anycast), or both: then only
sites standing at one of `targets` qualify (restricted anycast).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from controller.domain.errors import InvalidRequest
from controller.domain.qot import OperationalMode
from controller.domain.spectrum import FrequencySlot


class Objective(Enum):
    """What is minimised; names as in GEYSERS where it has one."""

    NET_POWER = "NET_POWER"  # W of amplifiers, ROADM crossings and transponders to be woken
    IT_POWER = "IT_POWER"  # W of the IT site, PUE included
    NET_IT_POWER = "NET_IT_POWER"  # sum of both
    LATENCY = "LATENCY"  # ms, one way
    COST = "COST"  # lease price of links and nodes plus IT price
    HOPS = "HOPS"
    DISTANCE = "DISTANCE"  # km
    CARBON = "CARBON"  # g/h of the IT site and of the network at the site's grid figure


@dataclass(frozen=True, slots=True)
class ItDemand:
    """Virtual machine and volume asked of one IT site."""

    vcpu: float
    memory_gib: float
    storage_gib: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vcpu", "memory_gib", "storage_gib"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise InvalidRequest(
                    f"it_demand.{name}={value}: give a finite number of at least 0",
                    field=f"it_demand.{name}",
                    value=value,
                )


@dataclass(frozen=True, slots=True)
class PathRequest:
    """One point-to-point demand, both directions on the same slot."""

    source: str
    targets: tuple[str, ...] | None = None
    it_demand: ItDemand | None = None
    candidate_sites: tuple[str, ...] | None = None  # None = every site of the snapshot
    bit_rate_gbps: float = 100.0
    objective: Objective = Objective.NET_IT_POWER
    min_margin_db: float = 0.0
    k: int = 3  # routes per target: k by the objective's own weight and k by length, each once
    max_latency_ms: float | None = None
    avoid_nodes: frozenset[str] = frozenset()
    avoid_links: frozenset[str] = frozenset()  # a name bars the pair: both directions share one slot
    avoid_srlgs: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 < self.bit_rate_gbps < float("inf"):
            raise InvalidRequest(
                f"bit_rate_gbps={self.bit_rate_gbps}: ask for a finite rate above 0",
                field="bit_rate_gbps",
                value=self.bit_rate_gbps,
            )
        if not 1 <= self.k <= MAX_K:
            raise InvalidRequest(f"k={self.k}: ask for 1 to {MAX_K} routes", field="k", value=self.k)
        if not -100 < self.min_margin_db < 100:
            raise InvalidRequest(
                f"min_margin_db={self.min_margin_db}: give a margin in dB, usually 0 to 3",
                field="min_margin_db",
                value=self.min_margin_db,
            )
        if self.max_latency_ms is not None and not self.max_latency_ms > 0:
            raise InvalidRequest(
                f"max_latency_ms={self.max_latency_ms}: give a limit above 0 or leave it out",
                field="max_latency_ms",
                value=self.max_latency_ms,
            )
        if self.targets is None and self.it_demand is None:
            raise InvalidRequest("neither targets nor it_demand: name a target node or ask for IT", field="targets")
        if self.targets is not None and not self.targets:
            raise InvalidRequest("targets is empty: name at least one node or leave it out", field="targets")


MAX_K = 1000


@dataclass(frozen=True, slots=True)
class Route:
    """Ordered node names and the directed links of both directions.

    `forward` runs from `nodes[0]` on; `reverse` lists the opposite link of each hop in the same order of hops.
    """

    nodes: tuple[str, ...]
    forward: tuple[str, ...]
    reverse: tuple[str, ...]

    @property
    def hops(self) -> int:
        return len(self.forward)

    @property
    def directed_links(self) -> tuple[str, ...]:
        return self.forward + self.reverse

    def __str__(self) -> str:
        return " → ".join(self.nodes)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One feasible answer. GSNR in 0.1 nm (12.5 GHz), the lower of the two directions, transponders included."""

    route: Route
    slot: FrequencySlot
    mode: OperationalMode
    source_node: str
    target_node: str
    source_transponder: str
    target_transponder: str
    site: str | None
    gsnr_0p1nm_db: float  # with the channels lit today
    worst_case_gsnr_0p1nm_db: float  # with the whole band lit
    margin_db: float  # worst case, above the mode's required OSNR
    net_power_w: float
    it_power_w: float
    latency_ms: float
    length_km: float
    objective_value: float


class Constraint(Enum):
    """The first constraint that refused a candidate."""

    CONNECTIVITY = "connectivity"
    TRANSPONDER = "transponder"
    MODE = "mode"
    LATENCY = "latency"
    GSNR = "gsnr"
    SPECTRUM = "spectrum"
    VCPU = "vcpu"
    MEMORY = "memory"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one combination is not among the candidates, and by how much."""

    route: Route | None
    site: str | None
    target: str | None
    mode: str | None
    constraint: Constraint
    shortfall: float
    unit: str
    message: str


@dataclass(frozen=True, slots=True)
class PathAnswer:
    """Candidates in rising order of objective value (`best` first) and everything that was refused."""

    generation: int
    objective: Objective
    best: Candidate
    candidates: tuple[Candidate, ...]
    refusals: tuple[Refusal, ...] = ()
