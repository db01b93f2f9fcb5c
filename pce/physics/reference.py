"""A folder of reference cases: topologies with every figure resolved, spectra, and paths to compute.

Read are `cases.json`, `index.json`, `resolved/`, `spectra/` and `raman_ssmf.json`; nothing else in the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from controller.domain.errors import InvalidRequest
from pce.gnpy_json import Entry, entries, fault, number, numbers, read_document, rising, section, text
from pce.physics.comb import Comb
from pce.physics.element_json import amplifier_type, channel, element
from pce.physics.elements import Element, Transceiver
from pce.physics.fibre import RamanTable
from pce.physics.path import PathQot, path_qot
from pce.physics.simulation import Physics, physics_of


@dataclass(frozen=True, slots=True)
class Case:
    """One path under one spectrum and one set of physics."""

    case_id: str
    topology: str
    path_id: str
    elements: tuple[Element, ...]
    comb: Comb
    physics: Physics

    def qot(self) -> PathQot:
        """Compute it. Raises: InvalidRequest."""
        return path_qot(self.elements, self.comb, self.physics)


class ReferenceFolder:
    """Cases of a folder, read and checked when asked for. All raise InvalidRequest with element, field and mend."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._documents: dict[Path, Any] = {}
        self._elements: dict[tuple[str, str], Element] = {}
        self._types: dict[str, dict[str, Any]] = {}
        self._combs: dict[str, Comb] = {}
        self._physics: dict[str, Physics] = {}
        self._raman: RamanTable | None = None

    def cases(self) -> Iterator[Case]:
        """All cases, in the order of the file."""
        seen: set[str] = set()
        for entry in self._case_list():
            case_id = text(entry, "case_id", "cases.json")
            if case_id in seen:
                raise fault("cases.json", "case_id", f"{case_id!r} appears twice", "name each case once", case_id)
            seen.add(case_id)
            where = f"cases.json, {case_id}"
            topology, path_id = text(entry, "topology", where), text(entry, "path_id", where)
            yield Case(
                case_id=case_id,
                topology=topology,
                path_id=path_id,
                elements=self._path(topology, path_id, where),
                comb=self._comb(text(entry, "spectrum", where), where),
                physics=self._physics_named(text(entry, "physics", where), where),
            )

    def _case_list(self) -> list[Entry]:
        file = self._folder / "cases.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            mend = "give a folder with cases.json, index.json, resolved/, spectra/ and raman_ssmf.json"
            raise InvalidRequest(f"{file}: {error.strerror}; {mend}", field="reference", value=str(file)) from error
        except ValueError as error:
            raise InvalidRequest(f"{file}: {error}; give valid JSON", field="reference", value=str(file)) from error
        return entries({"cases": found}, "cases", "cases.json")

    def _document(self, *names: str) -> Entry:
        file = self._folder.joinpath(*names)
        if file not in self._documents:
            self._documents[file] = read_document(file)
        found: Entry = self._documents[file]
        return found

    def _path(self, topology: str, path_id: str, where: str) -> tuple[Element, ...]:
        name = _plain(topology, "topology", where)
        document = self._document("resolved", f"{name}.json")
        place = f"resolved/{name}.json"
        paths = {text(path, "path_id", place): path for path in entries(document, "paths", place)}
        if path_id not in paths:
            mend = f"use one of {', '.join(list(paths)[:8])} …"
            raise fault(where, "path_id", f"{path_id!r} is not in {place}", mend, path_id)
        uids = paths[path_id].get("elements")
        if not isinstance(uids, list) or len(uids) < 3 or not all(isinstance(uid, str) for uid in uids):
            raise fault(f"{place}, path {path_id}", "elements", "is no list of uids", "list them from end to end", uids)
        path = tuple(self._element(name, uid, document, f"{place}, path {path_id}") for uid in uids)
        for end in (path[0], path[-1]):
            if not isinstance(end, Transceiver):
                mend = "begin and end with a transceiver"
                raise fault(f"{place}, path {path_id}", "elements", f"ends at {end.uid!r}", mend, end.uid)
        return path

    def _element(self, topology: str, uid: str, document: Entry, where: str) -> Element:
        known = self._elements.get((topology, uid))
        if known is not None:
            return known
        place = f"resolved/{topology}.json"
        elements = section(document, "elements", place)
        if uid not in elements:
            raise fault(where, "elements", f"names {uid!r}, which is no element", "correct the uid or add it", uid)
        if topology not in self._types:
            kinds = section(document, "amp_types", place)
            self._types[topology] = {name: amplifier_type(name, section(kinds, name, place), place) for name in kinds}
        found = element(uid, section(elements, uid, place), self._types[topology], place)
        self._elements[topology, uid] = found
        return found

    def _comb(self, name: str, where: str) -> Comb:
        if name not in self._combs:
            file, _, load = name.partition("#")
            self._combs[name] = read_load(self._document("spectra", _plain(file, "spectrum", where)), file, load, where)
        return self._combs[name]

    def _physics_named(self, name: str, where: str) -> Physics:
        if name not in self._physics:
            sets = section(self._document("index.json"), "sim_params", "index.json")
            if name not in sets:
                mend = f"use one of {', '.join(sets)}"
                raise fault(where, "physics", f"{name!r} is not in sim_params of index.json", mend, name)
            parameters = section(sets, name, "index.json, sim_params")
            flag = section(parameters, "raman_params", f"index.json, {name}").get("flag")
            self._physics[name] = physics_of(parameters, self._table() if flag else None, f"index.json, {name}")
        return self._physics[name]

    def _table(self) -> RamanTable:
        if self._raman is None:
            self._raman = raman_table(self._document("raman_ssmf.json"), "raman_ssmf.json")
        return self._raman


def read_load(document: Entry, file: str, load: str, where: str) -> Comb:
    """The comb of one load of a spectrum file. Raises: InvalidRequest."""
    if load not in document:
        mend = f"use one of {', '.join(document)}"
        raise fault(where, "spectrum", f"{load!r} is no load of {file}", mend, load)
    place = f"{file}#{load}"
    return Comb.of((channel(entry, place) for entry in entries(document, load, place)), place)


def raman_table(document: Entry, where: str) -> RamanTable:
    """Raman gain of standard single-mode fibre. Raises: InvalidRequest."""
    offset = rising(numbers(document, "frequency_offset_hz", where, 0.0), "frequency_offset_hz", where)
    gamma = numbers(document, "gamma_raman", where, 0.0)
    if len(offset) != len(gamma):
        raise fault(where, "gamma_raman", "has another length than frequency_offset_hz", "give one per offset")
    return RamanTable(np.array(offset), np.array(gamma), number(document, "reference_frequency_hz", where, least=1.0))


def _plain(name: str, field: str, where: str) -> str:
    """A file's name without any way out of its folder. Raises: InvalidRequest."""
    if name != Path(name).name or name in ("", ".", ".."):
        raise fault(where, field, f"{name!r} is no name of a file in the folder", "write a plain name", name)
    return name
