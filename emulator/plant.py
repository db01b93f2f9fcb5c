"""The plant in the ground: ROADMs, lines and data centres, read from GNPy's JSON.

Everything that can be wrong in a file is found here, before a device is started, and named: element, field and mend.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class InvalidNetworkError(Exception):
    """A network or equipment file cannot be used; the message names element, field and mend."""


@dataclass(frozen=True, slots=True)
class Span:
    """A fibre span."""

    uid: str
    length_m: float
    loss_db_per_km: float
    con_in_db: float
    con_out_db: float
    dispersion_s_per_m2: float
    effective_area_m2: float
    pmd_s_per_sqrt_m: float


@dataclass(frozen=True, slots=True)
class Amplifier:
    """An amplifier with a fixed noise figure."""

    uid: str
    gain_db: float
    gain_min_db: float
    p_max_dbm: float
    noise_figure_db: float


@dataclass(frozen=True, slots=True)
class Mode:
    """An operational mode of the transponders."""

    mode_id: str
    bit_rate_gbps: float
    baud_rate_gbd: float
    min_spacing_ghz: float
    required_osnr_0p1nm_db: float
    tx_osnr_0p1nm_db: float


@dataclass(frozen=True, slots=True)
class RoadmSite:
    """A ROADM; degree i (from 1) leads to `degrees[i - 1]`."""

    name: str
    clli: str
    city: str
    provider: str
    latitude_deg: float
    longitude_deg: float
    degrees: tuple[str, ...]
    target_psd_mw_per_ghz: float
    add_drop_osnr_0p1nm_db: float

    def degree_to(self, neighbour: str) -> int:
        return self.degrees.index(neighbour) + 1


@dataclass(frozen=True, slots=True)
class TransponderShelf:
    """Transponders beside a ROADM."""

    name: str
    roadm: str
    transponder_count: int


@dataclass(frozen=True, slots=True)
class Server:
    """A physical server of a data centre."""

    vcpus: int
    memory_gib: int
    idle_w: float
    max_w: float


@dataclass(frozen=True, slots=True)
class ItSite:
    """A data centre."""

    name: str
    clli: str
    provider: str
    servers: tuple[Server, ...]
    storage_gib: int
    pue: float
    country_code: str = ""
    carbon_g_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class Plant:
    """All of it."""

    roadms: Mapping[str, RoadmSite]
    shelves: Mapping[str, TransponderShelf]
    lines: Mapping[tuple[str, str], tuple[Span | Amplifier, ...]]
    modes: tuple[Mode, ...]
    it_sites: tuple[ItSite, ...]


TRANSPONDERS_PER_SHELF = 4


def load_plant(network: Path, equipment: Path, it_sites: Path | None = None) -> Plant:
    """Read a GNPy network and its equipment library, and our list of data centres when there is one."""
    library = _Library(_json(equipment), equipment.name)
    text = _json(network)
    elements = {_text(entry, "uid", "element"): entry for entry in _list(text, "elements", network.name)}
    following: dict[str, list[str]] = {uid: [] for uid in elements}
    for entry in _list(text, "connections", network.name):
        ends = [_text(entry, side, "connection") for side in ("from_node", "to_node")]
        for uid in ends:
            if uid not in elements:
                raise InvalidNetworkError(
                    f"{network.name}: connection {ends[0]} → {ends[1]}: no element {uid!r}: add it"
                )
        following[ends[0]].append(ends[1])
    roadm_uids = sorted(uid for uid, entry in elements.items() if entry.get("type") == "Roadm")
    lines = {}
    for uid in roadm_uids:
        for first in following[uid]:
            if elements[first].get("type") != "Transceiver":
                far, parts = _walk(uid, first, elements, following, library)
                lines[uid, far] = parts
    shelves = {}
    for uid in sorted(elements):
        if elements[uid].get("type") == "Transceiver":
            roadm = next((other for other in following[uid] if elements[other].get("type") == "Roadm"), None)
            if roadm is None:
                raise InvalidNetworkError(f"Transceiver {uid!r} is connected to no Roadm: connect it both ways")
            shelves[uid] = TransponderShelf(uid, roadm, TRANSPONDERS_PER_SHELF)
    roadms = {uid: _roadm(uid, elements[uid], lines, library) for uid in roadm_uids}
    sites = tuple(_it_site(entry) for entry in _list(_json(it_sites), "it_sites", it_sites.name)) if it_sites else ()
    return Plant(roadms, shelves, lines, library.modes(), sites)


class _Library:
    """A GNPy equipment library, looked into by type variety."""

    def __init__(self, text: Mapping[str, Any], name: str) -> None:
        self._text = text
        self._name = name

    def variety(self, kind: str, uid: str, variety: str) -> Mapping[str, Any]:
        for entry in self._text.get(kind, ()):
            if entry.get("type_variety", "") == variety:
                return dict(entry)
        raise InvalidNetworkError(
            f"{kind} {uid!r}: type_variety {variety!r} is not in {self._name}: add it there or choose another"
        )

    def first(self, kind: str) -> Mapping[str, Any]:
        entries = self._text.get(kind) or ()
        return dict(entries[0]) if entries else {}

    def modes(self) -> tuple[Mode, ...]:
        found = []
        for transceiver in self._text.get("Transceiver", ()):
            for mode in transceiver.get("mode", ()):
                name = f"Transceiver mode {mode.get('format')!r}"
                required_db = _number(mode, "OSNR", name)
                if required_db > 90:
                    # The catalogues mark tolerances that nobody has measured yet with 99.999 dB.
                    raise InvalidNetworkError(f"{name}: OSNR {required_db} dB is a placeholder: give a real one")
                found.append(
                    Mode(
                        mode_id=_text(mode, "format", name),
                        bit_rate_gbps=_number(mode, "bit_rate", name) / 1e9,
                        baud_rate_gbd=_number(mode, "baud_rate", name) / 1e9,
                        min_spacing_ghz=_number(mode, "min_spacing", name) / 1e9,
                        required_osnr_0p1nm_db=required_db,
                        tx_osnr_0p1nm_db=_number(mode, "tx_osnr", name),
                    )
                )
        return tuple(found)


def _walk(
    start: str,
    first: str,
    elements: Mapping[str, Mapping[str, Any]],
    following: Mapping[str, Sequence[str]],
    library: _Library,
) -> tuple[str, tuple[Span | Amplifier, ...]]:
    """Follow a line from a ROADM to the next one."""
    parts: list[Span | Amplifier] = []
    uid, seen = first, {start}
    while elements[uid].get("type") != "Roadm":
        if uid in seen:
            raise InvalidNetworkError(f"{uid!r}: the line from {start!r} runs in a circle: mend the connections")
        seen.add(uid)
        kind = elements[uid].get("type")
        if kind in ("Fiber", "RamanFiber"):
            parts.append(_span(uid, elements[uid], library))
        elif kind == "Edfa":
            parts.append(_amplifier(uid, elements[uid], library))
        elif kind != "Fused":
            raise InvalidNetworkError(f"{uid!r}: type {kind!r} on a line: use Fiber, Edfa or Fused")
        if len(following[uid]) != 1:
            raise InvalidNetworkError(f"{uid!r} leads to {len(following[uid])} elements: a line leads to exactly one")
        uid = following[uid][0]
    return uid, tuple(parts)


def _span(uid: str, entry: Mapping[str, Any], library: _Library) -> Span:
    params = entry.get("params", {})
    kind = library.variety("Fiber", uid, str(entry.get("type_variety", "")))
    factor = {"km": 1000.0, "m": 1.0}.get(str(params.get("length_units", "km")))
    if factor is None:
        raise InvalidNetworkError(f"Fiber {uid!r}: length_units {params.get('length_units')!r}: use km or m")
    return Span(
        uid=uid,
        length_m=_number(params, "length", f"Fiber {uid!r}", least=1e-3) * factor,
        loss_db_per_km=_number(params, "loss_coef", f"Fiber {uid!r}", least=1e-3),
        con_in_db=_number(params, "con_in", f"Fiber {uid!r}") + _number({"att_in": 0, **params}, "att_in", uid),
        con_out_db=_number(params, "con_out", f"Fiber {uid!r}"),
        dispersion_s_per_m2=_number(kind, "dispersion", f"Fiber type of {uid!r}"),
        effective_area_m2=_number(kind, "effective_area", f"Fiber type of {uid!r}", least=1e-12),
        pmd_s_per_sqrt_m=_number(kind, "pmd_coef", f"Fiber type of {uid!r}"),
    )


def _amplifier(uid: str, entry: Mapping[str, Any], library: _Library) -> Amplifier:
    kind = library.variety("Edfa", uid, str(entry.get("type_variety", "")))
    if kind.get("type_def") != "fixed_gain":
        raise InvalidNetworkError(
            f"Edfa {uid!r}: type_def {kind.get('type_def')!r} of {kind.get('type_variety')!r}: use fixed_gain"
        )
    operational = entry.get("operational", {})
    if operational.get("gain_target") is None:
        raise InvalidNetworkError(f"Edfa {uid!r}: operational.gain_target is missing: give the designed gain in dB")
    return Amplifier(
        uid=uid,
        gain_db=_number(operational, "gain_target", f"Edfa {uid!r}"),
        gain_min_db=_number(kind, "gain_min", f"Edfa type of {uid!r}"),
        p_max_dbm=_number(kind, "p_max", f"Edfa type of {uid!r}", least=-99),
        noise_figure_db=_number(kind, "nf0", f"Edfa type of {uid!r}"),
    )


def _roadm(uid: str, entry: Mapping[str, Any], lines: Mapping[tuple[str, str], Any], library: _Library) -> RoadmSite:
    location = entry.get("metadata", {}).get("location", {})
    name = f"Roadm {uid!r}"
    variety = str(entry.get("type_variety", ""))
    kind = library.variety("Roadm", uid, variety) if variety else library.first("Roadm")
    kind = {**kind, **entry.get("params", {})}
    return RoadmSite(
        name=uid,
        clli=uid.rpartition("-")[2],
        city=str(location.get("city", "")),
        provider=str(location.get("region", "")),
        latitude_deg=_number({"latitude": 0, **location}, "latitude", name, least=-90),
        longitude_deg=_number({"longitude": 0, **location}, "longitude", name, least=-180),
        degrees=tuple(sorted(far for near, far in lines if near == uid)),
        target_psd_mw_per_ghz=_number(kind, "target_psd_out_mWperGHz", name, least=1e-9),
        add_drop_osnr_0p1nm_db=_number(kind, "add_drop_osnr", name),
    )


def _it_site(entry: Mapping[str, Any]) -> ItSite:
    name = f"IT site {entry.get('name')!r}"
    servers = tuple(
        Server(
            vcpus=int(_number(server, "vcpus", name, least=1)),
            memory_gib=int(_number(server, "memory_gib", name, least=1)),
            idle_w=_number(server, "idle_w", name),
            max_w=_number(server, "max_w", name),
        )
        for server in entry.get("servers", ())
    )
    return ItSite(
        name=_text(entry, "name", "IT site"),
        clli=_text(entry, "clli", name),
        provider=_text(entry, "provider", name),
        servers=servers,
        storage_gib=int(_number(entry, "storage_gib", name)),
        pue=_number(entry, "pue", name, least=1.0),
        country_code=str(entry.get("country", "")),
        carbon_g_per_kwh=_number({"carbon_g_per_kwh": 0, **entry}, "carbon_g_per_kwh", name),
    )


def _json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text())
    except OSError as error:
        raise InvalidNetworkError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidNetworkError(f"{file}: is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidNetworkError(f"{file}: must hold a JSON object")
    return content


def _list(text: Mapping[str, Any], field: str, where: str) -> list[Mapping[str, Any]]:
    value = text.get(field)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise InvalidNetworkError(f"{where}: {field!r} must be a list of objects")
    return value


def _text(entry: Mapping[str, Any], field: str, where: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidNetworkError(f"{where}: {field!r} must be a text, not {value!r}")
    return value


def _number(entry: Mapping[str, Any], field: str, where: str, least: float = 0.0) -> float:
    value = entry.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise InvalidNetworkError(f"{where}: {field} is {value!r}: give a number of at least {least:g}")
    return float(value)
