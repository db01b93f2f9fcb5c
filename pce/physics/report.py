"""Quality of transmission as plain dictionaries, ready for JSON; what is infinite becomes null."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pce.physics.path import PathQot

_DECIMALS = 6


def case_report(case_id: str, qot: PathQot) -> dict[str, Any]:
    """Figures of every channel that is carried, in rising frequency."""
    return {
        "case_id": case_id,
        "gsnr_01nm_db": _listed(qot.gsnr_0p1nm_db),
        "osnr_ase_01nm_db": _listed(qot.osnr_ase_0p1nm_db),
        "cd_ps_per_nm": _listed(qot.cd_ps_per_nm),
        "pmd_ps": _listed(qot.pmd_ps),
        "latency_ms": round(qot.latency_ms, _DECIMALS),
    }


def path_report(case_id: str, qot: PathQot) -> dict[str, Any]:
    """As `case_report`, with what else a person wants to know of one path."""
    amplifiers = zip(qot.plan.amplifier_names, qot.amplifier_gain_db, strict=True)
    return {
        **case_report(case_id, qot),
        "frequency_hz": [float(hz) for hz in qot.comb.frequency_hz],
        "pdl_db": _listed(qot.pdl_db),
        "penalty_db": _listed(qot.penalty_db),
        "rx_power_dbm": [round(10 * math.log10(watts * 1e3), _DECIMALS) for watts in qot.power_w],
        "length_km": round(sum(fibre.length_m for fibre in qot.plan.fibres) / 1e3, _DECIMALS),
        "elements": [element.uid for element in qot.plan.elements],
        "amplifier_gain_db": {name: round(float(gain), _DECIMALS) for name, gain in amplifiers},
    }


def _listed(values: Iterable[float]) -> list[float | None]:
    return [round(float(value), _DECIMALS) if math.isfinite(value) else None for value in values]
