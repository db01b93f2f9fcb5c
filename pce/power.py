"""What a lightpath adds to the network's power, and the value of each objective."""

from __future__ import annotations

from controller.domain.errors import InvalidRequest
from pce.it_endpoint import EndPoint, it_power_w
from pce.request import Objective, PathRequest
from pce.route import Path
from pce.ted_snapshot import TedSnapshot


def net_power_w(snapshot: TedSnapshot, path: Path, transponders_w: float) -> float:
    """Transponders at both ends, amplifiers of lines that are dark now, and the nodes' share per lightpath."""
    nodes = [snapshot.nodes[name] for name in path.route.nodes]
    crossing_w = sum(node.express_power_w for node in nodes[1:-1])
    ends_w = nodes[0].add_drop_power_w + nodes[-1].add_drop_power_w
    return transponders_w + sum(link.power_w for link in path.links if not link.is_lit) + crossing_w + ends_w


def check_objective(request: PathRequest) -> None:
    """Raises: InvalidRequest for an objective that the request gives no figure for."""
    if request.objective is Objective.CARBON and request.it_demand is None:
        raise InvalidRequest(
            "objective=CARBON without it_demand: carbon is counted at the IT site's grid figure; "
            "give it_demand or minimise NET_POWER",
            field="objective",
            value=request.objective.value,
        )


def objective_value(snapshot: TedSnapshot, request: PathRequest, path: Path, end: EndPoint, net_w: float) -> float:
    """Value to be minimised, in the unit that `Objective` states."""
    it_w = it_power_w(end.site, request.it_demand)
    match request.objective:
        case Objective.NET_POWER:
            return net_w
        case Objective.IT_POWER:
            return it_w
        case Objective.NET_IT_POWER:
            return net_w + it_w
        case Objective.LATENCY:
            return path.latency_ms
        case Objective.HOPS:
            return float(path.route.hops)
        case Objective.DISTANCE:
            return path.length_km
        case Objective.CARBON:
            return (net_w + it_w) / 1e3 * (end.site.carbon_g_per_kwh if end.site else 0.0)
        case Objective.COST:
            price = sum(link.cost for link in path.links)
            price += sum(snapshot.nodes[name].cost for name in path.route.nodes)
            vcpu = request.it_demand.vcpu if request.it_demand else 0.0
            return price + (end.site.cost_per_vcpu * vcpu if end.site else 0.0)
