"""PyTorch's switches of a library for GPUs: scripts set them, nothing reads them."""

from __future__ import annotations

__all__ = [
    "allow_tf32",
    "benchmark",
    "deterministic",
    "enabled",
    "is_available",
    "version",
]

enabled = False
benchmark = False
# results always are
deterministic = True
allow_tf32 = False


def is_available() -> bool:
    """Return False: pyautodl computes on the CPU.

    Example:
        >>> import pyautodl as ad
        >>> ad.backends.cudnn.is_available()
        False
    """
    return False


def version() -> None:
    """Return None, as there is none.

    Example:
        >>> import pyautodl as ad
        >>> ad.backends.cudnn.version()
    """
