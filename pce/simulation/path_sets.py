"""Candidate paths of every demand, as arrays: read from a path-set file, or found on the network.

Which of the paths of equal length are taken, and in which order, is part of the setting: where many are equal, as by
hops on large networks, it moves blocking by far more than its confidence interval. A file says it; paths found here
follow the total order that `found_paths` documents.
"""

from __future__ import annotations

import gzip
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from controller.domain.errors import InvalidRequest
from pce.core.graph import k_shortest_paths
from pce.simulation.network import Network, load_network
from pce.simulation.scenario import PathOrder, Scenario

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.uint32]
_PATH_HEAD = 3  # hops, km, spectral efficiency
_FILE_MOST_BYTES = 1 << 30
_TOLERANCE_KM = 0.5


@dataclass(frozen=True)
class PathSet:
    """Paths of pair p are first[p] … first[p+1]-1; links of path q are links[hops[q]] … links[hops[q+1]-1]."""

    source: str
    first: Integers
    hops: Integers
    links: Integers
    length_km: Floats
    _offsets: dict[int, Integers] = field(default_factory=dict, repr=False)

    def offsets(self, words: int) -> Integers:
        """First spectrum word of each of `links`, `words` to a link; kept, as records share their paths."""
        if words not in self._offsets:
            self._offsets[words] = self.links * np.uint32(words)
        return self._offsets[words]


class Library:
    """Networks and candidate paths that scenarios name, each read or found once.

    A data directory must hold the path set that a record names; where the record names none, the one that the usual
    naming gives, if it is there. Otherwise, and on bundled networks, paths are found on the network.
    """

    def __init__(self, data: Path | None) -> None:
        self.data = data
        self._networks: dict[str, Network] = {}
        self._paths: dict[tuple[Any, ...], PathSet] = {}

    def network(self, scenario: Scenario) -> Network:
        """The network of a scenario. Raises: NotFound, InvalidRequest."""
        name = scenario.topology
        if name not in self._networks:
            self._networks[name] = load_network(name, self.data)
        return self._networks[name]

    def paths(self, scenario: Scenario) -> PathSet:
        """Candidate paths of a scenario. Raises: NotFound, InvalidRequest."""
        network = self.network(scenario)
        file = self._file(scenario)
        if file is None:
            key: tuple[Any, ...] = (network.name, scenario.path_order, scenario.k, scenario.modulations)
        else:
            key = (network.name, file, scenario.k)
        if key not in self._paths:
            self._paths[key] = found_paths(scenario, network) if file is None else read_paths(file, network, scenario.k)
        return self._paths[key]

    def _file(self, scenario: Scenario) -> Path | None:
        if self.data is None:
            return None
        file = self.data / "pathsets" / (scenario.pathset or _usual_name(scenario))
        if file.is_file():
            return file
        if scenario.pathset is None:
            return None
        raise InvalidRequest(
            f"pathset {scenario.pathset!r} is not in {file.parent}; put it there, or leave the field out to have paths "
            "found on the topology",
            field="pathset",
            value=scenario.pathset,
        )


def _usual_name(scenario: Scenario) -> str:
    fixed = "" if scenario.modulations else "_se1"
    return f"{scenario.topology}_k{scenario.k}_{scenario.path_order}{fixed}.txt.gz"


def read_paths(file: Path, network: Network, k: int) -> PathSet:
    """Up to k paths a pair from a path-set file, held against the network. Raises: InvalidRequest.

    Numbers apart by white space: links, pairs, k; then per pair (`Network.pairs` order) its number of paths and, per
    path: hops, km, spectral efficiency, link numbers (`Network.links` order).
    """
    numbers = _numbers(file)
    counts, at_path = [], []
    try:
        link_count, pair_count, stored = (int(number) for number in numbers[:3])
        if (link_count, pair_count) != (len(network.links), len(network.pairs)):
            raise _fault(file, f"is for {link_count} links and {pair_count} pairs, not those of {network.name}")
        if stored < k:
            raise _fault(file, f"holds {stored} paths a pair, fewer than k = {k}")
        at = 3
        for _ in range(pair_count):
            count = int(numbers[at])
            at += 1
            counts.append(min(count, k))
            for rank in range(count):
                if rank < k:
                    at_path.append(at)
                if not numbers[at] >= 1:
                    raise _fault(file, f"holds a path of {numbers[at]:g} hops")
                at += _PATH_HEAD + int(numbers[at])
    except (IndexError, ValueError, OverflowError) as error:
        raise _fault(file, "ends early or holds what is no count") from error
    if at > numbers.size:
        raise _fault(file, "ends early")
    heads = np.array(at_path, np.int64)
    hop_counts = numbers[heads].astype(np.int64)
    begins = np.concatenate(([0], np.cumsum(hop_counts)))
    # Place of each link number: its path's head, and how far it is into the path.
    places = np.repeat(heads + _PATH_HEAD - begins[:-1], hop_counts) + np.arange(begins[-1])
    links, lengths = numbers[places], numbers[heads + 1]
    _hold_against(network, links, begins, lengths, file)
    return PathSet(
        source=f"file {file.name}",
        first=np.concatenate(([0], np.cumsum(counts))).astype(np.uint32),
        hops=begins.astype(np.uint32),
        links=links.astype(np.uint32),
        length_km=lengths,
    )


def _numbers(file: Path) -> Floats:
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
            text = stream.read(_FILE_MOST_BYTES)
        with warnings.catch_warnings():
            # numpy only warns of text that is no number, and stops there.
            warnings.simplefilter("error")
            return np.fromstring(text, dtype=np.float64, sep=" ")
    except (OSError, EOFError, zlib.error, ValueError, DeprecationWarning) as error:
        raise _fault(file, f"cannot be read: {error}") from error


def _hold_against(network: Network, links: Floats, begins: npt.NDArray[np.int64], lengths: Floats, file: Path) -> None:
    """A path set of another network must not pass: link numbers exist, and lengths add up."""
    if not links.size:
        raise _fault(file, "holds no path")
    if not np.isin(links, np.arange(len(network.links))).all():
        raise _fault(file, f"names links that {network.name} does not have")
    kilometres = np.array(list(network.links.values()))
    added = np.add.reduceat(kilometres[links.astype(np.int64)], begins[:-1])
    wrong = np.flatnonzero(~(np.abs(added - lengths) <= _TOLERANCE_KM))
    if wrong.size:
        at = int(wrong[0])
        raise _fault(file, f"gives path {at} a length of {lengths[at]:g} km; its links have {added[at]:g} km")


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
    return PathSet(
        order, np.array(first, np.uint32), np.array(hops, np.uint32), np.array(links, np.uint32), np.array(lengths)
    )


@dataclass(frozen=True, slots=True)
class _Arcs:
    """The network in compressed rows; arc e is one way of link `link[e]`."""

    number: dict[object, int]
    indptr: npt.NDArray[np.int32]
    heads: npt.NDArray[np.int32]
    link: list[int]
    length_km: Floats

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
