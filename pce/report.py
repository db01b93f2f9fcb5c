"""Answers as plain dictionaries, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pce.request import Candidate, PathAnswer, Refusal


def answer_report(answer: PathAnswer) -> dict[str, Any]:
    """The whole answer: `best`, ranked `candidates` and `refusals`."""
    return {
        "generation": answer.generation,
        "objective": answer.objective.value,
        "best": candidate_report(answer.best),
        **weighed_report(answer.candidates, answer.refusals),
    }


def weighed_report(candidates: Iterable[Candidate], refusals: Iterable[Refusal]) -> dict[str, Any]:
    """Ranked candidates, possibly none, and refusals: what `Engine.weigh` found."""
    return {
        "candidates": [{"rank": rank, **candidate_report(found)} for rank, found in enumerate(candidates, start=1)],
        "refusals": [refusal_report(refusal) for refusal in refusals],
    }


def candidate_report(candidate: Candidate) -> dict[str, Any]:
    """One candidate; units are in the names."""
    return {
        "route": list(candidate.route.nodes),
        "links": list(candidate.route.forward),
        "reverse_links": list(candidate.route.reverse),
        "frequency_slot": {"n": candidate.slot.n, "m": candidate.slot.m, "center_thz": candidate.slot.center_hz / 1e12},
        "mode": candidate.mode.mode_id,
        "bit_rate_gbps": candidate.mode.bit_rate_gbps,
        "gsnr_0p1nm_db": candidate.gsnr_0p1nm_db,
        "worst_case_gsnr_0p1nm_db": candidate.worst_case_gsnr_0p1nm_db,
        "required_osnr_0p1nm_db": candidate.mode.required_osnr_0p1nm_db,
        "margin_db": candidate.margin_db,
        "net_power_w": candidate.net_power_w,
        "it_power_w": candidate.it_power_w,
        "power_w": candidate.net_power_w + candidate.it_power_w,
        "latency_ms": candidate.latency_ms,
        "length_km": candidate.length_km,
        "it_site": candidate.site,
        "source_transponder": candidate.source_transponder,
        "target_transponder": candidate.target_transponder,
        "objective_value": candidate.objective_value,
    }


def refusal_report(refusal: Refusal) -> dict[str, Any]:
    """One refusal with its shortfall."""
    return {
        "route": list(refusal.route.nodes) if refusal.route else None,
        "it_site": refusal.site,
        "target": refusal.target,
        "mode": refusal.mode,
        "constraint": refusal.constraint.value,
        "shortfall": refusal.shortfall,
        "unit": refusal.unit,
        "message": refusal.message,
    }
