"""Control plane: LICL, NCP, PIP and all that joins them."""
