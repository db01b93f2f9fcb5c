"""Quality of transmission: what a line does to a signal, and what a transponder's mode needs.

Noise is additive: a route's noise-to-signal ratio is the sum over its links, because every ROADM restores the same
power spectral density (ADR 6).
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.domain.checks import finite, not_negative
from controller.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class QotSample:
    """Noise-to-signal ratios of one line at one frequency, in the signal's own bandwidth (linear).

    Constant PSD at the ROADM makes them independent of the symbol rate.
    """

    center_thz: float
    nsr_ase: float
    nsr_nli_self: float
    """Only the channel itself is lit."""
    nsr_nli_full: float
    """The whole band is lit."""


@dataclass(frozen=True, slots=True)
class LinkQot:
    """Transmission figures of one directed ROADM-to-ROADM line; between samples linear interpolation holds."""

    samples: tuple[QotSample, ...]
    length_km: float
    latency_ms: float
    cd_ps_per_nm: float
    pmd_ps: float

    def __post_init__(self) -> None:
        if not self.samples:
            raise InvalidRequest("a link's qot has no samples: give at least one frequency", field="samples")
        for name in ("length_km", "latency_ms", "pmd_ps"):
            not_negative("link qot", name, getattr(self, name))
        finite("link qot", "cd_ps_per_nm", self.cd_ps_per_nm)
        for sample in self.samples:
            for name in ("center_thz", "nsr_ase", "nsr_nli_self", "nsr_nli_full"):
                not_negative(f"qot sample at {sample.center_thz} THz", name, getattr(sample, name))
        centers = [sample.center_thz for sample in self.samples]
        if centers != sorted(set(centers)):
            raise InvalidRequest("qot samples must rise in center_thz: sort them and drop repeats", field="samples")


@dataclass(frozen=True, slots=True)
class OperationalMode:
    """A transponder's operational mode: what it carries and the quality it needs."""

    mode_id: str
    bit_rate_gbps: float
    baud_rate_gbd: float
    min_spacing_ghz: float
    required_osnr_0p1nm_db: float
    tx_osnr_0p1nm_db: float
    power_w: float = 0.0

    def __post_init__(self) -> None:
        for name in ("bit_rate_gbps", "baud_rate_gbd", "min_spacing_ghz"):
            value = getattr(self, name)
            if not value > 0 or value == float("inf"):
                raise InvalidRequest(
                    f"mode {self.mode_id}: {name}={value}; give a positive number", field=name, mode=self.mode_id
                )
        for name in ("required_osnr_0p1nm_db", "tx_osnr_0p1nm_db"):
            finite(f"mode {self.mode_id}", name, getattr(self, name))
        not_negative(f"mode {self.mode_id}", "power_w", self.power_w)

    @property
    def m(self) -> int:
        """Slot width in units of 12.5 GHz (G.694.1) that holds the mode's spacing."""
        return max(1, -int(-round(self.min_spacing_ghz, 6) // 12.5))
