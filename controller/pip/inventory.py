"""Zero-touch discovery: what the devices say of themselves, joined with the plant records, becomes what is on offer.

A degree's neighbour comes from LLDP, a transponder's add/drop port from the external links of shelf and ROADM. What a
device cannot know (fibre spans, amplifiers, noise of the add/drop block) comes from the provider's plant records. What
the two ends of a fibre or patch do not tell alike is a fault: it is reported and not offered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from controller.domain.errors import GeysersError
from controller.domain.offers import LinkOffer, Location, NodeOffer, TransponderOffer
from controller.domain.qot import LinkQot, OperationalMode
from controller.openroadm.facts import DegreeFacts, DeviceFacts, LineFacts, ModeFacts, NeighbourFacts


@dataclass(frozen=True, slots=True)
class LineFigures:
    """Transmission figures of one directed line, and what its amplifiers draw."""

    qot: LinkQot
    power_w: float


@dataclass(frozen=True, slots=True)
class PlantFigures:
    """The provider's records of its plant: lines by (source node, destination node), add/drop blocks by node."""

    lines: Mapping[tuple[str, str], LineFigures] = field(default_factory=dict)
    add_drop_osnr_0p1nm_db: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is on offer by resource name, and what is not and why."""

    nodes: Mapping[str, NodeOffer]
    links: Mapping[str, LinkOffer]
    faults: tuple[str, ...]


def node_name(pip: str, node_id: str) -> str:
    """Resource name of a node."""
    return f"pips/{pip}/nodes/{node_id}"


def discover(
    pip: str, facts: Mapping[str, DeviceFacts], own_devices: Collection[str], figures: PlantFigures
) -> Discovery:
    """Offers out of the facts of all devices that have answered so far.

    `own_devices` names all devices of the provider, also those that have not answered: a neighbour that is not among
    them belongs to somebody else.
    """
    return _Discovering(pip, facts, own_devices, figures).result()


class _Discovering:
    """One run of discovery, with the faults that it meets."""

    def __init__(
        self, pip: str, facts: Mapping[str, DeviceFacts], own_devices: Collection[str], figures: PlantFigures
    ) -> None:
        self._pip = pip
        self._own_devices = own_devices
        self._figures = figures
        self._facts = facts
        self._faults: list[str] = []

    def result(self) -> Discovery:
        nodes, links = {}, {}
        for _, roadm in sorted(self._facts.items()):
            if roadm.node_type != "rdm":
                continue
            node = self._node(roadm)
            if node is None:
                continue
            nodes[node.name] = node
            for degree in roadm.degrees:
                link = self._link(roadm, degree)
                if link is not None:
                    links[link.name] = link
        return Discovery(nodes, links, tuple(self._faults))

    def _node(self, roadm: DeviceFacts) -> NodeOffer | None:
        add_drop_osnr_db = self._figures.add_drop_osnr_0p1nm_db.get(roadm.node_id)
        if add_drop_osnr_db is None:
            self._faults.append(f"{roadm.node_id}: the plant records have no add/drop OSNR: add it, then it is offered")
            return None
        return NodeOffer(
            pip=self._pip,
            node_id=roadm.node_id,
            location=Location(clli=roadm.clli, latitude_deg=roadm.latitude_deg, longitude_deg=roadm.longitude_deg),
            degree_ports=tuple(degree.connection_point for degree in roadm.degrees),
            transponders=tuple(self._transponders(roadm)),
            add_drop_osnr_0p1nm_db=add_drop_osnr_db,
            power_w=roadm.power_w,
        )

    def _transponders(self, roadm: DeviceFacts) -> list[TransponderOffer]:
        found = []
        for name, shelf in sorted(self._facts.items()):
            if shelf.node_type != "xpdr":
                continue
            patches = {patch.local: patch for patch in shelf.external_links if patch.remote_node == roadm.node_id}
            for line in shelf.lines:
                patch = patches.get(line.network)
                if patch is None:
                    continue
                port = next((entry for entry in roadm.add_drop_ports if entry.port == patch.remote), None)
                told = [entry for entry in roadm.external_links if entry.local == patch.remote]
                agrees = not told or any((t.remote_node, t.remote) == (name, line.network) for t in told)
                if port is None or not agrees:
                    self._faults.append(
                        f"{name} {line.network_port}: says it is patched to {patch.remote.circuit_pack}/"
                        f"{patch.remote.port} of {roadm.node_id}, which tells otherwise: mend the external-link"
                    )
                    continue
                offer = self._transponder(name, line, port.connection_point)
                found.extend([] if offer is None else [offer])
        return found

    def _transponder(self, shelf: str, line: LineFacts, add_drop_port: str) -> TransponderOffer | None:
        try:
            modes = tuple(_mode(entry, line.power_w) for entry in line.modes)
        except GeysersError as error:
            self._faults.append(f"{shelf} {line.network_port}: {error.message}: not offered")
            return None
        return TransponderOffer(shelf, line.network_port, line.client_port, add_drop_port, modes)

    def _link(self, roadm: DeviceFacts, degree: DegreeFacts) -> LinkOffer | None:
        here = f"{roadm.node_id} {degree.connection_point}"
        seen = [entry for entry in roadm.neighbours if entry.interface == degree.lldp_interface]
        if len(seen) != 1:
            self._faults.append(f"{here}: LLDP on {degree.lldp_interface!r} sees {len(seen)} neighbours, not one")
            return None
        far_port = self._far_port(roadm, degree, seen[0])
        if far_port is None:
            return None
        far = seen[0].remote_node
        line = self._figures.lines.get((roadm.node_id, far))
        if line is None:
            self._faults.append(f"{here}: the plant records have no line to {far}: add it, then the link is offered")
            return None
        return LinkOffer(
            pip=self._pip,
            link_id=f"{roadm.node_id}.{degree.connection_point}",
            source_node=roadm.node_id,
            source_port=degree.connection_point,
            destination_node=far,
            destination_port=far_port,
            inter_domain=far not in self._own_devices,
            held_bands=(),
            qot=line.qot,
            power_w=line.power_w,
        )

    def _far_port(self, roadm: DeviceFacts, degree: DegreeFacts, seen: NeighbourFacts) -> str | None:
        """Degree port at the far end; '' at another provider's node, None when the far end does not say the same."""
        if seen.remote_node not in self._own_devices:
            return ""
        here = f"{roadm.node_id} {degree.connection_point}"
        far = self._facts.get(seen.remote_node)
        if far is None:
            self._faults.append(f"{here}: {seen.remote_node} has not answered yet: the link waits for it")
            return None
        back = [(entry.remote_node, entry.remote_interface) for entry in far.neighbours
                if entry.interface == seen.remote_interface]  # fmt: skip
        port = next((d.connection_point for d in far.degrees if d.lldp_interface == seen.remote_interface), None)
        if port is None or back != [(roadm.node_id, degree.lldp_interface)]:
            told = ", ".join(f"{node} {interface}" for node, interface in back) or "nobody"
            self._faults.append(
                f"{here}: mis-wired: it sees {seen.remote_node} {seen.remote_interface}, which sees {told}: "
                f"mend the fibres; the link is not offered"
            )
            return None
        return port


def _mode(mode: ModeFacts, power_w: float) -> OperationalMode:
    return OperationalMode(
        mode_id=mode.mode_id,
        bit_rate_gbps=mode.bit_rate_gbps,
        baud_rate_gbd=mode.baud_rate_gbd,
        min_spacing_ghz=mode.min_spacing_ghz,
        required_osnr_0p1nm_db=mode.required_osnr_0p1nm_db,
        tx_osnr_0p1nm_db=mode.tx_osnr_0p1nm_db,
        power_w=power_w,
    )
