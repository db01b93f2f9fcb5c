"""One fibre and one amplifier against GNPy in the same process: what the stored reference cases do not vary."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pce.core import amplifier as kernel
from pce.gnpy_json import Entry
from pce.physics.comb import Channel, Comb
from pce.physics.element_json import element
from pce.physics.elements import Amplifier, AmplifierSetting, AmplifierType, Stage, Transceiver
from pce.physics.fibre import RamanTable
from pce.physics.path import PathQot, path_qot
from pce.physics.simulation import Physics, physics_of

gnpy_elements = pytest.importorskip("gnpy.core.elements", reason="GNPy is not installed: pip install -e '.[oracle]'")

C = 299_792_458.0
TABLE = {"value": [1.6e-5, 1.7e-5, 1.8e-5], "frequency": [186e12, 193e12, 197e12]}
LOSS = {"value": [0.205, 0.2, 0.202], "frequency": [186e12, 193.4e12, 197e12]}
SPLICES = [{"position": 30, "loss": 0.7}, {"position": 50.5, "loss": 0.4}]
FIBRES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "slope": ({"dispersion_slope": 58.0}, {"dispersion_slope_s_per_m3": 58.0}),
    "dispersion table": (
        {"dispersion_per_frequency": TABLE},
        {"dispersion_s_per_m2": TABLE["value"], "f_dispersion_ref_hz": TABLE["frequency"]},
    ),
    "loss table": (
        {"loss_coef": LOSS},
        {"loss_coef_db_per_km": {"value": LOSS["value"], "frequency_hz": LOSS["frequency"]}},
    ),
    "splices": (
        {"lumped_losses": SPLICES},
        {"lumped_losses": [{"position_km": loss["position"], "loss_db": loss["loss"]} for loss in SPLICES]},
    ),
}
SCATTERING = {"flag": True}
MODELS: dict[str, dict[str, Any]] = {
    "gn": {},
    **{f"order {order}": {"raman_params": SCATTERING | {"order": order}} for order in (1, 2, 3, 4)},
    "euler": {"raman_params": SCATTERING | {"method": "numerical", "solver_spatial_resolution": 100.0}},
    "approximate": {"raman_params": SCATTERING, "nli_params": {"method": "ggn_approx"}},
    "approximate, no scattering": {"nli_params": {"method": "ggn_approx", "computed_number_of_channels": 4}},
    "approximate, other steps": {
        "raman_params": SCATTERING | {"solver_spatial_resolution": 7e3, "result_spatial_resolution": 20e3},
        "nli_params": {"method": "ggn_approx"},
    },
    "separated": {
        "raman_params": SCATTERING,
        "nli_params": {"method": "ggn_spectrally_separated", "computed_channels": [1, 3, 8]},
    },
}
COMB = Comb.of(
    [Channel(187e12 + 500e9 * k, 64e9, 75e9, launch_dbm=3.0) for k in range(4)]
    + [Channel(193e12 + 50e9 * k, 32e9, 50e9, launch_dbm=2.0) for k in range(4)]
)


def light(comb: Comb) -> Any:
    from gnpy.core.info import create_arbitrary_spectral_information

    return create_arbitrary_spectral_information(
        frequency=comb.frequency_hz,
        pch=comb.launch_w,
        tx_power=comb.launch_w,
        baud_rate=comb.baud_hz,
        slot_width=comb.slot_hz,
        roll_off=comb.roll_off,
        tx_osnr=comb.tx_osnr_0p1nm_db,
    )


def physics(model: Entry) -> Physics:
    """The same physics for both; the Raman table is GNPy's own."""
    from gnpy.core.parameters import DEFAULT_RAMAN_COEFFICIENT as RAMAN
    from gnpy.core.parameters import SimParams

    SimParams.set_params({"raman_params": {}, "nli_params": {}, **model})
    table = RamanTable(
        np.asarray(RAMAN["frequency_offset"]), np.asarray(RAMAN["gamma_raman"]), RAMAN["reference_frequency"]
    )
    return physics_of(model, table, "test")


def between(*parts: Any, comb: Comb, options: Physics | None = None) -> PathQot:
    return path_qot([Transceiver("a"), *parts, Transceiver("z")], comb, options or Physics())


@pytest.mark.parametrize("fibre", FIBRES)
@pytest.mark.parametrize("model", MODELS)
def test_a_fibre(fibre: str, model: str) -> None:
    theirs, ours = FIBRES[fibre]
    given = {"length": 80, "length_units": "km", "loss_coef": 0.2, "con_in": 0.5, "con_out": 0.3, "att_in": 0}
    given |= {"pmd_coef": 1.265e-15, "dispersion": 1.67e-5, "effective_area": 80e-12}
    span = gnpy_elements.Fiber(uid="f", params=given | theirs)
    span.ref_pch_in_dbm = 0.0
    options = physics(MODELS[model])
    arrived = span(light(COMB))
    entry = {"kind": "fiber", "length_m": 80e3, "con_in_db": 0.5, "con_out_db": 0.3, "loss_coef_db_per_km": 0.2}
    entry |= {"dispersion_s_per_m2": 1.67e-5, "effective_area_m2": 80e-12, "pmd_coef_s_per_sqrt_m": 1.265e-15}
    qot = between(element("f", entry | {"latency_s": 80e3 * 1.468 / C} | ours, {}, "test"), comb=COMB, options=options)
    # Our integrals read the mixing efficiency from a table that is right to 1e-5 of its ripples.
    assert 10 * np.log10(qot.ratios[2] * arrived.signal / arrived.nli) == pytest.approx(np.zeros(COMB.size), abs=1e-5)
    assert qot.power_w == pytest.approx(arrived.pch, rel=1e-12)
    assert qot.plan.cd_s_per_m == pytest.approx(arrived.chromatic_dispersion, rel=1e-12)
    assert qot.pmd_ps == pytest.approx(arrived.pmd * 1e12, rel=1e-12)
    assert qot.latency_ms == pytest.approx(float(np.max(arrived.latency)) * 1e3, rel=1e-12)


@pytest.mark.parametrize("tilt_db", [0.0, -2.5, 1.5])
@pytest.mark.parametrize("gain_db", [12.0, 18.0, 28.0])
@pytest.mark.parametrize("channels", [1, 2, 60])
def test_an_amplifier_with_ripple_and_tilt(tilt_db: float, gain_db: float, channels: int) -> None:
    from gnpy.tools.json_io import Amp

    ripple = {"gain_ripple": [0.2, -0.3, 0.1, 0.4], "nf_ripple": [0.4, 0.1, 0.0, 0.2]}
    tilt = [1.0 + 0.6 * math.sin(k / 30) + 0.01 * k for k in range(96)]
    config = ripple | {"dgt": tilt, "nf_fit_coeff": [1e-4, 0.04, -0.3, 5.5], "f_min": 191.2e12, "f_max": 196.2e12}
    library = {"type_variety": "v", "type_def": "advanced_model", "gain_flatmax": 25, "gain_min": 15, "p_max": 18}
    kind = Amp.from_json({"c": config}, **library, advanced_config_from_json="c")
    setting = {"gain_target": gain_db, "tilt_target": tilt_db, "out_voa": 0.5, "in_voa": 1.0}
    amplifier = gnpy_elements.Edfa(uid="a", params=dict(kind.__dict__), operational=setting)
    comb = Comb.of(Channel(191.4e12 + 75e9 * k, 32e9, 50e9, launch_dbm=-19.0 + 0.03 * k) for k in range(channels))
    arrived = amplifier(light(comb))
    stage = Stage(kernel.POLYNOMIAL, 15.0, 25.0, tuple(config["nf_fit_coeff"]))
    ours = AmplifierType(
        "v", (stage,), 18.0, (191.2e12, 196.2e12), False, tuple(ripple["nf_ripple"]), tuple(ripple["gain_ripple"]),
        tuple(tilt),
    )  # fmt: skip
    qot = between(Amplifier("a", (AmplifierSetting(ours, gain_db, tilt_db, 1.0, 0.5),)), comb=comb)
    assert qot.ratios[0] == pytest.approx(arrived.ase / arrived.signal, rel=1e-9)
    assert qot.power_w == pytest.approx(arrived.pch, rel=1e-8)
