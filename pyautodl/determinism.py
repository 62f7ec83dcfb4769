"""PyTorch's switches between fast and repeatable results: here all are repeatable."""

from __future__ import annotations

__all__ = [
    "are_deterministic_algorithms_enabled",
    "get_float32_matmul_precision",
    "set_float32_matmul_precision",
    "use_deterministic_algorithms",
]


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Do nothing: results never depend on threads or chance.

    Args:
        mode: without effect.
        warn_only: without effect.

    Example:
        >>> import pyautodl as ad
        >>> ad.use_deterministic_algorithms(True)
    """


def are_deterministic_algorithms_enabled() -> bool:
    """Return True: there are no others.

    Example:
        >>> import pyautodl as ad
        >>> ad.are_deterministic_algorithms_enabled()
        True
    """
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """Do nothing: products of float32 are always computed in float32.

    Args:
        precision: 'highest', 'high' or 'medium', which allow less and are not used.

    Raises:
        ValueError: it is another word.

    Example:
        >>> import pyautodl as ad
        >>> ad.set_float32_matmul_precision("high")
    """
    if precision not in ("highest", "high", "medium"):
        raise ValueError(
            "set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got "
            f"{precision!r}"
        )


def get_float32_matmul_precision() -> str:
    """Return 'highest'.

    Example:
        >>> import pyautodl as ad
        >>> ad.get_float32_matmul_precision()
        'highest'
    """
    return "highest"
