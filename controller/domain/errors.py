"""The error tree of the whole system.

Domain code raises these; only two adapters know wire codes: `controller.api.status` (gRPC) and
`controller.netconf` (rpc-error). Every message says what is wrong, where, and how to mend it.

    GeysersError
    ├── InvalidRequest         the caller must fix the request
    ├── NotAuthenticated       no usable identity
    ├── NotPermitted           known, but not allowed
    ├── NotFound               absent, or not the caller's: both look the same (AIP-211)
    ├── AlreadyExists
    ├── StaleGeneration        re-read and retry
    ├── ResourceExhausted      nothing left of what was asked
    │   ├── NoPath
    │   ├── SpectrumBlocked
    │   └── GsnrBelowMargin
    ├── WrongState             valid, but not now
    ├── DeviceUnreachable      nothing was sent
    ├── DeviceLocked
    ├── DeviceRejected         the device said no; its rpc-errors are kept whole
    └── DeviceInDoubt          sent, no answer: neither done nor failed
"""

from collections.abc import Sequence
from typing import Any


class GeysersError(Exception):
    """Root of all errors that are somebody's to handle; `fields` name the values at fault."""

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields: dict[str, Any] = fields


class InvalidRequest(GeysersError):
    """A field of the request cannot be honoured as it stands."""


class NotAuthenticated(GeysersError):
    """The caller presented no identity that this process trusts."""


class NotPermitted(GeysersError):
    """The caller's role has no right to this method."""


class NotFound(GeysersError):
    """The named thing does not exist for this caller."""


class AlreadyExists(GeysersError):
    """The name is taken by a different thing."""


class StaleGeneration(GeysersError):
    """The state moved since it was read."""


class ResourceExhausted(GeysersError):
    """No resource of the asked kind is left."""


class NoPath(ResourceExhausted):
    """No route joins the two ends under the constraints."""


class SpectrumBlocked(ResourceExhausted):
    """No frequency slot is free on every link of any admissible route."""


class GsnrBelowMargin(ResourceExhausted):
    """No operational mode keeps its margin on any admissible route."""


class WrongState(GeysersError):
    """The thing exists but its state forbids the call."""


class DeviceUnreachable(GeysersError):
    """The device could not be reached; nothing was sent."""


class DeviceLocked(GeysersError):
    """Another session holds the lock."""


class DeviceRejected(GeysersError):
    """The device answered with rpc-errors, kept in `rpc_errors`."""

    def __init__(self, message: str, rpc_errors: Sequence[Any] = (), **fields: Any) -> None:
        super().__init__(message, **fields)
        self.rpc_errors = tuple(rpc_errors)


class DeviceInDoubt(GeysersError):
    """The request was sent and no answer came: the effect is unknown until read back."""
