"""A provider's records of its plant, turned into the figures that it offers, by a process that ends with the work.

    PIP ── {"network", "equipment", "devices"} ──▶ python -m controller.app.plant_figures ── {"figures"} ──▶ PIP

Compiled kernels keep 100 MB that a provider has no further use for. The process also ends when its standard input
closes, so that a provider that is killed leaves none behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller.domain.errors import InvalidRequest, WrongState
from controller.domain.qot import LinkQot, QotSample
from controller.pip.inventory import LineFigures, PlantFigures


def plant_figures(network: Path, equipment: Path, devices: Collection[str]) -> PlantFigures:
    """Quality of the lines that begin at `devices`; each end of a shared fibre answers for its own direction.

    Raises InvalidRequest naming element, field and mend.
    """
    # Here and not above: whoever only starts the process does not load the kernels.
    from pce.gnpy_plant import load_plant_records
    from pce.line_qot import densest_comb, line_qot

    records = load_plant_records(network, equipment)
    comb = densest_comb(records.modes)
    return PlantFigures(
        lines={
            ends: LineFigures(line_qot(line, comb), line.power_w)
            for ends, line in records.lines.items()
            if ends[0] in devices
        },
        add_drop_osnr_0p1nm_db={
            name: value for name, value in records.add_drop_osnr_0p1nm_db.items() if name in devices
        },
    )


async def plant_figures_apart(network: Path, equipment: Path, devices: Collection[str]) -> PlantFigures:
    """`plant_figures` in a process of its own, which is gone when this returns or is cancelled.

    Raises InvalidRequest as there, WrongState when the process ends without an answer.
    """
    request = {"network": str(network), "equipment": str(equipment), "devices": sorted(devices)}
    search_path = os.pathsep.join(entry for entry in sys.path if entry)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller.app.plant_figures",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": search_path},
    )  # fmt: skip
    try:
        if process.stdin is None or process.stdout is None:
            raise WrongState("the process of the plant records has no pipes: start again")
        process.stdin.write(json.dumps(request).encode() + b"\n")
        # Standard input stays open until the answer is here: its end is the process's end.
        answer = await process.stdout.read()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not answer:
        raise WrongState(
            f"the process of the plant records ended with status {process.returncode} and no answer: see the log"
        )
    document = json.loads(answer)
    if "refused" in document:
        raise InvalidRequest(document["refused"])
    return figures_from_json(document)


def figures_to_json(figures: PlantFigures) -> dict[str, Any]:
    """Figures as JSON."""
    return {
        "lines": [
            {"source": source, "destination": destination, **asdict(line)}
            for (source, destination), line in figures.lines.items()
        ],
        "add_drop_osnr_0p1nm_db": dict(figures.add_drop_osnr_0p1nm_db),
    }


def figures_from_json(document: Mapping[str, Any]) -> PlantFigures:
    """The inverse of `figures_to_json`."""
    lines = {}
    for entry in document["lines"]:
        samples = tuple(QotSample(**sample) for sample in entry["qot"]["samples"])
        qot = LinkQot(**{**entry["qot"], "samples": samples})
        lines[entry["source"], entry["destination"]] = LineFigures(qot, entry["power_w"])
    return PlantFigures(lines, document["add_drop_osnr_0p1nm_db"])


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Answer the one request on standard input."""
    # A terminal's interrupt reaches the whole group; the parent ends us in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        figures = plant_figures(Path(request["network"]), Path(request["equipment"]), request["devices"])
        answer = figures_to_json(figures)
    except InvalidRequest as error:
        answer = {"refused": error.message}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
