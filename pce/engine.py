"""Hop 3 of 8: the PCE's engine. Hop 2 asks with a snapshot, hop 4 books what is answered.

Site, route, mode and slot are chosen together: every combination of an end point, a candidate route and a common mode
gets its lowest slot that is free and quiet enough, and the best by the objective wins. Ties end in names, so that the
same question always has the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from controller.domain.errors import InvalidRequest, NotFound
from controller.domain.spectrum import FrequencySlot
from pce.failure import failure
from pce.it_endpoint import EndPoint, end_points, it_power_w
from pce.network_arrays import Floats, NetworkArrays
from pce.power import check_objective, net_power_w, objective_value
from pce.quality import end_noise, gsnr_0p1nm_db, line_noise_limit, noise_today, worst_case_noise
from pce.request import Candidate, Constraint, PathAnswer, PathRequest, Refusal, Route
from pce.route import Path, candidate_paths
from pce.rsa import assign_slot, longest_free_granules, quietest, quietest_free
from pce.ted_snapshot import TedSnapshot
from pce.transponders import EndPair, end_pairs, rates_gbps
from pce.warm_up import warm_up

WIDEST_K = 64
"""Routes weighed at most per end point while none of them is feasible; bounds how long a refusal takes."""
_ELSEWHERE_OTHERWISE = frozenset({Constraint.SPECTRUM, Constraint.LATENCY})


@dataclass(frozen=True, slots=True)
class Lightpath:
    """A route with slot and mode whose quality holds, whatever the reason to go there."""

    path: Path
    ends: EndPair
    slot: FrequencySlot
    gsnr_0p1nm_db: float
    worst_case_gsnr_0p1nm_db: float

    @property
    def margin_db(self) -> float:
        return self.worst_case_gsnr_0p1nm_db - self.ends.mode.required_osnr_0p1nm_db


class Engine:
    """Computes on one snapshot at a time; safe to share between threads."""

    def __init__(self) -> None:
        self._arrays: NetworkArrays | None = None

    def compute(self, snapshot: TedSnapshot, request: PathRequest) -> PathAnswer:
        """The best candidate, the others in order, and all refusals.

        Raises: NotFound and InvalidRequest for the request; NoPath, SpectrumBlocked, GsnrBelowMargin,
        ResourceExhausted when nothing is feasible, with the refusal that came closest.
        """
        candidates, refusals = self.weigh(snapshot, request, widest_k=WIDEST_K)
        if not candidates:
            raise failure(request, refusals)
        return PathAnswer(
            generation=snapshot.generation,
            objective=request.objective,
            best=candidates[0],
            candidates=tuple(candidates),
            refusals=tuple(refusals),
        )

    def weigh(
        self, snapshot: TedSnapshot, request: PathRequest, widest_k: int = 0
    ) -> tuple[list[Candidate], list[Refusal]]:
        """Candidates in rising order of the objective, possibly none, and refusals. Raises for the request only.

        widest_k : where spectrum or latency refuses all of the request's k routes, up to so many are weighed.
        """
        _check(snapshot, request)
        points, refusals = end_points(snapshot, request)
        arrays = self._arrays_of(snapshot)
        candidates: list[Candidate] = []
        weighed: dict[str, tuple[list[Lightpath], list[Refusal]]] = {}
        for point in points:
            if point.node not in weighed:
                weighed[point.node] = _lightpaths(arrays, request, point.node, widest_k)
            feasible, refused = weighed[point.node]
            candidates.extend(_candidate(snapshot, request, lightpath, point) for lightpath in feasible)
            refusals.extend(replace(refusal, site=point.site_name) for refusal in refused)
        return sorted(candidates, key=_rank), refusals

    def _arrays_of(self, snapshot: TedSnapshot) -> NetworkArrays:
        """Arrays of `snapshot`, those of the last one if it is the same; threads may compute them twice, not mix."""
        last = self._arrays
        if last is None or last.snapshot is not snapshot:
            last = NetworkArrays(snapshot, before=last)
            self._arrays = last
        return last


class PooledEngine:
    """The engine behind a small thread pool, off the event loop: kernels run without the interpreter lock.

    Fulfils the controller's PathComputer port.
    """

    def __init__(self, threads: int = 2) -> None:
        self._engine = Engine()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pce")

    async def warm_up(self) -> None:
        """Compile or load all kernels, so that the first request does not wait for them."""
        await asyncio.get_running_loop().run_in_executor(self._pool, warm_up)

    async def compute(self, snapshot: TedSnapshot, request: PathRequest) -> PathAnswer:
        """As `Engine.compute`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._engine.compute, snapshot, request)

    def close(self) -> None:
        """Let running computations end and take no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _check(snapshot: TedSnapshot, request: PathRequest) -> None:
    check_objective(request)
    known = ", ".join(sorted(snapshot.nodes)) or "none"
    # Avoided links and SRLGs may be gone already, which is often why they are avoided; nodes never are.
    for field, name in [("source", request.source), *(("avoid_nodes", name) for name in sorted(request.avoid_nodes))]:
        if name not in snapshot.nodes:
            raise NotFound(f"{field}={name!r}: no node of that name; known are: {known}", field=field, value=name)
    if request.source in request.avoid_nodes:
        raise InvalidRequest(
            f"avoid_nodes names the source {request.source}: leave it out", field="avoid_nodes", value=request.source
        )
    if request.targets is not None and set(request.targets) == {request.source}:
        raise InvalidRequest(
            f"targets={request.source!r} is the source itself: name another node", field="targets", value=request.source
        )
    rates = rates_gbps(snapshot.nodes.values())
    if not rates or request.bit_rate_gbps > rates[-1]:
        raise InvalidRequest(
            f"bit_rate_gbps={request.bit_rate_gbps:g}: no mode carries it; the rates that exist are "
            f"{', '.join(f'{rate:g}' for rate in rates) or 'none'}",
            field="bit_rate_gbps",
            value=request.bit_rate_gbps,
        )


def _lightpaths(
    arrays: NetworkArrays, request: PathRequest, target: str, widest_k: int
) -> tuple[list[Lightpath], list[Refusal]]:
    """Every feasible lightpath from the request's source to `target`, and what was refused on the way."""
    snapshot = arrays.snapshot
    if target == request.source:
        message = f"{target} is the source itself: no lightpath is needed to reach it"
        return [], [Refusal(None, None, target, None, Constraint.CONNECTIVITY, 1.0, "route", message)]
    if target in request.avoid_nodes:
        message = f"{target} is among avoid_nodes: allow it or choose another target"
        return [], [Refusal(None, None, target, None, Constraint.CONNECTIVITY, 1.0, "route", message)]
    pairs = end_pairs(snapshot.nodes[request.source], snapshot.nodes[target], request.bit_rate_gbps)
    if isinstance(pairs, Refusal):
        return [], [pairs]
    tried: set[Route] = set()
    refusals: list[Refusal] = []
    k = request.k
    while True:
        paths = candidate_paths(arrays, replace(request, k=k), request.source, target)
        if not paths:
            message = f"no route joins {request.source} and {target} in both directions under the constraints"
            return [], [Refusal(None, None, target, None, Constraint.CONNECTIVITY, 1.0, "route", message)]
        fresh = [path for path in paths if path.route not in tried]
        feasible, refused = _on_paths(arrays, request, pairs, fresh)
        refusals += refused
        tried.update(path.route for path in fresh)
        # Another route may be free where the first ones are full: blocked is said only when many have been weighed.
        hopeful = any(refusal.constraint in _ELSEWHERE_OTHERWISE for refusal in refused)
        if feasible or not hopeful or k >= widest_k:
            return feasible, refusals
        k = min(2 * k, widest_k)


def _on_paths(
    arrays: NetworkArrays, request: PathRequest, pairs: Sequence[EndPair], paths: Sequence[Path]
) -> tuple[list[Lightpath], list[Refusal]]:
    """What is feasible on these routes, and what is refused."""
    feasible: list[Lightpath] = []
    refusals: list[Refusal] = []
    for path in paths:
        if request.max_latency_ms is not None and path.latency_ms > request.max_latency_ms:
            excess = path.latency_ms - request.max_latency_ms
            message = f"{path.route} takes {path.latency_ms:.3f} ms, {excess:.3f} ms more than max_latency_ms"
            target = path.route.nodes[-1]
            refusals.append(Refusal(path.route, None, target, None, Constraint.LATENCY, excess, "ms", message))
            continue
        noise = worst_case_noise(arrays, path)
        for ends in pairs:
            found = _light(arrays, request, path, ends, noise)
            if isinstance(found, Refusal):
                refusals.append(found)
            else:
                feasible.append(found)
    return feasible, refusals


def _light(
    arrays: NetworkArrays, request: PathRequest, path: Path, ends: EndPair, noise: Floats
) -> Lightpath | Refusal:
    """The lowest good slot of one route and mode, or the constraint that leaves none."""
    nodes = arrays.snapshot.nodes
    mode = ends.mode
    at_ends = end_noise(mode, nodes[path.route.nodes[0]], nodes[path.route.nodes[-1]])
    slot = assign_slot(arrays, path, mode.m, noise, line_noise_limit(mode, at_ends, request.min_margin_db))
    if isinstance(slot, FrequencySlot):
        return Lightpath(
            path=path,
            ends=ends,
            slot=slot,
            gsnr_0p1nm_db=gsnr_0p1nm_db(noise_today(arrays, path, slot), mode, at_ends),
            worst_case_gsnr_0p1nm_db=gsnr_0p1nm_db(float(noise[slot.first_granule + slot.m]), mode, at_ends),
        )
    target = path.route.nodes[-1]
    if slot is Constraint.SPECTRUM:
        missing_ghz = (2 * mode.m - longest_free_granules(arrays, path)) * 6.25
        message = f"no slot of m={mode.m} is free on {path.route}: {missing_ghz:g} GHz more are needed in one piece"
        return Refusal(path.route, None, target, mode.mode_id, slot, missing_ghz, "GHz", message)
    best = quietest_free(arrays, path, mode.m, noise)
    if best == float("inf"):
        best = quietest(noise, mode.m)
    margin_db = gsnr_0p1nm_db(best, mode, at_ends) - mode.required_osnr_0p1nm_db
    message = (
        f"{mode.mode_id} has a worst-case margin of {margin_db:.2f} dB on {path.route}; "
        f"min_margin_db={request.min_margin_db:g} is asked"
    )
    shortfall_db = request.min_margin_db - margin_db
    return Refusal(path.route, None, target, mode.mode_id, slot, shortfall_db, "dB", message)


def _candidate(snapshot: TedSnapshot, request: PathRequest, lightpath: Lightpath, point: EndPoint) -> Candidate:
    path, ends = lightpath.path, lightpath.ends
    net_w = net_power_w(snapshot, path, ends.power_w)
    return Candidate(
        route=path.route,
        slot=lightpath.slot,
        mode=ends.mode,
        source_node=request.source,
        target_node=point.node,
        source_transponder=ends.source_port,
        target_transponder=ends.target_port,
        site=point.site_name,
        gsnr_0p1nm_db=lightpath.gsnr_0p1nm_db,
        worst_case_gsnr_0p1nm_db=lightpath.worst_case_gsnr_0p1nm_db,
        margin_db=lightpath.margin_db,
        net_power_w=net_w,
        it_power_w=it_power_w(point.site, request.it_demand),
        latency_ms=path.latency_ms,
        length_km=path.length_km,
        objective_value=objective_value(snapshot, request, path, point, net_w),
    )


def _rank(candidate: Candidate) -> tuple[Any, ...]:
    """Order of candidates: objective, spectrum taken, latency, margin, lowest slot, then names.

    Rounded, so that the order in which a sum was formed decides nothing.
    """
    return (
        round(candidate.objective_value, 9),
        candidate.slot.m * candidate.route.hops,
        round(candidate.latency_ms, 9),
        -round(candidate.margin_db, 6),
        candidate.slot.n,
        candidate.site or "",
        candidate.route.nodes,
        candidate.route.forward,
        candidate.mode.mode_id,
    )
