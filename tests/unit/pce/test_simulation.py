"""`geysers pce simulate` and what it is made of: scenario files, path sets, statistics, runs side by side."""

from __future__ import annotations

import gzip
import json
import math
import os
import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.errors import GeysersError, InvalidRequest, NotFound
from controller.ports.clock import SystemClock
from pce.simulation.confidence import interval_95, student_quantile
from pce.simulation.network import load_network
from pce.simulation.path_sets import Library, read_paths
from pce.simulation.report import result
from pce.simulation.scenario import read_scenarios
from pce.simulation.simulator import Setting, prepare, run
from pce.simulation.sweep import Workers, sweep

ROOT = Path(__file__).parents[3]
TICK = SystemClock().tick_s
RECORD: dict[str, Any] = {
    "id": "ring",
    "topology": "nsfnet_deeprmsa_undirected",
    "path_order": "hops",
    "k": 3,
    "slots": 40,
    "slot_ghz": 12.5,
    "load_erlang": 60,
    "truncated_holding_2tau": False,
    "guardband_slots": 1,
    "bit_rate_gbps": {"min": 25, "max": 100, "step": 1},
    "modulations": [
        {"name": "QPSK", "reach_km": 2500, "bits_per_s_per_hz": 2},
        {"name": "BPSK", "reach_km": None, "bits_per_s_per_hz": 1},
    ],
    "requests_measured": 3000,
    "warmup": 300,
    "seeds": [1, 2],
}
ONE_LINK = {"directed": False, "nodes": ["a", "z"], "edges": [["a", "z", 100]]}


def write(folder: Path, *records: dict[str, Any]) -> Path:
    file = folder / "scenario.json"
    file.write_text(json.dumps({"records": records}), encoding="utf-8")
    return file


def settings_of(folder: Path, *changes: dict[str, Any], data: Path | None = None) -> list[Setting]:
    library = Library(data)
    records = [{key: value for key, value in (RECORD | change).items() if value is not ...} for change in changes]
    return [prepare(scenario, library) for scenario in read_scenarios(write(folder, *records))]


def data_folder(folder: Path, network: dict[str, Any], **path_sets: str) -> Path:
    (folder / "topologies").mkdir()
    (folder / "pathsets").mkdir()
    (folder / "topologies" / "own.json").write_text(json.dumps(network), encoding="utf-8")
    for name, text in path_sets.items():
        (folder / "pathsets" / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from controller.cli.main import run; run()", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


FAULTS: list[tuple[str, Any, str]] = [
    ("load_erlang", ..., "is missing"),
    ("load_erlang", -1, "above 0"),
    ("load_erlang", 0, "above 0"),
    ("load_erlang", math.nan, "nan"),
    ("load_erlang", math.inf, "inf"),
    ("load_erlang", "60", "above 0"),
    ("load_erlang", True, "True"),
    ("topology", ..., "is missing"),
    ("topology", "atlantis_directed", "nsfnet_deeprmsa_directed"),
    ("topology", "../../../etc/passwd", "letters, digits"),
    ("path_order", ..., "is missing"),
    ("path_order", "luck", "spectral_resources"),
    ("k", ..., "is missing"),
    ("k", 0, "from 1"),
    ("k", -3, "from 1"),
    ("k", 2.5, "whole number"),
    ("slots", ..., "is missing"),
    ("slots", 0, "from 1"),
    ("slot_ghz", math.nan, "nan"),
    ("guardband_slots", -1, "from 0"),
    ("truncated_holding_2tau", ..., "true or false"),
    ("truncated_holding_2tau", 1, "true or false"),
    ("bit_rate_gbps", ..., "slot_demand"),
    ("bit_rate_gbps", {"min": 100, "max": 25}, "at least 100"),
    ("bit_rate_gbps", {"min": 0, "max": 25}, "above 0"),
    ("bit_rate_gbps", {"min": 1, "max": 1e9, "step": 1e-9}, "larger one"),
    ("modulations", ..., "is missing"),
    ("modulations", [], "reach_km"),
    ("modulations", [{"name": "x", "reach_km": -1, "bits_per_s_per_hz": 1}], "above 0"),
    ("slot_demand", [1, 2], "both given"),
    ("heuristic", "oracle", "ksp_ff"),
    ("pairs", [[1, 99]], "give nodes"),
    ("pairs", [[1, {}]], "two different nodes"),
    ("pairs", [[1, 1]], "two different nodes"),
    ("pathset", "a/b", "letters, digits"),
    ("seeds", [], "not empty"),
    ("seeds", [1, 1], "once"),
    ("seeds", [-1], "from 0"),
    ("requests_measured", 0, "from 1"),
    ("warmup", -1, "from 0"),
    ("mean_holding", math.nan, "nan"),
]


@pytest.mark.parametrize(("field", "value", "mend"), FAULTS)
def test_a_bad_field_is_named_with_its_record_and_how_to_mend_it(
    tmp_path: Path, field: str, value: Any, mend: str
) -> None:
    with pytest.raises((InvalidRequest, NotFound)) as refused:
        settings_of(tmp_path, {field: value})
    assert "record ring" in refused.value.message
    assert field in refused.value.message
    assert mend in refused.value.message
    assert refused.value.fields["field"] in {field, *(value if isinstance(value, dict) else ()), "reach_km"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"records": []}', '{"records": 7}', '{"records": [7]}', "null"])
def test_a_file_without_records_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidRequest, match="give"):
        read_scenarios(file)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(RECORD)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["min", "max", "name"]), inner),
        max_leaves=5,
    ),
)
def test_no_value_of_a_field_ends_in_anything_but_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any
) -> None:
    file = write(tmp_path_factory.mktemp("fuzz"), RECORD | {field: value})
    library = Library(None)
    try:
        scenarios = read_scenarios(file)
        if scenarios[0].k <= 4 and len(scenarios[0].amounts) < 1000:
            prepare(scenarios[0], library)
    except GeysersError as error:
        assert error.message  # noqa: PT017 - either outcome is right; what must not happen is another exception


def test_an_efficient_modulation_is_used_only_as_far_as_it_reaches(tmp_path: Path) -> None:
    [setting] = settings_of(tmp_path, {})
    scenario = setting.scenario
    assert [scenario.efficiency(km) for km in (1.0, 2500.0, 2500.5)] == [2, 2, 1]
    assert [scenario.width_slots(rate, 2.0) for rate in (25.0, 26.0, 50.0, 51.0)] == [2, 3, 3, 4]


def test_truncation_lowers_the_load_that_is_really_offered(tmp_path: Path) -> None:
    plain, truncated = settings_of(tmp_path, {}, {"truncated_holding_2tau": True})
    assert plain.scenario.offered_erlang == 60
    assert truncated.scenario.offered_erlang / 60 == pytest.approx(0.687, abs=5e-4)


@pytest.mark.parametrize("name", ["nsfnet_deeprmsa_directed", "usnet_ptrnet_undirected"])
@pytest.mark.parametrize("order", ["hops", "distance", "spectral_resources"])
def test_paths_found_are_the_k_shortest_in_their_order(tmp_path: Path, name: str, order: str) -> None:
    network = load_network(name, None)
    [setting] = settings_of(tmp_path, {"topology": name, "path_order": order, "k": 6})
    paths = Library(None).paths(setting.scenario)
    graph = nx.DiGraph() if network.directed else nx.Graph()
    graph.add_weighted_edges_from((a, z, km) for (a, z), km in network.links.items())
    ends = list(network.links)
    for number, (a, z) in enumerate(network.pairs):
        found = []
        for path in range(paths.first[number], paths.first[number + 1]):
            here, km = a, 0.0
            for link in paths.links[paths.hops[path] : paths.hops[path + 1]]:
                here = ends[link][1] if ends[link][0] == here else ends[link][0]
                km += network.links[ends[link]]
            assert here == z
            assert paths.length_km[path] == km
            found.append((int(paths.hops[path + 1] - paths.hops[path]), km))
        weight = "weight" if order == "distance" else None
        theirs = list(islice(nx.shortest_simple_paths(graph, a, z, weight=weight), 6))
        if order == "distance":
            assert [km for _, km in found] == [nx.path_weight(graph, path, "weight") for path in theirs]
        else:
            assert sorted(hops for hops, _ in found) == [len(path) - 1 for path in theirs]
        if order == "hops":
            assert found == sorted(found)
        if order == "spectral_resources":
            cost = [hops / setting.scenario.efficiency(km) for hops, km in found]
            assert all(earlier <= later for earlier, later in pairwise(cost))


def test_a_path_set_is_read_and_cut_to_k(tmp_path: Path) -> None:
    triangle = {"directed": False, "nodes": [1, 2, 3], "edges": [[2, 3, 30], [1, 2, 10], [3, 1, 20]]}
    text = "3 3 2\n2\n1 10 2 0\n2 50 1 1 2\n1\n1 20 2 1\n2\n1 30 2 2\n2 30 2 0 1\n"
    data = data_folder(tmp_path, triangle, set=text)
    network = load_network("own", data)
    assert list(network.links) == [(1, 2), (1, 3), (2, 3)]
    file = data / "pathsets" / "set.txt.gz"
    both = read_paths(file, network, 2)
    assert both.first.tolist() == [0, 2, 3, 5]
    assert both.hops.tolist() == [0, 1, 3, 4, 5, 7]
    assert both.links.tolist() == [0, 1, 2, 1, 2, 0, 1]
    one = read_paths(file, network, 1)
    assert (one.first.tolist(), one.links.tolist()) == ([0, 1, 2, 3], [0, 1, 2])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "ends early"),
        ("3 3", "ends early"),
        ("3 3 1\n1\n1 10 2 0\n1\n1 20 2 1\n1\n", "ends early"),
        ("3 3 1\n1\n1 10 2 0\n1\n1 20 2 1\n1\n1 30 2\n", "ends early"),
        ("3 3 1\n1\n1 10 2 0\n1\n1 20 2 1\n1\n1 31 2 2\n", "30 km"),
        ("3 3 1\n1\n1 10 2 0\n1\n1 20 2 1\n1\n1 30 2 7\n", "does not have"),
        ("3 3 1\n1\n1 10 2 0\n1\n1 20 2 1\n1\n1 30 2 -1\n", "does not have"),
        ("3 3 1\n1\n0 10 2\n1\n1 20 2 1\n1\n1 30 2 2\n", "0 hops"),
        ("3 3 1\n1\nnan 10 2\n1\n1 20 2 1\n1\n1 30 2 2\n", "hops"),
        ("4 3 1\n", "4 links"),
        ("3 3 1\n0\n0\n0\n", "no path"),
        ("3 3 0\n", "fewer than k"),
        ("three", "cannot be read"),
    ],
)
def test_a_path_set_of_another_network_or_broken_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    triangle = {"directed": False, "nodes": [1, 2, 3], "edges": [[2, 3, 30], [1, 2, 10], [3, 1, 20]]}
    data = data_folder(tmp_path, triangle, set=text)
    with pytest.raises(InvalidRequest, match=complaint):
        read_paths(data / "pathsets" / "set.txt.gz", load_network("own", data), 1)


def test_a_named_path_set_must_be_there(tmp_path: Path) -> None:
    data = data_folder(tmp_path, ONE_LINK)
    with pytest.raises(InvalidRequest, match=r"pathset 'gone\.txt\.gz' is not in"):
        settings_of(tmp_path, {"topology": "own", "pathset": "gone.txt.gz"}, data=data)


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        ({"directed": False, "nodes": [1], "edges": []}, "nodes"),
        ({"directed": False, "nodes": [1, "2"], "edges": [[1, "2", 3]]}, "nodes"),
        ({"directed": False, "nodes": [1, 2], "edges": []}, "edges"),
        ({"directed": False, "nodes": [1, 2], "edges": [[1, 2, -3]]}, "km"),
        ({"directed": False, "nodes": [1, 2], "edges": [[1, 2, 3], [2, 1, 3]]}, "twice"),
        ({"directed": False, "nodes": [1, 2], "edges": [[1, 7, 3]]}, "nodes"),
        ({"nodes": [1, 2], "edges": [[1, 2, 3]]}, "directed"),
    ],
)
def test_a_bad_topology_is_refused(tmp_path: Path, network: dict[str, Any], complaint: str) -> None:
    data = data_folder(tmp_path, network)
    with pytest.raises(InvalidRequest, match=complaint):
        load_network("own", data)


def erlang_b(channels: int, erlang: float) -> float:
    share = 1.0
    for channel in range(1, channels + 1):
        share = erlang * share / (channel + erlang * share)
    return share


@pytest.mark.parametrize(("channels", "erlang"), [(10, 5.0), (80, 64.0), (96, 90.0)])
def test_one_link_with_one_slot_demands_blocks_as_erlang_b_says(tmp_path: Path, channels: int, erlang: float) -> None:
    """Exact for any policy; the interval is that of the simulation itself."""
    data = data_folder(tmp_path, ONE_LINK)
    change = {
        "topology": "own",
        "slots": channels,
        "load_erlang": erlang,
        "bit_rate_gbps": ...,
        "slot_demand": [1],
        "guardband_slots": 0,
        "requests_measured": 300_000,
        "warmup": 3000,
        "seeds": [1, 2, 3],
    }
    [setting] = settings_of(tmp_path, change, data=data)
    tallies = [run(setting, seed, TICK) for seed in setting.scenario.seeds]
    told = result(setting, tallies)
    half = (told["ci95"][1] - told["ci95"][0]) / 2
    assert half < 0.1 * told["sbp"]
    assert told["sbp"] == pytest.approx(erlang_b(channels, erlang), abs=2 * half)
    assert told["bbp"] == pytest.approx(told["sbp"], rel=1e-12)


def test_given_pairs_alone_are_asked_for(tmp_path: Path) -> None:
    """Two far links, and only the pair of one of them asks: Erlang-B of that link with all of the load."""
    network = {"directed": True, "nodes": [1, 2, 3], "edges": [[1, 2, 1], [2, 3, 1]]}
    change = {"topology": "own", "k": 1, "bit_rate_gbps": ..., "slot_demand": [1], "guardband_slots": 0, "slots": 10}
    change |= {"load_erlang": 5, "requests_measured": 200_000}
    data = data_folder(tmp_path, network)
    pair, unreachable = settings_of(tmp_path, change | {"pairs": [[2, 3]]}, change | {"pairs": [[3, 1]]}, data=data)
    assert run(pair, 1, TICK).sbp == pytest.approx(erlang_b(10, 5.0), rel=0.1)
    assert run(unreachable, 1, TICK).sbp == 1.0


def test_a_path_that_no_modulation_reaches_is_not_used(tmp_path: Path) -> None:
    data = data_folder(tmp_path, {"directed": False, "nodes": [1, 2], "edges": [[1, 2, 900]]})
    short = [{"name": "16QAM", "reach_km": 800, "bits_per_s_per_hz": 4}]
    far = [{"name": "8QAM", "reach_km": 900, "bits_per_s_per_hz": 3}]
    low = {"topology": "own", "load_erlang": 0.01}
    blind, seen = settings_of(tmp_path, low | {"modulations": short}, low | {"modulations": far}, data=data)
    assert run(blind, 1, TICK).sbp == 1.0
    assert run(seen, 1, TICK).sbp < 0.01


def told(setting: Setting, tallies: list[Any]) -> dict[str, Any]:
    return {key: value for key, value in result(setting, tallies).items() if key not in ("seconds", "requests_per_s")}


def test_the_number_of_workers_changes_nothing_but_the_time(tmp_path: Path) -> None:
    made = settings_of(tmp_path, {"id": "a"}, {"id": "b", "load_erlang": 90, "seeds": [7, 3, 5]})
    done: list[int] = []
    alone = sweep(made, Workers(1), TICK, lambda number, _: done.append(number))
    assert done == [0, 1]
    together = sweep(made, Workers(2), TICK, lambda number, _: done.append(number))
    assert sorted(done) == [0, 0, 1, 1]
    assert [told(*each) for each in zip(made, alone, strict=True)] == [
        told(*each) for each in zip(made, together, strict=True)
    ]
    assert [tally.seed for tally in together[1]] == [7, 3, 5]


def test_a_seed_replays_and_another_does_not(tmp_path: Path) -> None:
    [setting] = settings_of(tmp_path, {})
    assert run(setting, 5, TICK).blocked == run(setting, 5, TICK).blocked
    assert run(setting, 5, TICK).blocked != run(setting, 6, TICK).blocked


def test_requests_of_the_warm_up_are_not_counted(tmp_path: Path) -> None:
    """From an empty network the first requests hardly block; counted, they would lower the share."""
    cold, warm = settings_of(tmp_path, {"warmup": 0, "requests_measured": 200}, {"requests_measured": 200})
    assert sum(run(cold, 1, TICK).requests) == sum(run(warm, 1, TICK).requests) == 200
    assert run(cold, 1, TICK).sbp < run(warm, 1, TICK).sbp


def test_dask_runs_the_same(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[scale]'")
    made = settings_of(tmp_path, {})
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=":0"
    ) as cluster:
        there = sweep(made, Workers(dask=cluster.scheduler_address), TICK, lambda _number, _tallies: None)
    here = sweep(made, Workers(1), TICK, lambda _number, _tallies: None)
    assert told(made[0], there[0]) == told(made[0], here[0])


def test_dask_asked_for_but_not_installed_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'geysers\[scale\]'"):
        sweep(settings_of(tmp_path, {}), Workers(dask="tcp://127.0.0.1:1"), TICK, lambda _number, _tallies: None)


@pytest.mark.parametrize(
    ("degrees", "value"), [(1, 12.7062), (2, 4.30265), (3, 3.18245), (5, 2.57058), (19, 2.09302), (59, 2.00100)]
)
def test_quantiles_of_student(degrees: int, value: float) -> None:
    """Tables of the t distribution, 97.5 %."""
    assert student_quantile(0.975, degrees) == pytest.approx(value, rel=0.004)


def test_intervals_of_shares() -> None:
    low, high = interval_95([0.0, 0.0, 0.0], 3000)
    assert (low, high) == (0.0, pytest.approx(0.00128, abs=1e-5))
    shares = [0.1, 0.12, 0.11, 0.13]
    low, high = interval_95(shares, 10**9)
    half = student_quantile(0.975, 3) * np.std(shares, ddof=1) / 2
    assert (low, high) == (pytest.approx(0.115 - half), pytest.approx(0.115 + half))
    # Too few trials to be as sure as two equal batches seem.
    low, high = interval_95([0.1, 0.1], 20)
    assert low < 0.05 < 0.2 < high


def test_compiled_and_interpreted_commands_agree(tmp_path: Path) -> None:
    file = write(tmp_path, RECORD | {"requests_measured": 400, "warmup": 50, "seeds": [3]})
    outputs = []
    for disabled in ("0", "1"):
        done = command("pce", "simulate", "--scenario", str(file), "-o", "json", NUMBA_DISABLE_JIT=disabled)
        assert done.returncode == 0, done.stderr
        assert "1/1 ring (hops, k=3): sbp 0." in done.stderr
        [entry] = json.loads(done.stdout)["results"]
        assert entry.pop("requests_per_s") > 0
        assert entry.pop("seconds") > 0
        outputs.append(entry)
    assert outputs[0] == outputs[1]
    assert {"id", "path_order", "k", "sbp", "sbp_seeds", "bbp", "ci95"} <= set(outputs[0])
    assert outputs[0]["ci95"][0] <= outputs[0]["sbp"] <= outputs[0]["ci95"][1]
    assert 0 < outputs[0]["sbp"] < outputs[0]["bbp"] < 1


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"k": 0}, (), ("record ring", "k is 0", "from 1")),
        ({"topology": "nowhere_directed"}, (), ("record ring", "topology", "usnet_gcnrnn_directed")),
        ({}, ("--workers", "-1"), ("--workers",)),
        ({}, ("--data", "/nonexistent"), ("record ring", "topologies/*.json")),
    ],
)
def test_bad_input_ends_with_status_2(
    tmp_path: Path, change: dict[str, Any], options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = command("pce", "simulate", "--scenario", str(write(tmp_path, RECORD | change)), *options, "-o", "json")
    assert (done.returncode, done.stdout) == (2, "")
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
