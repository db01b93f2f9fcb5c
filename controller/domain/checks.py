"""Checks of numbers that come from outside; each refusal names what, which field and the value."""

from __future__ import annotations

from controller.domain.errors import InvalidRequest


def finite(what: str, name: str, value: float) -> None:
    """Refuse an infinite or undefined number."""
    if not -1e300 < value < 1e300:
        raise InvalidRequest(f"{what}: {name}={value} is no finite number", field=name, value=value)


def not_negative(what: str, name: str, value: float) -> None:
    """Refuse a number that is below 0, infinite or undefined."""
    if not 0 <= value < 1e300:
        raise InvalidRequest(f"{what}: {name}={value}; give a finite number of at least 0", field=name, value=value)
