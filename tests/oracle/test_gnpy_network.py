"""Paths read from GNPy's own network and library files against GNPy's results on them."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pce.physics.network import GnpyNetwork
from pce.physics.path import path_qot
from pce.physics.reference import ReferenceFolder

FOLDER = Path(os.environ.get("GEYSERS_SHARED", Path(__file__).parents[3] / "shared")) / "reference" / "gnpy"
LIBRARIES = {
    "mesh_v2": "default96",
    "mesh_v2_psw": "psw",
    "coronet_global": "default96",
    "coronet_conus": "default96",
    "sweden_openroadm_v4": "openroadm_v4",
    "sweden_openroadm_v5": "openroadm_v5",
    "multiband": "multiband",
    "multiband_srs": "multiband",
}
"""nsfnet14 is left out: its amplifiers name a file that is not among the data."""
ROUNDED_DB = 1e-5
"""Designed networks are stored with six decimals."""


@cache
def network(topology: str) -> GnpyNetwork:
    return GnpyNetwork(
        FOLDER / "designed" / f"{topology}.json", FOLDER / "equipment" / f"eqpt_{LIBRARIES[topology]}.json"
    )


@pytest.mark.skipif(not (FOLDER / "cases.json").exists(), reason=f"no reference data at {FOLDER}: set GEYSERS_SHARED")
@pytest.mark.parametrize("topology", LIBRARIES)
def test_every_channel_agrees(topology: str) -> None:
    document = json.loads((FOLDER / "results" / f"{topology}.json").read_text(encoding="utf-8"))
    results = {case["case_id"]: case["result"] for case in document["cases"]}
    compared = 0
    for case in ReferenceFolder(FOLDER).cases():
        if case.topology != topology or "ggn" in case.case_id:
            continue
        qot = path_qot(network(topology).path([element.uid for element in case.elements]), case.comb, case.physics)
        result = results[case.case_id]
        assert np.abs(qot.gsnr_0p1nm_db - result["gsnr_01nm_db"]).max() <= ROUNDED_DB, case.case_id
        assert np.abs(qot.osnr_ase_0p1nm_db - result["osnr_ase_01nm_db"]).max() <= ROUNDED_DB, case.case_id
        assert np.abs(qot.pmd_ps - result["pmd_ps"]).max() <= ROUNDED_DB, case.case_id
        assert qot.latency_ms == pytest.approx(result["latency_ms"], abs=1e-5)
        compared += 1
    assert compared >= 9


@pytest.mark.skipif(not (FOLDER / "cases.json").exists(), reason=f"no reference data at {FOLDER}: set GEYSERS_SHARED")
def test_roadms_alone_name_the_same_path() -> None:
    case = next(case for case in ReferenceFolder(FOLDER).cases() if case.topology == "coronet_conus")
    uids = [element.uid for element in case.elements]
    roadms = [uid for uid in uids if uid.startswith("roadm")]
    assert [element.uid for element in network("coronet_conus").path(roadms)] == uids
