"""End points of a request: fixed targets, IT sites with room, or sites standing at one of the targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.domain.errors import InvalidRequest, NotFound, ResourceExhausted
from pce.request import Constraint, ItDemand, PathRequest, Refusal
from pce.ted_snapshot import TedItSite, TedSnapshot


@dataclass(frozen=True, slots=True)
class EndPoint:
    """A node to reach, with the IT site that is the reason for it."""

    node: str
    site: TedItSite | None

    @property
    def site_name(self) -> str | None:
        return self.site.name if self.site else None


def end_points(snapshot: TedSnapshot, request: PathRequest) -> tuple[list[EndPoint], list[Refusal]]:
    """Where a lightpath may end, and which sites are refused for want of room.

    Raises: NotFound, InvalidRequest, ResourceExhausted when there is nothing to weigh at all.
    """
    for target in request.targets or ():
        if target not in snapshot.nodes:
            raise _unknown("targets", target, "node", snapshot.nodes)
    if request.it_demand is None:
        if request.candidate_sites is not None:
            raise InvalidRequest(
                "candidate_sites without it_demand: say what the site must hold, or leave candidate_sites out",
                field="candidate_sites",
            )
        return [EndPoint(node, None) for node in dict.fromkeys(request.targets or ())], []
    points: list[EndPoint] = []
    refusals: list[Refusal] = []
    for site in _sites(snapshot, request):
        refusal = _refused(site, request.it_demand)
        if refusal:
            refusals.append(refusal)
        else:
            points.append(EndPoint(site.node, site))
    return points, refusals


def it_power_w(site: TedItSite | None, demand: ItDemand | None) -> float:
    """Power added at a site, PUE included: its virtual CPUs, and a server's idle power if it must be woken."""
    if site is None or demand is None:
        return 0.0
    return ((0.0 if site.active else site.idle_w) + site.per_vcpu_w * demand.vcpu) * site.pue


def _sites(snapshot: TedSnapshot, request: PathRequest) -> list[TedItSite]:
    names = sorted(snapshot.sites) if request.candidate_sites is None else list(dict.fromkeys(request.candidate_sites))
    for name in names:
        if name not in snapshot.sites:
            raise _unknown("candidate_sites", name, "IT site", snapshot.sites)
    if not snapshot.sites:
        raise ResourceExhausted("it_demand: the network has no IT site; ask for a lightpath only", field="it_demand")
    if not names:
        raise InvalidRequest(
            "candidate_sites is empty: name at least one site or leave it out", field="candidate_sites"
        )
    sites = [snapshot.sites[name] for name in names]
    if request.targets is None:
        return sites
    standing = [site for site in sites if site.node in request.targets]
    if not standing:
        places = ", ".join(f"{site.name} at {site.node}" for site in sites)
        raise InvalidRequest(
            f"targets={', '.join(request.targets)}: no IT site stands there ({places}); allow another target",
            field="targets",
            value=", ".join(request.targets),
        )
    return standing


def _refused(site: TedItSite, demand: ItDemand) -> Refusal | None:
    """The first kind of room that is missing."""
    needs = (
        (Constraint.VCPU, demand.vcpu, site.vcpu_free, "vCPU"),
        (Constraint.MEMORY, demand.memory_gib, site.memory_free_gib, "GiB"),
        (Constraint.STORAGE, demand.storage_gib, site.storage_free_gib, "GiB"),
    )
    for constraint, asked, free, unit in needs:
        if asked > free:
            message = f"IT site {site.name} has {free:g} of {asked:g} {unit} of {constraint.value} free: ask for less"
            return Refusal(None, site.name, site.node, None, constraint, asked - free, unit, message)
    return None


def _unknown(field: str, name: str, kind: str, known: Mapping[str, object]) -> NotFound:
    names = ", ".join(sorted(known))
    return NotFound(f"{field}={name!r}: no {kind} of that name; known are: {names or 'none'}", field=field, value=name)
