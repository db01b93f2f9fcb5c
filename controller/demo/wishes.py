"""What the two operators of the demo ask for."""

from __future__ import annotations

from controller.domain.infrastructure import VirtualInfrastructure, VirtualItSite, VirtualLink, VirtualNode
from controller.domain.nips import MachineDemand, NipsDemand, NipsObjective
from controller.domain.spectrum import FrequencySlot

ALPHA, BETA = "alpha", "beta"
ALPHA_VI, BETA_VI = "blue", "red"
ALPHA_BAND = FrequencySlot(n=0, m=40)
BETA_BAND = FrequencySlot(n=100, m=40)
NODES = (("ber", "BER", 2), ("vie", "VIE", 2), ("muc", "MUC", 1), ("fra", "FRA", 1), ("zrh", "ZRH", 2))
LINKS = (("ber", "fra"), ("ber", "vie"), ("vie", "muc"), ("muc", "fra"), ("muc", "zrh"), ("fra", "zrh"))
SITES = (("it-ber", "BER", "ber"), ("it-zrh", "ZRH", "zrh"))


def ring(band: FrequencySlot, ssh_public_key: str) -> VirtualInfrastructure:
    """Five virtual ROADMs, six virtual links of one band each, two virtual IT sites, over both providers."""
    return VirtualInfrastructure(
        name="",
        nodes=tuple(VirtualNode(node_id, clli, count) for node_id, clli, count in NODES),
        links=tuple(VirtualLink(f"{a}-{z}", a, z, band) for a, z in LINKS),
        it_sites=tuple(
            VirtualItSite(site_id, clli, node_id, vcpu_count=16, memory_gib=64, storage_gib=500)
            for site_id, clli, node_id in SITES
        ),
        ssh_public_key=ssh_public_key,
    )


def anycast_demand(name: str) -> NipsDemand:
    """One end fixed in Vienna; a server with 4 vCPU, 8 GiB and a 50 GiB volume somewhere, at 400 Gb/s."""
    return NipsDemand(
        name=name,
        source_node_id="vie",
        bit_rate_gbps=400.0,
        machine=MachineDemand(vcpu_count=4, memory_gib=8, volume_gib=50),
        objective=NipsObjective.NET_IT_POWER,
        vlan_id=301,
    )
