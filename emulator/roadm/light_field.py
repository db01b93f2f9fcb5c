"""The light that all devices of one emulator share: who is lit, what is switched, what arrives."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.physics import CrossConnect, LightPlant, LightState, Reception, TxChannel


class LightField:
    """Gathers each device's lasers and cross-connects; settles the plant when somebody looks."""

    def __init__(self, plant: LightPlant) -> None:
        self._plant = plant
        self._channels: dict[str, tuple[TxChannel, ...]] = {}
        self._crosses: dict[str, tuple[CrossConnect, ...]] = {}
        self._state: LightState | None = None

    def put_device(self, name: str, channels: Iterable[TxChannel], crosses: Iterable[CrossConnect]) -> None:
        """What one device does to the light now, in place of what it did before."""
        self._channels[name] = tuple(channels)
        self._crosses[name] = tuple(crosses)
        self._state = None

    @property
    def state(self) -> LightState:
        """The light, settled."""
        if self._state is None:
            channels = [channel for device in sorted(self._channels) for channel in self._channels[device]]
            crosses = [cross for device in sorted(self._crosses) for cross in self._crosses[device]]
            self._state = self._plant.settle(channels, crosses)
        return self._state

    def reception(self, receiver: str, center_hz: float, baud_rate_hz: float) -> Reception | None:
        """What a coherent receiver at `center_hz` for this symbol rate picks out of the light; None if nothing."""
        for reception in self.state.receptions.get(receiver, ()):
            if abs(reception.center_hz - center_hz) < 1e9 and abs(reception.baud_rate_hz - baud_rate_hz) < 1e8:
                return reception
        return None
