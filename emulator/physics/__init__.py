"""What light does between the devices: powers, noise and nonlinear interference of the channels that are lit.

Shares no code with the PCE, so that prediction and measurement agree only if both are right.
"""

from emulator.physics.propagate import CrossConnect, LightPlant, LightState, Reception, TxChannel

__all__ = ["CrossConnect", "LightPlant", "LightState", "Reception", "TxChannel"]
