"""Results on standard output: one JSON document, or a table that fits 80 columns."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.cli.options import Output
from controller.domain.spectrum import FrequencySlot

Shown: TypeAlias = Table | Text


def emit(document: Any, output: Output, tables: Sequence[Shown] = ()) -> None:
    """Print `document` as JSON, or `tables` for people."""
    if output is Output.JSON:
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return
    console = Console()
    for table in tables:
        console.print(table)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Shown:
    """A table with one line per row; without rows, a line that says so."""
    if not rows:
        return Text(f"{title}: none")
    made = Table(title=title, title_justify="left")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


def pairs_table(title: str, facts: Mapping[str, Any]) -> Shown:
    """A table of two columns."""
    return table(title, ("what", "value"), list(facts.items()))


def band(slot: Mapping[str, int] | None) -> str:
    """A frequency slot in the terms of ITU-T G.694.1."""
    return "" if slot is None else f"n={slot['n']} m={slot['m']}"


def band_with_center(slot: Mapping[str, int]) -> str:
    """The same, with the centre and the width that it stands for."""
    exact = FrequencySlot(slot["n"], slot["m"])
    return f"{band(slot)} ({exact.center_hz / 1e12:.5f} THz, {exact.width_hz / 1e9:g} GHz)"


def moment(text: str | None) -> str:
    """An RFC 3339 time to the second, without its zone."""
    return "" if text is None else text[:19].replace("T", " ")


def decibel(value_db: float | None) -> str:
    """A level to a hundredth; empty when nobody knows it."""
    return "" if value_db is None else f"{value_db:.2f} dB"
