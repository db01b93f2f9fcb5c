"""Checked access to the records of a scenario file: every fault names the record, the field and how to mend it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.domain.errors import InvalidRequest

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
_ABSENT = object()


def read_json(file: Path) -> Any:
    """What the JSON in `file` says. Raises: InvalidRequest."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(
            f"{file}: {error.strerror or error}; give a readable file", field="file", value=str(file)
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{file}: {error}; give a file of valid JSON", field="file", value=str(file)) from error


@dataclass(frozen=True, slots=True)
class Record:
    """One object of a scenario file; `where` names it in messages."""

    where: str
    entry: dict[str, Any]

    def fault(self, field: str, complaint: str, mend: str) -> InvalidRequest:
        """The refusal of one field."""
        return InvalidRequest(
            f"record {self.where}: {field} {complaint}; {mend}",
            record=self.where,
            field=field,
            value=self.entry.get(field),
        )

    def has(self, field: str) -> bool:
        """Whether the field is there and not null."""
        return self.entry.get(field) is not None

    def value(self, field: str, mend: str, default: Any = _ABSENT) -> Any:
        """The field as it stands; absent or null gives `default`, if there is one. Raises: InvalidRequest."""
        if self.has(field):
            return self.entry[field]
        if default is _ABSENT:
            raise self.fault(field, "is missing", mend)
        return default

    def name(self, field: str, default: Any = _ABSENT) -> str:
        """A name that can stand in a file name. Raises: InvalidRequest."""
        mend = "give a name of letters, digits and . _ + -"
        found = self.value(field, mend, default)
        if not isinstance(found, str) or not _NAME.fullmatch(found):
            raise self.fault(field, f"is {found!r}", mend)
        return found

    def number(self, field: str, default: Any = _ABSENT, *, above: float, most: float = 1e12) -> float:
        """A finite number in (above, most]. Raises: InvalidRequest."""
        mend = f"give a number above {above:g}, at most {most:g}"
        found = self.value(field, mend, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self.fault(field, f"is {found!r}", mend)
        if not math.isfinite(found) or not above < found <= most:
            raise self.fault(field, f"is {found!r}", mend)
        return float(found)

    def integer(self, field: str, default: Any = _ABSENT, *, least: int, most: int) -> int:
        """A whole number in [least, most]. Raises: InvalidRequest."""
        mend = f"give a whole number from {least} to {most}"
        found = self.value(field, mend, default)
        return self.checked_integer(field, found, least, most, mend)

    def checked_integer(self, field: str, found: Any, least: int, most: int, mend: str) -> int:
        """`found`, if it is a whole number in [least, most]. Raises: InvalidRequest."""
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            raise self.fault(field, f"is {found!r}", mend)
        return found

    def boolean(self, field: str) -> bool:
        """True or false. Raises: InvalidRequest."""
        found = self.value(field, "give true or false")
        if not isinstance(found, bool):
            raise self.fault(field, f"is {found!r}", "give true or false")
        return found

    def integers(self, field: str, default: Any = _ABSENT, *, least: int, most: int) -> tuple[int, ...]:
        """A list of whole numbers in [least, most], not empty. Raises: InvalidRequest."""
        mend = f"give a list of whole numbers from {least} to {most}, not empty"
        found = self.value(field, mend, default)
        if not isinstance(found, list | tuple) or not found:
            raise self.fault(field, f"is {found!r}", mend)
        return tuple(self.checked_integer(field, each, least, most, mend) for each in found)

    def one_of(self, field: str, choices: tuple[str, ...], default: Any = _ABSENT) -> str:
        """One of `choices`. Raises: InvalidRequest."""
        mend = f"choose one of {', '.join(choices)}"
        found = self.value(field, mend, default)
        if found not in choices:
            raise self.fault(field, f"is {found!r}", mend)
        return str(found)

    def part(self, field: str, mend: str) -> Record:
        """An object inside the record. Raises: InvalidRequest."""
        found = self.value(field, mend)
        if not isinstance(found, dict):
            raise self.fault(field, f"is {found!r}", mend)
        return Record(f"{self.where}, {field}", found)

    def parts(self, field: str, mend: str) -> list[Record]:
        """A list of objects inside the record, not empty. Raises: InvalidRequest."""
        found = self.value(field, mend)
        if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
            raise self.fault(field, f"is {found!r}", mend)
        return [Record(f"{self.where}, {field}[{index}]", each) for index, each in enumerate(found)]
