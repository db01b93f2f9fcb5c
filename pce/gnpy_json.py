"""Checked access to GNPy's JSON: every fault names the element, the field and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from controller.domain.errors import InvalidRequest

Entry: TypeAlias = Mapping[str, Any]
_REQUIRED = object()


def fault(element: str, field: str, complaint: str, mend: str, value: Any = None) -> InvalidRequest:
    """The refusal of one field of one element."""
    return InvalidRequest(f"{element}: {field} {complaint}; {mend}", element=element, field=field, value=value)


def read_document(file: Path) -> Entry:
    """The JSON object in `file`. Raises: InvalidRequest."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(
            f"{file}: {error.strerror}; give a readable file", field="file", value=str(file)
        ) from error
    except ValueError as error:
        raise InvalidRequest(f"{file}: {error}; give a file of valid JSON", field="file", value=str(file)) from error
    if not isinstance(found, dict):
        raise InvalidRequest(
            f"{file}: holds no JSON object; give a file in GNPy's format", field="file", value=str(file)
        )
    return found


def entries(document: Entry, field: str, where: str) -> list[Entry]:
    """A list of objects. Raises: InvalidRequest."""
    found = document.get(field)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise fault(where, field, "is no list of objects", "write a list as in GNPy's format")
    return found


def section(entry: Entry, field: str, where: str) -> Entry:
    """An object inside an object; absent or null counts as empty. Raises: InvalidRequest."""
    found = entry.get(field)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise fault(where, field, "is no object", "write {…} or leave it out", found)
    return found


def text(entry: Entry, field: str, where: str) -> str:
    """A text that is not empty. Raises: InvalidRequest."""
    found = entry.get(field)
    if not isinstance(found, str) or not found:
        raise fault(where, field, f"is {found!r}", "write a text that is not empty", found)
    return found


def number(entry: Entry, field: str, where: str, default: Any = _REQUIRED, least: float = 0.0) -> float:
    """A finite number of at least `least`; absent or null gives `default`, if there is one. Raises: InvalidRequest."""
    found = entry.get(field)
    if found is None:
        if default is _REQUIRED:
            raise fault(where, field, "is missing", "give a number")
        return float(default)
    if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found < 1e300:
        raise fault(where, field, f"is {found!r}", f"give a finite number of at least {least:g}", found)
    return float(found)


def numbers(entry: Entry, field: str, where: str, least: float = -1e299) -> tuple[float, ...]:
    """A list of finite numbers that is not empty. Raises: InvalidRequest."""
    found = entry.get(field)
    if not isinstance(found, list) or not found:
        raise fault(where, field, "is no list of numbers", "give [number, …]", found)
    return tuple(number({field: value}, field, where, least=least) for value in found)


def rising(values: tuple[float, ...], field: str, where: str) -> tuple[float, ...]:
    """The values, when each exceeds the one before. Raises: InvalidRequest."""
    if any(after <= before for before, after in pairwise(values)):
        raise fault(where, field, "does not rise", "sort it and drop repeats")
    return values
