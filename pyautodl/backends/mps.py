"""PyTorch's path to the question whether there is Apple's GPU: it is not used."""

from __future__ import annotations

__all__ = ["is_available", "is_built"]


def is_available() -> bool:
    """Return False: pyautodl computes on the CPU.

    Example:
        >>> import pyautodl as ad
        >>> ad.backends.mps.is_available()
        False
    """
    return False


def is_built() -> bool:
    """Return False: pyautodl computes on the CPU.

    Example:
        >>> import pyautodl as ad
        >>> ad.backends.mps.is_built()
        False
    """
    return False
