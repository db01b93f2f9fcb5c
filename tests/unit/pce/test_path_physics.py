"""Path physics against formulas written out here, and against integration step by step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pce.core import amplifier as kernel
from pce.core.generalised import band_edges, both_bands, mixing_efficiency
from pce.core.interference import gn_matrix, interference
from pce.core.raman import raman_gain, raman_transmission
from pce.physics.comb import Channel, Comb, PenaltyTable
from pce.physics.elements import (
    Amplifier,
    AmplifierSetting,
    AmplifierType,
    Curve,
    Element,
    Fibre,
    Glass,
    Impairment,
    Level,
    LevelKind,
    LumpedLoss,
    Pad,
    Roadm,
    Stage,
    Transceiver,
)
from pce.physics.fibre import RamanTable, accumulated_s_per_m, beta2_s2_per_m, gamma_per_w_m
from pce.physics.path import path_qot
from pce.physics.simulation import NliModel, Physics

H, C = 6.62607015e-34, 299_792_458.0
BAND = (191e12, 197e12)
GLASS = Glass(Curve((0.2,)), Curve((1.67e-5,)))
FIBRE = Fibre("f", GLASS, 80e3, 0.5, 0.5, 80e3 * 1.468 / C, 1.265e-15)
FLAT = AmplifierType("flat", (Stage(kernel.FIXED, 10.0, 25.0, (5.0,)),), 30.0, BAND)
ENDS = Roadm("r", Level(LevelKind.CHANNEL_DBM, -20.0), {}, {("t", "a"): (Impairment(osnr_0p1nm_db=36.0),)})
RAMAN = RamanTable(np.array([0.0, 13e12, 15e12, 42e12]), np.array([0.0, 3.3e-14, 3e-14, 0.0]), 206e12)


def comb(*thz: float, baud: float = 32e9, **changed: float) -> Comb:
    return Comb.of(Channel(value * 1e12, baud, 50e9, **changed) for value in thz)


def amplifier(gain_db: float = 20.0, kind: AmplifierType = FLAT, **changed: float) -> Amplifier:
    return Amplifier("a", (AmplifierSetting(kind, gain_db, **changed),))


def path(*elements: Element) -> list[Element]:
    return [Transceiver("t"), *elements, Transceiver("z")]


def test_ase_transmitter_and_add_block_add_up() -> None:
    light = comb(193.1)
    qot = path_qot(path(ENDS, amplifier()), light)
    ase = H * 193.1e12 * 12.5e9 * 10**0.5 / 1e-5
    assert qot.osnr_ase_0p1nm_db[0] == pytest.approx(-10 * math.log10(ase + 1e-4 + 10**-3.6))
    assert qot.gsnr_0p1nm_db[0] == qot.osnr_ase_0p1nm_db[0]
    assert qot.power_w[0] == pytest.approx(100 * (1e-5 + H * 193.1e12 * 32e9 * 10**0.5))


@pytest.mark.parametrize(
    ("level", "watts"),
    [
        (Level(LevelKind.CHANNEL_DBM, -20.0), 1e-5),
        (Level(LevelKind.BAUD_MW_PER_GHZ, 3e-4), 3e-4 * 32 * 1e-3),
        (Level(LevelKind.SLOT_MW_PER_GHZ, 2e-4), 2e-4 * 50 * 1e-3),
    ],
)
def test_a_roadm_equalises_and_does_not_amplify(level: Level, watts: float) -> None:
    light = Comb.of(
        [
            Channel(193.1e12, 32e9, 50e9),
            Channel(193.2e12, 32e9, 50e9, delta_power_db=1.0),
            Channel(193.3e12, 32e9, 50e9, launch_dbm=-30.0),
        ]
    )
    general, other = replace(ENDS, level=level), Level(LevelKind.CHANNEL_DBM, 3.0)
    by_degree = replace(ENDS, level=other, per_degree={"z": level})
    for roadm, after in ((general, "a"), (by_degree, "z")):
        crossing = (Impairment(band=(193e12, 193.25e12)), Impairment(band=(193.25e12, 194e12), loss_db=2.0))
        crossed = replace(roadm, crossings={("t", after): crossing})
        end = Transceiver("z") if after == "z" else Pad("a", 0.0)
        found = path_qot([Transceiver("t"), crossed, end], light).power_w
        assert found == pytest.approx([watts, watts * 10**0.1, 1e-6 * 10**-0.2])


def test_gain_falls_at_the_power_limit_and_the_noise_figure_with_it() -> None:
    tight = replace(FLAT, max_power_dbm=13.0, stages=(Stage(kernel.FIXED, 20.0, 25.0, (5.0,)),))
    light = comb(193.1, 193.2, launch_dbm=0.0)
    qot = path_qot(path(amplifier(20.0, tight, in_voa_db=3.0, out_voa_db=1.0)), light)
    entering_db = 10 * math.log10(2 * 10**-0.3)
    assert qot.amplifier_gain_db[0] == pytest.approx(13.0 - entering_db)
    # Below its least gain the stage is padded, which worsens the noise figure.
    figure_db = 5.0 + 20.0 - qot.amplifier_gain_db[0]
    assert qot.ratios[0, 0] == pytest.approx(H * 193.1e12 * 32e9 * 10 ** (figure_db / 10) / (1e-3 * 10**-0.3))


def test_two_stages_share_the_gain() -> None:
    stages = (Stage(kernel.FIXED, 12.0, 12.0, (-1.0,)), Stage(kernel.TWO_COILS, 8.0, 16.0, (6.0, 7.0, 2.0)))
    qot = path_qot(path(amplifier(25.0, replace(FLAT, stages=stages))), comb(193.1))
    # The booster gives 13 dB, 3 less than flat: its first coil has 13 - 2 - 3 dB.
    booster = 10**0.6 + 10**0.7 / 10**0.8
    expected = 10**-0.1 + booster / 10**1.2
    assert qot.ratios[0, 0] == pytest.approx(H * 193.1e12 * 32e9 * expected / 1e-3)


@pytest.mark.parametrize(
    ("model", "coefficients", "figure_db"),
    [
        (kernel.POLYNOMIAL, (0.01, 0.1, 5.0), 0.01 * 25 - 0.5 + 5.0),
        (kernel.OSNR_POLYNOMIAL, (0.0, -0.5, 25.0), -17.0 - (0.5 * 17 + 25.0) + 58),
        (kernel.OSNR_MASK, (), -17.0 - 207 / 7 + 58),
    ],
)
def test_noise_figures_by_hand(model: int, coefficients: tuple[float, ...], figure_db: float) -> None:
    kind = replace(FLAT, stages=(Stage(model, 10.0, 25.0, coefficients),))
    qot = path_qot(path(amplifier(20.0, kind)), comb(193.1, 193.2, launch_dbm=-17.0))
    assert qot.ratios[0, 0] == pytest.approx(H * 193.1e12 * 32e9 * 10 ** (figure_db / 10) / 10**-4.7)


def test_a_booster_without_noise() -> None:
    kind = replace(FLAT, stages=(Stage(kernel.NOISELESS, 0.0, 32.0),))
    qot = path_qot(path(amplifier(20.0, kind)), comb(193.1))
    assert qot.ratios[0, 0] == 0.0
    assert qot.power_w[0] == pytest.approx(0.1)


def test_ripple_and_tilt_keep_the_gain_in_total_power() -> None:
    ripple = replace(FLAT, gain_ripple_db=(0.4, -0.3, 0.1, 0.5), dynamic_gain_tilt=(1.0, 1.4, 1.9, 2.5))
    light = comb(*(191.5 + 0.1 * k for k in range(40)), launch_dbm=-10.0)
    # Noise-free, so that only the gain is seen.
    quiet = replace(ripple, stages=(Stage(kernel.NOISELESS, 0.0, 25.0),))
    for tilt_db in (0.0, -2.0):
        qot = path_qot(path(amplifier(18.0, quiet, tilt_db=tilt_db)), light)
        gain_db = 10 * np.log10(qot.power_w / light.launch_w)
        assert 10 * math.log10(np.mean(10 ** (gain_db / 10))) == pytest.approx(18.0, abs=1e-3)
        slope = np.polyfit(light.frequency_hz, gain_db, 1)[0] * (BAND[1] - BAND[0])
        level = np.polyfit(
            light.frequency_hz, np.interp(light.frequency_hz, np.linspace(*BAND, 4), (0.4, -0.3, 0.1, 0.5)), 1
        )
        assert slope - level[0] * (BAND[1] - BAND[0]) == pytest.approx(-tilt_db, abs=0.15)


def test_bands_beside_each_other_saturate_each_on_its_own() -> None:
    lower = replace(FLAT, name="L", band=(186e12, 190.5e12), max_power_dbm=10.0)
    both = Amplifier("a", (AmplifierSetting(FLAT, 20.0), AmplifierSetting(lower, 20.0)))
    qot = path_qot(path(both), comb(188.0, 190.49, 193.1))
    assert qot.comb.frequency_hz.tolist() == [188.0e12, 193.1e12]
    assert qot.amplifier_gain_db == pytest.approx([20.0, 10.0])


def test_interference_matrix_is_the_sum_written_out() -> None:
    light = comb(193.1, 193.15, 193.3)
    hz, baud = light.frequency_hz, light.baud_hz
    alpha = np.array([4.6e-5, 4.7e-5, 4.5e-5])
    beta2, gamma = beta2_s2_per_m(GLASS, hz), gamma_per_w_m(GLASS, hz)
    power = np.array([1e-3, 2e-3, 0.5e-3])
    found = interference(gn_matrix(hz, baud, alpha, beta2, gamma, 80e3), power)
    for i in range(3):
        total = 0.0
        for j in range(3):
            effective, b = (1 - math.exp(-alpha[j] * 80e3)) / alpha[j], abs(beta2[i] + beta2[j]) / 2
            edges = [
                math.asinh(math.pi**2 / alpha[j] * b * baud[i] * (hz[j] - hz[i] + s * baud[j] / 2)) for s in (1, -1)
            ]
            psi = effective**2 * alpha[j] / (2 * math.pi * b) * (edges[0] - edges[1]) / 2
            total += (16 if i == j else 32) / 27 * gamma[i] ** 2 * psi * (power[j] / baud[j]) ** 2
        assert found[i] == pytest.approx(total, rel=1e-12)


def test_raman_scattering_follows_its_differential_equation() -> None:
    """Runge-Kutta on dP/dz = P·(-α + C·P) with a loss on the way; light so strong that the series has to work."""
    hz = np.array([187e12, 191e12, 195e12])
    area = np.full(3, 80e-12)
    gain = raman_gain(hz, area, RAMAN.offset_hz, RAMAN.efficiency)
    power, alpha = np.array([0.02, 0.02, 0.03]), np.full(3, 4.6e-5)
    z = np.unique(np.append(np.arange(0, 80e3, 2e3), [31e3, 80e3]))
    lumped = np.where(z == 31e3, 0.8, 1.0)
    expected, here, step = [np.ones(3)], power.copy(), 100.0

    def slope(p: np.ndarray) -> np.ndarray:
        return p * (-alpha + p @ gain)

    for start, end, passed in zip(z, z[1:], lumped, strict=False):
        here = here * passed
        for _ in range(round((end - start) / step)):
            k1 = slope(here)
            k2 = slope(here + step / 2 * k1)
            k3 = slope(here + step / 2 * k2)
            here = here + step / 6 * (k1 + 2 * k2 + 2 * k3 + slope(here + step * k3))
        expected.append(here / power)
    errors_db = [
        np.abs(10 * np.log10(raman_transmission(power, alpha, gain, z, lumped, order) / expected)).max()
        for order in (1, 2, 3, 4)
    ]
    assert errors_db[0] > errors_db[1] > errors_db[3]
    assert errors_db[1] < 0.05
    assert errors_db[3] < 0.01
    fine = np.linspace(0, 80e3, 8001)
    euler = raman_transmission(power, alpha, gain, fine, np.ones(fine.size), 0)
    series = raman_transmission(power, alpha, gain, fine, np.ones(fine.size), 4)
    assert np.abs(10 * np.log10(euler[-1] / series[-1])).max() < 0.01


def test_what_one_channel_gives_another_receives() -> None:
    gain = raman_gain(np.array([187e12, 191e12, 195e12]), np.full(3, 80e-12), RAMAN.offset_hz, RAMAN.efficiency)
    assert np.allclose(gain, -gain.T)
    # 8 THz of the 13 to the table's peak, at the donor's frequency.
    assert gain[2, 0] == pytest.approx(3.3e-14 * 8 / 13 / 206e12 * 195e12 / 80e-12)


def test_mixing_efficiency_is_the_integral_along_the_fibre() -> None:
    alpha = 4.6e-5
    z = np.array([0.0, 10e3, 20e3, 45e3])
    profile = np.array([1.0, 0.97, 0.98, 0.9])
    fine = np.linspace(0, 45e3, 400_001)
    envelope = np.interp(fine, z, profile) * np.exp(-alpha * fine)
    for mismatch in (0.0, 1e-5, 3e-4):
        value = np.trapezoid(envelope * np.exp(1j * mismatch * fine), fine)
        assert mixing_efficiency(mismatch, profile, z, alpha) == pytest.approx(abs(value) ** 2, rel=1e-6)


def test_band_integrals_are_the_sums_over_both_bands() -> None:
    alpha, beta2, beta3 = 4.6e-5, -2.1e-26, 1e-40
    z, profile = np.array([0.0, 40e3, 80e3]), np.array([1.0, 1.02, 1.01])
    cut, pump, apart = (32e9, 0.15), (40e9, 0.1, alpha), 75e9

    def spectrum(off: np.ndarray, baud: float, roll: float) -> np.ndarray:
        edge = np.clip((np.abs(off) - (1 - roll) * baud / 2) / (roll * baud), 0, 1)
        return 0.5 * (1 + np.cos(math.pi * edge))

    one = np.arange(-22e9, 22e9, 0.4e9)
    two = np.arange(-18.4e9, 18.4e9, 0.4e9)
    grid = np.array(
        [
            [
                mixing_efficiency(
                    4 * math.pi**2 * (apart + u) * v * (beta2 + math.pi * beta3 * (apart + u + v)), profile, z, alpha
                )
                for v in two
            ]
            for u in one
        ]
    )
    weights = spectrum(one, *pump[:2])[:, None] * spectrum(two, *cut) * spectrum(one[:, None] + two, *pump[:2])
    expected = np.trapezoid(np.trapezoid(grid * weights, two, axis=1), one)
    found = both_bands(apart, cut, pump, (0.4e9, 0.4e9), beta2, beta3, profile, z)
    assert found == pytest.approx(expected, rel=1e-4)
    # Far away the mismatch hardly changes over the pump's band, and mixing happens near the channel's centre, where the
    # third frequency lies inside the pump's band too: its edges stand for all of it.
    far = 600e9
    near_exact = both_bands(far, (32e9, 1e-9), (32e9, 1e-9, alpha), (0.05e9, 0.4e9), beta2, 0.0, profile, z)
    by_edges = band_edges(far, (32e9, 1e-9), (32e9, 1e-9, alpha), 0.05e9, beta2, 0.0, profile, z)
    assert near_exact == pytest.approx(by_edges, rel=0.03)


def test_generalised_models_meet_the_closed_form_where_it_holds() -> None:
    """Long spans, channels apart, plain profile: three models of one thing."""
    light = comb(193.0, 193.3, 193.6, launch_dbm=0.0)
    plain = path_qot(path(FIBRE), light).ratios[2]
    for nli in (NliModel.GENERALISED_APPROXIMATE, NliModel.GENERALISED_SEPARATED):
        qot = path_qot(path(FIBRE), light, Physics(nli=nli))
        assert 10 * np.log10(qot.ratios[2] / plain) == pytest.approx(np.zeros(3), abs=0.5)
        assert np.all(qot.ratios[1] < qot.ratios[2])


def test_a_loss_inside_a_span_lowers_power_and_leaves_the_closed_form() -> None:
    spliced = replace(FIBRE, lumped=(LumpedLoss(30e3, 0.7),))
    light = comb(193.1)
    plain, lossy = (path_qot(path(fibre), light) for fibre in (FIBRE, spliced))
    assert lossy.power_w == pytest.approx(plain.power_w * 10**-0.07)
    assert lossy.ratios[2] == pytest.approx(plain.ratios[2])
    scattered = path_qot(path(spliced), light, Physics(raman=RAMAN))
    assert scattered.power_w == pytest.approx(lossy.power_w, rel=1e-9)
    general = [
        path_qot(path(fibre), light, Physics(nli=NliModel.GENERALISED_SEPARATED)).ratios[2, 0]
        for fibre in (FIBRE, spliced)
    ]
    assert general[1] < general[0]


def test_dispersion_by_value_slope_and_table() -> None:
    hz = np.array([191.5e12, 195.5e12])
    sloped = replace(GLASS, dispersion_slope_s_per_m3=58.0)
    apart = C / hz - 1550e-9
    stated = {GLASS: np.full(2, 1.67e-5), sloped: 1.67e-5 + 58.0 * apart}
    table = replace(GLASS, dispersion_s_per_m2=Curve((1.6e-5, 1.8e-5), (191e12, 197e12)))
    stated[table] = 1.6e-5 + (hz - 191e12) / 6e12 * 0.2e-5
    for glass, expected in stated.items():
        assert accumulated_s_per_m(replace(FIBRE, glass=glass), hz) == pytest.approx(expected * 80e3)
        at_channel = expected * (hz / glass.reference_hz) ** 2 if glass is GLASS else expected
        assert beta2_s2_per_m(glass, hz) == pytest.approx(-((C / hz) ** 2) * at_channel / (2 * math.pi * C))


def test_penalties_are_straight_between_points_and_infinite_beyond() -> None:
    table = PenaltyTable.of([4000.0, 18000.0], [0.0, 0.5])
    assert [table.at(value) for value in (0.0, 4000.0, 11000.0, 18001.0)] == [0.0, 0.0, 0.25, math.inf]
    assert PenaltyTable.of([-10.0, 10.0], [1.0, 1.0]).at(-11.0) == math.inf
    light = Comb.of([Channel(193.1e12, 32e9, 50e9, penalties={"chromatic_dispersion": table, "pmd": table})])
    assert path_qot(path(FIBRE), light).penalty_db.tolist() == [0.0]
    assert path_qot(path(*[FIBRE] * 9), light).penalty_db[0] == pytest.approx((9 * 80 * 16.7 - 4000) / 28000)
