"""Frequency slots and spectrum maps on the flexible DWDM grid (ITU-T G.694.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.domain.errors import InvalidRequest

GRANULE_HZ = 6_250_000_000
ANCHOR_HZ = 193_100_000_000_000  # G.694.1 §7: the grid is anchored at 193.1 THz
BAND_LOWER_HZ = 191_325_000_000_000
GRANULES = 768  # C band 191.325-196.125 THz
ANCHOR_GRANULE = (ANCHOR_HZ - BAND_LOWER_HZ) // GRANULE_HZ  # 284
WORDS = GRANULES // 64


@dataclass(frozen=True, slots=True, order=True)
class FrequencySlot:
    """A frequency slot: centre 193.1 THz + n × 6.25 GHz, width m × 12.5 GHz (G.694.1 §7)."""

    n: int
    m: int

    def __post_init__(self) -> None:
        if self.m < 1:
            raise InvalidRequest(f"frequency slot width m={self.m}: use m ≥ 1 (m × 12.5 GHz)", field="m", value=self.m)
        if self.first_granule < 0 or self.end_granule > GRANULES:
            raise InvalidRequest(
                f"frequency slot n={self.n}, m={self.m} leaves the C band 191.325-196.125 THz: "
                f"choose -284 + m ≤ n ≤ 484 - m",
                field="n",
                value=self.n,
            )

    @classmethod
    def from_granules(cls, first: int, end: int) -> FrequencySlot:
        """Slot of granules [first, end); the count must be even, as the width is m × 2 granules."""
        if end <= first or (end - first) % 2:
            raise InvalidRequest(f"granules [{first}, {end}) are no slot: an even, positive count is needed")
        m = (end - first) // 2
        return cls(n=first + m - ANCHOR_GRANULE, m=m)

    @classmethod
    def from_openroadm_name(cls, name: str) -> FrequencySlot:
        """Parse OpenROADM's 1-based granule pair, e.g. `713:720`."""
        first, _, last = name.partition(":")
        try:
            return cls.from_granules(int(first) - 1, int(last))
        except ValueError as error:
            raise InvalidRequest(f"{name!r} is no slot name: write FIRST:LAST, e.g. 713:720") from error

    @classmethod
    def from_edges_hz(cls, lower_hz: float, upper_hz: float) -> FrequencySlot:
        """Slot between two edges; each must lie on a granule edge."""
        first, end = (round((edge - BAND_LOWER_HZ) / GRANULE_HZ) for edge in (lower_hz, upper_hz))
        for edge_hz, granule in ((lower_hz, first), (upper_hz, end)):
            if abs(edge_hz - (BAND_LOWER_HZ + granule * GRANULE_HZ)) > 1e6:
                raise InvalidRequest(f"{edge_hz / 1e12:.6f} THz is off the 6.25 GHz grid anchored at 193.1 THz")
        return cls.from_granules(first, end)

    @property
    def first_granule(self) -> int:
        return ANCHOR_GRANULE + self.n - self.m

    @property
    def end_granule(self) -> int:
        return ANCHOR_GRANULE + self.n + self.m

    @property
    def granules(self) -> range:
        return range(self.first_granule, self.end_granule)

    @property
    def center_hz(self) -> int:
        return ANCHOR_HZ + self.n * GRANULE_HZ

    @property
    def width_hz(self) -> int:
        return 2 * self.m * GRANULE_HZ

    @property
    def lower_hz(self) -> int:
        return self.center_hz - self.width_hz // 2

    @property
    def upper_hz(self) -> int:
        return self.center_hz + self.width_hz // 2

    @property
    def openroadm_name(self) -> str:
        return f"{self.first_granule + 1}:{self.end_granule}"

    def overlaps(self, other: FrequencySlot) -> bool:
        return self.first_granule < other.end_granule and other.first_granule < self.end_granule

    def contains(self, other: FrequencySlot) -> bool:
        return self.first_granule <= other.first_granule and other.end_granule <= self.end_granule


Words = tuple[int, ...]
EMPTY: Words = (0,) * WORDS
FULL: Words = (0xFFFF_FFFF_FFFF_FFFF,) * WORDS


def to_int(words: Iterable[int]) -> int:
    """One big integer with bit g set for granule g in use."""
    return sum(word << (64 * index) for index, word in enumerate(words))


def to_words(value: int) -> Words:
    """The 12 uint64 words of a big-integer map."""
    return tuple((value >> (64 * index)) & 0xFFFF_FFFF_FFFF_FFFF for index in range(WORDS))


def slot_mask(slot: FrequencySlot) -> int:
    """Big-integer map with the granules of `slot` set."""
    return ((1 << (slot.end_granule - slot.first_granule)) - 1) << slot.first_granule


def occupied_outside(band: FrequencySlot) -> Words:
    """Map in which everything outside `band` counts as occupied."""
    return to_words(to_int(FULL) & ~slot_mask(band))


def with_slots(words: Words, slots: Iterable[FrequencySlot]) -> Words:
    """`words` with the granules of `slots` marked as used."""
    value = to_int(words)
    for slot in slots:
        value |= slot_mask(slot)
    return to_words(value)


def is_free(words: Words, slot: FrequencySlot) -> bool:
    """True when no granule of `slot` is in use."""
    return not to_int(words) & slot_mask(slot)
