"""A small reference folder of our own: two ROADMs, two spans, three amplifier types, four channels."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

FLAT = {"nf_ripple_db": [0.0], "gain_ripple_db": [0.0], "dgt": [1.0], "f_min_hz": 191.275e12, "f_max_hz": 196.125e12}
FIBRE = {
    "kind": "fiber",
    "length_m": 80e3,
    "con_in_db": 0.25,
    "con_out_db": 0.25,
    "att_in_db": 0.0,
    "loss_coef_db_per_km": 0.2,
    "lumped_losses": [],
    "dispersion_s_per_m2": 1.67e-5,
    "effective_area_m2": 83e-12,
    "pmd_coef_s_per_sqrt_m": 1.265e-15,
    "latency_s": 3.9e-4,
}
BLOCK = {"f_min_hz": None, "f_max_hz": None, "pmd_s": 0, "pdl_db": 0, "maxloss_db": 0.0, "osnr_db_01nm": 36.0}


def roadm(crossing: str) -> dict[str, Any]:
    return {"kind": "roadm", "target_pch_out_dbm": -20.0, "crossings": {crossing: {"impairments": [dict(BLOCK)]}}}


def channel(hz: float, **changed: Any) -> dict[str, Any]:
    return {"frequency_hz": hz, "baud_rate_hz": 32e9, "slot_width_hz": 50e9, "tx_osnr_db_01nm": 37.0} | changed


DOCUMENTS: dict[str, Any] = {
    "cases.json": [
        {"case_id": f"one/four/{physics}", "topology": "pair", "path_id": "one", "spectrum": "comb.json#four"}
        | {"physics": physics}
        for physics in ("gn", "srs", "separated")
    ],
    "index.json": {
        "sim_params": {
            "gn": {},
            "srs": {"raman_params": {"flag": True}},
            "separated": {
                "raman_params": {"flag": True},
                "nli_params": {"method": "ggn_spectrally_separated", "computed_channels": [1, 4]},
            },
        }
    },
    "raman_ssmf.json": {
        "frequency_offset_hz": [0.0, 13e12, 15e12, 42e12],
        "gamma_raman": [0.0, 3.3e-14, 3e-14, 0.0],
        "reference_frequency_hz": 206e12,
    },
    "spectra/comb.json": {"four": [channel(193.0e12 + number * 50e9) for number in range(4)]},
    "resolved/pair.json": {
        "amp_types": {
            "booster": FLAT
            | {"type_def": "fixed_gain", "gain_min_db": 15, "gain_flatmax_db": 25, "p_max_dbm": 21}
            | {"nf": {"nf0_db": 5.0}},
            "line": FLAT
            | {"type_def": "variable_gain", "gain_min_db": 8, "gain_flatmax_db": 26, "p_max_dbm": 21}
            | {"nf": {"nf1_db": 5.9, "nf2_db": 6.8, "delta_p_db": 5.0}},
            "openroadm": FLAT
            | {"type_def": "openroadm", "gain_min_db": 0, "gain_flatmax_db": 27, "p_max_dbm": 22}
            | {"nf": {"nf_coef": [-0.0008, -0.062, -0.59, 37.6]}},
        },
        "elements": {
            "trx A": {"kind": "transceiver"},
            "roadm A": roadm("trx A|booster"),
            "booster": {"kind": "amp", "amp_type": "booster", "effective_gain_db": 20.0},
            "fibre 1": dict(FIBRE),
            "line": {"kind": "amp", "amp_type": "line", "effective_gain_db": 16.5},
            "fibre 2": FIBRE | {"lumped_losses": [{"position_km": 30.0, "loss_db": 0.5}]},
            "preamp": {"kind": "amp", "amp_type": "openroadm", "effective_gain_db": 17.0},
            "roadm B": roadm("preamp|trx B"),
            "trx B": {"kind": "transceiver"},
        },
        "paths": [
            {
                "path_id": "one",
                "elements": [
                    "trx A", "roadm A", "booster", "fibre 1", "line", "fibre 2", "preamp", "roadm B", "trx B"
                ],
            }
        ],
    },
}  # fmt: skip


def documents() -> dict[str, Any]:
    """A copy to change."""
    return deepcopy(DOCUMENTS)


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Write the documents as a reference folder."""
    for name, document in content.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document), encoding="utf-8")
    return folder
