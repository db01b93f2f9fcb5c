"""What a simulation tells: blocking, its confidence interval, speed, and the setting that it holds for."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from pce.simulation.confidence import interval_95
from pce.simulation.simulator import GENERATOR, Setting, Tally


def result(setting: Setting, tallies: Sequence[Tally]) -> dict[str, Any]:
    """One entry of `results`.

    sbp, bbp : share of requests, and of bit rate (or slots), that was blocked after the warm-up; mean of the seeds
    ci95     : [low, high] of sbp
    seconds  : time of the kernel, all seeds one after the other, without compilation
    requests_per_s : requests simulated per second of one core, warm-up included
    """
    scenario = setting.scenario
    seconds = sum(tally.seconds for tally in tallies)
    simulated = len(tallies) * (scenario.warmup + scenario.requests)
    batches = [
        blocked / requests for tally in tallies for blocked, requests in zip(tally.blocked, tally.requests, strict=True)
    ]
    return {
        "id": scenario.scenario_id,
        "path_order": scenario.path_order.value,
        "k": scenario.k,
        "sbp": fmean(tally.sbp for tally in tallies),
        "sbp_seeds": [tally.sbp for tally in tallies],
        "bbp": sum(t.blocked_amount for t in tallies) / sum(t.offered_amount for t in tallies),
        "ci95": list(interval_95(batches, len(tallies) * scenario.requests)),
        "requests_per_s": simulated / seconds if seconds > 0 else None,
        "seconds": seconds,
        "topology": scenario.topology,
        "directed": setting.directed,
        "paths": setting.path_source,
        "slots": scenario.slots,
        "load_erlang": scenario.load_erlang,
        "offered_erlang": scenario.offered_erlang,
        "truncated_holding_2tau": scenario.truncated,
        "warmup": scenario.warmup,
        "requests_measured": scenario.requests,
        "seeds": list(scenario.seeds),
        "generator": GENERATOR,
    }
