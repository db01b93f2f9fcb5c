"""Placement never oversells and keeps servers asleep as long as it can; power follows utilisation."""

import pytest

from emulator.it_site.model import Host
from emulator.it_site.scheduler import HostUse, place, power_w

HOSTS = [Host(n, f"h{n}", f"uuid-{n}", 8, 32768, 64.0, 252.0) for n in (1, 2, 3)]


def test_an_awake_server_is_filled_before_another_wakes():
    assert place(HOSTS, {"h2": HostUse(4, 8192, 1)}, 4, 8192) is HOSTS[1]


def test_the_tightest_awake_server_wins():
    uses = {"h1": HostUse(2, 1024, 1), "h3": HostUse(6, 1024, 2)}
    assert place(HOSTS, uses, 2, 1024) is HOSTS[2]


@pytest.mark.parametrize(("vcpus", "memory_mib"), [(9, 1), (1, 32769)])
def test_what_fits_nowhere_is_refused(vcpus, memory_mib):
    assert place(HOSTS, {}, vcpus, memory_mib) is None


@pytest.mark.parametrize(("use", "watts"), [(HostUse(), 0.0), (HostUse(4, 1, 1), 158.0), (HostUse(8, 1, 2), 252.0)])
def test_power_is_linear_and_an_empty_server_sleeps(use, watts):
    assert power_w(HOSTS[0], use) == pytest.approx(watts)
