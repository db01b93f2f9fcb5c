"""`geysers pce`: what the path computation element says of a network file, without a running system."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.errors import new_app
from controller.cli.options import EquipmentOption, NetworkOption, Output, OutputOption
from controller.cli.output import Shown, band, decibel, emit, table
from controller.cli.qot import qot
from controller.cli.simulate import simulate
from controller.domain.errors import InvalidRequest, NotFound
from pce.request import Objective, PathRequest

if TYPE_CHECKING:
    from pce.plant_records import PlantRecords

pce_app = new_app("Path computation on network files.")
pce_app.command("simulate")(simulate)
pce_app.command("qot")(qot)
CANDIDATES_SHOWN = 10
REFUSALS_SHOWN = 10


@pce_app.callback()
def pce() -> None:
    """Path computation on network files."""


@pce_app.command("path")
def path(
    source: Annotated[str, typer.Option("--from", metavar="NODE", help="ROADM, or transceiver beside one.")],
    target: Annotated[str, typer.Option("--to", metavar="NODE", help="The other end.")],
    network: NetworkOption = None,
    equipment: EquipmentOption = None,
    bit_rate_gbps: Annotated[float, typer.Option(help="Bit rate in Gb/s.")] = 400.0,
    objective: Annotated[
        Objective, typer.Option(metavar="NAME", help=f"What is minimised: {', '.join(Objective.__members__)}.")
    ] = Objective.NET_IT_POWER,
    k: Annotated[int, typer.Option(help="Routes to weigh, by the objective and by length each.")] = 3,
    min_margin_db: Annotated[float, typer.Option(help="GSNR margin demanded over a mode's threshold.")] = 0.0,
    max_latency_ms: Annotated[float | None, typer.Option(help="One-way latency allowed.")] = None,
    avoid_node: Annotated[list[str] | None, typer.Option(metavar="NODE", help="May be repeated.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Rank the lightpaths between two nodes of an unlit network, and say why the others were refused.

    Exit status 1 when none is feasible; the refusals are printed all the same.
    """
    from emulator.app import BUNDLED
    from pce.engine import Engine
    from pce.failure import failure
    from pce.gnpy_plant import load_plant_records
    from pce.plant_snapshot import snapshot_of
    from pce.report import weighed_report

    network, equipment = network or BUNDLED / "network.json", equipment or BUNDLED / "equipment.json"
    records = load_plant_records(network, equipment)
    ends = _roadm(records, source, "--from"), _roadm(records, target, "--to")
    if ends[0] == ends[1]:
        raise InvalidRequest(f"--from and --to both mean {ends[0]}: name two nodes", field="--to", value=target)
    request = PathRequest(
        source=ends[0],
        targets=(ends[1],),
        bit_rate_gbps=bit_rate_gbps,
        objective=objective,
        min_margin_db=min_margin_db,
        k=k,
        max_latency_ms=max_latency_ms,
        avoid_nodes=frozenset(_roadm(records, node, "--avoid-node") for node in avoid_node or ()),
    )
    candidates, refusals = Engine().weigh(snapshot_of(records), request)
    report = weighed_report(candidates, refusals)
    document = {
        "network": str(network),
        "equipment": str(equipment),
        "from": ends[0],
        "to": ends[1],
        "bit_rate_gbps": bit_rate_gbps,
        "objective": objective.value,
        "min_margin_db": min_margin_db,
        "best": report["candidates"][0] if candidates else None,
        **report,
    }
    emit(document, output, _tables(document))
    if not candidates:
        raise failure(request, refusals)


def _roadm(records: PlantRecords, name: str, option: str) -> str:
    """The ROADM of a name; a transceiver stands for the ROADM that it is connected to. Raises: NotFound."""
    found = records.transceivers.get(name, name)
    known = sorted(records.add_drop_osnr_0p1nm_db)
    if found not in known:
        near = get_close_matches(name, known, n=1)
        mend = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
        raise NotFound(f"{option} {name!r}: the network has no such node; {mend}", field=option, value=name)
    return found


def _tables(document: dict[str, Any]) -> list[Shown]:
    """The answer at 80 columns."""
    candidates, refusals = document["candidates"], document["refusals"]
    rows = [
        (
            found["rank"],
            " → ".join(found["route"]),
            f"{found['mode']}\n{band(found['frequency_slot'])}",
            f"{decibel(found['gsnr_0p1nm_db'])}\nmargin {decibel(found['margin_db'])}",
            f"{found['power_w']:.0f} W\n{found['latency_ms']:.2f} ms",
        )
        for found in candidates[:CANDIDATES_SHOWN]
    ]
    shown = [(entry["constraint"], _missing(entry), entry["message"]) for entry in refusals[:REFUSALS_SHOWN]]
    made = []
    if rows:
        title = f"{document['from']} to {document['to']}, {document['bit_rate_gbps']:g} Gb/s, {document['objective']}"
        columns = ("#", "route", "mode, slot", "GSNR 0.1 nm", "power, delay")
        made.append(table(title + _more(candidates, rows), columns, rows))
    if shown:
        made.append(table("Refused" + _more(refusals, shown), ("constraint", "missing", "why"), shown))
    return made


def _more(entries: list[Any], shown: list[Any]) -> str:
    return f" ({len(entries) - len(shown)} more with -o json)" if len(entries) > len(shown) else ""


def _missing(refusal: dict[str, Any]) -> str:
    return f"{refusal['shortfall']:.3g} {refusal['unit']}"
