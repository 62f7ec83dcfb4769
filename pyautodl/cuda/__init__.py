"""PyTorch's path to the question whether there is a GPU: there is none."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "synchronize",
]


def is_available() -> bool:
    """Return False: pyautodl computes on the CPU.

    Example:
        >>> import pyautodl as ad
        >>> ad.cuda.is_available()
        False
    """
    return False


def device_count() -> int:
    """Return 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.cuda.device_count()
        0
    """
    return 0


def manual_seed_all(seed: int) -> None:
    """Do nothing: there are no devices whose generators to seed.

    Example:
        >>> import pyautodl as ad
        >>> ad.cuda.manual_seed_all(0)
    """


def manual_seed(seed: int) -> None:
    """Do nothing: there are no devices whose generators to seed.

    Example:
        >>> import pyautodl as ad
        >>> ad.cuda.manual_seed(0)
    """


def empty_cache() -> None:
    """Do nothing; `pyautodl.empty_cache` gives back the CPU's.

    Example:
        >>> import pyautodl as ad
        >>> ad.cuda.empty_cache()
    """


def synchronize(device: object = None) -> None:
    """Do nothing: what was called is done.

    Example:
        >>> import pyautodl as ad
        >>> ad.cuda.synchronize()
    """


def __getattr__(name: str) -> Any:
    if name == "amp":
        return importlib.import_module("pyautodl.cuda.amp")
    raise AttributeError(f"module 'pyautodl.cuda' has no attribute {name!r}")
