"""Compiled kernels: equal to their Python source, cached per source, and not paid for by who only speaks the types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pce import kernel_cache
from tests.qot_folder import documents, write

ROOT = Path(__file__).parents[3]
SAMPLE = """
import json, sys
import numpy as np
from numba import config
from pce.core.graph import k_shortest_paths
from pce.core.quality import route_noise
from pce.core.spectrum import first_fit
from pce.line_qot import ReferenceComb, line_qot
from pce.physics.lit_path import LitPath
from pce.physics.reference import ReferenceFolder
from pce.plant_records import AmplifierRecord, LineRecord, SpanRecord
from pathlib import Path

rng = np.random.default_rng(5)
ends = sorted((a, z) for a in range(9) for z in range(9) if a != z and rng.random() < 0.5)
indptr = np.searchsorted([a for a, _ in ends], np.arange(10)).astype(np.int32)
heads = np.array([z for _, z in ends], np.int32)
paths = k_shortest_paths(indptr, heads, rng.random(len(ends)), 0, 8, 20)
tables = rng.random((3, 4, 769)) * 1e-2
rows = np.array([0, 2, 3], np.int32)
noise = route_noise(*tables, rows, rng.random(4))
words = rng.integers(0, 2**63, (4, 12)).astype(np.uint64)
fits = [int(first_fit(words, rows[:1], m, noise, limit)) for m in (1, 2, 4) for limit in (noise.mean(), 1.0, 0.0)]
booster = AmplifierRecord("b", 19.0, 4.5, 21.0, 55.0)
span = SpanRecord("f", 80.0, ((193.1, 0.2),), 0.25, 0.25, 16.7, 83.0)
line = LineRecord("A", "Z", (booster, span), 2.8e-4)
qot = line_qot(line, ReferenceComb(lower_thz=193.0, upper_thz=194.0))
cases = list(ReferenceFolder(Path(sys.argv[1])).cases())
path = LitPath(cases[0].elements[:4], cases[0].comb, [True, False, True, True])
json.dump({
    "jit": not config.DISABLE_JIT,
    "paths": [part.tolist() for part in paths],
    "noise": noise.tolist(),
    "fits": fits,
    "qot": [[s.nsr_ase, s.nsr_nli_self, s.nsr_nli_full] for s in qot.samples],
    "physics": [case.qot().gsnr_0p1nm_db.tolist() for case in cases],
    "lit": path.noise_with(1).tolist(),
}, sys.stdout)
"""


def run(code: str, *arguments: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_compiled_and_interpreted_kernels_agree(tmp_path: Path) -> None:
    content = documents()
    sets = content["index.json"]["sim_params"]
    # Every model, as coarse as an interpreter can bear.
    sets["separated"]["nli_params"] |= {"computed_channels": [2], "phase_shift_tolerance": 2.0}
    sets["srs"]["nli_params"] = {"method": "ggn_approx", "computed_channels": [2, 3], "phase_shift_tolerance": 2.0}
    folder = str(write(tmp_path, content))
    compiled, interpreted = (
        json.loads(run(SAMPLE, folder, NUMBA_DISABLE_JIT="0")),
        json.loads(run(SAMPLE, folder, NUMBA_DISABLE_JIT="1")),
    )
    assert (compiled["jit"], interpreted["jit"]) == (True, False)
    assert len(compiled["paths"][2]) == 20
    assert len(set(compiled["fits"])) > 3
    # The order of a sum may differ in the last bit: the compiler may fuse a product into it.
    assert compiled["paths"][:2] == interpreted["paths"][:2]
    assert compiled["paths"][2] == pytest.approx(interpreted["paths"][2], rel=1e-12)
    assert compiled["fits"] == interpreted["fits"]
    assert compiled["noise"] == pytest.approx(interpreted["noise"], rel=1e-9)
    assert len({row[1] for row in compiled["physics"]}) == 3
    for one, other in zip(compiled["physics"], interpreted["physics"], strict=True):
        assert one == pytest.approx(other, abs=1e-9)
    assert compiled["lit"] == pytest.approx(interpreted["lit"], rel=1e-9)
    for one, other in zip(compiled["qot"], interpreted["qot"], strict=True):
        assert one == pytest.approx(other, rel=1e-9)


def test_the_cache_directory_follows_the_kernel_sources(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text("one", encoding="utf-8")
    first = kernel_cache.kernel_digest(tmp_path)
    (tmp_path / "kernel.py").write_text("two", encoding="utf-8")
    assert kernel_cache.kernel_digest(tmp_path) != first
    assert kernel_cache.kernel_digest() in kernel_cache.cache_directory(tmp_path).name


def test_kernels_are_cached_where_the_sources_say(tmp_path: Path) -> None:
    code = "from pce.core.spectrum import first_fit; import numpy as np; " + (
        "first_fit(np.zeros((1, 12), np.uint64), np.zeros(1, np.int32), 1, np.zeros(769), 0.0)"
    )
    environment = {"XDG_CACHE_HOME": str(tmp_path), "NUMBA_CACHE_DIR": "", "NUMBA_DISABLE_JIT": "0"}
    run(code, **environment)
    directory = kernel_cache.cache_directory(tmp_path)
    objects = {file.name: file.stat().st_mtime_ns for file in directory.rglob("*.nbc")}
    assert any("first_fit" in name for name in objects)
    run(code, **environment)
    assert {file.name: file.stat().st_mtime_ns for file in directory.rglob("*.nbc")} == objects


def test_the_types_alone_do_not_load_the_compiler() -> None:
    code = (
        "import sys, pce.request, pce.ted_snapshot, pce.report; print('numba' in sys.modules, 'numpy' in sys.modules)"
    )
    assert run(code).split() == ["False", "False"]


def test_the_engine_loads_no_graph_or_science_library() -> None:
    # numba looks for scipy, and loads its package when it is installed: what counts is what we add.
    code = (
        "import sys, numba; before = set(sys.modules); import pce.engine, pce.gnpy_plant; "
        "print([m for m in set(sys.modules) - before if m.partition('.')[0] in ('networkx', 'scipy')])"
    )
    assert run(code).strip() == "[]"
