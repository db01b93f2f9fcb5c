"""Namespaces of the OpenROADM 2.2.1 device model, and the small XML steps that both directions share."""

from lxml import etree

DEVICE = "http://org/openroadm/device"
INTERFACES = "http://org/openroadm/interfaces"
OTS = "http://org/openroadm/optical-transport-interfaces"
MC = "http://org/openroadm/media-channel-interfaces"
NMC = "http://org/openroadm/network-media-channel-interfaces"
OCH = "http://org/openroadm/optical-channel-interfaces"
COMMON_TYPES = "http://org/openroadm/common-types"
LLDP = "http://org/openroadm/lldp"
XPDR = "urn:geysers:yang:openroadm-xpdr"
ENERGY = "urn:geysers:yang:device-energy"
LEASE = "urn:geysers:yang:lease"
NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"

ROOT = f"{{{DEVICE}}}org-openroadm-device"


def tag(name: str, namespace: str = DEVICE) -> str:
    """Lxml's name of an element."""
    return f"{{{namespace}}}{name}"


def text(element: etree._Element | None, path: str, default: str = "", namespace: str = DEVICE) -> str:
    """Text of the descendant at `path` ('a/b', all in `namespace`), or `default`."""
    if element is None:
        return default
    found = element.find("/".join(tag(step, namespace) for step in path.split("/")))
    return default if found is None or found.text is None else found.text.strip()


def number(element: etree._Element | None, path: str, default: float, namespace: str = DEVICE) -> float:
    """The same as a number."""
    return float(text(element, path, namespace=namespace) or default)


def device_root(data: etree._Element) -> etree._Element | None:
    """The <org-openroadm-device> in a <data> element, or the element itself."""
    return data if data.tag == ROOT else data.find(ROOT)
