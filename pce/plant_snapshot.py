"""A snapshot straight from a plant: all spectrum free, every mode at every node. For planning and the command line."""

from __future__ import annotations

from collections.abc import Iterable

from controller.domain.spectrum import EMPTY
from pce.line_qot import densest_comb, line_qot
from pce.plant_records import PlantRecords
from pce.ted_snapshot import FULL_BAND, TedItSite, TedLink, TedNode, TedSnapshot, TedTransponder


def snapshot_of(records: PlantRecords, sites: Iterable[TedItSite] = (), generation: int = 0) -> TedSnapshot:
    """Snapshot of `records`: nodes by ROADM name, links as HEAD/TAIL, one free transponder with all modes per node.

    Nodes draw the same whatever passes them (wavelength-selective switches), so crossing one costs no power.
    """
    transponders = (TedTransponder(port="1", modes=records.modes, free=True),)
    comb = densest_comb(records.modes)
    return TedSnapshot.of(
        generation,
        [TedNode(name, osnr_db, transponders) for name, osnr_db in records.add_drop_osnr_0p1nm_db.items()],
        [
            TedLink(
                name=f"{line.a}/{line.z}",
                a=line.a,
                z=line.z,
                band=FULL_BAND,
                occupied=EMPTY,
                qot=line_qot(line, comb),
                power_w=line.power_w,
            )
            for line in records.lines.values()
        ],
        sites,
    )
