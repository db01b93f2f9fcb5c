"""Hops 5 and 6 of 8: virtual nodes and their synchronisation with the physical ones."""
