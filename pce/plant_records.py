"""What a provider knows of its own plant: lines of spans and amplifiers between ROADMs.

These records stay with the provider (ADR 6); what leaves is the `LinkQot` that `pce.line_qot` makes of a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.domain.checks import finite, not_negative
from controller.domain.errors import InvalidRequest, NotFound
from controller.domain.qot import OperationalMode

LIGHT_SPEED_M_PER_S = 299_792_458.0
REFERENCE_THZ = LIGHT_SPEED_M_PER_S / 1550e-9 / 1e12  # 1550 nm, where fibre makers state dispersion


def _positive(what: str, name: str, value: float) -> None:
    not_negative(what, name, value)
    if not value > 0:
        raise InvalidRequest(f"{what}: {name}={value}; give a number above 0", field=name, value=value)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A fibre with its connectors."""

    name: str
    length_km: float
    loss_db_per_km: tuple[tuple[float, float], ...]
    """(frequency in THz, loss) rising; one point means the same loss everywhere."""
    connector_in_db: float
    connector_out_db: float
    dispersion_ps_per_nm_km: float
    effective_area_um2: float
    dispersion_slope_ps_per_nm2_km: float | None = None
    """None: beta2 follows from a dispersion parameter that grows with the square of the frequency."""
    reference_thz: float = REFERENCE_THZ
    lumped_loss_db: float = 0.0
    pmd_ps_per_sqrt_km: float = 0.0

    def __post_init__(self) -> None:
        what = f"fibre {self.name}"
        for name in ("length_km", "effective_area_um2", "reference_thz"):
            _positive(what, name, getattr(self, name))
        for name in ("connector_in_db", "connector_out_db", "lumped_loss_db", "pmd_ps_per_sqrt_km"):
            not_negative(what, name, getattr(self, name))
        if not self.loss_db_per_km:
            raise InvalidRequest(f"{what}: loss_db_per_km is empty; give at least one point", field="loss_db_per_km")
        for _, loss in self.loss_db_per_km:
            _positive(what, "loss_db_per_km", loss)
        finite(what, "dispersion_ps_per_nm_km", self.dispersion_ps_per_nm_km)
        if abs(self.dispersion_ps_per_nm_km) < 0.1:
            raise InvalidRequest(
                f"{what}: dispersion_ps_per_nm_km={self.dispersion_ps_per_nm_km}; the closed form of the GN model "
                "needs a dispersion of at least 0.1 ps/(nm·km)",
                field="dispersion_ps_per_nm_km",
                value=self.dispersion_ps_per_nm_km,
            )


@dataclass(frozen=True, slots=True)
class AmplifierRecord:
    """An amplifier as it is set."""

    name: str
    gain_db: float
    noise_figure_db: float
    max_power_dbm: float
    power_w: float
    in_voa_db: float = 0.0
    out_voa_db: float = 0.0
    pmd_ps: float = 0.0

    def __post_init__(self) -> None:
        what = f"amplifier {self.name}"
        for name in ("gain_db", "noise_figure_db", "power_w", "in_voa_db", "out_voa_db", "pmd_ps"):
            not_negative(what, name, getattr(self, name))
        finite(what, "max_power_dbm", self.max_power_dbm)


@dataclass(frozen=True, slots=True)
class LossRecord:
    """A splice, patch or pad without gain."""

    name: str
    loss_db: float

    def __post_init__(self) -> None:
        not_negative(f"pad {self.name}", "loss_db", self.loss_db)


@dataclass(frozen=True, slots=True)
class LineRecord:
    """One direction of a ROADM-to-ROADM line; `parts` in order of travel."""

    a: str
    z: str
    parts: tuple[SpanRecord | AmplifierRecord | LossRecord, ...]
    psd_mw_per_ghz: float
    """Power spectral density that ROADM `a` equalises to, into the first part."""

    def __post_init__(self) -> None:
        _positive(f"line {self.a} → {self.z}", "psd_mw_per_ghz", self.psd_mw_per_ghz)

    @property
    def spans(self) -> tuple[SpanRecord, ...]:
        return tuple(part for part in self.parts if isinstance(part, SpanRecord))

    @property
    def amplifiers(self) -> tuple[AmplifierRecord, ...]:
        return tuple(part for part in self.parts if isinstance(part, AmplifierRecord))

    @property
    def length_km(self) -> float:
        return sum(span.length_km for span in self.spans)

    @property
    def power_w(self) -> float:
        """Electrical power of the amplifiers, drawn while any channel is lit."""
        return sum(amplifier.power_w for amplifier in self.amplifiers)


@dataclass(frozen=True, slots=True)
class PlantRecords:
    """A whole plant; mappings are by ROADM name, lines by (head, tail)."""

    lines: Mapping[tuple[str, str], LineRecord]
    add_drop_osnr_0p1nm_db: Mapping[str, float]
    target_psd_mw_per_ghz: Mapping[str, float]
    modes: tuple[OperationalMode, ...]
    transceivers: Mapping[str, str]
    """ROADM by the name of each transceiver beside it."""

    @property
    def roadms(self) -> tuple[str, ...]:
        return tuple(sorted(self.add_drop_osnr_0p1nm_db))

    def roadm_named(self, name: str, field: str) -> str:
        """ROADM of that name, or the one beside the transceiver of that name; `field` says where it was asked.

        Raises: NotFound.
        """
        if name in self.add_drop_osnr_0p1nm_db:
            return name
        if name in self.transceivers:
            return self.transceivers[name]
        raise NotFound(
            f"{field}={name!r}: no ROADM or transceiver of that name; known are {', '.join(self.roadms)}",
            field=field,
            value=name,
        )
