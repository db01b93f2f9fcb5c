"""GNPy keeps its simulation parameters for the whole process: each test begins with GNPy's own."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def gnpy_defaults():
    """Undo what an earlier test set, where GNPy is loaded at all."""
    if "gnpy.core.parameters" in sys.modules:
        sys.modules["gnpy.core.parameters"].SimParams.set_params({"raman_params": {}, "nli_params": {}})
