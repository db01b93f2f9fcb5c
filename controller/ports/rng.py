"""Randomness as a port, so that a run can be replayed from its seed."""

import random
import uuid
from typing import Protocol


class Rng(Protocol):
    """Source of identifiers and jitter; never of keys."""

    def uuid(self) -> str:
        """A version-4 UUID in canonical text."""
        ...

    def uniform(self, low: float, high: float) -> float: ...


class SystemRng:
    """Operating-system randomness."""

    def uuid(self) -> str:
        return str(uuid.uuid4())

    def uniform(self, low: float, high: float) -> float:
        return random.SystemRandom().uniform(low, high)


class SeededRng:
    """Replayable randomness."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - replayable on purpose; makes no keys

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
