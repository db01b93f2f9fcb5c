"""A snapshot as arrays for the kernels: pairs of directed links as arcs, spectrum words, noise per centre frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from controller.domain.spectrum import BAND_LOWER_HZ, GRANULE_HZ, GRANULES, WORDS, occupied_outside
from pce.ted_snapshot import TedLink, TedSnapshot, band_words

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int32]
CENTERS_THZ: Floats = (BAND_LOWER_HZ + np.arange(GRANULES + 1, dtype=np.float64) * GRANULE_HZ) / 1e12
"""Lower edge of each granule, and the band's upper edge: every centre that a slot can have."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise-to-signal ratios of each directed link, (L, 769), at `CENTERS_THZ`; of `links` in order."""

    links: tuple[TedLink, ...]
    nsr_ase: Floats
    nsr_nli_self: Floats
    nsr_nli_full: Floats

    @classmethod
    def of(cls, links: tuple[TedLink, ...]) -> Noise:
        """Interpolate each link's samples linearly; outside them the nearest sample holds."""
        tables = np.empty((3, len(links), CENTERS_THZ.size))
        for row, link in enumerate(links):
            at = [sample.center_thz for sample in link.qot.samples]
            for table, name in zip(tables, ("nsr_ase", "nsr_nli_self", "nsr_nli_full"), strict=True):
                table[row] = np.interp(CENTERS_THZ, at, [getattr(sample, name) for sample in link.qot.samples])
        return cls(links, tables[0], tables[1], tables[2])

    def holds_for(self, links: tuple[TedLink, ...]) -> bool:
        """Whether `links` have the very same figures, as from one generation to the next."""
        return len(links) == len(self.links) and all(
            new.qot is old.qot for new, old in zip(links, self.links, strict=True)
        )


class NetworkArrays:
    """Arrays of one snapshot.

    An arc is a pair of opposite directed links, because a lightpath takes one slot in both directions. Parallel links
    pair up in order of name; a link without an opposite carries nothing.
    """

    def __init__(self, snapshot: TedSnapshot, before: NetworkArrays | None = None) -> None:
        self.snapshot = snapshot
        self.node_names = tuple(sorted(snapshot.nodes))
        self.node_index = {name: index for index, name in enumerate(self.node_names)}
        links = tuple(snapshot.links[name] for name in sorted(snapshot.links))
        row_of = {link.name: row for row, link in enumerate(links)}
        self.pairs = self._pairs()
        self.forward_rows: Rows = np.array([row_of[forward.name] for forward, _ in self.pairs], np.int32)
        self.reverse_rows: Rows = np.array([row_of[reverse.name] for _, reverse in self.pairs], np.int32)
        heads = [self.node_index[forward.z] for forward, _ in self.pairs]
        tails = np.array([self.node_index[forward.a] for forward, _ in self.pairs], np.int64)
        self.heads: Rows = np.array(heads, np.int32)
        self.indptr: Rows = np.searchsorted(tails, np.arange(len(self.node_names) + 1)).astype(np.int32)
        self.occupied = np.array(
            [
                [used | outside for used, outside in zip(link.occupied, occupied_outside(link.band), strict=True)]
                for link in links
            ],
            np.uint64,
        ).reshape(len(links), WORDS)
        self.lit_granules: Floats = np.array([_lit_granules(link) for link in links], np.float64)
        reusable = before is not None and before.noise.holds_for(links)
        self.noise: Noise = before.noise if before is not None and reusable else Noise.of(links)

    def _pairs(self) -> tuple[tuple[TedLink, TedLink], ...]:
        between = self.snapshot.links_between
        found: list[tuple[TedLink, TedLink]] = []
        for a, z in sorted(between):
            found.extend(zip(between[a, z], between.get((z, a), ()), strict=False))
        return tuple(found)


def _lit_granules(link: TedLink) -> int:
    return sum((used & inside).bit_count() for used, inside in zip(link.occupied, band_words(link.band), strict=True))
