"""The controller with the real PCE: what was promised is what the receivers then measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.domain.errors import GsnrBelowMargin, NotFound
from controller.domain.nips import NipsObjective, NipsState
from controller.netconf.openroadm_models import openroadm_engine
from pce.engine import PooledEngine
from pce.gnpy_plant import load_plant_records
from pce.line_qot import line_qot
from tests.interop.ncp_testbed import ALPHA, FOLDER, MACHINE, Testbed, demand

NAMES = [f"vios/alpha/nips/{name}" for name in ("first", "second", "third")]


@pytest.fixture
async def bed(tmp_path: Path):
    records = load_plant_records(FOLDER / "network.json", FOLDER / "equipment.json")
    lines = {(line.a, line.z): line for line in records.lines.values()}
    bed = Testbed(tmp_path, openroadm_engine(), qot=lambda a, z: line_qot(lines[f"ROADM-{a}", f"ROADM-{z}"]))
    bed.computer = PooledEngine()
    await bed.open_local()
    yield bed
    bed.computer.close()
    await bed.close()


async def test_promise_holds_at_the_receivers(bed: Testbed) -> None:
    calls = await bed.controller()
    try:
        promised = []
        for name, source in (("first", "ams"), ("second", "ams"), ("third", "lon")):
            await bed.admit(calls, demand(name, source, machine=MACHINE if name == "first" else None))
            nips = await bed.at_rest(calls, f"vios/alpha/nips/{name}")
            assert nips.state is NipsState.ACTIVE, nips.failure
            promised.append(nips.answer)
        for name, answer in zip(NAMES, promised, strict=True):
            measured = (await calls.get(ALPHA, name)).measured_gsnr_0p1nm_db
            # The worst case holds with every neighbour lit, so it holds now, whoever came after.
            assert measured > answer.worst_case_gsnr_0p1nm_db
            assert measured == pytest.approx(answer.gsnr_0p1nm_db, abs=0.5)
            assert answer.margin_db > 0
        assert promised[0].it_site_id == "it-par"
        assert promised[0].power_w > 22.0
        snapshot, problems = await calls.topology(ALPHA)
        assert problems == ()
        assert snapshot.sites["it-par"].active
        for name in NAMES:
            await bed.release(calls, name)
        for name in NAMES:
            await bed.at_rest(calls, name, (NipsState.RELEASED,))
        await bed.assert_clear()
    finally:
        await calls.close()


async def test_impossible_demands_are_refused_at_once(bed: Testbed) -> None:
    calls = await bed.controller()
    try:
        with pytest.raises(GsnrBelowMargin):
            await calls.validate(ALPHA, demand(min_margin_db=20.0))
        with pytest.raises(NotFound, match=r"nips.destination_node_id 'rom' .* use one of ams, bru, lon, par"):
            await calls.validate(ALPHA, demand(destination="rom"))
        nips = await calls.validate(ALPHA, demand(objective=NipsObjective.LATENCY))
        assert nips.answer.refusals is not None
        assert nips.answer.path[0] == "ams"
        assert await bed.booked() == 0
    finally:
        await calls.close()
