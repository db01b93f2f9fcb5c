"""GNPy's equipment library: amplifiers with their noise figure, fibres, ROADMs, operational modes."""

from __future__ import annotations

import math
from typing import Any

from controller.domain.qot import OperationalMode
from pce.gnpy_json import Entry, entries, fault, number, text
from pce.power_models import PowerModel

_UNNAMED = "default"
_AMPLIFIER_TYPES = ("fixed_gain", "variable_gain")


class EquipmentLibrary:
    """Entries by kind and type_variety."""

    def __init__(self, document: Entry, name: str) -> None:
        self._document, self._name = document, name

    def variety(self, kind: str, uid: str, variety: Any) -> Entry:
        """The library entry that an element refers to. Raises: InvalidRequest naming element and entry."""
        wanted = _UNNAMED if variety is None else variety
        known = {entry.get("type_variety", _UNNAMED): entry for entry in entries(self._document, kind, self._name)}
        if wanted not in known:
            complaint = "is missing" if variety is None else f"{variety!r} is not in {kind} of {self._name}"
            raise fault(
                f"{kind} {uid}",
                "type_variety",
                complaint,
                f"use one of {', '.join(map(str, known)) or 'none'}",
                variety,
            )
        return known[wanted]

    def first(self, kind: str) -> Entry:
        """The first entry of a kind; empty when the library has none."""
        return entries(self._document, kind, self._name)[0] if self._document.get(kind) else {}

    def modes(self, power: PowerModel) -> tuple[OperationalMode, ...]:
        """Operational modes of all transceivers; their power comes from `power`, as GNPy has none."""
        found: dict[str, OperationalMode] = {}
        for transceiver in entries(self._document, "Transceiver", self._name):
            where = f"Transceiver {transceiver.get('type_variety', _UNNAMED)}"
            for mode in entries(transceiver, "mode", where):
                mode_id = text(mode, "format", where)
                bit_rate_gbps = number(mode, "bit_rate", f"{where}, mode {mode_id}") / 1e9
                place = f"{where}, mode {mode_id}"
                if mode_id in found:
                    mode_id = f"{transceiver.get('type_variety', _UNNAMED)}/{mode_id}"
                found[mode_id] = OperationalMode(
                    mode_id=mode_id,
                    bit_rate_gbps=bit_rate_gbps,
                    baud_rate_gbd=number(mode, "baud_rate", place) / 1e9,
                    min_spacing_ghz=number(mode, "min_spacing", place) / 1e9,
                    required_osnr_0p1nm_db=number(mode, "OSNR", place),
                    tx_osnr_0p1nm_db=number(mode, "tx_osnr", place),
                    power_w=power.transponder_w(bit_rate_gbps),
                )
        return tuple(found.values())


def noise_figure_db(uid: str, kind: Entry, gain_db: float) -> float:
    """Noise figure of amplifier `uid`, of library entry `kind`, set to `gain_db`. Raises: InvalidRequest.

    Below the least gain an input pad makes up the difference, and worsens the noise figure by as much.
    """
    where = f"Edfa {uid} of type_variety {kind.get('type_variety', _UNNAMED)}"
    model = kind.get("type_def")
    if model not in _AMPLIFIER_TYPES:
        raise fault(where, "type_def", f"{model!r} is not read", f"use {' or '.join(_AMPLIFIER_TYPES)}", model)
    gain_min_db, flat_max_db = number(kind, "gain_min", where), number(kind, "gain_flatmax", where)
    pad_db = max(gain_min_db - gain_db, 0.0)
    if model == "fixed_gain":
        return number(kind, "nf0", where) + pad_db
    first_db, second_db, middle_loss_db = _coils(
        gain_min_db, flat_max_db, number(kind, "nf_min", where), number(kind, "nf_max", where), where
    )
    padded_db = gain_db + pad_db
    first_gain_db = padded_db - middle_loss_db - max(flat_max_db - padded_db, 0.0)
    return _db(_ratio(first_db) + _ratio(second_db - first_gain_db)) + pad_db


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
    second = (_ratio(nf_min_db) - _ratio(nf_max_db)) / (_ratio(-most_db) - _ratio(-least_db))
    first = _ratio(nf_min_db) - second * _ratio(-most_db)
    if first < _ratio(4.0):
        raise fault(where, "nf_min", f"{nf_min_db} asks for a first coil better than 4 dB", "raise it", nf_min_db)
    first_db, second_db = _db(first), _db(second)
    if not first_db + 0.3 < second_db < first_db + 2:
        second_db = min(max(second_db, first_db + 0.3), first_db + 2)
        middle_db = flat_max_db - _db(_ratio(second_db) / (_ratio(nf_min_db) - first))
        if not 1 < middle_db < 11:
            raise fault(where, "nf_max", f"{nf_max_db} fits no amplifier of two coils", "correct the entry", nf_max_db)
    return first_db, second_db, middle_db


def _ratio(value_db: float) -> float:
    return float(10.0 ** (value_db / 10.0))


def _db(ratio: float) -> float:
    return 10.0 * math.log10(ratio)
