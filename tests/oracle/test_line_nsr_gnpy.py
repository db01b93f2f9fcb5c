"""Noise ratios of whole lines against GNPy: same files, a comb of mixed symbol rates, every channel."""

from pathlib import Path

import numpy as np
import pytest

from pce.gnpy_plant import load_plant_records
from pce.line_qot import line_nsr

gnpy_io = pytest.importorskip("gnpy.tools.json_io", reason="GNPy is not installed: pip install -e '.[oracle]'")

FOLDER = Path(__file__).parents[2] / "emulator" / "networks" / "europe14"
CENTERS_HZ = np.concatenate([191.4e12 + 87.5e9 * np.arange(25), 193.7e12 + 50e9 * np.arange(40)])
BAUD_HZ = np.repeat([63.1e9, 31.6e9], [25, 40])
SLOT_HZ = np.repeat([87.5e9, 50e9], [25, 40])
RELATIVE = 1e-6
"""Both follow the same closed form; what differs is the order of sums."""


@pytest.mark.parametrize(("a", "z"), [("AMS", "LON"), ("MIL", "ZRH"), ("BER", "HAM")])
def test_ase_and_interference_of_every_channel(a: str, z: str) -> None:
    from gnpy.core.info import create_arbitrary_spectral_information
    from gnpy.tools.worker_utils import designed_network

    line = load_plant_records(FOLDER / "network.json", FOLDER / "equipment.json").lines[f"ROADM-{a}", f"ROADM-{z}"]
    launch_w = line.psd_mw_per_ghz * 1e-12 * BAUD_HZ
    equipment = gnpy_io.load_equipment(FOLDER / "equipment.json", {})
    network = gnpy_io.load_network(FOLDER / "network.json", equipment)
    network, _, _ = designed_network(equipment, network, no_insert_edfas=True)
    by_uid = {node.uid: node for node in network.nodes}
    light = create_arbitrary_spectral_information(
        frequency=CENTERS_HZ,
        pch=launch_w,
        baud_rate=BAUD_HZ,
        tx_osnr=37.0,
        tx_power=launch_w,
        slot_width=SLOT_HZ,
        roll_off=0.15,
    )
    for part in line.parts:
        light = by_uid[part.name](light)
    ase, _, full = line_nsr(line, CENTERS_HZ, BAUD_HZ, launch_w)
    assert ase == pytest.approx(light.ase / light.signal, rel=RELATIVE)
    assert full == pytest.approx(light.nli / light.signal, rel=RELATIVE)
