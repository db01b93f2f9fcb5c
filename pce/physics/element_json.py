"""Elements, amplifier types and channels from the resolved form of a GNPy network: every figure written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pce.core import amplifier as kernel
from pce.gnpy_amplifier import OPENROADM, SINGLE_STAGE, polynomial
from pce.gnpy_json import Entry, entries, fault, number, numbers, rising, section, text
from pce.physics.comb import Channel, PenaltyTable
from pce.physics.elements import (
    REFERENCE_HZ,
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

_ANY = -1e299
_LEVELS = (
    ("target_pch_out_dbm", "per_degree_pch_out_dbm", LevelKind.CHANNEL_DBM),
    ("target_psd_out_mw_per_ghz", "per_degree_psd_mw_per_ghz", LevelKind.BAUD_MW_PER_GHZ),
    ("target_psw_out_mw_per_ghz_slot", "per_degree_psw_mw_per_ghz_slot", LevelKind.SLOT_MW_PER_GHZ),
)
AMPLIFIER_TYPES = (*SINGLE_STAGE, "dual_stage")
_IMPAIRMENTS = ("chromatic_dispersion", "pmd", "pdl")


def amplifier_type(name: str, entry: Entry, where: str) -> AmplifierType:
    """An amplifier type. Raises: InvalidRequest."""
    place = f"{where}, amplifier type {name}"
    definition = text(entry, "type_def", place)
    if definition == "dual_stage":
        parts = ("preamp", "booster")
        stages = tuple(_stage(section(entry, part, place), f"{place}, {part}") for part in parts)
    elif definition in SINGLE_STAGE:
        stages = (_stage(entry, place),)
    else:
        mend = f"use one of {', '.join(AMPLIFIER_TYPES)}"
        raise fault(place, "type_def", f"{definition!r} is not known", mend, definition)
    band = (number(entry, "f_min_hz", place), number(entry, "f_max_hz", place))
    if band[0] >= band[1]:
        raise fault(place, "f_max_hz", "does not exceed f_min_hz", "correct the band", band[1])
    return AmplifierType(
        name=name,
        stages=stages,
        max_power_dbm=number(entry, "p_max_dbm", place, least=_ANY),
        band=band,
        needs_one_slot_width=definition in OPENROADM,
        noise_ripple_db=numbers(entry, "nf_ripple_db", place),
        gain_ripple_db=numbers(entry, "gain_ripple_db", place),
        dynamic_gain_tilt=numbers(entry, "dgt", place),
        pmd_s=number(entry, "pmd_s", place, 0.0),
        pdl_db=number(entry, "pdl_db", place, 0.0),
    )


def _stage(entry: Entry, where: str) -> Stage:
    definition = text(entry, "type_def", where)
    noise = section(entry, "nf", where)
    if definition == "variable_gain":
        model = kernel.TWO_COILS
        given = tuple(number(noise, field, where, least=_ANY) for field in ("nf1_db", "nf2_db", "delta_p_db"))
    elif definition == "fixed_gain":
        model, given = kernel.FIXED, (number(noise, "nf0_db", where, least=_ANY),)
    elif definition == "advanced_model":
        model, given = kernel.POLYNOMIAL, polynomial(noise, "nf_fit_coeff", where)
    elif definition == "openroadm":
        model, given = kernel.OSNR_POLYNOMIAL, polynomial(noise, "nf_coef", where)
    elif definition in OPENROADM:
        model, given = OPENROADM[definition], ()
    else:
        mend = f"use one of {', '.join(SINGLE_STAGE)}"
        raise fault(where, "type_def", f"{definition!r} is not known", mend, definition)
    return Stage(model, number(entry, "gain_min_db", where), number(entry, "gain_flatmax_db", where), given)


def element(uid: str, entry: Entry, types: Mapping[str, AmplifierType], where: str) -> Element:
    """An element of a path. Raises: InvalidRequest naming element, field and mend."""
    kind = text(entry, "kind", f"{where}, element {uid}")
    place = f"{where}, {kind} {uid}"
    if kind == "transceiver":
        return Transceiver(uid)
    if kind == "fused":
        return Pad(uid, number(entry, "loss_db", place))
    if kind == "amp":
        return Amplifier(uid, (_setting(entry, types, place),))
    if kind == "multiband_amp":
        bands = section(entry, "amplifiers", place)
        if not bands:
            raise fault(place, "amplifiers", "names no band", "give an amplifier per band")
        names = {band: section(bands, band, place) for band in bands}
        return Amplifier(uid, tuple(_setting(band, types, f"{place}, {name}") for name, band in names.items()))
    if kind == "fiber":
        return _fibre(uid, entry, place)
    if kind == "roadm":
        return _roadm(uid, entry, place)
    mend = "use transceiver, roadm, fiber, amp, multiband_amp or fused"
    raise fault(f"{where}, element {uid}", "kind", f"{kind!r} is not known", mend, kind)


def _setting(entry: Entry, types: Mapping[str, AmplifierType], where: str) -> AmplifierSetting:
    name = text(entry, "amp_type", where)
    if name not in types:
        mend = f"use one of {', '.join(sorted(types)) or 'none'}, or add it to amp_types"
        raise fault(where, "amp_type", f"{name!r} is unknown", mend, name)
    return AmplifierSetting(
        kind=types[name],
        gain_db=number(entry, "effective_gain_db", where, least=_ANY),
        tilt_db=number(entry, "tilt_target_db", where, 0.0, least=_ANY),
        in_voa_db=number(entry, "in_voa_db", where, 0.0),
        out_voa_db=number(entry, "out_voa_db", where, 0.0),
    )


def _curve(found: Any, field: str, where: str, least: float) -> Curve:
    """One number, or a table {"value", "frequency_hz"}."""
    if not isinstance(found, dict):
        return Curve((number({field: found}, field, where, least=least),))
    values = numbers(found, "value", f"{where}, {field}", least)
    frequencies = rising(numbers(found, "frequency_hz", f"{where}, {field}", 1.0), "frequency_hz", f"{where}, {field}")
    if len(values) != len(frequencies):
        raise fault(where, field, "has lists of unlike length", "give one value per frequency")
    return Curve(values, frequencies)


def _dispersion(entry: Entry, where: str) -> Curve:
    """One number, or two lists of one length: values, and the frequencies that they hold at."""
    found = entry.get("dispersion_s_per_m2")
    if isinstance(found, list):
        found = {"value": found, "frequency_hz": entry.get("f_dispersion_ref_hz")}
    return _curve(found, "dispersion_s_per_m2", where, _ANY)


def _fibre(uid: str, entry: Entry, where: str) -> Fibre:
    length_m = number(entry, "length_m", where)
    slope = entry.get("dispersion_slope_s_per_m3")
    area_m2 = number(entry, "effective_area_m2", where, 83e-12)
    for field, value in (("length_m", length_m), ("effective_area_m2", area_m2)):
        if not value:
            raise fault(where, field, "is 0", "give a number above 0", value)
    loss = _curve(entry.get("loss_coef_db_per_km"), "loss_coef_db_per_km", where, 0.0)
    if not min(loss.values):
        raise fault(where, "loss_coef_db_per_km", "is 0", "give a number above 0")
    return Fibre(
        uid=uid,
        glass=Glass(
            loss_db_per_km=loss,
            dispersion_s_per_m2=_dispersion(entry, where),
            dispersion_slope_s_per_m3=None
            if slope is None
            else number(entry, "dispersion_slope_s_per_m3", where, least=_ANY),
            effective_area_m2=area_m2,
            reference_hz=number(entry, "ref_frequency_hz", where, REFERENCE_HZ, least=1.0),
            core_radius_m=number(entry, "core_radius_m", where, 4.2e-6, least=1e-9),
            kerr_m2_per_w=number(entry, "n2_m2_per_w", where, 2.6e-20),
            name=uid,
        ),
        length_m=length_m,
        connector_in_db=number(entry, "con_in_db", where) + number(entry, "att_in_db", where, 0.0),
        connector_out_db=number(entry, "con_out_db", where),
        latency_s=number(entry, "latency_s", where),
        pmd_s_per_sqrt_m=number(entry, "pmd_coef_s_per_sqrt_m", where, 0.0),
        lumped=lumped_losses(entry, "lumped_losses", ("position_km", "loss_db"), length_m, where),
    )


def lumped_losses(
    entry: Entry, field: str, names: tuple[str, str], length_m: float, where: str
) -> tuple[LumpedLoss, ...]:
    """Losses inside a fibre, in order of position. Raises: InvalidRequest when one lies outside."""
    found = []
    for loss in entries(entry, field, where) if entry.get(field) is not None else ():
        position_m = number(loss, names[0], f"{where}, {field}") * 1e3
        if not 0 < position_m < length_m:
            mend = f"give a place between 0 and {length_m / 1e3:g} km, ends excluded"
            raise fault(f"{where}, {field}", names[0], f"is {position_m / 1e3:g}", mend, position_m / 1e3)
        found.append(LumpedLoss(position_m, number(loss, names[1], f"{where}, {field}")))
    return tuple(sorted(found, key=lambda loss: loss.position_m))


def _roadm(uid: str, entry: Entry, where: str) -> Roadm:
    level = None
    per_degree: dict[str, Level] = {}
    for field, degree_field, kind in _LEVELS:
        degrees = section(entry, degree_field, where)
        for degree in degrees:
            per_degree.setdefault(degree, Level(kind, number(degrees, degree, f"{where}, {degree_field}", least=_ANY)))
        if level is None and entry.get(field) is not None:
            level = Level(kind, number(entry, field, where, least=_ANY))
    if level is None:
        raise fault(where, _LEVELS[0][0], "is missing", "state what the ROADM equalises to")
    for stated in (level, *per_degree.values()):
        if stated.kind is not LevelKind.CHANNEL_DBM and not stated.value > 0:
            raise fault(where, stated.kind.value, f"is {stated.value:g}", "give a density above 0", stated.value)
    crossings = section(entry, "crossings", where)
    return Roadm(uid, level, per_degree, dict(_crossing(key, crossings, where) for key in crossings))


def _crossing(key: str, crossings: Entry, where: str) -> tuple[tuple[str, str], tuple[Impairment, ...]]:
    before, bar, after = key.partition("|")
    if not (before and bar and after):
        raise fault(where, "crossings", f"{key!r} is no pair of neighbours", "write previous uid|next uid", key)
    place = f"{where}, crossing {key}"
    found = entries(section(crossings, key, where), "impairments", place)
    return (before, after), tuple(_impairment(entry, place) for entry in found)


def _impairment(entry: Entry, where: str) -> Impairment:
    band = None
    if entry.get("f_min_hz") is not None:
        band = (number(entry, "f_min_hz", where), number(entry, "f_max_hz", where))
    osnr = entry.get("osnr_db_01nm")
    return Impairment(
        band=band,
        pmd_s=number(entry, "pmd_s", where, 0.0),
        pdl_db=number(entry, "pdl_db", where, 0.0),
        loss_db=number(entry, "maxloss_db", where, 0.0),
        osnr_0p1nm_db=None if osnr is None else number(entry, "osnr_db_01nm", where, least=_ANY),
    )


def channel(entry: Entry, where: str) -> Channel:
    """A channel of a spectrum. Raises: InvalidRequest."""
    tables = section(entry, "penalties", where)
    for impairment in tables:
        if impairment not in _IMPAIRMENTS:
            mend = f"use {', '.join(_IMPAIRMENTS)}"
            raise fault(f"{where}, penalties", impairment, "is no impairment that is computed", mend, impairment)
    required = entry.get("required_osnr_db_01nm")
    return Channel(
        frequency_hz=number(entry, "frequency_hz", where, least=1e12),
        baud_hz=number(entry, "baud_rate_hz", where, least=1.0),
        slot_hz=number(entry, "slot_width_hz", where, least=1.0),
        roll_off=_roll_off(entry, where),
        launch_dbm=number(entry, "tx_power_dbm", where, 0.0, least=_ANY),
        delta_power_db=number(entry, "delta_pdb", where, 0.0, least=_ANY),
        tx_osnr_0p1nm_db=number(entry, "tx_osnr_db_01nm", where, least=_ANY),
        required_osnr_0p1nm_db=None if required is None else number(entry, "required_osnr_db_01nm", where, least=_ANY),
        penalties={name: _penalty(section(tables, name, where), f"{where}, {name}") for name in tables},
    )


def _roll_off(entry: Entry, where: str) -> float:
    found = number(entry, "roll_off", where, 0.15)
    if found > 1:
        raise fault(where, "roll_off", f"is {found:g}", "give 0 to 1", found)
    return found


def _penalty(table: Entry, where: str) -> PenaltyTable:
    up_to, penalty_db = numbers(table, "up_to_boundary", where), numbers(table, "penalty_value", where)
    if len(up_to) != len(penalty_db):
        raise fault(where, "penalty_value", "has another length than up_to_boundary", "give one per boundary")
    return PenaltyTable.of(up_to, penalty_db)
