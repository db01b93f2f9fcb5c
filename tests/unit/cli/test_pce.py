"""`geysers pce path` against the engine, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.app import BUNDLED
from pce.engine import Engine
from pce.gnpy_plant import load_plant_records
from pce.plant_snapshot import snapshot_of
from pce.request import Objective, PathRequest
from tests.cli import geysers

ENDS = ("pce", "path", "--from", "ROADM-BER", "--to", "ROADM-ZRH")


def weighed(**changed: Any):
    records = load_plant_records(BUNDLED / "network.json", BUNDLED / "equipment.json")
    asked = {"source": "ROADM-BER", "targets": ("ROADM-ZRH",), "bit_rate_gbps": 400.0} | changed
    return Engine().weigh(snapshot_of(records), PathRequest(**asked))


def test_candidates_and_refusals_are_the_engine_s_in_its_order() -> None:
    document = geysers(*ENDS, "--bit-rate-gbps", "200", "--k", "4", "--objective", "LATENCY", "-o", "json").document
    candidates, refusals = weighed(bit_rate_gbps=200.0, k=4, objective=Objective.LATENCY)
    assert [(entry["route"], entry["mode"], entry["frequency_slot"]["n"]) for entry in document["candidates"]] == [
        (list(entry.route.nodes), entry.mode.mode_id, entry.slot.n) for entry in candidates
    ]
    assert [entry["rank"] for entry in document["candidates"]] == list(range(1, len(candidates) + 1))
    assert len(candidates) > 1
    assert document["best"] == document["candidates"][0]
    assert [entry["message"] for entry in document["refusals"]] == [entry.message for entry in refusals]
    for found in document["candidates"]:
        assert found["margin_db"] == pytest.approx(found["worst_case_gsnr_0p1nm_db"] - found["required_osnr_0p1nm_db"])
        assert found["latency_ms"] == pytest.approx(found["length_km"] / 204.2, rel=0.01)
        assert found["power_w"] > 0


def test_a_transceiver_stands_for_its_roadm() -> None:
    by_shelf = geysers("pce", "path", "--from", "XPDR-BER", "--to", "XPDR-ZRH", "-o", "json").document
    assert by_shelf == geysers(*ENDS, "-o", "json").document


def test_nothing_feasible_is_status_1_with_every_refusal_printed() -> None:
    outcome = geysers(*ENDS, "--min-margin-db", "9", "-o", "json")
    outcome.refused(1, "min_margin_db=9")
    assert outcome.document["candidates"] == []
    assert outcome.document["best"] is None
    assert [entry["constraint"] for entry in outcome.document["refusals"]] == ["gsnr"] * 3
    assert all(entry["shortfall"] > 8 for entry in outcome.document["refusals"])
    shown = geysers(*ENDS, "--min-margin-db", "9")
    assert shown.code == 1
    assert shown.out.count("gsnr") == 3


def test_table_fits_80_columns() -> None:
    outcome = geysers(*ENDS, "--bit-rate-gbps", "100")
    assert outcome.code == 0
    assert max(len(line) for line in outcome.out.splitlines()) <= 80
    assert "more with -o json" in outcome.out


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--from", "ROADM-BEX"), ("--from 'ROADM-BEX'", "did you mean ROADM-BE")),
        (("--to", "nowhere"), ("--to 'nowhere'", "ROADM-AMS, ROADM-BCN")),
        (("--to", "XPDR-BER"), ("both mean ROADM-BER",)),
        (("--avoid-node", "x"), ("--avoid-node 'x'",)),
        (("--bit-rate-gbps", "4000"), ("bit_rate_gbps=4000", "the rates that exist are 100, 200, 300, 400")),
        (("--bit-rate-gbps", "-1"), ("ask for a finite rate above 0",)),
        (("--k", "0"), ("k=0: ask for 1 to",)),
        (("--objective", "CARBON"), ("CARBON",)),
        (("--network", "/nowhere.json"), ("/nowhere.json: No such file",)),
    ],
)
def test_bad_input_is_status_2_and_named(options: tuple[str, ...], fragments: tuple[str, ...]) -> None:
    outcome = geysers(*ENDS, *options)
    outcome.refused(2, *fragments)
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("variety", "complaint"), [(None, "is missing"), ("booster_99", "'booster_99' is not in Edfa")]
)
def test_a_missing_amplifier_type_is_named_with_the_types_that_exist(
    tmp_path: Path, variety: str | None, complaint: str
) -> None:
    document = json.loads((BUNDLED / "network.json").read_text())
    amplifier = next(entry for entry in document["elements"] if entry["uid"] == "booster-AMS-LON")
    amplifier["type_variety"] = variety
    file = tmp_path / "network.json"
    file.write_text(json.dumps(document))
    geysers(*ENDS, "--network", str(file)).refused(2, "Edfa booster-AMS-LON: type_variety", complaint, "use one of")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"elements": 7}'])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "network.json"
    file.write_text(text)
    geysers(*ENDS, "--network", str(file)).refused(2, "network.json")
