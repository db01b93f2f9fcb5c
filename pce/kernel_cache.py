"""Where compiled kernels live: one directory per kernel source digest, product version, numba version and CPU.

`NUMBA_CACHE_DIR`, when the operator has set it, is left alone.
"""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding  # type: ignore[import-untyped]
from numba.core import config as _numba_config

config: Any = _numba_config
_KERNELS = Path(__file__).parent / "core"


def product_version() -> str:
    """Version of the installed product, `source` when it runs from a tree that was never installed."""
    try:
        return version("geysers")
    except PackageNotFoundError:
        return "source"


def kernel_digest(folder: Path = _KERNELS) -> str:
    """Digest over the kernel sources: numba looks only at a file's own time stamp, not at what it calls."""
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def cpu_name() -> str:
    """Name the CPU that LLVM compiles for."""
    return str(binding.get_host_cpu_name()) or "generic"


def cache_directory(base: Path | None = None) -> Path:
    """Directory for compiled kernels under the user's cache (XDG base directory)."""
    root = base or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = f"{product_version()}-{kernel_digest()}-numba{numba.__version__}-{cpu_name()}"
    return root / "geysers" / "kernels" / key


def configure() -> Path | None:
    """Point numba at our directory; None when the operator chose another or nothing is compiled."""
    if os.environ.get("NUMBA_CACHE_DIR") or config.DISABLE_JIT:
        return None
    try:
        directory = cache_directory()
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        # A read-only or absent home costs a compilation per start, not the service.
        return None
    config.CACHE_DIR = str(directory)
    return directory
