"""`geysers pce simulate`: how many requests a network refuses under a load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.options import Output, OutputOption
from controller.cli.output import Shown, emit, table
from controller.ports.clock import SystemClock

if TYPE_CHECKING:
    from pce.simulation.simulator import Setting, Tally


def simulate(
    scenario: Annotated[Path, typer.Option(help="Records of schema rsa-anchor/1, as JSON.")],
    data: Annotated[
        Path | None, typer.Option(help="Directory with topologies/ and pathsets/ (default: bundled networks).")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for one per core.")] = 0,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on this Dask scheduler instead.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Simulate dynamic provisioning: Poisson requests on k candidate paths, first fit; blocking per record."""
    from pce.simulation.path_sets import Library
    from pce.simulation.report import result
    from pce.simulation.scenario import read_scenarios
    from pce.simulation.simulator import prepare
    from pce.simulation.sweep import Workers, sweep

    library = Library(data)
    settings = [prepare(each, library) for each in read_scenarios(scenario)]
    for setting in settings:
        if setting.scenario.pathset and data is None:
            _tell(
                f"{setting.scenario.label}: path set {setting.scenario.pathset} is not bundled, so blocking is that of "
                f"other paths ({setting.path_source}); give its directory with --data"
            )
    tallies = sweep(settings, Workers(workers, dask), SystemClock().tick_s, _progress(settings))
    results = [result(setting, each) for setting, each in zip(settings, tallies, strict=True)]
    emit({"results": results}, output, [_results_table(results)])


def _progress(settings: list[Setting]) -> Callable[[int, list[Tally]], None]:
    """Tell of each record that is done."""
    done = 0

    def finished(number: int, tallies: list[Tally]) -> None:
        nonlocal done
        done += 1
        mean = sum(tally.sbp for tally in tallies) / len(tallies)
        _tell(f"{done}/{len(settings)} {settings[number].scenario.label}: sbp {mean:.6f}")

    return finished


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _results_table(results: list[dict[str, Any]]) -> Shown:
    rows = [
        (
            each["id"],
            f"{each['path_order']}, {each['k']}",
            f"{each['sbp']:.6f}",
            f"{each['ci95'][0]:.6f} … {each['ci95'][1]:.6f}",
            f"{each['bbp']:.6f}",
            f"{each['requests_per_s'] / 1e6:.2f} M" if each["requests_per_s"] else "",
        )
        for each in results
    ]
    return table("Blocking", ("record", "order, k", "requests", "95 %", "bit rate", "per second"), rows)
