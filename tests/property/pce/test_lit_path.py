"""Lighting channels one by one against propagating the whole comb."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.errors import InvalidRequest, WrongState
from emulator.app import BUNDLED
from pce.physics.comb import Channel, Comb
from pce.physics.element_json import amplifier_type
from pce.physics.elements import Amplifier, AmplifierSetting, Transceiver
from pce.physics.lit_path import LitPath
from pce.physics.network import GnpyNetwork
from pce.physics.path import path_qot
from tests.qot_folder import documents

NETWORK = GnpyNetwork(BUNDLED / "network.json", BUNDLED / "equipment.json")
ROUTES = {names: NETWORK.path(names.split(",")) for names in ("ROADM-AMS,ROADM-LON", "ROADM-HAM,ROADM-FRA,ROADM-ZRH")}
COMB = Comb.of(
    Channel(192e12 + 100e9 * number, baud, 100e9)
    for number, baud in enumerate([32e9, 63.1e9, 44e9, 90e9, 63.1e9, 32e9])
)
EXACT_DB = 1e-9


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(ROUTES)),
    st.lists(st.integers(0, COMB.size - 1), min_size=1, max_size=20),
    st.integers(0, COMB.size - 1),
)
def test_switching_in_any_order_equals_the_whole(names: str, switched: list[int], candidate: int) -> None:
    path = LitPath(ROUTES[names], COMB)
    for channel in switched:
        (path.drop if path.lit[channel] else path.add)(channel)
    lit = path.lit.copy()
    if lit.any():
        expected = path_qot(ROUTES[names], COMB.kept(lit)).gsnr_0p1nm_db
        assert path.gsnr_0p1nm_db()[lit] == pytest.approx(expected, abs=EXACT_DB)
    assert np.isnan(path.gsnr_0p1nm_db()[~lit]).all()
    if lit[candidate]:
        with pytest.raises(WrongState, match="lit already"):
            path.noise_with(candidate)
        return
    with_it = lit | (np.arange(COMB.size) == candidate)
    expected = path_qot(ROUTES[names], COMB.kept(with_it)).gsnr_0p1nm_db
    found = path.gsnr_0p1nm_db(candidate)
    assert found[with_it] == pytest.approx(expected, abs=EXACT_DB)
    assert np.isnan(found[~with_it]).all()
    assert (path.lit == lit).all()


def test_a_channel_too_many_for_an_amplifier_is_refused() -> None:
    bright = Comb.of(
        Channel(channel.frequency_hz, channel.baud_hz, 100e9, launch_dbm=-3.0) for channel in COMB.channels
    )
    kind = amplifier_type("booster", documents()["resolved/pair.json"]["amp_types"]["booster"], "test")
    path = LitPath(
        [Transceiver("t"), Amplifier("a", (AmplifierSetting(kind, 20.0),))], bright, [True] * 2 + [False] * 4
    )
    with pytest.raises(InvalidRequest, match="amplifier a: channel 2 would take it beyond its power limit"):
        path.add(2)
    assert path.lit.tolist() == [True] * 2 + [False] * 4
    path.drop(0)
    path.add(2)
    with pytest.raises(WrongState, match="not lit"):
        path.drop(0)


def test_channels_that_feel_each_other_are_refused() -> None:
    kind = amplifier_type("openroadm", documents()["resolved/pair.json"]["amp_types"]["openroadm"], "test")
    with pytest.raises(InvalidRequest, match="amplifier a: its gain or noise depends on all channels"):
        LitPath([Transceiver("t"), Amplifier("a", (AmplifierSetting(kind, 20.0),))], COMB)
