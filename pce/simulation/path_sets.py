"""Candidate paths of every demand, as arrays: read from a path-set file, or found on the network.

Among paths of equal length the order is part of the setting: it alone moves blocking by some percent. A file says it;
paths found here follow the total order that `PathOrder` and `found_paths` document.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from controller.domain.errors import InvalidRequest
from pce.core.graph import k_shortest_paths
from pce.simulation.network import Network
from pce.simulation.scenario import PathOrder, Scenario

Integers: TypeAlias = npt.NDArray[np.int64]
_FILE_MOST_BYTES = 1 << 30
_TOLERANCE_KM = 0.5


@dataclass(frozen=True, slots=True)
class PathSet:
    """Paths of pair p are first[p] … first[p+1]-1; links of path q are links[hops[q]] … links[hops[q+1]-1]."""

    source: str
    first: Integers
    hops: Integers
    links: Integers
    length_km: npt.NDArray[np.float64]


def load_paths(scenario: Scenario, network: Network, data: Path | None) -> PathSet:
    """Candidate paths of a scenario. Raises: InvalidRequest.

    A data directory must hold the path set that a record names; where the record names none, the one that the usual
    naming gives, if it is there. Otherwise, and on bundled networks, paths are found on the network.
    """
    if data is not None:
        file = data / "pathsets" / (scenario.pathset or _usual_name(scenario))
        if file.is_file():
            return read_paths(file, network, scenario.k)
        if scenario.pathset:
            raise InvalidRequest(
                f"pathset {scenario.pathset!r} is not in {file.parent}; put it there, or leave the field out to have "
                "paths found on the topology",
                field="pathset",
                value=scenario.pathset,
            )
    return found_paths(scenario, network)


def _usual_name(scenario: Scenario) -> str:
    fixed = "" if scenario.modulations else "_se1"
    return f"{scenario.topology}_k{scenario.k}_{scenario.path_order}{fixed}.txt.gz"


def read_paths(file: Path, network: Network, k: int) -> PathSet:
    """Up to k paths a pair from a path-set file, held against the network. Raises: InvalidRequest.

    Numbers apart by white space: links, pairs, k; then per pair (`Network.pairs` order) its number of paths and, per
    path: hops, km, spectral efficiency, link numbers (`Network.links` order).
    """
    numbers = _numbers(file)
    first, hops, links, lengths = [0], [0], [], []
    try:
        link_count, pair_count, stored = (int(number) for number in numbers[:3])
        at = 3
        if (link_count, pair_count) != (len(network.links), len(network.pairs)):
            raise _fault(file, f"is for {link_count} links and {pair_count} pairs, not those of {network.name}")
        if stored < k:
            raise _fault(file, f"holds {stored} paths a pair, fewer than k = {k}")
        for _ in range(pair_count):
            count = int(numbers[at])
            at += 1
            for rank in range(count):
                hop_count = int(numbers[at])
                if hop_count < 1:
                    raise _fault(file, f"holds a path of {hop_count} hops")
                if rank < k:
                    lengths.append(float(numbers[at + 1]))
                    links.append(numbers[at + 3 : at + 3 + hop_count])
                    hops.append(hops[-1] + hop_count)
                at += 3 + hop_count
            first.append(len(lengths))
    except (IndexError, ValueError, OverflowError) as error:
        raise _fault(file, "ends early or holds what is no count") from error
    flat = np.concatenate(links).astype(np.int64) if links else np.zeros(0, np.int64)
    made = PathSet(f"file {file.name}", np.array(first), np.array(hops), flat, np.array(lengths))
    _hold_against(network, made, file)
    return made


def _numbers(file: Path) -> npt.NDArray[np.float64]:
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
            text = stream.read(_FILE_MOST_BYTES)
        return np.array(text.split(), dtype=np.float64)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _fault(file, f"cannot be read: {error}") from error


def _hold_against(network: Network, paths: PathSet, file: Path) -> None:
    """A path set of another network must not pass: link numbers exist, and lengths add up."""
    if paths.hops[-1] != paths.links.size:
        raise _fault(file, "ends early")
    if paths.links.size and not 0 <= paths.links.min() <= paths.links.max() < len(network.links):
        raise _fault(file, f"names links that {network.name} does not have")
    kilometres = np.array(list(network.links.values()))
    added = np.add.reduceat(kilometres[paths.links], paths.hops[:-1]) if paths.links.size else np.zeros(0)
    wrong = np.flatnonzero(~(np.abs(added - paths.length_km) <= _TOLERANCE_KM))
    if wrong.size:
        at = int(wrong[0])
        raise _fault(file, f"gives path {at} a length of {paths.length_km[at]:g} km; its links have {added[at]:g} km")


def _fault(file: Path, complaint: str) -> InvalidRequest:
    return InvalidRequest(
        f"path set {file} {complaint}; give the path set of this topology", field="pathset", value=str(file)
    )


def found_paths(scenario: Scenario, network: Network) -> PathSet:
    """The k shortest loopless paths of each pair: a total order, so every run finds the same.

    hops               : fewest hops, then km, then the link numbers from the source on
    distance           : shortest, then hops, then the link numbers
    spectral_resources : the k paths of fewest hops, stably sorted by hops over spectral efficiency
    """
    arcs = _Arcs.of(network)
    by_hops = scenario.path_order is not PathOrder.DISTANCE
    first, hops, links, lengths = [0], [0], [], []
    for a, z in network.pairs:
        ranked = arcs.shortest(a, z, scenario.k, by_hops=by_hops)
        if scenario.path_order is PathOrder.SPECTRAL_RESOURCES and scenario.modulations:
            ranked.sort(key=lambda path: len(path[1]) / max(scenario.efficiency(path[0]), 1e-9))
        for length, numbers in ranked:
            lengths.append(length)
            links.extend(numbers)
            hops.append(len(links))
        first.append(len(lengths))
    order = f"found on the topology: {scenario.path_order}, then {'km' if by_hops else 'hops'}, then link numbers"
    return PathSet(order, np.array(first), np.array(hops), np.array(links, np.int64), np.array(lengths))


@dataclass(frozen=True, slots=True)
class _Arcs:
    """The network in compressed rows; arc e is one way of link `link[e]`."""

    number: dict[object, int]
    indptr: npt.NDArray[np.int32]
    heads: npt.NDArray[np.int32]
    link: list[int]
    length_km: npt.NDArray[np.float64]

    @classmethod
    def of(cls, network: Network) -> _Arcs:
        number: dict[object, int] = {node: place for place, node in enumerate(network.nodes)}
        arcs = [(number[a], link, number[z], km) for link, ((a, z), km) in enumerate(network.links.items())]
        if not network.directed:
            arcs += [(z, link, a, km) for a, link, z, km in arcs]
        arcs.sort()
        tails = [tail for tail, _, _, _ in arcs]
        return cls(
            number=number,
            indptr=np.searchsorted(tails, np.arange(len(number) + 1)).astype(np.int32),
            heads=np.array([head for _, _, head, _ in arcs], np.int32),
            link=[link for _, link, _, _ in arcs],
            length_km=np.array([km for _, _, _, km in arcs]),
        )

    def shortest(self, a: object, z: object, k: int, *, by_hops: bool) -> list[tuple[float, list[int]]]:
        """(km, link numbers) of up to k paths in order."""
        # A hop outweighs any sum of lengths; whole kilometres stay exact.
        far = 2.0 ** np.ceil(np.log2(self.length_km.sum() + 1.0))
        weights = self.length_km + far if by_hops else self.length_km
        rows, lengths, _ = k_shortest_paths(self.indptr, self.heads, weights, self.number[a], self.number[z], k)
        found = []
        for row, hops in zip(rows, lengths, strict=True):
            taken = [int(arc) for arc in row[:hops]]
            found.append((float(self.length_km[taken].sum()), [self.link[arc] for arc in taken]))
        return found
