"""The error that says why nothing is feasible: that of the refusal which came closest to an answer."""

from __future__ import annotations

from collections.abc import Sequence

from controller.domain.errors import (
    GeysersError,
    GsnrBelowMargin,
    InvalidRequest,
    NoPath,
    ResourceExhausted,
    SpectrumBlocked,
)
from pce.request import Constraint, PathRequest, Refusal

_BY_CLOSENESS: tuple[tuple[Constraint, type[GeysersError]], ...] = (
    (Constraint.SPECTRUM, SpectrumBlocked),
    (Constraint.GSNR, GsnrBelowMargin),
    (Constraint.LATENCY, NoPath),
    (Constraint.TRANSPONDER, ResourceExhausted),
    (Constraint.MODE, ResourceExhausted),
    (Constraint.CONNECTIVITY, NoPath),
    (Constraint.STORAGE, ResourceExhausted),
    (Constraint.MEMORY, ResourceExhausted),
    (Constraint.VCPU, ResourceExhausted),
)
"""Spectrum first: a lightpath of enough quality only wants a free slot."""


def failure(request: PathRequest, refusals: Sequence[Refusal]) -> GeysersError:
    """Error of the closest refusal, with its figures and the number of all refusals as fields."""
    for constraint, kind in _BY_CLOSENESS:
        of_kind = [refusal for refusal in refusals if refusal.constraint is constraint]
        if not of_kind:
            continue
        closest = min(of_kind, key=lambda refusal: refusal.shortfall)
        others = len(refusals) - 1
        return kind(
            closest.message + (f" ({others} more combinations were refused)" if others else ""),
            constraint=constraint.value,
            shortfall=closest.shortfall,
            unit=closest.unit,
            source=request.source,
            target=closest.target,
            site=closest.site,
            route=str(closest.route) if closest.route else None,
            mode=closest.mode,
            refused=len(refusals),
        )
    return InvalidRequest("neither targets nor it_demand leaves an end point: name a target node", field="targets")
