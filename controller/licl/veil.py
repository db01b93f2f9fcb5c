"""What a VIO may be told of a PIP's refusal.

A PIP's message names its devices, its reservations, perhaps another tenant. The VIO gets the kind of the error, what it
concerns in its own terms, and how to mend it; the PIP's own words stay in the log.
"""

from __future__ import annotations

import structlog

from controller.domain.errors import (
    AlreadyExists,
    DeviceInDoubt,
    DeviceLocked,
    DeviceUnreachable,
    GeysersError,
    InvalidRequest,
    NotFound,
    ResourceExhausted,
    SpectrumBlocked,
    WrongState,
)

log = structlog.get_logger()

_TEXTS: tuple[tuple[type[GeysersError], str], ...] = (
    (SpectrumBlocked, "a band is not to be had; choose another band"),
    (ResourceExhausted, "not enough is left of what was asked; ask for less"),
    (InvalidRequest, "the provider does not accept a value; change what was asked"),
    (AlreadyExists, "the name is taken by a different thing; choose another name"),
    (NotFound, "it is not there (any more); read again what there is"),
    (WrongState, "it is not in operation; wait or read its state"),
    (DeviceLocked, "it is being changed by another session and nothing was changed; try again"),
    (DeviceUnreachable, "a provider cannot be reached and nothing was changed; try again later"),
    (DeviceInDoubt, "a provider did not answer and the effect is not known yet; read again later"),
)


def veil(error: GeysersError, subject: str) -> GeysersError:
    """An error of the same kind about `subject`, in words that give nothing of the PIP away."""
    log.info("provider refused", subject=subject, kind=type(error).__name__, error=error.message)
    for kind, text in _TEXTS:
        if isinstance(error, kind):
            return kind(f"{subject}: {text}")
    return WrongState(f"{subject}: the provider could not do it; try again later")
