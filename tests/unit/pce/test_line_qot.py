"""Noise of a line against the formulas written out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.domain.errors import InvalidRequest
from controller.domain.qot import OperationalMode
from pce.line_qot import DEFAULT_COMB, ReferenceComb, densest_comb, line_nsr, line_qot
from pce.plant_records import AmplifierRecord, LineRecord, LossRecord, SpanRecord

C, H = 299_792_458.0, 6.62607015e-34
SPAN = SpanRecord("f", 80.0, ((193.1, 0.2),), 0.25, 0.25, 16.7, 83.0, pmd_ps_per_sqrt_km=0.04)
BOOSTER = AmplifierRecord("b", 19.0, 4.5, 21.0, 55.0)
LINE_AMPLIFIER = AmplifierRecord("a", 16.5, 4.5, 21.0, 55.0, pmd_ps=0.1)
LINE = LineRecord("A", "Z", (BOOSTER, SPAN, LINE_AMPLIFIER), 2.8e-4)


def test_ase_by_hand() -> None:
    """h·f·F over the power spectral density at each amplifier's input."""
    densities = [2.8e-4 * 1e-12, 2.8e-4 * 1e-12 * 10**1.9 / 10**1.65]
    for sample in line_qot(LINE).samples:
        expected = sum(H * sample.center_thz * 1e12 * 10**0.45 / density for density in densities)
        # What noise is already there adds to the second order only.
        assert sample.nsr_ase == pytest.approx(expected, rel=2e-3)


def test_interference_of_one_channel_by_hand() -> None:
    """Eq. 123 of arXiv:1209.0394 for a single channel at the fibre maker's reference, 1550 nm."""
    f, baud = C / 1550e-9, 63.1e9
    alpha = 0.2 / (10 * math.log10(math.e)) / 1e3
    effective = (1 - math.exp(-alpha * 80e3)) / alpha
    beta2 = (1550e-9) ** 2 * 16.7e-6 / (2 * math.pi * C)
    gamma = 2 * math.pi * f * 2.6e-20 / (C * 83e-12)
    density = 0.02e-12 * 10 ** (-0.25 / 10)
    expected = (
        (8 / 27) * gamma**2 * density**2 * effective**2
        * math.asinh(math.pi**2 / 2 * beta2 * baud**2 / alpha) / (math.pi * beta2 / alpha)
    )  # fmt: skip
    ratios = line_nsr(LineRecord("A", "Z", (SPAN,), 0.02), np.array([f]), np.array([baud]), np.array([0.02e-3 * 63.1]))
    # Interference is taken out of the signal.
    assert ratios[1, 0] == pytest.approx(expected / (1 - expected), rel=1e-9)
    assert ratios[2, 0] == ratios[1, 0]


def test_density_decides_and_not_the_symbol_rate() -> None:
    centers = np.array([193.1e12])
    wide, narrow = (
        line_nsr(LINE, centers, np.array([baud]), np.array([2.8e-13 * baud * 1e-3])) for baud in (63.1e9, 31.6e9)
    )
    assert narrow[0, 0] == pytest.approx(wide[0, 0], rel=1e-3)
    assert narrow[1, 0] < wide[1, 0]


def test_other_figures_of_the_line() -> None:
    found = line_qot(LineRecord("A", "Z", (BOOSTER, SPAN, LINE_AMPLIFIER, SPAN), 2.8e-4))
    assert found.length_km == 160.0
    assert found.latency_ms == pytest.approx(160e3 * 1.468 / C * 1e3)
    assert found.cd_ps_per_nm == pytest.approx(160 * 16.7)
    assert found.pmd_ps == pytest.approx(math.sqrt(160 * 0.04**2 + 0.1**2))
    assert len(found.samples) == 9
    assert 191.325 < found.samples[0].center_thz < 191.4
    assert 196.05 < found.samples[-1].center_thz < 196.125
    assert all(0 < s.nsr_nli_self < s.nsr_nli_full for s in found.samples)


def test_dispersion_slope_is_taken_over_the_wavelength() -> None:
    sloped = replace(SPAN, dispersion_slope_ps_per_nm2_km=0.058)
    middle_nm = C / 193.725e12 * 1e9
    found = line_qot(LineRecord("A", "Z", (sloped,), 2.8e-4))
    assert found.cd_ps_per_nm == pytest.approx(80 * (16.7 + 0.058 * (middle_nm - 1550)))
    crossing = replace(SPAN, dispersion_ps_per_nm_km=0.2, dispersion_slope_ps_per_nm2_km=0.058)
    with pytest.raises(InvalidRequest, match="inside the band"):
        line_qot(LineRecord("A", "Z", (crossing,), 2.8e-4))


def test_an_amplifier_at_its_limit_gives_less_gain() -> None:
    tight = replace(BOOSTER, max_power_dbm=15.0)
    limited = line_qot(replace(LINE, parts=(tight, SPAN, LINE_AMPLIFIER)))
    free = line_qot(LINE)
    for less, more in zip(limited.samples, free.samples, strict=True):
        assert less.nsr_nli_full < more.nsr_nli_full
        assert less.nsr_ase > more.nsr_ase


def test_a_pad_before_the_amplifier_costs_its_loss() -> None:
    padded = line_qot(LineRecord("A", "Z", (LossRecord("p", 3.0), BOOSTER), 2.8e-4)).samples[0]
    plain = line_qot(LineRecord("A", "Z", (BOOSTER,), 2.8e-4)).samples[0]
    voa = line_qot(LineRecord("A", "Z", (replace(BOOSTER, in_voa_db=3.0),), 2.8e-4)).samples[0]
    assert padded.nsr_ase == pytest.approx(plain.nsr_ase * 10**0.3)
    assert voa.nsr_ase == pytest.approx(padded.nsr_ase)
    assert plain.nsr_nli_full == 0.0


def test_too_much_light_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="interference exceeds the signal"):
        line_qot(replace(LINE, psd_mw_per_ghz=0.1, parts=(replace(BOOSTER, max_power_dbm=60.0), SPAN)))


def test_a_comb_that_fits_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="spacing"):
        line_qot(LINE, ReferenceComb(100.0, 87.5))


def test_a_narrow_band_has_as_many_samples_as_channels() -> None:
    found = line_qot(LINE, ReferenceComb(lower_thz=193.0, upper_thz=193.3))
    assert len(found.samples) == 3


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: replace(SPAN, length_km=0.0), "length_km"),
        (lambda: replace(SPAN, loss_db_per_km=()), "loss_db_per_km"),
        (lambda: replace(SPAN, dispersion_ps_per_nm_km=0.0), "dispersion_ps_per_nm_km"),
        (lambda: replace(BOOSTER, noise_figure_db=math.nan), "noise_figure_db"),
        (lambda: replace(LINE, psd_mw_per_ghz=0.0), "psd_mw_per_ghz"),
    ],
)
def test_records_refuse_what_no_plant_has(make, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        make()
    assert refused.value.fields["field"] == field


def test_worst_neighbours_are_the_densest_that_the_modes_allow() -> None:
    sparse = OperationalMode("sparse", 400.0, 63.1, 87.5, 24.0, 37.0)
    dense = OperationalMode("dense", 400.0, 66.0, 75.0, 24.0, 37.0)
    comb = densest_comb([sparse, dense])
    assert (comb.baud_rate_gbd, comb.spacing_ghz) == (66.0, 75.0)
    assert densest_comb([]) == DEFAULT_COMB
    full, default = (line_qot(LINE, each).samples for each in (comb, DEFAULT_COMB))
    assert max(s.nsr_nli_full for s in full) > max(s.nsr_nli_full for s in default)


def test_noise_between_samples_is_never_less_than_the_models() -> None:
    """A loss that ripples over frequency makes amplified noise ripple; straight lines between samples stay above it."""
    ripple = tuple((191.3 + 0.1 * step, 0.2 + 0.005 * (-1) ** step) for step in range(50))
    line = replace(LINE, parts=tuple(replace(p, loss_db_per_km=ripple) if p is SPAN else p for p in LINE.parts))
    samples = line_qot(line).samples
    centers_hz = DEFAULT_COMB.centers_hz(upper_aligned=False)
    baud_hz = np.full(centers_hz.size, 63.1e9)
    ase = line_nsr(line, centers_hz, baud_hz, np.full(centers_hz.size, 2.8e-4 * 63.1 * 1e-3))[0]
    half = slice(None, centers_hz.size // 2)
    stated = np.interp(centers_hz / 1e12, [s.center_thz for s in samples], [s.nsr_ase for s in samples])
    assert (stated[half] >= ase[half] * (1 - 1e-9)).all()
