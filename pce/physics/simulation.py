"""Which physics a calculation takes in, and how finely."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pce.core.raman import MAX_ORDER
from pce.gnpy_json import Entry, fault, number, section
from pce.physics.decibel import Positions
from pce.physics.fibre import RamanTable


class NliModel(StrEnum):
    """How nonlinear interference is computed; the values are GNPy's."""

    GN = "gn_model_analytic"
    GENERALISED_APPROXIMATE = "ggn_approx"
    GENERALISED_SEPARATED = "ggn_spectrally_separated"


@dataclass(frozen=True, slots=True)
class Physics:
    """Options of a calculation."""

    nli: NliModel = NliModel.GN
    raman: RamanTable | None = None
    """Gain of Raman scattering between channels; None leaves it out."""
    raman_order: int = 2
    """Terms of the perturbative solution; 0 for forward Euler."""
    solver_step_m: float = 10e3
    result_step_m: float = 10e3
    dispersion_tolerance: float = 4.0
    phase_shift_tolerance_rad: float = 0.1
    computed_channels: tuple[int, ...] | None = None
    """Numbers, from 1, of the channels for which the generalised models are computed; the others lie between."""
    computed_channel_count: int | None = None
    name: str = "physics"

    def cuts(self, channels: int) -> Positions:
        """Positions of the channels to compute. Raises: InvalidRequest when the comb has no such channel."""
        if self.computed_channels is not None:
            chosen = np.array(self.computed_channels, np.int64) - 1
            if not chosen.size or chosen.min() < 0 or chosen.max() >= channels or np.any(np.diff(chosen) <= 0):
                mend = f"give rising numbers from 1 to {channels}, the channels of the comb"
                raise fault(self.name, "nli_params.computed_channels", f"is {list(self.computed_channels)}", mend)
            return chosen
        if self.computed_channel_count is not None:
            count = self.computed_channel_count
            if not 2 <= count <= channels:
                mend = f"give 2 to {channels}, the channels of the comb"
                raise fault(self.name, "nli_params.computed_number_of_channels", f"is {count}", mend, count)
            return np.array([round(i * (channels - 1) / (count - 1)) for i in range(count)], np.int64)
        return np.arange(channels)


DEFAULT_PHYSICS = Physics()


def physics_of(parameters: Entry, raman: RamanTable | None, name: str) -> Physics:
    """Options from GNPy's simulation parameters; `raman` is used where they switch scattering on.

    Raises: InvalidRequest.
    """
    scattering, interference = (section(parameters, part, name) for part in ("raman_params", "nli_params"))
    flag = scattering.get("flag", False)
    if not isinstance(flag, bool):
        raise fault(name, "raman_params.flag", f"is {flag!r}", "write true or false", flag)
    method, order = scattering.get("method", "perturbative"), scattering.get("order", 2)
    if method not in ("perturbative", "numerical"):
        raise fault(name, "raman_params.method", f"{method!r} is not known", "use perturbative or numerical", method)
    if order not in range(1, MAX_ORDER + 1):
        raise fault(name, "raman_params.order", f"is {order!r}", f"use 1 to {MAX_ORDER}", order)
    model = interference.get("method", NliModel.GN.value)
    if model not in [known.value for known in NliModel]:
        mend = f"use one of {', '.join(known.value for known in NliModel)}"
        raise fault(name, "nli_params.method", f"{model!r} is not known", mend, model)
    chosen = interference.get("computed_channels")
    if chosen is not None and not (isinstance(chosen, list) and all(isinstance(entry, int) for entry in chosen)):
        raise fault(name, "nli_params.computed_channels", f"is {chosen!r}", "write a list of channel numbers", chosen)
    count = interference.get("computed_number_of_channels")
    if count is not None and not isinstance(count, int):
        raise fault(name, "nli_params.computed_number_of_channels", f"is {count!r}", "write a whole number", count)
    return Physics(
        nli=NliModel(model),
        raman=raman if flag else None,
        raman_order=0 if method == "numerical" else order,
        solver_step_m=number(scattering, "solver_spatial_resolution", name, 10e3, least=1.0),
        result_step_m=number(scattering, "result_spatial_resolution", name, 10e3, least=1.0),
        dispersion_tolerance=number(interference, "dispersion_tolerance", name, 4.0, least=1e-6),
        phase_shift_tolerance_rad=number(interference, "phase_shift_tolerance", name, 0.1, least=1e-6),
        computed_channels=None if chosen is None else tuple(chosen),
        computed_channel_count=count,
        name=name,
    )
