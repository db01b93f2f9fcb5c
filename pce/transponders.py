"""Pairs of free transponders that have a mode in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from controller.domain.qot import OperationalMode
from pce.request import Constraint, Refusal
from pce.ted_snapshot import TedNode


@dataclass(frozen=True, slots=True)
class EndPair:
    """Two free ports and the mode that they share; `power_w` is drawn by both together."""

    mode: OperationalMode
    source_port: str
    target_port: str
    power_w: float


def end_pairs(source: TedNode, target: TedNode, bit_rate_gbps: float) -> list[EndPair] | Refusal:
    """One pair of ports per mode that carries `bit_rate_gbps`, or why there is none.

    A mode is common when both ends name it with the same symbol rate; where they state other figures, the worse hold.
    """
    for node in (source, target):
        if not any(transponder.free for transponder in node.transponders):
            return _refusal(
                target, Constraint.TRANSPONDER, 1.0, "transponder", f"no transponder is free at {node.name}: free one"
            )
    here, there = _free_modes(source), _free_modes(target)
    shared = [mode_id for mode_id in here if mode_id in there and _agree(here[mode_id][0], there[mode_id][0])]
    carrying = [mode_id for mode_id in shared if here[mode_id][0].bit_rate_gbps >= bit_rate_gbps]
    if not carrying:
        most = max((here[mode_id][0].bit_rate_gbps for mode_id in shared), default=0.0)
        message = (
            f"free transponders at {source.name} and {target.name} share no mode of {bit_rate_gbps:g} Gb/s or more; "
            f"the fastest shared one carries {most:g} Gb/s"
        )
        return _refusal(target, Constraint.MODE, bit_rate_gbps - most, "Gb/s", message)
    return [_pair(*here[mode_id], *there[mode_id]) for mode_id in sorted(carrying)]


def rates_gbps(nodes: Iterable[TedNode]) -> list[float]:
    """All bit rates that any transponder knows, rising."""
    return sorted({mode.bit_rate_gbps for node in nodes for shelf in node.transponders for mode in shelf.modes})


def _free_modes(node: TedNode) -> dict[str, tuple[OperationalMode, str]]:
    """By mode, the free port that draws least for it, the first among equals."""
    found: dict[str, tuple[OperationalMode, str]] = {}
    for transponder in node.transponders:
        for mode in transponder.modes if transponder.free else ():
            if mode.mode_id not in found or mode.power_w < found[mode.mode_id][0].power_w:
                found[mode.mode_id] = (mode, transponder.port)
    return found


def _agree(one: OperationalMode, other: OperationalMode) -> bool:
    return one.baud_rate_gbd == other.baud_rate_gbd and one.bit_rate_gbps == other.bit_rate_gbps


def _pair(source: OperationalMode, source_port: str, target: OperationalMode, target_port: str) -> EndPair:
    mode = source
    if source != target:
        mode = replace(
            source,
            min_spacing_ghz=max(source.min_spacing_ghz, target.min_spacing_ghz),
            required_osnr_0p1nm_db=max(source.required_osnr_0p1nm_db, target.required_osnr_0p1nm_db),
            tx_osnr_0p1nm_db=min(source.tx_osnr_0p1nm_db, target.tx_osnr_0p1nm_db),
        )
    return EndPair(mode, source_port, target_port, source.power_w + target.power_w)


def _refusal(target: TedNode, constraint: Constraint, shortfall: float, unit: str, message: str) -> Refusal:
    return Refusal(None, None, target.name, None, constraint, shortfall, unit, message)
