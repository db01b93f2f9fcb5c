"""A plant read from GNPy's network JSON and equipment library.

Read as they stand: gains, attenuators and connector losses are the file's, nothing is designed here. A ROADM that
equalises to a power per channel or per slot width is taken at the density that this makes of the library's reference
channel (`SI`). Not read, and refused by name: Raman amplification, multi-band amplifiers, tilt, noise figures that
depend on the input power.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from pce.gnpy_amplifier import noise_figure_db
from pce.gnpy_json import Entry, entries, fault, number, read_document, section, text
from pce.gnpy_library import EquipmentLibrary
from pce.plant_records import REFERENCE_THZ, AmplifierRecord, LineRecord, LossRecord, PlantRecords, SpanRecord
from pce.power_models import DEFAULT_SET, PowerModel, power_model

Part: TypeAlias = SpanRecord | AmplifierRecord | LossRecord
_LINE_KINDS = ("Edfa", "Fiber", "Fused")
_KINDS = (*_LINE_KINDS, "Roadm", "Transceiver")
_LEVELS = {
    "target_psd_out_mWperGHz": "per_degree_psd_out_mWperGHz",
    "target_pch_out_db": "per_degree_pch_out_db",
    "target_out_mWperSlotWidth": "per_degree_psd_out_mWperSlotWidth",
}


def load_plant_records(network: Path, equipment: Path, *, power_set: str = DEFAULT_SET) -> PlantRecords:
    """Records of a GNPy network; `power_set` names the figures for the amplifiers' and transponders' power.

    Raises: InvalidRequest naming element, field and mend.
    """
    library = EquipmentLibrary(read_document(equipment), equipment.name)
    return _Reader(read_document(network), network.name, library, power_model(power_set)).records()


class _Reader:
    def __init__(self, document: Entry, name: str, library: EquipmentLibrary, power: PowerModel) -> None:
        self._library, self._power = library, power
        self._elements: dict[str, Entry] = {}
        for entry in entries(document, "elements", name):
            uid = text(entry, "uid", name)
            if uid in self._elements:
                raise fault(uid, "uid", "appears twice", "give each element a name of its own", uid)
            if entry.get("type") not in _KINDS:
                mend = f"this reader knows {', '.join(_KINDS)}"
                raise fault(uid, "type", f"{entry.get('type')!r} is not read", mend, entry.get("type"))
            self._elements[uid] = entry
        self._next: dict[str, list[str]] = {uid: [] for uid in self._elements}
        for number_, connection in enumerate(entries(document, "connections", name)):
            ends = [text(connection, field, f"connection {number_}") for field in ("from_node", "to_node")]
            for field, uid in zip(("from_node", "to_node"), ends, strict=True):
                if uid not in self._elements:
                    mend = "add the element or remove the connection"
                    raise fault(f"connection {number_}", field, f"{uid!r} is no element", mend, uid)
            self._next[ends[0]].append(ends[1])

    def records(self) -> PlantRecords:
        roadms = self._of_kind("Roadm")
        lines: dict[tuple[str, str], LineRecord] = {}
        walked: set[str] = set()
        for roadm in roadms:
            for follower in self._next[roadm]:
                if self._kind(follower) == "Transceiver":
                    continue
                uids, far = self._walk(roadm, follower)
                walked.update(uids)
                if (roadm, far) in lines:
                    mend = "keep one line per pair of ROADMs"
                    raise fault(follower, "connections", f"makes a second line from {roadm} to {far}", mend)
                lines[roadm, far] = self._line(roadm, far, follower, uids)
        for kind in _LINE_KINDS:
            for uid in self._of_kind(kind):
                if uid not in walked:
                    mend = "connect it on both sides or remove it"
                    raise fault(f"{kind} {uid}", "connections", "lies on no line that begins at a ROADM", mend)
        self._check_arrivals(lines)
        return PlantRecords(
            lines=lines,
            add_drop_osnr_0p1nm_db={uid: self._add_drop_osnr_db(uid) for uid in roadms},
            target_psd_mw_per_ghz={uid: self._density(uid, None) for uid in roadms},
            modes=self._library.modes(self._power),
            transceivers={
                uid: follower
                for uid in self._of_kind("Transceiver")
                for follower in self._next[uid]
                if self._kind(follower) == "Roadm"
            },
        )

    def _kind(self, uid: str) -> str:
        return str(self._elements[uid]["type"])

    def _of_kind(self, kind: str) -> list[str]:
        return [uid for uid in self._elements if self._kind(uid) == kind]

    def _walk(self, roadm: str, first: str) -> tuple[list[str], str]:
        """Elements from a ROADM's degree up to the next ROADM, and that ROADM."""
        uids: list[str] = []
        here = first
        while self._kind(here) != "Roadm":
            if here in uids:
                mend = "let the line end on a ROADM"
                raise fault(f"{self._kind(here)} {here}", "connections", f"close a circle after {roadm}", mend)
            if self._kind(here) not in _LINE_KINDS:
                mend = "let the line end on a ROADM"
                raise fault(f"{self._kind(here)} {here}", "connections", f"end the line from {roadm} there", mend)
            uids.append(here)
            if len(self._next[here]) != 1:
                complaint = f"lead to {len(self._next[here])} elements"
                mend = "a fibre or amplifier has exactly one successor"
                raise fault(f"{self._kind(here)} {here}", "connections", complaint, mend)
            here = self._next[here][0]
        return uids, here

    def _line(self, roadm: str, far: str, degree: str, uids: list[str]) -> LineRecord:
        if far == roadm:
            raise fault(degree, "connections", f"lead back to {roadm}", "let the line end on another ROADM")
        return LineRecord(
            a=roadm,
            z=far,
            parts=tuple(self._part(uid) for uid in uids),
            psd_mw_per_ghz=self._density(roadm, degree),
        )

    def _part(self, uid: str) -> Part:
        entry = self._elements[uid]
        kind = self._kind(uid)
        if kind == "Edfa":
            return self._amplifier(uid, entry)
        if kind == "Fiber":
            return self._span(uid, entry)
        return LossRecord(uid, number(section(entry, "params", f"Fused {uid}"), "loss", f"Fused {uid}", 1.0))

    def _amplifier(self, uid: str, entry: Entry) -> AmplifierRecord:
        where = f"Edfa {uid}"
        kind = self._library.variety("Edfa", uid, entry.get("type_variety"))
        setting = section(entry, "operational", where)
        if setting.get("gain_target") is None:
            raise fault(
                where, "operational.gain_target", "is missing", "give the gain in dB, or design the network first"
            )
        if number(setting, "tilt_target", where, 0.0, least=-1e3):
            raise fault(where, "operational.tilt_target", "is not 0", "set it to 0: tilt is not read")
        gain_db = number(setting, "gain_target", where)
        return AmplifierRecord(
            name=uid,
            gain_db=gain_db,
            noise_figure_db=noise_figure_db(uid, kind, gain_db),
            max_power_dbm=number(kind, "p_max", where, least=-1e3),
            power_w=self._power.amplifier_w,
            in_voa_db=number(setting, "in_voa", where, 0.0),
            out_voa_db=number(setting, "out_voa", where, 0.0),
            pmd_ps=number(kind, "pmd", where, 0.0) * 1e12,
        )

    def _span(self, uid: str, entry: Entry) -> SpanRecord:
        where = f"Fiber {uid}"
        kind = self._library.variety("Fiber", uid, entry.get("type_variety"))
        given = section(entry, "params", where)
        default = self._library.first("Span")
        units = given.get("length_units", "km")
        if units not in ("km", "m"):
            raise fault(where, "params.length_units", f"is {units!r}", "write km or m", units)
        if "gamma" in kind or kind.get("dispersion_per_frequency"):
            raise fault(
                where, "type_variety", "states gamma or a table of dispersion", "give effective_area, dispersion"
            )
        slope = kind.get("dispersion_slope")
        # A file that states the outgoing connector has the end-of-life margin in it already.
        out_db = number(default, "con_out", "Span", 0.0) + number(default, "EOL", "Span", 0.0)
        return SpanRecord(
            name=uid,
            length_km=number(given, "length", where) / (1.0 if units == "km" else 1e3),
            loss_db_per_km=_loss(given, where),
            connector_in_db=number(given, "con_in", where, number(default, "con_in", "Span", 0.0))
            + number(given, "att_in", where, 0.0),
            connector_out_db=number(given, "con_out", where, out_db),
            dispersion_ps_per_nm_km=number(kind, "dispersion", where, 1.67e-5, least=-1.0) * 1e6,
            dispersion_slope_ps_per_nm2_km=None
            if slope is None
            else number(kind, "dispersion_slope", where, least=-1e6) * 1e-3,
            effective_area_um2=number(kind, "effective_area", where, 83e-12) * 1e12,
            reference_thz=_reference_thz(kind, where),
            lumped_loss_db=sum(number(loss, "loss", where) for loss in given.get("lumped_losses") or ()),
            pmd_ps_per_sqrt_km=number(kind, "pmd_coef", where, 0.0) * 1e12 * 1e3**0.5,
        )

    def _add_drop_osnr_db(self, uid: str) -> float:
        where = f"Roadm {uid}"
        kind = self._library.variety("Roadm", uid, self._elements[uid].get("type_variety"))
        own = section(self._elements[uid], "params", where)
        return number(kind if own.get("add_drop_osnr") is None else own, "add_drop_osnr", where)

    def _density(self, uid: str, degree: str | None) -> float:
        """Power spectral density in mW/GHz that a ROADM equalises to, on a degree or in general."""
        where = f"Roadm {uid}"
        given = section(self._elements[uid], "params", where)
        kind = self._library.variety("Roadm", uid, self._elements[uid].get("type_variety"))
        for per_degree in _LEVELS.values():
            levels = section(given, per_degree, where)
            if degree in levels:
                return self._as_density(per_degree, levels, str(degree), where)
        for holder in (given, kind):
            for level in _LEVELS:
                if holder.get(level) is not None:
                    return self._as_density(level, holder, level, where)
        raise fault(where, "target_psd_out_mWperGHz", "is missing", "state what the ROADM equalises to")

    def _as_density(self, level: str, holder: Mapping[str, object], field: str, where: str) -> float:
        value = number(holder, field, where, least=-1e3)
        reference = self._library.first("SI")
        baud_ghz = number(reference, "baud_rate", "SI", 32e9) / 1e9
        if "pch" in level:
            return float(10 ** (value / 10)) / baud_ghz
        density = value * number(reference, "spacing", "SI", 50e9) / 1e9 / baud_ghz if "SlotWidth" in level else value
        if not density > 0:
            raise fault(where, field, f"is {value:g}", "give a density above 0", value)
        return density

    def _check_arrivals(self, lines: Mapping[tuple[str, str], LineRecord]) -> None:
        """A ROADM attenuates and does not amplify: too little light would void the constant density (ADR 6)."""
        for (_, far), line in lines.items():
            arriving = line.psd_mw_per_ghz * 10 ** (_net_gain_db(line) / 10)
            wanted = max(
                [self._density(far, None), *(on.psd_mw_per_ghz for ends, on in lines.items() if ends[0] == far)]
            )
            if arriving < wanted * 0.99:
                last = line.amplifiers[-1].name if line.amplifiers else line.a
                raise fault(
                    last,
                    "operational.gain_target",
                    f"leaves {arriving:.3g} mW/GHz at {far}, which equalises to {wanted:.3g} mW/GHz",
                    "raise the gain of the line's amplifiers or lower the ROADM's target",
                )


def _net_gain_db(line: LineRecord) -> float:
    total_db = 0.0
    for part in line.parts:
        if isinstance(part, AmplifierRecord):
            total_db += part.gain_db - part.in_voa_db - part.out_voa_db
        elif isinstance(part, SpanRecord):
            most_db_per_km = max(loss for _, loss in part.loss_db_per_km)
            total_db -= most_db_per_km * part.length_km + part.lumped_loss_db
            total_db -= part.connector_in_db + part.connector_out_db
        else:
            total_db -= part.loss_db
    return total_db


def _loss(given: Entry, where: str) -> tuple[tuple[float, float], ...]:
    """Loss per km: one figure, or a table over frequency."""
    found = given.get("loss_coef")
    if not isinstance(found, dict):
        return ((REFERENCE_THZ, number(given, "loss_coef", where)),)
    frequencies, values = found.get("frequency"), found.get("value")
    if not isinstance(frequencies, list) or not isinstance(values, list) or len(frequencies) != len(values):
        raise fault(where, "params.loss_coef", "has no two lists of one length", "give frequency and value")
    rows = [{"frequency": hz, "value": loss} for hz, loss in zip(frequencies, values, strict=True)]
    return tuple(sorted((number(row, "frequency", where) / 1e12, number(row, "value", where)) for row in rows))


def _reference_thz(kind: Entry, where: str) -> float:
    if kind.get("ref_frequency") is not None:
        return number(kind, "ref_frequency", where) / 1e12
    if kind.get("ref_wavelength") is not None:
        return REFERENCE_THZ * 1550e-9 / number(kind, "ref_wavelength", where, least=1e-9)
    return REFERENCE_THZ
