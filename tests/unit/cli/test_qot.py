"""`geysers pce qot`: its document, and what it says of folders and paths that do not hold together."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.app import BUNDLED
from pce.physics.network import GnpyNetwork
from pce.physics.path import path_qot
from tests.cli import geysers
from tests.qot_folder import channel, documents, write

PAIR = "resolved/pair.json"
Content = dict[str, Any]


def test_every_case_in_order_with_the_promised_fields(tmp_path: Path) -> None:
    cases = geysers("pce", "qot", "--reference", str(write(tmp_path, documents())), "-o", "json").document["cases"]
    assert [case["case_id"] for case in cases] == ["one/four/gn", "one/four/srs", "one/four/separated"]
    for case in cases:
        assert list(case) == [
            "case_id", "gsnr_01nm_db", "osnr_ase_01nm_db", "cd_ps_per_nm", "pmd_ps", "latency_ms"
        ]  # fmt: skip
        assert all(
            20 < gsnr < ase < 37 for gsnr, ase in zip(case["gsnr_01nm_db"], case["osnr_ase_01nm_db"], strict=True)
        )
        assert case["cd_ps_per_nm"] == [pytest.approx(160 * 16.7)] * 4
        assert case["pmd_ps"] == [pytest.approx(1.265e-3 * math.sqrt(160e3), abs=1e-6)] * 4
        assert case["latency_ms"] == 0.78
    # Little light: Raman scattering moves next to nothing, and the exact integral agrees with the closed form.
    assert cases[1]["gsnr_01nm_db"] == pytest.approx(cases[0]["gsnr_01nm_db"], abs=0.01)
    assert cases[2]["gsnr_01nm_db"] == pytest.approx(cases[0]["gsnr_01nm_db"], abs=0.2)


def test_only_channels_that_all_amplifiers_carry(tmp_path: Path) -> None:
    content = documents()
    content["spectra/comb.json"]["four"] += [channel(191.29e12), channel(191.3e12 + 50e9), channel(196.2e12)]
    content[PAIR]["amp_types"]["line"]["f_max_hz"] = 193.13e12
    (case,) = geysers("pce", "qot", "--reference", str(write(tmp_path, content)), "-o", "json").document["cases"][:1]
    # 191.35, 193.00, 193.05 and 193.10 THz; the slot of 193.15 reaches beyond the line amplifier.
    assert len(case["gsnr_01nm_db"]) == 4


def element(uid: str, **changed: Any) -> Callable[[Content], None]:
    return lambda content: content[PAIR]["elements"][uid].update(changed)


def spectrum(**changed: Any) -> Callable[[Content], None]:
    return lambda content: content["spectra/comb.json"]["four"][1].update(changed)


def kind(name: str, **changed: Any) -> Callable[[Content], None]:
    return lambda content: content[PAIR]["amp_types"][name].update(changed)


def case(**changed: Any) -> Callable[[Content], None]:
    return lambda content: content["cases.json"][0].update(changed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.pop("cases.json"), ["cases.json", "give a folder with"]),
        (lambda content: content.pop(PAIR), ["pair.json", "readable file"]),
        (lambda content: content.pop("spectra/comb.json"), ["comb.json", "readable file"]),
        (lambda content: content.pop("raman_ssmf.json"), ["raman_ssmf.json", "readable file"]),
        (case(topology="../pair"), ["one/four/gn", "topology", "plain name"]),
        (case(path_id="two"), ["path_id", "'two'", "use one of one"]),
        (case(physics="magic"), ["physics", "'magic'", "gn, srs, separated"]),
        (case(spectrum="comb.json#five"), ["spectrum", "'five'", "use one of four"]),
        (lambda content: content["cases.json"][1].update(case_id="one/four/gn"), ["case_id", "twice"]),
        (element("line", amp_type="golden"), ["amp line", "amp_type", "'golden'", "booster, line, openroadm"]),
        (kind("line", type_def="golden"), ["amplifier type line", "type_def", "'golden'", "variable_gain"]),
        (kind("line", nf={}), ["amplifier type line", "nf1_db", "is missing"]),
        (kind("openroadm", nf={"nf_coef": [0.1] * 9}), ["nf_coef", "9 coefficients", "at most 8"]),
        (element("fibre 1", length_m=math.nan), ["fiber fibre 1", "length_m", "nan", "finite"]),
        (element("fibre 1", kind="rope"), ["fibre 1", "kind", "'rope'", "fiber"]),
        (element("fibre 1", dispersion_s_per_m2=1e-9), ["fibre fibre 1", "dispersion", "correct"]),
        (
            element("fibre 1", loss_coef_db_per_km={"value": [0.2, 0.2], "frequency_hz": [193.1e12, 194e12]}),
            ["fibre 1", "loss_coef_db_per_km", "193.1-194 THz", "widen the table"],
        ),
        (
            element("fibre 1", lumped_losses=[{"position_km": 80.0, "loss_db": 1}]),
            ["fibre 1", "position_km", "between 0 and 80 km"],
        ),
        (element("roadm A", target_pch_out_dbm=None), ["roadm A", "target_pch_out_dbm", "is missing"]),
        (element("roadm A", crossings={}), ["roadm A", "crossings", "'trx A' to 'booster'"]),
        (
            element("roadm A", crossings={"trx A|booster": {"impairments": [{"f_min_hz": 1e14, "f_max_hz": 1.9e14}]}}),
            ["roadm A", "impairments", "193 THz", "widen"],
        ),
        (lambda content: content[PAIR]["elements"].pop("fibre 2"), ["path one", "'fibre 2'", "correct the uid"]),
        (
            lambda content: content[PAIR]["paths"][0]["elements"].pop(),
            ["path one", "ends at 'roadm B'", "transceiver"],
        ),
        (spectrum(baud_rate_hz=math.nan), ["comb.json#four", "baud_rate_hz", "nan"]),
        (spectrum(baud_rate_hz=51e9), ["193.050000 THz", "baud_rate_hz", "50 GHz"]),
        (spectrum(frequency_hz=193.07e12), ["193.100000 THz", "overlaps that of 193.070000 THz by 20 GHz", "move"]),
        (
            lambda content: content["spectra/comb.json"]["four"][3].update(frequency_hz=194e12, slot_width_hz=75e9),
            ["amplifier preamp", "openroadm", "one slot width"],
        ),
        (
            lambda content: content["spectra/comb.json"].update(four=[channel(185e12)]),
            ["trx A", "no channel lies in the band", "191.275-196.125 THz"],
        ),
        (element("booster", effective_gain_db=60.0), ["interference exceeds the signal"]),
        (
            lambda content: content["index.json"]["sim_params"]["separated"]["nli_params"].update(
                computed_channels=[1, 5]
            ),
            ["computed_channels", "[1, 5]", "from 1 to 4"],
        ),
        (
            lambda content: content["index.json"]["sim_params"]["srs"]["raman_params"].update(method="guess"),
            ["raman_params.method", "'guess'", "perturbative"],
        ),
    ],
)
def test_what_does_not_hold_together_is_named(
    tmp_path: Path, change: Callable[[Content], Any], said: list[str]
) -> None:
    content = documents()
    if said == ["interference exceeds the signal"]:
        for name in ("booster", "line", "openroadm"):
            content[PAIR]["amp_types"][name]["p_max_dbm"] = 60.0
    change(content)
    geysers("pce", "qot", "--reference", str(write(tmp_path, content)), "-o", "json").refused(2, *said)


def test_json_that_is_none(tmp_path: Path) -> None:
    write(tmp_path, documents())
    (tmp_path / PAIR).write_text("{", encoding="utf-8")
    geysers("pce", "qot", "--reference", str(tmp_path)).refused(2, "pair.json", "valid JSON")
    (tmp_path / "cases.json").write_text("[", encoding="utf-8")
    geysers("pce", "qot", "--reference", str(tmp_path)).refused(2, "cases.json", "valid JSON")


def test_one_path_of_the_bundled_network_fills_in_lines_and_ends() -> None:
    (found,) = geysers("pce", "qot", "--path", "ROADM-AMS,ROADM-LON,ROADM-PAR", "-o", "json").document["cases"]
    assert found["elements"][0] == "XPDR-AMS"
    assert found["elements"][-1] == "XPDR-PAR"
    assert found["latency_ms"] == pytest.approx(found["length_km"] / 204.218, rel=1e-4)
    network = GnpyNetwork(BUNDLED / "network.json", BUNDLED / "equipment.json")
    qot = path_qot(network.path(found["elements"]), network.reference_comb())
    assert found["gsnr_01nm_db"] == pytest.approx(qot.gsnr_0p1nm_db.tolist(), abs=1e-6)
    assert len(found["frequency_hz"]) == 55
    shown = geysers("pce", "qot", "--path", "ROADM-AMS,ROADM-LON")
    assert "channels" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_a_spectrum_in_either_form(tmp_path: Path) -> None:
    loads, partitions = tmp_path / "loads.json", tmp_path / "partitions.json"
    loads.write_text(json.dumps({"two": [channel(193.1e12), channel(193.15e12)], "none": []}), encoding="utf-8")
    part = {"f_min": 193.1e12, "f_max": 193.15e12, "baud_rate": 32e9, "slot_width": 50e9, "roll_off": 0.15}
    partitions.write_text(json.dumps({"spectrum": [part | {"tx_osnr": 37.0}]}), encoding="utf-8")
    asked = ("pce", "qot", "--path", "ROADM-AMS,ROADM-LON", "-o", "json", "--spectrum")
    by_load = geysers(*asked, str(loads), "--load", "two").document
    assert by_load == geysers(*asked, str(partitions)).document
    assert by_load["cases"][0]["frequency_hz"] == [193.1e12, 193.15e12]
    geysers(*asked, str(loads)).refused(2, "spectrum", "two, none", "--load")
    geysers(*asked, str(loads), "--load", "none").refused(2, "no channels")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], ["--reference FOLDER", "--path"]),
        (["--reference", ".", "--path", "a,b"], ["--path", "goes without"]),
        (["--path", "ROADM-AMS"], ["at least two"]),
        (["--path", "ROADM-AMS,ROADM-XXX"], ["'ROADM-XXX'", "network.json"]),
        (["--path", "ROADM-AMS,ROADM-PAR"], ["ROADM-AMS", "name every ROADM"]),
        (["--path", "booster-AMS-LON,ROADM-LON"], ["booster-AMS-LON", "begin and end"]),
        (["--path", "ROADM-AMS,ROADM-LON", "--load", "x"], ["--spectrum FILE"]),
        (["--path", "ROADM-AMS,ROADM-LON", "--spectrum", "nowhere.json"], ["nowhere.json"]),
    ],
)
def test_options_that_do_not_fit(options: list[str], said: list[str]) -> None:
    geysers("pce", "qot", *options).refused(2, *said)
