"""What one reservation has on one device, told apart from all else by the ownership mark. Pure functions.

The mark is the circuit-id `<reservation id>/<cross-connect id>` of the interface that a cross-connect starts from. A
transponder's line setting carries no mark: it belongs to the reservation that holds the transponder. What is not ours
by these two rules is neither changed nor removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree

from controller.domain.media import CrossConnect, SliceConfiguration
from controller.openroadm.configuration import edit_elements, named_configuration, sound_configuration
from controller.openroadm.facts import DeviceFacts
from controller.openroadm.namespaces import DEVICE, NETCONF, ROOT, device_root, tag, text

MARK_CHARACTERS = 45  # circuit-id of org-openroadm-device 2.2.1


@dataclass(frozen=True, slots=True)
class Share:
    """What a reservation is to have on a device; identifiers without mark, `network_ports` its transponders there."""

    reservation_id: str
    desired: SliceConfiguration = field(default_factory=SliceConfiguration)
    network_ports: frozenset[str] = frozenset()


def marked(share: Share) -> SliceConfiguration:
    """The desired configuration with the marks that the device carries."""
    prefix = f"{share.reservation_id}/"
    crosses = (replace(c, cross_connect_id=prefix + c.cross_connect_id) for c in share.desired.cross_connects)
    return replace(share.desired, cross_connects=frozenset(crosses))


def owned(configuration: SliceConfiguration, share: Share) -> SliceConfiguration:
    """What of a device's configuration is the reservation's, marks kept."""
    prefix = f"{share.reservation_id}/"
    return SliceConfiguration(
        frozenset(cross for cross in configuration.cross_connects if cross.cross_connect_id.startswith(prefix)),
        frozenset(line for line in configuration.line_settings if line.network_port in share.network_ports),
    )


def unmarked(configuration: SliceConfiguration, share: Share) -> SliceConfiguration:
    """What is the reservation's, under the identifiers that it chose."""
    mine = owned(configuration, share)
    cut = len(share.reservation_id) + 1
    crosses = (replace(c, cross_connect_id=c.cross_connect_id[cut:]) for c in mine.cross_connects)
    return replace(mine, cross_connects=frozenset(crosses))


def is_settled(data: etree._Element, facts: DeviceFacts, share: Share) -> bool:
    """True when the device carries of this reservation what is desired, in service where it says, and nothing else."""
    named, sound = named_configuration(data, facts), sound_configuration(data, facts)
    if not owned(named, share) == owned(sound, share) == marked(share):
        return False
    return not _leftovers(data, named, share) and not _foreign_connections(data, share)


def edits(data: etree._Element, facts: DeviceFacts, shares: Sequence[Share]) -> list[list[etree._Element]]:
    """Contents of the <edit-config>s that settle all shares: first what goes, then what comes.

    Two steps, so that a cross-connect of which only the width, or what its name does not tell, changed is made anew
    and not merely kept by name.
    """
    named, sound = named_configuration(data, facts), sound_configuration(data, facts)
    current = _union(owned(named, share) for share in shares)
    kept = _union(owned(sound, share) for share in shares)
    desired = _union(marked(share) for share in shares)
    common = SliceConfiguration(
        kept.cross_connects & desired.cross_connects, kept.line_settings & desired.line_settings
    )
    going = edit_elements(facts, current, common)
    foreign = [name for share in shares for name in _foreign_connections(data, share)]
    if foreign:
        going.insert(0, _removal("roadm-connections", "connection-name", foreign))
    stale = [name for share in shares for name in _leftovers(data, named, share)]
    if stale:
        going.append(_removal("interface", "name", stale))
    return [step for step in (going, edit_elements(facts, common, desired)) if step]


def _union(configurations: Iterable[SliceConfiguration]) -> SliceConfiguration:
    parts = list(configurations)
    return SliceConfiguration(
        frozenset().union(*(part.cross_connects for part in parts)),
        frozenset().union(*(part.line_settings for part in parts)),
    )


def _leftovers(data: etree._Element, configuration: SliceConfiguration, share: Share) -> list[str]:
    """Interfaces with our mark that no cross-connect stands on (somebody removed the connection but not them)."""
    root = device_root(data)
    if root is None:
        return []
    entries = root.findall(tag("interface"))
    standing = _terminations(owned(configuration, share).cross_connects) | _terminations(share.desired.cross_connects)
    marks = f"{share.reservation_id}/"
    stale = {
        text(entry, "name"): text(entry, "supporting-interface")
        for entry in entries
        if text(entry, "circuit-id").startswith(marks) and text(entry, "name") not in standing
    }
    carrying = {text(entry, "supporting-interface") for entry in entries if text(entry, "name") not in stale}
    below = {name for name in stale.values() if "-mc-" in name and name not in carrying}
    return [*sorted(stale), *sorted(below)]


def _foreign_connections(data: etree._Element, share: Share) -> list[str]:
    """Connections that join interfaces with our mark under a name that we did not give."""
    root = device_root(data)
    if root is None:
        return []
    marks = f"{share.reservation_id}/"
    ours = {
        text(entry, "name") for entry in root.findall(tag("interface")) if text(entry, "circuit-id").startswith(marks)
    }
    return sorted(
        name
        for entry in root.findall(tag("roadm-connections"))
        if ours & {text(entry, "source/src-if"), text(entry, "destination/dst-if")}
        and (name := text(entry, "connection-name")) != _connection_name(entry)
    )


def _connection_name(connection: etree._Element) -> str:
    """Name that we would give to a connection of these ends."""
    (source, slot), (target, _) = (
        text(connection, path).split("-nmc-") if text(connection, path).count("-nmc-") == 1 else ("", "")
        for path in ("source/src-if", "destination/dst-if")
    )
    return f"{source}-{target}-{slot}"


def _terminations(crosses: Iterable[CrossConnect]) -> set[str]:
    return {
        f"{port}-nmc-{cross.slot.openroadm_name}"
        for cross in crosses
        for port in (cross.source_port, cross.destination_port)
    }


def _removal(list_name: str, key: str, names: Sequence[str]) -> etree._Element:
    namespaces: Any = {None: DEVICE, "nc": NETCONF}
    root = etree.Element(ROOT, nsmap=namespaces)
    for name in names:
        entry = etree.SubElement(root, tag(list_name))
        etree.SubElement(entry, tag(key)).text = name
        entry.set(f"{{{NETCONF}}}operation", "remove")
    return root
