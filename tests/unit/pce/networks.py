"""Small snapshots with plain figures, for tests of the PCE."""

from __future__ import annotations

from controller.domain.qot import LinkQot, OperationalMode, QotSample
from controller.domain.spectrum import EMPTY, FrequencySlot, Words, occupied_outside, with_slots
from pce.ted_snapshot import FULL_BAND, TedItSite, TedLink, TedNode, TedSnapshot, TedTransponder

MODE_100G = OperationalMode("100G", 100.0, 31.6, 50.0, 12.0, 37.0, 20.0)
MODE_400G = OperationalMode("400G", 400.0, 63.1, 87.5, 24.0, 37.0, 80.0)
MODES = (MODE_100G, MODE_400G)


def qot(length_km: float = 100.0, ase: float = 1e-3, alone: float = 2e-4, full: float = 6e-4) -> LinkQot:
    """Figures of a line, a little worse at the upper end of the band."""
    samples = tuple(QotSample(thz, ase * slope, alone * slope, full * slope) for thz, slope in SLOPES)
    return LinkQot(samples, length_km, length_km / 200.0, length_km * 16.7, 0.4)


SLOPES = ((191.5, 1.0), (193.5, 1.1), (196.0, 1.3))


def pair(
    a: str,
    z: str,
    *,
    quality: LinkQot | None = None,
    used: tuple[FrequencySlot, ...] = (),
    band: FrequencySlot = FULL_BAND,
    power_w: float = 100.0,
    cost: float = 1.0,
    srlgs: frozenset[str] = frozenset(),
    suffix: str = "",
) -> list[TedLink]:
    """Both directions between two nodes."""
    occupied: Words = with_slots(EMPTY if band == FULL_BAND else occupied_outside(band), used)
    return [
        TedLink(f"{one}{other}{suffix}", one, other, band, occupied, quality or qot(), power_w, srlgs, cost)
        for one, other in ((a, z), (z, a))
    ]


def node(name: str, *, modes: tuple[OperationalMode, ...] = MODES, free: bool = True, **figures: float) -> TedNode:
    return TedNode(name, 36.0, (TedTransponder(f"{name}-1", modes, free),), **figures)


def site(name: str, at: str, *, vcpu: float = 64.0, active: bool = True, **figures: float) -> TedItSite:
    given = {"idle_w": 100.0, "per_vcpu_w": 5.0, "pue": 1.3, "carbon_g_per_kwh": 300.0, **figures}
    return TedItSite(name, at, vcpu, 256.0, 1000.0, active=active, **given)  # type: ignore[arg-type]


def square(**links: object) -> TedSnapshot:
    """A, B, C, D in a ring of 100 km lines with a 300 km chord A-C."""
    pairs = [pair("A", "B"), pair("B", "C"), pair("C", "D"), pair("D", "A"), pair("A", "C", quality=qot(300.0))]
    return TedSnapshot.of(7, [node(name) for name in "ABCD"], [link for both in pairs for link in both])
