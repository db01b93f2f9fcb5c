"""GNPy's equipment library: entries by kind and type_variety, operational modes."""

from __future__ import annotations

from typing import Any

from controller.domain.qot import OperationalMode
from pce.gnpy_json import Entry, entries, fault, number, text
from pce.power_models import PowerModel

_UNNAMED = "default"


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

    def all(self, kind: str) -> list[Entry]:
        """Every entry of a kind. Raises: InvalidRequest."""
        return entries(self._document, kind, self._name)

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
