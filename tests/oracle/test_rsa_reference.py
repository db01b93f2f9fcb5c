"""Blocking against the published reference data: exact where it says exact, else inside its own tolerances.

The reference data (reference/rsa of the shared folder) tells its tolerances in its README: 4 standard deviations of its
seeds or 2 % for `kspff_blocking.json`, 5 % for published figures.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from controller.ports.clock import SystemClock
from pce.simulation.path_sets import Library
from pce.simulation.report import result
from pce.simulation.scenario import Scenario, read_scenarios
from pce.simulation.simulator import prepare, run
from pce.simulation.sweep import Workers, sweep

REFERENCE = Path(os.environ.get("GEYSERS_SHARED", Path(__file__).parents[3] / "shared")) / "reference" / "rsa"
RECORDS = REFERENCE / "kspff_blocking.json"
TICK = SystemClock().tick_s

pytestmark = pytest.mark.skipif(
    not RECORDS.is_file(), reason=f"no reference data at {REFERENCE}: set GEYSERS_SHARED to the shared folder"
)


def document(name: str) -> Any:
    return json.loads((REFERENCE / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(REFERENCE)


def scenario_of(wanted: str, order: str, k: int) -> Scenario:
    return next(s for s in read_scenarios(RECORDS) if (s.scenario_id, s.path_order, s.k) == (wanted, order, k))


@pytest.mark.parametrize("case", range(4))
def test_bit_exact_vectors(library: Library, case: int) -> None:
    vector = document("bit_exact_vectors.json")["vectors"][case]
    scenario = dataclasses.replace(
        scenario_of("nsf100_untrunc_250", "spectral_resources", 5),
        slots=vector["slots"],
        load_erlang=float(vector["load"]),
        requests=2_000_000,
        warmup=20_000,
    )
    assert sum(run(prepare(scenario, library), vector["seed"], TICK).blocked) == vector["blocked"]


def assert_inside_tolerances(library: Library, chosen: slice) -> None:
    """The seeds of the reference itself: its figures come out digit for digit, which is more than is asked."""
    settings = [prepare(scenario, library) for scenario in read_scenarios(RECORDS)[chosen]]
    tallies = sweep(settings, Workers(), TICK, lambda _number, _tallies: None)
    for record, setting, done in zip(document(RECORDS.name)["records"][chosen], settings, tallies, strict=True):
        told = result(setting, done)
        name = f"{record['id']} {record['path_order']} k={record['k']}"
        tolerance = max(4 * record["sbp_sd"], 0.02 * record["sbp"])
        assert abs(told["sbp"] - record["sbp"]) <= tolerance, name
        assert [round(share, 6) for share in told["sbp_seeds"]] == record["sbp_seeds"], name
        assert told["bbp"] == pytest.approx(record["bbp"], abs=1.01e-6), name
        assert told["ci95"][0] <= told["sbp"] <= told["ci95"][1], name


def test_every_eighth_record(library: Library) -> None:
    assert_inside_tolerances(library, slice(3, None, 8))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif("GEYSERS_NIGHTLY" not in os.environ, reason="all 96 records: set GEYSERS_NIGHTLY=1")
def test_all_records(library: Library) -> None:
    assert_inside_tolerances(library, slice(None))


def test_seeds_that_the_reference_did_not_use_agree_too(library: Library) -> None:
    """What is right for one stream only would show here."""
    for wanted, order, k in (("nsf_rmsa_250", "distance", 5), ("nsf320_900", "spectral_resources", 5)):
        record = next(
            r for r in document(RECORDS.name)["records"] if (r["id"], r["path_order"], r["k"]) == (wanted, order, k)
        )
        setting = prepare(scenario_of(wanted, order, k), library)
        shares = [run(setting, seed, TICK).sbp for seed in (101, 102, 103)]
        assert sum(shares) / 3 == pytest.approx(record["sbp"], abs=max(4 * record["sbp_sd"], 0.02 * record["sbp"]))


@pytest.mark.parametrize("case", range(3))
def test_figures_published_by_another_simulator(library: Library, case: int) -> None:
    """Published ones within 5 %; those of the C reference, with its seed and warm-up, digit for digit."""
    record = document("published_xlron_pr46.json")["records"][case]
    scenario = dataclasses.replace(
        scenario_of("nsf_rmsa_250", "spectral_resources", 5),
        load_erlang=float(record["load_erlang"]),
        requests=3_000_000,
        warmup=20_000,
    )
    share = run(prepare(scenario, library), 7, TICK).sbp
    assert share == pytest.approx(record["sbp_published"], rel=0.05)
    assert share == pytest.approx(record["sbp_c_sim_3M_seed7"], abs=5e-9)


def test_one_link_against_analysis(tmp_path: Path) -> None:
    """Erlang-B is exact for one-slot demands; Kaufman-Roberts, blind to contiguity, bounds from below."""
    (tmp_path / "topologies").mkdir()
    network = {"directed": False, "nodes": [0, 1], "edges": [[0, 1, 100]]}
    (tmp_path / "topologies" / "link.json").write_text(json.dumps(network), encoding="utf-8")
    library = Library(tmp_path)
    base = dataclasses.replace(
        scenario_of("nsfu_ptr40_200", "hops", 5), topology="link", pathset=None, k=1, seeds=(11, 12, 13)
    )
    analysis = document("analytic_single_link.json")
    for case in analysis["erlang_b"]:
        told = told_of(dataclasses.replace(base, slots=case["channels"], load_erlang=float(case["erlang"])), library)
        half = (told["ci95"][1] - told["ci95"][0]) / 2
        assert told["sbp"] == pytest.approx(case["blocking"], abs=2 * half), case
        assert half < 0.1 * told["sbp"]
    for case in analysis["kaufman_roberts"]:
        scenario = dataclasses.replace(
            base,
            slots=case["slots"],
            amounts=tuple(map(float, case["classes_b"])),
            load_erlang=case["erlang_each"] * len(case["classes_b"]),
        )
        told = told_of(scenario, library)
        assert told["ci95"][1] > case["mean"], case
        if "first_fit_contiguous_sim_mean" in case:
            assert math.isclose(told["sbp"], case["first_fit_contiguous_sim_mean"], rel_tol=0.03), case


def told_of(scenario: Scenario, library: Library) -> dict[str, Any]:
    setting = prepare(scenario, library)
    return result(setting, [run(setting, seed, TICK) for seed in scenario.seeds])
