"""The model set that every OpenROADM endpoint serves: emulated devices and virtual nodes alike."""

from __future__ import annotations

from pathlib import Path

from controller.netconf.yang_engine import YangEngine

MODULES = (
    "org-openroadm-device",
    "org-openroadm-interfaces",
    "org-openroadm-port-types",
    "org-openroadm-optical-transport-interfaces",
    "org-openroadm-media-channel-interfaces",
    "org-openroadm-network-media-channel-interfaces",
    "org-openroadm-optical-channel-interfaces",
    "org-openroadm-ethernet-interfaces",
    "org-openroadm-lldp",
)
EXTENSIONS = ("geysers-openroadm-xpdr", "geysers-device-energy", "geysers-lease")


def yang_folder() -> Path:
    """Our YANG files: inside the installed wheel, or at the top of the source tree."""
    package = Path(__file__).parents[1]
    installed = package / "_yang"
    return installed if installed.is_dir() else package.parent / "yang"


def openroadm_engine(published: Path | None = None) -> YangEngine:
    """Engine of the OpenROADM 2.2.1 models; `published` is a folder of the MSA's modules to serve instead of ours."""
    own = yang_folder()
    return YangEngine([published or own / "openroadm", own / "geysers"], [*MODULES, *EXTENSIONS])
