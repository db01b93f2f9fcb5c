"""The reader of GNPy's JSON: what it takes over, and that each fault names element, field and mend."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from controller.domain.errors import InvalidRequest, NotFound
from pce.engine import Engine
from pce.gnpy_plant import load_plant_records
from pce.plant_records import AmplifierRecord, LossRecord, PlantRecords, SpanRecord
from pce.plant_snapshot import snapshot_of
from pce.power_models import power_model
from pce.report import answer_report
from pce.request import PathRequest

EUROPE = Path(__file__).parents[3] / "emulator" / "networks" / "europe14"
Document = dict[str, Any]


def equipment() -> Document:
    return {
        "Edfa": [
            {
                "type_variety": "plain",
                "type_def": "fixed_gain",
                "gain_min": 10,
                "gain_flatmax": 20,
                "p_max": 21,
                "nf0": 5,
            },
            {
                "type_variety": "two coils",
                "type_def": "variable_gain",
                "gain_min": 15,
                "gain_flatmax": 26,
                "p_max": 23,
                "nf_min": 6,
                "nf_max": 10,
            },
        ],
        "Fiber": [{"type_variety": "SSMF", "dispersion": 1.67e-5, "effective_area": 83e-12, "pmd_coef": 1.265e-15}],
        "Span": [{"con_in": 0.3, "con_out": 0.4, "EOL": 0.5}],
        "SI": [{"baud_rate": 32e9, "spacing": 50e9}],
        "Roadm": [{"target_psd_out_mWperGHz": 3e-4, "add_drop_osnr": 38}],
        "Transceiver": [
            {
                "type_variety": "t",
                "mode": [
                    {
                        "format": "100G",
                        "baud_rate": 32e9,
                        "OSNR": 11,
                        "bit_rate": 100e9,
                        "tx_osnr": 40,
                        "min_spacing": 37.5e9,
                    }
                ],
            }
        ],
    }


def network() -> Document:
    """A and B, joined by booster, 80 km, amplifier in both directions."""
    elements: list[Document] = []
    connections: list[Document] = []
    for a, z in (("A", "B"), ("B", "A")):
        fibre = {"length": 80, "length_units": "km", "loss_coef": 0.2, "con_in": 0.25, "con_out": 0.25, "att_in": 0.5}
        elements += [
            {"uid": a, "type": "Roadm"},
            {"uid": f"x{a}", "type": "Transceiver"},
            {"uid": f"b{a}", "type": "Edfa", "type_variety": "plain", "operational": {"gain_target": 18}},
            {"uid": f"f{a}", "type": "Fiber", "type_variety": "SSMF", "params": fibre},
            {"uid": f"p{a}", "type": "Edfa", "type_variety": "plain", "operational": {"gain_target": 17, "out_voa": 1}},
        ]
        chain = [f"x{a}", a, f"b{a}", f"f{a}", f"p{a}", z, f"x{z}"]
        connections += [{"from_node": one, "to_node": other} for one, other in pairwise(chain)]
    return {"elements": elements, "connections": connections}


def element(document: Document, uid: str) -> Document:
    found: Document = next(entry for entry in document["elements"] if entry["uid"] == uid)
    return found


def load(folder: Path, net: Document, library: Document, **options: str) -> PlantRecords:
    (folder / "network.json").write_text(json.dumps(net), encoding="utf-8")
    (folder / "equipment.json").write_text(json.dumps(library), encoding="utf-8")
    return load_plant_records(folder / "network.json", folder / "equipment.json", **options)


def test_figures_are_taken_over_in_our_units(tmp_path: Path) -> None:
    records = load(tmp_path, network(), equipment())
    line = records.lines["A", "B"]
    booster, fibre, preamplifier = line.parts
    assert booster == AmplifierRecord("bA", 18.0, 5.0, 21.0, 55.0)
    assert isinstance(fibre, SpanRecord)
    assert (fibre.length_km, fibre.loss_db_per_km[0][1]) == (80.0, 0.2)
    assert (fibre.connector_in_db, fibre.connector_out_db) == (0.75, 0.25)
    assert fibre.dispersion_ps_per_nm_km == pytest.approx(16.7)
    assert fibre.effective_area_um2 == pytest.approx(83.0)
    assert fibre.pmd_ps_per_sqrt_km == pytest.approx(0.04, rel=1e-3)
    assert isinstance(preamplifier, AmplifierRecord)
    assert preamplifier.out_voa_db == 1.0
    assert line.psd_mw_per_ghz == 3e-4
    assert line.power_w == 110.0
    assert records.add_drop_osnr_0p1nm_db == {"A": 38.0, "B": 38.0}
    assert records.target_psd_mw_per_ghz == {"A": 3e-4, "B": 3e-4}
    assert records.modes[0].m == 3
    assert records.modes[0].power_w == 20.0


def test_power_figures_come_from_the_named_set(tmp_path: Path) -> None:
    records = load(tmp_path, network(), equipment(), power_set="vizcaino2012")
    assert records.lines["A", "B"].power_w == 200.0
    assert records.modes[0].power_w == pytest.approx(1.683 * 100 + 91.333)
    with pytest.raises(InvalidRequest, match="era2011, modern, vizcaino2012"):
        power_model("none")


def test_connectors_not_stated_are_the_library_s_with_ageing(tmp_path: Path) -> None:
    net = network()
    element(net, "fA")["params"] = {"length": 50_000, "length_units": "m", "loss_coef": 0.2, "con_out": None}
    (span,) = load(tmp_path, net, equipment()).lines["A", "B"].spans
    assert (span.length_km, span.connector_in_db, span.connector_out_db) == (50.0, 0.3, 0.9)


def test_a_pad_and_a_table_of_loss(tmp_path: Path) -> None:
    net = network()
    element(net, "pA")["type"] = "Fused"
    element(net, "pA")["params"] = {"loss": 0.5}
    element(net, "bA")["operational"]["gain_target"] = 20
    element(net, "fA")["params"].update(length=20, loss_coef={"frequency": [1.96e14, 1.91e14], "value": [0.21, 0.19]})
    _, span, pad = load(tmp_path, net, equipment()).lines["A", "B"].parts
    assert isinstance(span, SpanRecord)
    assert span.loss_db_per_km == ((191.0, 0.19), (196.0, 0.21))
    assert pad == LossRecord("pA", 0.5)


def test_noise_figure_of_two_coils(tmp_path: Path) -> None:
    """At the ends of its range the amplifier has the noise figures it was specified with."""
    for gain_db, noise_figure_db in ((26, 6.0), (15, 10.0), (13, 12.0)):
        net = network()
        element(net, "bA").update(type_variety="two coils", operational={"gain_target": gain_db})
        element(net, "pA")["operational"]["gain_target"] = 20
        element(net, "fA")["params"]["length"] = 40
        booster = load(tmp_path, net, equipment()).lines["A", "B"].amplifiers[0]
        assert booster.noise_figure_db == pytest.approx(noise_figure_db, abs=0.02)


def test_power_per_channel_is_the_density_of_the_reference_channel(tmp_path: Path) -> None:
    library = equipment()
    library["Roadm"][0] = {"target_pch_out_db": -20, "add_drop_osnr": 38}
    assert load(tmp_path, network(), library).target_psd_mw_per_ghz["A"] == pytest.approx(0.01 / 32)
    library["Roadm"][0] = {"target_out_mWperSlotWidth": 2e-4, "add_drop_osnr": 38}
    assert load(tmp_path, network(), library).target_psd_mw_per_ghz["A"] == pytest.approx(2e-4 * 50 / 32)
    net = network()
    element(net, "A")["params"] = {"per_degree_psd_out_mWperGHz": {"bA": 2.5e-4}}
    assert load(tmp_path, net, equipment()).lines["A", "B"].psd_mw_per_ghz == 2.5e-4


Change = Callable[[Document, Document], None]


def drop(document: Document, **connection: str) -> None:
    document["connections"] = [c for c in document["connections"] if not connection.items() <= c.items()]


def circle(net: Document, _: Document) -> None:
    drop(net, from_node="pA")
    net["connections"].append({"from_node": "pA", "to_node": "bA"})


def second_line(net: Document, _: Document) -> None:
    net["elements"].append({**copy.deepcopy(element(net, "bA")), "uid": "bA2"})
    net["connections"] += [{"from_node": "A", "to_node": "bA2"}, {"from_node": "bA2", "to_node": "B"}]


def setting(uid: str, field: str, value: Any) -> Change:
    def change(net: Document, _: Document) -> None:
        holder = element(net, uid)
        *path, last = field.split(".")
        for part in path:
            holder = holder[part]
        holder[last] = value

    return change


def library_field(kind: str, field: str, value: Any) -> Change:
    def change(_: Document, library: Document) -> None:
        if value is None:
            library[kind][0].pop(field)
        else:
            library[kind][0][field] = value

    return change


FAULTS: list[tuple[str, Change, list[str]]] = [
    ("unknown variety", setting("bA", "type_variety", "magic"), ["bA", "type_variety", "magic", "plain, two coils"]),
    ("no variety", lambda net, _: element(net, "bA").pop("type_variety"), ["bA", "type_variety", "missing", "plain"]),
    ("unknown fibre", setting("fA", "type_variety", "glass"), ["fA", "type_variety", "SSMF"]),
    ("missing element", setting("fA", "uid", "gone"), ["connection", "'fA' is no element", "remove the connection"]),
    ("circle", circle, ["bA", "circle", "end on a ROADM"]),
    ("dead end", lambda net, _: drop(net, from_node="pA"), ["pA", "0 elements", "exactly one successor"]),
    ("second line", second_line, ["bA2", "second line from A to B", "keep one"]),
    ("loose part", lambda net, _: drop(net, from_node="A", to_node="bA"), ["bA", "lies on no line", "remove it"]),
    ("twice", setting("pA", "uid", "bA"), ["bA", "uid", "appears twice"]),
    ("type", setting("pA", "type", "RamanFiber"), ["pA", "type", "RamanFiber", "Edfa, Fiber, Fused"]),
    ("no gain", setting("bA", "operational", {}), ["bA", "gain_target", "design the network"]),
    ("gain text", setting("bA", "operational.gain_target", "high"), ["bA", "gain_target", "'high'", "finite number"]),
    ("tilt", setting("bA", "operational.tilt_target", -1), ["bA", "tilt_target", "set it to 0"]),
    (
        "too weak",
        setting("pA", "operational", {"gain_target": 5, "out_voa": 9}),
        ["pA", "gain_target", "mW/GHz at B", "raise the gain"],
    ),
    ("units", setting("fA", "params.length_units", "miles"), ["fA", "length_units", "miles", "km or m"]),
    ("no length", setting("fA", "params.length", None), ["fA", "length", "missing"]),
    ("negative", setting("fA", "params.length", -3), ["fA", "length", "-3"]),
    (
        "noise model",
        library_field("Edfa", "type_def", "advanced_model"),
        ["bA", "plain", "type_def", "fixed_gain or variable"],
    ),
    ("no noise figure", library_field("Edfa", "nf0", None), ["bA", "plain", "nf0", "missing"]),
    ("no level", library_field("Roadm", "target_psd_out_mWperGHz", None), ["Roadm A", "target_psd_out_mWperGHz"]),
    ("no add/drop", library_field("Roadm", "add_drop_osnr", None), ["Roadm A", "add_drop_osnr", "missing"]),
    ("mode", lambda _, lib: lib["Transceiver"][0]["mode"][0].pop("OSNR"), ["mode 100G", "OSNR", "missing"]),
    ("no elements", lambda net, _: net.pop("elements"), ["network.json", "elements", "list"]),
    ("flat fibre", library_field("Fiber", "dispersion", 1e-9), ["fA", "dispersion", "at least 0.1"]),
]


@pytest.mark.parametrize(("change", "words"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_each_fault_names_element_field_and_mend(tmp_path: Path, change: Change, words: list[str]) -> None:
    net, library = network(), equipment()
    change(net, library)
    with pytest.raises(InvalidRequest) as refused:
        load(tmp_path, net, library)
    for word in words:
        assert word in str(refused.value)
    assert refused.value.fields["field"]


def test_files_that_are_no_json(tmp_path: Path) -> None:
    missing, broken, listed = tmp_path / "missing.json", tmp_path / "broken.json", tmp_path / "listed.json"
    broken.write_text("{", encoding="utf-8")
    listed.write_text("[]", encoding="utf-8")
    for file in (missing, broken, listed):
        with pytest.raises(InvalidRequest, match=file.name):
            load_plant_records(file, EUROPE / "equipment.json")


def test_names_of_roadms_and_of_what_stands_beside_them() -> None:
    records = load_plant_records(EUROPE / "network.json", EUROPE / "equipment.json")
    assert records.roadm_named("ROADM-AMS", "from") == "ROADM-AMS"
    assert records.roadm_named("XPDR-AMS", "from") == "ROADM-AMS"
    with pytest.raises(NotFound, match="from='AMS'") as refused:
        records.roadm_named("AMS", "from")
    assert refused.value.fields == {"field": "from", "value": "AMS"}


def test_the_bundled_network_becomes_a_snapshot_and_an_answer_becomes_json() -> None:
    records = load_plant_records(EUROPE / "network.json", EUROPE / "equipment.json")
    snapshot = snapshot_of(records)
    assert (len(snapshot.nodes), len(snapshot.links)) == (14, 48)
    answer = Engine().compute(snapshot, PathRequest("ROADM-AMS", targets=("ROADM-FRA",), bit_rate_gbps=400))
    report = json.loads(json.dumps(answer_report(answer)))
    best = report["best"]
    assert best["route"][0] == "ROADM-AMS"
    assert best["frequency_slot"] == {"n": -277, "m": 7, "center_thz": 191.36875}
    assert best["margin_db"] == pytest.approx(best["worst_case_gsnr_0p1nm_db"] - 24.0)
    assert best["gsnr_0p1nm_db"] > best["worst_case_gsnr_0p1nm_db"]
    assert best["power_w"] == pytest.approx(160 + sum(snapshot.links[name].power_w for name in best["links"]) * 2)
    assert [candidate["rank"] for candidate in report["candidates"]] == [1, 2, 3][: len(report["candidates"])]
    assert {"constraint", "shortfall", "unit", "message"} <= set(report["refusals"][0])
