"""A provider's records of its plant, turned into the figures that it offers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from controller.pip.inventory import LineFigures, PlantFigures


def plant_figures(network: Path, equipment: Path, devices: Collection[str]) -> PlantFigures:
    """Quality of the lines that begin at `devices`; each end of a shared fibre answers for its own direction.

    Raises InvalidRequest naming element, field and mend.
    """
    # Here and not above: whoever only hands this function to a process of its own does not load the kernels.
    from pce.gnpy_plant import load_plant_records
    from pce.line_qot import line_qot

    records = load_plant_records(network, equipment)
    return PlantFigures(
        lines={
            ends: LineFigures(line_qot(line), line.power_w)
            for ends, line in records.lines.items()
            if ends[0] in devices
        },
        add_drop_osnr_0p1nm_db={
            name: value for name, value in records.add_drop_osnr_0p1nm_db.items() if name in devices
        },
    )
