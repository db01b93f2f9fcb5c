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
from controller.openroadm.configuration import edit_elements, read_configuration
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
    """True when the device carries of this reservation what is desired, and nothing else."""
    configuration = read_configuration(data, facts)
    return owned(configuration, share) == marked(share) and not _leftovers(data, configuration, share)


def edits(data: etree._Element, facts: DeviceFacts, shares: Sequence[Share]) -> list[list[etree._Element]]:
    """Contents of the <edit-config>s that settle all shares: first what goes, then what comes.

    Two steps, so that a cross-connect of which only the width changed is made anew and not merely kept by name.
    """
    configuration = read_configuration(data, facts)
    current = _union(owned(configuration, share) for share in shares)
    desired = _union(marked(share) for share in shares)
    common = SliceConfiguration(
        current.cross_connects & desired.cross_connects, current.line_settings & desired.line_settings
    )
    going = edit_elements(facts, current, common)
    stale = [name for share in shares for name in _leftovers(data, configuration, share)]
    if stale:
        going.append(_removal(stale))
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


def _terminations(crosses: Iterable[CrossConnect]) -> set[str]:
    return {
        f"{port}-nmc-{cross.slot.openroadm_name}"
        for cross in crosses
        for port in (cross.source_port, cross.destination_port)
    }


def _removal(names: Sequence[str]) -> etree._Element:
    namespaces: Any = {None: DEVICE, "nc": NETCONF}
    root = etree.Element(ROOT, nsmap=namespaces)
    for name in names:
        entry = etree.SubElement(root, tag("interface"))
        etree.SubElement(entry, tag("name")).text = name
        entry.set(f"{{{NETCONF}}}operation", "remove")
    return root
