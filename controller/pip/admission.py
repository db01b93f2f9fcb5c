"""What a reservation may be, and what may be done inside one. Pure checks; they write nothing.

A thing that is another's and a thing that does not exist are refused in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from controller.domain.errors import InvalidRequest, NotFound
from controller.domain.media import (
    LAUNCH_POWER_MAX_DBM,
    LAUNCH_POWER_MIN_DBM,
    CrossConnect,
    LineSetting,
    SliceConfiguration,
)
from controller.domain.offers import Catalogue, LinkOffer, NodeOffer, TransponderOffer
from controller.domain.reservation import ItPart, LinkPart, NodePart, Reservation
from controller.domain.spectrum import FrequencySlot
from controller.pip.drivers.share import MARK_CHARACTERS
from controller.pip.records import HeldReservation

RESERVATION_ID = re.compile(r"[0-9a-f]{16}")
CROSS_CONNECT_ID_CHARACTERS = MARK_CHARACTERS - 16 - 1
MAX_HOLD_TIME_S = 3600.0
GENERATION_LIMIT = 1 << 63
MAX_GRI_CHARACTERS = 512
MAX_NAME_CHARACTERS = 200


def check_name(field: str, value: str) -> None:
    """Identifiers chosen by the requester end up in names at sites, which take printable text only."""
    if not 0 < len(value) <= MAX_NAME_CHARACTERS or not value.isprintable() or value != value.strip():
        raise InvalidRequest(
            f"{field} {value!r}: use 1 to {MAX_NAME_CHARACTERS} printable characters, no space at the ends",
            field=field,
            value=value,
        )


def check_parts(wanted: Reservation, catalogue: Catalogue) -> None:
    """Refuse a reservation of what is not on offer, or whose parts do not fit each other."""
    _check_part_ids(wanted)
    nodes = {node.name: node for node in catalogue.nodes}
    links = {link.name: link for link in catalogue.links}
    sites = {site.name for site in catalogue.it_sites}
    reserved_ports: dict[str, set[str]] = {}
    for node_part in wanted.node_parts:
        offer = nodes.get(node_part.node)
        if offer is None:
            raise _not_on_offer("node", node_part.node)
        _check_degree_ports(node_part.degree_ports, offer)
        if node_part.transponder_count < 0:
            raise InvalidRequest(
                f"transponder_count {node_part.transponder_count}: use 0 or more", field="transponder_count"
            )
        reserved_ports.setdefault(offer.node_id, set()).update(node_part.degree_ports)
    for link_part in wanted.link_parts:
        link = links.get(link_part.link)
        if link is None:
            raise _not_on_offer("link", link_part.link)
        _check_ends(link, reserved_ports)
    for it_part in wanted.it_parts:
        if it_part.it_site not in sites:
            raise _not_on_offer("it_site", it_part.it_site)
        for field, least in (("vcpu_count", 1), ("memory_gib", 1), ("storage_gib", 0)):
            value = getattr(it_part, field)
            if not least <= value < 1 << 31:
                raise InvalidRequest(
                    f"part {it_part.part_id!r}: {field} {value}: use {least} or more", field=field, value=value
                )


def check_hold(gri: str, hold_time_s: float, reservation_id: str) -> None:
    """Refuse what cannot be an identifier or a time."""
    if not gri or len(gri) > MAX_GRI_CHARACTERS:
        raise InvalidRequest(f"gri has {len(gri)} characters: use 1 to {MAX_GRI_CHARACTERS}", field="gri")
    if not 0 < hold_time_s <= MAX_HOLD_TIME_S:
        raise InvalidRequest(
            f"hold_time {hold_time_s:g} s: hold for more than 0 and at most {MAX_HOLD_TIME_S:g} s",
            field="hold_time",
            value=hold_time_s,
        )
    if not RESERVATION_ID.fullmatch(reservation_id):
        raise InvalidRequest(
            f"reservation id {reservation_id!r}: use 16 hexadecimal characters", field="reservation_id"
        )


def check_slice(held: HeldReservation, device: str, desired: SliceConfiguration) -> None:
    """Refuse a slice that leaves its reservation, or that contradicts itself. Raises NotFound, InvalidRequest."""
    name = held.reservation.name
    if device not in devices_of(held):
        raise NotFound(f"device {device!r} not found in {name}", device=device)
    leaving, arriving = bands_at(held, device), arriving_bands_at(held, device)
    add_drop_ports = {offer.add_drop_port for offer in transponders_at_node(held, device)}
    for cross in desired.cross_connects:
        _check_cross_connect(cross)
        for port in (cross.source_port, cross.destination_port):
            if port not in leaving and port not in add_drop_ports:
                raise NotFound(f"port {port!r} of {device!r} not found in {name}", device=device, port=port)
        if cross.source_port not in leaving and cross.destination_port not in leaving:
            raise InvalidRequest(
                f"cross-connect {cross.cross_connect_id!r} joins two add/drop ports: one end is a degree",
                cross_connect=cross.cross_connect_id,
            )
        for port, bands in ((cross.source_port, arriving), (cross.destination_port, leaving)):
            if port in bands and not any(band.contains(cross.slot) for band in bands[port]):
                raise NotFound(
                    f"slot n={cross.slot.n}, m={cross.slot.m} at port {port!r} of {device!r} not found in {name}",
                    device=device, port=port, n=cross.slot.n, m=cross.slot.m,
                )  # fmt: skip
    _check_together(desired)
    lines = {offer.network_port: offer for offer in transponders_of_device(held, device)}
    if len({setting.network_port for setting in desired.line_settings}) != len(desired.line_settings):
        raise InvalidRequest("two line settings for one network port: give each port one", field="line_settings")
    for setting in desired.line_settings:
        _check_line(setting, lines, device, name)


def devices_of(held: HeldReservation) -> set[str]:
    """Nodes and transponder devices that a reservation reaches into."""
    nodes = {_id_of(part.node) for part in held.reservation.node_parts}
    shelves = {offer.device for part in held.reservation.node_parts for offer in part.transponders}
    return nodes | shelves


def bands_at(held: HeldReservation, node: str) -> dict[str, list[FrequencySlot]]:
    """Reserved degree ports of a node with the bands in which light may leave there: those of the outgoing link."""
    ports = _reserved_ports(held, node)
    for part in held.reservation.link_parts:
        source_node, source_port = held.heads[part.link]
        if source_node == node and source_port in ports:
            ports[source_port].append(part.band)
    return ports


def arriving_bands_at(held: HeldReservation, node: str) -> dict[str, list[FrequencySlot]]:
    """Reserved degree ports of a node with the bands in which light may be received there.

    Light arrives on the reverse link. Within the provider that link is sold on its own, so its band must be held too.
    From another provider's node it is the other's to lease, and the band of the outgoing link counts here.
    """
    ports = _reserved_ports(held, node)
    for part in held.reservation.link_parts:
        source_node, source_port = held.heads[part.link]
        far_node, far_port = held.tails.get(part.link, ("", ""))
        if far_node == node and far_port in ports:
            ports[far_port].append(part.band)
        elif not far_port and source_node == node and source_port in ports:
            ports[source_port].append(part.band)
    return ports


def _reserved_ports(held: HeldReservation, node: str) -> dict[str, list[FrequencySlot]]:
    return {port: [] for part in held.reservation.node_parts if _id_of(part.node) == node for port in part.degree_ports}


def transponders_at_node(held: HeldReservation, node: str) -> list[TransponderOffer]:
    """The reservation's transponders that are patched to a node."""
    return [t for part in held.reservation.node_parts if _id_of(part.node) == node for t in part.transponders]


def transponders_of_device(held: HeldReservation, device: str) -> list[TransponderOffer]:
    """The reservation's transponders that sit in a transponder device."""
    return [t for part in held.reservation.node_parts for t in part.transponders if t.device == device]


def _check_part_ids(wanted: Reservation) -> None:
    parts: list[NodePart | LinkPart | ItPart] = [*wanted.node_parts, *wanted.link_parts, *wanted.it_parts]
    if not parts:
        raise InvalidRequest("the reservation has no parts: ask for at least one", field="parts")
    seen: set[str] = set()
    for part in parts:
        check_name("part_id", part.part_id)
        if part.part_id in seen:
            raise InvalidRequest(f"part_id {part.part_id!r} twice: give each part its own", field="part_id")
        seen.add(part.part_id)


def _check_degree_ports(ports: tuple[str, ...], offer: NodeOffer) -> None:
    for port in ports:
        if port not in offer.degree_ports:
            raise NotFound(f"degree port {port!r} is not on offer at {offer.name}", field="degree_ports", value=port)
    if len(set(ports)) != len(ports):
        raise InvalidRequest(f"a degree port of {offer.name} twice: name each once", field="degree_ports")


def _check_ends(link: LinkOffer, reserved_ports: Mapping[str, set[str]]) -> None:
    """A link part ends at degree ports of the node parts beside it, where there are such."""
    for node, port in ((link.source_node, link.source_port), (link.destination_node, link.destination_port)):
        if node in reserved_ports and port not in reserved_ports[node]:
            raise InvalidRequest(
                f"link {link.name} ends at {port!r} of {node}, which no node part asks for: add the degree port",
                field="degree_ports",
                link=link.name,
            )


def _check_cross_connect(cross: CrossConnect) -> None:
    name = cross.cross_connect_id
    if not 0 < len(name) <= CROSS_CONNECT_ID_CHARACTERS or not name.isprintable() or name != name.strip():
        raise InvalidRequest(
            f"cross_connect_id {name!r}: use 1 to {CROSS_CONNECT_ID_CHARACTERS} printable characters",
            field="cross_connect_id",
        )
    if cross.source_port == cross.destination_port:
        raise InvalidRequest(f"cross-connect {name!r} leads from {cross.source_port} to itself: use two ports")
    if not 0 < cross.signal_width_ghz <= cross.slot.width_hz / 1e9:
        raise InvalidRequest(
            f"cross-connect {name!r}: signal_width_ghz {cross.signal_width_ghz}: use more than 0 and at most the "
            f"slot's {cross.slot.width_hz / 1e9:g}",
            field="signal_width_ghz",
        )


def _check_together(desired: SliceConfiguration) -> None:
    """What one device cannot carry together: repeated identifiers, two feeds, overlapping or uneven windows."""
    names: set[str] = set()
    feeds: set[tuple[str, FrequencySlot]] = set()
    windows: dict[str, dict[FrequencySlot, float]] = {}
    for cross in sorted(desired.cross_connects, key=lambda cross: cross.cross_connect_id):
        where = f"cross-connect {cross.cross_connect_id!r}"
        if cross.cross_connect_id in names:
            raise InvalidRequest(f"{where} twice: identifiers are unique in a slice", field="cross_connect_id")
        names.add(cross.cross_connect_id)
        ends = {("from", cross.source_port, cross.slot), ("to", cross.destination_port, cross.slot)}
        for direction, port, slot in ends:
            if (direction + port, slot) in feeds:
                raise InvalidRequest(f"{where}: n={slot.n}, m={slot.m} goes {direction} {port} twice: use it once")
            feeds.add((direction + port, slot))
        for port in (cross.source_port, cross.destination_port):
            known = windows.setdefault(port, {})
            for slot, width_ghz in known.items():
                if (slot != cross.slot and slot.overlaps(cross.slot)) or (
                    slot == cross.slot and width_ghz != cross.signal_width_ghz
                ):
                    raise InvalidRequest(f"{where} does not fit another at {port}: use disjoint slots, or the same")
            known[cross.slot] = cross.signal_width_ghz


def _check_line(setting: LineSetting, lines: Mapping[str, TransponderOffer], device: str, name: str) -> None:
    offer = lines.get(setting.network_port)
    if offer is None:
        raise NotFound(
            f"port {setting.network_port!r} of {device!r} not found in {name}", device=device, port=setting.network_port
        )
    modes = [mode.mode_id for mode in offer.modes]
    if setting.mode_id not in modes:
        raise InvalidRequest(
            f"mode {setting.mode_id!r} of {setting.network_port}: use one of {', '.join(modes)}", field="mode_id"
        )
    # Asked this way round, what is no number is refused too.
    if not LAUNCH_POWER_MIN_DBM <= setting.transmit_power_dbm <= LAUNCH_POWER_MAX_DBM:
        raise InvalidRequest(
            f"transmit_power_dbm {setting.transmit_power_dbm} of {setting.network_port}: use "
            f"{LAUNCH_POWER_MIN_DBM:g} to {LAUNCH_POWER_MAX_DBM:g} dBm",
            field="transmit_power_dbm",
            value=setting.transmit_power_dbm,
        )


def _id_of(resource_name: str) -> str:
    return resource_name.rpartition("/")[2]


def _not_on_offer(field: str, name: str) -> NotFound:
    return NotFound(f"{field} {name!r} is not on offer", field=field, value=name)
