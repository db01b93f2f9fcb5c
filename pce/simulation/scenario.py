"""One record of a scenario file (schema rsa-anchor/1): the setting of a simulation, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from controller.domain.errors import InvalidRequest
from pce.simulation.record import Record, read_json

SLOTS_MOST = 65_536
K_MOST = 10_000
CLASSES_MOST = 1_000_000
DEFAULT_SEEDS = (1, 2, 3)
DEFAULT_REQUESTS = 1_000_000
DEFAULT_WARMUP = 30_000
TRUNCATION_MEANS = 2.0


class PathOrder(StrEnum):
    """What the k candidate paths of a pair are, and in which order they are tried."""

    HOPS = "hops"
    DISTANCE = "distance"
    SPECTRAL_RESOURCES = "spectral_resources"


@dataclass(frozen=True, slots=True)
class Modulation:
    """A modulation format; `reach_km` is infinite for the one that always works."""

    name: str
    reach_km: float
    bits_per_s_per_hz: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A setting: network, candidate paths, spectrum, traffic and the length of the run."""

    scenario_id: str
    topology: str
    path_order: PathOrder
    k: int
    pathset: str | None
    slots: int
    slot_ghz: float
    guardband_slots: int
    load_erlang: float
    truncated: bool
    amounts: tuple[float, ...]
    """Traffic classes, drawn uniformly: bit rates in Gb/s, or slots where `modulations` is empty."""
    modulations: tuple[Modulation, ...]
    pairs: tuple[tuple[Any, Any], ...] | None
    """Ordered node pairs that requests are drawn from, uniformly; None: all of the network."""
    requests: int
    warmup: int
    seeds: tuple[int, ...]

    @property
    def label(self) -> str:
        """What tells a record from others of the same id."""
        return f"{self.scenario_id} ({self.path_order}, k={self.k})"

    @property
    def offered_erlang(self) -> float:
        """Load that is really offered: truncation at twice the mean shortens what is held."""
        if not self.truncated:
            return self.load_erlang
        beyond = math.exp(-TRUNCATION_MEANS)
        return self.load_erlang * (1.0 - TRUNCATION_MEANS * beyond / (1.0 - beyond))

    def efficiency(self, length_km: float) -> float:
        """Bits per second and hertz of the best modulation that reaches so far; 0 when none does."""
        return max((m.bits_per_s_per_hz for m in self.modulations if m.reach_km >= length_km), default=0.0)

    def width_slots(self, amount: float, efficiency: float) -> int:
        """Slots that a request takes, guard band included."""
        if not self.modulations:
            return int(amount) + self.guardband_slots
        # The margin keeps 75 / (3 · 12.5) at 2 where a division is not exact.
        return math.ceil(amount / (efficiency * self.slot_ghz) - 1e-9) + self.guardband_slots


def read_scenarios(file: Path) -> list[Scenario]:
    """The scenarios of a file. Raises: InvalidRequest."""
    document = read_json(file)
    records = document.get("records") if isinstance(document, dict) else document
    if not isinstance(records, list) or not records:
        raise InvalidRequest(
            f'{file}: holds no records; give {{"records": [{{…}}]}} as in schema rsa-anchor/1',
            field="records",
            value=str(file),
        )
    return [_scenario(entry, number) for number, entry in enumerate(records, 1)]


def _scenario(entry: Any, number: int) -> Scenario:
    if not isinstance(entry, dict):
        raise InvalidRequest(
            f"record {number}: is {entry!r}; give an object", record=str(number), field="records", value=entry
        )
    identity = entry.get("id")
    if not isinstance(identity, str) or not identity:
        raise Record(str(number), entry).fault("id", f"is {identity!r}", "give a text that is not empty")
    record = Record(identity, entry)
    record.one_of("heuristic", ("ksp_ff",), "ksp_ff")
    # Blocking depends on the load alone; the mean only says what a unit of time is.
    record.number("mean_holding", 1.0, above=0.0)
    amounts, modulations = _traffic(record)
    seeds = record.integers("seeds", DEFAULT_SEEDS, least=0, most=2**64 - 1)
    if len(set(seeds)) != len(seeds):
        raise record.fault("seeds", f"is {list(seeds)!r}", "give each seed once: a stream is evidence only once")
    return Scenario(
        scenario_id=identity,
        topology=record.name("topology"),
        path_order=PathOrder(record.one_of("path_order", tuple(PathOrder))),
        k=record.integer("k", least=1, most=K_MOST),
        pathset=record.name("pathset") if record.has("pathset") else None,
        slots=record.integer("slots", least=1, most=SLOTS_MOST),
        slot_ghz=record.number("slot_ghz", above=0.0, most=1e6) if modulations else 1.0,
        guardband_slots=record.integer("guardband_slots", least=0, most=SLOTS_MOST),
        load_erlang=record.number("load_erlang", above=0.0, most=1e9),
        truncated=record.boolean("truncated_holding_2tau"),
        amounts=amounts,
        modulations=modulations,
        pairs=_pairs(record),
        requests=record.integer("requests_measured", DEFAULT_REQUESTS, least=1, most=10**12),
        warmup=record.integer("warmup", DEFAULT_WARMUP, least=0, most=10**12),
        seeds=seeds,
    )


def _traffic(record: Record) -> tuple[tuple[float, ...], tuple[Modulation, ...]]:
    """Traffic classes and modulations; none of the latter where the record asks for slots."""
    mend = "give bit_rate_gbps {min, max, step} with modulations, or slot_demand [slots, …]"
    if record.has("slot_demand"):
        if record.has("bit_rate_gbps"):
            raise record.fault("slot_demand", "and bit_rate_gbps are both given", mend)
        return tuple(map(float, record.integers("slot_demand", least=1, most=SLOTS_MOST))), ()
    rates = record.part("bit_rate_gbps", mend)
    least = rates.number("min", above=0.0, most=1e9)
    most = rates.number("max", above=0.0, most=1e9)
    step = rates.number("step", 1.0, above=0.0, most=1e9)
    if most < least:
        raise rates.fault("max", f"is {most:g}, below min", f"give at least {least:g}")
    count = math.floor((most - least) / step + 1e-9) + 1
    if count > CLASSES_MOST:
        raise rates.fault("step", f"makes {count} bit rates", f"give a larger one, at most {CLASSES_MOST} bit rates")
    return tuple(least + step * index for index in range(count)), _modulations(record)


def _modulations(record: Record) -> tuple[Modulation, ...]:
    return tuple(
        Modulation(
            name=str(each.value("name", "give a text")),
            reach_km=each.number("reach_km", above=0.0) if each.has("reach_km") else math.inf,
            bits_per_s_per_hz=each.number("bits_per_s_per_hz", above=0.0, most=1e3),
        )
        for each in record.parts("modulations", "give a list of {name, reach_km or null, bits_per_s_per_hz}")
    )


def _pairs(record: Record) -> tuple[tuple[Any, Any], ...] | None:
    if not record.has("pairs"):
        return None
    mend = "give a list of [node, node], two different nodes each; leave it out for all pairs"
    found = record.entry["pairs"]
    if not isinstance(found, list) or not found:
        raise record.fault("pairs", f"is {found!r}", mend)
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1] or not all(map(_is_node, pair)):
            raise record.fault("pairs", f"holds {pair!r}", mend)
    return tuple((pair[0], pair[1]) for pair in found)


def _is_node(node: Any) -> bool:
    return isinstance(node, int | str) and not isinstance(node, bool)
