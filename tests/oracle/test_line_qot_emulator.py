"""What the provider states of its lines against what emulated receivers measure: one plant, two implementations."""

import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from emulator.physics import CrossConnect, LightPlant, TxChannel
from emulator.plant import Plant, load_plant
from pce.gnpy_plant import load_plant_records
from pce.line_qot import ReferenceComb, line_qot
from pce.plant_records import PlantRecords

FOLDER = Path(__file__).parents[2] / "emulator" / "networks" / "europe14"
BAUD_HZ, SLOT_HZ, TX_OSNR_DB = 63.1e9, 87.5e9, 37.0
ROUTES = [
    ["AMS", "BRU"],
    ["AMS", "LON"],
    ["AMS", "LON", "PAR", "LYS"],
    ["HAM", "FRA", "ZRH", "MIL"],
    ["MIL", "ZRH", "FRA", "HAM", "BER"],
]
FULL_HZ = [191.325e12 + SLOT_HZ * (k + 0.5) for k in range(54)]
OPTIMISM_DB = 0.005
"""The worst case may not promise more than is measured, but for a middle channel's farthest neighbour."""
PESSIMISM_DB = 0.05
"""Between samples interference is a straight line that never runs below the model."""


@cache
def plant() -> Plant:
    return load_plant(FOLDER / "network.json", FOLDER / "equipment.json")


@cache
def records() -> PlantRecords:
    return load_plant_records(FOLDER / "network.json", FOLDER / "equipment.json")


def measured_db(names: list[str], centers_hz: list[float]) -> list[float]:
    """GSNR at the emulated receivers with just these channels lit."""
    route = [f"ROADM-{name}" for name in names]
    first, last = f"XPDR-{names[0]}", f"XPDR-{names[-1]}"
    patches, crosses, channels = {}, [], []
    for number, center_hz in enumerate(centers_hz, start=1):
        add_drop = f"SRG1-PP{number}-TXRX"
        patches[f"{first}/N{number}"] = f"{route[0]}/{add_drop}"
        patches[f"{last}/N{number}"] = f"{route[-1]}/{add_drop}"
        channels.append(TxChannel(f"{first}/N{number}", center_hz, BAUD_HZ, SLOT_HZ, 0.0, TX_OSNR_DB))
        for i, here in enumerate(route):
            site = plant().roadms[here]
            source = f"DEG{site.degree_to(route[i - 1])}-TTP-TXRX" if i else add_drop
            target = f"DEG{site.degree_to(route[i + 1])}-TTP-TXRX" if i + 1 < len(route) else add_drop
            crosses.append(CrossConnect(here, source, target, center_hz, SLOT_HZ))
    state = LightPlant(plant(), patches).settle(channels, crosses)
    return [state.receptions[f"{last}/N{number}"][0].gsnr_0p1nm_db for number in range(1, len(centers_hz) + 1)]


def stated_db(names: list[str], center_hz: float, nli: str) -> float:
    """GSNR of the route written out by hand from the lines' samples."""
    remaining = 1.0
    for a, z in pairwise(names):
        samples = line_qot(records().lines[f"ROADM-{a}", f"ROADM-{z}"]).samples
        at = [sample.center_thz * 1e12 for sample in samples]
        ase = np.interp(center_hz, at, [sample.nsr_ase for sample in samples])
        remaining /= 1.0 + ase + np.interp(center_hz, at, [getattr(sample, nli) for sample in samples])
    noise = (1.0 / remaining - 1.0) * 12.5e9 / BAUD_HZ + 10 ** (-TX_OSNR_DB / 10)
    for name in (names[0], names[-1]):
        noise += 10 ** (-records().add_drop_osnr_0p1nm_db[f"ROADM-{name}"] / 10) / 2
    return -10 * math.log10(noise)


@pytest.mark.parametrize("names", ROUTES, ids="-".join)
@pytest.mark.parametrize("center_thz", [191.36875, 193.1, 195.2, 196.05])
def test_a_channel_alone_measures_what_the_line_states(names: list[str], center_thz: float) -> None:
    (measured,) = measured_db(names, [center_thz * 1e12])
    assert stated_db(names, center_thz * 1e12, "nsr_nli_self") == pytest.approx(measured, abs=OPTIMISM_DB)


@pytest.mark.parametrize("names", ROUTES, ids="-".join)
@pytest.mark.parametrize("upper", [False, True], ids=["flush-below", "flush-above"])
def test_a_full_band_measures_what_the_line_states(names: list[str], upper: bool) -> None:
    """A comb flush with one edge is the worst case of the channels nearer to that edge; the others fare better."""
    centers_hz = [center_hz + (75e9 if upper else 0.0) for center_hz in FULL_HZ]
    stated = np.array([stated_db(names, center_hz, "nsr_nli_full") for center_hz in centers_hz])
    promised_too_much_db = stated - np.array(measured_db(names, centers_hz))
    assert promised_too_much_db.max() <= OPTIMISM_DB
    nearer = promised_too_much_db[27:] if upper else promised_too_much_db[:27]
    assert nearer.min() >= -PESSIMISM_DB
    assert promised_too_much_db.min() >= -0.15


def test_narrower_channels_do_no_worse_than_the_worst_case() -> None:
    """31.6 GBd every 50 GHz fills less of the band: the samples of the wider comb bound them."""
    line = records().lines["ROADM-AMS", "ROADM-LON"]
    wide, narrow = line_qot(line), line_qot(line, ReferenceComb(31.6, 50.0))
    at = [sample.center_thz for sample in wide.samples]
    for sample in narrow.samples:
        bound = {
            name: np.interp(sample.center_thz, at, [getattr(s, name) for s in wide.samples])
            for name in ("nsr_ase", "nsr_nli_self", "nsr_nli_full")
        }
        assert sample.nsr_ase == pytest.approx(bound["nsr_ase"], rel=1e-3)
        assert sample.nsr_nli_self <= bound["nsr_nli_self"]
        assert sample.nsr_nli_full <= bound["nsr_nli_full"]
