"""Path computation element: route, frequency slot, mode and IT end point in one answer.

Compiled kernels are cached per product version, numba version and CPU; the directory is chosen here, before any
kernel module is imported, so that a changed kernel never loads a stale object and a second start is quick.
"""

from pce import kernel_cache

kernel_cache.configure()
