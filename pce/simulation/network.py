"""Networks of the study: nodes, links and their lengths, read from a data directory or from the bundled ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

from controller.domain.errors import InvalidRequest, NotFound
from pce.simulation.record import Record, read_json

Node: TypeAlias = int | str
_BUNDLED = Path(__file__).parents[1] / "data" / "research_networks.json"
_WAYS = ("directed", "undirected")


@dataclass(frozen=True)
class Network:
    """Links in the order that numbers them: sorted by their ends; (lower, upper) end where undirected."""

    name: str
    directed: bool
    """A fibre, and its own spectrum, for each way; else both ways share one link's spectrum."""
    nodes: tuple[Node, ...]
    links: Mapping[tuple[Node, Node], float]
    """Length in km by ends."""

    @cached_property
    def pairs(self) -> list[tuple[Node, Node]]:
        """Demands: all pairs in node order, then, where directed, the same backwards."""
        forward = list(combinations(self.nodes, 2))
        return forward + [(z, a) for a, z in forward] if self.directed else forward

    @cached_property
    def pair_number(self) -> dict[tuple[Node, Node], int]:
        """Place of a demand in `pairs`; both ways of an undirected one."""
        found = {pair: number for number, pair in enumerate(self.pairs)}
        if not self.directed:
            found.update({(z, a): number for (a, z), number in list(found.items())})
        return found


def load_network(name: str, data: Path | None) -> Network:
    """The network of that name: DATA/topologies/NAME.json, or a bundled one. Raises: NotFound, InvalidRequest."""
    if data is None:
        return _bundled(name)
    file = data / "topologies" / f"{name}.json"
    if not file.is_file():
        known = sorted(path.stem for path in (data / "topologies").glob("*.json"))
        have = f"it holds {', '.join(known)}" if known else "it holds none; give a directory with topologies/*.json"
        raise NotFound(f"no topology {name!r} in {data}; {have}", field="topology", value=name)
    return read_network(file)


def read_network(file: Path) -> Network:
    """A network from {"name", "directed", "nodes", "edges": [[node, node, km], …]}. Raises: InvalidRequest."""
    document = read_json(file)
    if not isinstance(document, dict):
        raise InvalidRequest(
            f'{file}: is no object; give {{"directed", "nodes", "edges"}}', field="file", value=str(file)
        )
    record = Record(f"of {file}", document)
    nodes = record.value("nodes", "give the list of nodes")
    if not isinstance(nodes, list) or len(nodes) < 2 or not _are_names(nodes):
        raise record.fault("nodes", "is no list of names", "give two or more whole numbers, or texts, each once")
    directed = record.boolean("directed")
    return Network(file.stem, directed, tuple(nodes), _links(record, "edges", frozenset(nodes), directed))


def _are_names(nodes: list[Any]) -> bool:
    """Whether all are of one kind, so that they have an order, and none is there twice."""
    return any(all(type(node) is kind for node in nodes) for kind in (int, str)) and len(set(nodes)) == len(nodes)


def _links(record: Record, field: str, nodes: frozenset[Node], directed: bool) -> dict[tuple[Node, Node], float]:
    mend = "give a list of [node, node, km], each link once"
    found: dict[tuple[Node, Node], float] = {}
    entries = record.value(field, mend)
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, list) or len(entry) != 3 or entry[0] == entry[1]:
            raise record.fault(field, f"holds {entry!r}", mend)
        a, z, length = entry
        if not (isinstance(a, int | str) and isinstance(z, int | str) and {a, z} <= nodes):
            raise record.fault(field, f"holds {entry!r}, whose ends are not all in nodes", mend)
        if isinstance(length, bool) or not isinstance(length, int | float) or not 0 <= length < 1e6:
            raise record.fault(field, f"holds {entry!r}, whose length is no number of km", mend)
        ends = (a, z) if directed else (min(a, z), max(a, z))
        if ends in found:
            raise record.fault(field, f"holds {entry!r} twice", mend)
        found[ends] = float(length)
    if not found:
        raise record.fault(field, "holds no link", mend)
    return dict(sorted(found.items()))


@cache
def _graphs() -> dict[str, Any]:
    graphs: dict[str, Any] = read_json(_BUNDLED)["graphs"]
    return graphs


@cache
def _bundled(name: str) -> Network:
    graph, _, way = name.rpartition("_")
    if graph not in _graphs() or way not in _WAYS:
        known = ", ".join(f"{known}_{way}" for known in sorted(_graphs()) for way in _WAYS)
        raise NotFound(
            f"no bundled topology {name!r}; use one of {known}, or give a directory with --data",
            field="topology",
            value=name,
        )
    pairs = _graphs()[graph]["fibre_pairs"]
    directed = way == "directed"
    links = {(a, z): float(km) for a, z, km in pairs} | ({(z, a): float(km) for a, z, km in pairs} if directed else {})
    return Network(name, directed, tuple(sorted({end for ends in links for end in ends})), dict(sorted(links.items())))
