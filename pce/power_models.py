"""Power figures of equipment that states none, each with its source in `data/power_models.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from controller.domain.errors import InvalidRequest

_FILE = Path(__file__).parent / "data" / "power_models.json"
DEFAULT_SET = "modern"


@dataclass(frozen=True, slots=True)
class PowerModel:
    """One set of figures."""

    name: str
    amplifier_w: float
    transponder_base_w: float
    transponder_w_per_gbps: float

    def transponder_w(self, bit_rate_gbps: float) -> float:
        """Power of one transponder at a bit rate."""
        return self.transponder_base_w + self.transponder_w_per_gbps * bit_rate_gbps


@cache
def power_model(name: str = DEFAULT_SET) -> PowerModel:
    """The set of that name. Raises: InvalidRequest with the names that exist."""
    sets = json.loads(_FILE.read_text(encoding="utf-8"))["sets"]
    if name not in sets:
        raise InvalidRequest(
            f"power_model={name!r}: choose one of {', '.join(sorted(sets))}", field="power_model", value=name
        )
    chosen = sets[name]
    return PowerModel(
        name=name,
        amplifier_w=chosen["amplifier_w"]["value"],
        transponder_base_w=chosen["transponder"]["base_w"],
        transponder_w_per_gbps=chosen["transponder"]["per_gbps_w"],
    )
