"""What runs where on this machine."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from pyautodl._version import __version__
from pyautodl.backends import BACKENDS, backend_kernels, fallbacks, native

__all__ = ["config", "show_config"]


def config() -> dict[str, Any]:
    """Return version, instruction set, threads and backends of this installation.

    Example:
        >>> from pyautodl.config import config
        >>> sorted(config())[:3]
        ['backends', 'cpus', 'fallbacks']
    """
    return {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "isa": native.current_isa() if native.available else None,
        "isas": native.isa_names() if native.available else [],
        "threads": native.get_num_threads() if native.available else 1,
        "cpus": native.available_cpus() if native.available else None,
        "backends": {each: len(backend_kernels(each)) for each in BACKENDS},
        "unavailable": native.unavailable_reason,
        "missing": _missing(),
        "fallbacks": fallbacks(),
    }


def _missing() -> dict[str, list[str]]:
    """For each backend the kernels that it lacks."""
    known = {name for each in BACKENDS for name in backend_kernels(each)}
    return {each: sorted(known - set(backend_kernels(each))) for each in BACKENDS}


def show_config() -> None:
    """Print what runs where: the instruction set, threads, backends, and what fell
    back.

    Example:
        >>> import pyautodl as ad
        >>> ad.show_config()  # doctest: +ELLIPSIS
        pyautodl ...
    """
    found = config()
    print(f"pyautodl {found['version']}")
    print(f"  python   {found['python']}, numpy {found['numpy']}, {found['machine']}")
    isas = f" (this machine has {', '.join(found['isas'])})" if found["isas"] else ""
    print(f"  isa      {found['isa'] or 'none'}{isas}")
    processors = f" of {found['cpus']} processors" if found["cpus"] else ""
    print(f"  threads  {found['threads']}{processors}")
    if found["unavailable"]:
        print(f"  native   {found['unavailable']}")
    for backend, count in found["backends"].items():
        lacks = found["missing"][backend]
        text = f"{count} kernels" if count else "absent"
        if count and lacks:
            text += f", without {len(lacks)}: {', '.join(lacks[:4])}"
            text += " ..." if len(lacks) > 4 else ""
        print(f"  {backend:<10}{text}")
    taken = found["fallbacks"]
    print(f"  fallback {'nothing so far' if not taken else ''}".rstrip())
    for name, (backend, why) in taken.items():
        print(f"    {name} runs on {backend}: {why}")
