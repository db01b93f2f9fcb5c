"""Placement of virtual machines on physical servers, and the power that follows from it. Pure functions.

Power per server: P = idle + (max − idle)·u with u = vCPUs sold / vCPUs present; a server without a machine sleeps
and draws nothing. Placement therefore fills servers that are awake before it wakes one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from emulator.it_site.model import Host, Server


@dataclass(frozen=True)
class HostUse:
    """What is sold of one physical server; memory in MiB."""

    vcpus: int = 0
    memory_mib: int = 0
    machines: int = 0


def use_by_host(servers: Iterable[Server]) -> dict[str, HostUse]:
    """Sold capacity per host name, over all machines that have a host."""
    uses: dict[str, HostUse] = {}
    for server in servers:
        if server.host is None:
            continue
        use = uses.get(server.host, HostUse())
        uses[server.host] = HostUse(use.vcpus + server.vcpus, use.memory_mib + server.ram_mib, use.machines + 1)
    return uses


def place(hosts: Sequence[Host], uses: Mapping[str, HostUse], vcpus: int, memory_mib: int) -> Host | None:
    """The host for a machine, or None if no server has both the vCPUs and the memory left.

    Best fit on vCPUs among servers that are awake, then the lowest-numbered sleeping one. Nothing is oversold.
    """
    fitting = []
    for host in hosts:
        use = uses.get(host.name, HostUse())
        left = host.vcpus - use.vcpus - vcpus
        if left >= 0 and host.memory_mib - use.memory_mib >= memory_mib:
            fitting.append((use.machines == 0, left if use.machines else 0, host.number, host))
    return min(fitting, key=lambda candidate: candidate[:3])[3] if fitting else None


def power_w(host: Host, use: HostUse) -> float:
    """Watts that one physical server draws now."""
    if use.machines == 0:
        return 0.0
    return host.idle_w + (host.max_w - host.idle_w) * min(use.vcpus / host.vcpus, 1.0)
