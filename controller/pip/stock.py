"""What the provider owns as far as it has answered: facts of devices and sites, and the offers that follow.

`offers` is replaced as a whole and never changed, so that the store's thread may read it at any time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from controller.domain.errors import DeviceUnreachable
from controller.domain.offers import Catalogue, ItSiteOffer, Location
from controller.domain.reservation import Reservation
from controller.openroadm.facts import DeviceFacts
from controller.pip.drivers.openstack import ItSiteFacts
from controller.pip.inventory import PlantFigures, discover, node_name

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ItSiteSettings:
    """A data centre: where it is, how to log in, and what no site tells of itself."""

    site_id: str
    location: Location
    credentials_file: Path
    carbon_g_per_kwh: float


class Stock:
    """Everything that has answered so far."""

    def __init__(
        self, pip: str, devices: Collection[str], sites: Sequence[ItSiteSettings], figures: PlantFigures
    ) -> None:
        self._pip = pip
        self._devices = frozenset(devices)
        self._sites = {site.site_id: site for site in sites}
        self._figures = figures
        self._facts: dict[str, DeviceFacts] = {}
        self._site_facts: dict[str, ItSiteFacts] = {}
        self._faults: tuple[str, ...] = ()
        self._reported: frozenset[str] | None = None
        self.offers = Catalogue()

    def learn_device(self, facts: DeviceFacts) -> None:
        """A device has answered."""
        if self._facts.get(facts.node_id) != facts:
            self._facts[facts.node_id] = facts
            self._offer()

    def learn_site(self, site_id: str, facts: ItSiteFacts) -> None:
        """A data centre has answered."""
        if self._site_facts.get(site_id) != facts:
            self._site_facts[site_id] = facts
            self._offer()

    def check_answered(self, wanted: Reservation) -> None:
        """Refuse what may be on offer once all equipment has answered. Raises DeviceUnreachable."""
        offers = self.offers
        on_offer = {node.name for node in offers.nodes} | {link.name for link in offers.links}
        on_offer |= {site.name for site in offers.it_sites}
        for name in (
            *(part.node for part in wanted.node_parts),
            *(part.link for part in wanted.link_parts),
            *(part.it_site for part in wanted.it_parts),
        ):
            silent = None if name in on_offer else self._silent_behind(name)
            if silent is not None:
                raise DeviceUnreachable(f"{name}: {silent} has not answered yet: repeat later", device=silent)

    def _silent_behind(self, name: str) -> str | None:
        """Device or site that has to answer before `name` can be offered; None when none is missing."""
        # Copies, since this runs in the store's thread while the loop learns.
        facts, answered_sites = dict(self._facts), set(self._site_facts)
        silent = self._devices - facts.keys()
        links = f"pips/{self._pip}/links/"
        for device in silent:
            if name == node_name(self._pip, device) or name.startswith(f"{links}{device}."):
                return device
        for site_id in self._sites.keys() - answered_sites:
            if name == f"pips/{self._pip}/itSites/{site_id}":
                return site_id
        for device, known in facts.items():
            for degree in known.degrees:
                if name == f"{links}{device}.{degree.connection_point}":
                    far = {entry.remote_node for entry in known.neighbours if entry.interface == degree.lldp_interface}
                    return min(far & silent, default=None)
        return None

    def _offer(self) -> None:
        found = discover(self._pip, self._facts, self._devices, self._figures)
        sites = (self._site(site_id, facts) for site_id, facts in sorted(self._site_facts.items()))
        self.offers = Catalogue(tuple(found.nodes.values()), tuple(found.links.values()), tuple(sites))
        self._faults = found.faults
        if self._reported is not None:
            self.report()

    def report(self) -> None:
        """Log what is not on offer and why, and from now on whenever that changes."""
        for fault in sorted(set(self._faults) - (self._reported or frozenset())):
            log.warning("not on offer", pip=self._pip, fault=fault)
        self._reported = frozenset(self._faults)

    def _site(self, site_id: str, facts: ItSiteFacts) -> ItSiteOffer:
        settings = self._sites[site_id]
        return ItSiteOffer(
            pip=self._pip,
            site_id=site_id,
            location=self._place(settings.location),
            vcpu_count=facts.vcpu_count,
            memory_gib=facts.memory_gib,
            storage_gib=facts.storage_gib,
            server_idle_w=facts.server_idle_w,
            vcpu_w=facts.vcpu_w,
            pue=facts.pue,
            carbon_g_per_kwh=settings.carbon_g_per_kwh,
            awake=facts.awake,
        )

    def _place(self, location: Location) -> Location:
        """A site without coordinates stands where the devices of its building say they stand."""
        if (location.latitude_deg, location.longitude_deg) != (0.0, 0.0):
            return location
        for facts in self._facts.values():
            if facts.clli == location.clli:
                return replace(location, latitude_deg=facts.latitude_deg, longitude_deg=facts.longitude_deg)
        return location
