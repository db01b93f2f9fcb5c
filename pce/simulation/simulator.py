"""One simulation run: a scenario turned into arrays, a seed, and what the kernel counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.domain.errors import GeysersError, InvalidRequest
from pce.core.provisioning import simulate_first_fit
from pce.simulation.network import Network
from pce.simulation.path_sets import Library, PathSet
from pce.simulation.scenario import Scenario

GENERATOR = "xoshiro256++ seeded by splitmix64; per request: arrival, pair, class, holding time"
_BATCHES_MOST = 20
# Blocking at two times is almost independent when they are this many holding times apart.
_BATCH_HOLDING_TIMES = 20.0
_BATCH_LEAST = 1000
_WORD_SLOTS = 64
_ENTRIES_MOST = 2**31 - 1


@dataclass(frozen=True)
class Setting:
    """A scenario as the kernel takes it."""

    scenario: Scenario
    directed: bool
    path_source: str
    arrays: tuple[Any, ...]
    """first, last, hops, links, modulation, width, amount of `simulate_first_fit`."""
    link_count: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What one seed gave, per batch; `seconds` are those of the kernel."""

    seed: int
    requests: tuple[int, ...]
    blocked: tuple[int, ...]
    offered_amount: float
    blocked_amount: float
    seconds: float

    @property
    def sbp(self) -> float:
        """Share of requests blocked."""
        return sum(self.blocked) / sum(self.requests)


def prepare(scenario: Scenario, library: Library) -> Setting:
    """Load what a scenario names and lay it out in arrays. Raises: InvalidRequest, NotFound, naming the record."""
    try:
        network = library.network(scenario)
        if len(network.links) * scenario.slots > _ENTRIES_MOST:
            raise InvalidRequest(
                f"slots is {scenario.slots}; give at most {_ENTRIES_MOST // len(network.links)} on this topology",
                field="slots",
                value=scenario.slots,
            )
        paths = library.paths(scenario)
        first, last = _demands(scenario, network, paths)
    except GeysersError as error:
        message = f"record {scenario.scenario_id}: {error.message}"
        raise type(error)(message, **{**error.fields, "record": scenario.scenario_id}) from error
    return Setting(
        scenario=scenario,
        directed=network.directed,
        path_source=paths.source,
        arrays=(first, last, *_path_arrays(scenario, paths)),
        link_count=len(network.links),
    )


def _demands(
    scenario: Scenario, network: Network, paths: PathSet
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Candidate path range of each demand."""
    numbers = range(len(network.pairs))
    if scenario.pairs is not None:
        for pair in scenario.pairs:
            if pair not in network.pair_number:
                raise InvalidRequest(
                    f"pairs holds {list(pair)!r}; give nodes of {network.name}", field="pairs", value=list(pair)
                )
        chosen = [network.pair_number[pair] for pair in scenario.pairs]
    else:
        chosen = list(numbers)
    return paths.first[chosen], paths.first[1:][chosen]


def _path_arrays(scenario: Scenario, paths: PathSet) -> tuple[Any, ...]:
    """hops, links, modulation, width and amount; a path that no modulation reaches gets a width no spectrum has."""
    words = -(-scenario.slots // _WORD_SLOTS)
    if scenario.modulations:
        efficiencies = [scenario.efficiency(length) for length in paths.length_km]
    else:
        efficiencies = [1.0] * paths.length_km.size
    kinds = sorted(set(efficiencies)) or [1.0]
    width = np.array(
        [
            [
                min(scenario.width_slots(amount, kind), scenario.slots + 1) if kind > 0.0 else scenario.slots + 1
                for amount in scenario.amounts
            ]
            for kind in kinds
        ],
        np.int64,
    )
    return (
        paths.hops,
        paths.offsets(words),
        np.array([kinds.index(efficiency) for efficiency in efficiencies], np.uint16),
        width,
        np.array(scenario.amounts, np.float64),
    )


def run(setting: Setting, seed: int, stopwatch: Callable[[], float]) -> Tally:
    """Simulate one seed. `stopwatch` gives monotonic seconds. Compiled kernels are warmed up before."""
    scenario = setting.scenario
    warm_up()
    batches = _batches(scenario)
    bounds = [scenario.requests * batch // batches for batch in range(batches + 1)]
    counts = [later - earlier for earlier, later in pairwise(bounds)]
    segments = np.array([scenario.warmup, *counts], np.int64)
    began = stopwatch()
    blocked, offered, lost = _simulate(setting, seed, segments)
    seconds = stopwatch() - began
    return Tally(
        seed=seed,
        requests=tuple(counts),
        blocked=tuple(int(count) for count in blocked[1:]),
        offered_amount=float(offered[1:].sum()),
        blocked_amount=float(lost[1:].sum()),
        seconds=seconds,
    )


def _batches(scenario: Scenario) -> int:
    least = max(_BATCH_HOLDING_TIMES * scenario.load_erlang, _BATCH_LEAST)
    return max(1, min(_BATCHES_MOST, int(scenario.requests / least)))


def _simulate(
    setting: Setting, seed: int, segments: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    scenario = setting.scenario
    first, last, hops, links, modulation, width, amount = setting.arrays
    blocked = np.zeros(segments.size, np.int64)
    offered, lost = np.zeros(segments.size), np.zeros(segments.size)
    # Interpreted (NUMBA_DISABLE_JIT=1), the random generator's sums wrap with a warning.
    with np.errstate(over="ignore"):
        simulate_first_fit(
            first,
            last,
            hops,
            links,
            modulation,
            width,
            amount,
            setting.link_count,
            scenario.slots,
            scenario.load_erlang,
            scenario.truncated,
            np.uint64(seed),
            segments,
            blocked,
            offered,
            lost,
        )
    return blocked, offered, lost


def warm_up() -> None:
    """Compile the kernel, or load it from the cache, on the smallest input."""
    link = np.zeros(1, np.uint32)
    ends = np.array([0, 1], np.uint32)
    out = np.zeros(1, np.int64), np.zeros(1), np.zeros(1)
    with np.errstate(over="ignore"):
        simulate_first_fit(
            link, ends[1:], ends, link, np.zeros(1, np.uint16), np.ones((1, 1), np.int64), np.ones(1), 1, 1, 1.0, False,
            np.uint64(1), np.ones(1, np.int64), *out,
        )  # fmt: skip
