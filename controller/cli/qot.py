"""`geysers pce qot`: what arrives at the end of a path, channel by channel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.options import EquipmentOption, NetworkOption, Output, OutputOption
from controller.cli.output import Shown, decibel, emit, table
from controller.domain.errors import InvalidRequest


def qot(
    reference: Annotated[
        Path | None,
        typer.Option(help="Folder of cases: cases.json, index.json, resolved/, spectra/, raman_ssmf.json."),
    ] = None,
    network: NetworkOption = None,
    equipment: EquipmentOption = None,
    path: Annotated[
        str | None,
        typer.Option(metavar="A,B,…", help="Elements of the network on the way; a line between two fills itself in."),
    ] = None,
    spectrum: Annotated[
        Path | None, typer.Option(help="Channels that are lit, as JSON (default: the library's reference comb).")
    ] = None,
    load: Annotated[str | None, typer.Option(help="One of the loads in the spectrum file.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """GSNR, OSNR, dispersion, PMD and latency of a comb of channels: of all cases of a folder, or of one path.

    Chromatic dispersion, interference and noise follow GNPy's models. Amplifiers must be set; nothing is designed.
    """
    _check(reference, network, equipment, path, spectrum, load)
    if reference is not None:
        from pce.physics.reference import ReferenceFolder
        from pce.physics.report import case_report

        cases = [case_report(case.case_id, case.qot()) for case in ReferenceFolder(reference).cases()]
    else:
        cases = [_one_path(network, equipment, path or "", spectrum, load)]
    emit({"cases": cases}, output, [_summary(cases)])


def _check(
    reference: Path | None,
    network: Path | None,
    equipment: Path | None,
    path: str | None,
    spectrum: Path | None,
    load: str | None,
) -> None:
    """Refuse options that do not go together."""
    single = {"--network": network, "--equipment": equipment, "--path": path, "--spectrum": spectrum, "--load": load}
    given = [name for name, value in single.items() if value is not None]
    if reference is not None and given:
        raise InvalidRequest(
            f"--reference goes without {', '.join(given)}: give a folder of cases, or one path of a network",
            field="reference",
        )
    if reference is None and path is None:
        raise InvalidRequest("nothing to compute: give --reference FOLDER, or --path A,B,… of a network", field="path")
    if load is not None and spectrum is None:
        raise InvalidRequest("--load names a load of a spectrum file: give --spectrum FILE too", field="load")


def _one_path(
    network: Path | None, equipment: Path | None, path: str, spectrum: Path | None, load: str | None
) -> dict[str, Any]:
    from emulator.app import BUNDLED
    from pce.physics.network import GnpyNetwork, read_spectrum
    from pce.physics.path import path_qot
    from pce.physics.report import path_report

    plant = GnpyNetwork(network or BUNDLED / "network.json", equipment or BUNDLED / "equipment.json")
    comb = plant.reference_comb() if spectrum is None else read_spectrum(spectrum, load)
    elements = plant.path([name.strip() for name in path.split(",")])
    return path_report(path, path_qot(elements, comb))


def _summary(cases: list[dict[str, Any]]) -> Shown:
    """Worst and best channel of each case."""
    rows = []
    for case in cases:
        gsnr = [value for value in case["gsnr_01nm_db"] if value is not None]
        rows.append(
            (
                case["case_id"],
                len(case["gsnr_01nm_db"]),
                f"{decibel(min(gsnr, default=None))} … {decibel(max(gsnr, default=None))}",
                f"{max(case['cd_ps_per_nm']):.0f}",
                f"{max(case['pmd_ps']):.2f}",
                f"{case['latency_ms']:.2f}",
            )
        )
    columns = ("case", "channels", "GSNR 0.1 nm, dB", "CD, ps/nm", "PMD, ps", "ms")
    return table("Quality of transmission", columns, rows)
