"""One path of a GNPy network that has its amplifiers set: from network JSON and equipment library to elements.

Figures are taken as they stand; nothing is designed. An element's own parameters win over its library entry. A stated
outgoing connector has the end-of-life margin in it. The dispersion slope of the library counts, which GNPy 3.0.1 reads
and drops. Refused by name: Raman fibres, loss ripple of the library, a tilt where no dynamic gain tilt is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from controller.domain.errors import InvalidRequest, NotFound
from pce.gnpy_amplifier import AmplifierLibrary
from pce.gnpy_json import Entry, entries, fault, number, numbers, read_document, rising, section, text
from pce.gnpy_library import EquipmentLibrary
from pce.physics.comb import Channel, Comb
from pce.physics.element_json import lumped_losses
from pce.physics.elements import (
    LIGHT_SPEED_M_PER_S,
    REFERENCE_HZ,
    Amplifier,
    AmplifierSetting,
    Curve,
    Element,
    Fibre,
    Glass,
    Impairment,
    Level,
    LevelKind,
    Pad,
    Roadm,
    Transceiver,
)

GROUP_INDEX = 1.468  # G.652 fibre at 1550 nm
_ANY = -1e299
_LINE = ("Edfa", "Multiband_amplifier", "Fiber", "Fused")
_KINDS = (*_LINE, "Roadm", "Transceiver")
_LEVELS = (
    ("target_pch_out_db", "per_degree_pch_out_db", LevelKind.CHANNEL_DBM),
    ("target_psd_out_mWperGHz", "per_degree_psd_out_mWperGHz", LevelKind.BAUD_MW_PER_GHZ),
    ("target_out_mWperSlotWidth", "per_degree_psd_out_mWperSlotWidth", LevelKind.SLOT_MW_PER_GHZ),
)
_KERR_M2_PER_W = 2.6e-20
_ALONE_DB = 10 * math.log10(2)
"""Add and drop block together have the stated OSNR; each alone has twice the ratio."""


class GnpyNetwork:
    """A network whose paths can be computed. All raise InvalidRequest with element, field and mend."""

    def __init__(self, network: Path, equipment: Path) -> None:
        document = read_document(network)
        self._name = network.name
        self._library = EquipmentLibrary(read_document(equipment), equipment.name)
        self._amplifiers = AmplifierLibrary(self._library, equipment.parent)
        self._entries: dict[str, Entry] = {}
        for entry in entries(document, "elements", self._name):
            uid = text(entry, "uid", self._name)
            if uid in self._entries:
                raise fault(uid, "uid", "appears twice", "give each element a name of its own", uid)
            self._entries[uid] = entry
        self._next: dict[str, list[str]] = {uid: [] for uid in self._entries}
        for place, connection in enumerate(entries(document, "connections", self._name)):
            ends = [text(connection, field, f"connection {place}") for field in ("from_node", "to_node")]
            for field, uid in zip(("from_node", "to_node"), ends, strict=True):
                if uid not in self._entries:
                    mend = "add the element or remove the connection"
                    raise fault(f"connection {place}", field, f"{uid!r} is no element", mend, uid)
            self._next[ends[0]].append(ends[1])

    def path(self, names: Sequence[str]) -> tuple[Element, ...]:
        """Elements from transceiver to transceiver through the named ones, in that order.

        What lies between two names, along one line, is filled in; so is the transceiver beside a ROADM at an end.
        Raises: NotFound for a name that no element has; InvalidRequest when names do not follow one another.
        """
        if len(names) < 2:
            raise InvalidRequest("path: give at least two elements, NAME,NAME", field="path", value=",".join(names))
        for name in names:
            if name not in self._entries:
                raise NotFound(f"path: {name!r} is no element of {self._name}", field="path", value=name)
        uids = [names[0]]
        for name in names[1:]:
            uids += self._onward(uids[-1], name)
        if self._kind(uids[0]) == "Roadm":
            uids.insert(0, self._beside(uids[0], before=True))
        if self._kind(uids[-1]) == "Roadm":
            uids.append(self._beside(uids[-1], before=False))
        for uid in (uids[0], uids[-1]):
            if self._kind(uid) != "Transceiver":
                raise fault(f"element {uid}", "path", "is no end", "begin and end with a ROADM or transceiver", uid)
        return tuple(
            self._element(uid, uids[place - 1] if place else "", (*uids, "")[place + 1])
            for place, uid in enumerate(uids)
        )

    def reference_comb(self) -> Comb:
        """The comb of the library's `SI` entries: what the network was designed for."""
        channels = []
        for entry in self._library.all("SI"):
            where = f"SI {entry.get('type_variety', 'default')}"
            lower, upper = number(entry, "f_min", where, least=1e12), number(entry, "f_max", where, least=1e12)
            spacing = number(entry, "spacing", where, least=1.0)
            power_dbm = number(entry, "power_dbm", where, 0.0, least=_ANY)
            for place in range(int((upper - lower) // spacing) + 1):
                channels.append(
                    Channel(
                        frequency_hz=lower + place * spacing,
                        baud_hz=number(entry, "baud_rate", where, least=1.0),
                        slot_hz=spacing,
                        roll_off=number(entry, "roll_off", where, 0.15),
                        launch_dbm=number(entry, "tx_power_dbm", where, power_dbm, least=_ANY),
                        tx_osnr_0p1nm_db=number(entry, "tx_osnr", where, 40.0, least=_ANY),
                    )
                )
        return Comb.of(channels, "SI")

    def _kind(self, uid: str) -> str:
        kind = self._entries[uid].get("type")
        if kind not in _KINDS:
            raise fault(uid, "type", f"{kind!r} is not read", f"this reader knows {', '.join(_KINDS)}", kind)
        return str(kind)

    def _onward(self, here: str, target: str) -> list[str]:
        """Elements after `here` up to `target`, along one line."""
        found = [chain for first in self._next[here] if (chain := self._chain(first, target))]
        if len(found) != 1:
            complaint = (
                f"{target!r} does not follow {here!r}" if not found else f"{len(found)} lines lead to {target!r}"
            )
            mend = "name every ROADM on the way" if not found else "name an element of the line that is meant"
            raise fault(f"element {here}", "path", f"does not lead on: {complaint}", mend, target)
        return found[0]

    def _chain(self, first: str, target: str) -> list[str]:
        """Elements from `first` up to `target` when one line joins them, else none."""
        chain: list[str] = []
        here = first
        while here not in chain:
            chain.append(here)
            if here == target:
                return chain
            if self._kind(here) not in _LINE or len(self._next[here]) != 1:
                return []
            here = self._next[here][0]
        return []

    def _beside(self, roadm: str, before: bool) -> str:
        ends = [uid for uid in self._entries if self._entries[uid].get("type") == "Transceiver"]
        joined = [uid for uid in ends if (roadm in self._next[uid] if before else uid in self._next[roadm])]
        if not joined:
            mend = "connect one, or end the path elsewhere"
            raise fault(f"Roadm {roadm}", "connections", "has no transceiver beside it", mend)
        return joined[0]

    def _element(self, uid: str, before: str, after: str) -> Element:
        entry, kind = self._entries[uid], self._kind(uid)
        where = f"{kind} {uid}"
        if kind == "Transceiver":
            return Transceiver(uid)
        if kind == "Fused":
            return Pad(uid, number(section(entry, "params", where), "loss", where, 1.0))
        if kind == "Edfa":
            return Amplifier(uid, (self._setting(uid, entry, where),))
        if kind == "Multiband_amplifier":
            bands = entries(entry, "amplifiers", where)
            if not bands:
                raise fault(where, "amplifiers", "names no band", "give an amplifier per band")
            return Amplifier(uid, tuple(self._setting(uid, band, where) for band in bands))
        if kind == "Fiber":
            return self._fibre(uid, entry, where)
        return self._roadm(uid, before, after, where)

    def _setting(self, uid: str, entry: Entry, where: str) -> AmplifierSetting:
        kind = self._amplifiers.kind(uid, text(entry, "type_variety", where))
        setting = section(entry, "operational", where)
        if setting.get("gain_target") is None:
            mend = "give the gain in dB, or design the network first"
            raise fault(where, "operational.gain_target", "is missing", mend)
        tilt_db = number(setting, "tilt_target", where, 0.0, least=_ANY)
        if tilt_db and not kind.dynamic_gain_tilt:
            mend = "name a file with dgt in default_config_from_json of the type, or set the tilt to 0"
            raise fault(
                where, "operational.tilt_target", f"is {tilt_db:g} and {kind.name} states no dgt", mend, tilt_db
            )
        return AmplifierSetting(
            kind=kind,
            gain_db=number(setting, "gain_target", where, least=_ANY),
            tilt_db=tilt_db,
            in_voa_db=number(setting, "in_voa", where, 0.0),
            out_voa_db=number(setting, "out_voa", where, 0.0),
        )

    def _fibre(self, uid: str, entry: Entry, where: str) -> Fibre:
        library = self._library.variety("Fiber", uid, entry.get("type_variety"))
        if library.get("loss_coef_ripple") is not None:
            raise fault(where, "loss_coef_ripple", "is not read", "write loss_coef as a table on the fibre")
        given = {**library, **section(entry, "params", where)}
        units = given.get("length_units", "km")
        if units not in ("km", "m"):
            raise fault(where, "params.length_units", f"is {units!r}", "write km or m", units)
        length_m = number(given, "length", where) * (1e3 if units == "km" else 1.0)
        if not length_m:
            raise fault(where, "params.length", "is 0", "give a length above 0")
        spans = self._library.first("Span")
        out_db = number(spans, "con_out", "Span", 0.0) + number(spans, "EOL", "Span", 0.0)
        return Fibre(
            uid=uid,
            glass=_glass(given, uid, where),
            length_m=length_m,
            connector_in_db=number(given, "con_in", where, number(spans, "con_in", "Span", 0.0))
            + number(given, "att_in", where, 0.0),
            connector_out_db=number(given, "con_out", where, out_db),
            latency_s=length_m * GROUP_INDEX / LIGHT_SPEED_M_PER_S,
            pmd_s_per_sqrt_m=number(given, "pmd_coef", where, 0.0),
            lumped=lumped_losses(given, "lumped_losses", ("position", "loss"), length_m, where),
        )

    def _roadm(self, uid: str, before: str, after: str, where: str) -> Roadm:
        entry = self._entries[uid]
        library = self._library.variety("Roadm", uid, entry.get("type_variety"))
        given = section(entry, "params", where)
        level = next((found for holder in (given, library) if (found := _level(holder, where))), None)
        if level is None:
            raise fault(where, _LEVELS[0][0], "is missing", "state what the ROADM equalises to")
        per_degree: dict[str, Level] = {}
        for _, field, kind in _LEVELS:
            degrees = section(given, field, where)
            for degree in degrees:
                per_degree.setdefault(degree, _positive(Level(kind, number(degrees, degree, where, least=_ANY)), where))
        crossing = self._crossing({**library, **given}, before, after, where)
        return Roadm(uid, level, per_degree, {(before, after): crossing})

    def _crossing(self, given: Entry, before: str, after: str, where: str) -> tuple[Impairment, ...]:
        """What the crossing costs: by its impairment profile, else by the ROADM's general figures."""
        role = "add" if self._kind(before) == "Transceiver" else "express"
        role = "drop" if self._kind(after) == "Transceiver" else role
        chosen = None
        if given.get("per_degree_impairments") is not None:
            for entry in entries(given, "per_degree_impairments", where):
                if (entry.get("from_degree"), entry.get("to_degree")) == (before, after):
                    chosen = entry.get("impairment_id")
        profiles = entries(given, "roadm-path-impairments", where) if given.get("roadm-path-impairments") else []
        for profile in profiles:
            ranges = next((field for field in profile if field.endswith("-path")), "")
            number_ = profile.get("roadm-path-impairments-id")
            if number_ == chosen if chosen is not None else ranges == f"roadm-{role}-path":
                return tuple(_impairment(cost, where) for cost in entries(profile, ranges, where))
        if chosen is not None:
            mend = "use an id of roadm-path-impairments in the library"
            raise fault(where, "per_degree_impairments", f"names profile {chosen!r}, which is absent", mend, chosen)
        return (
            Impairment(
                pmd_s=number(given, "pmd", where, 0.0),
                pdl_db=number(given, "pdl", where, 0.0),
                osnr_0p1nm_db=None
                if role == "express"
                else number(given, "add_drop_osnr", where, least=_ANY) + _ALONE_DB,
            ),
        )


def _level(holder: Entry, where: str) -> Level | None:
    for field, _, kind in _LEVELS:
        if holder.get(field) is not None:
            return _positive(Level(kind, number(holder, field, where, least=_ANY)), where)
    return None


def _positive(level: Level, where: str) -> Level:
    if level.kind is not LevelKind.CHANNEL_DBM and not level.value > 0:
        raise fault(where, level.kind.value, f"is {level.value:g}", "give a density above 0", level.value)
    return level


def _impairment(cost: Entry, where: str) -> Impairment:
    limits = section(cost, "frequency-range", where)
    band = None
    if limits.get("lower-frequency") is not None:
        band = (number(limits, "lower-frequency", where), number(limits, "upper-frequency", where))
    return Impairment(
        band=band,
        pmd_s=number(cost, "roadm-pmd", where, 0.0),
        pdl_db=number(cost, "roadm-pdl", where, 0.0),
        loss_db=number(cost, "roadm-maxloss", where, 0.0),
        osnr_0p1nm_db=None if cost.get("roadm-osnr") is None else number(cost, "roadm-osnr", where, least=_ANY),
    )


def _glass(given: Entry, uid: str, where: str) -> Glass:
    reference_hz = number(given, "ref_frequency", where, REFERENCE_HZ, least=1.0)
    if given.get("ref_wavelength") is not None:
        reference_hz = LIGHT_SPEED_M_PER_S / number(given, "ref_wavelength", where, least=1e-9)
    area_m2 = number(given, "effective_area", where, 83e-12, least=1e-15)
    if given.get("effective_area") is None and given.get("gamma") is not None:
        wavelength_m = LIGHT_SPEED_M_PER_S / reference_hz
        area_m2 = 2 * math.pi * _KERR_M2_PER_W / (wavelength_m * number(given, "gamma", where, least=1e-9))
    slope = given.get("dispersion_slope")
    dispersion = Curve((number(given, "dispersion", where, 1.67e-5, least=_ANY),))
    if given.get("dispersion_per_frequency") is not None:
        dispersion, slope = _table(section(given, "dispersion_per_frequency", where), where, _ANY), None
    return Glass(
        loss_db_per_km=_loss(given, where),
        dispersion_s_per_m2=dispersion,
        dispersion_slope_s_per_m3=None if slope is None else number(given, "dispersion_slope", where, least=_ANY),
        effective_area_m2=area_m2,
        reference_hz=reference_hz,
        name=uid,
    )


def _loss(given: Entry, where: str) -> Curve:
    """Loss per km: one figure, or a table over frequency in either of GNPy's forms."""
    if given.get("loss_coef_per_frequency") is not None:
        rows = entries(given, "loss_coef_per_frequency", where)
        table = {
            "frequency": [row.get("frequency") for row in rows],
            "value": [row.get("loss_coef_value") for row in rows],
        }
        return _table(table, where, 1e-6)
    if isinstance(given.get("loss_coef"), dict):
        return _table(section(given, "loss_coef", where), where, 1e-6)
    return Curve((number(given, "loss_coef", where, least=1e-6),))


def _table(entry: Entry, where: str, least: float) -> Curve:
    values, frequencies = numbers(entry, "value", where, least), numbers(entry, "frequency", where, 1.0)
    if len(values) != len(frequencies):
        raise fault(where, "value", "has another length than frequency", "give one value per frequency")
    pairs = sorted(zip(frequencies, values, strict=True))
    return Curve(tuple(value for _, value in pairs), rising(tuple(hz for hz, _ in pairs), "frequency", where))


def read_spectrum(file: Path, load: str | None) -> Comb:
    """A comb from a spectrum file: one `load` of several, or GNPy's list of partitions. Raises: InvalidRequest."""
    from pce.physics.reference import read_load

    document = read_document(file)
    if load is not None:
        return read_load(document, file.name, load, "--load")
    if "spectrum" not in document:
        mend = f"choose one of {', '.join(document)} with --load"
        raise fault(file.name, "spectrum", "is missing", mend)
    channels = []
    for place, part in enumerate(entries(document, "spectrum", file.name)):
        where = f"{file.name}, partition {place}"
        lower, upper = number(part, "f_min", where, least=1e12), number(part, "f_max", where, least=1e12)
        slot_hz = number(part, "slot_width", where, least=1.0)
        for step in range(int((upper - lower) // slot_hz) + 1):
            channels.append(
                Channel(
                    frequency_hz=lower + step * slot_hz,
                    baud_hz=number(part, "baud_rate", where, least=1.0),
                    slot_hz=slot_hz,
                    roll_off=number(part, "roll_off", where, 0.15),
                    launch_dbm=number(part, "tx_power_dbm", where, 0.0, least=_ANY),
                    delta_power_db=number(part, "delta_pdb", where, 0.0, least=_ANY),
                    tx_osnr_0p1nm_db=number(part, "tx_osnr", where, 40.0, least=_ANY),
                )
            )
    return Comb.of(channels, file.name)
