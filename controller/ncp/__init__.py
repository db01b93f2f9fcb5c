"""Hops 2 and 4 of 8: the operator's own controller."""
