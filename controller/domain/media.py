"""What a lightpath asks of devices: cross-connects in ROADMs, line settings in transponders."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.domain.spectrum import FrequencySlot

LAUNCH_POWER_MIN_DBM = -30.0
LAUNCH_POWER_MAX_DBM = 10.0
"""Launch power that anybody may ask of a transponder, both ends included.

OpenROADM's power-dBm is any number. Coherent transmitters launch about -10 to +1 dBm, amplified ones some dB more, and
a shuttered one is reported at -30 dBm or so. What lies outside would light nothing, or harm a plant that others share.
"""


@dataclass(frozen=True, slots=True)
class CrossConnect:
    """One direction of a media channel through a ROADM; ports are logical connection points."""

    cross_connect_id: str
    source_port: str
    destination_port: str
    slot: FrequencySlot
    signal_width_ghz: float

    @property
    def connection_name(self) -> str:
        """Name of the OpenROADM roadm-connection."""
        return f"{self.source_port}-{self.destination_port}-{self.slot.openroadm_name}"


@dataclass(frozen=True, slots=True)
class LineSetting:
    """What the line side of a transponder is set to."""

    network_port: str
    slot: FrequencySlot
    mode_id: str
    transmit_power_dbm: float


@dataclass(frozen=True, slots=True)
class SliceConfiguration:
    """All that one tenant has, or wants, in one device."""

    cross_connects: frozenset[CrossConnect] = field(default_factory=frozenset)
    line_settings: frozenset[LineSetting] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Reception:
    """Reading of one receiver; `gsnr_0p1nm_db` is None when there is no signal."""

    network_port: str
    input_power_dbm: float
    gsnr_0p1nm_db: float | None
    signal_state: str
