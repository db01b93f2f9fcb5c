"""Compiled kernels: arrays in, arrays or codes out; linear units; no exceptions for control flow.

Compiled kernels are cached per product version, numba version and CPU; the directory is chosen here, before any
kernel module is imported, so that a changed kernel never loads a stale object and a second start is quick. Here and
not in `pce`: a process that only speaks the PCE's types does not pay for numba.
"""

from pce import kernel_cache

kernel_cache.configure()
