"""Settings of all tests."""

from hypothesis import settings

# The machine is shared and kernels compile at their first call: how long an example takes is no property of the code.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
