"""Amplifiers of GNPy's equipment library: noise models of every type, band, ripple and tilt.

Figures over frequency stand in files beside the library (`advanced_config_from_json`, `default_config_from_json`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from pce.core import amplifier as kernel
from pce.gnpy_json import Entry, fault, number, numbers, read_document, text
from pce.gnpy_library import EquipmentLibrary
from pce.physics.decibel import ratio
from pce.physics.elements import AmplifierType, Stage

OPENROADM = {
    "openroadm": kernel.OSNR_POLYNOMIAL,
    "openroadm_preamp": kernel.OSNR_MASK,
    "openroadm_booster": kernel.NOISELESS,
}
SINGLE_STAGE = ("variable_gain", "fixed_gain", "advanced_model", *OPENROADM)
_FIXED_NOISE = ("fixed_gain", "variable_gain")
_BAND_HZ = (191.275e12, 196.125e12)
"""Of an amplifier that states none: the C band with 96 channels every 50 GHz."""
_ANY = -1e299


def polynomial(entry: Entry, field: str, where: str) -> tuple[float, ...]:
    """Coefficients, highest order first. Raises: InvalidRequest."""
    found = numbers(entry, field, where)
    if len(found) > kernel.COEFFICIENTS:
        raise fault(where, field, f"has {len(found)} coefficients", f"give at most {kernel.COEFFICIENTS}", len(found))
    return found


def noise_figure_db(uid: str, kind: Entry, gain_db: float) -> float:
    """Noise figure of amplifier `uid`, of library entry `kind`, set to `gain_db`. Raises: InvalidRequest.

    Only of types whose noise figure does not depend on the light that enters.
    """
    where = f"Edfa {uid} of type_variety {kind.get('type_variety', 'default')}"
    if kind.get("type_def") not in _FIXED_NOISE:
        raise fault(
            where,
            "type_def",
            f"{kind.get('type_def')!r} is not read",
            f"use {' or '.join(_FIXED_NOISE)}",
            kind.get("type_def"),
        )
    stage = _stage(kind, {}, where)
    figure_db: float = kernel.stage_noise_db(
        stage.model, stage.least_gain_db, stage.flat_gain_db, stage.padded(), gain_db, 0.0
    )
    return figure_db


class AmplifierLibrary:
    """Amplifier types by type_variety, read when asked for."""

    def __init__(self, library: EquipmentLibrary, folder: Path) -> None:
        self._library, self._folder = library, folder
        self._known: dict[str, AmplifierType] = {}

    def kind(self, uid: str, variety: str) -> AmplifierType:
        """The type that element `uid` refers to. Raises: InvalidRequest naming element, entry and mend."""
        if variety not in self._known:
            self._known[variety] = self._read(uid, variety)
        return self._known[variety]

    def _read(self, uid: str, variety: str) -> AmplifierType:
        entry = self._library.variety("Edfa", uid, variety)
        where = f"Edfa {uid} of type_variety {variety}"
        definition = text(entry, "type_def", where)
        if definition == "dual_stage":
            return self._dual(entry, uid, variety, where)
        if definition not in SINGLE_STAGE:
            mend = f"use {', '.join((*SINGLE_STAGE, 'dual_stage'))}; bands of a multi_band type stand in `amplifiers`"
            raise fault(where, "type_def", f"{definition!r} is not read here", mend, definition)
        config = self._config(entry, where)
        return AmplifierType(
            name=variety,
            stages=(_stage(entry, config, where),),
            max_power_dbm=number(entry, "p_max", where, least=_ANY),
            band=_band(entry if entry.get("f_min") is not None else config, where),
            needs_one_slot_width=definition in OPENROADM,
            noise_ripple_db=_table(config, "nf_ripple", (0.0,), where),
            gain_ripple_db=_table(config, "gain_ripple", (0.0,), where),
            dynamic_gain_tilt=_table(config, "dgt", (), where),
            pmd_s=number(entry, "pmd", where, 0.0),
            pdl_db=number(entry, "pdl", where, 0.0),
        )

    def _dual(self, entry: Entry, uid: str, variety: str, where: str) -> AmplifierType:
        """Both stages keep their own gain range; power is the booster's, band and tilt the default."""
        preamp = self.kind(uid, text(entry, "preamp_variety", where))
        booster = self.kind(uid, text(entry, "booster_variety", where))
        for stage in (preamp, booster):
            if len(stage.stages) > 1 or stage.needs_one_slot_width:
                mend = "use fixed_gain, variable_gain or advanced_model"
                raise fault(where, "preamp_variety, booster_variety", f"{stage.name} cannot be a stage", mend)
        return AmplifierType(
            name=variety,
            stages=(preamp.stages[0], booster.stages[0]),
            max_power_dbm=booster.max_power_dbm,
            band=_band(entry, where),
            dynamic_gain_tilt=(),
            pmd_s=number(entry, "pmd", where, 0.0),
            pdl_db=number(entry, "pdl", where, 0.0),
        )

    def _config(self, entry: Entry, where: str) -> Entry:
        """Figures over frequency from a file beside the library, if the entry names one."""
        for field in ("advanced_config_from_json", "default_config_from_json"):
            if entry.get(field) is not None:
                name = text(entry, field, where)
                file = self._folder / name
                if Path(name).name != name or not file.is_file():
                    mend = f"put the file into {self._folder}"
                    raise fault(where, field, f"{name!r} is no file beside the equipment library", mend, name)
                return read_document(file)
        return {}


def _band(entry: Entry, where: str) -> tuple[float, float]:
    band = (number(entry, "f_min", where, _BAND_HZ[0]), number(entry, "f_max", where, _BAND_HZ[1]))
    if band[0] >= band[1]:
        raise fault(where, "f_max", "does not exceed f_min", "correct the band", band[1])
    return band


def _table(config: Entry, field: str, default: tuple[float, ...], where: str) -> tuple[float, ...]:
    found = config.get(field)
    if found is None:
        return default
    return numbers(config if isinstance(found, list) else {field: [found]}, field, where)


def _stage(entry: Entry, config: Entry, where: str) -> Stage:
    """One stage with its noise model."""
    definition = entry.get("type_def")
    stage = Stage(kernel.NOISELESS, number(entry, "gain_min", where), number(entry, "gain_flatmax", where))
    if definition == "fixed_gain":
        return replace(stage, model=kernel.FIXED, coefficients=(number(entry, "nf0", where, least=_ANY),))
    if definition == "advanced_model":
        if not config:
            mend = "name a file with nf_fit_coeff, nf_ripple, gain_ripple, dgt, f_min and f_max"
            raise fault(where, "advanced_config_from_json", "is missing", mend)
        return replace(stage, model=kernel.POLYNOMIAL, coefficients=polynomial(config, "nf_fit_coeff", where))
    if definition == "openroadm":
        return replace(stage, model=kernel.OSNR_POLYNOMIAL, coefficients=polynomial(entry, "nf_coef", where))
    if definition in OPENROADM:
        return replace(stage, model=OPENROADM[str(definition)])
    nf_min_db, nf_max_db = number(entry, "nf_min", where), number(entry, "nf_max", where)
    coils = _coils(stage.least_gain_db, stage.flat_gain_db, nf_min_db, nf_max_db, where)
    return replace(stage, model=kernel.TWO_COILS, coefficients=coils)


def _coils(
    gain_min_db: float, flat_max_db: float, nf_min_db: float, nf_max_db: float, where: str
) -> tuple[float, float, float]:
    """Noise figures of the two coils and the loss between them, so that both ends of the gain range are met.

    A variable-gain amplifier is two coils with an attenuator between (GNPy's model of it): the noise figure is
    nf1 + nf2/g1, g1 the first coil's gain less the loss in the middle.
    """
    middle_db = 5.0
    least_db = 2 * gain_min_db - flat_max_db - middle_db
    most_db = flat_max_db - middle_db
    if not flat_max_db > gain_min_db or not nf_max_db > nf_min_db:
        raise fault(where, "nf_max", "or gain_flatmax does not exceed the least value", "correct the entry", nf_max_db)
    second = (ratio(nf_min_db) - ratio(nf_max_db)) / (ratio(-most_db) - ratio(-least_db))
    first = ratio(nf_min_db) - second * ratio(-most_db)
    if first < ratio(4.0):
        raise fault(where, "nf_min", f"{nf_min_db} asks for a first coil better than 4 dB", "raise it", nf_min_db)
    first_db, second_db = _db(first), _db(second)
    if not first_db + 0.3 < second_db < first_db + 2:
        second_db = min(max(second_db, first_db + 0.3), first_db + 2)
        middle_db = flat_max_db - _db(ratio(second_db) / (ratio(nf_min_db) - first))
        if not 1 < middle_db < 11:
            raise fault(where, "nf_max", f"{nf_max_db} fits no amplifier of two coils", "correct the entry", nf_max_db)
    return first_db, second_db, middle_db


def _db(value: float) -> float:
    return 10.0 * math.log10(value)
