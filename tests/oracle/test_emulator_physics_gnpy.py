"""The emulator's light against GNPy on the bundled network: same plant, same comb, every channel within 0.05 dB."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from emulator.physics import CrossConnect, LightPlant, TxChannel
from emulator.plant import load_plant

gnpy_io = pytest.importorskip("gnpy.tools.json_io", reason="GNPy is not installed: pip install -e '.[oracle]'")

FOLDER = Path(__file__).parents[2] / "emulator" / "networks" / "europe14"
BAUD_HZ, SLOT_HZ, TX_OSNR_DB = 63.1e9, 87.5e9, 37.0
ROUTES = [
    ["AMS", "LON"],
    ["AMS", "LON", "PAR", "LYS"],
    ["HAM", "FRA", "ZRH", "MIL"],
    ["MAD", "LYS", "PAR", "LON", "BRU"],
]


def ours(names: list[str], centers_hz: list[float]) -> list[float]:
    plant = load_plant(FOLDER / "network.json", FOLDER / "equipment.json")
    route = [f"ROADM-{name}" for name in names]
    first, last = f"XPDR-{names[0]}", f"XPDR-{names[-1]}"
    patches, crosses, channels = {}, [], []
    for number, center_hz in enumerate(centers_hz, start=1):
        patches[f"{first}/N{number}"] = f"{route[0]}/SRG1-PP{number}-TXRX"
        patches[f"{last}/N{number}"] = f"{route[-1]}/SRG1-PP{number}-TXRX"
        channels.append(TxChannel(f"{first}/N{number}", center_hz, BAUD_HZ, SLOT_HZ, 0.0, TX_OSNR_DB))
        for i, here in enumerate(route):
            site, add_drop = plant.roadms[here], f"SRG1-PP{number}-TXRX"
            source = f"DEG{site.degree_to(route[i - 1])}-TTP-TXRX" if i else add_drop
            target = f"DEG{site.degree_to(route[i + 1])}-TTP-TXRX" if i + 1 < len(route) else add_drop
            crosses.append(CrossConnect(here, source, target, center_hz, SLOT_HZ))
    state = LightPlant(plant, patches).settle(channels, crosses)
    found = [state.receptions[f"{last}/N{number}"][0] for number in range(1, len(centers_hz) + 1)]
    return [reception.gsnr_0p1nm_db for reception in found]


def theirs(names: list[str], centers_hz: list[float]) -> list[float]:
    from gnpy.core.elements import Roadm
    from gnpy.core.info import create_arbitrary_spectral_information
    from gnpy.core.parameters import TransceiverRole
    from gnpy.tools.worker_utils import designed_network

    equipment = gnpy_io.load_equipment(FOLDER / "equipment.json", {})
    network = gnpy_io.load_network(FOLDER / "network.json", equipment)
    # Sets reference carriers and paths inside ROADMs; gains given in the file stay as they are.
    network, _, _ = designed_network(equipment, network, no_insert_edfas=True)
    by_uid = {node.uid: node for node in network.nodes}
    uids = [f"XPDR-{names[0]}", f"ROADM-{names[0]}"]
    for near, far in pairwise(names):
        uid = f"booster-{near}-{far}"
        while uid != f"ROADM-{far}":
            uids.append(uid)
            uid = next(iter(network.successors(by_uid[uid]))).uid
        uids.append(uid)
    uids.append(f"XPDR-{names[-1]}")
    light = create_arbitrary_spectral_information(
        frequency=np.array(centers_hz),
        pch=1e-3,
        baud_rate=BAUD_HZ,
        tx_osnr=TX_OSNR_DB,
        tx_power=1e-3,
        slot_width=SLOT_HZ,
        roll_off=0.15,
    )
    path = [by_uid[uid] for uid in uids]
    light = path[0](light, role=TransceiverRole.EMITTER)
    noise = []
    for before, element, after in zip(path, path[1:], path[2:], strict=False):
        if isinstance(element, Roadm):
            light = element(light, degree=after.uid, from_degree=before.uid)
            noise.append(
                element.get_impairment("roadm-osnr", light.frequency, from_degree=before.uid, degree=after.uid)
            )
        else:
            light = element(light)
    light = path[-1](light, role=TransceiverRole.RECEIVER)
    path[-1].update_snr(*noise, light.tx_osnr)
    return [float(value) for value in path[-1].snr_01nm]


@pytest.mark.parametrize("names", ROUTES, ids="-".join)
@pytest.mark.parametrize("centers_hz", [[193.1e12], [191.5e12 + k * SLOT_HZ for k in range(50)]], ids=["one", "full"])
def test_every_channel_agrees(names: list[str], centers_hz: list[float]) -> None:
    difference_db = np.abs(np.array(ours(names, centers_hz)) - np.array(theirs(names, centers_hz)))
    assert difference_db.max() <= 0.05
